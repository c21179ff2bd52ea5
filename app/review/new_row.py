"""The row in which a new category is named on a question: its name, where it stands, and the button."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

from app.fields import ChoiceField
from app.review.parts import keep_space
from errormap_core.sentences import tr
from errormap_core.taxonomy.tree import Tree


class EntryField(QLineEdit):
    """A field that takes Enter and Esc for itself, though the page has commands on them."""

    def __init__(self, parent: QWidget, *, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        super().__init__(parent)
        self._enter, self._leave = enter, leave

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                (self._leave if event.key() == Qt.Key.Key_Escape else self._enter)()
                return True
        return super().event(event)


class NewRow(QWidget):
    """`entered`: the category is to be made; `left`: the field is done with, what was typed stays; `edited`: it changed."""

    entered = Signal()
    left = Signal()
    edited = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.name = EntryField(self, enter=self.entered.emit, leave=self.left.emit)
        self.name.setPlaceholderText(str(tr("Name of the new category, about five words")))
        self.name.setAccessibleName(str(tr("Name of the new category")))
        self.name.textEdited.connect(lambda _: self.edited.emit())
        self.place = ChoiceField(self)
        self.place.setAccessibleName(str(tr("Where the new category stands")))
        self.place.setSizeAdjustPolicy(ChoiceField.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.place.setMinimumContentsLength(14)
        self.place.activated.connect(lambda _: self.edited.emit())
        add = QPushButton(str(tr("Place there  ⏎")), self)
        add.clicked.connect(lambda _=False: self.entered.emit())
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.name, 1)
        line.addWidget(self.place)
        line.addWidget(add)
        keep_space(self, [self.place, add], enter=self.entered.emit)
        self.hide()

    @property
    def parent_id(self) -> str | None:
        """Id of the category that the new one stands below; None at the top."""
        return self.place.currentData() or None

    def open(self, tree: Tree, *, name: str = "", parent_id: str | None = None) -> bool:
        """Show the row with the places that there are; whether `parent_id` is one of them."""
        self.place.clear()
        self.place.addItem(str(tr("at the top")), "")
        for category in tree:
            if category.reserved != "hard":
                self.place.addItem(str(tr("below {path}", path=tree.place(category.id))), category.id)
        self.name.setText(name)
        at = self.place.findData(parent_id or "")
        self.place.setCurrentIndex(max(0, at))
        self.show()
        return at >= 0

    def fold(self) -> None:
        """Hide it, and drop what was typed."""
        self.name.clear()
        self.hide()
