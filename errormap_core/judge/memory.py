"""Whether a model can be a judge on this machine: what it is made for, the memory that it needs and that there is.

The memory of an engine's process, in bytes:

    weights        the bytes of its tensors (mapped from the file; what a GPU takes is left out)
  + cache          context x sequences x kv_bytes_per_token (f16, zeroed when made, so all of it is there at once)
  + graph          4 x batch x (2 x feed-forward + 4 x embedding), and without flash attention
                   4 x batch x heads x context for the scores of one layer
  + vocabulary     400 a token, for the library's table and the pieces that the writer of analyses keeps; 16 a token and
                   sequence for the logits
  + process        64 MiB: the interpreter, NumPy, llama.cpp
  and a tenth of all that.

Measured on Linux with llama-cpp-python 0.3.36 while long answers were judged: the most that the engine's process had in
memory, in MiB, the estimate in brackets. SmolLM2-135M Q4_1 at 2,048 tokens 231 (254), at 4,096 tokens 278 (303), without
flash attention 355 (382), four sequences of 2,048 tokens 368 (405); Gemma-3-270m Q4_K_M at 2,048 tokens 452 (497), at 4,096
tokens 493 (536), without flash attention 528 (572), four sequences of 2,048 tokens 566 (629).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from errormap_core.errors import KnownError
from errormap_core.judge.gguf_file import ModelFile
from errormap_core.sentences import Sentence, tr

BATCH = 512
"""Tokens that llama.cpp computes at once, its own default."""

PROCESS = 64 << 20
VOCABULARY_A_TOKEN = 400
MARGIN = 1.1

_FLOAT = 4

_UNFIT: dict[str, tuple[Sentence, Sentence]] = {
    "embedding": (
        tr("This is an embedding model: it turns a text into numbers and writes none."),
        tr("Choose a chat model."),
    ),
    "reranker": (
        tr("This model ranks texts by how well they fit a question and writes none."),
        tr("Choose a chat model."),
    ),
    "vision": (
        tr("This is the part of a vision model that reads images; it writes no text."),
        tr("Choose the language model that it belongs to, or another chat model."),
    ),
    "audio": (tr("This model works with sound and writes no text."), tr("Choose a chat model.")),
    "adapter": (
        tr("This is an adapter: it changes another model and is none by itself."),
        tr("Merge it into its model first, or choose a whole chat model."),
    ),
    "imatrix": (
        tr("This file says which weights matter when a model is quantised; it is no model."),
        tr("Choose the model itself."),
    ),
    "vocabulary": (tr("This file has a vocabulary and no weights."), tr("Choose the model itself.")),
    "diffusion": (
        tr("This model fills in words in any order; the judge needs one that writes from left to right."),
        tr("Choose another chat model."),
    ),
    "translation": (
        tr("This model has an encoder and a decoder; the judge needs one that goes on with a text."),
        tr("Choose a chat model."),
    ),
}


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that an engine with a model needs, and of what they are made; `device` is what a GPU takes of them."""

    weights: int
    cache: int
    graph: int
    vocabulary: int
    process: int
    device: int = 0

    @property
    def total(self) -> int:
        """What the machine's own memory has to hold, the margin included."""
        parts = self.weights + self.cache + self.graph + self.vocabulary + self.process
        return round((parts - self.device) * MARGIN)


@dataclass(frozen=True, slots=True)
class MemoryThere:
    """Bytes: what can be had now without swapping, and what the machine (or what this process is held to) has."""

    available: int
    total: int


def memory_needed(
    model: ModelFile,
    context: int,
    sequences: int = 1,
    *,
    gpu_layers: int = 0,
    batch: int = BATCH,
    flash_attention: bool = True,
) -> MemoryNeed:
    """What an engine with this model needs.

    Parameters
    ----------
    model : ModelFile
    context : int
        Tokens a sequence.
    sequences : int
        How many are held at once.
    gpu_layers : int
        Layers on a GPU, -1 for all; their weights and cache are counted there.
    batch : int
        Tokens that are computed at once.
    flash_attention : bool
        llama.cpp uses it by itself where the model allows.
    """
    context = context_of(model, context)
    cache = context * sequences * model.kv_bytes_per_token
    graph = _FLOAT * batch * (2 * model.n_feed_forward + 4 * model.n_embedding)
    if not flash_attention:
        graph += _FLOAT * min(batch, context) * model.n_heads * context
    n_layers = max(1, model.n_layers)
    on_device = n_layers if gpu_layers < 0 else min(gpu_layers, n_layers)
    return MemoryNeed(
        weights=model.weight_bytes,
        cache=cache,
        graph=graph,
        vocabulary=(VOCABULARY_A_TOKEN + 4 * _FLOAT * sequences) * model.n_vocabulary,
        process=PROCESS,
        device=(model.weight_bytes + cache) * on_device // n_layers,
    )


