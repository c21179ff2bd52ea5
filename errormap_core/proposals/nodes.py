"""Categories that repairs are proposed for, and repairs, as values; who is below whom, what members are like on average.

Vectors are compared without what all categories have in common (in a taxonomy of errors everything is about errors), which
tells twins from neighbours far better than raw cosines do. Categories with very many members are looked at through a sample,
drawn with the seed and the category's id, so that the order of the categories does not matter.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from errormap_core.proposals.splitting import Vectors
from errormap_core.taxonomy.tree import name_key

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LOOKED_AT = 2000
"""Members of one category that are looked at; more are drawn from."""

COUNTED_ALIKE = 25
"""So many members and more give a category the same weight in what all categories have in common."""

FEW = 10.0
"""Of n categories' mean the share n / (n + FEW) is taken off: the mean of two is what they say, not what they share."""


@dataclass(frozen=True, slots=True)
class Node:
    """A category of the tree.

    `members` are the ids of the failures directly in it, `vectors` theirs (float32 of shape (n, d), rows of length 1; no rows
    where there are none), `titles` their error titles, as many as members, or none.
    """

    id: str
    parent_id: str | None
    name: str
    description: str
    reserved: Literal["other", "hard"] | None
    members: tuple[str, ...]
    vectors: Vectors
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repair:
    """A suggested operation on the tree.

    `score` is the probability that a person accepts it, `worth` the expected number of failures that are in a better place
    after it (a category without failures counts as one). `members` are the ids of the failures that it concerns, category by
    category; "typical" and "doubtful" in `evidence` are places in `members`, and "why" is a Sentence as JSON.
    """

    kind: str
    arguments: dict[str, Any]
    members: tuple[str, ...]
    score: float
    worth: float
    evidence: dict[str, Any]


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.divide(rows, np.where(lengths > 1e-9, lengths, 1.0)), dtype=np.float64)


def common_of(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """What rows of shape (n, d) share, shape (d,)."""
    return np.asarray(np.average(rows, axis=0) * (len(rows) / (len(rows) + FEW)))


class Forest:
    """Nodes in the order given, by number. A parent that is not among them, or a circle, is read as the top.

    `pause` is called between steps and may raise to end the work.
    """

    def __init__(self, nodes: Sequence[Node], *, seed: int = 0, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        self.nodes = list(nodes)
        self.n = len(self.nodes)
        self.seed = seed
        self.index = {node.id: i for i, node in enumerate(self.nodes)}
        if len(self.index) < self.n:
            raise ValueError("two categories have the same id")
        self.parent = self._parents()
        self.children: list[list[int]] = [[] for _ in range(self.n)]
        for i, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                self.children[parent].append(i)
        self.tops = [i for i in range(self.n) if self.parent[i] < 0]
        self.order = self._top_down()
        self.depth = np.zeros(self.n, np.int64)
        self.under_other = np.zeros(self.n, bool)
        for i in self.order:
            parent = int(self.parent[i])
            if parent >= 0:
                self.depth[i] = self.depth[parent] + 1
                self.under_other[i] = self.under_other[parent] or self.nodes[parent].reserved == "other"
        self.is_reserved = np.array([node.reserved is not None for node in self.nodes], bool)
        self.own_n = np.array([len(node.members) for node in self.nodes], np.int64)
        self.all_n = self._summed(self.own_n.astype(np.float64)[:, None])[:, 0].astype(np.int64)
        self.dim = next((node.vectors.shape[1] for node in self.nodes if len(node.vectors)), 0)
        self.common = self._common()
        self._names: dict[int, frozenset[str]] = {}
        self.sums = self._summed(self._own_sums())

    def _parents(self) -> Ints:
        parent = np.array([self.index.get(node.parent_id or "", -1) for node in self.nodes], np.int64).reshape(-1)
        state = np.zeros(self.n, np.int8)  # 1: on the path being followed, 2: known to lead to the top
        for start in range(self.n):
            path, at = [], start
            while at >= 0 and state[at] == 0:
                state[at] = 1
                path.append(at)
                at = int(parent[at])
            if at >= 0 and state[at] == 1:
                parent[at] = -1
            state[path] = 2
        return parent

    def _top_down(self) -> list[int]:
        found = list(self.tops)
        for i in found:
            found.extend(self.children[i])
        return found

    def _summed(self, rows: Floats) -> Floats:
        """Each node's row with those of all below it, in their place."""
        for i in self._paused(reversed(self.order)):
            if self.parent[i] >= 0:
                rows[self.parent[i]] += rows[i]
        return rows

    def _paused(self, numbers: Iterable[int]) -> Iterator[int]:
        for i in numbers:
            self._pause()
            yield i

    def _common(self) -> Floats:
        weight, total = 0.0, np.zeros(self.dim)
        counted = [node for node in self.nodes if len(node.vectors)]
        for node in counted:
            self._pause()
            w = min(len(node.vectors), COUNTED_ALIKE)
            total += w * node.vectors.mean(axis=0, dtype=np.float64)
            weight += w
        return total / max(weight, 1.0) * (len(counted) / (len(counted) + FEW))

    def _own_sums(self) -> Floats:
        """Sums of the direct members' vectors, shape (n, d); 0 of reserved categories, whose members have nothing in common."""
        sums = np.zeros((self.n, self.dim))
        for i in self._paused(range(self.n)):
            if len(self.nodes[i].vectors) and not self.is_reserved[i]:
                sums[i] = self.own_sum(i, self.points(i))
        return sums

    def own_sum(self, i: int, points: Floats) -> Floats:
        """Sum of the direct members' vectors, shape (d,), of those that are looked at (`points`)."""
        return np.asarray(points.sum(axis=0) * (len(self.nodes[i].vectors) / len(points)))

    def rows(self, i: int) -> Ints:
        """The direct members that are looked at, rising."""
        n = len(self.nodes[i].vectors)
        if n <= MOST_LOOKED_AT:
            return np.arange(n)
        rng = np.random.default_rng([self.seed, zlib.crc32(self.nodes[i].id.encode("utf-8", "surrogatepass"))])
        return np.sort(rng.choice(n, MOST_LOOKED_AT, replace=False))

    def points(self, i: int) -> Floats:
        """The vectors of `rows`, less what is common to all, of length 1."""
        node = self.nodes[i]
        rows = self.rows(i)
        return self.centred(node.vectors if len(rows) == len(node.vectors) else node.vectors[rows])

    def centred(self, vectors: Vectors) -> Floats:
        """Members' vectors less what is common to all, of length 1."""
        return unit(vectors - self.common)

    def is_above(self, upper: int, lower: int) -> bool:
        at = int(self.parent[lower])
        while at >= 0:
            if at == upper:
                return True
            at = int(self.parent[at])
        return False

    def subtree(self, i: int) -> list[int]:
        """The category and all below it, parents first."""
        found = [i]
        for at in found:
            found.extend(self.children[at])
        return found

    def names_below(self, parent: int) -> frozenset[str]:
        """The names (their name_key) of the children of a category, or at the top (-1)."""
        if parent not in self._names:
            below = self.tops if parent < 0 else self.children[parent]
            self._names[parent] = frozenset(name_key(self.nodes[i].name) for i in below)
        return self._names[parent]

    def live_children(self, i: int) -> list[int]:
        return [child for child in self.children[i] if not self.is_reserved[child]]

    def family(self) -> Ints:
        """The parent of each node that has a curated one; -1 at the top and below Other, where nobody sorted."""
        return np.where((self.parent >= 0) & ~self.under_other, self.parent, -1)
