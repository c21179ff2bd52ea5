"""What the queue asks next of single failures, and how sure it has become: the same for a project and for a benchmark."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from errormap_core.proposals.certainty import Certainty, certainty
from errormap_core.proposals.teaching import Key, Lessons, Prediction, Teacher

MOST_CANDIDATES = 9
"""As many as there are number keys."""

AHEAD = 5
"""Questions that are chosen at once; the next few are known before an answer is, and each is still worth asking after it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answered question: the margin of the prediction before it, whether that was right, and what was predicted."""

    margin: float
    was_right: bool
    predicted: Key | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """'Where does this failure belong?': a row, the likeliest keys with their probabilities, how many others it tells of."""

    row: int
    candidates: tuple[tuple[Key, float], ...]
    margin: float
    n_taught: int


@dataclass(frozen=True, slots=True)
class Worklist:
    """The next questions, the prediction that they are made of, and how sure it is."""

    places: tuple[Place, ...]
    prediction: Prediction
    certainty: Certainty


def worklist(
    teacher: Teacher,
    lessons: Lessons,
    answers: Sequence[Answer],
    *,
    n: int = AHEAD,
    without: Collection[int] = (),
    settled: Collection[int] = (),
) -> Worklist:
    """The n failures that are best asked about next. `without`: rows that are not to be asked about, as skipped ones.
    `settled`: rows that a person put where nothing is learned of them; they are right.

    Raises ValueError where there is no category, proposed or not.
    """
    prediction = teacher.predict(lessons)
    places = tuple(
        Place(
            question.row,
            tuple(prediction.ranked(question.row, MOST_CANDIDATES)),
            float(prediction.margin[question.row]),
            question.n_taught,
        )
        for question in teacher.questions(lessons, prediction, n, without=without)
    )
    decided = {*lessons.placed, *settled}
    undecided = [row for row in range(teacher.n) if row not in decided]
    unread = teacher.unread(lessons)
    telling = [answer for answer in answers if answer.was_right or answer.predicted not in unread]
    sure = certainty(
        [answer.margin for answer in telling],
        [answer.was_right for answer in telling],
        prediction.margin[undecided],
        n_decided=len(decided),
        n_categories=len(prediction.keys),
    )
    return Worklist(places, prediction, sure)
