"""The table of judge runs: sums of what is stored, failures by code, which run counts; a run is found by what names it."""

import json
from typing import Any

import pytest

from errormap_core import cli, judge_jobs
from errormap_core.errors import KnownError
from errormap_core.judge.analysis import Analysis
from errormap_core.project import counting, judging
from errormap_core.project.judge_runs import (
    CURRENT_RUN,
    JudgeRun,
    find_judge_run,
    judge_runs,
    stored_analysis,
    values_of_choice,
)
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import SetChoice, WriteAnalysis
from tests.core.building import add_records

ANALYSIS = Analysis.from_json(
    {"required_criteria": [], "error_title": "Adds wrongly", "error_summary": "It adds wrongly.", "verdict": "error"}
)


def parameters(model: str = "m", seed: int = 0) -> dict[str, Any]:
    return {
        "model": {"name": f"{model}.gguf", "sha256": "ab" * 32},
        "prompt": {"id": "analyse", "version": 1, "sha256": "cd" * 32},
        "answer": {"max_criteria": 4, "title": 80},
        "temperature": 0.0,
        "seed": seed,
        "context": 4096,
        "max_references": 3,
    }


def judge(
    project: Project, ids: list[str], *, model: str = "m", seed: int = 0, failing: dict[str, str] | None = None,
    **details: Any,
) -> str:  # fmt: skip
    """A session of a run: analyses of these records with 100, 101, ... tokens read, and records that failed with a code."""
    with project.writing() as db:
        run_id = start_run(db, "judge", f"{model}, analyse v1", parameters(model, seed))
        for n, record_id in enumerate(ids):
            request = judging.request_for(db, record_id, max_references=3)
            took = {"prompt_tokens": 100 + n, "completion_tokens": 10, "seconds": 1.5, "text": "{}", **details}
            judging.save_analysis(db, run_id, request, ANALYSIS, details=took)
        for record_id, code in (failing or {}).items():
            request = judging.request_for(db, record_id, max_references=3)
            judging.save_judge_error(db, run_id, request, code=code, reason=tr("because of {code}", code=code))
        end_run(db, run_id, "finished")
        counting.refresh(db)
    return run_id


@pytest.fixture
def records(project: Project) -> list[str]:
    return add_records(project, [{"example_id": f"e{i}"} for i in range(6)])


def only(project: Project) -> JudgeRun:
    [run] = judge_runs(project.db)
    return run


def test_sums_are_of_all_sessions(project: Project, records: list[str]) -> None:
    judge(project, records[:2])
    judge(project, records[2:4], shortened={"output_text": 20})
    run = only(project)
    assert (run.n_analysed, run.n_outdated, run.n_counting, run.n_shortened) == (4, 0, 4, 2)
    assert (run.prompt_tokens, run.completion_tokens, run.seconds) == (100 + 101 + 100 + 101, 40, 6.0)
    assert (run.model_file, run.prompt_id, run.prompt_version, run.seed) == ("m.gguf", "analyse", 1, 0)
    assert run.other_parameters == {
        "answer.max_criteria": 4,
        "answer.title": 80,
        "context": 4096,
        "max_references": 3,
    }


def test_seconds_of_several_at_once_are_counted_once(project: Project, records: list[str]) -> None:
    judge(project, records[:3], seconds=10.0)
    ends = ("2026-01-01T00:00:10.000Z", "2026-01-01T00:00:14.500Z", "2026-01-01T01:00:00.000Z")
    with project.writing() as db:
        for record_id, at in zip(records, ends, strict=False):
            db.execute("UPDATE analysis SET created_at = ? WHERE record_id = ?", [at, record_id])
    assert (only(project).seconds, only(project).worked_s) == (30.0, pytest.approx(24.5, abs=1e-3))


def test_a_run_without_details_or_known_parameters_is_listed(project: Project, records: list[str]) -> None:
    with project.writing() as db:
        run_id = start_run(db, "judge", "old", {"name": "old"})
        request = judging.request_for(db, records[0], max_references=0)
        judging.save_analysis(db, run_id, request, ANALYSIS, details={})
        end_run(db, run_id, "stopped")
    run = only(project)
    assert (run.n_analysed, run.prompt_tokens, run.worked_s, run.model_file, run.seed) == (1, 0, 0.0, "", None)
    json.dumps(run.to_json())


def test_failures_by_their_last_code_until_they_are_analysed(project: Project, records: list[str]) -> None:
    judge(project, [], failing={records[0]: "too_long", records[1]: "too_long", records[2]: "bad_json"})
    judge(project, [], failing={records[2]: "engine_died"})
    assert only(project).failed == {"too_long": 2, "engine_died": 1}
    judge(project, [records[0]])
    assert (only(project).failed, only(project).n_failed) == ({"too_long": 1, "engine_died": 1}, 2)


