"""Estimates with intervals and with what chance gives: shares, means, kappa, overlap of spans, agreement of clusterings.

Intervals are of 95 %. What is drawn is drawn with a seed, so that the same data give the same figures.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure

CONFIDENCE = 0.95
SEED = 0
N_RESAMPLES = 1000
N_CHANCE = 200
"""Random draws behind each figure of chance."""

FEWEST = 10
"""From fewer items than this no interval is drawn: it would look more certain than it is."""

MOST_GROUPS = 200
"""A jackknife leaves out single items up to so many, else so many groups of them."""

_MOST_CELLS = 4_000_000

MATCHED = 0.5
"""Least F1 of two categories' members for them to count as the same category."""

Span = tuple[int, int]
Labels = Sequence[Hashable]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of `n` items, its interval, and what chance would give (None where that is not defined).

    `low` and `high` are None where too few items are there for an interval.
    """

    value: float
    low: float | None
    high: float | None
    chance: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        return {name: _rounded(value) for name, value in asdict(self).items()}


def share(successes: Sequence[bool], *, chance: float | None = None) -> Estimate:
    """Share of successes with Wilson's interval. Raises ValueError for no item."""
    n = len(successes)
    if not n:
        raise ValueError("a share of nothing")
    test = stats.binomtest(sum(successes), n)
    found = test.proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(sum(successes) / n, float(found.low), float(found.high), chance, n)


def mean(values: Sequence[float], *, chance: float | None = None, clusters: Labels | None = None) -> Estimate:
    """Mean with a percentile bootstrap interval over items. Raises ValueError for no item.

    `clusters` names for each item what it belongs to (answers to one example): those are drawn whole then.
    """
    data = np.asarray(values, dtype=np.float64)
    if not len(data):
        raise ValueError("a mean of nothing")
    low, high = _bootstrap(len(data), lambda rows: float(data[rows].mean()), clusters)
    return Estimate(float(data.mean()), low, high, chance, len(data))


