"""The queue worked by keys: deciding and going on, filters, resuming, undoing, what others do meanwhile."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.window import Window
from errormap_core.project.lease import take_lease
from errormap_core.project.pending import proposal
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import (
    AddCategory,
    DecideProposals,
    DeleteCategories,
    MergeCategories,
    RenameCategory,
    Ruling,
    SetChoice,
)
from tests.app.queue_building import new_proposal, save_run
from tests.app.queue_fixtures import Queue, open_queue

CTRL = Qt.KeyboardModifier.ControlModifier


def order(queue: Queue) -> list[str]:
    return [row.id for row in queue.page.model.rows()]


def test_one_key_decides_and_goes_on(queue: Queue) -> None:
    before = order(queue)
    for key, verdict in (("x", "reject"), ("s", "skip"), ("u", "unsure"), ("f", "flag")):
        shown = queue.shown
        queue.press(key)
        assert proposal(queue.project.db, shown or "").verdict == verdict
        assert queue.shown == before[before.index(shown or "") + 1], "the next card is there at once"
    assert order(queue) == before[4:]
    queue.qtbot.waitUntil(
        lambda: queue.page.top.progress.text() == "1 of 13 decided · 1 skipped · 2 flagged", timeout=3000
    )
    assert queue.page.n_pending == 13 - 3, "a skipped one still waits"


def test_a_question_cannot_be_rejected_and_others_cannot_be_placed(queue: Queue) -> None:
    actions = queue.window.actions_by_id
    queue.show("place")
    assert actions["review.find"].isEnabled() and actions["review.new"].isEnabled()
    assert not actions["review.reject"].isEnabled() and not actions["review.edit"].isEnabled()
    queue.show("merge")
    assert not actions["review.find"].isEnabled() and actions["review.reject"].isEnabled()
    queue.show("rename")
    assert not actions["review.nth_1"].isEnabled()


def test_going_about(queue: Queue) -> None:
    ids = order(queue)
    queue.press("j", "j")
    assert queue.shown == ids[2]
    queue.press("k")
    assert queue.shown == ids[1]
    queue.press(Qt.Key.Key_Down)
    assert queue.shown == ids[2]
    queue.press(Qt.Key.Key_Home)
    assert queue.shown == ids[0]
    queue.press("k")
    assert queue.shown == ids[0], "there is none before the first"


def test_keys_of_the_page_come_before_those_of_the_window(queue: Queue) -> None:
    actions = queue.window.actions_by_id
    assert actions["records.next"].shortcuts() == []
    assert [s.toString() for s in actions["edit.find"].shortcuts()] == ["Ctrl+F"]
    queue.window.show_page("records")
    assert [s.toString() for s in actions["records.next"].shortcuts()] == ["J"]
    assert not actions["review.next"].isEnabled()


def test_the_keys_work_from_the_record_too(queue: Queue) -> None:
    ids = order(queue)
    queue.window.record.text.setFocus()
    queue.press("j")
    assert queue.shown == ids[1]


def test_undo_comes_back_to_what_was_decided(queue: Queue) -> None:
    queue.show("promote")
    queue.press(Qt.Key.Key_Return)
    assert "Unit mix-up" in queue.names()
    queue.press("j", "j")
    queue.qtbot.keyClick(queue.page.list, Qt.Key.Key_Z, CTRL)
    assert queue.shown == queue.kind["promote"]
    assert "Other / Unit mix-up" in queue.names()
    assert queue.page.frame.row.state == "pending"


def test_filters(queue: Queue) -> None:
    filters = queue.page.filters
    filters.kind.setCurrentIndex(filters.kind.findData("place"))
    assert {row.kind for row in queue.page.model.rows()} == {"place"}
    assert queue.page.frame.row.kind == "place"
    filters.kind.setCurrentIndex(0)
    filters.worth.setCurrentIndex(2)
    assert min(row.worth for row in queue.page.model.rows()) >= 5
    filters.worth.setCurrentIndex(0)
    assert not filters.below.isEnabled()
    queue.window.tree.select([queue.category["Other"]])
    assert filters.below.text() == "Below “Other”"
    filters.below.setChecked(True)
    assert {queue.page.deck.get(i).kind for i in order(queue)} == {"promote", "rename"}
    queue.window.tree.select([])
    assert len(order(queue)) == 13, "with nothing selected there is nothing to be below of"
    filters.age.setCurrentIndex(1)
    assert len(order(queue)) == 13


def test_what_was_skipped_flagged_and_done_is_found_and_undone(queue: Queue) -> None:
    queue.press("s")
    queue.show("promote")
    queue.press("f")
    queue.show("rename")
    queue.press(Qt.Key.Key_Return)
    filters = queue.page.filters
    filters.show_state("skipped")
    assert order(queue) == [queue.kind["merge"]]
    assert "skipped" in queue.page.frame.kind.text()
    filters.show_state("flagged")
    assert order(queue) == [queue.kind["promote"]]
    queue.press(Qt.Key.Key_Return)
    assert "Unit mix-up" in queue.names(), "what was flagged can be decided"
    filters.show_state("done")
    assert set(order(queue)) == {queue.kind["rename"], queue.kind["promote"]}
    assert not queue.window.actions_by_id["review.accept"].isEnabled()
    queue.window.do("edit.undo")
    assert queue.shown == queue.kind["promote"]
    assert filters.state.currentData() == "flagged"


def test_a_filter_that_shows_nothing_says_so(queue: Queue) -> None:
    queue.page.filters.kind.setCurrentIndex(queue.page.filters.kind.findData("merge"))
    queue.press("s")
    assert "12 proposals wait that this filter does not show" in queue.page._empty.text
    queue.page.filters.clear()
    assert len(order(queue)) == 12


def test_all_decided_but_the_skipped(queue: Queue) -> None:
    n = len(order(queue))
    for _ in range(n):
        queue.press("s")
    assert "All is decided but for" in queue.page._empty.text
    queue.page.filters.show_state("skipped")
    assert len(order(queue)) == n


def test_it_resumes_where_one_stopped(window: Window, qtbot: Any, tmp_path: Path) -> None:
    queue = open_queue(window, qtbot, tmp_path / "q.errormap")
    queue.press("s")
    queue.press(Qt.Key.Key_Return)
    left = order(queue)
    window.session.close()
    assert order(queue) == []
    assert window.session.open(tmp_path / "q.errormap")
    assert order(queue) == [i for i in left if queue.page.deck.get(i) is not None]
    assert queue.shown == order(queue)[0]


def test_new_questions_replace_only_what_was_not_shown(queue: Queue) -> None:
    queue.show("place")
    card = queue.page.frame.place
    text = card.answer.toPlainText()
    candidates = [{"category_id": queue.category["Reading"], "name": "Reading", "probability": 0.9}]
    new = [
        new_proposal(queue.project, "place", {"record_id": queue.records[i], "candidates": candidates, "name": "Reading"},
                     [queue.records[i]], worth=7.0)
        for i in range(30, 33)
    ]  # fmt: skip
    with Project.open(queue.project.path) as other:
        save_run(other, new, task="queue", name="Questions again")
    queue.window.session.poll()
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(new[0].id) is not None, timeout=3000)
    places = [row.id for row in queue.page.model.rows() if row.kind == "place"]
    assert set(places) == {queue.kind["place"], *(p.id for p in new)}
    assert queue.shown == queue.kind["place"]
    assert card.answer.toPlainText() == text
    queue.press(Qt.Key.Key_1)
    assert queue.category_of(36) == "Units", "it was answered as it was shown"


# The tree changes underneath


def test_a_stale_merge_is_explained_refreshed_and_accepted(queue: Queue) -> None:
    card = queue.show("merge")
    frame = queue.page.frame
    queue.window.session.apply(RenameCategory(category_id=queue.category["Calculation mistake"], name="Wrong sums"))
    assert not frame.notice.isHidden()
    assert "“Calculation mistake” is called “Wrong sums” now." in frame.notice_text.text()
    assert card.sides.names[1].text() == "Calculation mistake", "the card stays as it is under the reader's eyes"
    queue.press(Qt.Key.Key_Return)
    assert queue.shown == queue.kind["merge"], "the first press shows it as it is now"
    assert card.sides.names[1].text() == "Wrong sums"
    assert "The card shows what still holds" in frame.notice_text.text()
    queue.press(Qt.Key.Key_Return)
    assert "Wrong sums" not in queue.names()
    assert queue.category_of(6) == "Arithmetic"


def test_refresh_is_a_key_of_its_own(queue: Queue) -> None:
    queue.show("split")
    queue.window.session.apply(
        DecideProposals(rulings=(Ruling(proposal_id=queue.kind["move failures"], verdict="accept"),))
    )
    part = queue.page.frame.split.parts.columns[1]
    assert part.count.text() == "5 failures"
    queue.window.session.apply(DeleteCategories(category_ids=(queue.category["Reading"],)))
    assert "Nothing is left" in queue.page.frame.notice_text.text()
    queue.press("r")
    assert queue.page.frame.is_gone
    assert not queue.page.frame.buttons["accept"].isEnabled()
    queue.press("x")
    assert proposal(queue.project.db, queue.kind["split"]).verdict == "reject"


def test_another_window_decides_what_is_shown(queue: Queue) -> None:
    with Project.open(queue.project.path) as other:
        other.apply(
            DecideProposals(rulings=(Ruling(proposal_id=queue.kind["merge"], verdict="reject"),)),
            actor=other.annotator("Bo"),
        )
    queue.window.session.poll()
    assert queue.shown == queue.kind["merge"]
    assert "decided elsewhere" in queue.page.frame.notice_text.text()
    queue.press("j")
    assert queue.shown == order(queue)[0]


def test_who_only_reads_sees_and_cannot_decide(window: Window, qtbot: Any, tmp_path: Path) -> None:
    queue = open_queue(window, qtbot, tmp_path / "q.errormap")
    other = Project.open(tmp_path / "q.errormap")
    window.session.close()
    lease = take_lease(other, "window", purpose=tr("Editing in a window"))
    try:
        assert window.session.open(tmp_path / "q.errormap")
        window.show_page("review")
        assert queue.shown == queue.kind["merge"]
        assert all(button.isHidden() for button in queue.page.frame.buttons.values())
        assert not window.actions_by_id["review.accept"].isEnabled()
    finally:
        window.session.close()
        lease.release()
        other.close()


@pytest.mark.parametrize(
    "kind", ["place", "merge", "split", "create", "assign", "promote", "move", "rename", "describe"]
)
def test_every_card_is_read_by_a_screen_reader(queue: Queue, kind: str) -> None:
    queue.show(kind)
    frame = queue.page.frame
    for button in frame.buttons.values():
        assert button.text() and button.toolTip()
    assert frame.effect.accessibleName()
    assert QApplication.focusWidget() is queue.page.list


def test_a_merge_across_the_tree_updates_names_in_the_list(queue: Queue) -> None:
    queue.show("rename")
    queue.window.session.apply(AddCategory(name="More"))
    queue.window.session.apply(
        MergeCategories(
            category_ids=(queue.category["Unit mix-up"], queue.category["Units"]), into=queue.category["Units"]
        )
    )
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(queue.kind["promote"]) is None, timeout=3000)
    assert queue.shown == queue.kind["rename"]


def test_the_lock_takes_away_what_would_change_the_tree_and_brings_it_back(queue: Queue) -> None:
    page, session = queue.page, queue.window.session
    queue.show("create")
    assert queue.kind["merge"] in {row.id for row in page.deck.waiting()}
    session.apply(SetChoice(key="taxonomy.locked", value=True))
    queue.qtbot.waitUntil(lambda: queue.kind["merge"] not in {row.id for row in page.deck.waiting()}, timeout=5000)
    assert {row.kind for row in page.deck.waiting() if row.id != queue.kind["create"]} <= {"assign", "place"}
    assert "locked" in page.frame.notice_text.text()  # what is looked at stays, and says so
    page.accept_all()
    assert proposal(queue.project.db, queue.kind["create"]).verdict is None
    assert proposal(queue.project.db, queue.kind["assign"]).verdict == "accept"
    session.apply(SetChoice(key="taxonomy.locked", value=False))
    queue.qtbot.waitUntil(lambda: queue.kind["merge"] in {row.id for row in page.deck.waiting()}, timeout=5000)
