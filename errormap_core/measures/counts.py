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


def subtree_counts_by(tree: Tree, own: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The same by model, dataset or the like; what is 0 is left out."""
    counts: dict[str, dict[str, int]] = {}
    for category in reversed(list(tree)):
        found = dict(own.get(category.id, {}))
        for child in tree.children(category.id):
            for name, n in counts[child].items():
                found[name] = found.get(name, 0) + n
        counts[category.id] = found
    return counts
