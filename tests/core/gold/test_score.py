"""Scoring a project against gold, with the real encoder: the right figure for what is right, wrong, missing, the gold itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.errors import KnownError
from errormap_core.gold.report import sentences
from errormap_core.gold.score import score_project
from errormap_core.judge.analysis import Analysis
from errormap_core.judge.base import JudgeRequest
from errormap_core.project import counting, judging
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, AssignFailures, WriteAnalyses
from tests.core.building import add_records

KINDS = {
    "sums": ("Adds the numbers wrongly", "The sum of {a} and {b} is miscalculated; a carry is lost in the addition."),
    "units": (
        "Mixes up the units of measure",
        "Metres and centimetres are mixed up, {a} metres become {b} centimetres.",
    ),
    "format": (
        "Adds chatter around the answer",
        "Only number {a} was asked for, but {b} polite words stand around it.",
    ),
}
N = 30


def analysis(kind: str, number: int, *, verdict: str = "error", evidence: str = "so it is wrong") -> dict[str, Any]:
    title, summary = KINDS[kind]
    criterion = {
        "criterion": "what is asked",
        "present_in_wrong": True,
        "quality": "incorrect",
        "evidence": evidence,
        "comment": "",
    }
    return {
        "required_criteria": [criterion],
        "error_summary": summary.format(a=number, b=number + 7),
        "error_title": title,
        "verdict": verdict,
    }


def kind_of(number: int) -> str:
    return list(KINDS)[number % 3]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    folder = tmp_path / "gold"
    folder.mkdir()
    categories = [{"key": key, "name": title, "description": title} for key, (title, _) in KINDS.items()]
    categories += [
        {"key": "other", "name": "Other", "description": "What fits nowhere."},
        {"key": "hard-to-analyze", "name": "Hard to Analyze", "description": "Nobody can tell."},
    ]
    (folder / "taxonomy.json").write_text(json.dumps({"title": "Three", "categories": categories}), encoding="utf-8")
    lines = [
        {
            "dataset": "d",
            "example_id": f"e{i:02}",
            "model": "m",
            "category": kind_of(i),
            "analysis": analysis(kind_of(i), i),
        }
        for i in range(N)
    ]
    (folder / "analyses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


@pytest.fixture
def scored(tmp_path: Path) -> Iterator[tuple[Project, list[str]]]:
    with Project.create(tmp_path / "p.errormap") as project:
        rows = [
            {"example_id": f"e{i:02}", "output_text": f"Let me see, number {i}: so it is wrong. Done."}
            for i in range(N)
        ]
        yield project, add_records(project, rows)


def judged(project: Project, ids: list[str], name: str, analyses: dict[int, dict[str, Any]]) -> None:
    """Give records (by number) analyses of a judge's run."""
    with project.writing() as db:
        run_id = start_run(db, "judge", name, {"name": name})
        for number, item in analyses.items():
            record_hash = db.execute("SELECT content_hash FROM record WHERE id = ?", [ids[number]]).fetchone()[0]
            request = JudgeRequest(ids[number], "", "", record_hash=record_hash)
            judging.save_analysis(db, run_id, request, Analysis.from_json(item), details={})
        end_run(db, run_id, "finished")
        counting.refresh(db)


def score(project: Project, gold: Path, encoder: SentenceEncoder | None) -> dict[str, Any]:
    work = score_project(project, gold, encoder=encoder)
    while True:
        try:
            next(work)
        except StopIteration as end:
            json.dumps(end.value)
            return dict(end.value)


