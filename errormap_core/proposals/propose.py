"""Proposes where diagnosed failures belong that nobody placed: in categories that are there, in new ones, or in Other.

A proposal's id is made of its kind, the category it concerns and its members, so that the same seed gives
the same ids, and one that was rejected is known again whenever clustering arrives at it. Nothing is written before all
is known; then proposals and run are written in one transaction.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from errormap_core.embedding.cache import embed, vectors_of
from errormap_core.embedding.encoder import Encoder
from errormap_core.embedding.words import RECIPE, Words, says_nothing, texts_of, vectors_of_words
from errormap_core.ids import content_id
from errormap_core.judge.base import Cancelled as JudgeCancelled
from errormap_core.judge.base import Judge
from errormap_core.project import proposing
from errormap_core.project.lease import project_lease
from errormap_core.project.memory import Refusals, refusals, with_rejected
from errormap_core.project.proposing import NewProposal, Unplaced
from errormap_core.project.runs import end_run, find_run, start_run
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals import clustering, naming, placing
from errormap_core.proposals.clustering import Group, cohesion_of
from errormap_core.proposals.learned import learned_places
from errormap_core.proposals.splitting import Vectors
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, Stopped, never_cancelled
from errormap_core.taxonomy.tree import name_key

RUN_NAME = "Propose categories"
N_TYPICAL = 5
NAMED_FROM = 50
"""Most typical members whose titles and words a name is looked for in."""

Result = dict[str, Any]


def propose(
    project: Project, encoder: Encoder, *, judge: Judge | None = None, cancelled: Cancelled = never_cancelled
) -> Generator[Progress, None, Result]:
    """Embed what is not placed, and propose places and categories for it.

    `judge` names the categories where the setting 'proposals.names_by' is 'judge'. Returns numbers, with `note`, a
    Sentence that says what came of it. Stopped early, it returns with `run` None; embeddings made so far are kept.
    Raises KnownError where encoder or judge cannot work, or another process proposes.
    """
    with project_lease(project, "propose", purpose=tr("Proposing categories")) as lease:
        try:
            return (yield from _Proposing(project, encoder, judge, cancelled, lease.beat).run())
        except (Stopped, JudgeCancelled):
            return {"run": None, "proposals": 0, "note": tr("Stopped. Nothing was proposed; embeddings are kept.")}


@dataclass(frozen=True, slots=True)
class _Node:
    """A group with its proposal's id."""

    id: str
    group: Group
    children: tuple["_Node", ...]


@dataclass(slots=True)
class _Input:
    """What a run starts from; the same input with the same settings is the same run."""

    failures: list[Unplaced]
    placed: list[tuple[str, Words]]
    taken: list[str]
    settings: dict[str, Any]
    decided: set[tuple[str, str]]
    refusals: Refusals

    def parameters(self, encoder: Encoder, judge: Judge | None) -> dict[str, Any]:
        names_by: Any = naming.BY_MEMBERS
        if judge is not None:
            info, prompt = judge.describe(), naming.naming_prompt()
            names_by = {
                "judge": info.name,
                "sha256": info.model_sha256,
                "temperature": info.temperature,
                "seed": info.seed,
                "prompt": {"id": prompt.id, "version": prompt.version, "sha256": prompt.sha256},
            }
        of_people: dict[str, Any] = {}
        if self.decided:
            of_people["decided"] = _sha256(sorted(self.decided))
        rejected = self.refusals.by_key.get(("create",), ())
        if rejected:
            of_people["rejected"] = sorted(refusal.proposal_id for refusal in rejected)
        return {
            **of_people,
            "encoder": encoder.name,
            "embedded": RECIPE,
            "method": f"{clustering.METHOD} {clustering.VERSION}",
            **self.settings,
            "names_by": names_by,
            "judge_runs": sorted({failure.judge_run for failure in self.failures}),
            "failures": _sha256([[f.record_id, f.analysis_id] for f in self.failures]),
            "placed": _sha256(self.placed),
            "taken": _sha256(self.taken),
        }


