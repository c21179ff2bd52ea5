"""The one split view: failures and children of a category at the left, the new categories at the right."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.dialogs import Dialog
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project.queries import failure_ids, failure_rows
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.operations import Part, SplitCategory

KEY = Qt.ItemDataRole.UserRole
"""(kind, id) of an item: ('record', id) or ('category', id)."""


class SplitView(Dialog):
    """Choose at the left, put into a part; names are edited in place (F2); the button splits."""

    def __init__(self, session: Session, category_id: str, parent: QWidget) -> None:
        project = session.project
        assert project is not None
        super().__init__(tr("Split “{name}”", name=project.tree.live(category_id).name), parent)
        self._session, self._project = session, project
        self._category = project.tree.live(category_id)
        self.resize(1060, 660)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(str(tr("Find among them")))
        self.filter.setAccessibleName(str(tr("Find among the failures and children")))
        self.filter.textChanged.connect(self._look_for)
        self.rest = QListWidget(self)
        self.rest.setAccessibleName(str(tr("Failures and children that stay")))
        self.rest.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.rest.setUniformItemSizes(True)
        self.rest.itemSelectionChanged.connect(self._on_selected)
        self.parts = QTreeWidget(self)
        self.parts.setAccessibleName(str(tr("New categories")))
        self.parts.setHeaderHidden(True)
        self.parts.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.parts.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.DoubleClicked
        )
        self.new = QPushButton(str(tr("&New category of the selection →")), self)
        self.put = QPushButton(str(tr("&Put into the chosen one →")), self)
        self.back = QPushButton(str(tr("← &Take back")), self)
        self.new.setToolTip(str(tr("Make a new category of what is selected at the left (Enter)")))
        self.put.setToolTip(str(tr("Put what is selected at the left into the category chosen at the right")))
        self.back.setToolTip(str(tr("Put what is chosen at the right back to the left")))
        for button in (self.put, self.back):
            button.setAutoDefault(False)
        self.new.setDefault(True)  # Enter in the list makes a category; the button that splits has to be reached
        self.new.clicked.connect(self.add_part)
        self.put.clicked.connect(self.put_selected)
        self.back.clicked.connect(self.take_back)
        self.beside = QRadioButton(str(tr("&beside it")), self)
        self.below = QRadioButton(str(tr("be&low it")), self)
        self.beside.setChecked(True)
        places = QButtonGroup(self)
        places.addButton(self.beside)
        places.addButton(self.below)
        if self._category.reserved == "hard":
            self.below.setEnabled(False)
        self.effect = QLabel(self)
        self.effect.setWordWrap(True)
        self.effect.setAccessibleName(str(tr("What the split touches")))
        self._build()
        self._fill()
        self._enable()
        self.parts.itemChanged.connect(lambda *_: self._preview())
        self.parts.itemSelectionChanged.connect(self._enable)
        places.idToggled.connect(lambda _, on: self._preview() if on else None)
        self._preview()

    def _build(self) -> None:
        middle = QVBoxLayout()
        middle.addStretch(1)
        for button in (self.new, self.put, self.back):
            middle.addWidget(button)
        middle.addStretch(2)
        grid = QGridLayout()
        self._title = QLabel(self)
        grid.addWidget(self._title, 0, 0)
        grid.addWidget(QLabel(str(tr("New categories (F2 renames)")), self), 0, 2)
        left = QVBoxLayout()
        left.addWidget(self.filter)
        left.addWidget(self.rest, 1)
        grid.addLayout(left, 1, 0)
        grid.addLayout(middle, 1, 1)
        grid.addWidget(self.parts, 1, 2)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(2, 3)
        where = QHBoxLayout()
        where.addWidget(QLabel(str(tr("They stand")), self))
        where.addWidget(self.beside)
        where.addWidget(self.below)
        where.addStretch(1)
        self.column.addLayout(grid, 1)
        self.column.addLayout(where)
        self.column.addWidget(self.effect)
        self.ok = self.add_buttons(tr("Split"), self._split)

    def _fill(self) -> None:
        """Children first, then the failures that the category itself holds."""
        tree = self._project.tree
        for child in tree.children(self._category.id):
            self.rest.addItem(self._item(("category", child), str(tr("▸ {name}", name=tree.live(child).name))))
        ids = failure_ids(self._project.reader, category_ids=[self._category.id])
        rows = failure_rows(self._project.reader, ids)
        for record_id in ids:
            row = rows.get(record_id)
            if row is not None:
                item = self._item(("record", record_id), f"{row.error_title or row.example_id}  ·  {row.model}")
                item.setToolTip(row.error_summary)
                self.rest.addItem(item)

    def _item(self, key: tuple[str, str], text: str) -> QListWidgetItem:
        item = QListWidgetItem(text)
        item.setData(KEY, key)
        return item

    def _look_for(self, text: str) -> None:
        wanted = text.casefold()
        for row in range(self.rest.count()):
            item = self.rest.item(row)
            item.setHidden(wanted not in f"{item.text()} {item.toolTip()}".casefold())
        self._enable()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter in the filter goes to what it found, rather than pressing a button."""
        if self.filter.hasFocus() and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._enter_list()
            return
        super().keyPressEvent(event)

    def _enter_list(self) -> None:
        """From the filter to the first of what it left."""
        rows = (self.rest.item(row) for row in range(self.rest.count()))
        first = next((item for item in rows if not item.isHidden()), None)
        if first is not None:
            self.rest.setFocus()
            self.rest.setCurrentItem(first)

    def _chosen(self) -> list[QListWidgetItem]:
        return [item for item in self.rest.selectedItems() if not item.isHidden()]

    def _enable(self) -> None:
        """What a button needs to be chosen, is chosen."""
        has_rest, has_part = bool(self._chosen()), bool(self.parts.selectedItems())
        self.new.setEnabled(has_rest)
        self.put.setEnabled(has_rest and has_part)
        self.back.setEnabled(has_part)

    def _on_selected(self) -> None:
        self._enable()
        item = self.rest.currentItem()
        if item is not None and item.data(KEY)[0] == "record":
            self._session.select_record(item.data(KEY)[1])

    # Parts

    def add_part(self) -> None:
        """A new category of what is selected, its name ready to be edited."""
        if not self._chosen():
            return
        n = self.parts.topLevelItemCount() + 1
        part = QTreeWidgetItem([str(tr("{name} {n}", name=self._category.name, n=n))])
        part.setFlags(part.flags() | Qt.ItemFlag.ItemIsEditable)
        self.parts.addTopLevelItem(part)
        part.setExpanded(True)
        self._put_into(part)
        self.parts.setCurrentItem(part)
        self.parts.editItem(part, 0)

    def put_selected(self) -> None:
        """Put what is selected at the left into the chosen part."""
        part = self.parts.currentItem()
        if part is not None:
            self._put_into(part.parent() or part)

    def _put_into(self, part: QTreeWidgetItem) -> None:
        chosen = self._chosen()
        self.rest.blockSignals(True)  # each that goes would change the selection once
        for item in chosen:
            child = QTreeWidgetItem([item.text()])
            child.setData(0, KEY, item.data(KEY))
            child.setToolTip(0, item.toolTip())
            child.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            part.addChild(child)
            self.rest.takeItem(self.rest.row(item))
        self.rest.blockSignals(False)
        self._enable()
        self._preview()

    def take_back(self) -> None:
        """Put chosen failures back to the left; of a chosen part, all of them, and the part goes."""
        chosen = self.parts.selectedItems()
        parts = [item for item in chosen if item.parent() is None]
        for item in chosen:
            above = item.parent()
            if above is not None and not above.isSelected():
                self._give_back(item)
                above.removeChild(item)
        for part in parts:
            for item in _children(part):
                self._give_back(item)
            self.parts.takeTopLevelItem(self.parts.indexOfTopLevelItem(part))
        self._look_for(self.filter.text())
        self._preview()

    def _give_back(self, item: QTreeWidgetItem) -> None:
        back = self._item(item.data(0, KEY), item.text(0))
        back.setToolTip(item.toolTip(0))
        self.rest.addItem(back)

    def operation(self) -> SplitCategory:
        """The split as it is chosen now."""
        made = []
        for place in range(self.parts.topLevelItemCount()):
            item = self.parts.topLevelItem(place)
            assert item is not None
            keys = [child.data(0, KEY) for child in _children(item)]
            records = tuple(key for kind, key in keys if kind == "record")
            children = tuple(key for kind, key in keys if kind == "category")
            made.append(Part(name=item.text(0), record_ids=records, child_ids=children))
        return SplitCategory(category_id=self._category.id, parts=tuple(made), is_below=self.below.isChecked())

    def _preview(self) -> None:
        n_left, n = self.rest.count(), self.parts.topLevelItemCount()
        self._title.setText(
            str(trn("{n:,} stays in “{name}”", "{n:,} stay in “{name}”", n_left, name=self._category.name))
        )
        self.ok.setText(str(trn("Split off {n:,} category", "Split off {n:,} categories", n)))
        if not n:
            self.effect.setText(str(tr("Select failures or children at the left, then make a new category of them.")))
            self.ok.setEnabled(False)
            return
        try:
            effect = self._project.preview(self.operation(), actor=self._session.actor)
        except KnownError as error:
            self.effect.setText(f"⚠  {error}")
            self.ok.setEnabled(False)
            return
        self.effect.setText(" ".join(str(s) for s in effect.sentences()) or str(tr("Moves no failure.")))
        self.ok.setEnabled(True)

    def _split(self) -> None:
        if self._session.apply(self.operation()) is not None:
            self.accept()


def _children(item: QTreeWidgetItem) -> list[QTreeWidgetItem]:
    found = (item.child(place) for place in range(item.childCount()))
    return [child for child in found if child is not None]
