"""Decisions on proposals: accept, edit and accept, reject, skip; one at a time or in bulk.

How a kind of proposal becomes rows is in ACCEPT, a function a kind; a new kind is added there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.category_operations import checked_name, refuse_parent, refuse_used_id
from errormap_core.taxonomy.draft import Draft, Facts, ProposalFacts
from errormap_core.taxonomy.provenance import provenance
from errormap_core.taxonomy.registry import operation, tuples
from errormap_core.taxonomy.tree import Category

Verdict = Literal["accept", "edit", "reject", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What was decided on one proposal. The values that are not None replace the proposal's (verdict 'edit')."""

    proposal_id: str
    verdict: Verdict
    category_id: str = field(default_factory=new_id)
    name: str | None = None
    description: str | None = None
    parent_id: str | None = None
    without: tuple[str, ...] = ()
    run_id: str | None = None


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class DecideProposals:
    """Decide proposals. Accepting one accepts the proposals above it, whose rulings come along if not given."""

    kind: ClassVar[str] = "proposal.decide"
    version: ClassVar[int] = 1
    rulings: tuple[Ruling, ...]
    is_bulk: bool = False

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> "DecideProposals":
        rulings = tuple(Ruling(**tuples(ruling)) for ruling in arguments["rulings"])
        return cls(rulings=rulings, is_bulk=arguments["is_bulk"])

    def resolved(self, facts: Facts) -> "DecideProposals":
        """With the run that each proposal was decided in, so that a replay does not take a later one for it."""
        named = (r if r.run_id else replace(r, run_id=facts.proposal(r.proposal_id).run_id) for r in self.rulings)
        return replace(self, rulings=tuple(named))

    def plan(self, draft: Draft) -> Sentence:
        if not self.rulings:
            raise KnownError(tr("There is no proposal to decide."), fix=tr("Propose categories first."))
        desk = _Desk(draft, {ruling.proposal_id: ruling for ruling in self.rulings}, is_bulk=self.is_bulk)
        for ruling in self.rulings:
            desk.decide(ruling)
        return desk.summary()

    @property
    def answered(self) -> str | None:
        """The one proposal that this answers, for the log; None for several."""
        return self.rulings[0].proposal_id if len(self.rulings) == 1 else None


