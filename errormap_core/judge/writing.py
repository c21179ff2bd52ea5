"""Writes an analysis token by token, so that it is valid whatever the model: what the form demands is fed, not sampled.

A writer is a generator: it yields tokens to be fed and receives the logits after the last of them. So one engine can
drive one writer or many at once, and a test can drive it with logits of its own. Nothing here knows llama.cpp.

- Field names, braces and quotes are fed. Where there is a choice (another criterion or the end, one of four words), only
  the tokens of the choices are compared.
- A text is sampled over the whole vocabulary less what cannot stand in it: one pass over the logits a token. It is
  bounded, says no four tokens twice in a text or an answer, and copies no six tokens in a row from the instructions.
- Evidence is a span of the record's answer by construction: each token must go on a place where the answer does.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from errormap_core.judge.analysis import (
    MAX_COMMENT,
    MAX_CRITERION,
    MAX_EVIDENCE,
    MAX_SUMMARY,
    MAX_TITLE,
    QUALITIES,
    VERDICTS,
)

Logits = NDArray[np.float32]
Writing = Generator[list[int], Logits, dict[str, Any]]
Step = Generator[list[int], Logits, int]
Text = Generator[list[int], Logits, str]

WRITER_VERSION = 2
"""Recorded with every analysis; another writer is another run."""

SAME_NGRAM = 4
"""So many tokens in a row are not written twice in one answer."""

COPIED_NGRAM = 6
"""So many tokens in a row are not copied from the instructions; with eight words or more they would be parroted."""

LEAST_EVIDENCE_WORDS = 4
LONGEST_PIECE = 24
"""Bytes of the longest token that evidence is looked for in; longer ones are hardly ever words."""

TOP_K = 40

_start, _end = itemgetter(0), itemgetter(1)

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A character of a script without blanks is a word."""

_BARRIER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Control characters end a quote: an analysis does not hold them."""


class Tokenizer(Protocol):
    """What a writer needs of a model's vocabulary: token ids of a text, control tokens not recognised in it."""

    def __call__(self, text: str) -> list[int]: ...


