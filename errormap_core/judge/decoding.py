"""A context of llama.cpp that decodes several sequences in one batch.

Only the engine's process imports this module. Each sequence has a stream of the KV cache to itself (`kv_unified` off), so
that none pays for the cells of the others; `unified` is for many short continuations of one prompt, which share its cells.
"""

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from errormap_core.judge.scheduling import Part

FLASH_AUTO = -1
"""llama.cpp decides by itself whether to use flash attention; 0 and 1 are off and on."""


class DecodeFailed(Exception):
    """llama.cpp could not decode a batch."""


@dataclass(slots=True)
class Journal:
    """What was done to a context, to be done again without anything beside it (see `replay`)."""

    deeds: list[tuple[Any, ...]] = field(default_factory=list)


class Decoder:
    """A context of a loaded model.

    Parameters
    ----------
    model : llama_model pointer
    sequences : int
        How many sequences it holds.
    context : int
        Tokens that each of them may have (all together where `unified`).
    batch : int
        Most tokens that are decoded at once.
    flash : int
        FLASH_AUTO, 0 or 1.

    Raises MemoryError where llama.cpp cannot make the context.
    """

    def __init__(
        self,
        model: Any,
        *,
        sequences: int,
        context: int,
        batch: int,
        threads: int,
        flash: int = FLASH_AUTO,
        unified: bool = False,
    ) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = context if unified else context * sequences
        params.n_seq_max = sequences
        params.n_batch = batch
        params.n_ubatch = batch
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = flash
        params.kv_unified = unified
        params.swa_full = True  # else a sliding window forgets what a shared beginning needs
        params.no_perf = True
        self._context = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            raise MemoryError("llama.cpp could not make a context")
        self.n_sequences = sequences
        self.n_batch = batch
        self.n_context = int(llama_cpp.llama_n_ctx(self._context)) // (1 if unified else sequences)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._n_vocab = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model)))
        self._batch = llama_cpp.llama_batch_init(batch, 0, 1)
        self._views = {
            name: np.ctypeslib.as_array(getattr(self._batch, name), shape=(batch,))
            for name in ("token", "pos", "n_seq_id", "logits")
        }
        self._views["n_seq_id"][:] = 1
        for place in range(batch):
            self._batch.seq_id[place][0] = 0
        # The ids lie one by one where llama.cpp put them; a view of each saves an attribute look-up a token.
        self._seq_ids = [self._batch.seq_id[place] for place in range(batch)]
        self.seconds = 0.0
        self.n_calls = 0
        self.longest = 0.0
        self.journal: Journal | None = None

    def decode(self, parts: Sequence[Part]) -> list[NDArray[np.float32]]:
        """Decode a batch; for each part that wants them its logits, of shape (n_logits, n_vocab).

        They are views, and gone with the next batch. Raises DecodeFailed.
        """
        views, at = self._views, 0
        rows: list[tuple[int, int]] = []
        for part in parts:
            n = len(part.tokens)
            views["token"][at : at + n] = part.tokens
            views["pos"][at : at + n] = np.arange(part.start, part.start + n, dtype=np.int32)
            views["logits"][at : at + n] = 0
            views["logits"][at + n - part.n_logits : at + n] = 1
            for place in range(at, at + n):
                self._seq_ids[place][0] = part.sequence
            at += n
            rows.append((at - part.n_logits, part.n_logits))
        self._batch.n_tokens = at
        if self.journal is not None:
            self.journal.deeds.append(
                ("decode", [Part(p.sequence, p.start, list(p.tokens), p.n_logits) for p in parts])
            )
        began = time.perf_counter()
        code = llama_cpp.llama_decode(self._context, self._batch)
        if code == 0:
            llama_cpp.llama_synchronize(self._context)
        took = time.perf_counter() - began
        self.seconds += took
        self.longest = max(self.longest, took)
        self.n_calls += 1
        if code:
            raise DecodeFailed(f"llama_decode returned {code}")
        return [self._logits(first, n) for first, n in rows]

    def keep(self, sequence: int, n: int) -> bool:
        """Forget a sequence beyond its first `n` tokens; False where this kind of model cannot go back."""
        if self.journal is not None:
            self.journal.deeds.append(("keep", sequence, n))
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, sequence, n if n else -1, -1))

    def copy(self, source: int, target: int) -> None:
        """Make `target` what `source` is."""
        if self.journal is not None:
            self.journal.deeds.append(("copy", source, target))
        llama_cpp.llama_memory_seq_rm(self._memory, target, -1, -1)
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def clear(self) -> None:
        """Forget everything."""
        if self.journal is not None:
            self.journal.deeds.append(("clear",))
        llama_cpp.llama_memory_clear(self._memory, False)

    def replay(self, journal: Journal) -> None:
        """Do again what another context of the same shape did, and nothing else: the least that it can take."""
        for name, *arguments in journal.deeds:
            getattr(self, name)(*arguments)

    def close(self) -> None:
        if self._context:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)
            self._context = None

    def _logits(self, first: int, n: int) -> NDArray[np.float32]:
        if n == 0:
            return np.empty((0, self._n_vocab), np.float32)
        pointer = llama_cpp.llama_get_logits_ith(self._context, first)
        if not pointer:
            raise DecodeFailed("llama.cpp gave no logits")
        # Rows that were asked for lie one after another.
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), shape=(n, self._n_vocab))
