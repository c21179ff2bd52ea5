"""Where a judge's quotes stand in an answer: at once where that is short, bit by bit beside the window where it is long.

Comparing but for blanks, case and quotes takes a microsecond for each character: seconds, for an answer of megabytes.
"""

from collections.abc import Iterator, Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from errormap_core.judge.evidence import Span, find_evidence

EASY = 20_000
"""Characters of an answer that are looked through at once."""

STEP = 6_000
"""Characters that are looked through in one go."""

LONGEST_QUOTE = 2_000
"""Longer ones are looked for word by word as they stand only."""

MOST_KEPT = 200

_found: dict[tuple[int, int, str], list[Span]] = {}
"""What was looked for in long answers: by length and hash of the answer, and the quote."""


def places_of(text: str, quote: str) -> list[Span]:
    """Where the quote stands; of a long answer what is known by now."""
    if len(text) <= EASY or len(quote) < 2:
        return find_evidence(text, quote)
    key = _key(text, quote)
    if key in _found:
        return _found[key]
    if quote in text:
        _keep(key, find_evidence(text, quote))
        return _found[key]
    return find_evidence(text[:EASY], quote)


def is_looked_for(text: str, quote: str) -> bool:
    """Whether the answer is not looked through to its end yet."""
    return (
        len(text) > EASY and 2 <= len(quote) <= LONGEST_QUOTE and quote not in text and _key(text, quote) not in _found
    )


def look_through(text: str, quote: str) -> Iterator[None]:
    """Look for a quote in a long answer, in small steps; `places_of` knows it then."""
    spans: list[Span] = []
    overlap = 2 * len(quote) + 100
    for start in range(0, len(text), STEP):
        for a, b in find_evidence(text[start : start + STEP + overlap], quote):
            if not spans or start + a >= spans[-1][1]:
                spans.append((start + a, start + b))
        yield
    _keep(_key(text, quote), spans)


def _key(text: str, quote: str) -> tuple[int, int, str]:
    return len(text), hash(text), quote


def _keep(key: tuple[int, int, str], spans: list[Span]) -> None:
    while len(_found) >= MOST_KEPT:
        del _found[next(iter(_found))]
    _found[key] = spans


class Looking(QObject):
    """Looks for the quotes of the record that is shown, a step at a time while the window has nothing else to do."""

    done = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: Iterator[None] = iter(())
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._step)

    def begin(self, text: str, quotes: Sequence[str]) -> None:
        """Look for these, and for none of before."""
        left = [quote for quote in dict.fromkeys(quotes) if is_looked_for(text, quote)]
        self._steps = (step for quote in left for step in look_through(text, quote))
        self._timer.start() if left else self._timer.stop()

    def _step(self) -> None:
        if next(self._steps, self) is self:
            self._timer.stop()
            self.done.emit()
