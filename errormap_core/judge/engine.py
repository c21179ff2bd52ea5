"""The parent's side of the engine's process: starting it, asking it, and noticing how it ends."""

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import errormap_core
from errormap_core import tasks
from errormap_core.errors import KnownError
from errormap_core.judge.base import Cancelled
from errormap_core.judge.model_file import check_model_file, load_error
from errormap_core.sentences import tr

CANCEL_GRACE_S = 1.0
"""How long a cancelled engine may take to answer (it looks between tokens) before it is killed."""

CLOSE_GRACE_S = 2.0
_LOOK_EVERY_S = 0.05
_ENDED = {"ended": True}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How llama.cpp runs. `threads` 0 is half of the cores, `gpu_layers` -1 is all."""

    path: Path
    threads: int = 0
    context: int = 4096
    gpu_layers: int = 0

    def load_request(self) -> dict[str, Any]:
        """What the engine's process is asked to load."""
        return {
            "do": "load",
            **asdict(self),
            "path": str(self.path),
            "threads": self.threads or max(1, (os.cpu_count() or 1) // 2),
        }


class EngineDied(Exception):
    """The engine's process ended while it was needed; the text is the last that it said."""


class EngineProcess:
    """A running engine with its model loaded. For one thread at a time.

    Raises KnownError on construction where the model cannot be loaded, Cancelled where that was
    asked for meanwhile.
    """

    def __init__(self, settings: EngineSettings, *, cancelled: tasks.Cancelled = tasks.never_cancelled) -> None:
        _check_library()
        check_model_file(settings.path)
        self.settings = settings
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._said: collections.deque[str] = collections.deque(maxlen=40)
        self._n_asked = 0
        self._process = subprocess.Popen(
            _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
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

    def ask(self, request: dict[str, Any], *, cancelled: tasks.Cancelled) -> dict[str, Any]:
        """The engine's answer to a request to analyse or to complete.

        Raises EngineDied, and Cancelled; an engine that is too busy to hear of it is killed then.
        """
        self._n_asked += 1
        self._send({"id": self._n_asked, **request})
        deadline: float | None = None
        while True:
            answer = self._next_answer()
            if answer is not None:
                if answer is _ENDED:
                    raise EngineDied(self._last_words())
                if answer["id"] == self._n_asked:
                    if deadline is not None or "cancelled" in answer:
                        raise Cancelled
                    return answer
            elif deadline is None and cancelled():
                deadline = time.monotonic() + CANCEL_GRACE_S
                with contextlib.suppress(EngineDied):
                    self._send({"do": "cancel", "id": self._n_asked})
            elif deadline is not None and time.monotonic() > deadline:
                self.kill()
                raise Cancelled

    def close(self) -> None:
        """End the process: it goes when its stdin does."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(CLOSE_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.close()

    def _load(self, cancelled: tasks.Cancelled) -> dict[str, Any]:
        with contextlib.suppress(EngineDied):  # seen below, with what it said
            self._send(self.settings.load_request())
        while True:
            answer = self._next_answer()
            if answer is None:
                if cancelled():
                    raise Cancelled
                continue
            if answer is _ENDED:
                said = self._last_words()
                raise load_error(self.settings.path, said, killed=self._process.poll() == -signal.SIGKILL)
            if "load_failed" in answer:
                raise load_error(self.settings.path, answer["load_failed"])
            loaded: dict[str, Any] = answer["loaded"]
            return loaded

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._stdin.flush()
        except OSError as error:
            raise EngineDied(self._last_words()) from error

    def _next_answer(self) -> dict[str, Any] | None:
        try:
            return self._answers.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            return None

    def _last_words(self) -> str:
        self._threads[1].join(1.0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
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


def _check_library() -> None:
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


def _environment() -> dict[str, str]:
    """The engine finds this package wherever it is, and its threads do not spin while they wait."""
    home = str(Path(errormap_core.__file__).resolve().parent.parent)
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "GOMP_SPINCOUNT": "300", "PYTHONUNBUFFERED": "1"}