def similarity(ours: NDArray[Any], theirs: NDArray[Any], clusters: Labels) -> Estimate:
    """Mean cosine of rows beside each other, both of shape (n, dim) with rows of length 1.

    Chance is the mean over all pairs of rows from different clusters, exactly, and None where there is one cluster
    alone; the interval is a bootstrap over clusters. Raises ValueError for no row.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if a.shape != b.shape or len(a) != len(clusters):
        raise ValueError("two arrays of one shape, and a cluster for each row")
    if not len(a):
        raise ValueError("a mean of nothing")
    codes, _ = _codes(clusters, clusters)
    k = int(codes.max()) + 1
    sums_a, sums_b = np.zeros((k, a.shape[1])), np.zeros((k, b.shape[1]))
    np.add.at(sums_a, codes, a)
    np.add.at(sums_b, codes, b)
    n_pairs = len(a) ** 2 - int((np.bincount(codes, minlength=k) ** 2).sum())
    apart = float(sums_a.sum(axis=0) @ sums_b.sum(axis=0) - (sums_a * sums_b).sum())
    return mean((a * b).sum(axis=1).tolist(), chance=apart / n_pairs if n_pairs else None, clusters=clusters)


def agreement(ours: Labels, theirs: Labels, *, clusters: Labels | None = None) -> tuple[Estimate, Estimate | None]:
    """Share of items with the same label, and Cohen's kappa (Cohen 1960), which is 0 for chance.

    The share's chance is what the two distributions of labels give. Where both sides give every item one and the same
    label, kappa is not defined and None. Its interval is a percentile bootstrap over items, of the resamples for which
    it is defined, and missing where those are the fewer. With `clusters` those are drawn whole, for the share too,
    whose interval is Wilson's else. Raises ValueError for no item.
    """
    if len(ours) != len(theirs) or not ours:
        raise ValueError("two lists of as many labels, and at least one")
    a, b = _codes(ours, theirs)
    k = int(max(a.max(), b.max())) + 1
    expected = float((np.bincount(a, minlength=k) / len(a)) @ (np.bincount(b, minlength=k) / len(b)))
    if clusters is None:
        same = share([bool(equal) for equal in a == b], chance=expected)
    else:
        same = mean((a == b).astype(float).tolist(), chance=expected, clusters=clusters)
    value = _kappa(a, b)
    if np.isnan(value):
        return same, None
    low, high = _bootstrap(len(a), lambda rows: _kappa(a[rows], b[rows]), clusters)
    return same, Estimate(value, low, high, 0.0, len(a))


def span_f1(ours: Sequence[Span], theirs: Sequence[Span], length: int) -> float:
    """F1 of the characters that two sets of spans cover in a text of `length` characters; 1 where both cover none."""
    return _f1(_mask(ours, length), _mask(theirs, length))


def span_chance(ours: Sequence[Span], theirs: Sequence[Span], length: int) -> float:
    """Mean F1 where spans as long as `theirs` are put anywhere in the text, 200 draws with a seed."""
    mask = _mask(ours, length)
    rng = np.random.default_rng(SEED)
    sizes = [min(end - start, length) for start, end in theirs]
    starts = [rng.integers(0, length - size + 1, N_CHANCE) for size in sizes]
    here = np.arange(length)
    found = []
    for rows in np.array_split(np.arange(N_CHANCE), max(1, N_CHANCE * length // _MOST_CELLS)):
        drawn = np.zeros((len(rows), length), dtype=bool)
        for size, at in zip(sizes, starts, strict=True):
            drawn |= (here >= at[rows, None]) & (here < at[rows, None] + size)
        total = drawn.sum(axis=1) + mask.sum()
        found += np.where(total == 0, 1.0, 2 * (drawn & mask).sum(axis=1) / np.maximum(total, 1)).tolist()
    return float(np.mean(found))


@dataclass(frozen=True, slots=True)
class Match:
    """A category of one side with the one of the other that fits it best, one to one. F1 is of their members."""

    ours: Hashable
    theirs: Hashable
    n_ours: int
    n_theirs: int
    n_both: int

    @property
    def f1(self) -> float:
        return 2 * self.n_both / (self.n_ours + self.n_theirs)


@dataclass(frozen=True, slots=True)
class ClusteringAgreement:
    """How far a clustering is from another. `matched` is the share of `ours` with a match of F1 of at least MATCHED.

    With one category on a side there is nothing to agree on, and the two measures are None.
    """

    adjusted_rand: Estimate | None
    v_measure: Estimate | None
    homogeneity: float
    completeness: float
    matched: Estimate
    matches: tuple[Match, ...]


def clustering_agreement(
    ours: Labels, theirs: Labels, *, sizes: Mapping[Any, int] | None = None
) -> ClusteringAgreement:
    """Adjusted Rand index (Hubert and Arabie 1985), V-measure (Rosenberg and Hirschberg 2007), matched categories.

    `sizes` gives the size of each of `ours` where there are items of it that `theirs` does not place; those count as
    members that are not matched.

    Intervals are of the jackknife over items (a bootstrap would draw items twice, and pairs of an item with itself
    always agree). V-measure grows with fewer items a category, so its interval is of the value for this many items.
    Chance is the mean over 200 permutations of `theirs`. Raises ValueError for no item.
    """
    if len(ours) != len(theirs) or not ours:
        raise ValueError("two lists of as many labels, and at least one")
    a, b = _codes(ours, theirs)
    rng = np.random.default_rng(SEED)
    shuffled = [rng.permutation(b) for _ in range(N_CHANCE)]

    def estimate(measure: Callable[[NDArray[np.int64], NDArray[np.int64]], float], *, least: float) -> Estimate:
        value = measure(a, b)
        low, high = _jackknife(len(a), value, lambda rows: measure(a[rows], b[rows]), least=least)
        return Estimate(value, low, high, float(np.mean([measure(a, other) for other in shuffled])), len(a))

    homogeneity, completeness, _ = homogeneity_completeness_v_measure(a, b)
    names: dict[int, Hashable] = {}
    for code, label in (*zip(a.tolist(), ours, strict=True), *zip(b.tolist(), theirs, strict=True)):
        names.setdefault(code, label)
    of = dict(sizes or Counter(ours))
    whole = {code: of[names[code]] for code in set(a.tolist())}
    matches = _matches(a, b, whole)
    good = sum(match.f1 >= MATCHED for match in matches)
    chance = float(np.mean([sum(m.f1 >= MATCHED for m in _matches(a, other, whole)) / len(of) for other in shuffled]))
    is_one = min(len(set(a.tolist())), len(set(b.tolist()))) < 2
    return ClusteringAgreement(
        adjusted_rand=None if is_one else estimate(lambda x, y: float(adjusted_rand_score(x, y)), least=-0.5),
        v_measure=None if is_one else estimate(_v_measure, least=0.0),
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        matched=share([True] * good + [False] * (len(of) - good), chance=chance),
        matches=tuple(replace(m, ours=names[m.ours], theirs=names[m.theirs]) for m in matches),  # type: ignore[index]
    )


def _v_measure(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    return float(homogeneity_completeness_v_measure(a, b)[2])


def _matches(a: NDArray[np.int64], b: NDArray[np.int64], whole: Mapping[int, int]) -> list[Match]:
    """One-to-one pairs with the greatest sum of F1, those without a common member left out, the best first."""
    rows, columns = np.unique(a), np.unique(b)
    both = np.array([[int(((a == r) & (b == c)).sum()) for c in columns] for r in rows])
    of_rows, of_columns = np.array([whole[int(r)] for r in rows]), both.sum(axis=0)
    f1 = 2 * both / (of_rows[:, None] + of_columns[None, :])
    found = [
        Match(int(rows[i]), int(columns[j]), int(of_rows[i]), int(of_columns[j]), int(both[i, j]))
        for i, j in zip(*linear_sum_assignment(-f1), strict=True)
        if both[i, j]
    ]
    return sorted(found, key=lambda match: (-match.f1, match.ours, match.theirs))


def _codes(ours: Labels, theirs: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole numbers for labels; the same label on both sides is the same number."""
    numbers: dict[Hashable, int] = {}
    coded = [[numbers.setdefault(label, len(numbers)) for label in side] for side in (ours, theirs)]
    return np.array(coded[0]), np.array(coded[1])


