"""What a judge reads from a project and writes into it: which failures wait, their references, its results."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlite_utils import Database

from errormap_core.ids import content_id, now
from errormap_core.judge.analysis import Analysis
from errormap_core.judge.base import JudgeRequest
from errormap_core.project.counting import chosen
from errormap_core.sentences import Sentence

FEWEST_WORDS = 5
"""An answer with fewer words gives only the result and tells a judge nothing about the way to it."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_BLANKS = re.compile(r"\s+")

_WAITING = """
    SELECT f.record_id FROM failure f JOIN record r ON r.id = f.record_id
    WHERE ({states}) AND (:only IS NULL OR f.record_id IN (SELECT value FROM json_each(:only)))
    ORDER BY f.record_id NOT IN (SELECT value FROM json_each(:first)),
        sample_position(:seed, r.dataset, r.example_id), r.dataset, r.example_id, r.model, r.attempt
    LIMIT :limit
"""

_ONLY_WAITING = """f.state = 'waiting' OR (f.state = 'engine_failed' AND (:retry OR NOT EXISTS (
    SELECT 1 FROM judge_error e WHERE e.record_id = r.id AND e.run_id = :run AND e.record_hash = r.content_hash)))"""

_OF_ANY_STATE = """NOT EXISTS (
    SELECT 1 FROM analysis a WHERE a.record_id = r.id AND a.source_id = :run AND a.record_hash = r.content_hash)
    AND (:retry OR NOT EXISTS (
    SELECT 1 FROM judge_error e WHERE e.record_id = r.id AND e.run_id = :run AND e.record_hash = r.content_hash))"""

_NOT_BY_THIS_RUN = f"f.state IN ('waiting', 'engine_failed', 'no_error', 'analysed', 'placed') AND {_OF_ANY_STATE}"

_OTHERS = """
    SELECT o.model, o.output_text FROM record r JOIN dataset d ON d.name = r.dataset
    LEFT JOIN chosen_threshold c ON c.dataset = d.name
    JOIN record o ON o.dataset = r.dataset AND o.example_id = r.example_id AND o.model <> r.model
    WHERE r.id = ? AND NOT EXISTS (SELECT 1 FROM record_mark m WHERE m.record_id = o.id) AND CASE d.direction
        WHEN 'higher' THEN o.score >= coalesce(c.threshold, d.default_threshold)
            AND NOT (coalesce(c.threshold, d.default_threshold) = 0 AND o.score = 0)
        ELSE o.score <= coalesce(c.threshold, d.default_threshold) END
    ORDER BY o.model, o.attempt
"""


def failures_to_analyse(
    db: Database,
    run_id: str,
    *,
    limit: int | None = None,
    retry: bool = False,
    again: bool = False,
    only: Collection[str] | None = None,
    first: Collection[str] = (),
) -> list[str]:
    """Ids of the failures that a run has to analyse, in an order that depends on nothing else.

    Examples come in the order of the sample, each with all models that failed it, so that the first
    few are spread over datasets and models alike.

    Those that wait are taken, and those on which only other runs failed; with `retry` also those on
    which this run failed; with `again` every sampled failure that this run has not analysed, whoever
    else has, and those that a person placed and nobody diagnosed: these wait for no judge.
    Those in `first` come before the others, so that a limit leaves them in.
    With `only`, just these failures are taken that this run has not analysed, sampled or not, disputed
    or not.
    """
    which = _OF_ANY_STATE if only is not None else _NOT_BY_THIS_RUN if again else _ONLY_WAITING
    statement = _WAITING.format(states=which)
    values = {"run": run_id, "retry": retry, "limit": -1 if limit is None else limit}
    values["first"] = json.dumps(sorted(first))
    values["only"] = None if only is None else json.dumps(sorted(only))
    rows = db.execute(statement, {**values, "seed": chosen(db, "sampling.seed")})
    return [row[0] for row in rows.fetchall()]


def request_for(db: Database, record_id: str, *, max_references: int) -> JudgeRequest:
    """A record as a judge sees it, with at most `max_references` informative correct predictions."""
    row = db.execute(
        "SELECT input_text, output_text, correct_answer, content_hash FROM record WHERE id = ?", [record_id]
    ).fetchone()
    input_text, output_text, correct_answer, record_hash = row
    references = informative(db.execute(_OTHERS, [record_id]).fetchall(), correct_answer, most=max_references)
    return JudgeRequest(
        record_id=record_id,
        input_text=input_text,
        output_text=output_text,
        correct_answer=correct_answer,
        references=references,
        record_hash=record_hash,
    )


def informative(passed: Iterable[tuple[str, str]], correct_answer: str | None, *, most: int) -> tuple[str, ...]:
    """The answers (model, text) that passed and say how to get there: at most `most`, shortest first.

    Left out is what has fewer than 5 words, or fewer than 5 beside the correct answer where it holds
    that whole (a bare result); what is the correct answer; and what another already says, blanks and
    case apart. Of equally long ones the first model by name is taken. Short ones leave room in the
    context.
    """
    known = {_folded(correct_answer or "")}
    found: list[str] = []
    for _, text in sorted(passed, key=lambda answer: (len(answer[1].strip()), answer[0], answer[1])):
        if len(found) == most:
            break
        folded = _folded(text)
        if folded not in known and not _is_bare(folded, _folded(correct_answer or "")):
            known.add(folded)
            found.append(text.strip())
    return tuple(found)


