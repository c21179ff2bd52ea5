"""The page of failures: those of the selected category, or of a state, or that no category holds yet."""

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QPoint, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.fields import ChoiceField
from app.plain import Label, one_line
from app.records.analysis_dialog import AnalysisDialog
from app.records.list_model import FailureListModel
from app.records.note_dialog import NoteDialog
from app.records.place_dialog import PlaceDialog
from app.records.table import FailureTable
from app.records.why_dialog import open_why
from app.session import Scope, Session
from errormap_core.measures.how import STATE_NAMES
from errormap_core.project.queries import datasets, failure_ids, failure_rows, models, record_detail, totals
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import Change, MachineChange
from errormap_core.taxonomy.operations import AssignFailures, MarkRecords, UnassignFailures

SEARCH_AFTER_MS = 200
DATASET = 4  # the column
WIDE = 720
_LISTED = {"assignment", "record_mark", "chosen_threshold", "choice", "analysis"}
"""Edits of these tables can change which failures a list holds."""


class RecordsPage(QWidget):
    """A list of failures with search and filter; what is selected in it is shown in the record pane."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._menu: Callable[[], QMenu] | None = None
        self.model = FailureListModel(self)
        self._title = Label(self)
        self.search = QLineEdit(self)
        self.search.setAccessibleName(str(tr("Search the failures")))
        self.search.setClearButtonEnabled(True)
        self.by_model = ChoiceField(self)
        self.by_model.setAccessibleName(str(tr("Model")))
        self.table = FailureTable(self)
        self.table.setModel(self.model)
        self.table.setAccessibleName(str(tr("Failures")))
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setDragEnabled(True)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self._empty = EmptyState(self)
        self._count = Label(self)
        self.by_model.setSizeAdjustPolicy(ChoiceField.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.by_model.setMinimumContentsLength(16)
        self._title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        said = QHBoxLayout()
        said.addWidget(self._title, 1)
        said.addWidget(self._count)
        narrow = QHBoxLayout()
        narrow.addWidget(self.search, 1)
        narrow.addWidget(self.by_model)
        head = QVBoxLayout()
        head.setContentsMargins(12, 8, 12, 8)
        head.setSpacing(6)
        head.addLayout(said)
        head.addLayout(narrow)
        self._layers = QStackedLayout()
        self._layers.addWidget(self._empty)
        self._layers.addWidget(self.table)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addLayout(self._layers, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.reload)
        self._is_stale = False
        self._n_datasets = 0
        self._n_shown = 0  # how often a list was shown
        self.search.textChanged.connect(lambda _: self._timer.start(SEARCH_AFTER_MS))
        self.by_model.currentIndexChanged.connect(lambda _: self.reload())
        self.table.selectionModel().selectionChanged.connect(self._on_selected)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.scope_changed.connect(lambda _: self.reload(is_asked=True))
        session.changed.connect(self._on_change)
        session.machine_changed.connect(self._on_machine)
        session.record_selected.connect(self._follow)
        session.theme.changed.connect(self._restyle)
        session.keys.follow(self._say_keys)
        self._restyle()
        self._on_closed()

    def set_menu(self, make: Callable[[], QMenu]) -> None:
        """Where the context menu comes from."""
        self._menu = make

    # What is shown

    def reload(self, *, is_asked: bool = False) -> None:
        """Read the list again, keeping what is selected; `is_asked`: somebody chose another list, to read it."""
        project = self._session.project
        if project is None:
            return
        self._show_ids(failure_ids(project.reader, **self._wanted()), is_asked=is_asked)

    def _wanted(self) -> dict[str, Any]:
        """What the list holds, as `failure_ids` takes it."""
        scope = self._session.scope
        return {
            "category_ids": None if scope.category_ids is None else self._with_children(scope.category_ids),
            "state": scope.state,
            "model": self.by_model.currentData(),
            "unplaced": scope.unplaced,
            "search": self.search.text(),
        }

    def _show_ids(self, ids: list[str], *, is_asked: bool = False) -> None:
        project = self._session.project
        if project is None:
            return
        self._is_stale = False
        self._n_shown += 1
        scope = self._session.scope
        held = set(ids)
        kept = [i for i in self._session.record_ids if i in held]
        is_other = ids != self.model.ids()
        self.model.show(project, ids)
        self._title.setText(str(self._scope_title(scope)))
        self._count.setText(str(trn("{n:,} failure", "{n:,} failures", len(ids))))
        if not ids:
            self._say_why(scope)
        self._layers.setCurrentIndex(1 if ids else 0)
        if is_other:
            self._restore(kept, ids, is_asked=is_asked)

    def _restore(self, kept: Sequence[str], ids: Sequence[str], *, is_asked: bool) -> None:
        """Select again what was selected; what is read is not taken away by a list that changes behind it."""
        if not kept:
            reads_elsewhere = self._session.record_id is not None and not self.isVisible() and not is_asked
            self._select([] if reads_elsewhere else ids[:1])
            return
        selection = QItemSelection()
        for record_id in kept:
            row = self.model.row_of(record_id)
            assert row is not None
            selection.select(self.model.index(row, 0), self.model.index(row, self.model.columnCount() - 1))
        current = self._session.record_id if self._session.record_id in kept else kept[0]
        row = self.model.row_of(current or kept[0])
        assert row is not None
        flags = QItemSelectionModel.SelectionFlag
        self.table.selectionModel().setCurrentIndex(self.model.index(row, 0), flags.NoUpdate)
        self.table.selectionModel().select(selection, flags.ClearAndSelect)

    def _with_children(self, category_ids: Sequence[str]) -> list[str]:
        project = self._session.project
        assert project is not None
        live = [c for c in category_ids if c in project.tree]
        return [below for c in project.tree.outermost(live) for below in project.tree.subtree(c)]

    def _scope_title(self, scope: Scope) -> Sentence:
        project = self._session.project
        assert project is not None
        if scope.unplaced:
            return tr("Not placed yet")
        if scope.state is not None:
            return STATE_NAMES[scope.state]
        live = [c for c in scope.category_ids or () if c in project.tree]
        if not live:
            return tr("All failures")
        if len(live) == 1:
            return tr("{name}", name=project.tree.live(live[0]).name)
        return trn("{n:,} category", "{n:,} categories", len(live))

    def _say_why(self, scope: Scope) -> None:
        project = self._session.project
        assert project is not None
        window = self.window()
        run = getattr(window, "do", None)

        def doing(command: str) -> Callable[[], object]:
            return lambda: run(command) if run is not None else None

        numbers = totals(project.reader)
        if self.search.text() or self.by_model.currentData():
            self._empty.say(tr("No failure here fits the search."), (str(tr("Clear the search")), self._clear))
        elif not numbers.n_records:
            self._empty.say(
                tr("No results yet. Import a CSV with example_id, model, input_text, output_text and score."),
                (self._session.keys.titled(tr("Import…"), "file.import"), doing("file.import")),
            )
        elif scope.category_ids is not None:
            self._empty.say(
                tr("No failure is in this category. Drag some here from the list, or accept proposals."),
                (str(tr("Show all failures")), lambda: self._session.select_scope(Scope())),
            )
        else:
            self._empty.say(
                tr("No failure is in this list."), (str(tr("Show all")), lambda: self._session.select_scope(Scope()))
            )

    def _say_keys(self) -> None:
        hint = self._session.keys.hinted(tr("Search question, answer, error"), "edit.find")
        self.search.setPlaceholderText(hint)
        if self._session.is_open and not self.model.rowCount():
            self.reload()  # what an empty list says has keys in it

    def _clear(self) -> None:
        self.by_model.setCurrentIndex(0)
        self.search.clear()
        self.reload()

    def _on_opened(self) -> None:
        self.search.blockSignals(True)
        self.search.clear()
        self.search.blockSignals(False)
        self._fill_models([], 0)
        self._empty.say(tr("Reading the failures …"))
        self._ask_models()
        self._ask()

    def _ask_models(self) -> None:
        def read(db: Any) -> tuple[list[str], int]:
            return [row.name for row in models(db)], len(datasets(db))

        self._session.reads.ask("models", read, lambda found: self._fill_models(*found))

    def _fill_models(self, names: Sequence[str], n_datasets: int) -> None:
        chosen = self.by_model.currentData()
        self.by_model.blockSignals(True)
        self.by_model.clear()
        self.by_model.addItem(str(tr("All models")), None)
        for name in names:
            self.by_model.addItem(one_line(name), name)
        self.by_model.setCurrentIndex(max(0, self.by_model.findData(chosen)))
        self.by_model.blockSignals(False)
        self._n_datasets = n_datasets
        self._fit_columns()

    def _on_closed(self) -> None:
        self.model.show(None, [])
        self._title.clear()
        self._count.clear()
        self._empty.say(tr("No project is open."))
        self._layers.setCurrentIndex(0)

    def _on_change(self, change: Change) -> None:
        if change.tables() & _LISTED:
            self._reload_soon()
        elif "category" in change.tables():
            self.model.repaint()
            project = self._session.project
            if project is not None:
                self._title.setText(str(self._scope_title(self._session.scope)))

    def _on_machine(self, change: MachineChange) -> None:
        """What a judge writes changes rows; which rows there are only in some lists, which are read beside the window."""
        project = self._session.project
        if project is not None and change.is_quiet:
            self.model.refresh()
            wanted = self._wanted()
            is_fixed = wanted["category_ids"] is None and wanted["state"] is None
            if not is_fixed or wanted["unplaced"] or wanted["search"].strip():
                if self.isVisible():
                    self._ask()
                else:
                    self._is_stale = True
            return
        if change.tables <= {"proposal", "run"}:  # what is proposed is in no list
            return
        self._ask_models()
        self._reload_soon()

    def _ask(self) -> None:
        """Read the list beside the window's thread; it is shown if it is still what is wanted, and nothing newer is."""
        wanted, n_shown = self._wanted(), self._n_shown

        def take(ids: list[str]) -> None:
            if wanted == self._wanted() and n_shown == self._n_shown:
                self._show_ids(ids)

        self._session.reads.ask("failures", lambda db: failure_ids(db, **wanted), take)

    def _reload_soon(self) -> None:
        if self.isVisible():
            self.reload()
        else:
            self._is_stale = True

    def _fit_columns(self) -> None:
        """The dataset has a column where there are several and there is room."""
        self.table.setColumnHidden(DATASET, self._n_datasets < 2 or self.width() < WIDE)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_columns()
        super().resizeEvent(event)

    def showEvent(self, event: object) -> None:
        if self._is_stale:
            self.reload()
        super().showEvent(event)  # type: ignore[arg-type]

    def _restyle(self) -> None:
        theme = self._session.theme
        self._title.setFont(theme.font(size=1.1, semibold=True))
        self.table.verticalHeader().setDefaultSectionSize(theme.row_height())
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        em = self.fontMetrics().horizontalAdvance("0")
        for column, width in ((1, 18), (2, 13), (3, 14), (4, 12), (5, 7)):
            header.resizeSection(column, em * width)

    # Selection

    def _on_selected(self, _new: QItemSelection, _old: QItemSelection) -> None:
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        ids = [i for i in map(self.model.id_at, rows) if i is not None]
        self._session.select_failures(ids)
        current = self.model.id_at(self.table.currentIndex().row())
        self._session.select_record(current if current in ids else (ids[0] if ids else None))

    def _select(self, record_ids: Sequence[str]) -> None:
        row = self.model.row_of(record_ids[0]) if record_ids else None
        if row is None:
            self.table.clearSelection()
            self._session.select_failures([])
            return
        self._pick(row)
        self.table.scrollTo(self.model.index(row, 0))
        self._session.select_failures([record_ids[0]])

    def _follow(self, record_id: str | None) -> None:
        """Another pane selected a record: select it here where it is in the list."""
        row = None if record_id is None else self.model.row_of(record_id)
        if row is not None and self.table.currentIndex().row() != row:
            self._pick(row)

    def _pick(self, row: int) -> None:
        """Select this row and no other."""
        flags = QItemSelectionModel.SelectionFlag
        self.table.selectionModel().setCurrentIndex(self.model.index(row, 0), flags.ClearAndSelect | flags.Rows)

    def next(self) -> None:
        self._step(1)

    def previous(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        n = self.model.rowCount()
        if n:
            row = max(0, min(n - 1, self.table.currentIndex().row() + by))
            self._pick(row)

    def focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def focus_list(self) -> None:
        self.table.setFocus()

    def _show_menu(self, point: QPoint) -> None:
        if self._menu is not None:
            self._menu().popup(self.table.viewport().mapToGlobal(point))

    # Steps

    def place(self) -> None:
        """Choose the category that the selected failures belong to."""
        project, ids = self._session.project, tuple(self._session.targets())
        if project is None or not ids:
            return

        def assign(category_id: str) -> None:
            self._session.apply(AssignFailures(record_ids=ids, category_id=category_id, confirms=len(ids) == 1))

        PlaceDialog(project.tree, n=len(ids), place=assign, parent=self).open()

    def take_out(self) -> None:
        """Take the selected failures out of the categories that hold them."""
        project = self._session.project
        if project is None:
            return
        by_category: dict[str, list[str]] = {}
        for failure in failure_rows(project.reader, self._session.targets()).values():
            if failure.category_id is not None:
                by_category.setdefault(failure.category_id, []).append(failure.record_id)
        if not by_category:
            self._session.say(tr("None of the selected failures is in a category."))
        for category_id, ids in by_category.items():
            self._session.apply(UnassignFailures(record_ids=tuple(ids), category_id=category_id))

    def exclude(self) -> None:
        self._mark("excluded")

    def dispute(self) -> None:
        self._mark("disputed")

    def include(self) -> None:
        self._mark(None)

    def _mark(self, mark: str | None) -> None:
        ids = tuple(self._session.targets())
        if ids:
            self._session.apply(MarkRecords(record_ids=ids, mark=mark))  # type: ignore[arg-type]

    def analyse(self) -> None:
        """Write an analysis of the failure that is read."""
        project, record_id = self._session.project, self._session.record_id
        if project is not None and record_id is not None:
            detail = record_detail(project.reader, record_id)
            AnalysisDialog(detail, write=self._session.apply, drafts=self._session.drafts, parent=self).open()

    def why(self) -> None:
        """What wrote the analysis of the record that is read, and how."""
        project, record_id = self._session.project, self._session.record_id
        if project is not None and record_id is not None:
            open_why(self._session, self.window(), lambda: record_detail(project.reader, record_id))

    def note(self) -> None:
        """Write a note on the record that is shown."""
        project, record_id = self._session.project, self._session.record_id
        if project is None or record_id is None:
            return
        detail = record_detail(project.reader, record_id)
        NoteDialog(detail, write=self._session.apply, drafts=self._session.drafts, parent=self).open()
