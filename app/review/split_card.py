"""A proposal to split: its parts beside each other, names editable, failures that can be dragged, parts that can be left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.review.parts import SHOWN_MEMBERS, Card, MemberList, Text, examples
from app.session import Session
from app.taxonomy.merge_sides import LEAST_COLUMN
from errormap_core.project.pending import ProposalRow
from errormap_core.project.proposing import proposal_members
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.operations import Ruling


class PartList(MemberList):
    """Failures of one part; they can be dragged into another."""

    def __init__(self, card: "SplitCard", parent: QWidget) -> None:
        super().__init__(parent)
        self._card = card
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)

    def dropEvent(self, event: QDropEvent) -> None:
        source = event.source()
        if isinstance(source, PartList) and source is not self:
            event.setDropAction(Qt.DropAction.IgnoreAction)  # the card moves them, in its own order
            event.accept()
            self._card.move_members([item.data(Qt.ItemDataRole.UserRole) for item in source.selectedItems()], self)
            return
        event.ignore()


class PartColumn(QWidget):
    """One part: whether it is taken, its name, its description, its failures."""

    def __init__(self, card: "SplitCard", part: Mapping[str, Any], key: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.part = part
        self.ids = list(part["members"])
        self.setMinimumWidth(LEAST_COLUMN)
        self.box = QCheckBox(key, self)
        self.box.setChecked(True)
        self.box.setToolTip(str(tr("Not checked, the part stays where it is ({key})", key=key)))
        self.box.setAccessibleName(str(tr("Take the part “{name}”", name=part["name"])))
        self.name = QLineEdit(part["name"], self)
        self.name.setAccessibleName(str(tr("Name of the part")))
        self.name.setCursorPosition(0)
        self.count = Text(self, muted=True)
        self.description = Text(self)
        self.description.say(part.get("description") or "")
        self.members = PartList(card, self)
        self.members.setAccessibleName(str(tr("Failures of the part “{name}”", name=part["name"])))
        head = QHBoxLayout()
        head.addWidget(self.box)
        head.addWidget(self.name, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.count)
        column.addWidget(self.description)
        column.addWidget(self.members, 1)

    def say_count(self) -> None:
        n = len(self.ids)
        shown = tr("") if n <= SHOWN_MEMBERS else tr(", {m:,} shown", m=SHOWN_MEMBERS)
        self.count.say(trn("{n:,} failure{shown}", "{n:,} failures{shown}", n, shown=shown))


class SplitCard(Card):
    """The parts of a category as columns."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.columns: list[PartColumn] = []
        self._typical: set[str] = set()  # failures that stand for their parts: they come first
        self.area = QScrollArea(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setMinimumHeight(240)
        self.below = QCheckBox(str(tr("The parts stand below the category, which stays")), self)
        self.below.toggled.connect(lambda _: self.changed.emit())
        hint = QLabel(str(tr("Drag failures between the parts")), self)
        hint.setForegroundRole(hint.foregroundRole().PlaceholderText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.area, 1)
        column.addWidget(hint)
        column.addWidget(self.below)

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        super().fill(row, arguments)
        inner = QWidget(self)
        sides = QHBoxLayout(inner)
        sides.setContentsMargins(0, 0, 0, 0)
        sides.setSpacing(16)
        self.columns = []
        project = self.session.project
        assert project is not None
        members = [record_id for record_id, _ in proposal_members(project.reader, row.id)]
        self._typical = _typical(row, members)
        for n, part in enumerate(arguments["parts"], start=1):
            key = self.session.keys.text(f"review.nth_{n}") if n <= 9 else ""
            column = PartColumn(self, part, key, inner)
            column.box.toggled.connect(lambda _: self.changed.emit())
            column.name.textEdited.connect(lambda _: self.changed.emit())
            column.members.chosen.connect(self.session.select_record)
            sides.addWidget(column, 1)
            self.columns.append(column)
            self._show_members(column)
        self.area.setWidget(inner)
        self.below.blockSignals(True)
        self.below.setChecked(bool(arguments.get("is_below")))
        self.below.blockSignals(False)

    def _show_members(self, column: PartColumn) -> None:
        first = [i for i in column.ids if i in self._typical]
        ordered = [*first, *(i for i in column.ids if i not in self._typical)]
        column.members.show_members(self.session, ordered[:SHOWN_MEMBERS], with_summaries=False)
        column.say_count()

    def move_members(self, record_ids: Sequence[str], target: PartList) -> None:
        """Put failures into another part."""
        moved = set(record_ids)
        for column in self.columns:
            if column.members is target:
                column.ids = [*record_ids, *(i for i in column.ids if i not in moved)]
            else:
                column.ids = [i for i in column.ids if i not in moved]
            self._show_members(column)
        self.changed.emit()

    def ruling(self) -> Ruling:
        parts = []
        for column in self.columns:
            new: dict[str, Any] = {}
            if column.name.text() != column.part["name"]:
                new["name"] = column.name.text()
            if column.ids != list(column.part["members"]):
                new["members"] = column.ids
            if new:
                parts.append({"id": column.part["id"], **new})
        is_below = self.below.isChecked()
        changed: dict[str, Any] = {
            "without": tuple(column.part["id"] for column in self.columns if not column.box.isChecked()),
            "parts": tuple(parts),
        }
        if is_below != bool(self.arguments.get("is_below")):
            assert self.row is not None
            values = {key: value for key, value in changed.items() if value}
            return Ruling(proposal_id=self.row.id, verdict="edit", is_below=is_below, **values)
        return self.accepting(**changed)

    def edit(self) -> None:
        if self.columns:
            self.columns[0].name.setFocus()
            self.columns[0].name.selectAll()

    def nth(self, n: int) -> None:
        if n <= len(self.columns):
            self.columns[n - 1].box.toggle()

    def subjects(self) -> Sequence[str]:
        return [column.ids[0] for column in self.columns if column.ids]

    def accept_title(self) -> Sentence:
        n = sum(column.box.isChecked() for column in self.columns)
        return trn("Split off {n:,} part", "Split into {n:,} parts", n)


def _typical(row: ProposalRow, members: Sequence[str]) -> set[str]:
    """Failures that the evidence names as typical, of the whole or of a part."""
    found = set(examples(row, members, "typical"))
    for part in row.evidence.get("parts", ()):
        for at in part.get("typical", ()) if isinstance(part, Mapping) else ():
            if isinstance(at, int) and 0 <= at < len(members):
                found.add(members[at])
    return found
