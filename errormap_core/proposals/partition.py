"""One partition of many points: the one that methods which have little in common agree on best.

The methods are communities of the graph of nearest neighbours, of many and of few neighbours (splitting.py), by Louvain's
method (Blondel et al., 2008) at several resolutions, each time without a tenth of the edges; and Ward's method, cut at several
numbers of groups. Communities are better where groups are large, Ward's method where many have a handful of members, and
which it is nobody knows beforehand. Of all partitions the one is taken that is clearest (silhouette), densest (modularity)
and agrees best with its repetitions and the other methods (adjusted Rand index, Hubert and Arabie, 1985). Where that is one
of communities, the answer is a consensus (Lancichinetti and Fortunato, 2012): the method once more, on the same edges, each
as heavy as the share of partitions that have both its ends together. Sizes are never evened out. The same seed gives the
same partition (which scikit-network's Leiden does not do: it draws from the process's own generator; it was no better here).

Figures: docs/proposals.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import adjusted_rand_score
from sknetwork.clustering import Louvain

from errormap_core.proposals.splitting import Labels, Split, Vectors, modularity, silhouette, ward_cut

RESOLUTIONS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0)
TRIES = 3
"""Partitions of each resolution that are compared."""

WARD_UP_TO = 5000
"""Points that are joined by Ward's method, which takes memory by their square."""

MORE_RESOLUTIONS = (32.0, 45.0)
"""Besides, of more points than WARD_UP_TO: these may be in more groups."""

WARD_STEP = 1.25
"""From one number of groups that is tried with Ward's method to the next."""

ALIKE = 2.5
"""Partitions are held against those of other methods with up to so many times as many groups, or as few."""

AGREEMENT_POWER = 0.25
"""Of its agreement with itself and with other methods in what a partition is worth."""

CONSENSUS = 30
AROUND = 1.4
"""The partitions of the consensus have resolutions from the chosen one by this factor down to it times the same."""

DROPPED = 0.1
"""Share of the edges that a partition does without."""

DENSE_POWER = 0.32
"""Modularity falls with the number of groups; at its full weight it would choose too few of skewed sizes."""

ERR_HIGH = 1.1
"""Where groups overlap (silhouette under OVERLAP) so many times as many are taken: one too many costs a merge, one too few
a split."""

OVERLAP = 0.5

NEARLY = 0.1
"""Where a number of groups is given, it is met as nearly as this in logarithms, or Ward's method meets it."""

_MOST_FOR_AGREEMENT = 5000
_LEAST_TOGETHER = 0.02
_CONSENSUS_STEPS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0)


@dataclass(frozen=True, slots=True)
class _Edges:
    """Each edge of a symmetric graph once, and how many nodes there are."""

    one: NDArray[np.int64]
    two: NDArray[np.int64]
    weight: NDArray[np.float64]
    n: int

    def graph(self, keep: NDArray[np.bool_] | None = None, weight: NDArray[np.float64] | None = None) -> object:
        chosen = slice(None) if keep is None else keep
        values = (self.weight if weight is None else weight)[chosen]
        half = sparse.csr_matrix((values, (self.one[chosen], self.two[chosen])), shape=(self.n, self.n))
        return half + half.T


@dataclass(frozen=True, slots=True)
class _Tried:
    """Partitions by one method at one setting: communities of the graph at a place, or Ward's method (None)."""

    graph: int | None
    setting: float
    found: list[Labels]
    quality: float

    @property
    def n_groups(self) -> float:
        return float(np.mean([_count(labels) for labels in self.found]))


