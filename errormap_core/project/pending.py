"""What waits for a decision: proposals of the latest run of each task that fit the tree as it is; lists of them, and progress.

A run of kind 'propose' has a task: propose (clusters of what nobody placed), classify, repair (of the tree), queue (questions
where a failure belongs). Each task's latest run counts, so that one does not hide what another found.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlite_utils import Database

from errormap_core.errors import KnownError
from errormap_core.project.proposing import DECIDED, TASK, run_of
from errormap_core.project.runs import LATEST_FIRST
from errormap_core.project.standing_facts import FactsOfMany
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.facts import ProposalFacts
from errormap_core.taxonomy.rulings import ACCEPTING, PLACING_KINDS
from errormap_core.taxonomy.standing import CHANGES_TREE, concerned, follow_merges, is_question, kind_of, standing
from errormap_core.taxonomy.tree import Category, Tree

State = Literal["pending", "skipped", "flagged", "done"]

WAITING: tuple[State, ...] = ("pending", "skipped")
PENDING: tuple[State, ...] = ("pending",)

KINDS = ("create", "assign", "merge", "promote", "move", "split", "rename", "describe", "place")


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposal as lists show it.

    `name` is that which its category has or would have, of a question the title of its failure; `category_id` is that of
    the category where there is one. `n_members` are its own failures, `n_subtree` with those of the proposals below it;
    `depth` is 0 at the top. `worth` is the number of failures that are expected to end in a better place, `why` a sentence.
    `category_ids` are all the categories that it concerns, `category_names` what they are called; of a question the
    likeliest, and the one that the failure is in. `created_at` is when it was first proposed.
    """

    id: str
    kind: str
    parent_id: str | None
    name: str
    description: str
    category_id: str | None
    score: float
    n_members: int
    n_subtree: int
    named_by: str
    evidence: dict[str, Any]
    verdict: str | None
    depth: int
    state: State = "pending"
    worth: float = 0.0
    why: Sentence | None = None
    category_ids: tuple[str, ...] = ()
    category_names: tuple[str, ...] = ()
    created_at: str = ""
    task: str = "propose"
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> float:
        """What lists are ordered by: its worth, unless whoever proposed it gave it another place."""
        return float(self.evidence.get("rank", self.worth))

    @property
    def is_placing(self) -> bool:
        """Whether its failures go into a category that is there."""
        return self.kind == "assign"

    @property
    def title(self) -> Sentence:
        """What it suggests, in a few words."""
        names = dict(zip(self.category_ids, self.category_names, strict=True))
        own, arguments = names.get(self.category_id or "", self.name), self.arguments
        match self.kind:
            case "assign" if arguments.get("from_id"):
                return tr("“{source}” → “{name}”", source=names.get(arguments["from_id"], "?"), name=own)
            case "assign":
                return tr("→ {name}", name=self.name)
            case "merge":
                merged = [names.get(c, "?") for c in arguments["category_ids"]]
                return tr("Merge {names}", names=", ".join(f"“{name}”" for name in merged))
            case "promote":
                return tr("Move “{name}” to the top", name=own)
            case "move":
                return tr("Move “{name}” below “{parent}”", name=own, parent=names.get(arguments["parent_id"], "?"))
            case "split":
                return tr("Split “{name}” into {n:,}", name=own, n=len(arguments["parts"]))
            case "rename":
                return tr("Rename “{old}” to “{name}”", old=own, name=self.name)
            case "describe":
                return tr("Describe “{name}”", name=own)
            case "place":
                return tr("Where does “{name}” belong?", name=self.name)
            case _:
                return tr("{name}", name=self.name)


@dataclass(frozen=True, slots=True)
class StateCounts:
    """How many proposals are in each state."""

    pending: int = 0
    skipped: int = 0
    flagged: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class ProposalProgress:
    """How far the queue has come. `done` counts all that is decided in the project, whichever run proposed it."""

    total: StateCounts
    by_kind: Mapping[str, StateCounts]


@dataclass(frozen=True, slots=True)
class WholeQueue:
    """The queue: `rows` by worth, the greatest first; `waiting` those of them that wait or were skipped, parents before
    children; progress."""

    rows: tuple[ProposalRow, ...]
    waiting: tuple[ProposalRow, ...]
    progress: ProposalProgress


