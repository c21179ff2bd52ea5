"""A project with a tree and a proposal of every kind, as machines would have kept them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from errormap_core.ids import content_id
from errormap_core.project.proposing import NewProposal, save_proposals
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import AddCategory, AssignFailures
from errormap_core.taxonomy.standing import concerned
from tests.core.building import add_analyses, add_records

TITLES = (
    "Adds where it should subtract",
    "Slip in a sum of two numbers",
    "Confuses day and week",
    "Reads the question only in part",
)


def new_proposal(
    project: Project,
    kind: str,
    arguments: Mapping[str, Any],
    members: Sequence[str] = (),
    *,
    worth: float = 1.0,
    **evidence: Any,
) -> NewProposal:
    """A proposal with what it saw of the categories that it names."""
    seen = {}
    for category_id in concerned(kind, arguments):
        category = project.tree.live(category_id)
        seen[category_id] = {
            "name": category.name,
            "parent_id": category.parent_id,
            "description": category.description,
        }
    return NewProposal(
        id=content_id("proposal", kind, dict(arguments), sorted(members)),
        kind=kind,
        arguments=arguments,
        evidence={"why": tr("They say much the same.").to_json(), "worth": worth, "seen": seen, **evidence},
        score=0.8,
        parent_id=None,
        members=[(record_id, 0.9) for record_id in members],
    )


def save_run(
    project: Project, proposals: Sequence[NewProposal], *, task: str = "repair", name: str = "Repairs"
) -> None:
    """Keep proposals as a finished run of this task."""
    with project.writing() as db:
        run_id = start_run(db, "propose", name, {"task": task, "n": [p.id for p in proposals]})
        save_proposals(db, run_id, proposals)
        end_run(db, run_id, "finished", {})


class Built:
    """The project, the ids of its categories by name, of its failures, of its proposals by kind."""

    def __init__(self, path: Path) -> None:
        self.project = project = Project.create(path)
        self.actor = project.annotator("Ann Bee")
        rows = [
            {"example_id": f"e{i:02}", "model": f"m{i % 2}", "input_text": f"How many are {i} and {i} days, in weeks?",
             "output_text": f"There are {i} + {i} = {2 * i} days. So the answer is {2 * i} weeks.",
             "correct_answer": f"{2 * i / 7:.2f}"}
            for i in range(40)
        ]  # fmt: skip
        self.records = ids = add_records(project, rows)
        add_analyses(project, {record_id: TITLES[i % 4] for i, record_id in enumerate(ids)})
        self.category: dict[str, str] = {}
        other = next(c.id for c in project.tree if c.reserved == "other")
        self.category["Other"] = other
        self._add("Arithmetic", ids[:6], description="Wrong results of adding, taking away, multiplying or dividing")
        self._add("Calculation mistake", ids[6:10])
        self._add(
            "Units", ids[10:14], parent="Arithmetic", description="The unit of the result is not the one asked for"
        )
        self._add("Reading", ids[14:24], description="The question is not read in full")
        self._add("Unit mix-up", ids[24:28], parent="Other")
        self._add("Misc", ids[28:30], parent="Other")
        self.by_kind: dict[str, NewProposal] = {}

    def _add(self, name: str, record_ids: Sequence[str], *, parent: str | None = None, description: str = "") -> None:
        op = AddCategory(name=name, parent_id=self.category[parent] if parent else None, description=description)
        self.project.apply(op, actor=self.actor)
        self.category[name] = op.category_id
        if record_ids:
            self.project.apply(
                AssignFailures(record_ids=tuple(record_ids), category_id=op.category_id), actor=self.actor
            )

    def propose_all(self) -> "Built":
        """A proposal of every kind, the merge worth most."""
        c, r, project = self.category, self.records, self.project
        create = new_proposal(
            project,
            "create",
            {"name": "Rounding", "description": "Rounds too early", "named_by": "members"},
            r[30:33],
            worth=3.0,
        )
        save_run(project, [create], task="propose", name="Groups")
        parts = [
            {"id": "p1", "name": "Skims the question", "description": "Reads on too fast", "members": r[14:19]},
            {"id": "p2", "name": "Misses a condition", "description": "", "members": r[19:24]},
        ]
        repairs = [
            new_proposal(project, "merge", {"category_ids": [c["Arithmetic"], c["Calculation mistake"]], "into": c["Arithmetic"],
                                            "name": "Arithmetic", "description": None}, r[:10], worth=9.0, similarity=0.83),
            new_proposal(project, "split", {"category_id": c["Reading"], "parts": parts}, r[14:24], worth=6.0),
            new_proposal(project, "promote", {"category_id": c["Unit mix-up"], "parent_id": None}, r[24:28], worth=4.0),
            new_proposal(project, "move", {"category_id": c["Units"], "parent_id": c["Reading"]}, r[10:14], worth=2.5),
            new_proposal(project, "assign", {"category_id": c["Units"], "from_id": c["Reading"], "named_by": "",
                                             "description": ""}, r[22:24], worth=2.0),
            new_proposal(project, "rename", {"category_id": c["Misc"], "name": "Confuses day and week"}, r[28:30], worth=1.5),
            new_proposal(project, "describe", {"category_id": c["Calculation mistake"], "description": "A sum is wrong"}, r[6:10],
                         worth=1.2),
        ]  # fmt: skip
        save_run(project, repairs)
        classify = [
            new_proposal(
                project, "assign", {"category_id": c["Units"], "named_by": "", "description": ""}, r[33:36], worth=2.8
            )
        ]
        save_run(project, classify, task="classify", name="Place")
        candidates = [
            {"category_id": c["Units"], "name": "Units", "probability": 0.61},
            {"category_id": c["Reading"], "name": "Reading", "probability": 0.22},
            {"proposal_id": create.id, "name": "Rounding", "probability": 0.08},
        ]
        questions = [
            new_proposal(project, "place", {"record_id": r[i], "candidates": candidates, "name": "Units"}, [r[i]],
                         worth=8.0 - i / 10, n_taught=14)
            for i in range(36, 40)
        ]  # fmt: skip
        save_run(project, questions, task="queue", name="Questions")
        for new in (create, *repairs, *classify, *questions):
            self.by_kind.setdefault("move failures" if new.arguments.get("from_id") else new.kind, new)
        return self
