"""Reading a project beside the window's thread: what takes long in a large project while machines write into it."""

import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.step_queue import BUSY_MS
from errormap_core.errors import KnownError
from errormap_core.project.reading import ReadThread, Unforeseen

_T = TypeVar("_T")

REST = 4
"""So many times as long as a question took, it is not asked again: reading takes a fifth of a core at most."""

FIRST_RETRY = 1.0
"""Seconds until a question that failed is asked again by itself; twice as long each time after, up to LONGEST_RETRY."""

LONGEST_RETRY = 60.0


class Reads(QObject):
    """Answers questions by key, one after the other, beside the window's thread, in which the answers come.

    A question that is asked again before its answer came is answered once more, as it was asked last. One that fails, as
    where the file is busy, is asked again. None is answered after `close`.
    """

    _came = Signal()  # an answer

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._session = 0
        self._thread: ReadThread | None = None
        self._asked: dict[
            str, tuple[Callable[[Any], Any], Callable[[Any], None]]
        ] = {}  # under way, and who waits for it
        self._next: dict[str, tuple[Callable[[Any], Any], Callable[[Any], None]]] = {}
        self._resting: dict[str, QTimer] = {}
        self._n_failed: dict[str, int] = {}
        self._answers: queue.SimpleQueue[tuple[int, str, Any, float]] = queue.SimpleQueue()
        self._came.connect(self._take_next)

    def open(self, path: Path) -> None:
        """Read this project from now on."""
        self.close()
        session = self._session

        def tell(key: str, answer: Any, seconds: float) -> None:
            self._answers.put((session, key, answer, seconds))
            self._came.emit()

        self._thread = ReadThread(path, tell, busy_ms=BUSY_MS)  # closing waits for it

    def close(self) -> None:
        """Read no more; waits for what is being read, so that the project can be closed."""
        self._session += 1
        self._asked.clear()
        self._next.clear()
        self._n_failed.clear()
        for timer in self._resting.values():
            timer.stop()
            timer.deleteLater()
        self._resting.clear()
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    @property
    def is_busy(self) -> bool:
        """Whether anything is being read, or waits to be read once more."""
        return bool(self._asked or self._next)

    def ask(self, key: str, read: Callable[[Any], _T], then: Callable[[_T], None]) -> None:
        """Have `read` answered with a connection to the project, and `then` called with the answer."""
        if self._thread is None:
            return
        if key in self._n_failed:
            self._end_rest(key)  # asked anew, it does not wait for its turn to be tried again
        if key in self._asked or key in self._resting:
            self._next[key] = (read, then)
            return
        self._next.pop(key, None)
        self._asked[key] = (read, then)
        self._thread.ask(key, read)

    def settle(self, seconds: float) -> None:
        """Wait for what was asked, but no longer than this: what is read so fast is there at once, and nothing flickers."""
        until = time.monotonic() + seconds
        while self._asked and (left := until - time.monotonic()) > 0:
            try:
                answer = self._answers.get(timeout=left)
            except queue.Empty:
                return
            self._on_read(*answer)

    def _take_next(self) -> None:
        if not self._answers.empty():
            self._on_read(*self._answers.get())

    def _on_read(self, session: int, key: str, answer: Any, seconds: float) -> None:
        if session != self._session or key not in self._asked:
            return
        read, then = self._asked.pop(key)
        rest = seconds * REST
        if not isinstance(answer, KnownError) or isinstance(answer, Unforeseen):  # a defect stays one
            self._n_failed.pop(key, None)
        elif key not in self._next:  # a file that cannot be read just now is told where it is polled
            failed = self._n_failed[key] = self._n_failed.get(key, 0) + 1
            rest = max(rest, min(FIRST_RETRY * 2 ** min(failed - 1, 10), LONGEST_RETRY))
            self._next[key] = (read, then)
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(lambda: self._on_rested(key))
        self._resting[key] = timer
        timer.start(round(rest * 1000))
        if not isinstance(answer, KnownError):
            then(answer)

    def _on_rested(self, key: str) -> None:
        self._end_rest(key)
        if key in self._next:
            self.ask(key, *self._next.pop(key))

    def _end_rest(self, key: str) -> None:
        timer = self._resting.pop(key, None)
        if timer is not None:
            timer.stop()
            timer.deleteLater()
