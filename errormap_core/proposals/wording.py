"""What the words of names say: the same in other forms, the same thing gone wrong in opposite ways, nothing.

English only where it is about single words; names in other languages have neither signal, and lose nothing else.
"""

import re
from difflib import SequenceMatcher

from errormap_core.proposals.naming import cut_words
from errormap_core.taxonomy.tree import name_key

MOST_WORDS = 60
MOST_LETTERS = 400
NEARLY_SAME = 0.9
"""Least share of letters in common (Ratcliff and Obershelp, 1988) of two names that differ by a slip of the pen."""

_WORD = re.compile(r"[^\W\d_]+")
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ed", "es", "ly", "s", "e")
_STOP = frozenset(
    "a an and as at by for from in into is it its of on or that the their to was were where which with error errors"
    " mistake mistakes failure failures issue issues problem problems".split()
)
_EMPTY = frozenset(
    "misc miscellaneous general various varied other others diverse mixed several different assorted unsorted unnamed untitled"
    " unknown new group cluster category type class kind topic label bad wrong incorrect output outputs answer answers response"
    " responses result results model misbehaviour stuff things cases no not none rest remaining".split()
)
_WAYS = (
    "wrong incorrect incorrectly wrongly mistaken bad inappropriate unsuitable confused mixed swapped misread invalid",
    "missing missed omitted absent forgotten lost dropped overlooked ignored incomplete undefined unfinished lacking",
    "extra needless unneeded unnecessary added redundant over excess excessive unwanted superfluous",
    "invented fabricated hallucinated imagined fictional phantom fake nonexistent imaginary",
)
_OPPOSITES = (
    ("over", "under"), ("long", "short"), ("long", "brief"), ("early", "late"), ("first", "last"), ("formal", "casual"),
    ("input", "output"), ("top", "bottom"), ("slow", "fast"), ("high", "low"), ("upper", "lower"), ("too", "not"),
    ("answerable", "unanswerable"), ("allowed", "forbidden"), ("start", "end"), ("before", "after"), ("more", "less"),
)  # fmt: skip
_WAY_OF = {word: number for number, words in enumerate(_WAYS) for word in words.split()}


def shortened(text: str) -> str:
    """A text as it is embedded: one line, not more of it than an encoder reads."""
    clean = text[: 4 * MOST_LETTERS].encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text
    return cut_words(clean, MOST_WORDS)[:MOST_LETTERS]


def words_of(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(name.casefold()))


def stems_of(name: str) -> frozenset[str]:
    """Content words without their commonest endings."""
    return frozenset(_stem(word) for word in words_of(name) if word not in _STOP)


def is_same_wording(one: str, two: str) -> bool:
    """Whether two names differ in no content word: 'Unit Errors' and 'unit error', 'Halucination' and 'Hallucination'."""
    stems = stems_of(one)
    if stems and stems == stems_of(two):
        return True
    a, b = name_key(one)[:MOST_LETTERS], name_key(two)[:MOST_LETTERS]
    if min(len(a), len(b)) < 5 or min(len(a), len(b)) < NEARLY_SAME * max(len(a), len(b)) or is_opposed(one, two):
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= NEARLY_SAME


def says_nothing(name: str) -> bool:
    """Whether a name has no word that tells its category from any other: 'Miscellaneous errors', 'Group 7', 'Type B'."""
    return not {word for word in words_of(name) - _STOP - _EMPTY if len(word) > 1}


def is_opposed(one: str, two: str) -> bool:
    """Whether the names say that something went wrong in different ways: missing and wrong, too long and too short."""
    a, b = words_of(one), words_of(two)
    ways, others = {_WAY_OF[w] for w in a if w in _WAY_OF}, {_WAY_OF[w] for w in b if w in _WAY_OF}
    if ways and others and not ways & others:
        return True
    return any((x in a and y in b) or (y in a and x in b) for x, y in _OPPOSITES)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: -len(ending)]
            return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "ls" else stem  # formatting, dropped
    return word
