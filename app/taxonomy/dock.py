"""The taxonomy pane: the tree with counts and shares, what no category holds, and all that is done to categories."""

from collections.abc import Callable

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, QTimer
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QLineEdit,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.icons import icon
from app.session import Scope, Session
from app.taxonomy.describe_dialog import DescribeDialog
from app.taxonomy.merge_view import MergeView
from app.taxonomy.proposed import ProposedTree
from app.taxonomy.split_view import SplitView
from app.taxonomy.tree_model import COUNT, ID_ROLE, NAME, SHARE, TreeModel
from app.taxonomy.view import CategoryView, Filtered
from errormap_core.project.queries import failure_rows, totals
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.operations import AddCategory, DeleteCategories, MoveCategories
from errormap_core.taxonomy.tree import Tree

BESIDE: tuple[tuple[str, Scope, Sentence], ...] = (
    ("unplaced", Scope(unplaced=True), tr("Not placed yet")),
    ("waiting", Scope(state="waiting"), tr("Waiting for the judge")),
    ("engine_failed", Scope(state="engine_failed"), tr("Judge failed")),
    ("no_error", Scope(state="no_error"), tr("No error found")),
    ("disputed", Scope(state="disputed"), tr("Disputed")),
    ("excluded", Scope(state="excluded"), tr("Excluded")),
    ("not_sampled", Scope(state="not_sampled"), tr("Not sampled")),
)


