"""Looks a project over: damage of the file, references, what is derived, the tree, the log, and a replay of it."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import atlas_document, balance, encode
from errormap_core.project import counting
from errormap_core.project.backup_folder import way_back
from errormap_core.project.queries import totals
from errormap_core.project.schema import add_reserved
from errormap_core.project.sqlite_said import sentence_for
from errormap_core.project.store import UNDO, Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import Edit, unpack
from errormap_core.taxonomy.operations import operation_from
from errormap_core.taxonomy.tree import Category, name_key
from errormap_core.trouble import DiskError, temporary_folder

PEOPLES = ("decision", "assignment", "record_mark", "record_note", "chosen_threshold", "category", "log")

_DERIVED = (
    "SELECT * FROM failure ORDER BY record_id",
    "SELECT id, counted FROM assignment ORDER BY id",
    "SELECT key, of_table, seq, how FROM row_step ORDER BY of_table, key, seq",
)

COMPARED = (
    "SELECT * FROM category ORDER BY id",
    "SELECT record_id, source_id, category_id, is_primary, confidence, counted FROM assignment ORDER BY 1, 2, 3, 4",
    "SELECT * FROM decision ORDER BY proposal_id",
    "SELECT * FROM record_mark ORDER BY record_id",
    "SELECT * FROM record_note ORDER BY record_id",
    "SELECT * FROM chosen_threshold ORDER BY dataset",
    "SELECT * FROM choice ORDER BY key",
    "SELECT * FROM analysis ORDER BY id",
    "SELECT * FROM failure ORDER BY record_id",
)
"""What a replay must give again; the integer keys of assignments may differ."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be."""

    sentence: Sentence
    damage: str = ""  # what SQLite said of the file itself


def check(project: Project, *, replay: bool = False) -> list[Problem]:
    """What is wrong with a project; `replay` also takes every step of the log again on a copy and compares."""
    with project.reading():  # one state of it: what others write meanwhile is no problem of this one
        return _check(project, replay=replay)


def _check(project: Project, *, replay: bool) -> list[Problem]:
    try:
        found = list(_file(project))
        if found:
            return found  # nothing that rests on a damaged file can be trusted
        with temporary_folder("errormap-check-") as folder:
            found = [Problem(s) for s in (*_derived(project, folder), *_tree(project), *_log(project))]
            found += [Problem(tr("The counts do not add up: {text}.", text=text)) for text in _balance(project)]
            if replay:
                found += [Problem(s) for s in _replayed(project, folder)]
    except sqlite3.DatabaseError as error:
        if isinstance(said := sentence_for(error, project.path), DiskError):
            raise said from error  # nothing is known of the file then
        return [Problem(tr("The file is damaged: {said}.", said=error), str(error))]
    return found


def _file(project: Project) -> Iterator[Problem]:
    for (said,) in project.db.execute("PRAGMA integrity_check"):
        if said != "ok":
            said = " ".join(str(said).removeprefix("*** in database main ***").split())
            yield Problem(tr("The file is damaged: {said}.", said=said), said)
    for table, row, parent, _ in project.db.execute("PRAGMA foreign_key_check"):
        missing = tr(
            "Row {row} of {table} refers to a row of {parent} that is not there.", row=row, table=table, parent=parent
        )
        yield Problem(missing, str(missing).rstrip("."))


