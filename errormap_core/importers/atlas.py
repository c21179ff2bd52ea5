"""Reading an atlas: JSON that satisfies the published schema and whose ids hang together."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import FORMAT, FORMAT_VERSION, schema
from errormap_core.importers.inputs import check_readable, found, shown
from errormap_core.importers.json_text import read_json
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.names import MAX_NAME, fitted_name
from errormap_core.taxonomy.tree import name_key

MOST_SAID = 20
MOST_FOUND = 1000
MOST_LETTERS = 200

RESERVED = {OTHER_ID: "other", HARD_ID: "hard"}


@dataclass(frozen=True, slots=True)
class AtlasFile:
    """The atlas in a file. `notices` tell which names were brought in line with the rules of editing, and where."""

    document: dict[str, Any]
    notices: list[Sentence]


def import_atlas(project: Project, path: Path, *, actor: str) -> tuple[Change, list[Sentence]]:
    """Bring an atlas into a project without categories, as one step that can be undone; what was changed of its names is
    told beside. Raises KnownError."""
    atlas = open_atlas(path)
    return project.apply(ImportAtlas(atlas=atlas.document), actor=actor), atlas.notices


def read_atlas(path: Path) -> dict[str, Any]:
    """The atlas in a file. Raises KnownError, located, for everything that is wrong with it."""
    return open_atlas(path).document


def open_atlas(path: Path) -> AtlasFile:
    """The atlas in a file, and what had to be changed of it. Raises KnownError as `read_atlas`."""
    path = found(path)
    check_readable(path, empty=tr("Choose an atlas that was exported as JSON."))
    where = shown(path)
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise KnownError(
            tr("This is no atlas of ErrorMap Studio."), where=where, fix=tr("Its “format” must be {f}.", f=FORMAT)
        )
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise KnownError(
            tr(
                "The atlas has format version {version}; this program reads up to {known}.",
                version=version,
                known=FORMAT_VERSION,
            ),
            where=where,
            fix=tr("Import it with a newer version of ErrorMap Studio."),
        )
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(document)
    wrong = [
        tr("{place}: {text}", place="/".join(map(str, e.absolute_path)) or "/", text=_short(e.message))
        for e in itertools.islice(errors, MOST_FOUND)
    ]
    notices: list[Sentence] = []
    if not wrong:
        notices = _fit_names(document)
        wrong = _broken_ids(document)
    if wrong:
        said = "; ".join(_short(str(each)) for each in wrong[:MOST_SAID])
        raise KnownError(
            trn("{n:,} thing is wrong with the atlas: {said}.", "{n:,} things are wrong with the atlas: {said}.", len(wrong),
                said=said),
            where=where,
            fix=tr("Mend these fields; resources/schemas/atlas.schema.json says what each may hold."),
        )  # fmt: skip
    return AtlasFile(document, notices)


def _fit_names(document: dict[str, Any]) -> list[Sentence]:
    """Bring names in line with the rules that editing has, in place; returns what is to be said of each that changed."""
    said: list[Sentence] = []
    for part in ("categories", "redirects"):
        for number, item in enumerate(document[part]):
            name = fitted_name(item["name"])
            if name and name != item["name"]:
                said.append(_changed(f"/{part}/{number}/name", item["name"], name))
                item["name"] = name
            for place, alias in enumerate(item.get("aliases", ())):
                name = fitted_name(alias)
                if name != alias:
                    said.append(_changed(f"/{part}/{number}/aliases/{place}", alias, name))
                    item["aliases"][place] = name
            if "aliases" in item:
                item["aliases"] = [alias for alias in item["aliases"] if alias]
    return said


def _changed(place: str, old: str, new: str) -> Sentence:
    if len(old) > MAX_NAME:
        return tr(
            "{place}: The name has {n:,} characters; it was shortened to “{new}”.", place=place, n=len(old), new=new
        )
    return tr(
        "{place}: The name was written as “{new}”, on one line and without control characters.", place=place, new=new
    )


def _short(message: str) -> str:
    """What is wrong with a value, which may be quoted as a whole."""
    return (
        message if len(message) <= MOST_LETTERS else f"{message[: MOST_LETTERS // 2]} … {message[-MOST_LETTERS // 2 :]}"
    )


def _broken_ids(document: dict[str, Any]) -> list[Sentence]:
    """What a schema cannot say: ids that are there twice or nowhere, parents after children, equal siblings."""
    wrong: list[Sentence] = []
    seen: set[str] = set()
    names: dict[tuple[str | None, str], str] = {}
    for place, item in enumerate(document["categories"]):
        where = f"categories/{place}"
        if item["id"] in seen:
            wrong.append(tr("{where}/id: {id} is there twice", where=where, id=item["id"]))
        if item["parent"] is not None and item["parent"] not in seen:
            wrong.append(tr("{where}/parent: {id} is no category before this one", where=where, id=item["parent"]))
        if item["parent"] == HARD_ID:
            wrong.append(tr("{where}/parent: Hard to Analyze has no categories below it", where=where))
        if RESERVED.get(item["id"]) != item["reserved"]:
            wrong.append(tr("{where}/reserved: {id} is not the id of that category", where=where, id=item["id"]))
        if item["reserved"] and item["parent"] is not None:
            wrong.append(tr("{where}/parent: a reserved category is at the top", where=where))
        if not fitted_name(item["name"]):
            wrong.append(tr("{where}/name: a category needs a name", where=where))
        key = (item["parent"], name_key(item["name"]))
        if key in names:
            wrong.append(tr("{where}/name: “{name}” is there twice in the same place", where=where, name=item["name"]))
        names[key] = where
        seen.add(item["id"])
    for key_id, kind in RESERVED.items():
        if key_id not in seen:
            wrong.append(tr("categories: the reserved category “{kind}” is missing", kind=kind))
    retired = {item["id"] for item in document["redirects"]}
    gone: set[str] = set()
    for place, item in enumerate(document["redirects"]):
        where = f"redirects/{place}"
        if item["id"] in gone:
            wrong.append(tr("{where}/id: {id} is there twice", where=where, id=item["id"]))
        gone.add(item["id"])
        if item["id"] in seen:
            wrong.append(tr("{where}/id: {id} is a category too", where=where, id=item["id"]))
        if item["to"] not in seen and item["to"] not in retired:
            wrong.append(tr("{where}/to: {id} is nowhere in the atlas", where=where, id=item["to"]))
    return wrong + _circles(document)


def _circles(document: dict[str, Any]) -> list[Sentence]:
    leads = {item["id"]: item["to"] for item in document["redirects"]}
    wrong = []
    checked: set[str] = set()
    circling: set[str] = set()
    for first in leads:
        way: list[str] = []
        seen: set[str] = set()
        at = first
        while at in leads and at not in checked and at not in seen:
            way.append(at)
            seen.add(at)
            at = leads[at]
        if at in circling or at in seen:
            circling |= seen
        checked |= seen
    for place, item in enumerate(document["redirects"]):
        if item["id"] in circling:
            wrong.append(tr("redirects/{place}/to: leads in a circle", place=place))
    return wrong
