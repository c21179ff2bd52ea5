"""Long texts in pieces: what a document is made of before anything of it is laid out, and where it can be broken.

Laying out one line costs more than its length where it cannot be broken: a word of 100,000 letters took three seconds.
So a text is cut at its lines, and a line that has no end at blanks, or between two letters, for showing only.
Every piece knows its place in the text that it was cut out of.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from PySide6.QtGui import QTextBlockFormat, QTextCharFormat

from errormap_core.visible_text import visible

LONGEST_PIECE = 2_000
"""Characters in one block of a document at most."""

HEAVIEST_PIECE = 12_000
"""What a piece costs at most, about: of emoji it is shorter."""

NEAR = 300
"""So many characters before that a blank is looked for."""

_CLUSTERED = 64
"""Of a letter with more marks on it than this, the marks are parted."""


@dataclass(frozen=True)
class Passage:
    """A text that begins a block of its own, in runs of (text, style); its lines are blocks like it, or stand close."""

    block: QTextBlockFormat
    runs: list[tuple[str, QTextCharFormat]] = field(default_factory=list)
    is_close: bool = False

    @cached_property
    def text(self) -> str:
        return self.runs[0][0] if len(self.runs) == 1 else "".join(text for text, _ in self.runs)


@dataclass(frozen=True, slots=True)
class Piece:
    """One block of a document: a part of a line of a passage. `ends_line`: a line end stands behind it in the text."""

    place: int
    start: int
    end: int
    ends_line: bool
    cost: int


def cost_of(text: str) -> int:
    """What laying it out takes, about: a letter 1, one of another script 4, one that is put together more."""
    if text.isascii():
        return len(text) + 20
    n_wide = len(text.encode("utf-16-le", "surrogatepass")) // 2 - len(text)
    n_joined = text.count("\u200d")
    return 4 * len(text) + 45 * n_wide + 20 * n_joined + 20


class Passages:
    """The whole of a document in order; pieces are cut when they are asked for."""

    def __init__(self, passages: Iterable[Passage] = ()) -> None:
        self.all: list[Passage] = list(passages)

    @cached_property
    def _before(self) -> list[int]:
        """How many characters stand before each passage."""
        sums = [0]
        for passage in self.all:
            sums.append(sums[-1] + sum(len(text) for text, _ in passage.runs))
        return sums

    def n_before(self, place: int, offset: int) -> int:
        return self._before[place] + offset

    def n_after(self, place: int, offset: int) -> int:
        return self._before[-1] - self._before[place] - offset

    def next(self, place: int, offset: int) -> Piece | None:
        """The piece that begins here; an offset beyond a passage's end is the beginning of the next."""
        if place >= len(self.all):
            return None
        text = self.all[place].text
        if offset > len(text) or (offset == len(text) and offset > 0 and text[-1] != "\n"):
            return self.next(place + 1, 0)
        most = _longest(text[offset : offset + LONGEST_PIECE])
        line_end = text.find("\n", offset, offset + most + 1)
        if line_end >= 0:
            return self._piece(place, offset, line_end, ends_line=True)
        if len(text) - offset <= most:
            return self._piece(place, offset, len(text), ends_line=False)
        return self._piece(place, offset, _cut(text, offset, offset + most), ends_line=False)

    def previous(self, place: int, offset: int) -> Piece | None:
        """The piece that ends here; an offset of 0 is the end of the passage before."""
        if offset <= 0:
            if place == 0:
                return None
            place -= 1
            text = self.all[place].text
            is_line, end = False, len(text)
        else:
            text = self.all[place].text
            is_line = text[offset - 1] == "\n"
            end = offset - 1 if is_line else offset
        most = _longest(text[max(0, end - LONGEST_PIECE) : end])
        line_end = text.rfind("\n", max(0, end - most), end)
        start = line_end + 1 if line_end >= 0 else _cut_before(text, end, most)
        return self._piece(place, start, end, ends_line=is_line)

    def piece_with(self, place: int, offset: int) -> Piece | None:
        """A piece with this character, beginning at its line where that is near."""
        text = self.all[place].text
        line_end = text.rfind("\n", max(0, offset - NEAR), offset)
        return self.next(place, line_end + 1 if line_end >= 0 else _cut_before(text, offset, NEAR))

    def after(self, piece: Piece) -> tuple[int, int]:
        """Where the next piece begins."""
        if piece.ends_line:
            return piece.place, piece.end + 1
        if piece.end < len(self.all[piece.place].text):
            return piece.place, piece.end
        return piece.place + 1, 0

    def _piece(self, place: int, start: int, end: int, *, ends_line: bool) -> Piece:
        return Piece(place, start, end, ends_line, cost_of(self.all[place].text[start:end]))

    def begins_line(self, piece: Piece) -> bool:
        return piece.start == 0 or self.all[piece.place].text[piece.start - 1] == "\n"

    def runs_of(self, piece: Piece) -> list[tuple[str, QTextCharFormat]]:
        """What of the passage's runs stands in a piece, as they are."""
        found = []
        at = 0
        for text, style in self.all[piece.place].runs:
            start, end = max(piece.start, at), min(piece.end, at + len(text))
            if start < end:
                found.append((text[start - at : end - at], style))
            at += len(text)
            if at >= piece.end:
                break
        if found and piece.ends_line and found[-1][0].endswith("\r"):
            found[-1] = (found[-1][0][:-1], found[-1][1])
        return found

    def text_between(self, first: Piece, start: int, last: Piece, end: int) -> str:
        """The text as it is from a character of one piece to one of another, each counted from the piece's beginning."""
        if first.place == last.place:
            return self.all[first.place].text[first.start + start : last.start + end]
        parts = [self.all[first.place].text[first.start + start :]]
        parts += [self.all[place].text for place in range(first.place + 1, last.place)]
        parts.append(self.all[last.place].text[: last.start + end])
        return "\n".join(parts)

    def whole(self) -> str:
        return "\n".join(passage.text for passage in self.all)


