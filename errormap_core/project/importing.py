"""Where imported records are staged, compared with what the project has, and taken over in one go.

Staging goes into a temporary table on disk, outside of any lock on the project; only the last step,
one INSERT ... SELECT, holds it. So a file of any size needs little memory, other processes can write
while it is read, and an import that is stopped, killed or refused leaves nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from errormap_core.importers.records import RawRecord
from errormap_core.project import counting
from errormap_core.project.runs import end_run, start_run

_COLUMNS = (
    "id, dataset, model, example_id, attempt, score, content_hash, source_file, source_line, input_text, output_text,"
    " messages, correct_answer, metrics, extra"
)
_REPLACED = "score content_hash source_file source_line input_text output_text messages correct_answer metrics extra"

MOST_IDS = 20_000
"""With more records than this, what counts is derived again for whole datasets, which is quicker."""


def begin_staging(db: Database) -> None:
    """An empty staging table, in a temporary file."""
    db.execute("DROP TABLE IF EXISTS temp.staged")
    db.execute("PRAGMA temp_store = FILE")
    db.execute(
        """CREATE TEMP TABLE staged (id TEXT PRIMARY KEY, dataset TEXT, model TEXT, example_id TEXT, attempt INTEGER,
        score REAL, content_hash TEXT, source_file TEXT, source_line INTEGER, input_text TEXT, output_text TEXT,
        messages TEXT, correct_answer TEXT, metrics TEXT, extra TEXT, file INTEGER)"""
    )


def end_staging(db: Database) -> None:
    if db.conn.in_transaction:  # a disk that is full leaves the batch open
        db.execute("ROLLBACK")
    db.execute("DROP TABLE IF EXISTS temp.staged")


@dataclass(frozen=True, slots=True)
class Twice:
    """A record whose key was staged before; `is_same` where its content is the same too."""

    record: RawRecord
    first_line: int
    is_same: bool


def stage(db: Database, records: Sequence[RawRecord], *, file: int) -> list[Twice]:
    """Stage records of the file numbered `file`; those whose key is staged already are returned instead."""
    hashes = [(record, record.id, record.content_hash()) for record in records]
    ids = json.dumps([key for _, key, _ in hashes])
    sql = "SELECT id, content_hash, source_line FROM temp.staged WHERE id IN (SELECT value FROM json_each(?))"
    seen = {row[0]: (row[1], row[2]) for row in db.execute(sql, [ids])}
    twice, rows = [], []
    for record, key, content in hashes:
        if key in seen:
            twice.append(Twice(record, seen[key][1], seen[key][0] == content))
            continue
        seen[key] = (content, record.source_line)
        rows.append(_values(record, key, content, file))
    places = ", ".join("?" * 16)
    db.execute("BEGIN")  # locks nothing of the project: only the temporary table is written
    db.conn.executemany(f"INSERT INTO temp.staged VALUES ({places})", rows)
    db.execute("COMMIT")
    return twice


def _values(record: RawRecord, key: str, content: str, file: int) -> tuple[Any, ...]:
    messages = None if record.messages is None else json.dumps(record.messages, ensure_ascii=False)
    return (
        key,
        record.dataset,
        record.model,
        record.example_id,
        record.attempt,
        record.score,
        content,
        record.source_file,
        record.source_line,
        record.input_text,
        record.output_text,
        messages,
        record.correct_answer,
        json.dumps(record.metrics, sort_keys=True),
        json.dumps(record.extra, ensure_ascii=False),
        file,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Staged records of one file beside those of the project. `conflicts` are (line, example, model) of the first ones."""

    n_new: int
    n_same: int
    n_other: int
    conflicts: list[tuple[int, str, str]]


def compare(db: Database, *, file: int, most: int) -> Comparison:
    """How the staged records of a file stand to those that the project has."""
    sql = """SELECT coalesce(sum(r.id IS NULL), 0), coalesce(sum(r.content_hash = s.content_hash), 0),
            coalesce(sum(r.content_hash <> s.content_hash), 0)
        FROM temp.staged s LEFT JOIN record r ON r.id = s.id WHERE s.file = ?"""
    new, same, other = db.execute(sql, [file]).fetchone()
    sql = """SELECT s.source_line, s.example_id, s.model FROM temp.staged s JOIN record r ON r.id = s.id
        WHERE s.file = ? AND r.content_hash <> s.content_hash ORDER BY s.source_line LIMIT ?"""
    return Comparison(new, same, other, db.execute(sql, [file, most]).fetchall() if other else [])


@dataclass(frozen=True, slots=True)
class Names:
    """What the staged records are of."""

    datasets: frozenset[str]
    models: frozenset[str]


def staged_names(db: Database) -> Names:
    datasets, models = (
        frozenset(row[0] for row in db.execute(f"SELECT DISTINCT {column} FROM temp.staged"))
        for column in ("dataset", "model")
    )
    return Names(datasets, models)


def take_over(db: Database, runs: Mapping[int, tuple[str, Mapping[str, Any]]], *, replace: bool) -> None:
    """Move what is staged into the project; to be called inside writing().

    `runs` gives the name and parameters of each file's import run. A dataset's threshold, round(0.7 x mean
    score, 2), is computed here at its first import and never again.
    """
    db.execute(
        """INSERT OR IGNORE INTO dataset (name, default_threshold)
        SELECT dataset, round(0.7 * avg(score), 2) FROM temp.staged GROUP BY dataset"""
    )
    db.execute("INSERT OR IGNORE INTO model (name) SELECT DISTINCT model FROM temp.staged ORDER BY model")
    touched: list[str] = []
    for file, (name, parameters) in runs.items():
        new = [row[0] for row in db.execute(_which("r.id IS NULL"), [file])]
        changed = [row[0] for row in db.execute(_which("r.content_hash <> s.content_hash"), [file])] if replace else []
        if not new and not changed:
            continue  # importing the same file twice changes nothing
        run_id = start_run(db, "import", name, parameters)
        db.execute(
            f"""INSERT INTO record ({_COLUMNS}, import_run) SELECT {_COLUMNS}, ? FROM temp.staged s
            WHERE s.file = ? AND NOT EXISTS (SELECT 1 FROM record r WHERE r.id = s.id) ORDER BY s.rowid""",
            [run_id, file],
        )
        if changed:
            columns = _REPLACED.split()
            settings = ", ".join(f"{c} = s.{c}" for c in columns)
            db.execute(
                f"""UPDATE record SET {settings}, import_run = ? FROM temp.staged s
                WHERE s.id = record.id AND s.file = ? AND s.content_hash <> record.content_hash""",
                [run_id, file],
            )
        end_run(db, run_id, "finished", {"added": len(new), "replaced": len(changed)})
        touched += new + changed
    if len(touched) <= MOST_IDS:
        counting.refresh(db, record_ids=touched)
        return
    for row in db.execute("SELECT DISTINCT dataset FROM temp.staged").fetchall():
        counting.refresh(db, dataset=row[0])


def _which(condition: str) -> str:
    return f"SELECT s.id FROM temp.staged s LEFT JOIN record r ON r.id = s.id WHERE s.file = ? AND {condition}"


def dataset_numbers(db: Database, dataset: str) -> tuple[float, int]:
    """Threshold in force and number of failures of a dataset."""
    sql = """SELECT coalesce(c.threshold, d.default_threshold),
            (SELECT count(*) FROM failure f WHERE f.dataset = d.name)
        FROM dataset d LEFT JOIN chosen_threshold c ON c.dataset = d.name WHERE d.name = ?"""
    threshold, n = db.execute(sql, [dataset]).fetchone()
    return float(threshold), int(n)
