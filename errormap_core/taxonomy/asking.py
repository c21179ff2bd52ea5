"""What became of the likely categories of a question since somebody looked at them: renamed, merged, gone, not the likeliest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.facts import Facts
from errormap_core.taxonomy.standing import follow_merges
from errormap_core.taxonomy.tree import Category, Tree

LIKELY = 0.05
"""A category that is not shown is worth a word from this probability on."""

FAR = 0.15
"""Probabilities that moved as far say something else."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A likely category as somebody sees it: id of the category or of the proposal to make it, probability in [0, 1]."""

    key: str
    name: str
    probability: float
    description: str = ""


@dataclass(frozen=True, slots=True)
class Became:
    """What became of one. `now` is what it is called now, `key` its id; both '' where it `is_gone`: then a failure cannot be
    placed in it any more."""

    change: Sentence
    now: str = ""
    key: str = ""

    @property
    def is_gone(self) -> bool:
        return not self.key


@dataclass(frozen=True, slots=True)
class Since:
    """What changed since the likely categories were shown: of each by its id, and of what is likely."""

    became: Mapping[str, Became]
    likelier: Sentence | None = None

    def changes(self) -> tuple[Sentence, ...]:
        """All of it in sentences."""
        said = tuple(each.change for each in self.became.values())
        return said if self.likelier is None else (*said, self.likelier)


def since_shown(shown: Sequence[Shown], now: Sequence[Mapping[str, Any]], tree: Tree, facts: Facts) -> Since:
    """Compare what is shown with the tree and with `now`, the candidates that hold in it (standing.py)."""
    found = {each.key: _became(each, tree, facts) for each in shown}
    became = {key: each for key, each in found.items() if each is not None}
    return Since(became, _likelier(shown, became, now))


def _became(shown: Shown, tree: Tree, facts: Facts) -> Became | None:
    category = tree.get(shown.key)
    if category is not None:
        return _became_of(shown, category, tree)
    decided = facts.row("decision", shown.key)
    if decided is None or (decided["verdict"] != "reject" and decided["category_id"] is None):
        return None
    if decided["verdict"] == "reject":
        return Became(tr("“{name}” was rejected meanwhile.", name=shown.name))
    made = tree.get(decided["category_id"])
    if made is not None and "same_as" in json.loads(decided["details"]):
        into = follow_merges(tree, made.id) or made
        return Became(tr("“{name}” was taken for “{into}” meanwhile.", name=shown.name, into=into.name))
    if made is None or made.retired is not None:
        return _became_of(shown, made, tree)
    if made.name == shown.name:
        return Became(tr("“{name}” is a category now.", name=made.name), made.name, made.id)
    return Became(tr("“{name}” became the category “{now}”.", name=shown.name, now=made.name), made.name, made.id)


def _became_of(shown: Shown, category: Category | None, tree: Tree) -> Became | None:
    into = None if category is None else follow_merges(tree, category.id)
    if category is None or into is None:
        return Became(tr("“{name}” was deleted meanwhile.", name=shown.name))
    if into.id != category.id:
        return Became(tr("“{name}” was merged into “{into}” meanwhile.", name=shown.name, into=into.name))
    if category.name != shown.name:
        return Became(
            tr("“{old}” is called “{new}” now.", old=shown.name, new=category.name), category.name, category.id
        )
    if category.description != shown.description:
        return Became(tr("“{name}” was described anew meanwhile.", name=category.name), category.name, category.id)
    return None


def _likelier(
    shown: Sequence[Shown], became: Mapping[str, Became], now: Sequence[Mapping[str, Any]]
) -> Sentence | None:
    """What is likely now and was not; None where that is much the same, or follows of what became of those shown."""
    keys = {became[each.key].key if each.key in became else each.key: each for each in shown}
    shares = {c.get("category_id") or c["proposal_id"]: float(c.get("probability") or 0.0) for c in now}
    names = {c.get("category_id") or c["proposal_id"]: c.get("name", "") for c in now}
    if not shares or any(each.is_gone for each in became.values()):
        return None
    first = next(iter(shares))
    if not keys or first != next(iter(keys)):
        return tr("By what was decided since, “{name}” is the likeliest.", name=names[first])
    new = next((key for key, share in shares.items() if key not in keys and share >= LIKELY), None)
    if new is not None:
        return tr("By what was decided since, “{name}” is likely too.", name=names[new])
    if any(abs(shares.get(key, 0.0) - each.probability) >= FAR for key, each in keys.items()):
        return tr("By what was decided since, the probabilities are others.")
    return None
