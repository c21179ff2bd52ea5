"""How far two judge runs agree over the failures that both analysed, and on which failures they agree least.

Neither is the key. Figures come with their interval, drawn by examples, and with what chance gives.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from errormap_core.embedding.encoder import Encoder
from errormap_core.errors import KnownError
from errormap_core.gold import comparing
from errormap_core.gold.cases import Example, gold_cases, reviewed_cases
from errormap_core.gold.classes import Classes, classes_of_gold, classes_of_placements
from errormap_core.gold.classify import Stopped
from errormap_core.gold.comparing import Marked, encode_said, goes_on
from errormap_core.gold.judge_check import gold_for
from errormap_core.measures.estimates import mean, similarity, span_chance, span_f1
from errormap_core.project import scoring
from errormap_core.project.judge_runs import JudgeRun, find_judge_run
from errormap_core.project.scoring import Place, Said
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.tasks import Cancelled, Progress, never_cancelled

STAGE = "agreement"

MOST_LISTED = 100
"""Failures that the result lists, those of the least agreement first."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """What two runs say of one failure."""

    record_id: str
    place: Place
    ours: Said
    theirs: Said

    @property
    def example(self) -> Example:
        return self.place.dataset, self.place.example_id

    @property
    def marked(self) -> Marked:
        return comparing.marked(self.ours, self.theirs, self.place.output_text)


def compare_runs(
    project: Project,
    first: str,
    second: str,
    *,
    folder: Path | None = None,
    encoder: Encoder | None,
    cancelled: Cancelled = never_cancelled,
) -> Generator[Progress, None, dict[str, Any]]:
    """Compare two judge runs (ids, names, or beginnings of them).

    Categories are compared through a classifier where the project has gold (that in `folder`, else the sample's where
    it fits), else where people placed enough failures; they, and the similarity of words, need an `encoder`. Asked to
    stop, it returns with `is_stopped` true and nothing compared.

    Raises KnownError where a run is not there, both are the same, or no failure was analysed by both.
    """
    runs = [find_judge_run(project.db, name) for name in (first, second)]
    if runs[0].id == runs[1].id:
        raise KnownError(tr("Both are the same judge run."), where=runs[0].name, fix=tr("Name two different ones."))
    pairs = _pairs(project, runs)
    if not pairs:
        raise KnownError(
            tr("No failure was analysed by both {first} and {second}.", first=runs[0].name, second=runs[1].name),
            fix=tr("Run the second judge over the same failures: `errormap-studio judge PROJECT --again`."),
        )
    about = {"runs": [_about(run) for run in runs], "n": len(pairs), "problems": []}
    try:
        yield Progress(STAGE, 0, 4, tr("Comparing verdicts and evidence"))
        examples = [pair.example for pair in pairs]
        result: dict[str, Any] = {
            **about,
            "examples": len(set(examples)),
            "verdict": comparing.verdicts(
                [p.ours.verdict for p in pairs], [p.theirs.verdict for p in pairs], clusters=examples
            ),
        }
        f1 = [_overlap(pair) for pair in pairs if goes_on(cancelled)]
        result["evidence"] = _evidence(pairs, f1, cancelled)
        yield Progress(STAGE, 1, 4, tr("Comparing words"))
        cosines: list[float | None] = [None] * len(pairs)
        result["similarity"] = None
        if encoder is not None:
            cosines, result["similarity"] = _similarity(pairs, encoder)
        yield Progress(STAGE, 2, 4, tr("Learning the categories"))
        learned = None if encoder is None or not goes_on(cancelled) else _learn(project, folder, encoder, cancelled)
        yield Progress(STAGE, 3, 4, tr("Comparing categories"))
        result |= _categories(pairs, *(learned or (None, None)))
    except Stopped:
        return {**about, "is_stopped": True}
    result |= {"disagreements": _least(pairs, f1, cosines), "is_stopped": False}
    yield Progress(STAGE, 4, 4, tr("Compared"))
    return result


def _about(run: JudgeRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "name": run.name,
        "model_sha256": run.model_sha256,
        "seed": run.seed,
        "is_current": run.is_current,
    }


def _pairs(project: Project, runs: Sequence[JudgeRun]) -> list[_Pair]:
    both = scoring.analysed_by(project.db, [run.id for run in runs])
    found = {source.source_id: source.said for source in scoring.analyses_by_source(project.db, sorted(both))}
    return [
        _Pair(record_id, place, found[runs[0].id][record_id], found[runs[1].id][record_id])
        for record_id, place in scoring.places(project.db, both).items()
    ]


def _overlap(pair: _Pair) -> float | None:
    """F1 of the characters that they mark; None where neither marks any."""
    marked = pair.marked
    return span_f1(*marked) if marked.ours or marked.theirs else None


def _evidence(pairs: Sequence[_Pair], f1: Sequence[float | None], cancelled: Cancelled) -> dict[str, Any]:
    """Over the failures in which one of them marks any; chance is that of either's spans put anywhere."""
    kept = [(pair, value) for pair, value in zip(pairs, f1, strict=True) if value is not None]
    if not kept:
        return {"f1": None, "by_one_alone": 0}
    marks = [pair.marked for pair, _ in kept]
    chance = [
        (span_chance(*each) + span_chance(each.theirs, each.ours, each.length)) / 2
        for each in marks
        if goes_on(cancelled)
    ]
    found = mean([v for _, v in kept], chance=sum(chance) / len(chance), clusters=[pair.example for pair, _ in kept])
    return {"f1": found.to_json(), "by_one_alone": sum(not (each.ours and each.theirs) for each in marks)}


