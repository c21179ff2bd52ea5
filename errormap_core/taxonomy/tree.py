"""The taxonomy as values: categories by id, children in order, and the questions that operations ask."""

import bisect
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
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


_COLUMNS = tuple(field.name for field in fields(Category))


@lru_cache(maxsize=1 << 17)
def name_key(name: str) -> str:
    """What makes two sibling names the same: case, width and spaces do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class Tree:
    """Categories, live and retired. Cheap to copy: operations plan on a copy and drop it."""

    def __init__(self, categories: Iterable[Category] = ()) -> None:
        self._categories: dict[str, Category] = {}
        self._children: dict[str | None, tuple[str, ...]] = {}
        for category in categories:
            self._categories[category.id] = category
        by_parent: dict[str | None, list[Category]] = {}
        for category in self._categories.values():
            if category.retired is None:
                by_parent.setdefault(category.parent_id, []).append(category)
        for parent, children in by_parent.items():
            self._children[parent] = tuple(c.id for c in sorted(children, key=lambda c: c.order))

    def copy(self) -> "Tree":
        copy = Tree()
        copy._categories = dict(self._categories)
        copy._children = dict(self._children)
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
        category = self._categories[category_id]
        while category.redirect_to is not None:
            category = self._categories[category.redirect_to]
        return category

    def retired(self) -> list[Category]:
        return sorted((c for c in self._categories.values() if c.retired), key=lambda c: c.id)

    def children(self, parent_id: str | None) -> tuple[str, ...]:
        return self._children.get(parent_id, ())

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

        def place(category_id: str) -> list[tuple[bool, float, str]]:
            way = (*reversed(list(self.ancestors(category_id))), category_id)
            return [self._categories[c].order for c in way]

        return sorted(set(category_ids), key=place)

    def depth(self, category_id: str) -> int:
        return sum(1 for _ in self.ancestors(category_id))

    def path(self, category_id: str) -> str:
        """Names from the top down: 'Computation / Units'."""
        names = [self._categories[c].name for c in (category_id, *self.ancestors(category_id))]
        return " / ".join(reversed(names))

    def sibling_named(self, parent_id: str | None, name: str, *, but: Iterable[str] = ()) -> Category | None:
        """A child of `parent_id` that has this name, those in `but` left out."""
        left_out, key = set(but), name_key(name)
        for child in self.children(parent_id):
            if child not in left_out and name_key(self._categories[child].name) == key:
                return self._categories[child]
        return None

    def put(self, category: Category) -> None:
        """Insert or replace a category."""
        old = self._categories.get(category.id)
        if old is not None and old.retired is None:
            self._leave(old)
        self._categories[category.id] = category
        if category.retired is None:
            siblings = self.children(category.parent_id)
            place = self._place(siblings, category)
            self._children[category.parent_id] = (*siblings[:place], category.id, *siblings[place:])

    def drop(self, category_id: str) -> None:
        """Forget a category, as undoing its creation does."""
        old = self._categories[category_id]
        if old.retired is None:
            self._leave(old)
        del self._categories[category_id]

    def _place(self, siblings: tuple[str, ...], category: Category) -> int:
        """Where a category stands, or would stand, among these; there may be many, and it is asked for each that is put."""
        return bisect.bisect_left(siblings, category.order, key=lambda c: self._categories[c].order)

    def _leave(self, old: Category) -> None:
        siblings = self.children(old.parent_id)
        place = self._place(siblings, old)
        rest = siblings[:place] + siblings[place + 1 :]
        if rest:
            self._children[old.parent_id] = rest
        else:
            self._children.pop(old.parent_id, None)
