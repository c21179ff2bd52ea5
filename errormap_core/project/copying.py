"""A copy of an open project in a file of its own, made by SQLite's backup: while others write, and after the file was lost.

The copy is made under another name beside its target and gets its name when it is whole.
"""

import contextlib
import os
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

from errormap_core import trouble
from errormap_core.caches import data_folder
from errormap_core.errors import KnownError
from errormap_core.ids import new_id, now
from errormap_core.output_paths import PROJECT, new_output
from errormap_core.project import files
from errormap_core.project.store import Project
from errormap_core.project.watching import CutOff
from errormap_core.sentences import tr
from errormap_core.tasks import Progress

PAGES_AT_ONCE = 512
"""So many pages are copied between two looks whether to stop; whoever shares the connection waits no longer than for these."""

LOOK_EVERY_S = 0.1

Step = Callable[[Project], object]
"""Takes a step in a project."""

Tell = Callable[[int, int], None]
"""Takes how many pages are copied, and how many there are; may raise to stop the copy."""


class _Stopped(Exception):
    """Nobody wants the copy any more."""


def copy_project(project: Project, target: Path, tell: Tell = lambda done, total: None) -> Path:
    """Write a copy of `project` to `target`, which must not exist; with every step that the connection holds.

    The copy has an id of its own, no leases, the permissions of the original, and is one file. To be called on any thread,
    also after the project's file was moved away. Raises KnownError where there is no room, the name is taken, or what is
    left to copy from is not whole.
    """
    if project.cut_off is not None and project.cut_off.is_written_over:
        raise KnownError(
            tr("There is nothing left to copy: another program wrote something else into the project's file."),
            where=str(project.path),
            fix=tr("Restore a backup (File menu, or the command restore)."),
        )
    like = project.watch.real if project.watch.is_in_place() else None
    with files.told(project.path):
        _refuse_without_room(project, target)
    with new_output(target, PROJECT, project=project.path, like=like) as new:
        os.chmod(new, 0o600)  # private until it is what the original is
        with files.told(new):
            lost = project.cut_off is not None
            source = project.checkpoints.connection if lost else None  # idle then: no view waits for it
            _fill(source or project.reader.conn, new, tell)
            if lost:
                _refuse_mixed(new)
        os.chmod(new, project.watch.mode)
    return target


def copy_with_steps(path: Path, target: Path, steps: Sequence[Step]) -> list[KnownError]:
    """Make a copy of the project at `path` and take these steps in it; returns what was not possible of them.

    Reading does not wait for who has locked the project for writing. Raises KnownError where there is something at `target`,
    or it cannot be written; nothing is left there then.
    """
    with new_output(target, PROJECT, project=path, like=path) as new:
        with files.told(target):
            source = files.connect(path, read_only=True)
            try:
                _fill(source.conn, new, lambda done, total: None)
            finally:
                source.close()
        refused, left_in_two = _taken_in(new, steps)
        if left_in_two is not None:  # the log would be left behind
            raise KnownError(
                tr("The steps could not be written into the copy to their end."),
                where=str(target),
                fix=tr("Free some space, or choose a folder on another disk."),
            ) from left_in_two
        return refused


def rescue_with_steps(project: Project, target: Path, steps: Sequence[Step]) -> list[KnownError]:
    """The same for a project whose file was moved away while it was open: from the connection that holds everything."""
    copy_project(project, target)
    refused, left_in_two = _taken_in(target, steps)
    if left_in_two is not None:
        raise left_in_two
    return refused


def _taken_in(path: Path, steps: Sequence[Step]) -> tuple[list[KnownError], KnownError | None]:
    """Take the steps in a copy; what was not possible of them, and why some are in its log alone."""
    refused = []
    with Project.open(path) as project:
        for step in steps:
            try:
                step(project)
            except KnownError as error:
                refused.append(error)
    return refused, project.left_in_two


