"""A draft of the taxonomy: where an operation plans its edits, seeing what it has planned so far.

Nothing is written here. What a plan may ask of the project (facts.py) is answered with what the draft has planned so far.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import AnyEdit, BulkRows, BulkUpdate, Edit, Row
from errormap_core.taxonomy.facts import ASSIGNMENT_COLUMNS, Facts
from errormap_core.taxonomy.planned import PlannedFacts
from errormap_core.taxonomy.tree import Category, Tree

OnCollision = Literal["merge", "rename"]

_STEP = 1.0

_NAMED = 3
"""So many people are named whose decisions are touched."""


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
        for name, into in self.merged_children:
            said.append(tr("“{name}” is merged into “{into}”, which has the same name.", name=name, into=into))
        for name, new in self.renamed_children:
            said.append(tr("“{name}” becomes “{new}”, as its name is taken there.", name=name, new=new))
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
        return new

    def place_at(self, parent_id: str | None, index: int | None, *, moving: Iterable[str] = ()) -> float:
        """A position below `parent_id` before the sibling that is `index`th when `moving` is gone.

        None is the end. Siblings are numbered anew where no number is left between two of them.
        """
        gone = set(moving)
        siblings = [self.tree.live(c) for c in self.tree.children(parent_id) if c not in gone]
        siblings = [c for c in siblings if c.reserved is None]
        index = len(siblings) if index is None else max(0, min(index, len(siblings)))
        before = siblings[index - 1].position if index > 0 else None
        after = siblings[index].position if index < len(siblings) else None
        if before is None and after is None:
            return 0.0
        if before is None:
            assert after is not None
            return after - _STEP
        if after is None:
            return before + _STEP
        middle = (before + after) / 2
        if before < middle < after:
            return middle
        for number, sibling in enumerate(siblings):
            self.change(sibling.id, position=float(number))
        return index - 0.5

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
        return next(
            candidate
            for candidate in (f"{name} ({n})" for n in itertools.count(2))
            if self.tree.sibling_named(parent_id, candidate, but=but) is None
        )

    def fold(self, source_id: str, target_id: str, *, retired: str, on_collision: OnCollision) -> dict[str, str]:
        """Retire a category into another; its children follow. Returns {retired: taken over by}."""
        source, target = self.tree.live(source_id), self.tree.live(target_id)
        went = {source_id: target_id}
        children = self.tree.children(source_id)
        self.change(source_id, retired=retired, redirect_to=target_id)
        if retired == "merged":
            aliases = json.loads(target.aliases)
            known = {target.name, *aliases}
            more = [n for n in (source.name, *json.loads(source.aliases)) if n not in known]
            self.change(target_id, aliases=json.dumps(aliases + more, ensure_ascii=False))
        self.effect.n_categories += 1
        for child in children:
            if child != target_id:
                went |= self.lift(child, target_id, on_collision=on_collision)
        return went

    def lift(self, category_id: str, parent_id: str | None, *, on_collision: OnCollision) -> dict[str, str]:
        """Put a category at the end of `parent_id`'s children; a sibling of its name is merged, or it is renamed."""
        category = self.tree.live(category_id)
        same = self.tree.sibling_named(parent_id, category.name, but=[category_id])
        if same is not None and on_collision == "merge":
            self.effect.merged_children.append((category.name, self.tree.path(same.id)))
            return self.fold(category_id, same.id, retired="merged", on_collision=on_collision)
        name = self.free_name(parent_id, category.name, but=[category_id])
        if name != category.name:
            self.effect.renamed_children.append((category.name, name))
        position = self.place_at(parent_id, None, moving=[category_id])
        self.change(category_id, parent_id=parent_id, position=position, name=name)
        return {}

    # Assignments

    def move_assignments(self, went: Mapping[str, str]) -> int:
        """Move all assignments of each key of `went` to where it finally leads; returns failures moved."""
        n_failures = self.facts.n_counted(list(went))
        targets: dict[str, list[str]] = {}
        for category_id in went:
            final = category_id
            while final in went:
                final = went[final]
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
