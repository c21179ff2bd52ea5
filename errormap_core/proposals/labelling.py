"""Proposals to rename a category whose name says less than its members, and to describe one that has no description."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from errormap_core.proposals.naming import Naming, name_from_members
from errormap_core.proposals.nodes import Ints, Repair
from errormap_core.proposals.survey import N_DOUBTFUL, N_TYPICAL, Survey, said
from errormap_core.proposals.wording import says_nothing
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.tree import name_key

CONSTANT, RANK, LACKING = -3.8, 0.9, 4.4
"""Of 'the name says less': on how many other categories of 50 have members that the name fits better (logarithm of one more),
and on how much nearer the most typical member is to the others than the name is. Of a logistic regression on
benchmarks/taxonomies after one name in ten had been made empty of meaning or the parent's."""

OF_CATEGORIES = 50
SAYS_NOTHING = 2.0
"""For a name without a word that tells anything; set by hand."""

LEAST = 0.5
FEWEST = 3
RENAMED = 0.1
DESCRIBED = 0.03
"""Shares of a category's failures that a better name or a description may put into a better place some day: they help whoever
classifies next. Not measured."""

WANTED = 0.5
"""Score of a description where there is none; nobody knows how many a person would accept."""

NAMED_FROM = 50

AT_ONCE, COMPARED_AT_ONCE = 256, 4096
"""Names, and categories that they are compared with, of one product: it takes 4 MiB."""

ROUNDED = 1e-5
"""A name fits other members better where it does by more than this: more than single precision leaves in doubt."""


def labels(survey: Survey) -> Iterator[Repair]:
    forest = survey.forest
    if not forest.dim:
        return
    ids = [i for i in range(forest.n) if not forest.is_reserved[i] and forest.own_n[i] >= FEWEST and _titles(survey, i)]
    everywhere: Counter[str] = Counter()
    of: dict[int, Counter[str]] = {}
    for i in ids:
        of[i] = Counter(title.casefold() for title in _titles(survey, i))
        everywhere.update(of[i])
    leaves = [i for i in ids if not forest.children[i]]
    for i, own, better in _fits(survey, ids, leaves):
        survey.pause()
        node = forest.nodes[i]
        rows, near = survey.ranked(i)
        of_fifty = better * OF_CATEGORIES / max(len(leaves), 1)
        logit = (
            SAYS_NOTHING * says_nothing(node.name)
            + CONSTANT
            + RANK * np.log1p(of_fifty)
            + LACKING * (float(near[0]) - own)
        )
        score = float(1 / (1 + np.exp(-logit)))
        is_renamed = score >= LEAST and not survey.is_refused("rename", node.id)
        is_described = not node.description.strip() and not survey.is_refused("describe", node.id)
        if not (is_renamed or is_described):
            continue
        elsewhere = Counter({title: everywhere[title] - n for title, n in of[i].items()})
        named = _named(survey, i, rows, elsewhere)
        if is_renamed and name_key(named.name) != name_key(node.name):
            yield _rename(survey, i, rows, named, score, better, own, float(near[0]))
        if is_described and named.description:
            yield _describe(survey, i, rows, named)


def _fits(survey: Survey, ids: Sequence[int], leaves: Sequence[int]) -> Iterator[tuple[int, float, int]]:
    """Of each category its number, how well its name fits its members, and how many other leaves' members it fits better."""
    names, members = survey.seen.name, survey.seen.members
    compared = members[leaves].astype(np.float32)
    for start in range(0, len(ids), AT_ONCE):
        some = np.asarray(ids[start : start + AT_ONCE])
        spoken = names[some]
        own = np.einsum("ij,ij->i", members[some], spoken)
        better = np.zeros(len(some), np.int64)
        least = (own + ROUNDED).astype(np.float32)
        for row in range(0, len(leaves), COMPARED_AT_ONCE):
            survey.pause()
            better += (compared[row : row + COMPARED_AT_ONCE] @ spoken.T.astype(np.float32) > least).sum(axis=0)
        yield from zip(some.tolist(), own.tolist(), better.tolist(), strict=True)


def _titles(survey: Survey, i: int) -> list[str]:
    node = survey.forest.nodes[i]
    return [node.titles[row] for row in survey.forest.rows(i).tolist()] if node.titles else []


def _named(survey: Survey, i: int, rows: Ints, elsewhere: Counter[str]) -> Naming:
    node, forest = survey.forest.nodes[i], survey.forest
    titles = [node.titles[row] for row in rows[:NAMED_FROM]]
    return name_from_members(titles, titles, elsewhere=elsewhere, taken=forest.names_below(int(forest.parent[i])))


def _rename(
    survey: Survey, i: int, rows: Ints, named: Naming, score: float, better: int, own: float, typical: float
) -> Repair:
    node = survey.forest.nodes[i]
    if says_nothing(node.name):
        why = tr("The name “{name}” tells nothing of what the category holds.", name=node.name)
    elif better:
        why = trn(
            "The name “{name}” fits the failures of {n:,} other category better than its own (similarity {own:.2f}).",
            "The name “{name}” fits the failures of {n:,} other categories better than its own (similarity {own:.2f}).",
            better,
            name=node.name,
            own=own,
        )
    else:
        why = tr(
            "“{name}” says less than its failures: similarity {own:.2f}, where a typical title has {typical:.2f}.",
            name=node.name,
            own=own,
            typical=typical,
        )
    return Repair(
        kind="rename",
        arguments={"category_id": node.id, "name": named.name, "named_by": named.named_by},
        members=node.members,
        score=score,
        worth=RENAMED * score * survey.weight(i),
        evidence=said(
            why,
            name_similarity=own,
            typical_similarity=typical,
            better_elsewhere=better,
            **_examples(rows),
        ),
    )


def _describe(survey: Survey, i: int, rows: Ints, named: Naming) -> Repair:
    node = survey.forest.nodes[i]
    return Repair(
        kind="describe",
        arguments={"category_id": node.id, "description": named.description, "named_by": named.named_by},
        members=node.members,
        score=WANTED,
        worth=DESCRIBED * WANTED * survey.weight(i),
        evidence=said(
            tr("“{name}” has no description.", name=node.name),
            n_members=len(node.members),
            **_examples(rows),
        ),
    )


def _examples(rows: Ints) -> dict[str, list[int]]:
    """Places of the most typical and of the most doubtful members, of rows with the most typical first."""
    return {"typical": rows[:N_TYPICAL].tolist(), "doubtful": rows[N_TYPICAL:][-N_DOUBTFUL:][::-1].tolist()}
