"""The stated rules of what counts, in one place: which records are failures and in which state, which
analysis and which assignment of each counts (design: Foundations 3, 6, 7, 8).

- A record fails where its score is worse than its dataset's threshold: the one chosen by a person,
  else the one computed at the first import. Where a threshold is 0, a score of 0 fails.
- Of several analyses of the record's present content, a person's latest counts before any judge's; of judges, the run
  chosen as current, else the latest run. The latest is that of the later step by the log's counter; clocks may be wrong.
  (Steps of before version 2 of `analysis.write` kept no counter: they come before all others, by their times.)
- A failure that a person placed and nobody analysed is 'placed': it counts, has no diagnosis, and waits for no judge.
- Of several primary assignments, a person's latest counts before any run's; of runs, the latest.
- How a failure got its place (`placed_by`) is how the step that last decided its counted assignment was taken
  (row_steps.py): by a person for this failure alone, by a person with others in one step, by accepting a proposal, or by a
  machine with no person. Who diagnosed it (`diagnosed_by`) is whose analysis counts: a judge's, a person's, or one that a
  person brought in with others in one step.
- A person looked at it one by one (`looked_at`) where a person's step about this failure alone gave it its place: placed by
  hand, a question answered, a proposal of one failure accepted outside a bulk; or where a person wrote the analysis that
  counts. A batch, a bulk accept, a drag of several, a split, a delete or an import is no such look; a merge takes none away.

`failure`, `row_step` and `assignment.counted` hold the results; they are derived and can be made again at any time.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils import Database

from errormap_core.project import row_steps
from errormap_core.project.schema import OWED
from errormap_core.settings import setting

_CHOSEN = """
    SELECT r.id, r.dataset, r.model, r.example_id, r.content_hash FROM record r
    JOIN dataset d ON d.name = r.dataset
    LEFT JOIN chosen_threshold c ON c.dataset = d.name
    WHERE {filter} AND CASE d.direction
        WHEN 'higher' THEN r.score < coalesce(c.threshold, d.default_threshold)
            OR (coalesce(c.threshold, d.default_threshold) = 0 AND r.score = 0)
        ELSE r.score > coalesce(c.threshold, d.default_threshold) END
"""

_FAILURES = (
    """
    INSERT INTO failure (record_id, dataset, model, analysis_id, state)
    WITH failed AS ("""
    + _CHOSEN
    + """), judged AS (
        SELECT f.*, (
            SELECT a.id FROM analysis a JOIN source s ON s.id = a.source_id
            WHERE a.record_id = f.id AND a.record_hash = f.content_hash
            ORDER BY CASE s.kind WHEN 'annotator' THEN coalesce(json_extract(a.details, '$.counter'), 0) END DESC,
                CASE s.kind WHEN 'annotator' THEN a.created_at END DESC,
                a.source_id = :current_run DESC, s.rowid DESC LIMIT 1) AS analysis_id
        FROM failed f)
    SELECT j.id, j.dataset, j.model, j.analysis_id, CASE
        WHEN m.mark IS NOT NULL THEN m.mark
        WHEN NOT (:ratio >= 1 OR sample_position(:seed, j.dataset, j.example_id) < :ratio) THEN 'not_sampled'
        WHEN :models IS NOT NULL AND j.model NOT IN (SELECT value FROM json_each(:models)) THEN 'not_sampled'
        WHEN EXISTS (SELECT 1 FROM assignment p JOIN source s ON s.id = p.source_id
            WHERE p.record_id = j.id AND p.is_primary = 1 AND s.kind = 'annotator')
            THEN CASE WHEN a.verdict IS NULL THEN 'placed' ELSE 'analysed' END
        WHEN a.verdict = 'no_error' THEN 'no_error'
        WHEN a.verdict IS NOT NULL THEN 'analysed'
        WHEN EXISTS (SELECT 1 FROM judge_error e
            WHERE e.record_id = j.id AND e.record_hash = j.content_hash) THEN 'engine_failed'
        ELSE 'waiting' END
    FROM judged j LEFT JOIN record_mark m ON m.record_id = j.id LEFT JOIN analysis a ON a.id = j.analysis_id
"""
)

_COUNTED = """
    UPDATE assignment SET counted = 1 - counted WHERE record_id IN ({records}) AND counted <> (id IS (
        SELECT p.id FROM assignment p JOIN source s ON s.id = p.source_id
            JOIN failure f ON f.record_id = p.record_id AND f.state IN ('analysed', 'placed')
        WHERE p.record_id = assignment.record_id AND p.is_primary = 1
        ORDER BY s.kind = 'annotator' DESC, CASE s.kind WHEN 'annotator' THEN p.id END DESC, s.rowid DESC LIMIT 1))
