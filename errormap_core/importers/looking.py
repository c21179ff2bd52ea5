"""A look at files before anything is done with them: a mistyped name or column leaves no project behind."""

from collections.abc import Sequence
from pathlib import Path

from errormap_core.importers import format_of
from errormap_core.importers.errormap_csv import PREVIEW_BYTES, open_table, open_text
from errormap_core.importers.inputs import check_readable, found, shown
from errormap_core.importers.survey import survey


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


def coming_datasets(paths: Sequence[Path], *, dataset: str | None) -> set[str]:
    """The datasets that files would be imported as."""
    results = [path for path in paths if path.suffix.lower() != ".json"]
    return {dataset} if dataset and results else {shown(found(path).stem) for path in results}
