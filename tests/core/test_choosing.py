"""What is set by a name that is not there is refused before anything is changed."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from errormap_core import cli, engine_jobs
from errormap_core.choosing import Choices, choose, refuse_unknown
from errormap_core.errors import KnownError, Locked
from errormap_core.judge.base import RecordFailed
from errormap_core.project.lease import Lease, project_lease
from errormap_core.project.store import Project
from errormap_core.sentences import tr
from errormap_core.tasks import Progress
from tests.core.building import add_analyses, add_proposals

HEADER = "example_id,model,input_text,output_text,score\n"


def run(*arguments: object) -> int:
    return cli.main([*map(str, arguments), "--progress", "none"])


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    path = tmp_path / "quiz.csv"
    path.write_text(HEADER + "e1,alpha,Q,A,0\ne1,beta,Q,A,1\n", encoding="utf-8")
    return path


@pytest.fixture
def made(tmp_path: Path, quiz: Path) -> Path:
    path = tmp_path / "p.errormap"
    assert run("import", path, quiz) == 0
    return path


def state(path: Path) -> tuple[object, ...]:
    with Project.open(path, read_only=True) as project:
        count = "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM log)"
        return (*project.db.execute(count).fetchone(), project.setting("models.analysed"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "{made}", "{more}", "--models", "typo"], "no model “typo”. There are alpha, beta, gamma."),
        (["import", "{made}", "{more}", "--models", "alpha,gamm"], "no model “gamm”. There are gamma, alpha, beta."),
        (["import", "{made}", "{more}", "--set", "models.analysed=typo"], "no model “typo”"),
        (["import", "{made}", "{more}", "--threshold", "quizz=1"], "no dataset “quizz”. There are quiz, more."),
        (["import", "{made}", "{more}", "--threshold", "more=nan"], "The threshold of more is not a number."),
        (["import", "{made}", "{more}", "--set", "judge.prompt=typo"], "There is no prompt “typo”"),
        (["run", "{made}", "{more}", "-o", "{tmp}/a.json", "--models", "typo"], "There is no model “typo”."),
        (["run", "{made}", "{more}", "-o", "{tmp}/a.json", "--prompt", "typo"], "There is no prompt “typo”"),
        (["run", "{made}", "{more}", "-o", "{tmp}/a.json", "--model", "{tmp}/typo.gguf"], "typo.gguf"),
        (["set", "{made}", "--models", "typo"], "Models to analyse: There is no model “typo”. There are alpha, beta."),
        (["set", "{made}", "--ratio", "0.5", "--threshold", "typo=1"], "There is no dataset “typo”. There is quiz."),
        (["set", "{made}", "--ratio", "0.5", "--set", "models.analysed=typo"], "There is no model “typo”."),
        (["propose", "{made}", "--set", "models.analysed=typo"], "There is no model “typo”."),
        (["judge", "{made}", "--set", "models.analysed=typo"], "There is no model “typo”."),
        (["judge", "{made}", "--estimate", "--set", "models.analysed=typo"], "There is no model “typo”."),
        (["judge", "{made}", "--only", "typo"], "--only: There is no record with the id “typo”."),
        (["try", "{made}", "--record", "typo"], "--record: There is no record with the id “typo”."),
        (["check-judge", "{made}", "--run", "typo"], "No judge has worked on this project yet."),
    ],
)
def test_a_name_that_is_not_there_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    more = tmp_path / "more.csv"
    more.write_text(HEADER + "e1,gamma,Q,A,0\n", encoding="utf-8")
    before = state(made)
    assert run(*(one.format(made=made, more=more, tmp=tmp_path) for one in arguments)) == 2
    assert sentence in capsys.readouterr().err
    assert state(made) == before, "nothing was changed"


def test_models_that_come_with_the_import_count(tmp_path: Path, quiz: Path) -> None:
    path = tmp_path / "new.errormap"
    assert run("import", path, quiz, "--models", "beta", "--threshold", "quiz=2") == 0
    assert state(path) == (2, 2, ["beta"])
    assert run("import", tmp_path / "other.errormap", quiz, "--models", "typo") == 2
    assert not (tmp_path / "other.errormap").exists(), "and no project is left behind"
    assert run("set", path, "--models", "") == 0
    assert state(path) == (2, 3, None)


def test_a_threshold_beside_an_atlas_is_set_or_refused(made: Path, tmp_path: Path) -> None:
    assert run("export", made, "-o", tmp_path / "a.json") == 0
    assert run("import", made, tmp_path / "a.json", "--threshold", "a=0.5") == 2
    assert run("import", made, tmp_path / "a.json", "--threshold", "quiz=0.25") == 0
    with Project.open(made, read_only=True) as project:
        assert project.db.execute("SELECT threshold FROM chosen_threshold").fetchall() == [(0.25,)]


def test_what_cannot_be_set_after_an_import_does_not_undo_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more.csv"
    more.write_text(HEADER + "e1,gamma,Q,A,0\n", encoding="utf-8")

    def full(*_: object, **__: object) -> None:
        raise KnownError(tr("The disk is full."))

    monkeypatch.setattr(Choices, "apply", full)
    assert run("import", made, more, "--ratio", "0.5", "--json") == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["files"][0]["n_added"] == 1
    assert "The disk is full." in told.err
    assert "The files were imported; " in told.err


def test_a_step_of_run_that_fails_says_what_was_done(
    made: Path, quiz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KnownError(tr("The engine is gone."))

    monkeypatch.setattr(engine_jobs, "judge_job", broken)
    assert run("run", made, quiz, "-o", tmp_path / "a.json") == 2
    said = capsys.readouterr().err
    assert "The engine is gone." in said
    assert "The steps before “judge” are done (import); the same command continues there." in said


def test_nothing_is_set_where_one_of_several_is_refused(made: Path) -> None:
    with Project.open(made) as project:
        with pytest.raises(KnownError, match="no model"):
            choose(project, {"sampling.ratio": 0.5, "models.analysed": ["alpha", "x"]}, actor=project.annotator("Ann"))
        assert project.setting("sampling.ratio") == 1.0


def test_many_names_are_not_all_listed() -> None:
    with pytest.raises(KnownError) as refused:
        refuse_unknown(["model-7"], [f"model-{n:02}" for n in range(60)], tr("model"), where="")
    said = str(refused.value)
    assert "model-07" in said
    assert said.endswith("and 40 more.")


class _Dying:
    """A judge, and the plan for it, whose engine cannot analyse anything."""

    def start(self, **_: object) -> "_Dying":
        return self

    def __enter__(self) -> "_Dying":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def analyse(self, *_: object, **__: object) -> None:
        raise RecordFailed("engine_died", tr("The engine died of it."))


def test_an_error_about_a_record_names_it(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(*_: object, **__: object) -> Generator[Progress, None, _Dying]:
        yield from ()
        return _Dying()

    monkeypatch.setattr(engine_jobs, "plan_judge", plan)
    assert run("try", made) == 2
    assert capsys.readouterr().err.startswith("quiz e1 of alpha: The engine died of it.")


def test_an_error_about_a_proposal_names_it(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Project.open(made) as project:
        (record,) = project.db.execute("SELECT record_id FROM failure").fetchone()
        add_analyses(project, {record: "Wrong sum"})
        (proposal,) = add_proposals(project, [{"name": "Sums", "records": [record]}])
    assert run("accept", made, proposal) == 0
    capsys.readouterr()
    assert run("accept", made, proposal) == 2
    assert "“Sums” does not wait for a decision any more." in capsys.readouterr().err


def test_giving_a_lease_back_does_not_decide_whether_the_work_was_done(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: Lease) -> None:
        raise Locked(tr("Another program is writing."))

    with Project.open(made) as project:
        with monkeypatch.context() as patched:
            patched.setattr(Lease, "release", locked)
            with project_lease(project, "judge", purpose=tr("Judging")):
                pass
        with pytest.raises(KnownError, match="broken"), project_lease(project, "other", purpose=tr("Work")):
            raise KnownError(tr("broken"))
