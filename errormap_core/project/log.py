"""The log of operations: entries, and which of them can be undone or redone (design: Foundation 2).

Undo appends the inverse; redo is the undo of that entry; nothing is ever taken out of the log.
"""

import json
from collections.abc import Iterator
from typing import Any

from sqlite_utils import Database

from errormap_core.sentences import Sentence
from errormap_core.taxonomy.edits import Change, unpack


class UndoStacks:
    """Which entries undo and redo would take next, followed from the log in order."""

    def __init__(self) -> None:
        self.undoable: list[str] = []
        self.redoable: list[str] = []

    def follow(self, entry_id: str, undo_of: str | None) -> None:
        if undo_of is None:
            self.undoable.append(entry_id)
            self.redoable.clear()
        elif _take(self.undoable, undo_of):
            self.redoable.append(entry_id)
        elif _take(self.redoable, undo_of):
            self.undoable.append(entry_id)
        else:
            self.redoable.append(entry_id)


def _take(stack: list[str], entry_id: str) -> bool:
    """Take an entry out of a stack, where it is nearly always the last; whether it was there."""
    if stack and stack[-1] == entry_id:
        stack.pop()
    elif entry_id in stack:
        stack.remove(entry_id)
    else:
        return False
    return True


FLOOR = "undo_floor"
"""Key of the table meta: the last entry of the log that belongs to how the project was handed over."""


def stacks(db: Database) -> UndoStacks:
    """The stacks as the log leaves them, from where undo may reach."""
    found = UndoStacks()
    sql = "SELECT id, undo_of FROM log WHERE seq > coalesce((SELECT value + 0 FROM meta WHERE key = ?), 0) ORDER BY seq"
    for entry_id, undo_of in db.execute(sql, [FLOOR]):
        found.follow(entry_id, undo_of)
    return found


def standing(db: Database) -> dict[str, bool]:
    """Whether each entry of the log stands: none that stands took it back (a redo takes back an undo)."""
    stands: dict[str, bool] = {}
    taken_back: set[str] = set()
    for entry_id, undo_of in db.execute("SELECT id, undo_of FROM log ORDER BY seq DESC"):
        stands[entry_id] = entry_id not in taken_back
        if undo_of is not None and stands[entry_id]:
            taken_back.add(undo_of)
    return stands


def last_seq(db: Database) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0])


def next_counter(db: Database) -> int:
    """The counter of the entry that comes next. What comes later has the greater one, whatever clocks say."""
    row = db.execute("SELECT counter FROM log ORDER BY seq DESC LIMIT 1").fetchone()
    return 1 if row is None else int(row[0]) + 1


def changes_after(db: Database, seq: int) -> Iterator[Change]:
    """The steps after entry `seq`, as another process's."""
    for row in db.query("SELECT * FROM log WHERE seq > ? ORDER BY seq", [seq]):
        yield change_of(row)


def change_of(row: dict[str, Any], *, is_own: bool = False) -> Change:
    """A log row as the change that it announces."""
    return Change(
        seq=row["seq"],
        entry_id=row["id"],
        kind=row["kind"],
        edits=unpack(row["edits"]),
        summary=Sentence.from_json(json.loads(row["summary"])),
        actor=row["actor"],
        at=row["at"],
        undo_of=row["undo_of"],
        group_id=row["group_id"],
        is_own=is_own,
    )


def first_taken(db: Database, entry_id: str) -> str:
    """The sentence, as it is kept, of the step that an entry is, takes back or takes again: undo and redo make long chains."""
    sql = """WITH RECURSIVE chain(id, undo_of) AS (
            SELECT id, undo_of FROM log WHERE id = ?
            UNION ALL SELECT l.id, l.undo_of FROM chain c JOIN log l ON l.id = c.undo_of)
        SELECT l.summary FROM chain c JOIN log l ON l.id = c.id WHERE c.undo_of IS NULL"""
    return str(db.execute(sql, [entry_id]).fetchone()[0])


def group_of(db: Database, entry_id: str) -> str | None:
    """The group that a step was taken in."""
    (found,) = db.execute("SELECT group_id FROM log WHERE id = ?", [entry_id]).fetchone()
    return None if found is None else str(found)


def entry(db: Database, entry_id: str) -> dict[str, Any] | None:
    rows = list(db.query("SELECT * FROM log WHERE id = ?", [entry_id]))
    return rows[0] if rows else None
