"""Shortening a record that is longer than the judge's context, by one stated rule.

The rule, in this order, until the texts fit:

1. References are left out, the last first.
2. Task and correct answer are cut, the longer of the two again and again, but neither to less than a quarter of the room.
   So the wrong answer always keeps half of it.
3. The wrong answer is cut to what is left.

A text is cut in its middle, at word borders: two thirds of what is kept are its beginning, one third its end. Where
something is missing, a mark on a line of its own says how much. Nothing else is changed.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from errormap_core.judge.base import JudgeRequest
from errormap_core.sentences import Sentence, tr, trn

LEAST_CHARACTERS = 200
"""The least room that a record is shortened to; marks and a few words of each text fit into it."""

GAP = "\x00"
"""Stands between the shown parts of an answer in `source`: no quote goes on behind a control character."""

_MARK = "\n[… {n:,} characters left out …]\n"
_FARTHEST = 40
"""So many characters back, or ahead, a word border is looked for."""

_JOINERS = "\u200d\ufe0e\ufe0f"

_NAMES: Mapping[str, Sentence] = {
    "input_text": tr("the task"),
    "correct_answer": tr("the correct answer"),
    "output_text": tr("the wrong answer"),
}


@dataclass(frozen=True, slots=True)
class Shortening:
    """What was left out of a record.

    `references` is how many of them, `left_out` the number of characters by the field they are missing from
    (input_text, correct_answer, output_text). `parts` are the shown parts of the wrong answer in order.
    """

    references: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    @property
    def is_shortened(self) -> bool:
        return bool(self.references or self.left_out)

    @property
    def source(self) -> str:
        """The text that evidence may be a span of: the shown parts of the wrong answer, a control character between them."""
        return GAP.join(self.parts)

    def to_json(self) -> dict[str, int]:
        """What was left out: {"references": 2, "output_text": 1234}; empty where nothing was."""
        references = {"references": self.references} if self.references else {}
        return {**references, **self.left_out}

    @classmethod
    def from_json(cls, data: Any) -> "Shortening":
        """What was stored with an analysis; what is no number there is not taken. The shown parts are not stored."""
        numbers = {key: n for key, n in data.items() if isinstance(n, int)} if isinstance(data, Mapping) else {}
        left_out = {key: numbers[key] for key in _NAMES if numbers.get(key, 0) > 0}
        return cls(max(0, numbers.get("references", 0)), left_out)

    def sentence(self) -> Sentence:
        """'The judge was not shown: 2 references; 1,234 characters of the wrong answer.'"""
        if not self.is_shortened:
            return tr("The judge was shown the whole record.")
        said = [str(trn("{n:,} reference", "{n:,} references", self.references))] if self.references else []
        said += [
            str(trn("{n:,} character of {text}", "{n:,} characters of {text}", n, text=_NAMES[key]))
            for key, n in self.left_out.items()
        ]
        return tr("The judge was not shown: {parts}.", parts="; ".join(said))


def size_of(request: JudgeRequest) -> int:
    """Characters of a record's texts."""
    return sum(map(len, (request.input_text, request.output_text, request.correct_answer or "", *request.references)))


def shortened(request: JudgeRequest, most_characters: int) -> tuple[JudgeRequest, Shortening]:
    """The record with texts of at most `most_characters` characters together, marks included, and what was left out.

    The rule stands at the head of this module. Where everything fits, the same record comes back. Raises ValueError
    for a room of less than 200 characters.
    """
    if most_characters < LEAST_CHARACTERS:
        raise ValueError(f"{most_characters} characters are less than {LEAST_CHARACTERS}")
    if size_of(request) <= most_characters:
        return request, Shortening(parts=(request.output_text,))
    task, answer, correct = request.input_text, request.output_text, request.correct_answer or ""
    room = most_characters - len(task) - len(answer) - len(correct)
    kept: list[str] = []
    for reference in request.references:
        if len(reference) > room:
            break
        kept.append(reference)
        room -= len(reference)
    n_references = len(request.references) - len(kept)
    if room >= 0:
        return replace(request, references=tuple(kept)), Shortening(n_references, parts=(answer,))
    quarter = most_characters // 4
    least = min(len(task), quarter) + min(len(correct), quarter)
    for_task, for_correct = _shared_out(len(task), len(correct), max(least, most_characters - len(answer)))
    texts = {"input_text": _parts(task, for_task), "correct_answer": _parts(correct, for_correct)}
    rest = most_characters - sum(len(_joined(parts, n)) for parts, n in texts.values())
    texts["output_text"] = _parts(answer, rest)
    shown = replace(
        request,
        input_text=_joined(*texts["input_text"]),
        output_text=_joined(*texts["output_text"]),
        correct_answer=None if request.correct_answer is None else _joined(*texts["correct_answer"]),
        references=(),
    )
    left_out = {key: n for key, (_, n) in texts.items() if n}
    return shown, Shortening(n_references, left_out, texts["output_text"][0])


def _shared_out(one: int, other: int, room: int) -> tuple[int, int]:
    """What two texts of these sizes get of a room: the longer one is cut first, down to the other, then both alike."""
    shorter = min(one, other, room // 2)
    longer = room - shorter
    return (min(one, longer), shorter) if one > other else (shorter, min(other, longer))


def _parts(text: str, most: int) -> tuple[tuple[str, ...], int]:
    """What is kept of a text in at most `most` characters, the mark included, and how many characters are not."""
    if len(text) <= most:
        return (text,), 0
    room = max(0, most - len(_MARK.format(n=len(text))))
    n_tail = room // 3
    end = _border_before(text, room - n_tail)
    start = _border_after(text, len(text) - n_tail)
    head, tail = text[:end].rstrip(), text[start:].lstrip()
    return (head, tail), len(text) - len(head) - len(tail)


def _joined(parts: tuple[str, ...], n_left_out: int) -> str:
    return _MARK.format(n=n_left_out).join(parts)


def _border_before(text: str, at: int) -> int:
    """The last place up to `at` where a word ends, else one where no character is taken apart."""
    for place in range(at, max(0, at - _FARTHEST), -1):
        if text[place].isspace() or text[place - 1].isspace():
            return place
    for place in range(at, max(0, at - _FARTHEST), -1):
        if not _goes_on(text, place):
            return place
    return at


def _border_after(text: str, at: int) -> int:
    """The first place from `at` on where a word begins, else one where no character is taken apart."""
    for place in range(at, min(len(text), at + _FARTHEST)):
        if text[place - 1].isspace() or text[place].isspace():
            return place
    for place in range(at, min(len(text), at + _FARTHEST)):
        if not _goes_on(text, place):
            return place
    return at


def _goes_on(text: str, at: int) -> bool:
    """Whether the character at a place belongs to the one before it."""
    return unicodedata.combining(text[at]) != 0 or text[at] in _JOINERS or text[at - 1] == "\u200d"
