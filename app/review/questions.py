"""Keeps the job that chooses questions running while the queue is looked at, and says why none come."""

from PySide6.QtCore import QObject, QTimer, Signal

from app.session import Session
from app.tasks.runner import Job
from errormap_core.sentences import Sentence, tr

KIND = "queue"

START_AFTER_MS = 400
"""A page that is only passed by starts nothing."""


class Questions(QObject):
    """Starts and stops the job. `said` changes with it: a line for the page, or None where there is nothing to say."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._is_wanted = False
        self._job: Job | None = None
        self._path = ""
        self._failed = ""  # the project that it failed on: it is not tried again and again
        self.said: Sentence | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(START_AFTER_MS)
        self._timer.timeout.connect(self._start)
        session.tasks.quiet_finished.connect(self._on_finished)
        session.tasks.quiet_progressed.connect(self._on_progress)
        session.closing.connect(self.stop)

    @property
    def is_running(self) -> bool:
        return self._job is not None and not self._job.is_stopping

    def want(self, is_wanted: bool) -> None:
        """Whether questions are wanted now: the page is shown, on a project that is edited and has analysed failures."""
        is_wanted = is_wanted and bool(self._session.settings["queue.questions"])
        self._is_wanted = is_wanted
        if is_wanted and self._job is None and not self._timer.isActive():
            self._timer.start()
        elif not is_wanted:
            self._timer.stop()

    def stop(self) -> None:
        """End it: the project closes."""
        self._is_wanted = False
        self._failed = ""
        self._timer.stop()
        if self.said is not None:
            self.said = None
            self.changed.emit()
        if self._job is not None and not self._job.is_stopping:
            self._session.tasks.cancel(self._job)

    def _start(self) -> None:
        project = self._session.project
        if project is None or not self._is_wanted or self._job is not None or self._failed == str(project.path):
            return
        self._path = str(project.path)
        self._job = self._session.tasks.start(KIND, [self._path, "--watch"], is_quiet=True)
        self._say(tr("Looking for the failures that are best asked about …") if self._job is not None else None)

    def _on_progress(self, job: Job) -> None:
        if job is self._job and job.progress is not None and job.progress.stage == "embed" and job.progress.total:
            self._say(
                tr("Reading the failures before asking about them: {done:,} of {n:,}",
                   done=job.progress.done, n=job.progress.total)
            )  # fmt: skip

    def came(self) -> None:
        """Questions are there: nothing to say."""
        if self.is_running:
            self._say(None)

    def _on_finished(self, job: Job) -> None:
        if job is not self._job:
            return
        self._job = None
        if job.error is not None and not job.is_stopping:
            self._failed = self._path
            self._say(tr("No questions come where failures belong. {error}", error=job.error))
        else:
            self._say(None)
            if self._is_wanted and job.is_stopping:
                self._timer.start()  # it was another project's

    def _say(self, sentence: Sentence | None) -> None:
        if sentence != self.said:
            self.said = sentence
            self.changed.emit()
