"""What the atlas reads of a project that no other view does: examples of categories, the whole log."""

import json
from typing import Any

from sqlite_utils import Database

from errormap_core.ids import content_id


def examples(db: Database, category_id: str, *, most: int) -> list[dict[str, Any]]:
    """Up to `most` failures whose counted assignment is in a category itself, chosen by a hash of their id."""
    held = db.execute("SELECT record_id FROM assignment WHERE category_id = ? AND counted = 1", [category_id])
    ids = sorted((row[0] for row in held), key=lambda i: content_id("example", i))  # spread, and the same everywhere
    sql = """SELECT r.dataset, r.model, r.example_id, r.input_text, r.output_text, r.correct_answer,
            a.error_title, a.error_summary
        FROM record r JOIN failure f ON f.record_id = r.id LEFT JOIN analysis a ON a.id = f.analysis_id
        WHERE r.id = ?"""
    return [row for record_id in ids[:most] for row in db.query(sql, [record_id])]


def steps(db: Database, *, without: str) -> list[dict[str, Any]]:
    """Every entry of the log in order, as the atlas keeps it; those of the kind `without`, and what undid or redid
    them, are left out."""
    sql = """SELECT l.id, l.kind, l.version, l.arguments, l.summary, s.name, s.kind, l.at, l.undo_of, l.reason
        FROM log l JOIN source s ON s.id = l.actor ORDER BY l.seq"""
    left_out: set[str] = set()
    kept = []
    for row in db.execute(sql):
        if row[1] == without or row[8] in left_out:
            left_out.add(row[0])
        else:
            kept.append(row)
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
        for row in kept
    ]
