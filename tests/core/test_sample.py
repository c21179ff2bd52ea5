"""The sample: its answers are scored as its checks say, and it builds the same project every time."""

import csv
from pathlib import Path
from typing import Any

import pytest

from errormap_core.project import queries
from errormap_core.project.check import check
from errormap_core.resources import resource_path
from errormap_core.sample import CHECKS, build_sample, open_sample, questions, score


def rows() -> list[dict[str, str]]:
    found = []
    for path in sorted(resource_path("sample").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [{"dataset": path.stem, **row} for row in csv.DictReader(file)]
    return found


def test_forty_questions_of_several_kinds() -> None:
    asked = questions()
    assert len(asked) == 40
    assert len({q["example_id"] for q in asked}) == 40
    assert len({q["kind"] for q in asked}) >= 8
    assert len({q["dataset"] for q in asked}) == 3


def test_every_correct_answer_passes_its_own_check() -> None:
    assert [q["example_id"] for q in questions() if score(q, q["correct_answer"]) != 1.0] == []


def test_the_scores_are_what_the_checks_give() -> None:
    by_id = {q["example_id"]: q for q in questions()}
    wrong = [r["example_id"] for r in rows() if float(r["score"]) != score(by_id[r["example_id"]], r["output_text"])]
    assert wrong == []
    assert {(r["example_id"], r["input_text"]) for r in rows()} == {
        (q["example_id"], q["input_text"]) for q in questions()
    }


@pytest.mark.parametrize(
    ("rule", "arguments", "right", "wrong"),
    [
        ("last_number", {"value": 1500}, "So 2,000 - 500 = 1,500 grams", "1500 of 2000"),
        ("contains_word", {"value": "kobe"}, "In Kobe.", "Kobenhavn"),
        ("first_word", {"value": "no"}, "No, it is not", "Yes. No."),
        ("first_of", {"value": "kim", "others": ["ben"]}, "Kim, not Ben", "Ben or Kim"),
        ("equals_folded", {"value": "39"}, ' "39". ', "39 euros"),
        ("equals_exact", {"value": "WINDOW"}, "WINDOW", "Window"),
        ("letters_folded", {"value": "cba"}, "c, b, a", "c b a d"),
        ("json_equals", {"value": {"a": 1}}, '```json\n{"a": 1}\n```', '{"a": 2}'),
        ("n_lines", {"value": 2, "most_words": 1}, "red\n\nblue\n", "red and\nblue"),
        ("one_of", {"value": ["hot"]}, "Hot.", "hot or warm"),
        ("starts_with", {"value": "q", "most_words": 1}, "Queen", "the queen"),
    ],
)
def test_checks(rule: str, arguments: dict[str, Any], right: str, wrong: str) -> None:
    assert CHECKS[rule](right, arguments)
    assert not CHECKS[rule](wrong, arguments)
    assert not CHECKS[rule]("", arguments)


def test_every_rule_is_tried_above() -> None:
    marks = [m for m in test_checks.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(CHECKS)


def test_it_builds_the_same_project_every_time(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        with build_sample(tmp_path / f"{name}.errormap") as project:
            records = project.db.execute("SELECT id, content_hash, score FROM record ORDER BY id").fetchall()
            analyses = project.db.execute("SELECT id, error_title FROM analysis ORDER BY id").fetchall()
            found.append((records, analyses))
            assert check(project) == []
            totals = queries.totals(project.db)
            assert totals.n_records == 160
            assert totals.n_failures < 160, "some answers passed"
            assert totals.n_counted == len(analyses) == 40
    assert found[0] == found[1]


def test_the_users_copy_is_never_overwritten(tmp_path: Path) -> None:
    path = open_sample(tmp_path)
    before = path.stat().st_mtime_ns
    assert open_sample(tmp_path) == path
    assert path.stat().st_mtime_ns == before
