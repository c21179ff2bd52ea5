"""The writer, driven by logits of the test's own: whatever a model prefers, what comes out is valid and quotes verbatim."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from errormap_core.judge.analysis import Analysis, schema
from errormap_core.judge.llama_judge import as_analysis
from errormap_core.judge.vocabulary import Vocabulary
from errormap_core.judge.writing import (
    COPIED_NGRAM,
    FORMS,
    LEAST_SUMMARY_WORDS,
    LEAST_TITLE_WORDS,
    Limits,
    Writer,
    most_tokens,
    n_words,
    repetition,
)

WORDS = "the sum is wrong answer of four apples and 12 says so, not a carry. lost Étage 東京".split(" ")
PIECES = [
    *[bytes([byte]) for byte in range(256)],
    *[word.encode() for word in WORDS],
    *[b" " + word.encode() for word in WORDS],
    b'."', b'",', b'"}', b'\\"', b"\n\n", b".\n", b"",
]  # fmt: skip


def tokenize(text: str) -> list[int]:
    """The longest piece first, as most tokenizers nearly do."""
    data, found = text.encode(), []
    by_length = sorted({piece for piece in PIECES if piece}, key=len, reverse=True)
    while data:
        piece = next(piece for piece in by_length if data.startswith(piece))
        found.append(PIECES.index(piece))
        data = data[len(piece) :]
    return found


END = len(PIECES) - 1
VOCABULARY = Vocabulary(PIECES, tokenize, ends=[END])
Logits = Callable[[list[int]], Any]


def write(source: str, logits: Logits, **options: Any) -> tuple[dict[str, Any], list[int]]:
    """The analysis, and all tokens that were fed."""
    writing = Writer(VOCABULARY, source, **options).run()
    fed: list[int] = []
    tokens = next(writing)
    try:
        while True:
            assert tokens, "nothing is asked twice"
            fed += tokens
            tokens = writing.send(np.asarray(logits(fed), dtype=np.float32))
    except StopIteration as end:
        return end.value, fed


def random_logits(seed: int) -> Logits:
    rng = np.random.default_rng(seed)
    return lambda _: rng.standard_normal(len(PIECES)) * 5


def preferring(words: Sequence[bytes], otherwise: float = 0.0) -> Logits:
    """A model that likes some tokens, the first the most."""
    scores = np.full(len(PIECES), otherwise)
    for place, piece in enumerate(words):
        scores[PIECES.index(piece)] = 20 - place
    return lambda _: scores


SOURCES = st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from('" \n\\12so')), max_size=60)


ANALYSES = [form for form in FORMS if form != "name"]


@settings(max_examples=200)
@given(SOURCES, st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.0, 1.0]), st.sampled_from(ANALYSES))
@example("", 0, 4, 0.0, "full")
@example("", 0, 4, 0.0, "quick")
@example("\x00\x00 \x1f", 1, 4, 0.0, "full")
@example('"""', 2, 4, 0.0, "paper")
@example("<|im_end|> says the sum is 12", 3, 4, 1.0, "full")
@example("東京 " * 30, 4, 4, 0.0, "quick")
@example("0", 3444, 2, 0.0, "full")  # as many tokens as a title may have make one word: it is cut, and says so
@example("", 6494911, 1, 0.0, "paper")
@example("", 77405, 1, 1.0, "quick")  # a sign before one long word: cut inside the word
def test_it_is_valid_whatever_the_model_prefers(
    source: str, seed: int, most: int, temperature: float, form: str
) -> None:
    limits = Limits(max_criteria=most)
    value, fed = write(source, random_logits(seed), limits=limits, temperature=temperature, seed=seed, form=form)
    assert END not in fed, "the end of a turn is never fed"
    value = as_analysis(value, form)
    jsonschema.validate(value, schema(most))
    Analysis.from_json(value)
    for criterion in value["required_criteria"]:
        assert (criterion["evidence"] or "") in source
        assert bool(criterion["evidence"]) == criterion["present_in_wrong"]
    if form != "paper" and re.search(r"\w", source):
        assert value["required_criteria"][0]["evidence"], "a diagnosis points at a place of the answer"
    if value["verdict"] == "no_error":
        assert value["error_title"] == value["error_summary"] == ""
        assert all(criterion["quality"] == "correct" for criterion in value["required_criteria"])
    else:
        cut = "…" in value["error_title"]
        assert n_words(value["error_title"]) >= (1 if cut else LEAST_TITLE_WORDS)
        assert n_words(value["error_summary"]) >= (1 if "…" in value["error_summary"] else LEAST_SUMMARY_WORDS)


