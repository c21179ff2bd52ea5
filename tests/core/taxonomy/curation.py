"""Random steps of a curator, for property tests: any operation with arguments that may or may not be possible."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from errormap_core.ids import content_id
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import (
    AddCategory,
    AnnotateCategory,
    AnnotateRecord,
    AssignFailures,
    DecideProposals,
    DeleteCategories,
    DescribeCategory,
    MarkRecords,
    MergeCategories,
    MoveCategories,
    Operation,
    Part,
    RenameCategory,
    Ruling,
    SetChoice,
    SetThreshold,
    SplitCategory,
    UnassignFailures,
    WriteAnalyses,
    WriteAnalysis,
)
from tests.core.building import add_analyses, add_proposals, add_records, add_repairs

NAMES = st.sampled_from(["Arithmetic", "Units", "Reading", "Logic", "Format", "units ", "Other", ""])
TEXTS = st.sampled_from(["", "short", "two words", "“quoted” – ünï"])
NUMBERS = st.integers(min_value=0, max_value=10**6)


class Choices:
    """Turns drawn numbers into ids of what the project holds now, so that shrinking stays simple."""

    def __init__(self, project: Project, record_ids: list[str], proposal_ids: list[str]) -> None:
        self._project = project
        self._records = record_ids
        self._proposals = proposal_ids

    def category(self, number: int) -> str:
        live = [c.id for c in self._project.tree]
        return live[number % len(live)]

    def parent(self, number: int) -> str | None:
        return None if number % 3 == 0 else self.category(number // 3)

    def records(self, number: int) -> tuple[str, ...]:
        n = len(self._records)
        return tuple(self._records[(number + i) % n] for i in range(number % 4))

    def proposal(self, number: int) -> str:
        return self._proposals[number % len(self._proposals)]

    def here(self, number: int, category_id: str) -> tuple[str, ...]:
        """Some records that the category itself holds."""
        sql = "SELECT DISTINCT record_id FROM assignment WHERE category_id = ? ORDER BY record_id"
        held = [row[0] for row in self._project.db.execute(sql, [category_id])]
        return tuple(held[number % 3 :: 2])


def build(choices: Choices, kind: str, numbers: list[int], texts: list[str], name: str) -> Operation:
    """The operation that these draws mean; new ids are made of the draws, so that a run can be repeated."""
    a, b, c = numbers[:3]
    new = content_id("test", kind, numbers, name)
    match kind:
        case "add":
            return AddCategory(name=name, parent_id=choices.parent(a), index=b % 4, category_id=new)
        case "rename":
            return RenameCategory(category_id=choices.category(a), name=name)
        case "describe":
            return DescribeCategory(category_id=choices.category(a), description=texts[0])
        case "annotate":
            return AnnotateCategory(category_id=choices.category(a), notes=texts[0])
        case "move":
            chosen = tuple({choices.category(a), choices.category(b)})
            return MoveCategories(category_ids=chosen, parent_id=choices.parent(c), index=None if a % 2 else b % 5)
        case "merge":
            chosen = tuple(choices.category(n) for n in numbers)
            return MergeCategories(category_ids=chosen, into=chosen[a % 3], on_collision="rename" if b % 2 else "merge")
        case "split":
            category_id = choices.category(a)
            children = choices._project.tree.children(category_id)
            part = Part(
                name=name or "New",
                record_ids=choices.here(b, category_id),
                child_ids=children[: c % 2],
                category_id=new,
            )
            return SplitCategory(category_id=category_id, parts=(part,), is_below=bool(c % 3))
        case "delete":
            return DeleteCategories(
                category_ids=tuple({choices.category(a), choices.category(b)}),
                on_collision="rename" if c % 2 else "merge",
            )
        case "assign":
            return AssignFailures(
                record_ids=choices.records(a),
                category_id=choices.category(b),
                is_primary=bool(c % 4),
                confirms=bool(c % 3),
            )
        case "unassign":
            category_id = choices.category(a)
            return UnassignFailures(record_ids=choices.here(b, category_id), category_id=category_id)
        case "mark":
            marks: list[Any] = [None, "excluded", "disputed"]
            return MarkRecords(record_ids=choices.records(a), mark=marks[b % 3], reason=texts[0])
        case "note":
            return AnnotateRecord(record_id=(choices.records(a) or ("unknown",))[0], text=texts[0])
        case "analysis":
            verdicts: list[Any] = ["error", "no_error", "unclear"]
            return WriteAnalysis(
                record_id=(choices.records(a) or ("unknown",))[0],
                verdict=verdicts[b % 3],
                error_title=texts[0],
                error_summary=texts[1],
            )
        case "analyses":
            written = [
                {"record_id": r, "verdict": "error", "error_title": texts[0], "error_summary": texts[1]}
                for r in choices.records(a)
            ]
            return WriteAnalyses(analyses=tuple(written + written[: b % 2]))
        case "threshold":
            return SetThreshold(dataset=f"d{a % 4}", threshold=[None, 0.0, 0.5, 2.0][b % 4])
        case "choice":
            return SetChoice(key="sampling.ratio", value=[0.0, 0.3, 1.0, 7.0][a % 4])
        case "decide_many":
            chosen = dict.fromkeys(choices.proposal(n) for n in numbers)
            rulings = tuple(
                _ruling(choices, proposal_id, numbers[place:] + numbers[:place], name, content_id("test", new, place))
                for place, proposal_id in enumerate(chosen)
            )
            return DecideProposals(rulings=rulings, is_bulk=bool(a % 3))
        case _:
            return DecideProposals(rulings=(_ruling(choices, choices.proposal(a), numbers, name, new),))


def _ruling(choices: Choices, proposal_id: str, numbers: list[int], name: str, new: str) -> Ruling:
    """A ruling that may fit the kind of its proposal, with a part left out or something changed now and then."""
    a, b, c = numbers[:3]
    verdicts: list[Any] = ["accept", "edit", "reject", "skip", "unsure", "flag", "accept", "accept"]
    verdict = verdicts[b % 8]
    values: dict[str, Any] = {"as_is": bool(c % 2)}
    sql = "SELECT kind, arguments FROM proposal WHERE id = ?"
    kind, text = choices._project.db.execute(sql, [proposal_id]).fetchone()
    arguments = json.loads(text)
    if verdict == "edit":
        values["name"] = name
        match kind:
            case "merge":
                values["without"] = tuple(arguments["category_ids"][c % 4 : c % 4 + 1])
                values["into"] = arguments["category_ids"][a % 3] if c % 3 else None
            case "split":
                values["without"] = tuple(part["id"] for part in arguments["parts"][c % 4 : c % 4 + 1])
                values["is_below"] = bool(a % 2)
                values["parts"] = ({"id": arguments["parts"][0]["id"], "name": name},)
            case "move" | "promote" | "create":
                values["parent_id"] = choices.parent(a)
                values["at_top"] = not c % 4
            case "describe":
                values |= {"description": "Edited.", "name": None}
            case "place":
                values["is_new"] = bool(a % 2)
                values["target"] = [choices.category(c), choices.proposal(c), None][a % 3]
            case _:
                values["parent_id"] = choices.category(c) if a % 2 else None
    return Ruling(proposal_id=proposal_id, verdict=verdict, category_id=new, **values)


def make_curated(path: Path) -> tuple[Project, list[str], list[str]]:
    """30 analysed failures, most of them placed in six categories, with a proposal of every kind and more.

    Undo does not reach behind what is there.
    """
    project = Project.create(path)
    rows = [{"example_id": f"e{i:02}", "model": f"m{i % 2}", "dataset": f"d{i % 3}"} for i in range(30)]
    ids = add_records(project, rows)
    add_analyses(project, {record_id: f"Error {i % 5}" for i, record_id in enumerate(ids)})
    actor = project.annotator("Ann Bee")
    made = {}
    for name, parent in (
        ("Sums", None), ("Adding", None), ("Mixed", None), ("Slips", "Sums"), ("Notation", "other"), ("Totals", "other"),
    ):  # fmt: skip
        parent_id = OTHER_ID if parent == "other" else made.get(parent or "")
        made[name] = content_id("category", "test", name)
        project.apply(AddCategory(name=name, parent_id=parent_id, category_id=made[name]), actor=actor)
    placed = {"Sums": ids[:3], "Adding": ids[3:6], "Mixed": ids[6:12], "Slips": ids[12:14], "Notation": ids[14:16]}
    for name, records in placed.items():
        project.apply(AssignFailures(record_ids=tuple(records), category_id=made[name]), actor=actor)
    created = add_proposals(
        project,
        [
            {"name": "Reading", "records": ids[16:19]},
            {"name": "Skips a line", "records": ids[19:22], "parent": 0},
            {"name": "Sums", "records": ids[22:24]},
            {"category_id": OTHER_ID, "records": ids[24:26]},
        ],
    )
    classified = add_repairs(
        project,
        [{"kind": "assign", "arguments": {"category_id": made["Sums"]}, "members": ids[18:23]}],
        task="classify",
        run="classify",
    )
    merged = ["Sums", "Adding", "Totals"]
    parts = [
        {"id": f"part {n}", "name": f"Part {n}", "description": "", "members": ids[6 + 3 * n : 9 + 3 * n]}
        for n in range(2)
    ]
    repairs = add_repairs(
        project,
        [
            {"kind": "merge", "arguments": {"category_ids": [made[n] for n in merged], "into": made["Sums"],
             "name": "Arithmetic", "description": None}, "members": [*ids[:6]]},
            {"kind": "merge", "arguments": {"category_ids": [made["Adding"], made["Slips"]], "into": made["Adding"],
             "name": "Adding", "description": "Sums."}, "members": [*ids[3:6], *ids[12:14]]},
            {"kind": "promote", "arguments": {"category_id": made["Notation"], "parent_id": None}, "members": ids[14:16]},
            {"kind": "move", "arguments": {"category_id": made["Adding"], "parent_id": made["Mixed"]}, "members": ids[3:6]},
            {"kind": "move", "arguments": {"category_id": made["Mixed"], "parent_id": made["Sums"]}, "members": ids[6:12]},
            {"kind": "split", "arguments": {"category_id": made["Mixed"], "parts": parts}, "members": ids[6:12]},
            {"kind": "rename", "arguments": {"category_id": made["Mixed"], "name": "Reading"}},
            {"kind": "describe", "arguments": {"category_id": made["Slips"], "description": "A slip."}},
            {"kind": "assign", "arguments": {"category_id": made["Sums"], "from_id": made["Mixed"]}, "members": ids[8:10]},
        ],
    )  # fmt: skip
    questions = [
        {"kind": "place", "arguments": {"record_id": record_id, "candidates": [
            {"category_id": made["Sums"], "name": "Sums", "probability": 0.5},
            {"proposal_id": created[n % 3], "name": "?", "probability": 0.3}][:: 1 if n % 2 else -1]},
         "members": [record_id], "id": content_id("proposal", "place", record_id)}
        for n, record_id in enumerate(ids[24:28])
    ]  # fmt: skip
    asked = add_repairs(project, questions, task="queue", run="queue")
    project.hand_over()
    return project, ids, [*created, *classified, *repairs, *asked]


KINDS = st.sampled_from(
    (
        "add rename describe annotate move merge split delete assign unassign mark note analysis analyses "
        "threshold choice decide decide_many"
    ).split()
)
DRAWS = st.tuples(KINDS, st.lists(NUMBERS, min_size=3, max_size=3), st.lists(TEXTS, min_size=2, max_size=2), NAMES)

PEOPLE_TABLES = ("category", "assignment", "decision", "record_mark", "record_note", "chosen_threshold", "choice")


def snapshot(project: Project) -> dict[str, list[Any]]:
    """All rows that people decide or that are derived of them; the log and AUTOINCREMENT's memory are left out."""
    found = {
        table: sorted(project.db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
        for table in (*PEOPLE_TABLES, "failure")
    }
    by_people = "SELECT * FROM analysis WHERE source_id IN (SELECT id FROM source WHERE kind = 'annotator')"
    found["analysis"] = sorted(project.db.execute(by_people).fetchall(), key=repr)
    found["tree"] = [(c.id, c.parent_id, c.name) for c in project.tree]
    return found
