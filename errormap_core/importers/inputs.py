"""What may be read at all: regular files, looked at before they are opened, and the names by which they are told.

A pipe can be read once and an import reads twice; opening one waits for whoever writes, and no signal ends that wait in
time. So what a path leads to is asked of the file system first.
"""

import os
import stat
import unicodedata
from pathlib import Path
from typing import BinaryIO

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

REPLACED = "\ufffd"
"""Stands for a byte of a name that is not UTF-8, and for a control character in one."""

_KINDS = (
    (stat.S_ISFIFO, tr("This is a pipe, not a file.")),
    (stat.S_ISCHR, tr("This is a device, not a file.")),
    (stat.S_ISBLK, tr("This is a device, not a file.")),
    (stat.S_ISSOCK, tr("This is a socket, not a file.")),
)


def shown(name: str | Path) -> str:
    """A name of a file as text that every output takes: bytes that are not UTF-8 and control characters are replaced."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(REPLACED if unicodedata.category(c) == "Cc" else c for c in text)


def found(path: Path) -> Path:
    """The file that is meant. A name that holds the sign for a replaced byte may be one that was shown, as windows and
    terminals can pass on nothing else; it stands for the only file in its folder that is shown so."""
    if REPLACED not in path.name or os.path.lexists(path):
        return path
    try:
        same = [entry for entry in path.parent.iterdir() if shown(entry.name) == path.name]
    except OSError:  # then the name is told as it was given: there is no such file
        return path
    return same[0] if len(same) == 1 else path


def check_regular(path: Path) -> None:
    """Raises KnownError for what is not a regular file; nothing is opened."""
    where = shown(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        fix = tr("Check the name and the folder.")
        raise KnownError(tr("There is no such file."), where=where, fix=fix) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise KnownError(
            tr("The file cannot be read ({reason}).", reason=getattr(error, "strerror", None) or error),
            where=where,
            fix=tr("Check the name, and who may read it."),
        ) from error
    if stat.S_ISDIR(mode):
        raise KnownError(tr("This is a folder, not a file."), where=where, fix=tr("Name the files in it."))
    for is_kind, said in _KINDS:
        if is_kind(mode):
            raise KnownError(
                said,
                where=where,
                fix=tr("Write its output into a file and name that file."),
            )
    if not stat.S_ISREG(mode):
        raise KnownError(tr("This is not a regular file."), where=where, fix=tr("Name a regular file."))


def check_readable(path: Path, *, empty: Sentence | None = None) -> None:
    """Raises KnownError for what is no regular file with something in it that can be read. `empty`: what to do about one
    that is empty."""
    with opened(path) as file:
        if file.read(1):
            return
    fix = empty or tr("Choose one with a header and rows.")
    raise KnownError(tr("The file is empty."), where=shown(path), fix=fix)


def opened(path: Path) -> BinaryIO:
    """A regular file, open for reading bytes. Raises KnownError."""
    check_regular(path)
    try:
        # Should a pipe have taken the file's place since it was looked at, opening it does not wait.
        return open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    except OSError as error:
        raise KnownError(
            tr("The file cannot be read ({reason}).", reason=error.strerror),
            where=shown(path),
            fix=tr("Check who may read it."),
        ) from error


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes. Raises KnownError."""
    with opened(path) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise KnownError(
            tr("The file has more than {most:,} MB, which is the most that is read.", most=most // 1_000_000),
            where=shown(path),
            fix=tr("Is it the right file?"),
        )
    return raw
