"""What was rejected, in whole or in part, so that it is not proposed again as long as it is the same.

A proposal that has the kind and the categories of a rejected one comes back when its failures changed by more than a fifth,
and then its evidence says so. Failures that are to stay where they are, of a rejected move or left out of an accepted one, are
remembered one by one: none of them is proposed for that move again, whatever is proposed beside it. Undoing a rejection
forgets it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from sqlite_utils import Database

from errormap_core.project.proposing import DECIDED, proposal_members
from errormap_core.sentences import Sentence, trn
from errormap_core.taxonomy.standing import kind_of

Key = frozenset[str] | tuple[str, ...]
"""Two categories that are not to be merged, a kind with the categories that it concerns, or what `stay` gives."""

SAME = 0.8
"""Jaccard index of two sets of failures from which on they are the same, though some came and some went."""

ALIKE = 0.5
"""From which on a new group is a rejected one that changed; groups have no category to be known by."""

SINGLE = ("promote", "split", "rename", "describe")
"""Kinds that concern one category."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rejection: of which proposal, when, by whom, with which failures, and what its categories were called."""

    proposal_id: str
    at: str
    by: str
    members: frozenset[str]
    names: Mapping[str, str] = field(default_factory=dict)

    def likeness(self, members: Collection[str], names: Mapping[str, str]) -> float:
        """Jaccard index of the failures then and now. Without any, names are what it was about: 1 where none changed."""
        now = frozenset(members)
        if not self.members and not now:
            return float(all(names.get(key, name) == name for key, name in self.names.items()))
        return len(self.members & now) / len(self.members | now)


@dataclass(frozen=True, slots=True)
class Remembered:
    """Whether a new proposal was refused before and is the same; else what its evidence says of an earlier rejection."""

    is_refused: bool
    rejected_before: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refusals:
    """Rejections by what they concern, the latest last."""

    by_key: Mapping[Key, tuple[Refusal, ...]]

    def unchanged(self, members: Mapping[str, Collection[str]], names: Mapping[str, str]) -> frozenset[Key]:
        """Pairs of categories, (kind, category) and ('move', category, parent) that are refused as the tree is, and what `stay`
        gives of failures.

        `members` are each category's own failures, `names` what it is called.
        """
        found = set()
        for key, refusals in self.by_key.items():
            if _is_of_one_failure(key):
                found.add(key)
                continue
            if isinstance(key, frozenset):
                now: Collection[str] = frozenset().union(*(members.get(c, ()) for c in key))
            elif key[0] == "move" or (len(key) == 2 and key[0] in SINGLE):
                now = members.get(key[1], ())
            else:
                continue
            if any(refusal.likeness(now, names) >= SAME for refusal in refusals):
                found.add(key)
        return frozenset(found)

    def of(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        members: Collection[str],
        *,
        of_category: Mapping[str, Collection[str]] | None = None,
        names: Mapping[str, str] | None = None,
        proposal_id: str = "",
    ) -> Remembered:
        """What is remembered of a new proposal: with its members, those of each category, and names by category.

        The same proposal again is not refused: it is known by its id, and is decided.
        """
        latest: tuple[Refusal, int] | None = None
        for key in keys_of(kind, arguments):
            now = frozenset(members)
            if isinstance(key, frozenset) and of_category is not None:
                now = frozenset().union(*(of_category.get(c, ()) for c in key))
            for refusal in self.by_key.get(key, ()):
                likeness = refusal.likeness(now, names or {})
                if likeness >= SAME and refusal.proposal_id != proposal_id:
                    return Remembered(True)
                if (kind != "create" or likeness >= ALIKE) and (latest is None or refusal.at >= latest[0].at):
                    latest = refusal, len(now)
        if latest is None:
            return Remembered(False)
        refusal, n_now = latest
        said = {"at": refusal.at, "by": refusal.by, "n_then": len(refusal.members), "n_now": n_now}
        return Remembered(False, said)

    def is_refused_part(self, category_id: str, members: Collection[str]) -> bool:
        """Whether a part of a split of this category is one that was left out before."""
        return any(refusal.likeness(members, {}) >= SAME for refusal in self.by_key.get(("part", category_id), ()))


def keys_of(kind: str, arguments: Mapping[str, Any]) -> list[Key]:
    """What a proposal is remembered by."""
    match kind:
        case "merge":
            return [frozenset(pair) for pair in combinations(arguments["category_ids"], 2)]
        case "move":
            return [(kind, arguments["category_id"], arguments.get("parent_id") or "")]
        case "assign":
            return [(kind, arguments["category_id"], arguments.get("from_id") or "")]
        case "create":
            return [(kind,)]
        case _ if kind in SINGLE:
            return [(kind, arguments["category_id"])]
        case _:
            return []


def stay(record_id: str, category_id: str, from_id: str) -> Key:
    """That one failure is not to be moved to a category from the one that it is in."""
    return ("assign", record_id, category_id, from_id)


def _is_of_one_failure(key: Key) -> bool:
    return isinstance(key, tuple) and len(key) == 4


