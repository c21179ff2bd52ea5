"""Shares of the tree by model: the signatures of ErrorMap (arXiv 2601.15812)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from errormap_core.measures.counts import subtree_counts_by
from errormap_core.taxonomy.tree import Tree


def shares_by_model(
    tree: Tree,
    own_by_model: Mapping[str, Mapping[str, int]],
    counted_by_model: Mapping[str, int],
    *,
    category_ids: Sequence[str],
) -> NDArray[np.float64]:
    """Share of each model's counted failures in each category and below it.

    Returns
    -------
    ndarray of shape (n_models, n_categories)
        Models in the order of `counted_by_model`, categories in that of `category_ids`; NaN for a model
        without counted failures.
    """
    models = list(counted_by_model)
    place = {model: row for row, model in enumerate(models)}
    counts = np.zeros((len(models), len(category_ids)))
    below = subtree_counts_by(tree, own_by_model)
    for column, category_id in enumerate(category_ids):
        for model, n in below[category_id].items():
            counts[place[model], column] = n
    of = np.array([counted_by_model[model] for model in models], dtype=float).reshape(-1, 1)
    shares = np.full_like(counts, np.nan)
    np.divide(counts, of, out=shares, where=of > 0)
    return shares
