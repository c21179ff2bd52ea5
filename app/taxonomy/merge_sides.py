"""Categories beside each other, as a merge shows them: by the tree's command and on the card of a proposal."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.plain import Label, ListItem, literal, set_tooltip
from app.review.parts import Clipped
from app.session import Session
from errormap_core.project.queries import common_titles, failure_rows, n_counted_in
from errormap_core.sentences import tr, trn

TYPICAL = 5

SHORT = 36

LEAST_COLUMN = 170

MOST_LINES = 3
"""Of a description, on a card; the tooltip has all of it."""


class MergeSides(QScrollArea):
    """A column a category: whether it survives, its numbers, its description, its typical errors; with `can_leave_out` a
    box that leaves it out. `changed`: another merge would come of it."""

    changed = Signal()
    record_chosen = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None, *, can_leave_out: bool = False) -> None:
        super().__init__(parent)
        self._session = session
        self._can_leave_out = can_leave_out
        self._ids: list[str] = []
        self._survivor = QButtonGroup(self)
        self.boxes: list[QCheckBox] = []
        self.names: list[Label] = []
        self.titles: list[QListWidget] = []
        self._paths: list[str] = []
        self.counts: dict[str, int] = {}
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName(str(tr("Categories to merge")))

    def show_categories(
        self, category_ids: Sequence[str], *, into: str | None, typical: Mapping[str, Sequence[str]] | None = None,
        keys: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Show these; `typical` may name failures that stand for each, `keys` what leaves the columns out."""
        project = self._session.project
        assert project is not None
        self._ids = list(category_ids)
        self._survivor.deleteLater()
        self._survivor = QButtonGroup(self)
        self.boxes, self.names, self.titles, self._paths = [], [], [], []
        tree = project.tree
        self.counts = {c: n_counted_in(project.reader, tree.subtree(c)) for c in category_ids}
        reserved = [c for c in category_ids if tree.live(c).reserved is not None]
        first = into or (reserved[0] if reserved else max(category_ids, key=lambda c: self.counts[c]))
        inner = QWidget(self)
        sides = QHBoxLayout(inner)
        sides.setContentsMargins(0, 0, 0, 0)
        sides.setSpacing(16)
        for place, category_id in enumerate(category_ids):
            sides.addWidget(self._side(inner, place, category_id, (typical or {}).get(category_id, ())), 1)
        self.say_keys(keys)
        self._survivor.button(self._ids.index(first) if first in self._ids else 0).setChecked(True)
        self.setWidget(inner)
        self._survivor.idToggled.connect(lambda _, on: self.changed.emit() if on else None)

    def say_keys(self, keys: Sequence[str]) -> None:
        """Show what leaves the columns out."""
        for place, (box, path) in enumerate(zip(self.boxes, self._paths, strict=True)):
            key = keys[place] if place < len(keys) else ""
            box.setText(key)
            bracketed = f" ({key})" if key else ""
            set_tooltip(box, str(tr("{path}\nNot checked, it is left out{key}", path=path, key=bracketed)))

    def _side(self, parent: QWidget, place: int, category_id: str, typical: Sequence[str]) -> QWidget:
        project = self._session.project
        assert project is not None
        tree = project.tree
        category = tree.live(category_id)
        side = QWidget(parent)
        side.setMinimumWidth(LEAST_COLUMN)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        name = category.name if len(category.name) <= SHORT else category.name[: SHORT - 1] + "…"
        path = tree.place(category_id)
        if self._can_leave_out:
            box = QCheckBox(side)
            box.setAccessibleName(str(tr("“{name}” is merged", name=category.name)))
            box.setChecked(True)
            box.toggled.connect(lambda _: self._on_box())
            label = _words(category.name, side)
            label.setFont(self._session.theme.font(semibold=True))
            head = QHBoxLayout()
            head.addWidget(box, 0, Qt.AlignmentFlag.AlignTop)
            head.addWidget(label, 1)
            column.addLayout(head)
            self.boxes.append(box)
            self.names.append(label)
            self._paths.append(path)
        radio = QRadioButton(literal(tr("this one stays") if self._can_leave_out else name), side)
        set_tooltip(radio, str(tr("{path}\nIts id survives", path=path)))
        radio.setAccessibleName(str(tr("“{name}” stays, the others go into it", name=category.name)))
        if not self._can_leave_out:
            radio.setFont(self._session.theme.font(semibold=True))
        self._survivor.addButton(radio, place)
        column.addWidget(radio)
        n = self.counts[category_id]
        said = [str(trn("{n:,} failure", "{n:,} failures", n))]
        if category.parent_id is not None:
            said.append(str(tr("below {path}", path=tree.place(category.parent_id))))
        numbers = _words(" · ".join(said), side)
        numbers.setForegroundRole(numbers.foregroundRole().PlaceholderText)
        column.addWidget(numbers)
        if category.description:
            described = Clipped(side, most=MOST_LINES if self._can_leave_out else 0)
            described.say(category.description)
            column.addWidget(described)
        titles = self._titles(side, category_id, typical)
        titles.setAccessibleName(str(tr("Typical errors of “{name}”", name=category.name)))
        column.addWidget(titles, 1)
        self.titles.append(titles)
        return side

    def _titles(self, side: QWidget, category_id: str, typical: Sequence[str]) -> QListWidget:
        project = self._session.project
        assert project is not None
        shown = QListWidget(side)
        shown.setWordWrap(True)
        shown.setMinimumHeight(90)
        shown.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows = failure_rows(project.reader, list(typical)[:TYPICAL])
        found = [(rows[i].error_title, 1, i) for i in typical if i in rows and rows[i].error_title]
        if len(found) < TYPICAL:  # few are named: the most frequent titles besides
            named = {title for title, _, _ in found}
            others = common_titles(project.reader, project.tree.subtree(category_id), limit=TYPICAL)
            found += [each for each in others if each[0] not in named][: TYPICAL - len(found)]
        for title, n, record_id in found:
            item = ListItem(f"{title}  ×{n:,}" if n > 1 else title)
            item.setData(Qt.ItemDataRole.UserRole, record_id)
            shown.addItem(item)
        if not found:
            item = ListItem(str(tr("No failures yet")))
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            shown.addItem(item)
        shown.currentItemChanged.connect(lambda item, _: self._choose(item))
        return shown

    def _choose(self, item: QListWidgetItem | None) -> None:
        if item is not None and item.data(Qt.ItemDataRole.UserRole):
            self.record_chosen.emit(item.data(Qt.ItemDataRole.UserRole))

    def _on_box(self) -> None:
        """A category that is left out is not the one that stays."""
        for place, box in enumerate(self.boxes):
            self._survivor.button(place).setEnabled(box.isChecked())
        included = self.included()
        if self.into not in included and included:
            best = max(included, key=lambda c: self.counts[c])
            self._survivor.button(self._ids.index(best)).setChecked(True)
        self.changed.emit()

    @property
    def into(self) -> str:
        """Id of the category that stays."""
        return self._ids[self._survivor.checkedId()]

    def included(self) -> list[str]:
        """Ids of those that are not left out."""
        if not self.boxes:
            return list(self._ids)
        return [c for c, box in zip(self._ids, self.boxes, strict=True) if box.isChecked()]

    def left_out(self) -> list[str]:
        return [c for c in self._ids if c not in self.included()]

    def toggle(self, place: int) -> None:
        """Leave the nth out, or take it in again; counted from 0."""
        if place < len(self.boxes):
            self.boxes[place].toggle()

    def choose(self, *, left_out: Sequence[str], into: str | None) -> bool:
        """Leave these out, and let that one stay; whether all of them are here."""
        for category_id, box in zip(self._ids, self.boxes, strict=False):  # without boxes none can be left out
            box.setChecked(category_id not in left_out)
        if into in self.included():
            self._survivor.button(self._ids.index(into)).setChecked(True)
        return set(left_out).issubset(self._ids) and (into is None or into in self._ids)

    def fields(self) -> list[QWidget]:
        """What can have the focus, in the order of the columns."""
        found: list[QWidget] = []
        for place, titles in enumerate(self.titles):
            found += [*self.boxes[place : place + 1], self._survivor.button(place), titles]
        return found

    def typical_ids(self) -> list[str]:
        """A failure of each column that has one."""
        firsts = (shown.item(0) for shown in self.titles if shown.count())
        return [item.data(Qt.ItemDataRole.UserRole) for item in firsts if item.data(Qt.ItemDataRole.UserRole)]


def _words(text: str, parent: QWidget) -> Label:
    label = Label(text, parent)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    return label
