"""Running the judge from the window: the dialog and its estimate, pausing, what goes first, time left, what is said of it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PySide6.QtCore import QProcess, Qt
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QSpinBox

from app.judging.dialog import JudgeDialog
from app.tasks.runner import Job, TaskRunner
from app.window import Window
from errormap_core.project import queries
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AssignFailures, MarkRecords
from tests.core.building import add_records

SECONDS = 1000

ANSWERS = [
    {
        "example_id": f"e{n}",
        "model": "m",
        "dataset": "d",
        "input_text": f"A pack has {n} pens. How many are in 3 packs?",
        "output_text": f"Three packs have {n + 3} pens, since {n} + 3 = {n + 3}.",
        "correct_answer": str(3 * n),
    }
    for n in range(4, 14)
]


def sees_settings(**values: object) -> None:
    """Settings as the processes that the window starts will read them."""
    path = Path(os.environ["ERRORMAP_STUDIO_CONFIG"]) / "settings.json"
    path.write_text(json.dumps({key.replace("__", "."): value for key, value in values.items()}), encoding="utf-8")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was measured yet, and nothing is: the embedded model runs as it is."""
    monkeypatch.setenv("ERRORMAP_STUDIO_CACHE", str(tmp_path / "cache"))
    sees_settings(judge__tuning=False)


@pytest.fixture
def waiting(window: Window, tmp_path: Path) -> Iterator[tuple[Window, list[str]]]:
    """The window on ten failures that wait for a judge, with short analyses, and the failures' ids."""
    with Project.create(tmp_path / "waiting.errormap") as project:
        ids = add_records(project, ANSWERS)
        with project.writing() as db:
            db.execute("INSERT INTO choice (key, value) VALUES ('judge.max_criteria', '1')")
    assert window.session.open(tmp_path / "waiting.errormap")
    window.show_page("records")
    yield window, ids
    for job in window.session.tasks.running():
        job.process.kill()
        job.process.waitForFinished()


def project_of(window: Window) -> Project:
    assert window.session.project is not None
    return window.session.project


def shown(window: Window) -> JudgeDialog:
    dialog = JudgeDialog(window.session, window)
    dialog.show()
    return dialog


def answered(dialog: JudgeDialog, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dialog._estimator.is_running and dialog._has_answer, timeout=60 * SECONDS)


# The dialog