def pending_proposals(db: Database, *, kinds: Collection[str] | None = None) -> list[ProposalRow]:
    """What waits, or was skipped: of the latest run of each task, the run that finished last first, parents before children.

    What stands below one that was rejected or set aside is not pending: it could only be accepted with the one above.
    What has become pointless (its categories are gone, its failures all have their place) is not either.
    """
    return [row for row in _open_rows(db) if row.state in WAITING and (kinds is None or row.kind in kinds)]


def accepted_with_all(waiting: Iterable[ProposalRow]) -> tuple[list[ProposalRow], list[ProposalRow]]:
    """Of what waits, parents before children: what accepting all takes, and what it would take but for a skip.

    It takes what places failures that have no place. What was skipped is to be decided later, and so is what stands below
    it, which cannot be accepted without it. Changes of the tree, moves of failures and questions are looked at one by one.
    """
    rows = [row for row in waiting if row.kind in PLACING_KINDS and not row.arguments.get("from_id")]
    chosen: list[ProposalRow] = []
    left: list[ProposalRow] = []
    skipped: set[str] = set()
    by_id = {row.id: row for row in rows}
    for row in rows:
        above: ProposalRow | None = row
        seen: set[str] = set()
        while above is not None and above.state == "pending" and above.id not in skipped | seen:
            seen.add(above.id)
            above = by_id.get(above.parent_id or "")
        if above is None:
            chosen.append(row)
        else:
            skipped.add(row.id)
            left.append(row)
    return chosen, left


def proposal_list(
    db: Database,
    *,
    kinds: Collection[str] | None = None,
    subtree: str | None = None,
    states: Collection[State] = PENDING,
    min_worth: float | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
) -> list[ProposalRow]:
    """Proposals by worth, the greatest first; of equal worth in the order in which they were proposed.

    `subtree`: those that concern this category or one below it. `since`, `until`: when they were first proposed (UTC ISO
    8601). What is done or flagged is found whichever run proposed it.
    """
    rows = [row for row in _open_rows(db, others=_of_any_run(states)) if row.state in states]
    inside = None if subtree is None else _subtree(db, subtree)
    found = [
        row
        for row in rows
        if (kinds is None or row.kind in kinds)
        and (inside is None or not inside.isdisjoint(row.category_ids))
        and (min_worth is None or row.worth >= min_worth)
        and (since is None or row.created_at >= since)
        and (until is None or row.created_at <= until)
    ]
    return _by_worth(found)[:limit]


def proposal_progress(db: Database) -> ProposalProgress:
    """How many proposals of each kind wait, were skipped or set aside, and are done."""
    return _progress(db, _open_rows(db, others=["flagged"]))


def whole_queue(db: Database, *, with_done: bool = False, known: Mapping[str, ProposalRow] | None = None) -> WholeQueue:
    """All that a view of the queue shows, read at once: what is not decided, with what is done where that is wanted.

    A row that is as it is `known`, by id, is given back as that very object, so that who holds it sees at once what changed.
    """
    known = known or {}
    rows = _open_rows(db, others=_of_any_run(("flagged", "done") if with_done else ("flagged",)))
    rows = [known[row.id] if row == known.get(row.id) else row for row in rows]
    shown = _by_worth(row for row in rows if with_done or row.state != "done")
    return WholeQueue(tuple(shown), tuple(row for row in rows if row.state in WAITING), _progress(db, rows))


def _of_any_run(states: Iterable[State]) -> list[State]:
    """Those of these states in which a proposal is found whichever run proposed it."""
    return [state for state in states if state not in WAITING]


def _by_worth(rows: Iterable[ProposalRow]) -> list[ProposalRow]:
    return sorted(rows, key=lambda row: -row.rank)  # stable: the order of the runs stays within equal worth


