"""What screens say is so: whose words are shown, what is known of suggestions, what a figure leaves out."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QSize

from app.imports.dialog import ImportDialog
from app.window import Window
from errormap_core.project.store import Project
from errormap_core.proposals.certainty import certainty
from errormap_core.taxonomy.operations import DeleteCategories, RenameCategory, WriteAnalysis
from tests.app.queue_fixtures import Queue

Opened = tuple[Window, list[str]]

CRITERIA = [
    {"criterion": "Adds up", "present_in_wrong": True, "quality": "correct", "evidence": "", "comment": "The sum is 6."}
]


def judged(window: Window, record_id: str) -> None:
    """Give what the judge said of a failure criteria."""
    assert window.session.project is not None
    path = window.session.project.path
    window.session.close()
    with Project.open(path) as project, project.writing() as db:
        db.execute("UPDATE analysis SET required_criteria = ? WHERE record_id = ?", [json.dumps(CRITERIA), record_id])
    assert window.session.open(path)


@pytest.mark.parametrize(
    ("criteria", "are_the_judges"),
    [(CRITERIA, True), ([{**CRITERIA[0], "comment": "The sum is 7."}], False), ([], False)],
)
def test_criteria_of_a_judge_are_not_said_to_be_a_persons(
    opened: Opened, criteria: list[dict[str, Any]], are_the_judges: bool
) -> None:
    """Before, 'by NAME' stood over what the judge had written, which the person could not change."""
    window, ids = opened
    judged(window, ids[0])
    op = WriteAnalysis(
        record_id=ids[0], verdict="error", error_title="Mine", error_summary="So.", required_criteria=criteria
    )
    assert window.session.apply(op)
    window.session.select_record(ids[0])
    text = window.record.text.toPlainText()
    assert "Mine" in text and ("The sum is" in text) == bool(criteria)
    assert ("Criteria below: written by judge, not by " in text) == are_the_judges
    if are_the_judges:
        assert text.index("Criteria below") < text.index("The sum is 6.")


def test_no_suggestion_has_a_share_before_anything_is_known_of_them(queue: Queue) -> None:
    """Before, 83 % and 100 % stood beside 'not known yet: 20 more answers are needed'."""
    card = queue.show("place")
    assert not queue.page.deck.is_certainty_known
    for button in card.list.buttons:
        assert "%" not in button.accessibleName() + button.toolTip()
        button.grab()


def test_suggestions_have_shares_once_something_is_known(queue: Queue) -> None:
    take = queue.page._take
    seen: list[Any] = []
    queue.window.session.queue.read.connect(seen.append)
    queue.window.session.queue.want_done(True)
    queue.qtbot.waitUntil(lambda: bool(seen), timeout=3000)
    few, enough = (asdict(certainty([True] * n, [True, False, True, True], n=40, n_open=20)) for n in (19, 20))
    for sure, is_known in ((few, False), (enough, True)):
        queue.show("merge")
        take(replace(seen[-1], certainty=sure))
        card = queue.show("place")
        assert any("%" in button.accessibleName() for button in card.list.buttons) == is_known
    assert [b.accessibleName() for b in card.list.buttons][:2] == ["1: Units, 61%", "2: Reading, 22%"]
    assert "61% is the program's own figure" in card.list.buttons[0].toolTip()


def test_the_filter_calls_the_selected_category_by_its_name(queue: Queue, tmp_path: Path) -> None:
    """Before, it kept the name from before a renaming, also after another project was opened."""
    below = queue.page.filters.below
    queue.window.session.select_categories([queue.category["Reading"]])
    assert below.text() == "Below “Reading”"
    queue.window.session.apply(RenameCategory(category_id=queue.category["Reading"], name="Skimming"))
    assert below.text() == "Below “Skimming”"
    queue.window.session.undo()
    assert below.text() == "Below “Reading”"
    assert queue.window.session.create(tmp_path / "next.errormap")
    assert below.text() == "Below the selected category" and not below.isEnabled()


def test_what_accepting_would_touch_is_of_the_tree_as_it_is(queue: Queue) -> None:
    """Before, 'Moves 4 failures. Other stays at 0.0%.' stood there after the deletion that made Other 75 %."""
    queue.show("assign")
    before = queue.effect()
    assert "Other stays at" in before
    effect = queue.page.frame.effect
    row = queue.page.deck.get(queue.kind["assign"])
    other = next(
        c.id for c in queue.project.tree if c.reserved is None and c.id not in row.category_ids and c.parent_id is None
    )
    queue.window.session.apply(DeleteCategories(category_ids=(other,)))
    queue.qtbot.waitUntil(lambda: bool(effect.text()) and effect.text() != before, timeout=3000)
    assert "Other: " in effect.text() or "Other stays at" in effect.text()
    queue.window.session.apply(DeleteCategories(category_ids=(row.category_ids[0],)))
    assert "Nothing is left to accept" in queue.page.frame.notice_text.text()
    queue.qtbot.wait(50)
    assert effect.text() == ""


@pytest.mark.parametrize("ratio", ["0.0125", "0.000001", "0.123456"])
def test_the_whole_sampling_ratio_can_be_seen(window: Window, tmp_path: Path, ratio: str) -> None:
    """Before, 0.0125 showed as 0125."""
    window.session.create(tmp_path / "p.errormap")
    rows = tmp_path / "quiz.csv"
    rows.write_text("example_id,model,input_text,output_text,score\n1,m,q,a,0\n2,m,q,a,1\n", encoding="utf-8")
    dialog = ImportDialog(window.session, [rows], window)
    dialog.open()
    edit = dialog.ratio.lineEdit()
    assert edit.width() > edit.fontMetrics().horizontalAdvance(ratio) + 2
    dialog.reject()


def test_signatures_say_what_has_no_bar(queue: Queue) -> None:
    """Before, bars of a model did not add up to its n, without a word."""
    queue.window.session.select_categories([])
    queue.window.signatures.reload()
    said = queue.window.signatures._note.text()
    totals = queue.project.reader.execute("SELECT count(*) FROM failure WHERE placed_by IS NULL").fetchone()[0]
    assert totals and f"{totals} of 40 are in no category and have no bar" in said
    assert "or too many" not in said


def test_the_window_fits_the_screen_with_its_frame(window: Window) -> None:
    """Before, the status bar lay below the edge of a screen of 1440 x 900, as the frame came on top."""
    room = window.screen().availableGeometry()
    window.resize(room.size() + QSize(100, 40))
    window.fit_screen()
    assert window.frameGeometry().height() <= max(room.height(), window.minimumSizeHint().height())
    small = QSize(window.minimumSizeHint().width(), window.minimumSizeHint().height())
    window.resize(small)
    window.fit_screen()
    assert window.height() == min(small.height(), room.height())
