"""Decisions on proposals: accept, edit and accept, reject, skip, unsure, flag; one at a time or in bulk.

How a kind of proposal becomes rows is in accepting.py, a function a kind; a new kind is added there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.accepting import ACCEPT, make_category
from errormap_core.taxonomy.draft import Draft
from errormap_core.taxonomy.facts import ProposalFacts, StandingFacts
from errormap_core.taxonomy.registry import operation, tuples
from errormap_core.taxonomy.rulings import ACCEPTING, PLACING_KINDS, VERDICTS, Ruling, Verdict
from errormap_core.taxonomy.standing import LOCKED, Standing, is_question, kind_of, label, standing
from errormap_core.taxonomy.tree import Tree


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class DecideProposals:
    """Decide proposals. Accepting one accepts the proposals above it, whose rulings come along if not given."""

    kind: ClassVar[str] = "proposal.decide"
    version: ClassVar[int] = 3
    ADDED: ClassVar[Mapping[int, Mapping[str, Any]]] = {3: {"counter": 0}}
    rulings: tuple[Ruling, ...]
    is_bulk: bool = False
    counter: int | None = None

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> "DecideProposals":
        rulings = tuple(Ruling(**tuples(ruling)) for ruling in arguments["rulings"])
        return cls(rulings=rulings, is_bulk=arguments["is_bulk"], counter=arguments["counter"])

    def resolved(self, facts: StandingFacts, tree: Tree) -> "DecideProposals":
        """With the run that each proposal was decided in and whatever else a later run could change, and the log's counter,
        which is the order of decisions.

        Raises KnownError where a proposal does not fit the tree any more; of a bulk, those whose failures all have their
        place by now are left out. A ruling that has its run is one that is replayed, and stays as it is.
        """
        above = _proposals_above(self.rulings, facts)
        ruled = [_resolved(ruling, facts, tree, above=above, is_bulk=self.is_bulk) for ruling in self.rulings]
        found = [ruling for ruling in ruled if ruling is not None]
        if self.rulings and not found:
            raise KnownError(
                tr("Nothing is left of these proposals: all their failures have their place by now."),
                fix=tr("Have proposals made again."),
            )
        counter = facts.next_counter() if self.counter is None else self.counter
        return replace(self, rulings=tuple(found), counter=counter)

    def plan(self, draft: Draft) -> Sentence:
        if not self.rulings:
            raise KnownError(tr("There is no proposal to decide."), fix=tr("Propose categories first."))
        ruled = {ruling.proposal_id: ruling for ruling in self.rulings}
        desk = Desk(draft, ruled, is_bulk=self.is_bulk, counter=self.counter)
        for ruling in self.rulings:
            ruling.refuse_unknown_verdict()
            desk.decide(ruling)
        return desk.summary()

    @property
    def answered(self) -> str | None:
        """The one proposal that this answers, for the log; None for several."""
        return self.rulings[0].proposal_id if len(self.rulings) == 1 else None


def plan_what_fits(
    rulings: Sequence[Ruling], draft: Draft, facts: StandingFacts
) -> tuple[Sentence, dict[str, Sentence]]:
    """Plan rulings in bulk, one after another, without those that are refused after those before them.

    Returns what was done, and why some are left out, by proposal id.
    """
    above = _proposals_above(rulings, facts)
    tree = draft.tree.copy()
    ruled: dict[str, Ruling] = {}
    left_out: dict[str, Sentence] = {}
    for ruling in rulings:
        try:
            fitted = _resolved(ruling, facts, tree, above=above, is_bulk=True)
        except KnownError as error:
            left_out[ruling.proposal_id] = error.what
            continue
        if fitted is not None:
            ruled[fitted.proposal_id] = fitted
    desk = Desk(draft, ruled, is_bulk=True)
    for ruling in ruled.values():
        refused = desk.decide_if_possible(ruling)
        if refused is not None:
            left_out[ruling.proposal_id] = refused.what
    if not ruled:
        placed = tr("All its failures have their place by now.")
        left_out = {ruling.proposal_id: placed for ruling in rulings} | left_out
    return desk.summary(), left_out


def _proposals_above(rulings: Sequence[Ruling], facts: StandingFacts) -> set[str | None]:
    """Ids of the proposals above those that are accepted now."""
    facts.read_proposals([ruling.proposal_id for ruling in rulings if ruling.run_id is None])
    accepted = [ruling for ruling in rulings if ruling.run_id is None and ruling.verdict in ACCEPTING]
    return {facts.proposal(ruling.proposal_id).parent_id for ruling in accepted}


def _resolved(
    ruling: Ruling, facts: StandingFacts, tree: Tree, *, above: set[str | None], is_bulk: bool
) -> Ruling | None:
    """A ruling as `DecideProposals.resolved` makes it; None where it is left out."""
    if ruling.run_id is not None:
        return ruling
    proposal = facts.proposal(ruling.proposal_id)
    ruling = replace(ruling, run_id=proposal.run_id)
    if ruling.verdict in ACCEPTING and not _is_accepted(facts, proposal.id):
        left = standing(proposal, tree, facts, without=ruling.without)
        if left.is_placed and is_bulk and proposal.id not in above:
            return None
        if not (left.is_placed and (ruling.as_is or proposal.id in above)):
            return _fitted(ruling, proposal, left, tree, facts)
    return ruling


def _is_accepted(facts: StandingFacts, proposal_id: str) -> bool:
    decided = facts.row("decision", proposal_id)
    return decided is not None and decided["verdict"] in ACCEPTING


def _fitted(ruling: Ruling, proposal: ProposalFacts, left: Standing, tree: Tree, facts: StandingFacts) -> Ruling:
    """The ruling with what it leaves open said. Raises KnownError where the proposal does not fit any more."""
    if left.arguments is None or (left.changes and not ruling.as_is):
        raise left.refuse(label(proposal, tree))
    if proposal.kind == "merge" and ruling.into in (None, left.arguments["into"]):
        for name in ("into", "name", "description"):
            now = left.arguments.get(name)
            if getattr(ruling, name) is None and now != proposal.arguments.get(name):
                ruling = replace(ruling, **{name: now})  # type: ignore[arg-type]  # all three are text
        return ruling
    if is_question(proposal.kind, proposal.arguments) and facts.is_locked() and _changes_tree(ruling, tree, facts):
        raise LOCKED.refuse(label(proposal, tree))
    if is_question(proposal.kind, proposal.arguments) and not ruling.is_new:
        target = ruling.target
        if target is None and left.arguments["candidates"]:
            first = left.arguments["candidates"][0]
            target = first.get("category_id") or first["proposal_id"]
        run_id = None
        if target is not None and tree.get(target) is None:
            run_id = facts.proposal(target).run_id
        return replace(ruling, target=target, target_run_id=run_id)
    return ruling


def _changes_tree(ruling: Ruling, tree: Tree, facts: StandingFacts) -> bool:
    """Whether an answer makes a category, or merges some."""
    if any(tree.get(key) is not None or _made_of(key, facts) is not None for key in ruling.same):
        return True
    if ruling.is_new:
        return tree.sibling_named(ruling.parent_id, ruling.name or "") is None
    if ruling.target is None or tree.get(ruling.target) is not None:
        return False
    return _made_of(ruling.target, facts) is None


def _made_of(proposal_id: str, facts: StandingFacts) -> str | None:
    """The category that was made of a proposal; None where none was."""
    decided = facts.row("decision", proposal_id)
    return None if decided is None else decided["category_id"]


class Desk:
    """Decides rulings one after another, parents first, and counts what came of it."""

    def __init__(
        self, draft: Draft, rulings: Mapping[str, Ruling], *, is_bulk: bool, counter: int | None = None
    ) -> None:
        self.draft = draft
        self.is_bulk = is_bulk
        self._counted = {"counter": counter} if counter else {}
        self.n_failures = 0
        self._rulings = rulings
        self._done: dict[str, str | None] = {}
        self._counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        self._said: Sentence | None = None
        self._last_name = ""
        self._kinds: dict[str, str] = {}

    def decide(self, ruling: Ruling, *, is_needed: bool = False) -> None:
        """Take one ruling. Of a bulk, one whose failures were all placed by others is passed over, unless it `is_needed`."""
        if ruling.proposal_id in self._done:
            return
        proposal = self.draft.facts.proposal(ruling.proposal_id, ruling.run_id)
        decided = self.draft.facts.row("decision", proposal.id)
        if decided is not None and decided["verdict"] in ACCEPTING:
            raise KnownError(
                tr("The proposal “{name}” was accepted already.", name=label(proposal, self.draft.tree)),
                fix=tr("Undo that step, or change the category itself."),
            )
        category_id = None
        if ruling.verdict in ACCEPTING:
            if self.is_bulk and not is_needed and self._has_nothing_left(proposal):
                return
            accept = ACCEPT.get(proposal.kind)
            if accept is None:
                raise KnownError(
                    tr("This version cannot accept a proposal of the kind “{kind}”.", kind=proposal.kind),
                    fix=tr("Open the project with a newer version of ErrorMap Studio."),
                )
            accepted = accept(self, proposal, ruling)
            category_id, self._said = accepted.category_id, accepted.said
            self._last_name = self.draft.tree.resolve(category_id).name
        self._keep(proposal.id, ruling.verdict, category_id, ruling.details())
        self._counts[ruling.verdict] += 1

    def decide_if_possible(self, ruling: Ruling) -> KnownError | None:
        """Take one ruling, with those above it; where it is refused, nothing is planned of it, and why is returned."""
        mark, before = self.draft.mark(), (self.n_failures, self._said, self._last_name)
        done, counts = dict(self._done), dict(self._counts)
        try:
            self.decide(ruling)
        except KnownError as error:
            self.draft.back_to(mark)
            self.n_failures, self._said, self._last_name = before
            self._done, self._counts = done, counts
            return error
        return None

    def parent_category(self, proposal: ProposalFacts, *, alone_for: str | None = None) -> str | None:
        """The category of the proposal above, accepted now where it is not yet; None at the top.

        `alone_for`: id of the category that needs it; where it is not accepted, it is made without its members.
        """
        if proposal.parent_id is None:
            return None
        if self._done.get(proposal.parent_id) is not None:
            return self._done[proposal.parent_id]
        decided = self.draft.facts.row("decision", proposal.parent_id)
        if decided is not None and decided["category_id"] is not None:
            return self.draft.tree.resolve(decided["category_id"]).id
        ruling = self._rulings.get(proposal.parent_id)
        if alone_for is not None and ruling is None:
            new_id = content_id("category", alone_for, proposal.parent_id)
            return self.category_of(proposal.parent_id, proposal.run_id, category_id=new_id, placed=None)
        if ruling is None or ruling.verdict not in ACCEPTING:
            raise KnownError(
                tr("The proposal above “{name}” is not accepted.", name=proposal.arguments.get("name", "")),
                fix=tr("Accept it as well; its children hang below it."),
            )
        self.decide(ruling, is_needed=True)
        return self._done[proposal.parent_id]

    def category_of(self, proposal_id: str, run_id: str | None, *, category_id: str, placed: str | None) -> str:
        """The category of a create proposal. Where it is not decided yet, it is made now, without its members; that
        counts as an edit of the proposal. `placed` is the record that it is made for."""
        done = self._done.get(proposal_id)
        if done is not None:
            return self.draft.tree.resolve(done).id
        proposal = self.draft.facts.proposal(proposal_id, run_id)
        decided = self.draft.facts.row("decision", proposal_id)
        if decided is not None and decided["category_id"] is not None:
            return self.draft.tree.resolve(decided["category_id"]).id
        if proposal.kind != "create" or (decided is not None and decided["verdict"] == "reject"):
            raise KnownError(
                tr("“{name}” is no category that waits.", name=label(proposal, self.draft.tree)),
                fix=tr("Choose another category, or name a new one."),
            )
        ruling = self._rulings.get(proposal_id)
        if ruling is not None and ruling.verdict in ACCEPTING:
            self.decide(ruling, is_needed=True)
            return str(self._done[proposal_id])
        made = make_category(self, proposal, None, category_id)
        self._keep(proposal_id, "edit", made, {"placed": placed} if placed is not None else {"made_for_child": True})
        return made

    def take_for(self, proposal_id: str, category_id: str) -> str:
        """Take a create proposal for a category that is there, so that it makes none; the id of that it made before, if any."""
        proposal = self.draft.facts.proposal(proposal_id)
        if proposal.kind != "create":
            raise KnownError(
                tr("“{name}” is no category.", name=label(proposal, self.draft.tree)),
                fix=tr("Choose another category."),
            )
        decided = self.draft.facts.row("decision", proposal_id)
        if decided is not None and decided["category_id"] is not None:
            return self.draft.tree.resolve(decided["category_id"]).id
        self._keep(proposal_id, "edit", category_id, {"same_as": category_id})
        return category_id

    def assign_members(self, proposal: ProposalFacts, category_id: str, *, without: tuple[str, ...]) -> None:
        """Members become assignments by the run that proposed them; those that a run placed already stay there.

        What a person placed elsewhere counts there, whatever the run says, and is not told as placed.
        """
        ids = [record_id for record_id, _ in proposal.members]
        by_runs, by_people = self._placed(ids)
        left_out = {*without, *by_runs}
        members = [(r, c) for r, c in proposal.members if r not in left_out]
        self.draft.assign(members, category_id, source_id=proposal.run_id)
        self.n_failures += sum(r not in by_people for r, _ in members)

    def summary(self) -> Sentence:
        n_accepted = self._counts["accept"] + self._counts["edit"]
        if n_accepted == 1 and self._said is not None:
            return self._said
        if n_accepted == 1 and len(self._done) == 1:
            return trn(
                "Accepted “{name}” with {n:,} failure",
                "Accepted “{name}” with {n:,} failures",
                self.n_failures,
                name=self._last_name,
            )
        if n_accepted:
            return trn(
                "Accepted {proposals}, {n:,} failure placed",
                "Accepted {proposals}, {n:,} failures placed",
                self.n_failures,
                proposals=trn("{n:,} proposal", "{n:,} proposals", n_accepted),
            )
        if self._counts["reject"]:
            return trn("Rejected {n:,} proposal", "Rejected {n:,} proposals", self._counts["reject"])
        if self._counts["flag"]:
            return trn("Flagged {n:,} proposal", "Flagged {n:,} proposals", self._counts["flag"])
        if self._counts["unsure"]:
            return trn("Unsure about {n:,} proposal", "Unsure about {n:,} proposals", self._counts["unsure"])
        return trn("Skipped {n:,} proposal", "Skipped {n:,} proposals", self._counts["skip"])

    # Inside

    def _keep(self, proposal_id: str, verdict: Verdict, category_id: str | None, details: Mapping[str, Any]) -> None:
        row = {
            "proposal_id": proposal_id,
            "verdict": verdict,
            "source_id": self.draft.actor,
            "category_id": category_id,
            "is_bulk": int(self.is_bulk),
            "decided_at": self.draft.at,
            "details": json.dumps({**details, **self._counted}, ensure_ascii=False, sort_keys=True),
        }
        self.draft.set_row("decision", proposal_id, row)
        self._done[proposal_id] = category_id

    def _has_nothing_left(self, proposal: ProposalFacts) -> bool:
        """Whether runs have placed all its members, of those that have any."""
        if kind_of(proposal.kind, proposal.arguments) not in PLACING_KINDS or proposal.arguments.get("from_id"):
            return False
        ids = [record_id for record_id, _ in proposal.members]
        by_runs, _ = self._placed(ids, but=proposal.run_id)
        return bool(ids) and by_runs.issuperset(ids)

    def _placed(self, record_ids: list[str], *, but: str | None = None) -> tuple[set[str], set[str]]:
        """Which of these have a primary assignment by a run (other than `but`), and which by a person."""
        by_runs, by_people = set(), set()
        for row in self.draft.facts.assignments(record_ids, is_primary=1):
            if row[2] not in self._kinds:
                self._kinds[row[2]] = self.draft.facts.source_label(row[2])["kind"]
            if self._kinds[row[2]] == "annotator":
                by_people.add(row[1])
            elif row[2] != but:
                by_runs.add(row[1])
        return by_runs, by_people
