"""Rows of a CSV file in which quotes may be broken: a quote that is not closed loses its row and no other.

A row is read as RFC 4180 has it. Where that ends in a fault (text behind a closing quote, a quote that is open at the end
of the file, too many or too few fields over several lines), the row began with a broken quote, or the one before it did and
took this one's beginning for its end. Every quote that opens in a sound file is closed, so a sound file has no such fault
and is read as it is, whatever its fields hold. After a fault the lines that were taken are looked through for the first
that begins a sound row, and reading goes on there; what lies between is told as lost.

That stays linear: between a quote that opens and the fault, quotes stand in pairs only, and a line whose quotes are all
paired does not go on in the next one; so each line is read at most three times.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from errormap_core.errors import KnownError
from errormap_core.importers.inputs import shown
from errormap_core.importers.survey import MARK
from errormap_core.sentences import Sentence, tr, trn

MOST_CHARACTERS = 64 * 1024 * 1024
"""The longest row that is read; csv's own bound of 131,072 for a field is too short for long answers."""

MOST_FOLDED = 10_000
"""So many lines behind a broken row are told with it; what follows is told anew, so that no work goes on unseen."""

_FOLLOWING = 5
"""So many rows have to be without fault behind one that may not be one of the file."""

MOST_BLANK = 1000
"""Behind a row of several lines, so many blank ones are looked past."""

_REST = {
    False: re.compile(r'[^"]*(?:""[^"]*)*+'),
    True: re.compile(r'[^"\\]*(?:(?:""|\\.)[^"\\]*)*+', re.DOTALL),
}
"""What lies between the quotes of a field, by whether quotes in it stand behind a backslash."""

_ESCAPES = re.compile(r'(\\+)"|""|(\\+)\Z')


class Lines:
    """The lines of a file, numbered from 1, that can be put back; and which bytes among them are damaged."""

    def __init__(self, file: TextIO, path: Path, *, has_damage: bool = False) -> None:
        self._file = file
        self._path = path
        self._back: deque[str] = deque()
        self._has_damage = has_damage
        self._n_marks = 0
        self._first_mark: dict[int, int] = {}
        self.number = 0
        self.n_characters = 0

    def next(self) -> str | None:
        """The next line with its end, or None behind the last. Raises KnownError for one that is too long."""
        if self._back:
            self.number += 1
            return self._back.popleft()
        line = self._file.readline(MOST_CHARACTERS + 1)
        if not line:
            return None
        self.number += 1
        self.n_characters += len(line)
        if len(line) > MOST_CHARACTERS:
            raise KnownError(
                tr("The line has more than {most:,} characters.", most=MOST_CHARACTERS),
                where=tr("{path}, line {line:,}", path=shown(self._path), line=self.number),
                fix=tr("Is it a CSV file with a row a line?"),
            )
        if self._has_damage and MARK in line:
            self._first_mark[self.number] = self._n_marks
            self._n_marks += line.count(MARK)
        return line

    def put_back(self, lines: list[str]) -> None:
        """Make the lines that were read last the next ones again."""
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)

    def damage_in(self, first: int, n: int) -> tuple[int, int] | None:
        """Line, and how many damaged places stand before it in the file, of the first damage in `n` lines."""
        if not self._has_damage:
            return None
        return next(((i, self._first_mark[i]) for i in range(first, first + n) if i in self._first_mark), None)


@dataclass(slots=True)
class Row:
    """A row that can be read. `line` is where it begins; `n_lines` how many it takes.

    `stray` is the field (from 0) that ends in a quote without beginning with one, as where the opening one was lost, and
    `has_quoted` says whether other fields are quoted. `is_doubted`: lines inside of it look like rows of this file.
    """

    line: int
    values: list[str]
    n_lines: int = 1
    stray: int | None = None
    has_quoted: bool = False
    is_doubted: bool = False


@dataclass(slots=True)
class Broken:
    """Lines that cannot be read as rows, because of a quote in the first one. `column` is the field (from 0) at fault."""

    line: int
    last: int
    column: int
    sentence: Sentence


@dataclass(slots=True)
class _Record:
    line: int
    lines: list[str]
    values: list[str] = field(default_factory=list)
    fault: str = ""
    column: int = 0
    stray: int | None = None
    has_quoted: bool = False
    is_suspect: bool = False  # a quote closes a field of several lines where one may as well open a field

    @property
    def is_blank(self) -> bool:
        return not self.fault and not any(value.strip() for value in self.values)


