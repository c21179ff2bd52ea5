"""How much memory an engine may have for itself, worked out of what was said that it needs; what is over that ends it.

A model's file and its chat template come from anywhere, and either may ask for any amount. Counted is what belongs to the
process alone: a model that is mapped from its file lies in memory that the system can take back, however large it is, and
address space is not counted at all. Two guards hold the cap: on Linux the system refuses the engine more (RLIMIT_DATA, which
leaves mapped files out), so that a request that is too large fails at once; everywhere the parent looks several times a
second and ends an engine that is over it.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from errormap_core.errors import KnownError
from errormap_core.judge.gguf_file import ModelFile
from errormap_core.judge.memory import memory_needed, size_text
from errormap_core.sentences import tr

FACTOR = 1.25
SLACK = 512 << 20
"""Beside what was worked out: allocators keep some, and estimates of graphs are estimates."""

A_THREAD = 16 << 20
"""Stack and buffers of a thread of llama.cpp's or NumPy's."""

A_DEVICE = 4 << 30
"""What a GPU's driver takes of the machine's memory."""

_LOOK_EVERY_S = 0.1


def memory_cap(
    model: ModelFile, context: int, sequences: int, *, gpu_layers: int = 0, batch: int = 512, threads: int = 1
) -> int:
    """Bytes that an engine with this model may have for itself.

    The weights are in it although they are mapped: llama.cpp writes some formats anew in memory, in the order that suits the
    processor. Cache and graph are in it twice, as scoring has a context of its own.
    """
    need = memory_needed(model, context, sequences, gpu_layers=gpu_layers, batch=batch, flash_attention=False)
    parts = need.weights + 2 * (need.cache + need.graph + need.vocabulary) + need.process
    device = A_DEVICE if gpu_layers else 0
    return round(parts * FACTOR) + SLACK + A_THREAD * max(1, threads) + device


def limit_self(n_bytes: int) -> None:
    """From now on this process gets no more than so much beside what it has. Nothing happens where the system has no such
    limit; the parent watches there as well."""
    if not psutil.LINUX:
        return
    import resource

    has = next(
        int(line.split()[1]) << 10
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        if line.startswith("VmData:")
    )
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = has + n_bytes if hard == resource.RLIM_INFINITY else min(has + n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def own_memory(pid: int) -> int:
    """Bytes of memory that a process has for itself, mapped files left out where the system tells. Raises psutil.Error."""
    found = psutil.Process(pid).memory_info()
    if hasattr(found, "private"):  # Windows
        return int(found.private)
    return int(found.rss) - int(getattr(found, "shared", 0))


class Watch:
    """Ends a process that takes more than it may; `over` is then what it had."""

    def __init__(self, pid: int, cap: int, *, mapped: int, end: Callable[[], None]) -> None:
        self.over: int | None = None
        self._pid, self._end = pid, end
        # Where mapped files cannot be told from the rest, they are allowed on top.
        self._cap = cap if psutil.LINUX or psutil.WINDOWS else cap + mapped
        self._is_over = threading.Event()
        threading.Thread(target=self._look, daemon=True, name="memory").start()

    def stop(self) -> None:
        self._is_over.set()

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_EVERY_S):
            try:
                taken = own_memory(self._pid)
            except psutil.Error:  # it has ended
                return
            if taken > self._cap:
                self.over = taken
                self._end()
                return


def took_too_much(path: Path, taken: int, cap: int) -> KnownError:
    """The error of an engine that was ended because of its memory."""
    return KnownError(
        tr(
            "This model's engine took {taken} of memory for itself, more than the {cap} that it may have, and was stopped.",
            taken=size_text(taken),
            cap=size_text(cap),
        ),
        where=os.fspath(path),
        fix=tr(
            "Choose another chat template (judge.template) or another model: this one asks for more than its size explains."
        ),
    )
