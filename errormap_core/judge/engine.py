"""The parent's side of an engine's process: starting it, asking it many things at once, and noticing how it ends."""

import collections
import contextlib
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

import errormap_core
from errormap_core import tasks
from errormap_core.errors import KnownError
from errormap_core.judge.base import Cancelled
from errormap_core.judge.gguf_file import read_model_file
from errormap_core.judge.kept_copies import in_use
from errormap_core.judge.memory_cap import Watch, memory_cap, took_too_much
from errormap_core.judge.model_file import check_model_file, load_error
from errormap_core.sentences import tr

CANCEL_GRACE_S = 0.8
"""How long a cancelled or paused engine may take to answer (it looks between batches) before it is killed or suspended."""

CLOSE_GRACE_S = 2.0
SILENCE_S = 30.0
"""An engine that gives no sign of life for so long is stopped or stuck; one that is well gives one every second."""

STUCK_S = 600.0
"""An engine that lives, has work, and decodes no batch for so long hangs."""

LOOK_GAP_S = 5.0
"""Longer than between two looks at an engine's life, unless this process was stopped or the machine slept."""

_LOOK_EVERY_S = 0.05
_ENDED = {"ended": True}
_SIGKILL = int(getattr(signal, "SIGKILL", 9))


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How llama.cpp runs.

    `threads` 0 is half of the cores, `gpu_layers` -1 is all. `sequences` records are written at once, each in a context
    of `context` tokens; `batch` tokens are decoded at once; `flash` is -1 (llama.cpp decides), 0 or 1. `template` is ''
    for the model's own, 'none', a name that llama.cpp knows, or a file. `thinking` bounds the tokens of models that
    think first. `cpus` are those that the engine may use (empty: all), `main_gpu` the one that it uses (None: all). `memory`
    is what it may have for itself, 0 what is worked out of the model (memory_cap.py).
    """

    path: Path
    threads: int = 0
    context: int = 4096
    gpu_layers: int = 0
    sequences: int = 1
    batch: int = 512
    flash: int = -1
    template: str = ""
    thinking: int = 256
    main_gpu: int | None = None
    cpus: tuple[int, ...] = ()
    journal: bool = False
    memory: int = 0

    def memory_cap(self) -> int:
        """Bytes of memory that the engine may have for itself."""
        return self.memory or memory_cap(
            read_model_file(self.path),
            self.context,
            self.sequences,
            gpu_layers=self.gpu_layers,
            batch=self.batch,
            threads=self.threads or default_threads(),
        )

    def load_request(self) -> dict[str, Any]:
        """What the engine's process is asked to load."""
        return {
            "do": "load",
            "path": str(self.path),
            "cpus": list(self.cpus),
            "journal": self.journal,
            "placement": {
                "threads": self.threads or default_threads(),
                "context": self.context,
                "sequences": self.sequences,
                "batch": self.batch,
                "flash": self.flash,
                "gpu_layers": self.gpu_layers,
                "main_gpu": self.main_gpu,
                "template": self.template,
                "thinking": self.thinking,
            },
        }


