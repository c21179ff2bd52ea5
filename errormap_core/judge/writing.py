"""Writes answers of a form token by token, valid whatever the model: what the form demands is fed, not sampled.

A writer is a generator: it yields tokens to be fed and receives the logits after the last of them. So one engine can
drive one writer or many at once, and a test can drive it with logits of its own. Nothing here knows llama.cpp.

- Labels, braces and quotes are fed. Where there is a choice (another criterion or the end, one of four words), only the
  tokens of the choices are compared.
- Our own forms are lines with short labels, not JSON: a third of the tokens to be fed, and no key that a model was not
  made to read. What is returned is made of their parts. The paper's form is JSON, for comparison.
- A text is sampled over the whole vocabulary less what cannot stand in it: one pass over the logits a token. It is
  bounded, says no four tokens twice in a text or an answer, and copies no four tokens in a row from the instructions.
- Evidence is a span of the record's answer by construction: each token must go on a place where the answer does.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

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
    Quality,
)
from errormap_core.judge.vocabulary import CONTINUES, LINE, STRING, Cell, Vocabulary

Logits = NDArray[np.float32]
Writing = Generator[list[int], Logits, dict[str, Any]]
Step = Generator[list[int], Logits, int]
Text = Generator[list[int], Logits, str]
Span = tuple[int, int]

WRITER_VERSION = 3
"""Recorded with every analysis; another writer is another run."""

SAME_NGRAM = 4
"""So many tokens in a row that say words are not written twice in one answer, marks and case apart."""

COPIED_NGRAM = 4
"""So many tokens in a row are not copied from the instructions: small models take their words for an answer."""

KEPT_FOR_TITLE, KEPT_AFTER, KEPT_IN_CRITERION = 40, 110, 190
"""Tokens of a bounded answer that are kept for a title; for a diagnosis; for the rest of a criterion and a diagnosis."""

LEAST_EVIDENCE_WORDS = 4
LEAST_TITLE_WORDS = 2
LEAST_SUMMARY_WORDS = 5
LONGEST_PIECE = 24
"""Bytes of the longest token that evidence is looked for in; longer ones are hardly ever words."""

NO_ERROR_HANDICAP = 4.2
"""Nats by which 'no error' must be ahead of 'error': a record that failed by its threshold is hardly ever right after all.
The logarithm of 203 to 3, as the sample's gold has errors and answers without one."""

TOP_K = 40

_start, _end = itemgetter(0), itemgetter(1)

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A character of a script without blanks is a word."""

_CHARACTER = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")

_BARRIER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Control characters end a quote: an analysis does not hold them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is written in characters, and the number of an analysis's criteria.

    The schema allows more; but every token costs a pass through the model, and small models fill what they are given.
    """

    max_criteria: int = 3
    criterion: int = min(80, MAX_CRITERION)
    comment: int = min(80, MAX_COMMENT)
    evidence: int = min(120, MAX_EVIDENCE)
    title: int = min(60, MAX_TITLE)
    summary: int = min(200, MAX_SUMMARY)
    name: int = 60
    description: int = 240
    tokens: int = 0  # of the whole answer, labels included; 0 for no such bound


FORMS = ("full", "quick", "paper", "name")
"""What is written: criteria, verdict and diagnosis; evidence and diagnosis; the paper's form, which has no verdict; the
name and description of a category."""


def most_tokens(form: str, limits: Limits) -> int:
    """A bound on the tokens that are written: as many characters as there may be, three to a token.

    Measured on English text a token has four; where a script has more tokens, texts end at the context's end.
    """
    if form == "name":
        return (limits.name + limits.description + 60) // 3
    diagnosis = limits.summary + limits.title + 100
    if form == "quick":
        return (limits.evidence + diagnosis) // 3
    per_criterion = limits.criterion + limits.comment + limits.evidence + 100
    return (limits.max_criteria * per_criterion + diagnosis) // 3


