"""The job that takes decisions on proposals from a file, one JSON object a line, each line one step that can be undone.

A file can be given twice: what is decided already stays as it is. A line that cannot be taken is told with its number and field,
and the others are taken.
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.importers.inputs import found, read_bounded
from errormap_core.importers.json_text import MOST_BYTES
from errormap_core.jobs import Outcome, warn_of
from errormap_core.project import teaching
from errormap_core.project.facts import ProjectFacts
from errormap_core.project.pending import above
from errormap_core.project.store import Project
from errormap_core.reporting import Reporter
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, never_cancelled
from errormap_core.taxonomy.facts import ProposalFacts
from errormap_core.taxonomy.names import checked_name
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from errormap_core.taxonomy.rulings import ACCEPTING, DECIDING, VERDICTS
from errormap_core.taxonomy.standing import follow_merges, is_question, kind_of
from errormap_core.taxonomy.tree import Tree, name_key

FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "proposal": str,
    "record": str,
    "verdict": str,
    "name": str,
    "description": str,
    "parent": (str, type(None)),
    "target": str,
    "same": list,
    "without": list,
    "into": str,
    "parts": list,
    "below": bool,
    "as_is": bool,
    "reason": str,
}
"""What a line may say, and of which type (docs/decisions.md)."""

FIELDS_OF_KIND: Mapping[str, frozenset[str]] = {
    "create": frozenset({"name", "description", "parent", "without"}),
    "assign": frozenset({"target", "without"}),
    "merge": frozenset({"name", "description", "without", "into"}),
    "promote": frozenset({"name", "description", "parent"}),
    "move": frozenset({"name", "description", "parent"}),
    "split": frozenset({"without", "parts", "below"}),
    "rename": frozenset({"name", "description"}),
    "describe": frozenset({"name", "description"}),
    "place": frozenset({"record", "name", "description", "parent", "target", "same"}),
}
"""What a line may say of a proposal of each kind, beside what it may say of any."""

_OF_ANY_KIND = frozenset({"proposal", "verdict", "as_is", "reason"})

_PART_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "name": str,
    "description": (str, type(None)),
    "members": list,
}

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters and halves of surrogate pairs, which are no text; the latter no database and no file takes."""

MOST_QUOTED = 200

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
    """Take the decisions of a file, each line a step of its own. Raises KnownError where it cannot be read."""
    lines = _lines(path)
    done = Decided(n_lines=len(lines))
    asked = _Asked(project)
    yield Progress("decide", 0, len(lines), tr("Deciding"))
    for place, (number, text, is_cut) in enumerate(lines, start=1):
        if cancelled():
            done.is_stopped = True
            break
        try:
            verdict = _take(asked, _read(text, is_cut=is_cut), actor=actor)
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
    raw = read_bounded(found(path), MOST_BYTES).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [(n, line, n == len(raw)) for n, line in enumerate(raw, start=1) if line.strip()]


