"""Checks judges against gold and against what people reviewed in a project, in two halves that are fixed for good.

Each run of a judge is compared with the same cases, shown apart for the development half, which may be looked at while
prompts are written, and for the test half, which scores them (split.py). Every figure has its interval, drawn by
examples, and what chance gives; the result is made of plain numbers, as JSON holds them (docs/gold.md).
"""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.embedding.encoder import Encoder
from errormap_core.errors import KnownError
from errormap_core.gold import comparing
from errormap_core.gold.cases import Case, Example, gold_cases, reviewed_cases
from errormap_core.gold.classes import FEWEST_CLASSIFIED, Classes, classes_of_gold, classes_of_placements
from errormap_core.gold.classify import Stopped
from errormap_core.gold.comparing import goes_on
from errormap_core.gold.fitting import Fitted, fit_to_project
from errormap_core.gold.split import SPLITS
from errormap_core.measures.estimates import FEWEST
from errormap_core.project import scoring
from errormap_core.project.judge_runs import JudgeRun, find_judge_run, judge_runs
from errormap_core.project.scoring import Said, SourceAnalyses
from errormap_core.project.store import Project
from errormap_core.sample.build import sample_gold
from errormap_core.sentences import Sentence, tr
from errormap_core.tasks import Cancelled, Progress, never_cancelled

STAGE = "check-judge"


@dataclass(frozen=True, slots=True)
class _Key:
    """What runs are checked against: `about` is what the result tells of it."""

    cases: Sequence[Case]
    classes: Classes | None
    about: Mapping[str, Any]
    title: Sentence


def check_judges(
    project: Project,
    runs: Sequence[str] = (),
    *,
    folder: Path | None = None,
    common: bool = False,
    encoder: Encoder | None,
    cancelled: Cancelled = never_cancelled,
) -> Generator[Progress, None, dict[str, Any]]:
    """Check judge runs (ids, names, or beginnings of them; none for all) against gold and what people reviewed.

    Without a `folder` the sample's gold is taken where it fits the project. With `common` only failures count that all
    of these runs analysed. Without an `encoder` categories are not compared. Asked to stop, it returns with
    `is_stopped` true.

    Raises KnownError where no judge has worked on the project, a run is not there, or the folder is no gold for it.
    """
    chosen = runs_named(project, runs)
    fitted = gold_for(project, folder)
    only = scoring.analysed_by(project.db, [run.id for run in chosen]) if common else None
    result: dict[str, Any] = {"keys": [], "is_common": common, "is_stopped": False, "problems": []}
    total = 2 * (len(chosen) + 1)
    done = 0
    try:
        for make in (_gold_key, _reviewed_key):
            yield Progress(STAGE, done, total, tr("Learning the categories"))
            key = make(project, fitted, only, encoder, cancelled)
            done += 1
            if key is None:
                done += len(chosen)
                continue
            entry: dict[str, Any] = {**key.about, "classifier": _ceiling(key), "runs": []}
            said = _said_of(project, key.cases)
            for run in chosen:
                yield Progress(
                    STAGE, done, total, tr("Checking {name} against {title}", name=run.name, title=key.title)
                )
                entry["runs"].append(_of_run(run, key, said.get(run.id), cancelled))
                done += 1
            result["keys"].append(entry)
    except Stopped:
        return {**result, "is_stopped": True}
    if fitted is not None:
        result["problems"] = [problem.to_json() for problem in fitted.gold.problems]
    yield Progress(STAGE, total, total, tr("Checked"))
    return result


def runs_named(project: Project, names: Sequence[str]) -> list[JudgeRun]:
    """These judge runs, each once, or all where none is named. Raises KnownError where there is none."""
    if not names:
        found = judge_runs(project.db)
        return found or [find_judge_run(project.db, "")]
    return list({run.id: run for run in (find_judge_run(project.db, name) for name in names)}.values())


def gold_for(project: Project, folder: Path | None) -> Fitted | None:
    """The gold in `folder` as it fits the project; without a folder the sample's, or None where that does not fit.

    Raises KnownError where the folder is no gold, or nothing of it fits.
    """
    if folder is not None:
        return fit_to_project(project, folder)
    try:
        return fit_to_project(project, sample_gold())
    except KnownError:  # not the sample's records
        return None


# What is known


def _gold_key(
    project: Project,
    fitted: Fitted | None,
    only: Collection[str] | None,
    encoder: Encoder | None,
    cancelled: Cancelled,
) -> _Key | None:
    if fitted is None:
        return None
    cases = gold_cases(fitted)
    classes = None if encoder is None else classes_of_gold(fitted, cases, encoder=encoder, cancelled=cancelled)
    kept = _only(cases, only)
    about = {
        "key": "gold",
        "title": fitted.gold.title,
        "folder": str(fitted.gold.folder),
        "left_out": len(fitted.gold.problems),
        **_numbers(kept),
        "n_gold": 0,
        "n_copied": 0,
    }
    return _Key(kept, classes, about, tr("gold"))


