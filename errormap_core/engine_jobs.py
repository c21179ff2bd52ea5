"""The jobs that need a judge's engine: judge, estimate, try on one failure, measure a model's speed.

As those in jobs.py, each takes what it works on and a Reporter and returns what came of it.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.jobs import Outcome
from errormap_core.judge.base import Cancelled, RecordFailed
from errormap_core.judge.diagnose import diagnose, run_parameters
from errormap_core.judge.engine import default_threads
from errormap_core.judge.estimate import Estimate, estimate
from errormap_core.judge.gguf_file import read_model_file
from errormap_core.judge.kept_copies import drop_copies, say_dropped
from errormap_core.judge.memory import refuse_unfit
from errormap_core.judge.model_file import check_model_file
from errormap_core.judge.project_prompts import prompt_of
from errormap_core.judge.starting import JudgePlan, judge_model, plan_judge, tuning_of
from errormap_core.judge.tuning import forget_tuning, known_tuning, tune
from errormap_core.project import judging
from errormap_core.project.record_names import record_name
from errormap_core.project.runs import find_run
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr, trn
from errormap_core.settings import UserSettings
from errormap_core.tasks import Stopped


def judge_job(
    project: Project,
    reporter: Reporter,
    *,
    settings: UserSettings,
    model: str | None = None,
    threads: int | None = None,
    gpu_layers: int | None = None,
    prompt: str | None = None,
    limit: int | None = None,
    retry: bool = False,
    again: bool = False,
    gold: str | None = None,
    records: list[str] | None = None,
    first: list[str] | None = None,
    only_estimate: bool = False,
    tried: Mapping[str, Any] | None = None,
) -> Outcome:
    """Analyse the failures that wait, with the embedded judge or a GGUF of the user's.

    With `gold`, a folder of gold analyses, just the failures that those are about are taken, whoever analysed them;
    with `records`, just these; those in `first` before the others.
    With `only_estimate`, nothing is analysed; `tried` are settings of the project that hold
    for this without being kept.
    """
    only = None if gold is None else _of_gold(project, Path(gold))
    if records:
        only = set(records)
        _refuse_unknown_records(project, records, where="--only")
        for record_id in judging.passed(project.db, records):
            reporter.warn(tr("{name} did not fail: nothing is diagnosed.", name=record_name(project.db, record_id)))
    if first:
        _refuse_unknown_records(project, first, where="--first")
    try:
        plan = reporter.drive(
            plan_judge(
                project,
                settings,
                model=model,
                threads=threads,
                gpu_layers=gpu_layers,
                prompt=prompt,
                tried=tried,
                cancelled=reporter.cancelled,
            )
        )
        judge = plan.start(cancelled=reporter.cancelled)
    except (Stopped, Cancelled):
        return Outcome({"analysed": 0, "failed": 0, "prompt_tokens": 0, "completion_tokens": 0}, stopped=True)
    try:
        info = judge.describe()
        reporter.say(tr("{name}: {how}", name=info.name, how=tuning_of(plan)))
        todo: dict[str, Any] = {"limit": limit, "retry": retry, "again": again, "only": only, "first": first or ()}
        if only_estimate:
            return _estimated(project, reporter, plan, judge, todo)
        started = time.monotonic()
        steering, cancelled = reporter.steering, reporter.cancelled
        expected_s = _expected(project, reporter, plan, judge, todo)
        work = diagnose(project, judge, **todo, expected_s=expected_s, steering=steering, cancelled=cancelled)
        reporter.drive(work)
    finally:
        judge.close()
    result = reporter.last["judge"].counts
    numbers = {"judge": info.to_json(), **result, "wall_s": round(time.monotonic() - started, 2)}
    reporter.say(
        trn("Analysed {n:,} failure with {judge}, {failed:,} failed.",
            "Analysed {n:,} failures with {judge}, {failed:,} failed.",
            result["analysed"], judge=info.name, failed=result["failed"])
    )  # fmt: skip
    if result["shortened"]:
        reporter.say(
            trn("{n:,} of them was shown in a shorter form, since it does not fit the context.",
                "{n:,} of them were shown in a shorter form, since they do not fit the context.", result["shortened"])
        )  # fmt: skip
    return Outcome(numbers, losses=result["failed"], stopped=reporter.cancelled())


def _estimate(project: Project, plan: JudgePlan, judge: Any, todo: dict[str, Any]) -> Estimate:
    parameters = run_parameters(judge.describe(), max_references=int(project.setting("judge.max_references")))
    run = find_run(project.db, "judge", parameters)
    run_id = "" if run is None else str(run["id"])
    ids = judging.failures_to_analyse(project.db, run_id, **todo)
    return estimate(project, plan, judge, ids, run_id=run_id)


def _expected(project: Project, reporter: Reporter, plan: JudgePlan, judge: Any, todo: dict[str, Any]) -> float | None:
    """Say what the run will take; returns the seconds a record that are expected, or None where they are not known."""
    try:
        found = _estimate(project, plan, judge, todo)
    except RecordFailed:  # the engine died of counting; whether it can work is seen by its work
        return None
    if found.n > 1:
        reporter.say(found.sentence())
    return found.seconds / found.n if found.n and found.seconds else None


def _estimated(project: Project, reporter: Reporter, plan: JudgePlan, judge: Any, todo: dict[str, Any]) -> Outcome:
    found = _estimate(project, plan, judge, todo)
    reporter.say(found.sentence())
    engine, tuning = plan.engines[0], plan.tuning
    how = {
        "threads": engine.threads or default_threads(),
        "sequences": engine.sequences,
        "batch": engine.batch,
        "flash": engine.flash,
        "engines": len(plan.engines),
        "weights": plan.weights,
        "chat_template": judge.describe().chat_template,
        "measured": None if tuning is None else {k: v for k, v in tuning.to_json().items() if k != "trials"},
    }
    return Outcome(
        {"estimate": found.to_json(), "sentence": str(found.sentence()), "how": tuning_of(plan), "engine": how}
    )


def look_at_judge(project: Project, settings: UserSettings, *, model: str | None, prompt: str | None) -> None:
    """Raises KnownError where the model or the prompt cannot be used: before what comes first is done."""
    path = judge_model(settings, model)
    check_model_file(path)
    refuse_unfit(read_model_file(path))
    prompt_of(project, prompt)


def _refuse_unknown_records(project: Project, record_ids: Iterable[str], *, where: str) -> None:
    for record_id in record_ids:
        if not judging.is_record(project.db, record_id):
            raise KnownError(
                tr("There is no record with the id “{id}”.", id=record_id),
                where=where,
                fix=tr("Give the id of a record of this project."),
            )


def _of_gold(project: Project, folder: Path) -> set[str]:
    from errormap_core.gold.fitting import fit_to_project

    return {failure.record_id for failure in fit_to_project(project, folder).failures}


def try_job(
    project: Project,
    reporter: Reporter,
    *,
    settings: UserSettings,
    record: str | None = None,
    model: str | None = None,
    prompt: str | None = None,
) -> Outcome:
    """Have one failure analysed and keep nothing of it: the failure that is named, else the first that waits.

    Raises KnownError where there is no such record, or none at all, and where it cannot be analysed.
    """
    record_id = record or next(iter(judging.failures_to_analyse(project.db, "", limit=1, again=True)), None)
    if record_id is None:
        raise KnownError(
            tr("No failure is there to try it on."), where=str(project.path), fix=tr("Import results that failed.")
        )
    _refuse_unknown_records(project, [record_id], where="--record")
    try:
        work = plan_judge(project, settings, model=model, prompt=prompt, cancelled=reporter.cancelled)
        plan = reporter.drive(work)
        with plan.start(cancelled=reporter.cancelled) as judge:
            asked = judging.request_for(
                project.db, record_id, max_references=int(project.setting("judge.max_references"))
            )
            result = judge.analyse(asked, cancelled=reporter.cancelled)
            info = judge.describe()
    except (Stopped, Cancelled):
        return Outcome({"record": record_id}, stopped=True)
    except RecordFailed as failed:
        raise KnownError(failed.reason, where=record_name(project.db, record_id)) from failed
    analysis = result.analysis
    reporter.say(tr("{title}: {summary}", title=analysis.error_title, summary=analysis.error_summary))
    reporter.say(
        tr("{prompt:,} tokens read, {written:,} written, {seconds:.1f} s", prompt=result.prompt_tokens,
           written=result.completion_tokens + result.fed_tokens, seconds=result.seconds)
    )  # fmt: skip
    return Outcome(
        {
            "record": record_id,
            "model": str(plan.model),
            "prompt": plan.prompt.name,
            "analysis": analysis.to_json(),
            "prompt_tokens": result.prompt_tokens,
            "completion_tokens": result.completion_tokens,
            "fed_tokens": result.fed_tokens,
            "seconds": round(result.seconds, 3),
            "text": result.text,
            "thinking": result.thinking,
            "shortened": result.shortened,
            "judge": info.to_json(),
        }
    )


def tune_job(
    reporter: Reporter,
    *,
    settings: UserSettings,
    model: str | None = None,
    gpu_layers: int | None = None,
    again: bool = False,
    forget: bool = False,
) -> Outcome:
    """Measure how a model is best run here, or tell what was found before; with `forget`, remove that and its copies."""
    path = judge_model(settings, model)
    layers = settings["judge.gpu_layers"] if gpu_layers is None else gpu_layers
    copies = settings["judge.copies"]
    if forget:
        freed = forget_tuning(path)
        reporter.say(
            tr("Forgot what was measured of {name}; {mb:,.0f} MB are free again.", name=path.name, mb=freed / 1e6)
        )
        return Outcome({"model": str(path), "freed_bytes": freed})
    tuning = None if again else known_tuning(path, gpu_layers=layers, copies=copies)
    if tuning is None:
        work = tune(path, gpu_layers=layers, copies=copies, cancelled=reporter.cancelled)
        try:
            tuning = reporter.drive(work)
        except Stopped:
            return Outcome({"model": str(path)}, stopped=True)
    reporter.say(tr("{name}: {what}", name=path.name, what=tuning.sentence()))
    keep = Path(tuning.copy) if tuning.copy else None
    if gone := drop_copies(settings["judge.copies_megabytes"] * 1_000_000, keep=keep):
        reporter.say(say_dropped(gone))
    return Outcome(tuning.to_json())
