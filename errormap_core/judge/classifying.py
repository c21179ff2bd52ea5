"""Puts failures into given categories by scoring: nothing is written, a judge tells how likely each category's name is.

The failure is evaluated once, and every name is scored as what goes on after it. How likely a name is where nothing is
known of a failure is taken off: long and rare names are not worse, common ones not better (contextual calibration, Zhao
et al. 2021, https://arxiv.org/abs/2102.09690; the same as the mutual information of Holtzman et al. 2021,
https://arxiv.org/abs/2104.08315). No list of categories stands in the prompt, so there is no order that could matter.
The similarity of embeddings may be added (`weigh`). docs/classify.md has the figures by which the defaults were chosen.

The same scores answer questions about two things; each is asked in both orders, and what is answered where nothing is
known is taken off.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from errormap_core import tasks
from errormap_core.judge.base import JudgeInfo, Message
from errormap_core.judge.prompts import Prompt, load_prompt

Method = Literal["embedding", "judge", "both"]

PROMPT_ID, PROMPT_VERSION = "classify", 1

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Stand for a failure that nothing is known of; the three of Zhao et al."""

VERSION = 1
"""Of how scores become probabilities; recorded with a run."""

MOST_CHARACTERS = 1200
"""Of a failure's text; what is longer is cut in its middle. The kind of mistake stands in title and summary."""

MOST_MEMBERS = 5
"""Failures that are shown where a name is chosen."""

_OPENING = "Category:"
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Weights:
    """How scores become probabilities: softmax of `similarity` · cosine + `judge` · (score − `prior` · prior score).

    `similarity` is in nats a unit of cosine, `judge` in nats a nat: the inverse of a temperature.
    """

    similarity: float
    judge: float
    prior: float = 0.9


WEIGHTS: Mapping[Method, Weights] = {
    "embedding": Weights(similarity=15.4, judge=0.0),
    "judge": Weights(similarity=0.0, judge=0.45),
    "both": Weights(similarity=13.0, judge=0.16, prior=1.0),
}
"""Fitted by likelihood on 200 texts of Banking77 that no reported figure is made of (docs/classify.md)."""

OTHER_SIMILARITY = 0.45
"""What Other has for a similarity: a failure whose nearest category is farther belongs to none. With 37 of 77 categories of
Banking77 taken away, 29 % of their texts go to Other by it, and 8 % of the others'."""


class Scores(Protocol):
    """A judge that can score: LlamaJudge."""

    def describe(self) -> JudgeInfo: ...

    def score(
        self,
        messages: Sequence[Message],
        continuations: Sequence[str],
        *,
        opening: str,
        own: int = 0,
        plain: bool = False,
        remember: bool = False,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> list[tuple[float, int]]: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A category that a failure may be put into. `path` is its name with those above it; it is scored where several
    candidates have the same name."""

    id: str
    name: str
    description: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class FailureText:
    """What is known of a failure; task and answer are shown only where there is neither title nor summary."""

    title: str = ""
    summary: str = ""
    task: str = ""
    answer: str = ""

    def shown(self) -> str:
        """The text that a judge is shown, on one line, at most MOST_CHARACTERS long."""
        said = [part.strip() for part in (self.title, self.summary) if part.strip()]
        if not said:
            said = [part.strip() for part in (self.task, self.answer) if part.strip()]
        return _short(
            ". ".join(part.rstrip(".") for part in said[:-1]) + (". " if said[1:] else "") + "".join(said[-1:])
        )


@dataclass(frozen=True, slots=True)
class Classification:
    """A probability for each candidate by its id (they add up to 1), and what follows from them.

    `confidence` is the margin: the best probability minus the runner-up's, 0 to 1; 1 where there is one candidate alone.
    Of equally probable ones the first that was given is the best.
    """

    probabilities: Mapping[str, float]

    @property
    def ranked(self) -> list[str]:
        """Ids, the most probable first."""
        return sorted(self.probabilities, key=lambda key: -self.probabilities[key])

    @property
    def best(self) -> str:
        return self.ranked[0]

    @property
    def runner_up(self) -> str | None:
        return self.ranked[1] if len(self.probabilities) > 1 else None

    @property
    def confidence(self) -> float:
        second = self.runner_up
        return self.probabilities[self.best] - (0.0 if second is None else self.probabilities[second])


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question with two sides: how probable the first is (yes, A), and how sure that is: 0 for a toss of a
    coin, 1 for certain."""

    log_odds: float

    @property
    def probability(self) -> float:
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, self.log_odds))))

    @property
    def confidence(self) -> float:
        return abs(2.0 * self.probability - 1.0)


