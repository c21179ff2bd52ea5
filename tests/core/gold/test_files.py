"""Gold that was edited by hand: what is wrong is told with file, line and field, and left out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from errormap_core.errors import KnownError
from errormap_core.gold.files import Answer, fit, read_gold

TAXONOMY: dict[str, Any] = {
    "title": "Small",
    "categories": [
        {
            "key": "sums",
            "name": "Sums",
            "description": "Adds wrongly.",
            "belongs": ["2 + 2 = 5"],
            "children": [{"key": "carry", "name": "Carry", "description": "Forgets to carry."}],
        },
        {"key": "other", "name": "Other", "description": "The rest."},
        {"key": "hard-to-analyze", "name": "Hard to Analyze", "description": "Nobody can tell."},
    ],
}


def line(**changes: Any) -> dict[str, Any]:
    """A sound line, with other top-level values where they are given."""
    criterion = {
        "criterion": "the sum",
        "present_in_wrong": True,
        "quality": "incorrect",
        "evidence": "so 2 + 2 = 5",
        "comment": "it is 4",
    }
    analysis = {
        "required_criteria": [criterion],
        "error_summary": "It says 5.",
        "error_title": "Adds wrongly",
        "verdict": "error",
    }
    sound = {"dataset": "d", "example_id": "e1", "model": "m", "category": "sums", "analysis": analysis}
    return {**sound, **changes}


def changed(path: str, value: Any) -> dict[str, Any]:
    """A sound line with one value inside the analysis changed: 'verdict', '0.evidence' ..."""
    item = line()
    *way, last = path.split(".")
    target = item["analysis"]
    for step in way:
        target = target["required_criteria"][int(step)]
    target[last] = value
    return item


def write(folder: Path, *lines: object, taxonomy: object = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "taxonomy.json").write_text(json.dumps(TAXONOMY if taxonomy is None else taxonomy), encoding="utf-8")
    text = "\n".join(item if isinstance(item, str) else json.dumps(item) for item in lines)
    (folder / "analyses.jsonl").write_text(text + "\n", encoding="utf-8")
    return folder


ANSWERS = {("d", f"e{i}", "m", 1): Answer(f"id{i}", "Well, so 2 + 2 = 5.") for i in (0, 1)}


def test_sound_gold(tmp_path: Path) -> None:
    gold = fit(read_gold(write(tmp_path / "g", "", line())), ANSWERS)
    assert gold.problems == ()
    assert [(item.key, item.category, item.line) for item in gold.analyses] == [(("d", "e1", "m", 1), "sums", 2)]
    assert gold.path("carry") == ("sums", "carry")
    assert gold.second == ()


def test_a_second_pass_is_read_in_the_same_way(tmp_path: Path) -> None:
    folder = write(tmp_path / "g", line())
    (folder / "second_pass.jsonl").write_text(json.dumps(line(category="nowhere")) + "\n", encoding="utf-8")
    gold = read_gold(folder)
    assert [str(problem) for problem in gold.problems] == [
        "second_pass.jsonl, line 1, category: The taxonomy has no category with the key “nowhere”."
    ]


@pytest.mark.parametrize(
    ("item", "field", "said"),
    [
        ("{", "", "not JSON"),
        ("[1]", "", "one JSON object"),
        (line(example_id=""), "example_id", "not empty"),
        (line(model=3), "model", "not empty"),
        ({k: v for k, v in line().items() if k != "analysis"}, "analysis", "missing"),
        (line(categroy="sums"), "categroy", "no such field"),
        (line(attempt=0), "attempt", "at least 1"),
        (line(attempt=True), "attempt", "at least 1"),
        (line(disputed=True), "disputed", "must be a text"),
        (line(category="nowhere"), "category", "no category with the key “nowhere”"),
        (line(category=["sums"]), "category", "no category"),
        (line(category=None), "category", "Only an analysis that finds no error"),
        (line(analysis=[]), "analysis", "JSON object"),
        (changed("verdict", "wrong"), "verdict", "one of error"),
        (changed("verdict", "no_error"), "category", "category is null"),
        (changed("error_title", ""), "error_title", "1 to 80"),
        (changed("error_summary", "x" * 301), "error_summary", "1 to 300"),
        (changed("0.quality", None), "required_criteria[0].quality", "one of correct"),
        (changed("0.quality", "good"), "required_criteria[0].quality", "one of correct"),
        (changed("0.present_in_wrong", False), "required_criteria[0].quality", "must be null"),
        (changed("0.evidence", "2 + 2 = 6"), "required_criteria[0].evidence", "does not stand in the answer of e1"),
        (changed("0.evidence", "SO 2 + 2 = 5"), "required_criteria[0].evidence", "does not stand in the answer"),
        (line(example_id="e9"), "example_id", "no record e9 of m in d"),
        (line(attempt=2), "example_id", "attempt 2"),
    ],
)
def test_a_wrong_line_is_told_where_it_is_and_the_others_are_kept(
    tmp_path: Path, item: object, field: str, said: str
) -> None:
    gold = fit(read_gold(write(tmp_path / "g", line(example_id="e0"), "", item)), ANSWERS)
    assert len(gold.analyses) == 1
    [problem] = gold.problems
    assert (problem.file, problem.line, problem.field) == ("analyses.jsonl", 3, field)
    assert said in str(problem.sentence)


def test_a_record_twice(tmp_path: Path) -> None:
    gold = read_gold(write(tmp_path / "g", line(), line()))
    assert str(gold.problems[0]) == "analyses.jsonl, line 2, example_id: This record stands in line 1 already."
    assert len(gold.analyses) == 1


def _without(index: int) -> Callable[[dict[str, Any]], None]:
    def change(taxonomy: dict[str, Any]) -> None:
        del taxonomy["categories"][index]

    return change


def _set(field: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(taxonomy: dict[str, Any]) -> None:
        taxonomy["categories"][0][field] = value

    return change


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        (_without(1), "categories", "top category with the key “other”"),
        (_without(2), "categories", "top category with the key “hard-to-analyze”"),
        (_set("name", " "), "categories[0].name", "not empty"),
        (_set("name", "x" * 201), "categories[0].name", "201 characters"),
        (_set("name", "a\x1bb"), "categories[0].name", "control character"),
        (_set("name", "a\0b"), "/categories/0/name", "NUL"),
        (_set("description", None), "categories[0].description", "not empty"),
        (_set("belongs", "all"), "categories[0].belongs", "list of texts"),
        (_set("children", {}), "categories[0].children", "list of categories"),
        (_set("children", ["carry"]), "categories[0].children[0]", "JSON object"),
        (_set("key", "other"), "categories[1].key", "stands twice"),
        (_set("name", "other"), "categories[1].name", "named “Other”"),
    ],
)
def test_a_taxonomy_that_cannot_be_used(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], field: str, said: str
) -> None:
    taxonomy = json.loads(json.dumps(TAXONOMY))
    change(taxonomy)
    with pytest.raises(KnownError) as raised:
        read_gold(write(tmp_path / "g", line(), taxonomy=taxonomy))
    assert str(raised.value.where).endswith(f"taxonomy.json, {field}")
    assert said in str(raised.value)


def test_folders_that_are_no_gold(tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="no such folder"):
        read_gold(tmp_path / "missing")
    folder = write(tmp_path / "g", line())
    (folder / "analyses.jsonl").write_bytes(b'{"a": 1}\n\xff\n')
    with pytest.raises(KnownError, match=r"analyses.jsonl, line 2: The file is not UTF-8"):
        read_gold(folder)
    (folder / "analyses.jsonl").unlink()
    with pytest.raises(KnownError, match=r"analyses.jsonl: The folder with gold analyses lacks this file"):
        read_gold(folder)
    (folder / "taxonomy.json").write_text('{\n "categories": [\n', encoding="utf-8")
    with pytest.raises(KnownError, match=r"taxonomy.json, line 3, column 1: This is not JSON"):
        read_gold(folder)
    (folder / "taxonomy.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(KnownError, match=r"line 1, column 201: .*nested more than 200 deep"):
        read_gold(folder)
