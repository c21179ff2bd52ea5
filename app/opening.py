"""Opening a project without standing still: one that another program has locked is tried again until that program lets go."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from app.step_queue import BUSY_MS, LATE_S
from errormap_core.errors import KnownError, Locked
from errormap_core.people import actor_in
from errormap_core.project import health
from errormap_core.project.damage import DamagedFile
from errormap_core.project.lease import Lease, take_lease
from errormap_core.project.lock_holder import lock_holder
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr
from errormap_core.settings import UserSettings

RETRY_MS = 250


@dataclass(frozen=True, slots=True)
class Opened:
    """A project with the right to edit it, or, where another window has that, without; `problems` are to be told."""

    project: Project
    lease: Lease | None
    actor: str
    problems: tuple[KnownError, ...]


class Opening(QObject):
    """Opens one project at a time. What was reached before the lock was met is kept for the next try."""

    changed = Signal()  # it waits, or does not any more
    told = Signal(object, bool)
    failed = Signal(object)  # KnownError: it cannot be opened

    def __init__(self, settings: UserSettings, take: Callable[[Opened], None], parent: QObject) -> None:
        super().__init__(parent)
        self._settings, self._take = settings, take
        self._path: Path | None = None
        self._project: Project | None = None
        self._lease: Lease | None = None
        self._problems: list[KnownError] = []
        self._since, self._has_waited = 0.0, False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.retry)

    @property
    def is_waiting(self) -> bool:
        return self._path is not None

    def start(self, path: Path) -> None:
        """Open it, now or as soon as it can be."""
        self.stop()
        self._path, self._since = path, time.monotonic()
        self.retry()
        if self.is_waiting:
            self.told.emit(self._waits_for(path), False)

    def stop(self) -> None:
        """Open it no more."""
        project, lease = self._project, self._lease
        was_waiting = self.is_waiting
        self._forget()
        if project is not None:
            try:
                if lease is not None:
                    lease.release_when_free()
            except KnownError as error:
                self.failed.emit(error)
            finally:
                project.close()
        if was_waiting:
            self.changed.emit()

    def retry(self) -> None:
        """Try it, now."""
        path = self._path
        if path is None:
            return
        try:
            opened = self._open(path)
        except Locked:
            self._has_waited = True
            self._timer.start(RETRY_MS)
            self.changed.emit()
            return
        except KnownError as error:
            self.stop()
            self.failed.emit(error)
            return
        has_waited = self._has_waited
        self._forget()
        self.changed.emit()
        self._take(opened)
        if has_waited:
            self.told.emit(tr("Opened {name}", name=path.name), False)

    def problem(self) -> KnownError | None:
        """Why it is not open; None where it does not wait for long."""
        path = self._path
        if path is None or time.monotonic() - self._since < LATE_S:
            return None
        who = lock_holder(path, None if self._project is None else self._project.reader)
        return Locked(
            tr("{who} has locked this project.", who=who),
            where=str(path),
            fix=tr("It will be opened as soon as that program lets go."),
        )

    def _waits_for(self, path: Path) -> Sentence:
        return tr("Waiting to open {name}: another program has locked it …", name=path.name)

    def _open(self, path: Path) -> Opened:
        if self._project is None:
            health.known_damage(path)  # what another process found holds here too
            self._project = Project.open(path, busy_ms=BUSY_MS)
        if self._lease is None and not self._project.read_only:
            try:
                self._lease = take_lease(self._project, "window", purpose=tr("Editing in a window"))
            except Locked:
                raise
            except KnownError as error:
                self._project.close()
                self._project = None
                self._project = Project.open(path, read_only=True, busy_ms=BUSY_MS)
                fix = tr("It is shown here for reading; changes made there appear.")
                if not isinstance(error, DamagedFile):  # which is told with what leads back
                    self._problems.append(KnownError(error.what, fix=fix))
        actor = "" if self._lease is None else self._actor(self._project)
        return Opened(self._project, self._lease, actor, tuple(self._problems))

    def _actor(self, project: Project) -> str:
        try:
            return actor_in(project, self._settings)
        except Locked:
            raise
        except KnownError as error:  # the settings cannot be kept: the name holds for this session then
            self._problems.append(error)
            return actor_in(project, self._settings)

    def _forget(self) -> None:
        self._timer.stop()
        self._path = self._project = self._lease = None
        self._has_waited = False
        self._problems = []
