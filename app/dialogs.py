"""What dialogs share: a button that names the deed beside Cancel, and picking from a list by typing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.plain import Label, ListItem, set_title, set_tooltip
from app.text_drafts import TextDrafts
from app.theme import make_primary
from errormap_core.sentences import Sentence, tr

Field = tuple[Callable[[], Any], Callable[[Any], object]]
"""How a value of a dialog is read and set again."""


class Dialog(QDialog):
    """A dialog that is gone when it is closed. Esc closes it, Ctrl+Enter does what its button says."""

    def __init__(self, title: Sentence, parent: QWidget) -> None:
        super().__init__(parent)
        self._button: QPushButton | None = None
        self._drafted: _Drafted | None = None
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
        self._button = button
        return button

    def keep_draft(self, drafts: TextDrafts, key: str, fields: Mapping[str, Field], *, is_lasting: bool = True) -> None:
        """Show what was written here before and not saved; keep what is written now where it is closed without saving.

        To be called when the fields are filled. With `is_lasting` False it is kept while the project is open.
        """
        self._drafted = _Drafted(drafts, key, fields, self._values(fields), is_lasting)
        draft = drafts.get(key)
        if draft is None:
            return
        for name, (_, write) in fields.items():
            if name in draft:
                write(draft[name])
        said = Label(str(tr("This is your draft; it is not saved yet.")), self)
        discard = QPushButton(str(tr("Discard the draft")), self)
        discard.setAutoDefault(False)
        discard.clicked.connect(self._discard)
        self._draft_row = QWidget(self)
        row = QHBoxLayout(self._draft_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(said, 1)
        row.addWidget(discard)
        self.column.insertWidget(0, self._draft_row)

    @staticmethod
    def _values(fields: Mapping[str, Field]) -> dict[str, Any]:
        return {name: read() for name, (read, _) in fields.items()}

    def _discard(self) -> None:
        """Show what is saved."""
        assert self._drafted is not None
        self._drafted.drafts.drop(self._drafted.key)
        for name, (_, write) in self._drafted.fields.items():
            write(self._drafted.first[name])
        self._draft_row.hide()

    def done(self, result: int) -> None:
        """Closed: what was written becomes a draft, unless it was saved, or is what was there before."""
        drafted, self._drafted = self._drafted, None
        if drafted is not None:
            values = self._values(drafted.fields)
            if result == QDialog.DialogCode.Accepted or values == drafted.first:
                drafted.drafts.drop(drafted.key)
            else:
                drafted.drafts.keep(drafted.key, values, is_lasting=drafted.is_lasting)
        super().done(result)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier and self._button is not None:
            self._button.click()
            return
        super().keyPressEvent(event)


@dataclass(frozen=True, slots=True)
class _Drafted:
    """What a dialog keeps drafts of; `first` are the values that it was opened with."""

    drafts: TextDrafts
    key: str
    fields: Mapping[str, Field]
    first: dict[str, Any]
    is_lasting: bool


def written_in(field: QLineEdit | QPlainTextEdit) -> Field:
    """How the text of a field is read and set."""
    if isinstance(field, QLineEdit):
        return field.text, field.setText
    return field.toPlainText, field.setPlainText


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
