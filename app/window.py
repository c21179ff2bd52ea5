"""The window: docks left and right, pages in the middle, menus made of the table of commands.

It holds no truth of its own: panes read the project and redraw from the changes that the session tells.
"""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, Qt, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.commands import BY_ID, COMMANDS, MENUS, PAGE_OF, PLACES, Command, Context
from app.deeds import Deeds
from app.gold.page import GoldPage
from app.history.page import HistoryPage
from app.icons import icon
from app.judges.page import JudgesPage
from app.keys import key_text
from app.models.page import ModelsPage
from app.plain import literal, set_title, set_tooltip, words
from app.prompts.page import PromptsPage
from app.records.page import RecordsPage
from app.records.pane import RecordPane
from app.rescue.deeds import RescueDeeds
from app.review.page import ReviewPage
from app.saving import Saving
from app.session import Session
from app.signatures.page import SignaturesPage
from app.start.page import StartPage
from app.strip import Elided, MessageStrip, StepStrip, TaskStrip
from app.tasks.runner import Job
from app.taxonomy.dock import TaxonomyDock
from app.theme import Theme
from app.unsaved import ask_unsaved
from app.waiting import WaitingStrip, state_of
from errormap_core.errors import KnownError
from errormap_core.measures.how import LOOKED_AT, coverage_sentence, how_lines, looked_at_sentence
from errormap_core.project.pending import any_undecided
from errormap_core.project.queries import Totals
from errormap_core.project.watching import CutOff
from errormap_core.sentences import Sentence, tr, trn

LONGEST_STEP = 120
"""Characters of a step in a menu."""

PAGES: tuple[tuple[str, Sentence], ...] = (
    ("review", tr("Review")),
    ("records", tr("Records")),
    ("signatures", tr("Signatures")),
    ("history", tr("History")),
    ("gold", tr("Gold")),
    ("models", tr("Models")),
    ("prompts", tr("Prompts")),
    ("judges", tr("Judges")),
)

LEAST_PAGE = 400

DOCKS = (330, 390)
"""Widths of taxonomy and record at first, in pixels: the work in the middle gets what a card with two columns needs."""

NARROW = 1180
"""In a window that is less wide than this, in pixels at 100 %, three columns are too narrow to read in."""


