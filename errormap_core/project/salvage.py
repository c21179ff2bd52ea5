"""Repairs a damaged project into a copy: saves every row that can be read, derives the rest, and says what was lost.

The damaged file is only read. Tables are read along their own trees, from both ends towards what is broken; what lies in
between is asked for row by row, by what the indexes know of it. Rows that people decided and that are gone are taken from
the log. What a saved row refers to and is gone is stood in for where that keeps people's work, else the row is left out;
no row is invented that says anything of a failure.
"""

import contextlib
import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from errormap_core.ids import new_id, now
from errormap_core.output_paths import PROJECT, new_output
from errormap_core.project import counting, files, log
from errormap_core.project.salvage_reading import Reading
from errormap_core.project.salvage_source import readable
from errormap_core.project.schema import APPLICATION_ID, OWED, migrations
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import KEY_COLUMNS, BulkRows, BulkUpdate, Edit, pack, unpack
from errormap_core.taxonomy.tree import name_key

_MADE_AGAIN = {"failure", "row_step", "lease", "_sqlite_migrations", "sqlite_sequence"}
"""Tables that are not saved: derived, or of no use."""

_NAMES: dict[str, Sentence] = {
    "meta": tr("Facts about the file"), "source": tr("Annotators and other sources"), "run": tr("Runs"),
    "dataset": tr("Datasets"), "model": tr("Models"), "record": tr("Records"), "analysis": tr("Analyses"),
    "judge_error": tr("Errors of the judge"), "embedding": tr("Embeddings"), "proposal": tr("Proposals"),
    "proposal_member": tr("Failures of proposals"), "run_proposal": tr("Proposals of runs"), "category": tr("Categories"),
    "assignment": tr("Assignments"), "decision": tr("Decisions"), "record_mark": tr("Marks of records"),
    "record_note": tr("Notes on records"), "chosen_threshold": tr("Thresholds"), "choice": tr("Settings"), "log": tr("Steps"),
}  # fmt: skip
"""What people call the tables."""


def _named(table: str) -> Sentence:
    return _NAMES.get(table, tr("{table}", table=table))


LOST_STEP = "lost"
"""Kind of the entries that stand in for steps of the log that are gone: others name them. Nothing can be undone behind them."""


@dataclass(slots=True)
class Saved:
    """What was saved of a table. `lost` is None where nobody can tell how many there were."""

    kept: int = 0
    lost: int | None = 0


