"""Proposals to split a category that holds several things into parts, named from their members' titles."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from errormap_core.ids import content_id
from errormap_core.proposals.heterogeneity import Separation, centres_of, cohesion_of, separation
from errormap_core.proposals.naming import name_from_members
from errormap_core.proposals.nodes import Floats, Ints, Repair
from errormap_core.proposals.survey import N_DOUBTFUL, N_TYPICAL, Survey, said
from errormap_core.sentences import tr
from errormap_core.taxonomy.tree import name_key

LEAST = 0.03
MIN_SIZE = 3
NAMED_FROM = 50
_AT_ONCE = 4096


def splits(survey: Survey) -> Iterator[Repair]:
    forest = survey.forest
    for i in range(forest.n):
        node = forest.nodes[i]
        if forest.is_reserved[i] or len(node.vectors) < 2 * MIN_SIZE or survey.is_refused("split", node.id):
            continue
        survey.pause()
        points = forest.points(i)
        found = separation(points, min_size=MIN_SIZE, least=LEAST, seed=survey.seed, pause=survey.pause)
        if found is not None:
            yield _split(survey, i, points, found)


def _split(survey: Survey, i: int, points: Floats, found: Separation) -> Repair:
    node = survey.forest.nodes[i]
    rows = survey.forest.rows(i)
    centres = centres_of(points, found.labels)
    near = points @ centres.T
    of_all = _all_labels(survey, i, rows, found.labels, centres)
    titles: list[list[str]] = []
    typical: list[list[int]] = []
    for part in range(found.n_parts):
        here = np.flatnonzero(found.labels == part)
        here = here[np.lexsort((rows[here], -near[here, part].round(6)))]
        typical.append(rows[here[:N_TYPICAL]].tolist())
        titles.append([node.titles[rows[at]] for at in here[:NAMED_FROM]] if node.titles else [])
    parts, figures = [], []
    forest = survey.forest  # parts go beside the category or below it
    taken = {name_key(node.name), *forest.names_below(i), *forest.names_below(int(forest.parent[i]))}
    counted = [Counter(title.casefold() for title in own) for own in titles]
    together = sum(counted, Counter[str]())
    for part in range(found.n_parts):
        named = name_from_members(
            titles[part] or [node.name], titles[part], elsewhere=together - counted[part], taken=taken
        )
        taken.add(name_key(named.name))
        members = [node.members[at] for at in np.flatnonzero(of_all == part)]
        key = content_id("part", node.id, sorted(members))
        parts.append({"id": key, "name": named.name, "description": named.description, "members": members})
        cohesion = cohesion_of(points[found.labels == part])
        figures.append({"n_members": len(members), "cohesion": cohesion, "typical": typical[part]})
    moved = len(node.members) - max(len(part["members"]) for part in parts)
    ranked = np.sort(near, axis=1)
    margin = ranked[:, -1] - ranked[:, -2]
    first = [at for own in typical for at in own[:1]]
    doubtful = [at for at in rows[np.lexsort((rows, margin.round(6)))].tolist() if at not in first][:N_DOUBTFUL]
    why = tr(
        "“{name}” holds {k:,} groups: two failures of one group are alike by {within:.2f}, of different groups by {across:.2f}.",
        name=node.name,
        k=found.n_parts,
        within=found.within,
        across=found.across,
    )
    return Repair(
        kind="split",
        arguments={"category_id": node.id, "parts": parts},
        members=node.members,
        score=found.probability,
        worth=found.probability * moved,
        evidence=said(
            why,
            cohesion=found.cohesion,
            usual_cohesion=survey.usual,
            within=found.within,
            across=found.across,
            parts=figures,
            typical=first,
            doubtful=doubtful,
        ),
    )


def _all_labels(survey: Survey, i: int, rows: Ints, labels: Ints, centres: Floats) -> Ints:
    """The part of every member: of those that were not looked at, the one that is nearest."""
    node = survey.forest.nodes[i]
    if len(rows) == len(node.vectors):
        return labels
    found = np.empty(len(node.vectors), np.int64)
    for start in range(0, len(found), _AT_ONCE):
        survey.pause()
        block = survey.forest.centred(node.vectors[start : start + _AT_ONCE])
        found[start : start + len(block)] = (block @ centres.T).argmax(axis=1)
    found[rows] = labels
    return found
