"""The jobs of the command line: import, judge, propose, accept, export, and all of them in one go.

Each takes an open project and a Reporter, tells of its work through it, and returns what came of it as
numbers that JSON can hold. The window runs the same jobs in a child process.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errormap_core.choosing import Choices, choose
from errormap_core.errors import KnownError
from errormap_core.exporters.atlas import write_atlas
from errormap_core.importers.atlas import import_atlas
from errormap_core.importers.importing import import_files
from errormap_core.importers.inputs import shown
from errormap_core.project import queries
from errormap_core.project.facts import ProjectFacts
from errormap_core.project.lease import project_lease
from errormap_core.project.pending import (
    KINDS,
    WAITING,
    ProposalRow,
    accepted_with_all,
    pending_proposals,
    proposal_list,
)
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr, trn
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from errormap_core.taxonomy.rulings import PLACING_KINDS
from errormap_core.taxonomy.standing import CHANGES_TREE, LOCKED, label

if TYPE_CHECKING:
    from errormap_core.embedding.encoder import Encoder

__all__ = ["Outcome", "choose"]

MOST_TOLD = 20


@dataclass(slots=True)
class Outcome:
    """What came of a job. `losses` counts rows or records that were left out or failed; `stopped`: it can go on."""

    numbers: dict[str, Any] = field(default_factory=dict)
    losses: int = 0
    stopped: bool = False


def import_job(
    project: Project,
    paths: Sequence[Path],
    reporter: Reporter,
    *,
    actor: str,
    dataset: str | None = None,
    on_error: str = "keep",
    on_conflict: str = "keep",
    choices: Choices | None = None,
) -> Outcome:
    """Import result files (CSV) or one atlas (JSON), and set what is chosen, which may name what comes with the files.

    Raises KnownError; a file that fails, or a choice that names what does not come, leaves nothing behind.
    """
    choices = choices or Choices()
    atlases = [path for path in paths if path.suffix.lower() == ".json"]
    if atlases:
        if len(paths) > 1:
            raise KnownError(
                tr("An atlas is imported alone."),
                where=str(atlases[0]),
                fix=tr("Import the other files in another step."),
            )
        choices.check(project)
        change, notices = import_atlas(project, atlases[0], actor=actor)
        reporter.say(change.summary)
        warn_of(reporter, notices)
        losses = _choose_after(project, choices, reporter, actor=actor)
        told = [str(notice) for notice in notices]
        return Outcome({"atlas": shown(atlases[0]), "summary": str(change.summary), "notices": told}, losses)
    work = import_files(
        project,
        paths,
        dataset=dataset,
        on_error=on_error,
        on_conflict=on_conflict,
        check=lambda names: choices.check(project, new_datasets=names.datasets, new_models=names.models),
        cancelled=reporter.cancelled,
    )
    results = reporter.drive(work)
    losses = 0 if reporter.cancelled() else _choose_after(project, choices, reporter, actor=actor)
    for result in results:
        losses += result.n_lost
        reporter.say(result.sentence())
        warn_of(reporter, result.problems)
    return Outcome({"files": [result.to_json() for result in results]}, losses, stopped=reporter.cancelled())


def _choose_after(project: Project, choices: Choices, reporter: Reporter, *, actor: str) -> int:
    """Set what was checked before the import. What the world refuses now (a full disk) does not make the import not done:
    it is told, and counted as a loss."""
    try:
        choices.apply(project, actor=actor)
    except KnownError as error:
        reporter.warn(error)
        reporter.warn(tr("The files were imported; the settings and thresholds that came with them were not all set."))
        return 1
    return 0


def score_job(project: Project, reporter: Reporter, *, settings: UserSettings, gold: str | None = None) -> Outcome:
    """Compare the project's analyses and its tree with gold: that in the folder `gold`, else the sample's."""
    refuse_without_scores()
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.gold.report import sentences
    from errormap_core.gold.score import score_project
    from errormap_core.sample.build import sample_gold

    encoder = SentenceEncoder(settings["embedding.model"] or None)
    folder = sample_gold() if gold is None else Path(gold)
    result = reporter.drive(score_project(project, folder, encoder=encoder, cancelled=reporter.cancelled))
    if result["is_stopped"]:
        return Outcome(result, stopped=True)
    for sentence in sentences(result):
        reporter.say(sentence)
    warn_of(reporter, [problem["text"] for problem in result["problems"]])
    return Outcome(result, losses=len(result["problems"]))


def refuse_without_scores() -> None:
    """Raises KnownError where what scores are made with is not installed."""
    for package in ("sklearn", "scipy"):
        if find_spec(package) is None:
            raise KnownError(
                tr("The package {package} is not installed.", package=package),
                fix=tr("Install it with: pip install “{extra}”.", extra="errormap-studio[encoder]"),
            )


def warn_of(reporter: Reporter, problems: Sequence[object]) -> None:
    """Tell of problems, at most 20 of them with their places."""
    for problem in problems[:MOST_TOLD]:
        reporter.warn(problem)
    if len(problems) > MOST_TOLD:
        reporter.warn(trn("… and {n:,} more problem.", "… and {n:,} more problems.", len(problems) - MOST_TOLD))


def propose_job(
    project: Project,
    reporter: Reporter,
    *,
    settings: UserSettings,
    kinds: Sequence[str] | None = None,
    limit: int | None = None,
) -> Outcome:
    """Embed the analyses and propose: categories for what nobody placed, then repairs of the tree. Of a locked taxonomy only
    places in the categories that are there, and moves of failures between them.

    With `kinds` only what may give such; with kinds or a limit those that wait are told, by worth. Questions where a failure
    belongs are chosen only where they are asked for.
    """
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.judge.starting import default_judge
    from errormap_core.proposals.propose import propose

    encoder = SentenceEncoder(settings["embedding.model"] or None)
    wanted = set(KINDS[:-1] if kinds is None else kinds)
    numbers: dict[str, Any] = {"run": None, "proposals": 0}
    if wanted.intersection(PLACING_KINDS):
        judge = default_judge(project, settings) if project.setting("proposals.names_by") == "judge" else None
        try:
            result = reporter.drive(propose(project, encoder, judge=judge, cancelled=reporter.cancelled))
        finally:
            if judge is not None:
                judge.close()
        reporter.say(result["note"])
        numbers = {**result, "note": str(result["note"])}
    is_locked = project.setting("taxonomy.locked")
    if wanted & ({"assign"} if is_locked else set(KINDS).difference(("create", "place"))) and not reporter.cancelled():
        numbers["repair"] = _repairs(project, reporter, encoder)
    if is_locked and kinds is not None and wanted & CHANGES_TREE:
        reporter.say(LOCKED.sentence())
    if "place" in wanted and not reporter.cancelled():
        from errormap_core.proposals.queueing import Queue
        from errormap_core.proposals.worklist import AHEAD

        queue = Queue(project, encoder, cancelled=reporter.cancelled)
        with project_lease(project, "queue", purpose=tr("Choosing questions")):
            reporter.drive(queue.refresh(n=AHEAD if limit is None else limit))
    if kinds is not None or limit is not None or reporter.as_json:
        rows = proposal_list(project.db, kinds=kinds, states=WAITING, limit=limit)
        numbers["pending"] = [proposal_json(row) for row in rows]
        for row in rows:
            n = trn("{n:,} failure", "{n:,} failures", row.n_subtree)
            reporter.say(f"{row.id}  {row.worth:8.1f}  {row.title}  ({row.kind}, {n})  {row.why or ''}".rstrip())
        if not rows:
            reporter.say(tr("No proposal waits for a decision."))
    return Outcome(numbers, stopped=reporter.cancelled())


def _repairs(project: Project, reporter: Reporter, encoder: "Encoder") -> dict[str, Any]:
    from errormap_core.proposals.repairing import repair

    result = reporter.drive(repair(project, encoder, cancelled=reporter.cancelled))
    if result["run"] is not None:
        reporter.say(result["note"])
    return {**result, "note": str(result["note"])}


def proposal_json(row: ProposalRow) -> dict[str, Any]:
    """A proposal that waits, for machines."""
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "title": str(row.title),
        "why": None if row.why is None else str(row.why),
        "worth": row.worth,
        "members": row.n_members,
        "members_below": row.n_subtree - row.n_members,
        "parent": row.parent_id,
        "state": row.state,
        "arguments": row.arguments,
    }


def accept_job(project: Project, reporter: Reporter, *, actor: str, proposal_ids: Sequence[str] | None) -> Outcome:
    """Accept these proposals with those above them, or (None) all that place failures and were not skipped, as one step
    recorded as bulk.

    Repairs of the tree and questions are never accepted unseen.
    """
    pending = pending_proposals(project.db)
    by_id = {row.id: row for row in pending}
    left: list[ProposalRow] = []
    if proposal_ids is None:
        taken, left = accepted_with_all(pending)
        chosen = [row.id for row in taken]
    else:
        chosen = []
        for proposal_id in proposal_ids:
            if proposal_id not in by_id:
                raise _not_waiting(project, proposal_id)
            above: str | None = proposal_id
            while above is not None and above in by_id:
                chosen.append(above)
                above = by_id[above].parent_id
    if left:
        reporter.say(
            trn("{n:,} skipped proposal was left out; accept it by its id.",
                "{n:,} skipped proposals were left out; accept them by their ids.", len(left))
        )  # fmt: skip
    if not chosen:
        n = len(pending) - len(left)
        if n:
            reporter.say(
                trn("Nothing was accepted; {n:,} other proposal waits: accept it by its id.",
                    "Nothing was accepted; {n:,} other proposals wait: accept them by their ids.", n)
            )  # fmt: skip
        elif not left:
            reporter.say(tr("No proposal waits for a decision."))
        return Outcome({"accepted": 0, "skipped_left_out": len(left)})
    rulings = tuple(Ruling(proposal_id=i, verdict="accept") for i in dict.fromkeys(chosen))
    change = project.apply(DecideProposals(rulings=rulings, is_bulk=proposal_ids is None), actor=actor)
    reporter.say(change.summary)
    return Outcome({"accepted": len(rulings), "summary": str(change.summary), "skipped_left_out": len(left)})


def _not_waiting(project: Project, proposal_id: str) -> KnownError:
    """The error for a proposal that cannot be accepted, which is named where there is one."""
    fix = tr("`errormap-studio proposals PROJECT` lists those that do.")
    try:
        name = label(ProjectFacts(project.db).proposal(proposal_id), project.tree)
    except KnownError:  # there is none of this id
        name = ""
    if not name:
        return KnownError(tr("No proposal with the id {id} waits for a decision.", id=proposal_id), fix=fix)
    return KnownError(tr("“{name}” does not wait for a decision any more.", name=name), fix=fix)


def export_job(
    project: Project, path: str | Path, reporter: Reporter, *, examples: int = 0, history: bool = False
) -> Outcome:
    """Write the atlas; it is checked against its schema before the file is put in place."""
    document = write_atlas(project, path, examples=examples, history=history)
    n = len(document["categories"])
    reporter.say(trn("Wrote {n:,} category to {path}.", "Wrote {n:,} categories to {path}.", n, path=path))
    return Outcome({"path": str(path), "categories": n, "totals": document["totals"]})


def stats(project: Project) -> dict[str, Any]:
    """Numbers of a project as JSON can hold them."""
    from errormap_core.measures.counts import subtree_counts
    from errormap_core.measures.how import coverage_sentence, how_lines

    totals = queries.totals(project.db)
    counts = subtree_counts(project.tree, queries.own_counts(project.db))
    looked_at = subtree_counts(project.tree, totals.looked_at)
    counted_of, looked_at_of = (read(project.db, "model") for read in (queries.counted_by, queries.looked_at_by))
    pending = pending_proposals(project.db)
    return {
        "project": str(project.path),
        "title": project.setting("atlas.title"),
        "records": totals.n_records,
        "failures": totals.n_failures,
        "states": dict(totals.states),
        "counted": totals.n_counted,
        "unplaced": totals.n_unplaced,
        "coverage": totals.coverage,
        "looked_at": totals.n_looked_at,
        "placed_by": dict(totals.placed_by),
        "diagnosed_by": {**totals.diagnosed_by, "nobody": totals.n_counted - sum(totals.diagnosed_by.values())},
        "said": [str(coverage_sentence(totals)), *map(str, how_lines(totals))],
        "pending_proposals": len(pending),
        "datasets": [dataclasses.asdict(row) for row in queries.datasets(project.db)],
        "models": [
            {
                **dataclasses.asdict(row),
                "counted": counted_of.get(row.name, 0),
                "looked_at": looked_at_of.get(row.name, 0),
            }
            for row in queries.models(project.db)
        ],
        "categories": [
            {
                "id": category.id,
                "path": project.tree.place(category.id),
                "failures": counts[category.id],
                "share": counts[category.id] / totals.n_counted if totals.n_counted else None,
                "looked_at": looked_at[category.id],
            }
            for category in project.tree
        ],
    }