class RowReader:
    """Reads rows of the lines behind the header.

    Parameters
    ----------
    fits : function of a row's values
        Whether these are as many as the header has.
    is_sound, is_known : function of a row's values
        Whether what must be a number in it is one and what must be there is; and whether it is about what other rows are about.
    """

    def __init__(
        self,
        lines: Lines,
        delimiter: str,
        *,
        has_backslashes: bool,
        fits: Callable[[list[str]], bool],
        is_sound: Callable[[list[str]], bool],
        is_known: Callable[[list[str]], bool],
        most: int = MOST_CHARACTERS,
    ) -> None:
        csv.field_size_limit(MOST_CHARACTERS)
        self._lines = lines
        self._delimiter = delimiter
        self._has_backslashes = has_backslashes
        self._rest = _REST[has_backslashes]
        self._fits = fits
        self._is_sound = is_sound
        self._is_known = is_known
        self._most = most
        self._n_sound = 0

    def __iter__(self) -> Iterator[Row | Broken]:
        waiting: _Record | None = None  # of several lines: the row behind it says whether it is what it seems
        blank: list[_Record] = []
        while True:
            record = self._record()
            if record is not None and waiting is not None and record.is_blank and len(blank) < MOST_BLANK:
                blank.append(record)
                continue
            if waiting is not None:
                is_cut_short = record is not None and waiting.is_suspect and self._is_faulty(record)
                if record is not None and is_cut_short and (place := self._row_inside(waiting, [*blank, record])):
                    yield self._lost(waiting, waiting.line + place - 1, resumed=True)
                    waiting, blank = None, []
                    continue
                yield self._row(waiting)
                yield from map(self._row, blank)
                waiting, blank = None, []
            if record is None:
                return
            has_quotes = len(record.lines) > 1 or record.stray is not None
            if record.fault or (has_quotes and not self._fits(record.values)):
                yield from self._recover(record)
            elif len(record.lines) > 1:
                waiting = record
            else:
                yield self._row(record)

    def header(self) -> tuple[list[str], Broken | None]:
        """The values of the next row, which is the header; with a broken quote, those of its line without quotes."""
        record = self._record()
        if record is None:
            return [], None
        is_whole = not record.fault and (len(record.lines) == 1 or self._fits(record.values))
        if is_whole and record.stray is None:
            return record.values, None
        self._lines.put_back(record.lines[1:])
        names = [name.strip().strip('"') for name in record.lines[0].split(self._delimiter)]
        said = tr("A quote in the header has no partner; the names of the columns are read without it.")
        column = record.column if record.stray is None or record.fault else record.stray
        return names, Broken(record.line, record.line, column, said)

    # One row

    def _record(self) -> _Record | None:
        """The next row, of as many lines as its quotes say; None behind the last line."""
        line = self._lines.next()
        if line is None:
            return None
        record = _Record(self._lines.number, [line])
        if '"' not in line:
            text = line.rstrip("\r\n")
            record.values = text.split(self._delimiter) if text else []
            return record
        is_open = self._walk(record, line, 0, 0)
        n_characters = len(line)
        while is_open:
            line = self._lines.next()
            if line is None:
                record.fault = "end"
                return record
            record.lines.append(line)
            n_characters += len(line)
            if n_characters > self._most:
                record.fault = "long"
                return record
            is_open = self._go_on(record, line)
        if not record.fault:
            self._split(record)
        return record

    def _walk(self, record: _Record, text: str, at: int, column: int) -> bool:
        """Go through the fields of a line from the place where one begins; whether a quote is open at its end."""
        delimiter, rest, n = self._delimiter, self._rest, len(text)
        while True:
            record.column = column
            if text.startswith('"', at):
                record.has_quoted = True
                found = rest.match(text, at + 1)
                end = found.end() if found else n
                if end >= n or text[end] != '"':
                    return True
                at = end + 1
                if at >= n or text[at] in "\r\n":
                    return False
                if text[at] != delimiter:
                    record.fault = "behind"
                    return False
            else:
                start, at = at, text.find(delimiter, at)
                piece = text[start : n if at < 0 else at].rstrip()
                if piece.endswith('"') and piece.count('"') % 2 and record.stray is None:
                    record.stray = column
                if at < 0:
                    return False
            at += 1
            column += 1

    def _go_on(self, record: _Record, line: str) -> bool:
        """The same for a line that begins inside of a quoted field."""
        if '"' not in line:
            return True
        found = self._rest.match(line)
        end = found.end() if found else len(line)
        if end >= len(line) or line[end] != '"':
            return True
        start = len(
            line[: end + 1].rstrip('"')
        )  # of the run of quotes: behind a quote that opens may stand doubled ones
        record.is_suspect = record.is_suspect or (start > 0 and line[start - 1] == self._delimiter)
        at = end + 1
        if at >= len(line) or line[at] in "\r\n":
            return False
        if line[at] != self._delimiter:
            record.fault = "behind"
            return False
        return self._walk(record, line, at + 1, record.column + 1)

    def _split(self, record: _Record) -> None:
        text = "".join(record.lines)
        if self._has_backslashes:
            record.values = list(self._values(text))
            return
        try:
            record.values = next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error:  # a carriage return by itself, which ends a row for one and not for the other
            record.fault = "behind"

    def _values(self, text: str) -> Iterator[str]:
        """The fields of a whole row whose quotes stand behind backslashes. Other backslashes are text."""
        text, at = text.rstrip("\r\n"), 0
        while True:
            if text.startswith('"', at):
                found = self._rest.match(text, at + 1)
                end = found.end() if found else len(text)
                yield _ESCAPES.sub(_unescaped, text[at + 1 : end])
                at = end + 1
            else:
                start, at = at, text.find(self._delimiter, at)
                at = len(text) if at < 0 else at
                yield text[start:at]
            if at >= len(text):
                return
            at += 1

    def _row(self, record: _Record) -> Row:
        n_lines = len(record.lines)
        if self._is_sound(record.values):
            self._n_sound += 1
        is_doubted = n_lines > 2 and self._holds_rows(record)
        return Row(record.line, record.values, n_lines, record.stray, record.has_quoted, is_doubted)

    def _holds_rows(self, record: _Record) -> bool:
        """Whether the lines inside of a row are all rows by themselves, as where two broken quotes make one row of many."""
        inside = (line.rstrip("\r\n").split(self._delimiter) for line in record.lines[1:-1] if '"' not in line)
        n = 0
        for values in inside:
            if not (self._fits(values) and self._is_sound(values) and self._is_known(values)):
                return False
            n += 1
        return n == len(record.lines) - 2

    # Broken quotes

    def _is_faulty(self, record: _Record) -> bool:
        return bool(record.fault) or record.stray is not None or not (record.is_blank or self._fits(record.values))

    def _row_inside(self, record: _Record, behind: list[_Record]) -> int:
        """Where (from 1) among the lines of a row another one begins, at which reading goes on then; 0 if there is none."""
        self._lines.put_back([*record.lines, *(line for each in behind for line in each.lines)])
        n = len(record.lines)
        for place in range(n):
            if place:
                inner = self._record()
                assert inner is not None
                self._lines.put_back(inner.lines)
                if not inner.fault and self._fits(inner.values) and self._is_sound(inner.values):
                    return place
            self._lines.next()
        for each in behind:
            for _ in each.lines:
                self._lines.next()
        return 0

    def _recover(self, record: _Record) -> Iterator[Broken]:
        """Tell of a broken row, and go on at the next line that begins a sound one."""
        self._lines.put_back(record.lines[1:])
        first, last = record, record.line
        is_told = False
        while True:
            inner = self._record()
            if inner is None or self._resumes(inner):
                if inner is not None:
                    self._lines.put_back(inner.lines)
                if not is_told:
                    is_inside = inner is not None and last < record.line + len(record.lines) - 1
                    yield self._lost(first, last, resumed=is_inside)
                return
            self._lines.put_back(inner.lines[1:])
            if is_told:
                first, is_told = inner, False
            last = inner.line
            if last - first.line >= MOST_FOLDED:
                yield self._lost(first, last, resumed=False)
                is_told = True

    def _resumes(self, record: _Record) -> bool:
        """Whether reading goes on with this row. Where no row so far was sound (its scores may be written in a way that
        nobody reads), the number of fields has to do. One about a model that is new may be of a table in the text that was
        lost: what comes behind it must be sound as well."""
        if record.fault or not self._fits(record.values):
            return False
        if not self._n_sound:
            return self._is_followed_well()
        return self._is_sound(record.values) and (self._is_known(record.values) or self._is_followed_well())

    def _is_followed_well(self) -> bool:
        """Whether none of the next rows has a broken quote."""
        behind: list[str] = []
        is_well = True
        for _ in range(_FOLLOWING):
            record = self._record()
            if record is None:
                break
            behind += record.lines
            is_well = not self._is_faulty(record)
            if not is_well:
                break
        self._lines.put_back(behind)
        return is_well

    def _lost(self, record: _Record, last: int, *, resumed: bool) -> Broken:
        match record.fault:
            case "behind":
                said = tr(
                    "There is text after a closing quote. A quote that belongs to the text of a quoted field must be doubled."
                )
            case "end":
                said = tr("A quote that opens here is not closed before the end of the file.")
            case "long":
                said = tr("A quote that opens here is not closed within {most:,} characters.", most=self._most)
            case _ if resumed:
                said = tr("A quote that opens here is not closed.")
            case _ if len(record.lines) == 1:
                said = trn("The row has {n:,} field, unlike the header, and a closing quote without an opening one.",
                           "The row has {n:,} fields, unlike the header, and a closing quote without an opening one.",
                           len(record.values))  # fmt: skip
            case _:
                said = trn("The row takes {lines:,} lines and has {n:,} field, unlike the header: a quote may not be closed.",
                           "The row takes {lines:,} lines and has {n:,} fields, unlike the header: a quote may not be closed.",
                           len(record.values), lines=len(record.lines))  # fmt: skip
        if last > record.line:
            said = tr("{said} Lines {first:,} to {last:,} are left out.", said=said, first=record.line, last=last)
        return Broken(record.line, last, record.column, said)


def _unescaped(found: re.Match[str]) -> str:
    """A run of backslashes before a quote, or at the end, stands for half as many; the odd one makes the quote text."""
    before_quote, at_end = found.groups()
    if before_quote is not None:
        return "\\" * (len(before_quote) // 2) + '"'
    return '"' if at_end is None else "\\" * ((len(at_end) + 1) // 2)
