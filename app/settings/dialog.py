"""The settings, made from the table in errormap_core.settings: yours on one page, the project's on another."""

import json
from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLineEdit,
    QScrollArea,
    QTabWidget,
    QWidget,
)

from app.dialogs import Dialog
from app.fields import ChoiceField, DecimalField, WholeField
from app.plain import Label, literal, set_tooltip
from app.rescue.restore_dialog import FolderRow
from app.session import Session
from errormap_core.choosing import Choices
from errormap_core.errors import KnownError
from errormap_core.sentences import tr
from errormap_core.settings import SETTINGS, Setting
from errormap_core.taxonomy.operations import SetChoice

MOST = 2**31 - 1


class SettingsDialog(Dialog):
    """Two pages of fields; what was changed is saved, the project's by operations that can be undone."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(tr("Settings"), parent)
        self._session = session
        self.resize(680, 620)
        self._fields: dict[str, tuple[Setting, Any, Callable[[], Any]]] = {}
        tabs = QTabWidget(self)
        tabs.addTab(self._page("user"), str(tr("Yours")))
        if session.is_open:
            tabs.addTab(self._page("project"), str(tr("This project")))
        self.problem = Label(self)
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet(f"color: {session.theme.scheme.bad};")
        self.problem.hide()
        self.column.addWidget(tabs)
        self.column.addWidget(self.problem)
        self.add_buttons(tr("Save"), self.save)

    def _page(self, scope: str) -> QWidget:
        page = QWidget(self)
        form = QFormLayout(page)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        project = self._session.project
        for setting in SETTINGS:
            if setting.scope != scope or setting.hidden:
                continue
            value = self._session.settings[setting.key] if scope == "user" else project.setting(setting.key)  # type: ignore[union-attr]
            field, read = self._field(setting, value)
            set_tooltip(field, f"{setting.help}\n{setting.key}")
            field.setEnabled(scope == "user" or self._session.can_edit)
            form.addRow(literal(setting.title), field)
            self._fields[setting.key] = (
                setting,
                read(),
                read,
            )  # as the field shows it: what is not touched is not saved
            if setting.key == "backups.megabytes":
                form.addRow("", FolderRow(page))
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(page)
        return area

    def _field(self, setting: Setting, value: Any) -> tuple[QWidget, Callable[[], Any]]:
        match setting.kind:
            case "int":
                spin = WholeField(self)
                spin.setRange(int(setting.minimum or 0), int(setting.maximum or MOST))
                spin.setValue(value)
                return spin, spin.value
            case "float":
                number = DecimalField(self)
                number.setDecimals(6)
                number.setSingleStep(0.05)
                number.setRange(setting.minimum or 0.0, setting.maximum if setting.maximum is not None else 1e9)
                number.setValue(value)
                return number, number.value
            case "choice":
                combo = ChoiceField(self)
                combo.addItems(list(setting.choices))
                combo.setCurrentText(value)
                return combo, combo.currentText
            case "flag":
                box = QCheckBox(self)
                box.setChecked(value)
                return box, box.isChecked
            case "names":
                names = QLineEdit(", ".join(value or ()), self)
                return names, lambda: [n.strip() for n in names.text().split(",") if n.strip()] or setting.default
            case "json":
                text = QLineEdit(json.dumps(value), self)
                return text, lambda: json.loads(text.text())
            case _:
                line = QLineEdit(value, self)
                line.setPlaceholderText(setting.help)
                return line, line.text

    def save(self) -> None:
        """Save what was changed; where a value is refused that is told here, nothing is saved, and the dialog stays."""
        try:
            yours: dict[str, Any] = {}
            of_project: dict[str, Any] = {}
            for setting, before, read in self._fields.values():
                value = read()
                same = (
                    list(value) == list(before)
                    if isinstance(before, list | tuple) and value is not None
                    else value == before
                )
                if not same:
                    (yours if setting.scope == "user" else of_project)[setting.key] = setting.check(value)
            if of_project:
                project = self._session.project
                assert project is not None
                Choices(of_project).check(project)
            if yours:
                self._session.settings.update(yours)
            for key, value in of_project.items():
                self._session.take(SetChoice(key=key, value=value))
        except KnownError as error:
            self.problem.setText(str(error))
            self.problem.show()
            return
        self.accept()
