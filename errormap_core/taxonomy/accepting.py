"""What accepting a proposal does, a function a kind (ACCEPT). Each plans the operation that a person would take by hand.

Plans are made again when a project is replayed. So nothing here rests on what a proposal's evidence says, which later runs
renew; whether a proposal still fits is asked before, by standing.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.category_operations import (
    DescribeCategory,
    MergeCategories,
    MoveCategories,
    Part,
    RenameCategory,
    SplitCategory,
    refuse_parent,
    refuse_used_id,
)
from errormap_core.taxonomy.facts import ProposalFacts
from errormap_core.taxonomy.folding import Folding
from errormap_core.taxonomy.names import checked_name
from errormap_core.taxonomy.provenance import provenance
from errormap_core.taxonomy.record_operations import AssignFailures
from errormap_core.taxonomy.rulings import Ruling
from errormap_core.taxonomy.standing import follow_merges
from errormap_core.taxonomy.tree import Category, Tree, name_key

if TYPE_CHECKING:
    from errormap_core.taxonomy.decision_operations import Desk


@dataclass(frozen=True, slots=True)
class Accepted:
    """The category that a proposal led to, and what was done in the past tense where that needs saying."""

    category_id: str
    said: Sentence | None = None


def live_or_merged(tree: Tree, category_id: str) -> Category:
    """The category, or what it was merged into. Raises KnownError where it was deleted, or there is none."""
    return follow_merges(tree, category_id) or tree.live(category_id)  # raises the sentence


def _refuse_foreign(without: Sequence[str], known: Sequence[str]) -> None:
    foreign = set(without).difference(known)
    if foreign:
        raise KnownError(
            tr("What is to be left out is no part of the proposal ({first}).", first=min(foreign)),
            fix=tr("Leave out what the proposal names."),
        )


# New categories, and failures into categories that are there


def accept_create(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """A new category with the members; where a sibling of its name is there, they go into that one."""
    category_id = make_category(desk, proposal, ruling, ruling.category_id)
    desk.assign_members(proposal, category_id, without=ruling.without)
    return Accepted(category_id)


def make_category(desk: "Desk", proposal: ProposalFacts, ruling: Ruling | None, category_id: str) -> str:
    """The category of a create proposal, without members; of a sibling that has its name, the sibling's id."""
    draft = desk.draft
    name = description = parent_id = None
    if ruling is not None:
        name, description, parent_id = ruling.name, ruling.description, ruling.parent_id
    if parent_id is None and not (ruling is not None and ruling.at_top):
        parent_id = desk.parent_category(proposal, alone_for=category_id if ruling is None else None)
    refuse_parent(draft.tree, parent_id)
    name = checked_name(name if name is not None else proposal.arguments["name"])
    same = draft.tree.sibling_named(parent_id, name)
    if same is not None:
        return same.id
    description = description if description is not None else proposal.arguments["description"]
    refuse_used_id(draft.tree, category_id)
    draft.create(
        Category(
            id=category_id,
            parent_id=parent_id,
            position=draft.place_at(parent_id, None),
            name=name,
            description=description.strip(),
            provenance=provenance(draft, proposed_by=draft.facts.source_label(proposal.run_id)),
        )
    )
    return category_id


