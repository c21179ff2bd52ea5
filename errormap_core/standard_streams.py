"""Standard output and standard error as places that may fail without failing the work that is told there."""

import contextlib
import errno
import io
import os
import sys
from typing import Any, Literal

from errormap_core.visible_text import visible_json


def prepare() -> None:
    """Make the standard streams safe to write to; called once, before anything is printed or opened.

    What a terminal's encoding lacks is escaped. A closed stream leads nowhere: its number would go to the next file that is
    opened, and whatever a library prints would end there. Libraries draw on standard error without asking whether it is
    there; nobody misses what they would draw.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it is open as long as the program runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Told:
    """One of the two streams. Writing never raises: what went wrong is kept in `error`, and nothing more is written."""

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name
        self.error: OSError | None = None

    @property
    def is_abandoned(self) -> bool:
        """Whether the reader has gone: a pipe to `head`, a window that was closed."""
        return self.error is not None and self.error.errno == errno.EPIPE

    def line(self, text: str) -> None:
        if self.error is not None:
            return
        stream = getattr(sys, self._name)
        if stream is None:
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
            return
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
        except (OSError, ValueError) as error:  # the latter from a stream that was closed
            self.give_up(error)

    def json(self, data: Any, *, indent: int | None = None) -> None:
        """JSON that stays JSON where the encoding lacks a character."""
        text = visible_json(data, indent=indent)
        encoding = getattr(getattr(sys, self._name), "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = visible_json(data, indent=indent, ascii_only=True)
        self.line(text)

    def flush(self) -> None:
        """Write what others left in the stream's buffer, as argparse does with its help."""
        stream = getattr(sys, self._name)
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError) as error:
            self.give_up(error)

    def give_up(self, error: OSError | ValueError) -> None:
        """Write no more. What is still in the stream's buffer goes nowhere, else Python would fail of it at its end."""
        self.error = error if isinstance(error, OSError) else OSError(errno.EBADF, str(error))
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is no file
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, getattr(sys, self._name).fileno())
            finally:
                os.close(nowhere)
