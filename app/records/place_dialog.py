"""Choosing a category by typing: for placing failures."""

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.tree import Tree


class PlaceDialog(QDialog):
    """A field and the categories that fit; Enter chooses."""

    chosen = Signal(str)

    def __init__(self, tree: Tree, *, n: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(str(trn("Where does this failure belong?", "Where do these {n:,} failures belong?", n)))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._paths = [(c.id, tree.path(c.id), c.description) for c in tree]
        self.field = QLineEdit(self)
        self.field.setPlaceholderText(str(tr("Type to find a category")))
        self.field.setAccessibleName(str(tr("Find a category")))
        self.list = QListWidget(self)
        self.list.setAccessibleName(str(tr("Categories that fit")))
        column = QVBoxLayout(self)
        column.addWidget(self.field)
        column.addWidget(self.list)
        self.resize(560, 420)
        self.field.textChanged.connect(self._fill)
        self.field.returnPressed.connect(self._choose)
        self.list.itemActivated.connect(lambda _: self._choose())
        self.field.installEventFilter(self)
        self._fill("")

    def _fill(self, text: str) -> None:
        self.list.clear()
        words = text.casefold().split()
        for category_id, path, description in self._paths:
            if all(word in path.casefold() for word in words):
                item = QListWidgetItem(path)
                item.setToolTip(description)
                item.setData(Qt.ItemDataRole.UserRole, category_id)
                self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.accept()
            self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and down move in the list while one types."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
            if step:
                self.list.setCurrentRow(max(0, min(self.list.count() - 1, self.list.currentRow() + step)))
                return True
        return super().eventFilter(watched, event)
