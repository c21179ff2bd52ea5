"""Shortening: what comes back fits, keeps beginning and end, and says what is missing; nothing else is changed."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.evidence import find_evidence
from errormap_core.judge.shortening import GAP, LEAST_CHARACTERS, Shortening, shortened, size_of

TEXTS = st.one_of(
    st.text(max_size=400),
    st.text("ab \n", max_size=2000),
    st.text("e\u0301\u0300\u200d👩\ufe0f", max_size=2000),
    st.lists(st.text("word", min_size=1, max_size=8), max_size=300).map(" ".join),
)
REQUESTS = st.builds(
    JudgeRequest,
    record_id=st.just("r"),
    input_text=TEXTS,
    output_text=TEXTS,
    correct_answer=st.none() | TEXTS,
    references=st.lists(TEXTS, max_size=3).map(tuple),
    record_hash=st.just("h"),
)


def words(n: int, word: str = "word") -> str:
    return " ".join(f"{word}{i}" for i in range(n))


@given(request=REQUESTS, most=st.integers(LEAST_CHARACTERS, 3000))
def test_what_comes_back_fits_and_says_what_is_missing(request: JudgeRequest, most: int) -> None:
    shown, shortening = shortened(request, most)
    assert size_of(shown) <= most
    assert (shown.record_id, shown.record_hash) == (request.record_id, request.record_hash)
    assert shown.references == request.references[: len(request.references) - shortening.references]
    assert (shown.correct_answer is None) == (request.correct_answer is None)
    for name in ("input_text", "correct_answer", "output_text"):
        whole, part = getattr(request, name) or "", getattr(shown, name) or ""
        n = shortening.left_out.get(name, 0)
        if not n:
            assert part == whole
            continue
        head, mark, tail = part.partition(f"\n[… {n:,} characters left out …]\n")
        assert mark
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert len(head) + len(tail) + n == len(whole)
    assert len(shown.output_text) >= min(len(request.output_text), most // 2 - 120), "the answer keeps half of the room"
    assert shortening.is_shortened == (shown != request)
    assert Shortening.from_json(json.loads(json.dumps(shortening.to_json()))).to_json() == shortening.to_json()


@given(request=REQUESTS, most=st.integers(LEAST_CHARACTERS, 3000))
def test_evidence_can_be_quoted_of_what_is_shown_alone(request: JudgeRequest, most: int) -> None:
    shown, shortening = shortened(request, most)
    n = shortening.left_out.get("output_text", 0)
    assert shortening.source == shown.output_text.replace(f"\n[… {n:,} characters left out …]\n", GAP)
    for part in shortening.parts:
        assert part in request.output_text


def test_a_record_that_fits_stays_as_it_is() -> None:
    request = JudgeRequest("r", "task", "answer", "correct", ("reference",))
    assert shortened(request, LEAST_CHARACTERS)[0] is request
    said = shortened(request, LEAST_CHARACTERS)[1]
    assert (said.is_shortened, said.to_json(), said.source) == (False, {}, "answer")
    assert str(said.sentence()) == "The judge was shown the whole record."


def test_references_go_first_and_the_last_of_them_before_the_others() -> None:
    request = JudgeRequest("r", "t" * 100, "a" * 100, "c" * 100, ("1" * 100, "2" * 100, "3" * 10))
    assert shortened(request, 505)[0].references == ("1" * 100, "2" * 100)
    assert shortened(request, 500)[0].references == ("1" * 100, "2" * 100)
    assert shortened(request, 499)[0].references == ("1" * 100,)
    shown, said = shortened(request, 300)
    assert (shown.references, said.to_json()) == ((), {"references": 3})
    assert (shown.input_text, shown.output_text, shown.correct_answer) == ("t" * 100, "a" * 100, "c" * 100)


def test_the_longer_of_task_and_correct_answer_is_cut_first() -> None:
    request = JudgeRequest("r", words(500), words(40), words(20))
    shown, said = shortened(request, size_of(request) - 500)
    assert set(said.left_out) == {"input_text"}
    assert shown.correct_answer == request.correct_answer
    shown, said = shortened(JudgeRequest("r", words(300), words(40), words(290)), 1500)
    assert set(said.left_out) == {"input_text", "correct_answer"}
    assert abs(len(shown.input_text) - len(shown.correct_answer or "")) < 80


def test_the_wrong_answer_is_cut_last_and_keeps_half() -> None:
    request = JudgeRequest("r", words(60), words(5000), words(60))
    shown, said = shortened(request, 4000)
    assert set(said.left_out) == {"output_text"}
    assert shown.input_text == request.input_text
    shown, said = shortened(JudgeRequest("r", words(5000), words(5000), words(5000)), 4000)
    assert set(said.left_out) == {"input_text", "correct_answer", "output_text"}
    assert 1900 < len(shown.output_text) < 2080, "and what the others did not use"


def test_a_cut_keeps_twice_as_much_of_the_beginning_at_word_borders() -> None:
    request = JudgeRequest("r", "", words(2000))
    shown, said = shortened(request, 1000)
    head, tail = said.parts
    assert request.output_text.startswith(head + " ")
    assert request.output_text.endswith(" " + tail)
    assert 1.8 < len(head) / len(tail) < 2.2
    assert len(shown.output_text) > 940
    n = said.left_out["output_text"]
    assert str(said.sentence()) == f"The judge was not shown: {n:,} characters of the wrong answer."


def test_no_character_is_taken_apart() -> None:
    text = "e\u0301" * 2000
    _, said = shortened(JudgeRequest("r", "", text), 500)
    head, tail = said.parts
    assert head.endswith("\u0301") and tail.startswith("e")
    family = "👩\u200d👩\u200d👧" * 500
    _, said = shortened(JudgeRequest("r", "", family), 500)
    assert not said.parts[0].endswith("\u200d") and not said.parts[1].startswith("\u200d")


def test_no_quote_goes_over_the_gap() -> None:
    _, said = shortened(JudgeRequest("r", "", words(2000)), 1000)
    across = f"{said.parts[0].split()[-1]} {said.parts[1].split()[0]}"
    assert find_evidence(said.source, across) == []


def test_huge_texts_are_fast() -> None:
    text = "x" * 10_000_000
    started = time.process_time()
    shown, _ = shortened(JudgeRequest("r", text, text, text, (text,) * 3), 10_000)
    assert size_of(shown) <= 10_000
    assert time.process_time() - started < 1


def test_a_room_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="less than 200"):
        shortened(JudgeRequest("r", "t", "a"), LEAST_CHARACTERS - 1)


def test_what_was_stored_is_read_with_care() -> None:
    said = Shortening.from_json({"references": 2, "output_text": 1234, "unknown": 5, "input_text": "many"})
    assert str(said.sentence()) == "The judge was not shown: 2 references; 1,234 characters of the wrong answer."
    assert not Shortening.from_json(None).is_shortened
    assert not Shortening.from_json([]).is_shortened
