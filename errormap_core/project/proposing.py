"""What proposing reads and writes: texts to embed, the cache of embeddings, runs, proposals and their members.

What waits for a decision is read by pending.py.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.ids import now
from errormap_core.project.runs import LATEST_FIRST
from errormap_core.sentences import tr

# Runs and members


ITS_RUNS = "run r CROSS JOIN run_proposal rp ON rp.run_id = r.id"
"""The runs that proposed something, of which there are few: SQLite keeps the order, and looks each run up by the proposal's
key rather than through all that any run ever proposed."""

DECIDED = "coalesce(json_extract(d.details, '$.counter'), 0)"
"""The order of decisions: the log's counter, as clocks may go back; 0 for those of before it was kept."""

TASK = "coalesce(json_extract(r.parameters, '$.task'), 'propose')"
"""What a run of kind 'propose' did: propose (clusters), classify, repair, queue."""


def latest_propose_run(db: Database, task: str = "propose") -> dict[str, Any] | None:
    """The run of this task that finished last, or None; `rowid` of its source breaks a tie."""
    sql = f"""SELECT r.* FROM run r JOIN source s ON s.id = r.id
        WHERE r.kind = 'propose' AND r.status = 'finished' AND {TASK} = ? {LATEST_FIRST} LIMIT 1"""
    return next(iter(db.query(sql, [task])), None)


def run_of(db: Database, proposal_id: str) -> str:
    """Id of the latest run that proposed it. Raises KnownError where there is none."""
    sql = f"""SELECT rp.run_id FROM {ITS_RUNS} JOIN source s ON s.id = r.id
        WHERE rp.proposal_id = ? {LATEST_FIRST} LIMIT 1"""
    found = db.execute(sql, [proposal_id]).fetchone()
    if found is None:
        raise KnownError(
            tr("There is no proposal with the id {id}.", id=proposal_id),
            fix=tr("Choose one from the list of proposals."),
        )
    return str(found[0])


def proposal_members(db: Database, proposal_id: str, *, limit: int | None = None) -> list[tuple[str, float | None]]:
    """(record id, confidence) of the direct members, the most typical first."""
    sql = "SELECT record_id, confidence FROM proposal_member WHERE proposal_id = ? ORDER BY position LIMIT ?"
    return [(r, c) for r, c in db.execute(sql, [proposal_id, -1 if limit is None else limit])]


