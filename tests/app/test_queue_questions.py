"""A question under the reader's eyes: what changed is said, keys keep their meaning, what is gone refuses, R shows it anew."""

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt

from app.commands import BY_ID
from app.review.deck import Deck
from app.review.place_card import taught as said_of
from errormap_core.project.pending import ProposalRow, proposal, whole_queue
from errormap_core.project.proposing import NewProposal
from errormap_core.project.store import Project
from errormap_core.project.teaching import save_questions
from errormap_core.taxonomy.operations import (
    AddCategory,
    DecideProposals,
    DeleteCategories,
    DescribeCategory,
    MergeCategories,
    RenameCategory,
    Ruling,
)
from tests.app.queue_building import new_proposal, save_run
from tests.app.queue_fixtures import Queue


def says(queue: Queue) -> str:
    """What the line on the card says; '' where it is not shown."""
    frame = queue.page.frame
    return "" if frame.notice.isHidden() else str(frame.notice_text.text())


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after many answers: suggestions are shown with their figures."""
    monkeypatch.setattr(Deck, "is_certainty_known", property(lambda _: True, lambda *_: None), raising=False)


def spoken(queue: Queue) -> list[str]:
    return [button.accessibleName() for button in queue.page.frame.place.list.buttons]


def verdict(queue: Queue) -> str | None:
    return proposal(queue.project.db, queue.kind["place"]).verdict


def taught(queue: Queue, *shares: tuple[str, float]) -> None:
    """Another process has learned: the question that is shown has these likely categories now."""
    candidates = [{"category_id": queue.category[name], "name": name, "probability": share} for name, share in shares]
    record_id = queue.records[36]
    arguments = {"record_id": record_id, "candidates": candidates, "name": shares[0][0]}
    with Project.open(queue.project.path) as other:
        new: NewProposal = new_proposal(other, "place", arguments, [record_id], worth=8.0)
        save_run(other, [replace(new, id=queue.kind["place"])], task="queue", name="Learned")
    queue.window.session.poll()
    queue.qtbot.waitUntil(
        lambda: queue.page.deck.get(queue.kind["place"]).arguments["candidates"] == candidates, timeout=3000
    )


def test_a_renamed_candidate_says_so_and_refreshes(queue: Queue) -> None:
    card = queue.show("place")
    queue.window.session.apply(RenameCategory(category_id=queue.category["Reading"], name="Skimming"))
    assert "“Reading” is called “Skimming” now." in says(queue)
    assert queue.page.frame.refresh_button.isVisible()
    assert spoken(queue)[1] == "2: Reading, 22%. “Reading” is called “Skimming” now."
    assert [c.name for c in card.candidates] == ["Units", "Reading", "Rounding"], "not under the reader's eyes"
    queue.press("r")
    assert says(queue) == ""
    assert spoken(queue)[1] == "2: Skimming, 22%"
    queue.press("2")
    assert queue.category_of(36) == "Skimming"


def test_a_renamed_candidate_is_answered_with_its_key_still(queue: Queue) -> None:
    queue.show("place")
    queue.window.session.apply(RenameCategory(category_id=queue.category["Reading"], name="Skimming"))
    queue.press("2")
    assert queue.category_of(36) == "Skimming"


def test_what_is_taken_back_is_not_said_any_more(queue: Queue) -> None:
    queue.show("place")
    queue.window.session.apply(RenameCategory(category_id=queue.category["Reading"], name="Skimming"))
    assert says(queue)
    queue.window.session.undo()
    assert says(queue) == ""
    assert spoken(queue)[1] == "2: Reading, 22%"


def test_a_candidate_that_was_merged_away_refuses(queue: Queue) -> None:
    card = queue.show("place")
    said: list[Any] = []
    queue.window.session.failed.connect(said.append)
    queue.window.session.apply(
        MergeCategories(
            category_ids=(queue.category["Units"], queue.category["Reading"]), into=queue.category["Reading"]
        )
    )
    assert "“Units” was merged into “Reading” meanwhile." in says(queue)
    assert card.list.buttons[0].is_gone and not card.list.buttons[1].is_gone
    for key in ("1", Qt.Key.Key_Return):
        queue.press(key)
        assert verdict(queue) is None
        assert "“Units” was merged into “Reading” meanwhile." in str(said.pop())
    card.list.buttons[0].click()
    assert verdict(queue) is None
    queue.press("r")
    assert spoken(queue)[0] == "1: Reading, 83%", "what was likely of both"
    assert says(queue) == ""
    queue.press("1")
    assert queue.category_of(36) == "Reading"


def test_a_deleted_candidate_refuses_and_the_others_keep_their_keys(queue: Queue) -> None:
    queue.show("place")
    queue.window.session.apply(DeleteCategories(category_ids=(queue.category["Units"],)))
    assert "“Units” was deleted meanwhile." in says(queue)
    queue.press("1")
    assert verdict(queue) is None
    queue.press("2")
    assert queue.category_of(36) == "Reading"


def test_a_candidate_that_was_described_anew_says_so(queue: Queue) -> None:
    queue.show("place")
    queue.window.session.apply(DescribeCategory(category_id=queue.category["Reading"], description="Other words"))
    assert "“Reading” was described anew meanwhile." in says(queue)


def test_a_proposed_candidate_that_is_rejected_is_gone(queue: Queue) -> None:
    queue.show("place")
    reject = DecideProposals(rulings=(Ruling(proposal_id=queue.kind["create"], verdict="reject"),))
    queue.window.session.apply(reject)
    assert "“Rounding” was rejected meanwhile." in says(queue)
    queue.press("3")
    assert verdict(queue) is None
    queue.press("r")
    assert spoken(queue) == ["1: Units, 61%", "2: Reading, 22%"]


def test_a_proposed_candidate_that_became_a_category_is_that(queue: Queue) -> None:
    queue.show("place")
    named = Ruling(proposal_id=queue.kind["create"], verdict="edit", name="Rounds")
    queue.window.session.apply(DecideProposals(rulings=(named,)))
    assert "“Rounding” became the category “Rounds”." in says(queue)
    queue.press("3")
    assert queue.category_of(36) == "Rounds"


def test_a_proposed_candidate_that_was_taken_for_another_is_gone(queue: Queue) -> None:
    questions = [row.id for row in queue.page.model.rows() if row.kind == "place"]
    queue.show("place")
    same = Ruling(
        proposal_id=questions[1], verdict="edit", target=queue.category["Reading"], same=(queue.kind["create"],)
    )
    queue.window.session.apply(DecideProposals(rulings=(same,)))
    assert "“Rounding” was taken for “Reading” meanwhile." in says(queue)
    queue.press("3")
    assert verdict(queue) is None


def test_what_was_learned_meanwhile_is_said_and_shown_on_demand(queue: Queue) -> None:
    queue.show("place")
    taught(queue, ("Reading", 0.8), ("Units", 0.1))
    assert "By what was decided since, “Reading” is the likeliest." in says(queue)
    assert spoken(queue)[0] == "1: Units, 61%"
    assert queue.page.frame.buttons["accept"].text().startswith("Place in 1")
    queue.press("r")
    assert says(queue) == ""
    assert spoken(queue) == ["1: Reading, 80%", "2: Units, 10%"]


def test_the_key_means_what_is_shown_whatever_was_learned(queue: Queue) -> None:
    queue.show("place")
    taught(queue, ("Reading", 0.8), ("Units", 0.1))
    queue.press(Qt.Key.Key_Return)
    assert queue.category_of(36) == "Units"


def test_a_category_that_became_likely_is_named(queue: Queue) -> None:
    queue.show("place")
    taught(queue, ("Units", 0.6), ("Reading", 0.2), ("Misc", 0.12))
    assert "“Misc” is likely too" in says(queue)
    queue.press("r")
    assert spoken(queue)[2] == "3: Misc, 12%"


def test_what_is_much_the_same_disturbs_nobody(queue: Queue) -> None:
    queue.show("place")
    taught(queue, ("Units", 0.58), ("Reading", 0.24), ("Misc", 0.02))
    assert says(queue) == ""
    queue.press("r")
    assert spoken(queue)[0] == "1: Units, 58%", "R shows it all the same"


def test_a_key_that_is_changed_does_not_refresh_the_card(queue: Queue) -> None:
    queue.show("place")
    queue.window.session.apply(RenameCategory(category_id=queue.category["Reading"], name="Skimming"))
    queue.window.session.keys.change(BY_ID["review.nth_2"], ["Ctrl+Alt+2"])
    card = queue.page.frame.place
    assert card.list.buttons[1].key == "Ctrl+Alt+2"
    assert card.candidates[1].name == "Reading"
    assert "Skimming" in says(queue)


def test_a_category_that_went_while_it_was_looked_for_is_refused(queue: Queue) -> None:
    card = queue.show("place")
    said: list[Any] = []
    queue.window.session.failed.connect(said.append)
    card.find_category()
    picker = next(child for child in card.children() if hasattr(child, "choose"))
    queue.qtbot.keyClicks(picker.field, "misc")
    queue.window.session.apply(
        MergeCategories(
            category_ids=(queue.category["Misc"], queue.category["Reading"]), into=queue.category["Reading"]
        )
    )
    picker.choose()
    assert verdict(queue) is None
    assert "“Misc” was merged into “Reading”" in str(said[0])


def test_refresh_is_told_on_the_question_too(queue: Queue) -> None:
    queue.show("place")
    assert queue.window.actions_by_id["review.refresh"].isEnabled()
    queue.window.session.apply(DeleteCategories(category_ids=(queue.category["Units"],)))
    assert "R" in queue.page.frame.refresh_button.text()


# Marked as the same: what the merge would do is said before


def effect(queue: Queue, part: str) -> str:
    text = queue.page.frame.effect
    queue.qtbot.waitUntil(lambda: part in text.text(), timeout=3000)
    return str(text.text())


def test_marks_say_what_the_merge_would_do(queue: Queue) -> None:
    queue.show("place")
    assert queue.page.frame.effect.text() == "", "an answer alone moves the failure that is shown"
    queue.press("m", "2")
    said = effect(queue, "Placed in 1")
    assert "“Units” 4 → 15" in said
    assert "“Reading” (10) goes into it." in said
    assert "Moves 11 failures." in said, "with the one that is placed"
    assert "Touches 10 decisions of Ann Bee." in said
    assert "Other stays at 15.0%." in said or "Other: " in said
    queue.press("m", "1")
    own = {row.id: n for row, n in counts(queue)}
    assert own[queue.category["Units"]] == 15, "as it was said"


def counts(queue: Queue) -> list[tuple[Any, int]]:
    from errormap_core.project.queries import own_counts

    own = own_counts(queue.project.db)
    return [(category, own.get(category.id, 0)) for category in queue.project.tree]


def test_the_preview_follows_the_answer_that_is_meant(queue: Queue) -> None:
    card = queue.show("place")
    queue.press("m", "1", "m")
    assert "“Reading” 10 → 15" in effect(queue, "Placed in 2"), "1 alone is marked: it goes into another"
    card.list.buttons[2].setFocus()
    assert "“Rounding” 0 → 5" in effect(queue, "Placed in 3")
    queue.page.focus_list()
    effect(queue, "Placed in 2")
    queue.press("n", "Sloppy")
    assert "“Sloppy” 0 → 5" in effect(queue, "In the new category")
    queue.press(Qt.Key.Key_Escape, "d")
    queue.qtbot.waitUntil(lambda: queue.page.frame.effect.text() == "", timeout=3000)
    assert card.same == set()


def test_marks_that_cannot_be_merged_say_why(queue: Queue) -> None:
    queue.window.session.undo()
    other = queue.category["Other"]
    record_id = queue.records[30]
    candidates = [
        {"category_id": queue.category["Units"], "name": "Units", "probability": 0.5},
        {"category_id": other, "name": "Other", "probability": 0.4},
    ]
    question = new_proposal(
        queue.project, "place", {"record_id": record_id, "candidates": candidates, "name": "Units"}, [record_id],
        worth=90.0,
    )  # fmt: skip
    with Project.open(queue.project.path) as writer:
        save_run(writer, [question], task="queue", name="One more")
    queue.window.session.poll()
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(question.id) is not None, timeout=3000)
    queue.page.first()
    assert queue.shown == question.id
    queue.press("m", "2")
    assert "⚠" in effect(queue, "Other")


# The queue asks something else meanwhile


def ask_another(queue: Queue, record: int) -> NewProposal:
    """Another process has learned, and asks about this failure instead of what it asked."""
    arguments = {
        "record_id": queue.records[record],
        "candidates": [
            {"category_id": queue.category[name], "name": name, "probability": share}
            for name, share in (("Units", 0.7), ("Reading", 0.2))
        ],
        "name": "x",
    }
    question: NewProposal = new_proposal(queue.project, "place", arguments, [queue.records[record]], worth=95.0)
    with Project.open(queue.project.path) as other, other.writing() as db:
        save_questions(db, {"encoder": "x"}, [question], {})
    queue.window.session.poll()
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(question.id) is not None, timeout=3000)
    return question


@pytest.mark.parametrize(("key", "verdict_after"), [("1", "accept"), ("2", "edit"), ("s", "skip"), ("f", "flag")])
def test_a_question_that_the_queue_gave_up_meanwhile_can_be_answered(
    queue: Queue, key: str, verdict_after: str
) -> None:
    """Before, every key was refused with 'There is no proposal with the id ...', skipping too, and the answer was lost."""
    first = ask_another(queue, 30)
    queue.window.session.select_proposal(first.id)
    assert queue.shown == first.id
    second = ask_another(queue, 31)
    assert queue.shown == first.id, "what somebody looks at stays"
    assert "no proposal" not in says(queue)
    queue.press(key)
    assert proposal(queue.project.db, first.id).verdict == verdict_after
    assert not queue.window.strip.text
    if key in "12":
        assert queue.category_of(30) == {"1": "Units", "2": "Reading"}[key]
    assert queue.shown != first.id
    queue.window.session.undo()
    assert proposal(queue.project.db, first.id).verdict is None
    waiting = [row.id for row in whole_queue(queue.project.db, with_done=False, known={}).rows]
    assert second.id in waiting and first.id not in waiting, "it is not asked again unless the queue wants it"


# Room: the answers are seen without scrolling


def ask_of_nine(queue: Queue) -> str:
    """A question with as many likely categories as there are number keys, each with a name and a description that are long."""
    actor = queue.window.session.actor
    candidates = []
    for n in range(9):
        op = AddCategory(
            name=f"Number {n} of the categories that may hold this failure, as they are called",
            description="Says at some length what is in it, so that one line does not do. " * 3,
        )
        queue.project.apply(op, actor=actor)
        candidates.append({"category_id": op.category_id, "name": op.name, "probability": 0.3 - n / 40})
    record_id = queue.records[30]
    arguments = {"record_id": record_id, "candidates": candidates, "name": "x"}
    question = new_proposal(queue.project, "place", arguments, [record_id], worth=90.0, n_taught=14)
    with Project.open(queue.project.path) as writer:
        save_run(writer, [question], task="queue", name="Nine")
    queue.window.session.poll()
    queue.qtbot.waitUntil(lambda: queue.page.deck.get(question.id) is not None, timeout=3000)
    queue.window.session.select_proposal(question.id)
    return candidates[1]["category_id"]


def hidden_answers(queue: Queue) -> list[str]:
    """Candidates of which something is out of sight."""
    hidden: list[str] = []
    for _ in range(30):  # the layout settles later on a busy machine
        queue.qtbot.wait(50)
        buttons = queue.page.frame.place.list.buttons
        hidden = [b.text() for b in buttons if b.visibleRegion().boundingRect() != b.rect()]
        if not hidden:
            break
    return hidden


@pytest.mark.parametrize("size", [(1024, 768), (1440, 900)])
def test_all_answers_are_seen_without_scrolling(queue: Queue, size: tuple[int, int]) -> None:
    second = ask_of_nine(queue)
    queue.window.resize(*size)
    place = queue.page.frame.place
    assert hidden_answers(queue) == []
    assert place.answer.isVisible() and place.judged.isVisible()
    queue.press(Qt.Key.Key_Space, Qt.Key.Key_Space)
    assert hidden_answers(queue) == [], "with question and reference unfolded"
    queue.window.session.apply(RenameCategory(category_id=second, name="Another name since"))
    assert hidden_answers(queue) == [], "with the line that says what changed"
    queue.window.session.undo()
    queue.press("m", "2", "3", "m")
    effect(queue, "Placed in 1")
    assert hidden_answers(queue) == [], "with marks and what they would do"
    for button in place.list.buttons:
        assert "Says at some length" in button.toolTip()


def test_where_there_is_room_descriptions_are_shown(queue: Queue) -> None:
    queue.window.resize(1440, 900)
    queue.show("place")
    queue.qtbot.wait(50)
    card = queue.page.frame.place
    high = card.list.buttons[0].height()
    assert high > 2 * card.fontMetrics().height(), "two lines where there is a description"
    ask_of_nine(queue)
    queue.window.resize(1024, 640)
    assert hidden_answers(queue) == []
    assert card.list.buttons[0].height() < high


def test_a_question_that_was_drawn_says_so_and_not_what_it_teaches() -> None:
    def said(arguments: dict[str, Any], n_taught: int) -> str:
        values = {"name": "", "description": "", "category_id": None, "score": 0.0, "n_members": 1, "n_subtree": 1}
        row = ProposalRow(id="p", kind="place", parent_id=None, named_by="", verdict=None, depth=0,
                          evidence={"n_taught": n_taught}, arguments=arguments, **values)  # fmt: skip
        return str(said_of(row))

    assert said({"is_drawn": True}, 3) == "drawn at random, to check the suggestions"
    assert said({}, 3) == "teaches about 3 others"
