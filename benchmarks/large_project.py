"""Proposing in a project of many failures: `python -m benchmarks.proposals --synthetic 100000 --json` calls it.

The project's file is made first: failures with 0.3 times as many titles, whose embeddings are in its cache. Measured is what
people run: the job `propose`, the queue's first questions, its questions after an answer, accepting all, and `propose` once
more, for repairs then; and what steps by hand cost before there are proposals, with them, and after all is placed. Also how
long each goes on without asking whether it is to stop (accepting is one step, which is never stopped halfway).
"""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from errormap_core.embedding.cache import text_hash
from errormap_core.embedding.encoder import SentenceEncoder, Vectors, unit_rows
from errormap_core.ids import content_id, now
from errormap_core.jobs import accept_job, propose_job
from errormap_core.project import counting
from errormap_core.project.proposing import save_vectors
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.proposals.queueing import Queue
from errormap_core.reporting import Reporter
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    DecideProposals,
    MergeCategories,
    MoveCategories,
    Operation,
    RenameCategory,
    Ruling,
)

EDITED = 5
"""How often each step by hand is taken; the longest counts."""

_ANSWER = "An answer of some words."


def synthetic_titles(n: int, *, seed: int = 0) -> Vectors:
    """Vectors of n titles of n / 120 kinds of skewed sizes, of length 1: float32 of shape (n, 384)."""
    rng = np.random.default_rng(seed)
    n_kinds = max(2, n // 120)
    kinds = unit_rows(rng.standard_normal((n_kinds, 384)).astype(np.float32))
    sizes = 1 / np.arange(1, n_kinds + 1) ** 0.8
    kind = rng.choice(n_kinds, n, p=sizes / sizes.sum())
    return unit_rows(kinds[kind] + 0.9 * unit_rows(rng.standard_normal((n, 384)).astype(np.float32)))


def n_titles(n: int) -> int:
    """How many titles n failures have."""
    return max(1, n * 3 // 10)


def make_large_project(path: Path, n: int, encoder_name: str, *, seed: int = 0) -> Project:
    """A project of n analysed failures that nobody placed, of 0.3 n titles whose vectors are in its cache."""
    vectors = synthetic_titles(n_titles(n), seed=seed)
    rng = np.random.default_rng(seed)
    title = np.concatenate([np.arange(len(vectors)), rng.integers(len(vectors), size=n - len(vectors))])
    titles = [f"Mistake number {i}" for i in range(len(vectors))]
    project = Project.create(path)
    with project.writing() as db:
        import_run = start_run(db, "import", "benchmark", {"n": n})
        judge_run = start_run(db, "judge", "benchmark", {"n": n})
        for run in (import_run, judge_run):
            end_run(db, run, "finished")
        db.execute("INSERT INTO dataset (name, default_threshold) VALUES ('bench', 0.5)")
        db.execute("INSERT INTO model VALUES ('model')")
        ids = [content_id("record", "bench", "model", f"e{i}", 1) for i in range(n)]
        db.conn.executemany(
            """INSERT INTO record (id, dataset, model, example_id, score, content_hash, import_run, source_file,
                source_line, input_text, output_text, correct_answer, metrics, extra)
            VALUES (?, 'bench', 'model', ?, 0, ?, ?, 'bench.csv', ?, ?, ?, '42', '{}', '{}')""",
            ((key, f"e{i}", key, import_run, i + 2, f"Question {i}?", _ANSWER) for i, key in enumerate(ids)),
        )
        made = now()
        db.conn.executemany(
            """INSERT INTO analysis (id, record_id, source_id, record_hash, verdict, required_criteria, error_title,
                error_summary, details, created_at) VALUES (?, ?, ?, ?, 'error', '[]', ?, '', '{}', ?)""",
            (
                (content_id("a", key), key, judge_run, key, titles[place], made)
                for key, place in zip(ids, title, strict=True)
            ),
        )
        counting.refresh(db)
        kept = {text_hash(text): row.astype("<f4").tobytes() for text, row in zip(titles, vectors, strict=True)}
        kept[text_hash("")] = bytes(4 * vectors.shape[1])  # no summary has a part in its vector, and has one
        save_vectors(db, encoder_name, kept)
    project.close()
    return Project.open(path)


class Watched(Reporter):
    """A reporter that notes the longest processor time between two questions whether to stop."""

    def __init__(self) -> None:
        super().__init__("none", as_json=False)
        self.longest_s = 0.0
        self._asked = time.process_time()

    def cancelled(self) -> bool:
        at = time.process_time()
        self.longest_s, self._asked = max(self.longest_s, at - self._asked), at
        return super().cancelled()

    def say(self, text: object) -> None:
        """Nothing: the numbers are what counts."""


def large_project(n: int) -> dict[str, Any]:
    """Processor seconds and peak memory of each stage in a project of n failures."""
    with tempfile.TemporaryDirectory() as folder:
        return _measured(Path(folder) / "large.errormap", n)


def _measured(path: Path, n: int) -> dict[str, Any]:
    encoder = SentenceEncoder(threads=1)
    began = time.process_time()
    project = make_large_project(path, n, encoder.name)
    print(f"project of {n:,} failures made: {time.process_time() - began:.0f} s of processor time", flush=True)
    actor = project.annotator("Ann Bee")
    seconds: dict[str, float] = {}
    asked: dict[str, float] = {}
    before = _peak_mib()

    def timed(name: str, work: Callable[[Watched], Any]) -> Any:
        watched = Watched()
        start = time.process_time()
        answer = work(watched)
        watched.cancelled()
        seconds[name], asked[name] = round(time.process_time() - start, 1), round(watched.longest_s, 2)
        print(
            f"{name}: {seconds[name]:.1f} s of processor time, at most {asked[name]:.2f} s without asking whether to stop,"
            f" peak {_peak_mib():,} MiB",
            flush=True,
        )
        return answer

    edits: dict[str, Any] = {"before": _edits(project, actor, "before")}
    outcome = timed("propose", lambda watched: propose_job(project, watched, settings=UserSettings()))
    edits["with_proposals"] = _edits(project, actor, "with proposals")
    queues: list[Queue] = []

    def asking(watched: Watched) -> Any:
        if not queues:
            queues.append(Queue(project, encoder))
        queues[0].cancelled = watched.cancelled
        return watched.drive(queues[0].refresh())

    first = timed("first_questions", asking)
    if first["questions"]:
        answer = DecideProposals(rulings=(Ruling(proposal_id=first["questions"][0]["id"], verdict="accept"),))
        edits["answer"] = _longest_ms([lambda: project.apply(answer, actor=actor)])
        timed("questions_after_an_answer", asking)
    proposed = outcome.numbers["proposals"]
    timed("accept_all", lambda watched: accept_job(project, watched, actor=actor, proposal_ids=None))
    edits["all_placed"] = _edits(project, actor, "all placed")
    timed("propose_repairs", lambda watched: propose_job(project, watched, settings=UserSettings()))
    edits["with_repairs"] = _edits(project, actor, "with repairs")
    project.close()
    return {
        "n": n,
        "n_titles": n_titles(n),
        "proposals": proposed,
        "cpu_s": round(sum(seconds.values()), 1),
        "seconds": seconds,
        "longest_without_asking_s": asked,
        "edit_ms": edits,
        "peak_mib": _peak_mib(),
        "before_mib": before,
        "file_mib": round(path.stat().st_size / 2**20),
    }


def _edits(project: Project, actor: str, when: str) -> dict[str, float]:
    """Milliseconds of processor time that steps by hand take, the longest of some."""
    adds = [AddCategory(name=f"{when} {k}") for k in range(2 * EDITED)]
    sql = "SELECT record_id FROM failure WHERE state = 'analysed' ORDER BY record_id LIMIT ?"
    records = [row[0] for row in project.db.execute(sql, [EDITED])]
    keys = [add.category_id for add in adds]
    steps: dict[str, list[Operation]] = {
        "add": list(adds),
        "rename": [RenameCategory(category_id=keys[k], name=f"{when} renamed {k}") for k in range(EDITED)],
        "place": [AssignFailures(record_ids=(key,), category_id=keys[0]) for key in records],
        "move": [MoveCategories(category_ids=(keys[k],), parent_id=keys[k + EDITED]) for k in range(EDITED)],
        "merge": [
            MergeCategories(category_ids=(keys[EDITED], keys[k + EDITED]), into=keys[EDITED]) for k in range(1, EDITED)
        ],
    }
    found: dict[str, float] = {}
    for name, several in steps.items():
        found[name] = _longest_ms([lambda op=op: project.apply(op, actor=actor) for op in several])  # type: ignore[misc]
    n_steps = sum(map(len, steps.values()))
    found["undo"] = _longest_ms([lambda: project.undo(actor=actor) for _ in range(n_steps)])
    print(f"steps by hand, {when}, at most ms: {found}", flush=True)
    return found


def _longest_ms(works: list[Callable[[], Any]]) -> float:
    longest = 0.0
    for work in works:
        start = time.process_time()
        work()
        longest = max(longest, time.process_time() - start)
    return round(1000 * longest, 1)


def _peak_mib() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
