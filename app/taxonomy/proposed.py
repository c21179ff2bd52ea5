"""Proposals that wait, below the tree and outside its totals: shown as such, decided on the page of proposals.

The model is told what is pending after a change and follows by insertions and removals.
"""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont, QIcon
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QToolButton, QTreeView, QVBoxLayout, QWidget

from app.icons import icon
from app.plain import one_line, set_tooltip, tooltip
from app.queue_reading import Reading
from app.session import Session
from errormap_core.project.pending import ProposalRow
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.edits import Change, Edit
from errormap_core.taxonomy.rulings import DECIDING, PLACING_KINDS

PROPOSAL_ROLE = Qt.ItemDataRole.UserRole

NAME, COUNT = range(2)

MOST = 16_777_215
"""Qt's word for a widget without a greatest height."""

MOST_FOLLOWED = 100
"""Where more than this come and go, they are shown anew instead of one after the other."""

Index = QModelIndex | QPersistentModelIndex

_TOP = QModelIndex()


class ProposedModel(QAbstractItemModel):
    """Pending proposals, nested as they were proposed, each with the failures that it and those below it would take."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: dict[str, ProposalRow] = {}
        self._children: dict[str | None, list[str]] = {}
        self._parents: dict[str, str | None] = {}
        self._handles: dict[str, int] = {}
        self._by_handle: dict[int, str] = {}
        self.mark = QIcon()

    def show(self, rows: Sequence[ProposalRow]) -> None:
        """Show another project's proposals."""
        self.beginResetModel()
        self._rows = {row.id: row for row in rows}
        self._parents = _parents_of(rows)
        self._children = _children_of(self._parents)
        self.endResetModel()

    def follow(self, rows: Sequence[ProposalRow]) -> None:
        """Make what is shown the same as `rows`, parents before children. A row that has not changed is the same object."""
        parents, before = _parents_of(rows), self._rows
        children = _children_of(parents)
        kept: set[str] = set()
        shuffled = {parent for parent, order in children.items() if not self._has_order(parent, order)}
        for key, parent in parents.items():
            stays = key in self._parents and self._parents[key] == parent and parent not in shuffled
            if stays and (parent is None or parent in kept):
                kept.add(key)
        for key in reversed([k for k in before if k not in kept]):
            self._remove(key)
        self._rows = {row.id: row for row in rows}
        for key, parent in parents.items():
            if key not in kept:
                self._insert(key, parent, children[parent].index(key))
            elif before[key] is not self._rows[key]:
                self.dataChanged.emit(self.index_of(key), self.index_of(key, COUNT))

    def _has_order(self, parent: str | None, order: list[str]) -> bool:
        """Whether those of `order` that are shown below `parent` stand in that order; if not, they come again."""
        here = self._children.get(parent, [])
        known = set(here)
        wanted = set(order)
        return [c for c in order if c in known] == [c for c in here if c in wanted]

    def _remove(self, key: str) -> None:
        parent = self._parents[key]
        place = self._children[parent].index(key)
        self.beginRemoveRows(self.index_of(parent), place, place)
        self._children[parent].pop(place)
        self._children.pop(key, None)
        del self._parents[key]
        self.endRemoveRows()

    def _insert(self, key: str, parent: str | None, place: int) -> None:
        self.beginInsertRows(self.index_of(parent), place, place)
        self._children.setdefault(parent, []).insert(place, key)
        self._parents[key] = parent
        self.endInsertRows()

    def parents(self) -> list[str]:
        """Ids of the proposals that have others below them."""
        return [key for key, below in self._children.items() if key is not None and below]

    def repaint(self) -> None:
        """Repaint all that is shown, after another scheme was chosen."""
        for key in self._parents:
            self.dataChanged.emit(self.index_of(key), self.index_of(key, COUNT))

    def row(self, index: Index) -> ProposalRow | None:
        """The proposal at an index."""
        return self._rows.get(self._by_handle.get(index.internalId(), "")) if index.isValid() else None

    def index_of(self, proposal_id: str | None, column: int = NAME) -> QModelIndex:
        """Index of a proposal; invalid for the root and for what is not pending."""
        if proposal_id is None or proposal_id not in self._parents:
            return QModelIndex()
        place = self._children[self._parents[proposal_id]].index(proposal_id)
        return self.createIndex(place, column, self._handle(proposal_id))

    def _handle(self, proposal_id: str) -> int:
        if proposal_id not in self._handles:
            handle = len(self._handles) + 1
            self._handles[proposal_id] = handle
            self._by_handle[handle] = proposal_id
        return self._handles[proposal_id]

    def _id_at(self, index: Index) -> str | None:
        return self._by_handle.get(index.internalId()) if index.isValid() else None

    def index(self, row: int, column: int, parent: Index = _TOP) -> QModelIndex:
        children = self._children.get(self._id_at(parent), [])
        if not (0 <= row < len(children) and 0 <= column < 2) or (parent.isValid() and parent.column() != 0):
            return QModelIndex()
        return self.createIndex(row, column, self._handle(children[row]))

    def parent(self, index: Index = _TOP) -> QModelIndex:  # type: ignore[override]
        key = self._id_at(index)
        return self.index_of(self._parents.get(key)) if key is not None else QModelIndex()

    def rowCount(self, parent: Index = _TOP) -> int:
        if parent.isValid() and parent.column() != 0:
            return 0
        return len(self._children.get(self._id_at(parent), []))

    def columnCount(self, parent: Index = _TOP) -> int:
        return 2

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row(index)
        if row is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return (one_line(_title(row)), f"{row.n_subtree:,}")[index.column()]
        if role == PROPOSAL_ROLE:
            return row.id
        if role == Qt.ItemDataRole.DecorationRole and index.column() == NAME:
            return self.mark
        if role == Qt.ItemDataRole.FontRole:
            font = QFont()
            font.setItalic(True)
            return font
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() != NAME:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            said = str(tr("{name}\nProposed; counts nowhere before it is accepted", name=_title(row)))
            return tooltip(f"{said}\n{row.description}" if row.description else said)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return one_line(
                trn("{name}, proposed, {n:,} failure", "{name}, proposed, {n:,} failures", row.n_subtree,
                    name=_title(row))
            )  # fmt: skip
        return None


