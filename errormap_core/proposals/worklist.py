"""What the queue asks next of single failures, and how sure it has become: the same for a project and for a benchmark."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from errormap_core.proposals.certainty import Certainty, certainty, next_drawn_at
from errormap_core.proposals.teaching import Key, Lessons, Prediction, Teacher

MOST_CANDIDATES = 9
"""As many as there are number keys."""

AHEAD = 5
"""Questions that are chosen at once; the next few are known before an answer is, and each is still worth asking after it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answered question: whether the prediction before it was right, and whether its failure was drawn at random."""

    was_right: bool
    is_drawn: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """'Where does this failure belong?': a row, the likeliest keys with their probabilities, how many others it tells of.
    `is_drawn`: asked because it was drawn at random, not for what it teaches."""

    row: int
    candidates: tuple[tuple[Key, float], ...]
    margin: float
    n_taught: int
    is_drawn: bool = False


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
    order: Iterable[int] = (),
) -> Worklist:
    """The n failures that are best asked about next. `without`: rows that are not to be asked about, as skipped ones.
    `settled`: rows that a person put where nothing is learned of them. `order`: rows as they are drawn, one for every few that
    are chosen (certainty.py says why); a chance order that depends on nothing else.

    Raises ValueError where there is no category, proposed or not.
    """
    prediction = teacher.predict(lessons)
    decided = {*lessons.placed, *settled}
    asked = [
        (question.row, question.n_taught) for question in teacher.questions(lessons, prediction, n, without=without)
    ]
    drawn = [answer.was_right for answer in answers if answer.is_drawn]
    place = next_drawn_at(len(answers), len(drawn))
    drawn_row = None
    if place <= len(asked) and place < n:
        before = {row for row, _ in asked[:place]}
        left_out = {*decided, *without, *before}
        drawn_row = next((row for row in order if row not in left_out), None)
    if drawn_row is not None:
        taught = dict(asked).get(drawn_row, 0)
        asked = [each for each in asked if each[0] != drawn_row]
        asked.insert(place, (drawn_row, taught))
    places = tuple(
        Place(
            row,
            tuple(prediction.ranked(row, MOST_CANDIDATES)),
            float(prediction.margin[row]),
            n_taught,
            is_drawn=row == drawn_row,
        )
        for row, n_taught in asked[:n]
    )
    n_open = sum(row not in decided for row in range(teacher.n))
    sure = certainty([answer.was_right for answer in answers], drawn, n=teacher.n, n_open=n_open)
    return Worklist(places, prediction, sure)
