"""The atlas: the curated taxonomy with counts and provenance, as JSON that satisfies resources/schemas/atlas.schema.json.

Nothing of it depends on when it is written: exporting, importing into a new project and exporting again
gives the same bytes. Counts of an imported atlas stand in the place of counts as long as a project has
no failures of its own; once it has, they stand beside them under "imported".
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from errormap_core.measures.counts import subtree_counts, subtree_counts_by
from errormap_core.output_paths import OutputKind, check_output, write_output
from errormap_core.project import queries
from errormap_core.project.atlas_queries import examples as examples_of
from errormap_core.project.atlas_queries import steps
from errormap_core.project.store import Project
from errormap_core.resources import resource_path
from errormap_core.sentences import tr
from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.tree import Category

FORMAT = "errormap-atlas"
FORMAT_VERSION = 1

SHARE_DIGITS = 6

_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"format"\s*:\s*"' + FORMAT.encode() + rb'"')
"""What an atlas begins with, however it is indented: by it one that may be replaced is known."""


@cache
def schema() -> dict[str, Any]:
    """The published JSON Schema of an atlas."""
    text = resource_path("schemas", "atlas.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def atlas_document(project: Project, *, examples: int = 0, history: bool = False) -> dict[str, Any]:
    """The atlas of a project as it stands.

    Parameters
    ----------
    examples : int
        At most so many failures a category, with their texts; 0 for none.
    history : bool
        Include every step that was taken, those of an imported atlas first.
    """
    with project.reading():
        return _document(project, examples=examples, history=history)


def _document(project: Project, *, examples: int, history: bool) -> dict[str, Any]:
    totals = queries.totals(project.db)
    imported = project.setting("atlas.imported")
    live = totals.n_failures > 0 or imported is None
    document: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "id": project.setting("atlas.id"),
        "title": project.setting("atlas.title"),
        "version": project.setting("atlas.version"),
        "authors": list(project.setting("atlas.authors") or ()),
        "licence": project.setting("atlas.licence"),
        "language": project.setting("atlas.language"),
    }
    if live:
        document |= _numbers(project, totals)
        if imported is not None:
            document["imported"] = {
                k: v for k, v in imported.items() if k in ("totals", "datasets", "models", "imported")
            }
    else:
        document |= {k: imported[k] for k in ("totals", "datasets", "models", "imported") if k in imported}
    document["categories"] = _categories(
        project, totals.n_counted, own_looked_at=totals.looked_at, live=live, examples=examples
    )
    document["redirects"] = [
        {"id": c.id, "name": c.name, "reason": c.retired, "to": c.redirect_to} for c in project.tree.retired()
    ]
    if history:
        before = (imported or {}).get("history", [])
        document["history"] = [*before, *steps(project.db, without=ImportAtlas.kind)]
    return document


def _numbers(project: Project, totals: queries.Totals) -> dict[str, Any]:
    counted, looked_at = queries.counted_by(project.db, "model"), queries.looked_at_by(project.db, "model")
    return {
        "totals": {
            "records": totals.n_records,
            "failures": totals.n_failures,
            "counted": totals.n_counted,
            "unplaced": totals.n_unplaced,
            "coverage": None if totals.coverage is None else round(totals.coverage, SHARE_DIGITS),
            "looked_at": totals.n_looked_at,
            "placed_by": dict(totals.placed_by),
            "diagnosed_by": dict(totals.diagnosed_by),
            "states": dict(totals.states),
        },
        "datasets": [
            {"name": d.name, "threshold": d.threshold, "records": d.n_records, "failures": d.n_failures}
            for d in queries.datasets(project.db)
        ],
        "models": [
            {
                "name": m.name,
                "records": m.n_records,
                "failures": m.n_failures,
                "counted": counted.get(m.name, 0),
                "looked_at": looked_at.get(m.name, 0),
            }
            for m in queries.models(project.db)
        ],
    }


def _categories(
    project: Project, n_counted: int, *, own_looked_at: Mapping[str, int], live: bool, examples: int
) -> list[dict[str, Any]]:
    own = queries.own_counts(project.db)
    below, looked_at = subtree_counts(project.tree, own), subtree_counts(project.tree, own_looked_at)
    by = {
        what: subtree_counts_by(project.tree, queries.own_counts_by(project.db, what)) for what in ("model", "dataset")
    }
    found = []
    for category in project.tree:
        item = _structure(category)
        kept = None if category.imported is None else json.loads(category.imported)
        if live:
            count = below[category.id]
            item["counts"] = {
                "own": own.get(category.id, 0),
                "subtree": count,
                "share": round(count / n_counted, SHARE_DIGITS) if n_counted else None,
                "looked_at": looked_at[category.id],
                "by_model": dict(sorted(by["model"][category.id].items())),
                "by_dataset": dict(sorted(by["dataset"][category.id].items())),
            }
            if examples:
                item["examples"] = examples_of(project.db, category.id, most=examples)
            if kept is not None:
                item["imported"] = kept if examples else _without_examples(kept)
        elif kept is not None:
            item |= kept if examples else _without_examples(kept)
        else:  # added to an imported atlas by hand: nothing was counted in it
            item["counts"] = {"own": 0, "subtree": 0, "share": None, "by_model": {}, "by_dataset": {}}
        found.append(item)
    return found


def _without_examples(kept: dict[str, Any]) -> dict[str, Any]:
    """What was imported without texts of records, on every level: they go out only if asked for."""
    rest = {name: value for name, value in kept.items() if name != "examples"}
    if "imported" in rest:
        rest["imported"] = _without_examples(rest["imported"])
    return rest


def _structure(category: Category) -> dict[str, Any]:
    return {
        "id": category.id,
        "parent": category.parent_id,
        "name": category.name,
        "description": category.description,
        "notes": category.notes,
        "aliases": json.loads(category.aliases),
        "reserved": category.reserved,
        "provenance": json.loads(category.provenance),
    }


def balance(document: Mapping[str, Any]) -> list[str]:
    """What does not add up in an atlas: each counted failure stands in one category, unplaced, or without error."""
    totals, wrong = document["totals"], []
    own = sum(item["counts"]["own"] for item in document["categories"])
    if own + totals["unplaced"] + totals["states"]["no_error"] != totals["counted"]:
        wrong.append(
            f"{own} in categories, {totals['unplaced']} unplaced, {totals['states']['no_error']} without error "
            f"are not {totals['counted']} counted"
        )
    if sum(totals["states"].values()) != totals["failures"]:
        wrong.append(f"the states hold {sum(totals['states'].values())}, not {totals['failures']} failures")
    subtree = {item["id"]: item["counts"]["own"] for item in document["categories"]}
    for item in reversed(document["categories"]):
        if item["parent"] is not None:
            subtree[item["parent"]] += subtree[item["id"]]
    for item in document["categories"]:
        counts = item["counts"]
        sums = {
            counts["subtree"],
            subtree[item["id"]],
            sum(counts["by_model"].values()),
            sum(counts["by_dataset"].values()),
        }
        if len(sums) != 1:
            wrong.append(f"the counts of {item['name']} differ: {sorted(sums)}")
    return wrong


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of an atlas: UTF-8, two spaces a level, a final newline."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "surrogatepass")


def _is_atlas(head: bytes) -> bool:
    return _BEGINNING.match(head) is not None


ATLAS = OutputKind(tr("an atlas"), ".json", _is_atlas)


def write_atlas(project: Project, path: str | Path, *, examples: int = 0, history: bool = False) -> dict[str, Any]:
    """Write the atlas, checked against its schema, and return it.

    Raises KnownError where it cannot be written; what stood at `path` before stands there then. Only an atlas is replaced.
    """
    check_output(path, ATLAS, project=project.path)
    document = atlas_document(project, examples=examples, history=history)
    jsonschema.Draft202012Validator(schema()).validate(document)
    write_output(path, encode(document), ATLAS, project=project.path)
    return document
