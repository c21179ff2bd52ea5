"""Proposals about what is in the wrong place: categories below Other that are ones of their own, categories that belong to
another parent's children, failures that are nearer to another category.

Weights of `move` and `assign` are of logistic regressions on benchmarks/taxonomies and Banking77 after some categories and a
tenth of the failures had been put elsewhere at random; how often that happens in a real tree is an estimate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from errormap_core.proposals.nodes import Floats, Ints, Repair, unit
from errormap_core.proposals.survey import N_DOUBTFUL, N_TYPICAL, Survey, nearness, said
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.tree import name_key

MOVE_CONSTANT, MOVE_GAP = -4.6, 10.6
"""Of 'it belongs there': on how much nearer another parent's children are than its own siblings."""

HOME_CONSTANT, HOME_NEAR, HOME_GAP = -4.0, 9.3, 2.2
"""The same for children of Other, which have no siblings that somebody put there: on how near the nearest parent's children
are, and how much nearer than the next parent's."""

LEAST_MOVE = 0.3
LEAST_PROMOTE = 0.2
STRAY_CONSTANT, STRAY_GAP = -4.8, 5.6
"""Of 'this failure belongs there': on how much nearer it is to the other category than to its own."""

SAID = 0.6
"""Weight of a category's name and description beside its members, when failures are compared with it."""

LEAST_STRAY = 0.5
"""A failure is proposed where it is more likely there than not."""

LESS_TYPICAL = 0.25
"""And where so many of the other category's own failures are no nearer to it."""

FEWEST = 3
"""Failures that a category must have to be compared with single failures, and that a promoted category must hold."""

TWINS = 0.5
"""Two categories that are likelier than this the same swap no failures: they are to be merged."""

MOST_COMPARED = 3000
"""With more categories than this, failures are compared with those that are near to their own alone."""


def moves(survey: Survey) -> Iterator[Repair]:
    """Categories that belong below another parent, and children of Other that are to be top categories."""
    homes = _Homes(survey)
    for i in range(survey.forest.n):
        if survey.forest.is_reserved[i] or survey.forest.parent[i] < 0:
            continue
        survey.pause()
        home = homes.of(i)
        is_below_other = bool(survey.forest.under_other[i])
        promoted = _promote(survey, i, home) if is_below_other else None
        moved = _move(survey, i, home) if home is not None else None
        if is_below_other and promoted is not None and moved is not None:
            yield max(promoted, moved, key=lambda repair: repair.score)
        else:
            yield from (repair for repair in (promoted, moved) if repair is not None)


@dataclass(frozen=True, slots=True)
class _Home:
    """Another parent whose children a category is near: how near, how near to its own siblings (None below Other) and to the
    next parent's children, and the probability that it belongs there."""

    parent: int
    near: float
    own: float | None
    following: float
    probability: float


