"""How likely two categories are one: every category against every other, by what is known of both.

A category is seen as the mean of the vectors of its name, its description, both together, and its members, each without what
all categories have in common (nodes.py). Signals, each of which can be left out to see what it adds:

- name, description, members: parts of that mean
- crowding: how much nearer two are than each is to its nearest others (CSLS of Conneau et al., 2018, on 3 neighbours)
- rank: how many others are nearer to the one than the other is, and the other way round
- hierarchy: categories below one parent are alike because they share its subject, and what somebody put side by side is rarely
  the same; so what siblings of this tree are nearer than others on average is taken off (most of it). A child of Other
  beside a category elsewhere is a twin more often than others are
- words: names that differ in no content word; names that say that something is missing, wrong, needless or made up in turn
- titles: error titles that occur in both

Of the weights five are learned from the taxonomies in benchmarks/taxonomies (benchmarks/merges.py learns them anew without the
taxonomy that it reports on); those of names in the same words, of shared titles and of UNEVEN are set by hand, since no
taxonomy there has such pairs.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from errormap_core.proposals.nodes import Floats, Forest, Ints, common_of, unit
from errormap_core.proposals.splitting import Vectors, largest
from errormap_core.proposals.wording import Wordings, shortened

Encode = Callable[[Sequence[str]], Vectors]

SIGNALS = ("name", "description", "members", "crowding", "rank", "hierarchy", "words", "titles")

PARTS = {"name": 1.0, "together": 2.0, "description": 1.0, "members": 5.0}
"""Weights of the parts of a category's vector."""

MOST_TOGETHER = 1000
"""With more categories name and description are not embedded together as well: it costs a third text each."""

CROWD = 3
"""Neighbours that a category's surroundings are judged by."""

THIN = 0.3
"""What stands for neighbours that a small tree lacks: the similarity of third neighbours in trees of about 50."""

SIBLINGS = 0.75
"""Share of what siblings are nearer on average that is taken off."""

USUALLY_NEARER = 0.3
"""By so much siblings of the trees that the weights are of are nearer; what is assumed where a tree has few siblings."""

TRUSTED_FROM = 10.0
"""Pairs of siblings that their own average counts half from."""

NEAREST = 10
"""Neighbours of each category that it is paired with."""

TYPICAL_SIZE = 50
"""Categories of the trees that the weights are of. Of more, the same share has a twin, so a single pair is less likely one."""

SAME_WORDING = 2.5
UNEVEN = -1.5
"""For a category with others below it and one without: it is more often one of those below that says the same."""

SHARED_TITLES = 3.0
LIKE_NAMES = 0.3
"""Names with the same words are no farther apart than this; it saves comparing the letters of all others."""

