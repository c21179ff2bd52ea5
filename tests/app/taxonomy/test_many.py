"""A tree of thousands of categories in the window: what a step did is shown at once, and nothing that was open is lost."""

from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex
from pytestqt.qtbot import QtBot

from app.start.run import Window
from app.taxonomy.tree_model import MANY, TreeModel
from benchmarks import large_trees, sizes
from errormap_core.project.store import Project
from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.operations import DeleteCategories, MoveCategories, RenameCategory

N = 4 * MANY


@pytest.fixture
def shown(window: Window, tmp_path: Path) -> Window:
    path = tmp_path / "many.errormap"
    with Project.create(path) as project:
        op = ImportAtlas(atlas=sizes.atlas_of(tmp_path, "bushy", N))
        project.apply(op, actor=project.annotator("Ann"))
    window.session.open(path)
    return window


def rows(window: Window) -> dict[str, list[str]]:
    """What the model shows, by category."""
    model, found = window.tree.model, {}
    waiting = [QModelIndex()]
    while waiting:
        parent = waiting.pop()
        below = [model.index(row, 0, parent) for row in range(model.rowCount(parent))]
        found[model.id_at(parent) or ""] = [model.id_at(index) or "" for index in below]
        for row, index in enumerate(below):
            assert model.parent(index) == parent and model.index_of(model.id_at(index)).row() == row
        waiting.extend(below)
    return {key: ids for key, ids in found.items() if ids}


def wanted(window: Window) -> dict[str, list[str]]:
    project = window.session.project
    assert project is not None
    tree = project.tree
    found = {"": list(tree.children(None))} | {c.id: list(tree.children(c.id)) for c in tree}
    return {key: ids for key, ids in found.items() if ids}


def test_steps_that_touch_very_many_are_followed_at_once(shown: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    dock, session = shown.tree, shown.session
    n_inserted = 0
    real = TreeModel._insert

    def insert(self: TreeModel, *arguments: object) -> None:
        nonlocal n_inserted
        n_inserted += 1
        real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TreeModel, "_insert", insert)
    assert session.project is not None
    ids = tuple(c.id for c in session.project.tree if c.reserved is None)
    session.undo()
    assert rows(shown) == wanted(shown)
    session.redo()
    assert rows(shown) == wanted(shown)
    for key in ids[:3]:
        dock.view.expand(dock.index_of(key))
    dock.select([ids[5]])
    session.apply(DeleteCategories(category_ids=ids[40:]))
    assert rows(shown) == wanted(shown)
    assert [dock.view.isExpanded(dock.index_of(key)) for key in ids[:3]] == [True] * 3
    assert dock.selected_ids() == [ids[5]]
    session.undo()
    assert rows(shown) == wanted(shown) and dock.selected_ids() == [ids[5]]
    assert n_inserted == 0  # each would be a step of the view through all siblings
    session.apply(MoveCategories(category_ids=ids[11:13], parent_id=None, index=0))  # few are followed as before
    assert rows(shown) == wanted(shown)
    session.undo()
    assert rows(shown) == wanted(shown)


def test_the_filter_follows_what_is_renamed(shown: Window) -> None:
    dock = shown.tree
    dock.filter.setText("number 399")
    assert dock.index_of(sizes.key(399)).isValid() and dock.index_of(sizes.key(39)).isValid()  # with what is above
    assert not dock.index_of(sizes.key(398)).isValid()
    shown.session.apply(RenameCategory(category_id=sizes.key(398), name="Number 399 too"))
    assert dock.index_of(sizes.key(398)).isValid()
    shown.session.undo()
    assert not dock.index_of(sizes.key(398)).isValid()
    dock.filter.clear()
    assert dock.index_of(sizes.key(398)).isValid()


def test_all_that_can_be_seen_is_selected(shown: Window) -> None:
    dock, session = shown.tree, shown.session
    dock.expand_all()
    dock.view.selectAll()
    assert session.project is not None
    assert dock.selected_ids() == [c.id for c in session.project.tree]
    dock.collapse_all()
    dock.view.selectAll()
    assert dock.selected_ids() == list(session.project.tree.children(None))


@pytest.mark.soak
def test_stalls_of_a_large_tree(tmp_path: Path, qtbot: QtBot) -> None:
    """In the soak with 20,000 categories; the longest stall of each deed is printed."""
    from tests.core.taxonomy.test_sizes import IS_SOAK

    few = large_trees.longest(tmp_path, "bushy", 300)
    if IS_SOAK:
        for shape in ("wide", "bushy"):
            for what, seconds in large_trees.longest(tmp_path, shape, 20_000).items():
                print(f"{shape:8}{what:16}{few[what]:8.3f}{seconds:8.3f}")
                assert seconds < 5, what