class _Desk:
    """Decides rulings one after another, parents first, and counts what came of it."""

    def __init__(self, draft: Draft, rulings: Mapping[str, Ruling], *, is_bulk: bool) -> None:
        self.draft = draft
        self.is_bulk = is_bulk
        self._rulings = rulings
        self._done: dict[str, str | None] = {}
        self._counts = {"accept": 0, "edit": 0, "reject": 0, "skip": 0}
        self._n_failures = 0
        self._placed: set[tuple[str, str]] = set()
        self._last_name = ""

    def decide(self, ruling: Ruling) -> None:
        if ruling.proposal_id in self._done:
            return
        proposal = self.draft.facts.proposal(ruling.proposal_id, ruling.run_id)
        decided = self.draft.facts.row("decision", proposal.id)
        if decided is not None and decided["verdict"] in ("accept", "edit"):
            raise KnownError(
                tr("The proposal “{name}” was accepted already.", name=proposal.arguments.get("name", "")),
                fix=tr("Undo that step, or change the category itself."),
            )
        category_id = None
        if ruling.verdict in ("accept", "edit"):
            accept = ACCEPT.get(proposal.kind)
            if accept is None:
                raise KnownError(
                    tr("This version cannot accept a proposal of the kind “{kind}”.", kind=proposal.kind),
                    fix=tr("Open the project with a newer version of ErrorMap Studio."),
                )
            category_id = accept(self, proposal, ruling)
            self._last_name = self.draft.tree.live(category_id).name
        row = {
            "proposal_id": proposal.id,
            "verdict": ruling.verdict,
            "source_id": self.draft.actor,
            "category_id": category_id,
            "is_bulk": int(self.is_bulk),
            "decided_at": self.draft.at,
        }
        self.draft.set_row("decision", proposal.id, row)
        self._done[proposal.id] = category_id
        self._counts[ruling.verdict] += 1

    def parent_category(self, proposal: ProposalFacts) -> str | None:
        """The category of the proposal above, accepted now where it is not yet; None at the top."""
        if proposal.parent_id is None:
            return None
        if proposal.parent_id in self._done and self._done[proposal.parent_id] is not None:
            return self._done[proposal.parent_id]
        decided = self.draft.facts.row("decision", proposal.parent_id)
        if decided is not None and decided["category_id"] is not None:
            return self.draft.tree.resolve(decided["category_id"]).id
        ruling = self._rulings.get(proposal.parent_id)
        if ruling is None or ruling.verdict not in ("accept", "edit"):
            raise KnownError(
                tr("The proposal above “{name}” is not accepted.", name=proposal.arguments.get("name", "")),
                fix=tr("Accept it as well; its children hang below it."),
            )
        self.decide(ruling)
        return self._done[proposal.parent_id]

    def assign_members(self, proposal: ProposalFacts, category_id: str, *, without: tuple[str, ...]) -> None:
        """Members become assignments by the run that proposed them; those it placed already stay."""
        left_out = set(without)
        ids = [record_id for record_id, _ in proposal.members]
        left_out.update(row[1] for row in self.draft.facts.assignments(ids, source_id=proposal.run_id, is_primary=1))
        left_out.update(r for r in ids if (r, proposal.run_id) in self._placed)
        members = [(r, c) for r, c in proposal.members if r not in left_out]
        self._placed.update((r, proposal.run_id) for r, _ in members)
        self.draft.assign(members, category_id, source_id=proposal.run_id)
        self._n_failures += len(members)

    def summary(self) -> Sentence:
        n_accepted = self._counts["accept"] + self._counts["edit"]
        if n_accepted == 1 and len(self._done) == 1:
            return trn(
                "Accepted “{name}” with {n:,} failure",
                "Accepted “{name}” with {n:,} failures",
                self._n_failures,
                name=self._last_name,
            )
        if n_accepted:
            return trn(
                "Accepted {k:,} proposals, {n:,} failure placed",
                "Accepted {k:,} proposals, {n:,} failures placed",
                self._n_failures,
                k=n_accepted,
            )
        if self._counts["reject"]:
            return trn("Rejected {n:,} proposal", "Rejected {n:,} proposals", self._counts["reject"])
        return trn("Skipped {n:,} proposal", "Skipped {n:,} proposals", self._counts["skip"])


def _accept_create(desk: _Desk, proposal: ProposalFacts, ruling: Ruling) -> str:
    """A new category with the members; where a sibling of its name is there, they go into that one."""
    draft = desk.draft
    parent_id = ruling.parent_id or desk.parent_category(proposal)
    refuse_parent(draft.tree, parent_id)
    name = checked_name(ruling.name if ruling.name is not None else proposal.arguments["name"])
    same = draft.tree.sibling_named(parent_id, name)
    if same is None:
        description = ruling.description if ruling.description is not None else proposal.arguments["description"]
        refuse_used_id(draft.tree, ruling.category_id)
        draft.create(
            Category(
                id=ruling.category_id,
                parent_id=parent_id,
                position=draft.place_at(parent_id, None),
                name=name,
                description=description.strip(),
                provenance=provenance(draft, proposed_by=draft.facts.source_label(proposal.run_id)),
            )
        )
    category_id = ruling.category_id if same is None else same.id
    desk.assign_members(proposal, category_id, without=ruling.without)
    return category_id


def _accept_place(desk: _Desk, proposal: ProposalFacts, ruling: Ruling) -> str:
    """The members go into a category that is there."""
    wanted = ruling.parent_id or proposal.arguments["category_id"]
    if desk.draft.tree.get(wanted) is None:
        desk.draft.tree.live(wanted)  # raises the sentence
    category = desk.draft.tree.resolve(wanted)
    desk.assign_members(proposal, category.id, without=ruling.without)
    return category.id


ACCEPT: Mapping[str, Callable[[_Desk, ProposalFacts, Ruling], str]] = {
    "create": _accept_create,
    "place": _accept_place,
    "assign": _accept_place,
}
