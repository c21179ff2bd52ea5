"""The queue of a project: reads what is decided, asks worklist.py what comes next, and keeps the questions as proposals.

`Queue.refresh` is cheap after the first time (0.3 s at 3,000 failures): the points stay, and only what is decided is
read anew. The window has a process that does so whenever the file changes (queue_job); the command line calls it once.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from errormap_core.embedding.cache import embed, text_hash, vectors_of
from errormap_core.embedding.encoder import Encoder, Vectors
from errormap_core.embedding.words import Words, says_nothing, texts_of, vectors_of_words
from errormap_core.ids import content_id
from errormap_core.project import teaching
from errormap_core.project.proposing import NewProposal, cached_hashes
from errormap_core.project.store import Project
from errormap_core.proposals.teaching import Key, Lessons, Prediction, Teacher
from errormap_core.proposals.worklist import AHEAD, Answer, Place, Worklist, worklist
from errormap_core.sentences import Sentence
from errormap_core.tasks import Cancelled, Progress, Stopped, never_cancelled

GAIN_TO_WORTH = 0.3
"""Failures that end in a better place for each that an answer is the nearest to: measured on Banking77, about."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Where all analysed failures belong: `row_of` gives a record's row; `n_placed` failures were placed by people."""

    prediction: Prediction
    row_of: Mapping[str, int]
    n_placed: int


@dataclass(frozen=True, slots=True)
class _Taught:
    """`deferred` rows are not asked about; `settled` ones a person put into Other or Hard to Analyze."""

    lessons: Lessons
    answers: list[Answer]
    deferred: list[int]
    settled: list[int]


