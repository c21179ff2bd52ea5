"""Scoring continuations: against a context that stands in for a model, to the last digit, and with the real one."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from errormap_core.judge.base import Message, RecordFailed
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.scheduling import Part
from errormap_core.judge.scoring import NoRoom, Scorer, log_sums

N_VOCAB = 23


def row_after(history: Sequence[int]) -> NDArray[np.float32]:
    """The logits of a model that never forgets."""
    return np.random.default_rng(abs(hash(tuple(history)))).normal(0, 3, N_VOCAB).astype(np.float32)


class FakeDecoder:
    """A context of few cells whose logits depend on every token before."""

    def __init__(self, *, n_sequences: int = 4, n_batch: int = 5, n_context: int = 30, goes_back: bool = True) -> None:
        self.n_sequences = n_sequences
        self.n_batch = n_batch
        self.n_context = n_context
        self.goes_back = goes_back
        self.tokens: list[list[int]] = [[] for _ in range(n_sequences)]
        self.shared = [0] * n_sequences
        self.n_decoded = 0
        self.n_calls = 0
        self.fails_at = -1

    def decode(self, parts: Sequence[Part]) -> list[NDArray[np.float32]]:
        if self.n_calls == self.fails_at:
            raise RuntimeError("it was told to")
        self.n_calls += 1
        assert 0 < sum(len(part.tokens) for part in parts) <= self.n_batch
        found = []
        for part in parts:
            held = self.tokens[part.sequence]
            assert part.start == len(held)
            rows = []
            for token in part.tokens:
                held.append(token)
                rows.append(row_after(held))
            self.n_decoded += len(part.tokens)
            found.append(np.array(rows[len(rows) - part.n_logits :]).reshape(-1, N_VOCAB))
        cells = sum(len(held) - shared for held, shared in zip(self.tokens, self.shared, strict=True))
        assert cells <= self.n_context
        return found

    def keep(self, sequence: int, n: int) -> bool:
        if 0 < n < len(self.tokens[sequence]) and not self.goes_back:
            return False
        del self.tokens[sequence][n:]
        self.shared[sequence] = min(self.shared[sequence], n)
        return True

    def copy(self, source: int, target: int) -> None:
        self.tokens[target] = list(self.tokens[source])
        self.shared[target] = len(self.tokens[source])


def naive(prompt: Sequence[int], continuation: Sequence[int]) -> float:
    """Token by token."""
    held, total = list(prompt), 0.0
    for token in continuation:
        row = row_after(held)
        total += float(row[token] - log_sums(row[None])[0])
        held.append(token)
    return total


TOKENS = st.lists(st.integers(0, N_VOCAB - 1), max_size=9)


@settings(max_examples=60)
@given(st.lists(TOKENS, min_size=1, max_size=3), st.lists(TOKENS, max_size=12), st.booleans())
def test_scores_are_those_of_token_by_token(
    segments: list[list[int]], continuations: list[list[int]], goes_back: bool
) -> None:
    segments = [[1], *segments]
    decoder = FakeDecoder(goes_back=goes_back, n_context=40)
    scorer = Scorer(decoder)
    prompt = [token for segment in segments for token in segment]
    for wanted in (continuations, continuations[::-1]):
        scores = scorer.score(segments, wanted)
        assert [score.n_tokens for score in scores] == [len(tokens) for tokens in wanted]
        assert [score.log_probability for score in scores] == pytest.approx(
            [naive(prompt, each) for each in wanted], abs=1e-4
        )
    other = [segments[0], [2, 3]]
    (score,) = scorer.score(other, [[4, 5]])
    assert score.log_probability == pytest.approx(naive([1, 2, 3], [4, 5]), abs=1e-4)


def test_no_score_depends_on_the_order_to_the_last_digit() -> None:
    wanted = [[random.Random(n).randrange(N_VOCAB) for _ in range(1 + n % 6)] for n in range(40)]
    forwards = Scorer(FakeDecoder()).score([[1, 2], [3]], wanted)
    backwards = Scorer(FakeDecoder()).score([[1, 2], [3]], wanted[::-1])
    assert forwards == backwards[::-1]


def test_what_is_held_is_not_evaluated_again() -> None:
    decoder = FakeDecoder()
    scorer = Scorer(decoder)
    scorer.score([[1, 2, 3], [4, 5]], [[6], [7]])
    assert decoder.n_decoded == 5, "continuations of one token need no batch"
    scorer.score([[1, 2, 3], [8]], [[6], [7]])
    assert decoder.n_decoded == 6
    scorer.score([[1, 2, 3], [8]], [[9]])
    assert decoder.n_decoded == 6, "the same prompt: its last logits are kept"
    assert scorer.n_reused == 3 + 4


def test_what_is_remembered_is_not_evaluated_again() -> None:
    decoder = FakeDecoder()
    scorer = Scorer(decoder)
    first = scorer.score([[1], [2]], [[6, 7], [8, 9]], remember=True)
    scorer.score([[1], [3]], [[6, 7]])
    before = decoder.n_decoded
    assert scorer.score([[1], [2]], [[8, 9], [6, 7]], remember=True) == first[::-1]
    assert decoder.n_decoded == before
    (new,) = scorer.score([[1], [2]], [[5, 5]], remember=True)
    assert new.log_probability == pytest.approx(naive([1, 2], [5, 5]), abs=1e-4)


def test_nothing_to_score_and_nothing_to_continue() -> None:
    decoder = FakeDecoder()
    assert Scorer(decoder).score([[1]], []) == []
    assert decoder.n_calls == 0
    assert Scorer(decoder).score([[1]], [[]]) == [(0.0, 0)]
    with pytest.raises(ValueError, match="nothing to continue"):
        Scorer(decoder).score([[], []], [[1]])


def test_identical_continuations_are_evaluated_once() -> None:
    decoder = FakeDecoder()
    scores = Scorer(decoder).score([[1]], [[2, 3, 4]] * 5)
    assert len(set(scores)) == 1
    assert decoder.n_decoded == 1 + 2


def test_a_prompt_without_room_is_refused_with_its_numbers() -> None:
    with pytest.raises(NoRoom) as refused:
        Scorer(FakeDecoder(n_context=10)).score([[1] * 8], [[2, 3, 4, 5]])
    assert (refused.value.n_prompt, refused.value.n_longest) == (8, 3)


def test_after_a_failure_nothing_that_may_be_wrong_is_held() -> None:
    decoder = FakeDecoder()
    scorer = Scorer(decoder)
    scorer.score([[1, 2], [3]], [[4, 5]])
    decoder.fails_at = decoder.n_calls
    with pytest.raises(RuntimeError):
        scorer.score([[1, 2], [6]], [[4, 5]])
    decoder.fails_at = -1
    (score,) = scorer.score([[1, 2], [6]], [[4, 5]])
    assert score.log_probability == pytest.approx(naive([1, 2, 6], [4, 5]), abs=1e-4)


def test_log_sums_are_right_for_large_logits() -> None:
    assert log_sums(np.array([[1000.0, 1000.0], [-5000.0, -5000.0]], np.float32)) == pytest.approx(
        [1000 + np.log(2), -5000 + np.log(2)]
    )


# With the embedded model, through an engine


def asked(judge: LlamaJudge, text: str, names: Sequence[str], *, opening: str = "Category:") -> list[float]:
    messages: list[Message] = [
        {"role": "system", "content": "Each failure of a language model is put into one category."},
        {"role": "user", "content": f"Failure: {text}"},
    ]
    scores = judge.score(messages, names, opening=opening, own=len(text), plain=True)
    return [log_probability for log_probability, _ in scores]


def test_the_real_model_scores_a_name_as_it_does_its_words_one_by_one(judge: LlamaJudge) -> None:
    text = "It adds 3 and 4 and gets 8."
    (whole,) = asked(judge, text, [" wrong unit conversion"])
    words, opening = [" wrong", " unit", " conversion"], "Category:"
    total = 0.0
    for word in words:
        total += asked(judge, text, [word], opening=opening)[0]
        opening += word
    # Kernels differ with the size of a batch, and the weights are quantized: sums move in the first decimal place.
    assert whole == pytest.approx(total, abs=0.3)


def test_the_real_model_gives_the_same_in_any_order(judge: LlamaJudge) -> None:
    names = [
        f" {word} {kind}" for word in ("wrong", "missing", "unclear") for kind in ("unit", "sum", "step", "reading")
    ]
    forwards = asked(judge, "It adds 3 and 4 and gets 8.", names)
    asked(judge, "Something else.", names[:3])
    assert asked(judge, "It adds 3 and 4 and gets 8.", names[::-1])[::-1] == forwards


def test_many_names_are_scored_in_several_batches(judge: LlamaJudge) -> None:
    names = [f" category number {number} of kind {number % 7}" for number in range(150)]
    scores = asked(judge, "It adds 3 and 4 and gets 8.", names)
    assert len(set(scores)) == 150
    assert max(scores) < 0
    assert asked(judge, "It adds 3 and 4 and gets 8.", [names[3], names[3]]) == pytest.approx([scores[3]] * 2, abs=1.0)


def test_a_mark_of_a_turn_in_a_name_or_a_text_is_data(judge: LlamaJudge) -> None:
    messages: list[Message] = [{"role": "system", "content": "s"}, {"role": "user", "content": "u <|im_end|>"}]
    marked = judge.score(messages, [" <|im_end|>", " a"], opening="Category:", plain=True)
    assert marked[0][1] > 3, "it is many tokens of text, not the one that ends a turn"
    again = judge.score(messages, [" <|im_end|>"], opening="Category:")
    assert again[0][1] == marked[0][1]


def test_an_empty_list_gives_nothing(judge: LlamaJudge) -> None:
    assert asked(judge, "It adds 3 and 4 and gets 8.", []) == []


def test_a_prompt_that_is_too_long_is_refused_and_the_next_one_is_scored(judge: LlamaJudge) -> None:
    with pytest.raises(RecordFailed) as refused:
        asked(judge, "word " * 4000, [" a"])
    assert refused.value.code == "too_long"
    assert len(asked(judge, "It adds 3 and 4 and gets 8.", [" a b", " c d"])) == 2
