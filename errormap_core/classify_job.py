"""The job that proposes given categories for failures that nobody placed. As those in jobs.py, it takes an open project and
a Reporter and returns what came of it."""

import dataclasses

from errormap_core.jobs import Outcome
from errormap_core.judge.base import Cancelled
from errormap_core.judge.classifying import Scorer
from errormap_core.judge.starting import plan_judge
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings
from errormap_core.tasks import Stopped


def classify_job(
    project: Project,
    reporter: Reporter,
    *,
    settings: UserSettings,
    model: str | None = None,
    threads: int | None = None,
    limit: int | None = None,
) -> Outcome:
    """Propose a category of the tree for each diagnosed failure without one, as the setting 'classify.method' says.

    A model is loaded only where the judge has a say. Failures on which the judge gave up are losses.
    """
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.proposals.classify import classify

    encoder = SentenceEncoder(settings["embedding.model"] or None)
    judge = None
    try:
        scorer = None
        if project.setting("classify.method") != "embedding":
            work = plan_judge(project, settings, model=model, threads=threads, cancelled=reporter.cancelled)
            plan = reporter.drive(work)
            # One failure is scored at a time: places for several would take memory for nothing.
            engine = dataclasses.replace(plan.engines[0], sequences=1)
            judge = dataclasses.replace(plan, engines=(engine,)).start(cancelled=reporter.cancelled)
            scorer = Scorer(judge, cancelled=reporter.cancelled)
        result = reporter.drive(classify(project, encoder, scorer=scorer, limit=limit, cancelled=reporter.cancelled))
    except (Stopped, Cancelled):
        note = tr("Stopped. Nothing was proposed.")
        return Outcome({"run": None, "proposals": 0, "failures": 0, "note": str(note)}, stopped=True)
    finally:
        if judge is not None:
            judge.close()
    reporter.say(result["note"])
    return Outcome({**result, "note": str(result["note"])}, losses=result.get("failed", 0), stopped=result["stopped"])
