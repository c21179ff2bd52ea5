"""What views, the command line and exporters read of a project: totals, counts, lists, one record whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project import log
from errormap_core.sentences import Sentence, tr

STATES = ("analysed", "placed", "no_error", "waiting", "engine_failed", "disputed", "excluded", "not_sampled")

IN_TREE = ("analysed", "placed")
"""States in which a failure can be in a category and counts there."""

COUNTED = (*IN_TREE, "no_error")
"""States that shares and coverage are over: sampled failures that are placed or diagnosed."""

PLACED_BY = ("person", "person_bulk", "proposal", "machine")
DIAGNOSED_BY = ("person", "imported", "judge")


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of a whole project. Shares and coverage are of `n_counted` (None where that is 0).

    Of the counted failures: `placed_by` and `diagnosed_by` say how many got their place and their diagnosis in each way
    (PLACED_BY, DIAGNOSED_BY), `n_looked_at` how many a person looked at one by one, `looked_at` the same by category, not
    below it (counting.py states what each is).
    """

    n_records: int
    n_failures: int
    states: Mapping[str, int]
    n_placed: int
    n_other: int
    n_hard: int
    placed_by: Mapping[str, int] = field(default_factory=dict)
    diagnosed_by: Mapping[str, int] = field(default_factory=dict)
    n_looked_at: int = 0
    looked_at: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_counted(self) -> int:
        """Sampled failures that are placed or diagnosed; those found to hold no error among them."""
        return sum(self.states[state] for state in COUNTED)

    @property
    def n_unplaced(self) -> int:
        """Analysed failures that no category holds yet."""
        return sum(self.states[state] for state in IN_TREE) - self.n_placed

    @property
    def coverage(self) -> float | None:
        """Share of counted failures in a real category rather than Other or Hard to Analyze."""
        return (self.n_placed - self.n_other - self.n_hard) / self.n_counted if self.n_counted else None


def totals(db: Database) -> Totals:
    """Totals as they stand now."""
    states, placed_by, diagnosed_by = (dict.fromkeys(names, 0) for names in (STATES, PLACED_BY, DIAGNOSED_BY))
    n_looked_at = 0
    sql = """SELECT state, placed_by, diagnosed_by, looked_at, count(*) FROM failure
        GROUP BY state, placed_by, diagnosed_by, looked_at"""
    for state, placed_how, diagnosed_how, is_looked_at, n in db.execute(sql):
        states[state] += n
        if state in COUNTED:
            n_looked_at += n * is_looked_at
            if placed_how is not None:
                placed_by[placed_how] += n
            if diagnosed_how is not None:
                diagnosed_by[diagnosed_how] += n
    n_records = db.execute("SELECT count(*) FROM record").fetchone()[0]
    placed = {None: 0, "other": 0, "hard": 0}
    sql = """WITH RECURSIVE top (id, kind) AS (
            SELECT id, reserved FROM category WHERE parent_id IS NULL AND retired IS NULL
            UNION ALL SELECT c.id, top.kind FROM category c JOIN top ON c.parent_id = top.id AND c.retired IS NULL),
        own (id, n) AS (SELECT category_id, count(*) FROM assignment WHERE counted = 1 GROUP BY category_id)
        SELECT top.kind, sum(own.n) FROM own JOIN top ON top.id = own.id GROUP BY top.kind"""
    placed.update(db.execute(sql).fetchall())
    return Totals(
        n_records=n_records,
        n_failures=sum(states.values()),
        states=states,
        n_placed=sum(placed.values()),
        n_other=placed["other"],
        n_hard=placed["hard"],
        placed_by=placed_by,
        diagnosed_by=diagnosed_by,
        n_looked_at=n_looked_at,
        looked_at=own_looked_at(db),
    )


def states(db: Database) -> dict[str, int]:
    """How many failures are in each state; states without any are left out."""
    return dict(db.execute("SELECT state, count(*) FROM failure GROUP BY state").fetchall())


def own_counts(db: Database) -> dict[str, int]:
    """Counted failures on each category itself, not below it; categories without any are left out."""
    sql = "SELECT category_id, sum(counted) FROM assignment GROUP BY category_id HAVING sum(counted) > 0"
    return dict(db.execute(sql).fetchall())


def own_looked_at(db: Database) -> dict[str, int]:
    """Counted failures on each category itself that a person looked at one by one; categories without any are left out."""
    sql = """SELECT a.category_id, count(*) FROM failure f JOIN assignment a ON a.record_id = f.record_id AND a.counted = 1
        WHERE f.looked_at = 1 GROUP BY a.category_id"""
    return dict(db.execute(sql).fetchall())


