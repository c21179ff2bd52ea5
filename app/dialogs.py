"""What dialogs share: a button that names the deed beside Cancel, and picking from a list by typing."""

from collections.abc import Callable, Iterable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.plain import ListItem, set_title, set_tooltip
from app.theme import make_primary
from errormap_core.sentences import Sentence, tr


class Dialog(QDialog):
    """A dialog that is gone when it is closed; Esc closes it."""

    def __init__(self, title: Sentence, parent: QWidget) -> None:
        super().__init__(parent)
        set_title(self, str(title))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 16, 16, 16)
        self.column.setSpacing(12)

    def add_buttons(self, deed: Sentence, act: Callable[[], object]) -> QPushButton:
        """The button that names the deed, beside Cancel; returns it."""
        buttons = QDialogButtonBox(self)
        button = buttons.addButton(str(deed), QDialogButtonBox.ButtonRole.AcceptRole)
        make_primary(button)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(act)
        buttons.rejected.connect(self.reject)
        self.column.addWidget(buttons)
        return button


class Picker(Dialog):
    """A field and the entries that fit what is typed; the arrows move in the list, Enter picks.

    `entries` gives (key, text, tip) for the words that were typed.
    """

    def __init__(
        self,
        title: Sentence,
        parent: QWidget,
        *,
        hint: Sentence,
        entries: Callable[[list[str]], Iterable[tuple[str, str, str]]],
        pick: Callable[[str], object],
    ) -> None:
        super().__init__(title, parent)
        self._entries = entries
        self._pick = pick
        self.field = QLineEdit(self)
        self.field.setPlaceholderText(str(hint))
        self.field.setAccessibleName(str(hint))
        self.list = QListWidget(self)
        self.list.setAccessibleName(str(tr("What fits")))
        self.column.addWidget(self.field)
        self.column.addWidget(self.list)
        self.resize(560, 420)
        self.field.textChanged.connect(self._fill)
        self.field.returnPressed.connect(self.choose)
        self.list.itemActivated.connect(lambda _: self.choose())
        self.field.installEventFilter(self)
        self._fill("")

    def _fill(self, text: str) -> None:
        self.list.clear()
        for key, shown, tip in self._entries(text.casefold().split()):
            item = ListItem(shown)
            set_tooltip(item, tip)
            item.setData(Qt.ItemDataRole.UserRole, key)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def choose(self) -> None:
        """Pick the entry that is marked, and close."""
        item = self.list.currentItem()
        if item is not None:
            key = item.data(Qt.ItemDataRole.UserRole)
            self.accept()
            self._pick(key)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and down move in the list while one types."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
            if step:
                self.list.setCurrentRow(max(0, min(self.list.count() - 1, self.list.currentRow() + step)))
                return True
        return super().eventFilter(watched, event)
