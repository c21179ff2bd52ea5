"""Trees of thousands of categories: what each deed takes at three sizes, and how that grows.

`python -m benchmarks.sizes` prints all; `make bench` the two lines that name the worst. Times are of the processor.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from errormap_core.exporters.atlas import atlas_document, write_atlas
from errormap_core.importers.atlas import import_atlas
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import (
    DeleteCategories,
    MergeCategories,
    MoveCategories,
    Part,
    RenameCategory,
    SplitCategory,
)

SIZES = (2_500, 5_000, 20_000)

GROWTH_AIM = 1.3
"""Exponent of growth that is aimed at: 1 is linear, 2 quadratic."""

SHAPES = ("wide", "deep", "bushy", "redirected")


def key(i: int) -> str:
    return f"00000000-0000-4000-8000-{i:012}"


def atlas_of(folder: Path, shape: str, n: int) -> dict[str, Any]:
    """An atlas of `n` categories: all below one, each below the one before, ten below each; or two and `n` redirects."""
    with Project.create(folder / f"empty-{shape}-{n}.errormap") as project:
        document = atlas_document(project)
    parents: dict[str, Callable[[int], int | None]] = {
        "wide": lambda i: None if i == 0 else 0,
        "deep": lambda i: None if i == 0 else i - 1,
        "bushy": lambda i: None if i == 0 else (i - 1) // 10,
        "redirected": lambda i: None,
    }
    parent_of = parents[shape]
    like = document["categories"][0]
    for i in range(2 if shape == "redirected" else n):
        parent = parent_of(i)
        own = {"id": key(i), "parent": None if parent is None else key(parent), "name": f"Category number {i}"}
        document["categories"].append({**like, **own, "reserved": None, "description": ""})
    if shape == "redirected":
        document["redirects"] = [
            {"id": key(i), "name": f"Name {i}", "reason": "merged", "to": key(i - 1)} for i in range(2, n)
        ]
    return document


def measure(folder: Path, shape: str, n: int) -> dict[str, float]:
    """Seconds of processor time of each deed on a tree of this shape and size."""
    times: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Any]) -> None:
        start = time.process_time()
        work()
        times[what] = time.process_time() - start

    path = folder / f"{shape}-{n}.json"
    path.write_text(json.dumps(atlas_of(folder, shape, n)), encoding="utf-8")
    with Project.create(folder / f"{shape}-{n}.errormap") as project:
        actor = project.annotator("Benchmark")

        def there_and_back(what: str, op: Any) -> None:
            timed(what, lambda: project.apply(op, actor=actor))
            timed(f"undo {what}", lambda: project.undo(actor=actor))

        timed("import", lambda: import_atlas(project, path, actor=actor))
        timed("undo import", lambda: project.undo(actor=actor))
        timed("redo import", lambda: project.redo(actor=actor))
        there_and_back("rename", RenameCategory(category_id=key(1), name="Another name"))
        if shape != "redirected":
            mine = tuple(c.id for c in project.tree if c.reserved is None)
            below = tuple(project.tree.children(key(0)))
            there_and_back("move to Other", MoveCategories(category_ids=below, parent_id=_other(project), index=0))
            there_and_back("merge all", MergeCategories(category_ids=mine, into=key(0)))
            there_and_back("delete the top alone", DeleteCategories(category_ids=(key(0),)))
            there_and_back("delete all", DeleteCategories(category_ids=mine))
            parts = tuple(
                Part(name=f"Part {i}", child_ids=(c,), category_id=key(10**6 + i)) for i, c in enumerate(below)
            )
            there_and_back("split", SplitCategory(category_id=key(0), parts=parts))
        timed("open", lambda: Project.open(project.path).close())
        timed("check", lambda: _sound(check(project)))
        timed("replay", lambda: _sound(check(project, replay=True)))
        timed("export", lambda: write_atlas(project, folder / "out.json"))
    return times


def _other(project: Project) -> str:
    return next(c.id for c in project.tree if c.reserved == "other")


def _sound(problems: list[Any]) -> None:
    if problems:
        raise AssertionError([str(p.sentence) for p in problems])


def growth(times: list[float], sizes: tuple[int, ...]) -> float:
    """The exponent between the smallest and the largest size; what takes under 20 ms is called linear."""
    if times[-1] < 0.02:
        return 1.0
    return math.log(times[-1] / max(times[0], 0.001)) / math.log(sizes[-1] / sizes[0])


def table(folder: Path, shape: str, sizes: tuple[int, ...] = SIZES) -> list[tuple[str, list[float], float]]:
    """For each deed its times at the sizes and the exponent of growth."""
    measured = [measure(folder, shape, n) for n in sizes]
    rows = []
    for what in measured[0]:
        times = [each[what] for each in measured]
        rows.append((what, times, growth(times, sizes)))
    return rows


def run(folder: Path) -> list[str]:
    """The lines of `make bench`: redo beside import, and the deed that grows fastest."""
    lines, worst = [], ("", "", 0.0)
    for shape in SHAPES:
        for what, times, exponent in table(folder, shape):
            if what == "redo import":
                redo = times[-1]
            if what == "import":
                imported = times[-1]
            if exponent > worst[2]:
                worst = (shape, what, exponent)
        lines.append(
            f"{redo / imported:6.2f} x  (aim 1)  redo of {SIZES[-1]:,} categories, {shape}: {redo:.2f} s of processor time"
            f" against {imported:.2f} s of their import"
        )
    shape, what, exponent = worst
    lines.append(
        f"n^{exponent:4.2f}   (aim {GROWTH_AIM:g})  fastest growth from {SIZES[0]:,} to {SIZES[-1]:,} categories: {what}, {shape}"
    )
    return lines


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="errormap-sizes-") as folder:
        for shape in SHAPES:
            print(f"{shape}: seconds of processor time at {', '.join(f'{n:,}' for n in SIZES)} categories; growth")
            for what, times, exponent in table(Path(folder), shape):
                print(f"  {what:24}" + "".join(f"{t:9.3f}" for t in times) + f"   n^{exponent:.2f}", flush=True)


if __name__ == "__main__":
    main()
