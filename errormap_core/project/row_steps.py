"""Which steps of the log decided each assignment and each analysis of a person, and how: `row_step`, which counting.py reads.

Of a row the latest step that stands is the one that says how it came. A step decides the assignments that it makes, and
those that it moves to another category; a merge moves none in this sense, because the category that took over means the same.
What a step decided for one failure alone is 'one', for several 'many'; where a proposal was accepted rather than a failure
placed by hand, 'proposal_one' and 'proposal_many'. A step that no person took is 'machine'.

Derived like `failure`: kept up as steps are written, and made again from the log by `make_again`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils import Database

from errormap_core.project import log
from errormap_core.taxonomy.edits import AnyEdit, BulkRows, BulkUpdate, Edit, unpack
from errormap_core.taxonomy.rulings import ACCEPTING

_PLACING = ("create", "assign", "place", "split")
"""Kinds of proposals whose acceptance decides where failures are."""


def follow(db: Database, entry: Mapping[str, Any], edits: Iterable[AnyEdit]) -> None:
    """Keep up with a step that was just written to the log; `entry` is its row, `edits` are what it holds."""
    original, is_undone = _original(db, entry)
    if is_undone:
        db.execute("DELETE FROM row_step WHERE seq = ?", [original["seq"]])
    else:
        _add(db, original, tuple(edits))


def make_again(db: Database) -> None:
    """Derive all rows again from the log."""
    db.execute("DELETE FROM row_step")
    standing = log.standing(db)
    for row in db.query("SELECT * FROM log WHERE undo_of IS NULL ORDER BY seq"):
        if standing[row["id"]]:
            _add(db, row, unpack(row["edits"]))


def merged_in(edits: Iterable[AnyEdit]) -> tuple[frozenset[str], frozenset[str]]:
    """The categories that these edits merge into others, and those that they bring back from a merge."""
    gone: set[str] = set()
    back: set[str] = set()
    for edit in edits:
        if isinstance(edit, Edit) and edit.table == "category":
            was, becomes = ((None if row is None else row["retired"]) == "merged" for row in (edit.before, edit.after))
            if was != becomes:
                (gone if becomes else back).add(edit.key)
    return frozenset(gone), frozenset(back)


def _original(db: Database, entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The step that was first taken, and whether this entry takes it back (an undo does, its undo does not)."""
    is_undone = False
    while entry["undo_of"] is not None:
        found = log.entry(db, entry["undo_of"])
        assert found is not None  # a foreign key
        entry, is_undone = found, not is_undone
    return entry, is_undone


def _add(db: Database, entry: Mapping[str, Any], edits: tuple[AnyEdit, ...]) -> None:
    if not any(edit.table in ("assignment", "analysis") for edit in edits):
        return
    is_proposal, is_alone = _how(db, entry["kind"], json.loads(entry["arguments"]))
    by_hand = "one" if is_alone else "many"
    accepted = f"proposal_{by_hand}" if is_proposal else by_hand
    if not _is_person(db, entry["actor"]):
        by_hand = accepted = "machine"
    merged, _ = merged_in(edits)
    people: dict[str, bool] = {}
    rows: dict[tuple[str, Any], str] = {}
    for edit in edits:
        match edit:
            case BulkRows(table="assignment", created=True):
                for key, source_id in zip(edit.column("id"), edit.column("source_id"), strict=True):
                    if source_id not in people:
                        people[source_id] = _is_person(db, source_id)
                    rows["assignment", key] = by_hand if people[source_id] else accepted
            case BulkUpdate(table="assignment", column="category_id") if edit.before not in merged:
                rows |= {("assignment", key): accepted for key in edit.ids}
            case Edit(table="analysis") if edit.after is not None:
                rows["analysis", edit.key] = by_hand
    db.conn.executemany(
        "INSERT INTO row_step (of_table, key, seq, how) VALUES (?, ?, ?, ?)",
        [(table, key, entry["seq"], how) for (table, key), how in rows.items()],
    )


def _is_person(db: Database, source_id: str) -> bool:
    return bool(db.execute("SELECT kind = 'annotator' FROM source WHERE id = ?", [source_id]).fetchone()[0])


def _how(db: Database, kind: str, arguments: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether proposals were answered, and whether the step is about one failure alone."""
    if kind == "failure.assign":
        return False, len(set(arguments["record_ids"])) == 1
    if kind == "category.split":
        parts = arguments["parts"]
        return False, sum(len(part["record_ids"]) for part in parts) == 1 and not any(p["child_ids"] for p in parts)
    if kind == "analysis.write":
        return False, True
    if kind == "proposal.decide":
        return True, not arguments["is_bulk"] and _n_decided(db, arguments["rulings"]) == 1
    return False, False


def _n_decided(db: Database, rulings: Iterable[Mapping[str, Any]]) -> int:
    """How many failures the accepted of these proposals are about."""
    n = 0
    for ruling in rulings:
        if ruling["verdict"] not in ACCEPTING:
            continue
        sql = "SELECT kind, json_extract(arguments, '$.record_id') FROM proposal WHERE id = ?"
        kind, record_id = db.execute(sql, [ruling["proposal_id"]]).fetchone()
        if kind not in _PLACING:
            continue
        sql = "SELECT record_id FROM proposal_member WHERE proposal_id = ?"
        members = {row[0] for row in db.execute(sql, [ruling["proposal_id"]])} or {record_id}
        n += len(members.difference(ruling.get("without") or ()))
    return n
