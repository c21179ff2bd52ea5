"""How the command line tells of work: bars for people, JSON lines for the window; and how it is stopped.

With `--progress json` the command is a child of the window: it reads its standard input, where a line
"cancel" asks it to stop, "pause" and "resume" to do so, "first ID" to take a record next; the end of the file means that
the window is gone, however it died.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from errormap_core.errors import KnownError
from errormap_core.standard_streams import Told
from errormap_core.tasks import Pace, Progress, Steering
from errormap_core.visible_text import visible, visible_sentence

_T = TypeVar("_T")

ORPHAN_GRACE_S = 1.5
"""How long a command whose window is gone may take to commit the item in flight."""


class Reporter:
    """Shows progress, results and errors; `cancelled` answers whether somebody asked to stop."""

    def __init__(self, progress: str, *, as_json: bool) -> None:
        self.progress = progress
        self.as_json = as_json
        self._stop = threading.Event()
        self._bar: tqdm[Any] | None = None
        self._stage = ""
        self.last: dict[str, Progress] = {}
        self.steering = Steering()
        self.out, self.err = Told("stdout"), Told("stderr")

    def cancelled(self) -> bool:
        return self._stop.is_set()

    def drive(self, work: Generator[Progress, None, _T]) -> _T:
        """Run long work to its end and return what it returns."""
        try:
            while True:
                try:
                    self._show(next(work))
                except StopIteration as end:
                    value: _T = end.value
                    return value
        finally:
            work.close()
            self._close_bar()

    def say(self, text: object) -> None:
        """A line for people; nothing where machines read."""
        if self.progress != "json" and not self.as_json:
            self.out.line(visible_sentence(text))

    def say_text(self, text: str) -> None:
        """A text for people that has lines of its own."""
        if self.progress != "json" and not self.as_json:
            self.out.line(visible(text, lines=True))

    def warn(self, text: object) -> None:
        if self.progress != "json":
            self.err.line(visible_sentence(text))

    def result(self, data: dict[str, Any]) -> None:
        """What came of the command, for machines."""
        if self.progress == "json":
            self._to_window({"result": data})
        elif self.as_json:
            self.out.json(data, indent=2)

    def error(self, error: KnownError) -> None:
        if self.progress == "json":
            self._to_window({"error": error.to_json()})
        elif self.as_json:
            self.out.json({"error": error.to_json()}, indent=2)
        self.err.line(visible_sentence(error))

    def _to_window(self, data: dict[str, Any]) -> None:
        self.out.json(data)
        if self.out.error is not None:
            self._stop.set()  # nobody listens any longer

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Be stoppable: by the first Ctrl+C or TERM, and as a child of the window by its standard input."""
        if self.progress == "json":
            threading.Thread(target=self._watch_parent, daemon=True).start()
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def ask_to_stop(number: int, _frame: object) -> None:
            self._stop.set()
            signal.signal(number, signal.default_int_handler)  # a second one ends it at once

        for number in before:
            signal.signal(number, ask_to_stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _watch_parent(self) -> None:
        for line in sys.stdin or ():
            match line.split():
                case ["cancel"]:
                    self._stop.set()
                case ["pause"]:
                    self.steering.pause()
                case ["resume"]:
                    self.steering.resume()
                case ["first", *record_ids]:
                    self.steering.first(record_ids)
        self._stop.set()
        threading.Timer(ORPHAN_GRACE_S, os._exit, [3]).start()

    def _show(self, progress: Progress) -> None:
        self.last[progress.stage] = progress
        if self.progress == "json":
            self._to_window(progress.to_json())
            return
        if self.progress == "none" or self.err.error is not None:
            return
        try:
            self._show_bar(progress)
        except (OSError, ValueError) as error:  # the latter from a stream that was closed
            self._drop_bar(error)

    def _show_bar(self, progress: Progress) -> None:
        if progress.stage != self._stage or self._bar is None:
            self._close_bar()
            self._stage = progress.stage
            self._pace = Pace()
            self._bar = tqdm(total=progress.total, desc=visible(progress.stage), file=sys.stderr, unit="", leave=True)
        self._bar.total = progress.total
        self._bar.set_postfix_str(visible(progress.note), refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def _close_bar(self) -> None:
        if self._bar is not None:
            try:
                self._bar.close()
            except (OSError, ValueError) as error:
                self._drop_bar(error)
            self._bar = None

    def _drop_bar(self, error: OSError | ValueError) -> None:
        """No bar any longer: where it was drawn nothing can be written."""
        self.err.give_up(error)
        if self._bar is not None:
            self._bar.disable = True  # else it would draw itself once more at its end
            self._bar = None
