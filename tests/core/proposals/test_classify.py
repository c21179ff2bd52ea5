"""Placing failures in given categories on real project files: what is proposed, what is asked again, what accepting does."""

import json
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.errors import KnownError
from errormap_core.judge.classifying import Scorer
from errormap_core.project.check import check
from errormap_core.project.lease import take_lease
from errormap_core.project.pending import pending_proposals
from errormap_core.project.proposing import proposal_members, unplaced_failures
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals.classify import candidates_of, classify
from errormap_core.sentences import tr
from errormap_core.tasks import Progress
from errormap_core.taxonomy.operations import (
    AddCategory,
    DecideProposals,
    MergeCategories,
    Ruling,
    SetChoice,
    UnassignFailures,
)
from tests.core.building import add_analyses, add_records
from tests.fakes import FakeScores

TITLES = (
    "Wrong unit of length",
    "Confuses kilometres with miles",
    "Arithmetic slip in the sum",
    "Adds two numbers incorrectly",
)
SAYS = {title: {"Unit conversion" if place < 2 else "Wrong sums": 20.0} for place, title in enumerate(TITLES)}


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(threads=1)


def run(project: Project, encoder: SentenceEncoder, scorer: Scorer | None = None, **options: Any) -> dict[str, Any]:
    work = classify(project, encoder, scorer=scorer, **options)
    try:
        while True:
            assert isinstance(next(work), Progress)
    except StopIteration as end:
        result: dict[str, Any] = end.value
        return result


def fill(project: Project, actor: str, *, method: str = "judge", titles: tuple[str, ...] = TITLES) -> dict[str, str]:
    """Two categories, a failure a title; returns ids by title and by category's name."""
    ids = add_records(project, [{"example_id": f"e{place:03}"} for place in range(len(titles))])
    add_analyses(project, dict(zip(ids, titles, strict=True)))
    found = dict(zip(titles, ids, strict=True))
    for name in ("Unit conversion", "Wrong sums"):
        add = AddCategory(name=name)
        project.apply(add, actor=actor)
        found[name] = add.category_id
    if project.setting("classify.method") != method:
        project.apply(SetChoice(key="classify.method", value=method), actor=actor)
    return found


def decide(project: Project, actor: str, verdict: Any, *ids: str, **more: Any) -> None:
    project.apply(
        DecideProposals(rulings=tuple(Ruling(proposal_id=i, verdict=verdict, **more) for i in ids)), actor=actor
    )


def proposed(project: Project) -> dict[str | None, list[str]]:
    """Records by the category that is proposed for them."""
    rows = pending_proposals(project.db)
    assert all(row.kind == "assign" and row.is_placing for row in rows)
    return {row.category_id: sorted(r for r, _ in proposal_members(project.db, row.id)) for row in rows}