@dataclass(slots=True)
class Written:
    """What was written: the tokens that were chosen, how many were only fed, and what was thought before."""

    n_sampled: int = 0
    n_fed: int = 0
    text: list[bytes] = field(default_factory=list)
    thinking: str = ""


class Writer:
    """Writes one JSON object of a form. `source` is the record's answer, of which evidence is quoted.

    Parameters
    ----------
    instructions : sequence of int
        Tokens that the model must not copy.
    temperature, seed
        At temperature 0 the likeliest token is taken, else one of the TOP_K likeliest is drawn.

    Raises ValueError for a form that is not of FORMS.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        source: str = "",
        *,
        form: str = "full",
        limits: Limits | None = None,
        instructions: Sequence[int] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        if form not in FORMS:
            raise ValueError(form)
        self.vocabulary = vocabulary
        self.form = form
        self.limits = limits or Limits()
        self.written = Written()
        self._source = source.encode("utf-8", "replace")
        self._words = _byte_spans(source)
        self._temperature = temperature
        self._random = np.random.default_rng(seed & 0xFFFFFFFF)
        self._pending: list[int] = []
        self._said: list[int] = []
        self._quoted: list[Span] = []
        told = [vocabulary.words[token] for token in instructions]
        self._after = _followers([word for word in told if word], COPIED_NGRAM)
        self._own: dict[tuple[int, ...], set[int]] = {}

    def run(self) -> Writing:
        """Yields tokens to be fed, receives logits, returns what was written as JSON holds it."""
        match self.form:
            case "name":
                return (yield from self._name())
            case "quick":
                return (yield from self._quick())
            case "paper":
                return (yield from self._paper())
            case _:
                return (yield from self._full())

    def think(self, closing: str, *, opened: bool, opening: str, most: int) -> Writing:
        """Let the model think first, for at most `most` tokens, then write; for models that were made to do so.

        `opened` says that the prompt ends inside the thinking part already. Its text is kept apart, in `written`.
        """
        vocabulary = self.vocabulary
        ends = vocabulary.marks.get(closing)
        if not opened:
            self._pending += vocabulary.tokenize_marks(opening + "\n")
        thought = bytearray()
        is_closed = False
        for _ in range(most):
            logits = yield from self._logits()
            allowed = vocabulary.is_text if ends is None else vocabulary.is_text_or(ends)
            token = self._pick_masked(logits, allowed, blocked=set())
            if token is None:
                break
            self.written.n_sampled += 1
            self._pending.append(token)
            thought += vocabulary.pieces[token]
            is_closed = token == ends or thought.endswith(closing.encode())
            if is_closed:
                break
        self.written.thinking = thought.decode("utf-8", "replace").removesuffix(closing).strip()
        self._pending += vocabulary.tokenize_marks("\n\n" if is_closed else f"\n{closing}\n\n")
        return (yield from self.run())

    # Forms

    def _full(self) -> Writing:
        criteria: list[dict[str, Any]] = []
        while True:
            self._feed(f"{len(criteria) + 1}. A right answer:")
            criteria.append((yield from self._criterion(is_first=not criteria)))
            if not self._has_room(criteria):
                self._feed("Verdict:")
                break
            if (yield from self._choice(("Verdict:", f"{len(criteria) + 1}."))) == 0:
                break
            self._untake(f"{len(criteria) + 1}.")
        # An answer with something that is not correct has an error: no judge may contradict itself.
        is_clean = all(entry["quality"] == "correct" for entry in criteria)
        verdicts = [verdict for verdict in VERDICTS if is_clean or verdict != "no_error"]
        handicaps = [NO_ERROR_HANDICAP if verdict == "no_error" else 0.0 for verdict in verdicts]
        names = [f" {verdict.replace('_', ' ')}\n" for verdict in verdicts]
        verdict = verdicts[(yield from self._choice(names, handicaps))]
        value: dict[str, Any] = {"required_criteria": criteria, "verdict": verdict}
        if verdict == "no_error":
            return {**value, "error_summary": "", "error_title": ""}
        return {**value, **(yield from self._diagnosis())}

    def _is_full(self, kept: int) -> bool:
        """Whether only so many tokens of the answer's bound are left."""
        limits = self.limits
        return bool(limits.tokens) and self.written.n_sampled + self.written.n_fed + kept >= limits.tokens

    def _has_room(self, criteria: Sequence[object]) -> bool:
        """Whether another criterion may be written."""
        limits = self.limits
        if len(criteria) >= limits.max_criteria:
            return False
        rest = most_tokens(self.form, replace(limits, max_criteria=1))
        return not limits.tokens or self.written.n_sampled + self.written.n_fed + rest <= limits.tokens

    def _criterion(self, *, is_first: bool) -> Generator[list[int], Logits, dict[str, Any]]:
        """The first is about what the answer does, so that every diagnosis points at a place of it, if it has any."""
        criterion = yield from self._text(self.limits.criterion, least_words=LEAST_TITLE_WORDS, kept=KEPT_IN_CRITERION)
        self._feed("In the answer:")
        levels: list[Quality | None] = [] if not self._words else [*QUALITIES]
        if not (is_first and self._words):
            levels.append(None)
        names = [" missing\n" if level is None else f" {level.replace('_', ' ')}\n" for level in levels]
        quality = levels[(yield from self._choice(names))]
        evidence = ""
        if quality is not None:
            self._feed('Quote: "')
            evidence = yield from self._quote()
            self._feed('"\n')
        self._feed("Why:")
        comment = yield from self._text(self.limits.comment, least_words=LEAST_TITLE_WORDS, kept=KEPT_AFTER)
        return {
            "criterion": criterion,
            "present_in_wrong": quality is not None,
            "quality": quality,
            "evidence": evidence,
            "comment": comment,
        }

    def _quick(self) -> Writing:
        evidence = ""
        if self._words:
            self._feed('Quote: "')
            evidence = yield from self._quote()
            self._feed('"\n')
        return {"evidence": evidence, **(yield from self._diagnosis())}

    def _diagnosis(self) -> Generator[list[int], Logits, dict[str, Any]]:
        self._feed("What went wrong:")
        summary = yield from self._text(self.limits.summary, least_words=LEAST_SUMMARY_WORDS, kept=KEPT_FOR_TITLE)
        self._feed("Kind of mistake:")
        title = yield from self._text(self.limits.title, least_words=LEAST_TITLE_WORDS)
        return {"error_summary": summary, "error_title": title}

    def _name(self) -> Writing:
        self._feed("Name:")
        name = yield from self._text(self.limits.name, least_words=1)
        self._feed("Description:")
        description = yield from self._text(self.limits.description, least_words=LEAST_SUMMARY_WORDS)
        return {"name": name, "description": description}

    def _paper(self) -> Writing:
        """The paper's form, as JSON: criteria, summary, title."""
        criteria: list[dict[str, Any]] = []
        self._feed('{"required_criteria": [{"criterion": "')
        while True:
            criteria.append((yield from self._paper_criterion()))
            if not self._has_room(criteria):
                self._feed("}]")
                break
            if (yield from self._choice(("}]", '}, {"criterion": "'))) == 0:
                break
        self._feed(', "error_summary": "')
        summary = yield from self._text(
            self.limits.summary, least_words=LEAST_SUMMARY_WORDS, cell=STRING, kept=KEPT_FOR_TITLE
        )
        self._feed(', "error_title": "')
        title = yield from self._text(self.limits.title, least_words=LEAST_TITLE_WORDS, cell=STRING)
        self._feed("}")
        return {"required_criteria": criteria, "error_summary": summary, "error_title": title}

    def _paper_criterion(self) -> Generator[list[int], Logits, dict[str, Any]]:
        criterion = yield from self._text(
            self.limits.criterion, least_words=LEAST_TITLE_WORDS, cell=STRING, kept=KEPT_IN_CRITERION
        )
        self._feed(', "present_in_wrong": ')
        ways = ("false", "true") if self._words else ("false",)
        is_present = (yield from self._choice(ways)) == 1
        quality: Quality | None = None
        evidence = ""
        if is_present:
            self._feed(', "quality": "')
            quality = QUALITIES[(yield from self._choice([f'{quality}"' for quality in QUALITIES]))]
            self._feed(', "evidence": "')
            evidence = yield from self._quote()
            self._feed('"')
        else:
            self._feed(', "quality": null, "evidence": null')
        self._feed(', "comment": "')
        comment = yield from self._text(
            self.limits.comment, least_words=LEAST_TITLE_WORDS, cell=STRING, kept=KEPT_AFTER
        )
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

    def _untake(self, text: str) -> None:
        """Take back tokens that were chosen and are about to be fed with what follows them."""
        n = len(self.vocabulary.fed(text))
        del self._pending[-n:]
        del self.written.text[-n:]

    def _choice(self, options: Sequence[str], handicaps: Sequence[float] = ()) -> Step:
        """The option that the model prefers, compared token by token where options part; returns its place.

        A handicap is what an option must be ahead by, in nats.
        """
        ways = [self.vocabulary.fed(option) for option in options]
        left = list(range(len(options)))
        depth = 0
        while len(left) > 1:
            tokens = sorted({ways[place][depth] for place in left if depth < len(ways[place])})
            if len(tokens) > 1:
                scores = (yield from self._logits())[tokens]
                for n, token in enumerate(tokens if handicaps else ()):
                    scores[n] -= min(handicaps[place] for place in left if ways[place][depth] == token)
                tokens = [tokens[self._pick(scores)]]
            self._take(tokens[0])
            left = [place for place in left if depth < len(ways[place]) and ways[place][depth] == tokens[0]]
            depth += 1
        self._feed_tokens(ways[left[0]][depth:])
        return left[0]

    def _text(self, most: int, *, least_words: int, cell: Cell = LINE, kept: int = 0) -> Text:
        """A free text of at least `least_words` words where they fit, at most `most` characters, its end included.

        `kept` tokens of the answer's bound are for what follows.
        """
        vocabulary = self.vocabulary
        written = bytearray()
        n_tokens = 0
        is_cut = True  # unless an end is written
        while n_tokens < most and not self._is_full(kept):  # a character may take several tokens; then it ends sooner
            n_tokens += 1
            logits = yield from self._logits()
            if _is_open(written):
                kind = CONTINUES
            elif not written:
                kind = cell.begins
            elif n_words(written.decode("utf-8", "ignore")) < least_words:
                kind = cell.middle
            else:
                kind = cell.middle | cell.ends
            token = self._pick_allowed(logits, kind)
            if token is None:
                break
            before, mark, _ = vocabulary.pieces[token].partition(cell.mark)
            if vocabulary.kinds[token] & cell.ends and (mark or not before):
                written += before
                self.written.n_sampled += 1
                self._feed_tokens(vocabulary.tokenize(before.decode("utf-8", "ignore")) if before else ())
                is_cut = False
                break
            written += before
            self._take(token)
            self._remember(token)
            if len(written.decode("utf-8", "ignore")) >= most:
                break
        self._feed(cell.closing)
        return _trimmed(written.decode("utf-8", "ignore"), most, is_cut=is_cut)

    def _quote(self) -> Text:
        """A span of the source that begins and ends at words."""
        source, vocabulary = self._source, self.vocabulary
        ends = {end for _, end in self._words}
        least = min(LEAST_EVIDENCE_WORDS, len(self._words))
        places = self._starts(least)
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
                closing = logits[vocabulary.ends_text].max(initial=-np.inf)
                scores = np.append(scores, closing)
            picked = self._pick(scores)
            if picked == len(tokens):
                break
            token = tokens[picked]
            self._take(token)
            size = len(vocabulary.pieces[token])
            start_of = {place + size: start_of[place] for place in sorted(ways[token], reverse=True)}
            places = set(start_of)
        found = [p for p in sorted(places) if p in ends and self._n_words(start_of[p], p) >= least] or sorted(places)
        start, end = start_of[found[0]], found[0]
        self._quoted.append((start, end))
        return _within(source[start:end].decode("utf-8", "ignore"), self.limits.evidence)

    def _starts(self, least: int) -> set[int]:
        """Where a quote of at least so many words may begin: at a word that was not quoted yet, if there is one."""
        starts = [start for start, _ in self._words[: len(self._words) - least + 1]]
        unquoted = [place for place in starts if not any(a <= place < b for a, b in self._quoted)]
        return set(unquoted or starts)

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

    def _pick_allowed(self, logits: Logits, kind: int) -> int | None:
        """A token that may stand there, one that repeats nothing where there is one; None where nothing may."""
        vocabulary, blocked = self.vocabulary, self._blocked()
        if self._temperature <= 0:
            # Mostly the likeliest token is allowed: one pass over the logits, and no mask of the vocabulary's size.
            token = int(np.argmax(logits))
            if vocabulary.kinds[token] & kind and vocabulary.words[token] not in blocked:
                return token
        tokens = {token for word in blocked for token in vocabulary.saying(word)}
        return self._pick_masked(logits, (vocabulary.kinds & kind) != 0, blocked=tokens)

    def _pick_masked(self, logits: Logits, allowed: NDArray[np.bool_], *, blocked: set[int]) -> int | None:
        scores = np.where(allowed, logits, np.float32(-np.inf))
        if blocked:
            kept = scores.copy()
            kept[list(blocked)] = -np.inf
            scores = kept if np.isfinite(kept.max()) else scores
        if not np.isfinite(scores.max()):
            return None
        if self._temperature <= 0:
            return int(np.argmax(scores))
        n = min(TOP_K, len(scores))
        likeliest = np.argpartition(-scores, n - 1)[:n]
        return int(likeliest[self._draw(scores[likeliest])])

    def _draw(self, scores: Logits) -> int:
        scaled = (scores - scores.max()).astype(np.float64) / self._temperature
        chances = np.exp(scaled)
        return int(self._random.choice(len(scores), p=chances / chances.sum()))

    def _remember(self, token: int) -> None:
        word = self.vocabulary.words[token]
        if not word:
            return  # blanks and marks between the same words make them no others
        self._said.append(word)
        if len(self._said) >= SAME_NGRAM:
            *head, last = self._said[-SAME_NGRAM:]
            self._own.setdefault(tuple(head), set()).add(last)

    def _blocked(self) -> set[int]:
        """Words that would repeat what was said, or go on with what was told."""
        own = self._own.get(tuple(self._said[-(SAME_NGRAM - 1) :]), set())
        return own | self._after.get(tuple(self._said[-(COPIED_NGRAM - 1) :]), set())


def n_words(text: str) -> int:
    """Words of a text that hold a letter; a character of a script without blanks is one."""
    return sum(max(1, len(_CHARACTER.findall(part))) for part in text.split() if _LETTER.search(part))


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


def _trimmed(text: str, most: int, *, is_cut: bool = False) -> str:
    """At most `most` characters on one line, cut at a word where it must be cut; `is_cut`: it has no end as it is."""
    text = " ".join(text.split())
    if not text or (len(text) <= most and not is_cut):
        return text
    if len(text) < most:
        return text.rstrip(" ,;:-") + "…"
    cut = text[: most - 1].rsplit(" ", 1)[0] if " " in text[: most - 1] else text[: most - 1]
    if not n_words(cut):  # a sign before one long word: part of the word says more than the sign
        cut = text[: most - 1]
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