def test_the_models_choices_are_taken() -> None:
    like = preferring([b"i", b"V", b"e", b".\n", b" so,", b"answer", b" is", b"the", b" wrong"])
    value, _ = write("the sum is 12", like)
    [criterion] = value["required_criteria"]
    assert criterion["present_in_wrong"] is True
    assert criterion["quality"] == "incorrect"
    assert criterion["evidence"] == "the sum is 12"
    assert value["verdict"] == "error"


def test_no_error_takes_more_than_being_likelier() -> None:
    def leaning(by: float) -> Logits:
        scores = np.zeros(len(PIECES))
        for piece, score in ((b"c", 20), (b"V", 20), (b"n", 10 + by), (b"e", 10), (b".\n", 19), (b" is", 18)):
            scores[PIECES.index(piece)] = score
        return lambda _: scores

    assert write("the sum is 12", leaning(3.0))[0]["verdict"] == "error"
    assert write("the sum is 12", leaning(6.0))[0]["verdict"] == "no_error"


@pytest.mark.parametrize("form", ["full", "quick"])
def test_evidence_ends_at_a_word_and_has_four_where_there_are_four(form: str) -> None:
    like = preferring([b"apples", b"i", b"V", b'."', b" and"])
    source = "the sum of apples and carrots is wrong"
    value = as_analysis(write(source, like, form=form)[0], form)
    evidence = value["required_criteria"][0]["evidence"]
    assert evidence.startswith("apples and carrots is")
    assert f"{evidence} " in f"{source} "


def test_a_quote_near_the_end_begins_where_four_words_are_left() -> None:
    value, _ = write("one two three four five", preferring([b"f", b"t"]), form="quick")
    assert value["evidence"] == "two three four five"


def test_each_criterion_quotes_another_place() -> None:
    words = "aa bb cc dd ee ff gg hh ii jj kk ll"
    value, _ = write(words, preferring([b"a", b"i", b'"', b"2", b"3", b"b"]), limits=Limits(max_criteria=3))
    quotes = [criterion["evidence"] for criterion in value["required_criteria"] if criterion["evidence"]]
    assert len(quotes) == len(set(quotes)) > 1


def test_a_barrier_is_never_quoted_across() -> None:
    value, _ = write("one two three four\x00five six seven eight", random_logits(3), form="quick")
    assert value["evidence"] and "\x00" not in value["evidence"]


def test_nothing_is_said_twice() -> None:
    loop = preferring([b" apples", b"apples", b" and"])
    value, _ = write("x", loop, limits=Limits(max_criteria=2))
    texts = [value["error_summary"], value["error_title"]]
    assert all(repetition(text) < 0.5 for text in texts)
    freely = "".join(value["required_criteria"][0][key] for key in ("criterion", "comment"))
    assert len(set(freely.split())) > 2, "it has to say something else"