def test_a_judge_that_says_the_same_in_other_words_beats_one_that_does_not(
    scored: tuple[Project, list[str]], gold: Path, encoder: SentenceEncoder
) -> None:
    project, ids = scored
    judged(project, ids, "good", {i: analysis(kind_of(i), i + 50) for i in range(N)})
    judged(project, ids, "bad", {i: analysis(kind_of(i // 3), i, evidence="Let me see") for i in range(N - 4)})
    good, bad = score(project, gold, encoder)["analyses"]
    assert (good["n"], good["missing"], bad["n"], bad["missing"]) == (30, 0, 26, 4)
    assert good["category"]["kappa"]["value"] > 0.95
    assert bad["category"]["kappa"]["value"] < 0.3
    assert good["evidence"]["f1"]["value"] == 1.0 and bad["evidence"]["f1"]["value"] == 0.0
    assert 0.1 < good["evidence"]["f1"]["chance"] < 0.6
    assert good["verdict"]["agreement"]["value"] == 1.0


def test_verdicts_and_missing_evidence(scored: tuple[Project, list[str]], gold: Path, encoder: SentenceEncoder) -> None:
    project, ids = scored
    said = {i: analysis(kind_of(i), i + 50, verdict="no_error" if i < 6 else "error", evidence="") for i in range(N)}
    judged(project, ids, "lenient", said)
    [found] = score(project, gold, encoder)["analyses"]
    assert found["verdict"]["agreement"]["value"] == 0.8
    assert found["evidence"]["f1"]["value"] == 0.0
    assert found["evidence"]["without"] == N
    assert found["category"]["kappa"]["n"] == N - 6, "categories are compared where the judge sees an error"


def test_the_gold_itself_is_told_and_not_scored(
    scored: tuple[Project, list[str]], gold: Path, encoder: SentenceEncoder
) -> None:
    project, ids = scored
    written = tuple({"record_id": ids[i], **analysis(kind_of(i), i)} for i in range(N))
    project.apply(WriteAnalyses(analyses=written), actor=project.annotator("Author"))
    result = score(project, gold, encoder)
    assert result["analyses"] == [
        {**result["analyses"][0], "name": "Author", "n": N, "missing": 0, "is_gold": True, "kind": "annotator"}
    ]
    assert "verdict" not in result["analyses"][0]
    assert result["classifier"]["category"]["kappa"]["value"] > 0.9
    assert any("the gold itself" in str(said) for said in sentences(result))


def test_a_tree(scored: tuple[Project, list[str]], gold: Path) -> None:
    project, ids = scored
    actor = project.annotator("Ann")
    for_nothing = {"n": 0, "looked_at": 0, "not_placed": 0, "not_counted": N, "in_tree": 2}
    assert score(project, gold, None)["tree"] == {
        **for_nothing,
        "categories": None,
        "top_categories": None,
    }
    homes = []
    for name in ("A", "B"):
        project.apply(AddCategory(name=name, parent_id=None), actor=actor)
        homes.append(next(c.id for c in project.tree if c.name == name))
    for number, home in enumerate(homes):  # two categories as the gold has them, the third left out
        here = tuple(ids[i] for i in range(N) if i % 3 == number)
        project.apply(AssignFailures(record_ids=here, category_id=home), actor=actor)
    tree = score(project, gold, None)["tree"]
    assert (tree["n"], tree["looked_at"], tree["not_placed"], tree["not_counted"]) == (20, 0, 0, 10)
    assert tree["categories"]["adjusted_rand"]["value"] == 1.0
    assert tree["categories"]["matched"]["value"] == pytest.approx(2 / 3, abs=1e-3), "of all three"
    assert [(m["gold"], m["name"], m["n_both"]) for m in tree["categories"]["matches"]] == [
        ("sums", "A", 10),
        ("units", "B", 10),
    ]
    rest = tuple(ids[i] for i in range(N) if i % 3 == 2)
    project.apply(AssignFailures(record_ids=rest, category_id=homes[1]), actor=actor)
    tree = score(project, gold, None)["tree"]
    assert tree["n"] == N
    assert 0.5 < tree["categories"]["adjusted_rand"]["value"] < 0.6
    assert abs(tree["categories"]["adjusted_rand"]["chance"]) < 0.05
    assert tree["categories"]["matched"]["value"] == pytest.approx(2 / 3, abs=1e-3)
    assert [entry["gold"] for entry in tree["categories"]["unmatched"]] == ["format"]


def test_gold_about_other_records(tmp_path: Path, gold: Path) -> None:
    with Project.create(tmp_path / "other.errormap") as project:
        add_records(project, [{"example_id": "z"}])
        with pytest.raises(KnownError, match=r"Nothing of the gold .* no record e00 of m in d"):
            score(project, gold, None)


def test_an_outdated_analysis_is_not_scored(
    scored: tuple[Project, list[str]], gold: Path, encoder: SentenceEncoder
) -> None:
    project, ids = scored
    judged(project, ids, "old", {i: analysis(kind_of(i), i) for i in range(4)})
    with project.writing() as db:
        db.execute("UPDATE record SET content_hash = 'other' WHERE id = ?", [ids[0]])
    [found] = score(project, gold, encoder)["analyses"]
    assert (found["n"], found["missing"]) == (3, N - 3)


def test_the_command(
    scored: tuple[Project, list[str]], gold: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project, ids = scored
    judged(project, ids, "good", {i: analysis(kind_of(i), i + 50) for i in range(N)})
    assert cli.main(["score", str(project.path), "--gold", str(gold), "--json", "--progress", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["analyses"][0]["name"] == "good"
    with (gold / "analyses.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"dataset": "d"}\n')
    assert cli.main(["score", str(project.path), "--gold", str(gold), "--progress", "none"]) == 1
    captured = capsys.readouterr()
    assert "analyses.jsonl, line 31" in captured.err and "missing" in captured.err
    assert "good: 30 failures" in captured.out and "1 line of it was left out" in captured.out
    assert cli.main(["score", str(project.path), "--gold", str(tmp_path / "none"), "--progress", "none"]) == 2
    assert "There is no such folder with gold analyses" in capsys.readouterr().err
