"""Bringing SQLite's log into the file, so that everything is in one file, and saying where that did not work."""

import sqlite3
import threading
import urllib.parse
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.project.sqlite_said import log_file, sentence_for
from errormap_core.project.watching import FileWatch
from errormap_core.sentences import tr

REST_S = 2.0
"""What was committed is in the file so long after."""

RETRY_S = 1.0
"""A reader or another checkpoint kept some of it out: it is tried again."""

FAILED_REST_S = 10.0

_NOT_NOW = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT)


def bring_in_all(connection: sqlite3.Connection, path: Path) -> KnownError | None:
    """Put the whole log into the file and empty it, as the last to close a project does.

    Returns None where that went well, or where another connection is at work, whose turn it then is. Else what kept it
    from it: nothing is lost then, but the file alone is not the whole project.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        return in_two_files(error, path)
    return None


def in_two_files(error: sqlite3.DatabaseError, path: Path) -> KnownError:
    """That a checkpoint failed, and what that means for who copies the file."""
    reason = sentence_for(error, path)
    return KnownError(
        tr(
            "All steps are saved, but in two files: {name} and {log}. The second could not be merged into the first: {reason}",
            name=path.name,
            log=log_file(path).name,
            reason=error if reason is None else reason.what,
        ),
        where=str(path),
        fix=tr("Copy both files together. Opening and closing the project merges them once there is room."),
    )


class Checkpointer:
    """Puts what was committed into the file soon after, on a thread of its own, so that a copy of the file alone lacks
    nothing that was said to be saved more than a few seconds ago.

    It never keeps a writer waiting (a passive checkpoint), and does nothing once the file is cut off.
    """

    def __init__(self, watch: FileWatch) -> None:
        self.trouble: KnownError | None = None
        self._watch = watch
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    def notice(self) -> None:
        """Something was committed, here or by another process."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()
        self._wake.set()

    def hurry(self) -> None:
        """Do now what would be done soon: the user turns to another program."""
        self._hurry.set()

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The connection that puts the log into the file, where there was something to put; idle once the file is lost."""
        return self._connection

    def close(self) -> None:
        """End; a checkpoint under way stops after the page in hand."""
        self._is_closed = True
        self._hurry.set()
        self._wake.set()
        if self._thread is not None:
            connection = self._connection
            if connection is not None:
                connection.interrupt()
            self._thread.join()
            self._thread = None
        connection, self._connection = self._connection, None
        if connection is not None:  # here, so that none is interrupted that is closed already
            connection.close()

    def _work(self) -> None:
        rest = REST_S
        while True:
            self._wake.wait()
            self._hurry.wait(rest)
            if self._is_closed:
                return
            self._wake.clear()
            self._hurry.clear()
            again = self._bring_in()
            rest = REST_S if again is None else again
            if again is not None:
                self._wake.set()

    def _bring_in(self) -> float | None:
        """Put in what is there; the seconds until it is tried again, None where nothing is left to do."""
        try:
            if self._watch.look() is not None or not self._connect():
                return None
            assert self._connection is not None
            _, n_there, n_done = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except KnownError:  # nobody can tell whether the file is in its place: whoever writes or looks next says so
            return FAILED_REST_S
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _NOT_NOW:
                return RETRY_S
            self.trouble = in_two_files(error, self._watch.real)
            return FAILED_REST_S
        self.trouble = None
        return None if n_there == n_done else RETRY_S

    def _connect(self) -> bool:
        """Have a connection to the very file that is watched; False where another came in between."""
        if self._connection is None:
            uri = f"file:{urllib.parse.quote(str(self._watch.real))}?mode=rw"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            if self._watch.look() is not None:
                connection.close()  # it has read nothing yet, so it writes nothing
                return False
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("PRAGMA synchronous = FULL")
            self._connection = connection
        return True
