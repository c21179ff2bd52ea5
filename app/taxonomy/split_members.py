"""A list of failures and categories of a split: rows are read as they are painted, so that a list of 50,000 opens at once."""

from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QMimeData,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent, QFocusEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.plain import one_line, tooltip
from app.review.parts import keeps_ends
from app.session import Session
from errormap_core.project.queries import FailureRow, failure_rows
from errormap_core.sentences import tr

Key = tuple[str, str]
"""('record', id) or ('category', id)."""

KEY_ROLE = Qt.ItemDataRole.UserRole

MIME = "application/x-errormap-split"

CHUNK = 100
"""So many rows are read at once, around the one that is painted."""

NARROW = 330
"""In a list that is less wide, in pixels at 100 %, titles have two lines."""

Index = QModelIndex | QPersistentModelIndex

_TOP = QModelIndex()


class MembersModel(QAbstractListModel):
    """Keys in their order; what `look_for` does not find is not shown, and stays."""

    def __init__(self, session: Session, parent: QWidget, *, with_models: bool) -> None:
        super().__init__(parent)
        self._session = session
        self._with_models = with_models
        self._keys: list[Key] = []
        self._shown: list[Key] = []
        self._rows: dict[str, FailureRow | None] = {}
        self._words = ""

    def all_keys(self) -> list[Key]:
        """All of them, those that are not shown included."""
        return list(self._keys)

    def shown(self) -> list[Key]:
        return list(self._shown)

    def put(self, keys: Iterable[Key]) -> None:
        """Show these instead."""
        self.beginResetModel()
        self._keys = list(keys)
        self._shown = self._found()
        self.endResetModel()

    def look_for(self, words: str) -> None:
        """Show those whose texts have this, in any case; '' shows all."""
        if words.casefold() != self._words:
            self._words = words.casefold()
            self.put(self._keys)

    def _found(self) -> list[Key]:
        if not self._words:
            return list(self._keys)
        self._read([key for kind, key in self._keys if kind == "record"])
        return [key for key in self._keys if self._words in f"{self._text(key)} {self._tip(key)}".casefold()]

    def _read(self, record_ids: Sequence[str]) -> None:
        project = self._session.project
        wanted = [record_id for record_id in record_ids if record_id not in self._rows]
        if wanted and project is not None:
            rows = failure_rows(project.reader, wanted)
            self._rows.update({record_id: rows.get(record_id) for record_id in wanted})

    def _row(self, record_id: str, place: int) -> FailureRow | None:
        if record_id not in self._rows:
            start = max(0, place - CHUNK // 2)
            around = [key for kind, key in self._shown[start : start + CHUNK] if kind == "record"]
            self._read([record_id, *around])
        return self._rows.get(record_id)

    def _text(self, key: Key, place: int = 0) -> str:
        project = self._session.project
        if key[0] == "category":
            category = project.tree.get(key[1]) if project is not None else None
            return "" if category is None else str(tr("▸ {name}", name=category.name))
        row = self._row(key[1], place)
        if row is None:
            return str(tr("This record is not in the project any more."))
        title = row.error_title or str(tr("No title · {example}", example=row.example_id))
        return f"{title}  ·  {row.model}" if self._with_models else title

    def _tip(self, key: Key, place: int = 0) -> str:
        row = self._row(key[1], place) if key[0] == "record" else None
        if row is None:
            return ""
        return f"{row.dataset} · {row.model} · {row.example_id}\n{row.error_summary}".strip()

    def rowCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._shown):
            return None
        key = self._shown[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return one_line(self._text(key, index.row()))
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self._tip(key, index.row()))
        return key if role == KEY_ROLE else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """Nothing but that something is dragged: who takes it asks the list that it comes from."""
        data = QMimeData()
        data.setData(MIME, b"")
        return data


class _Rows(QStyledItemDelegate):
    """All rows equally high, so that only those are read that are seen."""

    def __init__(self, view: QListView, session: Session) -> None:
        super().__init__(view)
        self._view, self._session = view, session

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        theme = self._session.theme
        n = 2 if self._view.width() < NARROW * max(1.0, theme.factor) else 1
        return QSize(80, max(theme.row_height() if n == 1 else 0, n * option.fontMetrics.lineSpacing() + 6))


class MembersView(QListView):
    """`chosen`: id of the failure that the cursor is on; `dropped`: these keys were dropped here, from another list."""

    chosen = Signal(str)
    selected = Signal()
    entered_by_key = Signal()
    dropped = Signal(list)

    def __init__(self, session: Session, parent: QWidget, *, with_models: bool = False) -> None:
        super().__init__(parent)
        self.members = MembersModel(session, self, with_models=with_models)
        self.setModel(self.members)
        self.setItemDelegate(_Rows(self, session))
        self.setUniformItemSizes(True)
        self.setWordWrap(True)
        self.setMinimumHeight(44)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selected.emit())
        self.selectionModel().currentChanged.connect(lambda index, _: self._on_current(index))

    def event(self, event: QEvent) -> bool:
        if keeps_ends(event):
            event.accept()
            return True
        return super().event(event)

    def keyboardSearch(self, search: str) -> None:
        """Letters are commands on a card, and there is a field to find by in the dialog."""

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() != Qt.FocusReason.MouseFocusReason:
            self.entered_by_key.emit()

    def _on_current(self, index: QModelIndex) -> None:
        key = index.data(KEY_ROLE)
        if key is not None and key[0] == "record":
            self.chosen.emit(key[1])

    def chosen_keys(self) -> list[Key]:
        """What is selected, in the order of the list."""
        shown = self.members.shown()
        places = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return [shown[place] for place in places]

    def choose(self, keys: Iterable[Key]) -> None:
        """Select these alone, as far as they are shown, and go to the first."""
        wanted = set(keys)
        places = [place for place, key in enumerate(self.members.shown()) if key in wanted]
        selection = QItemSelection()
        for place in places:
            index = self.members.index(place)
            selection.select(index, index)
        model = self.selectionModel()
        model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if places:
            model.setCurrentIndex(self.members.index(places[0]), QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(self.members.index(places[0]))

    # Dragging

    def _is_from_another(self, event: QDropEvent) -> bool:
        return isinstance(event.source(), MembersView) and event.source() is not self

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        event.setAccepted(self._is_from_another(event))

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.setAccepted(self._is_from_another(event))

    def dropEvent(self, event: QDropEvent) -> None:
        source = event.source()
        if isinstance(source, MembersView) and source is not self:
            event.setDropAction(Qt.DropAction.IgnoreAction)  # who keeps the parts moves them, in its own order
            event.accept()
            self.dropped.emit(source.chosen_keys())
            return
        event.ignore()
