"""The judge runs of a project: what each is, how far it came, what it cost, and whether it is the one that counts.

Which analysis counts is stated in counting.py: a person's before any judge's; of judges, the run that is chosen as
current (setting judge.current_run), else the latest. Tokens and times are of what is stored with each analysis, so they
are those of all the run's sessions.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project.counting import chosen
from errormap_core.sentences import tr

CURRENT_RUN = "judge.current_run"
"""The setting that names the run that counts; empty for the latest."""

SHORT_ID = 8
"""Characters of an id that people are shown; an id can be given by any beginning of it that only one run has."""


@dataclass(frozen=True, slots=True)
class JudgeRun:
    """A run of a judge, as it stands now.

    `n_analysed` are the failures of which it has an analysis of the present content, `n_outdated` its analyses of
    content that was replaced, `n_counting` the failures whose counted analysis is its own. `failed` counts by code
    those that it could not analyse and has not analysed since. `prompt_tokens`, `completion_tokens` and `seconds` are
    sums over all its analyses; a judge that writes several at once worked less long than that: `worked_s` counts each
    second once. `n_shortened` are the analyses whose prompt was shortened. `parameters` is what makes the run;
    what it does not hold is empty, or None, in the fields made of it. `is_current`: it is the one that counts,
    `is_chosen`: because somebody chose it.
    """

    id: str
    name: str
    status: str
    started_at: str
    finished_at: str | None
    parameters: Mapping[str, Any]
    n_analysed: int
    n_outdated: int
    n_counting: int
    n_shortened: int
    failed: Mapping[str, int]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    worked_s: float
    is_current: bool
    is_chosen: bool

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID]

    @property
    def model_file(self) -> str:
        return str(self._part("model").get("name", ""))

    @property
    def model_sha256(self) -> str:
        return str(self._part("model").get("sha256", ""))

    @property
    def prompt_id(self) -> str:
        return str(self._part("prompt").get("id", ""))

    @property
    def prompt_version(self) -> int | None:
        return self._part("prompt").get("version")

    @property
    def prompt_sha256(self) -> str:
        return str(self._part("prompt").get("sha256", ""))

    @property
    def seed(self) -> int | None:
        return self.parameters.get("seed")

    @property
    def temperature(self) -> float | None:
        return self.parameters.get("temperature")

    @property
    def n_failed(self) -> int:
        return sum(self.failed.values())

    @property
    def other_parameters(self) -> dict[str, Any]:
        """What makes the run beside model, prompt, seed and temperature, by dotted names."""
        known = ("model", "prompt", "seed", "temperature")
        return flat({name: value for name, value in self.parameters.items() if name not in known})

    def to_json(self) -> dict[str, Any]:
        made = {
            "model_file": self.model_file,
            "model_sha256": self.model_sha256,
            "prompt_id": self.prompt_id,
            "prompt_version": self.prompt_version,
            "prompt_sha256": self.prompt_sha256,
            "seed": self.seed,
            "temperature": self.temperature,
            "n_failed": self.n_failed,
        }
        return {**asdict(self), "seconds": round(self.seconds, 3), "worked_s": round(self.worked_s, 3), **made}

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self.parameters.get(name)
        return part if isinstance(part, dict) else {}


_RUNS = """
    SELECT r.id, s.name, r.status, r.started_at, r.finished_at, r.parameters,
        (SELECT count(*) FROM failure f JOIN analysis c ON c.id = f.analysis_id WHERE c.source_id = r.id),
        coalesce(sum(a.is_present), 0), coalesce(sum(1 - a.is_present), 0), coalesce(sum(a.is_shortened), 0),
        coalesce(sum(a.prompt_tokens), 0), coalesce(sum(a.completion_tokens), 0), coalesce(sum(a.seconds), 0.0)
    FROM run r JOIN source s ON s.id = r.id LEFT JOIN (
        SELECT a.source_id, a.record_hash = t.content_hash AS is_present,
            coalesce(json_extract(a.details, '$.shortened'), 0) NOT IN (0, '', '[]', '{}') AS is_shortened,
            json_extract(a.details, '$.prompt_tokens') AS prompt_tokens,
            json_extract(a.details, '$.completion_tokens') AS completion_tokens,
            json_extract(a.details, '$.seconds') AS seconds
        FROM analysis a JOIN record t ON t.id = a.record_id) a ON a.source_id = r.id
    WHERE r.kind = 'judge' GROUP BY r.id ORDER BY s.rowid
"""

_TIMES = """
    SELECT source_id, ended - seconds, ended FROM (
        SELECT a.source_id, julianday(a.created_at) * 86400.0 AS ended, json_extract(a.details, '$.seconds') AS seconds
        FROM analysis a JOIN run r ON r.id = a.source_id WHERE r.kind = 'judge')
    WHERE seconds IS NOT NULL ORDER BY source_id, ended - seconds
"""

_FAILED = """
    SELECT e.run_id, e.code, count(*) FROM judge_error e JOIN record t ON t.id = e.record_id
    WHERE e.record_hash = t.content_hash
        AND e.id = (SELECT max(x.id) FROM judge_error x
            WHERE x.record_id = e.record_id AND x.run_id = e.run_id AND x.record_hash = e.record_hash)
        AND NOT EXISTS (SELECT 1 FROM analysis a
            WHERE a.record_id = e.record_id AND a.source_id = e.run_id AND a.record_hash = e.record_hash)
    GROUP BY e.run_id, e.code ORDER BY e.run_id, e.code
