"""The card of each kind: what it shows, what can be changed on it, what accepting it does."""

import time

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.dialogs import Picker
from errormap_core.project import queries
from errormap_core.project.pending import proposal
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import MergeCategories
from tests.app.queue_building import new_proposal, save_run
from tests.app.queue_fixtures import Queue
from tests.core.building import add_analyses


def test_the_list_is_ordered_by_worth_and_says_kind_and_state(queue: Queue) -> None:
    rows = queue.page.model.rows()
    assert [row.worth for row in rows] == sorted((row.worth for row in rows), reverse=True)
    assert {row.kind for row in rows} == {
        "merge",
        "split",
        "place",
        "promote",
        "create",
        "assign",
        "move",
        "rename",
        "describe",
    }
    assert queue.shown == queue.kind["merge"], "the page opens on the most worthwhile"
    spoken = queue.page.model.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "Merge: Arithmetic + Calculation mistake"
    assert queue.page.top.progress.text() == f"0 of {len(rows)} decided"


def test_a_merge_shows_both_sides_and_what_it_would_touch(queue: Queue) -> None:
    card = queue.show("merge")
    frame = queue.page.frame
    assert frame.title.text() == "Merge “Arithmetic”, “Calculation mistake”"
    assert frame.why.text() == "They say much the same."
    assert frame.figures.text() == "10 failures · score 0.80 · similarity 0.83"
    assert card.sides.counts[queue.category["Arithmetic"]] == 10, "with the units below it"
    assert "Other stays at 15.0%" in queue.effect()
    assert "Moves 4 failures." in queue.effect()
    assert frame.buttons["accept"].text() == "Merge 2 categories  ⏎"
    card.name.setCurrentText("Sums")
    queue.press(Qt.Key.Key_Return)
    assert queue.names() == {"Sums", "Sums / Units", "Reading", "Other / Unit mix-up", "Other / Misc"}
    assert proposal(queue.project.db, queue.kind["merge"]).verdict == "edit"


def test_one_of_a_merge_is_left_out_and_another_survives(queue: Queue) -> None:
    card = queue.show("merge")
    queue.press(Qt.Key.Key_1)
    assert card.sides.included() == [queue.category["Calculation mistake"]]
    queue.qtbot.waitUntil(lambda: "Nothing is left to merge" in queue.page.frame.effect.text(), timeout=3000)
    queue.press(Qt.Key.Key_1)
    card.sides._survivor.button(1).setChecked(True)
    assert card.name.currentText() == "Calculation mistake"
    queue.press(Qt.Key.Key_Return)
    assert queue.project.tree.resolve(queue.category["Arithmetic"]).id == queue.category["Calculation mistake"]
    assert queue.category_of(0) == "Calculation mistake"


def test_a_split_shows_parts_that_can_be_renamed_filled_and_left_out(queue: Queue) -> None:
    card = queue.show("split")
    columns = card.parts.columns
    assert [column.name.text() for column in columns] == ["Skims the question", "Misses a condition"]
    assert columns[0].count.text() == "5 failures"
    first = columns[0].ids()[0]
    columns[1].members.dropped.emit([("record", first)])  # as a drag with the mouse ends
    assert columns[1].count.text() == "6 failures"
    columns[0].name.setText("Skims")
    queue.press(Qt.Key.Key_2)
    assert not columns[1].box.isChecked()
    assert queue.page.frame.buttons["accept"].text() == "Split off 1 part  ⏎"
    queue.press(Qt.Key.Key_2, Qt.Key.Key_Return)
    assert {"Skims", "Misses a condition"} <= queue.names()
    row = queries.failure_rows(queue.project.db, [first])[first]
    assert queue.project.tree.live(row.category_id or "").name == "Misses a condition"


def test_part_of_a_split_alone(queue: Queue) -> None:
    card = queue.show("split")
    queue.press(Qt.Key.Key_1)
    assert "Moves 5 failures" in queue.effect()
    card.parts.below.setChecked(True)
    queue.press(Qt.Key.Key_Return)
    assert "Reading / Misses a condition" in queue.names()
    assert queue.category_of(14) == "Reading"


def test_a_question_is_answered_by_a_number(queue: Queue) -> None:
    card = queue.show("place")
    assert queue.page.frame.title.text() == "Where does this failure belong?"
    assert "teaches about 14 others" in queue.page.frame.kind.text()
    assert card.judged.text() == "Adds where it should subtract"
    assert "There are 36 + 36 = 72 days" in card.answer.toPlainText()
    assert "How many are" not in card.answer.toPlainText(), "the question is folded"
    assert [b.accessibleName() for b in card.list.buttons] == [
        "1: Units",
        "2: Reading",
        "3: Rounding (proposed)",
    ]
    assert queue.window.record.detail is not None and queue.window.record.detail.id == queue.records[36]
    queue.press(Qt.Key.Key_Space)
    assert "How many are 36 and 36 days" in card.answer.toPlainText()
    queue.press(Qt.Key.Key_Space)
    assert "10.29" in card.answer.toPlainText()
    queue.press(Qt.Key.Key_2)
    assert queue.category_of(36) == "Reading"
    assert queue.page.frame.row.arguments["record_id"] == queue.records[37], "the next question is there at once"


