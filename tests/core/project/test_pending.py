"""What waits for a decision: of which runs, in which order, by which filters, and how far the queue has come."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project.pending import (
    StateCounts,
    above,
    pending_proposals,
    proposal,
    proposal_list,
    proposal_progress,
)
from errormap_core.project.proposing import latest_propose_run
from errormap_core.project.schema import OTHER_ID
from errormap_core.sentences import tr
from tests.core.building import add_proposals, add_repairs
from tests.core.taxonomy.bench import Bench, ask, parts_of


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "pending.errormap")
    yield made
    made.project.close()


@pytest.fixture
def db(bench: Bench) -> Database:
    return bench.project.db


def worth(value: float, **evidence: Any) -> dict[str, Any]:
    return {"evidence": {"worth": value, "why": tr("Because {n}.", n=value).to_json(), **evidence}}


def everything(bench: Bench) -> dict[str, str]:
    """One proposal of each kind, by kind, of four runs."""
    of = bench.of
    (create,) = add_proposals(bench.project, [{"name": "Logic", "records": bench.ids[15:17]}])
    (assign,) = add_repairs(
        bench.project,
        [{"kind": "assign", "arguments": {"category_id": of["Sums"]}, "members": bench.ids[15:18], **worth(2.5)}],
        task="classify",
    )
    repairs = {
        "merge": {
            "category_ids": [of["Sums"], of["Adding"]],
            "into": of["Sums"],
            "name": "Arithmetic",
            "description": None,
        },
        "promote": {"category_id": of["Notation"], "parent_id": None},
        "move": {"category_id": of["Adding"], "parent_id": of["Mixed"]},
        "split": parts_of(bench, "Dates", "Units"),
        "rename": {"category_id": of["Mixed"], "name": "Reading"},
        "describe": {"category_id": of["Adding"], "description": "Adds."},
    }
    made = add_repairs(
        bench.project,
        [{"kind": kind, "arguments": given, **worth(10.0 - n)} for n, (kind, given) in enumerate(repairs.items())],
    )
    place = ask(bench, bench.ids[20], {"category_id": of["Adding"]}, {"category_id": of["Mixed"]})
    return {"create": create, "assign": assign, **dict(zip(repairs, made, strict=True)), "place": place}


def test_the_latest_run_of_each_task_waits(bench: Bench, db: Database) -> None:
    made = everything(bench)
    assert {row.id for row in pending_proposals(db)} == set(made.values())
    assert {row.kind: row.task for row in pending_proposals(db)} == {
        "create": "propose", "assign": "classify", "place": "queue",
        **dict.fromkeys(("merge", "promote", "move", "split", "rename", "describe"), "repair"),
    }  # fmt: skip
    later = bench.propose("rename", {"category_id": bench.of["Sums"], "name": "Totals"})
    assert {row.id for row in pending_proposals(db)} == {made["create"], made["assign"], made["place"], later}
    assert {row.id for row in pending_proposals(db, kinds=["create", "rename"])} == {made["create"], later}
    run = latest_propose_run(db)
    assert run is not None
    assert run["id"] != (latest_propose_run(db, "repair") or run)["id"]


def test_titles_say_what_is_suggested(bench: Bench, db: Database) -> None:
    made = everything(bench)
    assert {kind: str(proposal(db, key).title) for kind, key in made.items()} == {
        "create": "Logic",
        "assign": "→ Sums",
        "merge": "Merge “Sums”, “Adding”",
        "promote": "Move “Notation” to the top",
        "move": "Move “Adding” below “Mixed”",
        "split": "Split “Mixed” into 2",
        "rename": "Rename “Mixed” to “Reading”",
        "describe": "Describe “Adding”",
        "place": "Where does “Error 20” belong?",
    }
    row = proposal(db, made["merge"])
    assert (row.name, row.worth, str(row.why)) == ("Arithmetic", 10.0, "Because 10.0.")
    assert row.category_names == ("Sums", "Adding")


def test_lists_are_ordered_by_worth_and_filtered(bench: Bench, db: Database) -> None:
    made = everything(bench)

    def kinds(**filters: Any) -> list[str]:
        return [row.kind for row in proposal_list(db, **filters)]

    order = ["merge", "promote", "move", "split", "rename", "describe", "assign", "create", "place"]
    assert kinds() == order
    assert kinds(limit=2) == order[:2]
    assert kinds(kinds=["place", "rename"]) == ["rename", "place"]
    assert kinds(min_worth=8.0) == order[:3]
    assert kinds(subtree=OTHER_ID) == ["promote"]
    assert kinds(subtree=bench.of["Mixed"]) == ["move", "split", "rename"]
    assert kinds(subtree=bench.of["Adding"]) == ["merge", "move", "describe", "place"]
    assert kinds(since="2999") == []
    assert kinds(until="2999") == order
    bench.decide(made["merge"], "skip")
    assert "merge" not in kinds()
    assert kinds(states=["skipped"]) == ["merge"]
    assert kinds(states=["pending", "skipped"]) == order


def test_what_is_set_aside_or_done_is_found_whichever_run_proposed_it(bench: Bench, db: Database) -> None:
    made = everything(bench)
    bench.decide(made["merge"], "flag")
    bench.decide(made["split"], "unsure")
    bench.decide(made["rename"], "reject")
    bench.decide(made["describe"])
    bench.propose("rename", {"category_id": bench.of["Sums"], "name": "Totals"})  # another run of repairs
    assert [row.kind for row in proposal_list(db, states=["flagged"])] == ["merge", "split"]
    assert {row.kind for row in proposal_list(db, states=["done"])} == {"rename", "describe"}
    progress = proposal_progress(db)
    assert progress.total == StateCounts(pending=4, skipped=0, flagged=2, done=2)
    assert progress.by_kind["merge"] == StateCounts(flagged=1)
    assert progress.by_kind["rename"] == StateCounts(pending=1, done=1)
    bench.decide(made["merge"])
    assert proposal_progress(db).total.done == 3
    assert [row.kind for row in proposal_list(db, states=["flagged"])] == ["split"]


def test_below_what_is_rejected_or_set_aside_nothing_waits(bench: Bench, db: Database) -> None:
    top, below = add_proposals(
        bench.project,
        [
            {"name": "Logic", "records": bench.ids[15:17]},
            {"name": "Quantifiers", "records": bench.ids[17:19], "parent": 0},
        ],
    )
    assert above(db, below) == [top]
    for verdict in ("flag", "unsure"):
        bench.decide(top, verdict)
        assert bench.waits() == []
        assert above(db, below) == [top]
    bench.decide(top, "reject")
    with pytest.raises(KnownError, match="above it, “Logic”, was rejected"):
        above(db, below)
    bench.decide(top)
    assert bench.waits() == [below]
    assert above(db, below) == []


def test_a_parent_waits_as_long_as_a_child_has_failures_to_place(bench: Bench, db: Database) -> None:
    top, below = add_proposals(
        bench.project,
        [
            {"name": "Logic", "records": bench.ids[15:17]},
            {"name": "Quantifiers", "records": bench.ids[17:19], "parent": 0},
        ],
    )
    bench.put("Sums", 15, 17)
    assert bench.waits() == [top, below]
    bench.put("Sums", 17, 19)
    assert bench.waits() == []


def test_proposals_to_place_of_older_versions_are_proposals_to_assign(bench: Bench, db: Database) -> None:
    (old,) = add_proposals(bench.project, [{"category_id": bench.of["Sums"], "records": bench.ids[15:17]}])
    assert db.execute("SELECT kind FROM proposal WHERE id = ?", [old]).fetchone() == ("place",)
    row = proposal(db, old)
    assert (row.kind, row.is_placing, row.name) == ("assign", True, "Sums")
    assert row.worth == pytest.approx(1.0), "score and members, where a run said nothing of worth"
    bench.decide(old)
    assert set(bench.ids[15:17]) <= set(bench.held("Sums"))
    assert proposal_progress(db).by_kind["assign"] == StateCounts(done=1)
