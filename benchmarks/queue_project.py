"""Makes projects whose queue is long: failures that are placed and not, and pending proposals of every kind."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.operations import leaves_of
from benchmarks.projects import WORDS, make_project
from errormap_core.ids import content_id
from errormap_core.project.proposing import NewProposal, save_proposals
from errormap_core.project.queries import failure_ids
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.standing import concerned

SHARES: Mapping[str, float] = {
    "place": 0.40,
    "create": 0.10,
    "assign": 0.10,
    "merge": 0.10,
    "move failures": 0.10,
    "move": 0.06,
    "split": 0.04,
    "promote": 0.02,
    "rename": 0.04,
    "describe": 0.04,
}
"""Kinds of proposals, and how much of the queue each is."""

TASKS: Mapping[str, str] = {"place": "queue", "create": "propose", "assign": "classify"}
"""What proposes them; the others are repairs of the tree."""


def make_queue(path: Path, *, n_failures: int, n_proposals: int) -> None:
    """A project of `n_failures` analysed failures, 7 in 10 of them placed, one in ten in one category, and `n_proposals`
    proposals that wait; of which the first merge is about the large category."""
    n_categories = max(60, n_failures // 80)
    project = make_project(
        path, n_records=n_failures, n_categories=n_categories, large=n_failures // 10, n_unplaced=n_failures * 3 // 10
    )
    with project:
        made = _Proposals(project)
        by_task: dict[str, list[NewProposal]] = {}
        for kind, share in SHARES.items():
            n = round(n_proposals * share)
            by_task.setdefault(TASKS.get(kind, "repair"), []).extend(made.of_kind(kind, n))
        for task, proposals in by_task.items():
            keep(project, proposals, task=task)


def keep(project: Project, proposals: Sequence[NewProposal], *, task: str) -> None:
    """Keep them as a finished run of this task."""
    with project.writing() as db:
        run_id = start_run(db, "propose", "benchmark", {"task": task, "n": len(proposals)})
        save_proposals(db, run_id, proposals)
        end_run(db, run_id, "finished", {})


class _Proposals:
    """Makes proposals about the leaves of a project, one after the other, and about what is not placed."""

    def __init__(self, project: Project) -> None:
        self._tree = project.tree
        self._leaves = leaves_of(project)
        self._tops = [c for c in project.tree.children(None) if project.tree.live(c).reserved is None]
        self._members = {c: failure_ids(project.reader, category_ids=[c]) for c in self._leaves}
        self._unplaced = failure_ids(project.reader, unplaced=True)
        self._chance = random.Random(7)

    def of_kind(self, kind: str, n: int) -> Iterator[NewProposal]:
        above: str | None = None
        for i in range(n):
            new = self._one(kind, i, above)
            if kind == "create" and i % 6 == 0:
                above = new.id
            yield new

    def _leaf(self, i: int) -> str:
        """The third leaf is the large one; it comes first, and then not again."""
        rest = [*self._leaves[:2], *self._leaves[3:]]
        return self._leaves[2] if i == 0 else rest[i % len(rest)]

    def _some(self, ids: Sequence[str], i: int, n: int) -> list[str]:
        start = i * n % max(1, len(ids) - n)
        return list(ids[start : start + n])

    def _one(self, kind: str, i: int, above: str | None) -> NewProposal:
        at, name = self._leaf(i), " ".join(self._chance.sample(WORDS, 4))
        own = self._members[at]
        match kind:
            case "place":
                record_id = self._unplaced[i % len(self._unplaced)]
                likely = self._chance.sample(self._leaves, 5)
                candidates = [
                    {"category_id": c, "name": self._tree.live(c).name, "probability": 0.5 / k}
                    for k, c in enumerate(likely, 1)
                ]
                return self._new("place", {"record_id": record_id, "candidates": candidates}, [record_id], n_taught=12)
            case "create":
                named = {"name": f"{name} {i}", "description": "", "named_by": "members"}
                return self._new("create", named, self._some(self._unplaced, i, 10), parent_id=above if i % 6 else None)
            case "assign":
                into = {"category_id": at, "description": "", "named_by": ""}
                return self._new("assign", into, self._some(self._unplaced, i, 3))
            case "merge":
                other = self._leaves[(i * 7 + 11) % len(self._leaves)]
                pair = [at, other if other != at else self._leaves[0]]
                merged = {"category_ids": pair, "into": at, "name": self._tree.live(at).name, "description": None}
                return self._new("merge", merged, [*own, *self._members[pair[1]]])
            case "move failures":
                other = self._leaves[(i * 5 + 3) % len(self._leaves)]
                moved = {"category_id": at, "from_id": other, "named_by": "", "description": ""}
                return self._new("assign", moved, self._some(self._members[other], i, 5))
            case "move":
                parent = next(
                    t for t in self._tops[i % len(self._tops) :] + self._tops if t != self._tree.live(at).parent_id
                )
                return self._new("move", {"category_id": at, "parent_id": parent}, own)
            case "split":
                half = len(own) // 2
                parts = [
                    {"id": f"{i}-{k}", "name": f"{name} {k}", "description": "", "members": ids}
                    for k, ids in enumerate((own[:half], own[half:]))
                ]
                return self._new("split", {"category_id": at, "parts": parts}, own)
            case "promote":
                return self._new("promote", {"category_id": at, "parent_id": None}, own)
            case "rename":
                return self._new("rename", {"category_id": at, "name": f"{name} {i}"}, own)
            case _:
                return self._new("describe", {"category_id": at, "description": f"{name}: {i}"}, own)

    def _new(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        members: Sequence[str],
        *,
        parent_id: str | None = None,
        **evidence: Any,
    ) -> NewProposal:
        seen = {
            c: {"name": row.name, "parent_id": row.parent_id, "description": row.description, "n": len(members)}
            for c in concerned(kind, arguments)
            if (row := self._tree.get(c)) is not None
        }
        worth = round(self._chance.expovariate(0.3), 2)
        said = {"why": tr("They say much the same ({n:,}).", n=len(members)).to_json(), "worth": worth, "seen": seen}
        signals = {"name": 0.4, "description": 0.3, "members": 0.7, "shared_titles": 0.1}
        shown = {"typical": list(members[:5]), "doubtful": list(members[-3:]), "similarity": 0.8, "signals": signals}
        return NewProposal(
            id=content_id("proposal", kind, dict(arguments), sorted(members)),
            kind=kind,
            arguments=arguments,
            evidence={**said, **shown, **evidence},
            score=0.8,
            parent_id=parent_id,
            members=[(record_id, 0.9) for record_id in members],
        )