def _title(row: ProposalRow) -> str:
    title = str(row.title)
    return str(tr("{title} · skipped", title=title)) if row.verdict == "skip" else title


def _parents_of(rows: Sequence[ProposalRow]) -> dict[str, str | None]:
    """Parents by id; where the one above is decided already, a proposal stands at the top."""
    pending = {row.id for row in rows}
    return {row.id: row.parent_id if row.parent_id in pending else None for row in rows}


def _children_of(parents: dict[str, str | None]) -> dict[str | None, list[str]]:
    children: dict[str | None, list[str]] = {}
    for key, parent in parents.items():
        children.setdefault(parent, []).append(key)
    return children


class ProposedPanel(QWidget):
    """A line '12 proposals' that folds the proposals below it away; gone where none waits."""

    wanted = Signal(str)  # id of a proposal that is to be shown

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._is_following = False
        self.n_pending = 0
        self.is_known = False  # what waits has been read
        self.title = QToolButton(self)
        self.title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        set_tooltip(self.title, str(tr("Fold them away, or show them; they are decided on the page Review")))
        self.model = ProposedModel(self)
        self.view = QTreeView(self)
        self.view.setModel(self.model)
        self.view.setAccessibleName(str(tr("Proposed categories")))
        self.view.setHeaderHidden(True)
        self.view.setUniformRowHeights(True)
        self.view.setAllColumnsShowFocus(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.title)
        column.addWidget(self.view, 1)
        self.title.clicked.connect(lambda _=False: self._fold())
        self.view.selectionModel().currentChanged.connect(lambda index, _: self._on_current(index))
        self.view.clicked.connect(self._choose)
        self.view.activated.connect(self._choose)
        session.closed.connect(self._on_closed)
        session.changed.connect(self._on_change)
        session.queue.read.connect(self._on_read)
        session.proposal_selected.connect(self._select)
        self._shown: list[ProposalRow] = []
        self.hide()

    def _on_closed(self) -> None:
        self.model.show(())
        self._shown = []
        self.n_pending = 0
        self.is_known = False
        self.hide()

    def _on_change(self, change: Change) -> None:
        if not change.tables() & {"decision", "category"}:
            return
        done = {
            edit.key
            for edit in change.edits
            if isinstance(edit, Edit) and edit.table == "decision" and edit.after and edit.after["verdict"] in DECIDING
        }
        if done:  # what is decided goes at once; how the rest stands is read beside
            self._follow([row for row in self._shown if row.id not in done])

    def _on_read(self, reading: Reading) -> None:
        self.is_known = True
        self._follow([row for row in reading.waiting if row.kind in PLACING_KINDS])

    def _follow(self, rows: list[ProposalRow]) -> None:
        if len(rows) == len(self._shown) and all(map(operator.is_, rows, self._shown)):
            return
        before, after = {row.id for row in self._shown}, {row.id for row in rows}
        self._is_following = True
        self._show(rows)
        if len(before ^ after) > MOST_FOLLOWED:
            folded = {key for key in self.model.parents() if not self.view.isExpanded(self.model.index_of(key))}
            self.model.show(rows)
            self._unfold(key for key in self.model.parents() if key not in folded)
        else:
            self.model.follow(rows)
            if not before:
                self._unfold(self.model.parents())
        self._is_following = False
        self._select(self._session.proposal_id)

    def _unfold(self, proposal_ids: Iterable[str]) -> None:
        """Show what is below these. Qt would keep account of each row that it is told to unfold, whether or not it can be."""
        for proposal_id in proposal_ids:
            self.view.expand(self.model.index_of(proposal_id))

    def _show(self, rows: list[ProposalRow]) -> None:
        self._shown = rows
        self.n_pending = len(rows)
        self.title.setText(
            str(trn("{n:,} proposal, not in the totals", "{n:,} proposals, not in the totals", len(rows)))
        )
        self.setVisible(bool(rows))

    def _select(self, proposal_id: str | None) -> None:
        """Follow a proposal that is chosen elsewhere."""
        index = self.model.index_of(proposal_id)
        if self.view.currentIndex() != index:
            self._is_following = True
            self.view.setCurrentIndex(index)
            self._is_following = False

    def _on_current(self, index: QModelIndex) -> None:
        """Who only comes by with Tab chooses nothing: the view makes its first row the current one then."""
        if self.view.selectionModel().isSelected(index):
            self._choose(index)

    def _choose(self, index: QModelIndex) -> None:
        row = self.model.row(index)
        if row is not None and not self._is_following:
            self._session.select_proposal(row.id)
            self.wanted.emit(row.id)

    def _fold(self) -> None:
        self.view.setVisible(self.view.isHidden())
        self.setMaximumHeight(self.sizeHint().height() if self.view.isHidden() else MOST)
        self.restyle()

    def restyle(self) -> None:
        """Icons in the colours of the scheme, a column as wide as its numbers."""
        scheme = self._session.theme.scheme
        self.title.setIcon(icon("caret-right" if self.view.isHidden() else "caret-down", scheme))
        self.model.mark = icon("lightbulb", scheme)
        self.model.repaint()
        self.view.header().resizeSection(COUNT, self.fontMetrics().horizontalAdvance("0") * 8)
