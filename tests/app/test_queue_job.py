"""The job that chooses questions stands by while the queue is looked at: it is no work, and the queue does without it."""

import os
from pathlib import Path
from typing import Any

from app.window import Window
from tests.app.queue_building import Built
from tests.app.queue_fixtures import Queue


def test_it_stands_by_quietly_and_ends_with_the_project(window: Window, qtbot: Any, tmp_path: Path) -> None:
    window.session.settings["queue.questions"] = True
    for name in ("a", "b"):
        Built(tmp_path / f"{name}.errormap").propose_all().project.close()
    tasks = window.session.tasks
    started: list[object] = []
    tasks.started.connect(started.append)
    assert window.session.open(tmp_path / "a.errormap")
    window.show_page("review")
    qtbot.waitUntil(lambda: tasks.running_of("queue") is not None, timeout=5000)
    page = window.review
    assert "Looking for the failures" in page.top.note.text()
    assert not page.top.note.isHidden()
    qtbot.waitUntil(lambda: bool(page.top.sure.text()), timeout=60_000)
    assert (
        page.top.sure.text()
        == "How often the first suggestion is right is not known: 10 failures are left that no person placed, too few to find out"
    )
    assert any(line.startswith("A suggestion counts as right if ") for line in page.top.sure.toolTip().splitlines())
    assert page.top.note.isHidden()
    assert tasks.running() == [] and started == [] and window.task_strip.isHidden()
    assert not window.actions_by_id["judge.stop"].isEnabled()
    window.do("judge.stop")
    first = tasks.running_of("queue")
    assert first is not None and not first.is_stopping, "Stop ends what works, not what stands by"
    assert window.session.open(tmp_path / "b.errormap"), "and it keeps nobody from opening another project"
    qtbot.waitUntil(lambda: tasks.running_of("queue") not in (None, first), timeout=20_000)
    window.close()
    assert not window.isVisible(), "closing does not wait for it"
    assert tasks.running_of("queue") is None


def test_without_an_encoder_everything_else_works(queue: Queue) -> None:
    settings = Path(os.environ["ERRORMAP_STUDIO_CONFIG"]) / "settings.json"
    settings.write_text('{"embedding.model": "/nowhere/encoder"}', encoding="utf-8")
    queue.window.session.settings["queue.questions"] = True
    queue.page.questions.want(True)
    note = queue.page.top.note
    queue.qtbot.waitUntil(lambda: note.text().startswith("No questions come"), timeout=60_000)
    assert "/nowhere/encoder" in note.text()
    assert queue.window.strip.text == "", "it is said on the page, not as an error of something that was asked for"
    queue.press("s")
    assert queue.page.deck.get(queue.kind["merge"]).state == "skipped"
    queue.page.questions.want(True)
    queue.qtbot.wait(600)
    assert queue.window.session.tasks.running_of("queue") is None, "it is not tried again and again"


def test_it_is_not_started_where_it_is_not_wanted(queue: Queue) -> None:
    queue.qtbot.wait(600)
    assert queue.window.session.tasks.running_of("queue") is None
