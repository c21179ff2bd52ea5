"""The taxonomy as values: categories by id, children in order, and the questions that operations ask."""

import bisect
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.sentences import tr


@dataclass(frozen=True, slots=True)
class Category:
    """A row of table category. `aliases`, `provenance` and `imported` are JSON text."""

    id: str
    parent_id: str | None
    position: float
    name: str
    description: str = ""
    notes: str = ""
    reserved: str | None = None
    aliases: str = "[]"
    retired: str | None = None
    redirect_to: str | None = None
    provenance: str = "{}"
    imported: str | None = None

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _COLUMNS}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Category":
        return cls(**row)

    @property
    def order(self) -> tuple[bool, float, str]:
        """Sorts siblings: the reserved categories come last."""
        return (self.reserved is not None, self.position, self.id)


_NAMES_TOLD = 12
"""So many names of a path are told where it is only read."""

_COLUMNS = tuple(field.name for field in fields(Category))


@lru_cache(maxsize=1 << 17)
def name_key(name: str) -> str:
    """What makes two sibling names the same: case, width and spaces do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class _Siblings:
    """The live children of one category: in order, and by name. Copies of a tree share it until one of them changes it."""

    __slots__ = ("_ids", "_names", "_orders", "_tuple")

    def __init__(self, children: Iterable[Category] = ()) -> None:
        ordered = sorted(children, key=lambda c: c.order)
        self._ids = [c.id for c in ordered]
        self._orders = [c.order for c in ordered]
        self._tuple: tuple[str, ...] | None = None
        self._names: dict[str, tuple[str, ...]] | None = None  # made when a name is first asked for

    def copy(self) -> "_Siblings":
        copy = _Siblings()
        copy._ids, copy._orders, copy._tuple = list(self._ids), list(self._orders), self._tuple
        copy._names = None if self._names is None else dict(self._names)
        return copy

    def __len__(self) -> int:
        return len(self._ids)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._ids)

    def ids(self) -> tuple[str, ...]:
        if self._tuple is None:
            self._tuple = tuple(self._ids)
        return self._tuple

    def named(self, key: str, categories: Mapping[str, Category]) -> tuple[str, ...]:
        """Those whose names have this key."""
        if self._names is None:
            self._names = {}
            for i in self._ids:
                known = name_key(categories[i].name)
                self._names[known] = (*self._names.get(known, ()), i)
        return self._names.get(key, ())

    def add(self, category: Category) -> None:
        order = category.order
        place = bisect.bisect_left(self._orders, order)
        self._ids.insert(place, category.id)
        self._orders.insert(place, order)
        self._tuple = None
        if self._names is not None:
            key = name_key(category.name)
            self._names[key] = (*self._names.get(key, ()), category.id)

    def remove(self, category: Category) -> None:
        place = bisect.bisect_left(self._orders, category.order)
        del self._ids[place], self._orders[place]
        self._tuple = None
        if self._names is not None:
            key = name_key(category.name)
            self._names[key] = tuple(i for i in self._names[key] if i != category.id)
            if not self._names[key]:
                del self._names[key]


class Tree:
    """Categories, live and retired. Cheap to copy: operations plan on a copy and drop it.

    A tree may have 20,000 categories below one parent, or one below the other: no question or change goes through all
    siblings or all ancestors where it is asked for each of many categories.
    """

    def __init__(self, categories: Iterable[Category] = ()) -> None:
        self._categories: dict[str, Category] = {category.id: category for category in categories}
        by_parent: dict[str | None, list[Category]] = {}
        for category in self._categories.values():
            if category.retired is None:
                by_parent.setdefault(category.parent_id, []).append(category)
        self._children: dict[str | None, _Siblings] = {p: _Siblings(children) for p, children in by_parent.items()}
        self._own: set[str | None] = set(self._children)  # those of the children that no copy shares
        self._successors: dict[str, str] = {}  # where redirects lead, as far as was asked

    def copy(self) -> "Tree":
        copy = Tree()
        copy._categories = dict(self._categories)
        copy._children = dict(self._children)
        self._own = set()
        return copy

    def __contains__(self, category_id: object) -> bool:
        found = self._categories.get(category_id) if isinstance(category_id, str) else None
        return found is not None and found.retired is None

    def __iter__(self) -> Iterator[Category]:
        """Live categories, parents before children, siblings in order."""
        stack = list(reversed(self.children(None)))
        while stack:
            category = self._categories[stack.pop()]
            yield category
            stack.extend(reversed(self.children(category.id)))

    def __len__(self) -> int:
        return sum(len(children) for children in self._children.values())

    def get(self, category_id: str) -> Category | None:
        """The category, retired ones included, or None."""
        return self._categories.get(category_id)

    def live(self, category_id: str) -> Category:
        """The category. Raises KnownError where there is none, or it was merged or deleted."""
        found = self._categories.get(category_id)
        if found is None:
            raise KnownError(
                tr("There is no category with the id {id}.", id=category_id),
                fix=tr("It may be in another project; list this one's with the tree or the export."),
            )
        if found.retired is not None:
            successor = self.resolve(category_id)
            raise KnownError(
                tr("“{name}” is not in the tree any more.", name=found.name),
                fix=tr("“{successor}” took over from it.", successor=successor.name),
            )
        return found

    def resolve(self, category_id: str) -> Category:
        """The live category that `category_id` stands for now: itself, or what took over from it."""
        way: list[str] = []
        at = category_id
        while at not in self._successors:
            redirect = self._categories[at].redirect_to
            if redirect is None:
                self._successors[at] = at
                break
            way.append(at)
            at = redirect
        successor = self._successors[at]
        self._successors.update(dict.fromkeys(way, successor))  # redirects may lead through thousands of others
        return self._categories[successor]

    def retired(self) -> list[Category]:
        return sorted((c for c in self._categories.values() if c.retired), key=lambda c: c.id)

    def children(self, parent_id: str | None) -> tuple[str, ...]:
        siblings = self._children.get(parent_id)
        return () if siblings is None else siblings.ids()

    def last_free(self, parent_id: str | None, *, but: Container[str] = ()) -> Category | None:
        """The last child of `parent_id` that is neither reserved nor in `but`."""
        for child in reversed(self._children.get(parent_id, ())):
            if self._categories[child].reserved is None and child not in but:
                return self._categories[child]
        return None

    def ancestors(self, category_id: str) -> Iterator[str]:
        """From the parent up to the top."""
        parent = self._categories[category_id].parent_id
        while parent is not None:
            yield parent
            parent = self._categories[parent].parent_id

    def subtree(self, category_id: str) -> list[str]:
        """The category and all below it, parents first."""
        found = [category_id]
        for category in found:
            found.extend(self.children(category))
        return found

    def in_order(self, category_ids: Iterable[str]) -> list[str]:
        """These live categories in the order of the tree: a few of many, without going through all."""
        wanted = set(category_ids)
        ways: dict[str | None, set[str]] = {}  # what leads to them, by parent
        for category_id in wanted:
            at: str | None = category_id
            while at is not None:
                parent = self._categories[at].parent_id
                beside = ways.setdefault(parent, set())
                if at in beside:
                    break  # the way from here up is known
                beside.add(at)
                at = parent
        found: list[str] = []
        stack: list[str] = []
        at = None
        while True:
            stack.extend(sorted(ways.get(at, ()), key=lambda c: self._categories[c].order, reverse=True))
            if not stack:
                return found
            at = stack.pop()
            if at in wanted:
                found.append(at)

    def outermost(self, category_ids: Iterable[str]) -> list[str]:
        """Those that lie below no other of them, in the order of the tree."""
        wanted = set(category_ids)
        lies_below: dict[str, bool] = {}  # whether a category or one above it is wanted
        for category_id in wanted:
            way: list[str] = []
            at: str | None = category_id
            while at is not None and at not in lies_below:
                way.append(at)
                at = self._categories[at].parent_id
            inside = at is not None and lies_below[at]
            for each in reversed(way):
                inside = lies_below[each] = inside or each in wanted
        parents = ((c, self._categories[c].parent_id) for c in wanted)
        return self.in_order(c for c, parent in parents if parent is None or not lies_below[parent])

    def depth(self, category_id: str) -> int:
        return sum(1 for _ in self.ancestors(category_id))

    def path(self, category_id: str) -> str:
        """Names from the top down: 'Computation / Units'."""
        names = [self._categories[c].name for c in (category_id, *self.ancestors(category_id))]
        return " / ".join(reversed(names))

    def place(self, category_id: str) -> str:
        """The path to be read: of one that lies very deep, the last names after an ellipsis."""
        names, at = [self._categories[category_id].name], self._categories[category_id].parent_id
        while at is not None and len(names) < _NAMES_TOLD:
            names.append(self._categories[at].name)
            at = self._categories[at].parent_id
        return " / ".join(reversed(names if at is None else [*names, "…"]))

    def sibling_named(self, parent_id: str | None, name: str, *, but: Iterable[str] = ()) -> Category | None:
        """A child of `parent_id` that has this name, those in `but` left out; the first of several."""
        siblings = self._children.get(parent_id)
        if siblings is None:
            return None
        named = siblings.named(name_key(name), self._categories)
        if not named:
            return None
        left_out = set(but)
        found = [self._categories[c] for c in named if c not in left_out]
        return min(found, key=lambda c: c.order, default=None)

    def put(self, category: Category) -> None:
        """Insert or replace a category."""
        old = self._categories.get(category.id)
        if old is not None and old.retired is None:
            self._leave(old)
        if category.redirect_to is not None or (old is not None and old.redirect_to is not None):
            self._successors.clear()
        self._categories[category.id] = category
        if category.retired is None:
            self._mine(category.parent_id).add(category)

    def drop(self, category_id: str) -> None:
        """Forget a category, as undoing its creation does."""
        old = self._categories[category_id]
        if old.retired is None:
            self._leave(old)
        self._successors.clear()
        del self._categories[category_id]

    def _mine(self, parent_id: str | None) -> _Siblings:
        """Children that may be changed, because no copy of the tree has them."""
        siblings = self._children.get(parent_id)
        if siblings is None or parent_id not in self._own:
            siblings = _Siblings() if siblings is None else siblings.copy()
            self._children[parent_id] = siblings
            self._own.add(parent_id)
        return siblings

    def _leave(self, old: Category) -> None:
        siblings = self._mine(old.parent_id)
        siblings.remove(old)
        if not len(siblings):
            del self._children[old.parent_id]
