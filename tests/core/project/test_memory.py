"""What is remembered of rejections: whole ones, parts, what the tree did to their categories meanwhile, undo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errormap_core.project.memory import Refusal, Refusals, refusals
from errormap_core.project.proposing import decided_pairs
from errormap_core.taxonomy.operations import DeleteCategories, MergeCategories
from tests.core.building import add_proposals
from tests.core.taxonomy.bench import Bench, parts_of


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "memory.errormap")
    yield made
    made.project.close()


def of_category(bench: Bench) -> dict[str, frozenset[str]]:
    return {key: frozenset(bench.held(name)) for name, key in bench.of.items()}


def remembered(bench: Bench, kind: str, arguments: dict[str, Any], members: list[str], **more: Any) -> Any:
    return refusals(bench.project.db).of(kind, arguments, members, of_category=of_category(bench), **more)


def merging(bench: Bench, *names: str) -> dict[str, Any]:
    return {"category_ids": [bench.of[name] for name in names], "into": bench.of[names[0]]}


def test_nothing_is_remembered_before_anything_is_rejected(bench: Bench) -> None:
    for verdict in ("accept", "skip", "unsure", "flag"):
        bench.decide(bench.merge("Sums", "Adding"), verdict)
        assert refusals(bench.project.db).by_key == {}
        bench.project.undo(actor=bench.ann)


def test_each_pair_of_a_rejected_merge_is_refused(bench: Bench) -> None:
    bench.decide(bench.merge("Sums", "Adding", "Mixed"), "reject")
    kept = refusals(bench.project.db)
    pairs = [
        frozenset((bench.of[a], bench.of[b])) for a, b in (("Sums", "Adding"), ("Sums", "Mixed"), ("Adding", "Mixed"))
    ]
    assert set(kept.by_key) == set(pairs)
    assert kept.unchanged(of_category(bench), {}) == set(pairs)
    (refusal,) = kept.by_key[pairs[0]]
    assert refusal.members == frozenset(bench.ids[:7]), "of the pair alone, not of the third"
    assert refusal.by == "Ann Bee"
    assert remembered(bench, "merge", merging(bench, "Sums", "Adding"), []).is_refused
    assert not remembered(bench, "merge", merging(bench, "Sums", "Notation"), []).is_refused
    bench.project.undo(actor=bench.ann)
    assert refusals(bench.project.db).by_key == {}


@pytest.mark.parametrize(("more", "refused"), [(1, True), (2, False)])
def test_it_comes_back_when_more_than_a_fifth_changed(bench: Bench, more: int, refused: bool) -> None:
    """4 + 3 failures at first; with 1 more 7 of 8 are the same, with 2 more 7 of 9 (under four in five)."""
    bench.decide(bench.merge("Sums", "Adding"), "reject")
    bench.put("Sums", 15, 15 + more)
    found = remembered(bench, "merge", merging(bench, "Sums", "Adding"), [])
    assert found.is_refused == refused
    if not refused:
        said = found.rejected_before
        assert (said["n_then"], said["n_now"], said["by"]) == (7, 9, "Ann Bee")


def test_what_was_left_out_of_a_merge_is_refused_with_what_it_became(bench: Bench) -> None:
    merge = bench.merge("Sums", "Adding", "Mixed", "Notation")
    bench.decide(merge, "edit", without=(bench.of["Mixed"], bench.of["Notation"]))
    kept = refusals(bench.project.db)
    with_survivor = {frozenset((bench.of["Sums"], bench.of[name])) for name in ("Mixed", "Notation")}
    assert set(kept.by_key) == with_survivor, "whether the two that were left out are one was not said"
    assert kept.unchanged(of_category(bench), {}) == with_survivor
    assert remembered(bench, "merge", merging(bench, "Sums", "Mixed"), []).is_refused


def test_what_took_over_from_a_category_stands_for_it(bench: Bench) -> None:
    bench.add("Twin")
    bench.decide(bench.merge("Adding", "Mixed"), "reject")
    bench.do(MergeCategories(category_ids=(bench.of["Adding"],), into=bench.of["Twin"]))
    assert remembered(bench, "merge", merging(bench, "Twin", "Mixed"), []).is_refused
    bench.do(DeleteCategories(category_ids=(bench.of["Mixed"],)))
    assert refusals(bench.project.db).by_key == {}


def test_a_part_that_was_left_out_of_a_split_is_not_proposed_again(bench: Bench) -> None:
    split = bench.propose("split", parts_of(bench, "Dates", "Units", "Names"), bench.held("Mixed"))
    bench.decide(split, "edit", without=("p1",))
    kept = refusals(bench.project.db)
    mixed, left_out = bench.of["Mixed"], bench.ids[9:11]
    assert kept.is_refused_part(mixed, left_out)
    assert not kept.is_refused_part(mixed, bench.ids[7:9])
    assert not kept.is_refused_part(bench.of["Sums"], left_out)
    bench.project.undo(actor=bench.ann)
    bench.decide(split, "reject")
    assert remembered(bench, "split", {"category_id": mixed}, bench.held("Mixed")).is_refused
    assert ("split", mixed) in refusals(bench.project.db).unchanged(of_category(bench), {})


@pytest.mark.parametrize("kind", ["promote", "rename", "describe"])
def test_kinds_of_one_category_are_known_by_it(bench: Bench, kind: str) -> None:
    own = bench.of["Notation"]
    arguments = {"promote": {"parent_id": None}, "rename": {"name": "Signs"}, "describe": {"description": "Signs."}}[
        kind
    ]
    bench.decide(bench.propose(kind, {"category_id": own, **arguments}, bench.held("Notation")), "reject")
    assert remembered(bench, kind, {"category_id": own, "name": "Another"}, bench.held("Notation")).is_refused
    assert not remembered(bench, kind, {"category_id": bench.of["Sums"]}, bench.held("Notation")).is_refused
    assert refusals(bench.project.db).unchanged(of_category(bench), {}) == {(kind, own)}


def test_a_move_is_refused_to_that_parent_only(bench: Bench) -> None:
    move = {"category_id": bench.of["Adding"], "parent_id": bench.of["Sums"]}
    bench.decide(bench.propose("move", move, bench.held("Adding")), "reject")
    assert remembered(bench, "move", move, bench.held("Adding")).is_refused
    assert not remembered(bench, "move", {**move, "parent_id": bench.of["Mixed"]}, bench.held("Adding")).is_refused


def straying(bench: Bench, *ids: str) -> str:
    arguments = {"category_id": bench.of["Sums"], "from_id": bench.of["Mixed"]}
    return bench.propose("assign", arguments, list(ids))


def refused_moves(bench: Bench, *, to: str = "Sums", of: str = "Mixed") -> set[str]:
    """The failures that are not to be moved from one category to another."""
    kept = refusals(bench.project.db).unchanged(of_category(bench), {})
    return {key for key in bench.ids if ("assign", key, bench.of[to], bench.of[of]) in kept}


@pytest.mark.parametrize("verdict", ["accept", "edit"])
def test_failures_that_were_left_out_of_a_move_are_refused_one_by_one(bench: Bench, verdict: str) -> None:
    bench.decide(straying(bench, *bench.ids[7:11]), verdict, without=tuple(bench.ids[8:10]))
    assert refused_moves(bench) == set(bench.ids[8:10])
    assert refused_moves(bench, to="Adding") == refused_moves(bench, of="Adding") == set()
    again = {"category_id": bench.of["Sums"], "from_id": bench.of["Mixed"]}
    assert remembered(bench, "assign", again, bench.ids[11:13]).rejected_before is None, "of others nothing was said"
    bench.project.undo(actor=bench.ann)
    assert refusals(bench.project.db).by_key == {}


def test_each_failure_of_a_rejected_move_is_refused(bench: Bench) -> None:
    bench.decide(straying(bench, *bench.ids[7:10]), "reject")
    assert refused_moves(bench) == set(bench.ids[7:10])
    again = {"category_id": bench.of["Sums"], "from_id": bench.of["Mixed"]}
    assert remembered(bench, "assign", again, bench.ids[10:12]).rejected_before["n_then"] == 3
    bench.add("Twin")
    bench.do(MergeCategories(category_ids=(bench.of["Sums"],), into=bench.of["Twin"]))
    assert refused_moves(bench, to="Twin") == set(bench.ids[7:10])
    bench.do(DeleteCategories(category_ids=(bench.of["Mixed"],)))
    assert refusals(bench.project.db).by_key == {}


def test_what_was_left_out_of_a_move_to_another_target_goes_to_neither(bench: Bench) -> None:
    bench.decide(straying(bench, *bench.ids[7:10]), "edit", target=bench.of["Adding"], without=(bench.ids[8],))
    assert refused_moves(bench) == refused_moves(bench, to="Adding") == {bench.ids[8]}


def test_without_failures_the_names_are_what_it_was_about(bench: Bench) -> None:
    rename = {"category_id": bench.add("Empty"), "name": "Void"}
    key = bench.propose("rename", rename)
    bench.decide(key, "reject")
    own = bench.of["Empty"]
    assert remembered(bench, "rename", rename, [], names={own: "Empty"}).is_refused
    assert not remembered(bench, "rename", rename, [], names={own: "Hollow"}).is_refused
    assert not remembered(bench, "rename", rename, [], names={own: "Empty"}, proposal_id=key).is_refused, (
        "the same one is known by its id, and is decided"
    )


def test_a_group_is_known_by_its_failures(bench: Bench) -> None:
    (create,) = add_proposals(bench.project, [{"name": "Logic", "records": bench.ids[14:24]}])
    bench.decide(create, "reject")
    assert remembered(bench, "create", {}, bench.ids[15:24]).is_refused
    changed = remembered(bench, "create", {}, bench.ids[17:24])
    assert not changed.is_refused
    assert changed.rejected_before["n_then"] == 10
    assert remembered(bench, "create", {}, bench.ids[20:24]).rejected_before is None, "another group"


def test_failures_that_were_left_out_of_a_new_category_are_not_offered_to_it(bench: Bench) -> None:
    (create,) = add_proposals(bench.project, [{"name": "Logic", "records": bench.ids[15:18]}])
    bench.decide(create, "edit", without=(bench.ids[15],))
    assert decided_pairs(bench.project.db) == {(bench.ids[15], bench.decision(create)["category_id"])}


def test_the_latest_rejection_is_told(bench: Bench) -> None:
    key = frozenset(("a", "b"))
    old = Refusal("1", "2026-01-01", "Ann", frozenset("xyz"))
    new = Refusal("2", "2026-02-01", "Bo", frozenset("xyzuvw"))
    found = Refusals({key: (old, new)}).of("merge", {"category_ids": ["a", "b"]}, list("xstuvq"))
    assert found.rejected_before == {"at": "2026-02-01", "by": "Bo", "n_then": 6, "n_now": 6}
