"""The operation that brings an atlas into a project: its categories, redirects, counts and title page."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.draft import Draft
from errormap_core.taxonomy.registry import operation
from errormap_core.taxonomy.tree import Category

TITLE_PAGE = ("id", "title", "version", "authors", "licence", "language")

STRUCTURE = frozenset({"id", "parent", "name", "description", "notes", "aliases", "reserved", "provenance"})
"""What of a category in the atlas becomes columns; the rest (counts, examples) is kept as imported."""


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAtlas:
    """Bring an atlas (a document that satisfies resources/schemas/atlas.schema.json) into an empty tree."""

    kind: ClassVar[str] = "atlas.import"
    version: ClassVar[int] = 1
    atlas: dict[str, Any]

    def plan(self, draft: Draft) -> Sentence:
        if any(c.reserved is None for c in draft.tree) or draft.tree.retired():
            raise KnownError(
                tr("This project has categories of its own already."),
                fix=tr("Import the atlas into a new project."),
            )
        categories = self.atlas["categories"]
        for position, item in enumerate(categories):  # parents stand before their children
            values: dict[str, Any] = {
                "name": item["name"],
                "description": item["description"],
                "notes": item["notes"],
                "aliases": _text(item["aliases"]),
                "provenance": _text(item["provenance"]),
                "imported": _text({k: v for k, v in item.items() if k not in STRUCTURE}),
            }
            if item["reserved"] is not None:
                draft.change(item["id"], **values)
            else:
                draft.create(Category(id=item["id"], parent_id=item["parent"], position=float(position), **values))
        self._redirects(draft)
        for key in TITLE_PAGE:
            self._choose(draft, f"atlas.{key}", self.atlas[key])
        rest = {k: v for k, v in self.atlas.items() if k not in (*TITLE_PAGE, "categories", "redirects")}
        self._choose(draft, "atlas.imported", rest)
        n = sum(1 for item in categories if item["reserved"] is None)
        title = self.atlas["title"] or self.atlas["id"]
        return trn("Imported “{title}” with {n:,} category", "Imported “{title}” with {n:,} categories", n, title=title)

    def _redirects(self, draft: Draft) -> None:
        """Retired categories, each after the one that it leads to (the foreign key wants that)."""
        redirects = {item["id"]: item for item in self.atlas["redirects"]}
        done: set[str] = set()
        for first in redirects.values():
            way: dict[str, dict[str, Any]] = {}  # from this one on, up to what is there
            item: dict[str, Any] | None = first
            while item is not None and item["id"] not in done:
                if item["id"] in way:
                    raise KnownError(
                        tr(
                            "Redirects of the atlas lead in a circle, for example that of “{name}”.", name=first["name"]
                        ),
                        fix=tr("Mend “redirects” in the file."),
                    )
                way[item["id"]] = item
                item = redirects.get(item["to"])
            for each in reversed(way.values()):
                draft.create(
                    Category(
                        id=each["id"],
                        parent_id=None,
                        position=0.0,
                        name=each["name"],
                        retired=each["reason"],
                        redirect_to=each["to"],
                    )
                )
            done.update(way)

    def _choose(self, draft: Draft, key: str, value: Any) -> None:
        draft.set_row("choice", key, {"key": key, "value": _text(value)})


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
