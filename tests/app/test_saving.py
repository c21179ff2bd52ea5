"""Save a copy, in the real window: as a job, and after the project's file was moved away, deleted or replaced."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from app import saving
from app.rescue.restore_dialog import RestoreDialog
from app.saving import LostDialog
from app.window import Window
from errormap_core.project import backups, checkpointing
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
from tests.core.project.test_moved import log_deleted, renamed, replaced, until

Opened = tuple[Window, list[str]]


def to(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    monkeypatch.setattr(saving, "ask_save", lambda *_, **__: target)


def names_in(path: Path) -> set[str]:
    with Project.open(path, read_only=True) as project:
        assert check(project, replay=True) == []
        return {c.name for c in project.tree if c.reserved is None}


def test_a_copy_is_saved_by_a_job(opened: Opened, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window, _ = opened
    window.session.apply(AddCategory(name="Just now"))
    target = tmp_path / "copy.errormap"
    to(monkeypatch, target)
    window.do("file.copy")
    assert window.session.tasks.running_of("copy") is not None
    qtbot.waitUntil(lambda: not window.session.tasks.running(), timeout=60_000)
    assert f"Wrote {target}" in window.step_strip.text
    assert "Just now" in names_in(target)
    project = window.session.project
    assert project is not None
    to(monkeypatch, project.path)
    window.do("file.copy")
    qtbot.waitUntil(lambda: bool(window.strip.text), timeout=60_000)
    assert "project itself" in window.strip.text
    window.session.apply(AddCategory(name="Still"))
    assert project.cut_off is None


@pytest.mark.parametrize("way", [renamed, replaced, log_deleted], ids=lambda way: way.__name__)
def test_the_window_says_that_its_file_is_lost_and_saves_every_step(
    opened: Opened, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Path], None]
) -> None:
    """Before: 'Saved' went on, and the file had none of it."""
    window, _ = opened
    project = window.session.project
    assert project is not None
    window.session.apply(AddCategory(name="The last"))
    way(project.path)
    qtbot.waitUntil(lambda: project.cut_off is not None, timeout=5_000)  # seen without any step
    assert "Nothing more is written" in window.strip.text
    assert window.strip.button.isVisible() and window.strip.button.text() == "Save a copy as…"
    assert window._saved.text().startswith("Not in a file: save a copy")
    assert window.session.apply(AddCategory(name="Refused")) is None
    assert window.session.start("propose", [str(project.path)]) is None
    assert not window.session.is_free()
    target = tmp_path / "copy.errormap"
    to(monkeypatch, target)
    window.strip.button.click()
    qtbot.waitUntil(lambda: not window.saving.is_busy, timeout=30_000)
    assert f"Every step is saved in {target}" in window.strip.text
    assert window._saved.text().startswith("Saved in a copy")
    assert "The last" in names_in(target) and "Refused" not in names_in(target)
    window.strip.button.click()
    assert window.session.project is not None and window.session.project.path == target
    window.session.apply(AddCategory(name="Going on"))
    assert "Going on" in {c.name for c in window.session.project.tree}
    if way is replaced:
        with Project.open(project.path, read_only=True) as theirs:
            assert [c.name for c in theirs.tree if c.reserved is None] == ["Theirs"]


def test_a_copy_that_cannot_be_saved_is_told_and_can_be_tried_again(
    opened: Opened, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None
    renamed(project.path)
    window.session.poll()
    for target in (tmp_path / "no such folder" / "x.errormap", tmp_path / "test.errormap-wal", tmp_path):
        window.saving.save_to(target)
        qtbot.waitUntil(lambda: not window.saving.is_busy, timeout=30_000)
        assert window.strip.button.isVisible() and "Save a copy" in window.strip.button.text()
        assert not window.session.has_copy
    window.saving.save_to(tmp_path / "copy.errormap")
    qtbot.waitUntil(lambda: window.session.has_copy, timeout=30_000)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_window_can_be_closed_after_a_copy_failed_by_a_defect(
    opened: Opened, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the copy was said to be under way for ever, and the window did not close any more."""
    window, _ = opened
    renamed(window.session.project.path)  # type: ignore[union-attr]
    window.session.poll()

    def defect(*_: object) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(saving, "copy_project", defect)
    window.saving.save_to(tmp_path / "copy.errormap")
    qtbot.waitUntil(lambda: not window.saving.is_busy, timeout=5_000)
    assert "The copy could not be saved" in window.strip.text
    window.session.has_copy = True
    window.close()
    assert not window.isVisible()


