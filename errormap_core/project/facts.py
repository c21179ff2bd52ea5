"""What plans of operations ask of the project (taxonomy/facts.py), answered in SQL."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project import log
from errormap_core.project.counting import chosen
from errormap_core.project.proposing import ITS_RUNS
from errormap_core.project.record_names import record_name
from errormap_core.project.runs import LATEST_FIRST
from errormap_core.sentences import Sentence, tr
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
    """Answers from the writing connection, so that they are those of the open transaction.

    Made anew for each step or question: what machines proposed is read once.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._proposals: dict[tuple[str, str | None], ProposalFacts] = {}
        self._is_locked: bool | None = None

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

    def by_people(self, assignment_ids: Sequence[int]) -> dict[str, int]:
        """How many of these assignments are decisions of each person, by name, the most first."""
        sql = """SELECT s.name, count(*) FROM assignment a JOIN source s ON s.id = a.source_id
            WHERE s.kind = 'annotator' AND a.id IN (SELECT value FROM json_each(?)) GROUP BY s.name ORDER BY 2 DESC, 1"""
        return dict(self._db.execute(sql, [json.dumps(list(assignment_ids))]).fetchall())

    def assignments(self, record_ids: Sequence[str], **where: Any) -> list[tuple[Any, ...]]:
        sql = f"SELECT {_COLUMNS} FROM assignment WHERE record_id IN (SELECT value FROM json_each(?))"
        values: list[Any] = [json.dumps(list(record_ids))]
        for column, value in where.items():
            assert column in ASSIGNMENT_COLUMNS
            sql += f" AND {column} = ?"
            values.append(value)
        return [tuple(row) for row in self._db.execute(sql + " ORDER BY id", values)]

    def placed_since(self, keys: Mapping[str, int]) -> set[str]:
        sql = """SELECT DISTINCT k.key FROM json_each(?) k JOIN assignment a ON a.record_id = k.key AND a.id > k.value
            JOIN source s ON s.id = a.source_id WHERE a.is_primary = 1 AND s.kind = 'annotator'"""
        return {row[0] for row in self._db.execute(sql, [json.dumps(dict(keys))])}

    def assignment_rows(self, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        sql = f"SELECT {_COLUMNS} FROM assignment WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [tuple(row) for row in self._db.execute(sql, [json.dumps(list(ids))])]

    def n_counted_among(self, ids: Sequence[int]) -> int:
        sql = "SELECT count(*) FROM assignment WHERE counted = 1 AND id IN (SELECT value FROM json_each(?))"
        return int(self._db.execute(sql, [json.dumps(list(ids))]).fetchone()[0])

    def next_assignment_id(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'assignment'").fetchone()
        return 1 if row is None else int(row[0]) + 1

    def next_counter(self) -> int:
        return log.next_counter(self._db)

    def row(self, table: str, key: str) -> Row | None:
        return read_row(self._db, table, key)

    def known_records(self, record_ids: Sequence[str]) -> set[str]:
        sql = "SELECT id FROM record WHERE id IN (SELECT value FROM json_each(?))"
        return {row[0] for row in self._db.execute(sql, [json.dumps(list(record_ids))])}

    def record_hash(self, record_id: str) -> str:
        return str(self._db.execute("SELECT content_hash FROM record WHERE id = ?", [record_id]).fetchone()[0])

    def record_name(self, record_id: str) -> Sentence:
        return record_name(self._db, record_id)

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
        known = self._proposals.get((proposal_id, run_id))
        if known is None:
            known = self._read_proposal(proposal_id, run_id)
            self._proposals[proposal_id, run_id] = self._proposals[proposal_id, known.run_id] = known
        return known

    def read_proposals(self, proposal_ids: Sequence[str]) -> None:
        """Read these at once, as the latest runs have them: those that are asked about next. Unknown ones are left out."""
        ids = json.dumps([i for i in dict.fromkeys(proposal_ids) if (i, None) not in self._proposals])
        members: dict[str, list[tuple[str, float | None]]] = {}
        sql = """SELECT proposal_id, record_id, confidence FROM proposal_member
            WHERE proposal_id IN (SELECT value FROM json_each(?)) ORDER BY proposal_id, position"""
        for proposal_id, record_id, confidence in self._db.execute(sql, [ids]):
            members.setdefault(proposal_id, []).append((record_id, confidence))
        sql = f"""SELECT p.id, p.kind, p.arguments, rp.run_id, rp.parent_id, p.evidence
            FROM json_each(?) wanted CROSS JOIN {ITS_RUNS} AND rp.proposal_id = wanted.value
            JOIN source s ON s.id = r.id JOIN proposal p ON p.id = rp.proposal_id {LATEST_FIRST}"""
        for row in self._db.execute(sql, [ids]).fetchall():
            key = row[0]
            if (key, None) not in self._proposals:  # the first is of the latest run
                known = _proposal(row, members.get(key, ()))
                self._proposals[key, None] = self._proposals[key, known.run_id] = known

    def _read_proposal(self, proposal_id: str, run_id: str | None) -> ProposalFacts:
        row = self._db.execute(
            f"""SELECT p.id, p.kind, p.arguments, rp.run_id, rp.parent_id, p.evidence
            FROM {ITS_RUNS} JOIN source s ON s.id = r.id JOIN proposal p ON p.id = rp.proposal_id
            WHERE rp.proposal_id = ? AND (? IS NULL OR rp.run_id = ?) {LATEST_FIRST} LIMIT 1""",
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
        return _proposal(row, members)

    def is_locked(self) -> bool:
        if self._is_locked is None:
            self._is_locked = bool(chosen(self._db, "taxonomy.locked"))
        return self._is_locked

    def any_in(self, category_id: str, record_ids: Sequence[str]) -> bool:
        # CROSS JOIN keeps the order: by the category first, each of its assignments would be sought in the whole list.
        sql = """SELECT EXISTS (SELECT 1 FROM json_each(?) m
            CROSS JOIN assignment a ON a.record_id = m.value AND a.category_id = ?)"""
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


def _proposal(row: Sequence[Any], members: Iterable[tuple[str, float | None]]) -> ProposalFacts:
    """A row (id, kind, arguments, run, proposal above, evidence), with members."""
    proposal_id, kind, arguments, run_id, parent_id, evidence = row
    return ProposalFacts(
        id=proposal_id,
        kind=kind,
        run_id=run_id,
        parent_id=parent_id,
        arguments=json.loads(arguments),
        members=tuple((record_id, confidence) for record_id, confidence in members),
        evidence=json.loads(evidence),
    )
