"""ErrorMap's input CSV: one file a dataset, columns example_id, model, input_text, output_text, score and
optionally correct_answer; all other columns are kept."""

import difflib
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from errormap_core.errors import KnownError
from errormap_core.importers.csv_rows import MOST_CHARACTERS, Broken, Lines, Row, RowReader
from errormap_core.importers.inputs import REPLACED, found, opened, shown
from errormap_core.importers.records import RawRecord, RowProblem
from errormap_core.importers.survey import MARK, ON_DAMAGE, NotUtf8, Survey, survey
from errormap_core.sentences import Sentence, tr, trn

REQUIRED = ("example_id", "model", "input_text", "output_text", "score")
OPTIONAL = ("correct_answer",)

PREVIEW_BYTES = 8 * 1024 * 1024

MOST_PREVIEWED = PREVIEW_BYTES // 4
"""Characters that a preview reads; none takes more than 4 bytes, so they lie in the bytes that were looked through."""

MOST_COLUMNS_TOLD = 20
MOST_LETTERS_TOLD = 60

_MOST_BEFORE = 1000
"""Lines that may stand before the header."""

_LINES_LOOKED_AT = 20
_MOST_COMPARED = 1000
_MOST_KNOWN = 10_000

_EDGES = " \t\r\n\f\v\ufeff\u200b\xa0"
"""What may stand around a name without being part of it: spaces, byte-order marks."""


@dataclass(slots=True)
class Table:
    """An open CSV: its delimiter, its columns as written, where each that is known stands, and the rows behind the header.

    `is_broken` tells of a quote in the header, `is_damaged` of characters in it that are none.
    Columns at the end that have no name need not be in a row.
    """

    path: Path
    delimiter: str
    columns: list[str]
    line: int
    lines: Lines
    is_broken: Broken | None = None
    is_damaged: bool = False
    rows: RowReader = field(init=False)
    places: dict[str, int] = field(default_factory=dict)
    n_least: int = 0
    known: set[str] = field(default_factory=set)

    @property
    def others(self) -> list[tuple[int, str]]:
        """Place and name of the columns that are kept as they are."""
        taken = set(self.places.values())
        return [(i, name) for i, name in enumerate(self.columns) if name and i not in taken]

    @property
    def nameless(self) -> list[int]:
        return [i for i, name in enumerate(self.columns) if not name]

    def fits(self, values: list[str]) -> bool:
        """Whether a row has the fields that the header names; what is empty behind them does not count."""
        n = len(self.columns)
        return len(values) == n or (
            self.n_least <= len(values) and (len(values) < n or not any(value.strip() for value in values[n:]))
        )

    def is_sound(self, values: list[str]) -> bool:
        """Whether a row has a score and says what it is about."""
        if len(values) < self.n_least or read_number(values[self.places["score"]]) is None:
            return False
        return bool(values[self.places["example_id"]].strip() and values[self.places["model"]].strip())

    def is_known(self, values: list[str]) -> bool:
        """Whether a row is about a model that another row is about."""
        return values[self.places["model"]].strip() in self.known


def open_table(file: TextIO, seen: Survey, *, most: int = MOST_CHARACTERS) -> Table:
    """Read up to the header. Raises KnownError, located in the file, where it is not what ErrorMap's input has."""
    lines = Lines(file, seen.path, has_damage=bool(seen.n_damaged))
    delimiter, first = _to_header(lines, seen.path)
    table = Table(seen.path, delimiter, [], lines.number + 1, lines)
    table.rows = RowReader(
        lines,
        delimiter,
        has_backslashes=seen.has_backslashes,
        fits=table.fits,
        is_sound=table.is_sound,
        is_known=table.is_known,
        most=most,
    )
    table.n_least = len(first)  # while the header itself is read
    names, table.is_broken = table.rows.header()
    table.columns = [name.replace(MARK, REPLACED).replace("\0", REPLACED).strip(_EDGES).strip() for name in names]
    table.is_damaged = any(MARK in name or "\0" in name for name in names)
    if table.columns and names[0].strip(_EDGES).startswith("#"):
        table.columns[0] = table.columns[0].lstrip("#").strip(_EDGES)
    _place_columns(table)
    return table


