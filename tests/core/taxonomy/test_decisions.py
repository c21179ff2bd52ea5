"""Deciding proposals of every kind: what accepting does, what may be left out or edited, what went stale, undo and replay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errormap_core.errors import KnownError
from errormap_core.project import queries
from errormap_core.project.check import check
from errormap_core.project.pending import proposal
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.staleness import refreshed, staleness
from errormap_core.taxonomy.operations import (
    AssignFailures,
    DecideProposals,
    DeleteCategories,
    DescribeCategory,
    MergeCategories,
    MoveCategories,
    RenameCategory,
    Ruling,
)
from tests.core.building import add_proposals, add_repairs
from tests.core.taxonomy.bench import Bench, ask, parts_of
from tests.core.taxonomy.curation import snapshot


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Whatever a test did: the project is sound, a replay gives the same, and undo leads back to the beginning."""
    made = Bench(tmp_path / "bench.errormap")
    made.project.hand_over()
    before = snapshot(made.project)
    yield made
    assert [str(problem.sentence) for problem in check(made.project, replay=True)] == []
    while made.project.undo(actor=made.ann):
        pass
    assert snapshot(made.project) == before
    made.project.close()


# What accepting does


def test_a_merge_is_that_of_the_tree(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", name="Arithmetic")
    change = bench.decide(merge)
    assert bench.names() == ["Arithmetic", "Mixed", "Other / Notation"]
    assert sorted(bench.held("Sums")) == sorted(bench.ids[:7])
    assert str(change.summary) == "Merged 2 categories into “Arithmetic”, 3 failures moved"
    assert bench.decision(merge)["category_id"] == bench.of["Sums"]
    assert bench.decision(merge)["details"] == {}
    assert bench.waits() == []
    bench.project.undo(actor=bench.ann)
    assert bench.waits() == [merge]
    assert bench.decision(merge) == {}


def test_one_category_is_left_out_of_a_merge_and_another_survives(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", "Mixed", name="Arithmetic")
    left_out = bench.of["Sums"]
    bench.decide(merge, "edit", without=(left_out,), into=bench.of["Mixed"])
    assert bench.names() == ["Sums", "Mixed", "Other / Notation"], (
        "the survivor keeps its name: the proposed one was another's"
    )
    assert len(bench.held("Mixed")) == 9
    assert bench.decision(merge)["details"] == {"without": [left_out], "into": bench.of["Mixed"]}


def test_where_the_survivor_is_left_out_another_takes_its_place(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", "Mixed", name="Arithmetic")
    bench.decide(merge, "edit", without=(bench.of["Sums"],))
    assert bench.names() == ["Sums", "Adding", "Other / Notation"]


def test_a_child_of_other_is_merged_into_a_top_category(bench: Bench) -> None:
    merge = bench.merge("Sums", "Notation")
    effect = bench.project.preview(
        DecideProposals(rulings=(Ruling(proposal_id=merge, verdict="accept"),)), actor=bench.ann
    )
    assert (effect.other_before, effect.other_after, effect.n_total) == (2, 0, 24)
    assert (effect.n_failures, effect.n_decisions) == (2, 2)
    assert "Other: 8.3% → 0.0%." in [str(said) for said in effect.sentences()]
    bench.decide(merge)
    assert queries.totals(bench.project.db).n_other == 0


def test_a_promotion_takes_a_child_of_other_to_the_top(bench: Bench) -> None:
    promote = bench.propose("promote", {"category_id": bench.of["Notation"], "parent_id": None}, bench.held("Notation"))
    row = proposal(bench.project.db, promote)
    assert str(row.title) == "Move “Notation” to the top"
    change = bench.decide(promote)
    assert bench.names() == ["Sums", "Adding", "Mixed", "Notation"]
    assert str(change.summary) == "Moved “Notation” to the top"


def test_a_promotion_may_have_another_parent_and_another_name(bench: Bench) -> None:
    promote = bench.propose("promote", {"category_id": bench.of["Notation"], "parent_id": None})
    bench.decide(promote, "edit", parent_id=bench.of["Sums"], name="Signs", description="Signs are mixed up.")
    assert bench.names() == ["Sums", "Sums / Signs", "Adding", "Mixed"]
    assert bench.project.tree.live(bench.of["Notation"]).description == "Signs are mixed up."


def test_a_new_name_lets_a_category_move_beside_one_of_its_own(bench: Bench) -> None:
    bench.add("Copy", "Sums")
    bench.do(RenameCategory(category_id=bench.of["Copy"], name="Adding"))
    move = bench.propose("move", {"category_id": bench.of["Copy"], "parent_id": None})
    with pytest.raises(KnownError, match="exists already"):
        bench.decide(move)
    bench.decide(move, "edit", name="Totals")
    assert bench.names() == ["Sums", "Adding", "Mixed", "Totals", "Other / Notation"]


def test_a_move_may_go_to_the_top_instead(bench: Bench) -> None:
    bench.add("Slips", "Sums")
    move = bench.propose("move", {"category_id": bench.of["Slips"], "parent_id": bench.of["Mixed"]})
    assert str(proposal(bench.project.db, move).title) == "Move “Slips” below “Mixed”"
    bench.decide(move, "edit", at_top=True)
    assert bench.names() == ["Sums", "Adding", "Mixed", "Slips", "Other / Notation"]


def test_a_split_into_parts_leaves_no_empty_category(bench: Bench) -> None:
    split = bench.propose("split", parts_of(bench, "Dates", "Units", "Names"), bench.held("Mixed"))
    bench.decide(split)
    assert set(bench.names()) == {"Sums", "Adding", "Dates", "Units", "Names", "Other / Notation"}
    tree = bench.project.tree
    took_over = tree.resolve(bench.of["Mixed"])
    assert took_over.name == "Dates"
    assert json.loads(took_over.aliases) == ["Mixed"]
    assert bench.decision(split)["category_id"] == took_over.id


def test_parts_of_a_split_are_left_out_renamed_and_filled_otherwise(bench: Bench) -> None:
    split = bench.propose("split", parts_of(bench, "Dates", "Units", "Names"))
    parts = (
        {"id": "p1", "name": "Measures", "members": bench.ids[9:12]},
        {"id": "new", "name": "Rest", "members": bench.ids[12:13]},
    )
    bench.decide(split, "edit", without=("p0", "p2"), parts=parts)
    assert bench.names() == ["Sums", "Adding", "Mixed", "Measures", "Rest", "Other / Notation"]
    assert sorted(bench.held("Mixed")) == sorted(bench.ids[7:9])
    details = bench.decision(split)["details"]
    assert details["without"] == ["p0", "p2"]
    assert [part["id"] for part in details["parts"]] == ["p1", "new"]


def test_a_part_with_the_categorys_own_name_stays_in_it(bench: Bench) -> None:
    split = bench.propose("split", parts_of(bench, "Dates", "mixed", "Names"))
    bench.decide(split)
    assert set(bench.names()) == {"Sums", "Adding", "Mixed", "Dates", "Names", "Other / Notation"}
    assert sorted(bench.held("Mixed")) == sorted(bench.ids[9:11])


def test_a_split_may_go_below_the_category(bench: Bench) -> None:
    split = bench.propose("split", parts_of(bench, "Dates", "Units", "Names"))
    bench.decide(split, "edit", is_below=True)
    assert [name for name in bench.names() if name.startswith("Mixed")] == [
        "Mixed", "Mixed / Dates", "Mixed / Units", "Mixed / Names",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "values"), [("rename", {"description": "Edited."}), ("describe", {"name": "Edited"})])
def test_wordings_are_taken_and_edited(bench: Bench, kind: str, values: dict[str, str]) -> None:
    arguments = {"rename": {"name": "Reading"}, "describe": {"description": "Misread."}}[kind]
    wording = bench.propose(kind, {"category_id": bench.of["Mixed"], **arguments})
    bench.decide(wording)
    category = bench.project.tree.live(bench.of["Mixed"])
    assert {kind: getattr(category, {"rename": "name", "describe": "description"}[kind])} == {
        kind: next(iter(arguments.values()))
    }
    bench.project.undo(actor=bench.ann)
    bench.decide(wording, "edit", **values)
    category = bench.project.tree.live(bench.of["Mixed"])
    name, value = next(iter(values.items()))
    assert getattr(category, name) == value


def test_failures_move_from_one_category_to_another(bench: Bench) -> None:
    moving = bench.ids[7:10]
    move = bench.propose("assign", {"category_id": bench.of["Sums"], "from_id": bench.of["Mixed"]}, moving)
    change = bench.decide(move, "edit", without=(moving[0],))
    assert str(change.summary) == "Moved 2 failures from “Mixed” to “Sums”"
    assert moving[0] in bench.held("Mixed")
    assert set(moving[1:]) <= set(bench.held("Sums"))


def test_a_failure_that_stands_twice_after_a_move_stands_once(bench: Bench) -> None:
    record = bench.ids[7]
    bench.do(AssignFailures(record_ids=(record,), category_id=bench.of["Sums"], is_primary=False))
    move = bench.propose("assign", {"category_id": bench.of["Sums"], "from_id": bench.of["Mixed"]}, [record])
    bench.decide(move)
    sql = "SELECT category_id, is_primary FROM assignment WHERE record_id = ?"
    assert bench.project.db.execute(sql, [record]).fetchall() == [(bench.of["Sums"], 1)]


# Questions


def test_a_question_is_answered_with_the_first_candidate_as_the_persons_own_word(bench: Bench) -> None:
    record = bench.ids[20]
    question = ask(bench, record, {"category_id": bench.of["Adding"]}, {"category_id": bench.of["Sums"]})
    row = proposal(bench.project.db, question)
    assert (row.kind, row.name, str(row.title)) == ("place", "Error 20", "Where does “Error 20” belong?")
    assert row.category_ids == (bench.of["Adding"],)
    change = bench.decide(question)
    assert str(change.summary) == "Placed d e20 of m in “Adding”"
    assert record in bench.held("Adding")
    (placed,) = [each for each in queries.record_detail(bench.project.db, record).assignments if each.counts]
    assert (placed.source_kind, placed.source_name) == ("annotator", "Ann Bee")
    assert bench.decision(question)["details"] == {"target": bench.of["Adding"]}


def test_a_question_is_answered_with_any_other_or_a_new_category(bench: Bench) -> None:
    first, second, third = (ask(bench, bench.ids[n], {"category_id": bench.of["Adding"]}) for n in (20, 21, 22))
    bench.decide(first, "edit", target=OTHER_ID)
    assert bench.ids[20] in bench.held("Other")
    bench.decide(second, "edit", is_new=True, name="Brand new", parent_id=bench.of["Sums"])
    bench.decide(third, "edit", is_new=True, name="brand  NEW", parent_id=bench.of["Sums"])
    assert "Sums / Brand new" in bench.names()
    (new,) = [category for category in bench.project.tree if category.name == "Brand new"]
    assert set(queries.failure_ids(bench.project.db, category_ids=[new.id])) == set(bench.ids[21:23])


def test_placing_in_a_proposed_category_makes_it_of_this_failure_alone(bench: Bench) -> None:
    top, below = add_proposals(
        bench.project,
        [
            {"name": "Logic", "records": bench.ids[15:17]},
            {"name": "Quantifiers", "records": bench.ids[17:20], "parent": 0},
        ],
    )
    question = ask(bench, bench.ids[18], {"proposal_id": below}, {"category_id": bench.of["Sums"]})
    bench.decide(question)
    assert [name for name in bench.names() if name.startswith("Logic")] == ["Logic", "Logic / Quantifiers"]
    made = bench.decision(below)
    assert (made["verdict"], made["details"]) == ("edit", {"placed": bench.ids[18]})
    assert bench.decision(top)["verdict"] == "edit"
    assert queries.failure_ids(bench.project.db, category_ids=[made["category_id"]]) == [bench.ids[18]]
    assert queries.totals(bench.project.db).n_unplaced == 8, "the others of the proposal have no place yet"
    assert bench.waits() == []
    again = ask(bench, bench.ids[17], {"proposal_id": below})
    bench.decide(again)
    assert len(queries.failure_ids(bench.project.db, category_ids=[made["category_id"]])) == 2


def test_a_question_is_asked_again_with_other_candidates_and_replays_as_it_was_answered(bench: Bench) -> None:
    question = ask(bench, bench.ids[20], {"category_id": bench.of["Adding"]})
    bench.decide(question, "skip")
    assert ask(bench, bench.ids[20], {"category_id": bench.of["Mixed"]}) == question
    bench.decide(question)
    assert bench.ids[20] in bench.held("Mixed")
    bench.project.undo(actor=bench.ann)
    ask(bench, bench.ids[20], {"category_id": bench.of["Sums"]})  # the replay at the end knows the earlier answer


def test_a_question_that_others_answered_does_not_wait(bench: Bench) -> None:
    question = ask(bench, bench.ids[20], {"category_id": bench.of["Adding"]})
    assert bench.waits() == [question]
    bench.put("Sums", 20, 21)
    assert bench.waits() == []
    assert str(staleness(bench.project, question)) == "Somebody placed this failure meanwhile."
    with pytest.raises(KnownError, match="placed this failure meanwhile"):
        bench.decide(question)


def test_candidates_follow_the_tree(bench: Bench) -> None:
    (made,) = add_proposals(bench.project, [{"name": "Logic", "records": bench.ids[15:17]}])
    question = ask(
        bench, bench.ids[20],
        {"category_id": bench.of["Adding"]}, {"category_id": bench.of["Mixed"]}, {"category_id": bench.of["Sums"]},
        {"proposal_id": made},
    )  # fmt: skip
    bench.decide(made)
    bench.do(MergeCategories(category_ids=(bench.of["Adding"],), into=bench.of["Sums"]))
    bench.do(DeleteCategories(category_ids=(bench.of["Mixed"],)))
    now = refreshed(bench.project, question)
    assert now is not None
    assert [(c["name"], c["probability"]) for c in now["candidates"]] == [("Sums", 0.8), ("Logic", 0.4)]
    assert staleness(bench.project, question) is None
    with pytest.raises(KnownError, match="not in the tree"):
        bench.decide(question, "edit", target=bench.of["Mixed"])
    bench.decide(question)
    assert bench.ids[20] in bench.held("Sums")


# What went stale


def test_a_merge_follows_what_was_merged_among_its_own(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", "Mixed", into="Adding")
    bench.do(MergeCategories(category_ids=(bench.of["Adding"],), into=bench.of["Sums"]))
    assert staleness(bench.project, merge) is None
    bench.decide(merge)
    assert bench.names() == ["Sums", "Other / Notation"]


def test_nothing_is_left_to_merge(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding")
    bench.do(MergeCategories(category_ids=(bench.of["Adding"],), into=bench.of["Sums"]))
    assert bench.waits() == []
    assert refreshed(bench.project, merge) is None
    with pytest.raises(KnownError, match="Nothing is left to merge"):
        bench.decide(merge)


def test_of_a_merge_of_three_two_are_left(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", "Mixed", name="All")
    bench.do(DeleteCategories(category_ids=(bench.of["Sums"],)))
    assert bench.waits() == [merge]
    assert str(staleness(bench.project, merge)) == "“Sums” was deleted since this was proposed."
    with pytest.raises(KnownError, match=r"deleted since this was proposed.*as it would be now"):
        bench.decide(merge)
    now = refreshed(bench.project, merge)
    assert now is not None
    assert now["category_ids"] == [bench.of["Adding"], bench.of["Mixed"]]
    assert (now["into"], now["name"]) == (bench.of["Adding"], "Adding")
    bench.decide(merge, as_is=True)
    assert bench.names() == ["Adding", "Other / Notation"]


def test_what_is_gone_may_be_left_out_by_hand(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", "Mixed")
    bench.do(DeleteCategories(category_ids=(bench.of["Sums"],)))
    bench.decide(merge, "edit", without=(bench.of["Sums"],))
    assert bench.names() == ["Adding", "Other / Notation"]


def test_a_rename_since_is_told_and_the_persons_name_stays(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", name="Arithmetic")
    bench.do(RenameCategory(category_id=bench.of["Sums"], name="Calculation"))
    assert str(staleness(bench.project, merge)) == "“Sums” is called “Calculation” now."
    with pytest.raises(KnownError, match="is called “Calculation” now"):
        bench.decide(merge)
    bench.decide(merge, as_is=True)
    assert bench.names() == ["Calculation", "Mixed", "Other / Notation"]


def test_a_merge_into_another_since_is_told(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding")
    bench.do(MergeCategories(category_ids=(bench.of["Adding"],), into=bench.of["Mixed"]))
    with pytest.raises(KnownError, match="“Adding” was merged into “Mixed” since"):
        bench.decide(merge)
    bench.decide(merge, as_is=True)
    assert bench.names() == ["Sums", "Other / Notation"]


@pytest.mark.parametrize(
    ("op", "said", "holds"),
    [
        (lambda b: MoveCategories(category_ids=(b.of["Adding"],), parent_id=b.of["Sums"]), "was moved since", True),
        (lambda b: MoveCategories(category_ids=(b.of["Adding"],), parent_id=b.of["Mixed"]), "below “Mixed” already", False),
        (lambda b: MoveCategories(category_ids=(b.of["Mixed"],), parent_id=b.of["Adding"]), "is below “Adding” now", False),
        (lambda b: DeleteCategories(category_ids=(b.of["Adding"],)), "“Adding” was deleted", False),
        (lambda b: DeleteCategories(category_ids=(b.of["Mixed"],)), "“Mixed” was deleted", False),
        (lambda b: MergeCategories(category_ids=(b.of["Mixed"],), into=b.of["Sums"]), "merged into “Sums”", True),
    ],
)  # fmt: skip
def test_a_move_is_looked_at_again(bench: Bench, op: Any, said: str, holds: bool) -> None:
    move = bench.propose("move", {"category_id": bench.of["Adding"], "parent_id": bench.of["Mixed"]})
    bench.do(op(bench))
    with pytest.raises(KnownError, match=said):
        bench.decide(move)
    assert (move in bench.waits()) == holds == (refreshed(bench.project, move) is not None)
    if holds:
        bench.decide(move, as_is=True)
        assert bench.project.tree.live(bench.of["Adding"]).parent_id is not None
    else:
        with pytest.raises(KnownError, match=said):
            bench.decide(move, as_is=True)


def test_a_split_loses_a_part(bench: Bench) -> None:
    split = bench.propose("split", parts_of(bench, "Dates", "Units"))
    bench.put("Sums", 7, 9)
    assert str(staleness(bench.project, split)) == "1 part has no failure in “Mixed” any more."
    with pytest.raises(KnownError, match="has no failure in “Mixed”"):
        bench.decide(split)
    bench.decide(split, as_is=True)
    assert "Units" in bench.names() and "Dates" not in bench.names()
    bench.project.undo(actor=bench.ann)
    bench.put("Sums", 9, 13)
    assert bench.waits() == []
    with pytest.raises(KnownError, match="None of these failures is in “Mixed” any more"):
        bench.decide(split, as_is=True)


def test_wordings_are_looked_at_again(bench: Bench) -> None:
    rename = bench.propose("rename", {"category_id": bench.of["Mixed"], "name": "Reading"})
    describe = bench.propose("describe", {"category_id": bench.of["Mixed"], "description": "Misread."})
    bench.do(DescribeCategory(category_id=bench.of["Mixed"], description="Mine."))
    with pytest.raises(KnownError, match="described anew"):
        bench.decide(describe)
    bench.do(RenameCategory(category_id=bench.of["Mixed"], name="Mingled"))
    with pytest.raises(KnownError, match="is called “Mingled” now"):
        bench.decide(rename)
    bench.do(RenameCategory(category_id=bench.of["Mixed"], name="READING"))
    assert rename not in bench.waits()
    bench.do(DescribeCategory(category_id=bench.of["Mixed"], description="Misread."))
    assert describe not in bench.waits()
    bench.do(DeleteCategories(category_ids=(bench.of["Mixed"],)))
    for each in (rename, describe):
        with pytest.raises(KnownError, match="was deleted"):
            bench.decide(each, as_is=True)


def test_failures_to_move_are_looked_at_again(bench: Bench) -> None:
    arguments = {"category_id": bench.of["Adding"], "from_id": bench.of["Mixed"]}
    move = bench.propose("assign", arguments, bench.ids[7:9])
    bench.do(MergeCategories(category_ids=(bench.of["Adding"],), into=bench.of["Sums"]))
    assert staleness(bench.project, move) is None, "what took over from the target is meant"
    bench.put("Sums", 7, 9)
    with pytest.raises(KnownError, match="None of these failures is in “Mixed”"):
        bench.decide(move)
    assert bench.waits() == []


def test_a_proposal_whose_failures_all_have_their_place_does_not_wait(bench: Bench) -> None:
    (create,) = add_proposals(bench.project, [{"name": "Logic", "records": bench.ids[15:17]}])
    bench.put("Sums", 15, 16)
    assert bench.waits() == [create]
    bench.put("Sums", 16, 17)
    assert bench.waits() == []
    with pytest.raises(KnownError, match="All its failures have their place"):
        bench.decide(create)
    bench.decide(create, as_is=True)
    assert "Logic" in bench.names()


# Several at once


def test_decisions_taken_together_build_on_each_other(bench: Bench) -> None:
    first = bench.merge("Sums", "Adding")
    second = bench.merge("Sums", "Mixed", into="Mixed")
    split = bench.propose("split", {**parts_of(bench, "Dates", "Units"), "is_below": True})
    promote = bench.propose("promote", {"category_id": bench.of["Notation"], "parent_id": None})
    rename = bench.propose("rename", {"category_id": bench.of["Notation"], "name": "Signs"})
    moved = bench.propose("assign", {"category_id": bench.of["Notation"], "from_id": bench.of["Mixed"]}, bench.ids[:2])
    before = snapshot(bench.project)
    rulings = tuple(
        Ruling(proposal_id=key, verdict="accept", as_is=True) for key in (first, second, split, promote, rename)
    )
    effect = bench.project.preview(DecideProposals(rulings=rulings, is_bulk=True), actor=bench.ann)
    change = bench.do(DecideProposals(rulings=rulings, is_bulk=True))
    assert str(change.summary) == str(effect.summary)
    assert bench.names() == ["Mixed", "Mixed / Dates", "Mixed / Units", "Signs"]
    assert len(bench.held("Mixed")) == 9, "those of Sums and Adding, and two of its own"
    assert effect.other_after == queries.totals(bench.project.db).n_other == 0
    assert moved in bench.waits(), "what it names is in Mixed now"
    bench.project.undo(actor=bench.ann)
    assert snapshot(bench.project) == before


def test_a_bulk_leaves_out_what_another_has_placed(bench: Bench) -> None:
    created = add_proposals(
        bench.project, [{"name": "Logic", "records": bench.ids[15:18]}, {"name": "Rest", "records": bench.ids[18:20]}]
    )
    classified = add_repairs(
        bench.project,
        [
            {"kind": "assign", "arguments": {"category_id": bench.of["Sums"]}, "members": bench.ids[15:18]},
            {"kind": "assign", "arguments": {"category_id": bench.of["Mixed"]}, "members": bench.ids[19:21]},
        ],
        task="classify",
    )
    assert bench.waits() == [*classified, *created], "what was proposed last comes first"
    rulings = tuple(Ruling(proposal_id=key, verdict="accept") for key in bench.waits())
    change = bench.do(DecideProposals(rulings=rulings, is_bulk=True))
    assert str(change.summary) == "Accepted 3 proposals, 6 failures placed"
    assert "Logic" not in bench.names() and "Rest" in bench.names()
    assert bench.decision(created[0]) == {}
    assert queries.totals(bench.project.db).n_unplaced == 3
    assert bench.waits() == []


def test_verdicts_without_effect(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding")
    for verdict, said, waits in (
        ("unsure", "Unsure about 1 proposal", False),
        ("flag", "Flagged 1 proposal", False),
        ("skip", "Skipped 1 proposal", True),
        ("reject", "Rejected 1 proposal", False),
    ):
        change = bench.decide(merge, verdict, name="ignored")
        assert str(change.summary) == said
        assert (merge in bench.waits()) == waits
        assert bench.decision(merge)["details"] == {}
    bench.decide(merge)
    with pytest.raises(KnownError, match="was accepted already"):
        bench.decide(merge, "reject")


@pytest.mark.parametrize(
    ("verdict", "values", "sentence"),
    [
        ("maybe", {}, "no verdict “maybe”"),
        ("edit", {"without": ("no such id",)}, "no part of the proposal"),
        ("edit", {"into": "no such id"}, "not one of those that are merged"),
        ("edit", {"name": "  "}, "needs a name"),
        ("edit", {"name": "Mixed"}, "exists already"),
    ],
)
def test_what_cannot_be_decided_is_a_sentence(
    bench: Bench, verdict: str, values: dict[str, Any], sentence: str
) -> None:
    merge = bench.merge("Sums", "Adding")
    before = snapshot(bench.project)
    with pytest.raises(KnownError, match=sentence):
        bench.decide(merge, verdict, **values)
    assert snapshot(bench.project) == before


def test_a_name_in_use_says_what_to_do(bench: Bench) -> None:
    rename = bench.propose("rename", {"category_id": bench.of["Mixed"], "name": "Sums"})
    with pytest.raises(KnownError, match=r"exists already in the same place\. Merge the two"):
        bench.decide(rename)


def test_an_unknown_kind_is_left_to_a_newer_version(bench: Bench) -> None:
    future = bench.propose("foretell", {"category_id": bench.of["Sums"]})
    assert bench.waits() == [future]
    with pytest.raises(KnownError, match="cannot accept a proposal of the kind “foretell”"):
        bench.decide(future)
