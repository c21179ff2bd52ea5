"""A proposal to split: its parts beside each other, which are named, left out, and given each other's failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.review.parts import Card, examples
from app.session import Session
from app.taxonomy.split_parts import SplitPart, SplitParts, part_of
from errormap_core.project.pending import ProposalRow
from errormap_core.project.proposing import proposal_members
from errormap_core.project.queries import failure_ids
from errormap_core.sentences import Sentence, trn
from errormap_core.taxonomy.operations import Ruling

SHORT = 300
"""With less room than this, in pixels at 100 %, the parts go without their descriptions."""


class SplitCard(Card):
    """The parts of a category as columns."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._filled: tuple[SplitPart, ...] = ()  # as they are proposed, the typical failures first
        self._given: dict[str, Mapping[str, Any]] = {}
        self.parts = SplitParts(session, self, can_leave_out=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.parts)
        self.parts.changed.connect(self.changed)
        self.parts.record_chosen.connect(session.select_record)

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        super().fill(row, arguments)
        project = self.session.project
        assert project is not None
        typical = _typical(row, [record_id for record_id, _ in proposal_members(project.reader, row.id)])
        self._given = {part["id"]: part for part in arguments["parts"]}
        self._filled = tuple(_typical_first(part_of(part), typical) for part in arguments["parts"])
        self.parts.show_parts(arguments["category_id"], self._filled, is_below=bool(arguments.get("is_below")), rest=())
        self.say_keys()
        self._ask_rest(row.id, arguments["category_id"])

    def _ask_rest(self, proposal_id: str, category_id: str) -> None:
        """Read beside the window's thread what of the category is in no part."""
        self.session.reads.ask(
            "split-rest",
            lambda db: failure_ids(db, category_ids=[category_id]),
            lambda found: self._show_rest(proposal_id, found),
        )

    def _show_rest(self, proposal_id: str, record_ids: Sequence[str]) -> None:
        if self.row is not None and self.row.id == proposal_id:
            self.parts.set_rest(("record", record_id) for record_id in record_ids)

    def say_keys(self) -> None:
        n = min(9, len(self.parts.columns))
        self.parts.say_keys([self.session.keys.text(f"review.nth_{i}") for i in range(1, n + 1)])

    @property
    def _is_below(self) -> bool | None:
        """Whether the parts stand below the category; None: as it is proposed."""
        is_below = self.parts.below.isChecked()
        return None if is_below == bool(self.arguments.get("is_below")) else is_below

    def ruling(self) -> Ruling:
        assert self.row is not None
        filled = {part.id: part for part in self._filled}
        parts = []
        for part in self.parts.parts():
            new: dict[str, Any] = {}
            before = filled.get(part.id)
            if before is None or part.name != before.name:
                new["name"] = part.name
            if before is None or part.keys != before.keys:
                new["members"] = list(part.record_ids)
            if new and (before is not None or part.is_in):
                parts.append({"id": part.id, **new})
        without = tuple(part.id for part in self.parts.parts() if not part.is_in and part.id in self._given)
        values: dict[str, Any] = {"without": without, "parts": tuple(parts)}
        changed = {key: value for key, value in values.items() if value}
        if self._is_below is not None:
            return Ruling(proposal_id=self.row.id, verdict="edit", is_below=self._is_below, **changed)
        return self.accepting(**changed)

    def values(self) -> dict[str, Any]:
        parts = tuple(self.parts.parts())
        if parts == self._filled and self._is_below is None:
            return {}
        return {"parts": parts, "is_below": self.parts.below.isChecked()}

    def take_up(self, values: Mapping[str, Any]) -> bool:
        return self.parts.take_up(values["parts"], is_below=values["is_below"])

    def set_room(self, room: QSize) -> None:
        self.parts.show_brief(room.height() < SHORT * max(1.0, self.session.theme.factor))

    def move_selected(self, how: str) -> None:
        """Move the failures that are selected into another part (see SplitParts.move_selected)."""
        self.parts.move_selected(how)

    def edit(self) -> None:
        if self.parts.columns:
            self.parts.columns[0].name.setFocus()
            self.parts.columns[0].name.selectAll()

    def nth(self, n: int) -> None:
        if n <= len(self.parts.columns):
            self.parts.columns[n - 1].box.toggle()

    def subjects(self) -> Sequence[str]:
        return [part.record_ids[0] for part in self._filled if part.record_ids]

    def accept_title(self) -> Sentence:
        n = sum(part.is_in and bool(part.keys) for part in self.parts.parts())
        return trn("Split off {n:,} part", "Split into {n:,} parts", n)


def _typical_first(part: SplitPart, typical: set[str]) -> SplitPart:
    """The part with the failures that stand for it at its head."""
    first = [key for key in part.keys if key[1] in typical]
    keys = (*first, *(key for key in part.keys if key[1] not in typical))
    return SplitPart(part.id, part.name, keys, part.description)


def _typical(row: ProposalRow, members: Sequence[str]) -> set[str]:
    """Failures that the evidence names as typical, of the whole or of a part."""
    found = set(examples(row, members, "typical"))
    for part in row.evidence.get("parts", ()):
        for at in part.get("typical", ()) if isinstance(part, Mapping) else ():
            if isinstance(at, int) and 0 <= at < len(members):
                found.add(members[at])
    return found
