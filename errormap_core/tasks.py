"""Long work: generators of Progress that commit each item before they yield, so stopping is always safe.

The command line iterates them in its own process; the window starts the command line as a child
process and reads the same Progress as JSON lines. Resuming is a query for what is missing.
"""

import collections
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from errormap_core.sentences import Sentence, tr, trn

Cancelled = Callable[[], bool]
"""Answers whether the work was asked to stop; asked between items, and by an engine between tokens."""


def never_cancelled() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far long work has come: `done` of `total` items (None: not known) of the stage `stage`.

    `stage` is one of import, judge, embed, propose, export, score; `note` is a sentence for the task strip;
    `counts` are numbers worth showing at the end (rows skipped, records failed, tokens).
    """

    stage: str
    done: int
    total: int | None
    note: Sentence | str = ""
    counts: dict[str, Any] = field(default_factory=dict)

    def to_json_line(self) -> str:
        data = {"progress": {"stage": self.stage, "done": self.done, "total": self.total,
                             "note": str(self.note), "counts": self.counts}}  # fmt: skip
        return json.dumps(data, ensure_ascii=False)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Progress":
        return cls(data["stage"], data["done"], data["total"], data["note"], data["counts"])


Work = Iterator[Progress]


class Pace:
    """Rate and time left, from when items were done lately (so that a slow start does not spoil it)."""

    def __init__(self, window: int = 20, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: collections.deque[tuple[float, int]] = collections.deque(maxlen=window)
        self._progress: Progress | None = None

    def update(self, progress: Progress) -> None:
        if self._progress is not None and self._progress.stage != progress.stage:
            self._seen.clear()
        self._progress = progress
        self._seen.append((self._clock(), progress.done))

    @property
    def rate_per_s(self) -> float | None:
        """Items a second, or None where too little was seen to say."""
        if len(self._seen) < 2:
            return None
        (t0, n0), (t1, n1) = self._seen[0], self._seen[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 and n1 > n0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds left, or None where it cannot be said."""
        rate = self.rate_per_s
        if rate is None or self._progress is None or self._progress.total is None:
            return None
        return max(0.0, (self._progress.total - self._progress.done) / rate)

    def sentence(self) -> Sentence:
        """Rate and time left as people say them: 'about 8 a minute, about 12 minutes left'."""
        rate, left = self.rate_per_s, self.left_s
        if rate is None:
            return tr("")
        speed = tr("{n:,.0f} a second", n=rate) if rate >= 1 else tr("{n:,.1f} a minute", n=rate * 60)
        return tr("{speed}, {left}", speed=speed, left=duration(left)) if left is not None else speed


def duration(seconds: float) -> Sentence:
    """A time left as people say it."""
    if seconds < 60:
        return tr("less than a minute left")
    if seconds < 3600 * 1.5:
        return trn("about {n:,} minute left", "about {n:,} minutes left", round(seconds / 60))
    return trn("about {n:,} hour left", "about {n:,} hours left", round(seconds / 3600))
