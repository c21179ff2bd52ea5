"""The classifier that says into which category a judge's words belong, learned from gold or from people's placements.

Judges never see the categories; the classifier puts each judge's title and summary into one, and that is compared with
the category in which a person put the failure. It never learned from the example that it is asked about, whichever
model's answer it is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from errormap_core.embedding.encoder import Encoder
from errormap_core.gold.cases import Case, Example
from errormap_core.gold.classify import CategoryGuesser, definitions
from errormap_core.gold.comparing import encode_said
from errormap_core.gold.fitting import Fitted
from errormap_core.project.scoring import Said, SourceAnalyses
from errormap_core.project.store import Project
from errormap_core.tasks import Cancelled

FEWEST_CLASSIFIED = 20
"""With fewer failures in categories than this no classifier is trained, and categories are not compared."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One text to learn from: what it is about, its words, its category, how much it counts."""

    example: Example
    said: Said
    category: str
    weight: float = 1.0


class Classes:
    """A trained classifier. `top` gives the top category of one; `guess` may raise what the encoder raises."""

    def __init__(
        self,
        lessons: Sequence[Lesson],
        defined: Sequence[tuple[str, str]],
        top: Callable[[str], str],
        *,
        encoder: Encoder,
        cancelled: Cancelled,
    ) -> None:
        self.top = top
        self._encoder = encoder
        vectors = encoder.encode([text for _, text in defined])
        self._guesser = CategoryGuesser(
            encode_said(encoder, [lesson.said for lesson in lessons]),
            [lesson.category for lesson in lessons],
            [(key, vector) for (key, _), vector in zip(defined, vectors, strict=True)],
            groups=[lesson.example for lesson in lessons],
            weights=[lesson.weight for lesson in lessons],
            cancelled=cancelled,
        )

    def guess(self, said: Sequence[Said], examples: Sequence[Example]) -> list[str]:
        """The category of each analysis, which is about the example beside it."""
        return self._guesser.guess(encode_said(self._encoder, said), examples) if said else []


def is_enough(lessons: Sequence[Lesson], n_failures: int) -> bool:
    """Whether there is enough to learn from: failures, two examples, two categories."""
    return (
        n_failures >= FEWEST_CLASSIFIED
        and len({lesson.example for lesson in lessons}) > 1
        and len({lesson.category for lesson in lessons}) > 1
    )


def classes_of_gold(fitted: Fitted, cases: Sequence[Case], *, encoder: Encoder, cancelled: Cancelled) -> Classes | None:
    """Learned from the gold's own words and from the definitions of its categories; None where there is too little."""
    lessons = [Lesson(c.example, c.said, c.category) for c in cases if c.said is not None and c.category is not None]
    if not is_enough(lessons, len(lessons)):
        return None
    return Classes(lessons, definitions(fitted.gold), fitted.gold.top, encoder=encoder, cancelled=cancelled)


def classes_of_placements(
    project: Project,
    cases: Iterable[Case],
    sources: Sequence[SourceAnalyses],
    *,
    encoder: Encoder,
    cancelled: Cancelled,
) -> Classes | None:
    """Learned from the failures that people placed, and from the tree's names and descriptions; None for too little.

    People place a failure, not words: its words are those of everybody who analysed it, judges and people alike, which
    together count as one text. So no judge is favoured by having been the one that people read.
    """
    lessons: list[Lesson] = []
    n = 0
    for case in cases:
        if case.category is None:
            continue
        texts = [source.said[case.record_id] for source in sources if case.record_id in source.said]
        texts = [said for said in texts if said.verdict != "no_error"]
        n += bool(texts)
        lessons += [Lesson(case.example, said, case.category, 1 / len(texts)) for said in texts]
    if not is_enough(lessons, n):
        return None
    tree = project.tree
    defined = [(category.id, f"{category.name}. {category.description}".strip()) for category in tree]

    def top(category_id: str) -> str:
        return [category_id, *tree.ancestors(category_id)][-1]

    return Classes(lessons, defined, top, encoder=encoder, cancelled=cancelled)