def _reviewed_key(
    project: Project,
    fitted: Fitted | None,
    only: Collection[str] | None,
    encoder: Encoder | None,
    cancelled: Cancelled,
) -> _Key:
    reviewed = reviewed_cases(project, fitted)
    classes = None
    if encoder is not None:
        placed = [case.record_id for case in reviewed.cases if case.category is not None]
        sources = scoring.analyses_by_source(project.db, placed)
        classes = classes_of_placements(project, reviewed.cases, sources, encoder=encoder, cancelled=cancelled)
    kept = _only(reviewed.cases, only)
    about = {
        "key": "reviewed",
        "title": str(tr("Reviewed in this project")),
        "folder": None,
        "left_out": 0,
        **_numbers(kept),
        "n_gold": reviewed.n_gold,
        "n_copied": reviewed.n_copied,
    }
    return _Key(kept, classes, about, tr("what people reviewed"))


def _only(cases: Sequence[Case], only: Collection[str] | None) -> list[Case]:
    return [case for case in cases if only is None or case.record_id in only]


def _numbers(cases: Sequence[Case]) -> dict[str, Any]:
    """How many cases there are, and how many are missing for figures with intervals and for categories."""
    placed = sum(case.category is not None for case in cases)
    splits = {}
    for split in SPLITS:
        here = [case for case in cases if case.split == split]
        examples = {case.example for case in here if case.said is not None}
        splits[split] = {
            "n": len(here),
            "n_written": sum(case.said is not None for case in here),
            "n_placed": sum(case.category is not None for case in here),
            "examples": len({case.example for case in here}),
            "missing_examples": max(0, FEWEST - len(examples)),
        }
    return {
        "n": len(cases),
        "n_written": sum(case.said is not None for case in cases),
        "n_placed": placed,
        "fewest_examples": FEWEST,
        "missing_placements": max(0, FEWEST_CLASSIFIED - placed),
        "splits": splits,
    }


# What is compared


def _said_of(project: Project, cases: Sequence[Case]) -> dict[str, SourceAnalyses]:
    sources = scoring.analyses_by_source(project.db, [case.record_id for case in cases])
    return {source.source_id: source for source in sources if source.kind == "run"}


def _of_run(run: JudgeRun, key: _Key, source: SourceAnalyses | None, cancelled: Cancelled) -> dict[str, Any]:
    said = {} if source is None else source.said
    splits = {}
    for split in SPLITS:
        here = [case for case in key.cases if case.split == split]
        pairs = [(case, said[case.record_id]) for case in here if case.record_id in said]
        splits[split] = {"n": len(pairs), "missing": len(here) - len(pairs), **compare(pairs, key.classes, cancelled)}
    return {
        "run": run.id,
        "name": run.name,
        "model_sha256": run.model_sha256,
        "prompt": {"id": run.prompt_id, "version": run.prompt_version},
        "seed": run.seed,
        "is_current": run.is_current,
        "splits": splits,
    }


def compare(
    pairs: Sequence[tuple[Case, Said]], classes: Classes | None, cancelled: Cancelled = never_cancelled
) -> dict[str, Any]:
    """What a source says of cases, against what is known of them; None for figures of which there is nothing."""
    written = [(case, case.said, said) for case, said in pairs if case.said is not None]
    marked = [(case, ours, theirs) for case, ours, theirs in written if case.is_marked]
    spans = [comparing.marked(ours, theirs, case.output_text) for case, ours, theirs in marked if goes_on(cancelled)]
    nothing = {"agreement": None, "kappa": None}
    return {
        "verdict": comparing.verdicts(
            [ours.verdict for _, ours, _ in written],
            [theirs.verdict for _, _, theirs in written],
            clusters=_examples(case for case, _, _ in written),
        )
        if written
        else nothing,
        "evidence": comparing.evidence(spans, clusters=_examples(case for case, _, _ in marked)),
        **_categories(pairs, classes),
    }


def _categories(pairs: Sequence[tuple[Case, Said]], classes: Classes | None) -> dict[str, Any]:
    """Categories over the failures that are placed and in which the source sees an error."""
    known = [(c, c.category, said) for c, said in pairs if c.category is not None and said.verdict != "no_error"]
    if classes is None or not known:
        return {"category": None, "top_category": None}
    examples = [case.example for case, _, _ in known]
    guessed = classes.guess([said for _, _, said in known], examples)
    return comparing.categories(classes.top, [category for _, category, _ in known], guessed, clusters=examples)


def _ceiling(key: _Key) -> dict[str, Any] | None:
    """The classifier on the words of the key itself, by split: as far as it can tell categories at all."""
    if key.classes is None:
        return None
    found: dict[str, Any] = {}
    for split in SPLITS:
        own = [(case, case.said) for case in key.cases if case.split == split and case.said is not None]
        found[split] = _categories(own, key.classes)
    return found


def _examples(cases: Iterable[Case]) -> list[Example]:
    return [case.example for case in cases]
