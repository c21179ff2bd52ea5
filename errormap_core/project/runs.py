"""Runs of machines: what made records, analyses and proposals, with which parameters."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from sqlite_utils import Database

from errormap_core.ids import content_id, now

_FINISHED = "run_finished."
"""Keys of the table meta, followed by a run's id: in which place it finished, counted, as clocks may go back."""

LATEST_FIRST = f"""ORDER BY coalesce((SELECT n.value + 0 FROM meta n WHERE n.key = '{_FINISHED}' || r.id), 0) DESC,
    r.finished_at DESC, s.rowid DESC"""
"""A run that is repeated with the same parameters is the same row, and the latest again once it has finished. Runs of
before this was counted come last, by their times."""

RunKind = Literal["import", "judge", "propose"]


def start_run(db: Database, kind: RunKind, name: str, parameters: Mapping[str, Any]) -> str:
    """Begin a run, or go on with the one that has these parameters; to be called inside writing().

    The id is made of kind and parameters, so that the same work is the same run everywhere.
    """
    run_id = content_id("run", kind, parameters)
    if db.execute("SELECT 1 FROM run WHERE id = ?", [run_id]).fetchone() is None:
        started = now()
        db.table("source").insert({"id": run_id, "kind": "run", "name": name, "created_at": started})
        db.table("run").insert(
            {
                "id": run_id,
                "kind": kind,
                "parameters": json.dumps(dict(parameters), ensure_ascii=False, sort_keys=True),
                "status": "running",
                "started_at": started,
            }
        )
    else:
        db.execute("UPDATE run SET status = 'running', finished_at = NULL WHERE id = ?", [run_id])
        db.execute("DELETE FROM meta WHERE key = ?", [_FINISHED + run_id])
    return run_id


def end_run(
    db: Database,
    run_id: str,
    status: Literal["stopped", "finished", "failed"],
    result: Mapping[str, Any] | None = None,
) -> None:
    """Say how a run ended; to be called inside writing()."""
    text = None if result is None else json.dumps(dict(result), ensure_ascii=False, sort_keys=True)
    sql = "SELECT coalesce(max(value + 0), 0) + 1 FROM meta WHERE key >= ? AND key < ?"
    (place,) = db.execute(sql, [_FINISHED, _FINISHED + "~"]).fetchone()
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [_FINISHED + run_id, str(place)])
    db.execute("UPDATE run SET status = ?, finished_at = ?, result = ? WHERE id = ?", [status, now(), text, run_id])


def find_run(db: Database, kind: RunKind, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """The run that has these parameters, or None."""
    rows = list(db.query("SELECT * FROM run WHERE id = ?", [content_id("run", kind, parameters)]))
    return rows[0] if rows else None
