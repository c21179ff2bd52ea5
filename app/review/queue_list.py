"""The list of the queue: two lines a row, its kind and state above, what it is about below, its worth at the right."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.plain import one_line, tooltip
from app.review.deck import STATE_NAMES, kind_name, short_title, worth_text
from errormap_core.project.pending import ProposalRow
from errormap_core.sentences import tr

ROW_ROLE = Qt.ItemDataRole.UserRole

HEAD_ROLE = Qt.ItemDataRole.UserRole + 1

Index = QModelIndex | QPersistentModelIndex

_TOP = QModelIndex()


MOST_RUNS = 50
"""Where more pieces of the list than this come or go, they are put together first."""


def _same(before: Sequence[ProposalRow], after: Sequence[ProposalRow]) -> tuple[int, list[int]]:
    """How many rows both begin with, and the places of those of them that changed."""
    n, changed = 0, []
    for old, new in zip(before, after, strict=False):
        if old is not new:
            if old.id != new.id:
                break
            changed.append(n)
        n += 1
    return n, changed


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending places as pieces (first, last)."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1] = found[-1][0], place
        else:
            found.append((place, place))
    return found


class QueueModel(QAbstractListModel):
    """Rows in the order of the queue; follows what changes by insertions and removals."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ProposalRow] = []
        self._places: dict[str, int] | None = None
        self._edited: frozenset[str] = frozenset()

    def mark_edited(self, ids: frozenset[str]) -> None:
        """Show of these that something was changed on their cards that is not decided."""
        changed, self._edited = self._edited ^ ids, ids
        for place in sorted(self.place_of(proposal_id) for proposal_id in changed):
            if place >= 0:
                self.dataChanged.emit(self.index(place), self.index(place))

    def rows(self) -> list[ProposalRow]:
        return list(self._rows)

    def row(self, proposal_id: str) -> ProposalRow | None:
        """The row of a proposal; None where it is not shown."""
        place = self.place_of(proposal_id)
        return self._rows[place] if place >= 0 else None

    def place_of(self, proposal_id: str | None) -> int:
        """Its place; -1 where it is not shown."""
        if self._places is None:
            self._places = {row.id: place for place, row in enumerate(self._rows)}
        return self._places.get(proposal_id or "", -1)

    def follow(self, rows: Sequence[ProposalRow]) -> None:
        """Show these rows. What stays is neither taken away nor put in again, wherever it goes: it keeps being selected."""
        before = self._rows
        start, changed = _same(before, rows)
        n = min(len(before), len(rows)) - start
        end, more = _same(before[len(before) - n :][::-1], rows[len(rows) - n :][::-1])
        old, new = before[start : len(before) - end], rows[start : len(rows) - end]
        if old or new:
            self._change(start, old, new)
        changed += [len(rows) - 1 - place for place in more]
        there = {row.id: row for row in old}
        changed += [start + i for i, row in enumerate(new) if there.get(row.id, row) is not row]
        self._rows, self._places = list(rows), None
        runs = _runs(sorted(changed))
        if len(runs) > MOST_RUNS:
            runs = [(runs[0][0], runs[-1][1])]
        for first, last in runs:
            self.dataChanged.emit(self.index(first), self.index(last))

    def _change(self, start: int, old: Sequence[ProposalRow], new: Sequence[ProposalRow]) -> None:
        """Make `new` of the rows `old`, which begin at `start`."""
        wanted, there = {row.id for row in new}, {row.id for row in old}
        kept = [row for row in new if row.id in there]
        gone = _runs([start + i for i, row in enumerate(old) if row.id not in wanted])
        come = _runs([start + i for i, row in enumerate(new) if row.id not in there])
        if len(gone) + len(come) > MOST_RUNS:  # one piece each, which is quick in a long list, and then the order
            gone_ids = [row for row in old if row.id not in wanted]
            self._arrange([*self._rows[:start], *kept, *self._rows[start + len(old) :], *gone_ids])
            gone = [(len(self._rows) - len(gone_ids), len(self._rows) - 1)] if gone_ids else []
        for first, last in reversed(gone):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self._places = None
            self.endRemoveRows()
        self._arrange([*self._rows[:start], *kept, *self._rows[start + len(kept) :]])
        if len(come) > MOST_RUNS:
            n = len(self._rows)
            self.beginInsertRows(QModelIndex(), n, n + len(new) - len(kept) - 1)
            self._rows += [row for row in new if row.id not in there]
            self._places = None
            self.endInsertRows()
            self._arrange([*self._rows[:start], *new, *self._rows[start + len(kept) : n]])
            return
        for first, last in come:
            self.beginInsertRows(QModelIndex(), first, last)
            self._rows[first:first] = new[first - start : last - start + 1]
            self._places = None
            self.endInsertRows()

    def _arrange(self, rows: list[ProposalRow]) -> None:
        """Bring the same rows into this order."""
        if [row.id for row in self._rows] == [row.id for row in rows]:
            return
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        ids = [self._rows[index.row()].id for index in held]
        self._rows, self._places = rows, None
        self.changePersistentIndexList(held, [self.index(self.place_of(proposal_id)) for proposal_id in ids])
        self.layoutChanged.emit()

    def rowCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return one_line(short_title(row))
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.ToolTipRole:
            worth = tr("About {worth} failures would be in a better place.", worth=worth_text(row.worth))
            return tooltip(f"{row.title}\n{row.why or ''}\n{worth}".replace("\n\n", "\n"))
        if role == HEAD_ROLE:
            return head_text(row, is_edited=row.id in self._edited)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return one_line(f"{head_text(row, is_edited=row.id in self._edited)}: {short_title(row)}")
        return None


