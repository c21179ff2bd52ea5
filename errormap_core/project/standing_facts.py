"""What is asked of the project to see which of many proposals still fit, read for all of them at once.

A list of thousands would otherwise ask several questions of the file for each.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from errormap_core.project.facts import ProjectFacts
from errormap_core.taxonomy.standing import is_question


class FactsOfMany(ProjectFacts):
    """Answers about the proposals that it is made for, (id, kind, arguments) each; about others as ProjectFacts does."""

    def __init__(self, db: Database, asked: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        super().__init__(db)
        records, above, categories, moved = set[str](), set[str](), set[str](), list[str]()
        for proposal_id, kind, arguments in asked:
            if is_question(kind, arguments):
                records.add(arguments["record_id"])
                above |= {c["proposal_id"] for c in arguments["candidates"] if not c.get("category_id")}
            elif kind == "split":
                categories.add(arguments["category_id"])
            elif arguments.get("from_id") is not None:
                categories.add(arguments["from_id"])
                moved.append(proposal_id)
        self._failures = self._read_failures(records)
        self._decisions = self._read_decisions(above)
        self._held = self._read_held(categories)
        self._members = self._read_members(moved)

    def members(self, proposal_id: str) -> tuple[tuple[str, float | None], ...]:
        """(record id, confidence) of a proposal that moves failures, in their order."""
        return tuple(self._members.get(proposal_id, ()))

    def failure_state(self, record_id: str) -> str | None:
        known = self._failures.get(record_id)
        return super().failure_state(record_id) if known is None else known[0]

    def is_placed_by_person(self, record_id: str) -> bool:
        known = self._failures.get(record_id)
        return super().is_placed_by_person(record_id) if known is None else known[1]

    def any_in(self, category_id: str, record_ids: Sequence[str]) -> bool:
        held = self._held.get(category_id)
        return super().any_in(category_id, record_ids) if held is None else not held.isdisjoint(record_ids)

    def row(self, table: str, key: str) -> Mapping[str, Any] | None:
        if table == "decision" and key in self._decisions:
            return self._decisions[key]
        return super().row(table, key)

    # Reading

    def _read_failures(self, record_ids: set[str]) -> dict[str, tuple[str | None, bool]]:
        """State of each record as a failure, and whether a person placed it."""
        sql = """SELECT m.value, f.state, EXISTS (SELECT 1 FROM assignment a JOIN source s ON s.id = a.source_id
                WHERE a.record_id = m.value AND a.is_primary = 1 AND s.kind = 'annotator')
            FROM json_each(?) m LEFT JOIN failure f ON f.record_id = m.value"""
        found = self._db.execute(sql, [json.dumps(sorted(record_ids))])
        return {record_id: (state, bool(by_person)) for record_id, state, by_person in found}

    def _read_decisions(self, proposal_ids: set[str]) -> dict[str, Mapping[str, Any] | None]:
        sql = "SELECT * FROM decision WHERE proposal_id IN (SELECT value FROM json_each(?))"
        found: dict[str, Mapping[str, Any] | None] = dict.fromkeys(proposal_ids)
        for row in self._db.query(sql, [json.dumps(sorted(proposal_ids))]):
            found[row["proposal_id"]] = row
        return found

    def _read_held(self, category_ids: set[str]) -> dict[str, set[str]]:
        """The records that have an assignment in each of these categories."""
        sql = """SELECT category_id, record_id FROM assignment
            WHERE category_id IN (SELECT value FROM json_each(?))"""
        found: dict[str, set[str]] = {category_id: set() for category_id in category_ids}
        for category_id, record_id in self._db.execute(sql, [json.dumps(sorted(category_ids))]):
            found[category_id].add(record_id)
        return found

    def _read_members(self, proposal_ids: Sequence[str]) -> dict[str, list[tuple[str, float | None]]]:
        sql = """SELECT proposal_id, record_id, confidence FROM proposal_member
            WHERE proposal_id IN (SELECT value FROM json_each(?)) ORDER BY proposal_id, position"""
        found: dict[str, list[tuple[str, float | None]]] = {}
        for proposal_id, record_id, confidence in self._db.execute(sql, [json.dumps(list(proposal_ids))]):
            found.setdefault(proposal_id, []).append((record_id, confidence))
        return found
