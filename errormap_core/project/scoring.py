"""What scoring against gold reads of a project: answers, everybody's analyses, where failures stand in the tree."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

Key = tuple[str, str, str, int]
"""Dataset, example, model, attempt."""


def answers(db: Database, keys: Collection[Key]) -> dict[Key, tuple[str, str]]:
    """Record id and answer of the records with these keys; those that are not there are left out."""
    sql = """SELECT r.dataset, r.example_id, r.model, r.attempt, r.id, r.output_text
        FROM json_each(?) k JOIN record r ON r.dataset = json_extract(k.value, '$[0]')
            AND r.example_id = json_extract(k.value, '$[1]') AND r.model = json_extract(k.value, '$[2]')
            AND r.attempt = json_extract(k.value, '$[3]')"""
    rows = db.execute(sql, [json.dumps([list(key) for key in keys], ensure_ascii=False)])
    return {(dataset, example, model, attempt): (key, text) for dataset, example, model, attempt, key, text in rows}


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says of one record."""

    verdict: str
    required_criteria: Sequence[dict[str, Any]]
    error_title: str
    error_summary: str


@dataclass(slots=True)
class SourceAnalyses:
    """A source's analyses of the present content of records, by record id; `kind` is annotator, run or consensus."""

    source_id: str
    kind: str
    name: str
    said: dict[str, Said] = field(default_factory=dict)


def analyses_by_source(db: Database, record_ids: Sequence[str]) -> list[SourceAnalyses]:
    """Everybody's analyses of these records, sources in the order in which they came to the project."""
    sql = """SELECT s.id, s.kind, s.name, a.record_id, a.verdict, a.required_criteria, a.error_title, a.error_summary
        FROM analysis a JOIN source s ON s.id = a.source_id
            JOIN record r ON r.id = a.record_id AND r.content_hash = a.record_hash
        WHERE a.record_id IN (SELECT value FROM json_each(?)) ORDER BY s.rowid, a.record_id"""
    found: dict[str, SourceAnalyses] = {}
    for source, kind, name, record, verdict, criteria, title, summary in db.execute(
        sql, [json.dumps(list(record_ids))]
    ):
        entry = found.setdefault(source, SourceAnalyses(source, kind, name))
        entry.said[record] = Said(verdict, json.loads(criteria), title, summary)
    return list(found.values())


def analysed(db: Database, record_ids: Sequence[str]) -> set[str]:
    """Those of these records that are placed or analysed failures now, and so can stand in the tree."""
    sql = "SELECT record_id FROM failure WHERE state IN ('analysed', 'placed') AND record_id IN (SELECT value FROM json_each(?))"
    return {row[0] for row in db.execute(sql, [json.dumps(list(record_ids))])}


def looked_at(db: Database, record_ids: Sequence[str]) -> set[str]:
    """Those of these failures that a person looked at one by one (counting.py states what that is)."""
    sql = "SELECT record_id FROM failure WHERE looked_at = 1 AND record_id IN (SELECT value FROM json_each(?))"
    return {row[0] for row in db.execute(sql, [json.dumps(list(record_ids))])}


def counted_categories(db: Database, record_ids: Sequence[str]) -> dict[str, str]:
    """Category of the assignment that counts, by record id; failures that have none are left out."""
    sql = """SELECT record_id, category_id FROM assignment
        WHERE counted = 1 AND record_id IN (SELECT value FROM json_each(?))"""
    return dict(db.execute(sql, [json.dumps(list(record_ids))]).fetchall())


@dataclass(frozen=True, slots=True)
class Place:
    """Which example a record answers, by which model, and its answer."""

    dataset: str
    example_id: str
    model: str
    output_text: str


def places(db: Database, record_ids: Collection[str]) -> dict[str, Place]:
    """What these records answer, by record id, in the order of dataset, example, model and attempt."""
    sql = """SELECT id, dataset, example_id, model, output_text FROM record
        WHERE id IN (SELECT value FROM json_each(?)) ORDER BY dataset, example_id, model, attempt"""
    return {row[0]: Place(*row[1:]) for row in db.execute(sql, [json.dumps(sorted(record_ids))])}


def written_by_people(db: Database) -> dict[str, Said]:
    """What people say of records, by record id: the analysis that counts, of the present content, where a person wrote it."""
    sql = """SELECT f.record_id, a.verdict, a.required_criteria, a.error_title, a.error_summary
        FROM failure f JOIN analysis a ON a.id = f.analysis_id JOIN source s ON s.id = a.source_id
        WHERE s.kind = 'annotator' ORDER BY f.record_id"""
    return {row[0]: Said(row[1], json.loads(row[2]), row[3], row[4]) for row in db.execute(sql)}


def placed_by_people(db: Database) -> dict[str, str]:
    """Category of the failures that a person placed one by one, and whose placement counts, by record id."""
    sql = """SELECT a.record_id, a.category_id FROM assignment a JOIN failure f ON f.record_id = a.record_id
        WHERE a.counted = 1 AND f.placed_by = 'person' ORDER BY a.record_id"""
    return dict(db.execute(sql).fetchall())


def analysed_by(db: Database, run_ids: Collection[str]) -> set[str]:
    """The failures of which each of these runs has an analysis of the present content."""
    sql = """SELECT f.record_id FROM failure f JOIN record r ON r.id = f.record_id
        JOIN analysis a ON a.record_id = r.id AND a.record_hash = r.content_hash
        WHERE a.source_id IN (SELECT value FROM json_each(?)) GROUP BY f.record_id HAVING count(*) = ?"""
    wanted = sorted(set(run_ids))
    return {row[0] for row in db.execute(sql, [json.dumps(wanted), len(wanted)])}
