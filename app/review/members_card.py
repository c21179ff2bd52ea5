"""Proposals that bring failures somewhere: a new category (create), one that is there, or from one to another (assign)."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFormLayout, QLineEdit, QVBoxLayout, QWidget

from app.plain import WritingField
from app.review.deck import Deck
from app.review.parts import SHOWN_MEMBERS, Card, MemberList, Text
from app.session import Session
from errormap_core.project.pending import ProposalRow
from errormap_core.project.proposing import proposal_members
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.operations import Ruling

SHORT = 300
"""With less room than this, in pixels at 100 %, the description has two lines."""

ENDS = 6
"""So many of the surest and of the most doubtful are shown first, where there are many more."""


class MembersCard(Card):
    """Name and description of a category that would be made, and its failures, each of which can be left out."""

    def __init__(self, session: Session, deck: Deck, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._deck = deck
        self._own: frozenset[str] = frozenset()
        self._sure: dict[str, float] = {}  # of failures that move, how sure that they belong there
        self.name = QLineEdit(self)
        self.name.setAccessibleName(str(tr("Name of the new category")))
        self.description = WritingField(self)
        self.description.setAccessibleName(str(tr("Description of the new category")))
        self.description.setTabChangesFocus(True)
        self.description.setMaximumHeight(76)
        self.form = QWidget(self)
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(str(tr("Name")), self.name)
        form.addRow(str(tr("Description")), self.description)
        self.about = Text(self)
        self.title = Text(self)
        self.members = MemberList(self, is_checkable=True)
        self.members.setAccessibleName(str(tr("Failures of the proposal; a box that is not checked leaves one out")))
        self.more = Text(self, muted=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.form, self.about, self.title):
            column.addWidget(widget)
        column.addWidget(self.members, 1)
        column.addWidget(self.more)
        self.members.chosen.connect(session.select_record)
        self.members.itemChanged.connect(lambda _: self._on_checked())
        self.name.textEdited.connect(lambda _: self.changed.emit())
        self.description.textChanged.connect(self._on_typed)

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        super().fill(row, arguments)
        is_new = row.kind == "create"
        self.form.setVisible(is_new)
        for field in (self.name, self.description):
            field.blockSignals(True)
        self.name.setText(arguments.get("name", "") if is_new else "")
        self.description.setPlainText(arguments.get("description", "") if is_new else "")
        for field in (self.name, self.description):
            field.blockSignals(False)
        self.about.say("" if is_new or row.why is not None else row.description)
        self._own = self._own_ids()
        members = self._all_members(row)
        ids, heads = _surest_and_most_doubtful(members)
        self._n_below = sum(1 for record_id, _ in members) - min(row.n_members, len(members))
        shares = row.evidence.get("probabilities")
        own = [record_id for record_id, _ in members]
        self._sure = dict(zip(own, shares, strict=False)) if isinstance(shares, list) else {}
        notes = {record_id: self._certainty(row, record_id) for record_id in ids}
        self.members.show_members(self.session, ids, notes=notes, heads=heads)
        self._say_count()
        n_more = max(0, row.n_subtree - len(ids))
        self.more.say(trn("and {n:,} more", "and {n:,} more", n_more) if n_more else "")

    def set_room(self, room: QSize) -> None:
        is_short = room.height() < SHORT * max(1.0, self.session.theme.factor)
        self.description.setMaximumHeight(44 if is_short else 76)

    def _all_members(self, row: ProposalRow) -> list[tuple[str, float | None]]:
        """Its own failures, then those of the proposals below it; at most SHOWN_MEMBERS."""
        project = self.session.project
        assert project is not None
        found = proposal_members(project.reader, row.id, limit=SHOWN_MEMBERS)
        for below in self._deck.below(row):
            if len(found) < SHOWN_MEMBERS:
                found += self._all_members(below)
        return found[:SHOWN_MEMBERS]

    def _certainty(self, row: ProposalRow, record_id: str) -> str:
        """The score that a proposal gives one of its failures; '' where it gives none. It is no share of what is right."""
        sure_of = self._sure.get(record_id)
        if sure_of is not None:
            return str(tr("score {share:.2f}", share=sure_of))
        known = row.evidence.get("members")
        known = known.get(record_id) if isinstance(known, Mapping) else None
        if not isinstance(known, Mapping) or "probability" not in known:
            return ""
        project = self.session.project
        assert project is not None
        second = project.tree.get(known.get("runner_up") or "")
        sure = tr("score {share:.2f}", share=known["probability"])
        if second is not None:
            sure = tr(
                "{sure} · next: {name}, {share:.2f}", sure=sure, name=second.name, share=known["runner_up_probability"]
            )
        return str(sure)

    def _say_count(self) -> None:
        row = self.row
        assert row is not None
        n = row.n_members - len(self.members.left_out())
        if not row.n_members:
            self.title.say(tr("Its failures are in the proposals below it"))
            return
        self.title.say(
            trn("{n:,} failure goes into it; an unchecked one is left out",
                "{n:,} failures go into it; an unchecked one is left out", n)
        )  # fmt: skip

    def _on_checked(self) -> None:
        self._say_count()
        self.changed.emit()

    def _on_typed(self) -> None:
        self.changed.emit()

    def ruling(self) -> Ruling:
        row = self.row
        assert row is not None
        changed: dict[str, Any] = {"without": tuple(i for i in self.members.left_out() if i in self._own)}
        if row.kind == "create":
            if self.name.text() != self.arguments.get("name", ""):
                changed["name"] = self.name.text()
            if self.description.toPlainText() != self.arguments.get("description", ""):
                changed["description"] = self.description.toPlainText()
            if changed.get("name") == "":  # the core says what is wrong with it
                return Ruling(proposal_id=row.id, verdict="edit", **changed)
        return self.accepting(**changed)

    @property
    def is_unfinished(self) -> bool:
        """A new category has no name as yet."""
        return self.row is not None and self.row.kind == "create" and not self.name.text().strip()

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.members.left_out():
            values["left_out"] = self.members.left_out()
        if self.row is not None and self.row.kind == "create":
            name, description = self.name.text(), self.description.toPlainText()
            if name != self.arguments.get("name", ""):
                values["name"] = name
            if description != self.arguments.get("description", ""):
                values["description"] = description
        return values

    def take_up(self, values: Mapping[str, Any]) -> bool:
        left_out = values.get("left_out", ())
        self.members.leave_out(left_out)
        if "name" in values:
            self.name.setText(values["name"])
        if "description" in values:
            self.description.setPlainText(values["description"])
        self._say_count()
        return set(left_out).issubset(self.members.ids())

    def _own_ids(self) -> frozenset[str]:
        """Members of the proposal itself: those of the ones below it are left out there."""
        project, row = self.session.project, self.row
        assert project is not None and row is not None
        return frozenset(record_id for record_id, _ in proposal_members(project.reader, row.id))

    def edit(self) -> None:
        if self.form.isVisible():
            self.name.setFocus()
            self.name.selectAll()
        else:
            self.members.setFocus()

    def nth(self, n: int) -> None:
        members = self.members.members()
        if n <= len(members):
            is_in = members[n - 1].checkState().value == 2
            members[n - 1].setCheckState(
                members[n - 1].checkState().Unchecked if is_in else members[n - 1].checkState().Checked
            )

    def subjects(self) -> Sequence[str]:
        return self.members.ids()

    def restyle(self) -> None:
        self.title.setFont(self.session.theme.font(semibold=True))


def _surest_and_most_doubtful(members: Sequence[tuple[str, float | None]]) -> tuple[list[str], dict[int, str]]:
    """Ids in the order of the list, and headings before places: of many the ends come first."""
    ids = [record_id for record_id, _ in members]
    if len(ids) <= 2 * ENDS:
        return ids, {}
    heads = {0: str(tr("Surest")), ENDS: str(tr("Most doubtful")), 2 * ENDS: str(tr("Between them"))}
    if all(confidence is not None for _, confidence in members):  # those of several proposals are in one list
        ids = [record_id for record_id, _ in sorted(members, key=lambda member: -(member[1] or 0.0))]
    return [*ids[:ENDS], *reversed(ids[-ENDS:]), *ids[ENDS:-ENDS]], heads