class _Homes:
    """Parents by what their children are together, their name included."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        forest = survey.forest
        self.family = forest.family()
        self.parents = sorted({int(p) for p in self.family if p >= 0})
        self.place = {parent: row for row, parent in enumerate(self.parents)}
        whole, name = survey.seen.whole, survey.seen.name
        self.sums: Floats = np.zeros((len(self.parents), whole.shape[1]))
        for row, parent in enumerate(self.parents):
            self.sums[row] = whole[forest.live_children(parent)].sum(axis=0) + name[parent]
        self.centres = unit(self.sums)

    def of(self, i: int) -> _Home | None:
        survey, forest = self.survey, self.survey.forest
        whole = survey.seen.whole[i]
        near = self.centres @ whole
        own: float | None = None
        parent = int(self.family[i])
        if parent >= 0:
            own = float(unit((self.sums[self.place[parent]] - whole)[None])[0] @ whole)
        for other, row in self.place.items():  # not where it is, nor below itself
            if other in (parent, i) or forest.is_above(i, other) or other == int(forest.parent[i]):
                near[row] = -np.inf
        if not len(near) or not np.isfinite(near.max()):
            return None
        order = np.argsort(-near, kind="stable")
        best = float(near[order[0]])
        following = float(near[order[1]]) if len(order) > 1 and np.isfinite(near[order[1]]) else 0.0
        if own is None:
            logit = HOME_CONSTANT + HOME_NEAR * best + HOME_GAP * (best - following)
        else:
            logit = MOVE_CONSTANT + MOVE_GAP * (best - own)
        probability = float((1 - survey.twin[i]) / (1 + np.exp(-logit)))
        return _Home(self.parents[int(order[0])], best, own, following, probability)


def _move(survey: Survey, i: int, home: _Home) -> Repair | None:
    forest = survey.forest
    node, parent = forest.nodes[i], forest.nodes[home.parent]
    if home.probability < LEAST_MOVE or survey.is_refused("move", node.id, parent.id):
        return None
    if name_key(node.name) in forest.names_below(home.parent):
        return None
    if home.own is None:
        why = tr(
            "“{name}” below Other is near to what is below “{parent}”: similarity {near:.2f}, and {next:.2f} to the next parent.",
            name=node.name,
            parent=parent.name,
            near=home.near,
            next=home.following,
        )
    else:
        why = tr(
            "“{name}” is nearer to what is below “{parent}” ({near:.2f}) than to its own siblings ({own:.2f}).",
            name=node.name,
            parent=parent.name,
            near=home.near,
            own=home.own,
        )
    typical, doubtful = _examples(survey, i)
    own = float("nan") if home.own is None else home.own
    return Repair(
        kind="move",
        arguments={"category_id": node.id, "parent_id": parent.id},
        members=node.members,
        score=home.probability,
        worth=home.probability * survey.weight(i),
        evidence=said(
            why,
            similarity=home.near,
            own_similarity=own,
            next_similarity=home.following,
            typical=typical,
            doubtful=doubtful,
        ),
    )


def _promote(survey: Survey, i: int, home: _Home | None) -> Repair | None:
    """A child of Other as large and of one piece as top categories are, that no other says the same as, and at home nowhere."""
    forest = survey.forest
    node = forest.nodes[i]
    n = int(forest.all_n[i])
    if n < FEWEST or survey.is_refused("promote", node.id):
        return None
    if name_key(node.name) in forest.names_below(-1):
        return None
    size = n / (n + max(survey.usual_size / 2, FEWEST))
    cohesion = float(survey.cohesion[i])
    piece = 1.0 if np.isnan(cohesion) else float(np.clip(cohesion / max(survey.usual, 1e-6), 0, 1)) ** 0.5
    score = (1 - float(survey.twin[i])) * (1 - (home.probability if home else 0.0)) * size * piece
    if score < LEAST_PROMOTE:
        return None
    why = trn(
        "“{name}” holds {n:,} failure below Other, and no other category says the same.",
        "“{name}” holds {n:,} failures below Other, and no other category says the same.",
        n,
        name=node.name,
    )
    typical, doubtful = _examples(survey, i)
    return Repair(
        kind="promote",
        arguments={"category_id": node.id, "parent_id": None},
        members=node.members,
        score=score,
        worth=score * n,
        evidence=said(
            why,
            n_members=n,
            median_of_top=survey.usual_size,
            cohesion=cohesion,
            usual_cohesion=survey.usual,
            twin_probability=float(survey.twin[i]),
            typical=typical,
            doubtful=doubtful,
        ),
    )


def _examples(survey: Survey, i: int) -> tuple[list[int], list[int]]:
    if not survey.forest.own_n[i]:
        return [], []
    rows, _ = survey.ranked(i)
    return rows[:N_TYPICAL].tolist(), rows[N_TYPICAL:][-N_DOUBTFUL:][::-1].tolist()


def strays(survey: Survey) -> Iterator[Repair]:
    """Failures that are nearer to another category, by the category that they are in and the one that they are nearer to."""
    forest, seen = survey.forest, survey.seen
    targets = [i for i in range(forest.n) if not forest.is_reserved[i] and forest.own_n[i] >= FEWEST]
    sources = [i for i in range(forest.n) if forest.nodes[i].reserved != "hard" and len(forest.nodes[i].vectors)]
    if not targets or not forest.dim:
        return
    place = {i: row for row, i in enumerate(targets)}
    centres = unit(forest.own_sums[targets]).astype(np.float32)
    spoken = SAID * unit(seen.name + seen.description)
    both = centres + spoken[targets].astype(np.float32)
    fences = np.array([_fence(survey, i) for i in targets])
    twins, neighbours = _partners(survey, TWINS), _partners(survey, 0.0)
    for i in sources:
        survey.pause()
        points = forest.points(i)
        among = targets if len(targets) <= MOST_COMPARED else neighbours.get(i, [])
        closed = {i, *twins.get(i, ())}
        columns = np.array([place[j] for j in among if j in place and j not in closed], np.int64)
        if not len(columns):
            continue
        own = np.zeros(len(points))  # what is in Other has nothing in common
        if forest.nodes[i].reserved is None:
            own = nearness(points) + points @ spoken[i]
        here = np.arange(len(points))
        near = points.astype(np.float32) @ both[columns].T
        nearest = near.argmax(axis=1)
        best = columns[nearest]
        gap = near[here, nearest] - own
        chance = 1 / (1 + np.exp(-np.clip(STRAY_CONSTANT + STRAY_GAP * gap, -50, 50)))
        to_centre = np.einsum("ij,ij->i", points, centres[best])
        chosen = np.flatnonzero((chance >= LEAST_STRAY) & (to_centre >= fences[best]))
        yield from _grouped(survey, i, chosen, best, chance, gap, targets)


def _grouped(
    survey: Survey, i: int, chosen: Ints, best: Ints, chance: Floats, gap: Floats, targets: Sequence[int]
) -> Iterator[Repair]:
    """One proposal for each category that failures of category `i` are nearer to, without those that are to stay."""
    node = survey.forest.nodes[i]
    rows = survey.forest.rows(i)
    for row in np.unique(best[chosen]).tolist():
        target = survey.forest.nodes[targets[row]]
        if survey.is_refused("assign", target.id, node.id):
            continue
        near = chosen[best[chosen] == row].tolist()
        stays = [survey.is_refused("assign", node.members[rows[at]], target.id, node.id) for at in near]
        here = np.array([at for at, is_staying in zip(near, stays, strict=True) if not is_staying], np.int64)
        if not len(here):
            continue
        here = here[np.lexsort((rows[here], -chance[here].round(9)))]
        n = len(here)
        yield Repair(
            kind="assign",
            arguments={
                "category_id": target.id,
                "from_id": node.id,
                "description": str(_why_stray(n, node.name, target.name)),
                "named_by": "",
            },
            members=tuple(node.members[rows[at]] for at in here),
            score=float(chance[here].mean()),
            worth=float(chance[here].sum()),
            evidence=said(
                _why_stray(n, node.name, target.name),
                n_members=n,
                nearer_by=float(gap[here].mean()),
                probabilities=chance[here],
                typical=list(range(min(n, N_TYPICAL))),
                doubtful=list(range(n))[N_TYPICAL:][-N_DOUBTFUL:][::-1],
            ),
        )


def _why_stray(n: int, source: str, target: str) -> Sentence:
    return trn(
        "{n:,} failure in “{source}” is nearer to “{target}” than to the others there.",
        "{n:,} failures in “{source}” are nearer to “{target}” than to the others there.",
        n,
        source=source,
        target=target,
    )


def _fence(survey: Survey, i: int) -> float:
    return float(np.quantile(nearness(survey.forest.points(i)), LESS_TYPICAL)) - 1e-6


def _partners(survey: Survey, least: float) -> dict[int, list[int]]:
    """The categories that each is paired with, where they are the same with this probability at least."""
    found: dict[int, list[int]] = {}
    pairs = survey.pairs
    for m in np.flatnonzero(pairs.probability >= least):
        a, b = int(pairs.one[m]), int(pairs.two[m])
        found.setdefault(a, []).append(b)
        found.setdefault(b, []).append(a)
    return found
