"""No key decides by accident: what changes something acts where the focus is, says what it did, and loses nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication, QPushButton

from app.dialogs import Dialog
from app.records.list_model import RECORDS_MIME
from app.window import Window
from errormap_core.project.pending import accepted_with_all, pending_proposals, proposal
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from tests.app.conftest import add_proposals
from tests.app.queue_fixtures import Queue

Opened = tuple[Window, list[str]]

ROWS = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
CTRL = Qt.KeyboardModifier.ControlModifier


def n_steps(window: Window) -> int:
    assert window.session.project is not None
    return int(window.session.project.db.table("log").count)


def press(qtbot: Any, key: str | Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    target = QApplication.focusWidget()
    qtbot.keyClicks(target, key) if isinstance(key, str) else qtbot.keyClick(target, key, modifiers)


# Ctrl+Enter


@pytest.mark.parametrize("field", ["name", "description"])
def test_ctrl_enter_in_a_field_of_a_card_accepts_that_card_alone(queue: Queue, field: str) -> None:
    card = queue.show("create")
    getattr(card, field).setFocus()
    press(queue.qtbot, Qt.Key.Key_Return, CTRL)
    assert proposal(queue.project.db, queue.kind["create"]).verdict == "accept"
    assert proposal(queue.project.db, queue.kind["assign"]).verdict is None


def test_ctrl_enter_elsewhere_in_the_window_decides_nothing(queue: Queue) -> None:
    window = queue.window
    before = n_steps(window)
    for widget in (window.tree.filter, window.review.filters.kind, window.record.text):
        widget.setFocus()
        press(queue.qtbot, Qt.Key.Key_Return, CTRL)
    window.show_page("records")
    for widget in (window.records.search, window.records.table):
        widget.setFocus()
        press(queue.qtbot, Qt.Key.Key_Return, CTRL)
    assert n_steps(window) == before


def test_ctrl_enter_in_a_dialog_does_what_its_button_says(queue: Queue) -> None:
    window = queue.window
    window.tree.select([queue.category["Reading"]])
    window.tree.describe()
    [dialog] = window.tree.findChildren(Dialog)
    dialog.activateWindow()
    queue.qtbot.waitUntil(dialog.isActiveWindow)
    dialog.description.setFocus()
    dialog.description.setPlainText("Reads on too fast")
    queue.qtbot.keyClick(dialog.description, Qt.Key.Key_Return, CTRL)
    assert queue.project.tree.live(queue.category["Reading"]).description == "Reads on too fast"
    assert proposal(queue.project.db, queue.kind["create"]).verdict is None


# Accepting all


def test_all_leaves_out_what_was_skipped_says_so_and_gives_drafts_back(queue: Queue) -> None:
    queue.show("assign")
    queue.page.skip()
    card = queue.show("create")
    card.name.setText("Rounds off")
    card.name.textEdited.emit("Rounds off")
    queue.page.focus_list()
    said: list[tuple[str, bool]] = []
    queue.window.session.told.connect(lambda sentence, undo: said.append((str(sentence), undo)))
    assert queue.page._all.isHidden(), "one is left, which its own card accepts"
    press(queue.qtbot, Qt.Key.Key_Return, CTRL)
    assert proposal(queue.project.db, queue.kind["assign"]).verdict == "skip"
    assert proposal(queue.project.db, queue.kind["move failures"]).verdict is None, "a move of failures is looked at"
    assert said[-1] == ("Accepted “Rounds off” with 3 failures; 1 skipped was left out", True)
    assert queue.window.step_strip.text == said[-1][0]
    press(queue.qtbot, Qt.Key.Key_Z, CTRL)
    assert queue.kind["create"] in queue.page.frame.drafts
    queue.show("create")
    assert card.name.text() == "Rounds off"


def test_nothing_but_skipped_ones_is_said(queue: Queue) -> None:
    for kind in ("assign", "create"):
        queue.show(kind)
        queue.page.skip()
    before = n_steps(queue.window)
    queue.page.accept_all()
    assert queue.window.step_strip.text == "Nothing was accepted: 2 skipped were left out"
    assert n_steps(queue.window) == before


def test_what_stands_below_a_skipped_one_is_left_out_with_it(queue: Queue) -> None:
    free = queue.records[36:39]
    groups = [
        {"name": "Wide", "records": free[:1]},
        {"name": "Narrow", "records": free[1:2], "parent": 0},
        {"name": "Beside", "records": free[2:3]},
    ]
    wide, narrow, beside = add_proposals(queue.project, groups)
    actor = queue.window.session.actor
    queue.project.apply(DecideProposals(rulings=(Ruling(proposal_id=wide, verdict="skip"),)), actor=actor)
    chosen, left = accepted_with_all(pending_proposals(queue.project.db))
    assert beside in {row.id for row in chosen}
    assert {row.id for row in left} == {wide, narrow}
    queue.project.apply(
        DecideProposals(rulings=tuple(Ruling(proposal_id=row.id, verdict="accept") for row in chosen), is_bulk=True),
        actor=actor,
    )


# Letters and digits


@pytest.mark.parametrize("key", ["1", "x", "n", "f", "u", "s", "m", Qt.Key.Key_Return])
@pytest.mark.parametrize("where", ["tree", "record", "filter"])
def test_a_key_of_the_card_does_nothing_elsewhere(queue: Queue, key: str | Qt.Key, where: str) -> None:
    window = queue.window
    queue.show("place")
    places = {"tree": window.tree.view, "record": window.record.text, "filter": window.review.filters.state}
    before, marks = n_steps(window), queue.project.db.table("record_mark").count
    places[where].setFocus()
    if where == "record" and key == "f":
        press(queue.qtbot, key)  # the record's own F: it disputes what is read
        assert queue.project.db.table("record_mark").count == marks + 1
        assert window.step_strip.text == "Disputed d e36 of m0"
        assert window.step_strip._button.isVisible()
        assert proposal(queue.project.db, queue.kind["place"]).verdict is None
        return
    if where == "record" and key == "n":
        return  # the record's own N, which starts the judge (test_in_the_record_n_is_about_what_is_read)
    press(queue.qtbot, key)
    assert n_steps(window) == before
    assert not window.session.tasks.running()


def test_in_the_record_n_is_about_what_is_read(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(queue.window.session, "start", lambda kind, words: started.append([kind, *words]))
    queue.show("place")
    queue.window.tree.view.setFocus()
    press(queue.qtbot, "n")
    assert not started
    queue.window.record.text.setFocus()
    press(queue.qtbot, "n")
    assert [words[0] for words in started] == ["judge"]
    assert queue.window.session.record_id in started[0]


def test_it_is_said_where_a_key_works_and_esc_goes_there(queue: Queue) -> None:
    queue.show("place")
    queue.window.record.text.setFocus()
    press(queue.qtbot, "1")
    assert queue.window.step_strip.text == (
        "Nothing was done: 1 (Number 1) works in the list of proposals and the card. Esc goes to the list."
    )
    press(queue.qtbot, Qt.Key.Key_Escape)
    assert QApplication.focusWidget() is queue.page.list
    press(queue.qtbot, "1")
    assert proposal(queue.project.db, queue.kind["place"]).verdict is not None


def test_navigation_works_from_everywhere(queue: Queue) -> None:
    first = queue.shown
    queue.window.record.text.setFocus()
    press(queue.qtbot, "j")
    assert queue.shown != first
    queue.window.show_page("records")
    queue.window.record.text.setFocus()
    read = queue.window.session.record_id
    press(queue.qtbot, "j")
    assert queue.window.session.record_id != read


def test_in_the_record_a_command_is_about_what_is_read(queue: Queue) -> None:
    window, session = queue.window, queue.window.session
    window.show_page("records")
    window.records.table.selectAll()
    assert len(session.targets()) > 1
    window.record.text.setFocus()
    press(queue.qtbot, "f")
    assert queue.project.db.table("record_mark").count == 1
    press(queue.qtbot, Qt.Key.Key_Z, CTRL)
    assert queue.project.db.table("record_mark").count == 0


# Drafts


def dialog_of(window: Window) -> Any:
    [dialog] = [d for d in window.findChildren(Dialog) if d.isVisible()]
    return dialog


def _analysis(queue: Queue) -> tuple[Callable[[], None], str]:
    return queue.window.records.analyse, "summary"


def _note(queue: Queue) -> tuple[Callable[[], None], str]:
    return queue.window.records.note, "text"


def _describe(queue: Queue) -> tuple[Callable[[], None], str]:
    queue.window.tree.select([queue.category["Reading"]])
    return queue.window.tree.describe, "notes"


def _merge(queue: Queue) -> tuple[Callable[[], None], str]:
    queue.window.tree.select([queue.category["Reading"], queue.category["Units"]])
    return queue.window.tree.merge, "description"


@pytest.mark.parametrize("case", [_analysis, _note, _describe, _merge])
def test_esc_keeps_what_was_written(queue: Queue, case: Callable[[Queue], tuple[Callable[[], None], str]]) -> None:
    window = queue.window
    window.show_page("records")
    window.records.focus_list()
    before = n_steps(window)
    show, name = case(queue)
    show()
    dialog = dialog_of(window)
    was = getattr(dialog, name).toPlainText()
    getattr(dialog, name).setPlainText("Half of a thought")
    queue.qtbot.keyClick(getattr(dialog, name), Qt.Key.Key_Escape)
    assert window.step_strip.text == "Not saved: what you wrote is kept as a draft"
    assert n_steps(window) == before
    path = queue.project.path
    window.session.close()
    assert window.session.open(path), "also after closing"
    window.show_page("records")
    show, name = case(queue)
    show()
    dialog = dialog_of(window)
    assert getattr(dialog, name).toPlainText() == "Half of a thought"
    discard = next(b for b in dialog.findChildren(QPushButton) if b.text() == "Discard the draft")
    assert discard.isVisible()
    discard.click()
    assert getattr(dialog, name).toPlainText() == was
    dialog.reject()
    show()
    assert getattr(dialog_of(window), name).toPlainText() == was
    getattr(dialog_of(window), name).setPlainText("Said well")
    dialog_of(window).reject()
    show()
    dialog_of(window)._button.click()
    assert n_steps(window) == before + 1
    show_again = [d for d in window.findChildren(Dialog) if d.isVisible()]
    assert not show_again
    assert not queue.window.session.settings["look.drafts"]


def test_the_parts_of_a_split_are_kept_while_the_project_is_open(queue: Queue) -> None:
    window = queue.window
    window.tree.select([queue.category["Reading"]])
    window.tree.split()
    dialog = dialog_of(window)
    dialog.parts.rest.members.choose(dialog.parts.rest.members.members.shown()[:3])
    dialog.parts.move_selected("part_new")
    dialog.parts.columns[0].name.setText("Skims")
    wanted = dialog._parts()
    dialog.reject()
    window.tree.split()
    dialog = dialog_of(window)
    assert dialog._parts() == wanted
    dialog.reject()


@pytest.mark.parametrize("n", [1, 3, 17])
def test_what_is_dragged_does_not_cover_the_tree(opened: Opened, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Before, the picture was all the rows: it lay over the category that they were dropped on."""
    window, _ = opened
    window.show_page("records")
    table = window.records.table
    table.clearSelection()
    for row in range(n):
        table.selectionModel().select(table.model().index(row, 0), ROWS)
    seen: list[tuple[int, int, int]] = []

    def dropped(drag: QDrag, *_: Any) -> Qt.DropAction:
        moved = json.loads(bytes(drag.mimeData().data(RECORDS_MIME).data()))
        seen.append((len(moved), drag.pixmap().width(), drag.pixmap().height()))
        assert drag.hotSpot().x() < 0, "the pointer is beside it"
        return Qt.DropAction.CopyAction

    monkeypatch.setattr(QDrag, "exec", dropped)
    table.startDrag(Qt.DropAction.CopyAction)
    [(moved, width, height)] = seen
    assert moved == n and width < 160 and height < 48
