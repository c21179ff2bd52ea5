"""A first pass over a text file: that it can be read, its hash, its encoding; in bounded memory."""

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.sentences import tr

_CHUNK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Survey:
    """A file that was looked through. `size` is in bytes; `encoding` is a codec's name.

    A byte-order mark decides the encoding; else it is UTF-8 where the whole file is valid UTF-8, else
    Windows-1252, which is said in the result (`is_guess`).
    """

    path: Path
    size: int
    sha256: str
    encoding: str
    is_guess: bool


def check_readable(path: Path) -> None:
    """Raises KnownError for what is no file with something in it that can be read."""
    where = str(path)
    if path.is_dir():
        raise KnownError(tr("This is a folder, not a file."), where=where, fix=tr("Name the files in it."))
    if not path.exists():
        raise KnownError(tr("There is no such file."), where=where, fix=tr("Check the name and the folder."))
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise KnownError(
            tr("The file cannot be read ({reason}).", reason=error.strerror),
            where=where,
            fix=tr("Check who may read it."),
        ) from error
    if not first:
        raise KnownError(tr("The file is empty."), where=where, fix=tr("Choose one with a header and rows."))


def survey(path: Path, *, most: int | None = None) -> Survey:
    """Look through a file, or through its first `most` bytes. Raises KnownError where it is no text."""
    check_readable(path)
    digest = hashlib.sha256()
    size = 0
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_nul, undefined = True, False, False
    encoding = ""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK if most is None else min(_CHUNK, most - size)):
            if size == 0:
                encoding = next((name for bom, name in _BOMS if chunk.startswith(bom)), "")
            size += len(chunk)
            digest.update(chunk)
            has_nul = has_nul or b"\0" in chunk
            undefined = undefined or any(byte in chunk for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))
            if is_utf8:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
    if is_utf8 and most is None:
        try:
            utf8.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    is_guess = False
    if not encoding or encoding == "utf-8-sig":
        if has_nul:
            raise KnownError(
                tr("This is not a text file (it holds NUL bytes)."), where=str(path), fix=tr("Choose a CSV file.")
            )
        if is_utf8:
            encoding = encoding or "utf-8"
        else:  # Windows-1252 leaves five bytes undefined; Latin-1 has them all
            encoding, is_guess = ("latin-1" if undefined else "cp1252"), True
    return Survey(path, size, digest.hexdigest(), encoding, is_guess)
