"""What the queue learns from and writes: every analysed failure, what is decided of it, and the questions that come next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from errormap_core.ids import now
from errormap_core.project.proposing import DECIDED, NewProposal, ever_decided, latest_propose_run, save_proposals
from errormap_core.project.runs import LATEST_FIRST, end_run, start_run
from errormap_core.sentences import Sentence, tr, trn

RUN_NAME = "Questions of the queue"


@dataclass(frozen=True, slots=True)
class Analysed:
    """An analysed failure: title and summary of its counted analysis."""

    record_id: str
    analysis_id: str
    error_title: str
    error_summary: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What is decided of failures, by record id.

    `placed`: a person's own category; `along`: that of a group that a person accepted. `set_aside`: that a person put
    where nothing is learned of them (Other, Hard to Analyze). `deferred`: skipped, unsure or flagged questions.
    `refused`: (record, category) that were said to be wrong. Ids of categories are those of the rows, to be resolved.
    """

    placed: Mapping[str, str]
    along: Mapping[str, str]
    set_aside: frozenset[str]
    deferred: frozenset[str]
    refused: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ProposedGroup:
    """A proposal to create a category, with its own members; `category_id` is what was made of it, if anything."""

    proposal_id: str
    category_id: str | None
    name: str
    record_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question that was answered: its candidates, and the category that the failure went into. `is_drawn`: the failure was
    drawn at random."""

    record_id: str
    candidates: tuple[Mapping[str, Any], ...]
    category_id: str
    is_drawn: bool


def analysed_failures(db: Database) -> list[Analysed]:
    """Analysed failures that are not unclear, ordered by record."""
    sql = """SELECT f.record_id, a.id, a.error_title, a.error_summary FROM failure f
        JOIN analysis a ON a.id = f.analysis_id
        WHERE f.state = 'analysed' AND a.verdict <> 'unclear' ORDER BY f.record_id"""
    return [Analysed(*row) for row in db.execute(sql)]


def decided_failures(db: Database) -> Decided:
    """What is decided of failures, by the assignment that counts."""
    sql = """SELECT x.record_id, x.category_id, s.kind = 'annotator', c.reserved IS NOT NULL FROM assignment x
        JOIN source s ON s.id = x.source_id JOIN category c ON c.id = x.category_id
        WHERE x.counted = 1 AND x.is_primary = 1 ORDER BY x.record_id"""
    placed: dict[str, str] = {}
    along: dict[str, str] = {}
    aside: set[str] = set()
    for record_id, category_id, is_persons, is_reserved in db.execute(sql):
        if is_reserved:
            if is_persons:
                aside.add(record_id)
        else:
            (placed if is_persons else along)[record_id] = category_id
    deferred = """SELECT json_extract(p.arguments, '$.record_id') FROM decision d JOIN proposal p ON p.id = d.proposal_id
        WHERE p.kind = 'place' AND d.verdict IN ('skip', 'unsure', 'flag')"""
    refused = """SELECT m.record_id, json_extract(p.arguments, '$.category_id') FROM decision d
        JOIN proposal p ON p.id = d.proposal_id JOIN proposal_member m ON m.proposal_id = p.id
        WHERE d.verdict = 'reject' AND json_extract(p.arguments, '$.category_id') IS NOT NULL
            AND p.kind IN ('assign', 'place')
        UNION SELECT w.value, d.category_id FROM decision d JOIN json_each(d.details, '$.without') w
            JOIN proposal p ON p.id = d.proposal_id AND p.kind IN ('create', 'assign')
        WHERE d.category_id IS NOT NULL AND d.verdict IN ('accept', 'edit')"""
    return Decided(
        placed=placed,
        along=along,
        set_aside=frozenset(aside),
        deferred=frozenset(row[0] for row in db.execute(deferred) if row[0]),
        refused=frozenset((record_id, category_id) for record_id, category_id in db.execute(refused)),
    )


def proposed_groups(db: Database) -> list[ProposedGroup]:
    """Proposals of the latest run to create categories, rejected ones left out, that have failures of their own."""
    latest = f"""SELECT r.id FROM run r JOIN source s ON s.id = r.id WHERE r.kind = 'propose' AND r.status = 'finished'
        AND coalesce(json_extract(r.parameters, '$.task'), 'propose') = 'propose'
        {LATEST_FIRST} LIMIT 1"""
    run = db.execute(latest).fetchone()
    if run is None:
        return []
    sql = """WITH RECURSIVE shut(id) AS (
            SELECT rp.proposal_id FROM run_proposal rp JOIN decision d ON d.proposal_id = rp.proposal_id
                WHERE rp.run_id = :run AND d.verdict = 'reject'
            UNION SELECT rp.proposal_id FROM run_proposal rp JOIN shut ON rp.parent_id = shut.id WHERE rp.run_id = :run)
        SELECT p.id, d.category_id, p.arguments, m.record_id FROM run_proposal rp
        JOIN proposal p ON p.id = rp.proposal_id AND p.kind = 'create'
        LEFT JOIN decision d ON d.proposal_id = p.id JOIN proposal_member m ON m.proposal_id = p.id
        WHERE rp.run_id = :run AND p.id NOT IN (SELECT id FROM shut)
            AND m.record_id NOT IN (SELECT value FROM json_each(d.details, '$.without'))
        ORDER BY rp.position, m.position"""
    found: dict[str, tuple[str | None, str, list[str]]] = {}
    for proposal_id, category_id, arguments, record_id in db.execute(sql, {"run": run[0]}):
        if proposal_id not in found:
            found[proposal_id] = (category_id, json.loads(arguments).get("name", ""), [])
        found[proposal_id][2].append(record_id)
    return [ProposedGroup(key, category, name, tuple(ids)) for key, (category, name, ids) in found.items()]


def answered_questions(db: Database) -> list[AnsweredQuestion]:
    """Questions that were answered one by one, in the order of their answers."""
    sql = f"""SELECT p.arguments, d.category_id FROM decision d JOIN proposal p ON p.id = d.proposal_id
        WHERE p.kind = 'place' AND d.verdict IN ('accept', 'edit') AND d.category_id IS NOT NULL AND d.is_bulk = 0
            AND json_array_length(p.arguments, '$.candidates') > 0 ORDER BY {DECIDED}, d.decided_at, d.proposal_id"""
    found = []
    for text, category_id in db.execute(sql):
        arguments = json.loads(text)
        drawn = bool(arguments.get("is_drawn"))
        found.append(AnsweredQuestion(arguments["record_id"], tuple(arguments["candidates"]), category_id, drawn))
    return found


def categories_of_proposals(db: Database) -> dict[str, str]:
    """What was made of accepted proposals: category ids by proposal id."""
    sql = "SELECT proposal_id, category_id FROM decision WHERE category_id IS NOT NULL"
    return dict(db.execute(sql).fetchall())


def save_questions(db: Database, parameters: Mapping[str, Any], questions: Sequence[NewProposal], result: Any) -> str:
    """Keep the questions that come next, in place of those that nobody answered; to be called inside writing().

    Returns the run's id. `result` says how sure the queue has become. Those whose place is taken can be answered all the same,
    as somebody may have one before them: they stay known by a run of their own, of which nothing is listed.
    """
    run_id = start_run(db, "propose", RUN_NAME, {"task": "queue", **parameters})
    kept = json.dumps(sorted({*ever_decided(db), *(row[0] for row in db.execute("SELECT proposal_id FROM decision"))}))
    open_ones = "FROM run_proposal WHERE run_id = ? AND proposal_id NOT IN (SELECT value FROM json_each(?))"
    asked_id = start_run(db, "propose", RUN_NAME, {"task": "asked"})
    db.execute(
        f"""INSERT OR IGNORE INTO run_proposal (run_id, proposal_id, position)
        SELECT ?, proposal_id, position {open_ones}""",
        [asked_id, run_id, kept],
    )
    end_run(db, asked_id, "stopped")
    db.execute(f"DELETE {open_ones}", [run_id, kept])
    save_proposals(db, run_id, questions)
    end_run(db, run_id, "finished", result)
    return run_id


def queue_certainty(db: Database) -> dict[str, Any] | None:
    """How sure the queue said that it has become, last (proposals/certainty.py); None before it said anything."""
    sql = f"""SELECT r.result FROM run r JOIN source s ON s.id = r.id WHERE r.kind = 'propose'
        AND json_extract(r.parameters, '$.task') = 'queue' AND r.result IS NOT NULL {LATEST_FIRST} LIMIT 1"""
    row = db.execute(sql).fetchone()
    said: dict[str, Any] | None = None if row is None else json.loads(row[0]).get("certainty")
    return said if said is not None and "n_drawn" in said else None  # older versions said something else


def why_placed(name: str, share: float, n_taught: int, *, is_drawn: bool = False) -> Sentence:
    """The sentence why a failure is asked about."""
    if is_drawn:
        return tr(
            "Drawn at random, to see how often the first suggestion is right. Likeliest in “{name}” ({share:.0%}).",
            name=name,
            share=share,
        )
    return trn(
        "Likeliest in “{name}” ({share:.0%}); the answer tells about {n:,} other.",
        "Likeliest in “{name}” ({share:.0%}); the answer tells about {n:,} others.",
        n_taught,
        name=name,
        share=share,
    )


# Questions that people answer without having been asked


def analysed_ids(db: Database) -> list[str]:
    """Ids of the failures that are analysed or placed, ordered."""
    sql = "SELECT record_id FROM failure WHERE state IN ('analysed', 'placed') ORDER BY record_id"
    return [row[0] for row in db.execute(sql)]


def add_question(db: Database, proposal_id: str, arguments: Mapping[str, Any]) -> None:
    """Keep a question behind those of the queue's latest run, or of one made for it; to be called inside writing().

    One that was asked before and left the queue comes back as it was.
    """
    latest = latest_propose_run(db, "queue")
    if latest is None:
        run_id = start_run(db, "propose", RUN_NAME, {"task": "queue"})
        end_run(db, run_id, "finished")
    else:
        run_id = latest["id"]
    db.execute(
        """INSERT OR IGNORE INTO proposal (id, kind, arguments, evidence, score, created_at)
        VALUES (?, 'place', ?, '{}', 0, ?)""",
        [proposal_id, json.dumps(dict(arguments), ensure_ascii=False, sort_keys=True), now()],
    )
    db.execute(
        "INSERT OR IGNORE INTO proposal_member (proposal_id, position, record_id) VALUES (?, 0, ?)",
        [proposal_id, arguments["record_id"]],
    )
    db.execute(
        """INSERT INTO run_proposal (run_id, proposal_id, position)
        SELECT ?, ?, coalesce(max(position) + 1, 0) FROM run_proposal WHERE run_id = ?""",
        [run_id, proposal_id, run_id],
    )


def withdraw_question(db: Database, proposal_id: str) -> None:
    """Take a question that add_question() kept, and nobody decided, out of the queue; to be called inside writing()."""
    db.execute("DELETE FROM run_proposal WHERE proposal_id = ?", [proposal_id])
