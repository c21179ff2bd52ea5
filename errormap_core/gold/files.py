"""Reads a folder of gold: taxonomy.json, analyses.jsonl and, where there is one, second_pass.jsonl.

Gold is edited by hand. A line that is wrong is left out, and told with file, line and field; a folder
without taxonomy or analyses, or with a taxonomy that cannot be read, is no gold at all.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.importers.inputs import read_bounded, shown
from errormap_core.importers.json_text import MOST_BYTES, faults, parsed
from errormap_core.importers.records import RowProblem
from errormap_core.judge.analysis import Analysis
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.names import checked_name

TAXONOMY = "taxonomy.json"
ANALYSES = "analyses.jsonl"
SECOND_PASS = "second_pass.jsonl"

OTHER = "other"
HARD = "hard-to-analyze"

Key = tuple[str, str, str, int]
"""Dataset, example, model, attempt: what names a record in any project."""

_LINE = {"dataset": str, "example_id": str, "model": str, "analysis": dict, "category": str}
_OPTIONAL = {"attempt", "disputed"}
_CATEGORY = {"key": str, "name": str, "description": str}
_LISTS = ("belongs", "does_not_belong")


@dataclass(frozen=True, slots=True)
class GoldCategory:
    """A node of the gold taxonomy. `belongs` and `does_not_belong` are what an annotator goes by."""

    key: str
    name: str
    description: str
    parent: str | None
    belongs: tuple[str, ...] = ()
    does_not_belong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GoldAnalysis:
    """The analysis of one failure, as a person wrote it.

    `category` is a key of the taxonomy, None where there is no error; `disputed` says what is wrong with the
    question, the reference or the score, and is empty where nothing is.
    """

    key: Key
    analysis: Analysis
    category: str | None
    disputed: str
    line: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The record that a gold analysis is about, in one project."""

    record_id: str
    output_text: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A folder of gold. `second` is the blind second pass, empty where there is none; `problems` tells what was left out."""

    folder: Path
    title: str
    categories: Mapping[str, GoldCategory]
    analyses: tuple[GoldAnalysis, ...]
    second: tuple[GoldAnalysis, ...]
    problems: tuple[RowProblem, ...]

    def path(self, key: str) -> tuple[str, ...]:
        """Keys from the top category down to this one."""
        parent = self.categories[key].parent
        return (*(self.path(parent) if parent is not None else ()), key)

    def top(self, key: str) -> str:
        return self.path(key)[0]


def read_gold(folder: Path) -> Gold:
    """Read a folder of gold; broken lines are left out and stand in `problems`.

    Raises KnownError where the folder, its taxonomy or its analyses are missing or cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise KnownError(
            tr("There is no such folder with gold analyses."),
            where=str(folder),
            fix=tr("Give the folder that holds {taxonomy} and {analyses}.", taxonomy=TAXONOMY, analyses=ANALYSES),
        )
    title, categories = _read_taxonomy(folder / TAXONOMY)
    analyses, problems = _read_analyses(folder / ANALYSES, categories)
    second, more = ([], []) if not (folder / SECOND_PASS).exists() else _read_analyses(folder / SECOND_PASS, categories)
    return Gold(folder, title, categories, tuple(analyses), tuple(second), tuple(problems + more))


def fit(gold: Gold, answers: Mapping[Key, Answer]) -> Gold:
    """The gold whose records are in `answers` and whose evidence stands verbatim in them; the rest joins the problems."""
    problems: list[RowProblem] = []
    kept = [list(_fitting(gold.analyses, ANALYSES, answers, problems))]
    kept.append(list(_fitting(gold.second, SECOND_PASS, answers, problems)))
    return replace(gold, analyses=tuple(kept[0]), second=tuple(kept[1]), problems=(*gold.problems, *problems))


