"""The import of files into a project, as long work: read, stage, compare, take over in one transaction."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.importers import format_of
from errormap_core.importers.inputs import found, shown
from errormap_core.importers.records import RawRecord, RowProblem
from errormap_core.importers.survey import NotUtf8, Survey, guess_sentence, survey
from errormap_core.project import files
from errormap_core.project import importing as staging
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.tasks import Cancelled, Progress, never_cancelled

MOST_PROBLEMS = 1000
"""How many problems of a file are kept with their lines; all are counted."""

_BATCH = 500


@dataclass(slots=True)
class ImportResult:
    """What came of one file. `n_skipped` counts rows that were left out, by code; `n_kept_problems` those kept.
    `n_lines_lost` are the lines around broken quotes where these took several."""

    file: str
    dataset: str
    encoding: str
    is_guess: bool
    n_rows: int = 0
    n_added: int = 0
    n_unchanged: int = 0
    n_replaced: int = 0
    n_conflicts: int = 0
    n_duplicates: int = 0
    n_blank: int = 0
    n_lines_lost: int = 0
    n_skipped: Counter[str] = field(default_factory=Counter)
    n_kept_problems: Counter[str] = field(default_factory=Counter)
    problems: list[RowProblem] = field(default_factory=list)
    threshold: float = 0.0
    n_failures: int = 0
    not_utf8: NotUtf8 | None = None

    def note(self, problem: RowProblem) -> None:
        if problem.code == "blank":
            self.n_blank += 1
            return
        if problem.code == "conflict":
            self.n_conflicts += 1
        elif problem.is_kept:
            self.n_kept_problems[problem.code] += 1
        else:
            self.n_skipped[problem.code] += 1
            self.n_lines_lost += problem.n_lines if problem.n_lines > 1 else 0
        self._keep(problem)

    def _keep(self, problem: RowProblem) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    @property
    def n_lost(self) -> int:
        """Rows that did not get in: broken ones, and conflicts that were kept as they are."""
        return sum(self.n_skipped.values()) + self.n_conflicts

    def sentence(self) -> Sentence:
        return tr(
            "{file}: {rows}, {added:,} added, {same:,} there already, {replaced:,} replaced, {lost:,} left out{lines};"
            " {failures} under {threshold:g} in {dataset}; read as {encoding}{guess}",
            file=self.file,
            rows=trn("{n:,} row", "{n:,} rows", self.n_rows),
            added=self.n_added,
            same=self.n_unchanged + self.n_duplicates,
            replaced=self.n_replaced,
            lost=self.n_lost,
            lines=tr(" ({n:,} lines around broken quotes among them)", n=self.n_lines_lost)
            if self.n_lines_lost
            else "",
            failures=trn("{n:,} failure", "{n:,} failures", self.n_failures),
            threshold=self.threshold,
            dataset=self.dataset,
            encoding=self.encoding,
            guess=guess_sentence(self.is_guess, self.not_utf8),
        )

    def to_json(self) -> dict[str, Any]:
        names = ("file", "dataset", "encoding", "is_guess", "n_rows", "n_added", "n_unchanged", "n_replaced")
        more = ("n_conflicts", "n_duplicates", "n_blank", "threshold", "n_failures", "n_lost")
        return {
            **{name: getattr(self, name) for name in (*names, *more)},
            "n_skipped": dict(self.n_skipped),
            "n_kept_problems": dict(self.n_kept_problems),
            "problems": [problem.to_json() for problem in self.problems],
        }


def import_files(
    project: Project,
    paths: Sequence[Path],
    *,
    dataset: str | None = None,
    on_error: str = "keep",
    on_conflict: str = "keep",
    check: Callable[[staging.Names], None] | None = None,
    cancelled: Cancelled = never_cancelled,
) -> Generator[Progress, None, list[ImportResult]]:
    """Import result files into a project; returns what came of each.

    Parameters
    ----------
    dataset : str, optional
        Name of the dataset; by default each file's name without its ending.
    on_error : 'keep' or 'rollback'
        Keep the good rows of files with broken ones, or import none of them.
    on_conflict : 'keep' or 'replace'
        What happens to a record that the project has with other content. A replaced one keeps its id and
        what people decided on it; its analyses are outdated.
    check : callable, optional
        Asked before anything is imported, with the datasets and models that the files have; may raise KnownError.

    Raises
    ------
    KnownError
        A file cannot be read, or (on_error='rollback') has broken rows. Nothing was imported then.
    """
    with files.told(project.path):
        return (
            yield from _import(
                project,
                paths,
                dataset=dataset,
                on_error=on_error,
                on_conflict=on_conflict,
                check=check,
                cancelled=cancelled,
            )
        )


def _import(
    project: Project,
    paths: Sequence[Path],
    *,
    dataset: str | None,
    on_error: str,
    on_conflict: str,
    check: Callable[[staging.Names], None] | None,
    cancelled: Cancelled,
) -> Generator[Progress, None, list[ImportResult]]:
    results: list[ImportResult] = []
    surveys = [survey(found(path)) for path in paths]
    staging.begin_staging(project.db)
    try:
        for number, seen in enumerate(surveys):
            name = dataset or shown(seen.path.stem)
            result = ImportResult(shown(seen.path.name), name, seen.encoding, seen.is_guess, not_utf8=seen.not_utf8)
            results.append(result)
            for progress in _stage(project, seen, result, number=number):
                if cancelled():
                    return []
                yield progress
        for number, result in enumerate(results):
            _compare(project, result, number=number, replace=on_conflict == "replace")
        if on_error == "rollback":
            _refuse_broken(results)
        _refuse_nothing(results)
        if check is not None:
            check(staging.staged_names(project.db))
        runs = {
            number: (result.file, _parameters(seen, result, on_conflict))
            for number, (seen, result) in enumerate(zip(surveys, results, strict=True))
        }
        if any(result.n_added or result.n_replaced for result in results):
            with project.writing() as db:
                staging.take_over(db, runs, replace=on_conflict == "replace")
        for result in results:
            if result.n_rows:
                result.threshold, result.n_failures = staging.dataset_numbers(project.db, result.dataset)
    finally:
        staging.end_staging(project.db)
    n = sum(result.n_rows for result in results)
    yield Progress("import", n, n, trn("{n:,} row read", "{n:,} rows read", n))
    return results


def _parameters(seen: Survey, result: ImportResult, on_conflict: str) -> dict[str, str]:
    return {"file": result.file, "sha256": seen.sha256, "dataset": result.dataset, "on_conflict": on_conflict}


def _stage(project: Project, seen: Survey, result: ImportResult, *, number: int) -> Generator[Progress, None, None]:
    batch: list[RawRecord] = []
    n_characters = n_problems = 0
    for item in format_of(seen.path).read(seen, result.dataset):
        if isinstance(item, RowProblem):
            result.note(item)
            n_problems += 1
            if n_problems % (10 * _BATCH) == 0:  # whoever wants to stop is heard in a file of broken rows as well
                yield Progress("import", result.n_rows, None, tr("{file}", file=result.file))
            continue
        result.n_rows += 1
        batch.append(item)
        n_characters += len(item.input_text) + len(item.output_text) + len(item.correct_answer or "") + 100
        if len(batch) >= _BATCH or sum(len(r.output_text) for r in batch[-1:]) > 1 << 20:
            _put(project, batch, result, number=number)
            batch = []
            total = max(result.n_rows, round(result.n_rows * seen.size / n_characters))
            yield Progress("import", result.n_rows, total, tr("{file}", file=result.file))
    _put(project, batch, result, number=number)
    yield Progress("import", result.n_rows, result.n_rows, tr("{file}", file=result.file))


def _put(project: Project, batch: list[RawRecord], result: ImportResult, *, number: int) -> None:
    for twice in staging.stage(project.db, batch, file=number):
        if twice.is_same:
            result.n_duplicates += 1
            continue
        record = twice.record
        sentence = tr(
            "The record {example} of {model} stands in line {first:,} with other content; that one counts.",
            example=record.example_id,
            model=record.model,
            first=twice.first_line,
        )
        result.note(RowProblem(result.file, record.source_line, "", "conflict", sentence))


def _compare(project: Project, result: ImportResult, *, number: int, replace: bool) -> None:
    found = staging.compare(project.db, file=number, most=MOST_PROBLEMS)
    result.n_added, result.n_unchanged = found.n_new, found.n_same
    if replace:
        result.n_replaced = found.n_other
        return
    for line, example, model in found.conflicts:
        sentence = tr(
            "The project has the record {example} of {model} with other content; it was kept.",
            example=example,
            model=model,
        )
        result.note(RowProblem(result.file, line, "", "conflict", sentence))
    result.n_conflicts += found.n_other - len(found.conflicts)


def _refuse_nothing(results: Sequence[ImportResult]) -> None:
    """Raises KnownError where all rows of all files are broken: an import of nothing is none."""
    broken = [result for result in results if result.n_skipped]
    if not broken or any(result.n_rows for result in results):
        return
    n = sum(result.n_lost for result in broken)
    first = next(p for p in broken[0].problems if not p.is_kept)
    alike = len({code for result in broken for code in result.n_skipped}) == 1
    has_lines = any(result.n_lines_lost for result in broken)
    said = (
        tr("No row can be imported.")
        if has_lines
        else (
            trn(
                "The only row cannot be imported.",
                "None of the {n:,} rows can be imported, all for the same reason.",
                n,
            )
            if alike
            else trn("The only row cannot be imported.", "None of the {n:,} rows can be imported.", n)
        )
    )
    fix = tr("The first is this: {first}", first=first)
    if any(result.n_skipped["encoding"] for result in broken):
        fix = tr("{fix} If the file is in another encoding, save it as UTF-8.", fix=fix)
    raise KnownError(said, where=", ".join(result.file for result in broken), fix=fix)


def _refuse_broken(results: Sequence[ImportResult]) -> None:
    broken = [result for result in results if result.n_lost]
    if broken:
        first = next(p for p in broken[0].problems if not p.is_kept)
        raise KnownError(
            trn("{n:,} row cannot be imported; nothing was. {first}", "{n:,} rows cannot be imported; nothing was. {first}",
                sum(result.n_lost for result in broken), first=first),
            fix=tr("Mend the file, or keep the good rows (--on-error keep)."),
        )  # fmt: skip