class Window(QMainWindow):
    """The frame around taxonomy, pages and record."""

    def __init__(self, session: Session, theme: Theme) -> None:
        super().__init__()
        self.session = session
        self.theme = theme
        set_title(self, "ErrorMap Studio")
        self.setAcceptDrops(True)
        self.resize(1440, 900)
        self.deeds = Deeds(self)
        self.tree = TaxonomyDock(session)
        self.records = RecordsPage(session)
        self.record = RecordPane(session)
        self.review = ReviewPage(session)
        self.signatures = SignaturesPage(session)
        self.history = HistoryPage(session)
        self.gold = GoldPage(session)
        self.models = ModelsPage(session)
        self.prompts = PromptsPage(session)
        self.judges = JudgesPage(session)
        self.strip = MessageStrip(theme)
        self.waiting = WaitingStrip(session.steps, session.opening, theme)
        self.rescue = RescueDeeds(self)
        self.saving = Saving(self)
        self.task_strip = TaskStrip(session.keys)
        self.step_strip = StepStrip(session.keys)
        self._targets: dict[str, object] = {
            "window": self.deeds,
            "rescue": self.rescue,
            "tree": self.tree,
            "records": self.records,
            "record": self.record,
            "review": self.review,
            "gold": self.gold,
            "judges": self.judges,
        }
        self._places: dict[str, tuple[QWidget, ...]] = {
            "tree": (self.tree,),
            "records": (self.records.table, self.record),
            "review": (self.review, self.record),
            "card": (self.review.list, self.review.frame, self.review.batch),
        }
        self._totals, self._how = "", tuple[Sentence, ...]()
        self._is_closing = False
        self._is_narrow = False
        self._is_opening = False  # until it is known whether anything waits
        self._build()
        self.actions_by_id = self._make_actions()
        self._make_menus()
        self.tree.set_menu(lambda: self._context_menu("tree"))
        self.records.set_menu(lambda: self._context_menu("records"))
        self.record.set_menu(lambda: self._context_menu("record"))
        self.review.set_menu(lambda: self._context_menu("review"))
        self._connect()
        self._set_keys()
        self._restyle()
        self._on_closed()

    # Building

    def _build(self) -> None:
        self.start = StartPage(self.theme, new=self.deeds.new, open_=self.deeds.open, sample=self.deeds.open_sample)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(str(tr("Pages")))
        for key, title in PAGES:
            page: QWidget = getattr(self, key)
            page.setMinimumWidth(LEAST_PAGE)
            self.tabs.addTab(page, str(title))
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start)
        self._stack.addWidget(self.tabs)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.strip)
        column.addWidget(self.waiting)
        column.addWidget(self.rescue.strip)
        column.addWidget(self._stack, 1)
        self.setCentralWidget(middle)
        self.left = self._dock("taxonomy", tr("Taxonomy"), self.tree, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.right = self._dock("record", tr("Record"), self.record, Qt.DockWidgetArea.RightDockWidgetArea)
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.tree.setMinimumWidth(240)
        self.record.setMinimumWidth(300)
        self.resizeDocks([self.left, self.right], [DOCKS[0], DOCKS[1]], Qt.Orientation.Horizontal)
        self._saved = Elided()
        self._saved.setAccessibleName(str(tr("State of the project")))
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        bar.addWidget(self._saved)
        bar.addWidget(self.task_strip)
        bar.addPermanentWidget(self.step_strip, 1)

    def _dock(self, name: str, title: Sentence, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(str(title), self)
        dock.setObjectName(name)
        dock.setWidget(widget)
        self.addDockWidget(area, dock)
        return dock

    def _make_actions(self) -> dict[str, QAction]:
        made: dict[str, QAction] = {}
        for command in COMMANDS:
            action = QAction(str(command.title), self)
            action.setStatusTip(str(command.tip))
            action.triggered.connect(lambda _=False, c=command: self.run(c))
            if command.on:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                for place in self._places[command.on]:
                    place.addAction(action)
            else:
                self.addAction(action)
            made[command.id] = action
        return made

    def _set_keys(self) -> None:
        """Give the actions their keys; those of the page that is shown come before those of the window."""
        keys, page = self.session.keys, self._page()
        of_page = {key for command in COMMANDS if page and PAGE_OF.get(command.on) == page for key in keys.of(command)}
        for command in COMMANDS:
            own = [key for key in keys.of(command) if command.on or key not in of_page]
            action = self.actions_by_id[command.id]
            wanted = [QKeySequence(key) for key in own]
            if action.shortcuts() != wanted:
                action.setShortcuts(wanted)
            set_tooltip(action, keys.tooltip(command))

    def _page(self) -> str:
        """Key of the page that is shown; '' where no project is open."""
        if not self.session.is_open:
            return ""
        shown = self.tabs.currentWidget()
        return next((key for key, _ in PAGES if getattr(self, key) is shown), "")

    def _on_page(self) -> None:
        self._set_keys()
        self._enable()

    def _make_menus(self) -> None:
        for key, title in MENUS.items():
            menu = self.menuBar().addMenu(words(title))
            for command in COMMANDS:
                if command.menu != key:
                    continue
                if command.starts_group:
                    menu.addSeparator()
                if command.submenu is not None:
                    self._submenu(menu, command.submenu).addAction(self.actions_by_id[command.id])
                    continue
                menu.addAction(self.actions_by_id[command.id])
                if command.id == "file.open":
                    self._recent_menu = menu.addMenu(str(tr("Open &recent")))
                    self._recent_menu.aboutToShow.connect(self._fill_recent)

    def _submenu(self, menu: QMenu, title: Sentence) -> QMenu:
        """The menu of this title at the end of `menu`, made where it is not there."""
        last = menu.actions()[-1].menu() if menu.actions() else None
        if isinstance(last, QMenu) and last.title() == str(title):
            return last
        return menu.addMenu(words(title))

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        for path in self.session.recent():
            action = self._recent_menu.addAction(literal(path))
            action.triggered.connect(lambda _=False, p=path: self.deeds.open_path(p))
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction(str(tr("None yet"))).setEnabled(False)

    def _context_menu(self, where: str) -> QMenu:
        """The commands that a pane's context menu shows, as they are now."""
        menu = QMenu(self)
        for command in COMMANDS:
            if where in command.in_context:
                if command.starts_group:
                    menu.addSeparator()
                menu.addAction(self.actions_by_id[command.id])
        return menu

    def _connect(self) -> None:
        session = self.session
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.failed.connect(self.show_error)
        session.told.connect(self.step_strip.tell)
        session.context_changed.connect(self._enable)
        session.counted.connect(lambda numbers, _: self._say_totals(numbers))
        session.steps.changed.connect(self._say_state)
        session.unsaved.connect(lambda then: ask_unsaved(session, then, self))
        self.saving.changed.connect(self._say_state)
        session.queue.read.connect(lambda _: self._on_queue())
        session.scope_changed.connect(lambda _: self._on_scope())
        self.step_strip.undo.connect(session.undo)
        self.task_strip.stop.connect(session.tasks.cancel_all)
        self.task_strip.pause.connect(self.deeds.pause_judge)
        self.record.analyse_now.connect(self.deeds.analyse_now)
        session.tasks.answered.connect(self.deeds.on_not_first)
        session.tasks.started.connect(self._on_jobs)
        session.tasks.progressed.connect(self._on_jobs)
        session.tasks.finished.connect(self._on_job_finished)
        self.review.n_changed.connect(self._on_pending)
        self.tabs.currentChanged.connect(lambda _: self._on_page())
        session.keys.changed.connect(self._set_keys)
        self.start.open_path.connect(self.deeds.open_path)
        self.theme.changed.connect(self._restyle)
        session.failed.connect(self.rescue.on_failed)  # after the strip, whose message it takes over
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._on_focus)

    # Commands

    def run(self, command: Command) -> None:
        """Do what a command says."""
        where, _, what = command.handler.partition(".")
        getattr(self._targets[where], what)()

    def do(self, command_id: str) -> None:
        self.run(BY_ID[command_id])

    def context(self) -> Context:
        """What commands' conditions read."""
        project = self.session.project
        if project is None:
            return Context()
        chosen = self.tree.selected_ids()
        kinds = {job.kind for job in self.session.tasks.running()}
        judge = self.session.tasks.running_of("judge")
        return Context(
            is_open=True,
            can_edit=self.session.can_edit,
            n_categories=len(chosen),
            n_movable=sum(1 for c in chosen if project.tree.live(c).reserved is None),
            n_failures=len(self.session.targets()),
            has_record=self.session.record_id is not None,
            has_proposal=self.session.proposal_id is not None,
            n_pending=self.review.n_pending,
            page=self._page(),
            proposal_kind=self.review.chosen_kind,
            can_decide=self.review.can_decide,
            n_selected=self.review.n_selected,
            has_edit=self.review.has_edit,
            undo=str(self.session.steps.undoable() or ""),
            redo=str(self.session.steps.redoable() or ""),
            is_judging="judge" in kinds,
            is_proposing=bool(kinds & {"propose", "classify"}),
            is_importing="import" in kinds,
            is_comparing="score" in kinds,
            is_checking="check-judge" in kinds,
            is_working=bool(kinds),
            can_pause=judge is not None and judge.can_pause,
            is_paused=judge is not None and judge.is_paused,
        )

    def _enable(self) -> None:
        context = self.context()
        for command in COMMANDS:
            self.actions_by_id[command.id].setEnabled(command.when(context))
        for command_id, said in (("edit.undo", context.undo), ("edit.redo", context.redo)):
            title = str(BY_ID[command_id].title)
            self.actions_by_id[command_id].setText(f"{title}: {literal(said, LONGEST_STEP)}" if said else title)
        pause = BY_ID["judge.pause"]
        self.actions_by_id[pause.id].setText(str(tr("Res&ume") if context.is_paused else pause.title))

    def _on_focus(self, _: QWidget | None, now: QWidget | None) -> None:
        if now is not None:
            self.session.is_reading_one = self.record.isAncestorOf(now)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that nothing took: Esc goes to the list of the page; one that works elsewhere does nothing here, and says so."""
        page = self.tabs.currentWidget()
        focus_list = getattr(page, "focus_list", None)
        if event.key() == Qt.Key.Key_Escape and self.session.is_open and focus_list is not None:
            focus_list()
            return
        command = self._command_elsewhere(QKeySequence(event.keyCombination()))
        if command is not None:
            key, place = key_text(self.session.keys.of(command)[0]), PLACES[command.on]
            self.session.say(
                tr("Nothing was done: {key} ({name}) works in {place}. Esc goes to the list.",
                   key=key, name=command.name, place=place)
            )  # fmt: skip
            return
        super().keyPressEvent(event)

    def _command_elsewhere(self, pressed: QKeySequence) -> Command | None:
        """The command that this key has in a place of the page that is shown which has not the focus."""
        page = self._page()
        near = {place for place, of_page in PAGE_OF.items() if of_page == page}
        near |= {"records"} & {page}
        for command in COMMANDS:
            keys = [QKeySequence(key) for key in self.session.keys.of(command)]
            if command.on in near and pressed in keys and self.actions_by_id[command.id].isEnabled():
                return command
        return None

    # What happens

    def _on_opened(self) -> None:
        project = self.session.project
        assert project is not None
        name = project.setting("atlas.title") or project.path.stem
        reading = str(tr(" (reading only)")) if project.read_only else ""
        set_title(self, f"{name}{reading} — ErrorMap Studio")
        self.strip.hide() if not project.read_only else None
        self._stack.setCurrentWidget(self.tabs)
        for dock in (self.left, self.right):
            dock.show()
        self.tabs.setCurrentWidget(self.records)
        self._is_opening = True
        key = "review" if any_undecided(project.reader) else "records"
        self.show_page(key)
        getattr(self, key).focus_list()  # the keys that its buttons show work at once
        self._enable()

    def _on_queue(self) -> None:
        """Where nothing of what is not decided fits the tree any more, the failures are worth more than an empty queue."""
        if self._is_opening and self._page() == "review" and not self.review.n_pending:
            self.show_page("records")
            self.records.focus_list()
        self._is_opening = False

    def _on_closed(self) -> None:
        set_title(self, "ErrorMap Studio")
        self._stack.setCurrentWidget(self.start)
        for dock in (self.left, self.right):
            dock.hide()
        self._saved.clear()
        self.step_strip.forget()
        self.start.show_recent(self.session.recent())
        self._enable()

    def _on_scope(self) -> None:
        """A category that is chosen in the tree shows its failures, unless a page that shows categories is open."""
        if self.tabs.currentWidget() is self.history:
            self.show_page("records")

    def _on_pending(self, n: int) -> None:
        self.tabs.setTabText(0, f"{PAGES[0][1]}  {n:,}" if n else str(PAGES[0][1]))
        self._enable()

    def show_error(self, error: KnownError) -> None:
        """Show what is wrong; where the file was lost, with the way to a copy."""
        way: tuple[Sentence, Callable[[], object]] | None = None
        if isinstance(error, CutOff):
            saves = (tr("Save a copy as…"), self.deeds.save_copy)
            way = (tr("Restore a backup…"), self.rescue.restore) if error.is_written_over else saves
        self.strip.show_error(error, way)

    def _say_totals(self, numbers: Totals) -> None:
        said = trn("{n:,} failure", "{n:,} failures", numbers.n_failures)
        waiting = numbers.states["waiting"]
        rest = f" · {tr('{n:,} wait for the judge', n=waiting)}" if waiting else ""
        coverage = ""
        if numbers.coverage is not None:
            n, looked_at = numbers.n_counted, looked_at_sentence(numbers.n_counted, numbers.n_looked_at)
            coverage = f" · {tr('coverage {c:.1%} of {n:,}', c=numbers.coverage, n=n)} · {looked_at}"
        self._totals = f"{said}{rest}{coverage}"
        self._how = (tr("{said}.", said=coverage_sentence(numbers)), *how_lines(numbers), LOOKED_AT)
        self._say_state()

    def _say_state(self) -> None:
        self._saved.setText(f"{self._state()} · {self._totals}" if self.session.is_open else "")
        set_tooltip(self._saved, "\n".join(map(str, (self._saved.text(), *self._how))))

    def _state(self) -> Sentence:
        """Whether all is saved."""
        if self.session.needs_copy():
            return tr("Not in a file: save a copy")
        project = self.session.project
        lost = None if project is None else project.cut_off
        if lost is not None and lost.is_written_over:
            return tr("Not saved: another program wrote over the file")
        return tr("Saved in a copy") if lost is not None and self.session.has_copy else state_of(self.session.steps)

    def _on_jobs(self, _: Job) -> None:
        self.task_strip.show_jobs(self.session.tasks.running())
        self._enable()

    def _on_job_finished(self, job: Job) -> None:
        if self._is_closing and not self.session.tasks.running():
            QTimer.singleShot(0, self.close)
        self.task_strip.show_jobs(self.session.tasks.running())
        self.session.poll()
        if job.error is not None:
            self.show_error(job.error)
            self.deeds.on_job_failed(job)
        else:
            self.deeds.on_job_done(job)
        self._enable()

    def show_page(self, key: str) -> None:
        self.tabs.setCurrentWidget(getattr(self, key))

    def _restyle(self) -> None:
        for dock in (self.left, self.right):
            dock.setFont(self.theme.font())
        self._fold()
        for command in COMMANDS:
            if command.icon:
                self.actions_by_id[command.id].setIcon(icon(command.icon, self.theme.scheme))

    # Dropping, closing, remembering

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        QTimer.singleShot(0, self, lambda: self.deeds.drop(paths))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Work that runs is asked to stop first; what it did is kept."""
        if self.saving.is_busy:
            event.ignore()
            return
        if self.session.needs_copy():
            event.ignore()
            self.saving.ask_before_closing()
            return
        if self.session.tasks.running():
            self._is_closing = True
            self.session.tasks.cancel_all()
            event.ignore()
            return
        if not self.session.may_leave(self.close):
            event.ignore()
            return
        was_open = self.session.project
        self.session.close()
        if (
            was_open is not None and was_open.left_in_two is not None
        ):  # the message is to be read: closed once more, it ends
            event.ignore()
            return
        self.session.tasks.end_quiet()
        try:
            self.session.settings["look.window"] = bytes(self.saveState().toBase64().data()).decode()
        except KnownError as error:
            self.strip.show_error(error)
        event.accept()

    def restore_layout(self) -> None:
        """Put panes where they were last time."""
        state = self.session.settings["look.window"]
        if state:
            self.restoreState(QByteArray.fromBase64(state.encode()))
        is_open = self.session.is_open
        for dock in (self.left, self.right):
            dock.setVisible(is_open)

    def fit_screen(self) -> None:
        """Make it no larger than the screen, frame included: below its edge would be what is said of saving, and Undo."""
        room, frame = self.screen().availableGeometry(), self.frameGeometry()
        most = room.size() - (frame.size() - self.size())
        if not self.isMaximized() and (self.width() > most.width() or self.height() > most.height()):
            self.resize(self.size().boundedTo(most))
            self.move(room.topLeft())

    def _fold(self) -> None:
        """In a window that is narrow for its text the record folds under the page."""
        area = self.dockWidgetArea(self.right)
        narrow = self.width() < NARROW * max(1.0, self.theme.factor)
        wanted = Qt.DockWidgetArea.BottomDockWidgetArea if narrow else Qt.DockWidgetArea.RightDockWidgetArea
        if area != wanted and narrow != self._is_narrow:
            is_hidden = self.right.isHidden()
            self.addDockWidget(wanted, self.right)
            self.right.setVisible(not is_hidden)
            self.resizeDocks([self.right], [self.height() // 3 if narrow else DOCKS[1]],
                             Qt.Orientation.Vertical if narrow else Qt.Orientation.Horizontal)  # fmt: skip
        self._is_narrow = narrow
        for strip in (self.task_strip, self.step_strip):
            strip.set_narrow(narrow)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fold()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.session.poll()
        elif event.type() == QEvent.Type.ActivationChange:
            self.session.leave_to_others()
        super().changeEvent(event)