"""

_STEP = "(SELECT t.how FROM row_step t WHERE t.of_table = '{table}' AND t.key = {key} ORDER BY t.seq DESC LIMIT 1)"

_HOW = f"""
    UPDATE failure SET (placed_by, looked_at) = (
        SELECT CASE WHEN how = 'one' THEN 'person' WHEN how = 'many' THEN 'person_bulk'
            WHEN how IN ('proposal_one', 'proposal_many') THEN 'proposal' WHEN id IS NOT NULL THEN 'machine' END,
            coalesce(how IN ('one', 'proposal_one'), 0)
        FROM (SELECT x.id, {_STEP.format(table="assignment", key="x.id")} AS how FROM
            (SELECT max(id) AS id FROM assignment WHERE record_id = failure.record_id AND counted = 1) x))
    WHERE record_id IN ({{records}})
"""

_DIAGNOSED = f"""
    UPDATE failure SET (diagnosed_by, looked_at) = (
        SELECT CASE WHEN s.kind <> 'annotator' THEN 'judge' WHEN how = 'one' THEN 'person' ELSE 'imported' END,
            failure.looked_at OR coalesce(s.kind = 'annotator' AND how = 'one', 0)
        FROM (SELECT a.source_id, {_STEP.format(table="analysis", key="a.id")} AS how
            FROM analysis a WHERE a.id = failure.analysis_id) JOIN source s ON s.id = source_id)
    WHERE analysis_id IS NOT NULL AND record_id IN ({{records}})
"""


def chosen(db: Database, key: str) -> Any:
    """Value of a project's setting: what was chosen, else the default."""
    known = setting(key, "project")
    row = db.execute("SELECT value FROM choice WHERE key = ?", [known.key]).fetchone()
    return known.default if row is None else json.loads(row[0])


def refresh(db: Database, *, record_ids: Iterable[str] | None = None, dataset: str | None = None) -> None:
    """Derive again what counts for these records, for a dataset, or (neither given) for everything.

    To be called in the same transaction as the write that it follows.
    """
    parameters = _rules(db)
    if record_ids is not None:
        parameters["ids"] = json.dumps(list(record_ids))
        which, records = "r.id IN (SELECT value FROM json_each(:ids))", "SELECT value FROM json_each(:ids)"
    elif dataset is not None:
        parameters["dataset"] = dataset
        which, records = "r.dataset = :dataset", "SELECT id FROM record WHERE dataset = :dataset"
    else:
        which, records = "1", "SELECT id FROM record"
    db.execute(f"DELETE FROM failure WHERE record_id IN ({records})", _only(parameters, records))
    statement = _FAILURES.format(filter=which)
    db.execute(statement, _only(parameters, statement))
    db.execute(_COUNTED.format(records=records), _only(parameters, records))
    _tell_how(db, records, _only(parameters, records))


def make_again(db: Database) -> None:
    """Derive everything again, from rows and log."""
    row_steps.make_again(db)
    refresh(db)


def is_owed(db: Database) -> bool:
    """Whether a migration left what is derived to be made again."""
    return db.execute("SELECT 1 FROM meta WHERE key = ?", [OWED]).fetchone() is not None


def pay_owed(db: Database) -> None:
    """Make again what a migration emptied, in a transaction: cut short, the next opening does it."""
    if not is_owed(db):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        make_again(db)
        db.execute("DELETE FROM meta WHERE key = ?", [OWED])
        db.execute("COMMIT")
    finally:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")


def recount(db: Database, record_ids: Iterable[str]) -> None:
    """Derive again which assignments of these records count, where no state of a failure has changed: what runs place
    makes no failure an analysed one."""
    records, values = "SELECT value FROM json_each(:ids)", {"ids": json.dumps(list(record_ids))}
    db.execute(_COUNTED.format(records=records), values)
    _tell_how(db, records, values)


def recount_moved(db: Database, assignment_ids: Iterable[int]) -> None:
    """Derive again how failures got their places, where steps moved these assignments and nothing else of what counts."""
    records = "SELECT record_id FROM assignment WHERE id IN (SELECT value FROM json_each(:ids))"
    _tell_how(db, records, {"ids": json.dumps(list(assignment_ids))})


def _tell_how(db: Database, records: str, values: dict[str, Any]) -> None:
    db.execute(_HOW.format(records=records), values)
    db.execute(_DIAGNOSED.format(records=records), values)


def any_annotator(db: Database, source_ids: Iterable[str]) -> bool:
    """Whether any of these sources is a person."""
    sql = "SELECT EXISTS (SELECT 1 FROM source WHERE kind = 'annotator' AND id IN (SELECT value FROM json_each(?)))"
    return bool(db.execute(sql, [json.dumps(sorted(source_ids))]).fetchone()[0])


def _rules(db: Database) -> dict[str, Any]:
    models = chosen(db, "models.analysed")
    return {
        "current_run": chosen(db, "judge.current_run"),
        "ratio": chosen(db, "sampling.ratio"),
        "seed": chosen(db, "sampling.seed"),
        "models": None if models is None else json.dumps(models),
    }


def _only(parameters: Mapping[str, Any], statement: str) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if f":{name}" in statement}
