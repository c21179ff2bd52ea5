"""The way back in the window: a look at the file beside the window's thread, backups at the end, restore and repair."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from app.rescue.deeds import RepairedDialog
from app.rescue.restore_dialog import FolderRow, RestoreDialog
from app.settings.dialog import SettingsDialog
from app.window import Window
from errormap_core.project import backup_folder, backups, health
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
from tests.core.project.test_damaged import overwrite, page_of


@pytest.fixture
def keeping(opened: tuple[Window, list[str]]) -> Window:
    """The window on a project, with backups switched on."""
    window, _ = opened
    window.rescue.watch.wait()
    window.session.settings["backups.keep"] = 5
    return window


def damaged_copy(window: Window, tmp_path: Path) -> Path:
    """A copy of the open project of which a page is damaged that opening does not read."""
    project = window.session.project
    assert project is not None
    path = tmp_path / "damaged.errormap"
    made = backups.back_up(project.path, keep=1, most_bytes=10**9)
    assert made is not None
    shutil.copy(made.path, path)
    overwrite(path, page_of(path, "log_undo_of"), b"\xff" * 4096)
    return path


def test_a_changed_project_is_backed_up_when_it_is_closed(keeping: Window, qtbot: Any) -> None:
    session = keeping.session
    session.apply(AddCategory(name="Today"))
    path = session.project.path  # type: ignore[union-attr]
    session.close()
    keeping.rescue.watch.wait()
    (made,) = backup_folder.backups_of(path)
    with Project.open(made.path, read_only=True) as backup:
        assert "Today" in [category.name for category in backup.tree]
    assert session.open(path)
    keeping.rescue.watch.wait()
    session.close()
    keeping.rescue.watch.wait()
    assert len(backup_folder.backups_of(path)) == 1, "nothing was changed"


def test_closing_does_not_wait_for_the_backup(keeping: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is gone while the backup is made; the process ends with it."""
    goes_on, began = threading.Event(), threading.Event()
    real = backups.back_up

    def slow(*arguments: Any, **named: Any) -> Any:
        began.set()
        assert threading.current_thread() is not threading.main_thread()
        assert not threading.current_thread().daemon
        goes_on.wait(10)
        return real(*arguments, **named)

    monkeypatch.setattr(backups, "back_up", slow)
    path = keeping.session.project.path  # type: ignore[union-attr]
    keeping.close()
    assert not keeping.isVisible() and began.wait(5)
    assert backup_folder.backups_of(path) == []
    goes_on.set()
    keeping.rescue.watch.wait()
    assert len(backup_folder.backups_of(path)) == 1


