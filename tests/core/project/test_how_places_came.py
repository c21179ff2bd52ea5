"""How a failure got its place and its diagnosis, and whether a person looked at it one by one (counting.py, row_steps.py)."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from errormap_core.exporters.atlas import atlas_document
from errormap_core.measures.how import coverage_sentence, how_lines
from errormap_core.project import counting
from errormap_core.project.check import check
from errormap_core.project.judging import failures_to_analyse
from errormap_core.project.queries import counted_by, failure_ids, failure_rows, looked_at_by, totals
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import (
    AssignFailures,
    DecideProposals,
    DeleteCategories,
    MergeCategories,
    Part,
    Ruling,
    SplitCategory,
    WriteAnalyses,
    WriteAnalysis,
)
from tests.core.building import add_analyses, add_proposals, add_records
from tests.core.taxonomy.bench import Bench, ask


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """24 analysed failures; Sums, Adding, Mixed and Notation hold 15 that were placed some at a time."""
    return Bench(tmp_path / "how.errormap")


def how(bench: Bench, *places: int) -> list[tuple[str | None, str | None, bool]]:
    ids = [bench.ids[place] for place in places]
    rows = failure_rows(bench.project.db, ids)
    return [(rows[i].placed_by, rows[i].diagnosed_by, rows[i].looked_at) for i in ids]


def place(bench: Bench, name: str, *places: int, **more: Any) -> None:
    ids = tuple(bench.ids[place] for place in places)
    bench.do(AssignFailures(record_ids=ids, category_id=bench.of[name], **more))


def test_failures_placed_unread_are_counted_and_said_to_be_placed_unread(tmp_path: Path) -> None:
    """17 placed in one drag beside 13 that a judge analysed: 13 are analysed, and of 30 nobody looked at one."""
    project = Project.create(tmp_path / "unread.errormap")
    ids = add_records(project, [{"example_id": f"e{i:02}"} for i in range(40)])
    add_analyses(project, dict.fromkeys(ids[:13], "A slip"))
    ann = project.annotator("Ann Bee")
    project.apply(AssignFailures(record_ids=tuple(ids[13:30]), category_id=OTHER_ID), actor=ann)
    numbers = totals(project.db)
    assert (numbers.states["analysed"], numbers.states["placed"], numbers.states["waiting"]) == (13, 17, 10)
    assert (numbers.n_counted, numbers.n_unplaced, numbers.n_looked_at) == (30, 13, 0)
    assert str(coverage_sentence(numbers)) == (
        "Coverage 0.0% of 30 failures that are placed or diagnosed; a person looked at 0 of them one by one"
    )
    said = [str(line) for line in how_lines(numbers)]
    assert "17 of 30 placed in bulk by a person" in said and "17 of 30 not diagnosed" in said
    assert set(failures_to_analyse(project.db, "run")) == set(failure_ids(project.db, state="waiting"))
    assert set(failures_to_analyse(project.db, "run", again=True)) == set(ids)  # but a judge may be asked
    add_analyses(project, {ids[13]: "A misreading"})
    assert totals(project.db).states["analysed"] == 14
    assert check(project, replay=True) == []


def test_each_way_to_a_place_is_told_apart(bench: Bench) -> None:
    made = add_proposals(
        bench.project,
        [
            {"name": "Several", "records": bench.ids[15:18]},
            {"name": "Single", "records": bench.ids[18:19]},
            {"name": "In bulk", "records": bench.ids[19:20]},
        ],
    )
    asked = [ask(bench, bench.ids[n], {"category_id": bench.of["Sums"]}) for n in (20, 21, 22)]
    bench.decide(made[0])
    bench.decide(made[1])
    bench.do(DecideProposals(rulings=(Ruling(proposal_id=made[2], verdict="accept"),), is_bulk=True))
    bench.decide(asked[0])
    rulings = tuple(Ruling(proposal_id=key, verdict="accept") for key in asked[1:])
    bench.do(DecideProposals(rulings=rulings))
    place(bench, "Sums", 23)
    assert how(bench, 0, 15, 18, 19, 20, 21, 23) == [
        ("person_bulk", "judge", False),
        ("proposal", "judge", False),
        ("proposal", "judge", True),  # it was the proposal's only failure
        ("proposal", "judge", False),
        ("person", "judge", True),
        ("person_bulk", "judge", False),  # two answers in one step
        ("person", "judge", True),
    ]
    machine = bench.project.machine("errormap-studio run")
    [left] = add_proposals(bench.project, [{"name": "Nobody", "records": bench.ids[:0]}], run="none")
    bench.project.apply(DecideProposals(rulings=(Ruling(proposal_id=left, verdict="accept"),)), actor=machine)
    numbers = totals(bench.project.db)
    assert sum(numbers.placed_by.values()) == numbers.n_placed == 24
    assert (numbers.placed_by, numbers.n_looked_at) == (
        {"person": 2, "person_bulk": 17, "proposal": 5, "machine": 0},
        3,
    )
    assert numbers.looked_at == {bench.of["Sums"]: 2, bench.decision(made[1])["category_id"]: 1}
    assert check(bench.project, replay=True) == []


def test_what_a_machine_accepts_no_person_placed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "machine.errormap")
    ids = add_records(project, [{"example_id": "e"}])
    add_analyses(project, {ids[0]: "A slip"})
    made = add_proposals(project, [{"name": "Slips", "records": ids}])
    op = DecideProposals(rulings=(Ruling(proposal_id=made[0], verdict="accept"),), is_bulk=True)
    project.apply(op, actor=project.machine("errormap-studio run"))
    assert totals(project.db).placed_by == {"person": 0, "person_bulk": 0, "proposal": 0, "machine": 1}
    assert check(project, replay=True) == []


def test_a_merge_keeps_the_look_and_a_split_or_delete_does_not(bench: Bench) -> None:
    for name, one in (("Sums", 0), ("Mixed", 7), ("Notation", 13)):
        place(bench, name, one, confirms=True)
    before = how(bench, 0, 7, 13)
    assert [row[0] for row in before] == ["person"] * 3
    bench.do(MergeCategories(category_ids=(bench.of["Sums"], bench.of["Adding"]), into=bench.of["Adding"]))
    part = Part(name="Part", record_ids=tuple(bench.ids[7:9]), category_id="part")
    bench.do(SplitCategory(category_id=bench.of["Mixed"], parts=(part,)))
    bench.do(DeleteCategories(category_ids=(bench.of["Notation"],)))
    assert [row[0] for row in how(bench, 0, 7, 13)] == ["person", "person_bulk", "person_bulk"]
    assert check(bench.project, replay=True) == []
    for _ in range(3):
        bench.project.undo(actor=bench.ann)
    assert how(bench, 0, 7, 13) == before
    for _ in range(3):
        bench.project.redo(actor=bench.ann)
    assert [row[2] for row in how(bench, 0, 7, 13)] == [True, False, False]
    assert check(bench.project, replay=True) == []


def test_placing_one_where_it_is_confirms_it(bench: Bench) -> None:
    place(bench, "Sums", 0)
    assert how(bench, 0) == [("person_bulk", "judge", False)]
    place(bench, "Sums", 0, confirms=True)
    assert how(bench, 0) == [("person", "judge", True)]
    bench.project.undo(actor=bench.ann)
    assert how(bench, 0) == [("person_bulk", "judge", False)]


@pytest.mark.parametrize("places", [(0,), (0, 1)])
def test_who_places_a_failure_where_it_was_their_word_before_somebody_else_moved_it_is_heard(
    bench: Bench, places: tuple[int, ...]
) -> None:
    """Failed before: the later word was dropped, as the earlier one said the same, and the other person's counted."""
    bob = bench.project.annotator("Bob Cee")
    ids = tuple(bench.ids[place] for place in places)
    before = how(bench, *places)
    bench.project.apply(AssignFailures(record_ids=ids, category_id=bench.of["Adding"]), actor=bob)
    place(bench, "Sums", *places)
    rows = failure_rows(bench.project.db, ids)
    assert {row.category_id for row in rows.values()} == {bench.of["Sums"]}
    assert how(bench, *places) == [("person" if len(places) == 1 else "person_bulk", "judge", len(places) == 1)] * len(
        places
    )
    change = bench.project.apply(AssignFailures(record_ids=ids, category_id=bench.of["Sums"]), actor=bench.ann)
    assert str(change.summary) == "Placed 0 failures in “Sums”"  # nobody did since
    assert check(bench.project, replay=True) == []
    for _ in range(3):
        bench.project.undo(actor=bob)
    assert how(bench, *places) == before
    assert check(bench.project, replay=True) == []


