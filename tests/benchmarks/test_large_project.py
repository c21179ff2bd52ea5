"""The benchmark of a project of many failures, with few."""

import json

import pytest

from benchmarks.proposals import main


def test_what_a_project_costs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--synthetic", "400", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["n"], said["n_titles"]) == (400, 120)
    assert said["proposals"] > 0
    stages = {"propose", "first_questions", "questions_after_an_answer", "accept_all", "propose_repairs"}
    assert set(said["seconds"]) == set(said["longest_without_asking_s"]) == stages
    assert said["cpu_s"] == pytest.approx(sum(said["seconds"].values()), abs=0.2)
    assert said["before_mib"] <= said["peak_mib"]
    for when in ("before", "with_proposals", "all_placed", "with_repairs"):
        assert set(said["edit_ms"][when]) == {"add", "rename", "place", "move", "merge", "undo"}
        assert min(said["edit_ms"][when].values()) > 0