def test_closing_does_not_wait_for_who_reads(keeping: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: for each thread a second, on the window's thread."""
    goes_on, began = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        began.set()
        goes_on.wait(10)

    monkeypatch.setattr(health, "look_over", slow)
    path = keeping.session.project.path  # type: ignore[union-attr]
    keeping.session.close()
    keeping.rescue.watch.wait()
    assert keeping.session.open(path) and began.wait(5)
    waited: list[float] = []
    monkeypatch.setattr(threading.Thread, "join", lambda _, timeout=None: waited.append(timeout))
    keeping.rescue.watch._on_closing()
    monkeypatch.undo()
    goes_on.set()
    assert waited and sum(waited) < 0.05


def test_restoring_waits_for_a_backup_beside_the_window(keeping: Window, qtbot: Any) -> None:
    """Before: the window stood still until the backup was made."""
    session = keeping.session
    path = session.project.path  # type: ignore[union-attr]
    session.apply(AddCategory(name="Early"))
    backup = backups.back_up(path, keep=5, most_bytes=10**9)
    goes_on = threading.Event()
    keeping.rescue.watch._start(goes_on.wait, 10)
    keeping.rescue._restore(path, backup, True)
    assert not goes_on.is_set() and session.tasks.running_of("restore") is None
    goes_on.set()
    qtbot.waitUntil(lambda: session.is_open, timeout=60_000)
    assert "Early" in _names(session)


def test_what_stops_a_backup_is_told_once(keeping: Window, qtbot: Any) -> None:
    backup_folder.backups_folder().parent.mkdir(parents=True, exist_ok=True)
    backup_folder.backups_folder().write_text("in the way", encoding="utf-8")
    session = keeping.session
    path = session.project.path  # type: ignore[union-attr]
    said: list[object] = []
    session.failed.connect(said.append)
    for _ in range(2):
        session.close()
        qtbot.waitUntil(lambda: not keeping.rescue.watch._timer.isActive())
        assert session.open(path)
    assert len(said) == 1 and str(backup_folder.backups_folder()) in str(said[0])
    assert session.apply(AddCategory(name="Work goes on")) is not None


def test_a_damaged_project_is_told_at_once_and_cannot_be_edited(
    keeping: Window, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = damaged_copy(keeping, tmp_path)
    threads: list[bool] = []
    look_over = health.look_over

    def watched(*arguments: Any, **named: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return look_over(*arguments, **named)

    monkeypatch.setattr(health, "look_over", watched)
    session = keeping.session
    session.open(path)
    qtbot.waitUntil(lambda: keeping.rescue.strip.text != "")
    assert threads == [False], "never on the window's thread"
    text = keeping.rescue.strip.text
    assert "damaged" in text and "open for reading only" in text and str(path) in text
    assert not session.can_edit
    assert not keeping.actions_by_id["taxonomy.add"].isEnabled()
    assert session.apply(AddCategory(name="No")) is None
    session.close()
    keeping.rescue.watch.wait()
    before = path.read_bytes()  # with the lease that was taken before anybody knew
    session.open(path)
    assert not session.can_edit and keeping.rescue.strip.text and not keeping.strip.text
    assert session.apply(AddCategory(name="No")) is None
    session.close()
    keeping.rescue.watch.wait()
    assert path.read_bytes() == before
    assert keeping.rescue.strip.text == ""
    assert keeping.actions_by_id["file.repair"].isEnabled()


def test_a_project_too_damaged_to_open_is_told_with_the_ways_back(keeping: Window, qtbot: Any, tmp_path: Path) -> None:
    path = damaged_copy(keeping, tmp_path)
    overwrite(path, page_of(path, "category"), b"\xff" * 4096)
    assert not keeping.session.open(path)
    assert keeping.rescue.strip.text and not keeping.strip.text
    assert keeping.rescue.strip.restore_button.isVisible()


def test_restoring_over_the_project(keeping: Window, qtbot: Any) -> None:
    session = keeping.session
    path = session.project.path  # type: ignore[union-attr]
    session.apply(AddCategory(name="Early"))
    backups.back_up(path, keep=5, most_bytes=10**9)
    session.apply(AddCategory(name="Late"))
    keeping.rescue.restore()
    dialog = keeping.findChild(RestoreDialog)
    assert dialog.table.rowCount() == 1
    dialog.restore_button.click()
    qtbot.waitUntil(lambda: session.is_open and "Late" not in _names(session), timeout=60_000)
    assert "Early" in _names(session) and session.can_edit
    (kept,) = path.parent.glob("test.replaced-*.errormap")
    assert str(kept) in keeping.step_strip._label.text()


def test_repairing_into_a_copy(keeping: Window, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = damaged_copy(keeping, tmp_path)
    keeping.session.open(path)
    qtbot.waitUntil(lambda: keeping.rescue.strip.text != "")
    monkeypatch.setattr("app.rescue.deeds.ask_save", lambda *_, **__: tmp_path / "whole.errormap")
    keeping.rescue.strip.repair_button.click()
    qtbot.waitUntil(lambda: keeping.findChild(RepairedDialog) is not None, timeout=60_000)
    dialog = keeping.findChild(RepairedDialog)
    assert keeping.session.project.path == path  # type: ignore[union-attr]
    next(
        b for b in dialog.findChildren(type(keeping.rescue.strip.repair_button)) if "Open the copy" in b.text()
    ).click()
    assert keeping.session.project.path == tmp_path / "whole.errormap"  # type: ignore[union-attr]
    assert keeping.session.can_edit and not keeping.rescue.strip.text


def test_the_settings_say_how_large_the_backups_are(keeping: Window) -> None:
    backups.back_up(keeping.session.project.path, keep=5, most_bytes=10**9)  # type: ignore[union-attr]
    dialog = SettingsDialog(keeping.session, keeping)
    row = dialog.findChild(FolderRow)
    assert row.label.text().startswith("1 backup, 0.") and row.label.text().endswith(" MB")
    dialog.reject()
    QApplication.processEvents()


def _names(session: Any) -> list[str]:
    return [category.name for category in session.project.tree]
