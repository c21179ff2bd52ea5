"""Which prompts are evaluated when: several records are written in one batch, and what they share is evaluated once.

A work is a prompt in segments (instructions; question and references; the answer) and a generator that writes
(`writing.py`). Each sequence of the context takes one; a finished one's place is taken at once. Parts of prompts are fed
beside the tokens of those that write already. Nothing here knows llama.cpp: a decoder is anything that decodes parts.
"""

import collections
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Writing = Generator[list[int], NDArray[np.float32], Any]
"""Yields tokens to be fed, receives the logits after the last of them, returns a value."""


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one sequence in a batch, from position `start` on; the logits of the last `n_logits` are wanted."""

    sequence: int
    start: int
    tokens: Sequence[int]
    n_logits: int = 0


class ContextFull(Exception):
    """What is written does not fit the context; the work ends with that, those beside it go on."""


class Decodes(Protocol):
    """What a scheduler needs of a context. `n_context` are the tokens that a sequence may have."""

    n_sequences: int
    n_batch: int
    n_context: int

    def decode(self, parts: Sequence[Part]) -> list[NDArray[np.float32]]: ...
    def keep(self, sequence: int, n: int) -> bool: ...
    def copy(self, source: int, target: int) -> None: ...


@dataclass(slots=True)
class Work:
    """One prompt to be written after. `segments` are its tokens, what is shared first; none is empty.

    A work that `is_urgent` takes the next free place, whatever else could go on there.
    """

    key: int
    segments: list[list[int]]
    writing: Writing
    is_urgent: bool = False
    n_reused: int = 0

    @property
    def n_prompt(self) -> int:
        return sum(map(len, self.segments))


@dataclass(frozen=True, slots=True)
class Done:
    """A work that ended: with its value, or with the exception that its writing raised."""

    work: Work
    value: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class _Slot:
    """A sequence: the whole segments that it holds, the tokens after them, and what it works on."""

    number: int
    held: list[list[int]] = field(default_factory=list)
    n_past: int = 0
    work: Work | None = None
    prompt: collections.deque[list[int]] = field(default_factory=collections.deque)
    at: int = 0  # in prompt[0]
    tokens: list[int] = field(default_factory=list)  # that the writing wants fed

    @property
    def is_free(self) -> bool:
        return self.work is None


class Scheduler:
    """Drives works through a decoder; `step` decodes one batch."""

    def __init__(self, decoder: Decodes) -> None:
        self._decoder = decoder
        self._slots = [_Slot(number) for number in range(decoder.n_sequences)]
        self._waiting: collections.deque[Work] = collections.deque()

    def __len__(self) -> int:
        return len(self._waiting) + sum(not slot.is_free for slot in self._slots)

    def add(self, work: Work) -> None:
        """Take a work on."""
        (self._waiting.appendleft if work.is_urgent else self._waiting.append)(work)

    def cancel(self, key: int | None = None) -> list[int]:
        """Drop a work (None: all). Returns the keys of those that were there."""
        dropped = [work.key for work in self._waiting if key in (None, work.key)]
        self._waiting = collections.deque(work for work in self._waiting if work.key not in dropped)
        for slot in self._slots:
            if slot.work is not None and key in (None, slot.work.key):
                dropped.append(slot.work.key)
                slot.work.writing.close()
                self._free(slot)
        return dropped

    def forget(self) -> None:
        """Nothing that was evaluated is held any longer (the context failed or was cleared)."""
        for slot in self._slots:
            slot.held, slot.n_past = [], 0

    def step(self) -> list[Done]:
        """Decode one batch and hand its logits out; what ended by that. Raises what the decoder raises."""
        self._fill()
        parts, slots = self._batch()
        if not parts:
            return []
        logits = self._decoder.decode(parts)
        ended: list[Done] = []
        for part, slot, row in zip(parts, slots, logits, strict=True):
            slot.n_past += len(part.tokens)
            if part.n_logits:
                done = self._write(slot, row[-1])
                if done is not None:
                    ended.append(done)
        return ended

    # Who works on what

    def _fill(self) -> None:
        for slot in self._slots:
            if slot.is_free and self._waiting:
                work = self._next_for(slot)
                if work is not None:
                    self._start(slot, work)

    def _next_for(self, slot: _Slot) -> Work | None:
        """The work that takes this place: one that goes on from what it holds, else the first whose example no other
        place is reading just now; such a one waits to take that over."""
        if self._waiting[0].is_urgent:
            return self._waiting.popleft()
        longest = max(self._waiting, key=lambda work: _shared(slot.held, work.segments))
        if _n_tokens(slot.held[: _shared(slot.held, longest.segments)]) > _n_tokens(longest.segments[:1]):
            self._waiting.remove(longest)
            return longest
        for work in self._waiting:
            if not any(self._is_reading(other, work) for other in self._slots):
                self._waiting.remove(work)
                return work
        return None

    def _is_reading(self, slot: _Slot, work: Work) -> bool:
        """Whether a place is about to hold more of this work's prompt than any does now."""
        if slot.work is None or not slot.prompt:
            return False
        common = _shared(slot.work.segments, work.segments)
        best = max(_shared(other.held, work.segments) for other in self._slots)
        return common > best

    def _start(self, slot: _Slot, work: Work) -> None:
        own = _shared(slot.held, work.segments)
        giver = max(self._slots, key=lambda other: _shared(other.held, work.segments))
        theirs = _shared(giver.held, work.segments)
        n_kept = min(max(own, theirs), len(work.segments) - 1)  # the last is always read: its logits are needed
        if theirs > own and giver is not slot:
            self._decoder.copy(giver.number, slot.number)
        kept = work.segments[:n_kept]
        if not self._decoder.keep(slot.number, _n_tokens(kept)):
            # This kind of model cannot go back: it begins anew.
            self._decoder.keep(slot.number, 0)
            kept = []
        slot.held = list(kept)
        slot.n_past = work.n_reused = _n_tokens(kept)
        slot.work = work
        slot.prompt = collections.deque(work.segments[len(kept) :])
        slot.at = 0
        slot.tokens = next(work.writing)

    def _free(self, slot: _Slot) -> None:
        """What it holds stays: whole segments at the beginning of the sequence."""
        slot.work = None
        slot.prompt.clear()
        slot.tokens = []

    # Batches

    def _batch(self) -> tuple[list[Part], list[_Slot]]:
        """Tokens of those that write first, then parts of prompts as far as there is room."""
        room = self._decoder.n_batch
        parts: list[Part] = []
        slots: list[_Slot] = []
        writing = [slot for slot in self._slots if not slot.is_free and not slot.prompt]
        reading = [slot for slot in self._slots if slot.prompt]
        for slot in (*writing, *reading):
            if room:
                tokens = self._read(slot, room) if slot.prompt else []
                if not slot.prompt:
                    fed = slot.tokens[: room - len(tokens)]
                    slot.tokens = slot.tokens[len(fed) :]
                    tokens = tokens + fed
                wants = not slot.prompt and not slot.tokens
                parts.append(Part(slot.number, slot.n_past, tokens, int(wants)))
                slots.append(slot)
                room -= len(tokens)
        order = sorted(range(len(parts)), key=lambda place: parts[place].sequence)
        return [parts[place] for place in order], [slots[place] for place in order]

    def _read(self, slot: _Slot, room: int) -> list[int]:
        """The next tokens of a prompt, of one segment: so a segment is always evaluated from its own beginning, and what
        is held is to the bit what would be made anew where no other sequence is beside it."""
        segment = slot.prompt[0]
        tokens = segment[slot.at : slot.at + room]
        slot.at += len(tokens)
        if slot.at == len(segment):
            slot.held.append(slot.prompt.popleft())
            slot.at = 0
        return tokens

    def _write(self, slot: _Slot, logits: NDArray[np.float32]) -> Done | None:
        work = slot.work
        assert work is not None
        try:
            slot.tokens = work.writing.send(logits)
        except StopIteration as end:
            self._free(slot)
            return Done(work, value=end.value)
        except (ValueError, RuntimeError, IndexError) as error:
            self._free(slot)
            return Done(work, error=error)
        if slot.n_past + len(slot.tokens) > self._decoder.n_context:
            work.writing.close()
            self._free(slot)
            return Done(work, error=ContextFull())
        return None


def _shared(held: Sequence[Sequence[int]], segments: Sequence[Sequence[int]]) -> int:
    """How many whole segments both begin with."""
    n = 0
    for ours, theirs in zip(held, segments, strict=False):
        if ours is not theirs and ours != theirs:
            break
        n += 1
    return n


def _n_tokens(segments: Sequence[Sequence[int]]) -> int:
    return sum(map(len, segments))