def copy_of(project: Project, path: Path) -> None:
    """A copy of the file as it is now."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as target:
            project.db.conn.backup(target)
    except sqlite3.DatabaseError as error:
        if isinstance(said := sentence_for(error, path), DiskError):
            raise said from error
        raise


def _derived(project: Project, folder: Path) -> Iterator[Sentence]:
    path = folder / "derived.errormap"
    copy_of(project, path)
    with Project.open(path) as copy:
        with copy.writing() as db:
            counting.make_again(db)
        for sql in _DERIVED:
            old, new = project.db.execute(sql).fetchall(), copy.db.execute(sql).fetchall()
            n = len({row[0] for row in set(old) ^ set(new)})
            if n:
                yield trn(
                    "{n:,} derived row is not what the rules give ({table}).",
                    "{n:,} derived rows are not what the rules give ({table}).",
                    n,
                    table=sql.split(" FROM ")[1].split()[0],
                )


def _tree(project: Project) -> Iterator[Sentence]:
    tree = project.tree
    reached = {category.id for category in tree}
    live = dict(project.db.execute("SELECT id, name FROM category WHERE retired IS NULL").fetchall())
    for category_id in sorted(live.keys() - reached):
        yield tr("The category “{name}” hangs below none of the tree.", name=live[category_id])
    names: set[tuple[str | None, str]] = set()
    for category in tree:
        key = (category.parent_id, name_key(category.name))
        if key in names:
            yield tr("“{path}” is there twice.", path=tree.place(category.id))
        names.add(key)
    lead: dict[str, bool] = {}  # whether the redirects from here end in the tree
    for category in tree.retired():
        way: dict[str, None] = {}
        at: Category | None = category
        while at is not None and at.retired is not None and at.id not in lead and at.id not in way:
            way[at.id] = None
            at = tree.get(at.redirect_to or "")
        leads = at is not None and (at.retired is None or lead.get(at.id, False))
        lead.update(dict.fromkeys(way, leads))
        if not lead[category.id]:
            yield tr("The redirect of “{name}” leads nowhere.", name=category.name)
    sql = """SELECT count(*) FROM assignment a JOIN category c ON c.id = a.category_id WHERE c.retired IS NOT NULL"""
    (n,) = project.db.execute(sql).fetchone()
    if n:
        yield trn("{n:,} assignment is in a category that is not in the tree any more.",
                  "{n:,} assignments are in categories that are not in the tree any more.", n)  # fmt: skip


def _log(project: Project) -> Iterator[Sentence]:
    seen: set[str] = set()
    counter = 0
    for row in project.db.query("SELECT id, counter, follows, undo_of, seq FROM log ORDER BY seq"):
        missing = set(json.loads(row["follows"])) - seen
        if missing or (row["undo_of"] is not None and row["undo_of"] not in seen):
            yield tr("Step {seq:,} follows a step that is not in the log.", seq=row["seq"])
        if row["counter"] <= counter:
            yield tr("The counter of step {seq:,} goes back.", seq=row["seq"])
        counter = row["counter"]
        seen.add(row["id"])


def _balance(project: Project) -> list[str]:
    """Counts of an imported atlas are those that it was published with; they are not this project's to answer for."""
    document = atlas_document(project)
    is_imported = project.setting("atlas.imported") is not None and not totals(project.db).n_failures
    return [] if is_imported else balance(document)


def _replayed(project: Project, folder: Path) -> Iterator[Sentence]:
    try:
        with replay(project, folder / "replayed.errormap") as again:
            for sql in COMPARED:
                if project.db.execute(sql).fetchall() != again.db.execute(sql).fetchall():
                    table = sql.split(" FROM ")[1].split()[0]
                    yield tr("A replay of the log gives another {table}.", table=table)
            if encode(atlas_document(project)) != encode(atlas_document(again)):
                yield tr("A replay of the log gives another atlas.")
    except DiskError:
        raise
    except KnownError as error:
        yield tr("The log cannot be replayed: {error}", error=error)


def replay(project: Project, path: Path) -> Project:
    """A project at `path` made of the machines' rows of this one and the steps of its log, taken again.

    Each step is planned anew from its arguments, with its actor and time. Raises KnownError where a
    step is refused now.
    """
    copy_of(project, path)
    with Project.open(path) as copy:
        _take_people_out(copy)
    again = Project.open(path)
    try:
        ids: dict[str, str] = {}
        for row in project.db.query("SELECT * FROM log ORDER BY seq"):
            if row["kind"] == UNDO:
                if row["undo_of"] not in ids:
                    raise KnownError(
                        tr("Step {seq:,} takes back one that is not in the log.", seq=row["seq"]),
                        fix=way_back(project.path),
                    )
                change = again.undo_entry(ids[row["undo_of"]], actor=row["actor"], at=row["at"])
            else:
                op = operation_from(row["kind"], row["version"], json.loads(row["arguments"]))
                change = again.apply(op, actor=row["actor"], reason=row["reason"], at=row["at"])
            ids[row["id"]] = change.entry_id
    except BaseException:
        again.close()
        raise
    return again


def _take_people_out(copy: Project) -> None:
    """Leave what machines made, and choices as they were before the first step touched them."""
    first: dict[str, dict[str, object] | None] = {}
    for (packed,) in copy.db.execute("SELECT edits FROM log ORDER BY seq"):
        for edit in unpack(packed):
            if isinstance(edit, Edit) and edit.table == "choice" and edit.key not in first:
                first[edit.key] = None if edit.before is None else dict(edit.before)
    copy.db.execute("PRAGMA foreign_keys = OFF")
    with copy.writing() as db:
        for table in PEOPLES:
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM sqlite_sequence WHERE name IN ('assignment', 'log')")
        db.execute("DELETE FROM analysis WHERE source_id IN (SELECT id FROM source WHERE kind = 'annotator')")
        for key, row in first.items():
            db.execute("DELETE FROM choice WHERE key = ?", [key])
            if row is not None:
                db.table("choice").insert(row)
        add_reserved(db)
        counting.make_again(db)
