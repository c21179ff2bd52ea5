"""Proposals to merge categories that say the same: two, or more where each says the same as each other."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from errormap_core.proposals.nodes import Floats, Repair, unit
from errormap_core.proposals.survey import N_DOUBTFUL, N_TYPICAL, Survey, said
from errormap_core.sentences import Sentence, tr

LEAST = 0.02
"""Probability under which a pair is not proposed."""

TOGETHER = 0.5
"""Each with each must be this likely for three or more categories to be one proposal."""

MOST_TOGETHER = 4


def merges(survey: Survey) -> Iterator[Repair]:
    """The likeliest first."""
    pairs = survey.pairs
    known = {
        (int(a), int(b)): m
        for m, (a, b) in enumerate(zip(pairs.one, pairs.two, strict=True))
        if not survey.is_refused_pair(int(a), int(b))
    }
    groups: list[list[int]] = []
    covered: set[tuple[int, int]] = set()
    of_category: dict[int, list[list[int]]] = {}
    best: dict[int, list[int]] = {}
    for (a, b), m in known.items():
        if pairs.probability[m] < LEAST:
            break
        if (a, b) in covered:
            continue
        if any(_is_within(survey, a, b, other) for other in best.get(a, ())) or any(
            _is_within(survey, b, a, other) for other in best.get(b, ())
        ):
            continue
        best.setdefault(a, []).append(b)
        best.setdefault(b, []).append(a)
        if pairs.probability[m] >= TOGETHER and _joined(survey, known, of_category, a, b, covered):
            continue
        group = [a, b]
        groups.append(group)
        covered.add((a, b))
        of_category.setdefault(a, []).append(group)
        of_category.setdefault(b, []).append(group)
    for group in groups:
        survey.pause()
        yield _merge(survey, group, known)


def _is_within(survey: Survey, one: int, two: int, before: int) -> bool:
    """Whether `one` is alike to `two` only as it is alike to `before`, which is above or below `two`."""
    forest = survey.forest
    return before != two and one not in (before, two) and (forest.is_above(two, before) or forest.is_above(before, two))


def _joined(
    survey: Survey,
    known: dict[tuple[int, int], int],
    of_category: dict[int, list[list[int]]],
    a: int,
    b: int,
    covered: set[tuple[int, int]],
) -> bool:
    """Put the pair into a group that has one of the two, if the other is as likely the same as all that are in it."""
    for old, new in ((a, b), (b, a)):
        for group in of_category.get(old, ()):
            if len(group) >= MOST_TOGETHER:
                continue
            places = [known.get((min(new, each), max(new, each))) for each in group]
            if all(m is not None and survey.pairs.probability[m] >= TOGETHER for m in places):
                covered.update((min(new, each), max(new, each)) for each in group)
                group.append(new)
                of_category.setdefault(new, []).append(group)
                return True
    return False


def _survivor(survey: Survey, group: list[int]) -> int:
    """Not below Other if another is not; the uppermost; then what is larger, described, and named nearer to all members."""
    forest = survey.forest
    together = unit(forest.sums[group].sum(axis=0)[None])[0] if forest.dim else np.zeros(0)

    def rank(i: int) -> tuple[bool, int, float, str]:
        fit = float(survey.seen.name[i] @ together) if forest.dim else 0.0
        value = float(np.log1p(forest.all_n[i])) + bool(forest.nodes[i].description.strip()) + 2 * fit
        return bool(forest.under_other[i]), int(forest.depth[i]), -round(value, 9), forest.nodes[i].id

    return min(group, key=rank)


def _merge(survey: Survey, group: list[int], known: dict[tuple[int, int], int]) -> Repair:
    forest, pairs = survey.forest, survey.pairs
    into = _survivor(survey, group)
    rest = sorted((i for i in group if i != into), key=lambda i: (-int(forest.all_n[i]), forest.nodes[i].id))
    ordered = [into, *rest]
    places = {pair: known[min(pair), max(pair)] for pair in combinations(ordered, 2)}
    chances = [float(pairs.probability[places[into, i]]) for i in rest]
    description = forest.nodes[into].description.strip() or max(
        (forest.nodes[i].description.strip() for i in rest), key=len, default=""
    )
    rows = list(places.values())
    likely = max(rows, key=lambda m: float(pairs.probability[m]))
    typical, doubtful = _examples(survey, ordered)
    return Repair(
        kind="merge",
        arguments={
            "category_ids": [forest.nodes[i].id for i in ordered],
            "into": forest.nodes[into].id,
            "name": forest.nodes[into].name,
            "description": description or None,
        },
        members=survey.members(ordered),
        score=min(chances),
        worth=sum(chance * survey.weight(i) for chance, i in zip(chances, rest, strict=True)),
        evidence=said(
            _why(survey, ordered, rows),
            similarity=float(pairs.cosine[rows].min()),
            next_similarity=float(max(pairs.next_to_one[likely], pairs.next_to_two[likely])),
            signals={
                "name": pairs.name[likely],
                "description": pairs.description[likely],
                "members": pairs.members[likely],
                "nearer_categories": pairs.rank[likely],
                "shared_titles": pairs.shared_titles[likely],
                "same_wording": bool(pairs.is_same_wording[likely]),
                "below_other": bool(forest.under_other[ordered].any()),
            },
            pairs=[
                {
                    "categories": [forest.nodes[i].id for i in pair],
                    "similarity": float(pairs.cosine[m]),
                    "probability": float(pairs.probability[m]),
                }
                for pair, m in places.items()
            ],
            typical=typical,
            doubtful=doubtful,
        ),
    )


def _why(survey: Survey, ordered: list[int], rows: list[int]) -> Sentence:
    pairs, forest = survey.pairs, survey.forest
    one, two = survey.name(ordered[0]), survey.name(ordered[1])
    m = rows[0]
    similarity = float(pairs.cosine[rows].min())
    following = float(max(pairs.next_to_one[m], pairs.next_to_two[m]))
    if len(ordered) > 2:
        names = ", ".join(f"“{survey.name(i)}”" for i in ordered)
        return tr(
            "{names} are alike, each to each: similarity at least {similarity:.2f}.", names=names, similarity=similarity
        )
    if pairs.is_same_wording[m]:
        return tr("“{one}” and “{other}” differ in no content word.", one=one, other=two)
    if pairs.shared_titles[m] >= 0.5:
        return tr(
            "“{one}” and “{other}” share {share:.0%} of the error titles of the smaller one.",
            one=one,
            other=two,
            share=float(pairs.shared_titles[m]),
        )
    if forest.under_other[ordered[1]] and not forest.under_other[ordered[0]]:
        return tr(
            "“{other}” below Other says what “{one}” says: similarity {similarity:.2f}, and {next:.2f} to the next category.",
            one=one,
            other=two,
            similarity=similarity,
            next=following,
        )
    if pairs.rank[m] == 0:
        return tr(
            "“{one}” and “{other}” are nearer to each other than to any other: similarity {similarity:.2f}, then {next:.2f}.",
            one=one,
            other=two,
            similarity=similarity,
            next=following,
        )
    return tr(
        "“{one}” and “{other}” are alike (similarity {similarity:.2f}), though others are about as near ({next:.2f}).",
        one=one,
        other=two,
        similarity=similarity,
        next=following,
    )


def _examples(survey: Survey, ordered: list[int]) -> tuple[list[int], list[int]]:
    """Places in the members: those nearest to what the categories have in common, some of each; and those of the categories
    that go which are farthest from the one that stays."""
    forest = survey.forest
    if not forest.dim or not forest.own_n[ordered].any():
        return [], []
    centre = unit(forest.sums[ordered].sum(axis=0)[None])[0]
    stays: Floats = unit(forest.sums[ordered[:1]])[0]
    starts = np.concatenate([[0], np.cumsum(forest.own_n[ordered])])
    typical: list[int] = []
    doubts: list[tuple[float, int]] = []
    each = max(1, N_TYPICAL // len(ordered))
    for place, i in enumerate(ordered):
        if not forest.own_n[i]:
            continue
        rows, _ = survey.ranked(i, centre)
        typical += (starts[place] + rows[:each]).tolist()
        if place:
            rows, near = survey.ranked(i, stays)
            doubts += zip(near[-N_DOUBTFUL:].tolist(), (starts[place] + rows[-N_DOUBTFUL:]).tolist(), strict=True)
    doubtful = [at for _, at in sorted(doubts) if at not in typical]
    return typical, doubtful[:N_DOUBTFUL]