class Scorer:
    """Asks a judge that scores. For one thread; nothing else may be asked of the judge meanwhile.

    Its methods raise RecordFailed where the judge gave up on a question, Cancelled, and KnownError where it cannot work.
    """

    def __init__(
        self,
        judge: Scores,
        *,
        weights: Mapping[Method, Weights] = WEIGHTS,
        plain: bool = True,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
    ) -> None:
        self.judge = judge
        self.prompt: Prompt = load_prompt(PROMPT_ID, PROMPT_VERSION)
        self._weights = weights
        self._plain = plain
        self._cancelled = cancelled

    def identity(self) -> dict[str, Any]:
        """What scores depend on, for a run's parameters."""
        info = self.judge.describe()
        return {
            "judge": {"name": info.model_file, "sha256": info.model_sha256, "weights": info.weights},
            "prompt": {"id": self.prompt.id, "version": self.prompt.version, "sha256": self.prompt.sha256},
            "template": "plain" if self._plain else info.chat_template,
        }

    # Which category

    def classify(
        self,
        failure: FailureText,
        candidates: Sequence[Candidate],
        *,
        similarities: Mapping[str, float] | None = None,
    ) -> Classification:
        """The category of a failure. With `similarities` (cosine by candidate's id) embeddings have a say as well.

        Raises ValueError where there are no candidates.
        """
        ids = [candidate.id for candidate in candidates]
        method: Method = "judge" if similarities is None else "both"
        weights = self._weights[method]
        scores, priors = self.name_scores(failure, distinct_names(candidates))
        near = None if similarities is None else [similarities[key] for key in ids]
        return weigh(ids, weights, scores=calibrated(scores, priors, weights), similarities=near)

    def name_scores(
        self, failure: FailureText, names: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log-probabilities of names after the failure, and on average after what says nothing: each of shape (n,)."""
        free = [self._names_after(text, names, remember=True) for text in CONTENT_FREE]
        return self._names_after(failure.shown(), names), np.mean(free, axis=0)

    def _names_after(self, text: str, names: Sequence[str], *, remember: bool = False) -> NDArray[np.float64]:
        spaced = [f" {name}" for name in names]
        return self._scores(self._filled("failure", text=text), spaced, opening=_OPENING, remember=remember)

    # Questions with two sides

    def same(self, one: Candidate, two: Candidate) -> Answer:
        """Whether two categories are one."""
        shown, nothing = (_described(one), _described(two)), CONTENT_FREE[0]
        asked = [self._yes(self._filled("same", one=a, two=b)) for a, b in (shown, shown[::-1])]
        return Answer(sum(asked) / 2 - self._yes(self._filled("same", one=nothing, two=nothing), remember=True))

    def better_name(self, one: str, two: str, members: Sequence[FailureText]) -> Answer:
        """Whether `one` says better than `two` what these failures have in common (at most the first five are shown).

        What the names are worth beside each other without any failure is taken off.
        """

        def preference(texts: Sequence[str], *, remember: bool = False) -> float:
            shown = "\n".join(self._filled("failure", text=text).strip() for text in texts)
            ab, ba = (
                self._first(self._filled("name", text=shown, one=a, two=b), (" A", " B"), remember=remember)
                for a, b in ((one, two), (two, one))
            )
            return (ab - ba) / 2

        known = preference([member.shown() for member in members[:MOST_MEMBERS]])
        return Answer(known - preference(CONTENT_FREE[:1], remember=True))

    def belongs(self, failure: FailureText, category: Candidate) -> Answer:
        """Whether a failure belongs to a category, against a failure that nothing is known of."""
        odds = []
        for section in ("failure_first", "category_first"):
            asked, free = (
                self._yes(self._filled(section, one=text, two=_described(category)), remember=is_free)
                for text, is_free in ((failure.shown(), False), (CONTENT_FREE[0], True))
            )
            odds.append(asked - free)
        return Answer(sum(odds) / 2)

    def _yes(self, text: str, *, remember: bool = False) -> float:
        return self._first(text, (" Yes", " No"), remember=remember)

    def _first(self, text: str, sides: tuple[str, str], *, remember: bool) -> float:
        first, second = self._scores(text, sides, opening="Answer:", remember=remember)
        return float(first - second)

    def _scores(self, text: str, continuations: Sequence[str], *, opening: str, remember: bool) -> NDArray[np.float64]:
        messages: list[Message] = [
            {"role": "system", "content": self.prompt.system.strip()},
            {"role": "user", "content": text},
        ]
        scores = self.judge.score(
            messages,
            continuations,
            opening=opening,
            own=len(text),
            plain=self._plain,
            remember=remember,
            cancelled=self._cancelled,
        )
        return np.array([log_probability for log_probability, _ in scores])

    def _filled(self, section: str, **values: str) -> str:
        """One pass over the section; what is put in is not looked at again."""
        return _FIELD.sub(lambda field: values[field[1]], self.prompt.sections[section]).strip("\n")


def weigh(
    ids: Sequence[str],
    weights: Weights,
    *,
    scores: NDArray[np.float64] | None = None,
    similarities: Sequence[float] | NDArray[np.float64] | None = None,
) -> Classification:
    """Probabilities of candidates from what is known of them: log-linear, see Weights. Raises ValueError for no candidates.

    Parameters
    ----------
    ids : of the candidates, n of them
    scores : ndarray of shape (n,), optional
        Of their names, as `calibrated` gives them.
    similarities : of shape (n,), optional
        Cosines between the failure and each of them.
    """
    if not ids:
        raise ValueError("there is no category to choose")
    logits = np.zeros(len(ids))
    if scores is not None:
        logits += weights.judge * scores
    if similarities is not None:
        logits += weights.similarity * np.asarray(similarities, dtype=np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return Classification({key: float(share) for key, share in zip(ids, shares, strict=True)})


def calibrated(scores: NDArray[np.float64], priors: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Log-probabilities of names with that share of what they have where nothing is known taken off."""
    return scores - weights.prior * priors


def shortlist(similarities: NDArray[np.float64], most: int) -> list[int]:
    """The places of the `most` nearest, in ascending order; of equally near ones the first. 0 is all."""
    if most <= 0 or most >= len(similarities):
        return list(range(len(similarities)))
    return sorted(np.argsort(-similarities, kind="stable")[:most].tolist())


def distinct_names(candidates: Sequence[Candidate]) -> list[str]:
    """Names on one line; where several share one, their paths."""
    names = [" ".join(candidate.name.split()) for candidate in candidates]
    keys = [name.casefold() for name in names]
    return [
        " ".join(candidate.path.split()) if candidate.path and keys.count(key) > 1 else name
        for candidate, name, key in zip(candidates, names, keys, strict=True)
    ]


def _described(category: Candidate) -> str:
    return _short(f"{category.name}. {category.description}".strip() if category.description else category.name)


def _short(text: str) -> str:
    """On one line, and at most MOST_CHARACTERS long: what is cut is the middle."""
    line = " ".join(text.split())
    if len(line) <= MOST_CHARACTERS:
        return line
    half = (MOST_CHARACTERS - 3) // 2
    return f"{line[:half]} … {line[-half:]}"