def _progress(db: Database, rows: Iterable[ProposalRow]) -> ProposalProgress:
    """Progress by the proposals that are not done among these, and by what is done in the project."""
    counts: dict[str, dict[str, int]] = {}

    def count(kind: str, state: str, n: int = 1) -> None:
        of_kind = counts.setdefault(kind, dict.fromkeys(("pending", "skipped", "flagged", "done"), 0))
        of_kind[state] += n

    for row in rows:
        if row.state != "done":
            count(row.kind, row.state)
    sql = """SELECT CASE WHEN p.kind = 'place' AND json_extract(p.arguments, '$.candidates') IS NULL THEN 'assign'
            ELSE p.kind END, count(*) FROM decision d JOIN proposal p ON p.id = d.proposal_id
        WHERE d.verdict IN ('accept', 'edit', 'reject') GROUP BY 1 ORDER BY 1"""
    for kind, n in db.execute(sql):
        count(kind, "done", n)
    by_kind = {kind: StateCounts(**of_kind) for kind, of_kind in sorted(counts.items())}
    total = {state: sum(of_kind[state] for of_kind in counts.values()) for state in StateCounts.__slots__}
    return ProposalProgress(StateCounts(**total), by_kind)


def proposal(db: Database, proposal_id: str) -> ProposalRow:
    """One proposal, as its latest run has it. Raises KnownError where there is none."""
    run_id = run_of(db, proposal_id)
    rows = (each.row for each in _in_tree_order(_rows(db, run_id)))
    return next(row for row in rows if row.id == proposal_id)


def above(db: Database, proposal_id: str) -> list[str]:
    """Ids of the proposals above one that are not accepted yet, the nearest first: they are accepted with it.

    Raises KnownError where one of them was rejected.
    """
    found: list[str] = []
    sql = """SELECT rp.parent_id, d.verdict, json_extract(p.arguments, '$.name') FROM run_proposal rp
        LEFT JOIN decision d ON d.proposal_id = rp.parent_id LEFT JOIN proposal p ON p.id = rp.parent_id
        WHERE rp.run_id = ? AND rp.proposal_id = ?"""
    run_id = run_of(db, proposal_id)
    while True:
        row = db.execute(sql, [run_id, proposal_id]).fetchone()
        if row is None or row[0] is None or row[1] in ACCEPTING:
            return found
        if row[1] == "reject":
            raise KnownError(
                tr("The proposal above it, “{name}”, was rejected.", name=row[2]),
                fix=tr("Take that back first, or reject this one too."),
            )
        proposal_id = row[0]
        found.append(proposal_id)


# Reading


@dataclass(slots=True)
class _Listed:
    """A proposal, whether it is not to be shown because of one above it, and whether any failure of it is unplaced."""

    row: ProposalRow
    has_open: bool
    is_shut: bool = False


def _open_rows(db: Database, *, others: Collection[State] = ()) -> list[ProposalRow]:
    """Proposals of the latest runs, done ones included, without those that are shut or pointless; and those of any run in
    one of the states `others`."""
    found: dict[str, _Listed] = {}
    for run_id in _latest_runs(db):
        for each in _in_tree_order(_rows(db, run_id)):
            found.setdefault(each.row.id, each)
    listed = [each for each in found.values() if not each.is_shut]
    listed += [each for each in _decided_elsewhere(db, others) if each.row.id not in found]
    undone = [each for each in listed if each.row.state != "done"]
    tree = _tree_around(db, undone)
    facts = FactsOfMany(db, ((each.row.id, each.row.kind, each.row.arguments) for each in undone))
    return [each.row for each in listed if each.row.state == "done" or _fits(each, tree, facts)]


def any_undecided(db: Database) -> bool:
    """Whether anything of the latest runs is not decided; whether it still fits the tree is not looked at."""
    sql = """SELECT EXISTS (SELECT 1 FROM run_proposal rp LEFT JOIN decision d ON d.proposal_id = rp.proposal_id
        WHERE rp.run_id = ? AND coalesce(d.verdict, 'skip') = 'skip')"""
    return any(db.execute(sql, [run_id]).fetchone()[0] for run_id in _latest_runs(db))


