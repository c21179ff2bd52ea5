"""What all repairs are found from: the tree, what is known of each category, which pairs are alike, what is refused."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from errormap_core.proposals.nodes import Floats, Forest, Ints, unit
from errormap_core.proposals.pairs import Pairs, Pictures
from errormap_core.sentences import Sentence

Refused = Collection[frozenset[str] | tuple[str, ...]]

N_TYPICAL = 5
N_DOUBTFUL = 5
USUAL_SHARE = 0.75
"""Cohesion of the categories of a tree that are of one piece: this quantile, since a quarter at least will be."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What repairs are found from; arrays are by the number of the category.

    `twin` is the probability that a category is the same as its likeliest other, `cohesion` of shape (n,) the mean similarity
    of two of its direct members (NaN under 3), `usual` that of categories of one piece; `usual_size` is the median size of the
    top categories, what is below them included.
    """

    forest: Forest
    seen: Pictures
    pairs: Pairs
    twin: Floats
    cohesion: Floats
    usual: float
    usual_size: float
    refused: Refused
    seed: int
    pause: Callable[[], None]

    def is_refused(self, kind: str, *about: str) -> bool:
        return (kind, about[0]) in self.refused or (kind, *about) in self.refused

    def is_refused_pair(self, one: int, two: int) -> bool:
        ids = frozenset((self.forest.nodes[one].id, self.forest.nodes[two].id))
        return ids in self.refused or any(("merge", key) in self.refused for key in ids)

    def weight(self, i: int) -> int:
        """Failures in and below a category; one where it has none, so that a tree without failures has an order too."""
        return max(1, int(self.forest.all_n[i]))

    def name(self, i: int) -> str:
        return self.forest.nodes[i].name

    def members(self, categories: Sequence[int]) -> tuple[str, ...]:
        """The direct members, category by category."""
        return tuple(member for i in categories for member in self.forest.nodes[i].members)

    def ranked(self, i: int, centre: Floats | None = None) -> tuple[Ints, Floats]:
        """The direct members that are looked at, the most typical first, and how near each is to the mean of the others, or
        to `centre`: places in the category's members, and similarities."""
        rows, points = self.forest.rows(i), self.forest.points(i)
        near = nearness(points) if centre is None else points @ centre
        order = np.lexsort((rows, -near.round(6)))
        return rows[order], near[order]


def nearness(points: Floats) -> Floats:
    """Similarity of each row to the mean of the others, shape (n,); 0 for a single one."""
    if len(points) < 2:
        return np.zeros(len(points))
    return np.asarray(np.einsum("ij,ij->i", points, unit(points.sum(axis=0) - points)))


def said(why: Sentence, **figures: Any) -> dict[str, Any]:
    """Evidence: a sentence, and figures, of which those that are not known are left out."""
    found: dict[str, Any] = {"why": why.to_json()}
    for key, value in figures.items():
        plain = _plain(value)
        if plain is not None:
            found[key] = plain
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: plain for key, inner in value.items() if (plain := _plain(inner)) is not None}
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else round(float(value), 4)
    if isinstance(value, np.integer):
        return int(value)
    return value
