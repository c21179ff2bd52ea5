"""What operations do to thousands of categories grows as their number does: steps are counted, not timed.

Full length, with times: `make soak` (20,000 categories) and `python -m benchmarks.sizes`.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sizes
from errormap_core.errors import KnownError
from errormap_core.importers.atlas import read_atlas
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.edits import unpack
from errormap_core.taxonomy.operations import (
    AddCategory,
    DeleteCategories,
    MergeCategories,
    MoveCategories,
    Part,
    SplitCategory,
)
from errormap_core.taxonomy.tree import Tree

IS_SOAK = bool(os.environ.get("ERRORMAP_SOAK"))


def n_calls(work: Callable[[], Any]) -> int:
    """How many functions, Python's and built-in ones, `work` calls, and items that its comprehensions go through."""
    n = 0

    def count(*_: object) -> None:
        nonlocal n
        n += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return n


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Callable[[str, int], tuple[Project, str]]]:
    """Projects with the tree of an atlas of a shape and size, imported as one step."""
    opened = []

    def make(shape: str, n: int) -> tuple[Project, str]:
        project = Project.create(tmp_path / f"{shape}-{n}.errormap")
        opened.append(project)
        actor = project.annotator("Ann")
        project.apply(ImportAtlas(atlas=sizes.atlas_of(tmp_path, shape, n)), actor=actor)
        return project, actor

    yield make
    for project in opened:
        project.close()


DEEDS: dict[str, Callable[[list[str], str], Any]] = {
    "move": lambda ids, other: MoveCategories(category_ids=tuple(ids[1:]), parent_id=other, index=0),
    "merge": lambda ids, other: MergeCategories(category_ids=tuple(ids), into=ids[0]),
    "delete one": lambda ids, other: DeleteCategories(category_ids=(ids[0],)),
    "delete all": lambda ids, other: DeleteCategories(category_ids=tuple(ids)),
    "rename on collision": lambda ids, other: DeleteCategories(category_ids=tuple(ids[::2]), on_collision="rename"),
}


@pytest.mark.parametrize("shape", ["wide", "deep", "bushy"])
def test_deeds_on_many_categories_are_near_linear(
    filled: Callable[[str, int], tuple[Project, str]], shape: str
) -> None:
    calls: dict[str, list[int]] = {}
    for n in (60, 480):
        project, actor = filled(shape, n)
        other = next(c.id for c in project.tree if c.reserved == "other")
        ids = [c.id for c in project.tree if c.reserved is None]
        calls.setdefault("undo import", []).append(n_calls(lambda p=project, a=actor: p.undo(actor=a)))
        calls.setdefault("redo import", []).append(n_calls(lambda p=project, a=actor: p.redo(actor=a)))
        for what, op in DEEDS.items():
            deed = op(ids, other)
            calls.setdefault(what, []).append(n_calls(lambda p=project, d=deed, a=actor: p.apply(d, actor=a)))
            calls.setdefault(f"undo {what}", []).append(n_calls(lambda p=project, a=actor: p.undo(actor=a)))
        parts = tuple(
            Part(name=f"Part {i}", child_ids=(c,), category_id=sizes.key(10**6 + i))
            for i, c in enumerate(project.tree.children(ids[0]))
        )
        project.apply(SplitCategory(category_id=ids[0], parts=parts), actor=actor)
        assert check(project, replay=n < 100) == []
    grown = {what: many / few for what, (few, many) in calls.items()}
    assert max(grown.values()) < 8 * 1.4, grown


def test_siblings_are_not_gone_through_for_each_of_them(
    filled: Callable[[str, int], tuple[Project, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built-in loops are not seen by counting calls: here what is looked at is."""
    n, looked = 400, 0
    project, actor = filled("wide", n)
    real = Tree.children

    def children(self: Tree, parent_id: str | None) -> tuple[str, ...]:
        nonlocal looked
        found = real(self, parent_id)
        looked += len(found)
        return found

    monkeypatch.setattr(Tree, "children", children)
    ids = [c.id for c in project.tree if c.reserved is None]
    project.undo(actor=actor)
    project.redo(actor=actor)
    project.apply(MergeCategories(category_ids=tuple(ids[1:]), into=ids[1]), actor=actor)
    project.undo(actor=actor)
    project.apply(DeleteCategories(category_ids=(ids[0],)), actor=actor)
    assert looked < 40 * n


def test_names_that_come_to_one_category_are_kept_once(filled: Callable[[str, int], tuple[Project, str]]) -> None:
    project, actor = filled("wide", 300)
    ids = tuple(c.id for c in project.tree if c.reserved is None)
    change = project.apply(MergeCategories(category_ids=ids, into=ids[0]), actor=actor)
    kept = project.db.execute("SELECT edits FROM log WHERE seq = ?", [change.seq]).fetchone()[0]
    assert sum(1 for edit in unpack(kept) if getattr(edit, "key", None) == ids[0]) == 1
    assert project.tree.live(ids[0]).aliases.count("Category number") == 299


def test_redirects_through_very_many_others(filled: Callable[[str, int], tuple[Project, str]], tmp_path: Path) -> None:
    project, actor = filled("redirected", 3000)
    assert project.tree.resolve(sizes.key(2999)).id == sizes.key(1)
    assert check(project) == []
    project.undo(actor=actor)
    project.redo(actor=actor)
    (tmp_path / "other").mkdir()
    document = sizes.atlas_of(tmp_path / "other", "redirected", 50)
    document["redirects"][0]["to"] = document["redirects"][-1]["id"]
    path = tmp_path / "circle.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KnownError, match=r"48 things are wrong.*leads in a circle"):
        read_atlas(path)


def test_categories_are_added_one_behind_the_other_at_one_place(
    filled: Callable[[str, int], tuple[Project, str]],
) -> None:
    """Numbers between two siblings run out after some fifty; what is moved in stays in its order."""
    project, actor = filled("wide", 200)
    ids = [c.id for c in project.tree if c.reserved is None]
    for name in ("A", "B"):
        project.apply(AddCategory(name=name, category_id=sizes.key(10**6 + ord(name))), actor=actor)
    project.apply(MoveCategories(category_ids=tuple(ids[1:]), parent_id=None, index=2), actor=actor)
    at_top = [c for c in project.tree.children(None) if project.tree.live(c).reserved is None]
    assert at_top == [ids[0], sizes.key(10**6 + 65), *ids[1:], sizes.key(10**6 + 66)]
    assert check(project, replay=True) == []


@pytest.mark.soak
@pytest.mark.parametrize("shape", sizes.SHAPES)
def test_a_tree_of_20_000_categories(tmp_path: Path, shape: str) -> None:
    """All deeds, with a replay; ordinarily on a few hundred."""
    small, large = (2_500, 20_000) if IS_SOAK else (40, 160)
    rows = sizes.table(tmp_path, shape, (small, large))
    for what, times, exponent in rows:
        print(f"{shape:12}{what:28}{times[0]:9.3f}{times[1]:9.3f}  n^{exponent:.2f}")
    took = {what: times[-1] for what, times, _ in rows}
    assert took["redo import"] < 2 * took["import"] + 1
    if IS_SOAK:
        assert max(exponent for _, _, exponent in rows) < 1.6
