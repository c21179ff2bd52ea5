"""How a model is best run on this machine, by a short measurement the first time; remembered, shown, overridable.

What is tried, one after the other, each with the best of what came before: a copy of the weights in a format for which
the processor has fast kernels, flash attention off and on, several records at once, more threads. A choice is kept where
it makes a typical failure at least a tenth faster. One core is always left for the window.
"""

import contextlib
import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from errormap_core import tasks
from errormap_core.ids import now
from errormap_core.judge.engine import EngineSettings, check_library, default_threads, environment
from errormap_core.judge.gguf_file import ModelFile, read_model_file
from errormap_core.judge.kept_copies import in_use, kept_folder
from errormap_core.judge.memory import memory_needed, memory_there
from errormap_core.judge.memory_cap import memory_cap
from errormap_core.judge.model_file import file_sha256, load_error
from errormap_core.sentences import Sentence, tr
from errormap_core.tasks import Progress

AS_IS = "as is"
COPIES = ("q8_0", "q4_0")
FAST_FORMATS = ("Q8_0", "Q4_0", "F32")
"""Formats of weights of which a copy would gain nothing."""

WORTH = 1.1
"""How many times as fast a choice has to be to be kept: less is noise."""

NEW_TOKENS, WRITTEN_TOKENS = 400, 150
"""A typical failure: tokens of its prompt that are not shared, tokens that are written. Measured on GSM8K."""

BUDGET_S = 60.0
"""After so long nothing more is tried; a large model on a slow machine is measured in part."""

SEQUENCES = (4, 8, 16)
MOST_COPY_BYTES = 8 << 30
MEMORY_SHARE = 0.5
"""Of the memory that is there, so much may go to more records at once."""

LONGEST_BATCH_S = 0.7
"""A batch takes no longer than that, so that pausing and cancelling are heard within a second."""

