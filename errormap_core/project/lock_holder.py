"""Who holds the lock of a project's file, as far as the system tells."""

import contextlib
import os
import sqlite3
from pathlib import Path

import psutil
from sqlite_utils import Database

from errormap_core.project import lease
from errormap_core.sentences import Sentence, tr

_LOCKS = Path("/proc/locks")
"""Where Linux lists the locks of all processes. Asking the file itself would open it, and closing it drops our own locks."""

_WRITE = (120, 120)
"""The byte of the -shm file that a writer locks in WAL mode."""

_WHOLE = (0x4000_0000, 0x4000_0000 + 511)
"""The bytes of the file that are locked against all others: PENDING, RESERVED and SHARED of SQLite's file format."""


def locking_process(path: Path) -> int | None:
    """Process id of the other program that has locked the project for writing; None where nothing tells."""
    path = Path(os.path.realpath(path))  # where a link leads to: SQLite's other files are beside it
    try:
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
        watched = [(path.with_name(path.name + "-shm"), _WRITE), (path, _WHOLE)]
        wanted = {_named(os.stat(file)): span for file, span in watched if file.exists()}
    except OSError:  # a system that does not list them, or a file that has gone
        return None
    for line in lines:
        words = line.split()
        if len(words) != 8 or words[3] != "WRITE":  # those that wait for a lock have an arrow more
            continue
        pid, file, first, last = int(words[4]), words[5], int(words[6]), words[7]
        span = wanted.get(file)
        if span is not None and pid > 0 and pid != os.getpid():
            end = first if last == "EOF" else int(last)
            if first <= span[1] and (last == "EOF" or end >= span[0]):
                return pid
    return None


def _named(found: os.stat_result) -> str:
    """How the list of locks names a file."""
    return f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"


def lock_holder(path: Path, db: Database | None = None) -> Sentence:
    """Who has locked the project, as the subject of a sentence; `db` tells what work holds a lease."""
    pid = locking_process(path)
    if pid is None:
        return tr("Another program")
    with contextlib.suppress(sqlite3.DatabaseError):  # locked for reading as well: the system tells who it is
        for purpose, holder in [] if db is None else lease.purposes(db):
            if holder == pid:
                return tr("“{purpose}” (process {pid})", purpose=purpose, pid=pid)
    try:
        name = psutil.Process(pid).name()
    except psutil.Error:
        return tr("Another program (process {pid})", pid=pid)
    return tr("Another program ({name}, process {pid})", name=name, pid=pid)