def _latest_runs(db: Database) -> list[str]:
    """The latest finished run of each task, that which finished last first."""
    sql = f"""SELECT r.id, {TASK} FROM run r JOIN source s ON s.id = r.id
        WHERE r.kind = 'propose' AND r.status = 'finished' {LATEST_FIRST}"""
    latest: dict[str, str] = {}
    for run_id, task in db.execute(sql):
        latest.setdefault(task, run_id)
    return list(latest.values())


def _decided_elsewhere(db: Database, states: Collection[State]) -> Iterator[_Listed]:
    verdicts = [v for v, state in STATE_AFTER.items() if state in states]
    if not verdicts:
        return
    sql = f"""WITH proposed AS (SELECT d.proposal_id, {DECIDED} AS counter, d.decided_at, rp.run_id,
            row_number() OVER (PARTITION BY d.proposal_id {LATEST_FIRST}) AS place
            FROM decision d JOIN run_proposal rp ON rp.proposal_id = d.proposal_id
            JOIN run r ON r.id = rp.run_id JOIN source s ON s.id = r.id
            WHERE d.verdict IN (SELECT value FROM json_each(?)))
        SELECT proposal_id, run_id FROM proposed WHERE place = 1 ORDER BY counter DESC, decided_at DESC, proposal_id"""
    by_run: dict[str, list[str]] = {}
    for proposal_id, run_id in db.execute(sql, [json.dumps(verdicts)]):
        by_run.setdefault(run_id, []).append(proposal_id)
    for run_id, ids in by_run.items():
        yield from _rows(db, run_id, ids)


def _in_tree_order(listed: Iterable[_Listed]) -> list[_Listed]:
    """A run's proposals, parents before children, with depth and the failures below them."""
    by_id = {each.row.id: each for each in listed}
    children: dict[str | None, list[_Listed]] = {}
    for each in by_id.values():
        parent = each.row.parent_id
        children.setdefault(parent if parent in by_id else None, []).append(each)
    found: list[_Listed] = []

    def walk(parent: str | None, depth: int, is_shut: bool) -> tuple[int, bool]:
        total, has_open = 0, False
        for each in children.get(parent, []):
            found.append(each)
            shuts = is_shut or each.row.verdict in ("reject", "unsure", "flag")
            n, below_open = walk(each.row.id, depth + 1, shuts)
            n += each.row.n_members
            each.row = replace(each.row, n_subtree=n, depth=depth)
            each.is_shut, each.has_open = is_shut, each.has_open or below_open
            total, has_open = total + n, has_open or each.has_open
        return total, has_open

    walk(None, 0, False)
    return found


STATE_AFTER: Mapping[str | None, State] = {
    None: "pending",
    "skip": "skipped",
    "unsure": "flagged",
    "flag": "flagged",
    "accept": "done",
    "edit": "done",
    "reject": "done",
}
"""The state of a proposal by the verdict on it."""

_SQL = f"""SELECT p.id, p.kind, p.arguments, p.evidence, p.score, p.created_at, rp.parent_id, d.verdict, {TASK},
        (SELECT coalesce(max(m.position) + 1, 0) FROM proposal_member m WHERE m.proposal_id = p.id),
        CASE WHEN p.kind IN ('create', 'assign', 'place') AND coalesce(d.verdict, '') NOT IN ('accept', 'edit', 'reject')
            THEN EXISTS (SELECT 1 FROM proposal_member m WHERE m.proposal_id = p.id AND NOT EXISTS
                (SELECT 1 FROM assignment x WHERE x.record_id = m.record_id AND x.is_primary = 1)) END,
        CASE WHEN p.kind = 'place' THEN (SELECT a.error_title FROM failure f JOIN analysis a ON a.id = f.analysis_id
            WHERE f.record_id = json_extract(p.arguments, '$.record_id')) END,
        CASE WHEN p.kind = 'place' THEN (SELECT x.category_id FROM assignment x
            WHERE x.counted = 1 AND x.record_id = json_extract(p.arguments, '$.record_id')) END
    FROM run_proposal rp JOIN run r ON r.id = rp.run_id JOIN proposal p ON p.id = rp.proposal_id
        LEFT JOIN decision d ON d.proposal_id = p.id
    WHERE rp.run_id = ?"""