def _similarity(pairs: Sequence[_Pair], encoder: Encoder) -> tuple[list[float | None], dict[str, Any] | None]:
    """Cosine of each pair's words, None where one of them says nothing (it found no error), and their mean."""
    said = [place for place, pair in enumerate(pairs) if _has_words(pair.ours) and _has_words(pair.theirs)]
    cosines: list[float | None] = [None] * len(pairs)
    if not said:
        return cosines, None
    ours, theirs = (encode_said(encoder, [getattr(pairs[n], side) for n in said]) for side in ("ours", "theirs"))
    for place, cosine in zip(said, np.clip((ours * theirs).sum(axis=1), -1, 1), strict=True):
        cosines[place] = float(cosine)
    return cosines, similarity(ours, theirs, [pairs[n].example for n in said]).to_json()


def _has_words(said: Said) -> bool:
    return bool(said.error_title.strip() or said.error_summary.strip())


def _learn(
    project: Project, folder: Path | None, encoder: Encoder, cancelled: Cancelled
) -> tuple[Classes | None, str | None]:
    """The classifier of categories, and what it learned from."""
    fitted = gold_for(project, folder)
    if fitted is not None:
        classes = classes_of_gold(fitted, gold_cases(fitted), encoder=encoder, cancelled=cancelled)
        if classes is not None:
            return classes, "gold"
    reviewed = reviewed_cases(project, fitted)
    placed = [case.record_id for case in reviewed.cases if case.category is not None]
    sources = scoring.analyses_by_source(project.db, placed)
    classes = classes_of_placements(project, reviewed.cases, sources, encoder=encoder, cancelled=cancelled)
    return classes, None if classes is None else "reviewed"


def _categories(pairs: Sequence[_Pair], classes: Classes | None, learned_from: str | None) -> dict[str, Any]:
    """Over the failures in which both see an error."""
    known = [pair for pair in pairs if "no_error" not in (pair.ours.verdict, pair.theirs.verdict)]
    if classes is None or not known:
        return {"category": None, "top_category": None, "learned_from": learned_from}
    examples = [pair.example for pair in known]
    ours, theirs = (classes.guess([getattr(p, side) for p in known], examples) for side in ("ours", "theirs"))
    return {**comparing.categories(classes.top, ours, theirs, clusters=examples), "learned_from": learned_from}


def disagreement(*, same_verdict: bool, cosine: float | None, f1: float | None) -> float:
    """How far two analyses are apart, from 0 to 1: the mean of verdict, words and evidence, each as far as it is known."""
    parts = [0.0 if same_verdict else 1.0]
    if cosine is not None:
        parts.append(1 - max(0.0, cosine))
    if f1 is not None:
        parts.append(1 - f1)
    return sum(parts) / len(parts)


def _least(pairs: Sequence[_Pair], f1: Sequence[float | None], cosines: Sequence[float | None]) -> list[dict[str, Any]]:
    """The failures of the least agreement, the worst first."""
    rows = []
    for place, pair in enumerate(pairs):
        cosine = cosines[place]
        apart = disagreement(same_verdict=pair.ours.verdict == pair.theirs.verdict, cosine=cosine, f1=f1[place])
        rows.append(
            {
                "record_id": pair.record_id,
                "dataset": pair.place.dataset,
                "example_id": pair.place.example_id,
                "model": pair.place.model,
                "verdicts": [pair.ours.verdict, pair.theirs.verdict],
                "titles": [pair.ours.error_title, pair.theirs.error_title],
                "cosine": None if cosine is None else round(cosine, 4),
                "evidence_f1": None if f1[place] is None else round(f1[place] or 0.0, 4),
                "disagreement": round(apart, 4),
            }
        )
    return sorted(rows, key=lambda row: -float(str(row["disagreement"])))[:MOST_LISTED]
