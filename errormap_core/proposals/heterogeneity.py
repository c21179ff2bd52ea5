"""Whether a category holds several things, and which: clear separation of its members' vectors.

Members are divided in two, by their main axis first and then as k-means does. What tells whether that says anything is how
alike members of different halves are, against those of the same half: of a category of one piece about as much. Few members
have different halves by chance more easily. A half that is not of one piece itself is divided again, so the number of
parts is not chosen beforehand.

The weights are of a logistic regression, half of it on joined and whole labels of Banking77, half on joined and whole
categories of benchmarks/taxonomies, of 6 to 80 members and of equal sizes: area under the curve 0.99 on the first, 0.81 to 0.93
on the second, whose categories are far more mixed. How alike all members are, against other categories of the tree,
added nothing. benchmarks/splits.py measures the whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from errormap_core.proposals.nodes import Floats, Ints, unit
from errormap_core.proposals.splitting import FEWEST_FOR_GRAPH, neighbour_graph, spectral_rows

CONSTANT, APART, FEW_MEMBERS = 3.1, -6.75, -6.3
"""Of 'this is several things', where every second category is: on the likeness of halves to each other against that inside,
and on one by the root of the number of members."""

FARTHEST = -0.2
"""Halves that are less alike than this count as this: of few mixed members the figure may be anything."""

SELDOM = -1.4
"""Logit of how many categories of a real tree hold several things: about one in five, an estimate."""

CLEARLY_TWO = 0.25
"""A part is divided again where the logit, SELDOM left out, is above this: then that it happens is known already."""

MOST_PARTS = 6
LEAST = 0.02
_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Separation:
    """Parts of a category: `labels` of shape (n,) from 0, the largest part first, and how likely it is several things.

    `cohesion` is the mean similarity of two members, `within` that of two of the same part, `across` of different parts.
    """

    labels: Ints
    probability: float
    cohesion: float
    within: float
    across: float

    @property
    def n_parts(self) -> int:
        return int(self.labels.max()) + 1


def cohesion_of(points: Floats) -> float:
    """Mean similarity of two different rows of length 1; 1 of a single one."""
    n = len(points)
    return 1.0 if n < 2 else float((np.square(points.sum(axis=0)).sum() - n) / (n * (n - 1)))


def separation(
    points: Floats,
    *,
    min_size: int = 3,
    least: float = 0.1,
    seed: int = 0,
    pause: Callable[[], None] = lambda: None,
) -> Separation | None:
    """Parts of members given by vectors without what is common to all, of length 1, shape (n, d).

    None where no two parts of `min_size` members are found, or the probability is under `least`.
    """
    n = len(points)
    if n < 2 * min_size:
        return None
    halves = _halves(points)
    if np.bincount(halves, minlength=2).min() < min_size:
        return None
    logit = _logit(points, halves) + SELDOM
    probability = float(1 / (1 + np.exp(-logit)))
    if probability < least:
        return None
    pause()
    labels = _settled(points, _again(points, halves, min_size, pause), min_size, seed)
    if labels.max() < 1:
        return None
    within, across = _within_across(points, labels)
    return Separation(labels, probability, cohesion_of(points), within, across)


def centres_of(points: Floats, labels: Ints) -> Floats:
    """Mean directions of the parts, shape (k, d)."""
    return unit(np.stack([points[labels == part].sum(axis=0) for part in range(int(labels.max()) + 1)]))


def _logit(points: Floats, labels: Ints) -> float:
    within, across = _within_across(points, labels)
    apart = float(np.clip(across / max(within, LEAST), FARTHEST, 2.0))
    return CONSTANT + APART * apart + FEW_MEMBERS / float(np.sqrt(len(points)))


def _halves(points: Floats) -> Ints:
    """0 or 1 for each point: its side of the mean on the main axis, then k-means from there."""
    middle = points - points.mean(axis=0)
    if len(points) <= points.shape[1]:
        axis = np.linalg.eigh(middle @ middle.T)[1][:, -1]
    else:
        axis = middle @ np.linalg.eigh(middle.T @ middle)[1][:, -1]
    labels: Ints = (axis > 0).astype(np.int64)
    if labels[0]:  # the sign of an axis is chance
        labels = 1 - labels
    for _ in range(_ROUNDS):
        if labels.min() == labels.max():
            break
        means = np.stack([points[labels == side].mean(axis=0) for side in (0, 1)])
        new = (np.square(means).sum(axis=1) - 2 * points @ means.T).argmin(axis=1).astype(np.int64)
        if (new == labels).all():
            break
        labels = new
    return labels


def _within_across(points: Floats, labels: Ints) -> tuple[float, float]:
    """Mean similarity of two members of one part, and of two of different parts."""
    k = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=k).astype(np.float64)
    sums = np.stack([points[labels == part].sum(axis=0) for part in range(k)])
    dots = sums @ sums.T
    several = sizes > 1
    inside = (np.diag(dots)[several] - sizes[several]) / (sizes[several] * (sizes[several] - 1))
    within = float(np.average(inside, weights=sizes[several])) if several.any() else 1.0
    apart = ~np.eye(k, dtype=bool)
    return within, float(dots[apart].sum() / np.outer(sizes, sizes)[apart].sum())


def _again(points: Floats, halves: Ints, min_size: int, pause: Callable[[], None]) -> Ints:
    """Halves, halves of halves and so on, as long as they hold several things."""
    waiting = [np.flatnonzero(halves == side) for side in (0, 1)]
    done: list[NDArray[np.int64]] = []
    while waiting:
        rows = waiting.pop(0)
        is_last = len(rows) < 2 * min_size or len(waiting) + len(done) + 2 > MOST_PARTS
        if not is_last:
            pause()
            labels = _halves(points[rows])
            is_last = np.bincount(labels, minlength=2).min() < min_size or _logit(points[rows], labels) <= CLEARLY_TWO
        if is_last:
            done.append(rows)
        else:
            waiting += [rows[labels == side] for side in (0, 1)]
    found = np.empty(len(points), np.int64)
    for part, rows in enumerate(done):
        found[rows] = part
    return found


def _settled(points: Floats, labels: Ints, min_size: int, seed: int) -> Ints:
    """As many parts, settled by k-means, or by spectral clustering where there are points enough for a graph."""
    k = int(labels.max()) + 1
    distinct, place = np.unique(points.round(6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    if len(distinct) >= FEWEST_FOR_GRAPH:
        with threadpool_limits(limits=1):
            rows = unit(spectral_rows(neighbour_graph(distinct.astype(np.float32)), k, seed=seed)[1])
            new = KMeans(k, n_init=5, random_state=seed).fit(rows).labels_.astype(np.int64)[place]
    else:
        new, centres = labels, centres_of(points, labels)
        for _ in range(_ROUNDS):
            new = (points @ centres.T).argmax(axis=1).astype(np.int64)
            if len(np.unique(new)) < k:
                new = labels
                break
            centres = centres_of(points, new)
    return _without_small(points, new, min_size)


def _without_small(points: Floats, labels: Ints, min_size: int) -> Ints:
    """Parts of fewer members go to their nearest ones; numbers are given anew, the largest part first."""
    labels = labels.copy()
    while True:
        kept, sizes = np.unique(labels, return_counts=True)
        if len(kept) < 2 or sizes.min() >= min_size:
            break
        smallest = kept[sizes.argmin()]
        others = kept[kept != smallest]
        centres = unit(np.stack([points[labels == part].sum(axis=0) for part in others]))
        rows = np.flatnonzero(labels == smallest)
        labels[rows] = others[(points[rows] @ centres.T).argmax(axis=1)]
    order = sorted(
        kept.tolist(), key=lambda part: (-int((labels == part).sum()), int(np.flatnonzero(labels == part)[0]))
    )
    number = {part: new for new, part in enumerate(order)}
    return np.array([number[part] for part in labels.tolist()], np.int64)
