"""What splits points into groups and measures it: Ward's method, the graph of nearest neighbours, silhouette, modularity.

Fewer than 50 points are joined by Ward's method; partition.py divides more. Of several numbers of groups the one is taken
with the highest product of silhouette (Rousseeuw, 1987) and, where there is a graph, modularity (Newman, 2006): the first
alone likes many small groups, the second alone few large ones. Sizes are never evened out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from scipy.spatial.distance import pdist

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

FEWEST_FOR_GRAPH = 50
NEIGHBOURS = 15
FEW_NEIGHBOURS = 8
SCALE_NEIGHBOUR = 7
SAME_SAYING = 0.3
"""Cosine distance at which two texts may well say the same; what a group of copies of one text is held against."""

_DENSE_UP_TO = 600
_KNN_ROWS = 512
_COLUMNS_AT_ONCE = 1024
_MANY_EQUALS = 100


@dataclass(frozen=True, slots=True)
class Split:
    """Labels of the points (0 to k-1), and how clear the split is: the mean silhouette in [-1, 1]."""

    labels: Labels
    silhouette: float


def split(
    points: Vectors,
    copies: NDArray[np.int64],
    *,
    max_groups: int,
    n_groups: int | None = None,
    min_size: int = 1,
    graph: sparse.csr_array | None = None,
    pause: Callable[[], None] = lambda: None,
) -> Split | None:
    """Split points of length 1, shape (m, d), into 2 to `max_groups` groups, or into `n_groups`, by Ward's method.

    `copies` tells how often each point occurs. `pause` is called between steps and may raise to end the work.
    None where there is nothing to split.
    """
    most = min(len(points), max_groups if n_groups is None else n_groups)
    if most < 2:
        return None
    cut = ward_cut(points)
    best = (
        most
        if n_groups is not None
        else best_number(most, lambda k: measures(points, copies, cut(k), min_size=min_size, graph=graph, pause=pause))
    )
    labels = cut(best)
    return Split(labels, silhouette(points, copies, labels, min_size=min_size))


def measures(
    points: Vectors,
    copies: NDArray[np.int64],
    labels: Labels,
    *,
    min_size: int = 1,
    graph: sparse.csr_array | None = None,
    pause: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Silhouette, and modularity (at least 0; 1 without a graph)."""
    pause()
    dense = 1.0 if graph is None else max(modularity(graph, labels), 0.0)
    return silhouette(points, copies, labels, min_size=min_size), dense


