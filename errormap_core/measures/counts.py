"""Counts over the tree, without any library: the command line needs them where no window is installed."""

from collections.abc import Mapping

from errormap_core.taxonomy.tree import Tree


def subtree_counts(tree: Tree, own: Mapping[str, int]) -> dict[str, int]:
    """Failures on each live category and below it, from those on each itself."""
    counts: dict[str, int] = {}
    for category in reversed(list(tree)):  # children before parents
        below = sum(counts[child] for child in tree.children(category.id))
        counts[category.id] = own.get(category.id, 0) + below
    return counts
