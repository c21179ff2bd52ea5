"""Long work: generators of Progress that commit each item before they yield, so stopping is always safe.

The command line iterates them in its own process; the window starts the command line as a child
process and reads the same Progress as JSON lines. Resuming is a query for what is missing.
"""

import bisect
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from errormap_core.sentences import Sentence, tr, trn

_T = TypeVar("_T")

Cancelled = Callable[[], bool]
"""Answers whether the work was asked to stop; asked between items, and by an engine between tokens."""


def never_cancelled() -> bool:
    return False


class Steering:
    """What people ask of a run that is under way: to pause, to go on, to take some records first. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: list[str] = []
        self._is_paused = False

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def first(self, record_ids: Iterable[str]) -> None:
        """These records are taken next, the last that was asked for before the others."""
        with self._lock:
            self._first += record_ids

    def wanted(self) -> list[str]:
        """The records that were asked for since the last look, in the order of asking."""
        with self._lock:
            wanted, self._first = self._first, []
        return wanted


class Stopped(Exception):
    """Work that has no result yet was asked to stop."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far long work has come: `done` of `total` items (None: not known) of the stage `stage`.

    `stage` is one of import, tune, judge, embed, propose, classify, queue, decide, export, copy, score; `note` is a sentence
    for the task strip; `counts` are numbers worth showing at the end (rows skipped, records failed, tokens).
    """

    stage: str
    done: int
    total: int | None
    note: Sentence | str = ""
    counts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"progress": {"stage": self.stage, "done": self.done, "total": self.total,
                             "note": str(self.note), "counts": self.counts}}  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Progress":
        return cls(data["stage"], data["done"], data["total"], data["note"], data["counts"])


Work = Iterator[Progress]


class Pace:
    """Rate and time left. Time in which the work was paused is none, and what came before its first results (loading, the
    first records of several that are under way at once) tells nothing of its rate.

    The rate is that of the last two thirds of what was done, or of the last 100 items where those are more: enough that
    sizes that vary even out, and a machine that gets busy is noticed. What was expected of an item before (the count
    "expected_s") weighs as much as 8 items, and nothing where it is seen to be far off.
    """

    _MOST_POINTS = 600
    _LEAST_WINDOW = 100
    _FEW = 4
    _WEIGHT_OF_EXPECTED = 8
    _FAR = 1.6

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: list[tuple[float, int]] = []  # working seconds, items done
        self._progress: Progress | None = None
        self._expected_s: float | None = None
        self._paused_at: float | None = None
        self._paused_s = 0.0

    def update(self, progress: Progress) -> None:
        if self._progress is None or self._progress.stage != progress.stage:
            self._points.clear()
            self._expected_s = progress.counts.get("expected_s")
        self._progress = progress
        now = self._working()
        if progress.counts.get("paused"):
            self._paused_at = self._clock() if self._paused_at is None else self._paused_at
        elif self._paused_at is not None:
            self._paused_s += self._clock() - self._paused_at
            self._paused_at = None
        if not self._points or progress.done > self._points[-1][1]:
            self._points.append((now, progress.done))
        if len(self._points) > self._MOST_POINTS:
            del self._points[2:-1:2]  # half as dense; the first two tell when it started

    @property
    def is_paused(self) -> bool:
        return self._paused_at is not None

    @property
    def worked_s(self) -> float:
        """Seconds since the stage began, without the pauses."""
        return self._working() - self._points[0][0] if self._points else 0.0

    @property
    def rate_per_s(self) -> float | None:
        """Items a second, or None where too little was seen to say."""
        n, seconds = 0, 0.0
        if len(self._points) > 1:
            (t0, n0), (t1, n1) = self._from(), self._points[-1]
            n, seconds = n1 - n0, t1 - t0
        if self._expected_s and (n < self._FEW or 1 / self._FAR < seconds / n / self._expected_s < self._FAR):
            n, seconds = n + self._WEIGHT_OF_EXPECTED, seconds + self._WEIGHT_OF_EXPECTED * self._expected_s
        return n / seconds if n > 0 and seconds > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds of work left, or None where it cannot be said."""
        rate = self.rate_per_s
        if rate is None or self._progress is None or self._progress.total is None:
            return None
        since = self._working() - self._points[-1][0]
        return max(0.0, (self._progress.total - self._progress.done) / rate - since)

    def sentence(self) -> Sentence:
        """Rate and time left as people say them: 'about 8 a minute, about 12 minutes left'. Before the first item is done
        the rate is what was expected, and is called so; once its time has passed, no time left is said."""
        rate, left = self.rate_per_s, self.left_s
        if rate is None:
            return tr("")
        speed = tr("{n:,.0f} a second", n=rate) if rate >= 1 else tr("{n:,.1f} a minute", n=rate * 60)
        if self._points[-1][1] == self._points[0][1]:
            speed = tr("{speed} expected", speed=speed)
            left = left or None
        return tr("{speed}, {left}", speed=speed, left=duration(left)) if left is not None else speed

    def _working(self) -> float:
        """Seconds of the clock without the pauses."""
        return (self._clock() if self._paused_at is None else self._paused_at) - self._paused_s

    def _from(self) -> tuple[float, int]:
        """The point since which the rate is taken."""
        first = next((place for place, (_, done) in enumerate(self._points) if done > 0), 0)
        n = self._points[-1][1]
        if n - self._points[first][1] < self._FEW:
            return self._points[0]
        wanted = min(n // 3, n - self._LEAST_WINDOW)
        place = bisect.bisect_right(self._points, wanted, key=lambda point: point[1]) - 1
        return self._points[max(first, place)]


def duration(seconds: float) -> Sentence:
    """A time left as people say it."""
    if seconds < 60:
        return tr("less than a minute left")
    if seconds < 3600 * 1.5:
        return trn("about {n:,} minute left", "about {n:,} minutes left", round(seconds / 60))
    return trn("about {n:,} hour left", "about {n:,} hours left", round(seconds / 3600))


def driven(work: Generator[Progress, None, _T]) -> _T:
    """The result of work whose progress nobody wants to see."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: _T = end.value
            return value
