"""The list of the queue: two lines a row, its kind and state above, what it is about below, its worth at the right."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.review.deck import STATE_NAMES, kind_name, short_title, worth_text
from errormap_core.project.pending import ProposalRow
from errormap_core.sentences import tr

ROW_ROLE = Qt.ItemDataRole.UserRole

Index = QModelIndex | QPersistentModelIndex

_TOP = QModelIndex()


class QueueModel(QAbstractListModel):
    """Rows in the order of the queue; follows what changes by insertions and removals."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ProposalRow] = []

    def rows(self) -> list[ProposalRow]:
        return list(self._rows)

    def place_of(self, proposal_id: str | None) -> int:
        """Its place; -1 where it is not shown."""
        return next((place for place, row in enumerate(self._rows) if row.id == proposal_id), -1)

    def follow(self, rows: Sequence[ProposalRow]) -> None:
        """Show these rows. Those that stay keep their place where the order allows it."""
        wanted = {row.id for row in rows}
        for place in range(len(self._rows) - 1, -1, -1):
            if self._rows[place].id not in wanted:
                self.beginRemoveRows(QModelIndex(), place, place)
                self._rows.pop(place)
                self.endRemoveRows()
        kept = {row.id for row in self._rows}
        if [row.id for row in self._rows] != [row.id for row in rows if row.id in kept]:
            self.beginResetModel()
            self._rows = list(rows)
            self.endResetModel()
            return
        for place, row in enumerate(rows):
            if row.id not in kept:
                self.beginInsertRows(QModelIndex(), place, place)
                self._rows.insert(place, row)
                self.endInsertRows()
            elif self._rows[place] != row:
                self._rows[place] = row
                self.dataChanged.emit(self.index(place), self.index(place))

    def rowCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return short_title(row)
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.ToolTipRole:
            worth = tr("About {worth} failures would be in a better place.", worth=worth_text(row.worth))
            return f"{row.title}\n{row.why or ''}\n{worth}".replace("\n\n", "\n")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{head_text(row)}: {short_title(row)}"
        return None


def head_text(row: ProposalRow) -> str:
    """'Merge · skipped': kind and state."""
    kind = kind_name(row)
    if row.state == "pending":
        return kind
    state = str(STATE_NAMES[row.state]).lower()
    if row.state == "done":
        state = str(tr("rejected") if row.verdict == "reject" else tr("accepted"))
    return f"{kind} · {state}"


class QueueDelegate(QStyledItemDelegate):
    """Paints two lines."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, option.fontMetrics.height() * 2 + 12)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: ProposalRow = index.data(ROW_ROLE)
        palette: QPalette = option.palette
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        metrics = option.fontMetrics
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, palette.color(QPalette.ColorRole.Highlight))
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(palette.color(QPalette.ColorRole.Accent))
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
        inner = rect.adjusted(10, 5, -10, -5)
        line = metrics.height()
        worth = worth_text(row.worth)
        width = metrics.horizontalAdvance(worth) + 8
        painter.setFont(option.font)
        painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
        first = QRect(inner.left(), inner.top(), inner.width(), line)
        painter.drawText(first, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), worth)
        head = metrics.elidedText(head_text(row), Qt.TextElideMode.ElideRight, inner.width() - width)
        painter.drawText(first, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), head)
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        second = QRect(inner.left(), inner.top() + line + 2, inner.width(), line)
        title = metrics.elidedText(short_title(row), Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(second, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), title)
        painter.restore()


class QueueView(QListView):
    """The list; Shift and Ctrl select several."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(str(tr("Proposals")))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setItemDelegate(QueueDelegate(self))
        self.setUniformItemSizes(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)

    def keyboardSearch(self, search: str) -> None:
        """Letters are commands here; they do not jump about in the list."""

    def selected_rows(self) -> list[ProposalRow]:
        """What is selected, in the order of the list."""
        indexes = sorted(self.selectionModel().selectedIndexes(), key=lambda index: index.row())
        return [index.data(ROW_ROLE) for index in indexes]

    def go(self, place: int) -> None:
        """Select this row alone."""
        index = self.model().index(place, 0)
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.scrollTo(index)
