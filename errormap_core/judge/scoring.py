"""How likely a model finds texts after a prompt: many continuations of one prompt, scored in few batches.

This is how a judge chooses where nothing is to be written: the prompt is evaluated once, each continuation in a sequence
of its own that shares the prompt's cells. Nothing here knows llama.cpp: a context is anything that decodes parts, keeps,
copies. Only the engine's process uses it.
"""

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from errormap_core.judge.base import Message
from errormap_core.judge.chat import PLAIN, PLAIN_TEMPLATE, Piece, Template
from errormap_core.judge.scheduling import Part

SEQUENCES = 17
"""Of the context that scores: one for the prompt, the others for continuations."""

ROW_BYTES = 64 * 2**20
"""Most bytes of logits that are wanted of one batch: 64 rows of a vocabulary of 262 thousand, 341 of one of 49 thousand."""

_MOST_KEPT = 64
"""Prompts whose scores are remembered."""


class Decodes(Protocol):
    """What scoring needs of a context whose sequences share cells."""

    n_sequences: int
    n_batch: int
    n_context: int

    def decode(self, parts: Sequence[Part]) -> list[NDArray[np.float32]]: ...
    def keep(self, sequence: int, n: int) -> bool: ...
    def copy(self, source: int, target: int) -> None: ...


class Reads(Protocol):
    """What scoring needs of a model: its template, and the tokens of pieces of a prompt."""

    @property
    def template(self) -> Template: ...

    def tokens(self, pieces: Sequence[Piece], *, is_first: bool = False) -> list[int]: ...


class Score(NamedTuple):
    """The natural logarithm of a continuation's probability, summed over its tokens; (0, 0) for an empty one."""

    log_probability: float
    n_tokens: int


class NoRoom(Exception):
    """A prompt and its longest continuation do not fit the context."""

    def __init__(self, n_prompt: int, n_longest: int) -> None:
        super().__init__(n_prompt, n_longest)
        self.n_prompt = n_prompt
        self.n_longest = n_longest


@dataclass(slots=True)
class _Branch:
    """A continuation while it is fed: all its tokens but the last, which nothing is asked after."""

    sequence: int
    tokens: tuple[int, ...]
    at: int = 0
    total: float = 0.0

    @property
    def n_left(self) -> int:
        return len(self.tokens) - 1 - self.at


