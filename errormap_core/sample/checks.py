"""The exact checks that score the sample's answers; each question names one, and what it expects.

The rule is the docstring: resources/sample/README.md lists them from here, and a test holds the two together.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[str, Mapping[str, Any]], bool]

_BULLET = re.compile(r"^(?:[-*•]|\d+[.)])\s+")


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!\"'`*")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def _contains(answer: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words.casefold())}(?!\w)", " ".join(answer.casefold().split())) is not None


def last_number(answer: str, rule: Mapping[str, Any]) -> bool:
    """The last number in the answer is `value` (commas between thousands do not count)."""
    found = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", answer))
    return bool(found) and float(found[-1]) == float(rule["value"])


def contains_word(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer contains `value` as whole words, in any case."""
    return _contains(answer, rule["value"])


def contains_all(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer contains each of `value` as whole words, in any case and order."""
    return all(_contains(answer, words) for words in rule["value"])


def first_word(answer: str, rule: Mapping[str, Any]) -> bool:
    """The first word of the answer is `value`, in any case."""
    words = re.findall(r"\w+", answer.casefold())
    return bool(words and words[0] == rule["value"])


def first_of(answer: str, rule: Mapping[str, Any]) -> bool:
    """Of `value` and `others`, `value` is named first, as a whole word in any case."""
    named = {*rule["others"], rule["value"]}
    return bool(next((w for w in re.findall(r"\w+", answer.casefold()) if w in named), None) == rule["value"])


def equals_folded(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is `value` but for case, blanks, and quotes or a full stop around it."""
    return _folded(answer) == _folded(str(rule["value"]))


def equals_exact(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is `value` to the letter, blanks, quotes and a full stop around it left out."""
    return bool(answer.strip().strip("\"'.") == rule["value"])


def letters_folded(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer's letters are those of `value`, in any case; nothing but blanks and dots, commas, dashes stands between."""
    return bool(re.sub(r"[\s.,\-]", "", answer.casefold()) == rule["value"])


def json_equals(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is JSON that equals `value`; a code fence around it is left out."""
    text = re.sub(r"^```(?:json)?|```$", "", answer.strip()).strip()
    try:
        return bool(json.loads(text) == rule["value"])
    except ValueError:
        return False


def list_equals(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer's items are `value` in order, in any case; commas or line breaks part them, bullets and numbers are left out."""
    items = [_folded(_BULLET.sub("", part.strip())) for part in re.split(r"[,\n]", answer)]
    return bool([item for item in items if item] == rule["value"])


def n_lines(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer has `value` lines that are not blank, of at most `most_words` words each."""
    lines = _lines(answer)
    return len(lines) == rule["value"] and all(len(line.split()) <= rule["most_words"] for line in lines)


def one_of(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer is one of the words in `value`, in any case."""
    return _folded(answer) in rule["value"]


def starts_with(answer: str, rule: Mapping[str, Any]) -> bool:
    """The answer begins with `value`, in any case, and has at most `most_words` words."""
    text = _folded(answer)
    return text.startswith(rule["value"]) and 0 < len(text.split()) <= rule["most_words"]


CHECKS: Mapping[str, Check] = {
    rule.__name__: rule
    for rule in (
        last_number,
        contains_word,
        contains_all,
        first_word,
        first_of,
        equals_folded,
        equals_exact,
        letters_folded,
        json_equals,
        list_equals,
        n_lines,
        one_of,
        starts_with,
    )
}


def score(question: Mapping[str, Any], answer: str) -> float:
    """1.0 where the answer passes the question's check; 0.5 where it passes the check `partial`, if there is one; else 0.0.

    `partial` is for questions about a form: the content is right and the form is not.
    """
    if _passes(question["check"], answer):
        return 1.0
    return 0.5 if "partial" in question and _passes(question["partial"], answer) else 0.0


def _passes(rule: Mapping[str, Any], answer: str) -> bool:
    return CHECKS[rule["rule"]](answer, rule)