def test_an_analysis_of_a_replaced_record_is_outdated(project: Project, records: list[str]) -> None:
    judge(project, records[:3], failing={records[3]: "too_long"})
    with project.writing() as db:
        db.execute("UPDATE record SET content_hash = 'other' WHERE id IN (?, ?)", [records[0], records[3]])
        counting.refresh(db)
    run = only(project)
    assert (run.n_analysed, run.n_outdated, run.n_failed, run.prompt_tokens) == (2, 1, 0, 303)


def test_the_run_that_counts(project: Project, records: list[str], annotator: str) -> None:
    first = judge(project, records, seed=1)
    judge(project, records[:3], seed=2)

    def state() -> list[tuple[bool, bool, int]]:
        return [(run.is_current, run.is_chosen, run.n_counting) for run in judge_runs(project.db)]

    assert state() == [(False, False, 3), (True, False, 3)], "the latest, and the other where it is silent"
    change = judge_jobs.use_run(project, first[:10], actor=annotator)
    assert change is not None and state() == [(True, True, 6), (False, False, 0)]
    assert judge_jobs.use_run(project, first, actor=annotator) is None
    project.apply(
        WriteAnalysis(record_id=records[0], verdict="error", error_title="Mine", error_summary="So."), actor=annotator
    )
    assert state()[0] == (True, True, 5), "a person counts before any judge"
    project.undo(actor=annotator)
    project.undo(actor=annotator)
    assert state() == [(False, False, 3), (True, False, 3)]


def test_a_chosen_run_that_is_not_there_leaves_the_latest(project: Project, records: list[str], annotator: str) -> None:
    judge(project, records)
    project.apply(SetChoice(key=CURRENT_RUN, value="gone"), actor=annotator)
    assert (only(project).is_current, only(project).is_chosen) == (True, False)
    assert values_of_choice(project.db, CURRENT_RUN) == ["gone"]


def test_a_run_is_found_by_what_names_it(project: Project, records: list[str]) -> None:
    with pytest.raises(KnownError, match="No judge has worked"):
        find_judge_run(project.db, "x")
    first, second = judge(project, records, model="alpha"), judge(project, records, model="alphabet")
    assert find_judge_run(project.db, first).id == first
    assert find_judge_run(project.db, second[:8].upper()).id == second
    assert find_judge_run(project.db, "alpha, analyse v1").id == first, "a whole name before a beginning"
    assert find_judge_run(project.db, "alphab").id == second
    with pytest.raises(KnownError, match="names 2 judge runs"):
        find_judge_run(project.db, "alp")
    for nothing in ("zz", "", " "):
        with pytest.raises(KnownError, match="There is no judge run"):
            find_judge_run(project.db, nothing)


def test_what_is_stored_of_an_analysis(project: Project, records: list[str], annotator: str) -> None:
    run_id = judge(project, records[:1])
    [key] = project.db.execute("SELECT id FROM analysis").fetchone()
    found = stored_analysis(project.db, key)
    assert (found.source_id, found.source_kind, found.is_outdated) == (run_id, "run", False)
    assert found.parameters["seed"] == 0 and found.details["prompt_tokens"] == 100
    project.apply(
        WriteAnalysis(record_id=records[1], verdict="error", error_title="Mine", error_summary="So."), actor=annotator
    )
    [key] = project.db.execute("SELECT id FROM analysis WHERE record_id = ?", [records[1]]).fetchone()
    assert (stored_analysis(project.db, key).source_kind, stored_analysis(project.db, key).parameters) == (
        "annotator",
        {},
    )
    with pytest.raises(KnownError, match="no analysis"):
        stored_analysis(project.db, "none")


def test_the_commands(project: Project, records: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = str(project.path)
    assert cli.main(["runs", path]) == 0
    assert "No judge has worked" in capsys.readouterr().out
    first, second = judge(project, records, seed=1), judge(project, records[:2], seed=2)
    assert cli.main(["runs", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("✓") and second[:8] in lines[2] and first[:8] in lines[1]
    assert cli.main(["runs", path, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["runs"]
    assert [run["id"] for run in listed] == [first, second]
    assert cli.main(["use-run", path, first[:6], "--as", "Bo Lee"]) == 0
    assert "counts now, for 6 failures" in capsys.readouterr().out
    assert cli.main(["history", path, "--json"]) == 0
    step = json.loads(capsys.readouterr().out)["steps"][0]
    assert step["actor"] == "Bo Lee" and first[:8] in step["reason"]
    assert cli.main(["use-run", path, "--latest"]) == 0
    assert second[:8] in capsys.readouterr().out
    for wrong in (["use-run", path], ["use-run", path, first, "--latest"]):
        assert cli.main(wrong) == 2
        assert "Give a run, or --latest." in capsys.readouterr().err
    assert cli.main(["use-run", path, "nope"]) == 2
    assert "There is no judge run “nope”." in capsys.readouterr().err