def _read(text: bytes, *, is_cut: bool) -> dict[str, Any]:
    """A line's fields, each of its type. Raises _LeftOut."""
    try:
        data = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        if is_cut:
            raise _LeftOut("", BROKEN, tr("The last line is cut off; the file was not written to its end.")) from error
        raise _LeftOut("", BROKEN, tr("This is no JSON ({reason}).", reason=error)) from error
    except ValueError as error:  # Python reads no integer of several thousand digits
        raise _LeftOut("", BROKEN, tr("A number in it is too long.")) from error
    if not isinstance(data, dict):
        raise _LeftOut("", BROKEN, tr("A line holds one JSON object."))
    for name, value in data.items():
        if not _is_text(name):
            raise _LeftOut("", BROKEN, tr("The name of a field is no text."))
        if name not in FIELDS:
            name = _clipped(name)
            near = difflib.get_close_matches(name, FIELDS, n=1)
            hint = tr("Did you mean “{name}”?", name=near[0]) if near else tr("There is no such field.")
            raise _LeftOut(name, BROKEN, hint)
        if not isinstance(value, FIELDS[name]):
            raise _LeftOut(name, BROKEN, tr("The value is of the wrong type."))
        if isinstance(value, str) and not _is_text(value):
            raise _LeftOut(name, BROKEN, tr("It holds a control character or half of a character, which is no text."))
    if not data.get("proposal") and not data.get("record"):
        raise _LeftOut("proposal", BROKEN, tr("The field is missing."))
    if not data.get("verdict"):
        raise _LeftOut("verdict", BROKEN, tr("The field is missing."))
    for name in ("without", "same"):
        if not all(_is_text(each) for each in data.get(name, ())):
            raise _LeftOut(name, BROKEN, tr("It is a list of ids."))
    for part in data.get("parts", ()):
        _refuse_broken_part(part)
        _refuse_name(part.get("name"), "parts")
    _refuse_name(data.get("name"), "name")
    if data["verdict"] not in VERDICTS:
        known = ", ".join(VERDICTS)
        raise _LeftOut(
            "verdict",
            UNKNOWN,
            tr("There is no verdict “{v}”; use one of {known}.", v=_clipped(data["verdict"]), known=known),
        )
    return data


def _clipped(text: str) -> str:
    """What somebody wrote, as a message quotes it."""
    return text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}…"


def _refuse_name(name: str | None, field_name: str) -> None:
    """Raises _LeftOut for a name that no category may have; an empty one names none."""
    if name:
        try:
            checked_name(name)
        except KnownError as error:
            raise _LeftOut(field_name, REFUSED, error) from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _NO_TEXT.search(value) is None


def _refuse_broken_part(part: Any) -> None:
    """Raises _LeftOut where this is no part of a split."""
    if not isinstance(part, dict) or not isinstance(part.get("id"), str):
        raise _LeftOut("parts", BROKEN, tr("It is a list of objects, each with an id."))
    for name, value in part.items():
        if name not in _PART_FIELDS:
            known = ", ".join(_PART_FIELDS)
            raise _LeftOut("parts", BROKEN, tr("Of a part it can say {known}; there is another field.", known=known))
        is_right = isinstance(value, _PART_FIELDS[name])
        if is_right and value is not None:
            is_right = all(map(_is_text, value)) if isinstance(value, list) else _is_text(value)
        if not is_right:
            raise _LeftOut("parts", BROKEN, tr("The value of “{name}” is of the wrong type, or no text.", name=name))


class _Asked:
    """The proposals that lines are about. A question where a failure belongs need not have been asked in this project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._records: dict[str, str] | None = None

    def proposal(self, line: Mapping[str, Any]) -> tuple[ProposalFacts, bool]:
        """The proposal, and whether it is a question that is to be made first. Raises _LeftOut where there is none."""
        record_id = line.get("record")
        proposal_id = line.get("proposal") or content_id("proposal", "place", record_id)
        is_new = False
        try:
            found = ProjectFacts(self.project.db).proposal(proposal_id)
        except KnownError as error:
            new = self._new_question(proposal_id)
            if new is None and line.get("proposal"):
                raise _LeftOut("proposal", UNKNOWN, error) from error
            if new is None:
                said = tr("There is no analysed failure with the id {id}.", id=_clipped(str(record_id)))
                raise _LeftOut("record", UNKNOWN, said) from error
            found, is_new = new, True
        if record_id is not None and found.arguments.get("record_id") != record_id:
            raise _LeftOut("record", BROKEN, tr("The proposal does not ask about that failure."))
        return found, is_new

    def _new_question(self, proposal_id: str) -> ProposalFacts | None:
        """The question with this id about one of the project's failures, as it would be; None where there is none."""
        if self._records is None:
            failures = teaching.analysed_ids(self.project.db)
            self._records = {content_id("proposal", "place", record_id): record_id for record_id in failures}
        record_id = self._records.get(proposal_id)
        if record_id is None:
            return None
        arguments = {"record_id": record_id, "candidates": []}
        return ProposalFacts(
            id=proposal_id, kind="place", run_id="", parent_id=None, arguments=arguments, members=(), evidence={}
        )