def partition(
    points: Vectors,
    graphs: Sequence[sparse.csr_array],
    copies: NDArray[np.int64],
    *,
    max_groups: int,
    n_groups: int | None = None,
    min_size: int = 1,
    seed: int = 0,
    pause: Callable[[], None] = lambda: None,
) -> Split | None:
    """Groups of distinct points of length 1, shape (m, d): at most `max_groups`, or about `n_groups`.

    `graphs` are their neighbour_graphs; `copies` tells how often each point occurs. `pause` is called between steps and may
    raise to end the work. None where no partition with two groups or more is found within the limit.
    """
    pause()
    rng = np.random.default_rng(seed)
    edges = [_edges(graph) for graph in graphs]
    cut = ward_cut(points, pause) if len(points) <= WARD_UP_TO else None
    most = max_groups if n_groups is None else len(points)

    def clearness(labels: Labels) -> float:
        pause()
        return silhouette(points, copies, labels, min_size=min_size)

    def quality(found: list[Labels]) -> float:
        clear = float(np.mean([clearness(labels) for labels in found]))
        pause()
        return clear * max(modularity(graphs[0], found[0]), 0.0) ** DENSE_POWER if clear > 0 else clear

    tried = [
        _Tried(place, resolution, found, quality(found))
        for place in range(len(edges))
        for resolution, found in _communities_of(edges[place], most, rng, pause)
    ]
    if cut is not None:
        for number in _numbers(min(most, len(points) // 2)):
            found = [cut(number)]
            tried.append(_Tried(None, number, found, quality(found)))
    if not tried:
        return None
    chosen = _chosen(tried if n_groups is None else _nearest_to(n_groups, tried), rng, pause)
    wanted: float | None = n_groups
    raised = ERR_HIGH if clearness(chosen.found[0]) < OVERLAP else 1.0
    if chosen.graph is None:
        assert cut is not None
        labels = cut(min(most, round(wanted or chosen.setting * raised)))
    else:
        own = edges[chosen.graph]
        several = [
            _partition(own, float(rng.uniform(chosen.setting / AROUND, chosen.setting * AROUND)), rng, pause)
            for _ in range(CONSENSUS)
        ]
        wanted = wanted or raised * float(np.median([_count(labels) for labels in several]))
        agreed = _consensus(own, several, min(wanted, most), rng, pause, within=most)
        labels = chosen.found[0] if agreed is None else agreed
        if n_groups is not None and cut is not None and _far(_count(labels), n_groups) > NEARLY:
            labels = cut(n_groups)
    return Split(labels, clearness(labels)) if _count(labels) > 1 else None


def _count(labels: Labels) -> int:
    return int(labels.max()) + 1


def _far(n_groups: float, wanted: float) -> float:
    return abs(float(np.log(n_groups / wanted)))


def _communities_of(
    edges: _Edges, most: int, rng: np.random.Generator, pause: Callable[[], None]
) -> Iterator[tuple[float, list[Labels]]]:
    """Partitions of at least two and at most so many groups, and the resolution of each."""
    for resolution in RESOLUTIONS if edges.n <= WARD_UP_TO else (*RESOLUTIONS, *MORE_RESOLUTIONS):
        found = [_partition(edges, resolution, rng, pause) for _ in range(TRIES)]
        if max(map(_count, found)) > most:
            return
        if min(map(_count, found)) > 1:
            yield resolution, found


def _numbers(most: int) -> list[int]:
    """Numbers of groups from 2 to `most`, each about WARD_STEP times the one before."""
    if most < 2:
        return []
    steps = 2 + int(np.log(most / 2) / np.log(WARD_STEP))
    return sorted({round(number) for number in np.geomspace(2, most, steps)})


def _nearest_to(n_groups: int, tried: list[_Tried]) -> list[_Tried]:
    """Of each method the setting with most nearly so many groups, without methods that come less near than others."""

    def far(one: _Tried) -> float:
        return _far(one.n_groups, n_groups)

    graphs = dict.fromkeys(one.graph for one in tried)
    nearest = [min((one for one in tried if one.graph == graph), key=far) for graph in graphs]
    least = min(map(far, nearest))
    return [one for one in nearest if far(one) <= least + NEARLY]


def _chosen(tried: list[_Tried], rng: np.random.Generator, pause: Callable[[], None]) -> _Tried:
    """What is best by quality and agreement: with itself, where it was made several times, and with each other method, of
    which what it is most like counts."""
    n = len(tried[0].found[0])
    rows = rng.choice(n, _MOST_FOR_AGREEMENT, replace=False) if n > _MOST_FOR_AGREEMENT else slice(None)
    methods = sorted({one.graph for one in tried}, key=str)
    likeness = np.zeros((len(tried), len(methods)))

    def alike(one: Labels, other: Labels) -> float:
        pause()
        return float(adjusted_rand_score(one[rows], other[rows]))

    for (i, one), (j, other) in combinations(enumerate(tried), 2):
        if one.graph != other.graph and 1 / ALIKE < one.n_groups / other.n_groups < ALIKE:
            value = alike(one.found[0], other.found[0])
            for place, of in ((i, other), (j, one)):
                column = methods.index(of.graph)
                likeness[place, column] = max(likeness[place, column], value)

    def value_of(place: int) -> float:
        one = tried[place]
        with_others = [likeness[place, column] for column, graph in enumerate(methods) if graph != one.graph]
        with_itself = [alike(*pair) for pair in combinations(one.found, 2)]
        own = float(np.mean(with_itself)) if with_itself else max(with_others, default=1.0)
        agreement = max(float(np.mean([own, *with_others])), 0.0)
        return one.quality * agreement**AGREEMENT_POWER if one.quality > 0 else one.quality

    return tried[max(range(len(tried)), key=value_of)]


def _edges(graph: sparse.csr_array) -> _Edges:
    half = sparse.triu(graph, 1).tocoo()
    one, two = half.coords
    return _Edges(one.astype(np.int64), two.astype(np.int64), half.data.astype(np.float64), graph.shape[0])


def _partition(edges: _Edges, resolution: float, rng: np.random.Generator, pause: Callable[[], None]) -> Labels:
    pause()
    keep = rng.random(len(edges.weight)) >= DROPPED
    return _communities(edges.graph(keep), resolution, int(rng.integers(1 << 30)))


def _communities(graph: object, resolution: float, seed: int) -> Labels:
    method = Louvain(
        resolution=resolution, shuffle_nodes=True, random_state=seed, return_probs=False, return_aggregate=False
    )
    return np.asarray(method.fit_predict(graph), dtype=np.int64)


def _consensus(
    edges: _Edges,
    several: list[Labels],
    wanted: float,
    rng: np.random.Generator,
    pause: Callable[[], None],
    *,
    within: int,
) -> Labels | None:
    """Of the consensus at several resolutions the one that has most nearly as many groups as wanted; None where all have
    more groups than are allowed, or hardly anything is ever together."""
    together = np.mean([labels[edges.one] == labels[edges.two] for labels in several], axis=0)
    keep = together > _LEAST_TOGETHER
    if not keep.any():
        return None
    graph = edges.graph(keep, together)
    seed = int(rng.integers(1 << 30))
    found = []
    for resolution in _CONSENSUS_STEPS:
        pause()
        found.append(_communities(graph, resolution, seed))
    found = [labels for labels in found if _count(labels) <= within]
    return min(found, key=lambda labels: _far(_count(labels), wanted), default=None)
