"""The page of keys, made from the table of commands, and what the program is."""

from PySide6.QtWidgets import QDialogButtonBox, QLabel, QTableWidget, QTableWidgetItem, QWidget

import errormap_core
from app.commands import COMMANDS, MENUS
from app.dialogs import Dialog
from errormap_core.sentences import tr


class _Page(Dialog):
    """A dialog that is read and closed."""

    def finish(self) -> None:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        self.column.addWidget(buttons)


class KeysDialog(_Page):
    """All commands with their keys."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(tr("Keys"), parent)
        with_keys = [c for c in COMMANDS if c.keys]
        self.table = QTableWidget(len(with_keys), 3, self)
        self.table.setAccessibleName(str(tr("Commands and their keys")))
        self.table.setHorizontalHeaderLabels([str(tr("Key")), str(tr("Command")), str(tr("What it does"))])
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        for row, command in enumerate(with_keys):
            keys = "   ".join(s.toString(s.SequenceFormat.NativeText) for s in command.shortcuts())
            menu = str(MENUS[command.menu]).replace("&", "") if command.menu else ""
            title = str(command.title).replace("&", "")
            for column, text in enumerate((keys, f"{menu}: {title}", str(command.tip))):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        self.table.horizontalHeader().setStretchLastSection(True)
        self.column.addWidget(self.table)
        self.finish()
        self.resize(900, 640)


class AboutDialog(_Page):
    """Name, version, licence, where data lives."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(tr("About"), parent)
        text = tr(
            "ErrorMap Studio {version}\n\nApache License 2.0. The licences of what it is built on are in "
            "THIRD_PARTY_LICENSES.md.\n\nProjects are files of yours; nothing leaves this machine.",
            version=errormap_core.__version__,
        )
        label = QLabel(str(text), self)
        label.setWordWrap(True)
        label.setMinimumWidth(420)
        self.column.addWidget(label)
        self.finish()
