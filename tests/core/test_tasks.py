"""Rate and time left of long work: bursts, sizes that vary, slow starts, pauses, a machine that gets busy."""

import math
import random
from typing import Any

import pytest

from errormap_core.tasks import Pace, Progress

WITHIN = 0.25
"""Relative error of the time left that is right."""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step(done: int, total: int | None = 100, **counts: Any) -> Progress:
    return Progress("judge", done, total, "", counts)


def at(clock: Clock, pace: Pace, seconds: float, done: int, **counts: Any) -> None:
    clock.now = seconds
    pace.update(step(done, **counts))


def ends(chance: random.Random, *, n: int, at_once: int, spread: float, gain: float, start: float) -> list[float]:
    """When each of `n` records is done that an engine works on, `at_once` together.

    Sizes are log-normal with this `spread`; `k` records together are worked on `k ** gain` times as fast as one. Results
    are seen every tenth of a second, as the queue looks.
    """
    sizes = [2.0 * math.exp(chance.gauss(0.0, spread)) for _ in range(n)]
    active: list[float] = []
    found: list[float] = []
    now = start
    while sizes or active:
        while sizes and len(active) < at_once:
            active.append(sizes.pop())
        speed = len(active) ** gain / len(active)
        least = min(active)
        now += least / speed
        found += [math.ceil(now * 10) / 10] * sum(left <= least + 1e-9 for left in active)
        active = [left - least for left in active if left > least + 1e-9]
    return found


def checks(chance: random.Random, *, expected: bool) -> tuple[list[bool], bool, int]:
    """One run of a random queue: whether the time left was right after each record from the first tenth to the last,
    whether it was at the first tenth, and the number of records."""
    n, at_once = chance.choice((100, 200, 500, 1000)), chance.choice((1, 2, 4, 8, 8, 16))
    spread, gain = chance.uniform(0.3, 0.8), chance.choice((0.0, 0.3, 0.6, 0.8))
    times = ends(chance, n=n, at_once=at_once, spread=spread, gain=gain, start=chance.uniform(0.0, 20.0))
    clock = Clock()
    pace = Pace(clock=clock)
    counts = {"expected_s": times[-1] / n * math.exp(chance.gauss(0.0, 0.3))} if expected else {}
    pace.update(step(0, n, **counts))
    good = []
    for done, now in enumerate(times, start=1):
        clock.now = now
        pace.update(step(done, n))
        if n / 10 <= done <= n * 9 / 10:
            left = pace.left_s
            good.append(left is not None and abs(left - (times[-1] - now)) <= WITHIN * (times[-1] - now))
    return good, good[0], n


@pytest.mark.parametrize(("expected", "least_at_a_tenth"), [(False, 0.85), (True, 0.9)])
def test_the_time_left_is_right_after_the_first_tenth(expected: bool, least_at_a_tenth: float) -> None:
    """200 simulated runs, eight and more records at once among them, and a start that takes up to 20 s."""
    chance = random.Random(1)
    runs = [checks(chance, expected=expected) for _ in range(200)]
    good = [one for run, _, _ in runs for one in run]
    at_a_tenth = sum(first for _, first, _ in runs) / len(runs)
    by_size = {
        n: sum(sum(run) for run, _, size in runs if size == n) / sum(len(run) for run, _, size in runs if size == n)
        for n in (100, 200, 500, 1000)
    }
    print(
        f"time left within {WITHIN:.0%}: {sum(good) / len(good):.1%} of {len(good):,} checks, {at_a_tenth:.1%} at the tenth, "
        + ", ".join(f"{share:.1%} of runs of {n:,}" for n, share in by_size.items())
    )
    assert sum(good) / len(good) >= 0.95
    assert at_a_tenth >= least_at_a_tenth


def test_bursts_and_a_slow_start_do_not_spoil_it() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    at(clock, pace, 0.0, 0)
    for burst in range(1, 4):  # eight at once, every 16 s, after half a minute of loading
        at(clock, pace, 30.0 + 16.0 * burst, 8 * burst)
    assert pace.left_s == pytest.approx(76 * 2.0)
    clock.now += 10.0
    assert pace.left_s == pytest.approx(76 * 2.0 - 10.0), "it goes on while nothing comes"


def test_a_pause_is_no_working_time() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    for done in range(11):
        at(clock, pace, done * 3.0, done)
    before = pace.left_s
    assert before == pytest.approx(90 * 3.0)
    at(clock, pace, 30.0, 10, paused=True)
    clock.now = 1000.0
    assert (pace.is_paused, pace.left_s) == (True, before)
    assert pace.worked_s == pytest.approx(30.0)
    at(clock, pace, 2000.0, 10, paused=False)
    assert (pace.is_paused, pace.left_s) == (False, before)
    for done in range(11, 21):
        at(clock, pace, 2000.0 + (done - 10) * 3.0, done)
    assert pace.left_s == pytest.approx(80 * 3.0)
    assert pace.worked_s == pytest.approx(60.0)


def test_a_machine_that_gets_busy_is_noticed() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    now = 0.0
    for done in range(1, 901):
        now += 1.0 if done <= 400 else 2.0
        clock.now = now
        pace.update(step(done, 1000))
    assert pace.left_s is not None
    assert 170.0 < pace.left_s <= 200.0


def test_what_was_expected_tells_until_results_do() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    assert pace.left_s is None
    at(clock, pace, 0.0, 0, expected_s=2.0)
    assert pace.left_s == pytest.approx(200.0)
    for done in range(1, 9):  # four times as slow as was thought
        at(clock, pace, done * 8.0, done)
    assert pace.left_s == pytest.approx(92 * 8.0)


def test_another_stage_begins_anew_and_an_unknown_total_has_no_end() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    for done in range(8):
        at(clock, pace, done * 1.0, done)
    clock.now = 100.0
    pace.update(Progress("embed", 0, None))
    assert pace.rate_per_s is None
    for done in (5, 10, 15):
        clock.now += 1.0
        pace.update(Progress("embed", done, None))
    assert pace.rate_per_s == pytest.approx(5.0)
    assert pace.left_s is None
    assert str(pace.sentence()) == "5 a second"


def test_a_very_long_run_keeps_few_points() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    for done in range(20_001):
        clock.now = done * 0.5
        pace.update(step(done, 100_000))
    assert len(pace._points) <= 600
    assert pace.left_s == pytest.approx(80_000 * 0.5, rel=0.01)


def test_what_is_only_expected_is_not_told_as_a_rate() -> None:
    """Before, '30 a minute, less than a minute left' stood there for as long as nothing came."""
    clock = Clock()
    pace = Pace(clock=clock)
    at(clock, pace, 0.0, 0, expected_s=2.0)
    assert str(pace.sentence()) == "30.0 a minute expected, about 3 minutes left"
    clock.now = 201.0
    assert str(pace.sentence()) == "30.0 a minute expected"
    at(clock, pace, 202.0, 1)
    assert "expected" not in str(pace.sentence())
