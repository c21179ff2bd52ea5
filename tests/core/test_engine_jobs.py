"""The commands that need an engine, with the real embedded model: estimate, only, try, tune."""

import json
from pathlib import Path
from typing import Any

import pytest

from errormap_core import cli
from errormap_core.project.store import Project
from tests.core.building import add_records


@pytest.fixture
def ids(project: Project) -> list[str]:
    rows = [{"example_id": f"e{n}", "input_text": f"What is {n} + 2?", "output_text": f"It is {n}."} for n in range(3)]
    return add_records(project, rows)


def call(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert cli.main([*arguments, "--json", "--progress", "none"]) == code
    out = capsys.readouterr().out
    data: dict[str, Any] = json.loads(out)
    return data


def test_the_estimate_analyses_nothing(project: Project, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "judge", str(project.path), "--estimate", "--prompt", "quick", "--limit", "2")
    assert found["estimate"]["n"] == 2
    assert "2 failures" in found["sentence"]
    assert project.db.execute("SELECT count(*) FROM analysis").fetchone() == (0,)


def test_just_one_record_is_analysed_at_once(
    project: Project, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = call(capsys, "judge", str(project.path), "--only", ids[1], "--prompt", "quick")
    assert found["analysed"] == 1
    assert found["judge"]["prompt_id"] == "quick"
    assert project.db.execute("SELECT record_id FROM analysis").fetchall() == [(ids[1],)]


def test_trying_keeps_nothing(project: Project, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "try", str(project.path), "--record", ids[2], "--prompt", "quick")
    assert found["record"] == ids[2]
    assert found["analysis"]["error_title"] and found["prompt_tokens"] > 50
    assert project.db.execute("SELECT count(*) FROM analysis").fetchone() == (0,)
    assert project.db.execute("SELECT count(*) FROM run WHERE kind = 'judge'").fetchone() == (0,)


def test_a_record_that_is_none_is_told(project: Project, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "try", str(project.path), "--record", "nonesuch", code=2)
    assert "There is no record with the id" in json.dumps(found)


def test_how_a_model_runs_is_measured_once_and_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = call(capsys, "tune")
    again = call(capsys, "tune")
    assert again["measured_at"] == first["measured_at"]
    assert again["prefill_tokens_per_s"] > 1
    missing = call(capsys, "tune", "--model", str(tmp_path / "none.gguf"), code=2)
    assert "none.gguf" in json.dumps(missing)
