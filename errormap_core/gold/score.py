"""Scores a project against gold: each source's analyses, and the tree. Every figure comes with its interval and chance.

What is compared, and how, is told in docs/gold.md; the result is made of plain numbers, as JSON holds them.
"""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from errormap_core.embedding.encoder import Encoder
from errormap_core.gold import comparing
from errormap_core.gold.classes import FEWEST_CLASSIFIED
from errormap_core.gold.classify import CategoryGuesser, Stopped, definitions
from errormap_core.gold.comparing import encode_said, goes_on
from errormap_core.gold.files import Gold
from errormap_core.gold.fitting import Failure, Fitted, fit_to_project
from errormap_core.measures.estimates import clustering_agreement
from errormap_core.project import scoring
from errormap_core.project.scoring import Said, SourceAnalyses
from errormap_core.project.store import Project
from errormap_core.sentences import tr, trn
from errormap_core.tasks import Cancelled, Progress, never_cancelled


def score_project(
    project: Project, folder: Path, *, encoder: Encoder | None, cancelled: Cancelled = never_cancelled
) -> Generator[Progress, None, dict[str, Any]]:
    """Compare a project with gold; the result is described in docs/gold.md.

    Without an `encoder` categories of analyses are not compared, and the result says so. Asked to stop, it returns
    with `is_stopped` true and nothing compared.

    Raises KnownError where the folder is no gold, or nothing of it fits the project.
    """
    fitted = fit_to_project(project, folder)
    record_ids = [failure.record_id for failure in fitted.failures]
    sources = scoring.analyses_by_source(project.db, record_ids)
    result: dict[str, Any] = {"gold": _about(fitted), "second_pass": None, "classifier": None, "analyses": []}
    total = len(sources) + 4
    yield Progress("score", 0, total, tr("Learning the categories"))
    try:
        guesser = None if encoder is None else _Classes(fitted, encoder, cancelled)
        yield Progress("score", 1, total, trn("Comparing {n:,} source", "Comparing {n:,} sources", len(sources)))
        for done, source in enumerate(sources, start=2):
            result["analyses"].append(_source(source, fitted, guesser, cancelled))
            yield Progress("score", done, total, tr("Compared {name}", name=source.name))
        result["second_pass"] = _second_pass(fitted, cancelled)
        result["classifier"] = None if guesser is None else guesser.ceiling()
        yield Progress("score", total - 2, total, tr("Comparing the tree"))
        if cancelled():
            raise Stopped
        result["tree"] = _tree(project, fitted)
    except Stopped:
        return {"gold": result["gold"], "is_stopped": True, "problems": []}
    result |= {"is_stopped": False, "problems": [problem.to_json() for problem in fitted.gold.problems]}
    yield Progress("score", total, total, tr("Compared with {title}", title=fitted.gold.title))
    return result


def _about(fitted: Fitted) -> dict[str, Any]:
    gold = fitted.gold
    verdicts = [failure.gold.analysis.verdict for failure in fitted.failures]
    return {
        "folder": str(gold.folder),
        "title": gold.title,
        "analyses": len(fitted.failures),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in ("error", "no_error", "unclear")},
        "disputed": sum(bool(failure.gold.disputed) for failure in fitted.failures),
        "categories": len(gold.categories),
        "categories_used": len({f.gold.category for f in fitted.failures if f.gold.category}),
        "left_out": len(gold.problems),
    }


# Analyses


def _source(source: SourceAnalyses, fitted: Fitted, classes: "_Classes | None", cancelled: Cancelled) -> dict[str, Any]:
    """One source's analyses against the gold; where they are the gold itself, only that is said."""
    pairs = [
        (failure, source.said[failure.record_id]) for failure in fitted.failures if failure.record_id in source.said
    ]
    about: dict[str, Any] = {
        "source": source.source_id,
        "kind": source.kind,
        "name": source.name,
        "n": len(pairs),
        "missing": len(fitted.failures) - len(pairs),
        "is_gold": all(said == failure.said for failure, said in pairs),
    }
    if about["is_gold"]:
        return about
    return {**about, **_compare(pairs, cancelled), **({} if classes is None else classes.compare(pairs))}


def _compare(pairs: Sequence[tuple[Failure, Said]], cancelled: Cancelled) -> dict[str, Any]:
    return {
        "verdict": comparing.verdicts([f.gold.analysis.verdict for f, _ in pairs], [said.verdict for _, said in pairs]),
        "evidence": comparing.evidence(
            comparing.marked(f.said, said, f.output_text) for f, said in pairs if goes_on(cancelled)
        ),
    }


def _second_pass(fitted: Fitted, cancelled: Cancelled) -> dict[str, Any] | None:
    """How far the gold agrees with its own blind second pass: what a judge cannot be asked to exceed."""
    if not fitted.second:
        return None
    pairs = [(failure, Failure(failure.record_id, failure.output_text, again).said) for failure, again in fitted.second]
    result = {"n": len(pairs), **_compare(pairs, cancelled)}
    both = [
        (failure.gold.category, again.category)
        for failure, again in fitted.second
        if failure.gold.category and again.category
    ]
    if both:
        result |= comparing.categories(fitted.gold.top, [ours for ours, _ in both], [theirs for _, theirs in both])
    return result