def save_analysis(
    db: Database, run_id: str, request: JudgeRequest, analysis: Analysis, *, details: Mapping[str, Any]
) -> str:
    """Store what a run says of a record; a second time changes nothing. To be called inside writing().

    `details` is what it took. Returns the id of the analysis.
    """
    key = content_id("analysis", request.record_id, run_id, request.record_hash)
    values = analysis.to_json()
    db.execute(
        """INSERT INTO analysis (id, record_id, source_id, record_hash, verdict, required_criteria, error_title,
            error_summary, details, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
        [
            key,
            request.record_id,
            run_id,
            request.record_hash,
            analysis.verdict,
            json.dumps(values["required_criteria"], ensure_ascii=False),
            analysis.error_title,
            analysis.error_summary,
            json.dumps(dict(details), ensure_ascii=False, sort_keys=True),
            now(),
        ],
    )
    return key


def save_judge_error(db: Database, run_id: str, request: JudgeRequest, *, code: str, reason: Sentence) -> None:
    """Store why a run could not analyse a record, as text; to be called inside writing().

    The same reason as the last time is not stored again.
    """
    last = db.execute(
        """SELECT code, reason FROM judge_error WHERE record_id = ? AND run_id = ? AND record_hash = ?
        ORDER BY id DESC LIMIT 1""",
        [request.record_id, run_id, request.record_hash],
    ).fetchone()
    if last == (code, str(reason)):
        return
    db.execute(
        """INSERT INTO judge_error (record_id, run_id, record_hash, code, reason, created_at)
        VALUES (?, ?, ?, ?, ?, ?)""",
        [request.record_id, run_id, request.record_hash, code, str(reason), now()],
    )


def read_analysis(db: Database, analysis_id: str) -> Analysis:
    """A stored analysis as a value. Raises KnownError where its criteria are not what the schema allows."""
    row = db.execute(
        "SELECT required_criteria, error_summary, error_title, verdict FROM analysis WHERE id = ?", [analysis_id]
    ).fetchone()
    return Analysis.from_json(
        {
            "required_criteria": json.loads(row[0]),
            "error_summary": row[1],
            "error_title": row[2],
            "verdict": row[3],
        }
    )


def passed(db: Database, record_ids: Collection[str]) -> list[str]:
    """Those of these records that are no failures, in their order."""
    sql = "SELECT record_id FROM failure WHERE record_id IN (SELECT value FROM json_each(?))"
    failed = {row[0] for row in db.execute(sql, [json.dumps(sorted(record_ids))])}
    return [record_id for record_id in record_ids if record_id not in failed]


def _folded(text: str) -> str:
    return _BLANKS.sub(" ", text).strip().casefold()


def _is_bare(folded: str, folded_answer: str) -> bool:
    rest = folded.replace(folded_answer, " ") if folded_answer else folded
    return len(_WORD.findall(rest)) < FEWEST_WORDS or len(_WORD.findall(folded)) < FEWEST_WORDS


def examples_of(db: Database, record_ids: Collection[str]) -> set[tuple[str, str]]:
    """The examples (dataset, example_id) that these records are answers to."""
    rows = db.execute(
        "SELECT DISTINCT dataset, example_id FROM record WHERE id IN (SELECT value FROM json_each(?))",
        [json.dumps(sorted(record_ids))],
    )
    return {(str(dataset), str(example)) for dataset, example in rows.fetchall()}


@dataclass(frozen=True, slots=True)
class EarlierSpeed:
    """What `n` earlier analyses of a judge took: means a record. `seconds` is of the clock, whatever ran beside."""

    n: int
    seconds: float
    completion_tokens: float
    fed_tokens: float


MOST_EARLIER = 200


def earlier_speed(db: Database, run_id: str, *, threads: int, sequences: int) -> EarlierSpeed | None:
    """Of the latest analyses of a run that were made in the same way; None where there are none.

    The clock's time between one analysis and the next, breaks of more than ten times the median left out.
    """
    rows = db.execute(
        """SELECT created_at, json_extract(details, '$.completion_tokens'), json_extract(details, '$.fed_tokens')
        FROM analysis WHERE source_id = ? AND json_extract(details, '$.threads') = ?
            AND json_extract(details, '$.sequences') = ? ORDER BY rowid DESC LIMIT ?""",
        [run_id, threads, sequences, MOST_EARLIER],
    ).fetchall()
    if len(rows) < 2:
        return None
    times = [datetime.fromisoformat(row[0]).timestamp() for row in reversed(rows)]
    gaps = sorted(after - before for before, after in pairwise(times) if after >= before)  # a clock that was put back
    if not gaps:
        return None
    usual = [gap for gap in gaps if gap <= 10 * max(0.001, gaps[len(gaps) // 2])]
    return EarlierSpeed(
        n=len(rows),
        seconds=sum(usual) / len(usual),
        completion_tokens=sum(row[1] or 0 for row in rows) / len(rows),
        fed_tokens=sum(row[2] or 0 for row in rows) / len(rows),
    )


def is_record(db: Database, record_id: str) -> bool:
    """Whether there is a record of this id."""
    return db.execute("SELECT 1 FROM record WHERE id = ?", [record_id]).fetchone() is not None
