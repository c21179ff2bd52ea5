"""JSON that comes from outside: read with its faults located, in bounded depth, and without what cannot be kept."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.importers.inputs import read_bounded, shown
from errormap_core.sentences import Sentence, tr

MOST_BYTES = 256_000_000
MOST_DEPTH = 200
MOST_INTEGER = 2**63 - 1
"""The largest that a database takes; Python's own have no bound, and nothing that is counted comes near."""

_MARKS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


def read_json(path: Path, *, most: int = MOST_BYTES) -> Any:
    """What a file holds. Raises KnownError with the place for what is no JSON, is nested too deep, or cannot be kept."""
    where = shown(path)
    raw = read_bounded(path, most)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise KnownError(
            tr("The file is not UTF-8 text."),
            where=tr("{path}, line {line:,}, byte {at:,}", path=where, line=line, at=error.start + 1),
            fix=tr("Save it as UTF-8."),
        ) from error
    document = parsed(text, where)
    first = next(faults(document), None)
    if first is not None:
        place, said = first
        raise KnownError(said, where=tr("{path}, {place}", path=where, place=place), fix=tr("Mend the file."))
    return document


def parsed(text: str, where: str) -> Any:
    """The value that a text is. Raises KnownError with line and column."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise KnownError(
            tr("This is not JSON ({reason}).", reason=error.msg),
            where=tr("{path}, line {line:,}, column {column:,}", path=where, line=error.lineno, column=error.colno),
            fix=tr("Mend the file, or export it again."),
        ) from error
    except RecursionError as error:
        at = _too_deep(text)
        line = text.count("\n", 0, at) + 1
        column = at - text.rfind("\n", 0, at)
        raise KnownError(
            tr("Lists and objects are nested more than {most:,} deep.", most=MOST_DEPTH),
            where=tr("{path}, line {line:,}, column {column:,}", path=where, line=line, column=column),
            fix=tr("Mend the file."),
        ) from error
    except ValueError as error:  # Python reads no whole number of several thousand digits
        raise KnownError(
            tr("The JSON holds a number of thousands of digits."), where=where, fix=tr("Mend the file.")
        ) from error


def faults(document: Any) -> Iterator[tuple[str, Sentence]]:
    """What of a document cannot be kept, each with its place as a JSON pointer: no recursion, whatever its depth."""
    waiting: list[tuple[Any, str, int]] = [(document, "", 0)]
    while waiting:
        value, place, depth = waiting.pop()
        if isinstance(value, str):
            if _NO_TEXT.search(value):
                yield place or "/", tr("The text holds NUL or half of a character, which cannot be kept.")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield place or "/", tr("The value is no JSON number, or too large.")
        elif isinstance(value, int):
            if abs(value) > MOST_INTEGER:
                yield place or "/", tr("The number is too large.")
        elif isinstance(value, list | dict):
            if depth >= MOST_DEPTH:
                yield place[:200], tr("Lists and objects are nested more than {most:,} deep.", most=MOST_DEPTH)
                continue
            if isinstance(value, dict):
                for name in value:
                    if _NO_TEXT.search(name):
                        yield place or "/", tr("The name of a field holds NUL or half of a character.")
                items: Any = reversed(value.items())
            else:
                items = reversed(list(enumerate(value)))
            waiting += [(each, f"{place}/{_escaped(name)}", depth + 1) for name, each in items]


def _escaped(name: object) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    text = str(name).replace("~", "~0").replace("/", "~1")
    return _NO_TEXT.sub("\ufffd", text)[:100]


def _too_deep(text: str) -> int:
    """Where a text gets deeper than may be."""
    depth = 0
    for found in _MARKS.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                return found.start()
        elif found[0] in "]}":
            depth -= 1
    return 0
