"""The tree of the window follows every step, refuses what the core refuses, and is worked by keyboard."""

import json
import random
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QModelIndex, Qt
from PySide6.QtWidgets import QLineEdit

from app.records.list_model import RECORDS_MIME
from app.taxonomy.describe_dialog import DescribeDialog
from app.taxonomy.merge_view import MergeView
from app.taxonomy.split_view import SplitView
from app.taxonomy.tree_model import CATEGORIES_MIME, TreeModel
from app.window import Window
from errormap_core.errors import KnownError
from errormap_core.project import queries
from errormap_core.taxonomy.operations import AddCategory, MergeCategories
from tests.core.taxonomy.curation import Choices, build

Opened = tuple[Window, list[str]]

KINDS = "add rename describe annotate move merge split delete assign unassign mark threshold choice decide".split()


def shown(model: TreeModel, parent: QModelIndex | None = None) -> list[Any]:
    """What the model shows, as nested lists of (name, count)."""
    parent = parent or QModelIndex()
    found = []
    for row in range(model.rowCount(parent)):
        index = model.index(row, 0, parent)
        found.append([index.data(), model.index(row, 1, parent).data(), shown(model, index)])
    return found


def wanted(window: Window, parent: str | None = None) -> list[Any]:
    """The same, from the project."""
    from errormap_core.measures.counts import subtree_counts

    project = window.session.project
    assert project is not None
    counts = subtree_counts(project.tree, queries.own_counts(project.db))
    return [[project.tree.live(c).name, f"{counts[c]:,}", wanted(window, c)] for c in project.tree.children(parent)]


def find(window: Window, name: str) -> str:
    project = window.session.project
    assert project is not None
    return next(c.id for c in project.tree if c.name == name)


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_follows_any_steps(opened: Opened, qtbot: Any, qtmodeltester: Any, seed: int) -> None:
    window, ids = opened
    session, project = window.session, window.session.project
    assert project is not None
    proposals = [row[0] for row in project.db.execute("SELECT id FROM proposal ORDER BY id")]
    choices, chance = Choices(project, ids, proposals), random.Random(seed)
    qtmodeltester.check(window.tree.model)
    resets: list[int] = []
    window.tree.model.modelReset.connect(lambda: resets.append(1))
    for step in range(120):
        numbers = [chance.randrange(10**6) for _ in range(3)]
        if chance.random() < 0.25:
            window.deeds.undo() if chance.random() < 0.6 else window.deeds.redo()
        else:
            try:
                project.apply(
                    build(choices, chance.choice(KINDS), numbers, ["t", "m"], f"N{step}"), actor=session.actor
                )
            except KnownError:
                continue
        qtbot.waitUntil(lambda: shown(window.tree.model) == wanted(window))
        if step % 10 == 0:
            live = [c.id for c in project.tree]
            window.tree.select(chance.sample(live, min(2, len(live))))
    qtmodeltester.check(window.tree.model)
    assert resets == []