STALE_PART_S = 3600.0
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was found for a model on this machine. Speeds in tokens a second, of all sequences together.

    `weights` is 'as is' or the format of the copy at `copy`, which has `copy_bytes`. `trials` are all that were measured.
    """

    model: str
    model_sha256: str
    threads: int
    sequences: int
    batch: int
    flash: int
    weights: str
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    copy: str = ""
    copy_bytes: int = 0
    seconds: float = 0.0
    measured_at: str = ""
    trials: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds_a_failure(self) -> float:
        """Of a typical failure."""
        return _cost(self.prefill_tokens_per_s, self.decode_tokens_per_s)

    def to_json(self) -> dict[str, Any]:
        copy = None
        if self.copy:
            copy = {"format": self.weights, "bytes": self.copy_bytes, "path": self.copy}
        return {
            **asdict(self),
            "copy": copy,
            "flash_attention": {-1: "auto", 0: "off", 1: "on"}[self.flash],
            "seconds_a_failure": round(self.seconds_a_failure, 3),
        }

    def sentence(self) -> Sentence:
        """What was chosen, in words."""
        copy = (
            tr(", from a copy of the weights as {format} ({mb:,.0f} MB)", format=self.weights, mb=self.copy_bytes / 1e6)
            if self.copy
            else ""
        )
        return tr(
            "{threads} threads, {sequences} records at once, batches of {batch}{copy}: reads {read:,.0f} and writes "
            "{write:,.0f} tokens a second",
            threads=self.threads,
            sequences=self.sequences,
            batch=self.batch,
            copy=str(copy),
            read=self.prefill_tokens_per_s,
            write=self.decode_tokens_per_s,
        )


def known_tuning(model: Path, *, gpu_layers: int = 0, copies: str = "auto") -> Tuning | None:
    """What was found before for this model, on this machine, or None."""
    path = _file(file_sha256(model), gpu_layers, copies)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        tuning = Tuning(**data)
    except (OSError, ValueError, TypeError):
        return None  # none yet, or one of another version
    if tuning.copy and _size(Path(tuning.copy)) != tuning.copy_bytes:
        return None  # somebody removed the copy, or it is not whole
    return replace(tuning, model=str(model))


def forget_tuning(model: Path) -> int:
    """Remove what was found for a model, and the copies of its weights; returns the bytes that were freed."""
    freed = 0
    for path in kept_folder().glob(f"{file_sha256(model)[:16]}-*"):
        freed += path.stat().st_size
        path.unlink()
    return freed


def tune(
    model: Path,
    *,
    gpu_layers: int = 0,
    context: int = 4096,
    copies: str = "auto",
    cancelled: tasks.Cancelled = tasks.never_cancelled,
) -> Generator[Progress, None, Tuning]:
    """Measure how a model is best run, keep that, and return it; seconds, at most about a minute.

    `copies` is 'never', 'auto' (a copy as Q8_0, which holds what the weights say, where it pays), or a format of COPIES.

    Raises KnownError where the model cannot be run at all, tasks.Stopped where that was asked for.
    """
    check_library()
    found = read_model_file(model)
    sha = file_sha256(model)
    began = time.monotonic()
    for part in kept_folder().glob("*.part"):  # of one that was killed
        if time.time() - part.stat().st_mtime > STALE_PART_S:
            part.unlink(missing_ok=True)
    with contextlib.ExitStack() as kept, _Measuring(cancelled) as measuring:
        trials = _Trials(measuring, model, found, gpu_layers, context, began)
        yield Progress("tune", 0, None, tr("Measuring {name} as it is", name=model.name))
        trials.first()
        for format_ in _copies_worth_trying(found, copies):
            if trials.is_over():
                break
            yield Progress(
                "tune", len(trials.done), None, tr("Trying a copy of the weights as {format}", format=format_)
            )
            kept.enter_context(in_use(_copy_path(sha, format_)))
            trials.copy(format_, _copy_path(sha, format_))
        for flash in (0, 1):
            if not trials.is_over():
                yield Progress("tune", len(trials.done), None, tr("Trying flash attention"))
                trials.better({"flash": flash})
        n_worse = 0
        for sequences in SEQUENCES:
            # Kernels come in sizes: four at once may be slower than one where eight are faster.
            if trials.is_over() or n_worse == 2 or not trials.fits(sequences):
                break
            yield Progress("tune", len(trials.done), None, tr("Trying {n:,} records at once", n=sequences))
            n_worse = 0 if trials.better({"sequences": sequences}) else n_worse + 1
        more = max(1, (os.cpu_count() or 1) - 1)
        if more > trials.best["threads"] and not trials.is_over() and gpu_layers == 0:
            yield Progress("tune", len(trials.done), None, tr("Trying {n} threads", n=more))
            trials.better({"threads": more})
    tuning = trials.tuning(sha)
    path = _file(sha, gpu_layers, copies)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(asdict(tuning)), encoding="utf-8")
    part.replace(path)
    yield Progress("tune", len(trials.done), len(trials.done), tuning.sentence())
    return tuning


class _Trials:
    """What was measured, and the best of it."""

    def __init__(
        self, measuring: "_Measuring", path: Path, model: ModelFile, gpu_layers: int, context: int, began: float
    ) -> None:
        self.done: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self._measuring = measuring
        self._path = path
        self._model = model
        self._gpu_layers = gpu_layers
        self._context = context
        self._began = began
        self._depth, self._steps = 256, 16
        # A copy is larger than its model, and is measured by the same process.
        self._cap = 2 * memory_cap(model, context, SEQUENCES[-1], gpu_layers=gpu_layers, threads=os.cpu_count() or 1)

    def is_over(self) -> bool:
        return time.monotonic() - self._began > BUDGET_S

    def first(self) -> None:
        """The model as it is, first in small, so that a slow machine is not asked for what takes minutes."""
        start = {
            "path": str(self._path),
            "weights": AS_IS,
            "copy_bytes": 0,
            "threads": default_threads(),
            "sequences": 1,
            "flash": -1,
        }
        self._depth, self._steps = 32, 2
        small = self._measure(start)
        if small is None:
            raise load_error(self._path, self.done[-1]["failed"])
        self._depth = max(64, min(256, int(4 * small["prefill_tokens_per_s"]) // 64 * 64))
        self._steps = max(4, min(16, int(2 * small["decode_tokens_per_s"])))
        self.done.clear()
        measured = self._measure(start)
        self.best = measured or small

    def copy(self, format_: str, target: Path) -> None:
        """Make a copy of the weights and keep it if it is faster."""
        was_there = target.is_file()
        if not was_there:
            target.parent.mkdir(parents=True, exist_ok=True)
            said = self._measuring.ask(
                {"copy": str(self._path), "to": str(target), "format": format_, "threads": self.best["threads"]}
            )
            if "failed" in said:
                self.done.append({"weights": format_, "failed": said["failed"]})
                return
        change = {"path": str(target), "weights": format_, "copy_bytes": target.stat().st_size}
        if not self.better(change) and not was_there:  # one that was there may be another measurement's
            self._measuring.restart()  # which lets go of the file
            target.unlink(missing_ok=True)

    def fits(self, sequences: int) -> bool:
        """Whether there is memory for so many records at once."""
        need = memory_needed(self._model, self._context, sequences, gpu_layers=self._gpu_layers)
        return need.total <= memory_there().available * MEMORY_SHARE

    def better(self, change: dict[str, Any]) -> bool:
        """Measure the best way with a change, and keep that if it is worth it."""
        measured = self._measure({**self.best, **change})
        is_better = measured is not None and measured["seconds_a_failure"] * WORTH < self.best["seconds_a_failure"]
        if is_better and measured is not None:
            self.best = measured
        return is_better

    def tuning(self, sha: str) -> Tuning:
        best = self.best
        batch = 512
        while batch > 64 and batch / best["prefill_tokens_per_s"] > LONGEST_BATCH_S:
            batch //= 2
        return Tuning(
            model=str(self._path),
            model_sha256=sha,
            threads=best["threads"],
            sequences=best["sequences"],
            batch=batch,
            flash=best["flash"],
            weights=best["weights"],
            prefill_tokens_per_s=round(best["prefill_tokens_per_s"], 2),
            decode_tokens_per_s=round(best["decode_tokens_per_s"], 2),
            copy=best["path"] if best["weights"] != AS_IS else "",
            copy_bytes=best["copy_bytes"],
            seconds=round(time.monotonic() - self._began, 1),
            measured_at=now(),
            trials=self.done,
        )

    def _measure(self, way: dict[str, Any]) -> dict[str, Any] | None:
        placement = {
            "threads": way["threads"],
            "context": self._depth + self._steps + 8,
            "sequences": way["sequences"],
            "batch": 512,
            "flash": way["flash"],
            "gpu_layers": self._gpu_layers,
            "main_gpu": None,
            "template": "none",
            "thinking": 0,
        }
        said = self._measuring.ask(
            {
                "path": way["path"],
                "placement": placement,
                "depth": self._depth,
                "steps": self._steps,
                "memory": self._cap,
            }
        )
        if "failed" in said:
            self.done.append({**way, "failed": said["failed"]})
            return None
        cost = _cost(said["prefill_tokens_per_s"], said["decode_tokens_per_s"])
        measured = {**way, **said, "seconds_a_failure": cost}
        self.done.append(measured)
        return measured


class _Measuring:
    """The process that measures."""

    def __init__(self, cancelled: tasks.Cancelled) -> None:
        self._cancelled = cancelled

    def __enter__(self) -> "_Measuring":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _start(self) -> None:
        # Linux ends a child with the thread that started it; only the main thread lives as long as the process.
        parent = [str(os.getpid())] if threading.current_thread() is threading.main_thread() else []
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "errormap_core.judge.measuring", *parent],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self._process.stdout, self._answers), daemon=True).start()

    @staticmethod
    def _read(stream: IO[bytes], answers: "queue.SimpleQueue[bytes]") -> None:
        with contextlib.suppress(ValueError, OSError):  # closed, since nobody waits any longer
            for line in stream:
                answers.put(line)
        answers.put(b"")

    def restart(self) -> None:
        self._end()
        self._start()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises tasks.Stopped where that was asked for meanwhile."""
        if self._cancelled():
            raise tasks.Stopped
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # seen below: no answer comes
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=0.1)
                break
            if self._cancelled():
                raise tasks.Stopped
        if not line:  # what was tried killed it; the next may well work
            self.restart()
            return {"failed": "the process that measured it ended"}
        answer: dict[str, Any] = json.loads(line)
        return answer


