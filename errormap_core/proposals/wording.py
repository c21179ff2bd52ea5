"""What the words of names say: the same in other forms, the same thing gone wrong in opposite ways, nothing.

English only where it is about single words; names in other languages have neither signal, and lose nothing else.
"""

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from errormap_core.proposals.naming import cut_words
from errormap_core.proposals.nodes import Ints
from errormap_core.taxonomy.tree import name_key

MOST_WORDS = 60
MOST_LETTERS = 400
LEAST_LETTERS = 5
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
_SORTS = 64
_AT_ONCE = 1 << 16
_FIRST, _SECOND = np.array([0]), np.array([1])


def shortened(text: str) -> str:
    """A text as it is embedded: one line, not more of it than an encoder reads."""
    clean = text[: 4 * MOST_LETTERS].encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text
    return cut_words(clean, MOST_WORDS)[:MOST_LETTERS]


def words_of(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(name.casefold()))


def stems_of(name: str) -> frozenset[str]:
    """Content words without their commonest endings."""
    return frozenset(_stem(word) for word in words_of(name) if word not in _STOP)


class Wordings:
    """What is compared of many names, found once: pairs of them, given by their places, are compared at once.

    `pause` is called between steps and may raise to end the work.
    """

    def __init__(self, names: Sequence[str], pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        words: list[frozenset[str]] = []
        number: dict[frozenset[str], int] = {frozenset(): 0}
        stems: list[int] = []
        for name in names:
            pause()
            words.append(words_of(name))
            stems.append(number.setdefault(stems_of(name), len(number)))
        self._stems = np.array(stems, np.int64)
        self._keys = [name_key(name)[:MOST_LETTERS] for name in names]
        self._length = np.array([len(key) for key in self._keys], np.int64)
        self._ways = _bits(words, [frozenset(way.split()) for way in _WAYS])
        self._left = _bits(words, [frozenset((left,)) for left, _ in _OPPOSITES])
        self._right = _bits(words, [frozenset((right,)) for _, right in _OPPOSITES])

    def opposed(self, one: Ints, two: Ints) -> NDArray[np.bool_]:
        """Of pairs, shape (m,), whether they say that something went wrong in different ways: missing and wrong, too long and
        too short."""
        ways, others = self._ways[one], self._ways[two]
        in_other_ways = (ways != 0) & (others != 0) & (ways & others == 0)
        either_way = (self._left[one] & self._right[two]) | (self._right[one] & self._left[two])
        return np.asarray(in_other_ways | (either_way != 0), bool)

    def same(self, one: Ints, two: Ints) -> NDArray[np.bool_]:
        """Of pairs, shape (m,), whether they differ in no content word: 'Unit Errors' and 'unit error', 'Halucination' and
        'Hallucination'."""
        same = np.asarray((self._stems[one] == self._stems[two]) & (self._stems[one] > 0), bool)
        short, long = np.minimum(self._length[one], self._length[two]), np.maximum(self._length[one], self._length[two])
        unclear = np.flatnonzero(
            ~same & (short >= LEAST_LETTERS) & (short >= NEARLY_SAME * long) & ~self.opposed(one, two)
        )
        counts = self._letters(np.union1d(one[unclear], two[unclear]))
        for start in range(0, len(unclear), _AT_ONCE):
            some = unclear[start : start + _AT_ONCE]
            # Letters in common in whatever order: at least as many as in the same order.
            in_any_order = np.minimum(counts[one[some]], counts[two[some]]).sum(axis=1)
            some = some[2 * in_any_order >= NEARLY_SAME * (short[some] + long[some]) - 1e-6]
            matcher = SequenceMatcher(None, autojunk=False)
            for m in some[np.argsort(two[some], kind="stable")].tolist():
                self._pause()
                matcher.set_seq2(self._keys[two[m]])  # which it keeps as long as it is the same
                matcher.set_seq1(self._keys[one[m]])
                same[m] = matcher.ratio() >= NEARLY_SAME
        return same

    def _letters(self, among: Ints) -> NDArray[np.int16]:
        """How often each letter occurs, some letters counted as one: shape (all names, _SORTS), of those in `among`."""
        found = np.zeros((len(self._keys), _SORTS), np.int16)
        for i in among.tolist():
            self._pause()
            codes = np.frombuffer(self._keys[i].encode("utf-32-le", "surrogatepass"), np.uint32)
            found[i] = np.bincount(codes % _SORTS, minlength=_SORTS)
        return found


def is_same_wording(one: str, two: str) -> bool:
    """Whether two names differ in no content word: 'Unit Errors' and 'unit error', 'Halucination' and 'Hallucination'."""
    return bool(Wordings((one, two)).same(_FIRST, _SECOND)[0])


def says_nothing(name: str) -> bool:
    """Whether a name has no word that tells its category from any other: 'Miscellaneous errors', 'Group 7', 'Type B'."""
    return not {word for word in words_of(name) - _STOP - _EMPTY if len(word) > 1}


def is_opposed(one: str, two: str) -> bool:
    """Whether the names say that something went wrong in different ways: missing and wrong, too long and too short."""
    return bool(Wordings((one, two)).opposed(_FIRST, _SECOND)[0])


def _bits(words: Sequence[frozenset[str]], sets: Sequence[frozenset[str]]) -> Ints:
    """For each set a bit, set where a name has a word of it."""
    bits: dict[str, int] = {}
    for place, own in enumerate(sets):
        for word in own:
            bits[word] = bits.get(word, 0) | 1 << place
    return np.array([reduce(or_, (bits[word] for word in own & bits.keys()), 0) for own in words], np.int64)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: -len(ending)]
            return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "ls" else stem  # formatting, dropped
    return word