def test_failures_are_proposed_for_the_likeliest_category_and_nothing_enters_the_tree(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    result = run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    assert proposed(project) == {
        ids["Unit conversion"]: sorted(ids[t] for t in TITLES[:2]),
        ids["Wrong sums"]: sorted(ids[t] for t in TITLES[2:]),
    }
    assert (result["proposals"], result["failures"], result["asked"], result["left"]) == (2, 4, 4, 0)
    assert project.db.table("assignment").count == 0
    row = pending_proposals(project.db)[0]
    assert row.name == "Unit conversion"
    told = row.evidence["members"][ids[TITLES[0]]]
    assert told["runner_up"] in (ids["Wrong sums"], OTHER_ID, HARD_ID)
    (_, confidence), *_ = proposal_members(project.db, row.id)
    assert confidence == pytest.approx(told["probability"] - told["runner_up_probability"], abs=1e-5)
    assert row.score == row.evidence["confidence"]


def test_accepting_assigns_by_the_run_and_can_be_undone_redone_and_replayed(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    result = run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    first, second = pending_proposals(project.db)
    decide(project, annotator, "accept", first.id)
    decide(project, annotator, "edit", second.id, without=(ids[TITLES[2]],))
    sql = "SELECT record_id, category_id, source_id, confidence FROM assignment ORDER BY record_id"

    def held() -> list[Any]:
        return project.db.execute(sql).fetchall()

    after = held()
    assert {(record, category) for record, category, _, _ in after} == {
        *((ids[t], ids["Unit conversion"]) for t in TITLES[:2]),
        (ids[TITLES[3]], ids["Wrong sums"]),
    }
    assert {source for *_, source, _ in after} == {result["run"]}
    assert all(0 <= confidence <= 1 for *_, confidence in after)
    project.undo(actor=annotator)
    project.undo(actor=annotator)
    assert held() == []
    assert [row.id for row in pending_proposals(project.db)] == [first.id, second.id]
    project.redo(actor=annotator)
    project.redo(actor=annotator)
    assert held() == after
    assert check(project, replay=True) == []


def test_what_was_decided_is_not_asked_again_and_the_judge_is_asked_about_new_ones_alone(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    judge = FakeScores(knows=SAYS)
    run(project, encoder, Scorer(judge))
    units, sums = pending_proposals(project.db)
    decide(project, annotator, "accept", units.id)
    decide(project, annotator, "reject", sums.id)
    (late,) = add_records(project, [{"example_id": "late"}])
    add_analyses(project, {late: TITLES[0]}, run="late")
    before = judge.n_failures_asked
    result = run(project, encoder, Scorer(judge))
    assert judge.n_failures_asked == before + 1
    assert result["asked"] == 1
    assert ids["Wrong sums"] not in proposed(project), "that these two belong there was rejected"
    assert sorted(r for records in proposed(project).values() for r in records) == sorted(
        [late, *(ids[t] for t in TITLES[2:])]
    )
    accepted = [row for row in pending_proposals(project.db) if row.category_id == ids["Unit conversion"]]
    assert late in [r for row in accepted for r, _ in proposal_members(project.db, row.id)]


def test_undoing_a_rejection_makes_it_wait_again(project: Project, annotator: str, encoder: SentenceEncoder) -> None:
    fill(project, annotator)
    run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    first = pending_proposals(project.db)[0]
    decide(project, annotator, "reject", first.id)
    project.undo(actor=annotator)
    run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    assert first.id in [row.id for row in pending_proposals(project.db)]


def test_what_was_accepted_and_taken_out_again_is_not_proposed_for_it(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    units = pending_proposals(project.db)[0]
    decide(project, annotator, "accept", units.id)
    project.apply(UnassignFailures(record_ids=(ids[TITLES[0]],), category_id=ids["Unit conversion"]), actor=annotator)
    run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    assert ids[TITLES[0]] not in proposed(project).get(ids["Unit conversion"], [])


def test_a_limit_takes_so_many_new_ones_and_the_next_run_goes_on(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    fill(project, annotator)
    judge = FakeScores(knows=SAYS)
    assert run(project, encoder, Scorer(judge), limit=3)["failures"] == 3
    result = run(project, encoder, Scorer(judge), limit=3)
    assert (result["failures"], result["asked"]) == (4, 1)


def test_a_run_that_is_stopped_proposes_what_it_knows_and_goes_on(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    fill(project, annotator)
    judge = FakeScores(knows=SAYS)
    result = run(project, encoder, Scorer(judge), cancelled=lambda: judge.n_failures_asked >= 2)
    assert (result["stopped"], result["failures"], result["left"]) == (True, 2, 2)
    assert sum(len(records) for records in proposed(project).values()) == 2
    result = run(project, encoder, Scorer(judge))
    assert (result["stopped"], result["failures"], result["asked"]) == (False, 4, 2)


def test_what_the_judge_said_is_kept_while_a_run_goes_on(
    project: Project, annotator: str, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errormap_core.proposals.classify.KEEP_EVERY_S", -1.0)
    fill(project, annotator)
    judge = FakeScores(knows=SAYS)
    work = classify(project, encoder, scorer=Scorer(judge))
    for progress in work:
        if progress.stage == "classify" and progress.done == 2:
            break
    work.close()  # as a crash would
    assert run(project, encoder, Scorer(judge))["asked"] == 2


def test_a_failure_on_which_the_judge_gives_up_is_left_out(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    result = run(project, encoder, Scorer(FakeScores(knows=SAYS, failing={TITLES[1]: "too_long"})))
    assert (result["failed"], result["failures"]) == (1, 3)
    assert proposed(project)[ids["Unit conversion"]] == [ids[TITLES[0]]]


def test_an_analysis_without_words_is_placed_by_its_record(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    fill(project, annotator)
    (bare,) = add_records(project, [{"example_id": "bare", "input_text": "Add 3 and 4.", "output_text": "8"}])
    add_analyses(project, {bare: ""}, run="bare", summary=" ")
    judge = FakeScores(knows=SAYS)
    run(project, encoder, Scorer(judge))
    assert "Text: Add 3 and 4. 8" in [messages[1]["content"] for messages, _ in judge.asked]


def test_a_judge_that_cannot_go_on_keeps_what_it_said(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    fill(project, annotator)
    judge = FakeScores(knows=SAYS)
    scored = judge.score

    def score(*arguments: Any, **more: Any) -> Any:
        if judge.n_failures_asked == 2:
            raise KnownError(tr("It is gone."))
        return scored(*arguments, **more)

    judge.score = score  # type: ignore[method-assign]
    with pytest.raises(KnownError):
        run(project, encoder, Scorer(judge))
    assert pending_proposals(project.db) == []
    judge.score = scored  # type: ignore[method-assign]
    assert run(project, encoder, Scorer(judge))["asked"] == 2


def test_an_engine_that_dies_again_and_again_ends_the_run(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    titles = tuple(f"Wrong unit {number}" for number in range(9))
    fill(project, annotator, titles=titles)
    result = run(project, encoder, Scorer(FakeScores(failing={"Wrong unit": "engine_died"})))
    assert (result["stopped"], result["failed"], result["proposals"]) == (True, 5, 0)


def test_other_and_hard_are_candidates_and_an_unclear_one_is_hard(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    (unclear,) = add_records(project, [{"example_id": "unclear"}])
    add_analyses(project, {unclear: "?"}, run="u", verdict="unclear")
    says = {
        TITLES[0]: {"Other": 30.0},
        TITLES[1]: {"Hard to Analyze": 30.0},
        TITLES[2]: {"Wrong sums": 30.0},
        TITLES[3]: {"Wrong sums": 30.0},
    }
    result = run(project, encoder, Scorer(FakeScores(knows=says)))
    found = proposed(project)
    assert found[OTHER_ID] == [ids[TITLES[0]]]
    assert found[HARD_ID] == sorted([ids[TITLES[1]], unclear])
    assert (result["other"], result["hard"]) == (1, 2)


def test_by_embedding_the_nearest_words_win_and_what_is_far_from_all_is_other(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator, method="embedding", titles=(*TITLES[:3], "Replies in French"))
    result = run(project, encoder)
    found = proposed(project)
    assert ids[TITLES[0]] in found[ids["Unit conversion"]]
    assert ids[TITLES[2]] in found[ids["Wrong sums"]]
    assert ids["Replies in French"] in found[OTHER_ID]
    assert result["asked"] == 0
    again = run(project, encoder)
    assert again["run"] == result["run"], "the same work is the same run"


def test_both_weigh_words_and_scores(project: Project, annotator: str, encoder: SentenceEncoder) -> None:
    ids = fill(project, annotator, method="both")
    run(project, encoder, Scorer(FakeScores(knows={title: {"Wrong sums": 500.0} for title in TITLES})))
    assert list(proposed(project)) == [ids["Wrong sums"]]


def test_only_the_nearest_are_scored(project: Project, annotator: str, encoder: SentenceEncoder) -> None:
    fill(project, annotator)
    for number in range(8):
        project.apply(AddCategory(name=f"Category {number}"), actor=annotator)
    project.apply(SetChoice(key="classify.shortlist", value=2), actor=annotator)
    judge = FakeScores(knows=SAYS)
    run(project, encoder, Scorer(judge))
    assert {len(names) for _, names in judge.asked} == {4}, "the two nearest, Other and Hard to Analyze"
    assert [" Unit conversion" in names for messages, names in judge.asked if TITLES[0] in messages[1]["content"]] == [
        True
    ]


def test_candidates_are_leaves_and_what_holds_failures(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    below = AddCategory(name="Miles", parent_id=ids["Unit conversion"])
    project.apply(below, actor=annotator)
    assert [c.id for c in candidates_of(project)] == [below.category_id, ids["Wrong sums"], OTHER_ID, HARD_ID]
    assert candidates_of(project)[0].path == "Unit conversion / Miles"


def test_a_proposal_for_a_merged_category_goes_where_that_went(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    ids = fill(project, annotator)
    run(project, encoder, Scorer(FakeScores(knows=SAYS)))
    units = pending_proposals(project.db)[0]
    project.apply(
        MergeCategories(category_ids=(ids["Unit conversion"], ids["Wrong sums"]), into=ids["Wrong sums"]),
        actor=annotator,
    )
    decide(project, annotator, "accept", units.id)
    assert {row[0] for row in project.db.execute("SELECT category_id FROM assignment")} == {ids["Wrong sums"]}
    assert check(project, replay=True) == []


def test_nothing_to_place_is_said(project: Project, annotator: str, encoder: SentenceEncoder) -> None:
    scorer = Scorer(FakeScores())
    project.apply(SetChoice(key="classify.method", value="judge"), actor=annotator)
    assert "no failure is diagnosed yet" in str(run(project, encoder, scorer)["note"])
    ids = add_records(project, [{"example_id": "a"}])
    add_analyses(project, {ids[0]: "Wrong unit"})
    assert "no category" in str(run(project, encoder, scorer)["note"])
    assert project.db.execute("SELECT count(*) FROM run WHERE kind = 'propose'").fetchone()[0] == 0


def test_two_do_not_propose_at_once_and_a_judge_is_needed_where_it_has_a_say(
    project: Project, annotator: str, encoder: SentenceEncoder
) -> None:
    fill(project, annotator)
    with pytest.raises(ValueError, match="none was passed"):
        run(project, encoder)
    take_lease(project, "propose", purpose=tr("Test"))
    with pytest.raises(KnownError):
        run(project, encoder, Scorer(FakeScores()))


@pytest.mark.parametrize("method", ["embedding", "judge"])
def test_the_command_proposes_and_accept_places(
    tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.errormap"
    with Project.create(path) as project:
        ids = fill(project, project.annotator("Ann Bee"), method="both")
    set_up = ("--method", method, "--threads", "1", "--set", "classify.shortlist=1")
    assert cli.main(["classify", str(path), *set_up, "--json", "--progress", "none"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["method"], out["failures"], out["failed"]) == (method, 4, 0)
    assert cli.main(["accept", str(path), "--all", "--progress", "none"]) == 0
    with Project.open(path) as project:
        assert project.setting("classify.method") == method
        assert unplaced_failures(project.db) == []
        assert {row[0] for row in project.db.execute("SELECT record_id FROM assignment")} == {ids[t] for t in TITLES}
