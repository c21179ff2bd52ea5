"""The one way to run long work: the command line as a child process that tells its progress as JSON lines.

The child ends when its standard input does, so it never outlives the window. Its results are in the
project file, where the window sees them by polling.
"""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Pace, Progress, duration

EXIT_STOPPED = 3

NICENESS = 5
"""Work gives way to the window where both want the same core; alone it is as fast as ever."""

TERMINATE_AFTER_MS = 5_000
KILL_AFTER_MS = 8_000
"""A job that was asked to stop is ended by force when it does not, for example inside one long computation."""

TITLES: dict[str, Sentence] = {
    "import": tr("Import"),
    "judge": tr("Judge"),
    "propose": tr("Proposals"),
    "classify": tr("Placing the unplaced"),
    "queue": tr("Choosing questions"),
    "embed": tr("Embedding"),
    "export": tr("Export"),
    "copy": tr("Saving a copy"),
    "score": tr("Comparing with gold"),
    "check-judge": tr("Checking judges"),
    "agreement": tr("Comparing two judges"),
    "try": tr("Trying a model"),
    "tune": tr("Measuring speed"),
    "restore": tr("Restoring a backup"),
    "check": tr("Repairing into a copy"),
}


@dataclass(slots=True)
class Job:
    """A job that runs or has run. `progress` is the latest, `pace` its rate and time left."""

    kind: str
    process: QProcess
    is_quiet: bool = False  # stands by rather than works: no strip shows it, no Stop ends it, nothing waits for it
    progress: Progress | None = None
    pace: Pace = field(default_factory=Pace)
    result: dict[str, Any] = field(default_factory=dict)
    error: KnownError | None = None
    is_stopping: bool = False
    wants_pause: bool | None = None  # asked for, not heard yet
    rest: bytes = b""
    said: bytes = b""

    def title(self) -> Sentence:
        return TITLES.get(self.progress.stage if self.progress else self.kind, tr("{kind}", kind=self.kind))

    @property
    def can_pause(self) -> bool:
        """A judge that works through its queue can be paused; while it is loaded or measured there is nothing to pause."""
        return self.kind == "judge" and not self.is_stopping and self.progress is not None and self.stage == "judge"

    @property
    def is_paused(self) -> bool:
        return self.pace.is_paused

    @property
    def stage(self) -> str:
        return self.kind if self.progress is None else self.progress.stage

    def sentence(self) -> Sentence:
        """'Judge: 412 of 2,459, 3 failed, 8.0 a minute, about 4 hours left'."""
        if self.is_stopping:
            return tr("{title}: stopping …", title=self.title())
        if self.progress is None:
            return tr("{title}: starting …", title=self.title())
        if self.stage == "tune" and self.progress.note:
            return tr("{title}: {note}", title=self.title(), note=self.progress.note)
        tail = "".join(f", {part}" for part in self._tail())
        if self.progress.total is None:
            return tr("{title}: {done:,}{tail}", title=self.title(), done=self.progress.done, tail=tail)
        return tr(
            "{title}: {done:,} of {total:,}{tail}",
            title=self.title(),
            done=self.progress.done,
            total=self.progress.total,
            tail=tail,
        )

    def _tail(self) -> list[str]:
        """What comes after how far it is: what failed, and the pace or why there is none."""
        assert self.progress is not None
        parts = []
        if self.stage == "judge" and self.progress.counts.get("failed"):
            parts.append(str(tr("{n:,} failed", n=self.progress.counts["failed"])))
        if self.wants_pause is not None and self.wants_pause != self.is_paused:
            parts.append(str(tr("pausing …") if self.wants_pause else tr("going on …")))
        elif self.is_paused:
            left = self.pace.left_s
            parts.append(str(tr("paused") if left is None else tr("paused, {left}", left=duration(left))))
        elif pace := str(self.pace.sentence()):
            parts.append(pace)
        return parts

    def details(self) -> str:
        """What it has done so far, in lines: results, tokens, speed; '' where it tells nothing of that."""
        counts = {} if self.progress is None else self.progress.counts
        if self.stage != "judge" or "analysed" not in counts:
            return ""
        analysed, failed, shortened = (counts.get(name, 0) for name in ("analysed", "failed", "shortened"))
        lines = [tr("{n:,} analysed, {failed:,} failed", n=analysed, failed=failed)]
        if shortened:
            lines.append(
                trn("{n:,} was shown to the judge in a shorter form", "{n:,} were shown to the judge in a shorter form",
                    shortened)
            )  # fmt: skip
        read = counts.get("prompt_tokens", 0) - counts.get("reused_tokens", 0)
        written = counts.get("completion_tokens", 0) + counts.get("fed_tokens", 0)
        if read or written:
            lines.append(tr("{read:,} tokens read, {written:,} written", read=read, written=written))
            if seconds := self.pace.worked_s:
                lines.append(tr("{n:,.0f} tokens a second", n=(read + written) / seconds))
        return "\n".join(map(str, lines))


