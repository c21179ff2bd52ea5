"""The page of judges: every run with what it cost, which one counts, how two agree, how all do against what people know."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QTableWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.files import ask_folder
from app.judges.results import AgreementView, CheckView
from app.judging.dialog import JudgeDialog
from app.plain import Label, TableItem, set_tab_tooltip, set_tooltip
from app.session import Session
from app.tasks.runner import Job
from app.theme import HEADING, SPACE, make_primary
from errormap_core.gold.check_report import duration
from errormap_core.gold.resting import Since
from errormap_core.project.judge_runs import CURRENT_RUN, JudgeRun, judge_runs
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import Change, MachineChange
from errormap_core.taxonomy.operations import SetChoice

COLUMNS: tuple[tuple[str, Sentence], ...] = (
    ("counts", tr("✓")),
    ("number", tr("No.")),
    ("judge", tr("Judge")),
    ("prompt", tr("Prompt")),
    ("seed", tr("Seed")),
    ("analysed", tr("Analysed")),
    ("failed", tr("Failed")),
    ("tokens", tr("Tokens")),
    ("time", tr("Time")),
)
NUMBERS = {"number", "seed", "analysed", "failed", "tokens", "time"}
_JUDGE = 2

STATES: dict[str, Sentence] = {
    "running": tr("under way, or ended without a word"),
    "stopped": tr("stopped"),
    "finished": tr("finished"),
    "failed": tr("failed"),
}

TITLES: dict[str, Sentence] = {"check-judge": tr("Check"), "agreement": tr("Agreement of two")}
"""The jobs whose results are shown here."""

KINDS = tuple(TITLES)

RELOAD_AFTER_MS = 1000
"""While a judge works the table is read again at most so often."""


class JudgesPage(QWidget):
    """Runs above, what was compared below."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._is_stale = True
        self._since = {kind: Since() for kind in KINDS}
        self._is_of_others: set[str] = set()  # kinds whose result is not what was asked for last
        self.runs: list[JudgeRun] = []
        self._title = Label(self)
        self.table = self._make_table()
        self.about = Label(self)
        self.about.setWordWrap(True)
        self.about.setForegroundRole(self.about.foregroundRole().PlaceholderText)
        self.about.setTextInteractionFlags(self.about.textInteractionFlags().TextSelectableByMouse)
        self.use = self._button(tr("Make this one &count"), self.use_selected)
        self.latest = self._button(tr("Let the &latest count"), self.use_latest)
        self.compare = self._button(tr("C&ompare the two"), self.compare_selected)
        self.check = self._button(tr("Chec&k judges"), self.check_all)
        self.gold = self._button(tr("Check against other &gold…"), self.choose_gold)
        set_tooltip(self.gold, str(tr("A folder with taxonomy.json and analyses.jsonl")))
        self.another = self._button(tr("R&un another judge…"), self.run_another)
        session.keys.follow(self._say_keys)
        self.check_view, self.agreement_view = CheckView(session), AgreementView(session)
        self._views: dict[str, CheckView | AgreementView] = {
            "check-judge": self.check_view,
            "agreement": self.agreement_view,
        }
        self.agreement_view.record_chosen.connect(session.select_record)
        self.results = QTabWidget(self)
        self.results.setDocumentMode(True)
        self.results.setAccessibleName(str(tr("Results")))
        self._hints: dict[str, EmptyState] = {}
        self._layers_of: dict[str, QStackedLayout] = {}
        for kind, title in TITLES.items():
            self._add_result(kind, title, self._views[kind])
        self._empty = EmptyState(self)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(self._build())
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_opened)
        session.changed.connect(self._follow)
        session.machine_changed.connect(self._follow)
        session.changed.connect(lambda _: self._on_changed())
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(RELOAD_AFTER_MS)
        self._soon.timeout.connect(self._on_changed)
        session.machine_changed.connect(lambda _: self._soon.start() if not self._soon.isActive() else None)
        session.tasks.started.connect(lambda _: self._enable())
        session.tasks.finished.connect(lambda _: self._enable())
        session.theme.changed.connect(self._restyle)
        self._restyle()
        self._on_opened()

    # Building

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, len(COLUMNS), self)
        table.setAccessibleName(str(tr("Judge runs")))
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setTabKeyNavigation(False)  # Tab leaves the table
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(40)
        for column, (key, title) in enumerate(COLUMNS):
            item = TableItem(str(title))
            item.setTextAlignment(_align(key))
            if key == "counts":
                set_tooltip(item, str(tr("The run that counts, wherever no person wrote an analysis")))
            table.setHorizontalHeaderItem(column, item)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_JUDGE, QHeaderView.ResizeMode.Stretch)
        table.setStyleSheet(
            "QTableView { outline: 0; } QTableView::item { padding: 0 4px; } QHeaderView::section { padding: 4px; }"
        )
        table.itemSelectionChanged.connect(self._on_selected)
        return table

    def _button(self, title: Sentence, act: Callable[[], object]) -> QPushButton:
        button = QPushButton(str(title), self)
        button.clicked.connect(lambda _=False: act())
        return button

    def _add_result(self, kind: str, title: Sentence, view: QWidget) -> None:
        holder = QWidget(self)
        layers = QStackedLayout(holder)
        hint = EmptyState(holder)
        layers.addWidget(hint)
        layers.addWidget(view)
        self._hints[kind], self._layers_of[kind] = hint, layers
        self.results.addTab(holder, str(title))

    def _build(self) -> QWidget:
        deeds, questions = QHBoxLayout(), QHBoxLayout()
        for row, buttons in (
            (deeds, (self.use, self.latest, self.another)),
            (questions, (self.compare, self.check, self.gold)),
        ):
            for button in buttons:
                row.addWidget(button)
            row.addStretch(1)
        above = QWidget(self)
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, SPACE)
        column.addWidget(self.table, 1)
        column.addWidget(self.about)
        column.addLayout(deeds)
        column.addLayout(questions)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.setChildrenCollapsible(False)
        split.addWidget(above)
        split.addWidget(self.results)
        split.setSizes([300, 500])
        split.setStretchFactor(1, 1)
        full = QWidget(self)
        outer = QVBoxLayout(full)
        outer.setContentsMargins(2 * SPACE, 12, 2 * SPACE, 12)
        outer.addWidget(self._title)
        outer.addWidget(split, 1)
        return full

    # What is shown

    def reload(self) -> None:
        """Read the runs again, keeping what is selected."""
        self._is_stale = False
        project = self._session.project
        kept = {run.id for run in self.selected()}
        self.runs = [] if project is None else judge_runs(project.reader)
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(self.runs))
        for row, run in enumerate(self.runs):
            self._fill_row(row, run)
        for row, run in enumerate(self.runs):
            if run.id in kept:
                self._select_row(row)
        self.table.blockSignals(False)
        if self.runs:
            self._layers.setCurrentIndex(1)
        else:
            self._say_empty()
        self._on_selected()

    def _say_empty(self) -> None:
        if self._session.project is None:
            self._empty.say(tr("No project is open."))
        elif self._session.can_edit:
            self._empty.say(
                tr(
                    "No judge has worked on this project yet. Each run of one stands here then, and can be compared "
                    "with another and with what people know."
                ),
                (str(tr("Run the judge…")), lambda: self._do("judge.run")),
            )
        else:
            self._empty.say(tr("No judge has worked on this project yet."))
        self._layers.setCurrentIndex(0)

    def _fill_row(self, row: int, run: JudgeRun) -> None:
        prompt = "–" if not run.prompt_id else f"{run.prompt_id} v{run.prompt_version}"
        texts = {
            "counts": "✓" if run.is_current else "",
            "number": str(row + 1),
            "judge": run.model_file.removesuffix(".gguf") or run.name,
            "prompt": prompt,
            "seed": "–" if run.seed is None else str(run.seed),
            "analysed": f"{run.n_analysed:,}",
            "failed": f"{run.n_failed:,}",
            "tokens": f"{run.prompt_tokens + run.completion_tokens:,}",
            "time": str(duration(run.worked_s)),
        }
        for column, (key, _) in enumerate(COLUMNS):
            item = TableItem(texts[key])
            item.setTextAlignment(_align(key))
            set_tooltip(item, str(_about(run)))
            if run.is_current:
                item.setFont(self._session.theme.font(semibold=True))
            self.table.setItem(row, column, item)

    def _select_row(self, row: int) -> None:
        for column in range(len(COLUMNS)):
            item = self.table.item(row, column)
            if item is not None:
                item.setSelected(True)

    def selected(self) -> list[JudgeRun]:
        """The runs that are selected, in the order of the table."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        return [self.runs[row] for row in rows if row < len(self.runs)]

    def _on_selected(self) -> None:
        chosen = self.selected()
        if len(chosen) == 1:
            self.about.setText(str(_about(chosen[0])))
        elif chosen:
            self.about.setText(str(trn("{n:,} run is selected.", "{n:,} runs are selected.", len(chosen))))
        else:
            self.about.setText(str(tr("Select a run to see what made it, two to compare them.")))
        self._enable()

    def _enable(self) -> None:
        chosen, running = self.selected(), {job.kind for job in self._session.tasks.running()}
        can_edit = self._session.can_edit
        one = chosen[0] if len(chosen) == 1 else None
        self.use.setEnabled(can_edit and one is not None and not one.is_chosen)
        set_tooltip(self.use, str(_use_tip(one)))
        self.latest.setVisible(any(run.is_chosen for run in self.runs))
        self.latest.setEnabled(can_edit)
        set_tooltip(self.latest, str(tr("As where none was chosen: each new run counts as soon as it has begun")))
        self.compare.setEnabled(len(chosen) == 2 and "agreement" not in running)
        set_tooltip(
            self.compare,
            str(tr("How far they agree, and on which failures least") if len(chosen) == 2 else tr("Select two runs")),
        )
        for button in (self.check, self.gold):
            button.setEnabled(bool(self.runs) and "check-judge" not in running)
        self.another.setEnabled(can_edit and "judge" not in running)

    # Deeds

    def use_selected(self) -> None:
        """Let the selected run count."""
        chosen = self.selected()
        if len(chosen) == 1:
            self._choose(chosen[0].id, tr("{name} ({id})", name=chosen[0].name, id=chosen[0].short_id))

    def use_latest(self) -> None:
        """Let the latest run count, as where none was chosen."""
        self._choose("", tr("the latest"))

    def _choose(self, run_id: str, reason: Sentence) -> None:
        self._session.apply(SetChoice(key=CURRENT_RUN, value=run_id), reason=str(reason))

    def run_another(self) -> None:
        """Open the dialog of the judge, for one over the failures that others analysed too."""
        JudgeDialog(self._session, self.window(), again=True).open()

    def compare_selected(self) -> None:
        """Compare the two selected runs, in a process of its own."""
        chosen = self.selected()
        if len(chosen) == 2:
            self._start("agreement", [run.id for run in chosen])

    def check_all(self) -> None:
        """Check the selected runs where there are several, else all."""
        self._check([])

    def choose_gold(self) -> None:
        """Ask for a folder with gold, and check against it."""
        folder = ask_folder(self, tr("Folder with gold analyses"))
        if folder is not None:
            self._check(["--gold", str(folder)])

    def _check(self, more: Sequence[str]) -> None:
        chosen = self.selected()
        runs = [word for run in chosen if len(chosen) > 1 for word in ("--run", run.id)]
        self._start("check-judge", [*runs, *more])

    def _start(self, kind: str, arguments: Sequence[str]) -> None:
        project = self._session.project
        if project is None or self._session.start(kind, [str(project.path), *arguments]) is None:
            return
        self._since[kind].begin()
        self._is_of_others.discard(kind)
        self._hints[kind].say(tr("Comparing … The classifier is being loaded; that takes a few seconds."))
        self._layers_of[kind].setCurrentIndex(0)
        self.results.setCurrentIndex(KINDS.index(kind))
        self._enable()

    def show_result(self, job: Job) -> None:
        """Show what a check or a comparison gave."""
        self._views[job.kind].show_result(job.result, {run.id: number for number, run in enumerate(self.runs, start=1)})
        self._layers_of[job.kind].setCurrentIndex(1)
        self.results.setCurrentIndex(KINDS.index(job.kind))
        self._tell_old()

    def on_failed(self, kind: str) -> None:
        """It came to nothing, and the reason is in the message strip; what was shown before is shown again."""
        self._since[kind].give_up()
        if self._views[kind].has_result:
            self._layers_of[kind].setCurrentIndex(1)
            self._is_of_others.add(kind)
            self._tell_old()
        else:
            self._say_hint(kind)

    def focus_list(self) -> None:
        self.table.setFocus()
        if self.table.currentRow() < 0 and self.runs:
            self.table.setCurrentCell(0, _JUDGE)

    def _say_hint(self, kind: str) -> None:
        if kind == "check-judge":
            self._hints[kind].say(
                tr(
                    "Which judge is good enough? Check all of them against gold, and against the analyses and placements "
                    "that people made here."
                ),
                (str(tr("Check judges")), self.check_all),
            )
        else:
            self._hints[kind].say(
                tr(
                    "Do two judges say the same? Select two runs above (Ctrl or Shift with the arrows) and compare them."
                )
            )
        self._layers_of[kind].setCurrentIndex(0)

    # Being told

    def _on_opened(self) -> None:
        self._soon.stop()
        self._is_of_others.clear()
        self.table.clearSelection()
        for kind in KINDS:
            self._since[kind].begin()
            self._views[kind].forget()
            self._say_hint(kind)
        self.reload()

    def _follow(self, change: Change | MachineChange) -> None:
        for since in self._since.values():
            since.follow(change)

    def _on_changed(self) -> None:
        self._tell_old()
        self._is_stale = True
        if self.isVisible():
            self.reload()

    def _tell_old(self) -> None:
        """Say beside a result that the project changed since it was begun, or that it is not what was asked for last."""
        for place, kind in enumerate(KINDS):
            is_changed = self._since[kind].is_changed
            is_old = (is_changed or kind in self._is_of_others) and self._layers_of[kind].currentIndex() == 1
            why = tr("The earlier result: what you asked for last was not finished.")
            why = tr("The project changed since; do it again.") if is_changed else why
            set_tab_tooltip(self.results, place, why if is_old else "")
            self.results.setTabText(place, f"{TITLES[kind]} {tr('(from before)')}" if is_old else str(TITLES[kind]))

    def showEvent(self, event: QShowEvent) -> None:
        if self._is_stale:
            self.reload()
        super().showEvent(event)

    def _do(self, command: str) -> None:
        run = getattr(self.window(), "do", None)
        if run is not None:
            run(command)

    def _say_keys(self) -> None:
        keys = self._session.keys
        checks = tr("Against gold and against what people reviewed: the selected judges, or all")
        runs = tr("Another model, prompt or seed over the same failures; what is there is kept")
        set_tooltip(self.check, keys.hinted(checks, "judge.check"))
        set_tooltip(self.another, keys.hinted(runs, "judge.run"))

    def _restyle(self) -> None:
        theme = self._session.theme
        self._title.setText(str(tr("Judges")))
        self._title.setFont(theme.font(size=HEADING, semibold=True))
        self.table.verticalHeader().setDefaultSectionSize(theme.row_height())
        self.table.setMinimumHeight(3 * theme.row_height())
        make_primary(self.check)
        self.check_view.restyle()
        self.agreement_view.restyle()
        for row, run in enumerate(self.runs):
            self._fill_row(row, run)


def _align(key: str) -> Qt.AlignmentFlag:
    if key == "counts":
        return Qt.AlignmentFlag.AlignCenter
    side = Qt.AlignmentFlag.AlignRight if key in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _use_tip(run: JudgeRun | None) -> Sentence:
    if run is None:
        return tr("Select one run")
    if run.is_chosen:
        return tr("It counts already")
    if run.is_current:
        return tr("It counts as the latest; choose it, and it goes on to count when another has run")
    return tr("Its analyses count wherever no person wrote one; can be undone")


def _about(run: JudgeRun) -> Sentence:
    """What made a run, and what it came to."""
    parts = [str(tr("{name}, {id}: {state}", name=run.name, id=run.short_id, state=STATES.get(run.status, run.status)))]
    parts.append(str(tr("begun {at}", at=run.started_at[:16].replace("T", " "))))
    if run.model_sha256:
        parts.append(str(tr("model {sha}…", sha=run.model_sha256[:12])))
    if run.prompt_sha256:
        parts.append(str(tr("prompt {sha}…", sha=run.prompt_sha256[:12])))
    if run.temperature is not None:
        parts.append(str(tr("temperature {t:g}", t=run.temperature)))
    parts.append(str(trn("counts for {n:,} failure", "counts for {n:,} failures", run.n_counting)))
    parts.append(
        str(tr("{read:,} tokens read, {written:,} written", read=run.prompt_tokens, written=run.completion_tokens))
    )
    if run.n_shortened:
        parts.append(str(trn("{n:,} prompt shortened", "{n:,} prompts shortened", run.n_shortened)))
    parts += [f"{code} {n:,}" for code, n in run.failed.items()]
    return tr("{parts}", parts=" · ".join(parts))