def largest(values: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
    """The k largest values of each row, falling, of equals the first: places and values, two arrays of shape (m, k)."""
    m, n = values.shape
    tops = values
    if n > 4 * _COLUMNS_AT_ONCE:
        # Of the maxima of sets of columns the kth largest is no larger than the kth largest of all; few others are between.
        even = n - n % _COLUMNS_AT_ONCE
        tops = values[:, :even].reshape(m, -1, _COLUMNS_AT_ONCE).max(axis=1)
    least = np.partition(tops, tops.shape[1] - k, axis=1)[:, tops.shape[1] - k]
    is_among = values >= least[:, None]
    for row in np.flatnonzero(np.count_nonzero(is_among, axis=1) > _MANY_EQUALS + 2 * k):
        kth = np.partition(values[row], n - k)[n - k]
        above, equal = np.flatnonzero(values[row] > kth), np.flatnonzero(values[row] == kth)
        is_among[row] = False
        is_among[row, above] = is_among[row, equal[: k - len(above)]] = True
    row_of, column = np.divmod(np.flatnonzero(is_among), n)
    order = np.lexsort((column, -values[row_of, column], row_of))
    start = np.searchsorted(row_of, np.arange(m))
    chosen = order[start[:, None] + np.arange(k)]
    return column[chosen], values[row_of[chosen], column[chosen]]


def nearest(points: Vectors, k: int, pause: Callable[[], None] = lambda: None) -> tuple[NDArray[np.int64], Vectors]:
    """The k nearest other points of each by cosine, and their similarities: two arrays of shape (m, k)."""
    m = len(points)
    index, similarity = np.empty((m, k), np.int64), np.empty((m, k), np.float32)
    for start in range(0, m, _KNN_ROWS):
        pause()
        block = points[start : start + _KNN_ROWS] @ points.T
        here = np.arange(len(block))
        block[here, start + here] = -np.inf
        index[start : start + len(block)], similarity[start : start + len(block)] = largest(block, k)
    return index, similarity


def neighbour_graph(points: Vectors, pause: Callable[[], None] = lambda: None) -> sparse.csr_array:
    """Symmetric graph of nearest neighbours; an edge's weight is exp(-d²/(s·t)), s and t the ends' own scales.

    `pause` is called between steps and may raise to end the work.
    """
    return _graph(*nearest(points, _neighbours(len(points)), pause))


def neighbour_graphs(points: Vectors, pause: Callable[[], None] = lambda: None) -> list[sparse.csr_array]:
    """The neighbour_graph, and, where that is another one, the graph of FEW_NEIGHBOURS, which shows smaller groups."""
    index, similarity = nearest(points, _neighbours(len(points)), pause)
    few = FEW_NEIGHBOURS
    return [_graph(index, similarity)] + ([_graph(index[:, :few], similarity[:, :few])] if few < index.shape[1] else [])


def _neighbours(m: int) -> int:
    return min(NEIGHBOURS, max(5, round(math.sqrt(m))), m - 1)


def _graph(index: NDArray[np.int64], similarity: Vectors) -> sparse.csr_array:
    m, k = index.shape
    squared = np.maximum(2 - 2 * similarity.astype(np.float64), 1e-9)
    scale = np.sqrt(squared[:, min(SCALE_NEIGHBOUR, k) - 1])
    weights = np.maximum(np.exp(-squared / (scale[:, None] * scale[index])), 1e-12)
    graph = sparse.csr_array((weights.ravel(), (np.repeat(np.arange(m), k), index.ravel())), shape=(m, m))
    return sparse.csr_array(graph.maximum(graph.T))


def spectral_rows(
    graph: sparse.csr_array, k: int, *, seed: int, pause: Callable[[], None] = lambda: None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The k largest eigenvalues of the normalised graph, falling, and their vectors of shape (m, k).

    Fewer come back where the iteration found fewer. `pause` is called between steps and may raise to end the work.
    """
    m = graph.shape[0]
    scale = sparse.diags_array(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    normalised = scale @ graph @ scale
    if m <= _DENSE_UP_TO or k > m // 3:
        values, vectors = eigh(normalised.toarray(), subset_by_index=(m - k, m - 1))
    else:

        def product(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            pause()
            return np.asarray(normalised @ vector)

        start = np.random.default_rng(seed).standard_normal(m)
        operator = LinearOperator((m, m), matvec=product, dtype=np.float64)
        try:
            values, vectors = eigsh(operator, k=k, which="LA", v0=start, tol=1e-4)
        except ArpackNoConvergence as found:
            values, vectors = found.eigenvalues, found.eigenvectors
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def silhouette(points: Vectors, copies: NDArray[np.int64], labels: Labels, *, min_size: int = 1) -> float:
    """Mean silhouette by cosine distance over distinct points, in [-1, 1].

    A point alone in its group counts 0, or, where it stands for at least `min_size` and at least two copies, as if
    its own kind were SAME_SAYING away. For vectors of length 1 the mean distance to a group is that to its mean.
    """
    k = int(labels.max()) + 1
    if k < 2:
        return 0.0
    member = sparse.csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(k, len(labels)))
    sizes = np.bincount(labels, minlength=k)
    sums = np.asarray(member @ points.astype(np.float64))
    to_sum = points.astype(np.float64) @ sums.T
    here = np.arange(len(labels))
    own_size = sizes[labels]
    own = 1 - (to_sum[here, labels] - 1) / np.maximum(own_size - 1, 1)
    others = to_sum / np.maximum(sizes, 1)
    others[here, labels] = -np.inf
    others[:, sizes == 0] = -np.inf
    other = 1 - others.max(axis=1)
    own = np.where(own_size == 1, SAME_SAYING, own)
    values = (other - own) / np.maximum(np.maximum(other, own), 1e-9)
    values[(own_size == 1) & (copies < max(2, min_size))] = 0
    return float(values.mean())


def modularity(graph: sparse.csr_array, labels: Labels) -> float:
    """Share of the edges' weight inside groups, less what chance would give."""
    edges = graph.tocoo()
    total = edges.data.sum()
    inside = edges.data[labels[edges.coords[0]] == labels[edges.coords[1]]].sum() / total
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    return float(inside - ((np.bincount(labels, degrees) / total) ** 2).sum())


def ward_cut(points: Vectors, pause: Callable[[], None] = lambda: None) -> Callable[[int], Labels]:
    """What cuts the tree of Ward's method over points of shape (m, d) into k groups."""
    # Distances, not points: of two points on two axes scipy would think that they were distances already.
    distances = pdist(points.astype(np.float64))
    pause()
    tree = linkage(distances, method="ward")

    def cut(k: int) -> Labels:
        return np.asarray(fcluster(tree, k, criterion="maxclust"), dtype=np.int64) - 1

    return cut


def best_number(most: int, measures: Callable[[int], tuple[float, float]]) -> int:
    """The number from 2 to `most` whose two measures have the highest product; of equals the larger.

    Some are tried, closer together where they are small, and then those halfway between the best and its neighbours.
    """
    tried: dict[int, tuple[float, int]] = {}

    def attempt(k: int) -> None:
        clear, dense = measures(k)
        tried[k] = (round(clear * dense if clear > 0 else clear, 9), k)

    steps = np.geomspace(2, most, 16).round().astype(int).tolist()
    for k in sorted({k for k in (*steps, *range(2, 9)) if 2 <= k <= most}):
        attempt(k)
    for _ in range(2):
        numbers = sorted(tried)
        place = numbers.index(max(tried.values())[1])
        for beside in numbers[max(0, place - 1) : place + 2]:
            k = (numbers[place] + beside) // 2
            if k not in tried:
                attempt(k)
    return max(tried.values())[1]
