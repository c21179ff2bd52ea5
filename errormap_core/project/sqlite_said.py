"""What SQLite says of the world (full, locked, read-only, broken), as a sentence that blames the right thing."""

import errno
import os
import sqlite3
from pathlib import Path

from errormap_core import trouble
from errormap_core.errors import KnownError, Locked
from errormap_core.project import damage
from errormap_core.sentences import tr

_WRITING = (
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
)
"""Codes that mean a failed write; SQLite keeps the system's reason to itself."""


_NEEDS_FOLDER = (
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_RECOVERY,
    sqlite3.SQLITE_READONLY_CANTLOCK,
    sqlite3.SQLITE_CANTOPEN,
)
"""Codes for a log that cannot be read where nothing may be written beside it."""


def log_file(path: Path) -> Path:
    """SQLite's write-ahead log of a project: beside the file that a link leads to."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + "-wal")


def sentence_for(error: sqlite3.DatabaseError, path: Path) -> KnownError | None:
    """What happened, where, what to do; None for an error that is a defect of ours."""
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return damage.found(path, error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):  # the last after many lost races
        return Locked(
            tr("Another program is writing to the project and did not finish in time."),
            where=str(path),
            fix=tr("Do it again in a moment; nothing was half done."),
        )
    if code not in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
    ):
        return None
    cause = trouble.obstacle(path)
    if cause is not None and cause.errno not in (errno.EACCES, errno.EPERM):
        return trouble.known(cause, where=str(path))
    if code == sqlite3.SQLITE_FULL:
        return trouble.DiskError(
            tr("The disk is full."), where=str(path), fix=tr("Free some space and do it again; nothing was half done.")
        )
    if extended in _NEEDS_FOLDER and _has_unreadable_log(path):
        return trouble.DiskError(
            tr(
                "The latest steps are in {log}, which cannot be read where nothing may be written.",
                log=log_file(path).name,
            ),
            where=str(path),
            fix=tr("Copy both files into a folder that you may write in, and open the copy."),
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) or (
        cause is not None and code != sqlite3.SQLITE_CANTOPEN
    ):
        return trouble.DiskError(
            tr("The project cannot be written."),
            where=str(path),
            fix=tr("Check who may write the file and its folder, or work on a copy."),
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return trouble.DiskError(
            tr("The project cannot be opened ({reason}).", reason=error),
            where=str(path),
            fix=tr("Check who may read and write the file and its folder."),
        )
    if extended in _WRITING:
        return trouble.DiskError(
            tr("The disk refused a write ({reason}).", reason=error),
            where=str(path),
            fix=tr("Check its free space, your quota and whether it is still connected; nothing was half done."),
        )
    return trouble.DiskError(
        tr("The project cannot be read ({reason}).", reason=error),
        where=str(path),
        fix=tr("Check that the disk is still connected and who may read the file."),
    )


def _has_unreadable_log(path: Path) -> bool:
    """Whether a file that may be read has a log that SQLite would have to write beside."""
    return os.access(path, os.R_OK) and not os.access(path.parent, os.W_OK) and log_file(path).exists()
