"""Operations on the tree: add, rename, describe, annotate, move, merge, split, delete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from errormap_core.errors import KnownError
from errormap_core.ids import new_id
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.draft import Draft, ends_of
from errormap_core.taxonomy.folding import Folding, OnCollision
from errormap_core.taxonomy.names import checked_name
from errormap_core.taxonomy.provenance import provenance
from errormap_core.taxonomy.registry import operation, tuples
from errormap_core.taxonomy.tree import Category, Tree, name_key


def refuse_reserved(category: Category, deed: Sentence) -> None:
    if category.reserved is not None:
        raise KnownError(
            tr("“{name}” is there in every taxonomy and cannot be {deed}.", name=category.name, deed=deed),
            fix=tr("Choose another category, or move its failures."),
        )


def refuse_parent(tree: Tree, parent_id: str | None) -> None:
    """A parent must be in the tree, and Hard to Analyze has no children."""
    if parent_id is not None and tree.live(parent_id).reserved == "hard":
        raise KnownError(
            tr("“{name}” can have no categories below it.", name=tree.live(parent_id).name),
            fix=tr("Put the category elsewhere, for example below Other."),
        )


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class AddCategory:
    """Add a category below `parent_id` (None: at the top), before the `index`th child (None: last)."""

    kind: ClassVar[str] = "category.add"
    version: ClassVar[int] = 1
    name: str
    parent_id: str | None = None
    description: str = ""
    index: int | None = None
    category_id: str = field(default_factory=new_id)

    def plan(self, draft: Draft) -> Sentence:
        name = checked_name(self.name)
        refuse_parent(draft.tree, self.parent_id)
        draft.refuse_same_name(self.parent_id, name)
        refuse_used_id(draft.tree, self.category_id)
        draft.create(
            Category(
                id=self.category_id,
                parent_id=self.parent_id,
                position=draft.place_at(self.parent_id, self.index),
                name=name,
                description=self.description.strip(),
                provenance=provenance(draft),
            )
        )
        return tr("Added “{name}”", name=name)


def refuse_used_id(tree: Tree, category_id: str) -> None:
    if tree.get(category_id) is not None:
        raise KnownError(
            tr("The id {id} belongs to a category already.", id=category_id),
            fix=tr("Ids are never used twice; leave it out to have one made."),
        )


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class RenameCategory:
    """Give a category another name; the old one stays as an alias."""

    kind: ClassVar[str] = "category.rename"
    version: ClassVar[int] = 1
    category_id: str
    name: str

    def plan(self, draft: Draft) -> Sentence:
        category = draft.tree.live(self.category_id)
        refuse_reserved(category, tr("renamed"))
        name = checked_name(self.name)
        draft.refuse_same_name(category.parent_id, name, but=[category.id])
        draft.change(category.id, name=name)
        return tr("Renamed “{old}” to “{name}”", old=category.name, name=name)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCategory:
    """Give a category another description."""

    kind: ClassVar[str] = "category.describe"
    version: ClassVar[int] = 1
    category_id: str
    description: str

    def plan(self, draft: Draft) -> Sentence:
        category = draft.tree.live(self.category_id)
        draft.change(category.id, description=self.description.strip())
        return tr("Described “{name}”", name=category.name)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateCategory:
    """Give a category other notes (for annotators; what belongs, what does not)."""

    kind: ClassVar[str] = "category.annotate"
    version: ClassVar[int] = 1
    category_id: str
    notes: str

    def plan(self, draft: Draft) -> Sentence:
        category = draft.tree.live(self.category_id)
        draft.change(category.id, notes=self.notes.strip())
        return tr("Noted on “{name}”", name=category.name)


def outermost(tree: Tree, category_ids: Sequence[str]) -> list[str]:
    """`category_ids` without repeats and without those that lie below another of them, in tree order."""
    chosen = set(category_ids)
    for category_id in chosen:
        tree.live(category_id)
    return tree.outermost(chosen)


def moves_to(tree: Tree, category_ids: Sequence[str], parent_id: str | None) -> list[str]:
    """The categories that a move to `parent_id` takes along. Raises KnownError where it is not possible.

    The window asks this while something is dragged, so that what it allows is what the operation does.
    """
    moving = outermost(tree, category_ids)
    refuse_parent(tree, parent_id)
    inside = {parent_id, *tree.ancestors(parent_id)} if parent_id is not None else set()
    taken: dict[str, str] = {}
    for category_id in moving:
        category = tree.live(category_id)
        refuse_reserved(category, tr("moved"))
        if category_id in inside:
            raise KnownError(
                tr("“{name}” cannot be moved below itself.", name=category.name),
                fix=tr("Choose a place outside of it."),
            )
        other = tree.sibling_named(parent_id, category.name, but=[category_id])
        if other is not None or taken.get(name_key(category.name)):
            raise KnownError(
                tr("“{name}” exists already in the same place.", name=category.name),
                fix=tr("Merge the two, or rename one of them first."),
            )
        taken[name_key(category.name)] = category_id
    return moving


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCategories:
    """Move categories below another parent or to another position; what lies below them goes along.

    `index` counts the new siblings without the moved ones; None is the end.
    """

    kind: ClassVar[str] = "category.move"
    version: ClassVar[int] = 1
    category_ids: tuple[str, ...]
    parent_id: str | None = None
    index: int | None = None

    def plan(self, draft: Draft) -> Sentence:
        moving = moves_to(draft.tree, self.category_ids, self.parent_id)
        names = [draft.tree.live(c).name for c in moving]
        positions = draft.places_at(self.parent_id, self.index, len(moving), moving=set(moving))
        for category_id, position in zip(moving, positions, strict=True):
            draft.change(category_id, parent_id=self.parent_id, position=position)
            draft.effect.n_categories += 1
        where = (
            tr("to the top") if self.parent_id is None else tr("below “{p}”", p=draft.tree.live(self.parent_id).name)
        )
        if len(names) == 1:
            return tr("Moved “{name}” {where}", name=names[0], where=where)
        return trn("Moved {n:,} category {where}", "Moved {n:,} categories {where}", len(names), where=where)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCategories:
    """Merge categories into one of them (or another), `into`, which keeps its id.

    The others stay as redirects and aliases; their failures, whoever placed them, and their children
    go to `into`. Children of one name are merged as well, or renamed. An ancestor and a descendant
    fold into one category at the ancestor's place.
    """

    kind: ClassVar[str] = "category.merge"
    version: ClassVar[int] = 1
    category_ids: tuple[str, ...]
    into: str
    name: str | None = None
    description: str | None = None
    on_collision: OnCollision = "merge"

    def plan(self, draft: Draft) -> Sentence:
        tree = draft.tree
        target = tree.live(self.into)
        sources = tree.in_order(c for c in self.category_ids if c in tree and c != self.into)
        for category_id in self.category_ids:
            tree.live(category_id)
        if not sources:
            raise KnownError(tr("A merge needs two categories or more."), fix=tr("Select the others as well."))
        for category_id in sources:
            refuse_reserved(tree.live(category_id), tr("merged into another"))
            if target.reserved == "hard" and tree.children(category_id):
                refuse_parent(tree, target.id)
        chosen = set(sources)
        above = [c for c in tree.ancestors(self.into) if c in chosen]
        if above:
            refuse_reserved(target, tr("moved"))
            top = tree.live(above[-1])
            draft.change(self.into, parent_id=top.parent_id, position=top.position)
        gone = {*sources, self.into}
        below = {c for s in tree.outermost(sources) for c in tree.subtree(s) if c not in gone}
        folding = Folding(draft, self.on_collision)
        for category_id in sources:
            if category_id in tree:  # else a category of its name took it along
                folding.fold(category_id, self.into)
        folding.finish()
        went = folding.went
        along = sorted(c for c in below if c not in went)
        n_along = draft.facts.n_counted(along) if along else 0
        draft.effect.n_categories_along += len(along)
        draft.effect.n_failures_along += n_along
        target = tree.live(self.into)
        name = target.name if self.name is None else checked_name(self.name)
        if name != target.name:
            refuse_reserved(target, tr("renamed"))
        draft.refuse_same_name(target.parent_id, name, but=[target.id])
        description = target.description if self.description is None else self.description.strip()
        draft.change(target.id, name=name, description=description)
        n_failures = draft.move_assignments(went)
        if along:
            return trn(
                "Merged {k:,} categories into “{name}”, {n:,} failure moved, {m:,} more below them",
                "Merged {k:,} categories into “{name}”, {n:,} failures moved, {m:,} more below them",
                n_failures,
                k=len(sources) + 1,
                name=name,
                m=n_along,
            )
        return trn(
            "Merged {k:,} categories into “{name}”, {n:,} failure moved",
            "Merged {k:,} categories into “{name}”, {n:,} failures moved",
            n_failures,
            k=len(sources) + 1,
            name=name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One new category of a split: failures and child categories that go into it."""

    name: str
    description: str = ""
    record_ids: tuple[str, ...] = ()
    child_ids: tuple[str, ...] = ()
    category_id: str = field(default_factory=new_id)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCategory:
    """Make new categories of chosen failures and children of a category, beside it or (`is_below`) below it."""

    kind: ClassVar[str] = "category.split"
    version: ClassVar[int] = 1
    category_id: str
    parts: tuple[Part, ...]
    is_below: bool = False

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> "SplitCategory":
        parts = tuple(Part(**tuples(part)) for part in arguments["parts"])
        return cls(**{**arguments, "parts": parts})

    def plan(self, draft: Draft) -> Sentence:
        tree, category = draft.tree, draft.tree.live(self.category_id)
        if not self.parts:
            raise KnownError(tr("A split needs at least one part."), fix=tr("Choose failures or categories for it."))
        parent_id = category.id if self.is_below else category.parent_id
        refuse_parent(tree, parent_id)
        children = set(tree.children(category.id))
        seen: set[str] = set()
        n_failures = 0
        places = None
        if not self.is_below and category.reserved is None:
            siblings = [c for c in tree.children(parent_id) if tree.live(c).reserved is None]
            places = draft.places_at(parent_id, siblings.index(category.id) + 1, len(self.parts))
        for place, part in enumerate(self.parts):
            name = checked_name(part.name)
            self._check(draft, part, children, seen)
            moving = [*part.child_ids] if self.is_below else []
            draft.refuse_same_name(parent_id, name, but=moving)
            refuse_used_id(tree, part.category_id)
            draft.create(
                Category(
                    id=part.category_id,
                    parent_id=parent_id,
                    position=draft.place_at(parent_id, None) if places is None else places[place],
                    name=name,
                    description=part.description.strip(),
                    provenance=provenance(draft),
                )
            )
            for child in part.child_ids:
                draft.change(child, parent_id=part.category_id, position=draft.place_at(part.category_id, None))
            if part.record_ids:
                n_failures += draft.move_records(part.record_ids, category.id, part.category_id)
        return trn(
            "Split {k:,} from “{name}”, {n:,} failure moved",
            "Split {k:,} from “{name}”, {n:,} failures moved",
            n_failures,
            k=len(self.parts),
            name=category.name,
        )

    def _check(self, draft: Draft, part: Part, children: set[str], seen: set[str]) -> None:
        chosen = [*part.record_ids, *part.child_ids]
        if not chosen:
            raise KnownError(
                tr("Nothing was chosen for “{name}”.", name=part.name),
                fix=tr("Choose failures or categories that go into it."),
            )
        if len(set(chosen)) < len(chosen) or not seen.isdisjoint(chosen):
            raise KnownError(
                tr("A failure or category was chosen twice, last for “{name}”.", name=part.name),
                fix=tr("Each goes into one part."),
            )
        seen.update(chosen)
        if not children.issuperset(part.child_ids):
            raise KnownError(
                tr("A category chosen for “{name}” is no child of the one that is split.", name=part.name),
                fix=tr("Choose among its children."),
            )
        here = {row[1] for row in draft.facts.assignments(part.record_ids, category_id=self.category_id)}
        missing = len(set(part.record_ids) - here)
        if missing:
            raise KnownError(
                trn(
                    "{n:,} failure chosen for “{name}” is not in the category that is split.",
                    "{n:,} failures chosen for “{name}” are not in the category that is split.",
                    missing,
                    name=part.name,
                ),
                fix=tr("Choose among the failures that sit on the category itself, not below it."),
            )


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCategories:
    """Delete categories: children move up, failures go to the parent, those of a top category to Other."""

    kind: ClassVar[str] = "category.delete"
    version: ClassVar[int] = 1
    category_ids: tuple[str, ...]
    on_collision: OnCollision = "merge"

    def plan(self, draft: Draft) -> Sentence:
        tree = draft.tree
        chosen = set(self.category_ids)
        for category_id in self.category_ids:
            refuse_reserved(tree.live(category_id), tr("deleted"))
        if not chosen:
            raise KnownError(tr("Nothing was chosen to be deleted."), fix=tr("Select a category first."))
        other = next(c.id for c in tree if c.reserved == "other")
        names = [c.name for c in tree if c.id in chosen]
        folding = Folding(draft, self.on_collision)
        for category_id in reversed([c.id for c in tree if c.id in chosen]):  # deepest first
            if category_id in tree:  # else a child of its name took it along
                folding.delete(category_id, tree.live(category_id).parent_id or other)
        folding.finish()
        n_failures = draft.move_assignments(folding.went)
        what = tr("“{name}”", name=names[0]) if len(names) == 1 else tr("{k:,} categories", k=len(names))
        ends = set(ends_of(folding.went).values())
        if n_failures and len(ends) == 1:
            return trn(
                "Deleted {what}, {n:,} failure moved to “{end}”",
                "Deleted {what}, {n:,} failures moved to “{end}”",
                n_failures,
                what=what,
                end=tree.live(ends.pop()).name,
            )
        return trn("Deleted {what}, {n:,} failure moved", "Deleted {what}, {n:,} failures moved", n_failures, what=what)