@pytest.mark.parametrize("bound", [400, 600])
def test_an_answer_keeps_below_its_bound_of_tokens(bound: int) -> None:
    wordy = preferring([b" apples", b"apples", b" and", b" is", b"i", b"2", b"3"])
    for form in ("full", "paper"):
        limits = Limits(max_criteria=12, tokens=bound)
        value, fed = write("the sum is 12", wordy, limits=limits, form=form)
        unbounded, more = write("the sum is 12", wordy, limits=Limits(max_criteria=12), form=form)
        assert len(value["required_criteria"]) <= len(unbounded["required_criteria"])
        assert len(fed) <= len(more)
        assert len(fed) <= bound
    assert most_tokens("full", Limits(max_criteria=1)) < most_tokens("full", Limits(max_criteria=2))


def test_a_model_that_thinks_first_is_bounded_and_kept_apart() -> None:
    marks = [*PIECES, b""]
    close = len(marks) - 1
    vocabulary = Vocabulary(marks, tokenize, marks={"</think>": close})

    def thought(n: int, most: int) -> tuple[str, list[int], Any]:
        writer = Writer(vocabulary, "the sum is 12", form="quick")
        writing = writer.think("</think>", opened=False, opening="<think>", most=most)
        fed = next(writing)
        asked = 0
        try:
            while True:
                scores = np.zeros(len(marks), np.float32)
                scores[close if asked == n else PIECES.index(b" apples")] = 9
                asked += 1
                tokens = writing.send(scores)
                fed += tokens
        except StopIteration as end:
            return writer.written.thinking, fed, end.value

    thinking, fed, value = thought(3, 10)
    assert thinking == "apples apples apples"
    assert fed.count(close) == 1
    assert value["evidence"] == "the sum is 12"
    thinking, fed, _ = thought(1000, 10)
    assert thinking == " ".join(["apples"] * 10)
    assert bytes(b"".join(marks[token] for token in fed)).count(b"</think>") == 1, "it is closed for it"


def test_the_end_of_a_turn_ends_a_text() -> None:
    scores = np.zeros(len(PIECES))
    scores[END] = 30
    for place, piece in enumerate((b" so,", b" four", b" apples", b" lost", b" sum", b" and", b" is")):
        scores[PIECES.index(piece)] = 20 - place
    value, fed = write("", lambda _: scores, form="quick")
    assert n_words(value["error_title"]) == LEAST_TITLE_WORDS
    assert n_words(value["error_summary"]) == LEAST_SUMMARY_WORDS
    assert END not in fed


def test_names_of_categories() -> None:
    value, _ = write("", random_logits(5), form="name")
    assert set(value) == {"name", "description"}
    assert 0 < len(value["name"]) <= 60


def test_instructions_are_not_copied() -> None:
    instructions = tokenize("the sum of four apples and 12 says so, not a carry.")

    def parrot(fed: list[int]) -> Any:
        scores = np.zeros(len(PIECES))
        place = len([token for token in fed if token in instructions]) % len(instructions)
        tail = fed[-1]
        follower = instructions[(instructions.index(tail) + 1) % len(instructions)] if tail in instructions else None
        scores[instructions[0] if follower is None else follower] = 20 + place * 0
        return scores

    value, _ = write("x", parrot, instructions=instructions)
    together = " ".join(
        [value["error_summary"], value["error_title"]]
        + [c[key] for c in value["required_criteria"] for key in ("criterion", "comment")]
    )
    words = "the sum of four apples and 12 says so, not a carry.".split()
    for start in range(len(words) - COPIED_NGRAM):
        assert " ".join(words[start : start + COPIED_NGRAM + 1]) not in together


def test_the_same_seed_draws_the_same() -> None:
    def drawn(seed: int) -> dict[str, Any]:
        return write("the sum is 12", lambda _: np.zeros(len(PIECES)), temperature=1.0, seed=seed)[0]

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)


@pytest.mark.parametrize(
    ("text", "least", "most"), [("a b c d", 0, 0), ("a b c d e f g h", 0, 0), ("no no no no no no no no", 0.5, 1)]
)
def test_repetition(text: str, least: float, most: float) -> None:
    assert least <= repetition(text) <= most
