"""The parts of a split by keys, on the card and in the dialog of the tree's command, which is the same widget."""

import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication

from app.commands import BY_ID
from app.taxonomy.split_members import MembersView
from app.taxonomy.split_view import SplitView
from app.window import Window
from errormap_core.project.pending import proposal
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, AssignFailures, Part, SplitCategory
from tests.app.queue_building import new_proposal, save_run
from tests.app.queue_fixtures import Queue
from tests.core.building import add_records

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def chord(queue: Queue, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> None:
    queue.qtbot.keyClick(QApplication.focusWidget(), key, modifiers)


def to_list(queue: Queue) -> Any:
    """By Tab from the name of the first part to its list."""
    queue.press("e")
    queue.press(Qt.Key.Key_Tab)
    assert isinstance(QApplication.focusWidget(), MembersView)
    return QApplication.focusWidget()


def sizes(card: Any) -> list[int]:
    return [len(column.ids()) for column in (card.parts.rest, *card.parts.columns)]


def test_failures_move_between_parts_by_keys(queue: Queue) -> None:
    card = queue.show("split")
    assert card.parts.buttons["part_next"].text() == "Next part  Ctrl+→"
    assert not card.parts.buttons["part_next"].isEnabled(), "nothing is selected"
    first = to_list(queue)
    assert card.parts.buttons["part_next"].isEnabled()
    moved = first.chosen_keys()
    chord(queue, Qt.Key.Key_Right, CTRL)
    assert sizes(card) == [0, 4, 6]
    second = card.parts.columns[1].members
    assert QApplication.focusWidget() is second, "and they can be moved on at once"
    assert second.chosen_keys() == moved
    chord(queue, Qt.Key.Key_Left, CTRL)
    assert sizes(card) == [0, 5, 5]
    chord(queue, Qt.Key.Key_Left, CTRL)
    assert sizes(card) == [1, 4, 5], "before the first part is what stays"
    assert not card.parts.rest.isHidden()
    queue.press(Qt.Key.Key_Return)
    assert {"Skims the question", "Misses a condition", "Reading"} <= queue.names()
    assert queue.category_of(queue.records.index(moved[0][1])) == "Reading"


def test_several_at_once_and_back_at_once(queue: Queue) -> None:
    card = queue.show("split")
    to_list(queue)
    chord(queue, Qt.Key.Key_Down, SHIFT)
    chord(queue, Qt.Key.Key_Down, SHIFT)
    chord(queue, Qt.Key.Key_Right, CTRL)
    assert sizes(card) == [0, 2, 8]
    chord(queue, Qt.Key.Key_Left, CTRL | SHIFT)
    assert sizes(card) == [3, 2, 5]


def test_a_new_part_is_made_by_a_key(queue: Queue) -> None:
    card = queue.show("split")
    chosen = to_list(queue).chosen_keys()
    chord(queue, Qt.Key.Key_Right, CTRL | SHIFT)
    assert sizes(card) == [0, 4, 5, 1]
    assert QApplication.focusWidget() is card.parts.columns[2].name
    queue.press("Of its own", Qt.Key.Key_Return)
    assert "Of its own" in queue.names()
    assert queue.category_of(queue.records.index(chosen[0][1])) == "Of its own"


def test_an_added_part_that_is_emptied_goes_and_a_proposed_one_stays(queue: Queue) -> None:
    card = queue.show("split")
    to_list(queue)
    chord(queue, Qt.Key.Key_Right, CTRL | SHIFT)
    queue.press(Qt.Key.Key_Tab)
    chord(queue, Qt.Key.Key_Left, CTRL)
    assert sizes(card) == [0, 4, 6]
    card.parts.columns[0].members.setFocus()
    card.parts.columns[0].members.selectAll()
    chord(queue, Qt.Key.Key_Right, CTRL)
    assert sizes(card) == [0, 0, 10]
    assert queue.page.frame.buttons["accept"].text() == "Split off 1 part  ⏎"


def test_moved_and_added_parts_are_kept(queue: Queue) -> None:
    card = queue.show("split")
    to_list(queue)
    chord(queue, Qt.Key.Key_Right, CTRL | SHIFT)
    queue.press("Of its own", Qt.Key.Key_Escape)
    queue.press("j", "k")
    queue.show("split")
    assert sizes(card) == [0, 4, 5, 1]
    assert card.parts.columns[2].name.text() == "Of its own"
    queue.press("d")
    assert sizes(card) == [0, 5, 5]


def test_what_is_in_no_part_can_be_put_into_one(queue: Queue) -> None:
    """Failures of the category that came after it was proposed."""
    queue.window.session.apply(AssignFailures(record_ids=(queue.records[30],), category_id=queue.category["Reading"]))
    card = queue.show("split")
    queue.qtbot.waitUntil(lambda: sizes(card) == [1, 5, 5], timeout=3000)
    assert card.parts.rest.title.text() == "Stays in “Reading”"
    card.parts.rest.members.setFocus()
    chord(queue, Qt.Key.Key_Right, CTRL)
    assert sizes(card) == [0, 6, 5]
    queue.press(Qt.Key.Key_Return)
    assert queue.category_of(30) == "Skims the question"


def test_without_a_selection_the_key_says_what_to_do(queue: Queue) -> None:
    queue.show("split")
    said: list[str] = []
    queue.window.session.told.connect(lambda sentence, _: said.append(str(sentence)))
    chord(queue, Qt.Key.Key_Right, CTRL)
    assert said == ["Select failures of a part first; Tab goes to its list."]
    to_list(queue)
    chord(queue, Qt.Key.Key_Right, CTRL)
    chord(queue, Qt.Key.Key_Right, CTRL)
    assert "There is no part there" in said[-1]
    assert "(Ctrl+Shift+→)" in said[-1]


def test_the_keys_of_moving_are_those_that_are_set(queue: Queue) -> None:
    card = queue.show("split")
    queue.window.session.keys.change(BY_ID["review.part_next"], ["L"])
    assert card.parts.buttons["part_next"].text() == "Next part  L"
    to_list(queue)
    queue.press("l")
    assert sizes(card) == [0, 4, 6]


def test_a_drop_from_another_part_moves(queue: Queue) -> None:
    card = queue.show("split")
    first, second = (column.members for column in card.parts.columns)
    first.choose(first.members.shown()[:2])

    class Dropped(QDropEvent):
        def source(self) -> Any:
            return first

    event = Dropped(QPointF(5, 5), Qt.DropAction.MoveAction, QMimeData(), Qt.MouseButton.LeftButton, CTRL)
    second.dropEvent(event)
    assert sizes(card) == [0, 3, 7]
    first.dropEvent(event)
    assert sizes(card) == [0, 3, 7], "onto itself it stays"


def test_a_part_that_lost_all_its_failures_is_said_to_be_gone(queue: Queue) -> None:
    card = queue.show("split")
    queue.press("e", "Skims", Qt.Key.Key_Escape)
    gone = tuple(card.parts.columns[0].ids())
    queue.window.session.apply(
        SplitCategory(category_id=queue.category["Reading"], parts=(Part(name="Elsewhere", record_ids=gone),))
    )
    queue.press("r")
    assert "1 part has no failure in “Reading” any more." in queue.page.frame.notice_text.text()
    assert len(card.parts.columns) == 1
    assert "does not fit" in queue.page.frame.edited_text.text()
    queue.press(Qt.Key.Key_Return)
    assert proposal(queue.project.db, queue.kind["split"]).verdict is not None


# The dialog


def open_dialog(queue: Queue, name: str) -> SplitView:
    queue.window.tree.select([queue.category[name]])
    queue.window.do("taxonomy.split")
    view = queue.window.tree.findChild(SplitView)
    assert view is not None
    queue.qtbot.waitUntil(lambda: QApplication.focusWidget() is view.filter, timeout=3000)
    return view


def test_the_dialog_has_the_same_parts_and_keys(queue: Queue) -> None:
    view = open_dialog(queue, "Reading")
    view.rest.choose(view.rest.members.shown()[:3])
    queue.qtbot.keyClick(view.rest, Qt.Key.Key_Right, CTRL | SHIFT)
    [first] = view.parts.columns
    queue.qtbot.keyClicks(first.name, "One")
    queue.qtbot.keyClick(first.name, Qt.Key.Key_Return)
    assert QApplication.focusWidget() is view.rest
    queue.qtbot.keyClick(view.rest, Qt.Key.Key_Return)
    assert [part.name for part in view.parts.parts()] == ["One", "Reading 2"]
    second = view.parts.columns[1]
    queue.qtbot.keyClick(second.name, Qt.Key.Key_Return)
    queue.qtbot.keyClick(view.rest, Qt.Key.Key_Right, CTRL)
    assert [len(column.ids()) for column in view.parts.columns] == [4, 1]
    queue.qtbot.keyClick(first.members, Qt.Key.Key_F2)
    assert QApplication.focusWidget() is first.name
    view.parts.below.setChecked(True)
    queue.qtbot.waitUntil(lambda: "Moves 5 failures." in view.effect.text(), timeout=3000)
    assert "Touches 5 decisions of Ann Bee." in view.effect.text()
    view.ok.click()
    assert {"Reading / One", "Reading / Reading 2"} <= queue.names()


def test_the_dialog_moves_children_and_finds_in_all_columns(queue: Queue) -> None:
    view = open_dialog(queue, "Arithmetic")
    assert view.rest.members.shown()[0] == ("category", queue.category["Units"])
    assert view.rest.members.index(0).data() == "▸ Units"
    view.rest.choose([("category", queue.category["Units"])])
    view.parts.move_selected("part_new")
    view.parts.columns[0].name.setText("Measures")
    view.filter.setText("unit")
    assert view.rest.members.shown() == []
    assert view.parts.columns[0].members.members.shown() == [("category", queue.category["Units"])]
    view.filter.clear()
    assert len(view.rest.members.shown()) == 6
    view.ok.click()
    assert "Measures / Units" in queue.names()


def test_a_name_that_is_refused_is_said_and_cannot_be_split(queue: Queue) -> None:
    view = open_dialog(queue, "Reading")
    view.rest.choose(view.rest.members.shown()[:1])
    view.parts.move_selected("part_new")
    [part] = view.parts.columns
    part.name.setText("Arithmetic")
    part.name.textEdited.emit("Arithmetic")
    queue.qtbot.waitUntil(lambda: "⚠" in view.effect.text(), timeout=3000)
    assert not view.ok.isEnabled()
    view.reject()


def test_hard_to_analyze_has_nothing_below_it(queue: Queue) -> None:
    hard = next(c.id for c in queue.project.tree if c.reserved == "hard")
    queue.window.session.apply(AssignFailures(record_ids=(queue.records[30],), category_id=hard))
    queue.category["Hard"] = hard
    view = open_dialog(queue, "Hard")
    assert not view.parts.below.isEnabled()
    view.reject()


def test_a_large_category_opens_at_once(window: Window, qtbot: Any, tmp_path: Path) -> None:
    """Rows are read as they are painted: 20,000 failures cost no more than what is seen of them."""
    project = Project.create(tmp_path / "large.errormap")
    actor = project.annotator("Ann Bee")
    ids = add_records(project, [{"example_id": f"e{i:05}"} for i in range(20_000)])
    op = AddCategory(name="Large")
    project.apply(op, actor=actor)
    project.apply(AssignFailures(record_ids=tuple(ids), category_id=op.category_id), actor=actor)
    parts = [
        {"id": "a", "name": "A", "description": "", "members": ids[:10_000]},
        {"id": "b", "name": "B", "description": "", "members": ids[10_000:]},
    ]
    split = new_proposal(project, "split", {"category_id": op.category_id, "parts": parts}, ids, worth=5.0)
    save_run(project, [split])
    project.close()
    assert window.session.open(tmp_path / "large.errormap")
    window.show_page("review")
    window.session.select_proposal(split.id)
    card = window.review.frame.split
    qtbot.wait(50)
    read = [len(column.members.members._rows) for column in card.parts.columns]
    assert all(0 < n <= 400 for n in read), read
    started = time.process_time()
    window.tree.select([op.category_id])
    window.do("taxonomy.split")
    view = window.tree.findChild(SplitView)
    assert view is not None
    view.rest.selectAll()
    view.parts.move_selected("part_new")
    assert time.process_time() - started < 3.0
    assert len(view.parts.columns[0].ids()) == 20_000
    view.reject()


def test_home_and_end_go_to_the_ends_of_the_list_that_has_the_focus(queue: Queue) -> None:
    queue.show("split")
    first = to_list(queue)
    shown = queue.shown
    queue.press(Qt.Key.Key_End)
    assert first.currentIndex().row() == 4
    queue.press(Qt.Key.Key_Home)
    assert (first.currentIndex().row(), queue.shown) == (0, shown)