class TaskRunner(QObject):
    """Starts jobs, one of a kind at a time, and tells of them. Of quiet ones only those hear who started them."""

    started = Signal(object)  # Job
    progressed = Signal(object)  # Job
    answered = Signal(object)  # Job, whose progress tells which records can and cannot go first
    finished = Signal(object)  # Job; its `error` is None where it went well
    quiet_progressed = Signal(object)  # Job
    quiet_finished = Signal(object)  # Job

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: dict[str, Job] = {}

    def running(self) -> list[Job]:
        """The jobs that work; quiet ones are none of them."""
        return [job for job in self._jobs.values() if not job.is_quiet]

    def running_of(self, kind: str) -> Job | None:
        """The job of this kind that runs, or None."""
        return self._jobs.get(kind)

    def start(self, kind: str, arguments: Sequence[str], *, is_quiet: bool = False) -> Job | None:
        """Start `errormap-studio KIND ARGUMENTS`; None where one of this kind runs already.

        A quiet one stands by for the whole session (it answers whenever the project changes): it is not counted as work.
        """
        if kind in self._jobs:
            return None
        process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        process.setProcessEnvironment(environment)
        job = Job(kind, process, is_quiet)
        self._jobs[kind] = job
        process.readyReadStandardOutput.connect(lambda: self._read(job))
        process.readyReadStandardError.connect(lambda: self._hear(job))
        process.errorOccurred.connect(lambda error: self._on_error(job, error))
        process.finished.connect(lambda code, status: self._on_finished(job, code, status))
        process.started.connect(lambda: _give_way(process.processId()))
        process.start(sys.executable, ["-m", "errormap_core.cli", kind, *arguments, "--progress", "json"])
        if not is_quiet:
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
        self._tell(job)

    def pause(self, job: Job) -> None:
        """Ask a job to pause after the few tokens in flight; it keeps what is loaded and half written."""
        self._steer(job, b"pause\n", wants_pause=True)

    def resume(self, job: Job) -> None:
        """Let a paused job go on where it was."""
        self._steer(job, b"resume\n", wants_pause=False)

    def first(self, job: Job, record_ids: Sequence[str]) -> None:
        """Let a job take these records next."""
        words = [record_id for record_id in record_ids if record_id.split() == [record_id]]  # it reads words of a line
        if words and not job.is_stopping:
            job.process.write(f"first {' '.join(words)}\n".encode())

    def _steer(self, job: Job, line: bytes, *, wants_pause: bool) -> None:
        if job.can_pause and (job.wants_pause if job.wants_pause is not None else job.is_paused) != wants_pause:
            job.wants_pause = wants_pause
            job.process.write(line)
            self.progressed.emit(job)

    def cancel_all(self) -> None:
        for job in self.running():
            self.cancel(job)

    def end_quiet(self) -> None:
        """End the quiet jobs at once and wait for that: the window closes. What they had begun is not kept."""
        for job in [job for job in self._jobs.values() if job.is_quiet]:
            job.is_stopping = True
            job.process.kill()
            job.process.waitForFinished(KILL_AFTER_MS)

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
            if job.wants_pause == job.is_paused:
                job.wants_pause = None
            self._tell(job)
            if "first" in job.progress.counts:
                self.answered.emit(job)
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
            (self.quiet_finished if job.is_quiet else self.finished).emit(job)
            job.process.deleteLater()

    def _tell(self, job: Job) -> None:
        (self.quiet_progressed if job.is_quiet else self.progressed).emit(job)


def _give_way(process_id: int) -> None:
    """Let a job that has just started run behind the window, and with it the processes that it will start."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, process_id, NICENESS)