def own_counts_by(db: Database, what: Literal["model", "dataset"]) -> dict[str, dict[str, int]]:
    """Counted failures on each category itself by model or dataset: {category id: {name: n}}."""
    found: dict[str, dict[str, int]] = {}
    sql = f"""SELECT a.category_id, f.{what}, count(*) FROM assignment a JOIN failure f ON f.record_id = a.record_id
        WHERE a.counted = 1 GROUP BY a.category_id, f.{what} ORDER BY f.{what}"""
    for category_id, name, n in db.execute(sql):
        found.setdefault(category_id, {})[name] = n
    return found


def counted_by(db: Database, what: Literal["model", "dataset"]) -> dict[str, int]:
    """Counted failures (placed, analysed, and no error found) of each model or dataset: what shares are of."""
    sql = f"""SELECT {what}, sum(state IN ({quoted(COUNTED)})) FROM failure GROUP BY {what} ORDER BY {what}"""
    return dict(db.execute(sql).fetchall())


def looked_at_by(db: Database, what: Literal["model", "dataset"]) -> dict[str, int]:
    """How many of each model's or dataset's counted failures a person looked at one by one."""
    sql = f"""SELECT {what}, sum(looked_at = 1 AND state IN ({quoted(COUNTED)})) FROM failure
        GROUP BY {what} ORDER BY {what}"""
    return dict(db.execute(sql).fetchall())


def quoted(names: Sequence[str]) -> str:
    """Names of states as SQL lists them."""
    return ", ".join(f"'{name}'" for name in names)


