"""Checks of judges and the agreement of two: figures with known answers, the fixed split, what people reviewed, too little."""

import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errormap_core import cli
from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.errors import KnownError
from errormap_core.gold.check_report import agreement_sentences, check_sentences, duration
from errormap_core.gold.classify import CategoryGuesser
from errormap_core.gold.judge_check import check_judges
from errormap_core.gold.split import split_of
from errormap_core.gold.two_judges import compare_runs, disagreement
from errormap_core.judge.analysis import Analysis
from errormap_core.judge.base import JudgeRequest
from errormap_core.measures.estimates import agreement, mean, similarity
from errormap_core.project import counting, judging
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, AssignFailures, WriteAnalysis
from tests.core.building import add_records
from tests.core.gold.test_score import KINDS, N, analysis, kind_of
from tests.core.gold.test_score import encoder as encoder
from tests.core.gold.test_score import gold as gold

Scored = tuple[Project, list[str]]


@pytest.fixture
def scored(tmp_path: Path) -> Iterator[Scored]:
    with Project.create(tmp_path / "p.errormap") as project:
        rows = [
            {"example_id": f"e{i:02}", "output_text": f"Let me see, number {i}: so it is wrong. Done."}
            for i in range(N)
        ]
        yield project, add_records(project, rows)


def judged(project: Project, ids: Sequence[str], name: str, analyses: dict[int, dict[str, Any]]) -> str:
    with project.writing() as db:
        run_id = start_run(db, "judge", name, {"name": name, "seed": 0})
        for number, item in analyses.items():
            record_hash = db.execute("SELECT content_hash FROM record WHERE id = ?", [ids[number]]).fetchone()[0]
            request = JudgeRequest(ids[number], "", "", record_hash=record_hash)
            judging.save_analysis(db, run_id, request, Analysis.from_json(item), details={})
        end_run(db, run_id, "finished")
        counting.refresh(db)
    return run_id


