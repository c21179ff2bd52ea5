"""Proposes which given category each diagnosed failure belongs to that nobody placed: by scoring, by embedding, or both.

Its run is one of kind 'propose', as its proposals wait in the same queue, beside those of clustering. They are of
kind 'assign', one a category, and nothing enters the tree before a person accepts one. Categories are the leaves of the
tree and those that hold failures of their own, with Other and Hard to Analyze. What a person decided of a failure and a
category (accepted, left out, rejected) is not asked again.

What the judge said is kept with the run by analysis and name, so that a run that was stopped goes on, and a later one
asks only about what is new.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from errormap_core.embedding.cache import embed, vectors_of
from errormap_core.embedding.encoder import Encoder, Vectors, unit_rows
from errormap_core.embedding.words import RECIPE, Words, texts_of, vectors_of_words
from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.judge.base import ENGINE_DIED, RecordFailed
from errormap_core.judge.base import Cancelled as JudgeCancelled
from errormap_core.judge.classifying import (
    OTHER_SIMILARITY,
    VERSION,
    WEIGHTS,
    Candidate,
    Classification,
    FailureText,
    Method,
    Scorer,
    calibrated,
    distinct_names,
    shortlist,
    weigh,
)
from errormap_core.project import proposing
from errormap_core.project.lease import project_lease
from errormap_core.project.proposing import NewProposal, Unplaced
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals.clustering import centroid_of
from errormap_core.proposals.placing import WORTH_OF_RESERVED
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, never_cancelled

RUN_NAME = "Place the unplaced"
N_TYPICAL = 5
OWN_WEIGHT = 2.0
"""What the failures that are in a category already count for beside its name, one alone half of that. On Banking77 the nearest
category is right for 61 % of texts by names, 63, 72, 78 and 79 % with 1, 2, 5 and 10 texts in each."""

KEEP_EVERY_S = 5.0
MOST_DEATHS = 5

Result = dict[str, Any]


def classify(
    project: Project,
    encoder: Encoder,
    *,
    scorer: Scorer | None = None,
    limit: int | None = None,
    cancelled: Cancelled = never_cancelled,
) -> Generator[Progress, None, Result]:
    """Propose a category for every diagnosed failure without one; with `limit`, of at most so many that are new.

    The settings 'classify.method' and 'classify.shortlist' say how; `scorer` is needed where the judge has a say. Returns
    numbers with `note`, a Sentence that says what came of it. Stopped early, what is known is proposed, with `stopped`.
    Raises KnownError where encoder or judge cannot work, or another process proposes, ValueError without a scorer.
    """
    method: Method = project.setting("classify.method")
    if method != "embedding" and scorer is None:
        raise ValueError("the judge is to score, and none was passed")
    with project_lease(project, "propose", purpose=tr("Placing failures")) as lease:
        work = _Placing(
            project, encoder, None if method == "embedding" else scorer, method, limit, cancelled, lease.beat
        )
        return (yield from work.run())


@dataclass(slots=True)
class _Known:
    """What the judge said: by analysis, by name, the score less its share of the prior; of how many it was asked now."""

    of: dict[str, dict[str, float]] = field(default_factory=dict)
    n_asked: int = 0


class _Placing:
    """One run, step by step."""

    def __init__(
        self,
        project: Project,
        encoder: Encoder,
        scorer: Scorer | None,
        method: Method,
        limit: int | None,
        cancelled: Cancelled,
        beat: Callable[[], None],
    ) -> None:
        self.project = project
        self.encoder = encoder
        self.scorer = scorer
        self.method: Method = method
        self.limit = limit
        self.cancelled = cancelled
        self.beat = beat
        self.counts: Counter[str] = Counter()
        self.known = _Known()
        self.candidates = candidates_of(project)
        self.names = dict(zip((each.id for each in self.candidates), distinct_names(self.candidates), strict=True))
        self.run_id = ""

    def run(self) -> Generator[Progress, None, Result]:
        db = self.project.db
        failures = proposing.unplaced_failures(db)
        decided = proposing.decided_pairs(db)
        real = [candidate for candidate in self.candidates if candidate.id not in (OTHER_ID, HARD_ID)]
        if not failures or not real:
            note = self._why_nothing(failures)
            yield Progress("classify", 0, 0, note)
            return {"run": None, "proposals": 0, "failures": 0, "stopped": False, "note": note}
        words = [Words(failure.error_title, failure.error_summary) for failure in failures]
        defined = [Words(candidate.name, candidate.description) for candidate in real]
        placed = [(key, Words(*each)) for key, *each in proposing.placed_words(db)]
        texts = texts_of([*words, *defined, *(each for _, each in placed)])
        for progress in embed(self.project, texts, self.encoder, self.cancelled):
            self.beat()
            yield progress
        if self.cancelled():
            note = tr("Stopped. Nothing was proposed; embeddings are kept.")
            return {"run": None, "proposals": 0, "failures": 0, "stopped": True, "note": note}
        near = self._vectors(words) @ self._category_vectors(real, defined, placed).T
        if self.scorer is not None:
            self.known.of = proposing.kept_scores(db, self._scored_by())
        with self.project.writing() as writing:
            parameters = self._parameters(failures, placed, decided)
            self.run_id = start_run(writing, "propose", RUN_NAME, parameters)
        try:
            found = yield from self._classified(failures, real, near, decided)
        except KnownError:
            with self.project.writing() as writing:
                end_run(writing, self.run_id, "failed", {"scores": self.known.of})
            raise
        result = self._write(failures, found)
        yield Progress("classify", len(found), len(failures), result["note"], dict(self.counts))
        return result

    # Steps

    def _classified(
        self, failures: Sequence[Unplaced], real: Sequence[Candidate], near: Vectors, decided: set[tuple[str, str]]
    ) -> Generator[Progress, None, dict[str, Classification]]:
        """What each failure is, by record; those that were left for later, refused or stopped before are missing."""
        found: dict[str, Classification] = {}
        n_new = n_deaths = 0
        total = len(failures) if self.limit is None else min(len(failures), self.limit + len(self.known.of))
        yield Progress("classify", 0, total, tr("Placing"))
        kept_at = time.monotonic()
        for failure, similarities in zip(failures, near, strict=True):
            if self.cancelled():
                self.counts["stopped"] = 1
                break
            offered, cosines = self._offered(failure, real, similarities, decided)
            if not offered:
                self.counts["decided"] += 1
                continue
            is_new = self._is_new(failure, offered)
            if is_new and self.limit is not None and n_new >= self.limit:
                continue
            n_new += is_new
            try:
                found[failure.record_id] = self._one(failure, offered, cosines)
                n_deaths = 0
            except RecordFailed as failed:
                self.counts["failed"] += 1
                n_deaths = n_deaths + 1 if failed.code == ENGINE_DIED else 0
                if n_deaths == MOST_DEATHS:
                    self.counts["stopped"] = 1
                    break
            except JudgeCancelled:
                self.counts["stopped"] = 1
                break
            if time.monotonic() - kept_at > KEEP_EVERY_S:
                began = time.monotonic()
                self._keep()
                self.beat()
                kept_at = time.monotonic() + 9 * (time.monotonic() - began)  # keeping takes a tenth of the time at most
            yield Progress("classify", len(found), total, tr("Placing"), dict(self.counts))
        return found

    def _offered(
        self, failure: Unplaced, real: Sequence[Candidate], similarities: Vectors, decided: set[tuple[str, str]]
    ) -> tuple[list[Candidate], list[float]]:
        """The candidates for a failure with their similarities: the nearest, Other, and where a judge tells, Hard."""
        reserved = [candidate for candidate in self.candidates if candidate.id in (OTHER_ID, HARD_ID)]
        if failure.verdict == "unclear":  # its judge could not tell
            reserved = [candidate for candidate in reserved if candidate.id == HARD_ID]
            return [candidate for candidate in reserved if (failure.record_id, HARD_ID) not in decided], [1.0]
        if self.scorer is None:
            reserved = [candidate for candidate in reserved if candidate.id == OTHER_ID]
        free = [place for place, each in enumerate(real) if (failure.record_id, each.id) not in decided]
        most = int(self.project.setting("classify.shortlist"))
        chosen = [free[place] for place in shortlist(similarities[free].astype(np.float64), most)] if free else []
        reserved = [candidate for candidate in reserved if (failure.record_id, candidate.id) not in decided]
        cosines = [float(similarities[place]) for place in chosen] + [OTHER_SIMILARITY] * len(reserved)
        return [real[place] for place in chosen] + reserved, cosines

    def _is_new(self, failure: Unplaced, offered: Sequence[Candidate]) -> bool:
        """Whether work is needed for it that no earlier run has done."""
        if self.scorer is None:
            return True
        known = self.known.of.get(failure.analysis_id, {})
        return len(offered) > 1 and any(self.names[each.id] not in known for each in offered)

    def _one(self, failure: Unplaced, offered: Sequence[Candidate], cosines: Sequence[float]) -> Classification:
        ids = [candidate.id for candidate in offered]
        weights = WEIGHTS[self.method]
        if self.scorer is None or len(offered) == 1:
            return weigh(ids, weights, similarities=cosines)
        names = [self.names[each.id] for each in offered]
        known = self.known.of.setdefault(failure.analysis_id, {})
        missing = [name for name in names if name not in known]
        if missing:
            scores = calibrated(*self.scorer.name_scores(self._text(failure), missing), weights)
            known.update({name: round(float(score), 4) for name, score in zip(missing, scores, strict=True)})
            self.known.n_asked += 1
        near = cosines if self.method == "both" else None
        return weigh(ids, weights, scores=np.array([known[name] for name in names]), similarities=near)

    def _text(self, failure: Unplaced) -> FailureText:
        """What the judge is shown: title and summary, and for an analysis without either its record's texts."""
        if failure.error_title.strip() or failure.error_summary.strip():
            return FailureText(failure.error_title, failure.error_summary)
        task, answer = proposing.record_texts(self.project.db, failure.record_id)
        return FailureText(task=task, answer=answer)

    def _keep(self) -> None:
        with self.project.writing() as db:
            proposing.keep_scores(db, self.run_id, self.known.of)

    def _vectors(self, words: Sequence[Words]) -> Vectors:
        return vectors_of_words(words, lambda texts: vectors_of(self.project, texts, self.encoder))

    def _category_vectors(
        self, real: Sequence[Candidate], defined: Sequence[Words], placed: Sequence[tuple[str, Words]]
    ) -> Vectors:
        """Of each category: that of its name and description, and that of its own failures beside it."""
        vectors = self._vectors(defined).copy()
        own: dict[str, list[Words]] = {}
        for category_id, words in placed:
            own.setdefault(category_id, []).append(words)
        for place, candidate in enumerate(real):
            if candidate.id in own:
                weight = OWN_WEIGHT * min(1.0, len(own[candidate.id]) / 2)
                vectors[place] += np.float32(weight) * centroid_of(self._vectors(own[candidate.id]))
        return unit_rows(vectors)

    # What is recorded

    def _scored_by(self) -> str:
        """What kept scores depend on."""
        assert self.scorer is not None
        return content_id("scores", self.scorer.identity(), VERSION, WEIGHTS[self.method].prior)

    def _parameters(
        self, failures: Sequence[Unplaced], placed: Sequence[tuple[str, Words]], decided: set[tuple[str, str]]
    ) -> dict[str, Any]:
        scored: dict[str, Any] = {}
        if self.scorer is not None:
            scored = {**self.scorer.identity(), "scored_by": self._scored_by()}
        return {
            "task": "classify",
            "version": VERSION,
            "method": self.method,
            "shortlist": self.project.setting("classify.shortlist"),
            "weights": asdict(WEIGHTS[self.method]),
            "limit": self.limit,
            "encoder": self.encoder.name,
            "embedded": RECIPE,
            "candidates": content_id("candidates", [asdict(candidate) for candidate in self.candidates]),
            "failures": content_id("failures", [[f.record_id, f.analysis_id] for f in failures]),
            "placed": content_id("placed", [[key, *words] for key, words in placed]),
            "decided": content_id("decided", sorted(decided)),
            **scored,
        }

    def _write(self, failures: Sequence[Unplaced], found: Mapping[str, Classification]) -> Result:
        proposals = [new for candidate in self.candidates if (new := self._proposal(candidate, found)) is not None]
        result = {
            "run": self.run_id,
            "method": self.method,
            "proposals": len(proposals),
            "failures": len(found),
            "left": len(failures) - len(found),
            "asked": self.known.n_asked,
            "failed": self.counts["failed"],
            "decided": self.counts["decided"],
            "other": sum(each.best == OTHER_ID for each in found.values()),
            "hard": sum(each.best == HARD_ID for each in found.values()),
            "stopped": bool(self.counts["stopped"]),
        }
        note = self._sentence(result)
        with self.project.writing() as db:
            proposing.save_proposals(db, self.run_id, proposals)
            kept = {
                "scores": {
                    f.analysis_id: self.known.of[f.analysis_id] for f in failures if f.analysis_id in self.known.of
                }
            }
            end_run(db, self.run_id, "finished", {**result, **(kept if self.scorer else {}), "note": note.to_json()})
        return {**result, "note": note}

    def _proposal(self, candidate: Candidate, found: Mapping[str, Classification]) -> NewProposal | None:
        here = {record: each for record, each in found.items() if each.best == candidate.id}
        if not here:
            return None
        ranked = sorted(here, key=lambda record: (-round(here[record].confidence, 6), record))
        members = [(record, round(here[record].confidence, 6)) for record in ranked]
        mean = round(sum(each.confidence for each in here.values()) / len(here), 6)
        judge = "" if self.scorer is None else self.scorer.judge.describe().name
        right = sum(each.probabilities[candidate.id] for each in here.values())
        worth = right * (WORTH_OF_RESERVED if candidate.id in (OTHER_ID, HARD_ID) else 1.0)
        return NewProposal(
            id=content_id("proposal", "assign", candidate.id, sorted(here)),
            kind="assign",
            arguments={"category_id": candidate.id, "description": str(self._reason(judge)), "named_by": ""},
            evidence={
                "typical": ranked[:N_TYPICAL],
                "n_members": len(here),
                "method": self.method,
                "judge": judge,
                "confidence": mean,
                "why": self._reason(judge).to_json(),
                "worth": round(worth, 2),
                "members": {record: _member(here[record]) for record in ranked},
            },
            score=mean,
            parent_id=None,
            members=members,
        )

    def _reason(self, judge: str) -> Sentence:
        match self.method:
            case "embedding":
                return tr(
                    "Of the categories that are there, this is the nearest by the words of name, description and failures."
                )
            case "judge":
                return tr(
                    "Of the names of the categories that are there, {judge} finds this one the likeliest.", judge=judge
                )
            case _:
                return tr("Of the categories that are there, this one fits best by what {judge} says and by the nearest words.",
                          judge=judge)  # fmt: skip

    def _sentence(self, result: Mapping[str, Any]) -> Sentence:
        failures = trn("{n:,} failure", "{n:,} failures", result["failures"])
        said = trn("{n:,} proposal for {failures} in categories that are there.",
                   "{n:,} proposals for {failures} in categories that are there.",
                   result["proposals"], failures=failures)  # fmt: skip
        if result["failed"]:
            said = trn("{said} The judge gave up on {n:,} failure.", "{said} The judge gave up on {n:,} failures.",
                       result["failed"], said=said)  # fmt: skip
        if result["stopped"]:
            said = trn(
                "{said} Stopped with {n:,} failure left.",
                "{said} Stopped with {n:,} failures left.",
                result["left"],
                said=said,
            )
        return said

    def _why_nothing(self, failures: Sequence[Unplaced]) -> Sentence:
        if failures:
            return tr("There is no category to place failures in. Add some, import an atlas, or propose categories.")
        if proposing.has_diagnosed(self.project.db):
            return tr("Nothing to place: every diagnosed failure has its place.")
        return tr("Nothing to place: no failure is diagnosed yet. Run the judge first.")


def candidates_of(project: Project) -> list[Candidate]:
    """The categories that a failure may be put into, in the tree's order, the reserved ones last: leaves, and what holds
    failures of its own."""
    tree = project.tree
    used = {category_id for category_id, _, _ in proposing.placed_words(project.db)}
    chosen = [
        category
        for category in tree
        if category.reserved is None and (not tree.children(category.id) or category.id in used)
    ]
    chosen += [tree.live(key) for key in (OTHER_ID, HARD_ID)]
    return [Candidate(each.id, each.name, each.description, tree.place(each.id)) for each in chosen]


def _member(each: Classification) -> dict[str, Any]:
    second = each.runner_up
    return {
        "probability": round(each.probabilities[each.best], 6),
        "runner_up": second,
        "runner_up_probability": None if second is None else round(each.probabilities[second], 6),
    }
