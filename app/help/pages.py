"""The page of keys, made from the table of commands, where they can be changed; and what the program is."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QHBoxLayout,
    QKeySequenceEdit,
    QPushButton,
    QTableWidget,
    QWidget,
)

import errormap_core
from app.commands import COMMANDS, MENUS, Command
from app.dialogs import Dialog
from app.plain import Label, TableItem, set_tooltip
from errormap_core.errors import KnownError
from errormap_core.sentences import tr

if TYPE_CHECKING:
    from app.window import Window


class _Page(Dialog):
    """A dialog that is read and closed."""

    def finish(self) -> None:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        buttons.button(QDialogButtonBox.StandardButton.Close).setAutoDefault(False)
        self.column.addWidget(buttons)


class KeysDialog(_Page):
    """All commands with their keys; the chosen one's can be changed below."""

    def __init__(self, window: "Window") -> None:
        super().__init__(tr("Keys"), window)
        self._keys = window.session.keys
        self.table = QTableWidget(len(COMMANDS), 3, self)
        self.table.setAccessibleName(str(tr("Commands and their keys")))
        self.table.setHorizontalHeaderLabels([str(tr("Key")), str(tr("Command")), str(tr("What it does"))])
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.field = QKeySequenceEdit(self)
        self.field.setAccessibleName(str(tr("New key of the chosen command")))
        self.field.setClearButtonEnabled(True)
        self.use = QPushButton(str(tr("&Use this key")), self)
        self.none = QPushButton(str(tr("&No key")), self)
        self.again = QPushButton(str(tr("As it &was")), self)
        set_tooltip(self.again, str(tr("Give the chosen command the keys that it has from the start")))
        label = Label(str(tr("New &key:")), self)
        label.setBuddy(self.field)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.field, 1)
        for button in (self.use, self.none, self.again):
            button.setAutoDefault(False)
            row.addWidget(button)
        self.problem = Label(self)
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet(f"color: {window.theme.scheme.bad};")
        self.problem.hide()
        self._fill()
        for column in (0, 1):
            self.table.resizeColumnToContents(column)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.column.addWidget(self.table, 1)
        self.column.addLayout(row)
        self.column.addWidget(self.problem)
        self.finish()
        self.resize(900, 640)
        self.use.clicked.connect(lambda _=False: self._change((_portable(self.field),)))
        self.none.clicked.connect(lambda _=False: self._change(()))
        self.again.clicked.connect(lambda _=False: self._change(self._chosen().keys))
        self.table.currentCellChanged.connect(lambda *_: self._on_chosen())
        self.field.keySequenceChanged.connect(lambda _: self._enable())
        self._keys.changed.connect(self._fill)
        self.table.selectRow(0)
        self._on_chosen()

    def _fill(self) -> None:
        for row, command in enumerate(COMMANDS):
            keys = self._keys.all_text(command).replace(", ", "   ")
            menu = str(MENUS[command.menu]).replace("&", "") if command.menu else ""
            own = str(tr("{keys} · yours", keys=keys or "–")) if self._keys.is_own(command) else keys
            title = str(command.title).replace("&", "")
            for column, text in enumerate((own, f"{menu}: {title}", str(command.tip))):
                item = TableItem(text)
                set_tooltip(item, text)
                self.table.setItem(row, column, item)

    def choose(self, command_id: str) -> None:
        """Choose a command in the table."""
        self.table.selectRow(next(row for row, command in enumerate(COMMANDS) if command.id == command_id))

    def _chosen(self) -> Command:
        return COMMANDS[max(0, self.table.currentRow())]

    def _on_chosen(self) -> None:
        self.field.clear()
        self.problem.hide()
        self._enable()

    def _enable(self) -> None:
        command = self._chosen()
        self.use.setEnabled(not self.field.keySequence().isEmpty())
        self.none.setEnabled(bool(self._keys.of(command)))
        self.again.setEnabled(self._keys.is_own(command))

    def _change(self, keys: tuple[str, ...]) -> None:
        """Give the chosen command these keys, or say beside the field why not."""
        try:
            self._keys.change(self._chosen(), keys)
        except KnownError as error:
            self.problem.setText(f"⚠  {error}")
            self.problem.show()
            return
        self._on_chosen()


def _portable(field: QKeySequenceEdit) -> str:
    return field.keySequence().toString(QKeySequence.SequenceFormat.PortableText)


class AboutDialog(_Page):
    """Name, version, licence, where data lives."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(tr("About"), parent)
        text = tr(
            "ErrorMap Studio {version}\n\nApache License 2.0. The licences of what it is built on are in "
            "THIRD_PARTY_LICENSES.md.\n\nProjects are files of yours; nothing leaves this machine.",
            version=errormap_core.__version__,
        )
        label = Label(str(text), self)
        label.setWordWrap(True)
        label.setMinimumWidth(420)
        self.column.addWidget(label)
        self.finish()