def done(work: Generator[Any, None, dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            next(work)
        except StopIteration as end:
            json.dumps(end.value)
            return dict(end.value)


def check(project: Project, gold: Path | None = None, **more: Any) -> dict[str, Any]:
    return done(check_judges(project, folder=gold, **{"encoder": None, **more}))


def of(result: dict[str, Any], key: str) -> dict[str, Any]:
    return next(entry for entry in result["keys"] if entry["key"] == key)


# The split


def test_the_split_is_fixed_for_good() -> None:
    """These are facts about every project there is: a change would let tuned prompts be scored on what they were tuned on."""
    assert [split_of("gsm8k", str(i)) for i in range(8)] == [
        "development", "development", "development", "development", "test", "development", "development", "development",
    ]  # fmt: skip
    halves = [split_of("d", f"e{i}") for i in range(4000)]
    assert 1900 < halves.count("test") < 2100
    assert split_of("a\x1fb", "c") == split_of("a\x1fb", "c")
    assert split_of("\ud800", "x") in ("development", "test")


def test_cases_stand_in_their_halves(scored: Scored, gold: Path) -> None:
    project, ids = scored
    judged(project, ids, "right", {i: analysis(kind_of(i), i) for i in range(N)})
    entry = of(check(project, gold), "gold")
    for half in ("development", "test"):
        n = sum(split_of("d", f"e{i:02}") == half for i in range(N))
        assert entry["splits"][half]["n"] == entry["splits"][half]["examples"] == n > 5
        [run] = entry["runs"]
        assert (run["splits"][half]["n"], run["splits"][half]["missing"]) == (n, 0)
        assert run["splits"][half]["verdict"]["agreement"]["n"] == n


# Statistics with known answers


def test_clusters_are_drawn_whole() -> None:
    """Ten clusters of ten equal items have the interval of ten items, not of a hundred."""
    values = [float(i % 2) for i in range(10) for _ in range(10)]
    clusters = [i for i in range(10) for _ in range(10)]
    whole, alone = mean(values, clusters=clusters), mean(values)
    assert whole.value == alone.value == 0.5 and whole.low is not None and alone.low is not None
    assert whole.high is not None and alone.high is not None
    assert whole.high - whole.low > 2 * (alone.high - alone.low)
    same = mean([float(i % 2) for i in range(10)])
    assert (whole.low, whole.high) == (same.low, same.high)
    assert mean(values, clusters=[0] * 100).low is None, "one cluster tells of no spread"
    share, kappa = agreement(["a", "b"] * 10, ["a", "b"] * 5 + ["b", "a"] * 5, clusters=list(range(20)))
    assert share.value == 0.5 and kappa is not None and kappa.value == 0.0
    assert agreement(["a", "b"], ["a", "b"], clusters=["x", "x"])[0].value == 1.0


def test_similarity_has_the_mean_of_all_other_pairs_as_chance() -> None:
    rng = np.random.default_rng(1)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (rng.normal(size=(12, 5)), rng.normal(size=(12, 5))))
    clusters = [i // 2 for i in range(12)]
    found = similarity(a, b, clusters)
    assert found.value == pytest.approx(float((a * b).sum(axis=1).mean()))
    pairs = [float(a[i] @ b[j]) for i in range(12) for j in range(12) if clusters[i] != clusters[j]]
    assert found.chance == pytest.approx(sum(pairs) / len(pairs))
    assert similarity(a, a, [0] * 12).chance is None
    for wrong in ((a[:0], b[:0], []), (a, b[:3], clusters)):
        with pytest.raises(ValueError, match=r"mean of nothing|one shape"):
            similarity(*wrong)


def test_a_classifier_never_saw_the_example_that_it_is_asked_about() -> None:
    """Each example has a direction of its own in its three texts; only who saw one could know its odd label."""
    n = 30
    vectors = np.repeat(np.eye(n, 40, dtype=np.float32), 3, axis=0)
    labels = [f"c{(i * 7) % 5}" for i in range(n) for _ in range(3)]
    groups = [f"e{i}" for i in range(n) for _ in range(3)]
    defined = [(f"c{k}", np.eye(40, dtype=np.float32)[30 + k]) for k in range(5)]
    by_example = CategoryGuesser(vectors, labels, defined, groups=groups).guess(vectors, groups)
    by_text = CategoryGuesser(vectors, labels, defined).guess(vectors, range(len(labels)))
    assert sum(x == y for x, y in zip(by_text, labels, strict=True)) == 90, (
        "the other texts of the example give it away"
    )
    assert sum(x == y for x, y in zip(by_example, labels, strict=True)) < 45
    unknown = CategoryGuesser(vectors, labels, defined, groups=groups).guess(vectors[:3], ["new"] * 3)
    assert unknown == labels[:3], "what it learned nothing about is asked of all that it learned"


def test_disagreement() -> None:
    assert disagreement(same_verdict=True, cosine=1.0, f1=1.0) == 0.0
    assert disagreement(same_verdict=False, cosine=-0.5, f1=0.0) == 1.0
    assert disagreement(same_verdict=False, cosine=None, f1=None) == 1.0
    assert disagreement(same_verdict=True, cosine=0.5, f1=None) == 0.25


# Against gold


def test_judges_side_by_side_against_gold(scored: Scored, gold: Path, encoder: SentenceEncoder) -> None:
    project, ids = scored
    judged(project, ids, "good", {i: analysis(kind_of(i), i + 50) for i in range(N)})
    judged(project, ids, "bad", {i: analysis(kind_of(i // 3), i, evidence="Let me see") for i in range(N - 4)})
    result = check(project, gold, encoder=encoder)
    entry = of(result, "gold")
    assert [run["name"] for run in entry["runs"]] == ["good", "bad"]
    assert [run["is_current"] for run in entry["runs"]] == [False, True]
    for half in ("development", "test"):
        good, bad = (run["splits"][half] for run in entry["runs"])
        assert good["category"]["kappa"]["value"] > 0.9 > 0.4 > bad["category"]["kappa"]["value"]
        assert good["evidence"]["f1"]["value"] == 1.0 and bad["evidence"]["f1"]["value"] == 0.0
        assert 0.1 < good["evidence"]["f1"]["chance"] < 0.6
        assert bad["n"] + bad["missing"] == good["n"]
        assert entry["classifier"][half]["category"]["kappa"]["value"] > 0.9
    [lone] = of(check(project, gold, runs=["bad"]), "gold")["runs"]
    assert lone["name"] == "bad" and lone["splits"]["test"]["category"] is None
    common = of(check(project, gold, common=True), "gold")
    assert common["n"] == N - 4
    assert all(run["splits"]["test"]["missing"] == 0 for run in common["runs"])
    said = "\n".join(map(str, check_sentences(result)))
    assert "test half" in said and "Write analyses of 10 more examples of the test half" in said


def test_nothing_to_check(scored: Scored, gold: Path) -> None:
    project, ids = scored
    with pytest.raises(KnownError, match="No judge has worked"):
        check(project, gold)
    judged(project, ids, "one", {0: analysis("sums", 0)})
    [entry] = check(project)["keys"]
    assert entry["key"] == "reviewed", "the sample's gold is not about this project"
    assert (entry["n"], entry["missing_placements"]) == (0, 20)
    assert [part["missing_examples"] for part in entry["splits"].values()] == [10, 10]
    with pytest.raises(KnownError, match="There is no judge run"):
        check(project, gold, runs=["nope"])


def test_it_can_be_stopped(scored: Scored, gold: Path, encoder: SentenceEncoder) -> None:
    project, ids = scored
    judged(project, ids, "one", {i: analysis("sums", i) for i in range(N)})
    assert check(project, gold, encoder=encoder, cancelled=lambda: True)["is_stopped"]


# Against what people reviewed


def wrote(project: Project, actor: str, record_id: str, item: dict[str, Any]) -> None:
    project.apply(WriteAnalysis(record_id=record_id, **item), actor=actor)


def test_what_people_wrote(scored: Scored) -> None:
    project, ids = scored
    actor = project.annotator("Ann")
    judged(project, ids, "one", {i: analysis(kind_of(i), i) for i in range(N)})
    for i in range(12):  # the dialog keeps the judge's evidence
        wrote(project, actor, ids[i], analysis(kind_of(i), i, verdict="no_error" if i < 6 else "error"))
    for i in range(12, 24):
        wrote(project, actor, ids[i], analysis(kind_of(i), i, evidence="Let me see"))
    entry = of(check(project), "reviewed")
    assert (entry["n_written"], entry["n_copied"], entry["n_placed"], entry["n_gold"]) == (24, 12, 0, 0)
    [run] = entry["runs"]
    same = [run["splits"][half]["verdict"]["agreement"] for half in ("development", "test")]
    assert sum(figure["n"] for figure in same) == 24
    assert sum(figure["n"] * figure["value"] for figure in same) == pytest.approx(18, abs=0.01)
    evidence = [run["splits"][half]["evidence"]["f1"] for half in ("development", "test")]
    assert sum(figure["n"] for figure in evidence) == 12, "what was taken over measures no judge"
    assert all(figure["value"] == 0.0 for figure in evidence)
    needed = sum(part["missing_examples"] for part in entry["splits"].values())
    assert needed == sum(max(0, 10 - part["n_written"]) for part in entry["splits"].values())


def test_the_gold_itself_is_no_review(scored: Scored, gold: Path) -> None:
    project, ids = scored
    actor = project.annotator("Author")
    judged(project, ids, "one", {i: analysis(kind_of(i), i) for i in range(N)})
    for i in range(4):
        wrote(project, actor, ids[i], analysis(kind_of(i), i))
    wrote(project, actor, ids[5], {**analysis(kind_of(5), 5), "error_title": "Another title"})
    entry = of(check(project, gold), "reviewed")
    assert (entry["n_written"], entry["n_gold"]) == (1, 4)


def test_what_people_placed(scored: Scored, encoder: SentenceEncoder) -> None:
    project, ids = scored
    actor = project.annotator("Ann")
    judged(project, ids, "good", {i: analysis(kind_of(i), i + 50) for i in range(N)})
    judged(project, ids, "bad", {i: analysis(kind_of(i // 3), i) for i in range(N)})
    place(project, actor, ids, range(18))
    entry = of(check(project, encoder=encoder), "reviewed")
    assert (entry["n_placed"], entry["missing_placements"], entry["classifier"]) == (18, 2, None)
    place(project, actor, ids, range(18, N))
    entry = of(check(project, encoder=encoder), "reviewed")
    assert (entry["n_placed"], entry["n_written"], entry["missing_placements"]) == (N, 0, 0)
    for half in ("development", "test"):
        good, bad = (run["splits"][half] for run in entry["runs"])
        assert good["category"]["kappa"]["value"] > bad["category"]["kappa"]["value"]
        assert good["verdict"] == {"agreement": None, "kappa": None}, "nobody wrote an analysis"


def place(project: Project, actor: str, ids: Sequence[str], which: range) -> None:
    for kind, (title, _) in KINDS.items():
        if not any(category.name == title for category in project.tree):
            project.apply(AddCategory(name=title, parent_id=None), actor=actor)
        home = next(category.id for category in project.tree if category.name == title)
        for i in which:
            if kind_of(i) == kind:
                project.apply(AssignFailures(record_ids=(ids[i],), category_id=home), actor=actor)


# Two judges


def test_two_judges(scored: Scored, gold: Path, encoder: SentenceEncoder) -> None:
    project, ids = scored
    said = {i: analysis(kind_of(i), i) for i in range(N)}
    first = judged(project, ids, "one", said)
    other = {**said, 3: analysis("format", 3, verdict="no_error", evidence="Let me see")}
    other[4] = {"required_criteria": [], "error_title": "", "error_summary": "", "verdict": "no_error"}
    second = judged(project, ids[:20], "two", {i: other[i] for i in range(20)})
    result = done(compare_runs(project, first, second, folder=gold, encoder=encoder))
    assert (result["n"], result["examples"], result["learned_from"]) == (20, 20, "gold")
    assert result["verdict"]["agreement"]["value"] == 0.9
    assert result["evidence"]["f1"]["value"] == 0.9 and result["evidence"]["by_one_alone"] == 1
    assert result["similarity"]["n"] == 19, "who says nothing is like nobody"
    assert result["similarity"]["value"] > 0.9 > result["similarity"]["chance"]
    assert result["category"]["kappa"]["value"] == 1.0 and result["category"]["kappa"]["n"] == 18
    rows = result["disagreements"]
    assert {rows[0]["example_id"], rows[1]["example_id"]} == {"e03", "e04"}
    assert rows[2]["disagreement"] == pytest.approx(0, abs=1e-3)
    assert any("They agree least on" in str(sentence) for sentence in agreement_sentences(result))
    plain = done(compare_runs(project, first, second, encoder=None))
    assert (plain["similarity"], plain["category"]) == (None, None)
    assert done(compare_runs(project, first, second, encoder=encoder, cancelled=lambda: True))["is_stopped"]


def test_two_judges_that_cannot_be_compared(scored: Scored) -> None:
    project, ids = scored
    first = judged(project, ids, "one", {0: analysis("sums", 0)})
    second = judged(project, ids, "two", {1: analysis("sums", 1)})
    with pytest.raises(KnownError, match="Both are the same"):
        done(compare_runs(project, first, "one", encoder=None))
    with pytest.raises(KnownError, match="No failure was analysed by both"):
        done(compare_runs(project, first, second, encoder=None))


def test_the_commands(scored: Scored, gold: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, ids = scored
    judged(project, ids, "one", {i: analysis(kind_of(i), i + 50) for i in range(N)})
    judged(project, ids, "two", {i: analysis(kind_of(i), i + 90) for i in range(N)})
    path, quiet = str(project.path), ("--progress", "none")
    assert cli.main(["check-judge", path, "--run", "one", "--gold", str(gold), "--json", *quiet]) == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["keys"][0]["runs"]] == ["one"]
    assert cli.main(["agreement", path, "one", "two", "--gold", str(gold), *quiet]) == 0
    assert "30 failures analysed by both" in capsys.readouterr().out
    with (gold / "analyses.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"dataset": "d"}\n')
    assert cli.main(["check-judge", path, "--gold", str(gold), *quiet]) == 1
    captured = capsys.readouterr()
    assert "analyses.jsonl, line 31" in captured.err and "Gold “Three”: 30 failures" in captured.out
    assert cli.main(["agreement", path, "one", "nope", *quiet]) == 2


def test_times_as_people_say_them() -> None:
    assert [str(duration(s)) for s in (0, 42.4, 120, 5399, 12_000)] == [
        "0 s",
        "42 s",
        "2 min",
        "1 h 30 min",
        "3 h 20 min",
    ]
