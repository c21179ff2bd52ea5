"""Text out of data made harmless where it is shown: what steers a terminal or turns the reading order is shown, not sent."""

import json
import re
from collections.abc import Mapping
from numbers import Number
from typing import Any

from errormap_core.sentences import Sentence

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_STEERING = f"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff9-\ufffb{_BIDI}\ud800-\udfff"

_ON_ONE_LINE = re.compile(f"[{_STEERING}]")
_ON_LINES = re.compile(f"(?![\n\t])[{_STEERING}]")
_IN_JSON = re.compile(f"(?![\n])[{_STEERING}]")  # JSON escapes C0 itself; its own line ends stay


def visible(text: object, *, lines: bool = False) -> str:
    """`text` with every control and bidi character shown as such: ␛ for an escape, \\x9b, \\u202e; bytes of a file's name
    that are no UTF-8 as \\xe9.

    With `lines` line ends and tabs stay; without it they are shown as ␊ and ␉, so that a name stays on its line.
    """
    plain = str(text)
    if lines:
        return _ON_LINES.sub(_shown, plain.replace("\r\n", "\n"))
    return _ON_ONE_LINE.sub(_shown, plain)


def visible_sentence(said: object) -> str:
    """What is told, with line ends of its own and none out of the values that are filled in."""
    if isinstance(said, Sentence):
        return visible(str(Sentence(said.template, _visible_values(said.values), said.plural)), lines=True)
    return visible(said, lines=True)


def visible_json(data: Any, *, indent: int | None = None) -> str:
    """`data` as JSON in which no such character stands as itself."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(data, ensure_ascii=False, indent=indent))


def _visible_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers stay numbers: templates say how they are written."""
    return {
        name: visible_sentence(value)
        if isinstance(value, Sentence)
        else value
        if isinstance(value, Number)
        else visible(value)
        for name, value in values.items()
    }


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code < 0xA0:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"
