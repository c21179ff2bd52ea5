"""The parts of a split beside each other: in the dialog of the tree's command and on the card of a proposal.

What stays in the category is the first column, each part one more. What is selected goes from column to column by the
keys of the commands `review.part_...`, by buttons that show them, or dragged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.commands import BY_ID
from app.plain import Label, set_tooltip
from app.review.flow import FlowLayout
from app.review.parts import Clipped, Text, keep_space, tab_after
from app.session import Session
from app.taxonomy.split_members import Key, MembersView
from app.theme import make_tight
from errormap_core.ids import new_id
from errormap_core.sentences import tr, trn

LEAST = 132
"""Least width of a column in pixels: three fit beside each other on a card."""

LEAST_AREA = 112

MOVES = ("part_back", "part_previous", "part_next", "part_new")
"""Commands that move what is selected, as their buttons stand."""


ADDED = "added-"
"""How the id of a part begins that somebody made by hand; one that is left empty goes."""


@dataclass(frozen=True, slots=True)
class SplitPart:
    """One new category of a split; `is_in` False: it is left out, and its members stay."""

    id: str
    name: str
    keys: tuple[Key, ...]
    description: str = ""
    is_in: bool = True

    @property
    def record_ids(self) -> tuple[str, ...]:
        return tuple(key for kind, key in self.keys if kind == "record")

    @property
    def child_ids(self) -> tuple[str, ...]:
        return tuple(key for kind, key in self.keys if kind == "category")


class _Area(QScrollArea):
    """Asks for little room, and takes what there is."""

    def sizeHint(self) -> QSize:
        return QSize(200, LEAST_AREA)


class PartColumn(QWidget):
    """A part: whether it is taken, its name, its description, its members. Without `part`: what stays."""

    def __init__(self, parts: "SplitParts", part: SplitPart | None, parent: QWidget, *, can_leave_out: bool) -> None:
        super().__init__(parent)
        self.part = part
        self.setMinimumWidth(LEAST)
        self.box = QCheckBox(self)
        self.box.setChecked(part is None or part.is_in)
        self.box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.box.setVisible(part is not None and can_leave_out)
        self.name = QLineEdit(self)
        self.title = Clipped(self)
        self.count = Text(self, muted=True)
        self.description = Clipped(self, most=2)
        self.members = MembersView(parts.session, self, with_models=parts.with_models)
        head = QHBoxLayout()
        head.addWidget(self.box)
        head.addWidget(self.name if part is not None else self.title, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.count)
        column.addWidget(self.description)
        column.addWidget(self.members, 1)
        self.name.setVisible(part is not None)
        self.name.setAccessibleName(str(tr("Name of the part")))
        self.box.setAccessibleName(str(tr("Take the part “{name}”", name="" if part is None else part.name)))
        if part is None:
            self.members.setAccessibleName(str(tr("What stays in the category")))
            self.description.say("")
        else:
            self.name.setText(part.name)
            self.name.setCursorPosition(0)
            set_tooltip(self.name, part.name)
            self.members.setAccessibleName(str(tr("Failures of the part “{name}”", name=part.name)))
            self.description.say(part.description)
            self.members.members.put(part.keys)
        self.say_count()

    def ids(self) -> list[str]:
        """Ids of its failures."""
        return [key for kind, key in self.members.members.all_keys() if kind == "record"]

    def put(self, keys: Iterable[Key]) -> None:
        """Let it have these."""
        self.members.members.put(keys)
        self.say_count()

    def say_count(self) -> None:
        n, n_below = len(self.ids()), len(self.members.members.all_keys()) - len(self.ids())
        below = trn(", {n:,} category", ", {n:,} categories", n_below) if n_below else tr("")
        self.count.say(trn("{n:,} failure{below}", "{n:,} failures{below}", n, below=below))

    def show_brief(self, is_brief: bool) -> None:
        """Without its description."""
        self.description.setVisible(bool(self.description.text()) and not is_brief)

    def say_key(self, key: str) -> None:
        """Show the key that leaves the part out."""
        self.box.setText(key)
        bracketed = f" ({key})" if key else ""
        set_tooltip(self.box, str(tr("Not checked, the part stays where it is{key}", key=bracketed)))

    def as_part(self) -> SplitPart:
        """The part as it is now."""
        assert self.part is not None
        keys = tuple(self.members.members.all_keys())
        return SplitPart(self.part.id, self.name.text(), keys, self.part.description, self.box.isChecked())


class SplitParts(QWidget):
    """`changed`: another split would come of it; `record_chosen`: the cursor is on this failure."""

    changed = Signal()
    record_chosen = Signal(str)

    def __init__(
        self, session: Session, parent: QWidget | None = None, *, can_leave_out: bool = False, with_models: bool = False
    ) -> None:
        super().__init__(parent)
        self.session, self.with_models = session, with_models
        self._can_leave_out = can_leave_out
        self._category_id = ""
        self._is_brief = False
        self._keys: Sequence[str] = ()
        self._active: MembersView | None = None  # the list that has the selection
        self.columns: list[PartColumn] = []
        self.rest = PartColumn(self, None, self, can_leave_out=False)
        self.area = _Area(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setMinimumHeight(LEAST_AREA)
        inner = self._inner = QWidget(self)
        self._sides = QHBoxLayout(inner)
        self._sides.setContentsMargins(0, 0, 0, 0)
        self._sides.setSpacing(12)
        self._sides.addWidget(self.rest, 1)
        self.area.setWidget(inner)
        self._listen(self.rest)
        self.hint = Label(str(tr("Move the selected:")), self)
        self.hint.setForegroundRole(self.hint.foregroundRole().PlaceholderText)
        self.buttons: dict[str, QPushButton] = {}
        row = FlowLayout(spacing=6)
        row.addWidget(self.hint)
        for key in MOVES:
            button = QPushButton(self)
            button.setAutoDefault(False)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the selection's list the focus
            make_tight(button)
            button.clicked.connect(lambda _=False, k=key: self.move_selected(k))
            row.addWidget(button)
            self.buttons[key] = button
        keep_space(self, self.buttons.values())
        self.beside = QRadioButton(str(tr("&beside it")), self)
        self.below = QRadioButton(str(tr("be&low it")), self)
        places = self._where = QButtonGroup(self)
        for place in (self.beside, self.below):
            places.addButton(place)
        places.idToggled.connect(lambda _, on: self.changed.emit() if on else None)
        stand = QWidget(self)
        where = QHBoxLayout(stand)
        where.setContentsMargins(0, 0, 0, 0)
        where.addWidget(Label(str(tr("The parts stand")), stand))
        where.addWidget(self.beside)
        where.addWidget(self.below)
        row.addWidget(stand)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.area, 1)
        column.addLayout(row)
        self.say_keys(())

    # What is shown

    def show_parts(
        self, category_id: str, parts: Sequence[SplitPart], *, rest: Iterable[Key] = (), is_below: bool = False
    ) -> None:
        """Show these parts of a category, and beside them `rest`, which stays in it."""
        project = self.session.project
        assert project is not None
        for column in self.columns:
            self._take_away(column)
        self._category_id, self.columns, self._active = category_id, [], None
        category = project.tree.live(category_id)
        self.rest.title.say(tr("Stays in “{name}”", name=category.name))
        for part in parts:
            self._add(part)
        self.set_rest(rest)
        self.below.setEnabled(category.reserved != "hard")
        chosen = self.below if is_below else self.beside
        self._where.blockSignals(True)
        chosen.setChecked(True)
        self._where.blockSignals(False)
        self.say_keys(self._keys)

    def set_rest(self, keys: Iterable[Key]) -> None:
        """Let these stay: of the category what is in no part."""
        taken = {key for column in self.columns for key in column.members.members.all_keys()}
        self.rest.put(key for key in keys if key not in taken)
        self._show_rest()

    def parts(self) -> list[SplitPart]:
        """The parts as they are now, left out ones included."""
        return [column.as_part() for column in self.columns]

    def take_up(self, parts: Sequence[SplitPart], *, is_below: bool) -> bool:
        """Show these parts as somebody left them; whether all of them are there still, those that were added apart."""
        known = {column.part.id: column for column in self.columns if column.part is not None}
        fits = True
        for part in parts:
            if part.id in known:
                column = known[part.id]
                column.name.setText(part.name)
                column.box.setChecked(part.is_in)
                column.put(part.keys)
            elif part.id.startswith(ADDED):
                self._add(part)
            else:
                fits = False
        taken = {key for column in self.columns for key in column.members.members.all_keys()}
        self.rest.put(key for key in self.rest.members.members.all_keys() if key not in taken)
        (self.below if is_below else self.beside).setChecked(True)
        self._show_rest()
        self.say_keys(self._keys)
        return fits

    def say_keys(self, keys: Sequence[str]) -> None:
        """Show the keys that leave parts out, and those on the buttons."""
        self._keys = keys
        for place, column in enumerate(self.columns):
            column.say_key(keys[place] if place < len(keys) else "")
        tab_after(self.rest.members, [w for column in self.columns for w in (column.box, column.name, column.members)])
        names = self.session.keys
        for key, button in self.buttons.items():
            command = BY_ID[f"review.{key}"]
            button.setText(names.titled(command.name, command.id))
            set_tooltip(button, names.tooltip(command))
        self._enable()

    def show_brief(self, is_brief: bool) -> None:
        """Leave descriptions and the words before the buttons away."""
        self._is_brief = is_brief
        self.hint.setVisible(not is_brief)
        for column in self.columns:
            column.show_brief(is_brief)

    def _add(self, part: SplitPart) -> PartColumn:
        column = PartColumn(self, part, self._inner, can_leave_out=self._can_leave_out)
        column.box.toggled.connect(lambda _: self.changed.emit())
        column.name.textEdited.connect(lambda _: self.changed.emit())
        column.show_brief(self._is_brief)
        self._listen(column)
        self._sides.addWidget(column, 1)
        column.show()  # at once: the layout would do so later, and keys may come before
        self.columns.append(column)
        return column

    def _take_away(self, column: PartColumn) -> None:
        self._sides.removeWidget(column)
        column.hide()
        column.deleteLater()

    def _listen(self, column: PartColumn) -> None:
        members = column.members
        members.chosen.connect(self.record_chosen)
        members.selected.connect(lambda: self._on_selected(members))
        members.entered_by_key.connect(lambda: self._on_entered(members))
        members.dropped.connect(lambda keys: self.move_keys(keys, column))

    def _show_rest(self) -> None:
        """What stays is shown where there is any of it, or nothing else is."""
        self.rest.setVisible(bool(self.rest.members.members.all_keys()) or not self.columns)

    def _on_selected(self, members: MembersView) -> None:
        """One list has the selection, so that it is plain what moves."""
        if members.selectionModel().hasSelection():
            self._active = members
            for column in (self.rest, *self.columns):
                if column.members is not members:
                    column.members.clearSelection()
        self._enable()

    def _on_entered(self, members: MembersView) -> None:
        """Who comes by Tab and has nothing selected anywhere begins at the first."""
        if self._place() < 0:
            members.choose(members.members.shown()[:1])

    # Moving

    def chosen(self) -> tuple[PartColumn, list[Key]] | None:
        """The column that has the selection, and what is selected there."""
        for column in (self.rest, *self.columns):
            if column.members is self._active and not column.isHidden():
                keys = column.members.chosen_keys()
                return (column, keys) if keys else None
        return None

    def _enable(self) -> None:
        at = self._place()
        can = {
            "part_back": at > 0,
            "part_previous": at > 0,
            "part_next": 0 <= at < len(self.columns),
            "part_new": at >= 0,
        }
        for key, button in self.buttons.items():
            button.setEnabled(can[key] and self.session.can_edit)

    def _place(self) -> int:
        """Of the column with the selection: 0 for what stays, then the parts; -1 where nothing is selected."""
        for place, column in enumerate((self.rest, *self.columns)):
            if column.members is self._active and column.members.selectionModel().hasSelection():
                return place
        return -1

    def move_selected(self, how: str) -> None:
        """Move what is selected: back to what stays, into the part before or behind, into a new part (see MOVES)."""
        found, at = self.chosen(), self._place()
        if found is None:
            self.session.say(tr("Select failures of a part first; Tab goes to its list."))
            return
        _, keys = found
        if how == "part_new":
            self.add_part(keys)
        elif how == "part_back" or (how == "part_previous" and at == 1):
            self._move_and_follow(keys, self.rest)
        elif how == "part_previous" and at > 1:
            self._move_and_follow(keys, self.columns[at - 2])
        elif how == "part_next" and at < len(self.columns):
            self._move_and_follow(keys, self.columns[at])
        else:
            new = self.session.keys.bracketed("review.part_new")
            self.session.say(tr("There is no part there. A new one can be made of what is selected{key}.", key=new))

    def add_part(self, keys: Sequence[Key]) -> None:
        """Make a part of these, its name ready to be written."""
        project = self.session.project
        assert project is not None
        name = project.tree.live(self._category_id).name
        taken = {column.name.text() for column in self.columns}
        n = next(n for n in range(len(self.columns) + 1, len(self.columns) * 2 + 3) if f"{name} {n}" not in taken)
        column = self._add(SplitPart(f"{ADDED}{new_id()}", str(tr("{name} {n}", name=name, n=n)), ()))
        self.say_keys(self._keys)
        self.move_keys(keys, column)
        column.name.setFocus()
        column.name.selectAll()

    def _move_and_follow(self, keys: Sequence[Key], target: PartColumn) -> None:
        self.move_keys(keys, target)
        target.members.setFocus()
        target.members.choose(keys)

    def move_keys(self, keys: Sequence[Key], target: PartColumn) -> None:
        """Put these at the head of a column; an added part that is left empty goes."""
        moved = set(keys)
        for column in (self.rest, *self.columns):
            own = column.members.members.all_keys()
            if column is target:
                column.put([*keys, *(key for key in own if key not in moved)])
            elif not moved.isdisjoint(own):
                column.put(key for key in own if key not in moved)
        for column in list(self.columns):
            assert column.part is not None
            is_empty = not column.members.members.all_keys()
            if is_empty and column is not target and column.part.id.startswith(ADDED):
                self.columns.remove(column)
                self._take_away(column)
        self._show_rest()
        self.area.ensureWidgetVisible(target)
        self.say_keys(self._keys)
        self.changed.emit()

    def look_for(self, words: str) -> None:
        """Show in all columns what has these words."""
        for column in (self.rest, *self.columns):
            column.members.members.look_for(words)


def part_of(given: Mapping[str, Any]) -> SplitPart:
    """A part as a proposal's arguments have it."""
    keys = tuple(("record", record_id) for record_id in given["members"])
    return SplitPart(given["id"], given["name"], keys, given.get("description") or "")
