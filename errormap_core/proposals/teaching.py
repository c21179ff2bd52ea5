"""What placements teach: where everything else belongs, and which failure to ask about next. Pure functions of arrays.

Predictions are the mean of two (design and figures: docs/proposals.md): labels that spread over the graph of nearest
neighbours (Zhou et al., 2004), and ridge regression on the vectors beside their spectral rows. What is asked next is chosen
by facility location (Krause and Golovin, 2014): the failure that is near to the most others which nothing placed is near to, each
weighted by how unsure its prediction is.

Everything is given anew each time, so that what is undone is unlearned.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from errormap_core.proposals.splitting import Labels, Vectors, neighbour_graph, spectral_rows

Key = Hashable
"""A category, or a proposal of one."""

SPREAD = 0.9
STEPS = 30
RIDGE = 0.03
SHARPNESS = 10.0
"""A probability is the softmax of so many times the regression's score, which is 1 for a category's own failures."""

FREE_UNTIL = 60
"""Answers up to which a proposed group stays together as long as no answer concerned it."""

TRUSTED = 0.25
"""Where fewer of the placed failures than this went into proposed groups, the groups are not what people see."""

FEWEST_TO_DOUBT = 10

NEARNESS_POWER = 4
UNSURE = 1.02
"""What a failure weighs in choosing: this less the margin of its prediction."""

MOST_WEIGHED = 5000
"""Failures that are weighed against each other in choosing; of more a sample, drawn with the seed."""

WEAK = 0.3
"""Weight of what was placed along with a whole group, beside 1 of what a person placed by itself."""

_SPECTRAL = (8, 100)
"""Fewest and most spectral rows; as many as there are groups tell most."""

_LEAST_FOR_SPECTRAL = 50


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is decided and what is proposed.

    `placed`: rows that a person placed. `along`: rows placed with a group. `groups`: proposed groups and their rows.
    `refused`: (row, key) pairs that were said to be wrong. `named`: a vector for keys that may have no rows.
    """

    placed: Mapping[int, Key]
    groups: Sequence[tuple[Key, NDArray[np.int64]]] = ()
    along: Mapping[int, Key] = field(default_factory=dict)
    refused: Collection[tuple[int, Key]] = ()
    named: Mapping[Key, Vectors] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where rows belong: `keys`; `probability` of shape (n, k); `best`, the place in keys, and `margin` of shape (n,)."""

    keys: tuple[Key, ...]
    probability: NDArray[np.float32]
    best: Labels
    margin: NDArray[np.float32]

    def ranked(self, row: int, most: int) -> list[tuple[Key, float]]:
        """The likeliest keys of a row with their probabilities."""
        order = np.argsort(-self.probability[row], kind="stable")[:most]
        return [(self.keys[place], float(self.probability[row, place])) for place in order]


@dataclass(frozen=True, slots=True)
class Question:
    """A row to ask about; an answer tells about `n_taught` others that nothing placed is as near to."""

    row: int
    n_taught: int


class Teacher:
    """Learns from lessons about fixed points: float32 of shape (n, d), rows of length 1, in about `n_groups` groups."""

    def __init__(self, vectors: Vectors, *, n_groups: int, seed: int = 0) -> None:
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.n = len(vectors)
        self.seed = seed
        self._spread: sparse.csr_array | None = None
        features = self.vectors
        if self.n >= _LEAST_FOR_SPECTRAL:
            graph = neighbour_graph(self.vectors)
            degree = sparse.diags_array(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
            self._spread = sparse.csr_array((degree @ graph @ degree).astype(np.float32))
            least, most = _SPECTRAL
            _, spectral = spectral_rows(graph, max(least, min(most, n_groups, self.n // 3)), seed=seed)
            spectral /= np.maximum(np.linalg.norm(spectral, axis=1, keepdims=True), 1e-12)
            features = np.hstack([self.vectors, spectral.astype(np.float32)]) / np.float32(np.sqrt(2))
        self._features: Vectors = np.ascontiguousarray(features, dtype=np.float32)
        rng = np.random.default_rng(seed)
        self._weighed = (
            np.sort(rng.choice(self.n, MOST_WEIGHED, replace=False)) if self.n > MOST_WEIGHED else np.arange(self.n)
        )
        chosen = self._features[self._weighed]
        self._near: Vectors = np.asarray(np.clip(chosen @ chosen.T, 0, 1) ** NEARNESS_POWER, np.float32)
        self._medoids: dict[bytes, int] = {}

    def predict(self, lessons: Lessons) -> Prediction:
        """Where each row belongs. Rows that are placed belong where they are placed, for sure.

        Raises ValueError where no lesson names a category.
        """
        lessons = self._believed(lessons)
        keys = tuple(
            dict.fromkeys(
                [*(k for k, _ in lessons.groups), *lessons.named, *lessons.along.values(), *lessons.placed.values()]
            )
        )
        if not keys:
            raise ValueError("there is no category to place anything in")
        number = {key: place for place, key in enumerate(keys)}
        rows, labels, weights = self._examples(lessons, number)
        probability: NDArray[np.float32] = np.float32(0.5) * (
            self._spreading(rows, labels, weights, len(keys)) + self._regression(rows, labels, weights, lessons, number)
        )
        for row, key in lessons.refused:
            if key in number:
                probability[row, number[key]] = 0
        self._hold_together(probability, lessons, number)
        for row, key in {**lessons.along, **lessons.placed}.items():
            probability[row] = 0
            probability[row, number[key]] = 1
        probability /= np.maximum(probability.sum(axis=1, keepdims=True), 1e-12)
        best = probability.argmax(axis=1).astype(np.int64)
        top = probability[np.arange(self.n), best]
        second = np.partition(probability, -2, axis=1)[:, -2] if len(keys) > 1 else np.zeros(self.n, np.float32)
        return Prediction(keys, probability, best, (top - second).astype(np.float32))

    def questions(
        self, lessons: Lessons, prediction: Prediction, n: int, *, without: Collection[int] = ()
    ) -> list[Question]:
        """The n rows that are best asked about, in this order; none that is placed or in `without`."""
        lessons = self._believed(lessons)
        place_of = {int(row): place for place, row in enumerate(self._weighed)}
        placed = {*lessons.placed, *lessons.along}
        open_ = np.ones(len(self._weighed), bool)
        open_[[place_of[row] for row in (*placed, *without) if row in place_of]] = False
        undecided = np.ones(len(self._weighed), bool)
        undecided[[place_of[row] for row in placed if row in place_of]] = False
        cover = [place_of[row] for row in (*lessons.placed, *self._medoids_of(lessons.groups)) if row in place_of]
        nearest = self._near[cover].max(axis=0) if cover else np.zeros(len(self._weighed), np.float32)
        weight = np.where(undecided, UNSURE - prediction.margin[self._weighed], 0).astype(np.float32)
        found: list[Question] = []
        while len(found) < n and open_.any():
            gain = np.maximum(self._near - nearest, 0) @ weight
            gain[~open_] = -1
            place = int(gain.argmax())
            n_taught = int(((self._near[place] > nearest) & undecided).sum()) - 1
            found.append(Question(int(self._weighed[place]), max(0, n_taught)))
            open_[place] = False
            nearest = np.maximum(nearest, self._near[place])
        return found

    def _believed(self, lessons: Lessons) -> Lessons:
        """Without the groups whose failures were placed elsewhere, where that is how nearly all were placed.

        Somebody who names what they see without reading what is proposed means by most names one of the groups.
        """
        proposed = {key for key, _ in lessons.groups}
        n_into = sum(key in proposed for key in lessons.placed.values())
        if len(lessons.placed) < FEWEST_TO_DOUBT or n_into >= TRUSTED * len(lessons.placed):
            return lessons
        into = set(lessons.placed.values())
        rows = set(lessons.placed)
        groups = [(key, own) for key, own in lessons.groups if key in into or not rows.intersection(own.tolist())]
        return replace(lessons, groups=groups)

    def _examples(self, lessons: Lessons, number: Mapping[Key, int]) -> tuple[Labels, Labels, NDArray[np.float32]]:
        weight = {**dict.fromkeys(lessons.along, WEAK), **dict.fromkeys(lessons.placed, 1.0)}
        label = {row: number[key] for row, key in {**lessons.along, **lessons.placed}.items()}
        for row, (key, _) in zip(self._medoids_of(lessons.groups), lessons.groups, strict=True):
            if row not in label:
                label[row], weight[row] = number[key], 1.0
        rows = np.fromiter(label, np.int64, len(label))
        labels = np.fromiter((label[row] for row in label), np.int64, len(label))
        return rows, labels, np.fromiter((weight[row] for row in label), np.float32, len(label))

    def _medoids_of(self, groups: Sequence[tuple[Key, NDArray[np.int64]]]) -> list[int]:
        """The most typical row of each group."""
        found = []
        for _, rows in groups:
            known = rows.tobytes()
            if known not in self._medoids:
                own = self._features[rows]
                self._medoids[known] = int(rows[(own @ own.mean(axis=0)).argmax()])
            found.append(self._medoids[known])
        return found

    def _spreading(self, rows: Labels, labels: Labels, weights: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        start = np.zeros((self.n, k), np.float32)
        start[rows, labels] = weights
        if self._spread is None:
            return start
        now = start.copy()
        for _ in range(STEPS):
            now = SPREAD * (self._spread @ now) + (1 - SPREAD) * start
        now /= np.maximum(now.sum(axis=0, keepdims=True), 1e-12)  # a category with many examples is no likelier by that
        now /= np.maximum(now.sum(axis=1, keepdims=True), 1e-12)
        return now

    def _regression(
        self, rows: Labels, labels: Labels, weights: NDArray[np.float32], lessons: Lessons, number: Mapping[Key, int]
    ) -> NDArray[np.float32]:
        """Softmax of one-against-all ridge regression, solved over the examples (there are fewer than dimensions, mostly)."""
        known = self._features[rows]
        extra = [key for key in lessons.named if number[key] not in set(labels.tolist())]
        if extra:  # a category without failures is where its name is
            names = np.zeros((len(extra), self._features.shape[1]), np.float32)
            scale = np.float32(1.0 if self._spread is None else 1 / np.sqrt(2))
            names[:, : self.vectors.shape[1]] = np.stack([lessons.named[key] for key in extra]) * scale
            known = np.vstack([known, names])
            labels = np.concatenate([labels, [number[key] for key in extra]])
            weights = np.concatenate([weights, np.ones(len(extra), np.float32)])
        target = np.eye(len(number), dtype=np.float32)[labels]
        gram = known @ known.T + np.diag(RIDGE / weights)
        score = (self._features @ known.T) @ np.linalg.solve(gram, target)
        score = np.exp(SHARPNESS * (score - score.max(axis=1, keepdims=True)))
        return np.asarray(score / score.sum(axis=1, keepdims=True), np.float32)

    def _hold_together(self, probability: NDArray[np.float32], lessons: Lessons, number: Mapping[Key, int]) -> None:
        """While little is known, the rows of a group that no answer concerned stay where they are proposed."""
        if len(lessons.placed) >= FREE_UNTIL:
            return
        concerned = set(lessons.placed.values())
        rows_placed = set(lessons.placed)
        for key, rows in lessons.groups:
            if key in concerned or rows_placed.intersection(rows.tolist()):
                continue
            top = probability[rows].max(axis=1)
            own = probability[rows, number[key]]
            behind = own < top
            probability[rows[behind], number[key]] = top[behind] * np.float32(1.0001)
