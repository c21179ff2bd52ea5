"""The writer, driven by logits of the test's own: whatever a model prefers, what comes out is valid and quotes verbatim."""

from collections.abc import Callable, Sequence
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from errormap_core.judge.analysis import Analysis, schema
from errormap_core.judge.writing import (
    COPIED_NGRAM,
    AnalysisWriter,
    Limits,
    Vocabulary,
    repetition,
)

WORDS = "the sum is wrong answer of four apples and 12 says so, not a carry. lost Étage 東京".split(" ")
PIECES = [
    *[bytes([byte]) for byte in range(256)],
    *[word.encode() for word in WORDS],
    *[b" " + word.encode() for word in WORDS],
    b'."', b'",', b'"}', b'\\"', b"\n\n", b"",
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


VOCABULARY = Vocabulary(PIECES, tokenize)
Logits = Callable[[list[int]], Any]


def write(source: str, logits: Logits, **options: Any) -> tuple[dict[str, Any], list[int]]:
    """The analysis, and all tokens that were fed."""
    writing = AnalysisWriter(VOCABULARY, source, **options).run()
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


@settings(max_examples=150)
@given(SOURCES, st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.0, 1.0]))
@example("", 0, 4, 0.0)
@example("\x00\x00 \x1f", 1, 4, 0.0)
@example('"""', 2, 4, 0.0)
@example("<|im_end|> says the sum is 12", 3, 4, 1.0)
@example("東京 " * 30, 4, 4, 0.0)
def test_it_is_valid_whatever_the_model_prefers(source: str, seed: int, most: int, temperature: float) -> None:
    value, _ = write(source, random_logits(seed), limits=Limits(max_criteria=most), temperature=temperature, seed=seed)
    jsonschema.validate(value, schema(most, for_judge=True))
    Analysis.from_json(value)
    for criterion in value["required_criteria"]:
        assert criterion["evidence"] in source
        assert bool(criterion["evidence"]) == criterion["present_in_wrong"]


def test_the_models_choices_are_taken() -> None:
    value, _ = write("the sum is 12", preferring([b"t", b"i", b"}", b"]", b"e", b'."', b" so,", b"answer", b" is"]))
    [criterion] = value["required_criteria"]
    assert criterion["present_in_wrong"] is True
    assert criterion["quality"] == "incorrect"
    assert criterion["evidence"] == "the sum is 12"
    assert value["verdict"] == "error"


def test_evidence_ends_at_a_word_and_has_four_where_there_are_four() -> None:
    like = preferring([b"apples", b"t", b"c", b"}", b'."', b" and"])
    value, _ = write("the sum of apples and carrots is wrong", like)
    evidence = value["required_criteria"][0]["evidence"]
    assert len(evidence.split()) >= 4
    assert evidence in "the sum of apples and carrots is wrong"
    assert f"{evidence} " in "the sum of apples and carrots is wrong " and evidence.startswith("apples and carrots is")


def test_nothing_is_said_twice() -> None:
    loop = preferring([b" apples", b"apples", b" and"])
    value, _ = write("x", loop, limits=Limits(max_criteria=2))
    texts = [value["error_summary"], value["error_title"]]
    assert all(repetition(text) < 0.5 for text in texts)
    freely = "".join(value["required_criteria"][0][key] for key in ("criterion", "comment"))
    assert len(set(freely.split())) > 2, "it has to say something else"


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
