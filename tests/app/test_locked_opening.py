"""A project that another program has locked is opened later, by itself, and the window does not stand still meanwhile."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt

from app import opening
from app.window import Window
from errormap_core.project.lease import Lease, take_lease
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.trouble import DiskError
from tests.locking import EXCLUSIVE, EXCLUSIVE_MODE, WHOLE_FILE, WRITER, holding


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "locked.errormap"
    Project.create(found).close()
    return found


@pytest.mark.parametrize("how", [WRITER, EXCLUSIVE, EXCLUSIVE_MODE, WHOLE_FILE])
def test_it_opens_once_the_other_program_lets_go(
    window: Window, path: Path, qtbot: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LATE_S", 0.1)
    session = window.session
    with holding(path, how) as holder:
        assert not session.open(path)
        assert "Waiting to open locked.errormap" in window.step_strip.text
        qtbot.waitUntil(lambda: "has locked this project" in window.waiting.text, timeout=10_000)
        assert "Do not open it" in window.waiting.drop.text().replace("&", "")
        assert not session.is_open
        holder.let_go()
        qtbot.waitUntil(lambda: session.is_open, timeout=10_000)
    assert session.can_edit and not window.waiting.text
    assert window.step_strip.text == "Opened locked.errormap"
    project = session.project
    assert project is not None
    assert project.db.execute("SELECT count(*) FROM lease").fetchone() == (1,)


def test_waiting_can_be_given_up_and_leaves_nothing_behind(
    window: Window, path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LATE_S", 0.0)
    with holding(path):
        assert not window.session.open(path)
        qtbot.waitUntil(lambda: bool(window.waiting.text), timeout=10_000)
        qtbot.mouseClick(window.waiting.drop, Qt.MouseButton.LeftButton)
        assert not window.waiting.text and not window.session.opening.is_waiting
    qtbot.wait(400)
    assert not window.session.is_open
    with Project.open(path) as project:
        take_lease(project, "window", purpose=tr("Editing in a window")).release()


def test_the_project_that_is_open_stays_until_the_other_is(
    window: Window, path: Path, tmp_path: Path, qtbot: Any
) -> None:
    first = tmp_path / "first.errormap"
    Project.create(first).close()
    session = window.session
    assert session.open(first)
    with holding(path) as holder:
        assert not session.open(path)
        assert session.project is not None and session.project.path == first
        holder.let_go()
        qtbot.waitUntil(lambda: session.project is not None and session.project.path == path, timeout=10_000)
    with Project.open(first) as project:
        assert project.db.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_another_window_that_edits_it_is_still_told_and_the_project_shown_for_reading(
    window: Window, path: Path, qtbot: Any
) -> None:
    with Project.open(path) as other:
        lease = take_lease(other, "window", purpose=tr("Editing in a window"))
        with holding(path) as holder:
            assert not window.session.open(path)
            holder.let_go()
            qtbot.waitUntil(lambda: window.session.is_open, timeout=10_000)
        assert not window.session.can_edit
        assert "shown here for reading" in window.strip.text
        lease.release()


def test_a_right_to_edit_that_cannot_be_given_back_leaves_no_project_open(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the error of a full disk went its own way, and the file stayed open."""
    path = tmp_path / "p.errormap"
    Project.create(path).close()
    opening, said, closed = window.session.opening, list[object](), list[Path]()
    opening.failed.connect(said.append)
    real = Project.close
    monkeypatch.setattr(Project, "close", lambda self: (closed.append(self.path), real(self)))

    def full(_: object) -> None:
        raise DiskError(tr("The disk is full."))

    monkeypatch.setattr(Lease, "release_when_free", full)
    opening._path, opening._project = path, Project.open(path)
    opening._lease = take_lease(opening._project, "window", purpose=tr("Editing in a window"))
    opening.stop()
    assert closed[-1] == path and [str(error) for error in said] == ["The disk is full."]
