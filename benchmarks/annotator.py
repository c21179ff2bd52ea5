"""A simulated annotator, who knows the truth and works the product's own queue; the method sees only the answers.

A category is read as the label of most of its members as it was proposed. Every answer is one decision: place, new,
and the merge of two categories among the nine that are shown when both mean the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from errormap_core.proposals.clustering import Clustering, Group
from errormap_core.proposals.teaching import Key, Lessons, Teacher
from errormap_core.proposals.worklist import AHEAD, MOST_CANDIDATES, Answer, Worklist, worklist

NEAR = 30
"""A wrong answer is the category of one of so many nearest records."""


def leaf_groups(found: Clustering) -> list[NDArray[np.int64]]:
    """Rows of the leaves of a proposed tree; what it puts into Other is the last."""
    leaves: list[NDArray[np.int64]] = []

    def walk(group: Group) -> None:
        if group.direct:
            leaves.append(np.sort(np.array(group.direct, np.int64)))
        for child in group.children:
            walk(child)

    for group in found.groups:
        walk(group)
    if found.other:
        leaves.append(np.array(found.other, np.int64))
    return leaves


def accuracy(labels: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Share of the records that are right under the best one-to-one matching of groups and labels (Kuhn, 1955)."""
    table = np.zeros((int(labels.max()) + 1, int(truth.max()) + 1))
    np.add.at(table, (labels, truth), 1)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(truth))


@dataclass(frozen=True, slots=True)
class Mark:
    """How things stand after so many decisions: `right` as the annotator reads categories.

    `first` is the share of the failures that are not placed whose first suggestion the annotator would choose; `low` and `high`
    what the queue says of it, None before it says anything.
    """

    decisions: int
    accuracy: float
    right: float
    first: float
    low: float | None
    high: float | None

    @property
    def holds(self) -> bool | None:
        """Whether what is said holds; None where nothing is said."""
        return None if self.low is None or self.high is None else self.low <= self.first <= self.high


@dataclass
class Annotator:
    """`noise`: share of wrong answers. `reads`: knows what a proposed category means before naming it."""

    vectors: NDArray[np.float32]
    truth: NDArray[np.int64]
    leaves: Sequence[NDArray[np.int64]]
    seed: int = 0
    ordered: bool = True
    noise: float = 0.0
    reads: bool = True
    decisions: int = 0
    n_new: int = 0
    n_merges: int = 0
    marks: list[Mark] = field(default_factory=list)

    def work(self, marks: Sequence[int], *, teacher: Teacher | None = None) -> list[Mark]:
        """Answer until the last of `marks` (numbers of decisions), or until all is placed; how things stood at the beginning and
        at each."""
        self._teacher = teacher or Teacher(self.vectors, n_groups=len(self.leaves), seed=self.seed)
        self._rng = np.random.default_rng(self.seed + 1)
        self._meaning: dict[Key, int] = {
            f"proposed {n}": int(np.bincount(self.truth[rows]).argmax()) for n, rows in enumerate(self.leaves)
        }
        self._known: set[Key] = set(self._meaning) if self.reads else set()
        self._placed: dict[int, Key] = {}
        self._merged: dict[Key, Key] = {}
        self._answers: list[Answer] = []
        self._order = [int(row) for row in np.random.default_rng(self.seed + 2).permutation(len(self.truth))]
        self._mark(self._list())
        for mark in marks:
            while self.decisions < mark:
                listed = self._list()
                questions = self._questions(listed)
                if not questions:  # everything is placed
                    break
                for place in questions:
                    if self.decisions < mark:
                        self._answer(place, listed)
            self._mark(self._list())
        return self.marks

    def _list(self) -> Worklist:
        return worklist(self._teacher, self._lessons(), self._answers, order=self._order if self.ordered else ())

    def _lessons(self) -> Lessons:
        groups = [(self._now(f"proposed {n}"), rows) for n, rows in enumerate(self.leaves)]
        return Lessons(placed={row: self._now(key) for row, key in self._placed.items()}, groups=groups)

    def _questions(self, listed: Worklist) -> list[int]:
        if self.ordered:
            return [place.row for place in listed.places]
        left = np.setdiff1d(np.arange(len(self.truth)), list(self._placed))
        return [int(row) for row in self._rng.choice(left, min(AHEAD, len(left)), replace=False)]

    def _answer(self, row: int, listed: Worklist) -> None:
        label = int(self.truth[row])
        if self.noise and self._rng.random() < self.noise:
            near = np.argsort(-(self.vectors @ self.vectors[row]), kind="stable")[1:NEAR]
            label = int(self.truth[self._rng.choice(near)])
        ranked = [self._now(key) for key, _ in listed.prediction.ranked(row, len(listed.prediction.keys))]
        ranked = list(dict.fromkeys([*ranked, *(key for key in self._known if self._now(key) == key)]))
        same = [key for key in ranked if key in self._known and self._meaning[key] == label]
        drawn = {place.row for place in listed.places if place.is_drawn}
        self._answers.append(Answer(bool(same) and ranked[0] in same, row in drawn))
        self.decisions += 1
        if not same:
            self.n_new += 1
            same = [f"new {self.n_new}"]
            self._meaning[same[0]] = label
            self._known.add(same[0])
        self._placed[row] = same[0]
        shown = [key for key in same[1:] if key in ranked[:MOST_CANDIDATES]]
        if shown:
            self._merged[shown[0]] = same[0]
            self.decisions += 1
            self.n_merges += 1

    def _now(self, key: Key) -> Key:
        while key in self._merged:
            key = self._merged[key]
        return key

    def _mark(self, listed: Worklist) -> None:
        prediction = listed.prediction
        meaning = np.array([self._meaning[key] for key in prediction.keys])
        labels = np.unique(prediction.best, return_inverse=True)[1].astype(np.int64)
        right = float((meaning[prediction.best] == self.truth).mean())
        known = np.array([key in self._known for key in prediction.keys])
        left = np.setdiff1d(np.arange(len(self.truth)), list(self._placed))
        best = prediction.best[left]
        first = float(((meaning[best] == self.truth[left]) & known[best]).mean()) if len(left) else 1.0
        sure = listed.certainty
        self.marks.append(
            Mark(self.decisions, accuracy(labels, self.truth), right, first, low=sure.low, high=sure.high)
        )


def skewed(truth: NDArray[np.int64], *, seed: int, exponent: float = 0.8, smallest: int = 3) -> NDArray[np.int64]:
    """Rows of a part of the records whose labels have sizes by Zipf's law: the largest whole, none under `smallest`."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(int(truth.max()) + 1)
    largest = int(np.bincount(truth).max())
    rows = []
    for rank, label in enumerate(labels):
        own = rng.permutation(np.flatnonzero(truth == label))
        rows.append(own[: max(smallest, round(largest / (rank + 1) ** exponent))])
    return np.sort(np.concatenate(rows))
