"""A model's vocabulary as what is written with it sees it: the bytes of each token, and where it may stand in a text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_NEVER = re.compile(rb"[\xc0\xc1\xf5-\xff]")
"""Bytes that no text of UTF-8 has."""

_MARKS = b" \t\r\n.,;:!?\"'()[]{}<>*#-_"


class Tokenizer(Protocol):
    """What a writer needs of a model's vocabulary: token ids of a text, control tokens not recognised in it."""

    def __call__(self, text: str) -> list[int]: ...


# What a token may do in a text, as bits of Vocabulary.kinds.
BEGINS, MIDDLE, ENDS, CONTINUES = 1, 2, 4, 8
LINE_BEGINS, LINE_MIDDLE, LINE_ENDS = 16, 32, 64


@dataclass(frozen=True, slots=True)
class Cell:
    """What a text may hold and ends with: a string of JSON, or a line."""

    begins: int
    middle: int
    ends: int
    mark: bytes
    closing: str


STRING = Cell(BEGINS, MIDDLE, ENDS, b'"', '"')
LINE = Cell(LINE_BEGINS, LINE_MIDDLE, LINE_ENDS, b"\n", "\n")


class Vocabulary:
    """The bytes of each token, and which of them may stand where. Made once for a model.

    Parameters
    ----------
    pieces : sequence of bytes
        What each token writes; empty for control tokens.
    tokenize : callable
        Token ids of a text.
    tokenize_marks : callable
        The same, control tokens recognised in it (for what a template writes).
    marks : mapping of str to int
        Control tokens by their text.
    ends : sequence of int
        Tokens by which the model ends its turn; they end a text.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        tokenize: Tokenizer,
        *,
        tokenize_marks: Tokenizer | None = None,
        marks: Mapping[str, int] | None = None,
        ends: Sequence[int] = (),
    ) -> None:
        self.pieces = list(pieces)
        self.tokenize = tokenize
        self.tokenize_marks = tokenize_marks or tokenize
        self.marks = dict(marks or {})
        self.ids = {piece: token for token, piece in reversed(list(enumerate(self.pieces))) if piece}
        self.kinds = np.array([_kind(piece) for piece in self.pieces], np.uint8)
        self.kinds[list(ends)] |= ENDS | LINE_ENDS
        self.is_text = np.array([bool(piece) for piece in self.pieces], bool)
        self.ends_text = np.flatnonzero(self.kinds & (ENDS | LINE_ENDS))
        self.words, self._of_word = _words_of(self.pieces)
        self._fed: dict[str, list[int]] = {}

    def saying(self, word: int) -> list[int]:
        """The tokens that say a word (of `words`), in whatever case and with whatever marks around it."""
        return self._of_word[word]

    def is_text_or(self, token: int) -> NDArray[np.bool_]:
        """Which tokens write something, and this one."""
        allowed = self.is_text.copy()
        allowed[token] = True
        return allowed

    def fed(self, text: str) -> list[int]:
        """Tokens of a text of the form; kept, since there are few."""
        if text not in self._fed:
            self._fed[text] = self.tokenize(text)
        return self._fed[text]


def _words_of(pieces: Sequence[bytes]) -> tuple[list[int], list[list[int]]]:
    """For each token the number of the word that it says, blanks, marks and case apart, 0 for none; and the other way."""
    numbers: dict[bytes, int] = {b"": 0}
    words: list[int] = []
    tokens: list[list[int]] = [[]]
    for token, piece in enumerate(pieces):
        word = piece.strip(_MARKS).lower()
        number = numbers.setdefault(word, len(tokens))
        if number == len(tokens):
            tokens.append([])
        words.append(number)
        tokens[number].append(token)
    return words, tokens


def _kind(piece: bytes) -> int:
    if not piece or _NEVER.search(piece):
        return 0
    if 0x80 <= piece[0] < 0xC0:
        return CONTINUES if _is_plain(piece) and b'"' not in piece else 0
    begins = piece[:1].isalpha() or piece[0] >= 0xC2 or (piece[:1] == b" " and piece[1:2].isalpha())
    kind = 0
    before, quote, _ = piece.partition(b'"')
    if _is_plain(before) and b"\\" not in before:
        kind |= ENDS if quote else MIDDLE | (BEGINS if begins and piece[:1] != b" " else 0)
    before, line, _ = piece.partition(b"\n")
    if _is_plain(before):
        kind |= LINE_ENDS if line else LINE_MIDDLE | (LINE_BEGINS if begins else 0)
    return kind


def _is_plain(piece: bytes) -> bool:
    return not any(byte < 0x20 or byte == 0x7F for byte in piece)
