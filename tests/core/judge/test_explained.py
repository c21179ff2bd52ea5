"""'Why this': the prompt is put together again as it was, or it is said that it cannot be; the rest is what was stored."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from errormap_core.errors import KnownError
from errormap_core.judge.explained import Explanation, explain
from errormap_core.judge.llama_judge import prompt_hash
from errormap_core.judge.own_prompt import OwnPrompt, begin_with
from errormap_core.judge.project_prompts import remove_prompt, save_prompt
from errormap_core.judge.prompts import Prompt, load_prompt
from errormap_core.judge.shortening import shortened
from errormap_core.project import counting, judging
from errormap_core.project.runs import start_run
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import WriteAnalysis
from tests.core.building import add_records
from tests.core.project.test_judge_runs import ANALYSIS

LONG = " ".join(f"word{i}" for i in range(400))


@pytest.fixture
def records(project: Project) -> list[str]:
    """A failure, and another model's answer to the same question that passed."""
    rows: list[Mapping[str, Any]] = [
        {"example_id": "e", "model": "bad", "output_text": f"So it is {LONG}.", "correct_answer": "42"},
        {"example_id": "e", "model": "good", "score": 1.0, "output_text": "Six times seven is what was asked: 42."},
    ]
    return add_records(project, rows)


def analysed(
    project: Project, record_id: str, prompt: Prompt, *, room: int | None = None, of: Mapping[str, Any] | None = None,
    **details: Any,
) -> str:  # fmt: skip
    """The id of an analysis as a judge with this prompt would have made it, shown the record in so many characters."""
    parameters = {
        "model": {"name": "m.gguf", "sha256": "ab" * 32},
        "prompt": {"id": prompt.id, "version": prompt.version, "sha256": prompt.sha256},
        "answer": {"max_criteria": 3, "error_title": 80},
        "temperature": 0.5,
        "seed": 7,
        "context": 4096,
        "max_references": 2,
        **(of or {}),
    }
    with project.writing() as db:
        run_id = start_run(db, "judge", f"m, {prompt.id}", parameters)
        request = judging.request_for(db, record_id, max_references=2)
        shown, shortening = (request, None) if room is None else shortened(request, room)
        stored = {
            "prompt_tokens": 1200, "reused_tokens": 800, "completion_tokens": 90, "fed_tokens": 40, "seconds": 3.25,
            "threads": 2, "library": "llama-cpp-python 0.3.36", "text": '{"verdict": "error"}',
            "prompt_hash": prompt_hash(prompt.messages(shown, max_criteria=3)),
        }  # fmt: skip
        if shortening is not None:
            stored["shortened"] = shortening.to_json()
        stored = {key: value for key, value in {**stored, **details}.items() if value is not None}
        key = judging.save_analysis(db, run_id, request, ANALYSIS, details=stored)
        counting.refresh(db)
    return key


def facts(found: Explanation) -> dict[str, str]:
    return {str(title): text for title, text in found.facts}


@pytest.mark.parametrize(("prompt_id", "version"), [("analyse", 1), ("analyse", 2), ("quick", 1)])
def test_the_prompt_as_it_was(project: Project, records: list[str], prompt_id: str, version: int) -> None:
    found = explain(project, analysed(project, records[0], load_prompt(prompt_id, version), thinking="Hm."))
    assert (found.prompt_state, found.shortened, found.is_by_judge) == ("same", None, True)
    assert [message["role"] for message in found.prompt] == ["system", "user"]
    assert "Six times seven" in found.prompt[1]["content"] and LONG in found.prompt[1]["content"]
    assert (found.answer, found.thinking) == ('{"verdict": "error"}', "Hm.")
    said = facts(found)
    assert said["Model file"] == "m.gguf" and said["SHA-256 of the model"] == "ab" * 32
    assert (said["Seed"], said["Temperature"], said["Threads"]) == ("7", "0.5", "2")
    assert said["Prompt"] == f"{prompt_id}, version {version}"
    assert said["Other parameters"] == ("answer.error_title 80, answer.max_criteria 3, context 4096, max_references 2")
    assert said["Tokens"] == (
        "1,200 read (of these 800 kept from another record), 90 written (and 40 given by the form)"
    )
    assert said["Time"] == "3.2 s"
    text = str(found)
    for part in ("m.gguf", "word for word", LONG, "Thinking:\nHm.", 'Answer:\n{"verdict": "error"}'):
        assert part in text