class _Proposing:
    """One run, step by step."""

    def __init__(
        self, project: Project, encoder: Encoder, judge: Judge | None, cancelled: Cancelled, beat: Callable[[], None]
    ) -> None:
        self.project = project
        self.encoder = encoder
        self.judge = judge if project.setting("proposals.names_by") == "judge" else None
        if project.setting("proposals.names_by") == "judge" and judge is None:
            raise ValueError("the judge is to give the names, and none was passed")
        self.cancelled = cancelled
        self.beat = beat
        self.counts: Counter[str] = Counter()

    def run(self) -> Generator[Progress, None, Result]:
        given = self._read()
        parameters = given.parameters(self.encoder, self.judge)
        before = find_run(self.project.db, "propose", parameters)
        if before is not None and before["status"] == "finished":
            return self._again(before)
        if not given.failures:
            return self._write(parameters, [], self._why_nothing())
        words = [Words(failure.error_title, failure.error_summary) for failure in given.failures]
        texts = texts_of([*words, *(placed for _, placed in given.placed)])
        for progress in embed(self.project, texts, self.encoder, self.cancelled):
            self.counts["encoded"], self.counts["cached"] = progress.counts["encoded"], progress.counts["cached"]
            self.beat()
            yield progress
        self._stop_if_asked()
        vectors = self._vectors(words)
        self._stop_if_asked()
        junk = {row for row, each in enumerate(words) if says_nothing(each)}
        self.counts["junk"] = len(junk)
        self.counts["same"] = len(words) - len(set(words))
        self._stop_if_asked()
        clear = [row for row, failure in enumerate(given.failures) if failure.verdict != "unclear" and row not in junk]
        proposals, rest = self._learned(given, vectors, clear)
        near, rest = self._near_categories(given, vectors, rest)
        proposals += near
        n = len(rest)
        yield Progress("propose", 0, None, trn("Grouping {n:,} failure", "Grouping {n:,} failures", n))
        if given.settings["locked"]:
            far = tr("The taxonomy is locked, and they are near to no category of it.")
            proposals += self._other(rest, given.failures, vectors, given, why=far)
            proposals += self._hard(given, vectors, junk)
            return self._write(parameters, proposals, None)
        found = clustering.cluster(
            vectors[rest],
            titles=[given.failures[row].error_title.strip().casefold() for row in rest],
            depth=given.settings["depth"],
            max_categories=given.settings["max_categories"],
            n_groups=given.settings["n_categories"] or None,
            min_size=given.settings["min_size"],
            seed=given.settings["seed"],
            cancelled=self.cancelled,
        )
        self.beat()
        failures = [given.failures[row] for row in rest]
        tops = self._not_rejected([_node(group, failures) for group in found.groups], failures, given)
        created: list[NewProposal] = []
        for new in self._named(tops, failures, given):
            created.append(new)
            yield Progress("propose", len(created), _count(tops), tr("Naming {name}", name=new.arguments["name"]))
        proposals += created
        proposals += self._other(found.other, failures, vectors[rest], given)
        proposals += self._hard(given, vectors, junk)  # last: what is best looked at first teaches what the others are
        result = self._write(parameters, proposals, None)
        yield Progress("propose", len(proposals), len(proposals), result["note"], dict(self.counts))
        return result

    # Steps

    def _read(self) -> _Input:
        db, tree = self.project.db, self.project.tree
        keys = ("depth", "max_categories", "min_size", "seed")
        is_empty = all(tree.live(key).reserved for key in tree.children(None))
        return _Input(
            failures=proposing.unplaced_failures(db),
            placed=[(key, Words(*words)) for key, *words in proposing.placed_words(db)],
            taken=sorted(name_key(tree.live(key).name) for key in tree.children(None)),
            settings={
                **{key: self.project.setting(f"proposals.{key}") for key in keys},
                "n_categories": self.project.setting("proposals.n_categories") if is_empty else 0,
                "locked": self.project.setting("taxonomy.locked"),
            },
            decided=proposing.decided_pairs(db),
            refusals=refusals(db),
        )

    def _vectors(self, words: Sequence[Words]) -> Vectors:
        return vectors_of_words(words, lambda texts: vectors_of(self.project, texts, self.encoder, self._stop_if_asked))

    def _hard(self, given: _Input, vectors: Vectors, junk: Collection[int]) -> Iterator[NewProposal]:
        rows = [
            row
            for row, failure in enumerate(given.failures)
            if (failure.verdict == "unclear" or row in junk) and (failure.record_id, HARD_ID) not in given.decided
        ]
        self.counts["hard"] = len(rows)
        said = tr("The judge could not tell what went wrong in them.")
        if junk:
            said = trn(
                "{said} The analysis of {n:,} says nothing.",
                "{said} The analyses of {n:,} say nothing.",
                len(junk),
                said=said,
            )
        if rows:
            yield _assign(
                HARD_ID,
                [(given.failures[row].record_id, None) for row in rows],
                description=said,
                cohesion=cohesion_of(vectors[rows]),
            )

    def _learned(self, given: _Input, vectors: Vectors, rows: Sequence[int]) -> tuple[list[NewProposal], list[int]]:
        """Proposals to place failures where what people placed teaches that they belong (learned.py), and the rows left."""
        row_of = {given.failures[row].record_id: row for row in rows}
        found = {
            record_id: place
            for record_id, place in learned_places(self.project, self.encoder, row_of, cancelled=self.cancelled).items()
            if (record_id, place.category_id) not in given.decided
        }
        self.counts["learned"] = len(found)
        proposals = []
        for category_id in sorted({place.category_id for place in found.values()}):
            here = [record_id for record_id, place in found.items() if place.category_id == category_id]
            here.sort(key=lambda record_id: (-found[record_id].margin, record_id))
            proposals.append(
                _assign(
                    category_id,
                    [(record_id, found[record_id].probability) for record_id in here],
                    description=trn(
                        "What people placed teaches that it belongs here (score {share:.2f}).",
                        "What people placed teaches that they belong here (mean score {share:.2f}).",
                        len(here),
                        share=float(np.mean([found[record_id].probability for record_id in here])),
                    ),
                    cohesion=cohesion_of(vectors[[row_of[record_id] for record_id in here]]),
                    evidence={"members": {record_id: asdict(found[record_id]) for record_id in here}},
                )
            )
        return proposals, [row for row in rows if given.failures[row].record_id not in found]

    def _near_categories(
        self, given: _Input, vectors: Vectors, rows: Sequence[int]
    ) -> tuple[list[NewProposal], list[int]]:
        """Proposals to place failures in categories that are there (the rule: placing.py), and the rows left."""
        of_category: dict[str, list[Words]] = {}
        for category_id, words in given.placed:
            of_category.setdefault(category_id, []).append(words)
        own = [self._vectors(words) for words in of_category.values()]
        place, similarity, limits = placing.place(vectors[list(rows)], own)
        ids = list(of_category)
        for i, row in enumerate(rows):
            if place[i] >= 0 and (given.failures[row].record_id, ids[place[i]]) in given.decided:
                place[i] = -1  # somebody said no to this one
        proposals = []
        for number, category_id in enumerate(of_category):
            here = np.flatnonzero(place == number)
            if not len(here):
                continue
            self.counts["near"] += len(here)
            ranked = sorted(here.tolist(), key=lambda i: (-round(float(similarity[i]), 6), rows[i]))
            proposals.append(
                _assign(
                    category_id,
                    [(given.failures[rows[i]].record_id, round(min(1.0, float(similarity[i])), 6)) for i in ranked],
                    description=tr(
                        "They are as near to this category as three in four of its own failures (similarity {limit:.2f}).",
                        limit=float(limits[number]),
                    ),
                    cohesion=cohesion_of(vectors[[rows[i] for i in ranked]]),
                    evidence={"least_similarity": round(float(limits[number]), 6)},
                )
            )
        return proposals, [row for i, row in enumerate(rows) if place[i] < 0]

    def _other(
        self,
        rows: Sequence[int],
        failures: Sequence[Unplaced],
        vectors: Vectors,
        given: _Input,
        why: Sentence | None = None,
    ) -> Iterator[NewProposal]:
        rows = [row for row in rows if (failures[row].record_id, OTHER_ID) not in given.decided]
        self.counts["other"] = len(rows)
        if rows:
            yield _assign(
                OTHER_ID,
                [(failures[row].record_id, None) for row in rows],
                description=why
                or tr("They are far from every group, or in groups of fewer than {n:,}.", n=given.settings["min_size"]),
                cohesion=cohesion_of(vectors[list(rows)]),
            )

    def _not_rejected(self, nodes: Sequence[_Node], failures: Sequence[Unplaced], given: _Input) -> tuple[_Node, ...]:
        """The groups without those that are nearly the same as a rejected one, at any level."""
        kept = []
        for node in nodes:
            ids = [failures[row].record_id for row in node.group.members]
            if given.refusals.of("create", {}, ids, proposal_id=node.id).is_refused:
                self.counts["rejected_before"] += 1
                continue
            kept.append(_Node(node.id, node.group, self._not_rejected(node.children, failures, given)))
        return tuple(kept)

    def _named(self, tops: tuple[_Node, ...], failures: Sequence[Unplaced], given: _Input) -> Iterator[NewProposal]:
        settled = proposing.settled_arguments(self.project.db)

        def level(nodes: tuple[_Node, ...], parent: str | None, taken: set[str]) -> Iterator[NewProposal]:
            used = taken | {name_key(settled[node.id]["name"]) for node in nodes if node.id in settled}
            titles = [Counter(failures[row].error_title.casefold() for row in node.group.members) for node in nodes]
            together = sum(titles, Counter[str]())
            for node, own in zip(nodes, titles, strict=True):
                self._stop_if_asked()
                if node.id in settled:
                    named = {key: settled[node.id][key] for key in ("name", "description", "named_by")}
                else:
                    named = asdict(self._name(node, failures, elsewhere=together - own, taken=used))
                    used.add(name_key(named["name"]))
                yield NewProposal(
                    id=node.id,
                    kind="create",
                    arguments=named,
                    evidence=_evidence(node, nodes, failures, given.refusals),
                    score=node.group.cohesion,
                    parent_id=parent,
                    members=_members(node, failures),
                )
                yield from level(node.children, node.id, {name_key(named["name"])})

        yield from level(tops, None, set(given.taken))

    def _name(
        self, node: _Node, failures: Sequence[Unplaced], *, elsewhere: Counter[str], taken: set[str]
    ) -> naming.Naming:
        typical = [failures[row] for row in node.group.members[:NAMED_FROM]]
        named = naming.name_from_members(
            [failure.error_title for failure in typical],
            [failure.error_summary for failure in typical],
            elsewhere=elsewhere,
            taken=taken,
        )
        if self.judge is None:
            return named
        texts = list(dict.fromkeys(failure.text for failure in typical))
        named = naming.name_by_judge(self.judge, named, texts, taken=taken, cancelled=self.cancelled)
        self.counts["named_by_members_instead" if named.is_fallback else "named_by_judge"] += 1
        self.beat()
        return named

    # The end

    def _write(self, parameters: Mapping[str, Any], proposals: Sequence[NewProposal], why: Sentence | None) -> Result:
        with self.project.writing() as db:
            run_id = start_run(db, "propose", RUN_NAME, parameters)
            proposing.save_proposals(db, run_id, proposals, self._stop_if_asked)
            self.counts["decided_before"] = proposing.decided_of_run(db, run_id)
            note = why or self._sentence(proposals)
            result = {
                "run": run_id,
                "proposals": len(proposals),
                "create": sum(new.kind == "create" for new in proposals),
                "assign": sum(new.kind == "assign" for new in proposals),
                "failures": sum(len(new.members) for new in proposals),
                **{key: self.counts[key] for key in _COUNTED},
                "encoder_threads": self.encoder.threads,
            }
            end_run(db, run_id, "finished", {**result, "note": note.to_json()})
        return {**result, "note": note}

    def _again(self, before: Mapping[str, Any]) -> Result:
        """The same input under the same settings: the proposals are there, and are the latest again."""
        result = json.loads(before["result"])
        with self.project.writing() as db:
            result["decided_before"] = proposing.decided_of_run(db, before["id"])
            end_run(db, before["id"], "finished", result)
        if not result["proposals"]:
            return {**result, "note": Sentence.from_json(result["note"])}
        note = trn(
            "Nothing changed since this was proposed: {n:,} proposal, {decided:,} decided already.",
            "Nothing changed since this was proposed: {n:,} proposals, {decided:,} decided already.",
            result["proposals"],
            decided=result["decided_before"],
        )
        return {**result, "encoded": 0, "note": note}

    def _sentence(self, proposals: Sequence[NewProposal]) -> Sentence:
        said = trn(
            "{n:,} proposal for {failures}.",
            "{n:,} proposals for {failures}.",
            len(proposals),
            failures=trn("{n:,} failure", "{n:,} failures", sum(len(new.members) for new in proposals)),
        )
        if self.counts["decided_before"]:
            said = trn(
                "{said} {n:,} of them was decided before and does not wait again.",
                "{said} {n:,} of them were decided before and do not wait again.",
                self.counts["decided_before"],
                said=said,
            )
        if self.counts["junk"]:
            said = trn(
                "{said} {n:,} analysis says nothing and was set aside.",
                "{said} {n:,} analyses say nothing and were set aside.",
                self.counts["junk"],
                said=said,
            )
        said = with_rejected(said, self.counts["rejected_before"])
        if self.counts["named_by_members_instead"]:
            said = trn(
                "{said} {n:,} name comes from members, because the judge gave none that could be used.",
                "{said} {n:,} names come from members, because the judge gave none that could be used.",
                self.counts["named_by_members_instead"],
                said=said,
            )
        return said

    def _why_nothing(self) -> Sentence:
        if proposing.has_diagnosed(self.project.db):
            return tr("Nothing to propose: every diagnosed failure has its place.")
        return tr("Nothing to propose: no failure is diagnosed yet. Run the judge first.")

    def _stop_if_asked(self) -> None:
        if self.cancelled():
            raise Stopped


