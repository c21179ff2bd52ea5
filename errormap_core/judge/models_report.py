"""The list of models for people and for machines, with the memory that each needs beside what is there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.judge.catalogue import Entry, models
from errormap_core.judge.gguf_file import KINDS, ModelFile
from errormap_core.judge.kept_copies import Copy, kept_copies, say_copies
from errormap_core.judge.memory import MemoryThere, memory_needed, memory_there, refuse_if_too_large, size_text
from errormap_core.sentences import Sentence, tr

JUDGES = ("chat", "base")


@dataclass(frozen=True, slots=True)
class Report:
    """The entries, the context (in tokens) that memory is told for, and the memory that is there; copies of weights that are
    kept in the cache, and how many bytes these may take."""

    entries: tuple[Entry, ...]
    context: int
    there: MemoryThere
    copies: tuple[Copy, ...] = ()
    most_copies: int = 0

    @property
    def problems(self) -> list[KnownError]:
        """Why some of them can be no judge here."""
        found = []
        for entry in self.entries:
            problem = entry.problem or too_large(entry, self.context, self.there)
            if problem is not None:
                found.append(problem)
        return found

    def to_json(self) -> dict[str, Any]:
        """Entries, each with `memory_needed` in bytes (null where the file could not be read)."""
        rows = []
        for entry in self.entries:
            need = None if entry.model is None else memory_needed(entry.model, self.context).total
            rows.append({**entry.to_json(), "memory_needed": need})
        return {
            "context": self.context,
            "memory_available": self.there.available,
            "memory_total": self.there.total,
            "models": rows,
            "copies": [copy.to_json() for copy in self.copies],
            "copies_most_bytes": self.most_copies,
            "problems": [str(problem) for problem in self.problems],
        }


def report(folders: Sequence[Path], *, also: Sequence[Path] = (), context: int, most_copies: int = 0) -> Report:
    """Read the embedded models, the files `also` and those below the folders. `most_copies`: bytes that copies may take."""
    return Report(tuple(models(folders, also=also)), context, memory_there(), tuple(kept_copies()), most_copies)


def too_large(entry: Entry, context: int, there: MemoryThere) -> KnownError | None:
    """Why there is no memory for it, or None; also where it can be no judge for another reason."""
    if entry.model is not None and entry.problem is None:
        try:
            refuse_if_too_large(entry.model, context, there=there)
        except KnownError as error:
            return error
    return None


def table(report: Report) -> Iterator[str]:
    """Lines of a table of what could be read, then where each file is."""
    heads = [str(head) for _, head in COLUMNS]
    rows = [cells(entry, entry.model, report.context) for entry in report.entries if entry.model is not None]
    if rows:
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for row in (heads, *rows):
            parts = [
                text.rjust(width) if key in NUMBERS else text.ljust(width)
                for (key, _), text, width in zip(COLUMNS, row, widths, strict=True)
            ]
            yield "  ".join(parts).rstrip()
        yield ""
    for entry in report.entries:
        if entry.model is not None:
            yield f"{entry.name}: {tr('embedded, ') if entry.is_embedded else ''}{entry.path}"
    there = report.there
    yield str(
        tr(
            "Memory is for a context of {context:,} tokens; {free} of {total} are free here.",
            context=report.context,
            free=size_text(there.available),
            total=size_text(there.total),
        )
    )
    if report.copies:
        yield str(say_copies(list(report.copies), report.most_copies))
        for copy in report.copies:
            name = Path(copy.model).name if copy.model else tr("a model that is gone")
            yield f"  {copy.path.name}: {size_text(copy.n_bytes)}, {name}"


COLUMNS: tuple[tuple[str, Sentence], ...] = (
    ("name", tr("Name")),
    ("kind", tr("Kind")),
    ("architecture", tr("Architecture")),
    ("parameters", tr("Parameters")),
    ("quantisation", tr("Quantisation")),
    ("size", tr("Size")),
    ("context", tr("Context")),
    ("licence", tr("Licence")),
    ("memory", tr("Memory")),
)
NUMBERS = frozenset({"parameters", "size", "context", "memory"})


def cells(entry: Entry, model: ModelFile, context: int) -> list[str]:
    """The texts of COLUMNS for one entry, whose `model` was read; a dash for what its file does not say."""
    return [
        entry.name,
        str(KINDS[model.kind]),
        model.architecture or "–",
        count_text(model.n_parameters) if model.n_parameters else "–",
        model.quantisation or "–",
        size_text(model.size_bytes),
        f"{model.context_length:,}" if model.context_length else "–",
        model.licence or "–",
        size_text(memory_needed(model, context).total) if model.kind in JUDGES else "–",
    ]


def count_text(n: int) -> str:
    """'135 M', '7.2 B', as makers of models tell parameters."""
    for factor, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if n >= 0.9995 * factor:
            return f"{n / factor:,.0f} {unit}" if n >= 100 * factor or unit == "M" else f"{n / factor:,.1f} {unit}"
    return f"{n:,}"
