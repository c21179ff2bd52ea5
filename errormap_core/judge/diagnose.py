"""The run of a judge over a project's failures; each result is committed before its Progress is yielded."""

from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any, Literal

from errormap_core import tasks
from errormap_core.errors import KnownError
from errormap_core.judge.base import ENGINE_DIED, Cancelled, Judge, JudgeInfo, JudgeRequest, RecordFailed
from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import embedded_model_path
from errormap_core.judge.prompts import load_prompt
from errormap_core.project import counting, judging
from errormap_core.project.lease import project_lease
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr
from errormap_core.settings import UserSettings
from errormap_core.tasks import Progress

MOST_DEATHS = 5
"""So many records in a row on which the engine died end the run: it is not the records then."""


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
    cancelled: tasks.Cancelled = tasks.never_cancelled,
) -> Generator[Progress, None, None]:
    """Analyse the failures that wait, at most `limit`; stopping at any point loses the record in flight.

    `retry` also takes those on which this run failed before, `again` those that other runs analysed;
    with `only`, just these are taken, whoever analysed or disputed them.
    A record that fails is stored with its reason and counted; the next one is taken.

    Raises KnownError where another process runs a judge on the project, or the judge cannot go on.
    """
    info = judge.describe()
    max_references = int(project.setting("judge.max_references"))
    with project_lease(project, "judge", purpose=tr("Judging with {name}", name=info.name)) as lease:
        with project.writing() as db:
            name = f"{info.name}, {info.prompt_id} v{info.prompt_version}"
            run_id = start_run(db, "judge", name, run_parameters(info, max_references=max_references))
        status: Literal["stopped", "finished", "failed"] = "stopped"
        totals = _Totals()
        try:
            todo = judging.failures_to_analyse(project.db, run_id, limit=limit, retry=retry, again=again, only=only)
            yield Progress("judge", 0, len(todo), tr("{name} is ready", name=info.name), totals.counts())
            n_deaths = 0
            for done, record_id in enumerate(todo, start=1):
                if cancelled():
                    return
                lease.beat()
                request = judging.request_for(project.db, record_id, max_references=max_references)
                try:
                    code = _diagnose_one(project, judge, run_id, request, totals=totals, cancelled=cancelled)
                except Cancelled:
                    return
                yield Progress("judge", done, len(todo), _note(project, record_id), totals.counts())
                n_deaths = n_deaths + 1 if code == ENGINE_DIED else 0
                if n_deaths == MOST_DEATHS:
                    raise KnownError(
                        tr("The judge's engine died on {n} records in a row.", n=n_deaths),
                        where=info.model_file,
                        fix=tr("Try a smaller model, a smaller context size or fewer layers on the GPU."),
                    )
            status = "finished"
        except KnownError:
            status = "failed"
            raise
        finally:
            with project.writing() as db:
                end_run(db, run_id, status, {**totals.counts(), "judge": info.to_json()})


def default_judge(
    project: Project,
    user_settings: UserSettings,
    *,
    model: Path | None = None,
    threads: int | None = None,
    gpu_layers: int | None = None,
    prompt_version: int | None = None,
    cancelled: tasks.Cancelled = tasks.never_cancelled,
) -> LlamaJudge:
    """The judge that the settings name, started; what is given here wins over them.

    Raises KnownError where its model or llama-cpp-python is missing or unusable.
    """
    named = model if model is not None else Path(user_settings["judge.model"] or "")
    return LlamaJudge(
        EngineSettings(
            path=embedded_model_path() if named == Path() else named.expanduser().absolute(),
            threads=user_settings["judge.threads"] if threads is None else threads,
            context=project.setting("judge.context"),
            gpu_layers=user_settings["judge.gpu_layers"] if gpu_layers is None else gpu_layers,
        ),
        temperature=project.setting("judge.temperature"),
        seed=project.setting("judge.seed"),
        max_criteria=project.setting("judge.max_criteria"),
        prompt=load_prompt(version=prompt_version),
        cancelled=cancelled,
    )


class _Totals:
    """What a run has done since it was started or gone on with."""

    def __init__(self) -> None:
        self.analysed = 0
        self.failed: dict[str, int] = {}
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.seconds = 0.0

    def counts(self) -> dict[str, Any]:
        return {
            "analysed": self.analysed,
            "failed": sum(self.failed.values()),
            "failed_by_code": dict(self.failed),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 3),
        }


def _diagnose_one(
    project: Project,
    judge: Judge,
    run_id: str,
    request: JudgeRequest,
    *,
    totals: _Totals,
    cancelled: tasks.Cancelled,
) -> str | None:
    """Ask, store and count; the code of what went wrong, or None. Raises Cancelled and KnownError."""
    try:
        result = judge.analyse(request, cancelled=cancelled)
    except RecordFailed as failed:
        with project.writing() as db:
            judging.save_judge_error(db, run_id, request, code=failed.code, reason=failed.reason)
            counting.refresh(db, record_ids=[request.record_id])
        totals.failed[failed.code] = totals.failed.get(failed.code, 0) + 1
        return failed.code
    info = judge.describe()
    details = {
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "seconds": round(result.seconds, 3),
        "n_references": len(request.references),
        "text": result.text,
        "threads": info.threads,
        "gpu_layers": info.gpu_layers,
        "library": info.library,
    }
    with project.writing() as db:
        judging.save_analysis(db, run_id, request, result.analysis, details=details)
        counting.refresh(db, record_ids=[request.record_id])
    totals.analysed += 1
    totals.prompt_tokens += result.prompt_tokens
    totals.completion_tokens += result.completion_tokens
    totals.seconds += result.seconds
    return None


def _note(project: Project, record_id: str) -> Sentence:
    dataset, example_id, model = judging.label_of(project.db, record_id)
    return tr("{dataset}, {example}, {model}", dataset=dataset, example=example_id, model=model)