def _rows(db: Database, run_id: str, proposal_ids: Sequence[str] | None = None) -> list[_Listed]:
    """A run's proposals, or these of it, in their order."""
    only = "" if proposal_ids is None else " AND p.id IN (SELECT value FROM json_each(?))"
    values = [run_id] if proposal_ids is None else [run_id, json.dumps(list(proposal_ids))]
    raw = db.execute(f"{_SQL}{only} ORDER BY rp.position", values).fetchall()
    read = [(row, json.loads(row[2])) for row in raw]
    ids = {c for row, arguments in read for c in (*concerned(row[1], arguments), row[12]) if c}
    sql = "SELECT id, name FROM category WHERE id IN (SELECT value FROM json_each(?))"
    names: dict[str, str] = dict(db.execute(sql, [json.dumps(sorted(ids))]).fetchall())
    return [_listed(row, arguments, names) for row, arguments in read]


def _listed(row: Sequence[Any], arguments: dict[str, Any], names: Mapping[str, str]) -> _Listed:
    key, raw_kind, _, evidence_text, score, created_at, parent_id, verdict, task, n_members, has_open, title, at = row
    evidence = json.loads(evidence_text)
    kind = kind_of(raw_kind, arguments)
    categories = concerned(raw_kind, arguments)
    if is_question(raw_kind, arguments):
        categories = list(dict.fromkeys(c for c in (*categories[:1], at) if c))
    category_id = arguments.get("category_id")
    name = arguments.get("name") or names.get(arguments.get("into") or "", "")
    if kind == "place":
        name = title or ""
    elif kind != "rename" and category_id is not None:
        name = names.get(category_id, name)
    worth = evidence.get("worth")
    why = evidence.get("why")
    return _Listed(
        ProposalRow(
            id=key,
            kind=kind,
            parent_id=parent_id,
            name=name,
            description=arguments.get("description") or "",
            category_id=category_id,
            score=score,
            n_members=n_members,
            n_subtree=n_members,
            named_by=arguments.get("named_by", ""),
            evidence=evidence,
            verdict=verdict,
            depth=0,
            state=STATE_AFTER[verdict],
            worth=float(score * n_members if worth is None else worth),
            why=None if why is None else Sentence.from_json(why),
            category_ids=tuple(categories),
            category_names=tuple(names.get(c, "?") for c in categories),
            created_at=created_at,
            task=task,
            arguments=arguments,
        ),
        bool(has_open),
    )


def _tree_around(db: Database, listed: Iterable[_Listed]) -> Tree:
    """The categories that these proposals name, with what took over from them and what is above them; no more."""
    wanted = {c for each in listed for c in concerned(each.row.kind, each.row.arguments)}
    sql = """WITH RECURSIVE need(id) AS (SELECT value FROM json_each(?)
            UNION SELECT c.redirect_to FROM category c JOIN need ON need.id = c.id WHERE c.redirect_to IS NOT NULL
            UNION SELECT c.parent_id FROM category c JOIN need ON need.id = c.id WHERE c.parent_id IS NOT NULL)
        SELECT c.* FROM category c JOIN need ON need.id = c.id"""
    return Tree(Category.from_row(row) for row in db.query(sql, [json.dumps(sorted(wanted))]))


def _fits(each: _Listed, tree: Tree, facts: FactsOfMany) -> bool:
    """Whether a proposal that is not done still has a point."""
    row = each.row
    if row.kind in CHANGES_TREE and facts.is_locked():
        return False
    if row.kind == "create":
        return each.has_open or not row.n_subtree
    if row.kind == "assign" and row.arguments.get("from_id") is None:
        return (each.has_open or not row.n_members) and follow_merges(tree, row.category_id) is not None
    asked = ProposalFacts(row.id, row.kind, "", row.parent_id, row.arguments, facts.members(row.id), row.evidence)
    return standing(asked, tree, facts).arguments is not None


def _subtree(db: Database, category_id: str) -> set[str]:
    sql = """WITH RECURSIVE below(id) AS (SELECT ? UNION
            SELECT c.id FROM category c JOIN below ON c.parent_id = below.id AND c.retired IS NULL)
        SELECT id FROM below"""
    return {row[0] for row in db.execute(sql, [category_id])}