def _take(asked: _Asked, line: Mapping[str, Any], *, actor: str) -> str | None:
    """Take a line's decision; its verdict, or None where it was decided already. Raises _LeftOut."""
    project = asked.project
    proposal, is_new = asked.proposal(line)
    _refuse_other_fields(line, proposal)
    decided = ProjectFacts(project.db).row("decision", proposal.id)
    if decided is not None and (decided["verdict"] in DECIDING or decided["verdict"] == line["verdict"]):
        _refuse_contradiction(project, line, proposal, decided)
        return None
    ruling = _ruling(project, line, proposal)
    if is_new and ruling.verdict in ACCEPTING and ruling.target is None and not ruling.is_new:
        said = tr("The question was not asked in this project, so its answer needs a target or a name.")
        raise _LeftOut("target", BROKEN, said)
    is_made = False
    try:
        if is_new:
            with project.writing() as db:
                teaching.add_question(db, proposal.id, proposal.arguments)
            is_made = True
        over = above(project.db, proposal.id) if ruling.verdict in ACCEPTING else []
        rulings = (ruling, *(Ruling(proposal_id=key, verdict="accept") for key in over))
        project.apply(DecideProposals(rulings=rulings), actor=actor, reason=line.get("reason", ""))
    except KnownError as error:
        if is_made:
            with project.writing() as db:
                teaching.withdraw_question(db, proposal.id)
        raise _LeftOut("", REFUSED, error) from error
    return ruling.verdict


def _refuse_other_fields(line: Mapping[str, Any], proposal: ProposalFacts) -> None:
    """Raises _LeftOut where a line says what a proposal of this kind has no use for."""
    kind = kind_of(proposal.kind, proposal.arguments)
    may = FIELDS_OF_KIND.get(kind, frozenset(FIELDS))
    for name in line:
        if name not in may | _OF_ANY_KIND:
            raise _LeftOut(name, BROKEN, tr("It has no meaning for a proposal of the kind “{kind}”.", kind=kind))
    if not is_question(proposal.kind, proposal.arguments):
        return
    for name in ("name", "description", "parent"):
        if name in line and "target" in line:
            raise _LeftOut(name, BROKEN, tr("It is that of a new category, and the target is another."))
        if name in line and "name" not in line:
            raise _LeftOut(name, BROKEN, tr("It is that of a new category, whose name is missing."))


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
        if "same" in line:
            values["same"] = tuple(_target(project, each) for each in line["same"])
        if "target" not in line and is_question(proposal.kind, proposal.arguments) and line.get("name"):
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
    same = list(_at_path(tree, None, _path_key(text)))
    if not same:
        raise _LeftOut(field_name, UNKNOWN, tr("There is no category “{text}”.", text=_clipped(text)))
    if len(same) > 1:
        raise _LeftOut(
            field_name, UNKNOWN, tr("“{text}” may be one of several categories; give its id.", text=_clipped(text))
        )
    return same[0]


def _at_path(tree: Tree, parent_id: str | None, path: tuple[str, ...]) -> Iterator[str]:
    """Ids of the categories with this path below a parent. A name may hold a stroke itself."""
    waiting = [(parent_id, path)]
    while waiting:
        parent_id, path = waiting.pop()
        for child in tree.children(parent_id):
            own = _path_key(tree.live(child).name)
            if own == path:
                yield child
            elif own == path[: len(own)]:
                waiting.append((child, path[len(own) :]))


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
            raise _LeftOut("without", UNKNOWN, tr("“{text}” is no part of the proposal.", text=_clipped(each)))
    return tuple(dict.fromkeys(known[each] for each in given))
