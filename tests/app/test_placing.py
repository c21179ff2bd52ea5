"""Placing the unplaced from the window: the command starts the job, the page of proposals shows how sure each failure is."""

from typing import Any

import pytest

from app.window import Window
from errormap_core.project import queries
from errormap_core.project.pending import pending_proposals
from errormap_core.project.proposing import NewProposal, save_proposals
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, SetChoice

Opened = tuple[Window, list[str]]


def project_of(window: Window) -> Project:
    assert window.session.project is not None
    return window.session.project


def categories(window: Window, *names: str) -> list[str]:
    """Categories of these names; their ids."""
    adds = [AddCategory(name=name) for name in names]
    for add in adds:
        assert window.session.apply(add)
    return [add.category_id for add in adds]


@pytest.fixture
def proposed(opened: Opened, qtbot: Any) -> tuple[Window, list[str], str]:
    """The window with one proposal to assign three failures to a category; their ids and the category's."""
    window, ids = opened
    sums, units = categories(window, "Sums", "Units")
    members = {
        record: {"probability": 0.62, "runner_up": units, "runner_up_probability": 0.3 - place / 100}
        for place, record in enumerate(ids[:2])
    }
    members[ids[2]] = {"probability": 1.0, "runner_up": None, "runner_up_probability": None}
    new = NewProposal(
        id="00000000-0000-5000-8000-000000000001",
        kind="assign",
        arguments={"category_id": sums, "description": "Why.", "named_by": ""},
        evidence={"typical": ids[:3], "n_members": 3, "members": members},
        score=0.4,
        parent_id=None,
        members=[(record, 0.3) for record in ids[:3]],
    )
    with project_of(window).writing() as db:
        run_id = start_run(db, "propose", "Place the unplaced", {"task": "classify"})
        save_proposals(db, run_id, [new])
        end_run(db, run_id, "finished", {})
    window.session.poll()
    window.show_page("review")
    qtbot.waitUntil(lambda: window.review.deck.get(new.id) is not None)
    window.session.select_proposal(new.id)
    return window, ids[:3], sums


def test_the_card_names_the_category_and_says_how_sure_it_is(proposed: tuple[Window, list[str], str]) -> None:
    window, _, _ = proposed
    frame = window.review.frame
    assert frame.title.text() == "→ Sums"
    assert frame.kind.text().startswith("Place failures")
    assert frame.figures.text() == "3 failures · mean margin 40%"
    texts = [item.text() for item in frame.members.members.members()]
    assert texts[0].endswith("\nscore 0.62 · next: Units, 0.30")
    assert texts[2].endswith("\nscore 1.00")
    assert frame.members.form.isHidden(), "the category has its name already"


def test_it_is_accepted_edited_and_taken_back(proposed: tuple[Window, list[str], str]) -> None:
    window, ids, sums = proposed
    n = window.review.n_pending
    members = window.review.frame.members.members
    members.item(0).setCheckState(members.item(0).checkState().Unchecked)
    window.do("review.accept")
    assert sorted(queries.failure_ids(project_of(window).db, category_ids=[sums])) == sorted(ids[1:])
    window.do("edit.undo")
    assert queries.failure_ids(project_of(window).db, category_ids=[sums]) == []
    assert window.review.n_pending == n


def test_the_command_places_by_embedding_and_shows_the_proposals(opened: Opened, qtbot: Any) -> None:
    window, ids = opened
    categories(window, "Error 1", "Error 2")
    project = project_of(window)
    if project.setting("classify.method") != "embedding":
        assert window.session.apply(SetChoice(key="classify.method", value="embedding"))
    assert window.actions_by_id["taxonomy.place"].isEnabled()
    with qtbot.waitSignal(window.session.tasks.finished, timeout=60_000):
        window.do("taxonomy.place")
        assert not window.actions_by_id["taxonomy.place"].isEnabled()
    qtbot.waitUntil(lambda: any(row.task == "classify" for row in window.review.model.rows()), timeout=5000)
    rows = [row for row in pending_proposals(project.db) if row.task == "classify"]
    assert {row.kind for row in rows} == {"assign"}
    assert sum(row.n_members for row in rows) == len(ids)
    assert project.db.table("assignment").count == 0
