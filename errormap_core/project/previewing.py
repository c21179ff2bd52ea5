"""Previews from a connection of one's own: what a step would touch and whether a proposal still fits, beside the thread
that writes. The tree is handed over as a copy, because the one that writes follows its edits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

from errormap_core.ids import now
from errormap_core.project.effects import counts_around, tell_other
from errormap_core.project.facts import ProjectFacts
from errormap_core.sentences import Sentence
from errormap_core.taxonomy.asking import Shown, Since, since_shown
from errormap_core.taxonomy.decision_operations import plan_what_fits
from errormap_core.taxonomy.draft import Draft, Effect
from errormap_core.taxonomy.operations import DecideProposals, Operation, Ruling
from errormap_core.taxonomy.rulings import ACCEPTING
from errormap_core.taxonomy.standing import Standing, standing
from errormap_core.taxonomy.tree import Tree


def preview_on(db: Database, tree: Tree, op: Operation, *, actor: str) -> Effect:
    """What the operation would touch; nothing is written. Raises KnownError where it is not possible."""
    return _planned(db, tree, op, actor)[0].effect


def _planned(db: Database, tree: Tree, op: Operation, actor: str) -> tuple[Draft, Counter[str], Counter[str]]:
    """The plan with its effect filled in, and counted failures by category before and after it."""
    facts = ProjectFacts(db)
    resolved = getattr(op, "resolved", None)
    op = op if resolved is None else resolved(facts, tree)
    draft = Draft(facts, tree, actor=actor, at=now())
    draft.effect.summary = op.plan(draft)
    return draft, *_tell(db, tree, draft, facts)


def _tell(db: Database, tree: Tree, draft: Draft, facts: ProjectFacts) -> tuple[Counter[str], Counter[str]]:
    """Fill in the effect of a plan; counted failures by category before and after it."""
    draft.effect.decisions_of = facts.by_people(draft.touched_assignments)
    before, after = {category.id for category in tree}, {category.id for category in draft.tree}
    draft.effect.n_made, draft.effect.n_gone = len(after - before), len(before - after)
    counts = counts_around(db, draft)
    if counts is None:
        return Counter(), Counter()
    tell_other(db, tree, draft, counts)
    return counts


@dataclass(frozen=True, slots=True)
class AnswerPreview:
    """What an answer to a question would do. `n_before` and `n_after` are failures that count in the category `name`, where
    the failure goes (not below it); `merged` are categories that go into it, by name, with their own failures."""

    effect: Effect
    name: str
    n_before: int
    n_after: int
    merged: tuple[tuple[str, int], ...]


def preview_answer(db: Database, tree: Tree, op: DecideProposals, *, actor: str) -> AnswerPreview:
    """What answering a question would do, `op` being its one ruling; nothing is written.

    Raises KnownError where it is not possible.
    """
    draft, before, after = _planned(db, tree, op, actor)
    decided = draft.facts.row("decision", op.rulings[0].proposal_id)
    assert decided is not None
    category = draft.tree.resolve(decided["category_id"])
    gone = [category for category in tree if category.id not in draft.tree]
    return AnswerPreview(
        draft.effect,
        category.name,
        before[category.id],
        after[category.id],
        tuple((each.name, before[each.id]) for each in gone),
    )


def standing_on(db: Database, tree: Tree, proposal_id: str) -> Standing:
    """What is left of a proposal in this tree. Raises KnownError where there is none of this id."""
    facts = ProjectFacts(db)
    return standing(facts.proposal(proposal_id), tree, facts)


def since_shown_on(db: Database, tree: Tree, shown: Sequence[Shown], now: Sequence[Mapping[str, Any]]) -> Since:
    """What changed since the likely categories of a question were shown; `now` are those that hold in this tree."""
    return since_shown(shown, now, tree, ProjectFacts(db))


@dataclass(frozen=True, slots=True)
class BatchPreview:
    """What several rulings would do together. `left_out` says of those that cannot be taken why, by proposal id."""

    effect: Effect | None
    rulings: tuple[Ruling, ...]
    left_out: dict[str, Sentence] = field(default_factory=dict)


def preview_batch(db: Database, tree: Tree, rulings: Sequence[Ruling], *, actor: str) -> BatchPreview:
    """What accepting these together, in their order, would touch; without those that do not fit the tree any more, or would
    not after those before them."""
    facts = ProjectFacts(db)
    facts.read_proposals([ruling.proposal_id for ruling in rulings])
    left_out: dict[str, Sentence] = {}
    for ruling in rulings:
        if ruling.verdict in ACCEPTING:
            left = standing(facts.proposal(ruling.proposal_id), tree, facts)
            changed = left.sentence()
            if changed is not None and not left.is_placed:
                left_out[ruling.proposal_id] = changed
    draft = Draft(facts, tree, actor=actor, at=now())
    draft.effect.summary, refused = plan_what_fits(
        [ruling for ruling in rulings if ruling.proposal_id not in left_out], draft, facts
    )
    left_out |= refused
    kept = tuple(ruling for ruling in rulings if ruling.proposal_id not in left_out)
    if not kept:
        return BatchPreview(None, (), left_out)
    _tell(db, tree, draft, facts)
    return BatchPreview(draft.effect, kept, left_out)
