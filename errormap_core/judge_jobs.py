"""The jobs about judge runs: list them, choose the one that counts, compare two, check them against what people know.

As those in jobs.py, each takes an open project and a Reporter and returns what came of it.
"""

from collections.abc import Sequence
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.gold.check_report import agreement_sentences, check_sentences, runs_table
from errormap_core.jobs import Outcome, refuse_without_scores, warn_of
from errormap_core.project.judge_runs import CURRENT_RUN, JudgeRun, find_judge_run, judge_runs
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.operations import SetChoice


def runs_job(project: Project, reporter: Reporter) -> Outcome:
    """List the judge runs."""
    runs = judge_runs(project.db)
    if not runs:
        reporter.say(tr("No judge has worked on this project yet."))
    else:
        for line in runs_table(runs):
            reporter.say(line)
    return Outcome({"runs": [run.to_json() for run in runs]})


def use_run(project: Project, run: str | None, *, actor: str) -> Change | None:
    """Let a judge run count (an operation), or with None the latest; None where it is so already.

    Raises KnownError where there is no such run.
    """
    found = None if run is None else find_judge_run(project.db, run)
    wanted = "" if found is None else found.id
    if project.setting(CURRENT_RUN) == wanted:
        return None
    reason = str(tr("the latest") if found is None else tr("{name} ({id})", name=found.name, id=found.short_id))
    return project.apply(SetChoice(key=CURRENT_RUN, value=wanted), actor=actor, reason=reason)


def counts_now(run: JudgeRun) -> Sentence:
    """For how many failures a run counts, and for how many a person does."""
    rest = run.n_analysed - run.n_counting
    said = trn("{name} ({id}) counts now, for {n:,} failure.", "{name} ({id}) counts now, for {n:,} failures.",
               run.n_counting, name=run.name, id=run.short_id)  # fmt: skip
    if not rest:
        return said
    more = trn("Of {n:,} more that it has analysed, a person's analysis counts before it.",
               "Of {n:,} more that it has analysed, a person's analysis counts before it.", rest)  # fmt: skip
    return tr("{said} {more}", said=said, more=more)


def use_run_job(project: Project, reporter: Reporter, *, run: str | None, latest: bool, actor: str) -> Outcome:
    """Choose the run that counts. Raises KnownError where neither a run nor the latest is named, or both are."""
    if latest == bool(run):
        raise KnownError(tr("Say which run counts."), where="use-run", fix=tr("Give a run, or --latest."))
    change = use_run(project, run, actor=actor)
    current = next((found for found in judge_runs(project.db) if found.is_current), None)
    if change is None:
        reporter.say(tr("It counts already."))
    elif current is not None:
        reporter.say(counts_now(current))
    return Outcome({"is_changed": change is not None, "current": None if current is None else current.to_json()})


def agreement_job(
    project: Project, reporter: Reporter, *, settings: UserSettings, runs: Sequence[str], gold: str | None = None
) -> Outcome:
    """Compare two judge runs."""
    refuse_without_scores()
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.gold.two_judges import compare_runs

    encoder = SentenceEncoder(settings["embedding.model"] or None)
    first, second = runs
    folder = None if gold is None else Path(gold)
    work = compare_runs(project, first, second, folder=folder, encoder=encoder, cancelled=reporter.cancelled)
    result = reporter.drive(work)
    if result["is_stopped"]:
        return Outcome(result, stopped=True)
    for sentence in agreement_sentences(result):
        reporter.say(sentence)
    return Outcome(result)


def check_judge_job(
    project: Project,
    reporter: Reporter,
    *,
    settings: UserSettings,
    runs: Sequence[str] = (),
    gold: str | None = None,
    common: bool = False,
) -> Outcome:
    """Check judge runs, or all, against gold and against what people reviewed."""
    refuse_without_scores()
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.gold.judge_check import check_judges

    encoder = SentenceEncoder(settings["embedding.model"] or None)
    folder = None if gold is None else Path(gold)
    work = check_judges(project, runs, folder=folder, common=common, encoder=encoder, cancelled=reporter.cancelled)
    result = reporter.drive(work)
    if result["is_stopped"]:
        return Outcome(result, stopped=True)
    for sentence in check_sentences(result):
        reporter.say(sentence)
    warn_of(reporter, [problem["text"] for problem in result["problems"]])
    return Outcome(result, losses=len(result["problems"]))