class _Classes:
    """The classifier of analyses, trained on the gold; None of its comparisons where the gold is too small."""

    def __init__(self, fitted: Fitted, encoder: Encoder, cancelled: Cancelled) -> None:
        self._gold = fitted.gold
        self._encoder = encoder
        placed = [failure for failure in fitted.failures if failure.gold.category is not None]
        self._number = {failure.record_id: number for number, failure in enumerate(placed)}
        self._labels = [str(failure.gold.category) for failure in placed]
        self._guesser: CategoryGuesser | None = None
        if len(placed) >= FEWEST_CLASSIFIED:
            keys, texts = zip(*definitions(fitted.gold), strict=True)
            vectors = encoder.encode(list(texts))
            self._vectors = encode_said(encoder, [failure.said for failure in placed])
            self._guesser = CategoryGuesser(
                self._vectors, self._labels, list(zip(keys, vectors, strict=True)), cancelled=cancelled
            )

    def compare(self, pairs: Sequence[tuple[Failure, Said]]) -> dict[str, Any]:
        """Categories of what a source says, over the failures that the gold places and in which the source sees an error."""
        if self._guesser is None:
            return {"category": None, "top_category": None}
        known = [(f, said) for f, said in pairs if f.record_id in self._number and said.verdict != "no_error"]
        if not known:
            return {"category": None, "top_category": None}
        numbers = [self._number[failure.record_id] for failure, _ in known]
        guessed = self._guesser.guess(encode_said(self._encoder, [said for _, said in known]), numbers)
        return comparing.categories(self._gold.top, [self._labels[number] for number in numbers], guessed)

    def ceiling(self) -> dict[str, Any] | None:
        """The same classifier on the gold's own words: as far as it can tell categories at all."""
        if self._guesser is None:
            return None
        guessed = self._guesser.guess(self._vectors, range(len(self._labels)))
        return {
            "n": len(guessed),
            "encoder": self._encoder.name,
            **comparing.categories(self._gold.top, self._labels, guessed),
        }


# The tree


def _tree(project: Project, fitted: Fitted) -> dict[str, Any]:
    """The tree against the gold taxonomy, over the failures that both place; by top category, and by the category itself."""
    gold, tree = fitted.gold, project.tree
    placed = [failure for failure in fitted.failures if failure.gold.category is not None]
    can = scoring.analysed(project.db, [failure.record_id for failure in placed])
    here = scoring.counted_categories(project.db, [failure.record_id for failure in placed])
    both = [(str(f.gold.category), here[f.record_id]) for f in placed if f.record_id in here]
    about: dict[str, Any] = {
        "n": len(both),
        "looked_at": len(scoring.looked_at(project.db, [f.record_id for f in placed if f.record_id in here])),
        "not_placed": sum(f.record_id in can and f.record_id not in here for f in placed),
        "not_counted": sum(f.record_id not in can for f in placed),
        "in_tree": sum(1 for _ in tree),
    }
    if not both:
        return {**about, "categories": None, "top_categories": None}
    ours, theirs = [key for key, _ in both], [category for _, category in both]
    tops = {category: _top(project, category) for category in set(theirs)}
    sizes = Counter(str(failure.gold.category) for failure in placed)
    top_sizes = Counter(gold.top(str(failure.gold.category)) for failure in placed)
    return {
        **about,
        "categories": _clusterings(gold, project, ours, theirs, sizes),
        "top_categories": _clusterings(
            gold, project, [gold.top(k) for k in ours], [tops[c] for c in theirs], top_sizes
        ),
    }


def _top(project: Project, category_id: str) -> str:
    return [category_id, *project.tree.ancestors(category_id)][-1]


def _clusterings(
    gold: Gold, project: Project, ours: Sequence[str], theirs: Sequence[str], sizes: Mapping[str, int]
) -> dict[str, Any]:
    found = clustering_agreement(ours, theirs, sizes=dict(sizes))
    without = sorted(set(sizes) - {match.ours for match in found.matches})
    return {
        "gold": len(sizes),
        "tree": len(set(theirs)),
        "adjusted_rand": None if found.adjusted_rand is None else found.adjusted_rand.to_json(),
        "v_measure": None if found.v_measure is None else found.v_measure.to_json(),
        "homogeneity": round(found.homogeneity, 4),
        "completeness": round(found.completeness, 4),
        "matched": found.matched.to_json(),
        "matches": [
            {
                "gold": match.ours,
                "gold_name": gold.categories[str(match.ours)].name,
                "category": match.theirs,
                "name": project.tree.live(str(match.theirs)).name,
                "n_gold": match.n_ours,
                "n_category": match.n_theirs,
                "n_both": match.n_both,
                "f1": round(match.f1, 4),
            }
            for match in found.matches
        ],
        "unmatched": [{"gold": key, "name": gold.categories[str(key)].name, "n": sizes[str(key)]} for key in without],
    }
