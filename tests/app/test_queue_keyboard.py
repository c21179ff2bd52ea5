"""Everything in the queue by keyboard alone: no test here calls a method of the page or clicks."""

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QComboBox

from errormap_core.project.pending import proposal
from tests.app.queue_fixtures import Queue

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def chord(queue: Queue, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> None:
    queue.qtbot.keyClick(QApplication.focusWidget(), key, modifiers)


def go_to(queue: Queue, kind: str) -> Any:
    """From the first by J to the proposal of a kind; its card."""
    queue.press(Qt.Key.Key_Home)
    for _ in range(20):
        if queue.shown == queue.kind[kind]:
            return queue.page.frame.card
        queue.press("j")
    raise AssertionError(f"no {kind}")


def verdict(queue: Queue, kind: str) -> str | None:
    return proposal(queue.project.db, queue.kind[kind]).verdict


def test_every_verdict_and_undo_by_one_key_each(queue: Queue) -> None:
    for kind, key, wanted in (
        ("merge", Qt.Key.Key_Return, "accept"),
        ("split", "x", "reject"),
        ("promote", "s", "skip"),
        ("create", "u", "unsure"),
        ("assign", "f", "flag"),
        ("place", "2", "edit"),
    ):
        go_to(queue, kind)
        queue.press(key)
        assert verdict(queue, kind) == wanted
        chord(queue, Qt.Key.Key_Z, CTRL)
        assert verdict(queue, kind) is None
        assert queue.shown == queue.kind[kind], "undo comes back to it"
        assert QApplication.focusWidget() is queue.page.list


@pytest.mark.parametrize(
    ("kind", "typed", "path"),
    [
        ("merge", "Sums", "Sums"),
        ("split", "Skims", "Skims"),
        ("create", "Rounds", "Rounds"),
        ("promote", "Mix-ups", "Mix-ups"),
        ("move", "Measures", "Reading / Measures"),
        ("rename", "Day", "Other / Day"),
    ],
)
def test_e_types_another_name_and_enter_accepts_it(queue: Queue, kind: str, typed: str, path: str) -> None:
    go_to(queue, kind)
    queue.press("e", typed, Qt.Key.Key_Return)
    assert verdict(queue, kind) == "edit"
    assert path in queue.names()


def test_a_description_is_written_left_and_accepted(queue: Queue) -> None:
    go_to(queue, "describe")
    queue.press("e", "A sum", Qt.Key.Key_Return, "is wrong", Qt.Key.Key_Escape, Qt.Key.Key_Return)
    assert queue.project.tree.live(queue.category["Calculation mistake"]).description == "A sum\nis wrong"


def test_the_description_of_a_new_category_is_reached_and_accepted(queue: Queue) -> None:
    go_to(queue, "create")
    queue.press("e", "Rounds", Qt.Key.Key_Tab, "Too early", Qt.Key.Key_Escape, Qt.Key.Key_Return)
    made = next(c for c in queue.project.tree if c.name == "Rounds")
    assert made.description == "Too early" or made.description.startswith("Too early")


def test_members_are_left_out_with_the_space_bar_in_the_list(queue: Queue) -> None:
    card = go_to(queue, "assign")
    queue.press("e")
    assert QApplication.focusWidget() is card.members
    queue.press(Qt.Key.Key_Down, Qt.Key.Key_Space)
    assert len(card.members.left_out()) == 1
    queue.press(Qt.Key.Key_Return)
    assert verdict(queue, "assign") == "edit"


def test_the_survivor_of_a_merge_is_chosen_by_tab_and_arrows(queue: Queue) -> None:
    card = go_to(queue, "merge")
    for _ in range(40):
        queue.press(Qt.Key.Key_Tab)
        if QApplication.focusWidget() is card.sides._survivor.button(0):
            break
    queue.press(Qt.Key.Key_Right)
    assert card.sides.into == queue.category["Calculation mistake"]
    queue.press(Qt.Key.Key_Return)
    assert "Calculation mistake" in queue.names()


def test_filters_are_reached_and_left(queue: Queue) -> None:
    filters = queue.page.filters
    queue.press("t")
    assert QApplication.focusWidget() is filters.kind
    queue.press("Spl")
    assert filters.kind.currentText() == "Split"
    assert {row.kind for row in queue.page.model.rows()} == {"split"}
    queue.press(Qt.Key.Key_Escape)
    assert QApplication.focusWidget() is queue.page.list
    queue.press("t", Qt.Key.Key_Home, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is filters.state
    assert filters.kind.currentData() == ""
    queue.press(Qt.Key.Key_Down)
    assert filters.state.currentData() == "skipped"
    queue.press(Qt.Key.Key_Up, Qt.Key.Key_Escape, "x")
    assert verdict(queue, "merge") == "reject"


def test_marking_naming_and_finding(queue: Queue) -> None:
    go_to(queue, "place")
    queue.press("m", "2", "m", "1")
    assert verdict(queue, "place") == "edit"
    chord(queue, Qt.Key.Key_Z, CTRL)
    queue.press("m", "2", Qt.Key.Key_Escape)
    assert queue.page.frame.effect.text() == ""
    queue.press(Qt.Key.Key_Space)
    assert queue.page.frame.place.shown == ("question",)
    queue.press("/")
    queue.qtbot.waitUntil(
        lambda: QApplication.activeModalWidget() is not None or queue.page.findChild(QComboBox) is not None
    )


def test_several_are_selected_previewed_decided_and_undone(queue: Queue) -> None:
    before = queue.names()
    batch = queue.page.batch
    chord(queue, Qt.Key.Key_Down, SHIFT)
    chord(queue, Qt.Key.Key_Down, SHIFT)
    assert batch.title.text() == "3 proposals are selected"
    queue.qtbot.waitUntil(lambda: batch.preview is not None, timeout=3000)
    assert "decisions of Ann Bee" in batch.effect.text()
    assert "2 categories go into others." in batch.effect.text()
    n = queue.project.db.table("log").count
    queue.press(Qt.Key.Key_Return)
    assert queue.project.db.table("log").count == n + 1
    assert queue.names() != before
    chord(queue, Qt.Key.Key_Z, CTRL)
    assert queue.names() == before
    chord(queue, Qt.Key.Key_A, CTRL)
    assert "13 proposals are selected" in batch.title.text()
    queue.press(Qt.Key.Key_Escape)
    assert queue.page.n_selected == 1
    assert queue.page._cards.currentWidget() is queue.page.frame
    for key, state in (("s", "skipped"), ("f", "flagged"), ("u", "flagged")):
        chord(queue, Qt.Key.Key_Down, SHIFT)
        queue.press(key)
        changed = [row for row in queue.page.deck._rows.values() if row.state == state]
        assert len(changed) == 2
        chord(queue, Qt.Key.Key_Z, CTRL)


def test_what_a_batch_makes_is_counted_as_it_comes(queue: Queue) -> None:
    n = sum(1 for _ in queue.project.tree)
    chord(queue, Qt.Key.Key_A, CTRL)
    batch = queue.page.batch
    queue.qtbot.waitUntil(lambda: batch.preview is not None, timeout=3000)
    effect = batch.preview.effect
    assert f"Makes {effect.n_made} categories." in batch.effect.text()
    queue.press(Qt.Key.Key_Return)
    assert sum(1 for _ in queue.project.tree) == n + effect.n_made - effect.n_gone


def test_all_is_accepted_by_its_key(queue: Queue) -> None:
    chord(queue, Qt.Key.Key_Return, CTRL)
    assert verdict(queue, "create") == "accept"
    chord(queue, Qt.Key.Key_Z, CTRL)
    assert verdict(queue, "create") is None


def tabs(queue: Queue, kind: str) -> list[Any]:
    """What Tab goes to from the list of the queue until it leaves the card."""
    go_to(queue, kind)
    found = []
    for _ in range(40):
        queue.press(Qt.Key.Key_Tab)
        widget = QApplication.focusWidget()
        if widget is queue.page.frame.buttons["accept"]:
            return found
        found.append(widget)
    raise AssertionError(f"the card of {kind} is left at {[type(w).__name__ for w in found]}")


def test_tab_goes_through_the_card_before_its_buttons(queue: Queue) -> None:
    found = tabs(queue, "place")
    place = queue.page.frame.place
    assert [w for w in found if w in place.list.buttons] == place.list.buttons
    found = tabs(queue, "merge")
    sides = queue.page.frame.merge.sides
    assert sides.boxes[1] in found and sides.titles[0] in found
    assert found.index(sides.boxes[0]) < found.index(sides.titles[0]) < found.index(sides.boxes[1])
    assert found[-1] is queue.page.frame.merge.name
    found = tabs(queue, "split")
    columns = queue.page.frame.split.parts.columns
    wanted = [w for column in columns for w in (column.box, column.name, column.members)]
    assert [w for w in found if w in wanted] == wanted


def test_tab_past_the_proposed_categories_leaves_the_card(queue: Queue) -> None:
    shown = queue.shown
    queue.window.tree.proposed.view.setFocus(Qt.FocusReason.TabFocusReason)
    assert queue.shown == shown
    queue.press(Qt.Key.Key_Down)
    assert queue.shown != shown, "the arrows choose"
