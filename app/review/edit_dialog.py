"""Changing a proposal before it is accepted: its name, its description, which of its failures go along."""

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QWidget,
)

from app.dialogs import Dialog
from errormap_core.project.proposing import ProposalRow
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.operations import Ruling


class EditDialog(Dialog):
    """Name, description and check boxes; accepting sends the ruling."""

    decided = Signal(object)  # Ruling

    def __init__(self, row: ProposalRow, titles: Mapping[str, str], *, parent: QWidget) -> None:
        super().__init__(tr("Edit and accept"), parent)
        self._row = row
        self.name = QLineEdit(row.name, self)
        self.description = QPlainTextEdit(row.description, self)
        self.description.setTabChangesFocus(True)
        self.description.setMaximumHeight(90)
        self.members = QListWidget(self)
        self.members.setAccessibleName(str(tr("Failures that go along")))
        for record_id, title in titles.items():
            item = QListWidgetItem(title)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            item.setData(Qt.ItemDataRole.UserRole, record_id)
            self.members.addItem(item)
        self._count = QLabel(self)
        form = QFormLayout()
        if not row.is_placing:
            form.addRow(str(tr("&Name")), self.name)
            form.addRow(str(tr("&Description")), self.description)
        else:
            self.name.hide()
            self.description.hide()
        self.column.addLayout(form)
        self.column.addWidget(self._count)
        self.column.addWidget(self.members, 1)
        self.ok = self.add_buttons(tr("Accept"), self._accept)
        self.resize(560, 520)
        self.members.itemChanged.connect(lambda _: self._say())
        self._say()
        self.name.selectAll()

    def _left_out(self) -> tuple[str, ...]:
        items = (self.members.item(i) for i in range(self.members.count()))
        return tuple(
            item.data(Qt.ItemDataRole.UserRole) for item in items if item.checkState() == Qt.CheckState.Unchecked
        )

    def _say(self) -> None:
        n = self.members.count() - len(self._left_out())
        self._count.setText(str(trn("{n:,} failure goes along", "{n:,} failures go along", n)))

    def _accept(self) -> None:
        place = self._row.is_placing
        ruling = Ruling(
            proposal_id=self._row.id,
            verdict="edit",
            name=None if place else self.name.text(),
            description=None if place else self.description.toPlainText(),
            without=self._left_out(),
        )
        self.accept()
        self.decided.emit(ruling)
