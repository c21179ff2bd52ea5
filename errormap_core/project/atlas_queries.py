"""What the atlas reads of a project that no other view does: examples of categories, the whole log."""

import json
from typing import Any

from sqlite_utils import Database

from errormap_core.ids import content_id


def examples(db: Database, category_id: str, *, most: int) -> list[dict[str, Any]]:
    """Up to `most` failures whose counted assignment is in a category itself, chosen by a hash of their id."""
    sql = """SELECT r.id, r.dataset, r.model, r.example_id, r.input_text, r.output_text, r.correct_answer,
            a.error_title, a.error_summary
        FROM assignment x JOIN record r ON r.id = x.record_id JOIN failure f ON f.record_id = r.id
        LEFT JOIN analysis a ON a.id = f.analysis_id
        WHERE x.category_id = ? AND x.counted = 1"""
    rows = list(db.query(sql, [category_id]))
    rows.sort(key=lambda row: content_id("example", row["id"]))  # spread, and the same on every machine
    return [{name: value for name, value in row.items() if name != "id"} for row in rows[:most]]


def steps(db: Database, *, without: str) -> list[dict[str, Any]]:
    """Every entry of the log in order, as the atlas keeps it; entries of the kind `without` are left out."""
    sql = """SELECT l.id, l.kind, l.version, l.arguments, l.summary, s.name, s.kind, l.at, l.undo_of, l.reason
        FROM log l JOIN source s ON s.id = l.actor WHERE l.kind <> ? ORDER BY l.seq"""
    return [
        {
            "id": row[0],
            "kind": row[1],
            "version": row[2],
            "arguments": json.loads(row[3]),
            "summary": json.loads(row[4]),
            "actor": {"kind": row[6], "name": row[5]},
            "at": row[7],
            "undo_of": row[8],
            "reason": row[9],
        }
        for row in db.execute(sql, [without])
    ]