# What is to be proposed


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An analysed failure that nobody placed, with its counted analysis."""

    record_id: str
    analysis_id: str
    judge_run: str
    verdict: str
    error_title: str
    error_summary: str

    @property
    def text(self) -> str:
        """Title and summary in one, as a judge that gives names reads them."""
        return f"{self.error_title}. {self.error_summary}".strip()


def unplaced_failures(db: Database) -> list[Unplaced]:
    """Analysed failures without a primary assignment, ordered by id, so that nothing depends on their insertion."""
    sql = """SELECT f.record_id, a.id, a.source_id, a.verdict, a.error_title, a.error_summary
        FROM failure f JOIN analysis a ON a.id = f.analysis_id
        WHERE f.state = 'analysed' AND NOT EXISTS
            (SELECT 1 FROM assignment x WHERE x.record_id = f.record_id AND x.is_primary = 1)
        ORDER BY f.record_id"""
    return [Unplaced(*row) for row in db.execute(sql)]


def has_diagnosed(db: Database) -> bool:
    """Whether any failure is analysed."""
    return db.execute("SELECT 1 FROM failure WHERE state = 'analysed' LIMIT 1").fetchone() is not None


def placed_words(db: Database) -> list[tuple[str, str, str]]:
    """(category id, error title, error summary) of counted failures in real categories, ordered by record."""
    sql = """SELECT x.category_id, a.error_title, a.error_summary FROM assignment x
        JOIN failure f ON f.record_id = x.record_id JOIN analysis a ON a.id = f.analysis_id
        JOIN category c ON c.id = x.category_id AND c.reserved IS NULL
        WHERE x.counted = 1 ORDER BY x.record_id"""
    return [(c, title, summary) for c, title, summary in db.execute(sql)]


@dataclass(frozen=True, slots=True)
class Placed:
    """A failure that counts in a category, with its counted analysis."""

    category_id: str
    record_id: str
    analysis_id: str
    error_title: str
    error_summary: str


def placed_failures(db: Database) -> list[Placed]:
    """Counted failures with an analysis in all categories, the reserved ones included, ordered by record."""
    sql = """SELECT x.category_id, x.record_id, a.id, a.error_title, a.error_summary FROM assignment x
        JOIN failure f ON f.record_id = x.record_id JOIN analysis a ON a.id = f.analysis_id
        WHERE x.counted = 1 ORDER BY x.record_id"""
    return [Placed(*row) for row in db.execute(sql)]


def decided_pairs(db: Database) -> set[tuple[str, str]]:
    """(record id, category id) of what proposals to assign said and a person decided, skipped ones apart; and what was left
    out of a category that was made of a proposal."""
    sql = """SELECT m.record_id, json_extract(p.arguments, '$.category_id')
        FROM decision d JOIN proposal p ON p.id = d.proposal_id JOIN proposal_member m ON m.proposal_id = p.id
        WHERE (p.kind = 'assign' OR (p.kind = 'place' AND json_extract(p.arguments, '$.candidates') IS NULL))
            AND d.verdict IN ('accept', 'edit', 'reject')
        UNION SELECT w.value, d.category_id
        FROM decision d JOIN proposal p ON p.id = d.proposal_id, json_each(d.details, '$.without') w
        WHERE p.kind = 'create' AND d.category_id IS NOT NULL"""
    return {(record_id, category_id) for record_id, category_id in db.execute(sql)}


def record_texts(db: Database, record_id: str) -> tuple[str, str]:
    """A record's task and answer."""
    task, answer = db.execute("SELECT input_text, output_text FROM record WHERE id = ?", [record_id]).fetchone()
    return task, answer


def kept_scores(db: Database, scored_by: str) -> dict[str, dict[str, float]]:
    """What judges' scores of names were in runs that were scored in this way: by analysis id, by name."""
    sql = """SELECT result FROM run WHERE kind = 'propose' AND result IS NOT NULL
        AND json_extract(parameters, '$.scored_by') = ? ORDER BY rowid"""
    kept: dict[str, dict[str, float]] = {}
    for (text,) in db.execute(sql, [scored_by]):
        for analysis_id, scores in json.loads(text).get("scores", {}).items():
            kept.setdefault(analysis_id, {}).update(scores)
    return kept


