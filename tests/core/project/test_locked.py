"""A locked taxonomy: what would change the tree does not wait, and is refused where somebody decides it all the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from errormap_core.cli import main
from errormap_core.decide_job import decide_from
from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.project.check import check
from errormap_core.project.pending import PENDING, pending_proposals, proposal_list, proposal_progress
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.staleness import staleness
from errormap_core.project.store import Project
from errormap_core.proposals.queueing import Queue
from errormap_core.tasks import driven
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    DecideProposals,
    Ruling,
    SetChoice,
)
from tests.core.building import add_analyses, add_proposals, add_records, add_repairs

Desk = tuple[Project, str, dict[str, str], dict[str, str]]

TREE_KINDS = ("create", "merge", "promote", "move", "split", "rename", "describe")


@pytest.fixture
def desk(analysed: tuple[Project, list[str]]) -> Desk:
    """A project with proposals of every kind: the project, a person, categories by name, proposals by kind.

    Failures 0 to 2 are in Sums, 3 to 5 in Units; 6 and 7 may make a category, 8 may go into Units, 9 is asked about.
    """
    project, ids = analysed
    actor = project.annotator("Ann Bee")
    made = {}
    for name, parent in (("Sums", None), ("Units", None), ("Signs", OTHER_ID)):
        add = AddCategory(name=name, parent_id=parent)
        project.apply(add, actor=actor)
        made[name] = add.category_id
    project.apply(AssignFailures(record_ids=tuple(ids[:3]), category_id=made["Sums"]), actor=actor)
    project.apply(AssignFailures(record_ids=tuple(ids[3:6]), category_id=made["Units"]), actor=actor)
    (create, place) = add_proposals(
        project,
        [
            {"name": "Carries", "description": "A digit is lost.", "records": ids[6:8]},
            {"category_id": made["Units"], "records": ids[8:9]},
        ],
    )
    split = [
        {"id": "p1", "name": "Totals", "description": "", "members": ids[:1]},
        {"id": "p2", "name": "Digits", "description": "", "members": ids[1:3]},
    ]
    pair = [made["Sums"], made["Units"]]
    kinds = {
        "merge": {"category_ids": pair, "into": pair[0], "name": "Sums", "description": None},
        "promote": {"category_id": made["Signs"], "parent_id": None},
        "move": {"category_id": made["Units"], "parent_id": made["Sums"]},
        "split": {"category_id": made["Sums"], "parts": split},
        "rename": {"category_id": made["Sums"], "name": "Additions", "named_by": ""},
        "describe": {"category_id": made["Sums"], "description": "Sums go wrong.", "named_by": ""},
        "assign": {"category_id": made["Units"], "from_id": made["Sums"], "description": "", "named_by": ""},
    }
    members = {"merge": ids[:6], "split": ids[:3], "assign": ids[:1]}
    repairs = add_repairs(
        project,
        [{"kind": kind, "arguments": values, "members": members.get(kind, ())} for kind, values in kinds.items()],
    )
    candidates = [
        {"proposal_id": create, "name": "Carries", "probability": 0.6},
        {"category_id": made["Units"], "name": "Units", "probability": 0.4},
    ]
    (question,) = add_repairs(
        project,
        [
            {
                "kind": "place",
                "arguments": {"record_id": ids[9], "candidates": candidates, "name": "Carries"},
                "members": ids[9:10],
                "id": content_id("proposal", "place", ids[9]),
            }
        ],
        task="queue",
        run="queue",
    )
    return (
        project,
        actor,
        made,
        {**dict(zip(kinds, repairs, strict=True)), "create": create, "into": place, "place": question},
    )


def lock(desk: Desk, is_locked: bool = True) -> None:
    desk[0].apply(SetChoice(key="taxonomy.locked", value=is_locked), actor=desk[1])


def decide(desk: Desk, kind: str, verdict: Any = "accept", **values: Any) -> None:
    ruling = Ruling(proposal_id=desk[3][kind], verdict=verdict, **values)
    desk[0].apply(DecideProposals(rulings=(ruling,)), actor=desk[1])


def tree(project: Project) -> list[tuple[str, str | None, str, str]]:
    return [(c.id, c.parent_id, c.name, c.description) for c in project.tree]


def test_what_would_change_the_tree_does_not_wait(desk: Desk) -> None:
    project, _, _, proposals = desk
    assert {row.id for row in pending_proposals(project.db)} == set(proposals.values())
    lock(desk)
    left = {proposals["assign"], proposals["into"], proposals["place"]}
    assert {row.id for row in pending_proposals(project.db)} == left
    assert {row.id for row in proposal_list(project.db)} == left
    assert proposal_progress(project.db).total.pending == 3
    lock(desk, False)
    assert {row.id for row in pending_proposals(project.db)} == set(proposals.values())


@pytest.mark.parametrize("kind", TREE_KINDS)
def test_it_is_refused_all_the_same(desk: Desk, kind: str) -> None:
    project, actor, _, proposals = desk
    lock(desk)
    before = tree(project)
    ruling = Ruling(proposal_id=proposals[kind], verdict="accept")
    for is_bulk in (False, True):
        for ruled in (ruling, Ruling(proposal_id=proposals[kind], verdict="edit", as_is=True)):
            step = DecideProposals(rulings=(ruled,), is_bulk=is_bulk)
            for act in (project.apply, project.preview):
                with pytest.raises(KnownError, match="locked") as refused:
                    act(step, actor=actor)
                assert "the proposal" in str(refused.value.where)
                assert "Lock the taxonomy" in str(refused.value.fix)
    assert tree(project) == before
    assert "locked" in str(staleness(project, proposals[kind]))
    lock(desk, False)
    decide(desk, kind)
    assert tree(project) != before
    lock(desk)
    project.undo(actor=actor)  # the lock
    project.undo(actor=actor)
    assert tree(project) == before
    assert check(project, replay=True) == []


def test_what_was_accepted_can_be_undone_and_redone_under_the_lock(desk: Desk) -> None:
    project, actor, _, _ = desk
    before = tree(project)
    decide(desk, "rename")
    (entry,) = project.db.execute("SELECT id FROM log ORDER BY seq DESC LIMIT 1").fetchone()
    lock(desk)
    undo = project.undo_entry(entry, actor=actor)
    assert tree(project) == before
    project.undo_entry(undo.entry_id, actor=actor)
    assert tree(project) != before
    assert check(project, replay=True) == []


def test_it_can_be_rejected_and_set_aside(desk: Desk) -> None:
    project, _, _, proposals = desk
    lock(desk)
    decide(desk, "merge", "reject")
    decide(desk, "split", "flag")
    lock(desk, False)
    waiting = {row.id for row in proposal_list(project.db, states=PENDING)}
    assert waiting.isdisjoint({proposals["merge"], proposals["split"]})
    assert check(project, replay=True) == []


def test_failures_are_placed_and_moved_in_what_is_there(desk: Desk) -> None:
    project, _, made, proposals = desk
    before = tree(project)
    lock(desk)
    decide(desk, "assign")
    decide(desk, "into")
    decide(desk, "place")  # the likeliest category that is there
    sql = "SELECT category_id FROM decision WHERE proposal_id = ?"
    assert project.db.execute(sql, [proposals["place"]]).fetchone() == (made["Units"],)
    assert tree(project) == before
    assert check(project, replay=True) == []


@pytest.mark.parametrize(
    "values",
    [
        {"target": "create"},
        {"is_new": True, "name": "Borrows"},
        {"target": "Units", "same": "Sums"},
    ],
)
def test_an_answer_makes_no_category(desk: Desk, values: dict[str, Any]) -> None:
    project, _, made, proposals = desk
    lock(desk)
    before = tree(project)
    known = {**made, **proposals}
    answer = {key: known.get(value, value) if key == "target" else value for key, value in values.items()}
    if "same" in answer:
        answer["same"] = (made[answer["same"]],)
    with pytest.raises(KnownError, match="locked") as refused:
        decide(desk, "place", "edit", **answer)
    assert "Lock the taxonomy" in str(refused.value.fix)
    assert tree(project) == before
    lock(desk, False)
    decide(desk, "place", "edit", **answer)
    assert tree(project) != before
    assert check(project, replay=True) == []


def test_an_answer_may_name_a_category_that_is_there(desk: Desk) -> None:
    project, _, made, proposals = desk
    lock(desk)
    decide(desk, "place", "edit", is_new=True, name="units")
    sql = "SELECT category_id FROM decision WHERE proposal_id = ?"
    assert project.db.execute(sql, [proposals["place"]]).fetchone() == (made["Units"],)


def test_a_file_of_decisions_tells_what_is_locked(desk: Desk, tmp_path: Path) -> None:
    project, actor, made, proposals = desk
    lock(desk)
    lines: list[dict[str, Any]] = [
        {"proposal": proposals["create"], "verdict": "accept"},
        {"proposal": proposals["merge"], "verdict": "edit", "name": "Numbers"},
        {"proposal": proposals["place"], "verdict": "edit", "name": "Borrows"},
        {"proposal": proposals["place"], "verdict": "accept", "target": made["Sums"]},
    ]
    path = tmp_path / "decisions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done = driven(decide_from(project, path, actor=actor))
    assert [problem.line for problem in done.problems] == [1, 2, 3]
    assert {problem.sort for problem in done.problems} == {"refused"}
    assert all("locked" in str(problem) and "Lock the taxonomy" in str(problem) for problem in done.problems)
    assert done.taken.total() == 1


def test_failures_that_belong_elsewhere_are_proposed_by_the_command(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    actor = project.annotator("Ann Bee")
    titles = {
        "Wrong unit": [
            "Metres mistaken for feet",
            "Hours taken for minutes",
            "Miles for kilometres",
            "Wrong unit of length",
        ],
        "Wrong language": ["Answers in French", "Replies in Spanish", "Switches to German", "Output is not in English"],
    }
    for n, (name, own) in enumerate(titles.items()):
        add = AddCategory(name=name)
        project.apply(add, actor=actor)
        own = [*own, "Answers in French, not in English"] if n == 0 else own
        ids = add_records(project, [{"example_id": f"{n} {k}"} for k in range(len(own))])
        add_analyses(project, dict(zip(ids, own, strict=True)), run=name)
        project.apply(AssignFailures(record_ids=tuple(ids), category_id=add.category_id), actor=actor)
    project.apply(SetChoice(key="taxonomy.locked", value=True), actor=actor)
    path = project.path
    project.close()
    assert main(["propose", str(path), "--json", "--progress", "none"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in said["pending"]] == ["assign"]
    assert said["pending"][0]["members"] == 1
    assert "locked" in said["repair"]["note"]
    assert main(["propose", str(path), "--kind", "merge", "--progress", "none"]) == 0
    said_too = capsys.readouterr().out
    assert "The taxonomy is locked" in said_too
    assert "No proposal waits" in said_too


def test_questions_name_the_categories_that_are_there(project: Project) -> None:
    actor = project.annotator("Ann Bee")
    encoder = SentenceEncoder(threads=1)
    add = AddCategory(name="Wrong language")
    project.apply(add, actor=actor)
    titles = ["Answers in French", "Replies in Spanish", "Switches to German", "Wrong sum", "Adds badly", "Bad total"]
    ids = add_records(project, [{"example_id": str(k)} for k in range(6)])
    add_analyses(project, dict(zip(ids, titles, strict=True)))
    (create,) = add_proposals(project, [{"name": "Wrong sums", "records": ids[3:]}])

    def named() -> set[str]:
        found = driven(Queue(project, encoder).refresh())
        return {c.get("category_id") or c["proposal_id"] for q in found["questions"] for c in q["candidates"]}

    assert named() == {add.category_id, create}
    project.apply(SetChoice(key="taxonomy.locked", value=True), actor=actor)
    assert named() == {add.category_id}


def test_nothing_is_merged_with_an_answer_also_not_what_was_made_of_a_proposal(desk: Desk) -> None:
    project, _, made, proposals = desk
    decide(desk, "create")
    before = tree(project)
    lock(desk)
    for same in (proposals["create"], made["Sums"]):
        with pytest.raises(KnownError, match="locked"):
            decide(desk, "place", "edit", target=made["Units"], same=(same,))
    assert tree(project) == before
    decide(desk, "place", "edit", target=proposals["create"])  # it is a category by now
    assert tree(project) == before
    assert check(project, replay=True) == []