def _to_header(lines: Lines, path: Path) -> tuple[str, list[str]]:
    """Go to the header: past blank lines, byte-order marks, comments and the line with which spreadsheets name the mark
    between fields. Returns that mark, and what stands between such marks in the header's first line."""
    delimiter = None
    for _ in range(_MOST_BEFORE):
        line = lines.next()
        if line is None:
            raise KnownError(
                tr("The file has no header: all its lines are empty."),
                where=shown(path),
                fix=tr("Its first line must name the columns example_id, model, input_text, output_text, score."),
            )
        text = line.strip(_EDGES)
        said = text.strip('"' + _EDGES)
        if said.lower().startswith("sep=") and len(said) <= len(r"sep=\t"):
            delimiter = "\t" if said[4:] in ("", r"\t") else said[4]
        elif text.strip('",;\t|' + _EDGES):
            mark = delimiter or _sniffed(text)
            names = [name.strip('"' + _EDGES).casefold() for name in text.lstrip("#").split(mark)]
            if not text.startswith("#") or all(name in names for name in REQUIRED):
                start = len(line) - len(line.lstrip(_EDGES.replace("\t", "")))
                lines.put_back([line[start:]])
                return mark, names
    raise KnownError(
        tr("None of the first {n:,} lines names columns.", n=_MOST_BEFORE),
        where=shown(path),
        fix=tr("Is it a CSV file?"),
    )


def _sniffed(header: str) -> str:
    """The delimiter that occurs most in the header."""
    return max(",;\t|", key=lambda mark: (header.count(mark), -",;\t|".index(mark)))


def _place_columns(table: Table) -> None:
    """Find the columns that the format knows; case and spaces around a name do not count. Raises KnownError."""
    where = tr("{path}, line {line:,}", path=shown(table.path), line=table.line)
    folded = [name.casefold() for name in table.columns]
    counts = Counter(name for name in folded if name)
    missing = [name for name in REQUIRED if name not in counts]
    if missing:
        raise KnownError(
            trn("The column {names} is missing.", "The columns {names} are missing.", len(missing),
                names=", ".join(missing)),
            where=where,
            fix=tr("This line has {columns}. {hint}", columns=told_columns(table.columns) or tr("no columns"),
                   hint=_hint(table, missing, folded)),
        )  # fmt: skip
    twice = sorted(name for name, n in counts.items() if n > 1)
    if twice:
        raise KnownError(
            trn("The column {names} is there twice.", "The columns {names} are there twice.", len(twice),
                names=told_columns(twice)),
            where=where,
            fix=tr("Rename one of the two."),
        )  # fmt: skip
    place = {name: i for i, name in enumerate(folded)}
    table.places = {name: place[name] for name in (*REQUIRED, *OPTIONAL) if name in place}
    table.n_least = 1 + max(i for i, name in enumerate(folded) if name)


def told_columns(names: list[str]) -> str:
    """Names of columns as a message gives them: a bounded number of bounded names."""
    named = [name for name in names if name]
    said = ", ".join(
        name[:MOST_LETTERS_TOLD] + "…" * (len(name) > MOST_LETTERS_TOLD) for name in named[:MOST_COLUMNS_TOLD]
    )
    more = len(named) - MOST_COLUMNS_TOLD
    return said if more <= 0 else str(tr("{names} and {n:,} more", names=said, n=more))


def _hint(table: Table, missing: list[str], folded: list[str]) -> Sentence:
    """What to do: names that are nearly right may have been meant, or a header further below."""
    rename = tr("Rename its columns to example_id, model, input_text, output_text, score.")
    few = [name[:MOST_LETTERS_TOLD] for name in folded[:_MOST_COMPARED]]
    near = [f"{n}?" for name in missing for n in difflib.get_close_matches(name, few, 1, 0.7)]
    if near:
        return tr("Did you mean {near} {rename}", near=", ".join(near), rename=rename)
    for _ in range(_LINES_LOOKED_AT):
        line = table.lines.next()
        if line is None:
            break
        for mark in ",;\t|":
            names = [name.strip('"' + _EDGES).casefold() for name in line.split(mark)]
            if all(name in names for name in REQUIRED):
                return tr("Line {n:,} names the columns: delete the lines above it.", n=table.lines.number)
    return rename


def open_text(seen: Survey) -> io.TextIOWrapper:
    """The file as text, line ends as they are; bytes without meaning are marked."""
    return io.TextIOWrapper(opened(seen.path), encoding=seen.encoding, errors=ON_DAMAGE, newline="")


