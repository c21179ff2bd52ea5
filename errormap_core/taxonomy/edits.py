"""Row edits: what an operation does to the tables that people decide, and its exact inverse.

Undo, history, redraw and the log all work on edits, so each exists once and not once per operation.
An edit of many rows keeps their ids once, not a row each.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from errormap_core.sentences import Sentence

Row = Mapping[str, Any]

KEY_COLUMNS: Mapping[str, str] = {
    "category": "id",
    "assignment": "id",
    "decision": "proposal_id",
    "record_mark": "record_id",
    "record_note": "record_id",
    "chosen_threshold": "dataset",
    "choice": "key",
    "analysis": "id",
}
"""The tables that operations may edit, and the column that names a row in each."""

ADDED_COLUMNS: Mapping[str, Mapping[str, Any]] = {"decision": {"details": "{}"}}
"""Columns that tables got later, with what rows of before have in them: steps of older files do not name them."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One row: created where `before` is None, deleted where `after` is None, else changed."""

    table: str
    key: str
    before: Row | None
    after: Row | None

    def inverse(self) -> "Edit":
        return Edit(self.table, self.key, self.after, self.before)

    def to_json(self) -> dict[str, Any]:
        before, after = self.before, self.after
        if before is not None and after is not None:  # only what differs is worth keeping twice
            changed = {name for name in after if before.get(name) != after[name]}
            after = {name: after[name] for name in after if name in changed}
        return {"row": [self.table, self.key], "before": before, "after": after}


@dataclass(frozen=True, slots=True)
class BulkUpdate:
    """The same column of many rows, from one value to another; `ids` are integer keys."""

    table: str
    column: str
    before: Any
    after: Any
    ids: tuple[int, ...]

    def inverse(self) -> "BulkUpdate":
        return BulkUpdate(self.table, self.column, self.after, self.before, self.ids)

    def to_json(self) -> dict[str, Any]:
        return {"update": [self.table, self.column], "before": self.before, "after": self.after, "ids": self.ids}


@dataclass(frozen=True, slots=True)
class BulkRows:
    """Many rows of one table that are created (or, `created` False, deleted); tuples in order of `columns`."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    created: bool

    def inverse(self) -> "BulkRows":
        return BulkRows(self.table, self.columns, self.rows, not self.created)

    def column(self, name: str) -> Iterator[Any]:
        place = self.columns.index(name)
        return (row[place] for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {"rows": [self.table, *self.columns], "values": self.rows, "created": self.created}


AnyEdit = Edit | BulkUpdate | BulkRows


def inverse_of(edits: Iterable[AnyEdit]) -> tuple[AnyEdit, ...]:
    """What takes `edits` back: the inverses, last first."""
    return tuple(edit.inverse() for edit in reversed(tuple(edits)))


def pack(edits: Iterable[AnyEdit]) -> bytes:
    """Edits as the log keeps them: zlib-compressed JSON."""
    text = json.dumps([edit.to_json() for edit in edits], ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode(), 1)


def unpack(data: bytes) -> tuple[AnyEdit, ...]:
    """The edits of a log entry."""
    return tuple(_from_json(item) for item in json.loads(zlib.decompress(data)))


def _from_json(item: dict[str, Any]) -> AnyEdit:
    if "row" in item:
        table, key = item["row"]
        before, after, added = item["before"], item["after"], ADDED_COLUMNS.get(table, {})
        if before is not None:
            before = {**added, **before}
        if after is not None:
            after = {**(before or added), **after}
        return Edit(table, key, before, after)
    if "update" in item:
        table, column = item["update"]
        return BulkUpdate(table, column, item["before"], item["after"], tuple(item["ids"]))
    table, *columns = item["rows"]
    return BulkRows(table, tuple(columns), tuple(tuple(row) for row in item["values"]), item["created"])


@dataclass(frozen=True, slots=True)
class Change:
    """One step that was taken, announced once after it was committed; views redraw from its edits."""

    seq: int
    entry_id: str
    kind: str
    edits: tuple[AnyEdit, ...]
    summary: Sentence
    actor: str
    at: str
    undo_of: str | None = None
    group_id: str | None = None
    is_own: bool = True  # False: another process took the step

    def tables(self) -> frozenset[str]:
        return frozenset(edit.table for edit in self.edits)


@dataclass(frozen=True, slots=True)
class MachineChange:
    """Machines added rows (records, analyses, proposals ...) to these tables."""

    tables: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_quiet(self) -> bool:
        """Whether a judge wrote, and nothing else: failures have analyses now, and none came or went."""
        return self.tables <= {"analysis", "judge_error", "run"}
