"""The stated rules of what counts, in one place: which records are failures and in which state, which
analysis and which assignment of each counts (design: Foundations 3, 6, 7, 8).

- A record fails where its score is worse than its dataset's threshold: the one chosen by a person,
  else the one computed at the first import. Where a threshold is 0, a score of 0 fails.
- Of several analyses of the record's present content, a person's latest counts before any judge's;
  of judges, the run chosen as current, else the latest run.
- A failure that a person placed counts as analysed also without an analysis: a person diagnosed it.
- Of several primary assignments, a person's latest counts before any run's; of runs, the latest.

`failure` and `assignment.counted` hold the results; they are derived and can be made again at any time.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils import Database

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
            ORDER BY CASE s.kind WHEN 'annotator' THEN a.created_at END DESC,
                a.source_id = :current_run DESC, s.rowid DESC LIMIT 1) AS analysis_id
        FROM failed f)
    SELECT j.id, j.dataset, j.model, j.analysis_id, CASE
        WHEN m.mark IS NOT NULL THEN m.mark
        WHEN NOT (:ratio >= 1 OR sample_position(:seed, j.dataset, j.example_id) < :ratio) THEN 'not_sampled'
        WHEN :models IS NOT NULL AND j.model NOT IN (SELECT value FROM json_each(:models)) THEN 'not_sampled'
        WHEN EXISTS (SELECT 1 FROM assignment p JOIN source s ON s.id = p.source_id
            WHERE p.record_id = j.id AND p.is_primary = 1 AND s.kind = 'annotator') THEN 'analysed'
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
            JOIN failure f ON f.record_id = p.record_id AND f.state = 'analysed'
        WHERE p.record_id = assignment.record_id AND p.is_primary = 1
        ORDER BY s.kind = 'annotator' DESC, CASE s.kind WHEN 'annotator' THEN p.id END DESC, s.rowid DESC LIMIT 1))
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


def recount(db: Database, record_ids: Iterable[str]) -> None:
    """Derive again which assignments of these records count, where no state of a failure has changed: what runs place
    makes no failure an analysed one."""
    db.execute(_COUNTED.format(records="SELECT value FROM json_each(:ids)"), {"ids": json.dumps(list(record_ids))})


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
