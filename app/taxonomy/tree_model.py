"""The Qt model of the tree: ids, counts and shares, kept in step with the project by the changes that it tells.

A change is followed as insertions, moves and removals; what the tree looks like after it is asked of the project, so that
any number of edits are followed at once. One of very many categories is shown as a new tree (`many_changed` is emitted before
and after, so that the view keeps what is open and selected): views go through all siblings for each row that comes or goes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QMimeData, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont

from app.plain import one_line, tooltip
from app.records.list_model import RECORDS_MIME
from errormap_core.errors import KnownError
from errormap_core.measures.counts import subtree_counts
from errormap_core.measures.how import looked_at_sentence
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.category_operations import moves_to
from errormap_core.taxonomy.edits import Change, Edit
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    MoveCategories,
    Operation,
    RenameCategory,
)
from errormap_core.taxonomy.tree import Tree

CATEGORIES_MIME = "application/x-errormap-categories"
"""Dragged categories: a JSON list of ids."""

NAME, COUNT, SHARE = range(3)

DRAFT = ""
"""Stands for the id of the category that is being named, before it is added."""

ID_ROLE = Qt.ItemDataRole.UserRole
SORT_ROLE = Qt.ItemDataRole.UserRole + 1
MANY = 100
"""Of more categories that are touched by one step the tree is shown anew."""

_NEAR = 64
"""So far from where it was last found a row is looked for first."""

Index = QModelIndex | QPersistentModelIndex

_TOP = QModelIndex()


class TreeModel(QAbstractItemModel):
    """Categories in columns name, failures (of the subtree), share (of all counted failures)."""

    many_changed = Signal(bool)
    """Before (False) and after (True) the tree is shown anew because a step touched very many categories."""

    def __init__(self, apply: Callable[[Operation], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._apply = apply
        self._project: Project | None = None
        self._children: dict[str | None, list[str]] = {}
        self._parents: dict[str, str | None] = {}
        self._found_at: dict[str, int] = {}  # rows where categories were last
        self._handles: dict[str, int] = {}
        self._by_handle: dict[int, str] = {}
        self._counts: dict[str, int] = {}
        self._n_counted = 0
        self._looked_at: dict[str, int] = {}
        self._draft_index: int | None = None
        self._draft_name = ""
        self.marked: str | None = None
        self.can_edit = False

    # Following the project

    def show(self, project: Project | None, *, can_edit: bool) -> None:
        """Show another project, or none."""
        self.beginResetModel()
        self._project, self.can_edit, self.marked = project, can_edit, None
        self._draft_index, self._draft_name = None, ""
        self._read()
        self._counts, self._n_counted, self._looked_at = {}, 0, {}
        self.endResetModel()

    def _read(self) -> None:
        self._children, self._parents, self._found_at = {}, {}, {}
        for category in self._tree() or ():
            beside = self._children.setdefault(category.parent_id, [])
            self._found_at[category.id] = len(beside)
            beside.append(category.id)
            self._parents[category.id] = category.parent_id

    def _show_anew(self) -> None:
        """Show the tree as it is, of which much has changed; a name that was being written is given up."""
        self.many_changed.emit(False)
        self.beginResetModel()
        self._draft_index, self._draft_name = None, ""
        self._read()
        self.endResetModel()
        self.many_changed.emit(True)

    def follow(self, change: Change) -> None:
        """Redraw from what a change did to categories."""
        touched = {e.key for e in change.edits if isinstance(e, Edit) and e.table == "category"}
        tree = self._tree()
        if tree is None or not touched:
            return
        if len(touched) > MANY:
            self._show_anew()
            return
        parents = {self._parents[c] for c in touched if c in self._parents}
        parents |= {c.parent_id for c in map(tree.get, touched) if c is not None and c.retired is None}
        for parent in self._top_down(tree, parents):
            self._reconcile(parent, tree)
        for category_id in sorted(touched, key=self._depth, reverse=True):
            if category_id in self._parents and category_id not in tree:
                self._remove(category_id)
        for category_id in touched:
            if category_id in self._parents:
                self._repaint(category_id)

    def _top_down(self, tree: Tree, parents: set[str | None]) -> list[str | None]:
        live = tree.in_order(p for p in parents if p is not None and p in tree)
        return [*([None] if None in parents else []), *live]

    def _depth(self, category_id: str) -> int:
        depth, at = 0, self._parents.get(category_id)
        while at is not None:
            depth, at = depth + 1, self._parents.get(at)
        return depth

    def _reconcile(self, parent: str | None, tree: Tree) -> None:
        """Make the children of `parent` those that the tree has; ones that go stay behind at the end."""
        if parent is not None and parent not in self._parents:
            return  # its own parent is reconciled first and brings it
        here = self._children.setdefault(parent, [])
        stay = {*tree.children(parent), DRAFT}
        for gone in [c for c in here if c not in stay]:  # moved behind once, rather than all others before it
            if here[-1] != gone:
                self._move(gone, parent, len(here))
        for row, wanted in enumerate(tree.children(parent)):
            here = self._children.setdefault(parent, [])
            if row < len(here) and here[row] == wanted:
                continue
            if wanted in self._parents:
                self._move(wanted, parent, row)
            else:
                self._insert(wanted, parent, row, tree)

    def _insert(self, category_id: str, parent: str | None, row: int, tree: Tree) -> None:
        self.beginInsertRows(self.index_of(parent), row, row)
        self._children.setdefault(parent, []).insert(row, category_id)
        self._parents[category_id] = parent
        self.endInsertRows()
        self._reconcile(category_id, tree)

    def _move(self, category_id: str, parent: str | None, row: int) -> None:
        old = self._parents[category_id]
        at = self._row(category_id)
        if not self.beginMoveRows(self.index_of(old), at, at, self.index_of(parent), row):
            return
        self._children[old].pop(at)
        self._children.setdefault(parent, []).insert(row, category_id)
        self._parents[category_id] = parent
        self.endMoveRows()

    def _remove(self, category_id: str) -> None:
        if DRAFT in self._children.get(category_id, ()):
            self._remove(DRAFT)
        parent = self._parents[category_id]
        row = self._row(category_id)
        self.beginRemoveRows(self.index_of(parent), row, row)
        self._children[parent].pop(row)
        self._children.pop(category_id, None)
        del self._parents[category_id]
        self.endRemoveRows()

    # A category that is being named

    def begin_draft(self, parent_id: str | None, index: int | None) -> None:
        """Show an empty row to be named, at the place where AddCategory puts the `index`th child (None: the last)."""
        self.end_draft()
        tree = self._tree()
        if tree is None or (parent_id is not None and parent_id not in self._parents):
            return
        here = self._children.setdefault(parent_id, [])
        n_free = sum(1 for c in here if tree.live(c).reserved is None)
        row = n_free if index is None else min(index, n_free)
        self.beginInsertRows(self.index_of(parent_id), row, row)
        here.insert(row, DRAFT)
        self._parents[DRAFT] = parent_id
        self._draft_index, self._draft_name = index, ""
        self.endInsertRows()

    def end_draft(self) -> AddCategory | None:
        """Take the row away; the step that was asked for, None where no name was entered."""
        if DRAFT not in self._parents:
            return None
        op = AddCategory(name=self._draft_name, parent_id=self._parents[DRAFT], index=self._draft_index)
        self._remove(DRAFT)
        return op if self._draft_name else None

    def named(self, category_id: str, name: str) -> Operation | None:
        """The step that a name entered for a category, or for DRAFT, asks for; None where nothing changes."""
        if category_id == DRAFT:
            return AddCategory(name=name, parent_id=self._parents.get(DRAFT), index=self._draft_index)
        tree = self._tree()
        category = tree.get(category_id) if tree is not None else None
        if category is None or " ".join(name.split()) == category.name:
            return None
        return RenameCategory(category_id=category_id, name=name)

    # Counts

    def show_counts(self, own: Mapping[str, int], n_counted: int, looked_at: Mapping[str, int]) -> None:
        """Show these counts, of each category itself and of all; repaints the rows whose numbers moved."""
        tree = self._tree()
        before, n_before = self._counts, self._n_counted
        self._counts, self._n_counted = subtree_counts(tree, own) if tree is not None else {}, n_counted
        self._looked_at = subtree_counts(tree, looked_at) if tree is not None else {}
        is_all = n_before != self._n_counted
        changed = [c for c in self._parents if is_all or before.get(c) != self._counts.get(c)]
        spans: dict[str | None, tuple[int, int]] = {}  # first and last row that changed, by parent
        for category_id in changed:
            parent, row = self._parents[category_id], self._row(category_id)
            first, last = spans.get(parent, (row, row))
            spans[parent] = (min(first, row), max(last, row))
        for parent, (first, last) in spans.items():
            above = self.index_of(parent)
            self.dataChanged.emit(self.index(first, COUNT, above), self.index(last, SHARE, above))

    def mark(self, category_id: str | None) -> None:
        """Mark the category that holds the record which is read."""
        before, self.marked = self.marked, category_id
        for changed in {before, category_id}:
            if changed is not None and changed in self._parents:
                self._repaint(changed)

    def _repaint(self, category_id: str) -> None:
        self.dataChanged.emit(self.index_of(category_id), self.index_of(category_id, SHARE))

    def _tree(self) -> Tree | None:
        return None if self._project is None else self._project.tree

    # Indexes

    def above(self, category_id: str) -> str | None:
        """The category that one is shown below; None at the top."""
        return self._parents.get(category_id)

    def with_children(self) -> list[str]:
        """Those that something is shown below, in no order."""
        return [c for c, below in self._children.items() if c is not None and below]

    def child_id(self, row: int, parent: Index) -> str:
        """The category in a row below an index."""
        return self._children[self.id_at(parent)][row]

    def searched(self, category_id: str) -> str:
        """What the filter looks into: name and description, casefolded; nothing of one that is being named."""
        tree = self._tree()
        category = tree.get(category_id) if tree is not None else None
        return "" if category is None else f"{category.name}\n{category.description}".casefold()

    def ids(self) -> list[str]:
        """All that is shown, in no order; with DRAFT where a category is being named."""
        return list(self._parents)

    def _handle(self, category_id: str) -> int:
        if category_id not in self._handles:
            handle = len(self._handles) + 1
            self._handles[category_id] = handle
            self._by_handle[handle] = category_id
        return self._handles[category_id]

    def id_at(self, index: Index) -> str | None:
        """Category of an index; None for the root."""
        return self._by_handle.get(index.internalId()) if index.isValid() else None

    def index_of(self, category_id: str | None, column: int = 0) -> QModelIndex:
        """Index of a category; invalid for the root and for what is not shown."""
        if category_id is None or category_id not in self._parents:
            return QModelIndex()
        return self.createIndex(self._row(category_id), column, self._handle(category_id))

    def _row(self, category_id: str) -> int:
        """The row of a category among its siblings, who may be many: looked for near where it was last."""
        beside = self._children[self._parents[category_id]]
        last = self._found_at.get(category_id, 0)
        if not (last < len(beside) and beside[last] == category_id):
            near = slice(max(0, last - _NEAR), last + _NEAR)
            try:
                last = near.start + beside[near].index(category_id)
            except ValueError:
                last = beside.index(category_id)
            self._found_at[category_id] = last
        return last

    def index(self, row: int, column: int, parent: Index = _TOP) -> QModelIndex:
        children = self._children.get(self.id_at(parent), [])
        if not (0 <= row < len(children) and 0 <= column < 3) or (parent.isValid() and parent.column() != 0):
            return QModelIndex()
        return self.createIndex(row, column, self._handle(children[row]))

    def parent(self, index: Index = _TOP) -> QModelIndex:  # type: ignore[override]
        category_id = self.id_at(index)
        return self.index_of(self._parents.get(category_id)) if category_id is not None else QModelIndex()

    def rowCount(self, parent: Index = _TOP) -> int:
        if parent.isValid() and parent.column() != 0:
            return 0
        return len(self._children.get(self.id_at(parent), []))

    def columnCount(self, parent: Index = _TOP) -> int:
        return 3

    # What is painted

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        category_id = self.id_at(index)
        tree = self._tree()
        category = tree.get(category_id) if tree is not None and category_id is not None else None
        if category is None:
            return None
        count = self._counts.get(category.id, 0)
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return (one_line(category.name), f"{count:,}", f"{count / self._n_counted:.1%}" if self._n_counted else "")[
                column
            ]
        if role == Qt.ItemDataRole.EditRole and column == NAME:
            return category.name
        if role == ID_ROLE:
            return category.id
        if role == SORT_ROLE:
            return category.name.casefold() if column == NAME else count
        if role == Qt.ItemDataRole.TextAlignmentRole and column != NAME:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            share: Sentence | str = ""
            if self._n_counted:
                share = tr(" ({share:.1%} of {n:,} counted)", share=count / self._n_counted, n=self._n_counted)
            said = trn(
                "{name}: {n:,} failure{share}", "{name}: {n:,} failures{share}", count, name=category.name, share=share
            )
            looked_at = looked_at_sentence(count, self._looked_at.get(category.id, 0))
            return tooltip("\n".join(filter(None, (str(said), str(looked_at) if count else "", category.description))))
        if role == Qt.ItemDataRole.FontRole:
            font = QFont()
            font.setItalic(category.reserved is not None)
            font.setBold(category.id == self.marked)
            return font if category.reserved is not None or category.id == self.marked else None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return one_line(tr("{name}, {count:,} failures", name=category.name, count=count))
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return str((tr("Category"), tr("Failures"), tr("Share"))[section])
            if role == Qt.ItemDataRole.TextAlignmentRole and section != NAME:
                return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if not self.can_edit:
            return flags if index.isValid() else Qt.ItemFlag.NoItemFlags
        flags |= Qt.ItemFlag.ItemIsDropEnabled
        category_id, tree = self.id_at(index), self._tree()
        category = tree.get(category_id) if tree is not None and category_id is not None else None
        if category is None:
            return Qt.ItemFlag.ItemIsEditable | flags if category_id == DRAFT else Qt.ItemFlag.ItemIsDropEnabled
        if category.reserved is None:
            flags |= Qt.ItemFlag.ItemIsDragEnabled
            if index.column() == NAME:
                flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """A name that was edited in place becomes an operation; what is refused is told by the session."""
        category_id = self.id_at(index)
        if role != Qt.ItemDataRole.EditRole or category_id is None:
            return False
        if category_id == DRAFT:
            self._draft_name = str(value)
            return True
        op = self.named(category_id, str(value))
        return op is not None and self._apply(op) is not None

    # Dragging

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction | Qt.DropAction.CopyAction

    def mimeTypes(self) -> list[str]:
        return [CATEGORIES_MIME, RECORDS_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        data = QMimeData()
        ids = list(dict.fromkeys(i for i in map(self.id_at, indexes) if i is not None))
        data.setData(CATEGORIES_MIME, json.dumps(ids).encode())
        return data

    def canDropMimeData(self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index) -> bool:
        """Ask what the operation asks: a drop that it would refuse is refused while dragging."""
        tree = self._tree()
        if tree is None or not self.can_edit:
            return False
        if data.hasFormat(RECORDS_MIME):
            return parent.isValid() and row == -1
        if not data.hasFormat(CATEGORIES_MIME):
            return False
        if action == Qt.DropAction.CopyAction:  # Ctrl: to be merged, which the merge view looks into
            target = self.id_at(parent)
            return row == -1 and bool(target) and dragged_ids(data) != [target]
        try:
            return bool(moves_to(tree, dragged_ids(data), self.id_at(parent)))
        except KnownError:
            return False

    def dropMimeData(self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index) -> bool:
        if not self.canDropMimeData(data, action, row, column, parent):
            return False
        target = self.id_at(parent)
        if data.hasFormat(RECORDS_MIME) and target is not None:
            ids = json.loads(bytes(data.data(RECORDS_MIME).data()))
            self._apply(AssignFailures(record_ids=tuple(ids), category_id=target, confirms=len(ids) == 1))
            return False  # the change redraws; the view must not take rows away itself
        if action == Qt.DropAction.CopyAction:
            return False  # the view opens the merge view
        moving = dragged_ids(data)
        index = None
        if row >= 0:
            index = sum(1 for c in self._children.get(target, [])[:row] if c != DRAFT and c not in moving)
        self._apply(MoveCategories(category_ids=tuple(moving), parent_id=target, index=index))
        return False


def dragged_ids(data: QMimeData) -> list[str]:
    """Ids of the categories that are dragged; none where something else is."""
    if not data.hasFormat(CATEGORIES_MIME):
        return []
    ids: list[str] = json.loads(bytes(data.data(CATEGORIES_MIME).data()))
    return ids