class Vocabulary:
    """The bytes of each token, and which of them may stand where. Made once for a model.

    Parameters
    ----------
    pieces : sequence of bytes
        What each token writes; empty for control tokens.
    tokenize : callable
        Token ids of a text.
    """

    def __init__(self, pieces: Sequence[bytes], tokenize: Tokenizer) -> None:
        self.pieces = list(pieces)
        self.tokenize = tokenize
        self.ids = {piece: token for token, piece in reversed(list(enumerate(self.pieces))) if piece}
        n = len(self.pieces)
        self.in_text = np.zeros(n, bool)
        self.ends_text = np.zeros(n, bool)
        self.begins_text = np.zeros(n, bool)
        self.goes_on_character = np.zeros(n, bool)
        for token, piece in enumerate(self.pieces):
            if not piece:
                continue
            before, quote, _ = piece.partition(b'"')
            is_plain = not any(byte < 0x20 or byte == 0x7F or byte == 0x5C for byte in before)
            self.in_text[token] = is_plain and not quote
            self.ends_text[token] = is_plain and bool(quote)
            self.begins_text[token] = (is_plain and not quote and before[:1].isalpha()) or piece[0] >= 0xC2
            self.goes_on_character[token] = 0x80 <= piece[0] < 0xC0
        self.begins_text &= self.in_text
        self._fed: dict[str, list[int]] = {}

    def fed(self, text: str) -> list[int]:
        """Tokens of a text of the form; kept, since there are few."""
        if text not in self._fed:
            self._fed[text] = self.tokenize(text)
        return self._fed[text]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an analysis in characters, and the number of its criteria.

    The schema allows more; but every token costs a pass through the model, and small models fill what they are given.
    """

    max_criteria: int = 4
    criterion: int = min(80, MAX_CRITERION)
    comment: int = min(80, MAX_COMMENT)
    evidence: int = min(120, MAX_EVIDENCE)
    title: int = min(60, MAX_TITLE)
    summary: int = min(200, MAX_SUMMARY)


def most_tokens(limits: Limits) -> int:
    """A bound on the tokens of an analysis: as many characters as it may have, three to a token.

    Measured on English text a token has four; where a script has more tokens, texts end at the context's end.
    """
    per_criterion = limits.criterion + limits.comment + limits.evidence + 100
    return (limits.max_criteria * per_criterion + limits.summary + limits.title + 100) // 3


@dataclass(slots=True)
class Written:
    """What was written: the tokens that were chosen, and how many were only fed."""

    n_sampled: int = 0
    n_fed: int = 0
    text: list[bytes] = field(default_factory=list)


class AnalysisWriter:
    """Writes one analysis. `source` is the record's answer, of which evidence is quoted.

    Parameters
    ----------
    instructions : sequence of int
        Tokens that the model must not copy.
    temperature, seed
        At temperature 0 the likeliest token is taken, else one of the TOP_K likeliest is drawn.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        source: str,
        *,
        limits: Limits | None = None,
        instructions: Sequence[int] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.vocabulary = vocabulary
        self.limits = limits or Limits()
        self.written = Written()
        self._source = source.encode("utf-8", "replace")
        self._words = _byte_spans(source)
        self._temperature = temperature
        self._random = np.random.default_rng(seed & 0xFFFFFFFF)
        self._pending: list[int] = []
        self._said: list[int] = []
        self._after = _followers(instructions, COPIED_NGRAM)
        self._own: dict[tuple[int, ...], set[int]] = {}

    def run(self) -> Writing:
        """Yields tokens to be fed, receives logits, returns the analysis as JSON holds it."""
        criteria: list[dict[str, Any]] = []
        self._feed('{"required_criteria": [{"criterion": "')
        while True:
            criteria.append((yield from self._criterion()))
            if len(criteria) >= self.limits.max_criteria:
                self._feed("}]")
                break
            if (yield from self._choice(("}]", '}, {"criterion": "'))) == 0:
                break
        self._feed(', "error_summary": "')
        summary = yield from self._text(self.limits.summary, least=24)
        self._feed(', "error_title": "')
        title = yield from self._text(self.limits.title, least=8)
        self._feed(', "verdict": "')
        verdict = VERDICTS[(yield from self._choice([f'{verdict}"' for verdict in VERDICTS]))]
        self._feed("}")
        return {"required_criteria": criteria, "error_summary": summary, "error_title": title, "verdict": verdict}

    def _criterion(self) -> Generator[list[int], Logits, dict[str, Any]]:
        criterion = yield from self._text(self.limits.criterion, least=8)
        self._feed(', "present_in_wrong": ')
        quality: str | None = None
        evidence = ""
        is_present = bool(self._words) and (yield from self._choice(("false", "true"))) == 1
        if is_present:
            self._feed(', "quality": "')
            quality = QUALITIES[(yield from self._choice([f'{quality}"' for quality in QUALITIES]))]
            self._feed(', "evidence": "')
            evidence = yield from self._quote()
        else:
            self._feed(', "quality": null, "evidence": ""')
        self._feed(', "comment": "')
        comment = yield from self._text(self.limits.comment, least=8)
        return {
            "criterion": criterion,
            "present_in_wrong": is_present,
            "quality": quality,
            "evidence": evidence,
            "comment": comment,
        }

    # What is fed, what is chosen

    def _feed(self, text: str) -> None:
        self._feed_tokens(self.vocabulary.fed(text))

    def _feed_tokens(self, tokens: Iterable[int]) -> None:
        tokens = list(tokens)
        self._pending += tokens
        self.written.n_fed += len(tokens)
        self.written.text += [self.vocabulary.pieces[token] for token in tokens]

    def _take(self, token: int) -> None:
        self._pending.append(token)
        self.written.n_sampled += 1
        self.written.text.append(self.vocabulary.pieces[token])

    def _logits(self) -> Generator[list[int], Logits, Logits]:
        tokens, self._pending = self._pending, []
        logits = yield tokens
        return logits

    def _choice(self, options: Sequence[str]) -> Step:
        """The option that the model prefers, compared token by token where options part; returns its place."""
        ways = [self.vocabulary.fed(option) for option in options]
        left = list(range(len(options)))
        depth = 0
        while len(left) > 1:
            tokens = sorted({ways[place][depth] for place in left if depth < len(ways[place])})
            if len(tokens) > 1:
                logits = yield from self._logits()
                tokens = [tokens[self._pick(logits[tokens])]]
            self._take(tokens[0])
            left = [place for place in left if depth < len(ways[place]) and ways[place][depth] == tokens[0]]
            depth += 1
        self._feed_tokens(ways[left[0]][depth:])
        return left[0]

    def _text(self, most: int, *, least: int) -> Text:
        """A free text of about `least` to at most `most` characters, its closing quote included."""
        vocabulary = self.vocabulary
        written = bytearray()
        while True:
            logits = yield from self._logits()
            if _is_open(written):
                allowed = vocabulary.goes_on_character
            elif not written:
                allowed = vocabulary.begins_text
            else:
                allowed = vocabulary.in_text & ~vocabulary.goes_on_character
                if len(_trimmed(written.decode("utf-8", "ignore"), most)) >= least:
                    allowed = allowed | vocabulary.ends_text
            token = self._pick_allowed(logits, allowed)
            if token is None:
                break
            piece = vocabulary.pieces[token]
            before, quote, _ = piece.partition(b'"')
            written += before
            if quote:
                self.written.n_sampled += 1
                self._feed_tokens(vocabulary.tokenize(before.decode("utf-8", "ignore")) if before else ())
                break
            self._take(token)
            self._remember(token)
            if len(written.decode("utf-8", "ignore")) >= most:
                break
        self._feed('"')
        return _trimmed(written.decode("utf-8", "ignore"), most)

    def _quote(self) -> Text:
        """A span of the source that begins and ends at words, and a closing quote."""
        source, vocabulary = self._source, self.vocabulary
        starts = {start for start, _ in self._words}
        ends = {end for _, end in self._words}
        least = min(LEAST_EVIDENCE_WORDS, len(self._words))
        places = starts
        start_of: dict[int, int] = {place: place for place in places}
        while True:
            ways = self._ways(places)
            may_end = [p for p in places if p in ends and self._n_words(start_of[p], p) >= least]
            longest = max(p - start_of[p] for p in places)
            if not ways or (may_end and longest >= self.limits.evidence - LONGEST_PIECE):
                break
            tokens = sorted(ways)
            logits = yield from self._logits()
            scores = logits[tokens]
            if may_end:
                closing = logits[np.flatnonzero(vocabulary.ends_text)].max(initial=-np.inf)
                scores = np.append(scores, closing)
            picked = self._pick(scores)
            if picked == len(tokens):
                break
            token = tokens[picked]
            self._take(token)
            size = len(vocabulary.pieces[token])
            start_of = {place + size: start_of[place] for place in sorted(ways[token], reverse=True)}
            places = set(start_of)
        self._feed('"')
        found = [p for p in sorted(places) if p in ends and self._n_words(start_of[p], p) >= least] or sorted(places)
        start, end = start_of[found[0]], found[0]
        return _within(source[start:end].decode("utf-8", "ignore"), self.limits.evidence)

    def _ways(self, places: Iterable[int]) -> dict[int, list[int]]:
        """Tokens that go on at these places of the source, each with the places that it goes on from."""
        ids, source = self.vocabulary.ids, self._source
        found: dict[int, list[int]] = {}
        for place in places:
            for size in range(1, min(LONGEST_PIECE, len(source) - place) + 1):
                piece = source[place : place + size]
                if _BARRIER.search(piece):
                    break
                token = ids.get(piece)
                if token is not None:
                    found.setdefault(token, []).append(place)
        return found

    def _n_words(self, start: int, end: int) -> int:
        return max(0, bisect_right(self._words, end, key=_end) - bisect_left(self._words, start, key=_start))

    # Choosing

    def _pick(self, scores: Logits) -> int:
        """Place of the highest score, or of one that is drawn."""
        if self._temperature <= 0:
            return int(np.argmax(scores))
        return self._draw(scores)

    def _pick_allowed(self, logits: Logits, allowed: NDArray[np.bool_]) -> int | None:
        """A token that is allowed, one that repeats nothing where there is one; None where nothing is allowed."""
        scores = np.where(allowed, logits, np.float32(-np.inf))
        blocked = self._blocked()
        if blocked:
            kept = scores.copy()
            kept[list(blocked)] = -np.inf
            scores = kept if np.isfinite(kept.max()) else scores
        if not np.isfinite(scores.max()):
            return None
        if self._temperature <= 0:
            return int(np.argmax(scores))
        likeliest = np.argpartition(-scores, TOP_K)[:TOP_K]
        return int(likeliest[self._draw(scores[likeliest])])

    def _draw(self, scores: Logits) -> int:
        scaled = (scores - scores.max()).astype(np.float64) / self._temperature
        chances = np.exp(scaled)
        return int(self._random.choice(len(scores), p=chances / chances.sum()))

    def _remember(self, token: int) -> None:
        self._said.append(token)
        if len(self._said) >= SAME_NGRAM:
            *head, last = self._said[-SAME_NGRAM:]
            self._own.setdefault(tuple(head), set()).add(last)

    def _blocked(self) -> set[int]:
        own = self._own.get(tuple(self._said[-(SAME_NGRAM - 1) :]), set())
        return own | self._after.get(tuple(self._said[-(COPIED_NGRAM - 1) :]), set())


