"""The backups of a project, to put one back: over the project, or under another name."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QWidget,
)

from app.dialogs import Dialog
from app.plain import Label, TableItem, set_tooltip, words
from errormap_core.project.backup_folder import Backup, all_backups, backups_folder, shown_size, shown_time
from errormap_core.sentences import Sentence, tr, trn


class RestoreDialog(Dialog):
    """Chooses a backup; `restore` is called with it, and whether it goes over the project."""

    def __init__(
        self, path: Path, found: list[Backup], restore: Callable[[Backup, bool], object], parent: QWidget
    ) -> None:
        super().__init__(tr("Restore a backup"), parent)
        self._found = found
        self._restore = restore
        head = Label(
            str(
                trn("There is {n:,} backup of {name}.", "There are {n:,} backups of {name}.", len(found), name=path.name)
                if found
                else tr("There is no backup of {name} yet. One is made when a changed project is closed.", name=path.name)
            )
        )  # fmt: skip
        head.setWordWrap(True)
        self.column.addWidget(head)
        self.table = QTableWidget(len(found), 3, self)
        self.table.setHorizontalHeaderLabels([str(tr("Made")), str(tr("Size")), str(tr("Of"))])
        self.table.setAccessibleName(str(tr("Backups, the newest first")))
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        for row, backup in enumerate(found):
            for column, text in enumerate((shown_time(backup.made_at), shown_size(backup.size), backup.owner.path)):
                item = TableItem(text)
                set_tooltip(item, str(backup.path))
                self.table.setItem(row, column, item)
        self.table.resizeColumnsToContents()
        if found:
            self.table.selectRow(0)
        self.table.setVisible(bool(found))
        self.column.addWidget(self.table, 1)
        note = Label(
            str(tr("What is in the project now stays beside it under another name. It can be opened like any project."))
        )
        note.setWordWrap(True)
        note.setVisible(bool(found))
        self.column.addWidget(note)
        self.restore_button = self.add_buttons(tr("Restore"), lambda: self._choose(True))
        self.restore_as_button = QPushButton(words(tr("Restore as…")))
        self.folder_button = QPushButton(words(tr("Show the folder")))
        buttons = self.findChild(QDialogButtonBox)
        assert buttons is not None
        buttons.addButton(self.restore_as_button, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.folder_button, QDialogButtonBox.ButtonRole.ResetRole)
        self.restore_as_button.clicked.connect(lambda: self._choose(False))
        self.folder_button.clicked.connect(show_folder)
        for button in (self.restore_button, self.restore_as_button):
            button.setEnabled(bool(found))
        self.resize(640, 380 if found else 160)

    def _choose(self, over: bool) -> None:
        row = self.table.currentRow()
        if 0 <= row < len(self._found):
            backup = self._found[row]
            self.accept()
            self._restore(backup, over)


class FolderRow(QWidget):
    """How large the folder of backups is, with a button that shows it: a row of the settings."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.label = Label(str(_total()))
        self.button = QPushButton(words(tr("Show the folder")), self)
        self.button.clicked.connect(show_folder)
        set_tooltip(self.button, str(backups_folder()))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.button)


def _total() -> Sentence:
    try:
        found = all_backups()
    except OSError as error:
        return tr("The folder of backups cannot be read ({reason}).", reason=error.strerror)
    size = shown_size(sum(backup.size for backup in found))
    return trn("{n:,} backup, {size}", "{n:,} backups, {size}", len(found), size=size)


def show_folder() -> None:
    """Show the folder of backups in the system's file manager."""
    folder = backups_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
