"""The part of the judge's dialog that few need: how the model runs on this machine, and what its answers depend on."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from app.fields import ChoiceField, DecimalField, WholeField
from app.files import ask_open
from app.plain import Label, set_tooltip, words
from app.session import Session
from app.theme import SPACE
from errormap_core.sentences import Sentence, tr
from errormap_core.settings import setting

YOURS = ("judge.threads", "judge.sequences", "judge.batch", "judge.flash_attention", "judge.copies", "judge.engines")
OF_PROJECT = ("judge.context", "judge.template", "judge.thinking", "judge.seed", "judge.temperature")

COPIES: tuple[tuple[str, Sentence], ...] = (
    ("auto", tr("q8_0, where that is faster")),
    ("q8_0", tr("q8_0: says the same")),
    ("q4_0", tr("q4_0: smaller, less exact")),
    ("never", tr("none")),
)

_COMMON_TEMPLATES = (
    "chatml",
    "deepseek3",
    "gemma",
    "llama2",
    "llama3",
    "mistral-v7",
    "phi3",
    "phi4",
    "vicuna",
    "zephyr",
)
"""Until llama.cpp has said which it knows."""


class Advanced(QWidget):
    """Fields of the settings above. Those of the machine show what was measured until something else is chosen."""

    changed = Signal()
    remove_copy = Signal()

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        assert session.project is not None
        settings, project = session.settings, session.project
        self._session = session
        self.threads = self._spin("judge.threads", settings["judge.threads"])
        self.sequences = self._spin("judge.sequences", settings["judge.sequences"])
        self.batch = self._spin("judge.batch", settings["judge.batch"])
        self.flash = self._combo(
            "judge.flash_attention",
            (("measured", tr("as measured")), ("on", tr("on")), ("off", tr("off"))),
            settings["judge.flash_attention"],
        )
        self.copies = self._combo("judge.copies", COPIES, settings["judge.copies"])
        self.copy_size = Label(self)
        self.copy_size.setForegroundRole(self.copy_size.foregroundRole().PlaceholderText)
        self.remove = QPushButton(str(tr("R&emove")), self)
        set_tooltip(self.remove, str(tr("Remove the copy of the weights from the cache folder, and make none again")))
        self.remove.clicked.connect(self._on_remove)
        self.remove.hide()
        self.engines = self._spin("judge.engines", settings["judge.engines"])
        self.context = self._spin("judge.context", project.setting("judge.context"))
        self.context.setSingleStep(512)
        self.template = ChoiceField(self)
        self.template.setEditable(True)
        self.template.setInsertPolicy(ChoiceField.InsertPolicy.NoInsert)
        self.template.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.template.setSizeAdjustPolicy(ChoiceField.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.template.setMinimumContentsLength(13)
        self.template.setAccessibleName(str(tr("Chat template")))
        set_tooltip(self.template, setting("judge.template").help)
        self._fill_templates(_COMMON_TEMPLATES, project.setting("judge.template"))
        self.template.editTextChanged.connect(lambda _: self.changed.emit())
        self.file = QPushButton(str(tr("F&ile…")), self)
        set_tooltip(self.file, str(tr("A file with a Jinja template")))
        self.file.clicked.connect(self._choose_template)
        self.thinking = self._spin("judge.thinking", project.setting("judge.thinking"))
        self.seed = self._spin("judge.seed", project.setting("judge.seed"))
        self.temperature = DecimalField(self)
        self.temperature.setRange(0.0, 2.0)
        self.temperature.setSingleStep(0.1)
        self.temperature.setDecimals(3)
        self.temperature.setValue(project.setting("judge.temperature"))
        set_tooltip(self.temperature, setting("judge.temperature").help)
        self.temperature.valueChanged.connect(lambda _: self.changed.emit())
        self._build()
        self._shown = self._read()
        self.show_engine({})

    def _build(self) -> None:
        copy = QHBoxLayout()
        copy.setSpacing(SPACE)
        copy.addWidget(self.copy_size)
        copy.addWidget(self.remove)
        copy.addStretch(1)
        template = QHBoxLayout()
        template.setSpacing(SPACE)
        template.addWidget(self.template, 1)
        template.addWidget(self.file)
        row = QGridLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setHorizontalSpacing(3 * SPACE)
        machine = self._form(row, 0, tr("How it runs on this machine"))
        self._row(machine, tr("&Threads"), self.threads)
        self._row(machine, tr("Records at o&nce"), self.sequences)
        self._row(machine, tr("&Batch, tokens"), self.batch)
        self._row(machine, tr("&Flash attention"), self.flash)
        self._row(machine, tr("Copy of the &weights"), self.copies)
        machine.addRow("", copy)
        self._row(machine, tr("En&gines"), self.engines)
        answers = self._form(row, 1, tr("What its answers depend on"))
        self._row(answers, tr("Conte&xt, tokens"), self.context)
        label = Label(str(tr("C&hat template")), self)
        label.setBuddy(self.template)
        answers.addRow(label, template)
        self._row(answers, tr("Thin&king, tokens"), self.thinking)
        self._row(answers, tr("&Seed"), self.seed)
        self._row(answers, tr("Temperat&ure"), self.temperature)

    def _form(self, row: QGridLayout, place: int, title: Sentence) -> QFormLayout:
        head = Label(str(title), self)
        head.setFont(self._session.theme.font(semibold=True))
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setVerticalSpacing(SPACE)
        form.setHorizontalSpacing(SPACE)
        row.addWidget(head, 0, place)
        row.addLayout(form, 1, place, Qt.AlignmentFlag.AlignTop)
        row.setColumnStretch(place, 1)
        return form

    def _row(self, form: QFormLayout, title: Sentence, field: QWidget) -> None:
        form.addRow(words(title), field)
        field.setAccessibleName(str(title).replace("&", ""))

    def _spin(self, key: str, value: int) -> WholeField:
        known = setting(key)
        spin = WholeField(self)
        spin.setRange(int(known.minimum or 0), int(known.maximum or 1_000_000))
        spin.setValue(value)
        set_tooltip(spin, known.help)
        spin.valueChanged.connect(lambda _: self.changed.emit())
        return spin

    def _combo(self, key: str, entries: Sequence[tuple[str, Sentence]], value: str) -> ChoiceField:
        combo = ChoiceField(self)
        for data, text in entries:
            combo.addItem(str(text), data)
        combo.setCurrentIndex(combo.findData(value))
        set_tooltip(combo, setting(key).help)
        combo.currentIndexChanged.connect(lambda _: self.changed.emit())
        return combo

    # Values

    def _read(self) -> dict[str, Any]:
        return {
            "judge.threads": self.threads.value(),
            "judge.sequences": self.sequences.value(),
            "judge.batch": self.batch.value(),
            "judge.flash_attention": self.flash.currentData(),
            "judge.copies": self.copies.currentData(),
            "judge.engines": self.engines.value(),
            "judge.context": self.context.value(),
            "judge.template": self._template(),
            "judge.thinking": self.thinking.value(),
            "judge.seed": self.seed.value(),
            "judge.temperature": self.temperature.value(),
        }

    def values(self) -> dict[str, Any]:
        """What the fields of this machine say."""
        return {key: value for key, value in self._read().items() if key in YOURS}

    def choices(self) -> dict[str, Any]:
        """What was changed of the project's settings: what is not touched stays as it is, to the last digit."""
        return {key: value for key, value in self._read().items() if key in OF_PROJECT and value != self._shown[key]}

    def _template(self) -> str:
        text = self.template.currentText().strip()
        place = self.template.findText(text)
        return text if place < 0 else str(self.template.itemData(place))

    # What comes to be known

    def show_templates(self, names: Sequence[str]) -> None:
        """Offer the templates that llama.cpp knows."""
        if names:
            self._fill_templates(names, self._template())

    def _fill_templates(self, names: Sequence[str], value: str) -> None:
        with QSignalBlocker(self.template):
            self.template.clear()
            self.template.addItem(str(tr("the model's own")), "")
            self.template.addItem(str(tr("none")), "none")
            for name in names:
                self.template.addItem(name, name)
            place = self.template.findData(value)
            if place < 0:
                self.template.setEditText(value)
            else:
                self.template.setCurrentIndex(place)

    def show_engine(self, engine: Mapping[str, Any]) -> None:
        """Show what was measured where nothing else is chosen, and the copy of the weights where there is one."""
        measured = engine.get("measured") or {}
        for spin, key in ((self.threads, "threads"), (self.sequences, "sequences"), (self.batch, "batch")):
            text = tr("as measured: {n:,}", n=measured[key]) if key in measured else tr("as measured")
            spin.setSpecialValueText(str(text))
        flash = measured.get("flash_attention")
        self.flash.setItemText(0, str(tr("as measured: {what}", what=flash) if flash else tr("as measured")))
        copy = measured.get("copy")
        if copy:
            self.copy_size.setText(str(tr("{mb:,.0f} MB in the cache", mb=copy["bytes"] / 1e6)))
            set_tooltip(self.copy_size, copy["path"])
        else:
            self.copy_size.setText(str(tr("there is none now") if measured else tr("")))
        self.remove.setVisible(bool(copy))

    def _on_remove(self) -> None:
        """Free its place; it would be made again at once if it were not refused."""
        with QSignalBlocker(self.copies):
            self.copies.setCurrentIndex(self.copies.findData("never"))
        self.remove.hide()
        self.remove_copy.emit()

    def _choose_template(self) -> None:
        path = ask_open(self, tr("Choose a chat template"), filters=tr("Jinja templates (*.jinja *.jinja2 *.j2 *.txt)"))
        if path is not None:
            self.template.setEditText(str(path))