def default_threads() -> int:
    """Half of the processor's cores, at least one: the window keeps one, and two threads of a core gain little."""
    return max(1, (os.cpu_count() or 1) // 2)


class EngineDied(Exception):
    """The engine's process ended, or stopped giving signs of life, while it was needed; the text is the last that it said."""


class EngineProcess:
    """A running engine with its model loaded. For one thread at a time.

    Raises KnownError on construction where the model cannot be loaded, Cancelled where that was
    asked for meanwhile.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        cancelled: tasks.Cancelled = tasks.never_cancelled,
        silence_s: float = SILENCE_S,
    ) -> None:
        check_library()
        check_model_file(settings.path)
        self.settings = settings
        self._cap = settings.memory_cap()
        self._silence_s = silence_s
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._said: collections.deque[str] = collections.deque(maxlen=40)
        self._n_asked = 0
        self._n_batches = -1
        self._kept: collections.deque[dict[str, Any]] = collections.deque()  # heard while waiting for something else
        self._is_paused = False
        self._is_suspended = False
        self._is_silent = False
        self._heard = self._moved = self._looked = time.monotonic()
        self.waiting: set[int] = set()
        self._process = subprocess.Popen(
            _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin = self._process.stdin
        self._threads = [
            threading.Thread(target=self._read_answers, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        mapped = settings.path.stat().st_size
        self._used = contextlib.ExitStack()
        self._used.enter_context(in_use(settings.path))
        self._memory = Watch(self._process.pid, self._cap, mapped=mapped, end=self._process.kill)
        try:
            self.loaded: dict[str, Any] = self._load(cancelled)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def submit(self, request: dict[str, Any]) -> int:
        """Ask for something; `receive` gives the answer under the id that is returned. Raises EngineDied."""
        self._n_asked += 1
        if not self.waiting:
            self._moved = time.monotonic()
        self._send({"id": self._n_asked, **request})
        self.waiting.add(self._n_asked)
        return self._n_asked

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """The next answer, None where none came in time. Raises EngineDied, also for an engine that hangs (it is killed)."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            answer = self._kept.popleft() if self._kept else self._next(max(0.0, left))
            if answer is None:
                return None
            if "id" in answer:
                self.waiting.discard(answer["id"])
                return answer

    def ask(self, request: dict[str, Any], *, cancelled: tasks.Cancelled) -> dict[str, Any]:
        """The answer to one request, where nothing else was asked. Raises EngineDied and Cancelled."""
        key = self.submit(request)
        while True:
            answer = self.receive(_LOOK_EVERY_S)
            if answer is not None and answer["id"] == key:
                return answer
            if cancelled():
                self.cancel()
                raise Cancelled

    def cancel(self) -> None:
        """Drop all that was asked; an engine that is too busy to hear of it is killed."""
        deadline = time.monotonic() + CANCEL_GRACE_S
        try:
            self.resume()
            self._send({"do": "cancel", "id": None})
            while self.waiting:
                if time.monotonic() > deadline:
                    self.kill()
                    return
                self.receive(_LOOK_EVERY_S)
        except EngineDied:
            self.waiting.clear()

    def pause(self) -> None:
        """Stop decoding until `resume`: after the batch in flight, or at once where that takes long."""
        if self._is_paused:
            return
        self._is_paused = True
        self._send({"do": "pause"})
        deadline = time.monotonic() + CANCEL_GRACE_S
        while time.monotonic() < deadline:
            answer = self._next(_LOOK_EVERY_S)
            if answer is not None and answer.get("paused"):
                return
            if answer is not None:
                self._kept.append(answer)
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(self.pid).suspend()
            self._is_suspended = True

    def resume(self) -> None:
        """Go on after `pause`."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._is_suspended:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(self.pid).resume()
            self._is_suspended = False
        self._heard = self._moved = time.monotonic()
        self._send({"do": "resume"})

    def close(self) -> None:
        """End the process: it goes when its stdin does."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        if self._is_suspended:
            self._process.kill()
        try:
            self._process.wait(CLOSE_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._memory.stop()
        self._used.close()
        for thread in self._threads:
            thread.join()
        self.waiting.clear()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.close()

    def _load(self, cancelled: tasks.Cancelled) -> dict[str, Any]:
        with contextlib.suppress(EngineDied):  # seen below, with what it said
            self._send({**self.settings.load_request(), "memory": self._cap})
        while True:
            try:
                answer = self._next(_LOOK_EVERY_S)
            except EngineDied:
                said = self._last_words()
                if self._memory.over is not None:
                    raise took_too_much(self.settings.path, self._memory.over, self._cap) from None
                was_killed = self._process.poll() == -_SIGKILL and not self._is_silent
                raise load_error(self.settings.path, said, killed=was_killed) from None
            if answer is None:
                if cancelled():
                    raise Cancelled
                continue
            if "load_failed" in answer:
                raise load_error(self.settings.path, answer["load_failed"])
            if "template_failed" in answer:
                raise _template_error(self.settings, answer["template_failed"])
            if "loaded" in answer:
                loaded: dict[str, Any] = answer["loaded"]
                return loaded

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._stdin.flush()
        except (OSError, ValueError) as error:
            raise EngineDied(self._last_words()) from error

    def _next(self, timeout: float) -> dict[str, Any] | None:
        """The next thing that the engine says that is no sign of life. Raises EngineDied."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._check_life()
                return None
            if answer is _ENDED:
                self._answers.put(_ENDED)  # whoever asks next hears it too
                raise EngineDied(self._last_words())
            self._heard = time.monotonic()
            if "beat" not in answer:
                self._moved = self._heard
                return answer
            if answer["beat"] != self._n_batches:
                self._n_batches, self._moved = answer["beat"], self._heard

    def _check_life(self) -> None:
        now = time.monotonic()
        before, self._looked = self._looked, now
        if self._is_paused:
            return
        if now - before > LOOK_GAP_S:  # this process stood still itself, and could not hear
            self._heard = self._moved = now
            return
        silent, stuck = now - self._heard, now - self._moved
        if silent > self._silence_s or (self.waiting and stuck > max(STUCK_S, self._silence_s)):
            self._is_silent = True
            self._process.kill()
            self._process.wait()
            raise EngineDied(f"no sign of life for {max(silent, stuck):.0f} seconds")

    def _last_words(self) -> str:
        self._threads[1].join(1.0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        if self._memory.over is not None:
            return str(took_too_much(self.settings.path, self._memory.over, self._cap).what)
        code = self._process.poll()
        ended = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        return f"{' '.join(self._said)} ({ended})".strip()

    def _read_answers(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                if line.endswith(b"\n"):  # a half line is one that its writer died in
                    self._answers.put(json.loads(line))
        self._answers.put(_ENDED)

    def _read_stderr(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._said.append(line.decode("utf-8", "replace").strip())


def _template_error(settings: EngineSettings, said: str) -> KnownError:
    what = (
        tr("The chat template “{name}” cannot be used: {said}", name=settings.template, said=said[:300])
        if settings.template
        else tr("The model's own chat template cannot be used: {said}", said=said[:300])
    )
    return KnownError(
        what,
        where=str(settings.path),
        fix=tr("Choose another chat template (judge.template): one by name, such as chatml, a file, or none."),
    )


def check_library() -> None:
    """Raises KnownError where llama-cpp-python is not installed."""
    if importlib.util.find_spec("llama_cpp") is None:
        raise KnownError(
            tr("The judge needs llama-cpp-python, which is not installed."),
            fix=tr("Install it with `pip install 'errormap-studio[judge]'`; it compiles for some minutes."),
        )


def _command() -> list[str]:
    command = [sys.executable, "-P", "-m", "errormap_core.judge.engine_process"]
    if threading.current_thread() is threading.main_thread():
        # Linux ends a child with the thread that started it; only the main thread lives as long as the process.
        command.append(str(os.getpid()))
    return command


def environment() -> dict[str, str]:
    """The engine finds this package wherever it is, and its threads do not spin while they wait."""
    home = str(Path(errormap_core.__file__).resolve().parent.parent)
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "GOMP_SPINCOUNT": "300", "PYTHONUNBUFFERED": "1"}
