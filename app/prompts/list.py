"""The list of prompts: names are edited in place, keys of the list come before those of the window."""

from PySide6.QtCore import QAbstractItemModel, QEvent, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListWidget,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.plain import ListItem, set_tooltip
from errormap_core.judge.project_prompts import ListedPrompt
from errormap_core.sentences import tr, trn

NAME, IS_OWN = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1

_KEYS = (Qt.Key.Key_F2, Qt.Key.Key_Delete)

Index = QModelIndex | QPersistentModelIndex


class PromptList(QListWidget):
    """Shipped prompts first, then the project's own; two lines each."""

    renamed = Signal(str, str)
    remove_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(str(tr("Prompts")))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setStyleSheet("QListView { outline: 0; } QListView::item { padding: 5px 8px; }")
        self._delegate = _Names(self)
        self.setItemDelegate(self._delegate)

    def show_prompts(self, listed: list[ListedPrompt], *, unsaved: set[str], can_edit: bool, selected: str) -> str:
        """Show these, the selected one kept where it is there, else the chosen one; returns which it is."""
        names = [one.name for one in listed]
        wanted = selected if selected in names else next((one.name for one in listed if one.is_chosen), names[0])
        self.blockSignals(True)
        while self.count() > len(listed):
            self.takeItem(self.count() - 1)
        while self.count() < len(listed):
            self.addItem(ListItem())
        for place, one in enumerate(listed):
            item = self.item(place)
            assert item is not None
            item.setText(_text_of(one, is_unsaved=one.name in unsaved))
            set_tooltip(item, _tip_of(one))
            item.setData(NAME, one.name)
            item.setData(IS_OWN, one.is_own)
            flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
            item.setFlags(flags | Qt.ItemFlag.ItemIsEditable if one.is_own and can_edit else flags)
        self.setCurrentRow(names.index(wanted))
        self.blockSignals(False)
        return wanted

    def name(self) -> str:
        """The selected prompt's name; empty where none is."""
        item = self.currentItem()
        return "" if item is None else str(item.data(NAME))

    def rename_current(self) -> None:
        item = self.currentItem()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEditable:
            self.editItem(item)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and event.key() in _KEYS:
            event.accept()  # before commands of the window with these keys
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_F2:
            self.rename_current()
        elif event.key() == Qt.Key.Key_Delete:
            self.remove_asked.emit()
        else:
            super().keyPressEvent(event)


class _Names(QStyledItemDelegate):
    """Edits the name alone, which is only a part of what an item shows."""

    def __init__(self, parent: PromptList) -> None:
        super().__init__(parent)
        self._list = parent

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        field = QLineEdit(parent)
        field.setAccessibleName(str(tr("Name of the prompt")))
        return field

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        editor.setText(index.data(NAME))
        editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        if editor.text().strip() != index.data(NAME):
            self._list.renamed.emit(index.data(NAME), editor.text().strip())


def _text_of(one: ListedPrompt, *, is_unsaved: bool) -> str:
    parts = [str(tr("own, from {id}", id=one.prompt.profile))] if one.is_own else [
        str(tr("shipped v{version}", version=one.prompt.version))
    ]  # fmt: skip
    if is_unsaved:
        parts.append(str(tr("not saved")))
    elif one.n_analyses:
        parts.append(str(trn("{n:,} analysis", "{n:,} analyses", one.n_analyses)))
    chosen = str(tr("  ✓ in use")) if one.is_chosen else ""
    return f"{one.name}{chosen}\n{' · '.join(parts)}"


def _tip_of(one: ListedPrompt) -> str:
    what = (
        tr("Criteria, then a diagnosis")
        if one.prompt.profile == "full"
        else tr("Evidence, title and summary; much less to write")
    )
    return str(tr("{what}\n{id} v{version}, SHA-256 {sha}", what=what, id=one.prompt.id, version=one.prompt.version,
                  sha=one.prompt.sha256[:12]))  # fmt: skip
