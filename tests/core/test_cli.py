"""The command line: the same job without a window, exit codes that mean something, a sentence for everything wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from errormap_core import cli
from errormap_core.project import queries
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.resources import resource_path
from tests.core.taxonomy.test_curation import make_project

HEADER = "example_id,model,input_text,output_text,score,correct_answer\n"

SAMPLE = resource_path("sample", "everyday_maths.csv")


def run(*arguments: str | Path) -> int:
    return cli.main([str(a) for a in arguments])


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    path = tmp_path / "quiz.csv"
    path.write_text(HEADER + "e1,m,Q,A,0,\ne2,m,Q,A,1,\n", encoding="utf-8")
    return path


def test_import_makes_the_project(tmp_path: Path, quiz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "p.errormap"
    assert run("import", project, quiz, "--threshold", "quiz=2", "--progress", "none") == 0
    assert "2 rows, 2 added" in capsys.readouterr().out
    assert run("stats", project, "--json") == 0
    numbers = said(capsys)
    assert (numbers["records"], numbers["failures"]) == (2, 2)
    assert numbers["datasets"] == [
        {"name": "quiz", "threshold": 2.0, "is_chosen": True, "n_records": 2, "n_failures": 2}
    ]


def test_stats_call_states_as_the_window_does(tmp_path: Path, quiz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before, '18  placed' stood there where 19 were placed: one of them was diagnosed too."""
    project = tmp_path / "p.errormap"
    assert run("import", project, quiz, "--threshold", "quiz=2", "--progress", "none") == 0
    capsys.readouterr()
    assert run("stats", project) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["0", "Placed by hand, not diagnosed"] in lines and ["2", "Waiting for the judge"] in lines
    assert not any(line[1:] == ["placed"] for line in lines)


