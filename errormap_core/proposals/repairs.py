"""Repairs of a tree of categories, found from the tree as it is: merge, promote, move, split, assign, rename, describe.

A pure function of nodes: names, descriptions, and the members' vectors and titles where there are any. The same nodes with the
same seed give the same repairs, whatever the order of the nodes.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from errormap_core.proposals.dividing import splits
from errormap_core.proposals.heterogeneity import cohesion_of
from errormap_core.proposals.labelling import labels
from errormap_core.proposals.merging import merges
from errormap_core.proposals.misplaced import moves, strays
from errormap_core.proposals.nodes import Forest, Node, Repair
from errormap_core.proposals.pairs import BY_NAMES, SIGNALS, WITH_MEMBERS, Encode, Weights, find_pairs, pictures
from errormap_core.proposals.survey import USUAL_SHARE, Refused, Survey
from errormap_core.tasks import Cancelled, Stopped, never_cancelled

__all__ = ["KINDS", "Node", "Repair", "propose_repairs"]

KINDS = ("merge", "promote", "move", "split", "assign", "rename", "describe")

_FINDERS = (
    (("merge",), merges),
    (("promote", "move"), moves),
    (("split",), splits),
    (("assign",), strays),
    (("rename", "describe"), labels),
)

FEWEST_FOR_COHESION = 3


def propose_repairs(
    nodes: Sequence[Node],
    encode: Encode,
    *,
    seed: int = 0,
    refused: Refused = frozenset(),
    cancelled: Cancelled = never_cancelled,
    kinds: Collection[str] = KINDS,
    signals: Collection[str] = SIGNALS,
    with_members: Weights = WITH_MEMBERS,
    by_names: Weights = BY_NAMES,
) -> list[Repair]:
    """Repairs of the tree that `nodes` make, of the given kinds, what is worth most first.

    Parameters
    ----------
    nodes : sequence of Node
        All live categories, the reserved ones included; children of Other have the one with reserved 'other' as parent.
    encode : callable
        Gives the vectors of texts, float32 of shape (n, d), of the same encoder as the members'; asked once.
    refused : collection
        What is not to be proposed: a frozenset of two category ids (a merge of the two, also within a larger one),
        (kind, category id), (kind, category id, parent id or the id of the category that failures are in), or
        ('assign', failure id, category id, id of the category that it is in).
    signals, with_members, by_names
        Signals of merges (pairs.py) and their weights, for measuring.

    Raises Stopped where `cancelled` answers True, ValueError where two nodes have one id or vectors do not fit together.
    """

    def pause() -> None:
        if cancelled():
            raise Stopped

    in_order = sorted(nodes, key=lambda node: node.id)
    if not in_order:
        return []
    with threadpool_limits(limits=1):
        survey = _survey(in_order, encode, seed, refused, pause, signals, with_members, by_names)
        found = [
            repair
            for finds, finder in _FINDERS
            if not set(finds).isdisjoint(kinds)
            for repair in finder(survey)
            if repair.kind in kinds
        ]
    return sorted(found, key=lambda repair: (-round(repair.worth, 9), repair.kind, str(repair.arguments)))


def _survey(
    nodes: Sequence[Node],
    encode: Encode,
    seed: int,
    refused: Refused,
    pause: Callable[[], None],
    signals: Collection[str],
    with_members: Weights,
    by_names: Weights,
) -> Survey:
    pause()
    forest = Forest(nodes, seed=seed, pause=pause)
    seen = pictures(forest, encode, signals, pause)
    pairs = find_pairs(forest, seen, signals=signals, with_members=with_members, by_names=by_names, pause=pause)
    twin = np.zeros(forest.n)
    for side in (pairs.one, pairs.two):
        np.maximum.at(twin, side, pairs.probability)
    cohesion = np.full(forest.n, np.nan)
    for i in range(forest.n):
        if len(forest.nodes[i].vectors) >= FEWEST_FOR_COHESION and not forest.is_reserved[i]:
            pause()
            cohesion[i] = cohesion_of(forest.points(i))
    known = cohesion[~np.isnan(cohesion)]
    usual = float(np.quantile(known, USUAL_SHARE)) if len(known) else 1.0
    sizes = [int(forest.all_n[i]) for i in forest.tops if not forest.is_reserved[i]]
    return Survey(
        forest=forest,
        seen=seen,
        pairs=pairs,
        twin=twin,
        cohesion=cohesion,
        usual=usual,
        usual_size=float(np.median(sizes)) if sizes else 0.0,
        refused=refused,
        seed=seed,
        pause=pause,
    )