def accept_assign(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """The members go into a category that is there: from nowhere, or (`from_id`) from another category."""
    tree = desk.draft.tree
    wanted = ruling.target or ruling.parent_id or proposal.arguments["category_id"]
    from_id = proposal.arguments.get("from_id")
    if from_id is not None:
        return _accept_moving(desk, proposal, ruling, live_or_merged(tree, wanted), from_id)
    if tree.get(wanted) is None:
        tree.live(wanted)  # raises the sentence
    category = tree.resolve(wanted)
    desk.assign_members(proposal, category.id, without=ruling.without)
    return Accepted(category.id)


def _accept_moving(desk: "Desk", proposal: ProposalFacts, ruling: Ruling, target: Category, from_id: str) -> Accepted:
    source = desk.draft.tree.live(from_id)
    left_out = set(ruling.without)
    members = [record_id for record_id, _ in proposal.members if record_id not in left_out]
    n = 0
    if source.id != target.id:
        n = desk.draft.shift_records(members, source.id, target.id)
    if n == 0:
        raise KnownError(
            tr("None of these failures is in “{name}” any more.", name=source.name),
            fix=tr("Reject the proposal, or have proposals made again."),
        )
    desk.n_failures += n
    said = trn("Moved {n:,} failure from “{source}” to “{name}”", "Moved {n:,} failures from “{source}” to “{name}”",
               n, source=source.name, name=target.name)  # fmt: skip
    return Accepted(target.id, said)


def accept_place(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """One failure goes where the person said, as that person's own word."""
    if "candidates" not in proposal.arguments:  # what older versions called placing
        return accept_assign(desk, proposal, ruling)
    category_id = _chosen_category(desk, proposal, ruling)
    record_id = proposal.arguments["record_id"]
    said = AssignFailures(record_ids=(record_id,), category_id=category_id).plan(desk.draft)
    desk.n_failures += 1
    for key in ruling.same:
        is_category = desk.draft.tree.get(key) is not None
        other = live_or_merged(desk.draft.tree, key).id if is_category else desk.take_for(key, category_id)
        if other != category_id:
            _planned(desk, MergeCategories(category_ids=(category_id, other), into=category_id))
    if ruling.same:
        said = trn(
            "{said}, {n:,} other taken for the same",
            "{said}, {n:,} others taken for the same",
            len(ruling.same),
            said=said,
        )
    return Accepted(category_id, said)


def _chosen_category(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> str:
    draft = desk.draft
    if ruling.is_new:
        name = checked_name(ruling.name or "")
        refuse_parent(draft.tree, ruling.parent_id)
        same = draft.tree.sibling_named(ruling.parent_id, name)
        if same is not None:
            return same.id
        refuse_used_id(draft.tree, ruling.category_id)
        draft.create(
            Category(
                id=ruling.category_id,
                parent_id=ruling.parent_id,
                position=draft.place_at(ruling.parent_id, None),
                name=name,
                description=(ruling.description or "").strip(),
                provenance=provenance(draft),
            )
        )
        return ruling.category_id
    if ruling.target is None:
        raise KnownError(
            tr("It was not said where this failure belongs."), fix=tr("Choose a category, or name a new one.")
        )
    if draft.tree.get(ruling.target) is not None:
        return live_or_merged(draft.tree, ruling.target).id
    return desk.category_of(ruling.target, ruling.target_run_id, category_id=ruling.category_id,
                            placed=proposal.arguments["record_id"])  # fmt: skip


# Repairs of the tree


def accept_merge(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """The categories become one: what was merged away since is followed, what is left out or gone (`as_is`) stays."""
    tree, arguments = desk.draft.tree, proposal.arguments
    named = list(arguments["category_ids"])
    _refuse_foreign(ruling.without, named)
    left: list[str] = []
    for category_id in named:
        if category_id in ruling.without:
            continue
        found = follow_merges(tree, category_id)
        if found is None and not ruling.as_is:
            tree.live(category_id)  # raises the sentence
        if found is not None and found.id not in left:
            left.append(found.id)
    if len(left) < 2:
        raise KnownError(
            tr("Nothing is left to merge: they are one by now."),
            fix=tr("Reject the proposal, or leave fewer of its categories out."),
        )
    into = follow_merges(tree, ruling.into or arguments["into"])
    if into is None or into.id not in left:
        if ruling.into is not None:
            raise KnownError(
                tr("The category that is to stay is not one of those that are merged."),
                fix=tr("Choose one of them: {names}.", names=", ".join(tree.live(c).name for c in left)),
            )
        into = tree.live(left[0])
    name, description = ruling.name, ruling.description
    if into.id == arguments["into"]:
        name = (arguments.get("name") or None) if name is None else name
        description = arguments.get("description") if description is None else description
    if into.reserved is not None:  # it keeps its name
        name = ruling.name
    merge = MergeCategories(category_ids=tuple(left), into=into.id, name=name, description=description)
    return Accepted(into.id, _planned(desk, merge))


def accept_move(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """A category goes below another parent, or (promote) to the top; with another name where one is given."""
    tree = desk.draft.tree
    category = tree.live(proposal.arguments["category_id"])
    wanted = None if ruling.at_top else ruling.parent_id or proposal.arguments.get("parent_id")
    parent_id = None if wanted is None else live_or_merged(tree, wanted).id
    if parent_id == category.parent_id:
        raise KnownError(tr("“{name}” is in that place already.", name=category.name), fix=tr("Reject the proposal."))
    name = ruling.name
    is_free = name is not None and tree.sibling_named(category.parent_id, name, but=[category.id]) is None
    if name is not None and is_free:  # the new name may be what lets it be in the new place
        RenameCategory(category_id=category.id, name=name).plan(desk.draft)
    said = _planned(desk, MoveCategories(category_ids=(category.id,), parent_id=parent_id))
    if name is not None and not is_free:
        RenameCategory(category_id=category.id, name=name).plan(desk.draft)
    if ruling.description is not None:
        DescribeCategory(category_id=category.id, description=ruling.description).plan(desk.draft)
    return Accepted(category.id, said)


def accept_split(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """The parts become categories beside the category, or below it; failures that left it meanwhile stay where they are.

    A part that has the category's own name stays in it. Where nothing is left in the category, the largest part takes over.
    """
    draft = desk.draft
    category = draft.tree.live(proposal.arguments["category_id"])
    is_below = ruling.is_below if ruling.is_below is not None else bool(proposal.arguments.get("is_below"))
    parts = []
    for part in _parts_as_ruled(proposal, ruling):
        here = {row[1] for row in draft.facts.assignments(part["members"], category_id=category.id)}
        records = tuple(dict.fromkeys(r for r in part["members"] if r in here))
        stays = not is_below and name_key(part["name"]) == name_key(category.name)
        if records and not stays:
            new_id = content_id("category", ruling.category_id, part["id"])
            parts.append(
                Part(name=part["name"], description=part["description"], record_ids=records, category_id=new_id)
            )
    if not parts:
        raise KnownError(
            tr("No part is left that could be taken out of “{name}”.", name=category.name),
            fix=tr("Reject the proposal, or leave fewer parts out."),
        )
    said = _planned(desk, SplitCategory(category_id=category.id, parts=tuple(parts), is_below=is_below))
    is_empty = not draft.tree.children(category.id) and not draft.facts.n_counted([category.id])
    if is_empty and not is_below and category.reserved is None:
        largest = max(parts, key=lambda part: len(part.record_ids))
        folding = Folding(draft, "rename")
        folding.fold(category.id, largest.category_id)
        folding.finish()
        draft.move_assignments(folding.went)
        return Accepted(largest.category_id, said)
    return Accepted(category.id, said)


def _parts_as_ruled(proposal: ProposalFacts, ruling: Ruling) -> list[dict[str, Any]]:
    """The parts with what the ruling says of them, without those that it leaves out."""
    proposed = {part["id"]: part for part in proposal.arguments["parts"]}
    _refuse_foreign(ruling.without, list(proposed))
    ruled: dict[str, Mapping[str, Any]] = {part["id"]: part for part in ruling.parts or ()}
    found = []
    for part_id in dict.fromkeys([*proposed, *ruled]):
        if part_id in ruling.without:
            continue
        part = {"name": "", "description": "", "members": (), **proposed.get(part_id, {}), **ruled.get(part_id, {})}
        found.append({**part, "id": part_id, "description": part["description"] or ""})
    return found


def accept_wording(desk: "Desk", proposal: ProposalFacts, ruling: Ruling) -> Accepted:
    """Another name or another description for a category, or both where the ruling gives the other."""
    category = desk.draft.tree.live(proposal.arguments["category_id"])
    name, description = ruling.name, ruling.description
    if proposal.kind == "rename" and name is None:
        name = proposal.arguments["name"]
    if proposal.kind == "describe" and description is None:
        description = proposal.arguments["description"]
    said: list[Sentence] = []
    if name is not None:
        said.append(RenameCategory(category_id=category.id, name=name).plan(desk.draft))
    if description is not None:
        said.append(DescribeCategory(category_id=category.id, description=description).plan(desk.draft))
    return Accepted(category.id, said[0])


def _planned(desk: "Desk", op: MergeCategories | MoveCategories | SplitCategory) -> Sentence:
    """Plan an operation as part of the decision, and count the failures that it moves."""
    before = desk.draft.effect.n_failures
    said = op.plan(desk.draft)
    desk.n_failures += desk.draft.effect.n_failures - before
    return said


ACCEPT: Mapping[str, Callable[["Desk", ProposalFacts, Ruling], Accepted]] = {
    "create": accept_create,
    "assign": accept_assign,
    "place": accept_place,
    "merge": accept_merge,
    "promote": accept_move,
    "move": accept_move,
    "split": accept_split,
    "rename": accept_wording,
    "describe": accept_wording,
}
