"""What judges are checked against, as cases: what the gold says of failures, or what people reviewed in a project."""

from collections.abc import Mapping
from dataclasses import dataclass

from errormap_core.gold.fitting import Fitted
from errormap_core.gold.split import Split, split_of
from errormap_core.project import scoring
from errormap_core.project.scoring import Said
from errormap_core.project.store import Project

Example = tuple[str, str]
"""Dataset and example id: what answers of several models share."""


@dataclass(frozen=True, slots=True)
class Case:
    """One failure with what is known of it.

    `said` is the analysis, None where there is only a placement; `is_marked`: its evidence is the writer's own;
    `category` a key or an id, None where it is not placed.
    """

    record_id: str
    example: Example
    output_text: str
    said: Said | None
    is_marked: bool
    category: str | None

    @property
    def split(self) -> Split:
        return split_of(*self.example)


def gold_cases(fitted: Fitted) -> list[Case]:
    """The gold's failures, in its order."""
    return [
        Case(f.record_id, (f.gold.key[0], f.gold.key[1]), f.output_text, f.said, True, f.gold.category)
        for f in fitted.failures
    ]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people reviewed. `n_gold` of their analyses are the gold itself and left out; the evidence of `n_copied` is,
    letter for letter, that of a judge, and no measure of judges."""

    cases: tuple[Case, ...]
    n_gold: int
    n_copied: int

    @property
    def n_written(self) -> int:
        return sum(case.said is not None for case in self.cases)

    @property
    def n_placed(self) -> int:
        return sum(case.category is not None for case in self.cases)


def reviewed_cases(project: Project, fitted: Fitted | None) -> Reviewed:
    """The failures of which a person wrote the analysis that counts, or which a person placed one by one.

    An analysis that is the gold's own (as in the sample, which comes with it) is left out: it is checked as gold.
    """
    gold = {} if fitted is None else {failure.record_id: failure.said for failure in fitted.failures}
    written = scoring.written_by_people(project.db)
    own = {record_id: said for record_id, said in written.items() if gold.get(record_id) != said}
    placed = {i: project.tree.resolve(c).id for i, c in scoring.placed_by_people(project.db).items()}
    places = scoring.places(project.db, {*own, *placed})
    copied = _copied(project, own)
    cases = [
        Case(
            record_id=record_id,
            example=(place.dataset, place.example_id),
            output_text=place.output_text,
            said=own.get(record_id),
            is_marked=record_id in own and record_id not in copied,
            category=placed.get(record_id),
        )
        for record_id, place in places.items()
    ]
    return Reviewed(tuple(cases), n_gold=len(written) - len(own), n_copied=len(copied))


def _copied(project: Project, own: Mapping[str, Said]) -> set[str]:
    """The records whose criteria a person took over from a judge as they were (the dialog keeps them)."""
    found: set[str] = set()
    for source in scoring.analyses_by_source(project.db, list(own)):
        if source.kind == "run":
            found |= {i for i, said in source.said.items() if said.required_criteria == own[i].required_criteria}
    return {record_id for record_id in found if own[record_id].required_criteria}
