"""The run of a judge over a project's failures; each result is committed before its Progress is yielded."""

import collections
import time
from collections.abc import Collection, Generator
from typing import Any, Literal

from errormap_core import tasks
from errormap_core.cores import is_encoding
from errormap_core.errors import KnownError
from errormap_core.judge.base import ENGINE_DIED, Cancelled, Judge, JudgeInfo, JudgeRequest, JudgeResult, RecordFailed
from errormap_core.project import counting, judging
from errormap_core.project.lease import Lease, project_lease
from errormap_core.project.record_names import label_of
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Progress, Steering

MOST_DEATHS = 5
"""So many records in a row on which the engine died end the run: it is not the records then."""

LOOK_EVERY_S = 0.1
BEAT_EVERY_S = 5.0


def run_parameters(info: JudgeInfo, *, max_references: int) -> dict[str, Any]:
    """What makes a run of a judge: the same parameters go on with the same run."""
    return {**info.identity(), "max_references": max_references}


def diagnose(
    project: Project,
    judge: Judge,
    *,
    limit: int | None = None,
    retry: bool = False,
    again: bool = False,
    only: Collection[str] | None = None,
    first: Collection[str] = (),
    expected_s: float | None = None,
    steering: Steering | None = None,
    cancelled: tasks.Cancelled = tasks.never_cancelled,
) -> Generator[Progress, None, None]:
    """Analyse the failures that wait, at most `limit`; stopping at any point loses the records in flight only.

    `retry` also takes those on which this run failed before, `again` those that other runs analysed;
    with `only`, just these are taken, whoever analysed or disputed them. Those in `first` are taken before the others, within
    the limit. `expected_s` is what a record is expected to
    take; it is told with the first Progress.
    A record that fails is stored with its reason and counted; the next one is taken.

    Raises KnownError where another process runs a judge on the project, or the judge cannot go on.
    """
    info = judge.describe()
    max_references = int(project.setting("judge.max_references"))
    with project_lease(project, "judge", purpose=tr("Judging with {name}", name=info.name)) as lease:
        with project.writing() as db:
            name = f"{info.name}, {info.prompt_id} v{info.prompt_version}"
            run_id = start_run(db, "judge", name, run_parameters(info, max_references=max_references))
        run = _Run(project, judge, run_id, lease, max_references, steering or Steering())
        status: Literal["stopped", "finished", "failed"] = "stopped"
        try:
            which: dict[str, Any] = {"limit": limit, "retry": retry, "again": again, "only": only, "first": first}
            todo = judging.failures_to_analyse(project.db, run_id, **which)
            counts = {**run.totals.counts(), "expected_s": expected_s}
            yield Progress("judge", 0, len(todo), tr("{name} is ready", name=info.name), counts)
            yield from run.work(todo, cancelled)
            status = "stopped" if cancelled() and run.n_done < run.n_total else "finished"
        except Cancelled:
            pass
        except KnownError:
            status = "failed"
            raise
        finally:
            judge.withdraw()
            with project.writing() as db:
                end_run(db, run_id, status, {**run.totals.counts(), "judge": info.to_json()})