def head_text(row: ProposalRow, *, is_edited: bool = False) -> str:
    """'Merge · skipped': kind and state, and whether something was changed on its card."""
    kind = kind_name(row)
    if is_edited:
        kind = str(tr("✎ {kind} · edited", kind=kind))
    if row.state == "pending":
        return kind
    state = str(STATE_NAMES[row.state]).lower()
    if row.state == "done":
        state = str(tr("rejected") if row.verdict == "reject" else tr("accepted"))
    return f"{kind} · {state}"


def row_height(metrics: QFontMetrics) -> int:
    """Of two lines, in pixels."""
    return metrics.height() * 2 + 12


class QueueDelegate(QStyledItemDelegate):
    """Paints two lines."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, row_height(option.fontMetrics))

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
        head = metrics.elidedText(index.data(HEAD_ROLE), Qt.TextElideMode.ElideRight, inner.width() - width)
        painter.drawText(first, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), head)
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        second = QRect(inner.left(), inner.top() + line + 2, inner.width(), line)
        title = metrics.elidedText(one_line(short_title(row)), Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(second, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), title)
        painter.restore()


class QueueView(QTableView):
    """The list; Shift and Ctrl select several. A table of one column: a list lays all rows out again whenever one goes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(str(tr("Proposals")))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setItemDelegate(QueueDelegate(self))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.horizontalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._fit_rows()

    def _fit_rows(self) -> None:
        header, height = self.verticalHeader(), row_height(self.fontMetrics())
        header.setMinimumSectionSize(height)
        header.setDefaultSectionSize(height)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit_rows()

    def keyboardSearch(self, search: str) -> None:
        """Letters are commands here; they do not jump about in the list."""

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Home and End go to the ends of the list, not of a row."""
        model, n = self.model(), self.model().rowCount()
        if n and action == QAbstractItemView.CursorAction.MoveHome:
            return model.index(0, 0)
        if n and action == QAbstractItemView.CursorAction.MoveEnd:
            return model.index(n - 1, 0)
        return super().moveCursor(action, modifiers)

    def selected_rows(self) -> list[ProposalRow]:
        """What is selected, in the order of the list."""
        indexes = sorted(self.selectionModel().selectedIndexes(), key=lambda index: index.row())
        return [index.data(ROW_ROLE) for index in indexes]

    def go(self, place: int) -> None:
        """Select this row alone."""
        index = self.model().index(place, 0)
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.scrollTo(index)

    @contextlib.contextmanager
    def staying(self) -> Iterator[None]:
        """Leave what is looked at where it is on the screen while rows come and go: the current one where it is seen, else
        the first that is."""
        held = QPersistentModelIndex(self._looked_at())
        top = self.rowViewportPosition(held.row()) if held.isValid() else 0
        yield
        if held.isValid():
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + self.rowViewportPosition(held.row()) - top)

    def _looked_at(self) -> QModelIndex:
        current = self.currentIndex()
        if current.isValid() and self.viewport().rect().intersects(self.visualRect(current)):
            return current
        return self.indexAt(QPoint(0, 0))
