"""The tree as it is seen: filter and sorting are views of the model; a drop moves, with Ctrl it merges."""

from PySide6.QtCore import QMimeData, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractItemView, QTreeView, QWidget

from app.taxonomy.tree_model import ID_ROLE, SORT_ROLE, TEXT_ROLE, dragged_ids


class Filtered(QSortFilterProxyModel):
    """Categories whose name or description holds the text, with what is above them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRecursiveFilteringEnabled(True)
        self.setSortRole(SORT_ROLE)
        self._text = ""

    def look_for(self, text: str) -> None:
        self.beginFilterChange()
        self._text = text.casefold().strip()
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:  # type: ignore[override]
        if not self._text:
            return True
        model = self.sourceModel()
        index = model.index(row, 0, parent)
        if model.data(index, ID_ROLE) is None:
            return True  # a category that is being named
        return self._text in (model.data(index, TEXT_ROLE) or "")

    def is_in_tree_order(self) -> bool:
        return self.sortColumn() < 0

    def canDropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: QModelIndex | QPersistentModelIndex
    ) -> bool:
        return super().canDropMimeData(data, action, *self._place(row, column), parent)

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: QModelIndex | QPersistentModelIndex
    ) -> bool:
        return super().dropMimeData(data, action, *self._place(row, column), parent)

    def _place(self, row: int, column: int) -> tuple[int, int]:
        """Between two rows is a place only in the order of the tree; sorted otherwise, the parent alone counts."""
        return (row, column) if row >= 0 and self.is_in_tree_order() else (-1, -1)


class CategoryView(QTreeView):
    """A tree that takes categories (move; with Ctrl merge) and failures (place)."""

    merge_dropped = Signal(list, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setUniformRowHeights(True)
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDropIndicatorShown(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setAutoScroll(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setExpandsOnDoubleClick(True)
        self.setAllColumnsShowFocus(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)

    def dropEvent(self, event: QDropEvent) -> None:
        """With Ctrl held on a category, dropped categories are merged with it, which is shown first."""
        ids = dragged_ids(event.mimeData())
        target = self.indexAt(event.position().toPoint())
        if ids and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.setDropAction(Qt.DropAction.IgnoreAction)
            event.accept()
            is_on = self.dropIndicatorPosition() == QAbstractItemView.DropIndicatorPosition.OnItem
            self.stopAutoScroll()
            self.setState(QAbstractItemView.State.NoState)
            self.viewport().update()
            if target.isValid() and is_on and ids != [target.data(ID_ROLE)]:
                self.merge_dropped.emit(ids, target.data(ID_ROLE))
            return
        super().dropEvent(event)
