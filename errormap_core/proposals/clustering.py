"""Clustering of vectors into a tree of groups; what fits nowhere is left over. Pure functions of arrays.

The finest groups come first: those of partition.py, or of Ward's method where there are few points. Where they are more
than one level may hold, they are joined by Ward's method on their mean directions, level by level. Identical vectors are one
point that occurs several times, so that a judge who repeats itself makes no dense spots. The result depends on the vectors
and the seed alone: points are taken in the order of their content, and it runs on one thread, because sums over several
end in other digits.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from errormap_core.proposals.partition import partition
from errormap_core.proposals.splitting import (
    FEWEST_FOR_GRAPH,
    Labels,
    Vectors,
    best_number,
    measures,
    neighbour_graphs,
    split,
    ward_cut,
)
from errormap_core.tasks import Cancelled, Stopped, never_cancelled

METHOD = "louvain consensus or ward"
VERSION = 3

CLEAR = 0.1
"""Least mean silhouette of a split. Points without any structure stay below it."""

FEWEST_TITLES = 6
"""A group with fewer distinct titles is not split further, as in ErrorMap (arXiv 2601.15812)."""

SHARE_OF_GROUPS = 0.1
"""At most ceil of this share of the rows are the groups at the top, as in ErrorMap, and at least 2."""

NEAREST_FLOOR = 0.25
"""Least similarity of a member to the mean of the group's other members."""

FENCE = 3.0
"""A member is far out where its similarity is this many interquartile ranges under the lower quartile (Tukey, 1977)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of rows.

    `members` are the rows of the whole group, those in child groups included, the most typical first;
    `confidences` are their similarities to the centroid, in [0, 1]; `centroid` is the mean direction, of length 1;
    `cohesion` in [0, 1] is the mean similarity of a member to the mean of the others, 0 for a single member.
    """

    members: tuple[int, ...]
    confidences: tuple[float, ...]
    children: tuple["Group", ...]
    centroid: Vectors
    cohesion: float

    @property
    def direct(self) -> tuple[int, ...]:
        """The members that are in no child group, in the order of `members`."""
        below = {row for child in self.children for row in child.members}
        return tuple(row for row in self.members if row not in below)


@dataclass(frozen=True, slots=True)
class Clustering:
    """Groups at the top, the largest first, and the rows that fit into none, rising."""

    groups: tuple[Group, ...]
    other: tuple[int, ...]


