"""The palette: type a few letters of a command, press Enter."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout

from app.commands import COMMANDS, MENUS, Command
from errormap_core.sentences import tr

if TYPE_CHECKING:
    from app.window import Window


def matches(command: Command, words: list[str]) -> bool:
    """Every word stands somewhere in menu, title or tip."""
    menu = str(MENUS.get(command.menu, ""))
    text = f"{menu} {command.title} {command.tip}".replace("&", "").casefold()
    return all(word in text for word in words)


class Palette(QDialog):
    """A field and the commands that fit what is typed; those that cannot be done now are left out."""

    def __init__(self, window: "Window") -> None:
        super().__init__(window)
        self._window = window
        self.setWindowTitle(str(tr("Commands")))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.field = QLineEdit(self)
        self.field.setPlaceholderText(str(tr("Type to find a command")))
        self.field.setAccessibleName(str(tr("Find a command")))
        self.list = QListWidget(self)
        self.list.setAccessibleName(str(tr("Commands that fit")))
        column = QVBoxLayout(self)
        column.addWidget(self.field)
        column.addWidget(self.list)
        self.resize(560, 420)
        self.field.textChanged.connect(self._fill)
        self.field.returnPressed.connect(self._do)
        self.list.itemActivated.connect(lambda _: self._do())
        self.field.installEventFilter(self)
        self._fill("")

    def _fill(self, text: str) -> None:
        self.list.clear()
        context = self._window.context()
        words = text.casefold().split()
        for command in COMMANDS:
            if command.id == "help.palette" or not command.when(context) or not matches(command, words):
                continue
            keys = ", ".join(s.toString(QKeySequence.SequenceFormat.NativeText) for s in command.shortcuts())
            title = str(command.title).replace("&", "")
            item = QListWidgetItem(f"{title}    {keys}" if keys else title)
            item.setToolTip(str(command.tip))
            item.setData(Qt.ItemDataRole.UserRole, command.id)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _do(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.accept()
            self._window.do(item.data(Qt.ItemDataRole.UserRole))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and down move in the list while one types."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
            if step:
                row = max(0, min(self.list.count() - 1, self.list.currentRow() + step))
                self.list.setCurrentRow(row)
                return True
        return super().eventFilter(watched, event)