def pieces_of(text: str) -> Sequence[str]:
    """A text of one paragraph in pieces that can be laid out one by one."""
    passages = Passages([Passage(QTextBlockFormat(), [(text, QTextCharFormat())])])
    found, at = [], (0, 0)
    while (piece := passages.next(*at)) is not None:
        found.append(text[piece.start : piece.end])
        at = passages.after(piece)
    return found


def original_place(text: str, shown_place: int) -> int:
    """Which character of a text stands at a place of what is shown of it."""
    if visible(text, lines=True) == text:
        return min(shown_place, len(text))
    low, high = 0, len(text)
    while low < high:  # what is shown of a beginning is never longer than what is shown of a longer one
        middle = (low + high) // 2
        if len(visible(text[:middle], lines=True)) < shown_place:
            low = middle + 1
        else:
            high = middle
    return low


def _longest(text: str) -> int:
    """How many characters of such a text a piece has at most."""
    cost = cost_of(text)
    return LONGEST_PIECE if cost <= HEAVIEST_PIECE else max(_CLUSTERED * 2, LONGEST_PIECE * HEAVIEST_PIECE // cost)


def _cut(text: str, start: int, end: int) -> int:
    """Where to break a line that goes on after `end`: behind a blank near by, or between two letters."""
    near = min(NEAR, (end - start) // 2)
    blank = max(text.rfind(" ", end - near, end), text.rfind("\t", end - near, end))
    if blank > start:
        return blank + 1
    for place in range(end, max(start, end - _CLUSTERED), -1):
        if _is_between(text, place):
            return place
    return end


def _cut_before(text: str, end: int, most: int) -> int:
    """Where a piece that ends at `end` begins, if no line does nearer."""
    start = end - most
    if start <= 0:
        return 0
    blank = text.find(" ", start, min(end, start + NEAR))
    if 0 <= blank < end - 1:
        return blank + 1
    for place in range(start, min(end, start + _CLUSTERED)):
        if _is_between(text, place):
            return place
    return start


def _is_between(text: str, place: int) -> bool:
    """Whether no sign is torn where a text is cut here."""
    before, after = text[place - 1], text[place]
    if "\u200d" in (before, after) or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return False
    return not ("\U0001f3fb" <= after <= "\U0001f3ff" or "\U0001f1e6" <= after <= "\U0001f1ff")
