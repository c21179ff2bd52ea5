"""What is the latest is told by the order of writing, whatever clocks say: a machine's clock goes back, or is another's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from errormap_core import ids as ids_module
from errormap_core.ids import content_id
from errormap_core.project import lease, liveness, queries, teaching
from errormap_core.project.check import check
from errormap_core.project.judging import earlier_speed
from errormap_core.project.proposing import latest_propose_run
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.edits import MachineChange
from errormap_core.taxonomy.operations import DecideProposals, Ruling, WriteAnalyses, WriteAnalysis
from tests.core.building import add_analyses, add_proposals, add_records
from tests.core.taxonomy.bench import Bench, ask

Clock = Callable[[timedelta], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Puts the clock that the program reads forward or back."""

    def put(by: timedelta) -> None:
        class Shifted(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> "Shifted":
                return datetime.now(tz) + by  # type: ignore[return-value]

        for module in (ids_module, liveness):
            monkeypatch.setattr(module, "datetime", Shifted)

    return put


def title(project: Project, record_id: str) -> str:
    analysis = queries.record_detail(project.db, record_id).analysis
    assert analysis is not None
    return analysis.error_title


def write(project: Project, record_id: str, text: str, actor: str) -> None:
    op = WriteAnalysis(record_id=record_id, verdict="error", error_title=text, error_summary=text)
    project.apply(op, actor=actor)


def test_the_later_of_two_peoples_analyses_counts(analysed: tuple[Project, list[str]], clock: Clock) -> None:
    project, ids = analysed
    ann, bob = project.annotator("Ann"), project.annotator("Bob")
    write(project, ids[0], "first", ann)
    clock(-timedelta(days=1))
    write(project, ids[0], "second", bob)
    assert title(project, ids[0]) == "second"
    clock(-timedelta(days=3))
    write(project, ids[0], "third", ann)  # her row is there already, and older than his
    assert title(project, ids[0]) == "third"
    project.undo(actor=bob)
    assert title(project, ids[0]) == "second"
    project.redo(actor=bob)
    assert title(project, ids[0]) == "third"
    assert check(project, replay=True) == []


def test_several_analyses_in_one_step_count_by_it(analysed: tuple[Project, list[str]], clock: Clock) -> None:
    project, ids = analysed
    items = [{"record_id": i, "verdict": "error", "error_title": "many", "error_summary": "."} for i in ids[:3]]
    write(project, ids[1], "before", project.annotator("Ann"))
    clock(-timedelta(hours=2))
    project.apply(WriteAnalyses(analyses=tuple(items)), actor=project.annotator("Bob"))
    assert [title(project, i) for i in ids[:3]] == ["many"] * 3
    assert check(project, replay=True) == []


def test_steps_of_before_counters_were_kept_are_replayed_as_they_were(analysed: tuple[Project, list[str]]) -> None:
    project, ids = analysed
    write(project, ids[0], "old", project.annotator("Ann"))
    with project.writing() as db:
        db.execute("UPDATE analysis SET details = '{}' WHERE error_title = 'old'")
        db.execute("UPDATE log SET version = 1, arguments = json_remove(arguments, '$.counter')")
    assert check(project, replay=True) == []
    write(project, ids[0], "new", project.annotator("Bob"))
    assert title(project, ids[0]) == "new"
    assert check(project, replay=True) == []


def test_answers_stand_in_the_order_in_which_they_were_given(tmp_path: Path, clock: Clock) -> None:
    bench = Bench(tmp_path / "x.errormap")
    questions = [ask(bench, bench.ids[n], {"category_id": bench.of["Sums"]}) for n in (16, 17, 18)]
    for days, question in enumerate(questions):
        clock(-timedelta(days=days))
        bench.decide(question)
    answered = teaching.answered_questions(bench.project.db)
    assert [each.record_id for each in answered] == bench.ids[16:19]
    assert check(bench.project, replay=True) == []


def test_the_run_that_finished_last_is_the_latest(analysed: tuple[Project, list[str]], clock: Clock) -> None:
    project, ids = analysed

    def latest() -> str:
        found = latest_propose_run(project.db)
        assert found is not None
        return str(found["id"])

    add_proposals(project, [{"name": "A", "records": ids[:2]}], run="first")
    first = latest()
    clock(-timedelta(days=1))
    add_proposals(project, [{"name": "B", "records": ids[2:4]}], run="second")
    second = latest()
    assert second != first
    clock(-timedelta(days=2))
    with project.writing() as db:  # made again: the same run
        same = start_run(db, "propose", "first", {"name": "first", "groups": [{"name": "A", "records": ids[:2]}]})
        end_run(db, same, "finished")
    assert latest() == same == first


def test_a_run_that_ends_by_an_earlier_clock_is_announced(tmp_path: Path, clock: Clock) -> None:
    with Project.create(tmp_path / "a.errormap") as here, Project.open(tmp_path / "a.errormap") as there:
        with there.writing() as db:
            end_run(db, start_run(db, "propose", "x", {}), "finished")
        here.poll()
        told: list[Any] = []
        here.subscribe(told.append)
        clock(-timedelta(days=1))
        with there.writing() as db:
            end_run(db, start_run(db, "propose", "x", {}), "finished")
        here.poll()
    assert told == [MachineChange(frozenset({"run"}))]


def test_the_speed_of_a_run_leaves_out_when_the_clock_was_put_back(project: Project) -> None:
    ids = add_records(project, [{"example_id": f"e{i}"} for i in range(10)])
    run = add_analyses(project, dict.fromkeys(ids, "T"))
    with project.writing() as db:
        for n, record_id in enumerate(ids):
            at = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=2 * n) - timedelta(hours=5 * (n >= 6))
            db.execute(
                "UPDATE analysis SET created_at = ?, details = ? WHERE record_id = ?",
                [at.isoformat(), '{"threads": 1, "sequences": 1}', record_id],
            )
    speed = earlier_speed(project.db, run, threads=1, sequences=1)
    assert speed is not None and speed.seconds == pytest.approx(2)