class _Run:
    """The queue of one run: hands out as many records as the judge takes, and stores what comes back."""

    def __init__(
        self, project: Project, judge: Judge, run_id: str, lease: Lease, max_references: int, steering: Steering
    ) -> None:
        self.totals = _Totals()
        self.n_done = self.n_total = 0
        self._project = project
        self._judge = judge
        self._run_id = run_id
        self._lease = lease
        self._max_references = max_references
        self._steering = steering
        self._in_flight: set[str] = set()
        self._n_deaths = 0
        self._beaten = time.monotonic()

    def work(self, todo: list[str], cancelled: tasks.Cancelled) -> Generator[Progress, None, None]:
        """Take all of these, and say how far it has come. Raises Cancelled and KnownError."""
        waiting = collections.deque(todo)
        self.n_total = len(todo)
        is_paused = False
        while waiting or self._in_flight:
            if cancelled():
                return
            self._beat()
            wanted = self._steering.wanted()
            if wanted:
                taken = self._put_first(waiting, wanted)
                heard = {"first": taken, "not_first": [key for key in wanted if key not in taken], "paused": is_paused}
                note = trn("{n:,} record goes first", "{n:,} records go first", len(taken))
                yield self._progress(note, heard)
            is_busy = is_encoding()
            if (self._steering.is_paused or is_busy) != is_paused:
                is_paused = not is_paused
                (self._judge.pause if is_paused else self._judge.resume)()
                yield self._progress(_pause_note(is_paused, is_busy=is_busy), {"paused": is_paused})
            if is_paused:
                time.sleep(LOOK_EVERY_S)
                continue
            while waiting and len(self._in_flight) < self._judge.capacity:
                self._submit(waiting.popleft())
            for request, result in self._judge.results(LOOK_EVERY_S):
                self._in_flight.discard(request.record_id)
                self._store(request, result)
                self.n_done += 1
                yield self._progress(_note(self._project, request.record_id), {})

    def _progress(self, note: Sentence, counts: dict[str, Any]) -> Progress:
        return Progress("judge", self.n_done, self.n_total, note, {**self.totals.counts(), **counts})

    def _submit(self, record_id: str, *, is_urgent: bool = False) -> None:
        request = judging.request_for(self._project.db, record_id, max_references=self._max_references)
        self._in_flight.add(record_id)
        self._judge.submit(request, is_urgent=is_urgent)

    def _put_first(self, waiting: collections.deque[str], wanted: list[str]) -> list[str]:
        """What somebody looks at is asked about at once, whatever else is under way and whether it was to be analysed or
        not. Returns those that are; the others this run has done, or they are no failures."""
        taken = []
        for record_id in wanted:
            if record_id in waiting:
                waiting.remove(record_id)
            elif record_id not in self._in_flight:
                if not judging.failures_to_analyse(self._project.db, self._run_id, retry=True, only={record_id}):
                    continue
                self.n_total += 1
            taken.append(record_id)
            if record_id not in self._in_flight:
                self._submit(record_id, is_urgent=True)
        return taken

    def _beat(self) -> None:
        if time.monotonic() - self._beaten > BEAT_EVERY_S:
            self._beaten = time.monotonic()
            self._lease.beat()

    def _store(self, request: JudgeRequest, result: JudgeResult | RecordFailed) -> None:
        """Store and count. Raises KnownError where engines die of everything."""
        with self._project.writing() as db:
            if isinstance(result, RecordFailed):
                judging.save_judge_error(db, self._run_id, request, code=result.code, reason=result.reason)
            else:
                details = _details(self._judge.describe(), request, result)
                judging.save_analysis(db, self._run_id, request, result.analysis, details=details)
            counting.refresh(db, record_ids=[request.record_id])
        self.totals.add(result)
        is_death = isinstance(result, RecordFailed) and result.code == ENGINE_DIED
        self._n_deaths = self._n_deaths + 1 if is_death else 0
        if self._n_deaths == MOST_DEATHS:
            raise KnownError(
                tr("The judge's engine died on {n} records in a row.", n=self._n_deaths),
                where=self._judge.describe().model_file,
                fix=tr("Try a smaller model, a smaller context size or fewer layers on the GPU."),
            )


class _Totals:
    """What a run has done since it was started or gone on with."""

    def __init__(self) -> None:
        self.analysed = 0
        self.shortened = 0
        self.failed: dict[str, int] = {}
        self.tokens = {"prompt": 0, "reused": 0, "completion": 0, "fed": 0}
        self._began = time.monotonic()

    def add(self, result: JudgeResult | RecordFailed) -> None:
        if isinstance(result, RecordFailed):
            self.failed[result.code] = self.failed.get(result.code, 0) + 1
            return
        self.analysed += 1
        self.shortened += result.shortened is not None
        for kind in self.tokens:
            self.tokens[kind] += getattr(result, f"{kind}_tokens")

    def counts(self) -> dict[str, Any]:
        return {
            "analysed": self.analysed,
            "shortened": self.shortened,
            "failed": sum(self.failed.values()),
            "failed_by_code": dict(self.failed),
            **{f"{kind}_tokens": n for kind, n in self.tokens.items()},
            "seconds": round(time.monotonic() - self._began, 3),
        }


def _details(info: JudgeInfo, request: JudgeRequest, result: JudgeResult) -> dict[str, Any]:
    """What an analysis knows of how it came about, beside its run."""
    details: dict[str, Any] = {
        "prompt_tokens": result.prompt_tokens,
        "reused_tokens": result.reused_tokens,
        "completion_tokens": result.completion_tokens,
        "fed_tokens": result.fed_tokens,
        "seconds": round(result.seconds, 3),
        "n_references": len(request.references),
        "prompt_hash": result.prompt_hash,
        "text": result.text,
        "threads": info.threads,
        "sequences": info.sequences,
        "batch": info.batch,
        "flash": info.flash,
        "gpu_layers": info.gpu_layers,
        "library": info.library,
    }
    if result.thinking:
        details["thinking"] = result.thinking
    if result.shortened is not None:
        details["shortened"] = result.shortened
    return details


def _pause_note(is_paused: bool, *, is_busy: bool) -> Sentence:
    if not is_paused:
        return tr("Going on")
    return tr("Waiting while texts are encoded") if is_busy else tr("Paused")


def _note(project: Project, record_id: str) -> Sentence:
    dataset, example_id, model = label_of(project.db, record_id)
    return tr("{dataset}, {example}, {model}", dataset=dataset, example=example_id, model=model)
