"""Reading an atlas: JSON that satisfies the published schema and whose ids hang together."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import FORMAT, FORMAT_VERSION, schema
from errormap_core.importers.survey import check_readable
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.tree import name_key

MOST_SAID = 20

RESERVED = {OTHER_ID: "other", HARD_ID: "hard"}


def import_atlas(project: Project, path: Path, *, actor: str) -> Change:
    """Bring an atlas into a project without categories, as one step that can be undone. Raises KnownError."""
    return project.apply(ImportAtlas(atlas=read_atlas(path)), actor=actor)


def read_atlas(path: Path) -> dict[str, Any]:
    """The atlas in a file. Raises KnownError, located, for everything that is wrong with it."""
    check_readable(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()  # an escaped half of a character cannot be kept
    except UnicodeDecodeError as error:
        raise KnownError(
            tr("The file is not UTF-8 text."), where=tr("{path}, byte {at:,}", path=path, at=error.start),
            fix=tr("Choose an atlas that was exported as JSON."),
        ) from error  # fmt: skip
    except json.JSONDecodeError as error:
        raise KnownError(
            tr("This is not JSON ({reason}).", reason=error.msg),
            where=tr("{path}, line {line:,}, column {column:,}", path=path, line=error.lineno, column=error.colno),
            fix=tr("Mend the file, or export the atlas again."),
        ) from error
    except (ValueError, RecursionError) as error:
        raise KnownError(
            tr("The JSON holds something that cannot be read ({reason}).", reason=str(error)[:200]),
            where=str(path),
            fix=tr("Mend the file, or export the atlas again."),
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise KnownError(
            tr("This is no atlas of ErrorMap Studio."), where=str(path), fix=tr("Its “format” must be {f}.", f=FORMAT)
        )
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise KnownError(
            tr(
                "The atlas has format version {version}; this program reads up to {known}.",
                version=version,
                known=FORMAT_VERSION,
            ),
            where=str(path),
            fix=tr("Import it with a newer version of ErrorMap Studio."),
        )
    wrong = [
        tr("{place}: {text}", place="/".join(map(str, e.absolute_path)) or "/", text=e.message[:200])
        for e in jsonschema.Draft202012Validator(schema()).iter_errors(document)
    ] or _broken_ids(document)
    if wrong:
        said = "; ".join(map(str, wrong[:MOST_SAID]))
        raise KnownError(
            trn("{n:,} thing is wrong with the atlas: {said}.", "{n:,} things are wrong with the atlas: {said}.", len(wrong),
                said=said),
            where=str(path),
            fix=tr("Mend these fields; resources/schemas/atlas.schema.json says what each may hold."),
        )  # fmt: skip
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


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
