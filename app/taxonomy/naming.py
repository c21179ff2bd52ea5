"""Names edited in place: what the core would refuse is said beside the field, which stays open until it is mended."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QPalette, QValidator
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.commands import BY_ID
from app.keys import KeyMap
from app.plain import Label
from errormap_core.errors import KnownError
from errormap_core.sentences import tr

MERGE = "taxonomy.merge"

Check = Callable[[str | None, str], KnownError | None]
"""Asks why a category (None: one that is added) cannot have a name; None: it can."""

Taken = Callable[[str | None, str], str | None]
"""Id of the category that has the name already and could be merged with the one that is renamed."""


class NameValidator(QValidator):
    """Lets any text be typed, and only what the core accepts be entered."""

    def __init__(self, check: Callable[[str], KnownError | None], parent: QObject) -> None:
        super().__init__(parent)
        self._check = check

    def validate(self, text: str, place: int) -> tuple[QValidator.State, str, int]:
        state = QValidator.State.Acceptable if self._check(text) is None else QValidator.State.Intermediate
        return state, text, place


class NameNote(QFrame):
    """What is wrong with a name, below its field, with the way out that is at hand."""

    merge = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.Box)
        self.setBackgroundRole(QPalette.ColorRole.ToolTipBase)
        self.label = Label(self)
        self.label.setWordWrap(True)
        self.button = QToolButton(self)
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the field must not lose the focus, which would close it
        self.button.clicked.connect(self.merge)
        self._room = parent
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(8, 4, 8, 4)
        self._column.setSpacing(4)
        self._column.addWidget(self.label)
        self._column.addWidget(self.button)
        self.hide()

    def say(self, text: str, below: QRect, *, can_merge: bool) -> None:
        """Show `text` below the field, or above it where there is no room."""
        self.label.setText(f"⚠  {text}")
        self.setAccessibleName(text)
        self.button.setVisible(can_merge)
        room = self._room.rect()
        width = max(below.width(), min(260, room.width() - 8))
        height = self._column.totalHeightForWidth(width)
        top = below.bottom() + 2
        if top + height > room.height():
            top = max(0, below.top() - height - 2)
        self.setGeometry(max(0, min(below.left(), room.width() - width)), top, width, height)
        self.show()
        self.raise_()


class NameDelegate(QStyledItemDelegate):
    """The editor of names in the tree."""

    merge_wanted = Signal(str, str)  # the category that is renamed, the one that has the name
    closed = Signal()

    def __init__(self, view: QAbstractItemView, keys: KeyMap, *, check: Check, taken: Taken, id_role: int) -> None:
        super().__init__(view)
        self._view, self._check, self._taken, self._id_role = view, check, taken, id_role
        self._keys = keys
        self._editor: QLineEdit | None = None
        self._key: str | None = None
        self.note = NameNote(view.viewport())
        self.note.merge.connect(self._merge)
        keys.follow(self._say_keys)
        self.closeEditor.connect(lambda *_: self._on_closed())

    def createEditor(
        self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QWidget:
        editor = QLineEdit(parent)
        editor.setFrame(False)
        editor.setAccessibleName(str(tr("Name of the category")))
        editor.setPlaceholderText(str(tr("Its name, about five words")))
        self._editor, self._key = editor, index.data(self._id_role)
        editor.setValidator(NameValidator(lambda text: self._check(self._key, text), editor))
        editor.textEdited.connect(lambda _: self._say())
        return editor

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """A name may be longer than its column: the field covers the numbers beside it."""
        super().updateEditorGeometry(editor, option, index)
        place = editor.geometry()
        place.setRight(max(place.right(), self._view.viewport().width() - 4))
        editor.setGeometry(place)

    def _say(self) -> None:
        editor = self._editor
        if editor is None:
            return
        error = self._check(self._key, editor.text())
        if error is None:
            self.note.hide()
        else:
            can_merge = self._taken(self._key, editor.text()) is not None
            self.note.say(str(error), editor.geometry(), can_merge=can_merge)

    def eventFilter(self, editor: QObject, event: QEvent) -> bool:
        """Enter on a name that is refused says why; the key of merging merges with the category that has it."""
        if editor is self._editor and event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._say()
            elif QKeySequence(event.keyCombination()) in self._merge_keys():
                self._merge()
                return True
        return super().eventFilter(editor, event)

    def _merge_keys(self) -> list[QKeySequence]:
        """Keys of merging that are no text: single letters are typed into the field."""
        names = [key for key in self._keys.of(BY_ID[MERGE]) if key.startswith(("Ctrl+", "Alt+", "Meta+"))]
        return [QKeySequence(key) for key in names]

    def _say_keys(self) -> None:
        title = tr("Merge the two…")
        self.note.button.setText(self._keys.titled(title, MERGE) if self._merge_keys() else str(title))

    def _merge(self) -> None:
        editor = self._editor
        if editor is None:
            return
        renamed, other = self._key, self._taken(self._key, editor.text())
        if renamed is not None and other is not None:
            self.closeEditor.emit(editor, QStyledItemDelegate.EndEditHint.RevertModelCache)
            QTimer.singleShot(0, self, lambda: self.merge_wanted.emit(renamed, other))

    def _on_closed(self) -> None:
        self._editor = None
        self.note.hide()
        QTimer.singleShot(0, self, self.closed.emit)  # the view has let go of the editor by then
