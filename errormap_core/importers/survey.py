"""A first pass over a text file: that it can be read, its hash, its encoding, what is damaged; in bounded memory."""

import codecs
import hashlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.importers.inputs import check_readable, opened, shown
from errormap_core.sentences import Sentence, tr, trn

__all__ = ["MARK", "ON_DAMAGE", "Survey", "check_readable", "survey"]

_CHUNK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = (
    (b"PK\x03\x04", tr("This is a spreadsheet or another packed file, not text.")),
    (b"\xd0\xcf\x11\xe0", tr("This is an old spreadsheet or document, not text.")),
    (b"\x1f\x8b", tr("This is a compressed file (gzip), not text.")),
    (b"BZh", tr("This is a compressed file (bzip2), not text.")),
    (b"\xfd7zXZ", tr("This is a compressed file (xz), not text.")),
    (b"\x28\xb5\x2f\xfd", tr("This is a compressed file (zstd), not text.")),
    (b"PAR1", tr("This is a Parquet file, not text.")),
    (b"SQLite format 3\0", tr("This is a database, not text.")),
)
"""How files begin that people take for results."""

MARK = "\udc80"
"""Stands in decoded text for bytes that the encoding has no meaning for. No encoding gives it otherwise."""

ON_DAMAGE = "errormap_studio.mark"
"""The error handler that puts it there."""

MOST_PLACES = 1000
"""The places of so many damaged bytes are kept; all are counted."""

_UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")
"""Bytes that Windows-1252 has no meaning for."""

_FOLLOWERS = frozenset("‘’“”…–—«»\xa0\xb7œ™®°".encode("cp1252"))
"""Signs of Windows-1252 that are seen right behind an accented letter. Behind one that begins a character in UTF-8, any
other says that it is such a character, cut."""


@dataclass(frozen=True, slots=True)
class NotUtf8:
    """How many places of a file are not UTF-8, and the line of the first."""

    n: int
    line: int


