"""The scheduler over a decoder of the test's own: what is evaluated, in which batches, and how often."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errormap_core.judge.scheduling import ContextFull, Part, Scheduler, Work, Writing

N_VOCABULARY = 8


class Recorder:
    """Holds what each sequence has seen, refuses what does not follow, and gives logits that tell of all of it."""

    def __init__(self, n_sequences: int, n_batch: int, *, goes_back: bool = True, n_context: int = 10_000) -> None:
        self.n_sequences = n_sequences
        self.n_batch = n_batch
        self.n_context = n_context
        self.goes_back = goes_back
        self.held: list[list[int]] = [[] for _ in range(n_sequences)]
        self.batches: list[list[Part]] = []

    def decode(self, parts: Sequence[Part]) -> list[Any]:
        assert 0 < sum(len(part.tokens) for part in parts) <= self.n_batch
        assert len({part.sequence for part in parts}) == len(parts)
        found = []
        for part in parts:
            assert part.start == len(self.held[part.sequence])
            assert part.tokens
            assert part.start + len(part.tokens) <= self.n_context
            self.held[part.sequence] += part.tokens
            logits = np.zeros((part.n_logits, N_VOCABULARY), np.float32)
            if part.n_logits:
                logits[-1, sum(self.held[part.sequence]) % N_VOCABULARY] = 1
            found.append(logits)
        self.batches.append(list(parts))
        return found

    def keep(self, sequence: int, n: int) -> bool:
        if not self.goes_back and 0 < n < len(self.held[sequence]):
            return False
        self.held[sequence] = self.held[sequence][:n]
        return True

    def copy(self, source: int, target: int) -> None:
        self.held[target] = list(self.held[source])

    @property
    def n_evaluated(self) -> int:
        return sum(len(part.tokens) for batch in self.batches for part in batch)


def writing(n: int) -> Writing:
    """Feeds one token, then takes the likeliest `n` times, feeding a second token beside each."""
    taken = []
    logits = yield [1]
    for _ in range(n):
        taken.append(int(np.argmax(logits)))
        logits = yield [taken[-1], 2]
    return taken


def alone(segments: list[list[int]], n: int) -> list[int]:
    """What a work gives where nothing else is asked."""
    scheduler = Scheduler(Recorder(1, 512))
    scheduler.add(Work(0, segments, writing(n)))
    [value] = run(scheduler).values()
    return value


def run(scheduler: Scheduler) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for _ in range(10_000):
        if not len(scheduler):
            return found
        for done in scheduler.step():
            assert done.error is None
            assert done.work.key not in found
            found[done.work.key] = done.value
    raise AssertionError("it does not end")


EXAMPLES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 6)), min_size=1, max_size=14
)  # example, tokens of its own, tokens to write


@settings(max_examples=120)
@given(EXAMPLES, st.integers(1, 5), st.integers(1, 12), st.booleans())
def test_each_work_gets_what_it_would_get_alone(
    examples: list[tuple[int, int, int]], n_sequences: int, n_batch: int, goes_back: bool
) -> None:
    instructions = [3, 1, 4, 1, 5]
    segments = [
        [instructions, [2 + example] * (example + 1), [place + 1] * own]
        for place, (example, own, _) in enumerate(examples)
    ]
    scheduler = Scheduler(Recorder(n_sequences, n_batch, goes_back=goes_back))
    for key, (_, _, n) in enumerate(examples):
        scheduler.add(Work(key, segments[key], writing(n)))
    assert run(scheduler) == {key: alone(segments[key], n) for key, (_, _, n) in enumerate(examples)}


def test_what_is_shared_is_evaluated_once() -> None:
    """The instructions once, and each question once, whether its answers are read one after another or at once."""
    instructions, n_examples, n_models = [7] * 50, 3, 4
    for n_sequences in (1, 2, 4, 8):
        recorder = Recorder(n_sequences, 512)
        scheduler = Scheduler(recorder)
        for example in range(n_examples):
            for model in range(n_models):
                segments = [instructions, [example] * 30, [model] * 10]
                scheduler.add(Work(example * n_models + model, segments, writing(2)))
        assert len(run(scheduler)) == n_examples * n_models
        written = n_examples * n_models * (1 + 2 * 2)
        assert recorder.n_evaluated == 50 + n_examples * 30 + n_examples * n_models * 10 + written


def test_several_are_written_in_one_batch_and_a_finished_ones_place_is_taken_at_once() -> None:
    recorder = Recorder(2, 64)
    scheduler = Scheduler(recorder)
    for key, n in enumerate((2, 6, 3)):
        scheduler.add(Work(key, [[9], [key], [key, key]], writing(n)))
    ended = []
    while len(scheduler):
        ended += [(done.work.key, len(recorder.batches)) for done in scheduler.step()]
    assert [key for key, _ in ended] == [0, 1, 2] or [key for key, _ in ended] == [0, 2, 1]
    first_ended = ended[0][1]
    assert {part.sequence for part in recorder.batches[first_ended]} == {0, 1}, "the third began in the next batch"


def test_prompts_are_fed_in_parts_beside_what_is_written() -> None:
    recorder = Recorder(2, 8)
    scheduler = Scheduler(recorder)
    scheduler.add(Work(0, [[9], [1], [1]], writing(8)))
    while not any(part.n_logits for batch in recorder.batches for part in batch):
        scheduler.step()
    scheduler.add(Work(1, [[9], [2], [3] * 40], writing(1)))
    run(scheduler)
    mixed = [batch for batch in recorder.batches if len(batch) == 2 and max(len(part.tokens) for part in batch) > 3]
    assert len(mixed) >= 4


def test_an_urgent_work_takes_the_next_place() -> None:
    scheduler = Scheduler(Recorder(1, 64))
    for key in range(4):
        scheduler.add(Work(key, [[9], [1], [key]], writing(2)))
    scheduler.step()
    scheduler.add(Work(99, [[9], [2], [5]], writing(2), is_urgent=True))
    assert list(run(scheduler)) == [0, 99, 1, 2, 3]


def test_what_is_cancelled_is_gone_and_the_rest_goes_on() -> None:
    scheduler = Scheduler(Recorder(2, 64))
    for key in range(5):
        scheduler.add(Work(key, [[9], [key], [key, key]], writing(3)))
    scheduler.step()
    assert scheduler.cancel(1) == [1]
    assert scheduler.cancel(4) == [4]
    assert scheduler.cancel(17) == []
    assert sorted(run(scheduler)) == [0, 2, 3]
    scheduler.add(Work(6, [[9], [6], [6]], writing(3)))
    assert scheduler.cancel() == [6]
    assert len(scheduler) == 0


def test_a_writing_that_fails_costs_itself_alone() -> None:
    def failing() -> Writing:
        yield [1]
        raise ValueError("no")

    scheduler = Scheduler(Recorder(2, 64))
    scheduler.add(Work(0, [[9], [1]], failing()))
    scheduler.add(Work(1, [[9], [2]], writing(2)))
    done = []
    while len(scheduler):
        done += scheduler.step()
    assert {entry.work.key: type(entry.error) for entry in done} == {0: ValueError, 1: type(None)}


def test_a_work_that_outgrows_its_context_ends_alone() -> None:
    scheduler = Scheduler(Recorder(2, 64, n_context=20))
    scheduler.add(Work(0, [[9] * 10, [1]], writing(100)))
    scheduler.add(Work(1, [[9] * 10, [2]], writing(3)))
    done = []
    while len(scheduler):
        done += scheduler.step()
    assert {entry.work.key: type(entry.error) for entry in done} == {0: ContextFull, 1: type(None)}


def test_after_a_failure_of_the_context_everything_is_read_anew() -> None:
    recorder = Recorder(1, 64)
    scheduler = Scheduler(recorder)
    scheduler.add(Work(0, [[9] * 10, [1], [1]], writing(1)))
    run(scheduler)
    recorder.held = [[]]
    scheduler.forget()
    work = Work(1, [[9] * 10, [1], [2]], writing(1))
    scheduler.add(work)
    run(scheduler)
    assert work.n_reused == 0


def test_nothing_to_do_is_no_batch() -> None:
    recorder = Recorder(1, 4)
    assert Scheduler(recorder).step() == []
    assert recorder.batches == []


@pytest.mark.parametrize("n_batch", [1, 3])
def test_the_smallest_batches_do(n_batch: int) -> None:
    scheduler = Scheduler(Recorder(3, n_batch))
    for key in range(5):
        scheduler.add(Work(key, [[9, 9], [key % 2], [key]], writing(3)))
    assert sorted(run(scheduler)) == list(range(5))