def test_a_question_is_answered_with_a_proposed_category(queue: Queue) -> None:
    queue.show("place")
    queue.press(Qt.Key.Key_3)
    assert queue.category_of(36) == "Rounding"
    assert queue.category_of(30) == "", "its other members stay unplaced"
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(queue.kind["create"]).state == "done", timeout=3000)


def test_a_question_is_answered_with_another_category(queue: Queue) -> None:
    queue.show("place")
    queue.press("/")
    picker = queue.page.findChild(Picker)
    assert picker is not None
    queue.qtbot.waitUntil(lambda: QApplication.focusWidget() is picker.field, timeout=3000)
    queue.qtbot.keyClicks(picker.field, "mix")
    queue.qtbot.keyClick(picker.field, Qt.Key.Key_Return)
    assert queue.category_of(36) == "Unit mix-up"


def test_a_question_is_answered_with_a_new_category(queue: Queue) -> None:
    card = queue.show("place")
    queue.press("n")
    assert QApplication.focusWidget() is card.name
    queue.press(Qt.Key.Key_Return)
    assert "name" in card.problem.text(), "an empty name is refused beside the field"
    queue.press("Xylophones 1")  # letters and digits are text now
    queue.press(Qt.Key.Key_Return)
    assert queue.category_of(36) == "Xylophones 1"
    assert queue.shown != queue.kind["place"]
    assert QApplication.focusWidget() is queue.page.list, "and keys again"


def test_esc_leaves_the_field_of_a_new_category(queue: Queue) -> None:
    card = queue.show("place")
    queue.press("n", Qt.Key.Key_Escape)
    assert card.new_row.isHidden()
    queue.qtbot.waitUntil(lambda: QApplication.focusWidget() is queue.page.list, timeout=3000)
    assert queue.shown == queue.kind["place"]


def test_before_and_after_of_a_promotion(queue: Queue) -> None:
    card = queue.show("promote")
    assert card.now_place.text() == "below Other"
    assert card.then_place.text() == "at the top"
    assert "Other: 15.0% → 5.0%." in queue.effect()
    queue.press(Qt.Key.Key_Return)
    assert "Unit mix-up" in queue.names()


def test_a_move_with_another_name(queue: Queue) -> None:
    card = queue.show("move")
    assert (card.now_place.text(), card.then_place.text()) == ("below Arithmetic", "below Reading")
    queue.press("e")
    assert QApplication.focusWidget() is card.name
    queue.press("Units of the question", Qt.Key.Key_Return)
    assert "Reading / Units of the question" in queue.names()


def test_another_name_and_another_description(queue: Queue) -> None:
    card = queue.show("rename")
    assert (card.now_name.text(), card.name.text()) == ("Misc", "Confuses day and week")
    queue.press(Qt.Key.Key_Return)
    assert "Other / Confuses day and week" in queue.names()
    card = queue.show("describe")
    assert card.now_text.text() == "No description"
    queue.press("e")
    card.description.setPlainText("A sum of numbers is wrong")
    queue.page.accept()
    assert queue.project.tree.live(queue.category["Calculation mistake"]).description == "A sum of numbers is wrong"


def test_failures_of_a_proposal_can_be_left_out(queue: Queue) -> None:
    card = queue.show("assign")
    assert card.form.isHidden()
    queue.press(Qt.Key.Key_1)
    assert card.title.text().startswith("2 failures go into it")
    queue.press(Qt.Key.Key_Return)
    assert [queue.category_of(i) for i in (33, 34, 35)] == ["", "Units", "Units"]


def test_failures_move_from_one_category_to_another(queue: Queue) -> None:
    queue.show("move failures")
    assert queue.page.frame.title.text() == "“Reading” → “Units”"
    assert queue.page.frame.kind.text().startswith("Move failures")
    queue.press(Qt.Key.Key_Return)
    assert queue.category_of(22) == "Units"


def test_a_new_category_is_named_on_its_card(queue: Queue) -> None:
    card = queue.show("create")
    queue.press("e")
    assert QApplication.focusWidget() is card.name
    queue.press("Rounds too early", Qt.Key.Key_Return)
    assert queue.category_of(30) == "Rounds too early"


