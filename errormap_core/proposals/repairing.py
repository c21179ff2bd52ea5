"""Proposes repairs of a project's tree: what is the same, what belongs elsewhere, what holds several things, what is named badly.

What is proposed is found by repairs.py, which knows nothing of projects. Here the tree is read, ids are given by content, what
people rejected is left out as long as it is the same, and the rest is kept as a run whose task is 'repair'. It works for a
taxonomy without failures too, from names and descriptions.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from errormap_core.embedding.cache import embed, vectors_of
from errormap_core.embedding.encoder import Encoder
from errormap_core.embedding.words import RECIPE, Words, texts_of, vectors_of_words
from errormap_core.ids import content_id
from errormap_core.project import proposing
from errormap_core.project.lease import project_lease
from errormap_core.project.memory import Refusals, refusals, with_rejected
from errormap_core.project.proposing import NewProposal, Placed
from errormap_core.project.runs import end_run, find_run, start_run
from errormap_core.project.store import Project
from errormap_core.proposals.repairs import KINDS, Node, Repair, propose_repairs
from errormap_core.proposals.splitting import Vectors
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, Stopped, never_cancelled
from errormap_core.taxonomy.standing import concerned

RUN_NAME = "Repair the tree"
_NONE: Vectors = np.zeros((0, 0), np.float32)
VERSION = 2
"""Recorded with a run; to be counted up where other repairs are found in the same tree."""

Result = dict[str, Any]


def repair(
    project: Project, encoder: Encoder, *, cancelled: Cancelled = never_cancelled
) -> Generator[Progress, None, Result]:
    """Propose repairs of the tree as it is; the same tree with the same rejections is the same run.

    Returns numbers, with `note`, a Sentence that says what came of it. Stopped early, it returns with `run` None; embeddings
    made so far are kept. Raises KnownError where the encoder cannot work, or another process proposes.
    """
    with project_lease(project, "propose", purpose=tr("Proposing repairs")) as lease:
        try:
            return (yield from _Repairing(project, encoder, cancelled, lease.beat).run())
        except Stopped:
            return {"run": None, "proposals": 0, "note": tr("Stopped. No repair was proposed; embeddings are kept.")}


@dataclass(slots=True)
class _Read:
    """The tree with its failures; `of_category` are the records of each category that have an analysis."""

    placed: list[Placed]
    of_category: dict[str, tuple[str, ...]]
    names: dict[str, str]
    refusals: Refusals


class _Repairing:
    """One run, step by step."""

    def __init__(self, project: Project, encoder: Encoder, cancelled: Cancelled, beat: Callable[[], None]) -> None:
        self.project = project
        self.encoder = encoder
        self.cancelled = cancelled
        self.beat = beat
        self.counts: Counter[str] = Counter()

    def run(self) -> Generator[Progress, None, Result]:
        read = self._read()
        if not any(category.reserved is None for category in self.project.tree):
            return {
                "run": None,
                "proposals": 0,
                "note": tr("There is nothing to repair: the tree has no category yet."),
            }
        parameters = self._parameters(read)
        before = find_run(self.project.db, "propose", parameters)
        if before is not None and before["status"] == "finished":
            return self._again(before)
        words = [Words(each.error_title, each.error_summary) for each in read.placed]
        for progress in embed(self.project, texts_of(words), self.encoder, self.cancelled):
            self.counts["encoded"] = progress.counts["encoded"]
            self.beat()
            yield progress
        self._stop_if_asked()
        nodes = self._nodes(read, words)
        n = len(nodes)
        yield Progress("propose", 0, None, trn("Comparing {n:,} category", "Comparing {n:,} categories", n))
        found = propose_repairs(
            nodes,
            self._encode,
            seed=self.project.setting("proposals.seed"),
            refused=read.refusals.unchanged(read.of_category, read.names),
            kinds=self._kinds(),
            cancelled=self.cancelled,
        )
        self._stop_if_asked()
        result = self._write(parameters, list(self._new(found, read)))
        yield Progress("propose", result["proposals"], result["proposals"], result["note"], dict(self.counts))
        return result

    # Steps

    def _read(self) -> _Read:
        placed = proposing.placed_failures(self.project.db)
        of_category: dict[str, list[str]] = {}
        for each in placed:
            of_category.setdefault(each.category_id, []).append(each.record_id)
        return _Read(
            placed,
            {category_id: tuple(ids) for category_id, ids in of_category.items()},
            {category.id: category.name for category in self.project.tree},
            refusals(self.project.db),
        )

    def _kinds(self) -> tuple[str, ...]:
        """A locked taxonomy is applied and not changed: only failures may belong elsewhere."""
        return ("assign",) if self.project.setting("taxonomy.locked") else KINDS

    def _nodes(self, read: _Read, words: Sequence[Words]) -> list[Node]:
        of_category: dict[str, list[int]] = {}
        for row, each in enumerate(read.placed):
            of_category.setdefault(each.category_id, []).append(row)
        nodes = []
        for category in self.project.tree:
            rows = of_category.get(category.id, [])
            vectors = vectors_of_words([words[row] for row in rows], self._kept) if rows else _NONE
            nodes.append(
                Node(
                    id=category.id,
                    parent_id=category.parent_id,
                    name=category.name,
                    description=category.description,
                    reserved=category.reserved,  # type: ignore[arg-type]  # the schema says so
                    members=tuple(read.placed[row].record_id for row in rows),
                    vectors=vectors,
                    titles=tuple(read.placed[row].error_title for row in rows),
                )
            )
            self._stop_if_asked()
        return nodes

    def _encode(self, texts: Sequence[str]) -> Vectors:
        for _ in embed(self.project, texts, self.encoder, self.cancelled):
            self.beat()
        self._stop_if_asked()  # a text may be missing
        return self._kept(texts)

    def _kept(self, texts: Sequence[str]) -> Vectors:
        return vectors_of(self.project, texts, self.encoder, self._stop_if_asked)

    def _new(self, found: Sequence[Repair], read: _Read) -> Generator[NewProposal, None, None]:
        """The repairs that nobody has rejected, with ids and with what they saw of the categories that they name."""
        seen_ids: set[str] = set()
        for one in found:
            self._stop_if_asked()
            arguments = dict(one.arguments)
            if one.kind == "split":
                arguments["parts"] = self._parts(arguments, read.refusals)
                if not arguments["parts"]:
                    self.counts["rejected_before"] += 1
                    continue
            key = repair_id(one.kind, arguments, one.members)
            remembered = read.refusals.of(
                one.kind,
                arguments,
                one.members,
                of_category=read.of_category,
                names=read.names,
                proposal_id=key,
            )
            if remembered.is_refused:
                self.counts["rejected_before"] += 1
                continue
            if key in seen_ids:
                continue
            seen_ids.add(key)
            evidence = _evidence(one, {part["id"] for part in arguments.get("parts", ())})
            evidence |= {"worth": round(one.worth, 2), "seen": self._seen(one.kind, arguments, read)}
            if remembered.rejected_before is not None:
                evidence["rejected_before"] = remembered.rejected_before
            yield NewProposal(
                id=key,
                kind=one.kind,
                arguments=arguments,
                evidence=evidence,
                score=round(one.score, 6),
                parent_id=None,
                members=list(zip(one.members, _confidences(one), strict=True)),
            )

    def _parts(self, arguments: Mapping[str, Any], refused: Refusals) -> list[dict[str, Any]]:
        """Parts of a split without those that were left out before."""
        parts = arguments["parts"]
        return [each for each in parts if not refused.is_refused_part(arguments["category_id"], each["members"])]

    def _seen(self, kind: str, arguments: Mapping[str, Any], read: _Read) -> dict[str, Any]:
        tree = self.project.tree
        found = {}
        for category_id in concerned(kind, arguments):
            category = tree.live(category_id)
            found[category_id] = {
                "name": category.name,
                "parent_id": category.parent_id,
                "description": category.description,
                "n": len(read.of_category.get(category_id, ())),
            }
        return found

    # What is recorded

    def _parameters(self, read: _Read) -> dict[str, Any]:
        tree = [[c.id, c.parent_id, c.name, c.description, c.reserved] for c in self.project.tree]
        rejected = {refusal.proposal_id for each in read.refusals.by_key.values() for refusal in each}
        return {
            "task": "repair",
            "version": VERSION,
            "encoder": self.encoder.name,
            "embedded": RECIPE,
            "seed": self.project.setting("proposals.seed"),
            "tree": _sha256(tree),
            "placed": _sha256([[each.category_id, each.record_id, each.analysis_id] for each in read.placed]),
            "rejected": sorted(rejected),
            "kinds": list(self._kinds()),
        }

    def _write(self, parameters: Mapping[str, Any], new: Sequence[NewProposal]) -> Result:
        with self.project.writing() as db:
            run_id = start_run(db, "propose", RUN_NAME, parameters)
            proposing.save_proposals(db, run_id, new, self._stop_if_asked)
            self.counts["decided_before"] = proposing.decided_of_run(db, run_id)
            note = self._sentence(len(new))
            result = {
                "run": run_id,
                "proposals": len(new),
                **dict(sorted(Counter(each.kind for each in new).items())),
                **{key: self.counts[key] for key in ("encoded", "decided_before", "rejected_before")},
            }
            end_run(db, run_id, "finished", {**result, "note": note.to_json()})
        return {**result, "note": note}

    def _again(self, before: Mapping[str, Any]) -> Result:
        """The same tree: the proposals are there, and are the latest again."""
        result = json.loads(before["result"])
        with self.project.writing() as db:
            result["decided_before"] = proposing.decided_of_run(db, before["id"])
            end_run(db, before["id"], "finished", result)
        note = trn(
            "The tree is as it was when {n:,} repair was proposed, {decided:,} decided already.",
            "The tree is as it was when {n:,} repairs were proposed, {decided:,} decided already.",
            result["proposals"],
            decided=result["decided_before"],
        )
        return {**result, "encoded": 0, "note": note if result["proposals"] else Sentence.from_json(result["note"])}

    def _sentence(self, n: int) -> Sentence:
        if not n:
            said = tr("No repair of the tree is proposed.")
        elif self.project.setting("taxonomy.locked"):
            said = trn(
                "The taxonomy is locked: {n:,} move of failures between its categories is proposed.",
                "The taxonomy is locked: {n:,} moves of failures between its categories are proposed.",
                n,
            )
        else:
            said = trn("{n:,} repair of the tree is proposed.", "{n:,} repairs of the tree are proposed.", n)
        return with_rejected(said, self.counts["rejected_before"])

    def _stop_if_asked(self) -> None:
        if self.cancelled():
            raise Stopped


def repair_id(kind: str, arguments: Mapping[str, Any], members: Collection[str]) -> str:
    """The same kind of repair of the same categories with the same failures has the same id."""
    match kind:
        case "merge":
            about: list[Any] = sorted(arguments["category_ids"])
        case "split":
            about = [arguments["category_id"], sorted(part["id"] for part in arguments["parts"])]
        case _:
            names = ("category_id", "parent_id", "from_id", "name", "description")
            about = [arguments.get(name) for name in names]
            if kind == "assign":
                about = [arguments["category_id"], arguments.get("from_id")]
    return content_id("proposal", kind, about, _sha256(sorted(members)))


def _evidence(one: Repair, part_ids: Collection[str]) -> dict[str, Any]:
    """A repair's evidence with records instead of places among its members, and figures of the parts that are kept."""
    evidence = dict(one.evidence)
    if "parts" in evidence:
        figures = zip(one.arguments["parts"], evidence["parts"], strict=True)
        evidence["parts"] = [_with_records(own, one.members) for part, own in figures if part["id"] in part_ids]
    return _with_records(evidence, one.members)


def _with_records(figures: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
    found = dict(figures)
    for name in ("typical", "doubtful"):
        if name in found:
            found[name] = [members[place] for place in found[name]]
    return found


def _confidences(one: Repair) -> Sequence[float | None]:
    """How sure each member is, where that is known: of failures that belong elsewhere."""
    known: Sequence[float] | None = one.evidence.get("probabilities")
    return [None] * len(one.members) if known is None else known


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
