"""The taxonomy pane: the tree with counts and shares, what no category holds, and all that is done to categories."""

from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QItemSelectionRange, QModelIndex, QPoint, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLineEdit, QMenu, QSplitter, QToolButton, QVBoxLayout, QWidget

from app.empty import EmptyState
from app.icons import icon
from app.plain import set_tooltip
from app.session import Scope, Session
from app.taxonomy.beside import Beside
from app.taxonomy.describe_dialog import DescribeDialog
from app.taxonomy.merge_view import MergeView
from app.taxonomy.naming import NameDelegate
from app.taxonomy.proposed import ProposedPanel
from app.taxonomy.split_view import SplitView
from app.taxonomy.tree_model import COUNT, DRAFT, ID_ROLE, NAME, SHARE, TreeModel
from app.taxonomy.view import CategoryView, Filtered
from errormap_core.errors import KnownError
from errormap_core.project.queries import Totals, failure_rows
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.operations import DeleteCategories, MoveCategories
from errormap_core.taxonomy.tree import Tree

LEAST_WIDTH = 240
MOST_SCROLLED = 50
"""So many of the selected categories are scrolled to, one after another."""

MOST = 16_777_215
"""Qt's word for a widget without a greatest height."""


class TaxonomyDock(QWidget):
    """The tree of categories and, below it, the failures that are counted beside it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._menu: Callable[[], QMenu] | None = None
        self._is_following = False
        self._kept: tuple[set[str], list[str], int] = (set(), [], 0)
        self._path: Path | None = None
        self._expanded: dict[Path, set[str]] = {}
        self._before_filter: set[str] | None = None
        self.model = TreeModel(session.apply, self)
        self.model.many_changed.connect(self._around_many)
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
        self.names = NameDelegate(self.view, session.keys, check=self._refusal, taken=self._named_so, id_role=ID_ROLE)
        self.view.setItemDelegate(self.names)
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
        session.keys.follow(self._say_keys)
        self._add.setAccessibleName(str(tr("Add category")))
        self._add.clicked.connect(lambda _=False: self.add_category())
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 4)
        head.addWidget(self.filter, 1)
        head.addWidget(self._add)
        self.hint = EmptyState(self)
        self.hint.hide()
        self.proposed = ProposedPanel(session, self)
        self.beside = Beside(self)
        tree = QWidget(self)
        upper = QVBoxLayout(tree)
        upper.setContentsMargins(0, 0, 0, 0)
        upper.setSpacing(0)
        upper.addWidget(self.view, 2)
        upper.addWidget(self.hint, 3)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.addWidget(tree)
        split.addWidget(self.proposed)
        split.setChildrenCollapsible(False)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        pane = QVBoxLayout(self)
        pane.setContentsMargins(0, 0, 0, 0)
        pane.setSpacing(0)
        pane.addLayout(head)
        pane.addWidget(split, 1)
        pane.addWidget(self.beside)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._on_selected())
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.merge_dropped.connect(lambda ids, target: self._open_merge([*ids, target], into=target))
        self.names.merge_wanted.connect(lambda chosen, other: self._open_merge([chosen, other], into=other))
        self.names.closed.connect(self._end_draft)
        self.proposed.wanted.connect(lambda _: self._show_page("review"))
        self.beside.chosen.connect(self._show_beside)
        self._numbers: Totals | None = None
        self._hint_soon = QTimer(self)
        self._hint_soon.setSingleShot(True)
        self._hint_soon.timeout.connect(lambda: self._hint(self._numbers))
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.changed.connect(self._on_change)
        session.counted.connect(self._show_counts)
        session.queue.read.connect(lambda _: self._hint(self._numbers))
        session.scope_changed.connect(self._follow_scope)
        session.record_selected.connect(self._mark)
        session.theme.changed.connect(self._restyle)
        session.keys.changed.connect(lambda: self._hint_soon.start(0))  # the hint of an empty tree has keys in it
        self._restyle()

    def set_menu(self, make: Callable[[], QMenu]) -> None:
        """Where the context menu comes from."""
        self._menu = make

    # Following

    def _on_opened(self) -> None:
        self.filter.clear()
        project = self._session.project
        assert project is not None
        self.model.show(project, can_edit=self._session.can_edit)
        self._path = project.path
        if project.path in self._expanded:
            self._expand(self._expanded[project.path])
        else:
            self.view.expandToDepth(0)
        self._add.setEnabled(self._session.can_edit)

    def _on_closed(self) -> None:
        if self._path is not None:
            self._expanded[self._path] = self._before_filter if self._before_filter is not None else self._opened()
        self._path = self._before_filter = None
        self.model.show(None, can_edit=False)
        self._show_counts(None, {})

    def _opened(self) -> set[str]:
        """Ids of the categories that are open in the view."""
        return {c for c in self.model.with_children() if self.view.isExpanded(self.index_of(c))}

    def _expand(self, category_ids: Iterable[str]) -> None:
        self.view.collapseAll()
        for category_id in category_ids:
            self.view.expand(self.index_of(category_id))

    def _around_many(self, is_after: bool) -> None:
        """Keep what is open, selected and in sight while the model shows its tree anew."""
        bar = self.view.verticalScrollBar()
        if not is_after:
            self._kept = (self._opened(), self.selected_ids(), bar.value())
            return
        opened, chosen, place = self._kept
        if self.filter.text().strip():
            self._look_for(self.filter.text())
            return
        self._expand(c for c in opened if self.index_of(c).isValid())
        self._select([c for c in chosen if self.index_of(c).isValid()], is_shown=False)
        bar.setValue(place)

    def _on_change(self, change: Change) -> None:
        self._is_following = True
        self.model.follow(change)
        if self.filter.text().strip() and "category" in change.tables():
            self._look_for(self.filter.text())  # what is found may have another name, and so may what is above it
        self._is_following = False
        self._hint_soon.start(0)
        self._mark(self._session.record_id)
        tree, wanted = self._tree(), self._session.scope.category_ids or ()
        if tree is not None and any(c not in tree for c in wanted):
            known = [c for c in map(tree.get, wanted) if c is not None and c.retired != "deleted"]
            self._session.select_categories(list(dict.fromkeys(tree.resolve(c.id).id for c in known)))

    def _show_counts(self, numbers: Totals | None, own: dict[str, int]) -> None:
        self._numbers = numbers
        self.model.show_counts(own, *((0, {}) if numbers is None else (numbers.n_counted, numbers.looked_at)))
        self.beside.show_totals(numbers)
        self._hint(numbers)

    def _hint(self, numbers: Totals | None) -> None:
        """Say what to do next where there is no category yet, or the filter leaves none."""
        tree, titled = self._tree(), self._session.keys.titled
        if tree is None or numbers is None:
            self._hide_hint()
            return
        if self.filter.text().strip() and not self.shown.rowCount():
            self.hint.say(
                tr("No category says “{text}”.", text=self.filter.text().strip()),
                (str(tr("Show all")), self.filter.clear),
            )
        elif not self.proposed.is_known or self.proposed.n_pending or self._has_categories(tree):
            self._hide_hint()
            return
        elif not numbers.n_failures:
            self.hint.say(
                tr("No categories yet. They come from failures: import results first."),
                (titled(tr("Import…"), "file.import"), lambda: self._do("file.import")),
            )
        elif not numbers.states["analysed"]:
            self.hint.say(
                trn(
                    "No categories yet. {n:,} failure waits for a diagnosis.",
                    "No categories yet. {n:,} failures wait for a diagnosis.",
                    numbers.states["waiting"],
                ),
                (titled(tr("Run the judge…"), "judge.run"), lambda: self._do("judge.run")),
            )
        else:
            self.hint.say(
                tr("No categories yet. Have them proposed from the diagnosed failures, or add one."),
                (titled(tr("Propose"), "judge.propose"), lambda: self._do("judge.propose")),
                (titled(tr("Add"), "taxonomy.add"), self.add_category),
            )
        rows = self.shown.rowCount() * self._session.theme.row_height()
        self.view.setMaximumHeight(self.view.header().sizeHint().height() + rows + (8 if rows else 0))
        self.hint.show()

    def _say_keys(self) -> None:
        set_tooltip(self._add, self._session.keys.hinted(tr("Add category"), "taxonomy.add"))

    def _has_categories(self, tree: Tree) -> bool:
        return any(c.reserved is None for c in tree) or DRAFT in self.model.ids()

    def _hide_hint(self) -> None:
        self.hint.hide()
        self.view.setMaximumHeight(MOST)

    def _do(self, command_id: str) -> None:
        do = getattr(self.window(), "do", None)
        if do is not None:
            do(command_id)

    def _show_page(self, key: str) -> None:
        show = getattr(self.window(), "show_page", None)
        if show is not None:
            show(key)

    def _show_beside(self, scope: Scope) -> None:
        self._is_following = True
        self.view.clearSelection()
        self._is_following = False
        self._session.select_scope(scope)
        self._show_page("records")

    def _follow_scope(self, scope: Scope) -> None:
        wanted = list(scope.category_ids or ())
        self.beside.show_scope(scope)
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
        header.resizeSection(COUNT, em * 9)
        header.resizeSection(SHARE, em * 8)
        self.proposed.restyle()
        self.setMinimumWidth(max(LEAST_WIDTH, em * 26))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Where text is large and the pane narrow, names are worth more than shares, which the tips and the chart tell."""
        self.view.setColumnHidden(SHARE, self.width() < self.fontMetrics().horizontalAdvance("0") * 30)

    # Selection

    def selected_ids(self) -> list[str]:
        """Ids of the selected categories, in tree order."""
        project = self._session.project
        if project is None:
            return []
        chosen: set[str] = set()
        selection = self.view.selectionModel().selection()
        for place in range(selection.count()):  # rows one by one would each be looked for in all parts
            part = selection.at(place)
            above = part.parent()
            rows = range(part.top(), part.bottom() + 1)
            chosen.update(self.shown.index(row, NAME, above).data(ID_ROLE) for row in rows)
        return project.tree.in_order(c for c in chosen if c in project.tree)

    def select(self, category_ids: list[str]) -> None:
        """Select categories, and show their failures."""
        self._select(category_ids)
        self._on_selected()

    def _select(self, category_ids: list[str], *, is_shown: bool = True) -> None:
        """Select these, rows that lie together as one range; the first is the current one, and (`is_shown`) all come into
        sight that can."""
        selection = self.view.selectionModel()
        selection.clearSelection()
        found = [index for index in map(self.index_of, category_ids) if index.isValid()]
        if not found:
            return
        selection.setCurrentIndex(found[0], QItemSelectionModel.SelectionFlag.NoUpdate)
        chosen = QItemSelection()
        first = last = found[0]
        for index in found[1:]:
            if index.row() != last.row() + 1 or index.parent() != first.parent():
                chosen.append(QItemSelectionRange(first, last))
                first = index
            last = index
        chosen.append(QItemSelectionRange(first, last))
        rows = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        selection.select(chosen, rows)
        for index in found[-MOST_SCROLLED:] if is_shown else ():
            self.view.scrollTo(index)

    def index_of(self, category_id: str | None, column: int = NAME) -> QModelIndex:
        """Where the view shows a category."""
        return self.shown.mapFromSource(self.model.index_of(category_id, column))

    def _on_selected(self) -> None:
        if not self._is_following:
            self._session.select_categories(self.selected_ids())
        else:
            self._session.context_changed.emit()

    def _look_for(self, text: str) -> None:
        """All that is found is open; without a text, what was open before."""
        if text and self._before_filter is None:
            self._before_filter = self._opened()
        self._is_following = True  # hiding what is selected does not change what the list shows
        self.shown.look_for(text)
        if text:
            self.view.expandAll()
        elif self._before_filter is not None:
            self._expand(self._before_filter)
            self._before_filter = None
        wanted = [c for c in self._session.scope.category_ids or () if self.index_of(c).isValid()]
        if wanted != self.selected_ids():
            self._select(wanted)
        self._session.context_changed.emit()  # the view has forgotten what was selected, and does not say so
        self._is_following = False
        self._hint(self._numbers)

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
        """Name a new category in place, behind the selected one or at the top."""
        tree, chosen = self._tree(), self.selected_ids()
        if tree is None:
            return
        if len(chosen) != 1:
            self._begin_draft(None, None)
            return
        category = tree.live(chosen[0])
        siblings = [c for c in tree.children(category.parent_id) if tree.live(c).reserved is None]
        index = siblings.index(category.id) + 1 if category.id in siblings else None
        self._begin_draft(category.parent_id, index)

    def add_child(self) -> None:
        """Name a new category in place, below the selected one."""
        chosen = self.selected_ids()
        if len(chosen) == 1:
            self._begin_draft(chosen[0], None)

    def _begin_draft(self, parent_id: str | None, index: int | None) -> None:
        self.model.begin_draft(parent_id, index)
        self._hide_hint()
        self.view.expand(self.index_of(parent_id))
        draft = self.index_of(DRAFT)
        if draft.isValid():
            self.view.setFocus()
            self.view.scrollTo(draft)
            self.view.edit(draft)

    def _end_draft(self) -> None:
        """The editor of a name has closed: what was named is added."""
        op = self.model.end_draft()
        if op is not None and isinstance(self._session.apply(op), Change):  # one that waits is not in the tree yet
            self.select([op.category_id])
        elif op is None:
            self._hint_soon.start(0)

    def _refusal(self, category_id: str | None, name: str) -> KnownError | None:
        """Why the core would not take a name; None where it would."""
        project = self._session.project
        op = self.model.named(category_id or DRAFT, name)
        if project is None or op is None:
            return None
        try:
            project.preview(op, actor=self._session.actor)
        except KnownError as error:
            return error
        return None

    def _named_so(self, category_id: str | None, name: str) -> str | None:
        """The sibling of a category that has this name."""
        tree = self._tree()
        category = tree.get(category_id) if tree is not None and category_id is not None else None
        if tree is None or category is None:
            return None
        other = tree.sibling_named(category.parent_id, name, but=[category.id])
        return other.id if other is not None else None

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
