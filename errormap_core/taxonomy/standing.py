"""What is left of a proposal in the tree as it is: what changed since it was made, and what of it still holds.

Repairs say in their evidence what they saw of the categories that they name ("seen": name, parent, description, n of failures).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.facts import ProposalFacts, StandingFacts
from errormap_core.taxonomy.tree import Category, Tree, name_key


@dataclass(frozen=True, slots=True)
class Standing:
    """`changes` say what changed; `arguments` are those that still hold, None where nothing does (`is_placed`: because all
    its failures have their place by now; `is_locked`: because it would change a tree that is locked)."""

    changes: tuple[Sentence, ...]
    arguments: Mapping[str, Any] | None
    is_placed: bool = False
    is_locked: bool = False

    @property
    def is_fresh(self) -> bool:
        return not self.changes

    def sentence(self) -> Sentence | None:
        """All that changed, in one."""
        return joined(self.changes)

    def refuse(self, name: str) -> KnownError:
        """What to say where the proposal is accepted as it was made."""
        fix = tr("Look at it as it would be now, and accept that, or reject it.")
        if self.arguments is None:
            fix = tr("Reject it, or have proposals made again.")
        if self.is_locked:
            fix = tr("Switch “Lock the taxonomy” off in the project's settings, or reject it.")
        what = self.sentence() or tr("The tree changed.")
        return KnownError(what, where=tr("the proposal “{name}”", name=name) if name else "", fix=fix)


CHANGES_TREE = frozenset({"create", "merge", "promote", "move", "split", "rename", "describe"})
"""Kinds that change the tree whenever they are accepted."""

LOCKED = Standing((tr("The taxonomy is locked: no proposal may change its tree."),), None, is_locked=True)


def joined(sentences: Sequence[Sentence]) -> Sentence | None:
    """Several sentences as one; None for none."""
    found: Sentence | None = None
    for sentence in sentences:
        found = sentence if found is None else tr("{before} {then}", before=found, then=sentence)
    return found


def is_question(kind: str, arguments: Mapping[str, Any]) -> bool:
    """Whether it asks where one failure belongs. Older projects called proposals to assign 'place' as well."""
    return kind == "place" and "candidates" in arguments


def kind_of(kind: str, arguments: Mapping[str, Any]) -> str:
    """The kind as it is called now."""
    return "assign" if kind == "place" and "candidates" not in arguments else kind


def concerned(kind: str, arguments: Mapping[str, Any]) -> list[str]:
    """Ids of the categories that a proposal names, those that it is about first."""
    if is_question(kind, arguments):
        return [c["category_id"] for c in arguments["candidates"] if c.get("category_id")]
    named = [*arguments.get("category_ids", ()), arguments.get("category_id"), arguments.get("from_id")]
    named += [arguments.get("into"), arguments.get("parent_id")]
    return list(dict.fromkeys(c for c in named if c))


def label(proposal: ProposalFacts, tree: Tree) -> str:
    """What a proposal is called in sentences about it."""
    if proposal.arguments.get("name"):
        return str(proposal.arguments["name"])
    category = tree.get(proposal.arguments.get("category_id") or "")
    return "" if category is None else category.name


def follow_merges(tree: Tree, category_id: str | None) -> Category | None:
    """The category, or what it was merged into; None where there is none, or it was deleted."""
    category = tree.get(category_id or "")
    while category is not None and category.retired == "merged":
        category = tree.get(category.redirect_to or "")
    return category if category is not None and category.retired is None else None


def standing(proposal: ProposalFacts, tree: Tree, facts: StandingFacts, *, without: Collection[str] = ()) -> Standing:
    """What is left of a proposal, `without` what is left out of it. Of a kind that this program does not know, all of it."""
    if without:
        proposal = replace(proposal, arguments=_less(proposal.arguments, without))
    if proposal.kind in CHANGES_TREE and facts.is_locked():
        return LOCKED
    kind = "question" if is_question(proposal.kind, proposal.arguments) else kind_of(proposal.kind, proposal.arguments)
    look = _LOOKS.get(kind)
    return Standing((), proposal.arguments) if look is None else look(proposal, tree, facts)


def _less(arguments: Mapping[str, Any], without: Collection[str]) -> dict[str, Any]:
    """Arguments without some categories of a merge or parts of a split."""
    less = dict(arguments)
    if "category_ids" in less:
        less["category_ids"] = [c for c in less["category_ids"] if c not in without]
    if "parts" in less:
        less["parts"] = [part for part in less["parts"] if part["id"] not in without]
    return less


def _gone(tree: Tree, category_id: str) -> Sentence:
    """Why a category is not there any more."""
    category = tree.get(category_id)
    if category is None:
        return tr("There is no category with the id {id}.", id=category_id)
    into = follow_merges(tree, category_id)
    if into is None:
        return tr("“{name}” was deleted since this was proposed.", name=category.name)
    return tr("“{name}” was merged into “{into}” since this was proposed.", name=category.name, into=into.name)


def _seen(proposal: ProposalFacts, category_id: str) -> Mapping[str, Any]:
    seen: Mapping[str, Any] = proposal.evidence.get("seen", {}).get(category_id, {})
    return seen


def _renamed(proposal: ProposalFacts, category: Category) -> list[Sentence]:
    before = _seen(proposal, category.id).get("name", category.name)
    return [] if before == category.name else [tr("“{old}” is called “{new}” now.", old=before, new=category.name)]


def _moved(proposal: ProposalFacts, tree: Tree, category: Category) -> list[Sentence]:
    seen = _seen(proposal, category.id)
    if "parent_id" not in seen or seen["parent_id"] == category.parent_id:
        return []
    return [tr("“{name}” was moved since this was proposed: it is {where} now.",
               name=category.name, where=_where(tree, category.parent_id))]  # fmt: skip


def _where(tree: Tree, parent_id: str | None) -> Sentence:
    return tr("at the top") if parent_id is None else tr("below “{parent}”", parent=tree.live(parent_id).name)


def _merge(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    arguments = proposal.arguments
    wanted = list(arguments["category_ids"])
    changes: list[Sentence] = []
    left: dict[str, Category] = {}
    for category_id in wanted:
        found = follow_merges(tree, category_id)
        if found is None or (found.id != category_id and found.id not in wanted):
            changes.append(_gone(tree, category_id))
        elif found.id == category_id:
            changes += _renamed(proposal, found)
        if found is not None:
            left[found.id] = found
    if len(left) < 2:
        if not changes:
            changes = [tr("Nothing is left to merge: they are one by now.")]
        return Standing(tuple(changes), None)
    into = follow_merges(tree, arguments["into"])
    if into is None or into.id not in left:
        into = next(iter(left.values()))
    new: dict[str, Any] = {**arguments, "category_ids": list(left), "into": into.id}
    if into.id != arguments["into"] or _renamed(proposal, into):
        new["name"], new["description"] = into.name, into.description
    elif _seen(proposal, into.id).get("description", into.description) != into.description:
        new["description"] = into.description  # somebody wrote another meanwhile
    return Standing(tuple(changes), new)


def _move(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    """Also of a promotion, which is a move to the top."""
    category = tree.get(proposal.arguments["category_id"])
    if category is None or category.retired is not None:
        return Standing((_gone(tree, proposal.arguments["category_id"]),), None)
    wanted = proposal.arguments.get("parent_id")
    parent = follow_merges(tree, wanted)
    if wanted is not None and parent is None:
        return Standing((_gone(tree, wanted),), None)
    parent_id = None if parent is None else parent.id
    if parent_id == category.parent_id:
        said = tr("“{name}” is {where} already.", name=category.name, where=_where(tree, parent_id))
        return Standing((said,), None)
    if parent_id is not None and category.id in (parent_id, *tree.ancestors(parent_id)):
        below = tr("“{parent}” is below “{name}” now.", parent=tree.live(parent_id).name, name=category.name)
        return Standing((below,), None)
    changes = _moved(proposal, tree, category)
    if parent_id != wanted:
        changes.append(_gone(tree, str(wanted)))
    return Standing(tuple(changes), {**proposal.arguments, "parent_id": parent_id})


def _split(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    category_id = proposal.arguments["category_id"]
    if category_id not in tree:
        return Standing((_gone(tree, category_id),), None)
    parts = proposal.arguments["parts"]
    kept = [part for part in parts if facts.any_in(category_id, part["members"])]
    name = tree.live(category_id).name
    if not kept:
        return Standing((tr("None of these failures is in “{name}” any more.", name=name),), None)
    lost = trn("{n:,} part has no failure in “{name}” any more.", "{n:,} parts have no failures in “{name}” any more.",
               len(parts) - len(kept), name=name)  # fmt: skip
    return Standing((lost,) if len(kept) < len(parts) else (), {**proposal.arguments, "parts": kept})


def _rename(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    category_id, name = proposal.arguments["category_id"], proposal.arguments["name"]
    if category_id not in tree:
        return Standing((_gone(tree, category_id),), None)
    category = tree.live(category_id)
    if name_key(category.name) == name_key(name):
        return Standing((tr("It is called “{name}” already.", name=category.name),), None)
    return Standing(tuple(_renamed(proposal, category)), proposal.arguments)


def _describe(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    category_id = proposal.arguments["category_id"]
    if category_id not in tree:
        return Standing((_gone(tree, category_id),), None)
    category = tree.live(category_id)
    if category.description == proposal.arguments["description"].strip():
        return Standing((tr("“{name}” is described so already.", name=category.name),), None)
    before = _seen(proposal, category_id).get("description", category.description)
    anew = tr("“{name}” was described anew since this was proposed.", name=category.name)
    return Standing((anew,) if before != category.description else (), proposal.arguments)


def _assign(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    arguments = proposal.arguments
    target, from_id = follow_merges(tree, arguments["category_id"]), arguments.get("from_id")
    if target is None:
        return Standing((_gone(tree, arguments["category_id"]),), None)
    members = [record_id for record_id, _ in proposal.members]
    if from_id is None:
        if members and not facts.any_unplaced(members):
            return Standing((tr("All its failures have their place by now."),), None, is_placed=True)
        return Standing((), {**arguments, "category_id": target.id})
    if from_id not in tree:
        return Standing((_gone(tree, from_id),), None)
    if target.id == from_id:
        return Standing((_gone(tree, arguments["category_id"]),), None)
    if not facts.any_in(from_id, members):
        return Standing((tr("None of these failures is in “{name}” any more.", name=tree.live(from_id).name),), None)
    return Standing((), {**arguments, "category_id": target.id})


def _create(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    members = [record_id for record_id, _ in proposal.members]
    if members and not facts.any_unplaced(members):
        return Standing((tr("All its failures have their place by now."),), None, is_placed=True)
    return Standing((), proposal.arguments)


def _question(proposal: ProposalFacts, tree: Tree, facts: StandingFacts) -> Standing:
    record_id = proposal.arguments["record_id"]
    if facts.is_placed_by_person(record_id):
        return Standing((tr("Somebody placed this failure meanwhile."),), None)
    if facts.failure_state(record_id) not in ("analysed", "placed"):
        return Standing((tr("This is no failure that counts any more."),), None)
    candidates: dict[str, dict[str, Any]] = {}
    for candidate in proposal.arguments["candidates"]:
        new = _candidate(candidate, tree, facts)
        if new is not None:
            key = new.get("category_id") or new["proposal_id"]
            known = candidates.setdefault(key, {**new, "probability": 0.0})
            known["probability"] += new.get("probability") or 0.0
    return Standing((), {**proposal.arguments, "candidates": list(candidates.values())})


def _candidate(candidate: Mapping[str, Any], tree: Tree, facts: StandingFacts) -> dict[str, Any] | None:
    """A likely place as it is now: a proposed category that was made since is a category; None where it is gone, or may not
    be made."""
    category_id = candidate.get("category_id")
    if category_id is None:
        decided = facts.row("decision", candidate["proposal_id"])
        is_made = decided is not None and decided["category_id"] is not None
        if not is_made and facts.is_locked():
            return None
        if decided is None or (decided["verdict"] != "reject" and decided["category_id"] is None):
            return dict(candidate)
        category_id = decided["category_id"]
    found = follow_merges(tree, category_id)
    if found is None:
        return None
    return {"category_id": found.id, "name": found.name, "probability": candidate.get("probability")}


_LOOKS: Mapping[str, Callable[[ProposalFacts, Tree, StandingFacts], Standing]] = {
    "create": _create,
    "assign": _assign,
    "question": _question,
    "merge": _merge,
    "promote": _move,
    "move": _move,
    "split": _split,
    "rename": _rename,
    "describe": _describe,
}
