"""How sure the predictions have become: how many failures are in the right place, and what more decisions would bring.

Each answer to 'where does this failure belong?' tells whether the prediction before it was right. A logistic regression of
that on the prediction's margin gives every undecided failure a probability of being right. It begins from what it was on
labelled texts (a normal prior). What is asked about is harder than others of the same margin, so an answer is taken for
HARDER, and weighs less than it would. An answer with a new name counts as a wrong prediction, but not (worklist.py) where
nearly everything is named anew and what was predicted is a group that nobody reads.

The numbers were chosen on four sets of labelled texts (Banking77 above all) and the sample's gold analyses: as they are, in
parts of 400 to 1,200, with skewed sizes, in random order, with a tenth of the answers wrong. What the share said is off by
is in docs/proposals.md; benchmarks/proposals.py prints it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRIOR = (-1.8, 5.1)
"""Intercept and slope before any answer."""

PURER = 0.4
"""How much the intercept grows where categories are smaller than LARGE, times the logarithm of how many times smaller: small
groups are purer than their margins say, as there are more others to be told from."""

LARGE = 30.0

STEEPER = 2.0
"""How much the slope grows until there are MANY answers for each category: predictions become surer than they say."""

MANY = 7.0

PRIOR_SPREAD = (0.42, 0.2)
"""Standard deviations of the prior."""

WEIGHT = 0.33
"""Of an answer in the regression."""

HARDER = 0.4
"""How much lower the log-odds of what is asked about are than those of others with its margin."""

FEWEST_ANSWERS = 20
"""With fewer it is a guess, and is to be called one."""

HALF = 250.0
"""Answers after which half of what was wrong at first is right, on labelled texts in some 80 categories."""

_STEPS = 25


@dataclass(frozen=True, slots=True)
class Certainty:
    """Of `n` failures about `right` are in the right place, between `low` and `high` (95 %); with `more` decisions `after`."""

    n: int
    right: float
    low: float
    high: float
    more: int
    after: float
    n_answers: int


def fit(
    margins: Sequence[float], rights: Sequence[bool], *, n: int, n_categories: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intercept and slope of a logistic regression on margins with the prior, and their covariance: shapes (2,), (2, 2).

    `n` and `n_categories`: how many failures and categories there are.
    """
    x = np.column_stack([np.ones(len(margins)), np.asarray(margins, np.float64)])
    y = np.asarray(rights, np.float64)
    k = max(n_categories, 1)
    purer = PURER * math.log(LARGE / min(max(n / k, 1.0), LARGE))
    steeper = STEEPER * min(1.0, len(margins) / (MANY * k))
    mean, precision = np.array([PRIOR[0] + purer, PRIOR[1] + steeper]), np.diag(1 / np.square(PRIOR_SPREAD))
    at = mean.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(x @ at - HARDER)))
        hessian = WEIGHT * (x * (p * (1 - p))[:, None]).T @ x + precision
        step = np.linalg.solve(hessian, WEIGHT * (x.T @ (y - p)) - precision @ (at - mean))
        at = at + step
        if float(np.abs(step).max()) < 1e-8:
            break
    p = 1 / (1 + np.exp(-(x @ at - HARDER)))
    return at, np.linalg.inv(WEIGHT * (x * (p * (1 - p))[:, None]).T @ x + precision)


def certainty(
    margins: Sequence[float],
    rights: Sequence[bool],
    undecided: NDArray[np.floating],
    *,
    n_decided: int,
    n_categories: int,
    more: int = 40,
) -> Certainty:
    """What follows from answers for what is undecided, whose margins are given.

    `margins`: those of the predictions before each answer; `rights`: whether they were right.
    """
    n = n_decided + len(undecided)
    at, covariance = fit(margins, rights, n=n, n_categories=n_categories)
    x = np.column_stack([np.ones(len(undecided)), np.asarray(undecided, np.float64)])
    p = 1 / (1 + np.exp(-(x @ at)))
    right = n_decided + float(p.sum())
    slope = (x * (p * (1 - p))[:, None]).sum(axis=0)
    spread = float(np.sqrt(slope @ covariance @ slope + (p * (1 - p)).sum()))
    wrong = n - right
    n_answers = max(len(margins), 1)
    # The share that is wrong falls about as 1 / (1 + answers / half), as on labelled texts.
    after = n - wrong * (HALF + n_answers) / (HALF + n_answers + more)
    low, high = max(float(n_decided), right - 1.96 * spread), min(float(n), right + 1.96 * spread)
    return Certainty(n, right, low, high, more, after, len(margins))