@dataclass(slots=True)
class Salvage:
    """What came of a repair."""

    tables: dict[str, Saved] = field(default_factory=dict)
    from_log: Counter[str] = field(default_factory=Counter)
    stood_in: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    n_garbled: int = 0
    n_renamed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost: only what is made again was damaged."""
        saved = all(table.lost == 0 for name, table in self.tables.items() if name != "embedding")
        return saved and not (self.n_garbled or self.n_renamed or self.stood_in or self.left_out)

    def sentences(self) -> Iterator[Sentence]:
        """What was lost, by table; nothing where that is nothing."""
        for name, table in self.tables.items():
            if table.lost is None:
                yield tr(
                    "{table}: {kept:,} rows saved; some were lost, how many is not known.",
                    table=_named(name),
                    kept=table.kept,
                )
            elif table.lost:
                yield trn("{table}: {kept:,} rows saved, {n:,} lost.", "{table}: {kept:,} rows saved, {n:,} lost.",
                          table.lost, table=_named(name), kept=table.kept)  # fmt: skip
        for name, n in sorted(self.from_log.items()):
            yield trn("{table}: {n:,} lost row was made again from the log.",
                      "{table}: {n:,} lost rows were made again from the log.", n, table=_named(name))  # fmt: skip
        for name, n in sorted(self.stood_in.items()):
            yield trn("{table}: {n:,} row that others refer to is gone; an empty one stands in for it.",
                      "{table}: {n:,} rows that others refer to are gone; empty ones stand in for them.",
                      n, table=_named(name))  # fmt: skip
        for name, n in sorted(self.left_out.items()):
            yield trn(
                "{table}: {n:,} row was left out, because what it is about is lost.",
                "{table}: {n:,} rows were left out, because what they are about is lost.", n, table=_named(name),
            )  # fmt: skip
        if self.n_renamed:
            yield trn("{n:,} category was there twice; one of the two is marked as recovered.",
                      "{n:,} categories were there twice; one of each two is marked as recovered.", self.n_renamed)  # fmt: skip
        if self.n_garbled:
            yield trn("{n:,} text holds damaged characters; they are shown as �.",
                      "{n:,} texts hold damaged characters; they are shown as �.", self.n_garbled)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {
            "tables": {name: {"kept": table.kept, "lost": table.lost} for name, table in self.tables.items()},
            "from_log": dict(self.from_log),
            "stood_in": dict(self.stood_in),
            "left_out": dict(self.left_out),
            "garbled": self.n_garbled,
            "renamed": self.n_renamed,
            "is_whole": self.is_whole,
        }


def repair(path: Path, target: Path) -> Salvage:
    """Make a repaired copy of `path` at `target`, where nothing may be. Raises KnownError where nothing can be saved."""
    with (
        new_output(target, PROJECT, inputs=[path], like=path) as new,
        files.told(target),
        readable(path, new.parent) as source,
    ):
        db = files.connect(new, read_only=False, makes=True)
        try:
            salvage = _save(source, db)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
    return salvage


def _save(path: Path, db: Database) -> Salvage:
    salvage = Salvage()
    migrations.apply(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA foreign_keys = OFF")
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]
    with Reading(path) as reading:
        db.execute("BEGIN IMMEDIATE")
        for name in names:
            if name not in _MADE_AGAIN:
                salvage.tables[name] = _save_table(reading, db, name)
        salvage.n_garbled = reading.n_garbled
    _take_from_log(db, salvage)
    _make_whole(db, salvage)
    _tell_twins_apart(db, salvage)
    _close_log(db, salvage)
    _keep_counting(db)
    db.execute("DELETE FROM meta WHERE key = ?", [OWED])
    counting.make_again(db)
    db.execute("COMMIT")
    db.execute("PRAGMA foreign_keys = ON")
    return salvage


def _save_table(reading: Reading, db: Database, name: str) -> Saved:
    known = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
    columns = [column for column in known if column in reading.columns(name)]
    if not columns:
        return Saved(0, None if reading.has(name) is None else 0)
    with_rowid = reading.has_rowid(name)
    into = ", ".join(["rowid", *columns] if with_rowid else columns)
    places = ", ".join("?" * (len(columns) + with_rowid))
    sql = f"INSERT OR REPLACE INTO {name} ({into}) VALUES ({places})"
    for row in reading.rows(name, columns):
        with contextlib.suppress(sqlite3.IntegrityError, sqlite3.DataError):  # no row of this table: counted as lost
            db.execute(sql, row)
    (kept,) = db.execute(f"SELECT count(*) FROM {name}").fetchone()
    expected = reading.n_expected(name)
    if expected is not None:
        return Saved(kept, max(0, expected - kept))
    return Saved(kept, None if reading.is_broken(name) else 0)


def _entries(db: Database) -> Iterator[tuple[Any, ...]]:
    """The edits of every step that can be read, in order."""
    for seq, packed in db.execute("SELECT seq, edits FROM log ORDER BY seq").fetchall():
        try:
            yield unpack(packed)
        except (zlib.error, ValueError, KeyError, TypeError):
            db.execute("UPDATE log SET edits = ?, kind = ? WHERE seq = ?", [pack(()), LOST_STEP, seq])


def _take_from_log(db: Database, salvage: Salvage) -> None:
    """Make lost rows that people decided again, as the steps left them."""
    is_needed = any(salvage.tables[name].lost != 0 for name in KEY_COLUMNS if name in salvage.tables)
    rows: dict[tuple[str, Any], dict[str, Any] | None] = {}
    for edits in _entries(db):
        for edit in edits if is_needed else ():
            match edit:
                case Edit(table=table, key=key, after=after):
                    rows[table, key] = None if after is None else dict(after)
                case BulkRows(table=table, columns=columns):
                    place = columns.index(KEY_COLUMNS[table])
                    for values in edit.rows:
                        rows[table, values[place]] = dict(zip(columns, values, strict=True)) if edit.created else None
                case BulkUpdate(table=table, column=column):
                    for number in edit.ids:
                        row = rows.get((table, number))
                        if row is not None:
                            row[column] = edit.after
    for (table, key), row in rows.items():
        if row is None or table not in KEY_COLUMNS:
            continue
        there = db.execute(f"SELECT 1 FROM {table} WHERE {KEY_COLUMNS[table]} = ?", [key]).fetchone()
        if there is None:
            names, places = ", ".join(row), ", ".join("?" * len(row))
            with contextlib.suppress(sqlite3.Error):  # a column that this version lacks, a row that clashes: stays lost
                db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))
                salvage.from_log[table] += 1
                saved = salvage.tables[table]
                saved.kept += 1
                saved.lost = None if saved.lost is None else max(0, saved.lost - 1)


def _make_whole(db: Database, salvage: Salvage) -> None:
    """Stand in for what is gone and others refer to, else leave out what refers to it, until every reference leads somewhere."""
    if db.execute("SELECT 1 FROM meta WHERE key = 'copy_id'").fetchone() is None:
        db.table("meta").insert({"key": "copy_id", "value": new_id()})
    for key in ("atlas.id", "atlas.title"):
        if db.execute("SELECT 1 FROM choice WHERE key = ?", [key]).fetchone() is None:
            value = new_id() if key == "atlas.id" else "Repaired"
            db.table("choice").insert({"key": key, "value": json.dumps(value)})
            salvage.stood_in["choice"] += 1
    made: set[tuple[str, Any]] = set()
    while broken := _broken(db):
        for table, column, rowid, parent, value in broken:
            if (parent, value) in made:
                continue
            stand_in = _STAND_INS.get(parent)
            if stand_in is not None and table != "failure" and isinstance(value, str):
                made.add((parent, value))
                stand_in(db, value, table, rowid)
                salvage.stood_in[parent] += 1
            elif (table, column) == ("log", "proposal_id"):
                db.execute("UPDATE log SET proposal_id = NULL WHERE rowid = ?", [rowid])
            else:
                made.add((table, ("left out", column, value)))
                n = db.execute(f"DELETE FROM {table} WHERE {column} IS ?", [value]).rowcount
                if table != "failure":
                    salvage.left_out[table] += max(0, n)
                    if table in salvage.tables:
                        salvage.tables[table].kept -= max(0, n)


def _tell_twins_apart(db: Database, salvage: Salvage) -> None:
    """A category whose id was damaged comes back from the log beside itself: no two of one name stand below one parent."""
    seen: set[tuple[str | None, str]] = set()
    rows = db.execute(
        "SELECT id, parent_id, name FROM category WHERE retired IS NULL ORDER BY reserved IS NULL, rowid DESC"
    )
    for key, parent, name in rows.fetchall():
        new, n = name, 1
        while (parent, name_key(new)) in seen:
            new, n = f"{name} (recovered {n})", n + 1
        seen.add((parent, name_key(new)))
        if new != name:
            db.execute("UPDATE category SET name = ? WHERE id = ?", [new, key])
            salvage.n_renamed += 1


def _broken(db: Database) -> list[tuple[str, str, int | None, str, Any]]:
    """The references that lead nowhere: table, column, row, the table that is referred to, the key that is not there."""
    found: list[tuple[str, str, int | None, str, Any]] = []
    for (table,) in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite_%'"
    ).fetchall():
        for _, _, parent, column, to, *_ in db.execute(f"PRAGMA foreign_key_list({table})").fetchall():
            sql = f"""SELECT c.{column} FROM {table} c LEFT JOIN {parent} p ON p.{to} = c.{column}
                WHERE c.{column} IS NOT NULL AND p.{to} IS NULL GROUP BY c.{column}"""
            for (value,) in db.execute(sql).fetchall():
                found.append((table, column, _rowid_of(db, table, column, value), parent, value))
    return found


def _rowid_of(db: Database, table: str, column: str, value: Any) -> int | None:
    with contextlib.suppress(sqlite3.OperationalError):  # a table without rowids
        return int(db.execute(f"SELECT rowid FROM {table} WHERE {column} = ? LIMIT 1", [value]).fetchone()[0])
    return None


def _stand_in_category(db: Database, key: str, _table: str, _rowid: int | None) -> None:
    (n,) = db.execute("SELECT count(*) FROM category WHERE name LIKE 'Recovered %'").fetchone()
    db.table("category").insert(
        {"id": key, "position": 1e5 + n, "name": f"Recovered {n + 1}", "provenance": "{}",
         "description": "The category of these failures was lost when the file was damaged."}
    )  # fmt: skip


def _stand_in_source(db: Database, key: str, table: str, _rowid: int | None) -> None:
    kind = {"run": "run", "log": "annotator", "decision": "annotator"}.get(table, "machine")
    if table in ("assignment", "analysis") and db.execute("SELECT 1 FROM log WHERE actor = ?", [key]).fetchone():
        kind = "annotator"
    db.table("source").insert({"id": key, "kind": kind, "name": f"Lost {key[:8]}", "created_at": now()})


def _stand_in_run(db: Database, key: str, table: str, _rowid: int | None) -> None:
    kind = {"record": "import", "judge_error": "judge"}.get(table, "propose")
    db.table("run").insert(
        {"id": key, "kind": kind, "parameters": "{}", "status": "finished", "started_at": now(), "finished_at": now()}
    )


def _stand_in_dataset(db: Database, key: str, _table: str, _rowid: int | None) -> None:
    """The threshold by the stated rule: 0.7 of the mean score."""
    (mean,) = db.execute("SELECT avg(score) FROM record WHERE dataset = ?", [key]).fetchone()
    db.table("dataset").insert({"name": key, "default_threshold": round(0.7 * (mean or 0.0), 2)})


def _stand_in_model(db: Database, key: str, _table: str, _rowid: int | None) -> None:
    db.table("model").insert({"name": key})


def _stand_in_step(db: Database, key: str, _table: str, _rowid: int | None) -> None:
    (actor,) = db.execute("SELECT id FROM source ORDER BY kind = 'machine' DESC LIMIT 1").fetchone() or (None,)
    if actor is None:
        actor = new_id()
        db.table("source").insert({"id": actor, "kind": "machine", "name": "Repair", "created_at": now()})
    summary = json.dumps(tr("A step that was lost when the file was damaged").to_json())
    (copy_id,) = db.execute("SELECT value FROM meta WHERE key = 'copy_id'").fetchone()
    row = {"id": key, "kind": LOST_STEP, "version": 1, "arguments": "{}", "edits": pack(()), "summary": summary,
           "actor": actor, "copy_id": copy_id, "counter": 0, "follows": "[]", "at": now()}  # fmt: skip
    free = _free_seq(db, key)
    db.table("log").insert(row if free is None else {"seq": free, **row})


def _free_seq(db: Database, key: str) -> int | None:
    """A place in the log for a lost step: before the first that follows it, or takes it back."""
    sql = """SELECT min(seq) FROM log WHERE undo_of = ? OR EXISTS (SELECT 1 FROM json_each(follows) WHERE value = ?)"""
    (before,) = db.execute(sql, [key, key]).fetchone()
    if before is None:
        return None
    seq = int(before) - 1
    while seq > 0 and db.execute("SELECT 1 FROM log WHERE seq = ?", [seq]).fetchone() is not None:
        seq -= 1
    if seq > 0:
        return seq
    return int(db.execute("SELECT min(seq) FROM log").fetchone()[0]) - 1


_STAND_INS: dict[str, Callable[[Database, str, str, int | None], None]] = {
    "category": _stand_in_category,
    "source": _stand_in_source,
    "run": _stand_in_run,
    "dataset": _stand_in_dataset,
    "model": _stand_in_model,
    "log": _stand_in_step,
}


def _close_log(db: Database, salvage: Salvage) -> None:
    """Where steps are gone, those after them cannot be taken back: what was done so far is what the copy begins with."""
    known = {key for (key,) in db.execute("SELECT id FROM log")}
    for (follows,) in db.execute("SELECT follows FROM log ORDER BY seq").fetchall():
        for step in json.loads(follows):
            if step not in known:
                known.add(step)
                _stand_in_step(db, step, "log", None)
                salvage.stood_in["log"] += 1
    counter = 0
    for seq, kept in db.execute("SELECT seq, counter FROM log ORDER BY seq").fetchall():
        if kept <= counter:
            db.execute("UPDATE log SET counter = ? WHERE seq = ?", [counter + 1, seq])
        counter = max(kept, counter + 1)
    is_torn = db.execute("SELECT EXISTS (SELECT 1 FROM log WHERE kind = ?)", [LOST_STEP]).fetchone()[0]
    if is_torn or salvage.tables["log"].lost != 0 or salvage.left_out or salvage.stood_in:
        last = log.last_seq(db)
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [log.FLOOR, str(last)])


def _keep_counting(db: Database) -> None:
    """Numbers that were given are not given again."""
    for table, column in (("assignment", "id"), ("log", "seq")):
        (most,) = db.execute(f"SELECT max({column}) FROM {table}").fetchone()
        db.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table])
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table, most or 0])