def refusals(db: Database) -> Refusals:
    """All that was rejected and stands, with categories as they are called now: what took over from one stands for it."""
    sql = f"""SELECT p.id, p.kind, p.arguments, p.evidence, d.verdict, d.details, d.decided_at, s.name, d.category_id
        FROM decision d JOIN proposal p ON p.id = d.proposal_id JOIN source s ON s.id = d.source_id
        WHERE d.verdict = 'reject' OR json_extract(d.details, '$.without') IS NOT NULL ORDER BY {DECIDED}, d.decided_at"""
    went = _redirects(db)
    found: dict[Key, list[Refusal]] = {}
    for key, raw_kind, arguments, evidence, verdict, details, at, by, category_id in db.execute(sql).fetchall():
        read = _Decided(
            key,
            kind_of(raw_kind, json.loads(arguments)),
            json.loads(arguments),
            json.loads(evidence).get("seen", {}),
            [record_id for record_id, _ in proposal_members(db, key)],
            at,
            by,
        )
        if verdict == "reject":
            new = list(read.rejected())
        else:
            new = list(read.left_out(set(json.loads(details)["without"]), category_id))
        for about, refusal in new:
            now = _as_now(about, went)
            if now is not None:
                found.setdefault(now, []).append(refusal)
    return Refusals({about: tuple(each) for about, each in found.items()})


def with_rejected(said: Sentence, n: int) -> Sentence:
    """What was proposed, and how many more were not because they were rejected before."""
    if not n:
        return said
    return trn(
        "{said} {n:,} more was rejected before, and has hardly changed.",
        "{said} {n:,} more were rejected before, and have hardly changed.",
        n,
        said=said,
    )


@dataclass(frozen=True, slots=True)
class _Decided:
    """A proposal that was rejected, or of which something was left out."""

    id: str
    kind: str
    arguments: Mapping[str, Any]
    seen: Mapping[str, Any]
    members: list[str]
    at: str
    by: str

    def rejected(self) -> Iterable[tuple[Key, Refusal]]:
        of_category = self._of_category()
        for key in keys_of(self.kind, self.arguments):
            members: Collection[str] = self.members
            if isinstance(key, frozenset) and of_category is not None:
                members = frozenset().union(*(of_category[c] for c in key))
            yield key, self._refusal(members, key)
        yield from self._staying(self.members, [self.arguments.get("category_id")])

    def left_out(self, without: set[str], category_id: str | None) -> Iterable[tuple[Key, Refusal]]:
        """Categories that were not merged with the others; parts and failures that stayed in their category."""
        if self.kind == "merge" and category_id is not None:
            of_category = self._of_category() or dict.fromkeys(self.arguments["category_ids"], frozenset(self.members))
            merged = frozenset().union(*(members for c, members in of_category.items() if c not in without))
            for c in sorted(without & set(of_category)):
                key = frozenset((category_id, c))
                yield key, self._refusal(merged | of_category[c], key)
        if self.kind == "split":
            for part in self.arguments["parts"]:
                if part["id"] in without:
                    yield ("part", self.arguments["category_id"]), self._refusal(part["members"], ())
        left = [record_id for record_id in self.members if record_id in without]
        yield from self._staying(left, [self.arguments.get("category_id"), category_id])

    def _staying(self, members: Sequence[str], targets: Sequence[str | None]) -> Iterable[tuple[Key, Refusal]]:
        """Failures that were not to leave their category for the one proposed, or for the one that a person chose instead."""
        from_id = self.arguments.get("from_id")
        if self.kind != "assign" or not from_id:
            return
        for target in sorted({target for target in targets if target}):
            for record_id in members:
                yield stay(record_id, target, from_id), self._refusal((record_id,), ())

    def _of_category(self) -> dict[str, frozenset[str]] | None:
        """Members of each category of a merge, which stand in the order of the categories; None where that is not known."""
        if self.kind != "merge":
            return None
        ids = self.arguments["category_ids"]
        sizes = [int(self.seen.get(c, {}).get("n", -1)) for c in ids]
        if min(sizes) < 0 or sum(sizes) != len(self.members):
            return None
        found, start = {}, 0
        for c, size in zip(ids, sizes, strict=True):
            found[c] = frozenset(self.members[start : start + size])
            start += size
        return found

    def _refusal(self, members: Collection[str], key: Key) -> Refusal:
        names = {c: seen["name"] for c, seen in self.seen.items() if c in key and "name" in seen}
        return Refusal(self.id, self.at, self.by, frozenset(members), names)


def _redirects(db: Database) -> dict[str, str | None]:
    """Where merged categories went in the end; None for those that were deleted on the way."""
    rows = {key: (how, to) for key, how, to in db.execute(
        "SELECT id, retired, redirect_to FROM category WHERE retired IS NOT NULL")}  # fmt: skip
    went: dict[str, str | None] = {}
    for start in rows:
        at: str | None = start
        while at in rows:
            how, to = rows[at]
            at = to if how == "merged" else None
        went[start] = at
    return went


def _as_now(key: Key, went: Mapping[str, str | None]) -> Key | None:
    """A key with categories as they are now; None where one is gone, or both are one."""
    if isinstance(key, frozenset):
        now = frozenset(went.get(c, c) or "" for c in key)
        return now if len(now) == 2 and "" not in now else None
    places = [went.get(c, c) for c in key[1:]]
    return None if None in places else (key[0], *(str(place) for place in places))
