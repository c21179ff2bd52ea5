"""The one way to run long work: the command line as a child process that tells its progress as JSON lines.

The child ends when its standard input does, so it never outlives the window. Its results are in the
project file, where the window sees them by polling.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr
from errormap_core.tasks import Pace, Progress

EXIT_STOPPED = 3

TERMINATE_AFTER_MS = 5_000
KILL_AFTER_MS = 8_000
"""A job that was asked to stop is ended by force when it does not, for example inside one long computation."""

TITLES: dict[str, Sentence] = {
    "import": tr("Import"),
    "judge": tr("Judge"),
    "propose": tr("Proposals"),
    "embed": tr("Embedding"),
    "export": tr("Export"),
    "score": tr("Comparing with gold"),
}


@dataclass(slots=True)
class Job:
    """A job that runs or has run. `progress` is the latest, `pace` its rate and time left."""

    kind: str
    process: QProcess
    progress: Progress | None = None
    pace: Pace = field(default_factory=Pace)
    result: dict[str, Any] = field(default_factory=dict)
    error: KnownError | None = None
    is_stopping: bool = False
    rest: bytes = b""
    said: bytes = b""

    def title(self) -> Sentence:
        return TITLES.get(self.progress.stage if self.progress else self.kind, tr("{kind}", kind=self.kind))

    def sentence(self) -> Sentence:
        """'Judge: 412 of 2,459, 8.0 a minute, about 4 hours left'."""
        if self.is_stopping:
            return tr("{title}: stopping …", title=self.title())
        if self.progress is None:
            return tr("{title}: starting …", title=self.title())
        pace = str(self.pace.sentence())
        tail = f", {pace}" if pace else ""
        if self.progress.total is None:
            return tr("{title}: {done:,}{tail}", title=self.title(), done=self.progress.done, tail=tail)
        return tr(
            "{title}: {done:,} of {total:,}{tail}",
            title=self.title(),
            done=self.progress.done,
            total=self.progress.total,
            tail=tail,
        )


class TaskRunner(QObject):
    """Starts jobs, one of a kind at a time, and tells of them."""

    started = Signal(object)  # Job
    progressed = Signal(object)  # Job
    finished = Signal(object)  # Job; its `error` is None where it went well

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: dict[str, Job] = {}

    def running(self) -> list[Job]:
        return list(self._jobs.values())

    def start(self, kind: str, arguments: Sequence[str]) -> Job | None:
        """Start `errormap-studio KIND ARGUMENTS`; None where one of this kind runs already."""
        if kind in self._jobs:
            return None
        process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        process.setProcessEnvironment(environment)
        job = Job(kind, process)
        self._jobs[kind] = job
        process.readyReadStandardOutput.connect(lambda: self._read(job))
        process.readyReadStandardError.connect(lambda: self._hear(job))
        process.errorOccurred.connect(lambda error: self._on_error(job, error))
        process.finished.connect(lambda code, status: self._on_finished(job, code, status))
        process.start(sys.executable, ["-m", "errormap_core.cli", kind, *arguments, "--progress", "json"])
        self.started.emit(job)
        return job

    def cancel(self, job: Job) -> None:
        """Ask a job to stop after the item in flight; by force when it does not."""
        if job.is_stopping:
            return
        job.is_stopping = True
        job.process.write(b"cancel\n")
        QTimer.singleShot(TERMINATE_AFTER_MS, job.process, job.process.terminate)
        QTimer.singleShot(KILL_AFTER_MS, job.process, job.process.kill)
        self.progressed.emit(job)

    def cancel_all(self) -> None:
        for job in self.running():
            self.cancel(job)

    def _read(self, job: Job) -> None:
        data = job.rest + job.process.readAllStandardOutput().data()
        *lines, job.rest = data.split(b"\n")
        for line in lines:
            self._take(job, line)

    def _take(self, job: Job, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            job.said += line + b"\n"
            return
        if "progress" in message:
            job.progress = Progress.from_json(message["progress"])
            job.pace.update(job.progress)
            self.progressed.emit(job)
        elif "error" in message:
            job.error = KnownError.from_json(message["error"])
        elif "result" in message:
            job.result = message["result"]

    def _hear(self, job: Job) -> None:
        job.said = (job.said + job.process.readAllStandardError().data())[-4000:]

    def _on_error(self, job: Job, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            job.error = KnownError(
                tr("The job could not be started ({reason}).", reason=job.process.errorString()),
                fix=tr("Is the installation complete?"),
            )
            self._end(job)

    def _on_finished(self, job: Job, code: int, status: QProcess.ExitStatus) -> None:
        self._read(job)
        self._hear(job)
        crashed = status == QProcess.ExitStatus.CrashExit or code not in (0, 1, EXIT_STOPPED)
        if crashed and job.error is None and not job.is_stopping:
            last = job.said.decode(errors="replace").strip().splitlines()[-1:] or [""]
            job.error = KnownError(
                tr("{title} ended unexpectedly. {last}", title=job.title(), last=last[0]),
                fix=tr("What was done is kept; start it again to go on."),
            )
        self._end(job)

    def _end(self, job: Job) -> None:
        if self._jobs.pop(job.kind, None) is not None:
            self.finished.emit(job)
            job.process.deleteLater()
