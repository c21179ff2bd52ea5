"""The tree as it is seen: filter and sorting are views of the model; a drop moves, with Ctrl it merges."""

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QItemSelectionRange,
    QMimeData,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractItemView, QTreeView, QWidget

from app.taxonomy.tree_model import DRAFT, ID_ROLE, SORT_ROLE, TreeModel, dragged_ids


class Filtered(QSortFilterProxyModel):
    """Categories whose name or description holds the text, with what is above them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSortRole(SORT_ROLE)
        self._text = ""
        self._accepted: frozenset[str] = frozenset()

    def look_for(self, text: str) -> None:
        """Show what says the text; to be called again when categories have changed.

        What is found is worked out here at once, and shown as a new tree: Qt's own way goes through all that lies below each
        category, and through all above each. Whoever calls this opens and selects again what was.
        """
        self.beginResetModel()
        self._text = text.casefold().strip()
        self._accepted = self._found() if self._text else frozenset()
        self.invalidate()
        self.endResetModel()

    def _found(self) -> frozenset[str]:
        model = self.sourceModel()
        assert isinstance(model, TreeModel)
        found: set[str] = set()
        for category_id in model.ids():
            if category_id not in found and self._text in model.searched(category_id):
                at: str | None = category_id
                while at is not None and at not in found:
                    found.add(at)
                    at = model.above(at)
        return frozenset(found)

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:  # type: ignore[override]
        if not self._text:
            return True
        model = self.sourceModel()
        assert isinstance(model, TreeModel)
        category_id = model.child_id(row, parent)
        return category_id == DRAFT or category_id in self._accepted

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

    def selectAll(self) -> None:
        """All that can be seen, a range for all below one parent: Qt's own way compares every range with every other."""
        model, chosen, waiting = self.model(), QItemSelection(), [QModelIndex()]
        while waiting:
            parent = waiting.pop()
            n = model.rowCount(parent)
            if n:
                last = model.index(n - 1, model.columnCount() - 1, parent)
                chosen.append(QItemSelectionRange(model.index(0, 0, parent), last))
            rows = (model.index(row, 0, parent) for row in range(n))
            waiting.extend(row for row in rows if self.isExpanded(row))
        self.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)

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