def read_records(seen: Survey, dataset: str) -> Iterator[RawRecord | RowProblem]:
    """Records and problems in file order; rows without anything in them are problems of code 'blank'.

    Raises KnownError where the file as a whole cannot be read.
    """
    with open_text(seen) as file:
        yield from _records(open_table(file, seen), seen, dataset)


def _records(table: Table, seen: Survey, dataset: str) -> Iterator[RawRecord | RowProblem]:
    reader = _Records(table, seen, dataset)
    if table.is_broken is not None:
        yield reader.broken(table.is_broken, is_kept=True)
    if table.is_damaged:
        said = tr("Names of columns hold bytes that are not text; {sign} stands for them.", sign=REPLACED)
        yield RowProblem(shown(seen.path.name), table.line, "", "header", said, is_kept=True)
    for row in table.rows:
        if isinstance(row, Broken):
            yield reader.broken(row)
        else:
            yield from reader.record(row)


class _Records:
    """Makes records and problems of the rows of one file."""

    def __init__(self, table: Table, seen: Survey, dataset: str) -> None:
        self._table = table
        self._seen = seen
        self._dataset = dataset
        self._name = shown(seen.path.name)
        self._others = table.others
        self._nameless = table.nameless

    def broken(self, row: Broken, *, is_kept: bool = False) -> RowProblem:
        column, n_lines = self._column(row.column), row.last - row.line + 1
        return RowProblem(self._name, row.line, column, "quote", row.sentence, is_kept=is_kept, n_lines=n_lines)

    def record(self, row: Row) -> Iterator[RawRecord | RowProblem]:
        """The record of a row, and what is wrong with it."""
        values = row.values
        if not any(value.strip() for value in values):
            yield self._problem(row, "", "blank", tr("The row is empty."))
            return
        wrong = self._damage(row) or self._shape(row) or self._content(row)
        if wrong is not None:
            yield wrong
            return
        yield from self._notices(row)
        places = self._table.places
        n = len(values)
        score = read_number(values[places["score"]])
        assert score is not None
        correct = values[places["correct_answer"]] if "correct_answer" in places else ""
        model = values[places["model"]].strip()
        if len(self._table.known) < _MOST_KNOWN:
            self._table.known.add(model)
        yield RawRecord(
            dataset=self._dataset,
            model=model,
            example_id=values[places["example_id"]].strip(),
            input_text=values[places["input_text"]],
            output_text=values[places["output_text"]],
            score=score,
            source_file=self._name,
            source_line=row.line,
            correct_answer=correct if correct.strip() else None,
            metrics={"score": score},
            extra={column: values[i] for i, column in self._others if i < n},
        )

    def _column(self, place: int) -> str:
        columns = self._table.columns
        return columns[place][:MOST_LETTERS_TOLD] if place < len(columns) else ""

    def _problem(self, row: Row, column: str, code: str, said: Sentence, *, is_kept: bool = False) -> RowProblem:
        return RowProblem(self._name, row.line, column, code, said, is_kept=is_kept)

    def _damage(self, row: Row) -> RowProblem | None:
        """Characters that are none: bytes without meaning, NUL."""
        damage = self._table.lines.damage_in(row.line, row.n_lines)
        if damage is not None:
            line, number = damage
            column = next((self._column(i) for i, value in enumerate(row.values) if MARK in value), "")
            where = tr("") if line == row.line else tr(" in line {line:,}", line=line)
            if number < len(self._seen.damaged_at):
                where = tr("{where} (byte {at:,} of the file)", where=where, at=self._seen.damaged_at[number] + 1)
            name = self._seen.encoding.removesuffix("-sig").upper()
            said = tr("It holds bytes that are not {name}{where}. The row is left out.", name=name, where=where)
            return self._problem(row, column, "encoding", said)
        if self._seen.n_nul:
            places = [i for i, value in enumerate(row.values) if "\0" in value]
            if places:
                said = tr("It holds a NUL character. The row is left out.")
                return self._problem(row, self._column(places[0]), "nul", said)
        return None

    def _shape(self, row: Row) -> RowProblem | None:
        if row.stray is not None and row.has_quoted:
            said = tr("It ends in a quote but does not begin with one, while other fields of the row are quoted.")
            return self._problem(row, self._column(row.stray), "quote", said)
        if self._table.fits(row.values):
            return None
        n_lines = row.n_lines
        hint = tr(" It goes on over {n:,} lines: a quote that is not closed?", n=n_lines) if n_lines > 50 else ""
        wanted = len(self._table.columns)
        said = trn("The row has {n:,} field, the header {wanted:,}.{hint}",
                   "The row has {n:,} fields, the header {wanted:,}.{hint}",
                   len(row.values), wanted=wanted, hint=hint)  # fmt: skip
        return self._problem(row, "", "fields", said)

    def _content(self, row: Row) -> RowProblem | None:
        values, places = row.values, self._table.places
        for column in ("example_id", "model"):
            if not values[places[column]].strip():
                said = tr("It is empty, so the record cannot be told from others.")
                return self._problem(row, column, "empty_key", said)
            if row.stray == places[column]:
                said = tr("It ends in a quote but does not begin with one.")
                return self._problem(row, column, "quote", said)
        score = values[places["score"]]
        if read_number(score) is None:
            hint = tr(" Use a decimal point.") if "," in score else ""
            said = tr("“{value}” is no number.{hint}", value=score[:40], hint=hint)
            return self._problem(row, "score", "score", said)
        return None

    def _notices(self, row: Row) -> Iterator[RowProblem]:
        """What is odd about a row that is kept."""
        values, n = row.values, len(row.values)
        if not values[self._table.places["output_text"]].strip():
            yield self._problem(row, "output_text", "empty_answer", tr("The answer is empty."), is_kept=True)
        if row.stray is not None:
            said = tr("It ends in a quote but does not begin with one; the quote is kept as text.")
            yield self._problem(row, self._column(row.stray), "stray_quote", said, is_kept=True)
        if row.is_doubted:
            said = tr("It goes on to line {last:,}, and the lines in between look like rows of their own: is a quote not closed?",
                      last=row.line + row.n_lines - 1)  # fmt: skip
            yield self._problem(row, "", "rows_inside", said, is_kept=True)
        for place in self._nameless:
            if place < n and values[place].strip():
                self._nameless = [i for i in self._nameless if i != place]
                said = tr("Column {place:,} has no name; its values are not imported.", place=place + 1)
                yield self._problem(row, "", "nameless_column", said, is_kept=True)
                break