def _fill(source: sqlite3.Connection, new: Path, tell: Tell) -> None:
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
        is_own = not source.in_transaction
        if is_own:
            source.execute("BEGIN")  # one state of the project: a backup begins anew where others write meanwhile
        try:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, left, total: tell(total - left, total), sleep=0)
        finally:
            if is_own:
                source.execute("ROLLBACK")
        copy.execute("DELETE FROM lease")  # they are of the project, not of its copy
        copy.execute("UPDATE meta SET value = ? WHERE key = 'copy_id'", [new_id()])
        copy.execute("UPDATE run SET status = 'stopped', finished_at = ? WHERE status = 'running'", [now()])
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _refuse_mixed(new: Path) -> None:
    """After the file was lost others may have written into it, under its other name: what was read is then no one state."""
    with contextlib.closing(sqlite3.connect(new)) as copy:
        problems = [said for (said,) in copy.execute("PRAGMA quick_check") if said != "ok"]
        problems += ["foreign keys" for _ in copy.execute("PRAGMA foreign_key_check").fetchmany(1)]
    if problems:
        raise KnownError(
            tr("The copy is not whole ({problem}): another program wrote to the file meanwhile.", problem=problems[0]),
            where=str(new),
            fix=tr("Keep the project's file and its log as they are, and open a backup."),
        )


def _refuse_without_room(project: Project, target: Path) -> None:
    (needed,) = project.reader.execute(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(target.parent).free
        if free < needed:
            raise KnownError(
                tr("There is no room for the copy: it takes {needed:,.0f} MB, {free:,.0f} MB are free.",
                   needed=needed / 1e6, free=free / 1e6),
                where=str(target.parent),
                fix=tr("Free some space, or choose a folder on another disk."),
            )  # fmt: skip


def copying(project: Project, target: Path, *, cancelled: Callable[[], bool]) -> Generator[Progress, None, Path | None]:
    """The same as long work; None where it was cancelled, and nothing is left of it then."""
    said: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    stop = threading.Event()

    def tell(done: int, total: int) -> None:
        if stop.is_set():
            raise _Stopped
        said.put((done, total))

    with ThreadPoolExecutor(1, thread_name_prefix="copy") as pool:
        copy = pool.submit(copy_project, project, target, tell)
        latest: tuple[int, int] | None = None
        try:
            while not wait([copy], LOOK_EVERY_S).done:
                if cancelled():
                    stop.set()
                latest = None
                while not said.empty():
                    latest = said.get()
                if latest is not None:
                    yield Progress("copy", *latest)
            while not said.empty():
                latest = said.get()
            if latest is not None:
                yield Progress("copy", *latest)
            return copy.result()
        except _Stopped:
            return None
        finally:
            stop.set()


@contextlib.contextmanager
def rescued(project: Project) -> Iterator[None]:
    """Work whose file is moved, deleted or replaced meanwhile ends with an error, and with a copy of all that it did."""
    try:
        yield
        if (lost := project.watch.peek()) is not None:
            raise lost
    except BaseException as error:
        if project.cut_off is None or project.read_only:
            raise
        raise rescue(project, project.cut_off) from error


def rescue(project: Project, lost: CutOff, tell: Tell = lambda done, total: None) -> KnownError:
    """Keep a copy of a project whose file was lost, beside where it was or else in the user's data folder.

    Returns the error to end with: what happened, and where the copy is, or why there is none.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{project.watch.real.stem}.rescued-{stamp}.errormap"
    failed: KnownError | None = None
    for folder in (project.watch.real.parent, data_folder()):
        try:
            if folder == data_folder():
                folder.mkdir(parents=True, exist_ok=True)
            kept = copy_project(project, _free(folder / name), tell)
        except (KnownError, OSError) as error:
            failed = error if isinstance(error, KnownError) else trouble.known(error, where=str(folder))
            continue
        project.watch.drop_log()
        return CutOff(
            lost.what,
            where=lost.where,
            fix=tr("Every step up to now is kept in {path}; open that and go on there.", path=kept),
        )
    return CutOff(
        tr("{what} A copy could not be kept: {failed}", what=lost.what, failed=failed or ""),
        where=lost.where,
        fix=tr("Move the file back to its place before you open anything else there; its log is beside it."),
    )


def _free(path: Path) -> Path:
    """A name that is not taken: several processes may keep a copy in the same second."""
    n = 1
    free = path
    while free.exists():
        n += 1
        free = path.with_name(f"{path.stem}-{n}{path.suffix}")
    return free
