"""Starting the judge: which model and prompt, how many failures, what that will take, and how it runs here."""

import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.dialogs import Dialog
from app.fields import ChoiceField, WholeField
from app.files import ask_open
from app.judging.advanced import Advanced
from app.judging.estimating import Estimator, how_it_runs, how_it_was_found
from app.models.asking import Asker
from app.plain import Label, set_tooltip
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.judge import devices
from errormap_core.judge.model_file import check_model_file, embedded_model_path
from errormap_core.judge.project_prompts import listed_prompts
from errormap_core.project.queries import failure_rows, totals
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import setting

PROFILE_TIPS: dict[str, Sentence] = {
    "full": tr("criteria, then a diagnosis"),
    "quick": tr("evidence, title and summary; much less to write"),
}

MOST_FIRST = 200
"""Where more are selected, they are no few that somebody looks at."""


class JudgeDialog(Dialog):
    """Model, prompt and settings, and the estimate of them; Run starts the work, which then shows in the status bar.

    Nothing here waits: the estimate and llama.cpp's abilities are asked of other processes, which end with the dialog.
    """

    def __init__(self, session: Session, parent: QWidget, *, again: bool = False) -> None:
        """With `again` it begins as for a second judge: over the failures that others analysed too."""
        super().__init__(tr("Run the judge"), parent)
        self._session = session
        self.setMinimumWidth(800)
        project = session.project
        assert project is not None
        numbers = totals(project.reader)
        self._n_waiting, failed = numbers.states["waiting"], numbers.states["engine_failed"]
        self.about = Label(self)
        self.about.setWordWrap(True)
        said = trn("{n:,} failure waits for a diagnosis.", "{n:,} failures wait for a diagnosis.", self._n_waiting)
        kept = tr(
            "Each result is kept as it comes: you can pause or stop at any time, go on later, and work meanwhile."
        )
        self._first = self._read_first(project)
        self.about.setText(" ".join(map(str, (said, kept, *self._said_first()))))
        self.model = QLineEdit(session.settings["judge.model"], self)
        self.model.setPlaceholderText(
            str(tr("The embedded SmolLM2-135M (shows the machinery; real work wants 7B or more)"))
        )
        self.model.setAccessibleName(str(tr("Model file")))
        self.choose = QPushButton(str(tr("&Choose…")), self)
        self.choose.clicked.connect(self._choose)
        self.prompt = self._make_prompts()
        self.limit = WholeField(self)
        self.limit.setRange(0, 10_000_000)
        self.limit.setSpecialValueText(str(tr("all")))
        self.limit.setGroupSeparatorShown(True)
        self.gpu = self._spin("judge.gpu_layers", session.settings["judge.gpu_layers"])
        self.retry = QCheckBox(
            str(trn("&Retry {n:,} record that failed before", "&Retry {n:,} records that failed before", failed)), self
        )
        self.retry.setVisible(bool(failed))
        self.retry.setChecked(bool(failed) and not self._n_waiting)
        done = numbers.n_counted
        self.again = QCheckBox(
            str(
                trn(
                    "Also the {n:,} failure that &others analysed or placed; all analyses are kept",
                    "Also the {n:,} failures that &others analysed or placed; all analyses are kept",
                    done,
                )
            ),
            self,
        )
        set_tooltip(self.again, str(tr("For a second judge: another model, prompt or seed over the same failures")))
        self.again.setVisible(bool(done))
        self.again.setChecked(again and bool(done))
        self.estimate, self.how, self.offload = (self._label() for _ in range(3))
        self.estimate.setFont(session.theme.font(semibold=True))
        for label in (self.how, self.offload):
            label.setForegroundRole(label.foregroundRole().PlaceholderText)
        self.offload.setText(str(tr("Asking llama.cpp what it can do here …")))
        self.more = QToolButton(self)
        self.more.setText(str(tr("Ad&vanced")))
        self.more.setCheckable(True)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.toggled.connect(self._unfold)
        self.advanced = Advanced(session, self)
        self.advanced.hide()
        self._build()
        self.ok = self.add_buttons(tr("Run the &judge"), self._start)
        self.ok.setDefault(True)
        self._is_installed = devices.is_installed()
        self._estimator = Estimator(self)
        self._estimator.asking.connect(self._on_asking)
        self._estimator.answered.connect(self._on_estimate)
        self._estimator.failed.connect(self._on_no_estimate)
        self._forgetting = Asker(self)
        self._forgetting.ended.connect(lambda *_: self._ask_estimate())
        self._asking = Asker(self)
        self._asking.line.connect(self._on_answer)
        self._asking.ended.connect(self._on_asked)
        self._has_answer = self._has_gpu = False
        self._listen()
        self._enable()
        self._ask_llama()

    # Building

    def _build(self) -> None:
        file = QHBoxLayout()
        file.addWidget(self.model, 1)
        file.addWidget(self.choose)
        self.form = form = QFormLayout()
        label = Label(str(tr("&Model (GGUF)")), self)
        label.setBuddy(self.model)
        form.addRow(label, file)
        form.addRow(str(tr("&Prompt")), self.prompt)
        form.addRow(str(tr("&At most")), self.limit)
        form.addRow(str(tr("&Layers on the GPU")), self.gpu)
        form.setRowVisible(self.gpu, False)  # until llama.cpp says that it can use them
        for box in (self.retry, self.again):
            form.addRow("", box)
            form.setRowVisible(box, not box.isHidden())
        line = QFrame(self)
        line.setFrameShape(QFrame.Shape.HLine)
        line.setForegroundRole(line.foregroundRole().Mid)
        said = QVBoxLayout()
        said.setSpacing(4)
        for text in (self.estimate, self.how, self.offload):
            said.addWidget(text)
        self.column.addWidget(self.about)
        self.column.addLayout(form)
        self.column.addWidget(line)
        self.column.addLayout(said)
        self.column.addWidget(self.more)
        self.column.addWidget(self.advanced)

    def _label(self) -> Label:
        label = Label(self)
        label.setWordWrap(True)
        return label

    def _spin(self, key: str, value: int) -> WholeField:
        known = setting(key)
        spin = WholeField(self)
        spin.setRange(int(known.minimum or 0), int(known.maximum or 1_000_000))
        spin.setValue(value)
        set_tooltip(spin, known.help)
        return spin

    def _make_prompts(self) -> ChoiceField:
        project = self._session.project
        assert project is not None
        combo = ChoiceField(self)
        combo.setAccessibleName(str(tr("Prompt")))
        set_tooltip(combo, str(tr("What the judge is told; the page of prompts shows and changes them (G, P)")))
        for listed in listed_prompts(project):
            what = PROFILE_TIPS[listed.prompt.profile]
            shown = tr("{name} · {what}", name=listed.name, what=what)
            combo.addItem(str(shown), listed.name)
            if listed.is_chosen:
                combo.setCurrentIndex(combo.count() - 1)
        return combo

    def _listen(self) -> None:
        for signal in (
            self.model.textChanged,
            self.prompt.currentIndexChanged,
            self.limit.valueChanged,
            self.gpu.valueChanged,
            self.retry.toggled,
            self.again.toggled,
        ):
            signal.connect(lambda _: self._on_change())
        self.advanced.changed.connect(self._on_change)
        self.advanced.remove_copy.connect(self._remove_copy)

    def _unfold(self, is_on: bool) -> None:
        self.more.setArrowType(Qt.ArrowType.DownArrow if is_on else Qt.ArrowType.RightArrow)
        self.advanced.setVisible(is_on)
        self.column.activate()
        wanted = self.sizeHint()
        self.resize(max(self.width(), wanted.width()), wanted.height())

    def _choose(self) -> None:
        path = ask_open(self, tr("Choose a model"), filters=tr("GGUF models (*.gguf);;All files (*)"))
        if path is not None:
            self.model.setText(str(path))

    def _enable(self) -> None:
        can = self._n_waiting or self.again.isChecked() or (self.retry.isChecked() and not self.retry.isHidden())
        self.ok.setEnabled(self._is_installed and bool(can))

    # What it will take

    def is_asking(self) -> bool:
        """Whether an answer is still to come."""
        return self._estimator.is_running or self._asking.is_running or self._forgetting.is_running

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask_estimate()

    def _on_change(self) -> None:
        self._enable()
        if self.isVisible():
            self._ask_estimate()

    def _ask_estimate(self) -> None:
        project = self._session.project
        if project is None or self._forgetting.is_running:
            return
        if not self.ok.isEnabled():
            self._estimator.stop()
            self.estimate.setText(str(tr("Nothing waits for the judge.")) if self._is_installed else "")
            self.how.setText("")
            return
        about = (self.model.text().strip(), self.gpu.value(), self.advanced.copies.currentData())
        self._estimator.ask([str(project.path), *self._sets(self._everything()), *self._which()], about=about)

    def _on_asking(self, sentence: Sentence) -> None:
        self._colour("")
        self.estimate.setText(str(sentence))

    def _on_estimate(self, result: dict[str, Any]) -> None:
        engine = result.get("engine", {})
        self._colour("")
        self.estimate.setText(result["sentence"])
        self.how.setText(str(how_it_runs(engine)))
        set_tooltip(self.how, how_it_was_found(engine))
        self.advanced.show_engine(engine)

    def _on_no_estimate(self, error: KnownError) -> None:
        self._colour(self._session.theme.scheme.bad)
        self.estimate.setText(f"⚠  {error.what} {error.fix}")
        self.how.setText("")

    def _colour(self, colour: str) -> None:
        self.estimate.setStyleSheet(f"color: {colour};" if colour else "")

    def _remove_copy(self) -> None:
        """Forget what was measured with the copies of the weights; they are measured again without."""
        self._estimator.stop()
        self.estimate.setText(str(tr("Removing the copy …")))
        model = self.model.text().strip() or str(embedded_model_path())
        job = ("tune", "--forget", "--model", model, "--progress", "json")
        self._forgetting.start([sys.executable, "-m", "errormap_core.cli", *job])

    # What llama.cpp can do

    def _ask_llama(self) -> None:
        """Ask in a process of its own: llama.cpp is never loaded into the window's."""
        if self._is_installed:
            self._asking.start(devices.COMMAND)
        else:
            self.offload.setText(str(devices.not_installed()))

    def _on_answer(self, line: str) -> None:
        try:
            abilities = devices.answer_of(line)
        except KnownError:  # another line that a library printed
            return
        self._has_answer, self._has_gpu = True, bool(abilities.gpus)
        self.form.setRowVisible(self.gpu, self._has_gpu)
        self.offload.setText(str(abilities.sentence()))
        self.advanced.show_templates(abilities.templates)

    def _on_asked(self, _is_well: bool, said: str) -> None:
        if not self._has_answer:
            self.offload.setText(str(devices.not_answered(said)))

    def done(self, result: int) -> None:
        """Nothing is left asking when the dialog closes."""
        for asking in (self._asking, self._forgetting, self._estimator):
            asking.stop()
        super().done(result)

    # Starting

    def _yours(self) -> dict[str, Any]:
        """The user's settings as they are here."""
        values = {"judge.model": self.model.text().strip(), **self.advanced.values()}
        return {**values, "judge.gpu_layers": self.gpu.value()} if self._has_gpu else values

    def _choices(self) -> dict[str, Any]:
        """What is changed here of the project's settings."""
        project = self._session.project
        assert project is not None
        prompt = self.prompt.currentData()
        chosen = {} if prompt == project.setting("judge.prompt") else {"judge.prompt": prompt}
        return {**chosen, **self.advanced.choices()}

    def _everything(self) -> dict[str, Any]:
        return {**self._yours(), **self._choices()}

    @staticmethod
    def _sets(values: dict[str, Any]) -> list[str]:
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def _which(self) -> list[str]:
        """Which failures, as arguments."""
        words = ["--limit", str(self.limit.value())] if self.limit.value() else []
        words += ["--retry"] if self.retry.isChecked() else []
        return [*words, "--again"] if self.again.isChecked() else words

    def _read_first(self, project: Project) -> list[str]:
        """What is read or selected and waits for the judge."""
        ids = self._session.targets()
        if len(ids) > MOST_FIRST:
            return []
        found = failure_rows(project.reader, ids)
        return [i for i in ids if i in found and found[i].state in ("waiting", "engine_failed")]

    def _said_first(self) -> list[Sentence]:
        if not self._first:
            return []
        said = trn(
            "The {n:,} waiting failure that you have selected goes first, also within a limit.",
            "The {n:,} waiting failures that you have selected go first, also within a limit.",
            len(self._first),
        )
        return [said]

    def _start(self) -> None:
        project = self._session.project
        if project is None:
            return
        settings = self._session.settings
        changed = {key: value for key, value in self._yours().items() if value != settings[key]}
        named = self.model.text().strip()
        try:
            if named:  # before it is kept: a slip would be offered the next time, and refused once more
                check_model_file(Path(named).expanduser())
            if changed:
                settings.update(changed)
        except KnownError as error:  # the judge reads them from there: it would run otherwise than is said here
            self._on_no_estimate(error)
            return
        self.accept()
        first = [word for record_id in self._first for word in ("--first", record_id)]
        words = [
            str(project.path),
            *self._sets(self._choices()),
            *self._which(),
            *first,
            "--as-id",
            self._session.actor,
        ]
        self._session.start("judge", words)
