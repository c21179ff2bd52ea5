"""Sentences about one thing: one failure, from its import to the check of the project, by the commands that people type."""

import re
from pathlib import Path

import pytest

from errormap_core.cli import main
from errormap_core.project.store import Project
from errormap_core.taxonomy.draft import Effect
from errormap_core.taxonomy.operations import AddCategory
from tests.core.building import add_analyses

ONE_OF_MANY = re.compile(
    r"(?<![\d.,/:])1 (failures|proposals|repairs|records|rows|others|decisions|categories|subcategories|analyses|steps|questions"
    r"|examples|moves|fields)\b"
)


def test_one_failure_is_one_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.csv"
    results.write_text("example_id,model,input_text,output_text,score\ne1,m,What is 1 + 1?,3,0\n", encoding="utf-8")
    path = tmp_path / "one.errormap"
    said: list[str] = []

    def run(*words: object) -> None:
        assert main([*map(str, words), "--progress", "none"]) == 0
        said.append(capsys.readouterr().out)

    run("import", path, results)
    with Project.open(path) as project:
        (record_id,) = project.db.execute("SELECT id FROM record").fetchone()
        add_analyses(project, {record_id: "Wrong sum"})
        project.apply(AddCategory(name="Sums"), actor=project.annotator("Ann Bee"))
    run("stats", path)
    run("propose", path, "--limit", "9")
    run("queue", path)
    run("classify", path)
    run("propose", path)
    run("accept", path, "--all")
    run("check", path, "--replay")
    run("stats", path)
    text = "\n".join(said)
    assert "1 failure" in text
    assert "1 proposal for 1 failure." in text
    assert "1 row," in text
    assert "is not known: 1 failure is left that no person placed, too few to find out." in text
    assert ONE_OF_MANY.search(text) is None, ONE_OF_MANY.findall(text)


def test_one_that_comes_and_one_that_goes_along() -> None:
    effect = Effect(n_categories_along=1, n_failures_along=1, failures_come=1, failures_go=1)
    said = " ".join(map(str, effect.sentences()))
    assert "1 subcategory with 1 failure goes along." in said
    assert "1 failure comes, 1 goes." in said
    assert ONE_OF_MANY.search(said) is None
    many = " ".join(map(str, Effect(n_categories_along=2, n_failures_along=3, failures_come=4).sentences()))
    assert "2 subcategories with 3 failures go along." in many
    assert "4 failures come, 0 go." in many