def _kappa(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """As scikit-learn's cohen_kappa_score, of which a thousand for a bootstrap would take seconds; NaN where not defined."""
    k = int(max(a.max(), b.max())) + 1
    expected = float(np.bincount(a, minlength=k) @ np.bincount(b, minlength=k)) / len(a) ** 2
    return float("nan") if expected == 1 else (float((a == b).mean()) - expected) / (1 - expected)


def _mask(spans: Sequence[Span], length: int) -> NDArray[np.bool_]:
    mask = np.zeros(length, dtype=bool)
    for start, end in spans:
        mask[start:end] = True
    return mask


def _f1(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum() + b.sum())
    return 1.0 if total == 0 else 2 * int((a & b).sum()) / total


def _bootstrap(
    n: int, statistic: Callable[[NDArray[np.int64]], float], clusters: Labels | None = None
) -> tuple[float | None, float | None]:
    """Percentile interval of a statistic of row numbers; whole clusters are drawn where there are any."""
    if clusters is None:
        members: list[NDArray[np.int64]] | None = None
    else:
        codes, _ = _codes(clusters, clusters)
        members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]) if n else []
        n = len(members)
    if n < FEWEST:
        return None, None
    rng = np.random.default_rng(SEED)

    def rows() -> NDArray[np.int64]:
        chosen = rng.integers(0, n, n)
        return chosen if members is None else np.concatenate([members[cluster] for cluster in chosen])

    drawn = np.array([statistic(rows()) for _ in range(N_RESAMPLES)])
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < N_RESAMPLES / 2:
        return None, None
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return (float(low), float(high)) if low < high else (None, None)  # items that are all alike tell of no spread


def _jackknife(
    n: int, value: float, statistic: Callable[[NDArray[np.int64]], float], *, least: float
) -> tuple[float | None, float | None]:
    """Normal interval around `value`, within what the measure can be."""
    if n < FEWEST:
        return None, None
    order = np.random.default_rng(SEED).permutation(n)
    groups = np.array_split(order, min(n, MOST_GROUPS))
    left_out = np.array([statistic(np.setdiff1d(order, group)) for group in groups])
    g = len(groups)
    error = float(np.sqrt((g - 1) / g * ((left_out - left_out.mean()) ** 2).sum()))
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error
    return (max(least, value - reach), min(1.0, value + reach)) if reach > 0 else (None, None)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
