"""Starting the judge: which model, how it runs here, how many failures, and what llama.cpp can do on this machine."""

import sys
from importlib.util import find_spec

from PySide6.QtCore import QProcess
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from app.dialogs import Dialog
from app.files import ask_open
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project.queries import totals
from errormap_core.sentences import tr, trn
from errormap_core.settings import setting


class JudgeDialog(Dialog):
    """Model and settings; Run starts the work, which then shows in the status bar and can be stopped there."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(tr("Run the judge"), parent)
        self._session = session
        self.setMinimumWidth(620)
        project = session.project
        assert project is not None
        numbers = totals(project.reader)
        waiting, failed = numbers.states["waiting"], numbers.states["engine_failed"]
        self.about = QLabel(self)
        self.about.setWordWrap(True)
        said = trn("{n:,} failure waits for a diagnosis.", "{n:,} failures wait for a diagnosis.", waiting)
        self.about.setText(
            f"{said} {tr('Each is committed as it comes: you can stop at any time, go on later, and work meanwhile.')}"
        )
        self.model = QLineEdit(session.settings["judge.model"], self)
        self.model.setPlaceholderText(
            str(tr("The embedded SmolLM2-135M (shows the machinery; real work wants 7B or more)"))
        )
        self.model.setAccessibleName(str(tr("Model file")))
        choose = QPushButton(str(tr("&Choose…")), self)
        choose.clicked.connect(self._choose)
        self.threads = self._spin("judge.threads", session.settings["judge.threads"])
        self.threads.setSpecialValueText(str(tr("half of the cores")))
        self.context = self._spin("judge.context", project.setting("judge.context"))
        self.gpu = self._spin("judge.gpu_layers", session.settings["judge.gpu_layers"])
        self.limit = QSpinBox(self)
        self.limit.setRange(0, 10_000_000)
        self.limit.setSpecialValueText(str(tr("all")))
        self.limit.setGroupSeparatorShown(True)
        self.retry = QCheckBox(
            str(trn("&Retry {n:,} record that failed before", "&Retry {n:,} records that failed before", failed)), self
        )
        self.retry.setVisible(bool(failed))
        self.retry.setChecked(bool(failed) and not waiting)
        self.offload = QLabel(str(tr("Asking llama.cpp what it can do here …")), self)
        self.offload.setWordWrap(True)
        self.offload.setForegroundRole(self.offload.foregroundRole().PlaceholderText)
        file = QHBoxLayout()
        file.addWidget(self.model, 1)
        file.addWidget(choose)
        form = QFormLayout()
        form.addRow(str(tr("Model (GGUF)")), file)
        form.addRow(str(tr("&At most")), self.limit)
        form.addRow(str(tr("&Threads")), self.threads)
        form.addRow(str(tr("Context, &tokens")), self.context)
        form.addRow(str(tr("&Layers on the GPU")), self.gpu)
        form.addRow("", self.offload)
        self.column.addWidget(self.about)
        self.column.addLayout(form)
        self.column.addWidget(self.retry)
        self.ok = self.add_buttons(tr("Run the judge"), self._start)
        self.ok.setEnabled(bool(waiting or failed))
        self._asking: QProcess | None = None
        self._ask_llama()

    def _spin(self, key: str, value: int) -> QSpinBox:
        known = setting(key)
        spin = QSpinBox(self)
        spin.setRange(int(known.minimum or 0), int(known.maximum or 1_000_000))
        spin.setValue(value)
        spin.setToolTip(known.help)
        return spin

    def _choose(self) -> None:
        path = ask_open(self, tr("Choose a model"), filters=tr("GGUF models (*.gguf);;All files (*)"))
        if path is not None:
            self.model.setText(str(path))

    def _ask_llama(self) -> None:
        """Ask in a process of its own: llama.cpp is never loaded into the window's."""
        if find_spec("llama_cpp") is None:
            self.offload.setText(str(tr("llama-cpp-python is not installed: pip install 'errormap-studio[judge]'.")))
            self.ok.setEnabled(False)
            return
        self._asking = QProcess(self)
        self._asking.finished.connect(self._on_answer)
        code = "import llama_cpp; print(llama_cpp.llama_supports_gpu_offload(), llama_cpp.__version__)"
        self._asking.start(sys.executable, ["-c", code])

    def _on_answer(self) -> None:
        if self._asking is None:
            return
        words = bytes(self._asking.readAllStandardOutput().data()).decode().split()
        if len(words) != 2:
            self.offload.setText(str(tr("llama.cpp could not be asked: the judge may not start here.")))
            return
        can = (
            tr("can use a GPU")
            if words[0] == "True"
            else tr("was built without GPU support, layers on the GPU have no effect")
        )
        self.offload.setText(str(tr("llama-cpp-python {version} {can}.", version=words[1], can=can)))

    def done(self, result: int) -> None:
        """Nothing is left asking when the dialog closes."""
        if self._asking is not None and self._asking.state() != QProcess.ProcessState.NotRunning:
            self._asking.blockSignals(True)
            self._asking.kill()
            self._asking.waitForFinished(1000)
        super().done(result)

    def _start(self) -> None:
        project = self._session.project
        if project is None:
            return
        settings = self._session.settings
        try:
            settings["judge.model"] = self.model.text().strip()
            settings["judge.threads"] = self.threads.value()
            settings["judge.gpu_layers"] = self.gpu.value()
        except KnownError as error:
            self._session.failed.emit(error)
        arguments = [str(project.path), "--context", str(self.context.value()), "--as-id", self._session.actor]
        if self.limit.value():
            arguments += ["--limit", str(self.limit.value())]
        if self.retry.isChecked():
            arguments.append("--retry")
        self.accept()
        self._session.start("judge", arguments)
