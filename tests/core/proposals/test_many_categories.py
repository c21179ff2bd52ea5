"""Trees of very many categories: the same answers as by plain arithmetic, work that grows as they do, and that can be stopped."""

import gc
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from errormap_core.decide_job import decide_from
from errormap_core.embedding.encoder import SentenceEncoder, unit_rows
from errormap_core.ids import content_id
from errormap_core.jobs import propose_job
from errormap_core.project.check import check
from errormap_core.project.pending import proposal_list
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals.queueing import Queue
from errormap_core.proposals.repairs import Node, propose_repairs
from errormap_core.proposals.splitting import largest
from errormap_core.reporting import Reporter
from errormap_core.settings import UserSettings
from errormap_core.tasks import Stopped, driven
from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    MergeCategories,
    MoveCategories,
    Operation,
    RenameCategory,
)
from tests.core.building import add_analyses, add_records

SOAK = bool(os.environ.get("ERRORMAP_SOAK"))

WAYS = (
    "Wrong Missing Invented Extra Confused Partial Outdated Swapped Truncated Misread Duplicate Ambiguous Late".split()
)
THINGS = (
    "unit date name total sign bracket citation premise step variable argument key table paragraph fraction".split()
)
PLACES = (
    "in a proof|when translating|in code|for a refund|in a recipe|at the end|from memory|in a chart|about taxes".split(
        "|"
    )
)
WHOSE = (
    "of children|of a clerk|of a pilot|by hand|on Mondays|in winter|of two|by phone|at sea|of a nurse|in haste".split(
        "|"
    )
)


def names(n: int) -> list[str]:
    """n distinct names of few words, some of which say nearly the same."""
    found = []
    for i in range(n):
        k, way = divmod(i, len(WAYS))
        k, thing = divmod(k, len(THINGS))
        k, place = divmod(k, len(PLACES))
        k, whose = divmod(k, len(WHOSE))
        words = [WAYS[way], THINGS[thing], PLACES[place], WHOSE[whose], f"(case {k})" if k else ""]
        found.append(" ".join(word for word in words if word))
    return found


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Mean of the vectors of a text's words, each drawn for its word: what is measured here is not what they say."""
    kept: dict[str, NDArray[np.float32]] = {}
    for word in dict.fromkeys(word for text in texts for word in text.split()):
        seed = int.from_bytes(word.encode()[:8], "little")
        kept[word] = np.random.default_rng(seed).standard_normal(384).astype(np.float32)
    rows = np.stack([sum((kept[word] for word in text.split()), np.zeros(384, np.float32)) for text in texts])
    return unit_rows(rows)


def wide(n: int, *, with_failures: bool) -> list[Node]:
    """One category with n children, of which every second one has failures."""
    none = np.zeros((0, 0), np.float32)
    nodes = [Node("other", None, "Other", "", "other", (), none), Node("all", None, "Everything", "", None, (), none)]
    for i, name in enumerate(names(n)):
        titles = (name, f"{name} again", f"{name} once more") if with_failures and i % 2 else ()
        own = vectors(titles) if titles else none
        nodes.append(
            Node(f"c{i:06}", "all", name, "", None, tuple(f"{i} {k}" for k in range(len(titles))), own, titles)
        )
    return nodes


def calls(work: Callable[[], Any]) -> int:
    """How many functions are called by it, those written in C included."""
    n = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal n
        n += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return n


@pytest.mark.parametrize("with_failures", [False, True])
def test_work_and_memory_grow_as_the_children_do(with_failures: bool) -> None:
    worked, held = [], []
    for n in (600, 2400):
        nodes = wide(n, with_failures=with_failures)
        worked.append(calls(lambda nodes=nodes: propose_repairs(nodes, vectors)))  # type: ignore[misc]
        gc.collect()
        tracemalloc.start()
        propose_repairs(nodes, vectors)
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert worked[1] < 4.6 * worked[0], "four times the children"
    assert held[1] < 5 * held[0]
    assert held[1] < 120 * 2**20


