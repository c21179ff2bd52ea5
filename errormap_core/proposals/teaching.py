"""What placements teach: where everything else belongs, and which failure to ask about next. Pure functions of arrays.

Predictions are the mean of two (design and figures: docs/proposals.md): labels that spread over the graph of nearest
neighbours (Zhou et al., 2004), and ridge regression on the vectors beside their spectral rows. What is asked next is chosen
by facility location (Krause and Golovin, 2014): the failure that is near to the most others which nothing placed is near to, each
weighted by how unsure its prediction is.

Everything is given anew each time, so that what is undone is unlearned.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from errormap_core.proposals.clustering import distinct
from errormap_core.proposals.splitting import Labels, Vectors, largest, neighbour_graph, spectral_rows

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

MOST_AT_ONCE = 30_000_000
"""Probabilities that are held at once; where points and keys are more, each point has those of its NEAREST_KEYS alone."""

NEAREST_KEYS = 20

_SPECTRAL = (8, 100)
"""Fewest and most spectral rows; as many as there are groups tell most."""

_LEAST_FOR_SPECTRAL = 50


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is decided and what is proposed.

    `placed`: rows that a person placed by themselves. `groups`: proposed groups and their rows, or categories and those that
    came into them with a group, which nobody looked at one by one. `refused`: (row, key) pairs that were said to be wrong.
    `named`: a vector for keys that may have no rows.
    """

    placed: Mapping[int, Key]
    groups: Sequence[tuple[Key, NDArray[np.int64]]] = ()
    refused: Collection[tuple[int, Key]] = ()
    named: Mapping[Key, Vectors] = field(default_factory=dict)

    @property
    def has_categories(self) -> bool:
        return bool(self.placed or self.groups or self.named)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where rows belong: `keys`; `best`, the place in keys, and `margin` of shape (n,).

    `probability` of shape (m, k) is that of distinct points, of which `point_of` tells each row's, shape (n,). `among` of its
    shape are the places in keys that it is of; None: of all keys in their order.
    """

    keys: tuple[Key, ...]
    probability: NDArray[np.float32]
    point_of: NDArray[np.int64]
    best: Labels
    margin: NDArray[np.float32]
    among: Labels | None = None

    def ranked(self, row: int, most: int) -> list[tuple[Key, float]]:
        """The likeliest keys of a row with their probabilities."""
        own = self.probability[self.point_of[row]]
        places = np.arange(len(own)) if self.among is None else self.among[self.point_of[row]]
        return [(self.keys[places[at]], float(own[at])) for at in np.argsort(-own, kind="stable")[:most]]


@dataclass(frozen=True, slots=True)
class Question:
    """A row to ask about; an answer tells about `n_taught` others that nothing placed is as near to."""

    row: int
    n_taught: int


@dataclass(frozen=True, slots=True)
class _Taught:
    """Lessons about points instead of rows."""

    placed: Mapping[int, Key]
    groups: Sequence[tuple[Key, NDArray[np.int64]]]
    refused: Collection[tuple[int, Key]]
    named: Mapping[Key, Vectors]

    @property
    def keys(self) -> tuple[Key, ...]:
        of_groups = (key for key, _ in self.groups)
        return tuple(dict.fromkeys([*of_groups, *self.named, *self.placed.values()]))


class Teacher:
    """Learns from lessons about fixed rows: float32 of shape (n, d), of length 1, in about `n_groups` groups.

    Rows that are the same are one point: what is said of one holds for all. `pause` is called between steps, here and later,
    and may raise to end the work.
    """

    def __init__(
        self, vectors: Vectors, *, n_groups: int, seed: int = 0, pause: Callable[[], None] = lambda: None
    ) -> None:
        self._pause = pause
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        self.n = len(rows)
        first, self._point_of, _ = distinct(rows)
        pause()
        self._points: Vectors = rows[first]
        self._m = len(first)
        self._spread: sparse.csr_array | None = None
        features = self._points
        if self._m >= _LEAST_FOR_SPECTRAL:
            graph = neighbour_graph(self._points, pause)
            degree = sparse.diags_array(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
            self._spread = sparse.csr_array((degree @ graph @ degree).astype(np.float32))
            least, most = _SPECTRAL
            _, spectral = spectral_rows(graph, max(least, min(most, n_groups, self._m // 3)), seed=seed, pause=pause)
            spectral /= np.maximum(np.linalg.norm(spectral, axis=1, keepdims=True), 1e-12)
            features = (np.hstack([self._points, spectral]) / np.sqrt(2)).astype(np.float32)
        self._features: Vectors = np.ascontiguousarray(features, dtype=np.float32)
        weighed = np.arange(self._m)
        if self._m > MOST_WEIGHED:
            weighed = np.sort(np.random.default_rng(seed).choice(self._m, MOST_WEIGHED, replace=False))
        self._weighed = weighed
        pause()
        chosen = self._features[weighed]
        self._near: Vectors = np.asarray(np.clip(chosen @ chosen.T, 0, 1) ** NEARNESS_POWER, np.float32)
        self._medoids: dict[bytes, int] = {}

    def predict(self, lessons: Lessons) -> Prediction:
        """Where each row belongs. Rows that are placed belong where they are placed, for sure.

        Raises ValueError where no lesson names a category.
        """
        taught = self._taught(lessons)
        keys = tuple(dict.fromkeys([*taught.keys, *lessons.placed.values()]))
        if not keys:
            raise ValueError("there is no category to place anything in")
        number = {key: place for place, key in enumerate(keys)}
        points, labels = self._examples(taught, number)
        among: Labels | None = None
        if (self._m + len(keys)) * len(keys) > MOST_AT_ONCE:
            among, probability = self._of_nearest_keys(points, labels, taught, number)
        else:
            spread = self._spreading(points, labels, len(keys))
            probability = (spread + self._regression(points, labels, taught, number)) * np.float32(0.5)
            for point, key in taught.refused:
                if key in number:
                    probability[point, number[key]] = 0
            self._hold_together(probability, taught, number)
            for point, key in taught.placed.items():
                probability[point] = 0
                probability[point, number[key]] = 1
        probability /= np.maximum(probability.sum(axis=1, keepdims=True), 1e-12)
        top = probability.argmax(axis=1)
        second = np.partition(probability, -2, axis=1)[:, -2] if len(keys) > 1 else np.zeros(self._m, np.float32)
        margin = (probability[np.arange(self._m), top] - second).astype(np.float32)[self._point_of]
        best: Labels = (top.astype(np.int64) if among is None else among[np.arange(self._m), top])[self._point_of]
        for row, key in lessons.placed.items():
            best[row], margin[row] = number[key], 1
        return Prediction(keys, probability, self._point_of, best, margin, among)

    def questions(
        self, lessons: Lessons, prediction: Prediction, n: int, *, without: Collection[int] = ()
    ) -> list[Question]:
        """The n rows that are best asked about, in this order; none that is placed or in `without`."""
        taught = self._taught(lessons)
        undecided = np.ones(self.n, bool)
        undecided[list(lessons.placed)] = False
        askable = undecided.copy()
        askable[list(without)] = False
        rows_of = np.full(self._m, -1)
        rows_of[self._point_of[::-1]] = np.where(askable, np.arange(self.n), -1)[::-1]  # the first of each point
        for row in np.flatnonzero(askable):
            if rows_of[self._point_of[row]] < 0:
                rows_of[self._point_of[row]] = row
        place_of = {int(point): place for place, point in enumerate(self._weighed)}
        count = np.bincount(self._point_of[undecided], minlength=self._m)[self._weighed].astype(np.float32)
        open_ = rows_of[self._weighed] >= 0
        for point in taught.placed:  # another that says the same was placed: it is known
            if point in place_of:
                open_[place_of[point]] = False
        cover = [place_of[point] for point in (*taught.placed, *self._medoids_of(taught.groups)) if point in place_of]
        nearest = self._near[cover].max(axis=0) if cover else np.zeros(len(self._weighed), np.float32)
        margin = np.zeros(self._m, np.float32)
        margin[self._point_of] = prediction.margin
        weight = count * (UNSURE - margin[self._weighed])
        found: list[Question] = []
        while len(found) < n and open_.any():
            gain = np.maximum(self._near - nearest, 0) @ weight
            gain[~open_] = -1
            place = int(gain.argmax())
            n_taught = int(count[self._near[place] > nearest].sum()) - 1
            found.append(Question(int(rows_of[self._weighed[place]]), max(0, n_taught)))
            open_[place] = False
            nearest = np.maximum(nearest, self._near[place])
        return found

    def _taught(self, lessons: Lessons) -> _Taught:
        """About points, and without groups whose failures were placed elsewhere, where that is how nearly all were placed.

        Somebody who names what they see without reading what is proposed means by most names one of the groups.
        """
        point = self._point_of
        placed = {int(point[row]): key for row, key in lessons.placed.items()}
        groups = [(key, np.unique(point[rows])) for key, rows in lessons.groups]
        unread = _unread(placed.values(), [key for key, _ in groups])
        groups = [(key, own) for key, own in groups if key not in unread or not placed.keys() & set(own.tolist())]
        return _Taught(
            placed=placed,
            groups=groups,
            refused={(int(point[row]), key) for row, key in lessons.refused},
            named=lessons.named,
        )

    def _examples(self, taught: _Taught, number: Mapping[Key, int]) -> tuple[Labels, Labels]:
        label = {row: number[key] for row, key in taught.placed.items()}
        for row, (key, _) in zip(self._medoids_of(taught.groups), taught.groups, strict=True):
            label.setdefault(row, number[key])
        return np.fromiter(label, np.int64, len(label)), np.fromiter(label.values(), np.int64, len(label))

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

    def _spreading(self, rows: Labels, labels: Labels, k: int) -> NDArray[np.float32]:
        start = np.zeros((self._m, k), np.float32)
        start[rows, labels] = 1
        if self._spread is None:
            return start
        now = start.copy()
        for _ in range(STEPS):
            self._pause()
            now = SPREAD * (self._spread @ now) + (1 - SPREAD) * start
        now /= np.maximum(now.sum(axis=0, keepdims=True), 1e-12)  # a category with many examples is no likelier by that
        now /= np.maximum(now.sum(axis=1, keepdims=True), 1e-12)
        return now

    def _regression(
        self, rows: Labels, labels: Labels, taught: _Taught, number: Mapping[Key, int]
    ) -> NDArray[np.float32]:
        """Softmax of one-against-all ridge regression."""
        known, labels = self._with_names(self._features[rows], labels, taught, number)
        target = np.zeros((len(labels), len(number)), np.float32)
        target[np.arange(len(labels)), labels] = 1
        if len(known) <= known.shape[1]:
            gram = known @ known.T + RIDGE * np.eye(len(known), dtype=np.float32)
            score = (self._features @ known.T) @ np.linalg.solve(gram, target)
        else:  # the same, by dimensions
            gram = known.T @ known + RIDGE * np.eye(known.shape[1], dtype=np.float32)
            score = self._features @ np.linalg.solve(gram, known.T @ target)
        score = np.exp(SHARPNESS * (score - score.max(axis=1, keepdims=True)))
        return np.asarray(score / score.sum(axis=1, keepdims=True), np.float32)

    def _with_names(
        self, known: Vectors, labels: Labels, taught: _Taught, number: Mapping[Key, int]
    ) -> tuple[Vectors, Labels]:
        """Examples with names for those keys that have none: a category without failures is where its name is."""
        has_example = set(labels.tolist())
        extra = [key for key in taught.named if number[key] not in has_example]
        if not extra:
            return known, labels
        names = np.zeros((len(extra), self._features.shape[1]), np.float32)
        scale = np.float32(1.0 if self._spread is None else 1 / np.sqrt(2))
        names[:, : self._points.shape[1]] = np.stack([taught.named[key] for key in extra]) * scale
        return np.vstack([known, names]), np.concatenate([labels, [number[key] for key in extra]])

    def _of_nearest_keys(
        self, rows: Labels, labels: Labels, taught: _Taught, number: Mapping[Key, int]
    ) -> tuple[Labels, NDArray[np.float32]]:
        """Where there are very many keys: the nearest of each point by the mean of their examples, places in the keys of shape
        (m, NEAREST_KEYS), and how likely each is, which is no more than softmax of similarities."""
        known, labels = self._with_names(self._features[rows], labels, taught, number)
        sums = sparse.csr_array((np.ones(len(labels), np.float32), (labels, np.arange(len(labels))))) @ known
        means = np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), np.float32)
        nearest = np.empty((self._m, min(NEAREST_KEYS, len(means))), np.int64)
        near = np.empty(nearest.shape, np.float32)
        at_once = max(1, MOST_AT_ONCE // (4 * len(means)))
        for start in range(0, self._m, at_once):
            self._pause()
            some = slice(start, start + at_once)
            nearest[some], near[some] = largest(self._features[some] @ means.T, nearest.shape[1])
        probability = np.exp(SHARPNESS * (near - near[:, :1]))

        def put(points: NDArray[np.int64], key: Key, value: NDArray[np.float32]) -> None:
            """Give points this probability of a key, which takes the place of their last one where it is none of theirs."""
            is_there = nearest[points] == number[key]
            column = np.where(is_there.any(axis=1), is_there.argmax(axis=1), nearest.shape[1] - 1)
            nearest[points, column] = number[key]
            probability[points, column] = value

        for point, key in taught.refused:
            if key in number:
                probability[point, nearest[point] == number[key]] = 0
        for key, own in self._held_together(taught):
            top = probability[own].max(axis=1)
            put(own, key, top * np.float32(1.0001))
        for point, key in taught.placed.items():
            probability[point] = 0
            put(np.array([point]), key, np.ones(1, np.float32))
        return nearest, probability

    def _hold_together(self, probability: NDArray[np.float32], taught: _Taught, number: Mapping[Key, int]) -> None:
        """Groups are the likeliest for their own rows."""
        for key, rows in self._held_together(taught):
            top = probability[rows].max(axis=1)
            own = probability[rows, number[key]]
            behind = own < top
            probability[rows[behind], number[key]] = top[behind] * np.float32(1.0001)

    def _held_together(self, taught: _Taught) -> Iterator[tuple[Key, NDArray[np.int64]]]:
        """While little is known, the groups that no answer concerned: their rows stay where they are proposed."""
        if len(taught.placed) >= FREE_UNTIL:
            return
        concerned = set(taught.placed.values())
        rows_placed = set(taught.placed)
        for key, rows in taught.groups:
            if key not in concerned and not rows_placed.intersection(rows.tolist()):
                yield key, rows


def _unread(placed: Collection[Key], groups: Collection[Key]) -> frozenset[Key]:
    into, proposed = set(placed), set(groups)
    if len(placed) < FEWEST_TO_DOUBT or sum(key in proposed for key in placed) >= TRUSTED * len(placed):
        return frozenset()
    return frozenset(key for key in groups if key not in into)
