"""A draft of the taxonomy: where an operation plans its edits, seeing what it has planned so far.

Nothing is written here. What a plan may ask of the project (facts.py) is answered with what the draft has planned so far.
"""

import dataclasses
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import AnyEdit, BulkRows, BulkUpdate, Edit, Row
from errormap_core.taxonomy.facts import ASSIGNMENT_COLUMNS, Facts
from errormap_core.taxonomy.planned import PlannedFacts
from errormap_core.taxonomy.tree import Category, Tree, name_key

_STEP = 1.0

_NUMBERED = re.compile(r"(.*) \(\d+\)")

_NAMED = 3
"""So many people are named whose decisions are touched."""

_TOLD = 20
"""So many children that are merged or renamed are told one by one."""


@dataclass(slots=True)
class Effect:
    """What an operation touches, told beforehand.

    `decisions_of`: how many decisions of each person, by name. `n_made`, `n_gone`: categories that would be new in the tree,
    and that would not be in it any more. `other_before` and `other_after` are counted failures in Other and below it, of
    `n_total` counted ones; None where the operation changes what counts rather than where it is.
    """

    n_failures: int = 0
    decisions_of: dict[str, int] = field(default_factory=dict)
    n_categories: int = 0
    n_made: int = 0
    n_gone: int = 0
    n_categories_along: int = 0
    n_failures_along: int = 0
    merged_children: list[tuple[str, str]] = field(default_factory=list)
    renamed_children: list[tuple[str, str]] = field(default_factory=list)
    failures_come: int = 0
    failures_go: int = 0
    other_before: int | None = None
    other_after: int | None = None
    n_total: int = 0
    summary: Sentence = field(default_factory=lambda: tr(""))

    @property
    def n_decisions(self) -> int:
        """How many decisions of people it touches."""
        return sum(self.decisions_of.values())

    def _people(self) -> Sentence:
        """'Ann Bee (9), Bo (3) and 2 others': whose decisions it touches."""
        if len(self.decisions_of) == 1:
            return tr("{name}", name=next(iter(self.decisions_of)))
        named = ", ".join(f"{name} ({n:,})" for name, n in list(self.decisions_of.items())[:_NAMED])
        more = len(self.decisions_of) - _NAMED
        if more <= 0:
            return tr("{names}", names=named)
        return trn("{names} and {n:,} other", "{names} and {n:,} others", more, names=named)

    def come_and_go(self) -> Sentence:
        """'1 failure comes, 3 go': what counts then, and what does not any more."""
        goes = trn("{n:,} goes", "{n:,} go", self.failures_go)
        return trn("{n:,} failure comes, {goes}", "{n:,} failures come, {goes}", self.failures_come, goes=goes)

    def sentences(self) -> list[Sentence]:
        """'Moves 212 failures.', 'Touches 3 decisions of Ann Bee.' and what else is worth saying."""
        said = []
        if self.n_failures:
            said.append(trn("Moves {n:,} failure.", "Moves {n:,} failures.", self.n_failures))
        if self.n_categories_along:
            said.append(
                trn(
                    "{n:,} subcategory with {failures} goes along.",
                    "{n:,} subcategories with {failures} go along.",
                    self.n_categories_along,
                    failures=trn("{n:,} failure", "{n:,} failures", self.n_failures_along),
                )
            )
        if self.decisions_of:
            n, names = self.n_decisions, self._people()
            said.append(
                trn("Touches {n:,} decision of {names}.", "Touches {n:,} decisions of {names}.", n, names=names)
            )
        for name, into in self.merged_children[:_TOLD]:
            said.append(tr("“{name}” is merged into “{into}”, which has the same name.", name=name, into=into))
        if more := len(self.merged_children[_TOLD:]):
            said.append(
                trn(
                    "{n:,} more is merged into a category of the same name.",
                    "{n:,} more are merged into categories of the same names.",
                    more,
                )
            )
        for name, new in self.renamed_children[:_TOLD]:
            said.append(tr("“{name}” becomes “{new}”, as its name is taken there.", name=name, new=new))
        if more := len(self.renamed_children[_TOLD:]):
            said.append(trn("{n:,} more gets another name.", "{n:,} more get other names.", more))
        if self.other_before != self.other_after and self.n_total:
            before, after = (self.other_before or 0) / self.n_total, (self.other_after or 0) / self.n_total
            said.append(tr("Other: {before:.1%} → {after:.1%}.", before=before, after=after))
        if self.failures_come or self.failures_go:
            said.append(tr("{moves}.", moves=self.come_and_go()))
        return said


