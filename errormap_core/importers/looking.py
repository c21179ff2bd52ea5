"""A look at files before anything is done with them: a mistyped name or column leaves no project behind."""

from collections.abc import Collection, Sequence
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.importers import format_of
from errormap_core.importers.errormap_csv import PREVIEW_BYTES, open_table, open_text
from errormap_core.importers.inputs import check_readable, found, shown
from errormap_core.importers.survey import survey
from errormap_core.project.queries import datasets
from errormap_core.project.store import Project
from errormap_core.sentences import tr


def look_at(paths: Sequence[Path]) -> None:
    """Raises KnownError where one of the files cannot be read, or its header is not what an import needs."""
    for path in map(found, paths):
        check_readable(path)
        if path.suffix.lower() == ".json":
            continue
        format_of(path)
        seen = survey(path, most=PREVIEW_BYTES)
        with open_text(seen) as file:
            open_table(file, seen)


def refuse_unknown_datasets(
    project: Project, names: Collection[str], paths: Sequence[Path], *, dataset: str | None
) -> None:
    """Raises KnownError where a threshold is given for a dataset that neither is there nor comes."""
    known = {row.name for row in datasets(project.db)} | (
        {dataset} if dataset else {shown(found(path).stem) for path in paths}
    )
    for name in names:
        if name not in known:
            raise KnownError(
                tr("There is no dataset “{name}”.", name=name),
                where="--threshold",
                fix=tr("There will be {names}.", names=", ".join(sorted(known))),
            )
