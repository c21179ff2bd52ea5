"""Repairs of a real project's tree with the real encoder: what is kept of them, what a rejection does, without failures too."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.errors import KnownError
from errormap_core.project.check import check
from errormap_core.project.lease import take_lease
from errormap_core.project.memory import refusals
from errormap_core.project.pending import ProposalRow, pending_proposals, proposal_list
from errormap_core.project.proposing import latest_propose_run, proposal_members
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals.repairing import repair
from errormap_core.sentences import tr
from errormap_core.tasks import driven
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    DecideProposals,
    RenameCategory,
    Ruling,
    SetChoice,
)
from tests.core.building import add_analyses, add_records

TITLES = {
    "Arithmetic slip": (
        "Wrong sum of two numbers",
        "Adds the prices wrongly",
        "Lost a carry digit",
        "Subtraction is off by ten",
    ),
    "Calculation mistake": (
        "Miscalculated the total",
        "The product is wrong",
        "Wrong multiplication",
        "Sum is off by one",
    ),
    "Wrong language": ("Answers in French", "Replies in Spanish", "Switches to German", "Output is not in English"),
    "Unit confusion": (
        "Metres mistaken for feet",
        "Wrong unit of length",
        "Hours taken for minutes",
        "Miles for kilometres",
    ),
}


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(threads=1)


def grow(project: Project, actor: str, *, below_other: Sequence[str] = ("Calculation mistake",)) -> dict[str, str]:
    """Categories of TITLES with their failures, some of them below Other; ids by name."""
    found = {}
    for n, (name, titles) in enumerate(TITLES.items()):
        add = AddCategory(name=name, parent_id=OTHER_ID if name in below_other else None)
        project.apply(add, actor=actor)
        ids = add_records(project, [{"example_id": f"{n} {k}"} for k in range(len(titles))])
        add_analyses(project, dict(zip(ids, titles, strict=True)), run=f"judge {n}")
        project.apply(AssignFailures(record_ids=tuple(ids), category_id=add.category_id), actor=actor)
        found[name] = add.category_id
    return found


def merges(project: Project) -> list[ProposalRow]:
    return proposal_list(project.db, kinds=["merge"])


def concerns(row: ProposalRow, *ids: str) -> bool:
    return set(ids) <= set(row.category_ids)


def decide(project: Project, actor: str, key: str, verdict: Any = "reject", **values: Any) -> None:
    project.apply(DecideProposals(rulings=(Ruling(proposal_id=key, verdict=verdict, **values),)), actor=actor)


def test_a_child_of_other_that_doubles_a_category_is_proposed_first(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    made = grow(project, annotator)
    result = driven(repair(project, encoder))
    rows = merges(project)
    assert concerns(rows[0], made["Arithmetic slip"], made["Calculation mistake"])
    assert rows[0].arguments["into"] == made["Arithmetic slip"], "what is not below Other stays"
    assert rows[0].task == "repair"
    assert rows[0].why is not None
    assert rows[0].worth > 0
    assert rows[0].evidence["seen"][made["Arithmetic slip"]] == {
        "name": "Arithmetic slip", "parent_id": None, "description": "", "n": 4,
    }  # fmt: skip
    members = [record_id for record_id, _ in proposal_members(project.db, rows[0].id)]
    assert len(members) == 8
    assert set(rows[0].evidence["typical"]) <= set(members)
    assert result["merge"] == len(rows)
    assert result["proposals"] == len(pending_proposals(project.db))
    assert "proposed" in str(result["note"])
    worths = [row.worth for row in proposal_list(project.db)]
    assert worths == sorted(worths, reverse=True)
    before = check(project, replay=True)
    decide(project, annotator, rows[0].id, "accept")
    assert before == check(project, replay=True) == []
    assert made["Calculation mistake"] not in project.tree


def test_the_same_tree_is_the_same_run(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    grow(project, annotator)
    first = driven(repair(project, encoder))
    kept = [(row.id, row.evidence, row.arguments) for row in pending_proposals(project.db)]
    again = driven(repair(project, encoder))
    assert (again["run"], again["encoded"]) == (first["run"], 0)
    assert "The tree is as it was" in str(again["note"])
    assert [(row.id, row.evidence, row.arguments) for row in pending_proposals(project.db)] == kept
    latest = latest_propose_run(project.db, "repair")
    assert latest is not None
    assert json.loads(latest["parameters"])["task"] == "repair"
    assert latest_propose_run(project.db) is None, "it is no run of clusters"


def test_a_rejected_merge_comes_back_when_its_failures_changed_by_more_than_a_fifth(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    made = grow(project, annotator)
    pair = made["Arithmetic slip"], made["Calculation mistake"]
    driven(repair(project, encoder))
    first = merges(project)[0]
    decide(project, annotator, first.id)
    refused = driven(repair(project, encoder))
    assert refused["run"] is not None
    assert not any(concerns(row, *pair) for row in merges(project))

    def more(n: int, run: str) -> None:
        ids = add_records(project, [{"example_id": f"{run} {k}"} for k in range(n)])
        add_analyses(project, dict.fromkeys(ids, "Adds the numbers wrongly"), run=run)
        project.apply(AssignFailures(record_ids=tuple(ids), category_id=pair[0]), actor=annotator)

    more(2, "two more")  # 8 of 10 are the same
    driven(repair(project, encoder))
    assert not any(concerns(row, *pair) for row in merges(project))
    more(1, "one more")
    driven(repair(project, encoder))
    (back,) = [row for row in merges(project) if concerns(row, *pair)]
    assert back.id != first.id
    said = back.evidence["rejected_before"]
    assert (said["by"], said["n_then"], said["n_now"]) == ("Ann Bee", 8, 11)
    assert said["at"] == refusals(project.db).by_key[frozenset(pair)][0].at


def test_undoing_a_rejection_forgets_it(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    grow(project, annotator)
    driven(repair(project, encoder))
    first = merges(project)[0]
    decide(project, annotator, first.id)
    driven(repair(project, encoder))
    assert first.id not in {row.id for row in merges(project)}
    project.undo(actor=annotator)
    driven(repair(project, encoder))
    back = next(row for row in merges(project) if row.id == first.id)
    assert "rejected_before" not in back.evidence


def test_what_a_rename_made_pointless_is_not_proposed(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    made = grow(project, annotator)
    driven(repair(project, encoder))
    n = len(pending_proposals(project.db))
    project.apply(RenameCategory(category_id=made["Wrong language"], name="Other tongue"), actor=annotator)
    driven(repair(project, encoder))
    for row in pending_proposals(project.db):
        seen = row.evidence["seen"].get(made["Wrong language"])
        assert seen is None or seen["name"] == "Other tongue"
    assert n > 0


def test_a_taxonomy_without_failures_is_repaired_by_its_names(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    names = {
        "Arithmetic error": "The numbers are added or multiplied wrongly.",
        "Calculation mistake": "Sums, products or differences are computed wrongly.",
        "Wrong output language": "The answer is in another language than asked for.",
        "Invented citation": "A source is named that does not exist.",
        "Ignored length limit": "The answer is longer than was allowed.",
    }
    made = {}
    for name, description in names.items():
        add = AddCategory(name=name, description=description)
        project.apply(add, actor=annotator)
        made[name] = add.category_id
    driven(repair(project, encoder))
    first = merges(project)[0]
    assert concerns(first, made["Arithmetic error"], made["Calculation mistake"])
    assert first.n_members == 0
    decide(project, annotator, first.id)
    driven(repair(project, encoder))
    assert not any(concerns(row, *first.category_ids) for row in merges(project))
    project.apply(RenameCategory(category_id=made["Arithmetic error"], name="Sums are wrong"), actor=annotator)
    driven(repair(project, encoder))
    back = [row for row in merges(project) if concerns(row, *first.category_ids)]
    assert all("rejected_before" in row.evidence for row in back), "its name is all the evidence there is, and changed"


def test_of_a_locked_taxonomy_only_failures_are_moved(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    made = grow(project, annotator)
    ids = add_records(project, [{"example_id": "stray"}])
    add_analyses(project, dict.fromkeys(ids, "Answers in French, not in English"), run="stray")
    project.apply(AssignFailures(record_ids=tuple(ids), category_id=made["Unit confusion"]), actor=annotator)
    project.apply(SetChoice(key="taxonomy.locked", value=True), actor=annotator)
    result = driven(repair(project, encoder))
    assert {row.kind for row in pending_proposals(project.db)} == {"assign"}
    assert "locked" in str(result["note"])
    project.apply(SetChoice(key="taxonomy.locked", value=False), actor=annotator)
    driven(repair(project, encoder))
    assert "merge" in {row.kind for row in pending_proposals(project.db)}


@pytest.mark.parametrize("n_left_out", [1, 2, 3])
def test_failures_that_are_to_stay_are_not_proposed_for_the_same_move_again(
    project: Project, encoder: SentenceEncoder, annotator: str, n_left_out: int
) -> None:
    """Left out of an accepted move (or, all three of them, rejected), also when others are proposed for it."""
    made = grow(project, annotator)

    def stray(run: str, titles: Sequence[str]) -> list[str]:
        ids = add_records(project, [{"example_id": f"{run} {n}"} for n in range(len(titles))])
        add_analyses(project, dict(zip(ids, titles, strict=True)), run=run)
        project.apply(AssignFailures(record_ids=tuple(ids), category_id=OTHER_ID), actor=annotator)
        return ids

    def moves() -> list[ProposalRow]:
        rows = proposal_list(project.db, kinds=["assign"])
        return [row for row in rows if row.arguments["from_id"] == OTHER_ID]

    def members(row: ProposalRow) -> set[str]:
        return {record_id for record_id, _ in proposal_members(project.db, row.id)}

    first = stray("first", ["Answers in French", "Replies in Spanish", "Switches to German"])
    driven(repair(project, encoder))
    (row,) = moves()
    assert (row.arguments["category_id"], members(row)) == (made["Wrong language"], set(first))
    if n_left_out == len(first):
        decide(project, annotator, row.id)
    else:
        decide(project, annotator, row.id, "edit", without=tuple(first[:n_left_out]))
    driven(repair(project, encoder))
    assert moves() == []
    if n_left_out == len(first):  # two of the three are another set of failures: its likeness is 2 of 3
        project.apply(AssignFailures(record_ids=(first[0],), category_id=made["Arithmetic slip"]), actor=annotator)
        driven(repair(project, encoder))
        assert moves() == []
    (new,) = stray("second", ["Output is not in English"])
    driven(repair(project, encoder))
    (row,) = moves()
    assert members(row) == {new}


def test_undoing_a_move_forgets_what_was_left_out_of_it(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    grow(project, annotator)
    ids = add_records(project, [{"example_id": f"stray {n}"} for n in range(2)])
    add_analyses(project, dict.fromkeys(ids, "Answers in French"), run="stray")
    project.apply(AssignFailures(record_ids=tuple(ids), category_id=OTHER_ID), actor=annotator)
    driven(repair(project, encoder))
    before = [row.id for row in proposal_list(project.db, kinds=["assign"])]
    decide(project, annotator, before[0], "edit", without=(ids[0],))
    driven(repair(project, encoder))
    assert proposal_list(project.db, kinds=["assign"]) == []
    project.undo(actor=annotator)
    driven(repair(project, encoder))
    assert [row.id for row in proposal_list(project.db, kinds=["assign"])] == before


def test_a_tree_without_categories_has_nothing_to_repair(project: Project, encoder: SentenceEncoder) -> None:
    result = driven(repair(project, encoder))
    assert result["run"] is None
    assert "no category yet" in str(result["note"])


def test_stopped_it_proposes_nothing(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    grow(project, annotator)
    for n in (1, 2, 5, 12, 30, 80, 200, 500, 1200, 3000, 8000, 20000):
        asked = iter([False] * n)
        result = driven(repair(project, encoder, cancelled=lambda it=asked: next(it, True)))  # type: ignore[misc]
        if result["run"] is not None:
            break
        assert pending_proposals(project.db) == []
    assert driven(repair(project, encoder))["proposals"] > 0


def test_two_do_not_propose_at_once(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    grow(project, annotator)
    lease = take_lease(project, "propose", purpose=tr("Proposing"))
    with pytest.raises(KnownError, match="under way"):
        driven(repair(project, encoder))
    lease.release()
