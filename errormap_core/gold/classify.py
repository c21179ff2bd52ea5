"""Puts analyses into gold categories by their words, so that judges can be compared on categories that they never saw.

A logistic regression on the vectors of analyses (embedding/words.py) learns from the gold analyses, and from each
category's name and definition. A failure is never classified by a classifier that has seen the gold analysis of the same
failure: folds are by failure.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from errormap_core.embedding.encoder import Vectors
from errormap_core.gold.files import Gold
from errormap_core.tasks import Cancelled, never_cancelled

N_FOLDS = 10
SEED = 0
C = 10.0
DEFINITION_WEIGHT = 3.0
"""A definition counts as so many analyses. On the sample's own words, of 17 categories, kappa was 0.62 with it and 0.57 without;
the nearest definition alone gave 0.52."""


def definitions(gold: Gold) -> list[tuple[str, str]]:
    """(key, text) of each category: its name, its description, what belongs."""
    return [
        (key, " ".join([f"{category.name}.", category.description, *category.belongs]))
        for key, category in gold.categories.items()
    ]


class Stopped(Exception):
    """The comparison was asked to stop."""


class CategoryGuesser:
    """Classifies texts about the gold's failures; `labels` are the gold categories' keys, one a failure.

    Raises Stopped where `cancelled` answers True while it learns.

    Parameters
    ----------
    vectors : ndarray of shape (n_failures, dim)
        Embeddings of the gold analyses.
    labels : sequence of str
        The category of each failure.
    defined : sequence of (str, ndarray of shape (dim,))
        Categories' keys with the embeddings of their definitions.
    """

    def __init__(
        self,
        vectors: Vectors,
        labels: Sequence[str],
        defined: Sequence[tuple[str, Vectors]],
        *,
        cancelled: Cancelled = never_cancelled,
    ) -> None:
        known, definitions_of = np.array(labels), np.stack([vector for _, vector in defined])
        self._models: list[tuple[NDArray[np.int64], LogisticRegression]] = []
        n = len(known)
        with threadpool_limits(limits=1):  # so that the same gold gives the same figures, and the window has a core
            for seen, held_out in KFold(min(N_FOLDS, n), shuffle=True, random_state=SEED).split(np.arange(n)):
                if cancelled():
                    raise Stopped
                texts = np.concatenate([vectors[seen], definitions_of])
                names = np.concatenate([known[seen], np.array([key for key, _ in defined])])
                weights = np.repeat([1.0, DEFINITION_WEIGHT], [len(seen), len(defined)])
                self._models.append((held_out, LogisticRegression(C=C, max_iter=2000).fit(texts, names, weights)))

    def guess(self, vectors: Vectors, failures: Sequence[int]) -> list[str]:
        """The category of each text, which is about the failure of that number in the gold."""
        found = [""] * len(failures)
        wanted = np.array(failures)
        for held_out, model in self._models:
            rows = np.flatnonzero(np.isin(wanted, held_out))
            if len(rows):
                for row, label in zip(rows, model.predict(vectors[rows]), strict=True):
                    found[row] = str(label)
        return found