def failure_ids(
    db: Database,
    *,
    category_ids: Sequence[str] | None = None,
    state: str | None = None,
    model: str | None = None,
    dataset: str | None = None,
    unplaced: bool = False,
    search: str = "",
) -> list[str]:
    """Ids of failures in a stable order (dataset, example, model).

    `category_ids`: those whose counted assignment is in one of these; `unplaced`: analysed ones that no
    category holds; `search`: text in question, answer, example id or the counted analysis, any case.
    """
    joins, where, values = [], ["1"], list[Any]()
    if category_ids is not None:
        joins.append("JOIN assignment x ON x.record_id = f.record_id AND x.counted = 1")
        where.append("x.category_id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(category_ids)))
    if unplaced:
        where.append(
            f"""f.state IN ({quoted(IN_TREE)})
            AND NOT EXISTS (SELECT 1 FROM assignment x WHERE x.record_id = f.record_id AND x.counted = 1)"""
        )
    for column, value in (("state", state), ("model", model), ("dataset", dataset)):
        if value is not None:
            where.append(f"f.{column} = ?")
            values.append(value)
    if search.strip():
        joins.append("LEFT JOIN analysis a ON a.id = f.analysis_id")
        where.append(
            r"""(r.input_text || char(31) || r.output_text || char(31) || r.example_id || char(31) ||
            coalesce(a.error_title || char(31) || a.error_summary, '')) LIKE ? ESCAPE '\'"""
        )
        pattern = search.strip().replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        values.append(f"%{pattern}%")
    sql = f"""SELECT f.record_id FROM failure f JOIN record r ON r.id = f.record_id {" ".join(joins)}
        WHERE {" AND ".join(where)} ORDER BY r.dataset, r.example_id, r.model, r.attempt"""
    return [row[0] for row in db.execute(sql, values)]


def common_titles(db: Database, category_ids: Sequence[str], *, limit: int) -> list[tuple[str, int, str]]:
    """(error title, how many failures have it, id of one of them) of these categories, the most frequent first."""
    sql = """SELECT a.error_title, count(*), min(f.record_id) FROM assignment x
        JOIN failure f ON f.record_id = x.record_id JOIN analysis a ON a.id = f.analysis_id
        WHERE x.counted = 1 AND x.category_id IN (SELECT value FROM json_each(?)) AND a.error_title <> ''
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"""
    return [(title, n, record_id) for title, n, record_id in db.execute(sql, [json.dumps(list(category_ids)), limit])]


def n_counted_in(db: Database, category_ids: Sequence[str]) -> int:
    """Failures whose counted assignment is in one of these categories."""
    sql = "SELECT count(*) FROM assignment WHERE counted = 1 AND category_id IN (SELECT value FROM json_each(?))"
    return int(db.execute(sql, [json.dumps(list(category_ids))]).fetchone()[0])


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure as a list shows it. `category_id` is of the counted assignment. The answer is not among
    it: a list that reads a hundred rows would read as many answers, of megabytes each."""

    record_id: str
    dataset: str
    model: str
    example_id: str
    score: float
    state: str
    error_title: str
    error_summary: str
    category_id: str | None
    reason: str
    placed_by: str | None = None
    diagnosed_by: str | None = None
    looked_at: int = 0


def failure_rows(db: Database, record_ids: Sequence[str]) -> dict[str, FailureRow]:
    """Rows for these failures by id (those that fail no more are left out)."""
    sql = """SELECT f.record_id, f.dataset, f.model, r.example_id, r.score, f.state,
            coalesce(a.error_title, ''), coalesce(a.error_summary, ''), x.category_id,
            CASE WHEN f.state IN ('excluded', 'disputed') THEN m.reason WHEN f.state = 'engine_failed' THEN
                (SELECT e.reason FROM judge_error e WHERE e.record_id = f.record_id ORDER BY e.id DESC LIMIT 1)
                ELSE '' END, f.placed_by, f.diagnosed_by, f.looked_at
        FROM failure f JOIN record r ON r.id = f.record_id LEFT JOIN analysis a ON a.id = f.analysis_id
        LEFT JOIN assignment x ON x.record_id = f.record_id AND x.counted = 1
        LEFT JOIN record_mark m ON m.record_id = f.record_id
        WHERE f.record_id IN (SELECT value FROM json_each(?))"""
    return {row[0]: FailureRow(*row) for row in db.execute(sql, [json.dumps(list(record_ids))])}


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """One analysis of a record by one source; `counts` tells the one that counts."""

    id: str
    source_id: str
    source_kind: str
    source_name: str
    verdict: str
    required_criteria: list[dict[str, Any]]
    error_title: str
    error_summary: str
    details: dict[str, Any]
    created_at: str
    is_outdated: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """One assignment of a record."""

    category_id: str
    source_kind: str
    source_name: str
    is_primary: bool
    confidence: float | None
    counts: bool


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """A record whole. `state` is None where it passed; `correct_predictions` are (model, output) that passed."""

    id: str
    dataset: str
    model: str
    example_id: str
    attempt: int
    score: float
    threshold: float
    input_text: str
    output_text: str
    correct_answer: str | None
    messages: Any
    metrics: dict[str, Any]
    extra: dict[str, Any]
    source_file: str
    source_line: int
    state: str | None
    mark_reason: str
    note: str
    engine_reason: str
    analyses: list[AnalysisRow]
    assignments: list[AssignmentRow]
    correct_predictions: list[tuple[str, str]]
    placed_by: str | None = None
    diagnosed_by: str | None = None
    looked_at: bool = False

    @property
    def analysis(self) -> AnalysisRow | None:
        """The analysis that counts."""
        return next((a for a in self.analyses if a.counts), None)


def record_detail(db: Database, record_id: str) -> RecordDetail:
    """A record with all that is known of it. Raises KnownError where there is none."""
    rows = list(
        db.query(
            """SELECT r.*, coalesce(c.threshold, d.default_threshold) AS threshold, f.state, f.analysis_id,
                f.placed_by, f.diagnosed_by, coalesce(f.looked_at, 0) AS looked_at,
                coalesce(m.reason, '') AS mark_reason, coalesce(n.text, '') AS note,
                coalesce((SELECT e.reason FROM judge_error e WHERE e.record_id = r.id ORDER BY e.id DESC LIMIT 1), '')
                    AS engine_reason
            FROM record r JOIN dataset d ON d.name = r.dataset LEFT JOIN chosen_threshold c ON c.dataset = d.name
            LEFT JOIN failure f ON f.record_id = r.id LEFT JOIN record_mark m ON m.record_id = r.id
            LEFT JOIN record_note n ON n.record_id = r.id WHERE r.id = ?""",
            [record_id],
        )
    )
    if not rows:
        raise KnownError(tr("There is no record with the id {id}.", id=record_id), fix=tr("Choose one from the list."))
    row = rows[0]
    return RecordDetail(
        **{k: row[k] for k in ("id", "dataset", "model", "example_id", "attempt", "score", "threshold", "input_text")},
        **{k: row[k] for k in ("output_text", "correct_answer", "source_file", "source_line", "state", "mark_reason")},
        **{k: row[k] for k in ("note", "engine_reason", "placed_by", "diagnosed_by")},
        looked_at=bool(row["looked_at"]),
        messages=None if row["messages"] is None else json.loads(row["messages"]),
        metrics=json.loads(row["metrics"]),
        extra=json.loads(row["extra"]),
        analyses=_analyses(db, record_id, content_hash=row["content_hash"], counted=row["analysis_id"]),
        assignments=_assignments(db, record_id),
        correct_predictions=_passed(db, row),
    )


def _analyses(db: Database, record_id: str, *, content_hash: str, counted: str | None) -> list[AnalysisRow]:
    sql = """SELECT a.*, s.kind, s.name FROM analysis a JOIN source s ON s.id = a.source_id
        WHERE a.record_id = ? ORDER BY a.rowid DESC"""
    return [
        AnalysisRow(
            **{k: a[k] for k in ("id", "source_id", "verdict", "error_title", "error_summary", "created_at")},
            source_kind=a["kind"],
            source_name=a["name"],
            required_criteria=json.loads(a["required_criteria"]),
            details=json.loads(a["details"]),
            is_outdated=a["record_hash"] != content_hash,
            counts=a["id"] == counted,
        )
        for a in db.query(sql, [record_id])
    ]


def _assignments(db: Database, record_id: str) -> list[AssignmentRow]:
    sql = """SELECT a.category_id, s.kind, s.name, a.is_primary, a.confidence, a.counted FROM assignment a
        JOIN source s ON s.id = a.source_id WHERE a.record_id = ? ORDER BY a.counted DESC, a.id DESC"""
    return [
        AssignmentRow(c, kind, name, bool(primary), confidence, bool(counts))
        for c, kind, name, primary, confidence, counts in db.execute(sql, [record_id])
    ]


def _passed(db: Database, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    sql = """SELECT r.model, r.output_text FROM record r
        WHERE r.dataset = ? AND r.example_id = ? AND r.model <> ?
            AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.record_id = r.id)
        ORDER BY r.model, r.attempt"""
    return [(m, text) for m, text in db.execute(sql, [row["dataset"], row["example_id"], row["model"]])]


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset with its threshold, whether a person chose it, and its numbers."""

    name: str
    threshold: float
    is_chosen: bool
    n_records: int
    n_failures: int


