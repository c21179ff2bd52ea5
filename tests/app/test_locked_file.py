"""Another program has locked the project that the window edits: nothing stands still, nothing is lost, everything is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit

from app import step_queue
from app.step_queue import BUSY_MS, WaitingStep
from app.unsaved import UnsavedDialog
from app.window import Window
from errormap_core.project.queries import history
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.operations import AddCategory, AnnotateRecord, DeleteCategories, RenameCategory
from errormap_core.trouble import DiskError
from tests.app.queue_fixtures import Queue
from tests.locking import EXCLUSIVE, WRITER, Holding

Opened = tuple[Window, list[str]]


@pytest.fixture(params=[WRITER, EXCLUSIVE])
def held(opened: Opened, request: pytest.FixtureRequest) -> Iterator[Holding]:
    """The process that has locked the file, until it lets go."""
    yield from hold(opened[0], request.param)


@pytest.fixture
def writer(opened: Opened) -> Iterator[Holding]:
    yield from hold(opened[0], WRITER)


def hold(window: Window, how: str) -> Iterator[Holding]:
    project = window.session.project
    assert project is not None
    holder = Holding(project.path, how)
    yield holder
    if holder.process.poll() is None:
        holder.let_go()
    window.session.steps.settle()


def names(window: Window) -> list[str]:
    project = window.session.project
    assert project is not None
    return [c.name for c in project.tree if c.reserved is None]


def summaries(window: Window) -> list[str]:
    project = window.session.project
    assert project is not None
    return [row.summary for row in history(project.reader, limit=50)][::-1]


def saved(window: Window) -> str:
    return window._saved.text().split(" · ")[0]


def test_steps_wait_in_their_order_are_seen_to_wait_and_go_in_once_each(
    opened: Opened, held: Holding, qtbot: Any
) -> None:
    window, ids = opened
    session = window.session
    before, heard = len(summaries(window)), []
    session.changed.connect(heard.append)
    taken = [session.apply(AddCategory(name=name)) for name in ("A", "B")]
    taken.append(session.apply(AnnotateRecord(record_id=ids[0], text="noted")))
    assert all(isinstance(one, WaitingStep) for one in taken)
    assert saved(window) == "Waiting to save 3 steps …"
    assert "Waiting to be saved" in window.step_strip.text
    assert "A" not in names(window) and len(summaries(window)) == before
    assert not heard
    held.let_go()
    qtbot.waitUntil(lambda: not session.steps.waiting, timeout=10_000)
    assert [change.kind for change in heard] == ["category.add", "category.add", "record.annotate"]
    assert all(isinstance(change, Change) for change in heard)
    assert names(window)[-2:] == ["A", "B"]
    assert len(summaries(window)) == before + 3
    assert saved(window) == "Saved"
    assert isinstance(session.apply(AddCategory(name="C")), Change)


def test_undo_takes_what_waits_first_and_redo_takes_it_again(opened: Opened, writer: Holding, qtbot: Any) -> None:
    window, _ = opened
    session = window.session
    before = len(summaries(window))
    session.apply(AddCategory(name="A"))
    session.apply(AddCategory(name="B"))
    assert "B" in window.actions_by_id["edit.undo"].text()
    window.deeds.undo()
    assert [str(step.sentence()) for step in session.steps.waiting] == ["Added “A”"]
    window.deeds.undo()
    assert not session.steps.waiting and saved(window) == "Saved"
    window.deeds.redo()
    window.deeds.redo()
    window.deeds.undo()
    assert saved(window) == "Waiting to save 1 step …"
    writer.let_go()
    qtbot.waitUntil(lambda: not session.steps.waiting, timeout=10_000)
    assert "A" in names(window) and "B" not in names(window)
    assert len(summaries(window)) == before + 1
    window.deeds.redo()  # the file is free: what was taken back goes in
    assert "B" in names(window)


def test_an_undo_of_what_is_saved_waits_as_well_and_can_be_given_up(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    session = window.session
    for name in ("A", "B", "C"):
        session.apply(AddCategory(name=name))
    for holder in hold(window, WRITER):
        for _ in range(3):
            window.deeds.undo()
        assert saved(window) == "Waiting to save 3 steps …"
        window.deeds.redo()
        assert saved(window) == "Waiting to save 2 steps …"
        holder.let_go()
        qtbot.waitUntil(lambda: not session.steps.waiting, timeout=10_000)
    assert [name for name in names(window) if name in "ABC"] == ["A"]


def test_what_is_not_possible_is_refused_at_once_and_what_became_so_is_told(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    session = window.session
    session.apply(added := AddCategory(name="Old"))
    for holder in hold(window, WRITER):
        assert session.apply(RenameCategory(category_id=added.category_id, name="")) is None
        assert not session.steps.waiting
        session.apply(DeleteCategories(category_ids=(added.category_id,)))
        assert isinstance(session.apply(RenameCategory(category_id=added.category_id, name="Anew")), WaitingStep)
        session.apply(AddCategory(name="Behind it"))
        window.strip.hide()
        holder.let_go()
        qtbot.waitUntil(lambda: not session.steps.waiting, timeout=10_000)
    assert "waited and cannot be saved" in window.strip.text and "Anew" in window.strip.text
    assert names(window) == ["Behind it"]


def test_after_two_seconds_it_is_said_who_has_locked_it_and_what_can_be_done(
    opened: Opened, writer: Holding, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    session = window.session
    assert step_queue.LATE_S == 2.0
    monkeypatch.setattr(step_queue, "LATE_S", 0.1)
    session.apply(AddCategory(name="A"))
    session.apply(AddCategory(name="B"))
    assert not window.waiting.text
    qtbot.waitUntil(lambda: bool(window.waiting.text), timeout=10_000)
    assert "has locked this project" in window.waiting.text
    assert "2 steps are kept here" in window.waiting.text
    if Path("/proc/locks").exists():
        assert f"process {writer.pid}" in window.waiting.text
    qtbot.mouseClick(window.waiting.drop, Qt.MouseButton.LeftButton)
    assert not session.steps.waiting and not window.waiting.text
    window.deeds.redo()
    window.deeds.redo()
    assert [str(step.sentence()) for step in session.steps.waiting] == ["Added “A”", "Added “B”"]
    writer.let_go()
    qtbot.mouseClick(window.waiting.retry, Qt.MouseButton.LeftButton) if window.waiting.text else session.steps.retry()
    qtbot.waitUntil(lambda: not session.steps.waiting, timeout=10_000)
    assert names(window)[-2:] == ["A", "B"] and not window.waiting.text


def test_what_waits_is_kept_where_the_file_is_moved_away_meanwhile(opened: Opened, qtbot: Any, tmp_path: Path) -> None:
    window, _ = opened
    session = window.session
    project = session.project
    assert project is not None
    for holder in hold(window, WRITER):
        session.apply(AddCategory(name="A"))
        away = project.path.with_name("away.errormap")
        project.path.rename(away)
        holder.let_go()
        qtbot.wait(2 * step_queue.RETRY_MS)
        assert len(session.steps.waiting) == 1 and not session.steps.settle()
        assert not session.may_leave(session.close)
        dialog = window.findChild(UnsavedDialog)
        assert isinstance(dialog, UnsavedDialog) and "1 step is in no file" in dialog.said.text()
        dialog.save_copy(tmp_path / "copy.errormap")
        qtbot.waitUntil(lambda: not session.is_open, timeout=20_000)
    with Project.open(tmp_path / "copy.errormap") as copy:
        assert [c.name for c in copy.tree if c.reserved is None] == ["A"]


def test_no_connection_of_the_window_waits_longer_than_is_felt(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None and BUSY_MS < 50
    found: list[int] = []
    window.session.reads.ask("busy", lambda db: db.execute("PRAGMA busy_timeout").fetchone()[0], found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=10_000)
    for db in (project.db, project.reader):
        found.append(db.execute("PRAGMA busy_timeout").fetchone()[0])
    assert found == [BUSY_MS] * 3


def test_a_new_category_named_in_the_tree_waits(opened: Opened, writer: Holding, qtbot: Any) -> None:
    window, _ = opened
    window.tree.add_category()
    field = window.tree.view.findChild(QLineEdit)
    assert field is not None
    qtbot.keyClicks(field, "Typed in the tree")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(window.session.steps.waiting), timeout=5_000)
    writer.let_go()
    qtbot.waitUntil(lambda: "Typed in the tree" in names(window), timeout=10_000)


def test_work_that_reads_the_file_does_not_start_without_what_waits(opened: Opened, writer: Holding) -> None:
    window, _ = opened
    window.session.apply(AddCategory(name="A"))
    assert window.session.start("export", ["x", "-o", "y"]) is None
    assert "1 step is not in the file yet" in window.strip.text


def test_a_card_that_waits_is_out_of_the_way_and_comes_back_when_it_is_given_up(queue: Queue, qtbot: Any) -> None:
    window = queue.window
    page, session = window.review, window.session
    shown = page._order()
    for holder in hold(window, WRITER):
        first = page._current
        assert first is not None
        page.reject()
        second = page._current
        assert second is not None and second != first
        assert first not in page._order()
        page.skip()
        assert len(session.steps.waiting) == 2 and page.n_pending == len(shown) - 2
        window.deeds.undo()
        assert page._current == second and len(session.steps.waiting) == 1
        holder.let_go()
        qtbot.waitUntil(lambda: not session.steps.waiting, timeout=10_000)
    row = page.deck.get(first)
    assert row is not None and row.verdict == "reject"
    waiting = page.deck.get(second)
    assert waiting is not None and waiting.verdict is None


def test_steps_that_wait_are_kept_while_the_disk_is_full(
    opened: Opened, writer: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: each was given up, one after the other, though it was said to wait."""
    window, _ = opened
    steps = window.session.steps
    for name in ("A", "B"):
        window.session.apply(AddCategory(name=name))
    writer.let_go()
    real, tries = step_queue.run_step, list[WaitingStep]()

    def full(step: WaitingStep, project: Project) -> Any:
        tries.append(step)
        raise DiskError(tr("The disk is full."), where="/full", fix=tr("Free some space."))

    monkeypatch.setattr(step_queue, "run_step", full)
    steps.retry()
    assert len(tries) == 1 and len(steps.waiting) == 2
    assert steps._timer.interval() == step_queue.DISK_RETRY_MS, "finding out costs a write"
    assert "The disk is full. 2 steps are kept here" in window.waiting.text
    window.deeds.close_project()
    said = window.findChild(UnsavedDialog)
    assert said is not None and said.said.text().startswith("The disk is full. 2 steps are not saved:")
    said.reject()
    monkeypatch.setattr(step_queue, "run_step", real)
    steps.retry()
    assert names(window)[-2:] == ["A", "B"] and not steps.waiting and window.waiting.text == ""


def test_a_step_that_waited_and_went_in_as_the_file_was_moved_is_not_taken_twice(
    opened: Opened, writer: Holding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before: it waited on, and went once more into the copy that was then saved."""
    window, ids = opened
    project = window.session.project
    assert project is not None
    window.session.apply(AnnotateRecord(record_id=ids[0], text="once"))
    before = len(summaries(window))
    writer.let_go()
    real = Project._write

    def moved_meanwhile(self: Project, **entry: Any) -> Change:
        self.path.rename(tmp_path / "moved.errormap")
        return real(self, **entry)

    monkeypatch.setattr(Project, "_write", moved_meanwhile)
    window.session.steps.retry()
    assert project.cut_off is not None
    assert len(summaries(window)) == before + 1 and window.session.steps.waiting == ()
