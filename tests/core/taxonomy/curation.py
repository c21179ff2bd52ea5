"""Random steps of a curator, for property tests: any operation with arguments that may or may not be possible."""

from typing import Any

from hypothesis import strategies as st

from errormap_core.ids import content_id
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
                record_ids=choices.records(a), category_id=choices.category(b), is_primary=bool(c % 4)
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
        case _:
            verdicts = ["accept", "edit", "reject", "skip"]
            ruling = Ruling(
                proposal_id=choices.proposal(a),
                verdict=verdicts[b % 4],
                category_id=new,
                name=name if b % 4 == 1 else None,
            )
            return DecideProposals(rulings=(ruling,))


KINDS = st.sampled_from(
    (
        "add rename describe annotate move merge split delete assign unassign mark note analysis analyses "
        "threshold choice decide"
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