def test_dropping_moves_and_a_cycle_is_refused_while_dragging(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    model = window.tree.model
    top, low, reading = (find(window, n) for n in ("Arithmetic", "Slips", "Reading"))
    data = QMimeData()
    data.setData(CATEGORIES_MIME, json.dumps([top]).encode())
    move = Qt.DropAction.MoveAction
    assert not model.canDropMimeData(data, move, -1, 0, model.index_of(low))
    assert model.canDropMimeData(data, move, -1, 0, model.index_of(reading))
    model.dropMimeData(data, move, -1, 0, model.index_of(reading))
    assert window.session.project is not None
    assert window.session.project.tree.path(low) == "Reading / Arithmetic / Slips"
    data.setData(CATEGORIES_MIME, json.dumps([low]).encode())
    model.dropMimeData(data, move, 0, 0, QModelIndex())
    assert window.session.project.tree.children(None)[0] == low


def test_dropping_failures_places_them(opened: Opened) -> None:
    window, ids = opened
    window.review.accept_all()
    reading = find(window, "Reading")
    data = QMimeData()
    data.setData(RECORDS_MIME, json.dumps(ids[:2]).encode())
    window.tree.model.dropMimeData(data, Qt.DropAction.MoveAction, -1, 0, window.tree.model.index_of(reading))
    assert window.session.project is not None
    rows = queries.failure_rows(window.session.project.db, ids[:2])
    assert {row.category_id for row in rows.values()} == {reading}
    assert window.step_strip.text == "Placed 2 failures in “Reading”"


def test_renaming_in_place_by_keyboard(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    window.review.accept_all()
    window.tree.select([find(window, "Reading")])
    window.tree.view.setFocus()
    window.do("taxonomy.rename")
    editor = window.tree.view.viewport().findChild(QLineEdit)
    assert editor is not None
    editor.selectAll()
    qtbot.keyClicks(editor, "Misread text")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.step_strip.text == "Renamed “Reading” to “Misread text”")
    window.do("edit.undo")
    assert find(window, "Reading")


def test_a_name_that_is_taken_is_told(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    model = window.tree.model
    assert not model.setData(model.index_of(find(window, "Reading")), "arithmetic")
    assert "“Arithmetic” exists already" in window.strip.text
    assert find(window, "Reading")


def test_adding_by_keyboard(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    window.do("taxonomy.add")
    editor = window.tree.view.viewport().findChild(QLineEdit)
    assert editor is not None
    qtbot.keyClicks(editor, "Units")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.step_strip.text == "Added “Units”")
    assert window.tree.selected_ids() == [find(window, "Units")]


def test_the_merge_view_says_what_it_touches_and_merges(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    arithmetic, reading = find(window, "Arithmetic"), find(window, "Reading")
    window.tree.select([arithmetic, reading])
    window.do("taxonomy.merge")
    view = window.tree.findChild(MergeView)
    assert view is not None
    assert view.into == arithmetic, "the larger one survives unless another is chosen"
    assert view.effect.text() == "Moves 6 failures."
    view.name.setCurrentText("Both")
    view._merge()
    assert window.step_strip.text == "Merged 2 categories into “Both”, 6 failures moved"
    assert window.tree.selected_ids() == [arithmetic]


def test_the_merge_view_shows_collisions_beforehand(opened: Opened) -> None:
    window, _ = opened
    session = window.session
    ops = [AddCategory(name=n) for n in "AB"]
    for op in ops:
        session.apply(op)
        session.apply(AddCategory(name="Same", parent_id=op.category_id))
    window.tree.select([op.category_id for op in ops])
    window.tree.merge()
    view = window.tree.findChild(MergeView)
    assert view is not None
    assert "“Same” is merged into “A / Same”" in view.effect.text()
    view.rename.setChecked(True)
    assert "“Same” becomes “Same (2)”" in view.effect.text()
    view.name.setCurrentText("  ")
    assert not view.ok.isEnabled()
    view.reject()


def test_the_split_view_splits(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    window.review.accept_all()
    arithmetic = find(window, "Arithmetic")
    window.tree.select([arithmetic])
    window.do("taxonomy.split")
    view = window.tree.findChild(SplitView)
    assert view is not None
    assert not view.ok.isEnabled()
    view.rest.choose(view.rest.members.shown()[1:3])
    view.parts.move_selected("part_new")
    [part] = view.parts.columns
    part.name.setText("Carrying")
    qtbot.waitUntil(lambda: view.effect.text() == "Moves 2 failures.", timeout=3000)
    view._split()
    assert window.step_strip.text == "Split 1 from “Arithmetic”, 2 failures moved"
    assert find(window, "Carrying")


def test_description_and_notes(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    reading = find(window, "Reading")
    window.tree.select([reading])
    window.do("taxonomy.describe")
    dialog = window.tree.findChild(DescribeDialog)
    assert dialog is not None
    dialog.description.setPlainText("What was asked was not read.")
    dialog.notes.setPlainText("Not for arithmetic.")
    dialog._save()
    assert window.session.project is not None
    category = window.session.project.tree.live(reading)
    assert (category.description, category.notes) == ("What was asked was not read.", "Not for arithmetic.")


def test_moving_and_deleting_by_keyboard(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    reading, arithmetic = find(window, "Reading"), find(window, "Arithmetic")
    tree = window.session.project.tree  # type: ignore[union-attr]
    window.tree.select([reading])
    window.do("taxonomy.up")
    assert tree.children(None)[:2] == (reading, arithmetic)
    window.do("taxonomy.down")
    window.do("taxonomy.in")
    assert tree.path(reading) == "Arithmetic / Reading"
    window.do("taxonomy.out")
    assert tree.children(None)[:2] == (arithmetic, reading)
    window.do("taxonomy.delete")
    assert window.step_strip.text == "Deleted “Reading”, 6 failures moved to “Other”"
    assert reading not in tree


def test_the_filter_keeps_what_is_above(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    window.tree.filter.setText("slips")
    shown_names = [window.tree.shown.index(r, 0).data() for r in range(window.tree.shown.rowCount())]
    assert shown_names == ["Arithmetic"]


def test_another_process_moves_the_tree_too(opened: Opened, qtbot: Any) -> None:
    from errormap_core.project.store import Project

    window, _ = opened
    window.review.accept_all()
    a, b = find(window, "Arithmetic"), find(window, "Reading")
    assert window.session.project is not None
    with Project.open(window.session.project.path) as other:
        other.apply(MergeCategories(category_ids=(a, b), into=a), actor=other.annotator("Bob"))
    qtbot.waitUntil(lambda: b not in window.session.project.tree, timeout=3000)  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: shown(window.tree.model) == wanted(window))