def test_it_asks_often_whether_to_stop() -> None:
    """Stopped at any question, it ends there; and no more than some rows are compared between two questions."""
    nodes = wide(1500, with_failures=True)
    asked = 0

    def count() -> bool:
        nonlocal asked
        asked += 1
        return False

    propose_repairs(nodes, vectors, cancelled=count)
    assert asked > 3 * len(nodes)
    for stop in (1, 2, asked // 7, asked // 3, asked // 2, asked - 1):
        left = iter(range(stop))
        with pytest.raises(Stopped):
            propose_repairs(nodes, vectors, cancelled=lambda it=left: next(it, None) is None)  # type: ignore[misc]
        assert next(left, None) is None


@pytest.mark.parametrize(("m", "n", "k"), [(3, 7, 3), (5, 5000, 10), (2, 9001, 3), (1, 4097, 15), (4, 1, 1)])
def test_the_largest_are_those_that_sorting_gives(m: int, n: int, k: int) -> None:
    values = np.random.default_rng(n).standard_normal((m, n)).astype(np.float32)
    check_largest(values, k)
    check_largest(values.round(1), k)  # many are equal
    check_largest(np.zeros((m, n), np.float32), k)
    with_gaps = values.copy()
    with_gaps[:, :: max(1, n // 3)] = -np.inf
    check_largest(with_gaps, k)
    check_largest(np.full((m, n), -np.inf, np.float32), k)


def check_largest(values: NDArray[np.float32], k: int) -> None:
    places, found = largest(values, k)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    assert np.array_equal(places, order)
    assert np.array_equal(found, np.take_along_axis(values, order, axis=1))


def test_a_failure_in_other_is_compared_with_all_of_very_many_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errormap_core.proposals.misplaced.MOST_COMPARED", 10)
    nodes = wide(60, with_failures=True)
    title = nodes[-1].titles[0]
    nodes[0] = Node("other", None, "Other", "", "other", ("lost",), vectors([title]), (title,))
    found = [r for r in propose_repairs(nodes, vectors) if r.kind == "assign" and r.members == ("lost",)]
    assert [r.arguments["category_id"] for r in found] == [nodes[-1].id]


# A project


class Watched(Reporter):
    """Keeps the longest processor time between two questions whether to stop."""

    def __init__(self) -> None:
        super().__init__("none", as_json=True)
        self.longest_s = 0.0
        self._asked = time.process_time()

    def cancelled(self) -> bool:
        at = time.process_time()
        self.longest_s, self._asked = max(self.longest_s, at - self._asked), at
        return False


def atlas(n: int) -> dict[str, Any]:
    """An atlas of one category with n children."""
    item = {"description": "", "notes": "", "aliases": [], "provenance": {}, "reserved": None}
    reserved = [(OTHER_ID, "Other", "other"), (HARD_ID, "Hard to Analyze", "hard")]
    children = [
        {**item, "id": content_id("child", i), "parent": "all", "name": name} for i, name in enumerate(names(n))
    ]
    return {
        **dict.fromkeys(("id", "title", "version", "licence", "language"), "wide"),
        "authors": [],
        "redirects": [],
        "categories": [
            {**item, "id": "all", "parent": None, "name": "Everything"},
            *children,
            *({**item, "id": key, "parent": None, "name": name, "reserved": kind} for key, name, kind in reserved),
        ],
    }


@pytest.mark.soak
def test_a_category_with_very_many_children(tmp_path: Path) -> None:
    """All that is done with proposals in a project with one category of 1,500 children; 50,000 in the soak."""
    n = 50_000 if SOAK else 1500
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        answer = work()
        seconds[name] = time.process_time() - start
        return answer

    project = Project.create(tmp_path / "wide.errormap")
    actor = project.annotator("Ann Bee")
    timed("importing", lambda: project.apply(ImportAtlas(atlas=atlas(n)), actor=actor))
    children = project.tree.children("all")
    ids = add_records(project, [{"example_id": str(i)} for i in range(600)])
    place = [children[(i // 4) * 7 % len(children)] for i in range(600)]
    titles = [project.tree.live(c).name for c in place]
    titles[::25] = [project.tree.live(children[-1 - i]).name for i in range(24)]  # these are in the wrong place
    add_analyses(project, dict(zip(ids, titles, strict=True)), summary="It is wrong.")
    of_category: dict[str, list[str]] = {}
    for record_id, category_id in zip(ids[:480], place, strict=False):
        of_category.setdefault(category_id, []).append(record_id)
    for category_id, own in of_category.items():
        project.apply(AssignFailures(record_ids=tuple(own), category_id=category_id), actor=actor)

    encoder = SentenceEncoder(threads=1)
    texts = [*names(n), "Everything", "It is wrong."]
    timed("encoding", lambda: keep(project, encoder, texts))
    watched = Watched()
    outcome = timed("proposing", lambda: propose_job(project, watched, settings=UserSettings(), limit=20))
    assert outcome.numbers["repair"]["run"] is not None
    assert 0 < len(outcome.numbers["pending"]) <= 20
    rows = timed("listing", lambda: proposal_list(project.db))
    assert {"assign", "describe"} <= {row.kind for row in rows}
    queue = Queue(project, encoder, cancelled=watched.cancelled)
    questions = timed("asking", lambda: driven(queue.refresh()))["questions"]
    assert questions
    lines = tmp_path / "decisions.jsonl"
    named = " / ".join(("Everything", project.tree.live(children[5]).name))
    lines.write_text(
        f'{{"proposal": "{rows[0].id}", "verdict": "accept"}}\n'
        f'{{"proposal": "{questions[0]["id"]}", "verdict": "edit", "target": "{named}"}}\n',
        encoding="utf-8",
    )
    decided = timed("deciding", lambda: driven(decide_from(project, lines, actor=actor)))
    assert (decided.taken.total(), decided.problems) == (2, [])
    timed("asking again", lambda: driven(queue.refresh()))
    steps: dict[str, Operation] = {
        "adding": AddCategory(name="One more", parent_id="all"),
        "renaming": RenameCategory(category_id=children[0], name="Another name"),
        "moving": MoveCategories(category_ids=(children[1],), parent_id=children[2]),
        "merging": MergeCategories(category_ids=(children[3], children[4]), into=children[3]),
    }
    for name, step in steps.items():
        timed(f"preview of {name}", lambda step=step: project.preview(step, actor=actor))  # type: ignore[misc]
        timed(name, lambda step=step: project.apply(step, actor=actor))  # type: ignore[misc]
    timed("undoing", lambda: project.undo(actor=actor))
    assert timed("checking", lambda: check(project, replay=True)) == []
    project.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = ", ".join(f"{name} {each:.1f}" for name, each in seconds.items() if each >= 0.05)
    print(
        f"soak: {n:,} children, seconds of processor time: {told}; at most {watched.longest_s:.1f} s without asking whether"
        f" to stop; {peak:,} MiB at most"
    )
    assert seconds["proposing"] < 180
    assert seconds["asking"] < 120
    assert max(seconds[name] for name in steps) < 1
    assert watched.longest_s < 8, "loading the encoder is one of them"
    assert peak < 2048


def keep(project: Project, encoder: SentenceEncoder, texts: Sequence[str]) -> None:
    from errormap_core.embedding.cache import embed

    for _ in embed(project, texts, encoder):
        pass