@pytest.mark.parametrize("room", [300, 700, 1500, 2800, 3120])
def test_a_shortened_prompt_is_shortened_again_in_the_same_way(project: Project, records: list[str], room: int) -> None:
    found = explain(project, analysed(project, records[0], load_prompt(), room=room))
    assert found.prompt_state == "same"
    assert found.shortened is not None and "The judge was not shown" in str(found.shortened)
    assert "Six times seven" not in found.prompt[1]["content"], "the reference is the first to be left out"


def test_what_is_missing_cannot_be_made_up(project: Project, records: list[str]) -> None:
    found = explain(project, analysed(project, records[0], load_prompt(), shortened={"output_text": 1}))
    assert (found.prompt_state, "less than this" in str(found.prompt_note)) == ("differs", True)
    assert LONG in found.prompt[1]["content"]


def test_a_prompt_that_is_another_today(project: Project, records: list[str]) -> None:
    key = analysed(project, records[0], load_prompt())
    assert explain(project, key).prompt_state == "same"
    add_records(
        project,
        [{"example_id": "e", "model": "late", "score": 1.0, "output_text": "Seven and again seven, six times over."}],
    )
    found = explain(project, key)
    assert (found.prompt_state, "another prompt" in str(found.prompt_note)) == ("differs", True)
    assert "again seven" in found.prompt[1]["content"]


def test_without_a_hash_nobody_knows(project: Project, records: list[str]) -> None:
    assert explain(project, analysed(project, records[0], load_prompt(), prompt_hash=None)).prompt_state == "unchecked"


def test_wordings_that_are_not_there(project: Project, records: list[str]) -> None:
    gone = replace(load_prompt(), version=99)
    changed = replace(load_prompt(), sha256="0" * 64)
    nameless = analysed(project, records[0], load_prompt(), of={"prompt": "analyse"})
    keys = [analysed(project, records[0], prompt) for prompt in (gone, changed)]
    for key in (*keys, nameless):
        found = explain(project, key)
        assert (found.prompt_state, found.prompt) == ("missing", ())
        assert "does not have the wording" in str(found)


def test_a_replaced_record(project: Project, records: list[str]) -> None:
    key = analysed(project, records[0], load_prompt())
    with project.writing() as db:
        db.execute("UPDATE record SET content_hash = 'other' WHERE id = ?", [records[0]])
    assert "replaced since" in str(explain(project, key).prompt_note)


def test_an_own_prompt_is_known_also_when_it_was_changed_and_taken_away(
    project: Project, records: list[str], annotator: str
) -> None:
    own: OwnPrompt = replace(begin_with(load_prompt(), "mine"), system="Find at most {max_criteria} mistakes.")
    save_prompt(project, own, actor=annotator)
    key = analysed(project, records[0], own.prompt())
    assert explain(project, key).prompt_state == "same"
    save_prompt(project, replace(own, system="Find one."), actor=annotator)
    assert explain(project, key).prompt_state == "same"
    remove_prompt(project, "mine", actor=annotator)
    found = explain(project, key)
    assert found.prompt_state == "same"
    assert found.prompt[0]["content"] == "Find at most 3 mistakes."


def test_a_person_wrote_it(project: Project, records: list[str], annotator: str) -> None:
    op = WriteAnalysis(record_id=records[0], verdict="error", error_title="Mine", error_summary="So.")
    project.apply(op, actor=annotator)
    [key] = project.db.execute("SELECT id FROM analysis").fetchone()
    found = explain(project, key)
    assert (found.is_by_judge, found.prompt_state, found.source_name) == (False, "none", "Ann Bee")
    assert facts(found)["Written by"] == "Ann Bee"
    assert "Prompt" not in str(found)


def test_an_old_analysis_says_what_it_knows(project: Project, records: list[str]) -> None:
    with project.writing() as db:
        run_id = start_run(db, "judge", "old", {"name": "old"})
        request = judging.request_for(db, records[0], max_references=0)
        key = judging.save_analysis(db, run_id, request, ANALYSIS, details={"prompt_tokens": 5, "completion_tokens": 2})
    found = explain(project, key)
    assert facts(found)["Tokens"] == "5 read, 2 written"
    assert (found.prompt_state, found.answer) == ("missing", "")
    with pytest.raises(KnownError, match="no analysis"):
        explain(project, "none")
