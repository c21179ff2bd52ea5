"""Writes row edits, and refuses an edit whose rows are no longer as it found them."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project import counting, row_steps
from errormap_core.project.facts import read_row
from errormap_core.sentences import tr
from errormap_core.taxonomy.edits import KEY_COLUMNS, AnyEdit, BulkRows, BulkUpdate, Edit

_RECOUNT_ALL = ("sampling.", "models.", "judge.current_run")


def write_edits(db: Database, edits: Iterable[AnyEdit], *, entry: Mapping[str, Any]) -> None:
    """Write edits in order, then derive what counts for all that they touch. `entry` is the row of their step in the log.

    Raises KnownError where a row is not as an edit found it: someone worked on it since.
    """
    edits = tuple(edits)
    try:
        for edit in edits:
            match edit:
                case Edit():
                    _write_row(db, edit)
                case BulkUpdate():
                    _write_update(db, edit)
                case BulkRows():
                    _write_rows(db, edit)
    except sqlite3.IntegrityError as error:
        raise _worked_on_since() from error
    row_steps.follow(db, entry, edits)
    _recount(db, edits)


def _worked_on_since() -> KnownError:
    return KnownError(
        tr("Someone worked on this since."),
        fix=tr("Undo the later steps first, the latest before the others."),
    )


def _write_row(db: Database, edit: Edit) -> None:
    table, column = edit.table, KEY_COLUMNS[edit.table]
    if read_row(db, table, edit.key) != (None if edit.before is None else dict(edit.before)):
        raise _worked_on_since()
    if edit.after is None:
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", [edit.key])
        return
    after = dict(edit.after)
    if edit.before is None:
        names, places = ", ".join(after), ", ".join(f":{name}" for name in after)
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", after)
        return
    changed = [name for name in after if edit.before.get(name) != after[name]]
    if changed:
        settings = ", ".join(f"{name} = :{name}" for name in changed)
        values = {name: after[name] for name in changed}
        db.execute(f"UPDATE {table} SET {settings} WHERE {column} = :_key", {**values, "_key": edit.key})


def _write_update(db: Database, edit: BulkUpdate) -> None:
    column = edit.column
    cursor = db.execute(
        f"""UPDATE {edit.table} SET {column} = ? WHERE {KEY_COLUMNS[edit.table]}
            IN (SELECT value FROM json_each(?)) AND {column} IS ?""",
        [edit.after, json.dumps(edit.ids), edit.before],
    )
    if cursor.rowcount != len(edit.ids):
        raise _worked_on_since()


def _write_rows(db: Database, edit: BulkRows) -> None:
    names = ", ".join(edit.columns)
    places = ", ".join("?" * len(edit.columns))
    if edit.created:
        db.conn.executemany(f"INSERT INTO {edit.table} ({names}) VALUES ({places})", edit.rows)
        return
    where = " AND ".join(f"{name} IS ?" for name in edit.columns)
    cursor = db.conn.executemany(f"DELETE FROM {edit.table} WHERE {where}", edit.rows)
    if cursor.rowcount != len(edit.rows):
        raise _worked_on_since()


def _recount(db: Database, edits: tuple[AnyEdit, ...]) -> None:
    """Derive again what counts. Moving assignments between categories changes how their failures got there, and nothing else."""
    records: set[str] = set()
    placed_by_runs: set[str] = set()
    moved: set[int] = set()
    gone, back = row_steps.merged_in(edits)
    datasets: set[str] = set()
    for edit in edits:
        match edit:
            case Edit(table="choice", key=key) if key.startswith(_RECOUNT_ALL):
                counting.refresh(db)
                return
            case Edit(table="chosen_threshold", key=key):
                datasets.add(key)
            case Edit(table="record_mark", key=key):
                records.add(key)
            case Edit(table="analysis", before=before, after=after):
                row = after or before
                assert row is not None
                records.add(row["record_id"])
            case BulkRows(table="assignment"):
                is_by_run = not counting.any_annotator(db, set(edit.column("source_id")))
                (placed_by_runs if is_by_run else records).update(edit.column("record_id"))
            case BulkUpdate(table="assignment") if edit.before not in gone and edit.after not in back:
                moved.update(edit.ids)
    for dataset in sorted(datasets):
        counting.refresh(db, dataset=dataset)
    if records:
        counting.refresh(db, record_ids=sorted(records))
    if placed_by_runs - records:
        counting.recount(db, sorted(placed_by_runs - records))
    if moved:
        counting.recount_moved(db, sorted(moved))
