"""ErrorMap's input CSV: one file a dataset, columns example_id, model, input_text, output_text, score and
optionally correct_answer; all other columns are kept."""

import csv
import difflib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.importers.records import RawRecord, RowProblem
from errormap_core.importers.survey import Survey, survey
from errormap_core.sentences import tr, trn

REQUIRED = ("example_id", "model", "input_text", "output_text", "score")
OPTIONAL = ("correct_answer",)

MOST_CHARACTERS = 64 * 1024 * 1024
"""The longest field that is read; csv's own bound of 131,072 is too short for long answers."""

PREVIEW_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Table:
    """An open CSV: its delimiter, its columns as written, and rows of (first line, values)."""

    path: Path
    delimiter: str
    columns: list[str]
    rows: Iterator[tuple[int, list[str]]]

    def place(self, name: str) -> int | None:
        """Where a column that the format knows is; case and spaces around it do not count."""
        folded = [column.casefold() for column in self.columns]
        return folded.index(name) if name in folded else None


def open_table(file: io.TextIOBase, path: Path) -> Table:
    """Read the header. Raises KnownError, located in the file, where it is not what ErrorMap's input has."""
    csv.field_size_limit(MOST_CHARACTERS)
    first = file.readline()
    offset, delimiter = 0, None
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # as spreadsheets write it
        offset, delimiter = 1, first.strip()[4]
        first = file.readline()
    file.seek(0)
    for _ in range(offset):
        file.readline()
    delimiter = delimiter or _sniffed(first)
    reader = csv.reader(file, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise KnownError(
            tr("The header cannot be read ({reason}).", reason=error), where=str(path), fix=tr("Is it a CSV file?")
        ) from error
    table = Table(path, delimiter, header, _rows(reader, path, offset))
    _check_header(table)
    return table


def _sniffed(header: str) -> str:
    """The delimiter that occurs most in the header."""
    return max(",;\t|", key=lambda mark: (header.count(mark), -",;\t|".index(mark)))


def _check_header(table: Table) -> None:
    where = tr("{path}, line 1", path=table.path)
    folded = [name.casefold() for name in table.columns]
    missing = [name for name in REQUIRED if name not in folded]
    if missing:
        near = [f"{n}?" for name in missing for n in difflib.get_close_matches(name, folded, 1, 0.7)]
        hint = tr(" Did you mean {near}", near=", ".join(near)) if near else ""
        raise KnownError(
            trn("The column {names} is missing.", "The columns {names} are missing.", len(missing),
                names=", ".join(missing)),
            where=where,
            fix=tr("The file has {columns}.{hint} Rename its columns to example_id, model, input_text, output_text, score.",
                   columns=", ".join(table.columns) or tr("no columns"), hint=hint),
        )  # fmt: skip
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise KnownError(
            tr("The column {names} is there twice.", names=", ".join(twice)),
            where=where,
            fix=tr("Rename one of the two."),
        )


def _rows(reader: Any, path: Path, offset: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with the physical line that each begins on."""
    while True:
        line = reader.line_num + offset + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise KnownError(
                tr("The row cannot be read ({reason}).", reason=error),
                where=tr("{path}, line {line:,}", path=path, line=line),
                fix=tr("Look for a quote that is not closed."),
            ) from error
        yield line, row


def open_text(seen: Survey) -> io.TextIOWrapper:
    """The file as text, line ends as they are."""
    return seen.path.open("r", encoding=seen.encoding, newline="")


def read_records(seen: Survey, dataset: str) -> Iterator[RawRecord | RowProblem]:
    """Records and problems in file order; rows without anything in them are problems of code 'blank'.

    Raises KnownError where the file as a whole cannot be read.
    """
    with open_text(seen) as file:
        table = open_table(file, seen.path)
        places = {name: table.place(name) for name in (*REQUIRED, *OPTIONAL)}
        extra = [(i, name) for i, name in enumerate(table.columns) if i not in places.values() and name]
        for line, values in table.rows:
            yield from _record(
                values, places, extra, n_columns=len(table.columns), seen=seen, dataset=dataset, line=line
            )


def _record(
    values: list[str],
    places: dict[str, int | None],
    extra: list[tuple[int, str]],
    *,
    n_columns: int,
    seen: Survey,
    dataset: str,
    line: int,
) -> Iterator[RawRecord | RowProblem]:
    name = seen.path.name
    if not any(value.strip() for value in values):
        yield RowProblem(name, line, "", "blank", tr("The row is empty."))
        return
    if len(values) != n_columns:
        n_lines = sum(value.count("\n") for value in values)
        hint = tr(" It goes on over {n:,} lines: a quote that is not closed?", n=n_lines + 1) if n_lines > 50 else ""
        yield RowProblem(
            name, line, "", "fields",
            trn("The row has {n:,} field, the header {wanted:,}.{hint}",
                "The row has {n:,} fields, the header {wanted:,}.{hint}", len(values), wanted=n_columns, hint=hint),
        )  # fmt: skip
        return

    def value(column: str) -> str:
        place = places[column]
        return "" if place is None else values[place]

    for column in ("example_id", "model"):
        if not value(column).strip():
            yield RowProblem(
                name, line, column, "empty_key", tr("It is empty, so the record cannot be told from others.")
            )
            return
    score = _number(value("score"))
    if score is None:
        hint = tr(" Use a decimal point.") if "," in value("score") else ""
        yield RowProblem(
            name, line, "score", "score", tr("“{value}” is no number.{hint}", value=value("score")[:40], hint=hint)
        )
        return
    if not value("output_text").strip():
        yield RowProblem(name, line, "output_text", "empty_answer", tr("The answer is empty."), is_kept=True)
    correct = value("correct_answer")
    yield RawRecord(
        dataset=dataset,
        model=value("model").strip(),
        example_id=value("example_id").strip(),
        input_text=value("input_text"),
        output_text=value("output_text"),
        score=score,
        source_file=name,
        source_line=line,
        correct_answer=correct if correct.strip() else None,
        metrics={"score": score},
        extra={column: values[i] for i, column in extra},
    )


def _number(text: str) -> float | None:
    try:
        number = float(text.strip())
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


@dataclass(slots=True)
class Preview:
    """What an import of a file would find. Counts and estimates are of `rows_read` rows (all, if `whole_file`)."""

    path: Path
    dataset: str
    encoding: str
    is_guess: bool
    delimiter: str
    columns: list[str]
    rows: list[RawRecord] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    rows_read: int = 0
    n_problems: int = 0
    mean_score: float | None = None
    threshold: float | None = None
    n_failures: int = 0
    whole_file: bool = True


def preview(path: Path, *, n_rows: int = 50, dataset: str | None = None) -> Preview:
    """Look at the beginning of a file (at most 8 MiB of it). Raises KnownError as an import would."""
    seen = survey(path, most=PREVIEW_BYTES)
    with open_text(seen) as file:
        table = open_table(file, path)
    found = Preview(path, dataset or path.stem, seen.encoding, seen.is_guess, table.delimiter, table.columns)
    scores: list[float] = []
    models: set[str] = set()
    n_characters = 0
    for item in read_records(seen, found.dataset):
        if isinstance(item, RowProblem):
            if item.code != "blank":
                found.n_problems += 1
                found.problems.append(item) if len(found.problems) < n_rows else None
            continue
        if len(found.rows) < n_rows:
            found.rows.append(item)
        scores.append(item.score)
        models.add(item.model)
        n_characters += len(item.input_text) + len(item.output_text)
        if n_characters > PREVIEW_BYTES // 2:
            found.whole_file = False
            break
    found.rows_read = len(scores)
    found.models = sorted(models)
    if scores:
        found.mean_score = sum(scores) / len(scores)
        found.threshold = round(0.7 * found.mean_score, 2)
        limit = found.threshold
        found.n_failures = sum(s < limit or (limit == 0 and s == 0) for s in scores)
    return found
