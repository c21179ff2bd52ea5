"""How what one source says of failures is compared with what another says: verdicts, evidence, categories.

Scores against gold, checks of judges and the agreement of two judges are all made of these. Figures are plain
objects, as JSON holds them; `clusters` names the example of each failure, and examples are drawn whole for intervals.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from errormap_core.embedding.encoder import Encoder, Vectors
from errormap_core.embedding.words import Words, vectors_of_words
from errormap_core.gold.classify import Stopped
from errormap_core.judge.evidence import find_evidence
from errormap_core.measures.estimates import Span, agreement, mean, span_chance, span_f1
from errormap_core.project.scoring import Said
from errormap_core.tasks import Cancelled

Clusters = Sequence[Hashable] | None


class Marked(NamedTuple):
    """What two sources mark in one text of `length` characters, `ours` being the key."""

    ours: list[Span]
    theirs: list[Span]
    length: int


def encode_said(encoder: Encoder, said: Sequence[Said]) -> Vectors:
    """Vectors of analyses by their words, of shape (n, dim)."""
    words = [Words(each.error_title, each.error_summary) for each in said]
    return vectors_of_words(words, lambda texts: encoder.encode(list(texts)))


def spans_of_error(said: Said, text: str) -> list[Span]:
    """Where the evidence of what is not correct stands in the answer; each quote at its first place."""
    found = set()
    for criterion in said.required_criteria:
        if criterion.get("quality") != "correct" and criterion.get("evidence"):
            quote = criterion["evidence"]
            at = text.find(quote)  # an answer may be a single character
            found.update([(at, at + len(quote))] if at >= 0 else find_evidence(text, quote)[:1])
    return sorted(found)


def marked(ours: Said, theirs: Said, text: str) -> Marked:
    """What the two mark as evidence in an answer."""
    return Marked(spans_of_error(ours, text), spans_of_error(theirs, text), len(text))


def verdicts(ours: Sequence[str], theirs: Sequence[str], *, clusters: Clusters = None) -> dict[str, Any]:
    """Share of the same labels and kappa (null where it is not defined). Raises ValueError for none."""
    same, kappa = agreement(ours, theirs, clusters=clusters)
    return {"agreement": same.to_json(), "kappa": None if kappa is None else kappa.to_json()}


def categories(
    top: Callable[[str], str], ours: Sequence[str], theirs: Sequence[str], *, clusters: Clusters = None
) -> dict[str, Any]:
    """The same for categories, and for the top categories that hold them. Raises ValueError for none."""
    return {
        "category": verdicts(ours, theirs, clusters=clusters),
        "top_category": verdicts([top(key) for key in ours], [top(key) for key in theirs], clusters=clusters),
    }


def evidence(spans: Iterable[Marked], *, clusters: Clusters = None) -> dict[str, Any]:
    """F1 of the characters that both mark, over the failures where the key marks any."""
    entries = list(spans)
    of = clusters if clusters is not None else [None] * len(entries)
    kept = [(entry, cluster) for entry, cluster in zip(entries, of, strict=True) if entry.ours]
    if not kept:
        return {"f1": None, "without": 0}
    found = mean(
        [span_f1(*entry) for entry, _ in kept],
        chance=sum(span_chance(*entry) for entry, _ in kept) / len(kept),
        clusters=None if clusters is None else [cluster for _, cluster in kept],
    )
    return {"f1": found.to_json(), "without": sum(not entry.theirs for entry, _ in kept)}


def goes_on(cancelled: Cancelled) -> bool:
    """True, or Stopped is raised."""
    if cancelled():
        raise Stopped
    return True
