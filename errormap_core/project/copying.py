"""A copy of a project as it is, with steps that could not be saved in it: also while another program has locked it."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.project import files
from errormap_core.project.store import Project, put_in_place
from errormap_core.sentences import tr

PAGES = 2_000
"""So many pages are copied in one go: between them it is seen whether the copy is wanted still."""

Step = Callable[[Project], object]


def copy_with_steps(path: Path, target: Path, steps: Sequence[Step]) -> list[KnownError]:
    """Make a copy of the project at `target` and take these steps in it; returns what was not possible of them.

    Reading does not wait for who writes. Raises KnownError where there is something at `target`, or it cannot be written;
    nothing is left there then.
    """
    if target.exists():
        raise KnownError(tr("There is a file of this name already."), where=str(target), fix=tr("Choose another name."))
    new = target.with_name(f"{target.name}.new-{new_id()[:8]}")
    try:
        with files.told(target):
            source = files.connect(path, read_only=True)
            try:
                with contextlib.closing(sqlite3.connect(new)) as copy:
                    source.conn.backup(copy, pages=PAGES)
            finally:
                source.close()
        refused = []
        with Project.open(new) as project:
            with project.writing() as db:
                db.execute("DELETE FROM lease")  # they are of the project, not of its copy
            for step in steps:
                try:
                    step(project)
                except KnownError as error:
                    refused.append(error)
        put_in_place(new, target)
    finally:
        for rest in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
            rest.unlink(missing_ok=True)
    return refused
