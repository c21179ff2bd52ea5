"""The commands about prompts: listing, filling in, keeping one from a file, choosing, removing."""

import json
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.judge.project_prompts import own_prompts, prompt_of
from errormap_core.judge.prompts import load_prompt
from errormap_core.project.store import Project
from tests.core.taxonomy.test_curation import make_project


@pytest.fixture
def made(tmp_path: Path) -> Path:
    project, _, _ = make_project(tmp_path / "p.errormap")
    project.close()
    return tmp_path / "p.errormap"


def run(*arguments: str | Path) -> int:
    return cli.main([*map(str, arguments), "--progress", "none"])


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_prompts_are_listed(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prompts", made) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    shipped = load_prompt()
    assert lines[0].split() == ["*", "full", "full", "shipped,", "analyse", "v2", shipped.sha256[:12], "0", "analyses"]
    assert run("prompts", made, "--json") == 0
    listed = said(capsys)
    assert [one["name"] for one in listed["prompts"] if one["is_chosen"]] == ["full"]
    assert listed["prompts"][0]["sha256"] == shipped.sha256


def test_a_prompt_goes_to_a_file_and_comes_back_as_an_own_one(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "terse.toml"
    assert run("prompt", made, "full", "--write", file) == 0
    text = file.read_text(encoding="utf-8")
    last = load_prompt().system.strip().split("\n")[-1]
    assert "You are a teacher who marks answers. " in last
    file.write_text(text.replace("You are a teacher who marks answers. ", ""), encoding="utf-8")
    assert run("prompt", made, "terse", "--edit", file, "--use") == 0
    out = capsys.readouterr().out
    assert "Saved the prompt “terse”." in out
    with Project.open(made) as project:
        assert prompt_of(project).name == "terse"
    assert run("prompt", made, "terse") == 0
    out = capsys.readouterr().out
    assert f"What it changes of analyse v2:\n- {last}\n" in out
    assert "<task>\nQuestion e00?\n</task>" in out
    assert run("prompt", made, "terse", "--edit", file) == 0
    assert "is so already" in capsys.readouterr().out
    assert run("undo", made) == 0
    assert run("undo", made) == 0
    with Project.open(made) as project:
        assert own_prompts(project) == {}
        assert prompt_of(project).id == "analyse"


def test_a_prompt_is_filled_in_for_a_record(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Project.open(made) as project:
        record_id = project.db.execute("SELECT id FROM record WHERE example_id = 'e07'").fetchone()[0]
    assert run("prompt", made, "quick", "--record", record_id, "--json") == 0
    numbers = said(capsys)
    assert numbers["record"] == record_id
    assert [message["role"] for message in numbers["messages"]] == ["system", "user"]
    assert "Answer e07." in numbers["messages"][1]["content"]
    assert numbers["difference"] == [] and not numbers["is_own"]
    assert numbers["characters"] / 5 < numbers["estimated_tokens"] < numbers["characters"] / 3
    assert run("prompt", made, "quick", "--record", "first", "--json") == 0
    assert "Answer e00." in said(capsys)["messages"][1]["content"]


def test_without_a_failure_its_texts_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Project.create(tmp_path / "empty.errormap").close()
    assert run("prompt", tmp_path / "empty.errormap", "full") == 0
    out = capsys.readouterr().out
    assert "No failure is there" in out
    assert "{text}" in out


def test_an_own_prompt_is_removed(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "terse.toml"
    file.write_text('system = "Find the mistake."', encoding="utf-8")
    run("prompt", made, "terse", "--edit", file, "--use")
    assert run("prompt", made, "terse", "--remove") == 0
    assert "stays" in capsys.readouterr().out
    with Project.open(made) as project:
        assert own_prompts(project) == {}
        assert prompt_of(project).id == "analyse"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prompt", "{made}", "tense"], "There is no prompt “tense” in this project."),
        (["prompt", "{made}", "full", "--record", "none"], "There is no record with the id none."),
        (["prompt", "{made}", "full", "--remove"], "no prompt “full” of its own"),
        (["prompt", "{made}", "full", "--edit", "{file}"], "is the name of a shipped prompt"),
        (["prompt", "{made}", "mine", "--edit", "{file}"], "system: This text is empty."),
        (["prompt", "{made}", "mine", "--edit", "{made}"], "no TOML file"),
        (["prompt", "{made}", "mine", "--edit", "{tmp}/none.toml"], "none.toml"),
        (["prompt", "{made}", "mine", "--use"], "There is no prompt “mine”"),
        (["prompt", "{made}", "full", "--remove", "--use"], "cannot be changed too"),
        (["prompt", "{made}", "full", "--write", "{tmp}/none/f.toml"], "There is no such folder."),
        (["prompt", "{made}", "mine", "--edit", "{file}", "--write", "{file}"], "The output is one of the inputs."),
        (["set", "{made}", "--set", "judge.prompt=tense"], "There is no prompt “tense”"),
        (["set", "{made}", "--set", "judge.own_prompts=1"], "cannot be set by hand"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_changes_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('system = " "', encoding="utf-8")
    assert run(*(a.format(made=made, file=file, tmp=tmp_path) for a in arguments)) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err
    with Project.open(made) as project:
        assert own_prompts(project) == {}
        assert project.undoable() is None


def test_set_chooses_a_prompt(made: Path) -> None:
    assert run("set", made, "--set", "judge.prompt=quick") == 0
    with Project.open(made) as project:
        assert prompt_of(project).profile == "quick"