def test_losses_have_an_exit_code_of_their_own(tmp_path: Path, quiz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiz.write_text(quiz.read_text(encoding="utf-8") + "e3,m,Q,A,many,\n", encoding="utf-8")
    assert run("import", tmp_path / "p.errormap", quiz, "--json", "--progress", "none") == 1
    out = capsys.readouterr()
    assert json.loads(out.out)["losses"] == 1
    assert "quiz.csv, line 4, score: “many” is no number." in out.err
    assert run("import", tmp_path / "q.errormap", quiz, "--on-error", "rollback", "--progress", "none") == 2
    assert "nothing was" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "{tmp}/p.errormap", "{tmp}/missing.csv"], "missing.csv: There is no such file."),
        (["import", "{tmp}/no/p.errormap", "{quiz}"], "There is no such folder."),
        (["import", "{quiz}", "{quiz}"], "This is not an ErrorMap Studio project."),
        (["import", "{tmp}/p.errormap", "{quiz}", "--threshold", "quiz"], "“quiz” is no threshold."),
        (["import", "{tmp}/p.errormap", "{quiz}", "--set", "judge.contxt=1"], "Did you mean “judge.context”?"),
        (["stats", "{tmp}/missing.errormap"], "There is no such project."),
        (["stats", "{tmp}"], "This is a folder, not a project."),
        (["judge", "{made}", "--model", "{tmp}/missing.gguf"], "missing.gguf"),
        (["judge", "{made}", "--model", "{tmp}"], "folder"),
        (["judge", "{made}", "--model", "{quiz}"], "GGUF"),
        (["accept", "{made}"], "Give their ids, or --all."),
        (["accept", "{made}", "nothing"], "No proposal with the id nothing waits"),
        (["export", "{made}", "-o", "{tmp}/no/atlas.json"], "no: There is no such folder."),
        (["export", "{made}", "-o", "{quiz}"], "There is a file of this name, and it is not an atlas."),
        (["export", "{made}", "-o", "{made}"], "This is the project itself."),
        (["export", "{made}", "-o", "."], ".: This is a folder. Name a file in it."),
        (["export", "{made}", "-o", ".."], "..: This is a folder."),
        (["export", "{made}", "-o", ""], "The name of the output is empty."),
        (["export", "{made}", "-o", "{tmp}/out/"], "out/: This is a folder."),
        (["run", "{tmp}/p.errormap", "{quiz}", "-o", "{tmp}/no/atlas.json"], "no: There is no such folder."),
        (["run", "{tmp}/p.errormap", "{quiz}", "-o", "{quiz}"], "The output is one of the inputs."),
        (["run", "{tmp}/p.errormap", "{quiz}", "-o", "{tmp}/p.errormap"], "This is the project itself."),
    ],
)
def test_everything_wrong_is_a_sentence(
    tmp_path: Path, quiz: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    made, _, _ = make_project(tmp_path / "made.errormap")
    made.close()
    before = sorted(p.name for p in tmp_path.iterdir())
    names = {"tmp": tmp_path, "quiz": quiz, "made": made.path}
    assert run(*(a.format(**names) for a in arguments), "--progress", "none") == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    after = sorted(p.name for p in tmp_path.iterdir() if p.name != "p.errormap")
    assert after == before, "nothing half done is left behind"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ratio", "2"], "“2” is no value for Sampling ratio. Give a number from 0 to 1."),
        (["--seed", "x"], "“x” is no value for Sampling seed. Give a whole number from 0 to 2,147,483,647."),
        (["--limit", "0"], "argument --limit"),
        (["--threads", "-3"], "“-3” is no value for Threads. Give a whole number from 0 to 256."),
        (["--context", "100"], "“100” is no value for Context size."),
    ],
)
def test_arguments_are_checked_as_settings_are(
    tmp_path: Path, quiz: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("run", tmp_path / "p.errormap", quiz, "-o", tmp_path / "a.json", *arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "p.errormap").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "{new}", "{bad}"], "columns"),
        (["import", "{new}", "{quiz}", "--threshold", "nope=1"], "There is no dataset “nope”."),
        (["import", "{new}", "{quiz}", "--set", "atlas.imported=1"], "cannot be set by hand"),
        (["run", "{new}", "{quiz}", "-o", "{quiz}"], "The output is one of the inputs."),
        (["import", "{new}", "{odd}"], "are not UTF-16"),
        (["import", "{new}", "x" * 300 + ".csv"], "name too long"),
        (["set", "{made}", "--set", "sampling.seed=99999999999999999999"], "is no value for Sampling seed"),
        (["export", "{made}", "-o", "{made}"], "This is the project itself."),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_made(
    tmp_path: Path, quiz: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    made, _, _ = make_project(tmp_path / "made.errormap")
    made.close()
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe" + HEADER.encode("utf-16-le") + b"x")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    names = {"new": tmp_path / "new.errormap", "quiz": quiz, "made": made.path}
    names |= {"bad": tmp_path / "bad.csv", "odd": tmp_path / "odd.csv"}
    assert run(*(a.format(**names) for a in arguments), "--progress", "none") == 2
    assert sentence in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(before)
    assert quiz.read_bytes() == before["quiz.csv"]


def test_accept_history_undo_redo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, _, proposals = make_project(tmp_path / "p.errormap")
    path = project.path
    project.close()
    assert run("proposals", path, "--json") == 0
    assert len(said(capsys)["pending"]) == 4
    assert run("accept", path, proposals[1], "--as", "Bo Lee", "--progress", "none") == 0
    assert "Accepted 2 proposals" in capsys.readouterr().out, "with the one above it"
    assert run("accept", path, "--all", "--progress", "none") == 0
    assert run("undo", path, "--progress", "none") == 0
    assert run("redo", path, "--progress", "none") == 0
    capsys.readouterr()
    assert run("history", path, "--json", "--progress", "none") == 0
    steps = said(capsys)["steps"]
    assert [s["kind"] for s in steps] == ["undo", "undo", "proposal.decide", "proposal.decide"]
    assert steps[-1]["actor"] == "Bo Lee"
    assert [s["is_undone"] for s in steps] == [False, True, False, False]
    assert run("check", path, "--replay", "--progress", "none") == 0
    with Project.open(path) as again:
        assert again.db.execute("SELECT DISTINCT is_bulk FROM decision ORDER BY 1").fetchall() == [(0,), (1,)]


def test_check_tells_of_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, _, _ = make_project(tmp_path / "p.errormap")
    project.db.execute("DELETE FROM failure WHERE record_id = (SELECT min(record_id) FROM failure)")
    project.close()
    assert run("check", project.path, "--json") == 1
    assert "derived row" in said(capsys)["problems"][0]


def test_set_changes_settings_and_thresholds(tmp_path: Path) -> None:
    project, _, _ = make_project(tmp_path / "p.errormap")
    project.close()
    assert run("set", project.path, "--set", "atlas.title=Mine", "--threshold", "d0=-1", "--progress", "none") == 0
    with Project.open(project.path) as again:
        assert again.setting("atlas.title") == "Mine"
        assert queries.totals(again.db).n_failures == 16


def test_an_atlas_is_imported_by_its_ending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, _, _ = make_project(tmp_path / "p.errormap")
    project.close()
    run("accept", project.path, "--all", "--progress", "none")
    assert run("export", project.path, "-o", tmp_path / "a.json", "--with-history", "--examples", "2") == 0
    assert run("import", tmp_path / "q.errormap", tmp_path / "a.json", "--progress", "none") == 0
    assert run("export", tmp_path / "q.errormap", "-o", tmp_path / "b.json", "--with-history", "--examples", "2") == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_help_is_something_a_newcomer_can_work_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    top = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert command.name in top
        with pytest.raises(SystemExit):
            run(command.name, "--help")
        text = capsys.readouterr().out
        assert command.example in text
        assert "exit codes" in text
    with pytest.raises(SystemExit) as ended:
        run("impot")
    assert ended.value.code == 2
    assert "invalid choice: 'impot'" in capsys.readouterr().err


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "errormap_core.cli", *map(str, arguments)]
    return subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes: list[psutil.Process], *, within_s: float) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def wait_for_analyses(path: Path, n: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if path.exists():
            with Project.open(path, read_only=True) as project:
                if project.db.execute("SELECT count(*) FROM analysis").fetchone()[0] >= n:
                    return
        time.sleep(0.1)
    raise AssertionError(f"no {n} analyses within 90 s")


SHORT = ("--set", "judge.max_criteria=1", "--threads", "1", "--progress", "none")


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL in the middle: no child is left after 2 s; the same command again finishes the job once."""
    path, atlas = tmp_path / "p.errormap", tmp_path / "atlas.json"
    arguments = ("run", path, SAMPLE, "-o", atlas, "--limit", "6", *SHORT)
    process = start(*arguments)
    wait_for_analyses(path, 2)
    children = children_of(process)
    assert children, "the judge works in a process of its own"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert all_gone(children, within_s=2)
    assert not atlas.exists()
    with Project.open(path) as project:
        assert check(project) == []
        done = project.db.execute("SELECT count(*) FROM analysis").fetchone()[0]
        assert 2 <= done < 6
    again = start("run", path, SAMPLE, "-o", atlas, "--limit", str(6 - done), *SHORT)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    document = json.loads(atlas.read_text(encoding="utf-8"))
    own = sum(c["counts"]["own"] for c in document["categories"])
    totals = document["totals"]
    assert own + totals["states"]["no_error"] == totals["counted"] == 6, "each analysed failure is counted once"
    assert totals["unplaced"] == 0
    with Project.open(path) as project:
        assert check(project, replay=True) == []
        assert project.db.execute(
            "SELECT max(n) FROM (SELECT count(*) n FROM analysis GROUP BY record_id)"
        ).fetchone() == (1,)


def test_a_job_of_the_window_ends_with_it(tmp_path: Path) -> None:
    """As a child of the window, whose end closes its standard input, the job and its engine end within 2 s."""
    path = tmp_path / "p.errormap"
    run("import", path, SAMPLE, "--progress", "none")
    process = start("judge", path, "--threads", "1", "--progress", "json", stdin=subprocess.PIPE)
    wait_for_analyses(path, 1)
    processes = [psutil.Process(process.pid), *children_of(process)]
    assert process.stdin is not None
    process.stdin.close()
    started = time.monotonic()
    process.wait(timeout=10)
    assert all_gone(processes[1:], within_s=2)
    assert time.monotonic() - started < 4
    assert process.stdout is not None and process.stderr is not None
    lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    process.stdout.close()
    process.stderr.close()
    assert lines[0]["progress"]["stage"] == "judge"


def test_an_interrupt_stops_after_the_record_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "p.errormap"
    run("import", path, SAMPLE, "--progress", "none")
    process = start("judge", path, *SHORT)
    wait_for_analyses(path, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert re.search("Stopped. The same command goes on", err)
    with Project.open(path) as project:
        run_row = next(iter(project.db.query("SELECT status FROM run WHERE kind = 'judge'")))
        assert run_row["status"] == "stopped"
        assert project.db.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_a_second_judge_on_the_same_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.errormap"
    run("import", path, SAMPLE, "--progress", "none")
    process = start("judge", path, *SHORT)
    wait_for_analyses(path, 1)
    assert run("judge", path, *SHORT) == 2
    assert "under way already" in capsys.readouterr().err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_the_entry_point_hands_commands_over(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "app.main"]
    done = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ErrorMap Studio ")
    done = subprocess.run([*words, "stats", str(tmp_path / "x.errormap")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "There is no such project." in done.stderr
    done = subprocess.run([*words, "stat"], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
