"""The pane: what is open is remembered, filtering keeps the selection, dropping depends on what is seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QModelIndex, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractItemView, QPushButton

from app.session import Scope
from app.taxonomy.merge_view import MergeView
from app.taxonomy.split_view import SplitView
from app.taxonomy.tree_model import CATEGORIES_MIME, COUNT, SHARE
from app.window import Window
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory
from tests.app.test_taxonomy import Opened, find


@pytest.fixture
def accepted(opened: Opened, qtbot: Any) -> Window:
    window, _ = opened
    window.review.accept_all()
    qtbot.waitUntil(lambda: not window.session.reads.is_busy)
    return window


def dragged(*category_ids: str) -> QMimeData:
    data = QMimeData()
    data.setData(CATEGORIES_MIME, json.dumps(category_ids).encode())
    return data


def test_what_is_open_is_remembered_for_the_session(accepted: Window, tmp_path: Path) -> None:
    window, tree = accepted, accepted.tree
    project = window.session.project
    assert project is not None
    path, arithmetic, slips = project.path, find(window, "Arithmetic"), find(window, "Slips")
    window.session.apply(AddCategory(name="Sign", parent_id=slips))
    tree.view.expand(tree.index_of(arithmetic))
    tree.view.expand(tree.index_of(slips))
    Project.create(tmp_path / "other.errormap").close()
    assert window.session.open(tmp_path / "other.errormap")
    assert window.session.open(path)
    assert tree.view.isExpanded(tree.index_of(arithmetic))
    assert tree.view.isExpanded(tree.index_of(slips))
    tree.collapse_all()
    tree.filter.setText("sign")
    assert tree.view.isExpanded(tree.index_of(slips)), "what is found is open"
    tree.filter.clear()
    assert not tree.view.isExpanded(tree.index_of(arithmetic)), "then as it was"


def test_filtering_changes_neither_the_list_nor_the_selection(accepted: Window) -> None:
    window, tree = accepted, accepted.tree
    reading = find(window, "Reading")
    tree.select([reading])
    scopes: list[Scope] = []
    window.session.scope_changed.connect(scopes.append)
    tree.filter.setText("slips")
    assert tree.selected_ids() == []
    assert not window.actions_by_id["taxonomy.delete"].isEnabled(), "nothing is done to what is not seen"
    tree.filter.setText("")
    assert tree.selected_ids() == [reading]
    assert scopes == []
    tree.filter.setText("zzz")
    assert tree.hint.isVisible()
    assert tree.hint.text == "No category says “zzz”."
    button = tree.hint.findChild(QPushButton)
    assert button is not None
    button.click()
    assert tree.filter.text() == ""
    assert not tree.hint.isVisible()


def test_shares_make_room_for_names_where_text_is_large(accepted: Window, qtbot: Any) -> None:
    window, view = accepted, accepted.tree.view
    assert not view.isColumnHidden(SHARE)
    window.theme.apply("light", 2.0)
    window.resizeDocks([window.left], [240], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: view.isColumnHidden(SHARE))
    assert "(25.0% of 24 counted)" in window.tree.index_of(find(window, "Reading")).data(Qt.ItemDataRole.ToolTipRole)
    window.theme.apply("light", 1.0)
    qtbot.waitUntil(lambda: not view.isColumnHidden(SHARE))


def test_an_empty_tree_says_what_to_do_next(window: Window, tmp_path: Path, qtbot: Any) -> None:
    assert window.session.create(tmp_path / "new.errormap")
    hint = window.tree.hint
    assert hint.isVisible()
    assert "import results first" in hint.text
    window.session.apply(AddCategory(name="Units"))
    qtbot.waitUntil(lambda: not hint.isVisible())


def test_what_is_beside_the_tree_selects_those_failures(opened: Opened) -> None:
    window, _ = opened
    button = window.tree.beside.buttons["unplaced"]
    assert button.text() == "Not placed yet  24"
    assert button.isVisible()
    assert not window.tree.beside.buttons["waiting"].isVisible()
    button.click()
    assert window.session.scope == Scope(unplaced=True)
    assert window.records.model.rowCount() == 24
    assert button.isChecked()
    window.session.select_scope(Scope())
    assert not button.isChecked()


def test_between_two_rows_is_a_place_only_in_tree_order(accepted: Window) -> None:
    window, tree = accepted, accepted.tree
    project = window.session.project
    assert project is not None
    slips, arithmetic = find(window, "Slips"), find(window, "Arithmetic")
    move = Qt.DropAction.MoveAction
    tree.shown.dropMimeData(dragged(slips), move, 0, 0, QModelIndex())
    assert project.tree.children(None)[0] == slips
    window.do("edit.undo")
    tree._sort(COUNT)
    tree.shown.dropMimeData(dragged(slips), move, 0, 0, QModelIndex())
    names = [project.tree.live(c).name for c in project.tree.children(None)]
    assert names == ["Arithmetic", "Reading", "Slips", "Other", "Hard to Analyze"]
    assert not tree.shown.canDropMimeData(dragged(arithmetic), move, -1, -1, tree.index_of(arithmetic))
    tree.shown.dropMimeData(dragged(slips), move, 0, 0, tree.index_of(find(window, "Reading")))
    assert project.tree.path(slips) == "Reading / Slips"


def drop(window: Window, ids: list[str], onto: str, modifiers: Qt.KeyboardModifier) -> None:
    """What Qt sends when the button is let go over a row."""
    view, data = window.tree.view, dragged(*ids)
    place = view.visualRect(window.tree.index_of(onto)).center()
    action = Qt.DropAction.CopyAction if modifiers else Qt.DropAction.MoveAction
    both = Qt.DropAction.MoveAction | Qt.DropAction.CopyAction
    from PySide6.QtGui import QDragMoveEvent

    moved = QDragMoveEvent(place, both, data, Qt.MouseButton.LeftButton, modifiers)
    moved.setDropAction(action)
    view.dragMoveEvent(moved)
    event = QDropEvent(QPointF(place), both, data, Qt.MouseButton.LeftButton, modifiers)
    event.setDropAction(action)
    view.dropEvent(event)


def test_with_ctrl_a_drop_opens_the_merge_view_and_without_it_moves(accepted: Window) -> None:
    window = accepted
    project = window.session.project
    assert project is not None
    reading, arithmetic = find(window, "Reading"), find(window, "Arithmetic")
    drop(window, [reading], arithmetic, Qt.KeyboardModifier.ControlModifier)
    view = window.tree.findChild(MergeView)
    assert view is not None
    assert view.into == arithmetic
    assert project.tree.live(reading).parent_id is None, "nothing happened yet"
    view.reject()
    drop(window, [reading], arithmetic, Qt.KeyboardModifier.NoModifier)
    assert project.tree.path(reading) == "Arithmetic / Reading"


def test_a_merge_by_dropping_works_onto_the_parent_too(accepted: Window) -> None:
    window, tree = accepted, accepted.tree
    slips, arithmetic = find(window, "Slips"), find(window, "Arithmetic")
    copy = Qt.DropAction.CopyAction
    assert tree.model.canDropMimeData(dragged(slips), copy, -1, 0, tree.model.index_of(arithmetic))
    assert not tree.model.canDropMimeData(dragged(slips), copy, -1, 0, tree.model.index_of(slips))
    assert not tree.model.canDropMimeData(dragged(slips), copy, 0, 0, tree.model.index_of(arithmetic))
    assert tree.view.autoScrollMargin() > 0
    assert tree.view.hasAutoScroll()
    assert tree.view.dragDropMode() == QAbstractItemView.DragDropMode.DragDrop


def test_the_selection_goes_with_a_merge(accepted: Window) -> None:
    from errormap_core.taxonomy.operations import MergeCategories

    window = accepted
    reading, arithmetic = find(window, "Reading"), find(window, "Arithmetic")
    window.tree.select([reading])
    window.session.apply(MergeCategories(category_ids=(reading, arithmetic), into=arithmetic))
    assert window.tree.selected_ids() == [arithmetic]
    window.do("taxonomy.delete")
    assert window.tree.selected_ids() == [], "a second Del deletes nothing"


def test_the_split_view_by_keyboard_alone(accepted: Window, qtbot: Any) -> None:
    window, tree = accepted, accepted.tree
    arithmetic = find(window, "Arithmetic")
    tree.select([arithmetic])
    window.do("taxonomy.split")
    view = tree.findChild(SplitView)
    assert view is not None
    new = view.parts.buttons["part_new"]
    assert not new.isEnabled()
    view.filter.setFocus()
    qtbot.keyClicks(view.filter, "Error 1")
    qtbot.keyClick(view.filter, Qt.Key.Key_Return)
    assert not view.parts.columns, "Enter in the filter goes to the list"
    qtbot.keyClick(view.rest, Qt.Key.Key_Home)
    qtbot.keyClick(view.rest, Qt.Key.Key_End, Qt.KeyboardModifier.ShiftModifier)
    assert new.isEnabled()
    n = len(view.rest.chosen_keys())
    assert n > 0
    qtbot.keyClick(view.rest, Qt.Key.Key_Return)
    [part] = view.parts.columns
    assert len(part.ids()) == n
    qtbot.waitUntil(part.name.hasFocus, timeout=3000)
    qtbot.keyClicks(part.name, "Carrying")
    qtbot.keyClick(part.name, Qt.Key.Key_Return)
    assert view.parts.parts()[0].name == "Carrying"
    assert len(view.parts.columns) == 1
    view.ok.setFocus()
    qtbot.keyClick(view.ok, Qt.Key.Key_Return)
    assert find(window, "Carrying")
    assert window.step_strip.text.startswith("Split 1 from “Arithmetic”")


def test_taking_a_part_back_with_all_in_it(accepted: Window) -> None:
    window, tree = accepted, accepted.tree
    tree.select([find(window, "Arithmetic")])
    tree.split()
    view = tree.findChild(SplitView)
    assert view is not None
    before = view.rest.members.all_keys()
    view.rest.selectAll()
    view.parts.move_selected("part_new")
    assert view.parts.rest.isHidden(), "nothing stays"
    [part] = view.parts.columns
    part.members.selectAll()
    view.parts.move_selected("part_back")
    assert (view.rest.members.all_keys(), view.parts.columns) == (before, [])
    assert not view.parts.buttons["part_back"].isEnabled()
    view.reject()


def test_accessible_names_and_keys_in_tips(opened: Opened) -> None:
    tree = opened[0].tree
    for widget in (tree.filter, tree.view, tree.proposed.view):
        assert widget.accessibleName()
    assert "Ctrl+Shift+N" in tree._add.toolTip()