class TaxonomyDock(QWidget):
    """The tree of categories and, below it, the failures that are counted beside it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._menu: Callable[[], QMenu] | None = None
        self._is_following = False
        self.model = TreeModel(session.apply, self)
        self.shown = Filtered(self)
        self.shown.setSourceModel(self.model)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(str(tr("Find a category")))
        self.filter.setAccessibleName(str(tr("Find a category")))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._look_for)
        self.view = CategoryView(self)
        self.view.setModel(self.shown)
        self.view.setAccessibleName(str(tr("Taxonomy")))
        self.view.setSortingEnabled(False)
        header = self.view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column in (COUNT, SHARE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(False)
        header.sectionClicked.connect(self._sort)
        self._sorted: int | None = None
        self._add = QToolButton(self)
        self._add.setToolTip(str(tr("Add category (Ctrl+Shift+N)")))
        self._add.setAccessibleName(str(tr("Add category")))
        self._add.clicked.connect(lambda _=False: self.add_category())
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 4)
        head.addWidget(self.filter, 1)
        head.addWidget(self._add)
        self.proposed = ProposedTree(session)
        self._beside = QVBoxLayout()
        self._beside.setContentsMargins(8, 4, 8, 8)
        self._beside.setSpacing(0)
        pane = QVBoxLayout(self)
        pane.setContentsMargins(0, 0, 0, 0)
        pane.setSpacing(0)
        pane.addLayout(head)
        pane.addWidget(self.view, 1)
        pane.addWidget(self.proposed)
        pane.addLayout(self._beside)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._on_selected())
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.merge_dropped.connect(lambda ids, target: self._open_merge([*ids, target], into=target))
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.timeout.connect(self._count)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.changed.connect(self._on_change)
        session.machine_changed.connect(lambda _: self._recount.start(0))
        session.scope_changed.connect(self._follow_scope)
        session.record_selected.connect(self._mark)
        session.theme.changed.connect(self._restyle)
        self._restyle()

    def set_menu(self, make: Callable[[], QMenu]) -> None:
        """Where the context menu comes from."""
        self._menu = make

    # Following

    def _on_opened(self) -> None:
        self.filter.clear()
        self.model.show(self._session.project, can_edit=self._session.can_edit)
        self.view.expandToDepth(0)
        self._add.setEnabled(self._session.can_edit)
        self._count()

    def _on_closed(self) -> None:
        self.model.show(None, can_edit=False)
        self._count()

    def _on_change(self, change: Change) -> None:
        self._is_following = True
        self.model.follow(change)
        self._is_following = False
        self._recount.start(0)
        self._mark(self._session.record_id)
        chosen = tuple(self.selected_ids())
        project = self._session.project
        gone = project is not None and any(c not in project.tree for c in self._session.scope.category_ids or ())
        if gone:
            self._session.select_categories(chosen)

    def _count(self) -> None:
        self.model.refresh_counts()
        while (item := self._beside.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        project = self._session.project
        if project is None:
            return
        numbers = totals(project.reader)
        values = {**numbers.states, "unplaced": numbers.n_unplaced}
        for key, scope, title in BESIDE:
            if values[key]:
                button = QToolButton(self)
                button.setText(f"{title}  {values[key]:,}")
                button.setToolTip(str(tr("Show these failures")))
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
                button.clicked.connect(lambda _=False, s=scope: self._show_beside(s))
                self._beside.addWidget(button)

    def _show_beside(self, scope: Scope) -> None:
        self._is_following = True
        self.view.clearSelection()
        self._is_following = False
        self._session.select_scope(scope)
        show = getattr(self.window(), "show_page", None)
        if show is not None:
            show("records")

    def _follow_scope(self, scope: Scope) -> None:
        wanted = list(scope.category_ids or ())
        if self._is_following or wanted == self.selected_ids():
            return
        self._is_following = True
        self._select(wanted)
        self._is_following = False

    def _mark(self, record_id: str | None) -> None:
        """The category that holds the record which is read is bold."""
        project = self._session.project
        if project is None or record_id is None:
            self.model.mark(None)
            return
        row = failure_rows(project.reader, [record_id]).get(record_id)
        self.model.mark(row.category_id if row is not None else None)

    def _restyle(self) -> None:
        self._add.setIcon(icon("plus", self._session.theme.scheme))
        header, em = self.view.header(), self.fontMetrics().horizontalAdvance("0")
        header.resizeSection(COUNT, em * 10)
        header.resizeSection(SHARE, em * 9)

    # Selection

    def selected_ids(self) -> list[str]:
        """Ids of the selected categories, in tree order."""
        project = self._session.project
        if project is None:
            return []
        rows = self.view.selectionModel().selectedRows(NAME)
        chosen = {index.data(ID_ROLE) for index in rows}
        return [c.id for c in project.tree if c.id in chosen]

    def select(self, category_ids: list[str]) -> None:
        """Select categories, and show their failures."""
        self._select(category_ids)
        self._on_selected()

    def _select(self, category_ids: list[str]) -> None:
        selection = self.view.selectionModel()
        selection.clearSelection()
        rows = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        for place, category_id in enumerate(category_ids):
            index = self.index_of(category_id)
            if index.isValid():
                if place == 0:
                    selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
                selection.select(index, rows)
                self.view.scrollTo(index)

    def index_of(self, category_id: str, column: int = NAME) -> QModelIndex:
        """Where the view shows a category."""
        return self.shown.mapFromSource(self.model.index_of(category_id, column))

    def _on_selected(self) -> None:
        if not self._is_following:
            self._session.select_categories(self.selected_ids())
        else:
            self._session.context_changed.emit()

    def _look_for(self, text: str) -> None:
        self.shown.look_for(text)
        if text:
            self.view.expandAll()

    def _sort(self, column: int) -> None:
        """By name, by count, or (clicked again) in the order of the tree; positions never change by it."""
        if self._sorted == column:
            self._sorted = None
            self.shown.sort(-1)
            self.view.header().setSortIndicatorShown(False)
            return
        self._sorted = column
        order = Qt.SortOrder.AscendingOrder if column == NAME else Qt.SortOrder.DescendingOrder
        self.shown.sort(column, order)
        self.view.header().setSortIndicator(column, order)
        self.view.header().setSortIndicatorShown(True)

    def _show_menu(self, point: QPoint) -> None:
        if self._menu is not None:
            self._menu().popup(self.view.viewport().mapToGlobal(point))

    def focus_filter(self) -> None:
        self.filter.setFocus()
        self.filter.selectAll()

    def expand_all(self) -> None:
        self.view.expandAll()

    def collapse_all(self) -> None:
        self.view.collapseAll()

    # Steps

    def _tree(self) -> Tree | None:
        return None if self._session.project is None else self._session.project.tree

    def add_category(self) -> None:
        """Ask for a name and add a category beside the selected one, or at the top."""
        tree, chosen = self._tree(), self.selected_ids()
        if tree is not None:
            parent = tree.live(chosen[0]).parent_id if len(chosen) == 1 else None
            self._ask_name(parent)

    def add_child(self) -> None:
        """Ask for a name and add a category below the selected one."""
        chosen = self.selected_ids()
        if len(chosen) == 1:
            self._ask_name(chosen[0])

    def _ask_name(self, parent_id: str | None) -> None:
        tree = self._tree()
        assert tree is not None
        where = tr("At the top") if parent_id is None else tr("Below “{name}”", name=tree.live(parent_id).name)
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(str(tr("Add category")))
        dialog.setLabelText(str(tr("{where}. Its name, about five words:", where=where)))
        dialog.setOkButtonText(str(tr("Add")))
        dialog.resize(420, 120)
        dialog.textValueSelected.connect(lambda name: self._add_named(name, parent_id))
        dialog.open()

    def _add_named(self, name: str, parent_id: str | None) -> None:
        op = AddCategory(name=name, parent_id=parent_id)
        if self._session.apply(op) is not None:
            self.select([op.category_id])

    def rename(self) -> None:
        """Edit the name in place."""
        chosen = self.selected_ids()
        if len(chosen) == 1:
            index = self.index_of(chosen[0])
            self.view.setFocus()
            self.view.setCurrentIndex(index)
            self.view.edit(index)

    def describe(self) -> None:
        """Write description and notes."""
        chosen = self.selected_ids()
        if len(chosen) == 1:
            DescribeDialog(self._session, chosen[0], self).open()

    def merge(self) -> None:
        """Show the merge view for the selected categories."""
        chosen = self.selected_ids()
        if len(chosen) >= 2:
            self._open_merge(chosen, into=None)

    def _open_merge(self, category_ids: list[str], *, into: str | None) -> None:
        view = MergeView(self._session, list(dict.fromkeys(category_ids)), into=into, parent=self)
        view.merged.connect(lambda target: self.select([target]))
        view.open()

    def split(self) -> None:
        """Show the split view for the selected category."""
        chosen = self.selected_ids()
        if len(chosen) == 1:
            SplitView(self._session, chosen[0], self).open()

    def delete(self) -> None:
        """Take the selected categories away; the status line says what happened, with Undo beside it."""
        tree = self._tree()
        if tree is None:
            return
        chosen = tuple(c for c in self.selected_ids() if tree.live(c).reserved is None)
        if chosen:
            self._session.apply(DeleteCategories(category_ids=chosen))

    def move_up(self) -> None:
        self._shift(-1)

    def move_down(self) -> None:
        self._shift(1)

    def _shift(self, by: int) -> None:
        tree, chosen = self._tree(), self.selected_ids()
        if tree is None or len(chosen) != 1:
            return
        category = tree.live(chosen[0])
        siblings = [c for c in tree.children(category.parent_id) if tree.live(c).reserved is None]
        index = siblings.index(category.id) + by
        if 0 <= index < len(siblings):
            self._move(category.id, category.parent_id, index)

    def move_in(self) -> None:
        """Below the sibling before it."""
        tree, chosen = self._tree(), self.selected_ids()
        if tree is None or len(chosen) != 1:
            return
        siblings = tree.children(tree.live(chosen[0]).parent_id)
        place = siblings.index(chosen[0])
        if place > 0:
            self._move(chosen[0], siblings[place - 1], None)
            self.view.expand(self.index_of(siblings[place - 1]))

    def move_out(self) -> None:
        """Beside its parent, after it."""
        tree, chosen = self._tree(), self.selected_ids()
        if tree is None or len(chosen) != 1:
            return
        parent_id = tree.live(chosen[0]).parent_id
        if parent_id is not None:
            above = tree.live(parent_id)
            siblings = [c for c in tree.children(above.parent_id) if tree.live(c).reserved is None]
            index = siblings.index(parent_id) + 1 if parent_id in siblings else None
            self._move(chosen[0], above.parent_id, index)

    def _move(self, category_id: str, parent_id: str | None, index: int | None) -> None:
        self._session.apply(MoveCategories(category_ids=(category_id,), parent_id=parent_id, index=index))
        shown = self.index_of(category_id)
        self.view.setCurrentIndex(shown)
