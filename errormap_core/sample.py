"""The sample: questions of ours with exact checks, real answers of small models, and the project that is built of them."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from errormap_core.ids import content_id
from errormap_core.importers.importing import import_files
from errormap_core.judge.analysis import Analysis
from errormap_core.project import counting, judging
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.resources import resource_path

TITLE = "Sample"

Check = Callable[[str, Mapping[str, Any]], bool]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!\"'`*")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def last_number(answer: str, rule: Mapping[str, Any]) -> bool:
    """The last number in the answer is `value` (commas between thousands do not count)."""
    found = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", answer))
    return bool(found) and float(found[-1]) == float(rule["value"])


def contains_word(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer contains `value` as whole words, in any case."""
    return re.search(rf"\b{re.escape(rule['value'])}\b", " ".join(answer.casefold().split())) is not None


def first_word(answer: str, rule: Mapping[str, Any]) -> bool:
    """The first word of the answer is `value`, in any case."""
    words = re.findall(r"\w+", answer.casefold())
    return bool(words and words[0] == rule["value"])


def first_of(answer: str, rule: Mapping[str, Any]) -> bool:
    """Of `value` and `others`, `value` is named first, as a whole word in any case."""
    named = {*rule["others"], rule["value"]}
    return bool(next((w for w in re.findall(r"\w+", answer.casefold()) if w in named), None) == rule["value"])


def equals_folded(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is `value` but for case, blanks, and quotes or a full stop around it."""
    return _folded(answer) == _folded(str(rule["value"]))


def equals_exact(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is `value` to the letter, blanks and quotes around it left out."""
    return bool(answer.strip().strip("\"'.") == rule["value"])


def letters_folded(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer's letters are those of `value`, in any case; nothing but blanks and dots, commas, dashes stands between."""
    return bool(re.sub(r"[\s.,\-]", "", answer.casefold()) == rule["value"])


def json_equals(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is JSON that equals `value`; a code fence around it is left out."""
    text = re.sub(r"^```(?:json)?|```$", "", answer.strip()).strip()
    try:
        return bool(json.loads(text) == rule["value"])
    except ValueError:
        return False


def n_lines(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer has `value` lines that are not blank, of at most `most_words` words each."""
    lines = _lines(answer)
    return len(lines) == rule["value"] and all(len(line.split()) <= rule["most_words"] for line in lines)


def one_of(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is one of the words in `value`, in any case."""
    return _folded(answer) in rule["value"]


def starts_with(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer begins with `value`, in any case, and has at most `most_words` words."""
    text = _folded(answer)
    return text.startswith(rule["value"]) and 0 < len(text.split()) <= rule["most_words"]


CHECKS: Mapping[str, Check] = {
    rule.__name__: rule
    for rule in (
        last_number,
        contains_word,
        first_word,
        first_of,
        equals_folded,
        equals_exact,
        letters_folded,
        json_equals,
        n_lines,
        one_of,
        starts_with,
    )
}


def score(question: Mapping[str, Any], answer: str) -> float:
    """1.0 where the answer passes the question's check, else 0.0."""
    rule = question["check"]
    return float(CHECKS[rule["rule"]](answer, rule))


def questions() -> list[dict[str, Any]]:
    """The sample's questions, in the order of the file."""
    text = resource_path("sample", "questions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def build_sample(path: Path, *, with_analyses: bool = True) -> Project:
    """Make the sample's project at `path` and return it open. Raises KnownError where a file is there already.

    Records come from the CSVs in resources/sample; with `with_analyses` the analyses that a real run of
    the embedded judge gave are there too, as that run's.
    """
    project = Project.create(path, title=TITLE)
    try:
        for _ in import_files(project, sorted(resource_path("sample").glob("*.csv"))):
            pass
        if with_analyses:
            _add_analyses(project)
    except BaseException:
        project.close()
        path.unlink()
        raise
    return project


def _add_analyses(project: Project) -> None:
    run = json.loads(resource_path("sample", "judge_run.json").read_text(encoding="utf-8"))
    lines = resource_path("sample", "analyses.jsonl").read_text(encoding="utf-8").splitlines()
    with project.writing() as db:
        run_id = start_run(db, "judge", run["name"], run["parameters"])
        for item in map(json.loads, lines):
            record_id = content_id("record", item["dataset"], item["model"], item["example_id"], 1)
            request = judging.request_for(db, record_id, max_references=0)
            analysis = Analysis.from_json(item["analysis"])
            judging.save_analysis(db, run_id, request, analysis, details=item["details"])
        end_run(db, run_id, "finished", run.get("result"))
        counting.refresh(db)


def data_folder() -> Path:
    """The user's data folder; the environment's ERRORMAP_STUDIO_DATA names another."""
    return Path(os.environ.get("ERRORMAP_STUDIO_DATA") or platformdirs.user_data_dir("errormap-studio"))


def open_sample(folder: Path | None = None) -> Path:
    """Path of the user's own copy of the sample, which is made where it is missing and never overwritten."""
    folder = folder or data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sample.errormap"
    if not path.exists():
        build_sample(path).close()
    return path
