"""Reading a project on a thread of its own, with a connection of its own: what takes long in a large project."""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project import files
from errormap_core.sentences import tr

Read = Callable[[Database], Any]
"""A question: what is read of a project."""

Tell = Callable[[str, Any, float], None]
"""Takes a question's key, its answer (or the KnownError that it ended with) and the seconds it took; called on the thread."""


GIVE_UP_S = 0.01


class Unforeseen(KnownError):
    """A question ended with an error that nobody foresaw, which was told already."""


class ReadThread:
    """Answers questions one after the other until it is closed.

    An error that nobody foresaw goes the way of all such (threading.excepthook) and ends the thread; the question is
    answered as one that failed, and what is asked next is answered by a new thread.
    """

    def __init__(self, path: Path, tell: Tell, *, busy_ms: int = files.BUSY_MS) -> None:
        self._path = path
        self._busy_ms = busy_ms
        self._tell = tell
        self._asked: queue.SimpleQueue[tuple[str, Read] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._reading: sqlite3.Connection | None = None
        self._ending = threading.Lock()  # no connection is interrupted that is closed already
        self._start()

    def ask(self, key: str, read: Read) -> None:
        self._asked.put((key, read))

    def close(self) -> None:
        """End; what is being read is given up, so that the project can be closed at once."""
        self._is_closed = True
        self._asked.put(None)
        ended: threading.Thread | None = None
        while ended is not self._thread:  # one that ends by an error may have started another
            ended = self._thread
            while ended.is_alive():  # again and again: a question may read several times
                with self._ending:
                    if self._reading is not None:
                        self._reading.interrupt()
                ended.join(GIVE_UP_S)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        self._thread = thread

    def _work(self) -> None:
        db: Database | None = None
        reading: tuple[str, float] | None = None
        try:
            while (question := self._asked.get()) is not None and not self._is_closed:
                key, read = question
                reading = (key, time.perf_counter())
                answer: Any
                try:
                    with files.told(self._path):
                        db = db or files.connect(self._path, read_only=True, busy_ms=self._busy_ms)
                        self._reading = db.conn
                        answer = read(db)
                except KnownError as error:
                    answer = error
                except sqlite3.Error as error:
                    answer = KnownError(
                        tr("The project cannot be read ({reason}).", reason=error), where=str(self._path)
                    )
                self._tell(key, answer, time.perf_counter() - reading[1])
                reading = None
        finally:
            if db is not None:
                with self._ending:
                    self._reading = None
                db.close()
            if reading is not None:
                if not self._is_closed:
                    self._start()
                unforeseen = Unforeseen(tr("The project cannot be read."), where=str(self._path))
                self._tell(reading[0], unforeseen, time.perf_counter() - reading[1])
