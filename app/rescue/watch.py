"""Keeps a way back: looks an opened project over and backs it up, on threads beside the window.

A project is looked over when it is opened; one that is damaged is shown for reading alone from then on. It is backed up when
it is closed, and where the last backup is a day old. A backup at the end outlives the window: the process ends with it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project import backups, health
from errormap_core.project.damage import DamagedFile

if TYPE_CHECKING:
    from errormap_core.project.backup_folder import Backup

log = logging.getLogger("errormap_studio")

POLL_MS = 100
"""How often the window looks whether a thread has an answer, while one works."""

MINUTES_MS = 10 * 60_000
"""How often it is asked whether a day has passed since the last backup."""

VOUCH_MS = 2_000

CLOSING_S = 0.03
"""How long closing waits for a look at the file to end, which nearly always ends at once: the window does not stand still."""


class Rescue(QObject):
    """What becomes of the open project's file, and of its backups."""

    looked = Signal(object)  # DamagedFile or None: the open project was looked over
    backed_up = Signal(object)  # Backup

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._path: Path | None = None
        self._to_back_up: Path | None = None
        self._is_sound = False
        self._is_told = False  # that no backup can be made: once is enough
        self._answers: queue.SimpleQueue[tuple[Path, DamagedFile | KnownError | Backup | None]] = queue.SimpleQueue()
        self._timer = _timer(self, POLL_MS, self._take)
        self._daily = _timer(self, MINUTES_MS, self._back_up_if_due)
        self._vouching = _timer(self, VOUCH_MS, self._vouch)
        session.opened.connect(self._on_opened)
        session.closing.connect(self._on_closing)
        session.context_changed.connect(self._on_released)

    def leave_out(self) -> None:
        """The project that is closed next is not backed up: a backup takes its place."""
        self._to_back_up = None
        self._path = None

    def wait(self) -> None:
        """Wait for what is under way. Not for the window's thread, which would stand still."""
        while self._threads:
            self._threads.pop().join()

    def when_done(self, then: Callable[[], object]) -> None:
        """Call `then` once what is under way has ended."""
        if any(thread.is_alive() for thread in self._threads):
            QTimer.singleShot(POLL_MS, self, lambda: self.when_done(then))
        else:
            then()

    # The window's thread

    def _on_opened(self) -> None:
        project = self._session.project
        assert project is not None
        self._path, self._is_sound, self._stop = project.path, False, threading.Event()
        known = health.known_damage(project.path)
        if known is not None:
            self.looked.emit(known)
        self._start(self._look, project.path, self._stop, not project.read_only)
        self._daily.start()
        self._vouching.start()

    def _on_closing(self) -> None:
        """Let what reads the project end. What has not ended in time reads on, and the file is closed behind it."""
        self._stop.set()
        self._daily.stop()
        self._vouching.stop()
        until = time.monotonic() + CLOSING_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        project = self._session.project
        if project is not None and self._session.has_its_file and self._path is not None:
            self._to_back_up = project.path
        self._path = None

    def _on_released(self) -> None:
        path, self._to_back_up = self._to_back_up, None
        if path is None:
            return
        if self._session.project is not None:
            self._to_back_up = path
            return
        self._start(self._back_up, path, threading.Event())

    def _back_up_if_due(self) -> None:
        path = self._path
        if path is not None and self._session.has_its_file and self._keep() and backups.is_due(path):
            self._start(self._back_up, path, self._stop)

    def _vouch(self) -> None:
        if self._path is not None and self._is_sound and self._session.has_its_file:
            health.vouch(self._path)

    def _keep(self) -> int:
        return int(self._session.settings["backups.keep"])

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        """Work on a thread that the process waits for at its end."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, args=arguments, name="backup", daemon=False)
        self._threads.append(thread)
        thread.start()
        self._timer.start()

    def _take(self) -> None:
        while not self._answers.empty():
            path, answer = self._answers.get()
            if isinstance(answer, DamagedFile) or answer is None:
                if path == self._path:
                    self._is_sound = answer is None
                    self.looked.emit(answer)
                    self._session.context_changed.emit()
            elif not isinstance(answer, KnownError):
                self._is_told = False
                self.backed_up.emit(answer)
            elif not self._is_told:
                self._is_told = True
                self._session.failed.emit(answer)
        if not any(thread.is_alive() for thread in self._threads) and self._answers.empty():
            self._timer.stop()

    # Threads

    def _look(self, path: Path, stop: threading.Event, may_write: bool) -> None:
        try:
            found = health.look_over(path, cancelled=stop.is_set)
        except health.LookStopped:
            return
        except KnownError as error:  # the disk, or who may read: the window tells of that where it reads
            log.warning("the project could not be looked over: %s", error)
            return
        self._answers.put((path, found))
        if found is None and may_write and backups.is_due(path):
            self._back_up(path, stop)

    def _back_up(self, path: Path, stop: threading.Event) -> None:
        settings = self._session.settings
        try:
            made = backups.back_up(
                path,
                keep=settings["backups.keep"],
                most_bytes=settings["backups.megabytes"] * 1_000_000,
                cancelled=stop.is_set,
            )
        except health.LookStopped:
            return
        except KnownError as error:
            log.warning("no backup: %s", error)  # where the window has gone, nobody is told until it is opened again
            self._answers.put((path, error))
            return
        if made is not None:
            self._answers.put((path, made))


def _timer(parent: QObject, interval_ms: int, act: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setInterval(interval_ms)
    timer.timeout.connect(act)
    return timer
