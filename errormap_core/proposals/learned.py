"""Places for failures that nobody placed, as decisions taught them: what a propose run takes from the queue's learning."""

from collections.abc import Collection
from dataclasses import dataclass

from errormap_core.embedding.encoder import Encoder
from errormap_core.project.store import Project
from errormap_core.project.teaching import decided_failures
from errormap_core.proposals.queueing import Queue
from errormap_core.tasks import Cancelled, driven, never_cancelled

FEWEST_PLACED = 10
"""Failures that people placed by themselves; with fewer the nearest centroid says as much."""

LEAST_MARGIN = 0.3
"""Margin from which a predicted place is proposed: three in five of such were right on Banking77."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A category that a failure probably belongs to, how probably, and the next one (None: a category that is not made)."""

    category_id: str
    probability: float
    margin: float
    runner_up: str | None
    runner_up_probability: float


def learned_places(
    project: Project, encoder: Encoder, record_ids: Collection[str], *, cancelled: Cancelled = never_cancelled
) -> dict[str, Learned]:
    """Likely places, in categories that are there, of those of these records whose margin is large enough."""
    if len(decided_failures(project.db).placed) < FEWEST_PLACED:
        return {}
    found = driven(Queue(project, encoder, cancelled=cancelled).predict())
    if found is None or found.n_placed < FEWEST_PLACED:
        return {}
    tree = project.tree
    places = {}
    for record_id in record_ids:
        row = found.row_of.get(record_id)
        if row is None or found.prediction.margin[row] < LEAST_MARGIN:
            continue
        (key, probability), *others = found.prediction.ranked(row, 2)
        if tree.get(str(key)) is None:
            continue
        second, second_probability = others[0] if others else ("", 0.0)
        places[record_id] = Learned(
            str(key),
            round(probability, 4),
            round(float(found.prediction.margin[row]), 4),
            str(second) if tree.get(str(second)) is not None else None,
            round(second_probability, 4),
        )
    return places