def test_a_clock_that_jumps_leaves_a_lease_with_its_holder(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of day at which a process began is worked out anew after a jump, on Linux."""
    with Project.create(tmp_path / "a.errormap") as project:
        lease.take_lease(project, "window", purpose=tr("Editing"))
        pid, started = project.db.execute("SELECT pid, pid_started FROM lease").fetchone()
        real = liveness.psutil.Process.create_time
        monkeypatch.setattr(liveness.psutil.Process, "create_time", lambda self: real(self) + 86_400)
        clock(timedelta(days=1))
        if liveness.psutil.LINUX:
            assert liveness.is_running(pid, started)
        assert not liveness.is_running(pid, started - 10_000)  # another process that had this id


def test_signs_of_life_on_another_machine(clock: Clock) -> None:
    stale = liveness.STALE_AFTER.total_seconds()
    day = timedelta(days=1)

    def stamp(by: timedelta) -> str:
        return (datetime.now(UTC) + by).isoformat()

    living, dead = content_id("test", "living"), content_id("test", "dead")
    # A clock that is a day behind ours: its signs seem old, yet they change.
    liveness.gives_signs(living, stamp(-day), monotonic=0)
    assert liveness.gives_signs(living, stamp(-day + timedelta(seconds=20)), monotonic=20)
    # One that is a day ahead: its last sign seems new for a day, yet does not change.
    last = stamp(day)
    assert liveness.gives_signs(dead, last, monotonic=0)
    assert liveness.gives_signs(dead, last, monotonic=stale - 1)
    assert not liveness.gives_signs(dead, last, monotonic=stale)


def test_a_decision_that_is_replayed_keeps_its_place(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "x.errormap")
    ids = [ask(bench, bench.ids[n], {"category_id": bench.of["Sums"]}) for n in (16, 17)]
    for proposal_id in ids:
        bench.do(DecideProposals(rulings=(Ruling(proposal_id=proposal_id, verdict="skip"),)))
    with bench.project.writing() as db:  # as a version wrote them that kept no counter
        db.execute("UPDATE decision SET details = json_remove(details, '$.counter')")
        db.execute(
            "UPDATE log SET version = 2, arguments = json_remove(arguments, '$.counter') WHERE kind = 'proposal.decide'"
        )
    assert check(bench.project, replay=True) == []