def test_what_was_rejected_before_says_so(queue: Queue) -> None:
    again = new_proposal(
        queue.project, "promote", {"category_id": queue.category["Misc"], "parent_id": None}, worth=50.0,
        rejected_before={"at": "2026-01-02T03:04:05Z", "by": "Bo", "n_then": 2, "n_now": 9},
    )  # fmt: skip
    with Project.open(queue.project.path) as other:
        save_run(other, [again], name="Later")
    queue.window.session.poll()
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(again.id) is not None, timeout=3000)
    assert queue.shown == queue.kind["merge"], "what comes does not push away what is looked at"
    queue.page.first()
    said = queue.page.frame.before.text()
    assert said == "Rejected before by Bo on 2026-01-02; it comes again because its failures changed (2 then, 9 now)."


def test_a_merge_of_what_became_one_is_passed_over(queue: Queue) -> None:
    merge = MergeCategories(
        category_ids=(queue.category["Arithmetic"], queue.category["Calculation mistake"]),
        into=queue.category["Arithmetic"],
    )
    queue.show("split")
    queue.window.session.apply(merge)
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(queue.kind["merge"]) is None, timeout=3000)
    assert queue.shown == queue.kind["split"]


def test_likely_categories_that_mean_the_same_are_marked_and_merged_with_the_answer(queue: Queue) -> None:
    card = queue.show("place")
    names = [candidate.name for candidate in card.candidates]
    ids = [candidate.id for candidate in card.candidates]
    tree = queue.project.tree
    places = [place for place, key in enumerate(ids) if tree.get(key) is not None][:2]
    assert len(places) == 2
    queue.press(Qt.Key.Key_M)
    assert "mean the same" in card.problem.text()
    queue.press(str(places[1] + 1))
    assert card.list.buttons[places[1]]._name() == f"= {names[places[1]]}"
    queue.press(Qt.Key.Key_M)
    queue.press(str(places[0] + 1))
    assert proposal(queue.project.db, queue.kind["place"]).verdict == "edit"
    assert queue.project.tree.resolve(ids[places[1]]).id == ids[places[0]]
    queue.window.session.undo()
    assert queue.project.tree.resolve(ids[places[1]]).id == ids[places[1]]


def test_enter_ends_marking_and_escape_takes_the_marks_back(queue: Queue) -> None:
    card = queue.show("place")
    queue.press(Qt.Key.Key_M, "2", Qt.Key.Key_Return)
    assert proposal(queue.project.db, queue.kind["place"]).verdict is None, "it was asked which are the same"
    assert (card.is_marking, len(card.same)) == (False, 1)
    queue.press(Qt.Key.Key_N)
    queue.press(Qt.Key.Key_Escape)
    assert "taken for the one" in card.problem.text(), "a mark that counts is told"
    queue.press(Qt.Key.Key_M, Qt.Key.Key_Escape)
    assert (card.is_marking, len(card.same), card.problem.text()) == (False, 0, "")


def test_a_new_category_takes_what_was_marked_in(queue: Queue) -> None:
    card = queue.show("place")
    ids = [candidate.id for candidate in card.candidates]
    place = next(n for n, key in enumerate(ids) if queue.project.tree.get(key) is not None)
    queue.press(Qt.Key.Key_M, str(place + 1), Qt.Key.Key_M, Qt.Key.Key_N)
    for letter in "Sloppy":
        queue.press(letter)
    queue.press(Qt.Key.Key_Return)
    assert queue.project.tree.resolve(ids[place]).name == "Sloppy"


def test_enter_presses_what_has_the_focus(queue: Queue) -> None:
    card = queue.show("place")
    queue.press(Qt.Key.Key_N)
    for letter in "Sloppy":
        queue.press(letter)
    card.new_row.place.setFocus()
    queue.press("u")
    queue.press(Qt.Key.Key_Return)
    assert proposal(queue.project.db, queue.kind["place"]).verdict == "edit"
    assert "Sloppy" in {path.split(" / ")[-1] for path in queue.names()}
    queue.show("merge")
    queue.page.frame.buttons["skip"].setFocus()
    queue.press(Qt.Key.Key_Return)
    assert proposal(queue.project.db, queue.kind["merge"]).verdict == "skip"


def test_a_title_and_a_summary_of_100000_characters_are_shown_at_once(queue: Queue) -> None:
    record_id = queue.records[36]
    add_analyses(queue.project, {record_id: "Very long. " * 9_000}, run="later")
    started = time.process_time()
    card = queue.show("place")
    queue.qtbot.wait(50)
    assert time.process_time() - started < 2.0
    assert card.judged.text().endswith("…")
    assert card.judged.height() <= 2 * card.fontMetrics().lineSpacing()
