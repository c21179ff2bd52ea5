"""What plans of operations ask of the project (taxonomy/facts.py), answered in SQL."""

import json
from collections.abc import Sequence
from typing import Any

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.sentences import tr
from errormap_core.taxonomy.edits import KEY_COLUMNS, Row
from errormap_core.taxonomy.facts import ASSIGNMENT_COLUMNS, ProposalFacts

_COLUMNS = ", ".join(ASSIGNMENT_COLUMNS)

FAILS = """CASE d.direction WHEN 'higher' THEN r.score < {t} OR ({t} = 0 AND r.score = 0) ELSE r.score > {t} END"""


def read_row(db: Database, table: str, key: str) -> dict[str, Any] | None:
    """A row of a table that operations may edit, without what is derived."""
    cursor = db.execute(f"SELECT * FROM {table} WHERE {KEY_COLUMNS[table]} = ?", [key])
    values = cursor.fetchone()
    if values is None:
        return None
    return dict(zip((c[0] for c in cursor.description), values, strict=True))


class ProjectFacts:
    """Answers from the writing connection, so that they are those of the open transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def assignment_ids(self, category_id: str, record_ids: Sequence[str] | None = None) -> list[int]:
        sql, values = "SELECT id FROM assignment WHERE category_id = ?", [category_id]
        if record_ids is not None:
            sql += " AND record_id IN (SELECT value FROM json_each(?))"
            values.append(json.dumps(list(record_ids)))
        return sorted(row[0] for row in self._db.execute(sql, values))

    def duplicates_after_merge(self, category_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        chosen = json.dumps(list(category_ids))
        secondary = f"""SELECT {_COLUMNS} FROM assignment WHERE is_primary = 0
            AND category_id IN (SELECT value FROM json_each(?)) ORDER BY id"""
        found = self._db.execute(secondary, [chosen]).fetchall()
        if not found:
            return []
        among = json.dumps(sorted({row[1] for row in found}))
        primary = """SELECT record_id, source_id FROM assignment WHERE is_primary = 1
            AND record_id IN (SELECT value FROM json_each(?)) AND category_id IN (SELECT value FROM json_each(?))"""
        kept = {tuple(row) for row in self._db.execute(primary, [among, chosen])}
        twice = []
        for row in found:
            if (row[1], row[2]) in kept:
                twice.append(tuple(row))
            kept.add((row[1], row[2]))
        return twice

    def n_counted(self, category_ids: Sequence[str]) -> int:
        sql = """SELECT count(*) FROM assignment
            WHERE category_id IN (SELECT value FROM json_each(?)) AND counted = 1"""
        return int(self._db.execute(sql, [json.dumps(list(category_ids))]).fetchone()[0])

    def n_by_people(self, assignment_ids: Sequence[int]) -> int:
        """How many of these assignments are people's own decisions."""
        sql = """SELECT count(*) FROM assignment a JOIN source s ON s.id = a.source_id
            WHERE s.kind = 'annotator' AND a.id IN (SELECT value FROM json_each(?))"""
        return int(self._db.execute(sql, [json.dumps(list(assignment_ids))]).fetchone()[0])

    def assignments(self, record_ids: Sequence[str], **where: Any) -> list[tuple[Any, ...]]:
        sql = f"SELECT {_COLUMNS} FROM assignment WHERE record_id IN (SELECT value FROM json_each(?))"
        values: list[Any] = [json.dumps(list(record_ids))]
        for column, value in where.items():
            assert column in ASSIGNMENT_COLUMNS
            sql += f" AND {column} = ?"
            values.append(value)
        return [tuple(row) for row in self._db.execute(sql + " ORDER BY id", values)]

    def assignment_rows(self, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        sql = f"SELECT {_COLUMNS} FROM assignment WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [tuple(row) for row in self._db.execute(sql, [json.dumps(list(ids))])]

    def n_counted_among(self, ids: Sequence[int]) -> int:
        sql = "SELECT count(*) FROM assignment WHERE counted = 1 AND id IN (SELECT value FROM json_each(?))"
        return int(self._db.execute(sql, [json.dumps(list(ids))]).fetchone()[0])

    def next_assignment_id(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'assignment'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def row(self, table: str, key: str) -> Row | None:
        return read_row(self._db, table, key)

    def known_records(self, record_ids: Sequence[str]) -> set[str]:
        sql = "SELECT id FROM record WHERE id IN (SELECT value FROM json_each(?))"
        return {row[0] for row in self._db.execute(sql, [json.dumps(list(record_ids))])}

    def record_hash(self, record_id: str) -> str:
        return str(self._db.execute("SELECT content_hash FROM record WHERE id = ?", [record_id]).fetchone()[0])

    def failures_by_threshold(self, dataset: str, threshold: float | None) -> tuple[int, int]:
        old = FAILS.format(t="coalesce(c.threshold, d.default_threshold)")
        new = FAILS.format(t="coalesce(:new, d.default_threshold)")
        sql = f"""SELECT coalesce(sum({old}), 0), coalesce(sum({new}), 0) FROM record r
            JOIN dataset d ON d.name = r.dataset LEFT JOIN chosen_threshold c ON c.dataset = d.name
            WHERE r.dataset = :dataset"""
        before, after = self._db.execute(sql, {"dataset": dataset, "new": threshold}).fetchone()
        return int(before), int(after)

    def dataset_names(self) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT name FROM dataset ORDER BY name")]

    def proposal(self, proposal_id: str, run_id: str | None = None) -> ProposalFacts:
        """What deciding needs, as this run has it or the latest that proposed it. Raises KnownError where there is none."""
        row = self._db.execute(
            """SELECT p.kind, p.arguments, rp.run_id, rp.parent_id, p.evidence FROM proposal p
            JOIN run_proposal rp ON rp.proposal_id = p.id
            JOIN run r ON r.id = rp.run_id JOIN source s ON s.id = r.id
            WHERE p.id = ? AND (? IS NULL OR rp.run_id = ?) ORDER BY r.finished_at DESC, s.rowid DESC LIMIT 1""",
            [proposal_id, run_id, run_id],
        ).fetchone()
        if row is None:
            raise KnownError(
                tr("There is no proposal with the id {id}.", id=proposal_id),
                fix=tr("Choose one that the list of proposals shows."),
            )
        members = self._db.execute(
            "SELECT record_id, confidence FROM proposal_member WHERE proposal_id = ? ORDER BY position", [proposal_id]
        ).fetchall()
        return ProposalFacts(
            id=proposal_id,
            kind=row[0],
            run_id=row[2],
            parent_id=row[3],
            arguments=json.loads(row[1]),
            members=tuple((record_id, confidence) for record_id, confidence in members),
            evidence=json.loads(row[4]),
        )

    def any_in(self, category_id: str, record_ids: Sequence[str]) -> bool:
        sql = """SELECT EXISTS (SELECT 1 FROM json_each(?) m
            JOIN assignment a ON a.record_id = m.value AND a.category_id = ?)"""
        return bool(self._db.execute(sql, [json.dumps(list(record_ids)), category_id]).fetchone()[0])

    def any_unplaced(self, record_ids: Sequence[str]) -> bool:
        sql = """SELECT EXISTS (SELECT 1 FROM json_each(?) m WHERE NOT EXISTS
            (SELECT 1 FROM assignment a WHERE a.record_id = m.value AND a.is_primary = 1))"""
        return bool(self._db.execute(sql, [json.dumps(list(record_ids))]).fetchone()[0])

    def failure_state(self, record_id: str) -> str | None:
        row = self._db.execute("SELECT state FROM failure WHERE record_id = ?", [record_id]).fetchone()
        return None if row is None else str(row[0])

    def is_placed_by_person(self, record_id: str) -> bool:
        sql = """SELECT EXISTS (SELECT 1 FROM assignment a JOIN source s ON s.id = a.source_id
            WHERE a.record_id = ? AND a.is_primary = 1 AND s.kind = 'annotator')"""
        return bool(self._db.execute(sql, [record_id]).fetchone()[0])

    def source_label(self, source_id: str) -> dict[str, str]:
        row = self._db.execute("SELECT kind, name FROM source WHERE id = ?", [source_id]).fetchone()
        return {"kind": row[0], "name": row[1]}