_BLOCK = 512
_MOST_AT_ONCE = 1 << 24
"""Cosines of one block; 64 MiB of them. More categories have fewer rows a block, of which _BLOCK are the most."""

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the logistic regression of 'these two are one' on the signals."""

    constant: float
    near: float
    rank: float
    below_other: float
    opposed: float

    def logits(self, features: Floats) -> Floats:
        """Of features of shape (m, 4): near, rank, below_other, opposed."""
        by = np.array([self.near, self.rank, self.below_other, self.opposed])
        return np.asarray(features @ by + self.constant, dtype=np.float64)


WITH_MEMBERS = Weights(constant=-1.26, near=9.31, rank=0.64, below_other=0.52, opposed=-1.59)
BY_NAMES = Weights(constant=-2.13, near=5.96, rank=0.2, below_other=0.89, opposed=-2.05)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of categories by number, `one` < `two`, the likelier first; all arrays have shape (m,).

    `cosine` is the similarity of their vectors without what is common, `next_to_one` that of the nearest other category to
    the first and `next_to_two` to the second, `name`, `description` and `members` that of these parts (NaN where one
    lacks it). `features` of shape (m, 4) is what the weights are for, `has_members` whether both have members.
    """

    one: Ints
    two: Ints
    probability: Floats
    cosine: Floats
    next_to_one: Floats
    next_to_two: Floats
    name: Floats
    description: Floats
    members: Floats
    shared_titles: Floats
    rank: Ints
    is_same_wording: Ints
    features: Floats
    has_members: Ints

    def __len__(self) -> int:
        return len(self.one)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Vectors of categories, of length 1 or 0, each of shape (n, d): of single parts, and all together."""

    name: Vectors
    description: Vectors
    members: Floats
    whole: Floats


def pictures(
    forest: Forest,
    encode: Encode,
    signals: Collection[str] = SIGNALS,
    pause: Callable[[], None] = lambda: None,
) -> Pictures:
    """What is known of each category; each distinct text is encoded once. `pause` as in find_pairs."""
    pause()
    names = [shortened(node.name) for node in forest.nodes]
    descriptions = [shortened(node.description) for node in forest.nodes]
    is_together = len(names) <= MOST_TOGETHER and forest.dim > 0 and {"name", "description"} <= set(signals)
    joined = (
        [f"{a}. {b}" if a and b else a or b for a, b in zip(names, descriptions, strict=True)] if is_together else []
    )
    joined = [shortened(text) for text in joined]
    texts = list(dict.fromkeys(text for text in (*names, *descriptions, *joined) if text))
    place = {text: row for row, text in enumerate(texts)}
    encoded = encode(texts) if texts else np.zeros((0, forest.dim or 1), np.float32)

    def part(own: Sequence[str]) -> Vectors:
        rows = np.zeros((forest.n, encoded.shape[1]), np.float32)
        has = np.array([i for i, text in enumerate(own) if text], np.int64)
        at = np.array([place[own[i]] for i in has], np.int64)
        common = common_of(encoded[at]) if len(has) else np.zeros(1, np.float32)
        for some in _slices(len(has), pause):
            rows[has[some]] = unit(encoded[at[some]] - common)
        return rows

    name, description = part(names), part(descriptions)
    members = np.zeros(name.shape)
    if forest.dim:
        if forest.dim != encoded.shape[1]:
            raise ValueError("members and names are embedded by different encoders")
        for some in _slices(forest.n, pause):
            members[some] = unit(forest.sums[some])
    parts: dict[str, NDArray[np.floating]] = {"name": name, "description": description, "members": members}
    weights = dict(PARTS)
    if is_together:
        parts["together"] = part(joined)
    else:  # its weight goes to its two halves
        weights["name"] += weights["together"] / 2
        weights["description"] += weights["together"] / 2
    whole = np.zeros(name.shape)
    for some in _slices(forest.n, pause):
        for key, rows in parts.items():
            if key == "together" or key in signals:
                whole[some] += weights[key] * rows[some].astype(np.float64)
        whole[some] = unit(whole[some])
    return Pictures(name, description, members, whole)


def _slices(n: int, pause: Callable[[], None]) -> Iterator[slice]:
    """Rows from 0 to n, some at once."""
    for start in range(0, n, _ROWS_AT_ONCE):
        pause()
        yield slice(start, min(start + _ROWS_AT_ONCE, n))


def find_pairs(
    forest: Forest,
    seen: Pictures,
    *,
    signals: Collection[str] = SIGNALS,
    with_members: Weights = WITH_MEMBERS,
    by_names: Weights = BY_NAMES,
    pause: Callable[[], None] = lambda: None,
) -> Pairs:
    """Each category with its NEAREST others, those that cannot be merged left out (reserved ones; one below the other,
    unless they have the same wording). `pause` is called between steps and may raise to end the work."""
    usable = np.flatnonzero(~forest.is_reserved & (np.linalg.norm(seen.whole, axis=1) > 0))
    n = len(usable)
    if n < 2:
        return _no_pairs()
    space = _Space(
        points=seen.whole[usable].astype(np.float32),
        is_leaf=np.array([not forest.children[i] for i in usable], bool),
        on_line=_on_line(forest, usable),
        pause=pause,
    )
    wordings = Wordings([forest.nodes[i].name for i in usable], pause)
    crowd, nearest_two = space.crowds()
    if "crowding" not in signals:
        crowd = np.full(n, crowd.mean(), np.float32)
    family = forest.family()[usable] if "hierarchy" in signals else np.full(n, -1)
    apart = SIBLINGS * _siblings_nearer(space.points, crowd, family)
    index, rank = space.neighbours(crowd, family, apart)
    one, two, ranks = _both_ways(index, rank, space.on_line[wordings.same(*space.on_line.T)])
    cosine = _dots(space.points, one, two, pause)
    of_pair = 2 * cosine - crowd[one] - crowd[two] - apart * ((family[one] == family[two]) & (family[one] >= 0))
    a, b = usable[one], usable[two]
    same, opposed = np.zeros(len(a), bool), np.zeros(len(a), bool)
    if "words" in signals:
        alike = np.flatnonzero(_dots(seen.name, a, b, pause) >= LIKE_NAMES)
        same[alike] = wordings.same(one[alike], two[alike])
        opposed = ~same & wordings.opposed(one, two)
    below = forest.under_other[a] ^ forest.under_other[b]
    shared = _shared_titles(forest, a, b, pause) if "titles" in signals else np.zeros(len(a))
    known_members = np.linalg.norm(seen.members, axis=1) > 0
    has = known_members[a] & known_members[b] & ("members" in signals)
    features = np.column_stack(
        [
            of_pair,
            -np.log1p(ranks).sum(axis=1) * ("rank" in signals),
            below * ("hierarchy" in signals),
            opposed,
        ]
    ).astype(np.float64)
    logits = np.where(has, with_members.logits(features), by_names.logits(features))
    uneven = space.is_leaf[one] ^ space.is_leaf[two]
    logits += (
        SAME_WORDING * same
        + UNEVEN * (uneven & ~same)
        + SHARED_TITLES * shared
        - np.log(max(n, TYPICAL_SIZE) / TYPICAL_SIZE)
    )
    probability = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    order = np.lexsort((b, a, -probability.round(9)))

    def of_parts(rows: NDArray[np.floating]) -> Floats:
        is_lacking = np.linalg.norm(rows, axis=1) == 0
        return np.where(is_lacking[a] | is_lacking[b], np.nan, _dots(rows, a, b, pause))[order]

    return Pairs(
        one=a[order],
        two=b[order],
        probability=probability[order],
        cosine=cosine[order],
        next_to_one=_next(nearest_two[one], cosine)[order],
        next_to_two=_next(nearest_two[two], cosine)[order],
        name=of_parts(seen.name),
        description=of_parts(seen.description),
        members=of_parts(seen.members),
        shared_titles=shared[order],
        rank=ranks.max(axis=1)[order],
        is_same_wording=same[order].astype(np.int64),
        features=features[order],
        has_members=has[order].astype(np.int64),
    )


def _no_pairs() -> Pairs:
    none, numbers = np.zeros(0), np.zeros(0, np.int64)
    return Pairs(
        numbers, numbers, none, none, none, none, none, none, none, none, numbers, numbers, np.zeros((0, 4)), numbers
    )


def _on_line(forest: Forest, usable: Ints) -> Ints:
    """Pairs of a category and one above it, as places in `usable`: shape (m, 2)."""
    place = {int(i): row for row, i in enumerate(usable)}
    found = []
    for i, row in place.items():
        at = int(forest.parent[i])
        while at >= 0:
            if at in place:
                found.append((row, place[at]))
            at = int(forest.parent[at])
    return np.array(found, np.int64).reshape(-1, 2)


def _both_ways(index: Ints, rank: Ints, besides: Ints) -> tuple[Ints, Ints, Ints]:
    """Pairs of each point with its neighbours (-1: none), and `besides` of shape (k, 2): the lower, the higher number, and the
    rank of the other for each of the two, shape (m, 2); NEAREST where it is no neighbour, 0 from the first of `besides`."""
    n = len(index)
    start, end = np.repeat(np.arange(n), index.shape[1]), index.ravel()
    there = end >= 0
    start, end = np.concatenate([start[there], besides[:, 0]]), np.concatenate([end[there], besides[:, 1]])
    ranks_there = np.concatenate([rank.ravel()[there], np.zeros(len(besides), np.int64)])
    keys, place = np.unique(np.minimum(start, end) * n + np.maximum(start, end), return_inverse=True)
    ranks = np.full((len(keys), 2), NEAREST, np.int64)
    ranks[place, (start > end).astype(np.int64)] = ranks_there
    return keys // n, keys % n, ranks


def _dots(rows: NDArray[np.floating], one: Ints, two: Ints, pause: Callable[[], None]) -> Floats:
    """Products of the rows of each pair, shape (m,)."""
    found = np.empty(len(one))
    for some in _slices(len(one), pause):
        found[some] = np.einsum("ij,ij->i", rows[one[some]].astype(np.float64), rows[two[some]].astype(np.float64))
    return found


@dataclass(frozen=True, slots=True)
class _Space:
    """Categories as points of length 1, float32 of shape (n, d).

    What is near a point is counted in leaves alone: a category that has others below it is near whatever they are near.
    `on_line` (m, 2) are pairs of which one is below the other; they are never neighbours.
    """

    points: Vectors
    is_leaf: NDArray[np.bool_]
    on_line: Ints
    pause: Callable[[], None]

    def _blocks(self) -> Iterator[tuple[int, int, Vectors]]:
        """Cosines of some points to all, -inf to themselves and on their own line. The next ones take the place of these."""
        n = len(self.points)
        both = np.concatenate([self.on_line, self.on_line[:, ::-1]])
        rows = min(n, _BLOCK, max(1, _MOST_AT_ONCE // n))
        place = np.empty((rows, n), np.float32)
        for start in range(0, n, rows):
            self.pause()
            stop = min(start + rows, n)
            block = np.matmul(self.points[start:stop], self.points.T, out=place[: stop - start])
            here = np.arange(stop - start)
            block[here, start + here] = -np.inf
            mine = both[(both[:, 0] >= start) & (both[:, 0] < stop)]
            block[mine[:, 0] - start, mine[:, 1]] = -np.inf
            yield start, stop, block

    def crowds(self) -> tuple[Vectors, Vectors]:
        """Mean similarity of each point to its CROWD nearest leaves, shape (n,), and the two highest, shape (n, 2)."""
        n = len(self.points)
        padded = np.full((n, CROWD), np.float32(THIN))
        k = min(CROWD, int(self.is_leaf.sum()))
        for start, stop, block in self._blocks():
            if k:
                block[:, ~self.is_leaf] = -np.inf
                top = largest(block, k)[1]
                padded[start:stop, :k] = np.where(np.isfinite(top), top, np.float32(THIN))
        return padded.mean(axis=1), padded[:, :2]

    def neighbours(self, crowd: Vectors, family: Ints, apart: float) -> tuple[Ints, Ints]:
        """The NEAREST others of each point (-1: no more), and how many leaves are nearer: two arrays of shape (n, k)."""
        n = len(self.points)
        k = min(NEAREST, n - 1)
        index, rank = np.full((n, k), -1, np.int64), np.full((n, k), NEAREST, np.int64)
        of_row, of_column = family.astype(np.int32), np.where(family >= 0, family, -2).astype(np.int32)
        for start, stop, block in self._blocks():
            block *= 2
            block -= crowd[start:stop, None]
            block -= crowd
            if apart and of_row[start:stop].max() >= 0:
                block -= np.float32(apart) * (of_row[start:stop, None] == of_column)
            found, chosen = largest(block, k)
            leaves = self.is_leaf[found]
            index[start:stop] = np.where(np.isfinite(chosen), found, -1)
            rank[start:stop] = np.cumsum(leaves, axis=1) - leaves
        return index, rank


def _siblings_nearer(points: Vectors, crowd: Vectors, family: Ints) -> float:
    """How much nearer siblings are than others on average, at least 0; of few pairs, about as much as in other trees."""
    n = len(points)
    families, label = np.unique(family, return_inverse=True)
    sums = np.zeros((len(families), points.shape[1]))
    np.add.at(sums, label, points.astype(np.float64))
    crowds: Floats = np.bincount(label, crowd.astype(np.float64), minlength=len(families)).astype(np.float64)
    sizes = np.bincount(label, minlength=len(families)).astype(np.float64)

    def total(together: Floats, size: Floats, crowding: Floats) -> Floats:
        return np.asarray(np.square(together).sum(axis=-1) - size - (size - 1) * crowding)  # 2 x cosine: each pair once

    inside = families >= 0
    near = float(total(sums, sizes, crowds)[inside].sum())
    n_near = float((sizes * (sizes - 1) / 2)[inside].sum())
    everywhere = float(total(sums.sum(axis=0)[None], np.array([float(n)]), np.array([crowds.sum()]))[0])
    n_far = n * (n - 1) / 2 - n_near
    if n_near < 1 or n_far < 1:
        return 0.0
    fewer = min(n_near, n_far)
    nearer = near / n_near - (everywhere - near) / n_far
    return max(0.0, (nearer * fewer + USUALLY_NEARER * TRUSTED_FROM) / (fewer + TRUSTED_FROM))


def _next(two_nearest: Vectors, cosine: Floats) -> Floats:
    """The similarity of the nearest category but the other one of the pair."""
    is_nearest = cosine >= two_nearest[:, 0] - 1e-5
    return np.where(is_nearest, two_nearest[:, 1], two_nearest[:, 0]).astype(np.float64)


def _shared_titles(forest: Forest, one: Ints, two: Ints, pause: Callable[[], None]) -> Floats:
    """Share of the distinct titles of the category with fewer that the other has as well."""
    kept: dict[int, frozenset[str]] = {}

    def titles(i: int) -> frozenset[str]:
        if i not in kept:
            pause()
            node = forest.nodes[i]
            chosen = [node.titles[row] for row in forest.rows(i).tolist()] if node.titles else []
            kept[i] = frozenset(key for title in chosen if (key := " ".join(title.casefold().split())))
        return kept[i]

    shares = np.zeros(len(one))
    has = np.array([bool(node.titles) for node in forest.nodes], bool)
    for m in np.flatnonzero(has[one] & has[two]).tolist():
        a, b = titles(int(one[m])), titles(int(two[m]))
        if a and b:
            shares[m] = len(a & b) / min(len(a), len(b))
    return shares
