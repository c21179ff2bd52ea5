"""Reads the tables of a damaged file: all rows that can be had, whatever lies between them."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.project import files
from errormap_core.project.backup_folder import way_back
from errormap_core.sentences import tr

LOWEST, HIGHEST = -(2**63), 2**63 - 1

MOST_PROBES = 50_000
"""So many rows are asked for one by one where no index says which there are."""

_FIRST_KEY = {"proposal_member": ("proposal_id", "proposal", "id"), "run_proposal": ("run_id", "run", "id")}
"""Tables without rowids: the column that they are ordered by first, and where its values are known from."""


class Reading:
    """A damaged file that is read. Texts with broken characters are counted and mended with �."""

    def __init__(self, path: Path) -> None:
        self.n_garbled = 0
        self._path = path
        self._broken: set[str] = set()
        self._connection: sqlite3.Connection
        self._indexes: dict[str, list[str]] = {}
        self._tables: dict[str, str] = {}

    def __enter__(self) -> "Reading":
        with files.told(self._path):
            self._connection = files.connect(self._path, read_only=True, leaves_log=True).conn
        self._connection.text_factory = self._text
        try:
            self._read_schema()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def has(self, table: str) -> bool:
        return table in self._tables

    def columns(self, table: str) -> list[str]:
        with contextlib.suppress(sqlite3.DatabaseError):
            return [str(row[1]) for row in self._connection.execute(f"PRAGMA table_info({table})")]
        return []

    def has_rowid(self, table: str) -> bool:
        return "WITHOUT ROWID" not in self._tables.get(table, "").upper()

    def is_broken(self, table: str) -> bool:
        """Whether a part of the table could not be read, after `rows` was asked."""
        return table in self._broken

    def n_expected(self, table: str) -> int | None:
        """How many rows there were, by an index that can be read; None where none can."""
        for index in self._indexes.get(table, ()):
            with contextlib.suppress(sqlite3.DatabaseError):
                (n,) = self._connection.execute(f"SELECT count(*) FROM {table} INDEXED BY {index}").fetchone()
                return int(n)
        if not self.is_broken(table):
            with contextlib.suppress(sqlite3.DatabaseError):
                return int(self._connection.execute(f"SELECT count(*) FROM {table} NOT INDEXED").fetchone()[0])
        return None

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Every row that can be read, with its rowid first where the table has one; some perhaps twice."""
        if self.has_rowid(table):
            yield from self._rows_by_rowid(table, ", ".join(["rowid", *columns]))
        else:
            yield from self._rows_by_key(table, ", ".join(columns))

    def _rows_by_rowid(self, table: str, names: str) -> Iterator[tuple[Any, ...]]:
        select = f"SELECT {names} FROM {table} NOT INDEXED"
        last = LOWEST - 1
        try:
            for row in self._connection.execute(f"{select} ORDER BY rowid"):
                if row[0] <= last:
                    raise sqlite3.DatabaseError("rows out of order")
                last = row[0]
                yield row
        except sqlite3.DatabaseError:
            self._broken.add(table)
        else:
            return
        first = HIGHEST + 1
        with contextlib.suppress(sqlite3.DatabaseError, OverflowError):
            for row in self._connection.execute(f"{select} WHERE rowid > ? ORDER BY rowid DESC", [max(last, LOWEST)]):
                if row[0] >= first:
                    break
                first = row[0]
                yield row
        for rowid in self._rowids_between(table, last, first):
            with contextlib.suppress(sqlite3.DatabaseError):
                yield from self._connection.execute(f"{select} WHERE rowid = ?", [rowid])

    def _rowids_between(self, table: str, low: int, high: int) -> Iterator[int]:
        """Which rows there may be above `low` and below `high`: those that any index knows, else every number."""
        found: set[int] = set()
        is_complete = False
        for index in self._indexes.get(table, ()):
            with contextlib.suppress(sqlite3.DatabaseError):
                for (rowid,) in self._connection.execute(f"SELECT rowid FROM {table} INDEXED BY {index}"):
                    if low < rowid < high:
                        found.add(rowid)
                is_complete = True
        yield from sorted(found)
        if not is_complete:
            above = max(low, 0)
            for rowid in range(above + 1, min(high, above + MOST_PROBES)):
                if rowid not in found:
                    yield rowid

    def _rows_by_key(self, table: str, names: str) -> Iterator[tuple[Any, ...]]:
        select = f"SELECT {names} FROM {table}"
        key = ", ".join(f"{name} DESC" for name in self._key(table))
        try:
            yield from self._connection.execute(select)
        except sqlite3.DatabaseError:
            self._broken.add(table)
        else:
            return
        with contextlib.suppress(sqlite3.DatabaseError):
            yield from self._connection.execute(f"{select} ORDER BY {key}")
        if table not in _FIRST_KEY:
            return
        column, other, name = _FIRST_KEY[table]
        for (value,) in self._known(other, name):
            with contextlib.suppress(sqlite3.DatabaseError):
                yield from self._connection.execute(f"{select} WHERE {column} = ?", [value])

    def _known(self, table: str, column: str) -> list[tuple[Any, ...]]:
        found = []
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in self._connection.execute(f"SELECT {column} FROM {table}"):
                found.append(row)
        return found

    def _key(self, table: str) -> list[str]:
        rows = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
        return [str(row[1]) for row in sorted(rows, key=lambda row: int(row[5])) if row[5]]

    def _read_schema(self) -> None:
        """Raises KnownError where the list of tables is gone: nothing can be found without it."""
        try:
            for name, sql in self._connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"):
                self._tables[name] = sql or ""
            for name, table, sql in self._connection.execute(
                "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'"
            ):
                if " WHERE " not in (sql or ""):  # one that leaves rows out tells too few
                    self._indexes.setdefault(table, []).append(name)
        except sqlite3.DatabaseError as error:
            raise KnownError(
                tr(
                    "The list of tables in the file cannot be read ({reason}). Nothing can be saved of it.",
                    reason=error,
                ),
                where=str(self._path),
                fix=way_back(self._path),
            ) from error

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.n_garbled += 1
            return data.decode(errors="replace")