_COUNTED = (
    "learned",
    "near",
    "junk",
    "same",
    "hard",
    "other",
    "encoded",
    "cached",
    "decided_before",
    "rejected_before",
    "named_by_judge",
    "named_by_members_instead",
)


def _node(group: Group, failures: Sequence[Unplaced]) -> _Node:
    members = sorted(failures[row].record_id for row in group.members)
    return _Node(
        id=content_id("proposal", "create", None, members),
        group=group,
        children=tuple(_node(child, failures) for child in group.children),
    )


def _count(nodes: tuple[_Node, ...]) -> int:
    return sum(1 + _count(node.children) for node in nodes)


def _members(node: _Node, failures: Sequence[Unplaced]) -> list[tuple[str, float | None]]:
    confidence = dict(zip(node.group.members, node.group.confidences, strict=True))
    return [(failures[row].record_id, confidence[row]) for row in node.group.direct]


def _evidence(
    node: _Node, siblings: tuple[_Node, ...], failures: Sequence[Unplaced], refused: Refusals
) -> dict[str, Any]:
    group = node.group
    others = [(float(group.centroid @ other.group.centroid), other.id) for other in siblings if other is not node]
    nearest = max(others, default=None)
    ids = [failures[row].record_id for row in group.members]
    before = refused.of("create", {}, ids, proposal_id=node.id).rejected_before
    why = trn(
        "{n:,} failure has no place yet, and is like the others here (cohesion {cohesion:.2f}).",
        "{n:,} failures have no place yet, and are like each other (cohesion {cohesion:.2f}).",
        len(ids),
        cohesion=group.cohesion,
    )
    return {
        "typical": ids[:N_TYPICAL],
        "cohesion": group.cohesion,
        "n_members": len(ids),
        "nearest": None if nearest is None else {"proposal_id": nearest[1], "similarity": round(nearest[0], 6)},
        "why": why.to_json(),
        "worth": round(sum(group.confidences), 2),
        **({} if before is None else {"rejected_before": before}),
    }


def _assign(
    category_id: str,
    members: Sequence[tuple[str, float | None]],
    *,
    description: Sentence,
    cohesion: float,
    evidence: Mapping[str, Any] | None = None,
) -> NewProposal:
    ids = [record_id for record_id, _ in members]
    worth = sum(placing.WORTH_OF_RESERVED if confidence is None else confidence for _, confidence in members)
    return NewProposal(
        id=content_id("proposal", "assign", category_id, sorted(ids)),
        kind="assign",
        arguments={"category_id": category_id, "description": str(description), "named_by": ""},
        evidence={
            "typical": ids[:N_TYPICAL],
            "cohesion": round(cohesion, 6),
            "n_members": len(ids),
            "why": description.to_json(),
            "worth": round(worth, 2),
            **(evidence or {}),
        },
        score=round(cohesion, 6),
        parent_id=None,
        members=members,
    )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