def test_an_analysis_written_for_one_failure_is_a_look_at_it_and_several_brought_in_are_not(bench: Bench) -> None:
    written = {"verdict": "error", "error_title": "A slip", "error_summary": ""}
    bench.do(WriteAnalysis(record_id=bench.ids[20], **written))  # type: ignore[arg-type]
    bench.do(WriteAnalyses(analyses=tuple({"record_id": bench.ids[n], **written} for n in (21, 22))))
    assert how(bench, 20, 21, 23) == [(None, "person", True), (None, "imported", False), (None, "judge", False)]
    numbers = totals(bench.project.db)
    assert numbers.diagnosed_by == {"person": 1, "imported": 2, "judge": 21}
    assert (looked_at_by(bench.project.db, "model"), counted_by(bench.project.db, "model")) == ({"m": 1}, {"m": 24})
    bench.do(WriteAnalysis(record_id=bench.ids[21], **written | {"error_title": "Another"}))  # type: ignore[arg-type]
    assert how(bench, 21) == [(None, "person", True)]
    bench.project.undo(actor=bench.ann)
    assert how(bench, 21) == [(None, "imported", False)]


def test_an_older_file_is_told_how_its_places_came_from_its_log(bench: Bench, tmp_path: Path) -> None:
    place(bench, "Sums", 23)
    place(bench, "Sums", 22)
    bench.project.undo(actor=bench.ann)
    record = add_records(bench.project, [{"example_id": "later"}])
    bench.do(AssignFailures(record_ids=tuple(record), category_id=OTHER_ID))
    tables = [bench.project.db.execute(f"SELECT * FROM {t} ORDER BY 1, 2").fetchall() for t in ("failure", "row_step")]
    path = tmp_path / "older.errormap"
    bench.project.close()
    shutil.copy(bench.project.path, path)
    with Project.open(path) as older:  # as version 3 had it
        older.db.execute("PRAGMA foreign_keys = OFF")
        older.db.execute("DROP TABLE failure")
        older.db.execute("DROP TABLE row_step")
        older.db.execute(
            """CREATE TABLE failure (record_id TEXT PRIMARY KEY, dataset TEXT NOT NULL, model TEXT NOT NULL,
            state TEXT NOT NULL, analysis_id TEXT) STRICT, WITHOUT ROWID"""
        )
        older.db.execute("DELETE FROM _sqlite_migrations WHERE name = 'v004_how_places_came'")
    with Project.open(path) as again:
        assert again.backup is not None
        assert [
            again.db.execute(f"SELECT * FROM {t} ORDER BY 1, 2").fetchall() for t in ("failure", "row_step")
        ] == tables
        assert totals(again.db).states["placed"] == 1
        assert check(again, replay=True) == []
    with Project.open(path) as cut_short:  # killed between the migration and what follows it
        cut_short.db.execute("DELETE FROM failure")
        cut_short.db.execute("INSERT INTO meta VALUES ('derived_rows_owed', '1')")
    with Project.open(path) as paid:
        assert paid.backup is None and not counting.is_owed(paid.db)
        assert paid.db.execute("SELECT * FROM failure ORDER BY 1").fetchall() == tables[0]


def test_check_finds_a_look_that_nobody_took(bench: Bench) -> None:
    with bench.project.writing() as db:
        db.execute("UPDATE failure SET looked_at = 1 WHERE record_id = ?", [bench.ids[0]])
        db.execute("UPDATE row_step SET how = 'one' WHERE key = (SELECT id FROM assignment LIMIT 1)")
    said = [str(problem.sentence) for problem in check(bench.project)]
    assert said == [
        "1 derived row is not what the rules give (failure).",
        "1 derived row is not what the rules give (row_step).",
    ]


def test_the_atlas_says_how_many_a_person_looked_at(bench: Bench) -> None:
    place(bench, "Sums", 23)
    document = atlas_document(bench.project)
    assert (document["totals"]["looked_at"], document["totals"]["counted"]) == (1, 24)
    assert document["totals"]["placed_by"] == {"person": 1, "person_bulk": 15, "proposal": 0, "machine": 0}
    assert [m["looked_at"] for m in document["models"]] == [1]
    counts = {item["name"]: item["counts"]["looked_at"] for item in document["categories"]}
    assert counts["Sums"] == 1 and counts["Adding"] == 0