def cluster(
    vectors: Vectors,
    *,
    titles: Sequence[Hashable] | None = None,
    depth: int = 2,
    max_categories: int = 25,
    min_size: int = 3,
    seed: int = 0,
    n_groups: int | None = None,
    cancelled: Cancelled = never_cancelled,
) -> Clustering:
    """Cluster vectors of length 1, float32 of shape (n, d).

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        One row a failure.
    titles : sequence of n, optional
        What counts as distinct titles (FEWEST_TITLES); without it, distinct vectors do.
    depth : int
        The most levels of groups, at least 1.
    max_categories : int
        The most groups below one parent; at the top, without n_groups, also at most ceil(0.1 x n), but 2 are always
        allowed.
    min_size : int
        Smaller groups are dissolved.
    n_groups : int, optional
        About so many of the finest groups, before small ones are dissolved; by default as many as are clear.

    Raises Stopped where `cancelled` answers True.
    """
    n = len(vectors)
    if n == 0:
        return Clustering((), ())
    if n_groups is not None:
        n_groups = max(1, min(n_groups, n // min_size))  # more would be too small to be kept
    worker = _Clusterer(
        vectors=np.ascontiguousarray(vectors, dtype=np.float32),
        titles=list(titles) if titles is not None else None,
        max_categories=max_categories,
        min_size=min_size,
        seed=seed,
        is_number_given=n_groups is not None,
        pause=_pause(cancelled),
    )
    with threadpool_limits(limits=1):
        groups, other = worker.groups(n_groups, depth)
    return Clustering(groups, tuple(sorted(other.tolist())))


def centroid_of(vectors: Vectors) -> Vectors:
    """Mean direction of rows, of length 1; that of the first where they cancel out."""
    total = vectors.astype(np.float64).sum(axis=0)
    length = float(np.linalg.norm(total))
    mean: Vectors = (total / length).astype(np.float32) if length > 1e-9 else vectors[0]
    return mean


def similarity_to_others(vectors: Vectors) -> NDArray[np.float64]:
    """Cosine similarity of each row to the mean of the other rows, shape (n,); 0 for a single row."""
    rows = vectors.astype(np.float64)
    if len(rows) < 2:
        return np.zeros(len(rows))
    others = rows.sum(axis=0) - rows
    lengths = np.linalg.norm(others, axis=1)
    result: NDArray[np.float64] = np.einsum("ij,ij->i", rows, others) / np.where(lengths > 1e-9, lengths, 1)
    return result


def cohesion_of(vectors: Vectors) -> float:
    """Mean similarity of a row to the mean of the others, in [0, 1]."""
    return float(np.clip(similarity_to_others(vectors).mean(), 0, 1)) if len(vectors) else 0.0


@dataclass(frozen=True, slots=True)
class _Clusterer:
    vectors: Vectors
    titles: list[Hashable] | None
    max_categories: int
    min_size: int
    seed: int
    is_number_given: bool
    pause: Callable[[], None]

    def groups(self, n_groups: int | None, depth: int) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
        """The groups at the top with those below them, and the rows that fit into none."""
        rows = np.arange(len(self.vectors))
        self.pause()
        first, point_of, copies = distinct(self.vectors)
        points = self.vectors[first]
        limit = max(2, len(rows) // self.min_size)
        graph = found = None
        if n_groups == 1:
            pass  # one group of all but what is far out
        elif len(points) < FEWEST_FOR_GRAPH:
            found = split(
                points,
                copies,
                max_groups=min(limit, self.max_categories**depth),
                n_groups=n_groups,
                min_size=self.min_size,
                pause=self.pause,
            )
        else:
            graphs = neighbour_graphs(points, self.pause)
            graph = graphs[0]
            found = partition(
                points,
                graphs,
                copies,
                max_groups=limit,
                n_groups=n_groups,
                min_size=self.min_size,
                seed=self.seed,
                pause=self.pause,
            )
        labels: Labels = np.zeros(len(points), np.int64)
        if found is not None and (n_groups is not None or found.silhouette >= CLEAR):
            labels = found.labels
        kept = self._settle(rows, labels[point_of])
        parts = [rows[kept == label] for label in np.unique(kept[kept >= 0])]
        place = _Places(points, graph, copies, point_of)
        at_top = self.max_categories
        if not self.is_number_given:
            at_top = min(at_top, max(2, math.ceil(SHARE_OF_GROUPS * sum(map(len, parts)))))
        return self._arranged(parts, depth, place, most=at_top), rows[kept < 0]

    def _arranged(
        self, parts: list[NDArray[np.int64]], levels: int, place: "_Places", *, most: int
    ) -> tuple[Group, ...]:
        """At most so many groups of these finest ones, `levels` deep; one below another only where there are several."""
        if not parts:
            return ()
        if len(parts) <= most:
            return _largest_first(tuple(self._group(part, ()) for part in parts))
        means = np.stack([centroid_of(self.vectors[part]) for part in parts])
        cut = ward_cut(means)
        best = most
        if levels > 1 or not self.is_number_given:
            best = best_number(most, lambda k: place.measures(parts, cut(k), min_size=self.min_size, pause=self.pause))
        joined = cut(best)
        made = []
        for label in range(int(joined.max()) + 1):
            here = [parts[i] for i in np.flatnonzero(joined == label)]
            rows = np.sort(np.concatenate(here))
            below = (
                self._arranged(here, levels - 1, place, most=self.max_categories)
                if levels > 1 and len(here) > 1 and self._may_split(rows)
                else ()
            )
            made.append(self._group(rows, below if len(below) > 1 else ()))
        return _largest_first(tuple(made))

    def _group(self, rows: NDArray[np.int64], children: tuple[Group, ...]) -> Group:
        vectors = self.vectors[rows]
        centroid = centroid_of(vectors)
        similarity = np.clip(vectors.astype(np.float64) @ centroid.astype(np.float64), 0, 1)
        order = np.lexsort((rows, -similarity.round(6)))  # equal ones in their own order
        return Group(
            members=tuple(rows[order].tolist()),
            confidences=tuple(similarity[order].round(6).tolist()),
            children=children,
            centroid=centroid,
            cohesion=round(cohesion_of(vectors), 6),
        )

    def _settle(self, rows: NDArray[np.int64], labels: Labels) -> Labels:
        """Labels without small groups and without members that are far out (-1: fits nowhere).

        Members of a small group go to the nearest other one where they are within its fence.
        """
        vectors = self.vectors[rows]
        labels = labels.copy()
        sizes = np.bincount(labels)
        large = [label for label in range(len(sizes)) if sizes[label] >= self.min_size]
        fences: dict[int, float] = {}
        for label in large:
            here = np.flatnonzero(labels == label)
            similarity = similarity_to_others(vectors[here])
            fences[label] = _fence(similarity)
            if len(here) > 1:
                labels[here[similarity < fences[label]]] = -1
        homeless = np.flatnonzero(~np.isin(labels, large) & (labels >= 0))
        if large and len(homeless):
            names = np.array([label for label in large if (labels == label).any()] or [-1])
            means = np.stack([centroid_of(vectors[labels == name] if name >= 0 else vectors) for name in names])
            to_means = vectors[homeless] @ means.T
            nearest = to_means.argmax(axis=1)
            limits = np.array([fences.get(int(name), np.inf) for name in names])
            labels[homeless] = np.where(to_means.max(axis=1) >= limits[nearest], names[nearest], -1)
        elif len(homeless):
            labels[homeless] = -1
        sizes = np.bincount(labels[labels >= 0], minlength=1)
        small = np.flatnonzero(sizes < self.min_size)
        labels[np.isin(labels, small)] = -1
        return labels

    def _may_split(self, rows: NDArray[np.int64]) -> bool:
        if len(rows) < 2 * self.min_size:
            return False
        if self.titles is not None:
            return len({self.titles[row] for row in rows}) >= FEWEST_TITLES
        return len(distinct(self.vectors[rows])[0]) >= FEWEST_TITLES


@dataclass(frozen=True, slots=True)
class _Places:
    """The distinct points with their graph (None for few), how often each occurs, and which of them each row is."""

    points: Vectors
    graph: sparse.csr_array | None
    copies: NDArray[np.int64]
    point_of: NDArray[np.int64]

    def measures(
        self, parts: Sequence[NDArray[np.int64]], labels: Labels, *, min_size: int, pause: Callable[[], None]
    ) -> tuple[float, float]:
        """Silhouette and modularity of parts that are joined as `labels` say, of shape (number of parts,)."""
        of_point: Labels = np.full(len(self.points), -1, np.int64)
        for part, label in zip(parts, labels, strict=True):
            of_point[self.point_of[part]] = label
        held = np.flatnonzero(of_point >= 0)
        graph = None if self.graph is None else self.graph[held][:, held]
        return measures(
            self.points[held], self.copies[held], of_point[held], min_size=min_size, graph=graph, pause=pause
        )


def _fence(similarity: NDArray[np.float64]) -> float:
    lower, upper = np.quantile(similarity, (0.25, 0.75))
    return max(NEAREST_FLOOR, float(lower - FENCE * (upper - lower)) - 1e-6)


def distinct(vectors: Vectors) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows where distinct vectors first occur, in the order of their content, which of these each row is, and how often
    each occurs."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    point_of = np.empty(len(vectors), np.int64)
    for row, vector in enumerate(vectors + np.float32(0)):  # -0.0 is 0.0
        key = vector.tobytes()
        if key not in seen:
            seen[key] = len(first)
            first.append(row)
        point_of[row] = seen[key]
    order = np.array(sorted(range(len(first)), key=list(seen).__getitem__), np.int64)
    number = np.empty(len(first), np.int64)
    number[order] = np.arange(len(first))
    point_of = number[point_of]
    return np.array(first, np.int64)[order], point_of, np.bincount(point_of)


def _largest_first(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: (-len(group.members), min(group.members))))


def _pause(cancelled: Cancelled) -> Callable[[], None]:
    def pause() -> None:
        if cancelled():
            raise Stopped

    return pause
