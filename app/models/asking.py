"""Asking another process a question: its lines as they come, and how it ended. Nothing is left behind when it stops."""

from collections.abc import Sequence

from PySide6.QtCore import QObject, QProcess, Signal

WAIT_MS = 1000
LAST_WORDS = 2000


class Asker(QObject):
    """Runs one command at a time; to start another ends the one before."""

    line = Signal(str)
    ended = Signal(bool, str)  # whether it ended well; what it wrote to its standard error

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._rest = b""
        self._said = b""

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self, command: Sequence[str]) -> None:
        self.stop()
        process = QProcess(self)
        self._process, self._rest, self._said = process, b"", b""
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._hear)
        process.errorOccurred.connect(self._on_error)
        process.finished.connect(self._on_finished)
        process.start(command[0], list(command[1:]))

    def stop(self) -> None:
        """End it at once; `ended` is not told."""
        process, self._process = self._process, None
        if process is not None:
            process.blockSignals(True)
            if process.state() != QProcess.ProcessState.NotRunning:
                process.kill()
                process.waitForFinished(WAIT_MS)
            process.deleteLater()

    def _read(self) -> None:
        if self._process is not None:
            *lines, self._rest = (self._rest + self._process.readAllStandardOutput().data()).split(b"\n")
            for line in lines:
                self.line.emit(line.decode("utf-8", "replace"))

    def _hear(self) -> None:
        if self._process is not None:
            self._said = (self._said + self._process.readAllStandardError().data())[-LAST_WORDS:]

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            reason = self._process.errorString()
            self.stop()
            self.ended.emit(False, reason)

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._hear()
        said = self._said.decode("utf-8", "replace")
        if self._process is not None:
            self._process.deleteLater()
            self._process = None
            self.ended.emit(status == QProcess.ExitStatus.NormalExit and code == 0, said)
