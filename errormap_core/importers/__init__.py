"""Importers: one module a format, one table of formats; each yields records or located problems."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.importers import errormap_csv
from errormap_core.importers.inputs import shown
from errormap_core.importers.records import RawRecord, RowProblem
from errormap_core.importers.survey import Survey
from errormap_core.sentences import tr


@dataclass(frozen=True, slots=True)
class Format:
    """A format of results: its key, its title, the endings of its files, and what reads one."""

    key: str
    title: str
    endings: tuple[str, ...]
    read: Callable[[Survey, str], Iterator[RawRecord | RowProblem]]


FORMATS: tuple[Format, ...] = (
    Format("errormap_csv", "ErrorMap results (CSV)", (".csv", ".tsv", ".txt"), errormap_csv.read_records),
)


def format_of(path: Path) -> Format:
    """The format of a file, by its ending. Raises KnownError where none reads it."""
    for known in FORMATS:
        if path.suffix.lower() in known.endings:
            return known
    endings = ", ".join(ending for known in FORMATS for ending in known.endings)
    raise KnownError(
        tr("No importer reads files that end in “{ending}”.", ending=shown(path.suffix)),
        where=shown(path),
        fix=tr("Results end in one of {endings}; an atlas ends in .json.", endings=endings),
    )
