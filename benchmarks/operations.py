"""Merge and undo: the same work in a large and in a small project, and a large merge beside one bare update."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.projects import make_project
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import MergeCategories


def median_s(work: Callable[[], None], n: int) -> float:
    """Median of `n` runs, in seconds of wall clock."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def leaves_of(project: Project) -> list[str]:
    """Ids of the leaves, in tree order."""
    return [c.id for c in project.tree if c.reserved is None and not project.tree.children(c.id)]


def merge_and_undo(project: Project, category_ids: tuple[str, ...]) -> tuple[float, float]:
    """Median seconds of merging these categories into the first, and of undoing that."""
    actor = project.annotator("Benchmark")
    op = MergeCategories(category_ids=category_ids, into=category_ids[0])
    merges, undos = [], []
    for _ in range(15):
        start = time.perf_counter()
        project.apply(op, actor=actor)
        middle = time.perf_counter()
        project.undo(actor=actor)
        merges.append(middle - start)
        undos.append(time.perf_counter() - middle)
    return statistics.median(merges), statistics.median(undos)


def bare_update(project: Project, source: str, target: str) -> float:
    """Median seconds of one SQL update of the same rows, in a transaction of its own, there and back."""
    places = [source, target]

    def update() -> None:
        with project.writing() as db:
            db.execute("UPDATE assignment SET category_id = ? WHERE category_id = ?", [places[1], places[0]])
        places.reverse()

    with project.writing() as db:  # the target must be empty, so that both directions move the same rows
        db.execute("DELETE FROM assignment WHERE category_id = ?", [target])
    return median_s(update, 10)


def run(folder: Path) -> list[str]:
    """Lines with the ratios."""
    large = make_project(folder / "large.errormap", n_records=100_000, n_categories=1_000, large=20_000)
    small = make_project(folder / "small.errormap", n_records=1_000, n_categories=20)
    with large, small:
        (large_merge, large_undo), (small_merge, small_undo) = (
            merge_and_undo(project, tuple(leaves_of(project)[:2])) for project in (large, small)
        )
        a, _, c = leaves_of(large)[:3]
        big_merge, big_undo = merge_and_undo(large, (a, c))
        bare = bare_update(large, c, a)
    return [
        line(
            "merge two categories of 50 failures",
            large_merge,
            small_merge,
            "the same in a project of 1,000 records",
            aim=1.5,
        ),
        line("undo it", large_undo, small_undo, "the same in a project of 1,000 records", aim=1.5),
        line("merge a category of 20,000", big_merge, bare, "one bare SQL update of as many rows", aim=3),
        line("undo it", big_undo, bare, "one bare SQL update of as many rows", aim=3),
    ]


def line(what: str, measured_s: float, baseline_s: float, baseline: str, *, aim: float) -> str:
    """One ratio: what was measured, against which baseline of this run, and what is aimed at."""
    ratio = measured_s / baseline_s
    return (
        f"{ratio:6.2f} x  (aim {aim:g})  {what}: {measured_s * 1000:,.1f} ms"
        f" against {baseline_s * 1000:,.1f} ms for {baseline}"
    )
