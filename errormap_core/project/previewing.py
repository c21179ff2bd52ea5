"""Previews from a connection of one's own: what a step would touch and whether a proposal still fits, beside the thread
that writes. The tree is handed over as a copy, because the one that writes follows its edits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.ids import now
from errormap_core.project.effects import tell_other
from errormap_core.project.facts import ProjectFacts
from errormap_core.sentences import Sentence
from errormap_core.taxonomy.draft import Draft, Effect
from errormap_core.taxonomy.operations import DecideProposals, Operation, Ruling
from errormap_core.taxonomy.rulings import ACCEPTING
from errormap_core.taxonomy.standing import Standing, standing
from errormap_core.taxonomy.tree import Tree


def preview_on(db: Database, tree: Tree, op: Operation, *, actor: str) -> Effect:
    """What the operation would touch; nothing is written. Raises KnownError where it is not possible."""
    facts = ProjectFacts(db)
    resolved = getattr(op, "resolved", None)
    op = op if resolved is None else resolved(facts, tree)
    draft = Draft(facts, tree, actor=actor, at=now())
    draft.effect.summary = op.plan(draft)
    draft.effect.n_decisions = facts.n_by_people(draft.touched_assignments)
    tell_other(db, tree, draft)
    return draft.effect


def standing_on(db: Database, tree: Tree, proposal_id: str) -> Standing:
    """What is left of a proposal in this tree. Raises KnownError where there is none of this id."""
    facts = ProjectFacts(db)
    return standing(facts.proposal(proposal_id), tree, facts)


@dataclass(frozen=True, slots=True)
class BatchPreview:
    """What several rulings would do together. `left_out` says of those that cannot be taken why, by proposal id."""

    effect: Effect | None
    rulings: tuple[Ruling, ...]
    left_out: dict[str, Sentence] = field(default_factory=dict)


def preview_batch(db: Database, tree: Tree, rulings: Sequence[Ruling], *, actor: str) -> BatchPreview:
    """What accepting these together, in their order, would touch; without those that do not fit the tree any more, or would
    not after those before them."""
    left_out: dict[str, Sentence] = {}
    for ruling in rulings:
        if ruling.verdict in ACCEPTING:
            left = standing_on(db, tree, ruling.proposal_id)
            changed = left.sentence()
            if changed is not None and not left.is_placed:
                left_out[ruling.proposal_id] = changed
    kept = [ruling for ruling in rulings if ruling.proposal_id not in left_out]
    while kept:
        found = _try(db, tree, kept, actor)
        if not isinstance(found, KnownError):
            return BatchPreview(found, tuple(kept), left_out)
        fits, fails = 0, len(kept)  # so many of them are possible, so many are not
        while fails - fits > 1:
            middle = (fits + fails) // 2
            tried = _try(db, tree, kept[:middle], actor)
            if isinstance(tried, KnownError):
                fails, found = middle, tried
            else:
                fits = middle
        left_out[kept.pop(fails - 1).proposal_id] = found.what
    return BatchPreview(None, (), left_out)


def _try(db: Database, tree: Tree, rulings: Sequence[Ruling], actor: str) -> Effect | KnownError:
    try:
        return preview_on(db, tree, DecideProposals(rulings=tuple(rulings), is_bulk=True), actor=actor)
    except KnownError as error:
        return error
