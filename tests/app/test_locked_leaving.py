"""A project is left while steps wait for its file: they go in first, into a copy, or are given up by who took them."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt

from app.unsaved import UnsavedDialog
from app.window import Window
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
from tests.app.test_prompts import type_into
from tests.locking import Holding, holding

Opened = tuple[Window, list[str]]


def asked(window: Window) -> UnsavedDialog:
    found = window.findChild(UnsavedDialog)
    assert isinstance(found, UnsavedDialog) and found.isVisible()
    return found


def names(path: Path) -> list[str]:
    with Project.open(path, read_only=True) as project:
        return [c.name for c in project.tree if c.reserved is None]


def take_two(window: Window) -> Path:
    project = window.session.project
    assert project is not None
    for name in ("A", "B"):
        window.session.apply(AddCategory(name=name))
    assert len(window.session.steps.waiting) == 2
    return project.path


def locked(window: Window) -> Holding:
    assert window.session.project is not None
    return Holding(window.session.project.path, "BEGIN IMMEDIATE")


def test_closing_waits_for_what_is_not_saved_and_is_done_then(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    holder = locked(window)
    path = take_two(window)
    assert not window.close()
    dialog = asked(window)
    assert "test.errormap. 2 steps are not saved" in dialog.said.text() and "Added “A”" in dialog.said.text()
    assert not window.close() and len(window.findChildren(UnsavedDialog)) == 1
    holder.let_go()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=10_000)
    assert names(path) == ["A", "B"]


def test_who_stays_keeps_the_project_and_what_waits(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    holder = locked(window)
    take_two(window)
    window.deeds.close_project()
    qtbot.mouseClick(asked(window).stay, Qt.MouseButton.LeftButton)
    assert window.session.is_open and len(window.session.steps.waiting) == 2
    holder.let_go()
    qtbot.waitUntil(lambda: not window.session.steps.waiting, timeout=10_000)
    assert window.session.is_open


def test_a_copy_holds_all_and_the_project_is_closed_without_standing_still(
    opened: Opened, qtbot: Any, tmp_path: Path
) -> None:
    window, _ = opened
    holder = locked(window)
    path = take_two(window)
    window.deeds.close_project()
    taken = tmp_path / "taken.errormap"
    taken.write_bytes(b"somebody's")
    dialog = asked(window)
    dialog.save_copy(taken)
    qtbot.waitUntil(lambda: "of this name already" in dialog.problem.text(), timeout=10_000)
    assert taken.read_bytes() == b"somebody's" and window.session.is_open
    dialog.save_copy(tmp_path / "copy.errormap")
    qtbot.waitUntil(lambda: not window.session.is_open, timeout=10_000)
    assert names(tmp_path / "copy.errormap") == ["A", "B"]
    assert not list(tmp_path.glob("*.new-*"))
    holder.let_go()
    assert names(path) == []
    with Project.open(tmp_path / "copy.errormap") as project:
        assert not check(project, replay=True)


def test_what_is_discarded_is_in_neither_and_another_project_is_opened_then(
    opened: Opened, qtbot: Any, tmp_path: Path
) -> None:
    window, _ = opened
    other = tmp_path / "other.errormap"
    Project.create(other).close()
    holder = locked(window)
    path = take_two(window)
    assert not window.session.open(other)
    qtbot.mouseClick(asked(window).drop, Qt.MouseButton.LeftButton)
    project = window.session
    qtbot.waitUntil(lambda: project.project is not None and project.project.path == other, timeout=10_000)
    holder.let_go()
    assert names(path) == []


def test_a_prompt_that_is_typed_waits_once_and_is_saved_before_the_project_is_left(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    session, page = window.session, window.prompts
    window.show_page("prompts")
    page.new_copy()
    field = page.editor.fields["system"]
    assert session.project is not None
    with holding(session.project.path) as holder:
        type_into(page, "system", "Be brief.")
        assert page.save() and page.save()
        assert len(session.steps.waiting) == 1
        assert field.toPlainText().endswith("Be brief.")
        window.deeds.close_project()
        asked(window)
        holder.let_go()
        qtbot.waitUntil(lambda: not session.is_open, timeout=10_000)
    with Project.open(holder_path(holder)) as project:
        assert "Be brief." in str(project.setting("judge.own_prompts"))


def holder_path(holder: Holding) -> Path:
    return Path(str(holder.process.args[3]))  # type: ignore[index]


@pytest.mark.parametrize("n", [1, 12])
def test_many_steps_are_named_up_to_some(opened: Opened, n: int) -> None:
    window, _ = opened
    holder = locked(window)
    for i in range(n):
        window.session.apply(AddCategory(name=f"C{i}"))
    window.deeds.close_project()
    said = asked(window).said.text()
    assert ("and 4 more" in said) is (n == 12) and said.count("•") == min(n, 8)
    holder.let_go()
