"""The job that takes decisions on proposals from a file, one JSON object a line, each line one step that can be undone.

A file can be given twice: what is decided already stays as it is. A line that cannot be taken is told with its number and field,
and the others are taken.
"""

import difflib
import json
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.jobs import Outcome, warn_of
from errormap_core.project.facts import ProjectFacts
from errormap_core.project.pending import above
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, never_cancelled
from errormap_core.taxonomy.facts import ProposalFacts
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from errormap_core.taxonomy.rulings import ACCEPTING, DECIDING, VERDICTS
from errormap_core.taxonomy.standing import follow_merges, is_question
from errormap_core.taxonomy.tree import Tree, name_key

FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "proposal": str,
    "verdict": str,
    "name": str,
    "description": str,
    "parent": (str, type(None)),
    "target": str,
    "without": list,
    "into": str,
    "parts": list,
    "below": bool,
    "as_is": bool,
    "reason": str,
}
"""What a line may say, and of which type (docs/decisions.md)."""

BROKEN, UNKNOWN, CONTRADICTING, REFUSED = "broken", "unknown", "contradicting", "refused"


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that was left out: its number, the field at fault ('' for the whole line), which sort, and why."""

    line: int
    field: str
    sort: str
    text: Sentence | KnownError

    def __str__(self) -> str:
        where = tr("line {line:,}", line=self.line)
        if self.field:
            where = tr("line {line:,}, {field}", line=self.line, field=self.field)
        return f"{where}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "field": self.field, "sort": self.sort, "text": str(self.text)}


class _LeftOut(Exception):
    """Ends the work on a line."""

    def __init__(self, field_name: str, sort: str, text: Sentence | KnownError) -> None:
        super().__init__(str(text))
        self.field, self.sort, self.text = field_name, sort, text


@dataclass(slots=True)
class Decided:
    """What came of a file: how often each verdict was taken, how many lines were decided already, and the problems."""

    taken: Counter[str] = field(default_factory=Counter)
    n_already: int = 0
    n_lines: int = 0
    problems: list[Problem] = field(default_factory=list)
    is_stopped: bool = False

    def to_json(self) -> dict[str, Any]:
        sorts = Counter(problem.sort for problem in self.problems)
        return {
            "lines": self.n_lines,
            "decided": self.taken.total(),
            **{verdict: self.taken[verdict] for verdict in VERDICTS},
            "already_decided": self.n_already,
            **{sort: sorts[sort] for sort in (BROKEN, UNKNOWN, CONTRADICTING, REFUSED)},
            "problems": [problem.to_json() for problem in self.problems],
        }


def decide_job(project: Project, reporter: Reporter, *, path: Path, actor: str) -> Outcome:
    """Take the decisions of a file. Lines that are left out are losses; those that were decided already are none."""
    done = reporter.drive(decide_from(project, path, actor=actor, cancelled=reporter.cancelled))
    n = done.taken.total()
    said = trn("Took {n:,} decision", "Took {n:,} decisions", n)
    if done.n_already:
        said = trn("{said}; {n:,} was decided already", "{said}; {n:,} were decided already", done.n_already, said=said)
    reporter.say(tr("{said}.", said=said))
    warn_of(reporter, done.problems)
    return Outcome(done.to_json(), losses=len(done.problems), stopped=done.is_stopped)


def decide_from(
    project: Project, path: Path, *, actor: str, cancelled: Cancelled = never_cancelled
) -> Generator[Progress, None, Decided]:
    """Take the decisions of a file, each line a step of its own. Raises OSError where it cannot be read."""
    lines = _lines(path)
    done = Decided(n_lines=len(lines))
    yield Progress("decide", 0, len(lines), tr("Deciding"))
    for place, (number, text, is_cut) in enumerate(lines, start=1):
        if cancelled():
            done.is_stopped = True
            break
        try:
            verdict = _take(project, _read(text, is_cut=is_cut), actor=actor)
        except _LeftOut as left:
            done.problems.append(Problem(number, left.field, left.sort, left.text))
        else:
            if verdict is None:
                done.n_already += 1
            else:
                done.taken[verdict] += 1
        yield Progress("decide", place, len(lines), tr("Deciding"))
    return done


# A line


def _lines(path: Path) -> list[tuple[int, bytes, bool]]:
    """Number and content of each line that holds something, and whether it is the last and has no end."""
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [(n, line, n == len(raw)) for n, line in enumerate(raw, start=1) if line.strip()]


def _read(text: bytes, *, is_cut: bool) -> dict[str, Any]:
    """A line's fields, each of its type. Raises _LeftOut."""
    try:
        data = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        if is_cut:
            raise _LeftOut("", BROKEN, tr("The last line is cut off; the file was not written to its end.")) from error
        raise _LeftOut("", BROKEN, tr("This is no JSON ({reason}).", reason=error)) from error
    if not isinstance(data, dict):
        raise _LeftOut("", BROKEN, tr("A line holds one JSON object."))
    for name, value in data.items():
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            hint = tr("Did you mean “{name}”?", name=near[0]) if near else tr("There is no such field.")
            raise _LeftOut(name, BROKEN, hint)
        if not isinstance(value, FIELDS[name]):
            raise _LeftOut(name, BROKEN, tr("The value is of the wrong type."))
    for name in ("proposal", "verdict"):
        if not data.get(name):
            raise _LeftOut(name, BROKEN, tr("The field is missing."))
    if any(not isinstance(each, str) for each in data.get("without", ())):
        raise _LeftOut("without", BROKEN, tr("It is a list of ids."))
    if any(not isinstance(each, dict) or not isinstance(each.get("id"), str) for each in data.get("parts", ())):
        raise _LeftOut("parts", BROKEN, tr("It is a list of objects, each with an id."))
    if data["verdict"] not in VERDICTS:
        known = ", ".join(VERDICTS)
        raise _LeftOut(
            "verdict", UNKNOWN, tr("There is no verdict “{v}”; use one of {known}.", v=data["verdict"], known=known)
        )
    return data