def test_the_moved_file_can_be_opened_once_a_copy_is_saved(opened: Opened, qtbot: Any, tmp_path: Path) -> None:
    """Before: 'The project cannot be read (disk I/O error)': SQLite had the file open under its old name still."""
    window, _ = opened
    project = window.session.project
    assert project is not None
    window.session.apply(AddCategory(name="Before"))
    names = sorted(c.name for c in project.tree if c.reserved is None)
    assert until(project.path, names), "and the right to edit it, which this window had"
    project.path.rename(tmp_path / "moved.errormap")
    window.session.poll()
    window.saving.save_to(tmp_path / "copy.errormap")
    qtbot.waitUntil(lambda: window.session.has_copy, timeout=30_000)
    assert window.session.open(tmp_path / "moved.errormap"), window.strip.text
    assert window.session.apply(AddCategory(name="Going on")) is not None
    window.session.close()
    assert "Going on" in names_in(tmp_path / "moved.errormap")


def test_closing_the_window_asks_for_the_copy_first(
    opened: Opened, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None
    window.session.apply(AddCategory(name="The last"))
    (tmp_path / "work").mkdir()
    renamed(project.path)
    window.session.poll()
    window.close()
    dialog = window.findChild(LostDialog)
    assert dialog is not None and window.isVisible()
    dialog.reject()
    qtbot.wait(10)
    assert window.session.is_open
    window.close()
    dialog = next(d for d in window.findChildren(LostDialog) if d.isVisible())
    target = tmp_path / "copy.errormap"
    to(monkeypatch, target)
    dialog.save_button.click()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=30_000)
    assert "The last" in names_in(target)


def test_closing_without_a_copy_leaves_the_file_that_took_the_place(opened: Opened, qtbot: Any, tmp_path: Path) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None
    window.session.apply(AddCategory(name="The last"))
    replaced(project.path)
    theirs = project.path.read_bytes()
    window.session.poll()
    window.close()
    dialog = window.findChild(LostDialog)
    assert dialog is not None
    dialog.leave_button.click()
    assert not window.isVisible()
    assert project.path.read_bytes() == theirs


def test_who_turns_to_another_program_finds_every_step_in_the_file(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None
    monkeypatch.setattr(checkpointing, "REST_S", 3600)
    window.session.apply(AddCategory(name="Just now"))
    monkeypatch.setattr(Window, "isActiveWindow", lambda _: False)
    QApplication.sendEvent(window, QEvent(QEvent.Type.ActivationChange))
    names = sorted(c.name for c in project.tree if c.reserved is None)
    assert until(project.path, names)


def test_a_log_that_cannot_be_put_into_the_file_is_told_before_the_window_closes(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None
    error = checkpointing.in_two_files(sqlite3.OperationalError("disk I/O error"), project.path)
    monkeypatch.setattr(checkpointing, "bring_in_all", lambda *_: error)
    window.close()
    assert window.isVisible()
    assert "in two files: test.errormap and test.errormap-wal" in window.strip.text
    window.close()
    assert not window.isVisible()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what an open file holds without opening it again")
def test_a_file_that_was_written_over_leads_to_a_backup_and_not_to_a_copy(
    opened: Opened, qtbot: Any, tmp_path: Path
) -> None:
    """Before: 'Only this window holds every step', and a copy that was refused each time."""
    window, _ = opened
    session, project = window.session, window.session.project
    assert project is not None
    session.apply(AddCategory(name="In the backup"))
    assert backups.back_up(project.path, keep=3, most_bytes=10**9) is not None
    project.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    session.poll()
    subprocess.run(["dd", "if=/dev/zero", f"of={project.path}", "bs=4096", "count=9"], check=True, capture_output=True)
    session.poll()
    assert window._saved.text().startswith("Not saved: another program wrote over the file")
    assert "wrote over the project file" in window.strip.text
    assert window.strip.button.text() == "Restore a backup…"
    window.strip.button.click()
    dialog = window.findChild(RestoreDialog)
    dialog.restore_button.click()
    qtbot.waitUntil(lambda: session.can_edit and session.project is not project, timeout=60_000)
    assert "In the backup" in {c.name for c in session.project.tree}  # type: ignore[union-attr]
    window.close()
    assert not window.isVisible()
