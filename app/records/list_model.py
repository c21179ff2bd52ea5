"""The Qt model of a list of failures: ids only; rows are read in blocks when they are painted."""

import json
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QMimeData, QModelIndex, QPersistentModelIndex, Qt

from app.plain import one_line, tooltip
from errormap_core.measures.how import STATE_NAMES, how_of
from errormap_core.project.queries import FailureRow, failure_rows
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr

RECORDS_MIME = "application/x-errormap-records"
"""Dragged failures: a JSON list of record ids."""

BLOCK = 100

MOST_REFRESHED = 4 * BLOCK
"""Where more rows were painted since the list was read, as after much scrolling, they are forgotten instead."""

Index = QModelIndex | QPersistentModelIndex

COLUMNS: tuple[tuple[str, Sentence], ...] = (
    ("title", tr("Error")),
    ("category", tr("Category")),
    ("example_id", tr("Example")),
    ("model", tr("Model")),
    ("dataset", tr("Dataset")),
    ("score", tr("Score")),
)

_TOP = QModelIndex()


class FailureListModel(QAbstractTableModel):
    """Failures in the order of `ids`. Reset only when another list is shown; an edit repaints."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._project: Project | None = None
        self._ids: list[str] = []
        self._place: dict[str, int] = {}
        self._rows: dict[str, FailureRow] = {}

    def show(self, project: Project | None, ids: list[str]) -> None:
        """Show these failures; the same list is only repainted."""
        if project is self._project and ids == self._ids:
            self.repaint()
            return
        self.beginResetModel()
        self._project, self._ids = project, ids
        self._place = {record_id: row for row, record_id in enumerate(ids)}
        self._rows = {}
        self.endResetModel()

    def repaint(self) -> None:
        """Read the rows again when they are painted next."""
        self._rows = {}
        if self._ids:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._ids) - 1, len(COLUMNS) - 1))

    def refresh(self) -> None:
        """Read the rows that were painted again, and repaint those that changed."""
        before = self._rows
        if self._project is None or len(before) > MOST_REFRESHED:
            self.repaint()
            return
        self._rows = failure_rows(self._project.reader, list(before))
        for record_id, row in before.items():
            if self._rows.get(record_id) != row and record_id in self._place:
                place = self._place[record_id]
                self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))

    def ids(self) -> list[str]:
        return self._ids

    def id_at(self, row: int) -> str | None:
        return self._ids[row] if 0 <= row < len(self._ids) else None

    def row_of(self, record_id: str) -> int | None:
        return self._place.get(record_id)

    def failure(self, row: int) -> FailureRow | None:
        """The failure in a row; its block is read when it is not there yet."""
        record_id = self.id_at(row)
        if record_id is None or self._project is None:
            return None
        if record_id not in self._rows:
            start = row - row % BLOCK
            self._rows.update(failure_rows(self._project.reader, self._ids[start : start + BLOCK]))
        return self._rows.get(record_id)

    def rowCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(self._ids)

    def columnCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return str(COLUMNS[section][1])
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        failure = self.failure(index.row())
        name = COLUMNS[index.column()][0]
        if role == Qt.ItemDataRole.TextAlignmentRole and name == "score":
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if failure is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return one_line(self._text(failure, name))
        if role == Qt.ItemDataRole.ToolTipRole and name == "title":
            said = failure.error_summary or failure.reason or str(STATE_NAMES[failure.state])
            return tooltip(f"{said}\n{how_of(failure.placed_by, failure.diagnosed_by)}")
        return None

    def _text(self, failure: FailureRow, name: str) -> str:
        if name == "title":
            return failure.error_title or str(STATE_NAMES[failure.state])
        if name == "score":
            return f"{failure.score:g}"
        if name == "category":
            category = self._project.tree.get(failure.category_id) if self._project and failure.category_id else None
            return category.name if category else "–"
        return str(getattr(failure, name))

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else flags

    def mimeTypes(self) -> list[str]:
        return [RECORDS_MIME]

    def mimeData(self, indexes: Any) -> QMimeData:
        data = QMimeData()
        rows = sorted({index.row() for index in indexes})
        data.setData(RECORDS_MIME, json.dumps([self._ids[row] for row in rows]).encode())
        return data