def context_of(model: ModelFile, context: int) -> int:
    """The tokens of context that an engine makes where `context` is asked for: no more than the model was made for."""
    return min(context, model.context_length or context)


def memory_there() -> MemoryThere:
    """What the machine has and can give now; less where a control group (a container) holds this process to less."""
    memory = psutil.virtual_memory()
    available, total = int(memory.available), int(memory.total)
    for limit, used in _group_limits():
        if limit < total:
            total = limit
        available = min(available, max(0, limit - used))
    return MemoryThere(available, total)


def refuse_unfit(model: ModelFile) -> None:
    """Raises KnownError where the file is cut off, lacks parts, or is made for something else than writing text."""
    where = str(model.path)
    if model.missing_bytes:
        raise KnownError(
            tr("This model is incomplete: {size} of its weights are missing.", size=size_text(model.missing_bytes)),
            where=where,
            fix=tr("Download it again, and compare its size with the original's."),
        )
    if model.part > 1:
        raise KnownError(
            tr("This is part {part:,} of {n:,} of a split model.", part=model.part, n=model.n_parts),
            where=where,
            fix=tr("Choose its first part; llama.cpp finds the others beside it."),
        )
    if model.missing_parts:
        raise KnownError(
            tr("Of this model's {n:,} parts some are missing: {names}.", n=model.n_parts,
               names=", ".join(model.missing_parts[:3]) + (" …" if len(model.missing_parts) > 3 else "")),
            where=where,
            fix=tr("Put them into the same folder."),
        )  # fmt: skip
    if model.kind in _UNFIT:
        what, fix = _UNFIT[model.kind]
        raise KnownError(what, where=where, fix=fix)


def refuse_if_too_large(
    model: ModelFile, context: int, sequences: int = 1, *, gpu_layers: int = 0, there: MemoryThere | None = None
) -> None:
    """Raises KnownError, with the numbers, where the model needs more memory than can be had now.

    `context` is in tokens a sequence; `there` is asked for where it is not given.
    """
    need = memory_needed(model, context, sequences, gpu_layers=gpu_layers).total
    there = there or memory_there()
    if need > there.available:
        raise KnownError(
            tr(
                "This model needs about {need} of memory with a context of {context:,} tokens, and {there} are free.",
                need=size_text(need),
                context=context_of(model, context) * sequences,
                there=size_text(there.available),
            ),
            where=str(model.path),
            fix=tr("Choose a smaller model or context size, or close other programs."),
        )


def size_text(n_bytes: int) -> str:
    """'4.4 GB', '98 MB': powers of ten, as file managers and the makers of models tell sizes."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if n_bytes >= factor * 0.9995:
            value = n_bytes / factor
            return f"{value:,.1f} {unit}" if unit != "MB" else f"{value:,.0f} {unit}"
    return f"{n_bytes / 1e3:,.0f} kB"


def _group_limits() -> Iterator[tuple[int, int]]:
    """(limit, use that cannot be given back) of each control group of Linux that holds this process, either version."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeError):
        return
    for line in lines:
        _, controllers, name = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            root, files = Path("/sys/fs/cgroup"), ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, files = Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        group = Path(os.path.normpath(f"{root}/{name}"))
        for folder in (group, *group.parents):
            if folder != root and root not in folder.parents:
                break
            limit, used = (_number_in(folder / file) for file in files)
            if limit is not None and used is not None:
                yield limit, max(0, used - _cached(folder / "memory.stat"))


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or 'max'
        return None


def _cached(path: Path) -> int:
    """Bytes of files that the kernel gives back when memory is asked for."""
    try:
        words = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeError):
        return 0
    found = {name: int(value) for name, value in (pair for pair in words if len(pair) == 2) if value.isdecimal()}
    return found.get("total_inactive_file", found.get("inactive_file", 0))