def keep_scores(db: Database, run_id: str, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Keep a run's scores while it goes on; to be called inside writing()."""
    db.execute("UPDATE run SET result = ? WHERE id = ?", [_json({"scores": scores}), run_id])


# The cache of embeddings


def cached_vectors(db: Database, model: str, hashes: Sequence[str]) -> dict[str, bytes]:
    """Vectors (float32, little-endian) of these texts that are kept already."""
    sql = """SELECT text_hash, vector FROM embedding
        WHERE model = ? AND text_hash IN (SELECT value FROM json_each(?))"""
    return dict(db.execute(sql, [model, json.dumps(list(hashes))]).fetchall())


def cached_hashes(db: Database, model: str, hashes: Sequence[str]) -> set[str]:
    """Those of these texts whose vectors are kept already."""
    sql = """SELECT text_hash FROM embedding
        WHERE model = ? AND text_hash IN (SELECT value FROM json_each(?))"""
    return {row[0] for row in db.execute(sql, [model, json.dumps(list(hashes))])}


def save_vectors(db: Database, model: str, vectors: Mapping[str, bytes]) -> None:
    """Keep vectors by the hash of their text; to be called inside writing()."""
    rows = [(text_hash, model, vector) for text_hash, vector in vectors.items()]
    db.conn.executemany("INSERT OR IGNORE INTO embedding (text_hash, model, vector) VALUES (?, ?, ?)", rows)


# What was proposed


@dataclass(frozen=True, slots=True)
class NewProposal:
    """A proposal to keep. `members` are (record id, confidence), the most typical first."""

    id: str
    kind: str
    arguments: Mapping[str, Any]
    evidence: Mapping[str, Any]
    score: float
    parent_id: str | None
    members: Sequence[tuple[str, float | None]]


def save_proposals(
    db: Database, run_id: str, proposals: Sequence[NewProposal], pause: Callable[[], None] = lambda: None
) -> None:
    """Keep a run's proposals, parents first; to be called inside writing().

    One that an earlier run made keeps its id and members; its evidence and score are renewed. Its arguments are renewed as
    long as nobody ever decided on it; later they stay, because the log refers to them. A question where a failure belongs
    has other candidates whenever it is asked: the log says which was chosen. `pause` is called between steps and may raise.
    """
    made = now()
    sql = "SELECT id FROM proposal WHERE id IN (SELECT value FROM json_each(?))"
    known = {row[0] for row in db.execute(sql, [json.dumps([new.id for new in proposals])])}
    settled = ever_decided(db) if any(new.id in known and new.kind != "place" for new in proposals) else set()
    for position, new in enumerate(proposals):
        pause()
        values = [_json(new.arguments), _json(new.evidence), new.score]
        if new.id not in known:
            db.execute(
                "INSERT INTO proposal (id, kind, arguments, evidence, score, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                [new.id, new.kind, *values, made],
            )
            db.conn.executemany(
                "INSERT INTO proposal_member (proposal_id, position, record_id, confidence) VALUES (?, ?, ?, ?)",
                [(new.id, place, record_id, c) for place, (record_id, c) in enumerate(new.members)],
            )
        elif new.id in settled and new.kind != "place":
            db.execute("UPDATE proposal SET evidence = ?, score = ? WHERE id = ?", [*values[1:], new.id])
        else:
            db.execute("UPDATE proposal SET arguments = ?, evidence = ?, score = ? WHERE id = ?", [*values, new.id])
        db.execute(
            "INSERT OR REPLACE INTO run_proposal (run_id, proposal_id, parent_id, position) VALUES (?, ?, ?, ?)",
            [run_id, new.id, new.parent_id, position],
        )


def proposals_of_run(db: Database, run_id: str) -> list[dict[str, Any]]:
    """A run's proposals whole, as the fields of NewProposal that JSON can hold, in their order."""
    sql = """SELECT p.id, p.kind, p.arguments, p.evidence, p.score, rp.parent_id FROM run_proposal rp
        JOIN proposal p ON p.id = rp.proposal_id WHERE rp.run_id = ? ORDER BY rp.position"""
    return [
        {
            "id": key,
            "kind": kind,
            "arguments": json.loads(arguments),
            "evidence": json.loads(evidence),
            "score": score,
            "parent_id": parent_id,
            "members": [list(member) for member in proposal_members(db, key)],
        }
        for key, kind, arguments, evidence, score, parent_id in db.execute(sql, [run_id]).fetchall()
    ]


def ever_decided(db: Database) -> set[str]:
    """Ids of the proposals that a step of the log decided, undone ones included."""
    sql = """SELECT DISTINCT json_extract(r.value, '$.proposal_id')
        FROM log l, json_each(l.arguments, '$.rulings') r WHERE l.kind = 'proposal.decide'"""
    return {row[0] for row in db.execute(sql)}


def settled_arguments(db: Database) -> dict[str, dict[str, Any]]:
    """Arguments (name, description, named_by ...) of the proposals that were ever decided, by id."""
    sql = "SELECT id, arguments FROM proposal WHERE id IN (SELECT value FROM json_each(?))"
    return {key: json.loads(text) for key, text in db.execute(sql, [json.dumps(sorted(ever_decided(db)))])}


def decided_of_run(db: Database, run_id: str) -> int:
    """How many of a run's proposals are done already (what is skipped or set aside is not)."""
    sql = """SELECT count(*) FROM run_proposal rp JOIN decision d ON d.proposal_id = rp.proposal_id
        WHERE rp.run_id = ? AND d.verdict IN ('accept', 'edit', 'reject')"""
    return int(db.execute(sql, [run_id]).fetchone()[0])


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)
