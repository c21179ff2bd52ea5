"""What was typed, marked and left out on a card is kept until it is decided, dropped, or the project is closed."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QApplication

from app.commands import BY_ID
from app.window import Window
from errormap_core.project.pending import proposal
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import DecideProposals, DeleteCategories, RenameCategory, Ruling
from tests.app.queue_building import Built
from tests.app.queue_fixtures import Queue, open_queue
from tests.core.building import add_proposals


def change(queue: Queue, kind: str) -> Any:
    """Change something on the card of this kind, as a person does; what it shows then (see `shown`)."""
    card = queue.show(kind)
    if kind == "place":
        queue.press("m", "2", "m", "n")
        queue.press("Sloppy", Qt.Key.Key_Escape)
    elif kind == "merge":
        queue.press("e")
        queue.press("Sums", Qt.Key.Key_Escape)
        card.sides._survivor.button(1).click()
        queue.press("e", "Slips", Qt.Key.Key_Escape)
    elif kind == "split":
        queue.press("2", "e")
        queue.press("Skims", Qt.Key.Key_Escape)
    elif kind == "describe":
        queue.press("e")
        queue.press("Sums", Qt.Key.Key_Escape)
    elif kind in ("assign", "move failures"):
        queue.press("1")
    elif kind == "create":
        queue.press("2", "e")
        queue.press("Rounds", Qt.Key.Key_Escape)
        card.description.setPlainText("Too early")
    else:
        queue.press("e")
        queue.press("Day", Qt.Key.Key_Escape)
    return shown(queue, card)


def shown(queue: Queue, card: Any) -> Any:
    """What the card shows of what can be changed."""
    frame = queue.page.frame
    if card is frame.place:
        return sorted(card.same), card.name.text(), card.new_row.isHidden()
    if card is frame.merge:
        return card.name.currentText(), card.sides.into, card.sides.included()
    if card is frame.split:
        return [(part.name.text(), part.ids(), part.box.isChecked()) for part in card.parts.columns]
    if card is frame.members:
        return card.name.text(), card.description.toPlainText(), card.members.left_out()
    return card.name.text(), card.description.toPlainText()


KINDS = ("place", "merge", "split", "create", "assign", "move failures", "promote", "move", "rename", "describe")


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_kept_from_card_to_card_and_through_refreshing_and_remapping(queue: Queue, kind: str) -> None:
    card = queue.show(kind)
    before = shown(queue, card)
    changed = change(queue, kind)
    frame = queue.page.frame
    assert changed != before
    assert not frame.edited.isHidden()
    queue.page.focus_list()
    queue.press("j")
    queue.press("k", "k")
    card = queue.show(kind)
    assert shown(queue, card) == changed, "from one card to the next and back"
    assert not frame.edited.isHidden()
    queue.press("r")
    assert shown(queue, card) == changed, "refreshed"
    queue.window.session.keys.change(BY_ID["review.nth_2"], ["Ctrl+Alt+2"])
    assert shown(queue, card) == changed, "a key was changed"
    queue.window.session.apply(RenameCategory(category_id=queue.category["Arithmetic"], name="Arithmetics"))
    queue.window.session.apply(RenameCategory(category_id=queue.category["Reading"], name="Reads on"))
    queue.press("r")
    assert shown(queue, card) == changed, "the tree changed underneath"
    queue.press("d")
    assert frame.edited.isHidden()
    assert shown(queue, card) != changed
    queue.show("merge" if kind != "merge" else "split")
    card = queue.show(kind)
    assert shown(queue, card) != changed
    assert frame.edited.isHidden()


def test_a_decision_takes_it_and_undo_gives_it_back(queue: Queue) -> None:
    changed = change(queue, "rename")
    queue.press("s")
    card = queue.show("rename")
    assert shown(queue, card) == changed, "skipped is not decided"
    queue.press(Qt.Key.Key_Return)
    assert "Other / Day" in queue.names()
    assert queue.kind["rename"] not in queue.page.frame.drafts
    queue.window.do("edit.undo")
    card = queue.show("rename")
    assert shown(queue, card) == changed
    assert not queue.page.frame.edited.isHidden()
    queue.window.do("edit.redo")
    assert queue.kind["rename"] not in queue.page.frame.drafts
    queue.window.do("edit.undo")
    queue.show("rename")
    queue.page.drop_edit()
    assert shown(queue, card)[0] == "Confuses day and week"


def test_what_another_window_decided_takes_the_edit_along(queue: Queue) -> None:
    change(queue, "rename")
    queue.show("merge")
    with Project.open(queue.project.path) as other:
        ruling = Ruling(proposal_id=queue.kind["rename"], verdict="reject")
        other.apply(DecideProposals(rulings=(ruling,)), actor=other.annotator("Bo"))
    queue.window.session.poll()
    assert queue.kind["rename"] not in queue.page.frame.drafts


def test_what_was_refused_is_kept(queue: Queue) -> None:
    card = queue.show("rename")
    queue.press("e")
    card.name.setText("Unit mix-up")  # its sibling is called so
    card.name.textEdited.emit(card.name.text())
    queue.press(Qt.Key.Key_Return)
    assert proposal(queue.project.db, queue.kind["rename"]).verdict is None
    queue.press(Qt.Key.Key_Escape)
    queue.press("j", "k")
    assert card.name.text() == "Unit mix-up"


def test_what_does_not_fit_any_more_is_said(queue: Queue) -> None:
    card = queue.show("place")
    queue.press("m", "1", "2", "m")
    queue.window.session.apply(DeleteCategories(category_ids=(queue.category["Units"],)))
    queue.press("r")
    assert [c.name for c in card.candidates if c.id in card.same] == ["Reading"]
    assert "does not fit" in queue.page.frame.edited_text.text()


def test_it_ends_with_the_project(window: Window, qtbot: Any, tmp_path: Path) -> None:
    queue = open_queue(window, qtbot, tmp_path / "q.errormap")
    change(queue, "rename")
    window.session.close()
    assert window.session.open(tmp_path / "q.errormap")
    card = queue.show("rename")
    assert card.name.text() == "Confuses day and week"


def test_the_list_and_the_card_say_that_it_is_edited(queue: Queue) -> None:
    row = queue.page.model.place_of(queue.kind["rename"])
    index = queue.page.model.index(row)
    assert "edited" not in index.data(Qt.ItemDataRole.AccessibleTextRole)
    change(queue, "rename")
    assert "edited" in index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert queue.page.frame.drop_button.text().endswith("D")
    queue.page.frame.drop_button.click()
    assert "edited" not in index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert not queue.window.actions_by_id["review.drop"].isEnabled()


def test_a_batch_takes_edits_along_and_leaves_out_what_is_half_said(queue: Queue) -> None:
    change(queue, "rename")
    change(queue, "place")
    queue.show("rename")
    place = queue.page.model.place_of(queue.kind["place"])
    queue.page.list.selectionModel().setCurrentIndex(
        queue.page.model.index(place), QItemSelectionModel.SelectionFlag.Select
    )
    batch = queue.page.batch
    queue.qtbot.waitUntil(lambda: batch.preview is not None, timeout=3000)
    shown_rows = [batch.list.item(i).text() for i in range(batch.list.count())]
    assert any("not finished" in text for text in shown_rows)
    queue.press(Qt.Key.Key_Return)
    assert "Other / Day" in queue.names(), "with the name that was typed"
    assert proposal(queue.project.db, queue.kind["place"]).verdict is None


def test_marks_without_an_answer_are_no_answer(queue: Queue) -> None:
    queue.show("place")
    queue.press("m", "2", "m")
    frame = queue.page.frame
    assert queue.kind["place"] in frame.drafts
    assert frame.ruling_for(queue.kind["place"]) is None


def test_what_stands_below_an_unfinished_card_is_left_and_told(window: Window, qtbot: Any, tmp_path: Path) -> None:
    built = Built(tmp_path / "q.errormap").propose_all()
    free = built.records[30:33]
    groups = [
        {"name": "Wide", "records": free[:1]},
        {"name": "Narrow", "records": free[1:2], "parent": 0},
        {"name": "Beside", "records": free[2:3]},
    ]
    wide, narrow, beside = add_proposals(built.project, groups)
    built.project.close()
    session, page = window.session, window.review
    assert session.open(built.project.path)
    qtbot.waitUntil(lambda: page.deck.get(narrow) is not None)
    session.select_proposal(wide)
    card = page.frame.card
    card.name.setText("")
    card.name.textEdited.emit("")
    assert page.frame.ruling_for(wide) is None
    session.select_proposal(narrow)
    with qtbot.waitSignal(session.failed, check_params_cb=lambda error: "“Wide”, is not finished" in str(error)):
        page.accept()
    with qtbot.waitSignal(session.told, check_params_cb=lambda said, _: "2 were left out" in str(said)):
        page.accept_all()
    assert [proposal(session.project.db, each).verdict for each in (wide, narrow, beside)] == [None, None, "accept"]
    session.select_proposal(wide)
    page.drop_edit()
    page.accept_all()
    assert {proposal(session.project.db, each).verdict for each in (wide, narrow)} == {"accept"}


def test_an_empty_field_of_a_new_category_folds_and_a_filled_one_stays(queue: Queue) -> None:
    card = queue.show("place")
    queue.press("n", Qt.Key.Key_Escape)
    assert card.new_row.isHidden()
    queue.press("n", "Slo", Qt.Key.Key_Escape)
    assert not card.new_row.isHidden()
    assert QApplication.focusWidget() is queue.page.list
    queue.press("n", "ppy", Qt.Key.Key_Return)
    assert queue.category_of(36) == "Sloppy"