class Queue:
    """The questions of one open project. One process at a time keeps them; others read."""

    def __init__(self, project: Project, encoder: Encoder, *, cancelled: Cancelled = never_cancelled) -> None:
        self.project = project
        self.encoder = encoder
        self.cancelled = cancelled
        self._failures: list[teaching.Analysed] = []
        self._row: dict[str, int] = {}
        self._order: list[int] = []  # rows as they are drawn at random
        self._teacher: Teacher | None = None

    def refresh(self, *, n: int = AHEAD) -> Generator[Progress, None, dict[str, Any]]:
        """Have the next n questions kept. Returns `questions` (in their order) and `certainty`, or None for it.

        Embeddings that are missing are made first. Stopped early, it keeps no questions and returns none. Raises KnownError
        where the encoder cannot work.
        """
        try:
            return (yield from self._refresh(n))
        except Stopped:
            return {"questions": [], "certainty": None}

    def _refresh(self, n: int) -> Generator[Progress, None, dict[str, Any]]:
        yield from self._read()
        yield from self._embed_names()
        with (
            self.project.reading() as db
        ):  # embedding may have taken long: decisions and tree as they are now, together
            taught = self._taught()
            names = {group.proposal_id: group.name for group in teaching.proposed_groups(db)}
            names |= {category.id: category.name for category in self.project.tree}
        if self._teacher is None or not taught.lessons.has_categories:
            return {"questions": [], "certainty": None}
        self._stop_if_asked()
        with threadpool_limits(limits=1):
            listed = worklist(
                self._teacher,
                taught.lessons,
                taught.answers,
                n=n,
                without=taught.deferred,
                settled=taught.settled,
                order=self._order,
            )
        ranks = _ranks(listed.places)
        questions = [self._question(place, names, rank) for place, rank in zip(listed.places, ranks, strict=True)]
        certainty = self._certainty(listed)
        with self.project.writing() as db:
            teaching.save_questions(db, {"encoder": self.encoder.name}, questions, {"certainty": certainty})
        return {
            "questions": [
                {"id": question.id, **question.arguments, "why": str(Sentence.from_json(question.evidence["why"]))}
                for question in questions
            ],
            "certainty": certainty,
        }

    def predict(self) -> Generator[Progress, None, Predicted | None]:
        """Where every analysed failure belongs by what is decided; None where there is neither failure nor category.

        Raises Stopped where the work was asked to stop.
        """
        yield from self._read()
        yield from self._embed_names()
        with self.project.reading():
            lessons = self._taught().lessons
        if self._teacher is None or not lessons.has_categories:
            return None
        with threadpool_limits(limits=1):
            return Predicted(self._teacher.predict(lessons), self._row, len(lessons.placed))

    def _read(self) -> Generator[Progress, None, None]:
        """Failures and their vectors, where they are others than before."""
        failures = [
            failure
            for failure in teaching.analysed_failures(self.project.db)
            if not says_nothing(Words(failure.error_title, failure.error_summary))
        ]
        if failures == self._failures:
            return
        words = [Words(failure.error_title, failure.error_summary) for failure in failures]
        yield from embed(self.project, texts_of(words), self.encoder, self.cancelled)
        self._stop_if_asked()
        self._failures, self._teacher = [], None
        self._row = {failure.record_id: row for row, failure in enumerate(failures)}
        self._order = [self._row[key] for key in sorted(self._row, key=lambda i: content_id("drawn", i))]
        if failures:
            vectors = vectors_of_words(words, self._kept)
            self._stop_if_asked()
            n_groups = len(teaching.proposed_groups(self.project.db)) or len(list(self.project.tree))
            yield Progress("queue", 0, None)
            with threadpool_limits(limits=1):
                seed = self.project.setting("proposals.seed")
                self._teacher = Teacher(vectors, n_groups=n_groups, seed=seed, pause=self._stop_if_asked)
        self._failures = failures

    def _kept(self, texts: Sequence[str]) -> Vectors:
        return vectors_of(self.project, texts, self.encoder, self._stop_if_asked)

    def _stop_if_asked(self) -> None:
        if self.cancelled():
            raise Stopped

    def _taught(self) -> "_Taught":
        """What is decided, with categories as they are now, and what was answered."""
        db, tree, row = self.project.db, self.project.tree, self._row
        decided = teaching.decided_failures(db)
        made = teaching.categories_of_proposals(db)

        def key_of(candidate: dict[str, Any]) -> Key | None:
            category_id = candidate.get("category_id") or made.get(candidate.get("proposal_id", ""))
            return tree.resolve(category_id).id if category_id is not None and tree.get(category_id) else None

        def rows_of(places: dict[str, str]) -> dict[int, Key]:
            return {row[key]: tree.resolve(category).id for key, category in places.items() if key in row}

        groups = self._groups(decided)
        lessons = Lessons(
            placed=rows_of(dict(decided.placed)),
            groups=groups,
            refused={
                (row[key], tree.resolve(category).id)
                for key, category in decided.refused
                if key in row and tree.get(category)
            },
            named=self._named(),
        )
        answers = []
        for answered in teaching.answered_questions(db):
            right = key_of(dict(answered.candidates[0])) == tree.resolve(answered.category_id).id
            answers.append(Answer(right, answered.is_drawn))
        return _Taught(
            lessons,
            answers,
            deferred=[row[key] for key in (*decided.deferred, *decided.set_aside) if key in row],
            settled=[row[key] for key in decided.set_aside if key in row],
        )

    def _groups(self, decided: teaching.Decided) -> list[tuple[Key, NDArray[np.int64]]]:
        """Proposed groups, and what came into categories with a group: nobody looked at those failures one by one."""
        tree, row = self.project.tree, self._row
        groups: list[tuple[Key, NDArray[np.int64]]] = []
        accepted: dict[Key, list[int]] = {}
        for record_id, category_id in decided.along.items():
            if record_id in row:
                accepted.setdefault(tree.resolve(category_id).id, []).append(row[record_id])
        is_locked = self.project.setting("taxonomy.locked")
        for group in teaching.proposed_groups(self.project.db):
            made = group.category_id
            key: Key = tree.resolve(made).id if made is not None and tree.get(made) is not None else group.proposal_id
            if is_locked and key == group.proposal_id:  # no category can be made of it
                continue
            left = [row[each] for each in group.record_ids if each in row and each not in decided.along]
            if left:
                groups.append((key, np.array(sorted(left), np.int64)))
        return [*groups, *((key, np.array(sorted(rows), np.int64)) for key, rows in accepted.items())]

    def _embed_names(self) -> Generator[Progress, None, None]:
        yield from embed(self.project, texts_of(self._names().values()), self.encoder, self.cancelled)

    def _names(self) -> dict[str, Words]:
        return {c.id: Words(c.name, c.description) for c in self.project.tree if c.reserved is None}

    def _named(self) -> dict[Key, Any]:
        """A vector for each category from its name and description; none of one that was named since names were embedded."""
        names = self._names()
        known = self.encoder.name, [text_hash(text) for text in texts_of(names.values())]
        there = cached_hashes(self.project.db, *known)
        kept = {key: words for key, words in names.items() if all(text_hash(text) in there for text in words)}
        if not kept:  # the encoder is not loaded for nothing
            return {}
        vectors = vectors_of_words(list(kept.values()), self._kept)
        return dict(zip(kept, vectors, strict=True))

    def _question(self, place: Place, names: dict[str, str], rank: float) -> NewProposal:
        record_id = self._failures[place.row].record_id
        candidates: list[dict[str, Any]] = []
        for key, probability in place.candidates:
            kind = "category_id" if self.project.tree.get(str(key)) is not None else "proposal_id"
            candidates.append({kind: key, "name": names.get(str(key), ""), "probability": round(probability, 4)})
        best = candidates[0]
        why = teaching.why_placed(best["name"], best["probability"], place.n_taught, is_drawn=place.is_drawn)
        drawn = {"is_drawn": True} if place.is_drawn else {}
        return NewProposal(
            id=content_id("proposal", "place", record_id),
            kind="place",
            arguments={"record_id": record_id, "candidates": candidates, "name": best["name"], **drawn},
            evidence={
                "why": why.to_json(),
                "worth": _worth(place),
                "rank": rank,
                "n_taught": place.n_taught,
                "margin": round(place.margin, 4),
            },
            score=round(1 - place.margin, 4),
            parent_id=None,
            members=[(record_id, best["probability"])],
        )

    def _certainty(self, listed: Worklist) -> dict[str, Any]:
        return {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(listed.certainty).items()
        }


def _worth(place: Place) -> float:
    """How many failures end in a better place, about; of one that was drawn and teaches nothing, it alone does."""
    if place.is_drawn and not place.n_taught:
        return round(1 - place.margin, 2)
    return round(GAIN_TO_WORTH * place.n_taught * (1 - place.margin), 2)


def _ranks(places: Sequence[Place]) -> list[float]:
    """What questions are listed by: their worth; a drawn one comes first, or right behind the question that it follows."""
    ranks = [_worth(place) for place in places]
    for at, place in enumerate(places):
        if place.is_drawn:
            ranks[at] = round(ranks[at - 1] - 0.01 if at else max(ranks) + 0.01, 4)
    return ranks