def read_number(text: str) -> float | None:
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
    kept_columns: list[str] = field(default_factory=list)
    rows: list[RawRecord] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    rows_read: int = 0
    n_problems: int = 0
    mean_score: float | None = None
    threshold: float | None = None
    n_failures: int = 0
    whole_file: bool = True
    not_utf8: NotUtf8 | None = None


def preview(path: Path, *, n_rows: int = 50, dataset: str | None = None) -> Preview:
    """Look at the beginning of a file (at most 8 MiB of it). Raises KnownError as an import would."""
    path = found(path)
    seen = survey(path, most=PREVIEW_BYTES)
    name = dataset or shown(path.stem)
    scores: list[float] = []
    models: set[str] = set()
    with open_text(seen) as file:
        table = open_table(file, seen, most=MOST_CHARACTERS // 4)
        found_here = Preview(path, name, seen.encoding, seen.is_guess, table.delimiter, table.columns,
                              not_utf8=seen.not_utf8)  # fmt: skip
        found_here.kept_columns = [column for _, column in table.others]
        for item in _records(table, seen, name):
            if table.lines.n_characters > MOST_PREVIEWED:
                found_here.whole_file = False
                if scores or found_here.n_problems:
                    break  # what comes last may be cut
            if isinstance(item, RowProblem):
                if item.code != "blank":
                    found_here.n_problems += 1
                    found_here.problems.append(item) if len(found_here.problems) < n_rows else None
                continue
            if len(found_here.rows) < n_rows:
                found_here.rows.append(item)
            scores.append(item.score)
            models.add(item.model)
    found_here.rows_read = len(scores)
    found_here.models = sorted(models)
    if scores:
        found_here.mean_score = sum(scores) / len(scores)
        found_here.threshold = round(0.7 * found_here.mean_score, 2)
        limit = found_here.threshold
        found_here.n_failures = sum(s < limit or (limit == 0 and s == 0) for s in scores)
    return found_here
