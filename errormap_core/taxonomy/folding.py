"""Categories that are taken over by others: merged or deleted, with what lies below them.

Works through any number of categories, as deep as they lie, and writes each survivor's aliases once: an edit for each of
20,000 names that come to one category would keep them 20,000 times.
"""

import json
from collections.abc import Iterator
from typing import Literal

from errormap_core.taxonomy.draft import Draft
from errormap_core.taxonomy.tree import Category

OnCollision = Literal["merge", "rename"]


class Folding:
    """Plans of one operation which categories go, and where each one's children go. To be ended with `finish`."""

    def __init__(self, draft: Draft, on_collision: OnCollision) -> None:
        self.went: dict[str, str] = {}
        """What was retired, and what took over from it."""
        self._draft = draft
        self._merges = on_collision == "merge"
        self._aliases: dict[str, list[str]] = {}
        self._known: dict[str, set[str]] = {}

    def fold(self, source_id: str, target_id: str) -> None:
        """Merge a category into another; its children follow."""
        self._work_down(target_id, self._merge(source_id, target_id))

    def delete(self, category_id: str, heir_id: str) -> None:
        """Retire a category; its children move up, its failures go to `heir_id`."""
        children = self._draft.tree.children(category_id)
        parent_id = self._draft.tree.live(category_id).parent_id
        self._retire(category_id, heir_id, "deleted")
        self._work_down(parent_id, iter(children))

    def finish(self) -> None:
        """Write the aliases that came to categories, whatever became of these since."""
        for category_id, aliases in self._aliases.items():
            self._draft.change(category_id, aliases=json.dumps(aliases, ensure_ascii=False))

    def _work_down(self, parent_id: str | None, children: Iterator[str]) -> None:
        """Put children below `parent_id`; those of a merged one follow before the next."""
        stack = [(parent_id, children)]
        while stack:
            parent_id, children = stack[-1]
            child = next(children, None)
            if child is None:
                stack.pop()
            elif child != parent_id:
                same = self._draft.tree.sibling_named(parent_id, self._draft.tree.live(child).name, but=[child])
                if same is not None and self._merges:
                    name = self._draft.tree.live(child).name
                    self._draft.effect.merged_children.append((name, self._draft.tree.place(same.id)))
                    stack.append((same.id, self._merge(child, same.id)))
                else:
                    self._lift(self._draft.tree.live(child), parent_id)

    def _lift(self, category: Category, parent_id: str | None) -> None:
        """Put a category at the end of `parent_id`'s children, renamed where a sibling has its name."""
        draft = self._draft
        name = draft.free_name(parent_id, category.name, but=[category.id])
        if name != category.name:
            draft.effect.renamed_children.append((category.name, name))
        position = draft.place_at(parent_id, None, moving=[category.id])
        draft.change(category.id, parent_id=parent_id, position=position, name=name)

    def _merge(self, source_id: str, target_id: str) -> Iterator[str]:
        """Retire a category into another; its children are given back."""
        source, target = self._draft.tree.live(source_id), self._draft.tree.live(target_id)
        children = self._draft.tree.children(source_id)
        self._retire(source_id, target_id, "merged")
        self._know(target)
        known = self._known[target_id]
        known.add(target.name)
        more = [name for name in (source.name, *self._aliases_of(source)) if name not in known]
        self._aliases[target_id].extend(more)
        known.update(more)
        return iter(children)

    def _retire(self, category_id: str, heir_id: str, retired: str) -> None:
        self._draft.change(category_id, retired=retired, redirect_to=heir_id)
        self._draft.effect.n_categories += 1
        self.went[category_id] = heir_id

    def _know(self, category: Category) -> None:
        if category.id not in self._aliases:
            self._aliases[category.id] = json.loads(category.aliases)
            self._known[category.id] = set(self._aliases[category.id])

    def _aliases_of(self, category: Category) -> list[str]:
        known = self._aliases.get(category.id)
        return json.loads(category.aliases) if known is None else known