def _take(project: Project, line: Mapping[str, Any], *, actor: str) -> str | None:
    """Take a line's decision; its verdict, or None where it was decided already. Raises _LeftOut."""
    try:
        proposal = ProjectFacts(project.db).proposal(line["proposal"])
    except KnownError as error:
        raise _LeftOut("proposal", UNKNOWN, error) from error
    decided = ProjectFacts(project.db).row("decision", proposal.id)
    if decided is not None and (decided["verdict"] in DECIDING or decided["verdict"] == line["verdict"]):
        _refuse_contradiction(project, line, proposal, decided)
        return None
    ruling = _ruling(project, line, proposal)
    try:
        over = above(project.db, proposal.id) if ruling.verdict in ACCEPTING else []
        rulings = (ruling, *(Ruling(proposal_id=key, verdict="accept") for key in over))
        project.apply(DecideProposals(rulings=rulings), actor=actor, reason=line.get("reason", ""))
    except KnownError as error:
        raise _LeftOut("", REFUSED, error) from error
    return ruling.verdict


def _refuse_contradiction(
    project: Project, line: Mapping[str, Any], proposal: ProposalFacts, decided: Mapping[str, Any]
) -> None:
    """Raises _LeftOut where a line says something else than what was decided. What it only leaves open is no contradiction."""
    if line["verdict"] not in DECIDING:
        return
    try:
        ruling = _ruling(project, line, proposal)
    except (
        _LeftOut
    ):  # what it names went with the decision that was taken, or is wrong; nothing is to be done either way
        is_same = (line["verdict"] == "reject") == (decided["verdict"] == "reject")
    else:
        kept = json.loads(decided["details"])
        is_same = ruling.verdict == decided["verdict"] and all(
            kept.get(name) == value for name, value in ruling.details().items()
        )
    if not is_same:
        raise _LeftOut(
            "verdict",
            CONTRADICTING,
            tr("It was decided otherwise before ({verdict}); that stays.", verdict=decided["verdict"]),
        )


def _ruling(project: Project, line: Mapping[str, Any], proposal: ProposalFacts) -> Ruling:
    """The ruling that a line means. Raises _LeftOut where it names what is not there."""
    verdict = line["verdict"]
    values: dict[str, Any] = {}
    if verdict in ACCEPTING:
        tree = project.tree
        values = {name: line[name] for name in ("name", "description", "as_is") if name in line}
        if "below" in line:
            values["is_below"] = line["below"]
        if "parts" in line:
            values["parts"] = tuple(line["parts"])
        if "parent" in line:
            if line["parent"]:
                values["parent_id"] = _category(tree, line["parent"], "parent")
            else:
                values["at_top"] = True
        if "into" in line:
            values["into"] = _category(tree, line["into"], "into")
        if "target" in line:
            values["target"] = _target(project, line["target"])
        elif is_question(proposal.kind, proposal.arguments) and line.get("name"):
            values["is_new"] = True
        values["without"] = _without(tree, line.get("without", ()), proposal)
    ruling = Ruling(proposal_id=proposal.id, verdict=verdict, **values)
    if verdict == "accept" and ruling.details().keys() - {"as_is"}:
        return Ruling(proposal_id=proposal.id, verdict="edit", **values)
    return ruling


def _category(tree: Tree, text: str, field_name: str) -> str:
    """Id of a category that is given by its id or its path ('Other / Units'). Raises _LeftOut."""
    if tree.get(text) is not None:
        found = follow_merges(tree, text)
        if found is None:
            raise _LeftOut(field_name, UNKNOWN, tr("“{name}” was deleted.", name=tree.resolve(text).name))
        return found.id
    wanted = _path_key(text)
    same = [category.id for category in tree if _path_key(tree.path(category.id)) == wanted]
    if not same:
        raise _LeftOut(field_name, UNKNOWN, tr("There is no category “{text}”.", text=text))
    if len(same) > 1:
        raise _LeftOut(field_name, UNKNOWN, tr("“{text}” may be one of several categories; give its id.", text=text))
    return same[0]


def _path_key(path: str) -> tuple[str, ...]:
    return tuple(name_key(name) for name in path.split("/"))


def _target(project: Project, text: str) -> str:
    """Id of a category or of a proposal to create one."""
    try:
        found = ProjectFacts(project.db).proposal(text)
    except KnownError:
        return _category(project.tree, text, "target")
    if found.kind != "create":
        raise _LeftOut("target", UNKNOWN, tr("That proposal makes no category."))
    return found.id


def _without(tree: Tree, given: Sequence[str], proposal: ProposalFacts) -> tuple[str, ...]:
    """Ids of what is left out: failures, categories of a merge (also by path), parts of a split (also by name)."""
    if proposal.kind == "merge":
        known = {c: c for c in proposal.arguments["category_ids"]}
        known |= {tree.path(c): c for c in known if c in tree}
    elif proposal.kind == "split":
        known = {part["name"]: part["id"] for part in proposal.arguments["parts"]}
        known |= {part["id"]: part["id"] for part in proposal.arguments["parts"]}
    else:
        known = {record_id: record_id for record_id, _ in proposal.members}
    for each in given:
        if each not in known:
            raise _LeftOut("without", UNKNOWN, tr("“{text}” is no part of the proposal.", text=each))
    return tuple(dict.fromkeys(known[each] for each in given))