"""


def judge_runs(db: Database) -> list[JudgeRun]:
    """Every judge run, in the order in which they came to the project."""
    failed: dict[str, dict[str, int]] = {}
    for run_id, code, n in db.execute(_FAILED):
        failed.setdefault(run_id, {})[code] = n
    rows = db.execute(_RUNS).fetchall()
    worked = _worked(db.execute(_TIMES))
    choice = chosen(db, CURRENT_RUN)
    ids = [row[0] for row in rows]
    current = choice if choice in ids else (ids[-1] if ids else None)
    return [
        JudgeRun(
            id=row[0],
            name=row[1],
            status=row[2],
            started_at=row[3],
            finished_at=row[4],
            parameters=json.loads(row[5]),
            n_counting=row[6],
            n_analysed=row[7],
            n_outdated=row[8],
            n_shortened=row[9],
            failed=failed.get(row[0], {}),
            prompt_tokens=row[10],
            completion_tokens=row[11],
            seconds=float(row[12]),
            worked_s=worked.get(row[0], 0.0),
            is_current=row[0] == current,
            is_chosen=row[0] == choice,
        )
        for row in rows
    ]


def _worked(spans: Iterable[tuple[str, float, float]]) -> dict[str, float]:
    """Seconds that the spans (run, begin, end; by run and begin) of each run cover together."""
    found: dict[str, float] = {}
    run, reached = "", 0.0
    for run_id, begin, end in spans:
        if run_id != run:
            run, reached = run_id, begin
        found[run_id] = found.get(run_id, 0.0) + max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return found


def find_judge_run(db: Database, text: str) -> JudgeRun:
    """The judge run that `text` names: its id, its name, or a beginning of either that no other run has.

    Raises KnownError where there is none, or more than one.
    """
    runs = judge_runs(db)
    lists = tr("`errormap-studio runs PROJECT` lists them.")
    if not runs:
        raise KnownError(
            tr("No judge has worked on this project yet."), fix=tr("Run one: `errormap-studio judge PROJECT`.")
        )
    wanted = text.strip().casefold()
    ways = (
        [run for run in runs if wanted in (run.id.casefold(), run.name.casefold())],
        [run for run in runs if wanted and run.id.casefold().startswith(wanted)],
        [run for run in runs if wanted and run.name.casefold().startswith(wanted)],
    )
    found = next((way for way in ways if way), [])
    if not found:
        raise KnownError(tr("There is no judge run “{text}”.", text=text), fix=lists)
    if len(found) > 1:
        ids = ", ".join(run.short_id for run in found)
        raise KnownError(
            tr("“{text}” names {n} judge runs ({ids}).", text=text, n=len(found), ids=ids),
            fix=tr("Give more of the id. {lists}", lists=lists),
        )
    return found[0]


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """An object of objects as one, with dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{above}{name}."))
        else:
            found[f"{above}{name}"] = value
    return found


@dataclass(frozen=True, slots=True)
class StoredAnalysis:
    """An analysis with all that is stored of how it came about; `parameters` are of its run, empty for a person's.

    `is_outdated`: the record was replaced since.
    """

    id: str
    record_id: str
    source_id: str
    source_kind: str
    source_name: str
    parameters: Mapping[str, Any]
    details: Mapping[str, Any]
    created_at: str
    is_outdated: bool


def stored_analysis(db: Database, analysis_id: str) -> StoredAnalysis:
    """An analysis by its id. Raises KnownError where there is none."""
    sql = """SELECT a.record_id, s.id, s.kind, s.name, coalesce(r.parameters, '{}'), a.details, a.created_at,
            a.record_hash <> t.content_hash
        FROM analysis a JOIN source s ON s.id = a.source_id JOIN record t ON t.id = a.record_id
        LEFT JOIN run r ON r.id = a.source_id WHERE a.id = ?"""
    row = db.execute(sql, [analysis_id]).fetchone()
    if row is None:
        raise KnownError(
            tr("There is no analysis with the id {id}.", id=analysis_id), fix=tr("Choose a record that has one.")
        )
    record_id, source_id, kind, name, parameters, details, at, is_outdated = row
    return StoredAnalysis(
        id=analysis_id,
        record_id=record_id,
        source_id=source_id,
        source_kind=kind,
        source_name=name,
        parameters=json.loads(parameters),
        details=json.loads(details),
        created_at=at,
        is_outdated=bool(is_outdated),
    )


def values_of_choice(db: Database, key: str) -> list[Any]:
    """Every value that people ever gave a setting of the project, the latest first."""
    sql = """SELECT json_extract(arguments, '$.value') FROM log
        WHERE kind = 'choice.set' AND json_extract(arguments, '$.key') = ? ORDER BY seq DESC"""
    found = []
    for (value,) in db.execute(sql, [key]):
        try:
            found.append(json.loads(value) if isinstance(value, str) else value)
        except ValueError:  # a text, as it is
            found.append(value)
    return found