def test_what_is_read_goes_first_under_a_limit(
    waiting: tuple[Window, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    window, ids = waiting
    started: list[list[str]] = []
    monkeypatch.setattr(window.session, "start", lambda kind, words: started.append(words))
    window.session.select_record(ids[7])
    window.session.select_failures([ids[7]])
    dialog = shown(window)
    assert "The 1 waiting failure that you have selected goes first, also within a limit." in dialog.about.text()
    dialog.limit.setValue(5)
    dialog._start()
    [words] = started
    assert words[words.index("--limit") + 1] == "5" and words[words.index("--first") + 1] == ids[7]
    window.session.apply(AssignFailures(record_ids=(ids[7],), category_id=OTHER_ID))
    assert "goes first" not in shown(window).about.text()  # it waits no more


@pytest.mark.parametrize("name", ["12", "folder", "notes.txt"])
def test_a_slip_in_the_models_name_is_not_kept(
    waiting: tuple[Window, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Before, the job was refused, the name was a setting, and the next run was refused as well."""
    window, _ = waiting
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no model", encoding="utf-8")
    started: list[list[str]] = []
    monkeypatch.setattr(window.session, "start", lambda kind, words: started.append(words))
    dialog = shown(window)
    dialog.model.setText(str(tmp_path / name))
    dialog._start()
    assert dialog.isVisible() and started == [] and "⚠  " in dialog.estimate.text()
    assert window.session.settings["judge.model"] == ""
    dialog.model.setText("")
    dialog._start()
    assert len(started) == 1 and not dialog.isVisible()


def test_the_dialog_shows_what_the_run_will_take(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    window, _ = waiting
    dialog = shown(window)
    assert dialog.estimate.text() == "Measuring …"
    assert dialog.ok.isEnabled(), "nobody has to wait for the estimate"
    answered(dialog, qtbot)
    assert dialog.estimate.text().startswith("10 failures of 10 examples: about ")
    assert "tokens to read" in dialog.estimate.text() and "to write" in dialog.estimate.text()
    assert dialog.how.text().startswith("How it runs here: 1 thread, 1 record at once, batches of 512 tokens")
    assert dialog.how.text().endswith("from the file as it is")
    n_steps = len(queries.history(project_of(window).db))
    dialog.limit.setValue(4)
    dialog.prompt.setCurrentIndex(dialog.prompt.findData("quick"))
    dialog.advanced.sequences.setValue(2)
    dialog.advanced.context.setValue(2048)
    assert dialog.estimate.text() == "Measuring …"
    answered(dialog, qtbot)
    assert dialog.estimate.text().startswith("4 failures of 4 examples")
    assert "2 records at once" in dialog.how.text()
    assert len(queries.history(project_of(window).db)) == n_steps, "an estimate writes nothing"
    assert "chatml" in [dialog.advanced.template.itemText(n) for n in range(dialog.advanced.template.count())]
    dialog.reject()


def test_what_is_wrong_is_said_before_the_run(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    window, _ = waiting
    dialog = shown(window)
    dialog.advanced.template.setEditText("no-such-template")
    answered(dialog, qtbot)
    assert "⚠" in dialog.estimate.text() and "no-such-template" in dialog.estimate.text()
    dialog.advanced.template.setEditText("none")
    answered(dialog, qtbot)
    assert dialog.estimate.text().startswith("10 failures")
    dialog.model.setText("/nowhere/at-all.gguf")
    answered(dialog, qtbot)
    assert "⚠" in dialog.estimate.text()
    dialog.reject()


def test_nothing_is_left_measuring_when_the_dialog_closes(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    window, _ = waiting
    sees_settings(judge__tuning=True)
    dialog = shown(window)
    qtbot.waitUntil(lambda: "how the model runs best here" in dialog.estimate.text(), timeout=60 * SECONDS)
    process = dialog._estimator._asker._process
    assert process is not None
    asked = psutil.Process(process.processId())
    family = [asked, *asked.children(recursive=True)]
    dialog.limit.setValue(3)  # waits: the measurement is not begun anew for that
    assert dialog._estimator._asker._process is process
    dialog.reject()
    assert not asked.is_running()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []


def test_what_was_chosen_is_what_runs(
    waiting: tuple[Window, list[str]], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = waiting
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(window.session, "start", lambda kind, words: started.append((kind, list(words))))
    dialog = JudgeDialog(window.session, window)
    dialog.prompt.setCurrentIndex(dialog.prompt.findData("quick"))
    dialog.limit.setValue(7)
    dialog.advanced.threads.setValue(3)
    dialog.advanced.copies.setCurrentIndex(dialog.advanced.copies.findData("never"))
    dialog.advanced.template.setEditText("chatml")
    dialog.advanced.thinking.setValue(64)
    dialog._start()
    [(kind, words)] = started
    assert kind == "judge"
    sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert sets == ["judge.prompt=quick", "judge.template=chatml", "judge.thinking=64"], "what is untouched stays"
    assert words[words.index("--limit") + 1] == "7"
    assert window.session.settings["judge.threads"] == 3
    assert window.session.settings["judge.copies"] == "never"


def test_settings_that_cannot_be_kept_stop_the_start(
    waiting: tuple[Window, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    window, _ = waiting
    monkeypatch.setattr(window.session, "start", lambda *_: pytest.fail("it would run otherwise than was chosen"))
    dialog = shown(window)
    (tmp_path / "a file").touch()
    monkeypatch.setattr(window.session.settings, "path", tmp_path / "a file" / "settings.json")
    dialog.advanced.threads.setValue(2)
    dialog._start()
    assert "could not be saved" in dialog.estimate.text()
    dialog.reject()


def test_a_copy_of_the_weights_is_shown_and_can_be_refused(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    window, _ = waiting
    dialog = shown(window)
    answered(dialog, qtbot)
    dialog.more.setChecked(True)
    assert not dialog.advanced.remove.isVisible()
    copy = {"format": "q8_0", "bytes": 145_000_000, "path": "/x/copy.gguf"}
    measured = {"threads": 2, "sequences": 4, "batch": 256, "flash_attention": "on", "copy": copy}
    dialog.advanced.show_engine({"measured": measured})
    assert dialog.advanced.copy_size.text() == "145 MB in the cache"
    assert dialog.advanced.threads.text() == "as measured: 2"
    assert dialog.advanced.flash.itemText(0) == "as measured: on"
    dialog.advanced.remove.click()
    assert dialog.advanced.copies.currentData() == "never"
    qtbot.waitUntil(lambda: not dialog._forgetting.is_running, timeout=60 * SECONDS)
    answered(dialog, qtbot)
    assert not dialog.advanced.remove.isVisible()
    dialog.reject()


def test_the_keyboard_reaches_everything_in_the_dialog_in_order(waiting: tuple[Window, list[str]]) -> None:
    window, _ = waiting
    dialog = shown(window)
    dialog.more.setChecked(True)
    reached = []
    widget = dialog.model.nextInFocusChain()
    while widget is not dialog.model:
        if widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            reached.append(widget)
        widget = widget.nextInFocusChain()
    order = [dialog.choose, dialog.prompt, dialog.limit, dialog.more, dialog.advanced.threads, dialog.advanced.engines,
             dialog.advanced.context, dialog.advanced.template, dialog.advanced.temperature, dialog.ok]  # fmt: skip
    assert [widget for widget in reached if widget in order] == order
    fields = [*dialog.findChildren(QSpinBox), *dialog.findChildren(QComboBox), dialog.model]
    assert [field for field in fields if not field.accessibleName() and field not in (dialog.limit, dialog.gpu)] == []
    marks = [
        text[text.index("&") + 1].lower()
        for button in dialog.findChildren(QAbstractButton)
        if "&" in (text := button.text())
    ]
    assert len(marks) == len(set(marks))
    assert not dialog.findChildren(QLineEdit, "nameless")
    dialog.reject()


# Pausing, going on, what goes first


class Stdin:
    """Stands for a job's process: what is written to it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)


def running(runner: TaskRunner) -> tuple[Job, Stdin]:
    """A judge's job in this runner, of which nothing was heard yet."""
    stdin = Stdin()
    job = Job("judge", stdin)  # type: ignore[arg-type]
    runner._jobs["judge"] = job
    return job, stdin


def hear(runner: TaskRunner, job: Job, done: int, stage: str = "judge", **counts: object) -> None:
    message = {"progress": {"stage": stage, "done": done, "total": 40, "note": "x", "counts": counts}}
    runner._take(job, json.dumps(message).encode())


def test_pause_resume_and_first_are_lines_to_the_job(qtbot: Any) -> None:
    runner = TaskRunner()
    job, stdin = running(runner)
    runner.pause(job)
    hear(runner, job, 0, stage="tune")
    runner.pause(job)
    assert stdin.lines == [], "there is nothing to pause before the queue is worked on"
    assert str(job.sentence()) == "Measuring speed: x"
    hear(runner, job, 3, analysed=3, failed=0)
    runner.pause(job)
    runner.pause(job)
    assert stdin.lines == [b"pause\n"]
    assert str(job.sentence()).endswith("pausing …")
    hear(runner, job, 4, analysed=4, failed=1)  # was in flight
    assert str(job.sentence()).endswith("pausing …")
    hear(runner, job, 4, analysed=4, failed=1, paused=True)
    assert job.is_paused
    assert str(job.sentence()).startswith("Judge: 4 of 40, 1 failed, paused")
    runner.resume(job)
    assert str(job.sentence()).endswith("going on …")
    hear(runner, job, 4, analysed=4, failed=1, paused=False)
    assert "paused" not in str(job.sentence())
    runner.first(job, ["r1", "r 2", "r3"])
    assert stdin.lines[1:] == [b"resume\n", b"first r1 r3\n"]
    with qtbot.waitSignal(runner.answered, timeout=100):
        hear(runner, job, 4, first=["r1"], not_first=["r3"])
    hear(runner, job, 5, analysed=5, failed=1, shortened=2, prompt_tokens=900, reused_tokens=400, completion_tokens=80,
         fed_tokens=20)  # fmt: skip
    assert "5 analysed, 1 failed" in job.details()
    assert "2 were shown to the judge in a shorter form" in job.details()
    assert "500 tokens read, 100 written" in job.details()


def test_the_strip_offers_what_can_be_done(window: Window) -> None:
    strip = window.task_strip
    job, _ = running(window.session.tasks)
    try:
        window._on_jobs(job)
        assert not strip.pause_button.isVisible()
        assert not window.actions_by_id["judge.pause"].isEnabled()
        hear(window.session.tasks, job, 3, analysed=3)
        window._stack.setCurrentIndex(1)
        assert strip.pause_button.text() == "Pause" and not strip.pause_button.isHidden()
        hear(window.session.tasks, job, 3, analysed=3, paused=True)
        assert strip.pause_button.text() == "Resume"
        assert "paused" in strip.text
    finally:
        window.session.tasks._jobs.clear()
        strip.show_jobs([])


def test_only_a_failure_can_be_analysed_now(waiting: tuple[Window, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    window, ids = waiting
    started: list[list[str]] = []
    monkeypatch.setattr(window.session, "start", lambda _kind, words: started.append(list(words)))
    window.session.apply(MarkRecords(record_ids=(ids[0],), mark="excluded"))
    window.session.select_record(ids[0])
    window.session.select_failures([ids[0]])
    window.do("records.analyse_now")
    assert "excluded as junk" in window.strip.text
    with Project.open(project_of(window).path) as other:
        [passed] = add_records(other, [{**ANSWERS[0], "example_id": "right", "score": 1.0}])
    window.session.select_failures([])
    window.session.select_record(passed)
    window.do("records.analyse_now")
    assert "It did not fail" in window.strip.text
    assert started == []
    window.session.select_record(ids[1])
    assert window.record.now_button.isVisible()
    window.record.now_button.click()
    [words] = started
    assert words[1:] == ["--only", ids[1], "--retry", "--as-id", window.session.actor]


def test_a_real_run_is_paused_within_a_second_goes_on_and_stops(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    """The embedded model: nothing comes while it is paused, what is asked for goes first, stopping keeps what was done."""
    window, ids = waiting
    job = window.session.start("judge", [str(project_of(window).path), "--as-id", window.session.actor])
    assert job is not None
    qtbot.waitUntil(lambda: job.progress is not None and job.progress.done >= 1, timeout=120 * SECONDS)
    window.do("judge.pause")
    qtbot.waitUntil(lambda: job.is_paused, timeout=1 * SECONDS)
    assert job.progress is not None
    n = job.progress.done
    qtbot.wait(1 * SECONDS)
    assert job.progress.done == n
    assert window.task_strip.pause_button.text() == "Resume"
    window.session.poll()
    states = {key: row.state for key, row in queries.failure_rows(project_of(window).reader, ids).items()}
    last = [key for key in queries.failure_ids(project_of(window).reader) if states[key] == "waiting"][-1]
    window.session.select_failures([last])
    window.session.select_record(last)
    with qtbot.waitSignal(window.session.tasks.answered, timeout=2 * SECONDS):
        window.do("records.analyse_now")
    assert "goes first when the judge goes on" in window.step_strip.text
    window.do("judge.pause")
    qtbot.waitUntil(lambda: not job.is_paused, timeout=1 * SECONDS)
    qtbot.waitUntil(lambda: job.progress is not None and job.progress.done >= n + 2, timeout=120 * SECONDS)
    window.session.poll()
    assert window.record.detail is not None and window.record.detail.state != "waiting"
    assert not window.record.now_button.isVisible()
    with qtbot.waitSignal(window.session.tasks.finished, timeout=10 * SECONDS):
        window.do("judge.stop")
    window.session.poll()
    n_done = len(ids) - queries.totals(project_of(window).reader).states["waiting"]
    assert n + 2 <= n_done < len(ids)


def test_one_failure_is_analysed_without_a_run(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    window, ids = waiting
    window.session.select_failures([ids[3]])
    window.session.select_record(ids[3])
    for said in ("Analysed 1 failure, 0 failed", "this judge has done it already"):
        with qtbot.waitSignal(window.session.tasks.finished, timeout=120 * SECONDS) as done:
            window.do("records.analyse_now")
        assert done.args[0].error is None
        assert said in window.step_strip.text
    assert queries.totals(project_of(window).reader).states["waiting"] == len(ids) - 1
    assert window.record.detail is not None and window.record.detail.analysis is not None


def test_work_gives_way_to_the_window(waiting: tuple[Window, list[str]], qtbot: Any) -> None:
    window, _ = waiting
    job = window.session.start("judge", [str(project_of(window).path), "--limit", "1"])
    assert job is not None
    assert job.process.waitForStarted()
    qtbot.waitUntil(
        lambda: psutil.Process(job.process.processId()).nice() > psutil.Process().nice(), timeout=5 * SECONDS
    )
    with qtbot.waitSignal(window.session.tasks.finished, timeout=120 * SECONDS):
        window.session.tasks.cancel_all()
    assert job.process.state() == QProcess.ProcessState.NotRunning
