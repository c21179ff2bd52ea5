"""Proposes where diagnosed failures belong that nobody placed: in categories that are there, in new ones, or in Other.

A proposal's id is made of its kind, the category it concerns and its members, so that the same seed gives
the same ids, and one that was rejected is known again whenever clustering arrives at it. Nothing is written before all
is known; then proposals and run are written in one transaction.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from errormap_core.embedding.cache import embed, vectors_of
from errormap_core.embedding.encoder import Encoder
from errormap_core.embedding.words import RECIPE, Words, texts_of, vectors_of_words
from errormap_core.ids import content_id
from errormap_core.judge.base import Cancelled as JudgeCancelled
from errormap_core.judge.base import Judge
from errormap_core.project import proposing
from errormap_core.project.lease import project_lease
from errormap_core.project.proposing import NewProposal, Unplaced
from errormap_core.project.runs import end_run, find_run, start_run
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals import clustering, naming, placing
from errormap_core.proposals.clustering import Group, cohesion_of
from errormap_core.proposals.splitting import Vectors
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, never_cancelled
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
        except (clustering.Stopped, JudgeCancelled):
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
        return {
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
        clear = [row for row, failure in enumerate(given.failures) if failure.verdict != "unclear"]
        proposals, rest = self._near_categories(given, vectors, clear)
        n = len(rest)
        yield Progress("propose", 0, None, trn("Grouping {n:,} failure", "Grouping {n:,} failures", n))
        found = clustering.cluster(
            vectors[rest],
            titles=[given.failures[row].error_title.strip().casefold() for row in rest],
            depth=given.settings["depth"],
            max_categories=given.settings["max_categories"],
            min_size=given.settings["min_size"],
            seed=given.settings["seed"],
            cancelled=self.cancelled,
        )
        self.beat()
        failures = [given.failures[row] for row in rest]
        tops = tuple(_node(group, failures) for group in found.groups)
        created: list[NewProposal] = []
        for new in self._named(tops, failures, taken=set(given.taken)):
            created.append(new)
            yield Progress("propose", len(created), _count(tops), tr("Naming {name}", name=new.arguments["name"]))
        proposals += created
        if found.other:
            proposals.append(
                self._other([failures[row] for row in found.other], vectors[rest][list(found.other)], given)
            )
        proposals += self._hard(given, vectors)  # last: what is best looked at first teaches what the others are
        result = self._write(parameters, proposals, None)
        yield Progress("propose", len(proposals), len(proposals), result["note"], dict(self.counts))
        return result

    # Steps

    def _read(self) -> _Input:
        db, tree = self.project.db, self.project.tree
        keys = ("depth", "max_categories", "min_size", "seed")
        return _Input(
            failures=proposing.unplaced_failures(db),
            placed=[(key, Words(*words)) for key, *words in proposing.placed_words(db)],
            taken=sorted(name_key(tree.live(key).name) for key in tree.children(None)),
            settings={key: self.project.setting(f"proposals.{key}") for key in keys},
        )

    def _vectors(self, words: Sequence[Words]) -> Vectors:
        return vectors_of_words(words, lambda texts: vectors_of(self.project, texts, self.encoder))

    def _hard(self, given: _Input, vectors: Vectors) -> Iterator[NewProposal]:
        rows = [row for row, failure in enumerate(given.failures) if failure.verdict == "unclear"]
        self.counts["hard"] = len(rows)
        if rows:
            yield _place(
                HARD_ID,
                [(given.failures[row].record_id, None) for row in rows],
                description=tr("The judge could not tell what went wrong in them."),
                cohesion=cohesion_of(vectors[rows]),
            )

    def _near_categories(
        self, given: _Input, vectors: Vectors, rows: Sequence[int]
    ) -> tuple[list[NewProposal], list[int]]:
        """Proposals to place failures in categories that are there (the rule: placing.py), and the rows left."""
        of_category: dict[str, list[Words]] = {}
        for category_id, words in given.placed:
            of_category.setdefault(category_id, []).append(words)
        own = [self._vectors(words) for words in of_category.values()]
        place, similarity, limits = placing.place(vectors[list(rows)], own)
        proposals = []
        for number, category_id in enumerate(of_category):
            here = np.flatnonzero(place == number)
            if not len(here):
                continue
            self.counts["near"] += len(here)
            ranked = sorted(here.tolist(), key=lambda i: (-round(float(similarity[i]), 6), rows[i]))
            proposals.append(
                _place(
                    category_id,
                    [(given.failures[rows[i]].record_id, round(min(1.0, float(similarity[i])), 6)) for i in ranked],
                    description=tr(
                        "They are as near to this category as three in four of its own failures (similarity {limit:.2f}).",
                        limit=float(limits[number]),
                    ),
                    cohesion=cohesion_of(vectors[[rows[i] for i in ranked]]),
                    least_similarity=round(float(limits[number]), 6),
                )
            )
        return proposals, [row for i, row in enumerate(rows) if place[i] < 0]

    def _other(self, failures: Sequence[Unplaced], vectors: Vectors, given: _Input) -> NewProposal:
        self.counts["other"] = len(failures)
        return _place(
            OTHER_ID,
            [(failure.record_id, None) for failure in failures],
            description=tr(
                "They are far from every group, or in groups of fewer than {n:,}.", n=given.settings["min_size"]
            ),
            cohesion=cohesion_of(vectors),
        )

    def _named(
        self, tops: tuple[_Node, ...], failures: Sequence[Unplaced], *, taken: set[str]
    ) -> Iterator[NewProposal]:
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
                    evidence=_evidence(node, nodes, failures),
                    score=node.group.cohesion,
                    parent_id=parent,
                    members=_members(node, failures),
                )
                yield from level(node.children, node.id, {name_key(named["name"])})

        yield from level(tops, None, taken)

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
            proposing.save_proposals(db, run_id, proposals)
            self.counts["decided_before"] = proposing.decided_of_run(db, run_id)
            note = why or self._sentence(proposals)
            result = {
                "run": run_id,
                "proposals": len(proposals),
                "create": sum(new.kind == "create" for new in proposals),
                "place": sum(new.kind == "place" for new in proposals),
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
            "{n:,} proposal for {failures:,} failures.",
            "{n:,} proposals for {failures:,} failures.",
            len(proposals),
            failures=sum(len(new.members) for new in proposals),
        )
        if self.counts["decided_before"]:
            said = trn(
                "{said} {n:,} of them was decided before and does not wait again.",
                "{said} {n:,} of them were decided before and do not wait again.",
                self.counts["decided_before"],
                said=said,
            )
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
            raise clustering.Stopped


_COUNTED = (
    "near",
    "hard",
    "other",
    "encoded",
    "cached",
    "decided_before",
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


def _evidence(node: _Node, siblings: tuple[_Node, ...], failures: Sequence[Unplaced]) -> dict[str, Any]:
    group = node.group
    others = [(float(group.centroid @ other.group.centroid), other.id) for other in siblings if other is not node]
    nearest = max(others, default=None)
    return {
        "typical": [failures[row].record_id for row in group.members[:N_TYPICAL]],
        "cohesion": group.cohesion,
        "n_members": len(group.members),
        "nearest": None if nearest is None else {"proposal_id": nearest[1], "similarity": round(nearest[0], 6)},
    }


def _place(
    category_id: str,
    members: Sequence[tuple[str, float | None]],
    *,
    description: Sentence,
    cohesion: float,
    **evidence: float,
) -> NewProposal:
    ids = [record_id for record_id, _ in members]
    return NewProposal(
        id=content_id("proposal", "place", category_id, 0, sorted(ids)),
        kind="place",
        arguments={"category_id": category_id, "description": str(description), "named_by": ""},
        evidence={"typical": ids[:N_TYPICAL], "cohesion": round(cohesion, 6), "n_members": len(ids), **evidence},
        score=round(cohesion, 6),
        parent_id=None,
        members=members,
    )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