def _cost(reading: float, writing: float) -> float:
    return NEW_TOKENS / reading + WRITTEN_TOKENS / writing


def _copies_worth_trying(model: ModelFile, copies: str) -> list[str]:
    if copies == "never" or model.n_parts > 1 or any(model.quantisation.upper().startswith(f) for f in FAST_FORMATS):
        return []
    room = shutil.disk_usage(_existing(kept_folder())).free
    if model.n_parameters * 1.1 > min(MOST_COPY_BYTES, room // 2):
        return []
    return ["q8_0"] if copies == "auto" else [copies]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _copy_path(sha: str, format_: str) -> Path:
    return kept_folder() / f"{sha[:16]}-{format_}.gguf"


def _file(sha: str, gpu_layers: int, copies: str) -> Path:
    folder = kept_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{sha[:16]}-{_machine()}-gpu{gpu_layers}-{copies}-v{_VERSION}.json"


def _machine() -> str:
    """What a measurement holds for: the processor, how many of its cores may be used, and llama.cpp."""
    from errormap_core.ids import content_id

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    library = version("llama-cpp-python")
    return content_id("machine", platform.machine(), _processor(), usable, library)[:8]


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def tuned_settings(tuning: Tuning, settings: EngineSettings, *, chosen: dict[str, int]) -> EngineSettings:
    """Settings of an engine as they were found best; what the user chose wins."""
    return replace(
        settings,
        path=Path(tuning.copy) if tuning.copy else settings.path,
        threads=chosen.get("threads") or tuning.threads,
        sequences=chosen.get("sequences") or tuning.sequences,
        batch=chosen.get("batch") or tuning.batch,
        flash=chosen.get("flash", tuning.flash),
    )
