"""Answers what a plan asks of the project as if the edits that it has planned so far were written.

One operation may hold several decisions, each of which builds on those before it: a category that took over from another
holds that one's failures, though the project's file does not say so yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from errormap_core.sentences import Sentence
from errormap_core.taxonomy.edits import AnyEdit, BulkRows, BulkUpdate, Edit, Row
from errormap_core.taxonomy.facts import Facts, ProposalFacts

Assignment = tuple[Any, ...]
"""A row with the columns ASSIGNMENT_COLUMNS."""

_ID, _RECORD, _SOURCE, _CATEGORY, _PRIMARY = range(5)


class PlannedFacts:
    """Facts with a draft's edits. Edits are taken in only when something is asked that they may change."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._to_follow: list[AnyEdit] = []
        self._rows: dict[tuple[str, str], Row | None] = {}
        self._moved: dict[int, str] = {}
        self._into: dict[str, set[int]] = {}
        self._home: dict[int, str] = {}  # the category that the project's file says, of those moved or gone
        self._left: dict[str, set[int]] = {}  # the same by category
        self._gone: set[int] = set()
        self._new: dict[int, Assignment] = {}
        self._new_of: dict[str, set[int]] = {}  # keys of new rows, by record

    def follow(self, edit: AnyEdit) -> None:
        """Take a planned edit into account."""
        if isinstance(edit, Edit):
            self._rows[edit.table, edit.key] = edit.after
        elif edit.table == "assignment":
            self._to_follow.append(edit)

    # What edits change

    def assignment_ids(self, category_id: str, record_ids: Sequence[str] | None = None) -> list[int]:
        found = self._facts.assignment_ids(category_id, record_ids)
        if not self._is_changed():
            return found
        ids = {i for i in found if i not in self._gone and i not in self._moved}
        came = self._into.get(category_id, set())
        new = {i: row for i, row in self._new.items() if row[_CATEGORY] == category_id}
        if record_ids is not None:
            wanted = set(record_ids)
            came = {row[_ID] for row in self._facts.assignment_rows(sorted(came)) if row[_RECORD] in wanted}
            new = {i: row for i, row in new.items() if row[_RECORD] in wanted}
        return sorted({*ids, *came, *new})

    def duplicates_after_merge(self, category_ids: Sequence[str]) -> list[Assignment]:
        if not self._is_changed():
            return self._facts.duplicates_after_merge(category_ids)
        ids = sorted({i for category_id in category_ids for i in self.assignment_ids(category_id)})
        rows = self.assignment_rows(ids)
        kept = {(row[_RECORD], row[_SOURCE]) for row in rows if row[_PRIMARY]}
        twice = []
        for row in rows:
            if not row[_PRIMARY]:
                if (row[_RECORD], row[_SOURCE]) in kept:
                    twice.append(row)
                kept.add((row[_RECORD], row[_SOURCE]))
        return twice

    def n_counted(self, category_ids: Sequence[str]) -> int:
        n = self._facts.n_counted(category_ids)
        if not self._is_changed():
            return n
        wanted = set(category_ids)
        was_here = sorted(i for category_id in wanted for i in self._left.get(category_id, ()))
        came = sorted(i for category_id in wanted for i in self._into.get(category_id, ()))
        # A new primary assignment counts, unless another source's counts before it; those are few.
        new = sum(bool(row[_PRIMARY]) and row[_CATEGORY] in wanted for row in self._new.values())
        return n - self._facts.n_counted_among(was_here) + self._facts.n_counted_among(came) + new

    def assignments(self, record_ids: Sequence[str], **where: Any) -> list[Assignment]:
        if not self._is_changed():
            return self._facts.assignments(record_ids, **where)
        category_id = where.pop("category_id", None)
        rows = list(self._as_planned(self._facts.assignments(record_ids, **where)))
        places = {"source_id": _SOURCE, "is_primary": _PRIMARY}
        for record_id in dict.fromkeys(record_ids):
            for row in (self._new[i] for i in self._new_of.get(record_id, ())):
                if all(row[places[name]] == value for name, value in where.items()):
                    rows.append(row)
        return sorted(row for row in rows if category_id is None or row[_CATEGORY] == category_id)

    def assignment_rows(self, ids: Sequence[int]) -> list[Assignment]:
        if not self._is_changed():
            return self._facts.assignment_rows(ids)
        rows = [*self._as_planned(self._facts.assignment_rows(ids)), *(self._new[i] for i in ids if i in self._new)]
        return sorted(rows, key=lambda row: row[_ID])

    def row(self, table: str, key: str) -> Row | None:
        known = (table, key)
        return self._rows[known] if known in self._rows else self._facts.row(table, key)

    # What they do not

    def n_counted_among(self, ids: Sequence[int]) -> int:
        return self._facts.n_counted_among(ids)

    def placed_since(self, keys: Mapping[str, int]) -> set[str]:
        return self._facts.placed_since(keys)

    def next_assignment_id(self) -> int:
        return self._facts.next_assignment_id()

    def next_counter(self) -> int:
        return self._facts.next_counter()

    def known_records(self, record_ids: Sequence[str]) -> set[str]:
        return self._facts.known_records(record_ids)

    def record_hash(self, record_id: str) -> str:
        return self._facts.record_hash(record_id)

    def record_name(self, record_id: str) -> Sentence:
        return self._facts.record_name(record_id)

    def failures_by_threshold(self, dataset: str, threshold: float | None) -> tuple[int, int]:
        return self._facts.failures_by_threshold(dataset, threshold)

    def dataset_names(self) -> list[str]:
        return self._facts.dataset_names()

    def proposal(self, proposal_id: str, run_id: str | None = None) -> ProposalFacts:
        return self._facts.proposal(proposal_id, run_id)

    def source_label(self, source_id: str) -> dict[str, str]:
        return self._facts.source_label(source_id)

    # Inside

    def _is_changed(self) -> bool:
        """Take in the edits that came since; whether any touched an assignment."""
        for edit in self._to_follow:
            if isinstance(edit, BulkUpdate):
                self._follow_moves(edit)
            elif isinstance(edit, BulkRows):
                self._follow_rows(edit)
        self._to_follow.clear()
        return bool(self._moved or self._gone or self._new)

    def _follow_moves(self, edit: BulkUpdate) -> None:
        for i in edit.ids:
            if i in self._new:
                row = self._new[i]
                self._new[i] = (*row[:_CATEGORY], edit.after, *row[_CATEGORY + 1 :])
                continue
            if i in self._moved:
                self._into[self._moved.pop(i)].discard(i)
            else:
                self._leave(i, edit.before)
            self._settle(i, edit.after)

    def _follow_rows(self, edit: BulkRows) -> None:
        for row in edit.rows:
            i = row[_ID]
            if edit.created and i in self._gone:  # it is put back
                self._gone.discard(i)
                self._settle(i, row[_CATEGORY])
            elif edit.created:
                self._new[i] = row
                self._new_of.setdefault(row[_RECORD], set()).add(i)
            elif i in self._new:
                del self._new[i]
                self._new_of[row[_RECORD]].discard(i)
            else:
                self._gone.add(i)
                if i in self._moved:
                    self._into[self._moved.pop(i)].discard(i)
                else:
                    self._leave(i, row[_CATEGORY])

    def _leave(self, i: int, category_id: str) -> None:
        self._home[i] = category_id
        self._left.setdefault(category_id, set()).add(i)

    def _settle(self, i: int, category_id: str) -> None:
        """One of the file's assignments is in this category from now on."""
        if self._home[i] == category_id:
            self._left[category_id].discard(i)
            del self._home[i]
        else:
            self._moved[i] = category_id
            self._into.setdefault(category_id, set()).add(i)

    def _as_planned(self, rows: Iterable[Assignment]) -> Iterable[Assignment]:
        """Rows of the project's file with the category that they are planned to be in, without those that go."""
        for row in rows:
            if row[_ID] in self._gone:
                continue
            at = self._moved.get(row[_ID])
            yield row if at is None else (*row[:_CATEGORY], at, *row[_CATEGORY + 1 :])
