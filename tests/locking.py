"""Another program that holds the lock of a project's file: a real process."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_HOLD = """
import fcntl, sqlite3, sys
path, how = sys.argv[1:]
if how == "whole file":
    file = open(path, "r+b")
    fcntl.lockf(file, fcntl.LOCK_EX)
else:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in how.split(";"):
        connection.execute(statement).fetchall()
print("held", flush=True)
sys.stdin.read()
"""

WRITER = "BEGIN IMMEDIATE"
EXCLUSIVE = "BEGIN EXCLUSIVE"
EXCLUSIVE_MODE = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; SELECT * FROM meta"
"""Nobody else can read either; not possible while another connection has the file open."""

WHOLE_FILE = "whole file"
"""The lock of a program that knows nothing of SQLite; not possible while another connection has the file open."""


class Holding:
    """A process that holds the lock until it is let go."""

    def __init__(self, path: Path, how: str) -> None:
        words = [sys.executable, "-c", _HOLD, str(path), how]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def let_go(self) -> None:
        self.process.communicate("")


@contextlib.contextmanager
def holding(path: Path, how: str = WRITER) -> Iterator[Holding]:
    """Another process holds the lock of `path` in this block, or until it lets go."""
    held = Holding(path, how)
    try:
        yield held
    finally:
        if held.process.poll() is None:
            held.let_go()