def _fitting(
    items: Collection[GoldAnalysis], file: str, answers: Mapping[Key, Answer], problems: list[RowProblem]
) -> Iterator[GoldAnalysis]:
    for item in items:
        answer = answers.get(item.key)
        if answer is None:
            said = tr(
                "The project has no record {example} of {model} in {dataset} (attempt {attempt}).",
                dataset=item.key[0],
                example=item.key[1],
                model=item.key[2],
                attempt=item.key[3],
            )
            problems.append(RowProblem(file, item.line, "example_id", "unknown_record", said))
            continue
        found = _first_foreign(item.analysis, answer.output_text)
        if found is not None:
            place, quote = found
            said = tr(
                "This evidence does not stand in the answer of {example}: “{quote}”.", example=item.key[1], quote=quote
            )
            problems.append(RowProblem(file, item.line, f"required_criteria[{place}].evidence", "evidence", said))
            continue
        yield item


def _first_foreign(analysis: Analysis, text: str) -> tuple[int, str] | None:
    """Place and quote of the first evidence that is not, letter for letter, in the text."""
    for place, criterion in enumerate(analysis.required_criteria):
        if criterion.evidence and criterion.evidence not in text:
            return place, criterion.evidence
    return None


# The lines


def _read_analyses(path: Path, categories: Mapping[str, GoldCategory]) -> tuple[list[GoldAnalysis], list[RowProblem]]:
    found: list[GoldAnalysis] = []
    problems: list[RowProblem] = []
    lines: dict[Key, int] = {}
    for number, text in enumerate(_text_of(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            item = _line(text, number, categories)
            first = lines.setdefault(item.key, number)
            if first != number:
                raise _Wrong("example_id", "twice", tr("This record stands in line {first:,} already.", first=first))
        except _Wrong as wrong:
            problems.append(RowProblem(path.name, number, wrong.field, wrong.code, wrong.sentence))
            continue
        found.append(item)
    return found, problems


class _Wrong(Exception):
    """What is wrong with a line: field, code, and a sentence."""

    def __init__(self, field: str, code: str, sentence: Sentence) -> None:
        super().__init__(code)
        self.field = field
        self.code = code
        self.sentence = sentence


def _line(text: str, number: int, categories: Mapping[str, GoldCategory]) -> GoldAnalysis:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Wrong("", "not_json", tr("This is not JSON ({reason}).", reason=error)) from error
    for place, said in faults(data):
        raise _Wrong(place.lstrip("/").replace("/", "."), "not_kept", said)
    if not isinstance(data, dict):
        raise _Wrong("", "not_object", tr("A line is one JSON object."))
    for name in _LINE:
        if name not in data:
            raise _Wrong(name, "missing", tr("The field is missing."))
    unknown = sorted(set(data) - set(_LINE) - _OPTIONAL)
    if unknown:
        raise _Wrong(unknown[0], "unknown_field", tr("There is no such field."))
    for name in ("dataset", "example_id", "model"):
        if not _is_text(data[name]):
            raise _Wrong(name, "not_text", tr("It must be a text that is not empty."))
    attempt, disputed, category = data.get("attempt", 1), data.get("disputed", ""), data["category"]
    if not isinstance(attempt, int) or isinstance(attempt, bool) or not 1 <= attempt < 2**31:
        raise _Wrong("attempt", "not_number", tr("It must be a whole number of at least 1."))
    if not isinstance(disputed, str) or (disputed and not _is_text(disputed)):
        raise _Wrong("disputed", "not_text", tr("It must be a text: what is wrong with question, reference or score."))
    try:
        analysis = Analysis.from_json(data["analysis"])
    except KnownError as error:
        raise _Wrong(
            str(error.where) or "analysis", "analysis", tr("{what} {fix}", what=error.what, fix=error.fix)
        ) from error
    _check_category(category, analysis, categories)
    key = (data["dataset"], data["example_id"], data["model"], attempt)
    return GoldAnalysis(key, analysis, category, disputed, number)


def _check_category(category: Any, analysis: Analysis, categories: Mapping[str, GoldCategory]) -> None:
    if category is None:
        if analysis.verdict != "no_error":
            raise _Wrong("category", "category", tr("Only an analysis that finds no error goes without a category."))
        return
    if not isinstance(category, str) or category not in categories:
        raise _Wrong("category", "category", tr("The taxonomy has no category with the key “{key}”.", key=category))
    if analysis.verdict == "no_error":
        raise _Wrong("category", "category", tr("Where there is no error, the category is null."))


def _text_of(path: Path) -> str:
    if not path.exists():
        raise KnownError(
            tr("The folder with gold analyses lacks this file."),
            where=shown(path),
            fix=tr("Add it; docs/gold.md says what it holds."),
        )
    try:
        return read_bounded(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise KnownError(
            tr("The file is not UTF-8."),
            where=tr("{path}, line {line:,}", path=shown(path), line=line),
            fix=tr("Save it as UTF-8."),
        ) from error


# The taxonomy


def _read_taxonomy(path: Path) -> tuple[str, dict[str, GoldCategory]]:
    data = parsed(_text_of(path), shown(path))
    for place, said in faults(data):
        raise _broken(path, place, said)
    if not isinstance(data, dict) or not isinstance(data.get("categories"), list):
        raise _broken(path, "categories", tr("It must be a list of categories."))
    categories: dict[str, GoldCategory] = {}
    names: dict[tuple[str | None, str], str] = {}
    for category, field in _walk(data["categories"], None, "categories", path):
        if category.key in categories:
            raise _broken(path, f"{field}.key", tr("The key “{key}” stands twice.", key=category.key))
        name = (category.parent, category.name.casefold())
        if name in names:
            raise _broken(
                path, f"{field}.name", tr("Two categories beside each other are named “{name}”.", name=category.name)
            )
        categories[category.key] = category
        names[name] = category.key
    for reserved in (OTHER, HARD):
        if reserved not in categories or categories[reserved].parent is not None:
            raise _broken(path, "categories", tr("There must be a top category with the key “{key}”.", key=reserved))
    title = data.get("title", "")
    return (title if isinstance(title, str) else ""), categories


def _walk(items: list[Any], parent: str | None, field: str, path: Path) -> Iterator[tuple[GoldCategory, str]]:
    for place, item in enumerate(items):
        here = f"{field}[{place}]"
        if not isinstance(item, dict):
            raise _broken(path, here, tr("It must be a JSON object."))
        for name, kind in _CATEGORY.items():
            if not isinstance(item.get(name), kind) or not _is_text(item[name]):
                raise _broken(path, f"{here}.{name}", tr("It must be a text that is not empty."))
        try:
            name_of = checked_name(item["name"])
        except KnownError as error:
            raise _broken(path, f"{here}.name", tr("{what} {fix}", what=error.what, fix=error.fix)) from error
        for name in _LISTS:
            value = item.get(name, [])
            if not isinstance(value, list) or not all(_is_text(entry) for entry in value):
                raise _broken(path, f"{here}.{name}", tr("It must be a list of texts."))
        children = item.get("children", [])
        if not isinstance(children, list):
            raise _broken(path, f"{here}.children", tr("It must be a list of categories."))
        yield GoldCategory(
            key=item["key"],
            name=name_of,
            description=item["description"],
            parent=parent,
            belongs=tuple(item.get("belongs", [])),
            does_not_belong=tuple(item.get("does_not_belong", [])),
        ), here  # fmt: skip
        yield from _walk(children, item["key"], f"{here}.children", path)


def _is_text(value: Any) -> bool:
    """A text that says something and that a database takes: no halves of surrogate pairs."""
    return isinstance(value, str) and bool(value.strip()) and not any("\ud800" <= c <= "\udfff" for c in value)


def _broken(path: Path, field: str, fix: Sentence) -> KnownError:
    return KnownError(
        tr("The gold taxonomy cannot be used."), where=tr("{path}, {field}", path=path, field=field), fix=fix
    )