def guess_sentence(is_guess: bool, not_utf8: NotUtf8 | None) -> Sentence:
    """What follows the name of the encoding where it was guessed, and why; '' where it was not."""
    if not is_guess:
        return tr("")
    if not_utf8 is None:
        return tr(" (a guess, as it is not UTF-8)")
    return trn(
        " (a guess: {n:,} place is not UTF-8, in line {line:,})",
        " (a guess: {n:,} places are not UTF-8, the first in line {line:,})",
        not_utf8.n,
        line=not_utf8.line,
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """A file that was looked through. `size` is in bytes; `encoding` is a codec's name.

    A byte-order mark decides the encoding; else it is UTF-8 where the file is valid UTF-8, or is so but for damage: bytes
    that are not stand among characters that are. Windows-1252 is taken only where nothing speaks for UTF-8 and the bytes
    look like it, and UTF-16 without its mark where the beginning can be nothing else; both are said (`is_guess`).

    `n_damaged` places hold bytes that the encoding has no meaning for, the first of them at `damaged_at`. `not_utf8` are
    those for which Windows-1252 was taken: whether they are letters or damage is for people to see.
    """

    path: Path
    size: int
    sha256: str
    encoding: str
    is_guess: bool
    n_damaged: int = 0
    damaged_at: tuple[int, ...] = ()
    n_nul: int = 0
    has_backslashes: bool = False
    not_utf8: NotUtf8 | None = None


class _Damage(threading.local):
    """What the error handler met in this thread."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.base = 0  # where in the file the bytes begin that are decoded
        self.n = 0
        self.places: list[int] = []
        self.n_beside = 0
        self.last = -1
        self.is_cut_utf8 = self.is_undefined = False

    def note(self, error: UnicodeDecodeError) -> None:
        raw, start = error.object, error.start
        place = self.base + start
        self.n += 1
        if len(self.places) < MOST_PLACES:
            self.places.append(place)
        self.n_beside += place == self.last
        self.last = self.base + error.end
        self.is_undefined = self.is_undefined or any(byte in _UNDEFINED for byte in raw[start : error.end])
        if error.end - start > 1 and (raw[start] >= 0xF0 or raw[start + 1] not in _FOLLOWERS):
            self.is_cut_utf8 = True


_damage = _Damage()


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _damage.note(error)
    return MARK, error.end


codecs.register_error(ON_DAMAGE, _mark)


class _Quoting:
    """Looks for what tells how quotes inside of quoted fields are written: doubled, or behind a backslash."""

    _DOUBLED = re.compile(rb'[^,;\t|\r\n\\"]""[^,;\t|\r\n"]')
    _ESCAPED = re.compile(rb'\\"[^",;\t|\r\n]')
    _OVERLAP = 4

    def __init__(self) -> None:
        self.is_doubled = self.is_escaped = False
        self._end = b""

    def look(self, chunk: bytes) -> None:
        if self.is_doubled:
            return
        text = self._end + chunk
        self.is_escaped = self.is_escaped or self._ESCAPED.search(text) is not None
        self.is_doubled = self._DOUBLED.search(text) is not None
        self._end = text[-self._OVERLAP :]

    @property
    def has_backslashes(self) -> bool:
        """Whether the whole file can only be read with backslashes."""
        return self.is_escaped and not self.is_doubled


def survey(path: Path, *, most: int | None = None) -> Survey:
    """Look through a file, or through its first `most` bytes. Raises KnownError where it is no text."""
    check_readable(path)
    digest = hashlib.sha256()
    size = n_nul = n_lines = first_line = 0
    not_utf8 = None
    quoting = _Quoting()
    is_guess = has_other = False
    encoding, head = "", b""
    decoder: codecs.IncrementalDecoder | None = None
    _damage.clear()
    with opened(path) as file:
        while chunk := file.read(_CHUNK if most is None else min(_CHUNK, most - size)):
            if decoder is None:
                head = chunk
                encoding, is_guess = _by_beginning(chunk)
                decoder = codecs.getincrementaldecoder(encoding)(ON_DAMAGE)
            digest.update(chunk)
            n_nul += chunk.count(b"\0")
            quoting.look(chunk)
            has_other = _decode(decoder, chunk, base=size) or has_other
            if _damage.places and not first_line:
                first_line = n_lines + chunk.count(b"\n", 0, max(0, _damage.places[0] - size)) + 1
            n_lines += chunk.count(b"\n")
            size += len(chunk)
        if decoder is not None and most is None:
            has_other = _decode(decoder, b"", base=size, final=True) or has_other
    if encoding.startswith("utf-8"):
        _refuse_what_is_no_text(path, head, n_nul)
    else:
        n_nul = 0  # half of their bytes are
    if encoding == "utf-8" and _damage.n and not has_other and _is_like_windows():
        encoding, is_guess = "cp1252", True
        not_utf8 = NotUtf8(_damage.n, first_line or n_lines + 1)
        _damage.clear()
    return Survey(
        path=path,
        size=size,
        sha256=digest.hexdigest(),
        encoding=encoding,
        is_guess=is_guess,
        n_damaged=_damage.n,
        damaged_at=tuple(_damage.places),
        n_nul=n_nul,
        has_backslashes=encoding.startswith(("utf-8", "cp1252")) and quoting.has_backslashes,
        not_utf8=not_utf8,
    )


def _by_beginning(chunk: bytes) -> tuple[str, bool]:
    """The encoding that a file's beginning speaks for, and whether it is a guess."""
    for bom, name in _BOMS:
        if chunk.startswith(bom):
            return name, False
    first, second = chunk[:64:2], chunk[1:64:2]
    if len(second) >= 16:  # the header is in Latin letters, so every other byte is NUL
        if second.count(0) >= 0.8 * len(second) and not first.count(0):
            return "utf-16-le", True
        if first.count(0) >= 0.8 * len(first) and not second.count(0):
            return "utf-16-be", True
    return "utf-8", False


def _decode(decoder: codecs.IncrementalDecoder, chunk: bytes, *, base: int, final: bool = False) -> bool:
    """Decode what comes next; whether characters beyond ASCII were among it that are no damage."""
    pending = decoder.getstate()[0]
    _damage.base = base - len(pending)
    before = _damage.n
    text = decoder.decode(chunk, final)
    if text.isascii():
        return False
    return _damage.n == before or not text.replace(MARK, "").isascii()


def _is_like_windows() -> bool:
    """Whether bytes that are not UTF-8 look like Western letters: single ones mostly, and no character of UTF-8 cut."""
    return not _damage.is_cut_utf8 and not _damage.is_undefined and _damage.n_beside <= 0.5 * _damage.n


def _refuse_what_is_no_text(path: Path, head: bytes, n_nul: int) -> None:
    """Raises KnownError for files of other kinds. Single NUL characters are damage of the rows that they stand in."""
    said = next((sentence for start, sentence in _NOT_TEXT if head.startswith(start)), None)
    line = head[: head.find(b"\n") + 1 or len(head)]
    if said is None and n_nul and (b"\0" in line or head.count(b"\0") > 0.05 * len(head) + 8):
        said = tr("This is not a text file (it holds NUL bytes, the first at byte {at:,}).", at=head.find(b"\0") + 1)
    if said is not None:
        raise KnownError(said, where=shown(path), fix=tr("Choose a CSV file, or export one from it."))
