"""Proposals about what is in the wrong place: categories below Other that are ones of their own, categories that belong to
another parent's children, failures that are nearer to another category.

Weights of `move` and `assign` are of logistic regressions on benchmarks/taxonomies and Banking77 after some categories and a
tenth of the failures had been put elsewhere at random; how often that happens in a real tree is an estimate.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from errormap_core.proposals.nodes import Floats, Ints, Repair, unit
from errormap_core.proposals.splitting import Vectors
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
"""With more categories than this, failures are compared with those that are near to their own alone; those in Other with all."""

MOST_AT_ONCE = 1 << 22
"""Similarities that are held at once."""


def moves(survey: Survey) -> Iterator[Repair]:
    """Categories that belong below another parent, and children of Other that are to be top categories."""
    forest = survey.forest
    below = [i for i in range(forest.n) if not forest.is_reserved[i] and forest.parent[i] >= 0]
    for i, home in _Homes(survey).of(below):
        survey.pause()
        is_below_other = bool(forest.under_other[i])
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
            survey.pause()
            self.sums[row] = whole[forest.live_children(parent)].sum(axis=0) + name[parent]
        self.centres = unit(self.sums)

    def of(self, categories: Sequence[int]) -> Iterator[tuple[int, _Home | None]]:
        """Each category with its other home, if any."""
        at_once = max(1, MOST_AT_ONCE // max(len(self.parents), 1))
        for start in range(0, len(categories), at_once):
            self.survey.pause()
            some = categories[start : start + at_once]
            near = self.survey.seen.whole[some] @ self.centres.T
            yield from ((i, self._of(i, near[row])) for row, i in enumerate(some))

    def _of(self, i: int, near: Floats) -> _Home | None:
        """`near` are similarities to the parents' centres, shape (parents,)."""
        survey, forest = self.survey, self.survey.forest
        whole = survey.seen.whole[i]
        own: float | None = None
        parent = int(self.family[i])
        if parent >= 0:
            own = float(unit((self.sums[self.place[parent]] - whole)[None])[0] @ whole)
        for other in (int(forest.parent[i]), *forest.subtree(i)):  # not where it is, nor below itself
            if other in self.place:
                near[self.place[other]] = -np.inf
        if not len(near) or not np.isfinite(near.max()):
            return None
        first = int(near.argmax())
        best, near[first] = float(near[first]), -np.inf
        following = float(near.max()) if np.isfinite(near.max()) else 0.0
        if own is None:
            logit = HOME_CONSTANT + HOME_NEAR * best + HOME_GAP * (best - following)
        else:
            logit = MOVE_CONSTANT + MOVE_GAP * (best - own)
        probability = float((1 - survey.twin[i]) / (1 + np.exp(-logit)))
        return _Home(self.parents[first], best, own, following, probability)


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
    forest = survey.forest
    targets = [i for i in range(forest.n) if not forest.is_reserved[i] and forest.own_n[i] >= FEWEST]
    sources = [i for i in range(forest.n) if forest.nodes[i].reserved != "hard" and len(forest.nodes[i].vectors)]
    if not targets or not forest.dim:
        return
    place = {i: row for row, i in enumerate(targets)}
    centres, fences = _centres_and_fences(survey, targets)
    both = centres + _spoken(survey, targets).astype(np.float32)
    twins, neighbours = _partners(survey, TWINS), _partners(survey, 0.0)
    for i in sources:
        survey.pause()
        points = forest.points(i)
        closed = {i, *twins.get(i, ())}
        if len(targets) <= MOST_COMPARED or forest.is_reserved[i]:  # what is in Other may belong anywhere
            closed_places = np.array([place[j] for j in closed if j in place], np.int64)
            best, near = _nearest(points.astype(np.float32), both, closed_places, survey.pause)
        else:
            columns = np.array([place[j] for j in neighbours.get(i, ()) if j in place and j not in closed], np.int64)
            if not len(columns):
                continue
            best, near = _nearest(points.astype(np.float32), both[columns], columns[:0], survey.pause)
            best = columns[best]
        own = np.zeros(len(points))  # what is in Other has nothing in common
        if not forest.is_reserved[i]:
            own = nearness(points) + points @ _spoken(survey, [i])[0]
        gap = near - own
        chance = 1 / (1 + np.exp(-np.clip(STRAY_CONSTANT + STRAY_GAP * gap, -50, 50)))
        to_centre = np.einsum("ij,ij->i", points, centres[best])
        chosen = np.flatnonzero((chance >= LEAST_STRAY) & (to_centre >= fences[best]))
        yield from _grouped(survey, i, chosen, best, chance, gap, targets)


def _spoken(survey: Survey, categories: Sequence[int]) -> Floats:
    """What names and descriptions say, as it counts beside members: shape (len(categories), d)."""
    return SAID * unit(survey.seen.name[categories].astype(np.float64) + survey.seen.description[categories])


def _centres_and_fences(survey: Survey, targets: Sequence[int]) -> tuple[Vectors, Floats]:
    """What the failures of each target have in common, float32 of shape (t, d), and how near to it one must be, shape (t,)."""
    sums, fences = np.zeros((len(targets), survey.forest.dim)), np.zeros(len(targets))
    for row, i in enumerate(targets):
        survey.pause()
        points = survey.forest.points(i)
        sums[row] = survey.forest.own_sum(i, points)
        fences[row] = np.quantile(nearness(points), LESS_TYPICAL) - 1e-6
    return unit(sums).astype(np.float32), fences


def _nearest(points: Vectors, both: Vectors, closed: Ints, pause: Callable[[], None]) -> tuple[Ints, Vectors]:
    """The nearest row of `both` but the closed ones to each point, and how near it is (-inf: there is none): of shape (n,)."""
    best, near = np.zeros(len(points), np.int64), np.empty(len(points), np.float32)
    at_once = max(1, MOST_AT_ONCE // len(both))
    for start in range(0, len(points), at_once):
        pause()
        some = slice(start, start + at_once)
        block = points[some] @ both.T
        block[:, closed] = -np.inf
        best[some] = block.argmax(axis=1)
        near[some] = block.max(axis=1)
    return best, near


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


def _partners(survey: Survey, least: float) -> dict[int, list[int]]:
    """The categories that each is paired with, where they are the same with this probability at least."""
    found: dict[int, list[int]] = {}
    pairs = survey.pairs
    for m in np.flatnonzero(pairs.probability >= least):
        a, b = int(pairs.one[m]), int(pairs.two[m])
        found.setdefault(a, []).append(b)
        found.setdefault(b, []).append(a)
    return found
