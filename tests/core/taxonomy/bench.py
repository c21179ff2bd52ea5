"""A small project to decide proposals in, and short ways to make and decide them; what tests of decisions share."""

import json
from pathlib import Path
from typing import Any

from errormap_core.ids import content_id
from errormap_core.project import queries
from errormap_core.project.pending import pending_proposals
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.operations import AddCategory, AssignFailures, DecideProposals, Ruling
from tests.core.building import add_analyses, add_records, add_repairs


class Bench:
    """A project with some categories and failures in them, and short ways to decide."""

    def __init__(self, path: Path) -> None:
        self.project = Project.create(path)
        self.ids = add_records(self.project, [{"example_id": f"e{i:02}"} for i in range(24)])
        add_analyses(self.project, {record_id: f"Error {i}" for i, record_id in enumerate(self.ids)})
        self.ann = self.project.annotator("Ann Bee")
        self.of: dict[str, str] = {"Other": OTHER_ID, "Hard": HARD_ID}
        for name in ("Sums", "Adding", "Mixed"):
            self.add(name)
        self.add("Notation", "Other")
        self.put("Sums", 0, 4)
        self.put("Adding", 4, 7)
        self.put("Mixed", 7, 13)
        self.put("Notation", 13, 15)

    def add(self, name: str, parent: str | None = None) -> str:
        self.of[name] = content_id("category", "test", name)
        parent_id = None if parent is None else self.of[parent]
        self.do(AddCategory(name=name, parent_id=parent_id, category_id=self.of[name]))
        return self.of[name]

    def put(self, name: str, start: int, end: int) -> None:
        self.do(AssignFailures(record_ids=tuple(self.ids[start:end]), category_id=self.of[name]))

    def do(self, op: Any) -> Change:
        return self.project.apply(op, actor=self.ann)

    def propose(self, kind: str, arguments: dict[str, Any], members: list[str] | None = None, **more: Any) -> str:
        repair = {"kind": kind, "arguments": arguments, "members": members or [], **more}
        return add_repairs(self.project, [repair], run=f"{kind} {arguments}")[0]

    def decide(self, proposal_id: str, verdict: Any = "accept", **values: Any) -> Change:
        return self.do(DecideProposals(rulings=(Ruling(proposal_id=proposal_id, verdict=verdict, **values),)))

    def merge(self, *names: str, into: str | None = None, name: str | None = None) -> str:
        ids = [self.of[each] for each in names]
        arguments = {"category_ids": ids, "into": self.of[into or names[0]], "name": name, "description": None}
        return self.propose("merge", arguments, [r for each in names for r in self.held(each)])

    def held(self, name: str) -> list[str]:
        return queries.failure_ids(self.project.db, category_ids=[self.of[name]])

    def names(self) -> list[str]:
        tree = self.project.tree
        return [tree.path(category.id) for category in tree if category.reserved is None]

    def decision(self, proposal_id: str) -> dict[str, Any]:
        rows = list(self.project.db.query("SELECT * FROM decision WHERE proposal_id = ?", [proposal_id]))
        if not rows:
            return {}
        details = json.loads(rows[0]["details"])
        assert details.pop("counter") > 0
        return {**rows[0], "details": details}

    def waits(self) -> list[str]:
        return [row.id for row in pending_proposals(self.project.db)]


def parts_of(bench: Bench, *names: str) -> dict[str, Any]:
    """A split of Mixed into parts of two failures each."""
    parts = [
        {"id": f"p{n}", "name": name, "description": f"About {name}.", "members": bench.ids[7 + 2 * n : 9 + 2 * n]}
        for n, name in enumerate(names)
    ]
    return {"category_id": bench.of["Mixed"], "parts": parts}


def ask(bench: Bench, record: str, *candidates: dict[str, Any]) -> str:
    given = [{"name": "?", "probability": 0.4, **candidate} for candidate in candidates]
    question = {
        "kind": "place",
        "arguments": {"record_id": record, "candidates": given},
        "members": [record],
        "id": content_id("proposal", "place", record),
    }
    return add_repairs(bench.project, [question], task="queue", run=f"queue {record} {candidates}")[0]