def _byte_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text stand in its UTF-8."""
    found, at, bytes_at = [], 0, 0
    for word in _WORD.finditer(text):
        bytes_at += len(text[at : word.start()].encode("utf-8", "replace"))
        size = len(word[0].encode("utf-8", "replace"))
        found.append((bytes_at, bytes_at + size))
        at, bytes_at = word.end(), bytes_at + size
    return found


def _followers(tokens: Sequence[int], n: int) -> dict[tuple[int, ...], set[int]]:
    """For each n - 1 tokens in a row, those that follow them."""
    found: dict[tuple[int, ...], set[int]] = {}
    for start in range(len(tokens) - n + 1):
        found.setdefault(tuple(tokens[start : start + n - 1]), set()).add(tokens[start + n - 1])
    return found


def _is_open(written: bytearray) -> bool:
    """Whether the last character is not whole yet."""
    for back in range(1, min(4, len(written)) + 1):
        byte = written[-back]
        if byte >= 0xC0:
            return back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
        if byte < 0x80:
            return False
    return False


def _trimmed(text: str, most: int) -> str:
    """At most `most` characters on one line, cut at a word where it must be cut."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most - 1].rsplit(" ", 1)[0] if " " in text[: most - 1] else text[: most - 1]
    return cut.rstrip(" ,;:-") + "…"


def _within(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0]


def repetition(text: str) -> float:
    """Share of a text's four words in a row that it has said before; 0 for fewer than five words."""
    words = text.casefold().split()
    if len(words) < SAME_NGRAM + 1:
        return 0.0
    grams = Counter(tuple(words[i : i + SAME_NGRAM]) for i in range(len(words) - SAME_NGRAM + 1))
    total = sum(grams.values())
    return (total - len(grams)) / total