def datasets(db: Database) -> list[DatasetRow]:
    sql = """SELECT d.name, coalesce(c.threshold, d.default_threshold), c.threshold IS NOT NULL,
            (SELECT count(*) FROM record r WHERE r.dataset = d.name),
            (SELECT count(*) FROM failure f WHERE f.dataset = d.name)
        FROM dataset d LEFT JOIN chosen_threshold c ON c.dataset = d.name ORDER BY d.name"""
    return [DatasetRow(n, t, bool(chosen), r, f) for n, t, chosen, r, f in db.execute(sql)]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model with its numbers of records and failures."""

    name: str
    n_records: int
    n_failures: int


def models(db: Database) -> list[ModelRow]:
    sql = """SELECT m.name, coalesce(r.n, 0), coalesce(f.n, 0) FROM model m
        LEFT JOIN (SELECT model, count(*) AS n FROM record GROUP BY model) r ON r.model = m.name
        LEFT JOIN (SELECT model, count(*) AS n FROM failure GROUP BY model) f ON f.model = m.name ORDER BY m.name"""
    return [ModelRow(*row) for row in db.execute(sql)]


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A log entry as the history shows it; `is_undone` where a later entry took it back and none brought it again."""

    seq: int
    entry_id: str
    kind: str
    summary: str
    actor: str
    initials: str
    at: str
    undo_of: str | None
    is_undone: bool
    reason: str


def history(db: Database, *, limit: int | None = None) -> list[HistoryRow]:
    """Steps, the latest first."""
    sql = """SELECT l.seq, l.id, l.kind, l.summary, s.name, s.initials, l.at, l.undo_of, l.reason
        FROM log l JOIN source s ON s.id = l.actor ORDER BY l.seq DESC LIMIT ?"""
    stands = log.standing(db)
    found = []
    for seq, entry_id, kind, summary, actor, initials, at, undo_of, reason in db.execute(
        sql, [-1 if limit is None else limit]
    ):
        said = str(Sentence.from_json(json.loads(summary)))
        is_undone = not stands[entry_id]
        found.append(HistoryRow(seq, entry_id, kind, said, actor, initials, at, undo_of, is_undone, reason))
    return found