class Scorer:
    """Scores continuations with a context; keeps in it what the next prompt begins with, in whole segments."""

    def __init__(self, decoder: Decodes) -> None:
        self._decoder = decoder
        self._held: list[list[int]] = []
        self._last: NDArray[np.float32] | None = None  # log-probabilities after what is held, where they are known
        self._known: collections.OrderedDict[tuple[int, ...], dict[tuple[int, ...], float]] = collections.OrderedDict()
        self.n_fed = 0
        self.n_reused = 0

    # Kernels differ with the size of a batch: sums over a few tokens of a quantized model move by about 0.1 nats with what
    # is scored beside them. Sorted and without repetition, the same set gives the same scores.

    def score(
        self, segments: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], *, remember: bool = False
    ) -> list[Score]:
        """How likely each continuation is after the prompt, in the order given; texts of the same tokens have the same score.

        What is scored together does not depend on the order (they are sorted), so neither does any score. With
        `remember`, scores are kept for when the same prompt comes again, and only what is new is evaluated.

        Raises NoRoom where the prompt does not fit, ValueError for an empty prompt, and what the decoder raises.

        Parameters
        ----------
        segments : token lists of the prompt, what other prompts share first; empty ones do not count
        continuations : token lists
        """
        prompt = [list(segment) for segment in segments if len(segment)]
        wanted = sorted({tuple(tokens) for tokens in continuations if len(tokens)})
        n_prompt = sum(map(len, prompt))
        if not n_prompt:
            raise ValueError("there is nothing to continue")
        longest = max(map(len, wanted), default=1) - 1
        if n_prompt + longest > self._decoder.n_context:
            raise NoRoom(n_prompt, longest)
        found: dict[tuple[int, ...], float] = {}
        key = tuple(token for segment in prompt for token in segment) if remember else ()
        if remember:
            found = self._known.setdefault(key, {})
            self._known.move_to_end(key)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        missing = [tokens for tokens in wanted if tokens not in found]
        if missing:
            try:
                found.update(self._evaluated(prompt, n_prompt, missing))
            except BaseException:
                self.forget()
                raise
        return [Score(found[tuple(t)], len(t)) if len(t) else Score(0.0, 0) for t in continuations]

    def forget(self) -> None:
        """Nothing that was evaluated is held any longer."""
        for sequence in range(self._decoder.n_sequences):
            self._decoder.keep(sequence, 0)
        self._held, self._last = [], None

    # The prompt

    def _evaluated(
        self, prompt: list[list[int]], n_prompt: int, wanted: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], float]:
        last = self._read(prompt)
        found: dict[tuple[int, ...], float] = {}
        room = self._decoder.n_context - n_prompt
        n_rows = max(1, min(self._decoder.n_batch, ROW_BYTES // last.nbytes))
        waiting = collections.deque(tokens for tokens in wanted if len(tokens) > 1)
        found.update({tokens: float(last[tokens[0]]) for tokens in wanted if len(tokens) == 1})
        while waiting:
            branches: list[_Branch] = []
            left = room
            while waiting and len(branches) < self._decoder.n_sequences - 1 and len(waiting[0]) - 1 <= left:
                tokens = waiting.popleft()
                left -= len(tokens) - 1
                branches.append(_Branch(len(branches) + 1, tokens, total=float(last[tokens[0]])))
            self._feed(branches, n_prompt, n_rows)
            found.update({branch.tokens: branch.total for branch in branches})
        return found

    def _read(self, prompt: list[list[int]]) -> NDArray[np.float32]:
        """Evaluate what is not held of a prompt; the log-probabilities of the token after it, shape (n_vocab,)."""
        n_shared = 0
        for ours, theirs in zip(self._held, prompt, strict=False):
            if ours != theirs:
                break
            n_shared += 1
        if n_shared == len(prompt) == len(self._held) and self._last is not None:
            self.n_reused += sum(map(len, prompt))
            return self._last
        n_shared = min(n_shared, len(prompt) - 1)  # the last is always read: its logits are needed
        n = sum(map(len, prompt[:n_shared]))
        if not self._decoder.keep(0, n):
            self._decoder.keep(0, 0)  # this kind of model cannot go back: it begins anew
            n_shared = n = 0
        self.n_reused += n
        self._held, self._last = prompt[:n_shared], None
        for place in range(n_shared, len(prompt)):
            # A segment is always evaluated from its own beginning, so that what is held is what would be made anew.
            segment = prompt[place]
            for start in range(0, len(segment), self._decoder.n_batch):
                tokens = segment[start : start + self._decoder.n_batch]
                is_end = place == len(prompt) - 1 and start + len(tokens) == len(segment)
                (logits,) = self._decoder.decode([Part(0, n, tokens, int(is_end))])
                n += len(tokens)
                self.n_fed += len(tokens)
            self._held.append(segment)
        self._last = logits[0] - np.float32(log_sums(logits)[0])
        return self._last

    # Continuations

    def _feed(self, branches: Sequence[_Branch], n_prompt: int, n_rows: int) -> None:
        """Add to each branch what its tokens but the first are worth, at most `n_rows` tokens a batch."""
        for branch in branches:
            self._decoder.copy(0, branch.sequence)
        waiting = collections.deque(branches)
        while waiting:
            parts: list[Part] = []
            fed: list[_Branch] = []
            room = n_rows
            while waiting and room:
                branch = waiting.popleft()
                tokens = branch.tokens[branch.at : branch.at + min(branch.n_left, room)]
                parts.append(Part(branch.sequence, n_prompt + branch.at, tokens, len(tokens)))
                fed.append(branch)
                room -= len(tokens)
            for branch, part, logits in zip(fed, parts, self._decoder.decode(parts), strict=True):
                n = len(part.tokens)
                after = list(branch.tokens[branch.at + 1 : branch.at + 1 + n])
                branch.total += float((logits[np.arange(n), after] - log_sums(logits)).sum())
                branch.at += n
                self.n_fed += n
            if fed[-1].n_left:
                waiting.appendleft(fed[-1])
        for branch in branches:
            self._decoder.keep(branch.sequence, 0)


def answered(model: Reads, scorer: Scorer, request: Mapping[str, Any]) -> dict[str, Any]:
    """What an engine answers to a request to score.

    The request has `messages` (one of the system's, one of the user's), the `opening` of the answer that is continued,
    `continuations` (texts), `own` (so many characters at the end of the user's message are not shared with the next
    request), `plain` (the messages as they are, without the model's template) and `remember`. No control token counts
    in any of these texts. The answer has [log-probability, tokens] of each continuation under `scores`; `too_long` where
    there is no room.
    """
    template = PLAIN if request["plain"] else model.template
    segments = prompt_segments(model, template, request["messages"], opening=request["opening"], own=request["own"])
    texts = request["continuations"]
    tokens = {text: continuation_tokens(model, request["opening"], text) for text in dict.fromkeys(texts)}
    before = scorer.n_fed, scorer.n_reused
    try:
        scores = scorer.score(segments, [tokens[text] for text in texts], remember=request["remember"])
    except NoRoom as error:
        return {"too_long": {"prompt": error.n_prompt, "room": error.n_longest}}
    return {
        "ok": {
            "scores": [[score.log_probability, score.n_tokens] for score in scores],
            "fed_tokens": scorer.n_fed - before[0],
            "reused_tokens": scorer.n_reused - before[1],
        }
    }


def prompt_segments(
    model: Reads, template: Template, messages: Sequence[Message], *, opening: str, own: int
) -> list[list[int]]:
    """The tokens of a prompt whose answer begins with `opening`: what all share, then what is this prompt's alone."""
    pieces = template.pieces(messages)
    if template.name == PLAIN_TEMPLATE:
        pieces[-1] = ("\n", True)  # instead of what asks for a report
    last = max(place for place, (_, is_template) in enumerate(pieces) if not is_template)
    content = pieces[last][0]
    cut = max(0, len(content) - own)
    parts = [[*pieces[:last], (content[:cut], False)], [(content[cut:], False), *pieces[last + 1 :], (opening, False)]]
    return [tokens for place, part in enumerate(parts) if (tokens := model.tokens(part, is_first=place == 0))]


def continuation_tokens(model: Reads, opening: str, text: str) -> list[int]:
    """The tokens of a text that goes on after `opening`.

    Some tokenizers put a space before whatever they are given, so both are tokenized together where that changes
    nothing in the opening.
    """
    before, together = model.tokens([(opening, False)]), model.tokens([(opening + text, False)])
    if before and together[: len(before)] == before:
        return together[len(before) :]
    return model.tokens([(text, False)])


def log_sums(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logarithm of the sum of exponentials of each row, for logits of shape (n, n_vocab): shape (n,).

    In float32, row by row: no copy of a matrix of 262 thousand columns is made in float64.
    """
    found = np.empty(len(logits))
    for place, row in enumerate(logits):
        top = row.max()
        found[place] = float(top) + float(np.log(np.exp(row - top).sum(dtype=np.float64)))
    return found