@dataclass(frozen=True, slots=True)
class Mark:
    """How much a draft has planned."""

    n_edits: int
    n_touched: int
    effect: Effect
    next_id: int | None


class Draft:
    """Plans edits on a copy of the tree. `actor` and `at` are the log entry's."""

    def __init__(self, facts: Facts, tree: Tree, *, actor: str, at: str) -> None:
        self.facts = PlannedFacts(facts)
        self.tree = tree.copy()
        self.actor = actor
        self.at = at
        self.edits: list[AnyEdit] = []
        self.effect = Effect()
        self.touched_assignments: list[int] = []
        self._next_id: int | None = None
        self._numbers: dict[tuple[str | None, str], int] = {}  # the number behind a name that was last found free

    def mark(self) -> "Mark":
        """Where planning has come, to come back to."""
        effect = self.effect
        told = dataclasses.replace(
            effect,
            decisions_of=dict(effect.decisions_of),
            merged_children=list(effect.merged_children),
            renamed_children=list(effect.renamed_children),
        )
        return Mark(len(self.edits), len(self.touched_assignments), told, self._next_id)

    def back_to(self, mark: "Mark") -> None:
        """Forget what was planned since."""
        for edit in reversed(self.edits[mark.n_edits :]):
            self.facts.follow(edit.inverse())
            if isinstance(edit, Edit) and edit.table == "category":
                if edit.before is None:
                    self.tree.drop(edit.key)
                else:
                    self.tree.put(Category.from_row(edit.before))
        self._numbers.clear()
        del self.edits[mark.n_edits :]
        del self.touched_assignments[mark.n_touched :]
        self.effect, self._next_id = mark.effect, mark.next_id

    def add(self, edit: AnyEdit) -> None:
        """Plan an edit; what is asked from now on is answered as if it were written."""
        self.edits.append(edit)
        self.facts.follow(edit)

    # Categories

    def create(self, category: Category) -> None:
        self.add(Edit("category", category.id, None, category.row()))
        self.tree.put(category)
        self.effect.n_categories += 1

    def change(self, category_id: str, **values: Any) -> Category:
        """Plan new values for a category that may be retired by the same plan."""
        old = self.tree.get(category_id)
        assert old is not None
        new = dataclasses.replace(old, **values)
        if new != old:
            self.add(Edit("category", category_id, old.row(), new.row()))
            self.tree.put(new)
            if (old.parent_id, old.name, old.retired) != (new.parent_id, new.name, new.retired):
                numbered = _NUMBERED.fullmatch(old.name)  # where it was, its number is free again
                if numbered is not None:
                    self._numbers.pop((old.parent_id, name_key(numbered[1])), None)
        return new

    def place_at(self, parent_id: str | None, index: int | None, *, moving: Container[str] = ()) -> float:
        """A position below `parent_id` before the sibling that is `index`th when `moving` is gone.

        None is the end. Siblings are numbered anew where no number is left between two of them.
        """
        if index is None:
            last = self.tree.last_free(parent_id, but=moving)
            return 0.0 if last is None else last.position + _STEP
        return self.places_at(parent_id, index, 1, moving=moving)[0]

    def places_at(
        self, parent_id: str | None, index: int | None, n: int, *, moving: Container[str] = ()
    ) -> list[float]:
        """Positions of `n` categories that are put one behind the other, the first as `place_at` says.

        However many they are, the siblings are gone through once, and are numbered anew once at most.
        """
        if index is None:
            first = self.place_at(parent_id, None, moving=moving)
            return [first + _STEP * i for i in range(n)]
        free = (self.tree.live(c) for c in self.tree.children(parent_id) if c not in moving)
        siblings = [c for c in free if c.reserved is None]
        start = max(0, min(index, len(siblings)))
        before = siblings[start - 1].position if start > 0 else None
        after = siblings[start].position if start < len(siblings) else None
        found: list[float] = []
        n_numbered: int | None = None  # so many of ours were there when all were last numbered anew
        for place in range(n):
            position = _between(before, after)
            if position is None:
                n_numbered, at = place, start + place
                before, after = float(at - 1), float(at)
                position = at - 0.5
            found.append(position)
            before = position
        if n_numbered is not None:
            found[:n_numbered] = [float(start + i) for i in range(n_numbered)]
            for number, sibling in enumerate(siblings):
                self.change(sibling.id, position=float(number if number < start else number + n_numbered))
        return found

    def refuse_same_name(self, parent_id: str | None, name: str, *, but: Iterable[str] = ()) -> None:
        other = self.tree.sibling_named(parent_id, name, but=but)
        if other is not None:
            raise KnownError(
                tr("“{name}” exists already in the same place.", name=other.name),
                fix=tr("Merge the two, or choose another name."),
            )

    def free_name(self, parent_id: str | None, name: str, *, but: Iterable[str] = ()) -> str:
        """`name`, or with a number behind it where a sibling has it."""
        but = set(but)
        if self.tree.sibling_named(parent_id, name, but=but) is None:
            return name
        base = (parent_id, name_key(name))
        number = self._numbers.get(base, 2)
        while self.tree.sibling_named(parent_id, f"{name} ({number})", but=but) is not None:
            number += 1
        self._numbers[base] = number
        return f"{name} ({number})"

    # Assignments

    def move_assignments(self, went: Mapping[str, str]) -> int:
        """Move all assignments of each key of `went` to where it finally leads; returns failures moved."""
        n_failures = self.facts.n_counted(list(went))
        targets: dict[str, list[str]] = {}
        for category_id, final in ends_of(went).items():
            targets.setdefault(final, []).append(category_id)
        for target, sources in targets.items():
            twice = self.facts.duplicates_after_merge([*sources, target])
            if twice:
                self.add(BulkRows("assignment", ASSIGNMENT_COLUMNS, tuple(twice), created=False))
            gone = {row[0] for row in twice}
            for category_id in sources:
                ids = self.facts.assignment_ids(category_id)
                self._move(ids if not gone else [i for i in ids if i not in gone], category_id, target)
        self.effect.n_failures += n_failures
        return n_failures

    def move_records(self, record_ids: Sequence[str], category_id: str, target_id: str) -> int:
        """Move these records' assignments in one category to another, new one."""
        ids = self.facts.assignment_ids(category_id, record_ids)
        self._move(ids, category_id, target_id)
        self.effect.n_failures += len(record_ids)
        return len(record_ids)

    def shift_records(self, record_ids: Sequence[str], category_id: str, target_id: str) -> int:
        """Move these records' assignments from one category to one that is there; returns how many records moved.

        What would stand twice for a record and source goes, the secondary one of the two.
        """
        rows = self.facts.assignments(record_ids, category_id=category_id)
        there = {(row[1], row[2]): row for row in self.facts.assignments(record_ids, category_id=target_id)}
        twice = [there[row[1], row[2]] if row[4] else row for row in rows if (row[1], row[2]) in there]
        self.unassign(twice)
        gone = {row[0] for row in twice}
        self._move([row[0] for row in rows if row[0] not in gone], category_id, target_id)
        n = len({row[1] for row in rows})
        self.effect.n_failures += n
        return n

    def _move(self, ids: Sequence[int], category_id: str, target_id: str) -> None:
        if ids:
            self.add(BulkUpdate("assignment", "category_id", category_id, target_id, tuple(ids)))
            self.touched_assignments.extend(ids)

    def assign(
        self,
        records: Iterable[tuple[str, float | None]],
        category_id: str,
        *,
        source_id: str,
        is_primary: bool = True,
    ) -> None:
        """Plan new assignments of (record id, confidence)."""
        if self._next_id is None:
            self._next_id = self.facts.next_assignment_id()
        rows = tuple(
            (i, r, source_id, category_id, int(is_primary), c) for i, (r, c) in enumerate(records, self._next_id)
        )
        self._next_id += len(rows)
        if rows:
            self.add(BulkRows("assignment", ASSIGNMENT_COLUMNS, rows, created=True))
            self.effect.n_failures += len(rows)

    def unassign(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Plan that these assignments (ASSIGNMENT_COLUMNS) go."""
        rows = tuple(rows)
        if rows:
            self.add(BulkRows("assignment", ASSIGNMENT_COLUMNS, rows, created=False))
            self.touched_assignments.extend(row[0] for row in rows)

    # Other rows

    def set_row(self, table: str, key: str, after: Row | None) -> None:
        """Plan a row of a small table; None deletes it."""
        before = self.facts.row(table, key)
        if before != after:
            self.add(Edit(table, key, before, after))


def _between(before: float | None, after: float | None) -> float | None:
    """A position between two; None where no number is left there."""
    if before is None and after is None:
        return 0.0
    if before is None:
        assert after is not None
        return after - _STEP
    if after is None:
        return before + _STEP
    middle = (before + after) / 2
    return middle if before < middle < after else None


def ends_of(went: Mapping[str, str]) -> dict[str, str]:
    """Where each key finally leads; keys may lead to one another, thousands long."""
    ends: dict[str, str] = {}
    for category_id in went:
        way, at = [], category_id
        while at in went and at not in ends:
            way.append(at)
            at = went[at]
        ends.update(dict.fromkeys(way, ends.get(at, at)))
    return {category_id: ends[category_id] for category_id in went}
