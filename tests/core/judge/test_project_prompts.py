"""A project's own prompts: kept by operations, checked before they are kept, and the results of each beside the others."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.judge.base import JudgeInfo, JudgeRequest
from errormap_core.judge.diagnose import run_parameters
from errormap_core.judge.own_prompt import FIELDS, SECTIONS, OwnPrompt, as_toml, difference, problems_of, shipped_of
from errormap_core.judge.project_prompts import (
    CHOSEN,
    MOST_NAME,
    OWN,
    choose_prompt,
    copy_of,
    earlier_prompts,
    listed_prompts,
    own_prompts,
    prompt_from_file,
    prompt_of,
    remove_prompt,
    rename_prompt,
    save_prompt,
)
from errormap_core.judge.prompts import Prompt, load_prompt
from errormap_core.project.check import check
from errormap_core.project.runs import end_run, start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import SetChoice
from tests.core.building import add_analyses, add_records

REQUEST = JudgeRequest("r", "What is 2 + 2?", "It is 5.", "4", ("Two and two is 4.",))


def saved(project: Project, annotator: str, name: str = "terse", **texts: str) -> OwnPrompt:
    own = dataclasses.replace(copy_of(project, load_prompt()), name=name)
    for key, text in (texts or {"system": "Find the mistake."}).items():
        own = own.with_text(key, text)
    save_prompt(project, own, actor=annotator)
    return own


def info_with(prompt: Prompt) -> JudgeInfo:
    """What a judge with this prompt says of itself; all else is the same."""
    needed = [field.name for field in dataclasses.fields(JudgeInfo) if field.default_factory is dataclasses.MISSING]
    values: dict[str, Any] = {**dict.fromkeys(needed, "same"), "prompt_id": prompt.id}
    return JudgeInfo(**{**values, "prompt_version": prompt.version, "prompt_sha256": prompt.sha256})


def test_a_project_begins_with_the_shipped_prompts(project: Project) -> None:
    assert [(listed.name, listed.is_own, listed.is_chosen) for listed in listed_prompts(project)] == [
        ("full", False, True),
        ("quick", False, False),
    ]
    assert prompt_of(project) == load_prompt("analyse")
    assert prompt_of(project, "quick") == load_prompt("quick")
    assert own_prompts(project) == {}


def test_an_own_prompt_is_kept_by_steps_that_are_undone(project: Project, annotator: str) -> None:
    own = saved(project, annotator)
    assert own_prompts(project) == {"terse": own}
    assert not save_prompt(project, own, actor=annotator), "nothing changed, so no step is taken"
    choose_prompt(project, "terse", actor=annotator)
    assert prompt_of(project).system == "Find the mistake."
    project.undo(actor=annotator)
    assert prompt_of(project).id == "analyse"
    project.undo(actor=annotator)
    assert own_prompts(project) == {}
    project.redo(actor=annotator)
    assert own_prompts(project) == {"terse": own}
    assert check(project, replay=True) == []


def test_another_process_sees_it(project: Project, annotator: str) -> None:
    own = saved(project, annotator)
    with Project.open(project.path, read_only=True) as other:
        assert own_prompts(other) == {"terse": own}


def test_its_hash_is_of_what_it_says(project: Project, annotator: str) -> None:
    own = saved(project, annotator)
    prompt = prompt_of(project, "terse")
    assert (prompt.id, prompt.profile, prompt.name) == ("own:terse", "full", "terse")
    assert len(prompt.sha256) == 64
    renamed = dataclasses.replace(own, name="brief").prompt()
    assert (renamed.sha256, renamed.version) == (prompt.sha256, prompt.version)
    for key in FIELDS:
        assert own.with_text(key, own.texts[key] + "!").prompt().sha256 != prompt.sha256
    assert dataclasses.replace(own, based_on="quick").prompt().sha256 != prompt.sha256


def test_a_copy_asks_the_same(project: Project) -> None:
    for shipped in (load_prompt("analyse"), load_prompt("quick")):
        own = copy_of(project, shipped)
        assert own.prompt().messages(REQUEST, max_criteria=3) == shipped.messages(REQUEST, max_criteria=3)
        assert own.prompt().profile == shipped.profile
        assert problems_of(own) == {}
        assert difference(own.prompt(), shipped_of(own)) == []


def test_a_copy_gets_a_name_that_is_free(project: Project, annotator: str) -> None:
    names = []
    for _ in range(3):
        own = copy_of(project, load_prompt())
        save_prompt(project, own, actor=annotator)
        names.append(own.name)
    assert names == ["full copy", "full copy 2", "full copy 3"]
    long = "x" * MOST_NAME
    saved(project, annotator, long)
    assert len(copy_of(project, prompt_of(project, long)).name) <= MOST_NAME
    assert copy_of(project, prompt_of(project, "full copy")).based_on == "analyse"


def test_renaming_keeps_it_chosen_in_one_step(project: Project, annotator: str) -> None:
    own = saved(project, annotator)
    choose_prompt(project, "terse", actor=annotator)
    rename_prompt(project, "terse", "brief", actor=annotator)
    assert list(own_prompts(project)) == ["brief"]
    assert prompt_of(project).name == "brief"
    project.undo(actor=annotator)
    assert own_prompts(project) == {"terse": own}
    assert prompt_of(project).name == "terse"
    rename_prompt(project, "terse", "Terse", actor=annotator)
    assert list(own_prompts(project)) == ["Terse"]


def test_removing_goes_back_to_the_shipped_one_in_one_step(project: Project, annotator: str) -> None:
    own = dataclasses.replace(copy_of(project, load_prompt("quick")), name="swift")
    save_prompt(project, own, actor=annotator)
    choose_prompt(project, "swift", actor=annotator)
    remove_prompt(project, "swift", actor=annotator)
    assert own_prompts(project) == {}
    assert prompt_of(project).id == "quick"
    project.undo(actor=annotator)
    assert prompt_of(project).name == "swift"
    with pytest.raises(KnownError, match="no prompt “full” of its own"):
        remove_prompt(project, "full", actor=annotator)


@pytest.mark.parametrize(
    ("key", "text", "where", "said"),
    [
        ("system", " \n", "system", "is empty"),
        ("system", "x" * 4001, "system", "4,001 characters"),
        ("system", "Name {n} things.", "system", r"put for {n}\. Here may stand: {max_criteria}"),
        ("system", "a\x07b", "system", "cannot be shown"),
        ("system", "a\ud800b", "system", "cannot be shown"),
        ("after", "Report {text}.", "after", r"put for {text}\. Here may stand: no placeholder"),
        ("input_text", "<t{fence}></t{fence}>", "sections.input_text", "{text} must stand here once"),
        ("input_text", "<t{fence}>{text}{text}</t{fence}>", "sections.input_text", "{text} must stand here once"),
        ("reference", "<t{fence}>{text}", "sections.reference", "{fence} must stand before {text} and after it"),
        ("output_text", "<w>{text}</w>", "sections.output_text", "{fence} must stand before"),
        ("correct_answer", "x" * 601, "sections.correct_answer", "601 characters"),
        ("empty_output", "{text}", "sections.empty_output", "put for {text}"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    project: Project, annotator: str, key: str, text: str, where: str, said: str
) -> None:
    own = copy_of(project, load_prompt()).with_text(key, text)
    assert list(problems_of(own)) == [key]
    with pytest.raises(KnownError, match=said) as caught:
        save_prompt(project, own, actor=annotator)
    assert caught.value.where == where
    assert own_prompts(project) == {}


def test_braces_that_are_no_placeholder_are_text(project: Project) -> None:
    own = copy_of(project, load_prompt()).with_text("system", 'Fields: {"a": 1}, { b }, {} and {max_criteria}.')
    assert problems_of(own) == {}
    content = own.prompt().messages(REQUEST, max_criteria=3)[0]["content"]
    assert content == 'Fields: {"a": 1}, { b }, {} and 3.'


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "needs a name"),
        (" a", "without blanks around"),
        ("full", "name of a shipped prompt"),
        ("Quick", "name of a shipped prompt"),
        ("analyse", "name of a shipped prompt"),
        ("x" * 41, "41 characters"),
        ("a\nb\x00", "cannot be the name"),
        ("-x", "cannot be the name"),
        ("TERSE", "has a prompt “TERSE” already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(project: Project, annotator: str, name: str, said: str) -> None:
    saved(project, annotator)
    other = saved(project, annotator, "other")
    with pytest.raises(KnownError, match=said) as caught:
        rename_prompt(project, "other", name, actor=annotator)
    assert caught.value.where == "name"
    with pytest.raises(KnownError, match=said):
        save_prompt(project, dataclasses.replace(other, name=name), actor=annotator)
    assert list(own_prompts(project)) == ["other", "terse"]


def test_a_prompt_that_is_not_there_is_told_with_those_that_are(project: Project, annotator: str) -> None:
    saved(project, annotator)
    for call in (lambda: prompt_of(project, "tense"), lambda: choose_prompt(project, "tense", actor=annotator)):
        with pytest.raises(KnownError, match=r"no prompt “tense”.*full, quick, terse"):
            call()
    project.apply(SetChoice(key=CHOSEN, value="gone"), actor=annotator)
    with pytest.raises(KnownError, match="no prompt “gone”"):
        prompt_of(project)


def test_what_another_program_left_does_no_harm(project: Project, annotator: str) -> None:
    own = saved(project, annotator)
    good = own.to_json()
    for bad in (
        None,
        3,
        {},
        {**good, "based_on": ["analyse"]},
        {**good, "based_on": "later"},
        {**good, "system": 3},
        {**good, "sections": {}},
        {**good, "sections": "x"},
        {**good, "version_of_base": "2"},
    ):
        project.apply(SetChoice(key=OWN, value={"terse": good, "bad": bad}), actor=annotator)
        assert list(own_prompts(project)) == ["terse"]
        assert len(listed_prompts(project)) == 3
    project.apply(SetChoice(key=OWN, value=[1]), actor=annotator)
    assert own_prompts(project) == {}
    broken = {**good, "system": ""}
    project.apply(SetChoice(key=OWN, value={"terse": broken}), actor=annotator)
    with pytest.raises(KnownError, match="is empty"):
        prompt_of(project, "terse")


def test_a_base_that_this_program_has_not_is_compared_with_the_one_that_it_uses(project: Project) -> None:
    own = copy_of(project, load_prompt("analyse", 1))
    assert shipped_of(own).version == 1
    assert shipped_of(dataclasses.replace(own, version_of_base=99)).version == load_prompt().version


def test_the_difference_marks_lines(project: Project) -> None:
    shipped = load_prompt()
    *rest, last = shipped.system.strip().split("\n")
    system = "\n".join([*rest, last + " Be brief."])
    own = copy_of(project, shipped).with_text("system", system).with_text("after", "Go.")
    lines = difference(own.prompt(), shipped)
    assert [line for line in lines if line[0] in "+-"] == [
        f"- {last}",
        f"+ {last} Be brief.",
        f"- {shipped.after.strip()}",
        "+ Go.",
    ]
    assert "  [Instructions]" in lines
    assert all(line[:2] in ("+ ", "- ", "  ") for line in lines)


def test_each_wording_is_a_run_of_its_own_and_the_results_of_all_are_kept(project: Project, annotator: str) -> None:
    ids = add_records(project, [{"example_id": f"e{i}"} for i in range(4)])
    own = saved(project, annotator)
    shipped_prompt, own_prompt = load_prompt(), own.prompt()
    edited_prompt = own.with_text("system", "Find the first mistake.").prompt()
    runs = []
    for prompt in (shipped_prompt, own_prompt, edited_prompt):
        parameters = run_parameters(info_with(prompt), max_references=3)
        with project.writing() as db:
            run_id = start_run(db, "judge", prompt.id, parameters)
            assert start_run(db, "judge", prompt.id, parameters) == run_id, "the same wording goes on with the same run"
            end_run(db, run_id, "finished")
        runs.append(run_id)
    assert len(set(runs)) == 3
    for n, run_id in enumerate(runs):
        _add(project, run_id, ids[: n + 1])
    counted = {listed.name: listed.n_analyses for listed in listed_prompts(project)}
    assert counted == {"full": 1, "quick": 0, "terse": 2}
    [earlier] = earlier_prompts(project)
    assert (earlier.id, earlier.sha256, earlier.n_analyses) == ("own:terse", edited_prompt.sha256, 3)
    remove_prompt(project, "terse", actor=annotator)
    assert {e.n_analyses for e in earlier_prompts(project)} == {2, 3}, "what was made with it stays"


def _add(project: Project, run_id: str, record_ids: list[str]) -> None:
    with project.writing() as db:
        for record_id in record_ids:
            record_hash = db.execute("SELECT content_hash FROM record WHERE id = ?", [record_id]).fetchone()[0]
            db.execute(
                """INSERT INTO analysis (id, record_id, source_id, record_hash, verdict, required_criteria, error_title,
                error_summary, details, created_at) VALUES (?, ?, ?, ?, 'error', '[]', 't', 's', '{}', '2026')""",
                [content_id("analysis", record_id, run_id), record_id, run_id, record_hash],
            )


def test_runs_that_tell_of_no_prompt_are_no_prompt(project: Project) -> None:
    ids = add_records(project, [{"example_id": "e"}])
    add_analyses(project, {ids[0]: "Error"})
    assert earlier_prompts(project) == []


def test_a_file_makes_a_prompt_and_is_made_of_one(project: Project, annotator: str, tmp_path: Path) -> None:
    own = copy_of(project, load_prompt("quick")).with_text("system", 'Say \\ and """ and "\nplainly. {max_criteria}')
    path = tmp_path / "p.toml"
    path.write_text(as_toml(own.prompt()), encoding="utf-8")
    assert prompt_from_file(project, own.name, path) == own
    path.write_text('system = "Find it."', encoding="utf-8")
    made = prompt_from_file(project, "new", path)
    assert (made.name, made.system, made.based_on) == ("new", "Find it.", "analyse")
    assert made.after == load_prompt().after.strip()
    saved(project, annotator, "terse", after="Go.")
    assert prompt_from_file(project, "terse", path).after == "Go.", "what the file lacks is as it was"
    assert list(own_prompts(project)) == ["terse"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"system = ", "no TOML file"),
        (b"\xff", "no TOML file"),
        (b'based_on = "poem"', "“poem” is no prompt to begin with"),
        (b"based_on = []", "is no prompt to begin with"),
        (b"system = 3", "system: It must be a text"),
        (b'sytem = "a"', "Nothing is known of sytem"),
        (b'sections = "a"', "must be a table"),
        (b'[sections]\nmore = "a"', "Nothing is known of sections.more"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused(project: Project, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(KnownError, match=said):
        prompt_from_file(project, "p", path)


def test_every_text_has_a_name_and_the_shipped_prompts_have_them_all() -> None:
    assert set(SECTIONS) < set(FIELDS)
    for prompt in (load_prompt("analyse"), load_prompt("quick"), load_prompt("analyse", 1)):
        assert set(prompt.sections) == set(SECTIONS)


def test_lists_are_json(project: Project, annotator: str) -> None:
    saved(project, annotator)
    listed: list[dict[str, Any]] = json.loads(json.dumps([one.to_json() for one in listed_prompts(project)]))
    assert [one["name"] for one in listed] == ["full", "quick", "terse"]
    assert listed[2]["sha256"] == own_prompts(project)["terse"].prompt().sha256
