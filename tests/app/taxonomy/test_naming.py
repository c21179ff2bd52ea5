"""Names are edited in place: what is refused is said beside the field, and nothing is added before it is named."""

from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QLineEdit

from app.taxonomy.merge_view import MergeView
from app.window import Window
from tests.app.test_taxonomy import Opened, find, shown, wanted


@pytest.fixture
def accepted(opened: Opened) -> Window:
    """The window with Arithmetic / Slips and Reading in the tree."""
    window, _ = opened
    window.review.accept_all()
    return window


def editor_of(window: Window) -> QLineEdit:
    editor = window.tree.view.viewport().findChild(QLineEdit)
    assert editor is not None
    return editor


def children(window: Window, parent: str | None) -> list[str]:
    project = window.session.project
    assert project is not None
    return [project.tree.live(c).name for c in project.tree.children(parent)]


def test_a_name_that_is_taken_is_said_beside_the_field_and_can_be_merged(accepted: Window, qtbot: Any) -> None:
    window, tree = accepted, accepted.tree
    reading, arithmetic = find(window, "Reading"), find(window, "Arithmetic")
    tree.select([reading])
    window.do("taxonomy.rename")
    editor = editor_of(window)
    editor.selectAll()
    qtbot.keyClicks(editor, "arithmeti")
    assert tree.names.note.isHidden()
    qtbot.keyClicks(editor, "c")
    assert tree.names.note.isVisible()
    assert "“Arithmetic” exists already" in tree.names.note.label.text()
    assert tree.names.note.button.isVisible()
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.wait(20)
    assert editor_of(window).text() == "arithmetic", "the field stays open"
    assert find(window, "Reading") == reading
    qtbot.keyClick(editor, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: tree.findChild(MergeView) is not None)
    view = tree.findChild(MergeView)
    assert view is not None
    assert view.into == arithmetic
    assert tree.names.note.isHidden()
    view.reject()


def test_an_empty_name_is_refused_and_escape_gives_the_old_one_back(accepted: Window, qtbot: Any) -> None:
    window, tree = accepted, accepted.tree
    tree.select([find(window, "Reading")])
    window.do("taxonomy.rename")
    editor = editor_of(window)
    editor.selectAll()
    qtbot.keyClick(editor, Qt.Key.Key_Backspace)
    assert "A category needs a name." in tree.names.note.label.text()
    assert not tree.names.note.button.isVisible()
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    qtbot.wait(20)
    assert tree.names.note.isHidden()
    assert find(window, "Reading")


def test_a_new_one_is_named_in_place_behind_the_selected(accepted: Window, qtbot: Any) -> None:
    window, tree = accepted, accepted.tree
    tree.select([find(window, "Arithmetic")])
    window.do("taxonomy.add")
    assert tree.model.rowCount() == 5, "the row that is named"
    editor = editor_of(window)
    qtbot.keyClicks(editor, "Reading")
    assert "exists already" in tree.names.note.label.text()
    assert not tree.names.note.button.isVisible(), "there is nothing to merge yet"
    qtbot.keyClicks(editor, " of units")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.step_strip.text == "Added “Reading of units”")
    assert children(window, None)[:3] == ["Arithmetic", "Reading of units", "Reading"]
    assert tree.selected_ids() == [find(window, "Reading of units")]
    assert shown(tree.model) == wanted(window)


def test_a_new_one_below_another(accepted: Window, qtbot: Any) -> None:
    window, tree = accepted, accepted.tree
    reading = find(window, "Reading")
    tree.select([reading])
    window.do("taxonomy.add_child")
    qtbot.keyClicks(editor_of(window), "Skipped a sentence")
    qtbot.keyClick(editor_of(window), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: children(window, reading) == ["Skipped a sentence"])
    assert tree.view.isExpanded(tree.index_of(reading))


def test_escape_adds_nothing(accepted: Window, qtbot: Any, qtmodeltester: Any) -> None:
    window, tree = accepted, accepted.tree
    project = window.session.project
    assert project is not None
    before = project.undoable()
    for command in ("taxonomy.add", "taxonomy.add_child"):
        tree.select([find(window, "Reading")])
        window.do(command)
        qtmodeltester.check(tree.model)
        qtbot.keyClicks(editor_of(window), "Nothing")
        qtbot.keyClick(editor_of(window), Qt.Key.Key_Escape)
        qtbot.waitUntil(lambda: shown(tree.model) == wanted(window))
    assert str(project.undoable()) == str(before)
    qtmodeltester.check(tree.model)


def test_steps_taken_elsewhere_while_a_name_is_typed(accepted: Window, qtbot: Any) -> None:
    """The row that is named stays; where its parent goes, it goes with it."""
    from errormap_core.taxonomy.operations import AddCategory, DeleteCategories

    window, tree = accepted, accepted.tree
    project, reading = window.session.project, find(window, "Reading")
    assert project is not None
    tree.select([reading])
    window.do("taxonomy.add_child")
    qtbot.keyClicks(editor_of(window), "Half a na")
    project.apply(AddCategory(name="Units", parent_id=reading), actor=window.session.actor)
    assert editor_of(window).text() == "Half a na"
    names = [tree.model.index(r, 0, tree.model.index_of(reading)).data() for r in range(2)]
    assert names == ["Units", None]
    project.apply(DeleteCategories(category_ids=(reading,)), actor=window.session.actor)
    qtbot.waitUntil(lambda: shown(tree.model, QModelIndex()) == wanted(window))
    assert tree.model.end_draft() is None


def test_closing_while_a_name_is_typed(accepted: Window, qtbot: Any) -> None:
    window = accepted
    window.do("taxonomy.add")
    qtbot.keyClicks(editor_of(window), "Half a na")
    window.session.close()
    qtbot.wait(20)
    assert window.tree.model.rowCount() == 0
