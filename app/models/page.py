"""The page of models: those that a judge may use here, what their files say, and how they do on this machine."""

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.files import ask_folder
from app.models.asking import Asker
from app.models.details import Details
from app.plain import Label, TableItem, literal, set_tooltip
from app.session import Session
from app.tasks.runner import Job
from app.theme import HEADING, SPACE
from errormap_core.errors import KnownError
from errormap_core.judge import catalogue, devices
from errormap_core.judge.catalogue import Entry
from errormap_core.judge.kept_copies import kept_copies, say_copies
from errormap_core.judge.memory import memory_needed, memory_there
from errormap_core.judge.models_report import COLUMNS, JUDGES, NUMBERS, cells, too_large
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import setting

LEFT_OUT = ("licence", "architecture", "context", "quantisation", "size")
"""Columns that a narrow page leaves to the details, the first first."""

LEAST_NAME = 190
WARNING = "⚠  "


class ModelsPage(QWidget):
    """The list above, the selected model below; reading and asking happen in processes of their own."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.entries: list[Entry] = []
        self._read_for: tuple[tuple[str, ...], str] | None = None
        self._wanted: Path | None = None  # selected again when it is read again
        self._speeds: dict[Path, dict[str, Any]] = {}
        self._tries: dict[Path, dict[str, Any]] = {}
        self._asked: list[tuple[Job, Path]] = []
        self._reader = Asker(self)
        self._reader.line.connect(self._on_line)
        self._reader.ended.connect(self._on_read)
        self._llama = Asker(self)
        self._llama.line.connect(self._on_abilities)
        self._llama.ended.connect(self._on_asked)
        self._knows_llama = False
        self._there = memory_there()
        self._title, self.able, self.folders, self.copies = (Label(self) for _ in range(4))
        for label in (self.able, self.folders, self.copies):
            label.setWordWrap(True)
            label.setForegroundRole(label.foregroundRole().PlaceholderText)
        self.add_button = QPushButton(str(tr("&Add folder…")), self)
        set_tooltip(self.add_button, str(tr("Offer the GGUF files of a folder, and of those below it")))
        self.add_button.clicked.connect(self.add_folder)
        self.remove_button = QPushButton(str(tr("Remo&ve folder")), self)
        set_tooltip(self.remove_button, str(tr("Offer the models of a folder no longer; the files stay")))
        self._remove_menu = QMenu(self)
        self.remove_button.setMenu(self._remove_menu)
        self.again_button = QPushButton(str(tr("Read a&gain")), self)
        set_tooltip(self.again_button, str(tr("Look at the folders as they are now")))
        self.again_button.clicked.connect(self.read)
        self.table = self._make_table()
        self.details = Details(session)
        self.details.use.connect(self.use_as_judge)
        self.details.try_it.connect(self.try_model)
        self.details.measure.connect(self.measure)
        self._build()
        session.theme.changed.connect(self._restyle)
        session.record_selected.connect(lambda _: self._enable())
        session.tasks.started.connect(lambda _: self._enable())
        session.tasks.finished.connect(self._on_job)
        self._restyle()
        self._show_folders()
        self._show_selected()

    def _build(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.add_button, self.remove_button, self.again_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(self.details)
        split.setSizes([240, 480])
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * SPACE, 12, 2 * SPACE, 12)
        column.addWidget(self._title)
        column.addWidget(self.able)
        column.addWidget(self.folders)
        column.addWidget(self.copies)
        column.addLayout(buttons)
        column.addWidget(split, 1)

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, len(COLUMNS), self)
        table.setAccessibleName(str(tr("Models")))
        table.setHorizontalHeaderLabels([str(title) for _, title in COLUMNS])
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names differ at their ends
        table.setStyleSheet(
            "QTableView { outline: 0; } QTableView::item { padding: 0 8px; }"
        )  # as far in as the header's
        table.setTabKeyNavigation(False)  # Tab leaves the table
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # embedded models first, until one sorts
        header.setSortIndicatorClearable(True)
        for column, (key, title) in enumerate(COLUMNS):
            if key in NUMBERS:
                item = TableItem(str(title))
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                table.setHorizontalHeaderItem(column, item)
        header.setMinimumSectionSize(40)
        header.sortIndicatorChanged.connect(lambda *_: self._span())
        table.itemSelectionChanged.connect(self._show_selected)
        table.itemActivated.connect(lambda _: self.use_as_judge())
        return table

    # Reading

    def read(self) -> None:
        """Look at the embedded models and the folders, in a process of its own; rows come as they are read."""
        entry = self.selected()
        self._there = memory_there()
        self._wanted = entry.path if entry is not None else self._wanted
        self._read_for = self._sources()
        folders, judge = self._read_for
        self.entries = []
        self.table.setSortingEnabled(False)
        self.table.clearSpans()
        self.table.setRowCount(0)
        also = ["--model", judge] if judge else []
        self._reader.start([*catalogue.COMMAND, *also, *folders])
        self._show_folders()
        self._show_selected()

    def _sources(self) -> tuple[tuple[str, ...], str]:
        settings = self._session.settings
        return tuple(settings["models.folders"] or ()), settings["judge.model"]

    def _on_line(self, line: str) -> None:
        try:
            entry = Entry.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError):  # not of ours: some library spoke
            return
        self.entries.append(entry)
        self._fill_row(len(self.entries) - 1)
        if entry.path == self._wanted:
            self._select(entry.path)

    def _on_read(self, is_well: bool, said: str) -> None:
        if not is_well:
            self._read_for = None
            last = " ".join(said.split())[-200:]
            self._session.failed.emit(
                KnownError(tr("The models could not be read. {said}", said=last), fix=tr("Read again."))
            )
        self._fit()
        self.table.setSortingEnabled(True)
        self._span()
        if self.selected() is None and self.table.rowCount():
            judge = self._judge_path()
            self._select(judge if any(e.path == judge for e in self.entries) else self._entry_at(0).path)
        self._show_folders()

    def _ask_llama(self) -> None:
        self.able.setText(str(tr("Asking llama.cpp what it can do here …")))
        if devices.is_installed():
            self._llama.start(devices.COMMAND)
        else:
            self._knows_llama = True
            self.able.setText(str(devices.not_installed()))

    def _on_abilities(self, line: str) -> None:
        try:
            abilities = devices.answer_of(line)
        except KnownError:
            return
        self._knows_llama = True
        others = "; ".join(str(d.sentence()) for d in abilities.devices if not d.is_gpu)
        rest = f" {tr('Also here: {devices}.', devices=others)}" if abilities.gpus and others else ""
        self.able.setText(f"{abilities.sentence()}{rest}")
        set_tooltip(self.able, abilities.system_info)

    def _on_asked(self, _is_well: bool, said: str) -> None:
        if not self._knows_llama:
            self.able.setText(str(devices.not_answered(said)))

    # The table

    def _fill_row(self, place: int) -> None:
        entry = self.entries[place]
        row = self.table.rowCount()
        self.table.insertRow(row)
        texts = [entry.name, *["–"] * (len(COLUMNS) - 1)]
        keys: list[Any] = [entry.name.casefold(), *[""] * (len(COLUMNS) - 1)]
        if entry.model is not None:
            texts = cells(entry, entry.model, self._context())
            model = entry.model
            need = memory_needed(model, self._context()).total if model.kind in JUDGES else 0
            numbers = {"parameters": model.n_parameters, "size": model.size_bytes, "context": model.context_length,
                       "memory": need}  # fmt: skip
            keys = [numbers.get(key, text.casefold()) for (key, _), text in zip(COLUMNS, texts, strict=True)]
        sentence = self._row_sentence(entry)
        for column, ((key, _), text, order) in enumerate(zip(COLUMNS, texts, keys, strict=True)):
            item = _Item(text, order if key not in NUMBERS or isinstance(order, int) else -1)
            if key in NUMBERS:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setData(Qt.ItemDataRole.UserRole, place)
            if sentence and column == 1:
                item.setText(sentence)
                item.setSizeHint(QSize(1, 1))  # it goes on over the other columns
                item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)
        self._mark(row)
        self._span_row(row)

    def _mark(self, row: int) -> None:
        """Tell the judge from the others, and what cannot be one; both in words besides."""
        entry, scheme = self._entry_at(row), self._session.theme.scheme
        is_judge = entry.path == self._judge_path()
        name = self._cell(row, 0)
        name.setText(str(tr("{name} (judge)", name=entry.name)) if is_judge else entry.name)
        set_tooltip(name, str(entry.path))
        for column in range(self.table.columnCount()):
            self._cell(row, column).setFont(self._session.theme.font(semibold=is_judge))
        problem = entry.problem or too_large(entry, self._context(), self._there)
        of_file, of_memory = self._cell(row, 1), self._cell(row, len(COLUMNS) - 1)
        for cell in (of_file, of_memory):
            cell.setForeground(QColor(scheme.text))
            cell.setText(cell.text().removeprefix(WARNING))
        if problem is not None:
            at = of_memory if entry.problem is None else of_file
            at.setForeground(QColor(scheme.bad))
            at.setText(f"{WARNING}{at.text()}")
            set_tooltip(at, str(problem))

    def _row_sentence(self, entry: Entry) -> str:
        """What stands in a row instead of figures: why there are none, or why they are not those of a whole model."""
        if entry.problem is None or (entry.model is not None and not _is_partial(entry)):
            return ""
        return str(entry.problem.what)

    def _span(self) -> None:
        self.table.clearSpans()
        for row in range(self.table.rowCount()):
            self._span_row(row)

    def _span_row(self, row: int) -> None:
        if self._row_sentence(self._entry_at(row)):
            self.table.setSpan(row, 1, 1, len(COLUMNS) - 1)

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        item = self.table.item(row, column)
        assert item is not None
        return item

    def _entry_at(self, row: int) -> Entry:
        return self.entries[self._cell(row, 0).data(Qt.ItemDataRole.UserRole)]

    def selected(self) -> Entry | None:
        """The model that is selected in the list."""
        rows = self.table.selectionModel().selectedRows()
        return self._entry_at(rows[0].row()) if rows else None

    def _select(self, path: Path | None) -> None:
        for row in range(self.table.rowCount()):
            if self._entry_at(row).path == path:
                self.table.setCurrentCell(row, 0)
                return

    def _context(self) -> int:
        project = self._session.project
        return int(setting("judge.context").default if project is None else project.setting("judge.context"))

    def _judge_path(self) -> Path | None:
        """The file that the judge uses now: the one named in the settings, else the embedded default."""
        named = self._session.settings["judge.model"]
        if named:
            return Path(named)
        return next((entry.path for entry in self.entries if entry.is_embedded), None)

    # Deeds

    def add_folder(self) -> None:
        """Ask for a folder, and offer its models."""
        folder = ask_folder(self, tr("Folder with models"))
        if folder is not None:
            kept = [name for name in self._sources()[0] if name != str(folder)]
            self._keep("models.folders", [*kept, str(folder)])
            self.read()

    def remove_folder(self, folder: str) -> None:
        """Offer the models of this folder no longer."""
        self._keep("models.folders", [name for name in self._sources()[0] if name != folder])
        self.read()

    def use_as_judge(self) -> None:
        """The selected model is the judge from now on."""
        entry = self.selected()
        if entry is None or not self.details.use_button.isEnabled():
            return
        is_default = entry.is_embedded and entry.path == next((e.path for e in self.entries if e.is_embedded), None)
        self._keep("judge.model", "" if is_default else str(entry.path))
        self._read_for = self._sources()
        for row in range(self.table.rowCount()):
            self._mark(row)
        self._show_selected()
        self._session.say(tr("{name} is the judge", name=entry.name))

    def try_model(self) -> None:
        """Let the selected model diagnose the failure that the record pane shows."""
        project, record, entry = self._session.project, self._session.record_id, self.selected()
        if project is None or record is None or entry is None:
            return
        job = self._session.start("try", [str(project.path), "--record", record, "--model", str(entry.path)])
        if job is not None:
            self._asked.append((job, entry.path))
            self._say_asked(entry)

    def measure(self) -> None:
        """Measure how fast the selected model is here."""
        entry = self.selected()
        if entry is None:
            return
        job = self._session.start("tune", ["--model", str(entry.path)])
        if job is not None:
            self._asked.append((job, entry.path))
            self._say_asked(entry)

    def _say_asked(self, entry: Entry | None) -> None:
        """What is under way with this model."""
        for job, path in self._asked:
            if entry is not None and path == entry.path:
                if job.kind == "try":
                    self.details.say_try(tr("Trying … The model is being loaded and asked."))
                else:
                    self.details.say_speed(tr("Measuring … This takes a minute or so, longer for a large model."))

    def show_try(self, result: dict[str, Any], path: Path | None = None) -> None:
        """Show what the model gave for one failure; `path` is the model's, the selected one's where it is None."""
        self._keep_result(self._tries, result, path)

    def show_speed(self, result: dict[str, Any], path: Path | None = None) -> None:
        """Show what was measured of the model."""
        self._keep_result(self._speeds, result, path)

    def _keep_result(self, kept: dict[Path, dict[str, Any]], result: dict[str, Any], path: Path | None) -> None:
        entry = self.selected()
        if path is None and entry is not None:
            path = entry.path
        if path is not None:
            kept[path] = result
        self._show_selected()

    def _on_job(self, job: Job) -> None:
        """What this page asked for is shown; what other pages asked for is theirs."""
        mine = [(asked, path) for asked, path in self._asked if asked is job]
        self._asked = [(asked, path) for asked, path in self._asked if asked is not job]
        for _, path in mine:
            if job.error is None and job.result and not job.result.get("stopped"):
                (self.show_try if job.kind == "try" else self.show_speed)(job.result, path)
            else:
                self._show_selected()  # as before; the reason is in the message strip
        self._enable()

    def _keep(self, key: str, value: object) -> None:
        try:
            self._session.settings[key] = value
        except KnownError as error:
            self._session.failed.emit(error)

    # What is shown

    def is_asking(self) -> bool:
        """Whether models are being read, or llama.cpp is being asked."""
        return self._reader.is_running or self._llama.is_running

    def _show_copies(self) -> None:
        """How much room copies of weights take in the cache; nothing where there are none."""
        copies = kept_copies()
        most = self._session.settings["judge.copies_megabytes"] * 1_000_000
        self.copies.setText(str(say_copies(copies, most)) if copies else "")
        self.copies.setVisible(bool(copies))

    def focus_list(self) -> None:
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_selected(self) -> None:
        entry = self.selected()
        self._there = memory_there()
        self._show_copies()
        self.details.show_entry(
            entry,
            context=self._context(),
            there=self._there,
            is_judge=entry is not None and entry.path == self._judge_path(),
            speed=None if entry is None else self._speeds.get(entry.path),
            tried=None if entry is None else self._tries.get(entry.path),
        )
        self._say_asked(entry)
        self._enable()

    def _enable(self) -> None:
        entry = self.selected()
        can = entry is not None and entry.model is not None and entry.problem is None
        fits = can and entry is not None and too_large(entry, self._context(), self._there) is None
        running = {job.kind for job in self._session.tasks.running()}
        has_record = self._session.record_id is not None and self._session.is_open
        self.details.use_button.setEnabled(can and entry is not None and entry.path != self._judge_path())
        self.details.try_button.setEnabled(fits and has_record and "try" not in running)
        self.details.measure_button.setEnabled(fits and "tune" not in running)
        set_tooltip(
            self.details.try_button,
            str(
                tr("Let the model diagnose the failure that the record pane shows; nothing is kept of it")
                if has_record
                else tr("Select a failure first: the record pane shows it")
            ),
        )

    def _show_folders(self) -> None:
        names = self._sources()[0]
        said: Sentence
        if self._reader.is_running:
            said = tr("Reading …")
        elif not names:
            said = tr(
                "Add a folder with GGUF files to choose among them: a judge of 7B parameters or more is worth having."
            )
        else:
            said = trn("Folder: {names}", "Folders: {names}", len(names), names=" · ".join(names))
        self.folders.setText(str(said))
        self.remove_button.setEnabled(bool(names))
        self._remove_menu.clear()
        for name in names:
            action = self._remove_menu.addAction(literal(name))
            action.triggered.connect(lambda _=False, folder=name: self.remove_folder(folder))

    def _restyle(self) -> None:
        theme = self._session.theme
        self._title.setText(str(tr("Models that can judge")))
        self._title.setFont(theme.font(size=HEADING, semibold=True))
        self.table.verticalHeader().setDefaultSectionSize(theme.row_height())
        self._fit()
        for row in range(self.table.rowCount()):
            self._mark(row)
        self._show_selected()

    def _fit(self) -> None:
        """Columns as wide as their texts, the name takes the rest; fewer of them where there is little room."""
        least = round(LEAST_NAME * max(1.0, self._session.theme.factor))
        places = {key: column for column, (key, _) in enumerate(COLUMNS)}
        for column in range(1, len(COLUMNS)):
            self.table.setColumnHidden(column, False)
            self.table.resizeColumnToContents(column)
        room = self.table.viewport().width() - sum(self.table.columnWidth(c) for c in range(1, len(COLUMNS)))
        for key in LEFT_OUT:
            if room >= least:
                break
            room += self.table.columnWidth(places[key])
            self.table.setColumnHidden(places[key], True)
        self.table.setColumnWidth(0, max(least, room))

    def showEvent(self, event: QShowEvent) -> None:
        """What changed while the page was hidden is read now."""
        super().showEvent(event)
        if not self._knows_llama:
            self._ask_llama()
        if self._read_for != self._sources():
            self.read()
        else:
            for row in range(self.table.rowCount()):
                self._mark(row)
            self._show_selected()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nothing is left asking; what was not read is read when the page is shown again."""
        if self._reader.is_running:
            self._reader.stop()
            self._read_for = None
        self._llama.stop()
        super().hideEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()
        super().resizeEvent(event)


def _is_partial(entry: Entry) -> bool:
    model = entry.model
    return model is not None and bool(model.missing_bytes or model.missing_parts or model.part > 1)


class _Item(TableItem):
    """A cell that sorts by a key of its own."""

    def __init__(self, text: str, order: Any) -> None:
        super().__init__(text)
        self._order = order

    def __lt__(self, other: QTableWidgetItem) -> bool:
        mine, theirs = self._order, getattr(other, "_order", "")
        return bool(mine < theirs) if type(mine) is type(theirs) else str(mine) < str(theirs)
