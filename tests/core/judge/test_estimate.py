"""What a run will take is said before it starts; the tokens are those that it then takes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from errormap_core import tasks
from errormap_core.judge.diagnose import diagnose
from errormap_core.judge.estimate import estimate
from errormap_core.judge.starting import plan_judge
from errormap_core.project import judging
from errormap_core.project.runs import start_run
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings
from tests.core.building import add_records
from tests.fakes import FakeJudge

QUESTION = "A farmer has {n} boxes with four apples in each of them, and eats {n} apples. How many apples are left?"


def test_tokens_are_close_to_what_a_run_takes(project: Project, tmp_path: Path) -> None:
    rows = [
        {
            "example_id": f"e{n // 2}",
            "model": f"m{n % 2}",
            "input_text": QUESTION.format(n=n // 2 + 3),
            "output_text": f"There are {n} apples left, because {n} times four is {n * 3}. " * (1 + n % 3),
        }
        for n in range(6)
    ]
    ids = add_records(project, rows)
    plan = tasks.driven(plan_judge(project, UserSettings(tmp_path / "settings.json"), prompt="quick"))
    with plan.start() as judge:
        found = estimate(project, plan, judge, ids)
        *_, last = diagnose(project, judge)
        again = estimate(project, plan, judge, ids)
    assert (found.n, found.n_examples) == (6, 3)
    counts = last.counts
    read = counts["prompt_tokens"] - counts["reused_tokens"]
    assert abs(found.read_tokens - read) < 0.25 * read
    assert found.seconds is not None and found.seconds > 0
    assert found.known_from == again.known_from == "measured", "six are too few to tell"
    assert "6 failures of 3 examples" in str(found.sentence())


def test_earlier_analyses_of_the_same_run_tell_how_long_one_takes(project: Project) -> None:
    """One every two seconds, with a night between the first ten and the rest; others of another run or way beside."""
    ids = add_records(project, [{"example_id": f"e{n}"} for n in range(30)])
    made = FakeJudge()
    with project.writing() as db:
        run_id = start_run(db, "judge", "a", {"a": 1})
        other = start_run(db, "judge", "b", {"b": 1})
        for n, record_id in enumerate(ids):
            request = judging.request_for(db, record_id, max_references=0)
            details = {"completion_tokens": 40 + n % 3, "fed_tokens": 10, "threads": 1, "sequences": 2}
            for source, changed in ((run_id, {}), (other, {"completion_tokens": 999})):
                analysis = made.analyse(request).analysis
                key = judging.save_analysis(db, source, request, analysis, details={**details, **changed})
                at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=2 * n + (40_000 if n >= 10 else 0))
                db.execute("UPDATE analysis SET created_at = ? WHERE id = ?", [at.isoformat(), key])
    found = judging.earlier_speed(project.db, run_id, threads=1, sequences=2)
    assert found is not None
    assert (found.n, found.fed_tokens) == (30, 10)
    assert abs(found.seconds - 2) < 1e-6
    assert abs(found.completion_tokens - 41) < 0.01
    assert judging.earlier_speed(project.db, run_id, threads=2, sequences=2) is None
    assert judging.earlier_speed(project.db, "nonesuch", threads=1, sequences=2) is None


def test_nothing_to_do_takes_nothing(project: Project, tmp_path: Path) -> None:
    plan = tasks.driven(plan_judge(project, UserSettings(tmp_path / "settings.json")))
    with plan.start() as judge:
        assert estimate(project, plan, judge, []).seconds == 0
