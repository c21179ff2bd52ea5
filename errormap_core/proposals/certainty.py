"""How sure the predictions have become: for what share of the failures that nobody placed the first suggestion is right.

'Right' means that the person who answered chose the first suggestion, which was made before the answer. What is asked about is
chosen because its answer teaches most, so it is harder than the rest, and hits among such answers say little of other
failures. Therefore every EVERYth question is about a failure drawn at random among those that nobody placed; the interval is
Wilson's over the LATEST of these, because earlier ones were asked when less was known. Nothing is said before FEWEST_ANSWERS.

An estimate for all failures by a regression on margins stood here before. It was made on labelled texts such as Banking77; on
errors that people sorted its interval held the true share in 71 % of the runs after 20 decisions and 8 % after 100. EVERY and
LATEST were chosen on one half of such errors; the figures in docs/proposals.md are of the other half.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from errormap_core.sentences import Sentence, tr, trn

EVERY = 5
"""So many questions from one that is drawn at random to the next. Each costs a little of what the others would teach."""

LATEST = 10
"""So many of the latest drawn ones make the interval."""

FEWEST_ANSWERS = 20
"""With fewer answers nothing is said."""

FEWEST_DRAWN = 4


@dataclass(frozen=True, slots=True)
class Certainty:
    """What answers tell of predictions.

    n, n_open : analysed failures, and those of them that nobody placed: what the interval is about.
    n_answers, n_right : questions that were answered one by one, and those where the first suggestion was chosen.
    n_missing : answers that are missing before anything is said.
    n_drawn, n_drawn_right : the latest answers about failures drawn at random, and where the first suggestion was chosen.
    low, high : the share of open failures whose first suggestion is right lies between, 95 %; None before anything is said.
    """

    n: int
    n_open: int
    n_answers: int
    n_right: int
    n_missing: int
    n_drawn: int
    n_drawn_right: int
    low: float | None
    high: float | None


def certainty(rights: Sequence[bool], drawn: Sequence[bool], *, n: int, n_open: int) -> Certainty:
    """What follows from answers. `rights`: whether the first suggestion was right, in the order of all answers; `drawn`: the
    same of those about failures drawn at random."""
    latest = drawn[-LATEST:]
    missing = max(0, FEWEST_ANSWERS - len(rights), FEWEST_DRAWN - len(latest))
    low = high = None
    if not missing:
        from errormap_core.measures.estimates import (
            share,
        )  # scikit-learn, which the window must not load to read of this

        interval = share(latest)
        low, high = interval.low, interval.high
    return Certainty(n, n_open, len(rights), sum(rights), missing, len(latest), sum(latest), low, high)


def next_drawn_at(n_answers: int, n_drawn: int) -> int:
    """Before how many more questions the next drawn one is asked; 0 is now."""
    return max(0, (n_drawn + 1) * EVERY - 1 - n_answers)


def certainty_sentence(sure: Mapping[str, Any]) -> Sentence:
    """'First suggestion right for 17 to 69 % of the 312 that no person placed (4 of 10 drawn at random)', from a Certainty as
    JSON holds it. What came into a category by accepting a proposal is among these, as no person placed it."""
    if not sure["n_open"]:
        return tr("A person placed every analysed failure; no suggestion is open")
    if sure["n_missing"] > sure["n_open"]:
        return trn(
            "How often the first suggestion is right is not known: {n:,} failure is left that no person placed, too few "
            "to find out",
            "How often the first suggestion is right is not known: {n:,} failures are left that no person placed, too few "
            "to find out",
            sure["n_open"],
        )
    if sure["n_missing"]:
        return trn(
            "How often the first suggestion is right is not known yet: {n:,} more answer is needed",
            "How often the first suggestion is right is not known yet: {n:,} more answers are needed",
            sure["n_missing"],
        )
    return tr(
        "First suggestion right for {low:.0%} to {high:.0%} of the {n_open:,} that no person placed "
        "({n_drawn_right:,} of {n_drawn:,} drawn at random)",
        **sure,
    )


def certainty_explained(sure: Mapping[str, Any]) -> Sentence:
    """What 'right' means, and what the figures are over."""
    said = tr(
        "A suggestion counts as right if whoever answered chose it, or a category that is merged with it by now. One question in "
        "{every:,} is about a failure drawn at random; the 95 % interval is over the latest {latest:,} of these at most.",
        every=EVERY,
        latest=LATEST,
    )
    if not sure["n_answers"]:
        return said
    return trn(
        "{said} Of {n:,} answer in all the first suggestion was right in {k:,}. Most questions are chosen because they teach "
        "most, so that share says little of the rest.",
        "{said} Of {n:,} answers in all the first suggestion was right in {k:,}. Most questions are chosen because they teach "
        "most, so that share says little of the rest.",
        sure["n_answers"],
        said=said,
        k=sure["n_right"],
    )
