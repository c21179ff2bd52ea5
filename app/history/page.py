"""The page of history: every step that was taken, by whom and when; any can be taken back on its own."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPushButton,
    QStackedLayout,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.plain import TableItem, set_tooltip
from app.session import Session
from app.step_queue import WaitingStep
from errormap_core.errors import KnownError
from errormap_core.project.queries import HistoryRow, history
from errormap_core.sentences import tr

SHOWN = 500


class HistoryPage(QWidget):
    """Steps, the latest first. What was undone stays in the list, marked as such."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._rows: list[HistoryRow] = []
        self._is_stale = True
        self.table = QTableWidget(0, 4, self)
        self.table.setAccessibleName(str(tr("Steps, the latest first")))
        self.table.setHorizontalHeaderLabels([str(t) for t in (tr("When"), tr("Who"), tr("Step"), tr("State"))])
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.table.itemSelectionChanged.connect(self._enable)
        self.button = QPushButton(str(tr("Take this step back")), self)
        set_tooltip(self.button, str(tr("Undo this step alone; refused where later ones build on it")))
        self.button.clicked.connect(self.undo_selected)
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(12, 12, 12, 12)
        column.addWidget(self.table, 1)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        self._empty = EmptyState(self)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(full)
        for signal in (session.opened, session.changed):
            signal.connect(lambda *_: self._mark_stale())
        session.closed.connect(self._mark_stale)
        self._empty.say(tr("No project is open."))

    def _mark_stale(self) -> None:
        self._is_stale = True
        if self.isVisible():
            self.reload()

    def showEvent(self, event: object) -> None:
        if self._is_stale:
            self.reload()
        super().showEvent(event)  # type: ignore[arg-type]

    def reload(self) -> None:
        """Read the steps again."""
        project = self._session.project
        self._is_stale = False
        self._rows = history(project.reader, limit=SHOWN) if project is not None else []
        self.table.setRowCount(len(self._rows))
        for place, row in enumerate(self._rows):
            state = str(tr("undone")) if row.is_undone else ""
            texts = (row.at[:19].replace("T", " "), row.initials or row.actor, row.summary, state)
            for column, text in enumerate(texts):
                item = TableItem(text)
                if row.is_undone:
                    item.setForeground(self.palette().placeholderText())
                self.table.setItem(place, column, item)
        self.table.resizeColumnToContents(0)
        if not self._rows:
            self._empty.say(
                tr("No step was taken yet. Everything that you change will be listed here, and can be undone.")
            )
        self._layers.setCurrentIndex(1 if self._rows else 0)
        self._enable()

    def _selected(self) -> HistoryRow | None:
        row = self.table.currentRow()
        return self._rows[row] if 0 <= row < len(self._rows) and self.table.selectedItems() else None

    def _enable(self) -> None:
        row = self._selected()
        project = self._session.project
        can = project is not None and row is not None and project.can_be_taken_back(row.entry_id)
        self.button.setEnabled(self._session.can_edit and can and row is not None and not row.is_undone)
        is_given = row is not None and not row.is_undone and not can
        set_tooltip(
            self.button,
            str(
                tr("This is how the project was handed over; it cannot be undone")
                if is_given
                else tr("Undo this step alone; refused where later ones build on it")
            ),
        )

    def undo_selected(self) -> None:
        """Take the selected step back, whichever it is."""
        row = self._selected()
        if row is None or not self._session.is_open:
            return
        said = tr("Undo “{step}”", step=row.summary)
        try:
            self._session.steps.take(WaitingStep("undo_entry", self._session.actor, entry_id=row.entry_id, said=said))
        except KnownError as error:
            self._session.failed.emit(error)
