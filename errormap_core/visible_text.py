"""Text out of data made harmless where it is shown: what steers a terminal or turns the reading order is shown, not sent."""

import json
import re
from collections.abc import Mapping
from numbers import Number
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_STEERING = f"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff9-\ufffb{_BIDI}\ud800-\udfff"

_UNSEEN = "\u00ad\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f\u3164\uffa0\ufdd0-\ufdef\ufffe\uffff"
_UNSEEN += "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"

_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"
"""Flags of parts of countries are written with characters that are not seen, and are seen themselves."""

_ON_ONE_LINE = re.compile(f"{_FLAG}|[{_STEERING}{_UNSEEN}]")
_ON_LINES = re.compile(f"{_FLAG}|(?![\n\t])[{_STEERING}{_UNSEEN}]")
_IN_JSON = re.compile(f"(?![\n])[{_STEERING}]")  # JSON escapes C0 itself; its own line ends stay


def visible(text: object, *, lines: bool = False) -> str:
    """`text` with every control, bidi character and character without width shown as such: ␛ for an escape, \\x9b,
    \\u202e, \\u200b; bytes of a file's name that are no UTF-8 as \\xe9. Joiners stay where they write an emoji or a word.

    With `lines` line ends and tabs stay; without it they are shown as ␊ and ␉, so that a name stays on its line.
    """
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    if lines:
        return _ON_LINES.sub(_shown, plain.replace("\r\n", "\n"))
    return _ON_ONE_LINE.sub(_shown, plain)


def visible_sentence(said: object) -> str:
    """What is told. A sentence keeps the line ends of its own, and has none out of the values that are filled in."""
    match said:
        case Sentence():
            return visible(str(Sentence(said.template, _visible_values(said.values), said.plural)), lines=True)
        case KnownError():
            what, where, fix = (visible_sentence(part) for part in (said.what, said.where, said.fix))
            return f"{f'{where}: ' if where else ''}{what} {fix}".strip()
        case _:
            return visible(said)


def visible_json(data: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """`data` as JSON in which no such character stands as itself."""
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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


def _joins(text: str, place: int) -> bool:
    """Whether the joiner at `place` does its work: in an emoji, or between letters of a script that joins them."""
    if not 0 < place < len(text) - 1:
        return False
    return all(ord(c) >= 0x0590 and not _ON_ONE_LINE.match(c) for c in (text[place - 1], text[place + 1]))


def _shown(found: re.Match[str]) -> str:
    if len(found[0]) > 1 or (found[0] in "\u200c\u200d" and _joins(found.string, found.start())):
        return found[0]
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code < 0xA0:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
