"""Several proposals decided in one step: a preview of the whole, one undo."""

from PySide6.QtCore import QItemSelectionModel, Qt

from errormap_core.project import queries
from errormap_core.project.pending import proposal
from errormap_core.taxonomy.operations import RenameCategory
from tests.app.queue_fixtures import Queue

CTRL = Qt.KeyboardModifier.ControlModifier


def select(queue: Queue, *kinds: str) -> None:
    """Select the proposals of these kinds, as clicks with Ctrl would."""
    queue.show(kinds[0])
    for kind in kinds[1:]:
        index = queue.page.model.index(queue.page.model.place_of(queue.kind[kind]))
        queue.page.list.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.Select)


def known(queue: Queue) -> None:
    """Wait until the effect of the whole is known."""
    queue.qtbot.waitUntil(lambda: queue.page.batch.preview is not None, timeout=3000)


def test_the_effect_of_the_whole_is_shown_before_and_one_undo_takes_it_back(queue: Queue) -> None:
    before = queue.names()
    select(queue, "promote", "rename", "assign")
    batch = queue.page.batch
    assert queue.page._cards.currentWidget() is batch
    assert batch.title.text() == "3 proposals are selected"
    assert batch.kinds.text() == "To the top 1 · Place failures 1 · Rename 1"
    known(queue)
    assert "Other: 15.0% → 5.0%." in batch.effect.text() or "Other: 15.0% →" in batch.effect.text()
    assert batch.buttons["accept"].text() == "Accept 3  ⏎"
    n = queue.project.db.table("log").count
    queue.press(Qt.Key.Key_Return)
    assert queue.project.db.table("log").count == n + 1
    assert {"Unit mix-up", "Other / Confuses day and week"} <= queue.names()
    assert queue.category_of(33) == "Units"
    assert all(row[0] for row in queue.project.db.execute("SELECT is_bulk FROM decision"))
    assert queue.page.n_selected == 1, "the next one is there"
    queue.window.do("edit.undo")
    assert queue.names() == before
    assert queue.category_of(33) == ""
    assert queue.project.db.table("decision").count == 0


def test_all_are_skipped_or_rejected_in_one_step(queue: Queue) -> None:
    queue.page.filters.kind.setCurrentIndex(queue.page.filters.kind.findData("place"))
    queue.qtbot.keyClick(queue.page.list, Qt.Key.Key_A, CTRL)
    assert queue.page.n_selected == 4
    queue.press("s")
    assert [row.state for row in queue.page.deck.waiting() if row.kind == "place"] == ["skipped"] * 4
    queue.window.do("edit.undo")
    assert [row.state for row in queue.page.deck.waiting() if row.kind == "place"] == ["pending"] * 4
    select(queue, "merge", "split")
    queue.press("x")
    assert {proposal(queue.project.db, queue.kind[kind]).verdict for kind in ("merge", "split")} == {"reject"}


def test_what_does_not_fit_is_left_out_and_said(queue: Queue) -> None:
    queue.window.session.apply(RenameCategory(category_id=queue.category["Misc"], name="Odds"))
    select(queue, "merge", "rename", "describe")
    known(queue)
    batch = queue.page.batch
    assert "2 are left out" in batch.problem.text()
    shown = [batch.list.item(place).text() for place in range(batch.list.count())]
    assert any("“Misc” is called “Odds” now." in text for text in shown)
    assert any("“Calculation mistake” is not in the tree any more." in text for text in shown), "after the merge"
    queue.press(Qt.Key.Key_Return)
    assert "Calculation mistake" not in queue.names()
    assert "Other / Odds" in queue.names()
    assert proposal(queue.project.db, queue.kind["rename"]).verdict is None


def test_esc_goes_back_to_one(queue: Queue) -> None:
    select(queue, "merge", "split")
    queue.press(Qt.Key.Key_Escape)
    assert queue.page.n_selected == 1
    assert queue.page._cards.currentWidget() is queue.page.frame


def test_several_questions_go_to_their_likeliest_places(queue: Queue) -> None:
    queue.page.filters.kind.setCurrentIndex(queue.page.filters.kind.findData("place"))
    queue.page.select_all()
    known(queue)
    queue.press(Qt.Key.Key_Return)
    assert [queue.category_of(i) for i in range(36, 40)] == ["Units"] * 4
    own = queries.own_counts(queue.project.db)
    assert own[queue.category["Units"]] == 8
