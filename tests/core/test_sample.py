"""The sample: answers are scored as its checks say, its gold holds together, and it builds the same project every time."""

import csv
import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import adjusted_rand_score

from errormap_core.errors import KnownError
from errormap_core.gold.files import HARD, OTHER, Gold, GoldAnalysis, read_gold
from errormap_core.gold.fitting import fit_to_project
from errormap_core.project import queries
from errormap_core.project.check import check, copy_of
from errormap_core.project.pending import pending_proposals
from errormap_core.project.proposing import proposals_of_run
from errormap_core.project.store import Project
from errormap_core.resources import resource_path
from errormap_core.sample.build import VERSION, build_sample, open_sample, questions, sample_gold
from errormap_core.sample.checks import CHECKS, score
from errormap_core.taxonomy.operations import AddCategory

KINDS = {"arithmetic", "units", "dates", "counting", "extraction", "instruction", "passage", "table", "logic", "code"}


@cache
def rows() -> list[dict[str, str]]:
    found = []
    for path in sorted(resource_path("sample").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [{"dataset": path.stem, **row} for row in csv.DictReader(file)]
    return found


@cache
def gold() -> Gold:
    return read_gold(sample_gold())


# Questions and answers


def test_two_hundred_questions_of_ten_kinds_in_three_datasets() -> None:
    asked = questions()
    assert len(asked) >= 200
    assert len({q["example_id"] for q in asked}) == len({q["input_text"] for q in asked}) == len(asked)
    assert {q["kind"] for q in asked} == KINDS
    assert min(Counter(q["dataset"] for q in asked).values()) >= 60
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


def test_models_differ_and_a_fifth_of_their_answers_passed() -> None:
    models = Counter(r["model"] for r in rows())
    passed = Counter(r["model"] for r in rows() if float(r["score"]) == 1.0)
    assert len(models) >= 4
    assert set(models.values()) == {len(questions())}
    assert sum(passed.values()) >= 0.2 * len(rows())
    assert len(set(passed.values())) > 1
    about = json.loads(resource_path("sample", "models.json").read_text(encoding="utf-8"))
    assert set(about["models"]) == set(models)
    assert all(len(model["sha256"]) == 64 and "seed" in model for model in about["models"].values())


@pytest.mark.parametrize(
    ("rule", "arguments", "right", "wrong"),
    [
        ("last_number", {"value": 1500}, "So 2,000 - 500 = 1,500 grams", "1500 of 2000"),
        ("contains_word", {"value": "kobe"}, "In Kobe.", "Kobenhavn"),
        ("contains_all", {"value": ["3", "july"]}, "On July 3.", "On July 31."),
        ("first_word", {"value": "no"}, "No, it is not", "Yes. No."),
        ("first_of", {"value": "kim", "others": ["ben"]}, "Kim, not Ben", "Ben or Kim"),
        ("equals_folded", {"value": "39"}, ' "39". ', "39 euros"),
        ("equals_exact", {"value": "WINDOW"}, "WINDOW", "Window"),
        ("letters_folded", {"value": "cba"}, "c, b, a", "c b a d"),
        ("json_equals", {"value": {"a": 1}}, '```json\n{"a": 1}\n```', '{"a": 2}'),
        ("list_equals", {"value": ["rain", "hail"]}, "1. Rain\n2. hail.", "hail, rain"),
        ("n_lines", {"value": 2, "most_words": 1}, "red\n\nblue\n", "red and\nblue"),
        ("one_of", {"value": ["hot"]}, "Hot.", "hot or warm"),
        ("starts_with", {"value": "q", "most_words": 1}, "Queen", "A queen"),
    ],
)
def test_checks(rule: str, arguments: dict[str, Any], right: str, wrong: str) -> None:
    assert CHECKS[rule](right, arguments)
    assert not CHECKS[rule](wrong, arguments)
    assert not CHECKS[rule]("", arguments)


def test_every_rule_is_tried_above_and_told_in_the_readme() -> None:
    marks = [m for m in test_checks.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(CHECKS)
    readme = resource_path("sample", "README.md").read_text(encoding="utf-8")
    assert [name for name, rule in CHECKS.items() if f"| `{name}` | {rule.__doc__} |" not in readme] == []


def test_a_right_content_in_the_wrong_form_scores_half() -> None:
    question = {"check": {"rule": "equals_folded", "value": "39"}, "partial": {"rule": "last_number", "value": 39}}
    assert [score(question, text) for text in ("39", "It costs 39.", "40")] == [1.0, 0.5, 0.0]


# Gold


def test_the_gold_resolves_and_its_evidence_stands_in_the_answers(tmp_path: Path) -> None:
    with build_sample(tmp_path / "s.errormap", with_proposals=False) as project:
        fitted = fit_to_project(project, sample_gold())
    assert [str(problem) for problem in fitted.gold.problems] == []
    assert len(fitted.failures) >= 150
    assert len({failure.gold.key[1] for failure in fitted.failures}) == len(fitted.failures), "different examples"
    failed = {
        (r["dataset"], r["example_id"], r["model"])
        for r in rows()
        if float(r["score"]) < (1.0 if r["dataset"] == "formats" else 0.1)
    }
    assert [f.gold.key for f in fitted.failures if f.gold.key[:3] not in failed] == []


def test_every_gold_analysis_is_one_of_its_own() -> None:
    items = gold().analyses
    summaries = {" ".join(item.analysis.error_summary.casefold().split()) for item in items}
    assert len(summaries) == len(items), "no two share their summary"
    titles = Counter(item.analysis.error_title.casefold() for item in items)
    assert len(titles) >= 0.6 * len(items), "titles vary"
    assert max(titles.values()) <= 0.05 * len(items)
    assert all(item.analysis.required_criteria for item in items)
    assert {item.analysis.verdict for item in items} == {"error", "no_error", "unclear"}


def test_the_gold_says_where_the_reference_is_wrong() -> None:
    disputed = {item.key[1]: item for item in gold().analyses if item.disputed}
    assert {"six-plus-seven", "stamps", "kite-colour"} <= set(disputed), "those that are wrong on purpose"
    assert all(item.analysis.verdict != "error" for item in disputed.values())


def test_the_gold_taxonomy() -> None:
    categories = gold().categories
    real = [c for key, c in categories.items() if key not in (OTHER, HARD)]
    assert 12 <= len(real) <= 20
    assert {len(gold().path(c.key)) for c in real} == {1, 2}
    for category in real:
        assert len(category.description.split()) >= 3 and category.belongs and category.does_not_belong, category.key
    placed = Counter(item.category for item in gold().analyses if item.category)
    leaves = set(categories) - {c.parent for c in categories.values()}
    assert [key for key in leaves - {OTHER, HARD} if not placed[key]] == [], "every category has failures"
    assert placed[OTHER] <= 0.1 * sum(placed.values())


def test_the_second_pass_is_of_fifty_of_them() -> None:
    first: dict[Any, GoldAnalysis] = {item.key: item for item in gold().analyses}
    again = gold().second
    assert {item.analysis.verdict for item in again} == {"error", "no_error", "unclear"}, "so that it says something"
    assert len(again) >= 50
    assert all(item.key in first for item in again)
    same = [item for item in again if item.analysis.error_summary == first[item.key].analysis.error_summary]
    assert same == [], "it was written anew"


# The project


def _content(project: Project) -> dict[str, list[Any]]:
    """All that the sample says; ids of the copy and times of machines are its own."""
    statements = {
        "record": "SELECT id, content_hash, score, source_file, source_line FROM record ORDER BY id",
        "analysis": "SELECT * FROM analysis ORDER BY id",
        "proposal": "SELECT id, kind, arguments, evidence, score FROM proposal ORDER BY id",
        "member": "SELECT * FROM proposal_member ORDER BY 1, 2",
        "run": "SELECT id, kind, parameters, status, result FROM run ORDER BY id",
        "source": "SELECT id, kind, name FROM source WHERE kind <> 'machine' ORDER BY id",
        "failure": "SELECT * FROM failure ORDER BY record_id",
        "mark": "SELECT * FROM record_mark ORDER BY record_id",
        "threshold": "SELECT * FROM chosen_threshold ORDER BY dataset",
        "log": "SELECT kind, arguments, summary, at FROM log ORDER BY seq",
    }
    return {name: project.db.execute(sql).fetchall() for name, sql in statements.items()}


def test_it_builds_the_same_project_every_time(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        with build_sample(tmp_path / f"{name}.errormap") as project:
            found.append(_content(project))
            assert check(project, replay=True) == []
            assert queries.totals(project.db).n_records == len(rows())
    assert found[0] == found[1]


def test_it_opens_on_the_hand_analyses_and_on_proposals_made_of_them(tmp_path: Path) -> None:
    with build_sample(tmp_path / "s.errormap") as project:
        counted = project.db.execute(
            """SELECT s.kind, count(*) FROM failure f JOIN analysis a ON a.id = f.analysis_id
            JOIN source s ON s.id = a.source_id GROUP BY s.kind"""
        ).fetchall()
        assert counted == [("annotator", len(gold().analyses))]
        assert {c.reserved for c in project.tree} == {"other", "hard"}, "the gold taxonomy is not in the tree"
        pending = pending_proposals(project.db)
        assert len(pending) >= 5
        n_analysed = queries.totals(project.db).states["analysed"]
        assert sum(row.n_members for row in pending) == n_analysed
        assert project.undoable() is None, "the sample begins here"
        assert project.undo(actor=project.annotator("Ann")) is None


def test_undo_does_not_reach_behind_the_floor_and_the_history_says_so(tmp_path: Path) -> None:
    with build_sample(tmp_path / "s.errormap") as project:
        given = queries.history(project.db)
        assert given and not any(project.can_be_taken_back(row.entry_id) for row in given)
        with pytest.raises(KnownError, match="is how the project was handed over"):
            project.undo_entry(given[0].entry_id, actor=project.annotator("Ann"))
        change = project.apply(AddCategory(name="Mine", parent_id=None), actor=project.annotator("Ann"))
        assert project.can_be_taken_back(change.entry_id)
    with Project.open(tmp_path / "s.errormap") as again:
        assert again.undo(actor=again.annotator("Ann")) is not None
        assert again.undo(actor=again.annotator("Ann")) is None
        assert again.redo(actor=again.annotator("Ann")) is not None
        assert check(again, replay=True) == []


def test_it_opens_where_the_encoders_and_the_judges_libraries_are_missing(tmp_path: Path) -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torch", "sklearn", "scipy", "llama_cpp", "sentence_transformers", "numpy"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from pathlib import Path
from errormap_core.sample.build import open_sample
print(open_sample(Path(sys.argv[1])).name)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, f"sample-{VERSION}.errormap"), done.stderr


def test_a_copy_that_was_not_finished_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("errormap_core.sample.build._add_proposals", broken)
        with pytest.raises(OSError, match="disk full"):
            open_sample(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert open_sample(tmp_path).exists()


def test_the_kept_proposals_are_those_of_a_real_run(tmp_path: Path) -> None:
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.project.proposing import latest_propose_run
    from errormap_core.proposals.propose import propose

    kept = json.loads(resource_path("sample", "proposals.json").read_text(encoding="utf-8"))
    with build_sample(tmp_path / "s.errormap", with_proposals=False) as project:
        for _ in propose(project, SentenceEncoder()):
            pass
        run = latest_propose_run(project.db)
        assert run is not None
        assert json.loads(run["parameters"]) == kept["parameters"]
        made = proposals_of_run(project.db, run["id"])
    ours, theirs = (
        {member[0]: place for place, proposal in enumerate(proposals) for member in proposal["members"]}
        for proposals in (made, kept["proposals"])
    )
    assert set(ours) == set(theirs)
    # Another processor may sum in another order, and a few failures then fall on the other side of a border.
    assert adjusted_rand_score([ours[key] for key in sorted(ours)], [theirs[key] for key in sorted(ours)]) > 0.9


def test_the_users_copy_is_never_overwritten(tmp_path: Path) -> None:
    path = open_sample(tmp_path)
    before = path.stat().st_mtime_ns
    assert open_sample(tmp_path) == path
    assert path.stat().st_mtime_ns == before


def test_playing_with_a_copy_changes_nothing_of_the_original(tmp_path: Path) -> None:
    texts = {path: path.read_bytes() for path in resource_path("sample").rglob("*") if path.is_file()}
    path = open_sample(tmp_path)
    with Project.open(path) as project:
        copy_of(project, tmp_path / "before.errormap")
        rulings = [row.id for row in pending_proposals(project.db)]
        from errormap_core.taxonomy.operations import DecideProposals, Ruling

        project.apply(
            DecideProposals(rulings=tuple(Ruling(proposal_id=i, verdict="accept") for i in rulings), is_bulk=True),
            actor=project.annotator("Ann"),
        )
    assert {path: path.read_bytes() for path in texts} == texts


def test_the_readme_says_how_many_proposals_wait(tmp_path: Path) -> None:
    with build_sample(tmp_path / "counted.errormap") as project:
        n = len(pending_proposals(project.db))
        numbers = queries.totals(project.db)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"{n} proposals" in readme
    assert f"{numbers.diagnosed_by['imported'] + numbers.states['disputed']} failures analysed" in readme
    assert numbers.n_looked_at == 0, "no person has looked at them one by one, and nothing says so"
