"""Gold as it fits a project: which of its analyses are about records that are there, with evidence that is in them."""

from dataclasses import dataclass, replace
from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.gold.files import SECOND_PASS, Answer, Gold, GoldAnalysis, fit, read_gold
from errormap_core.importers.records import RowProblem
from errormap_core.project import scoring
from errormap_core.project.scoring import Said
from errormap_core.project.store import Project
from errormap_core.sentences import tr


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that the gold analyses, and that the project has."""

    record_id: str
    output_text: str
    gold: GoldAnalysis

    @property
    def said(self) -> Said:
        analysis = self.gold.analysis
        criteria = [criterion.to_json() for criterion in analysis.required_criteria]
        return Said(analysis.verdict, criteria, analysis.error_title, analysis.error_summary)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Gold as it fits a project: the failures that both have."""

    gold: Gold
    failures: tuple[Failure, ...]
    second: tuple[tuple[Failure, GoldAnalysis], ...]


def fit_to_project(project: Project, folder: Path) -> Fitted:
    """Read gold and keep what is about the project's records. Raises KnownError where nothing is left of it."""
    gold = read_gold(folder)
    keys = {item.key for item in (*gold.analyses, *gold.second)}
    found = {key: Answer(*value) for key, value in scoring.answers(project.db, keys).items()}
    gold = fit(gold, found)
    if not gold.analyses:
        first = str(gold.problems[0]) if gold.problems else str(tr("The file is empty."))
        raise KnownError(
            tr("Nothing of the gold can be used with this project. {first}", first=first),
            where=str(folder),
            fix=tr("Import the records that it is about, or mend the file."),
        )
    failures = {
        item.key: Failure(found[item.key].record_id, found[item.key].output_text, item) for item in gold.analyses
    }
    second = tuple((failures[item.key], item) for item in gold.second if item.key in failures)
    alone = [
        RowProblem(
            SECOND_PASS,
            item.line,
            "example_id",
            "alone",
            tr("The first pass has no sound analysis of {example} to compare with.", example=item.key[1]),
        )
        for item in gold.second
        if item.key not in failures
    ]
    gold = replace(gold, problems=(*gold.problems, *alone))
    return Fitted(gold, tuple(failures.values()), second)
