"""llama.cpp in a process of its own: `python -m errormap_core.judge.engine_process`.

It reads JSON lines from stdin and writes JSON lines to what was stdout; C code that prints goes to
stderr. It ends at once when stdin ends, which is when its parent is gone, however that went.

The first request is {"do": "load", ...}, answered by {"loaded": {...}} or {"load_failed": "..."}. Then any number of
{"do": "write" | "score", "id", ...} at once, each answered by {"id", "ok" | "too_long" | "cut_off" | "cancelled" | "fault"};
{"do": "cancel", "id" or null}; {"do": "pause" | "resume"}; {"do": "count", "id", "texts"}. Every second it gives a sign of
life: {"beat": batches decoded}.
"""

import collections
import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from errormap_core.judge.llama import Model
    from errormap_core.judge.scheduling import Done
    from errormap_core.judge.scoring import Scorer
    from errormap_core.judge.writing import Writer

BEAT_S = 1.0
_PR_SET_PDEATHSIG = 1


class Channel:
    """Requests of the parent and answers to it. Requests are read by a thread, so that its end is seen during long C calls too.

    The file is read without Python's buffer, whose lock a thread would still hold when the interpreter ends.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = os.fdopen(target, "w", encoding="ascii", newline="\n")
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, *, wait: bool) -> dict[str, Any] | None:
        """The next request; None where there is none and `wait` is False."""
        with contextlib.suppress(queue.Empty):
            return self._waiting.get(block=wait)
        return None

    def send(self, answer: dict[str, Any]) -> None:
        with self._lock:
            self._target.write(json.dumps(answer) + "\n")
            self._target.flush()

    def _read(self) -> None:
        """Ends the process when the parent is gone, and when it cannot listen any longer: deaf, it would be of no use."""
        try:
            parts: list[bytes] = []
            while part := os.read(self._source, 1 << 16):
                *lines, rest = part.split(b"\n")
                for line in lines:
                    self._waiting.put(json.loads(b"".join([*parts, line])))
                    parts.clear()
                parts.append(rest)
        finally:
            os._exit(0)


def main() -> None:
    channel = Channel(0, os.dup(1))
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; it closes stdin
    if len(sys.argv) > 1:
        die_with(int(sys.argv[1]))
    load = channel.next(wait=True)
    assert load is not None
    if load.get("cpus"):
        os.sched_setaffinity(0, load["cpus"])  # before llama.cpp makes its threads
    pulse = Pulse(channel)
    engine = Engine(channel, pulse)
    if engine.load(load):
        engine.serve()


class Pulse:
    """Gives signs of life, from before the libraries are loaded: that the process runs, and how far it has come."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.n_batches = 0
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while True:
            self._channel.send({"beat": self.n_batches})
            time.sleep(BEAT_S)


class Engine:
    """A model, its context, and the works in it."""

    def __init__(self, channel: Channel, pulse: Pulse) -> None:
        from errormap_core.judge.decoding import Decoder, Journal
        from errormap_core.judge.scheduling import Scheduler

        self._channel = channel
        self._pulse = pulse
        self._log = Log()
        self._is_paused = False
        self._writers: dict[int, tuple[Writer, float]] = {}
        self._decoder: Decoder | None = None
        self._scheduler: Scheduler | None = None
        self._model: Model | None = None
        self._scorer: Scorer | None = None
        self._journal_of = Journal

    def load(self, request: dict[str, Any]) -> bool:
        """Load the model and make its context; False, and said so, where that fails."""
        from errormap_core.judge import llama
        from errormap_core.judge.memory_cap import limit_self
        from errormap_core.judge.scheduling import Scheduler

        if request.get("memory"):
            limit_self(request["memory"])  # before anything of the model's, its chat template included, is looked at
        placement = llama.Placement(**request["placement"])
        try:
            self._model = llama.Model(request["path"], placement, log=self._log.said)
            self._decoder = self._model.decoder()
        except llama.TemplateFailed as error:
            self._channel.send({"template_failed": str(error)})
            return False
        except (llama.LoadFailed, MemoryError) as error:
            self._channel.send({"load_failed": self._log.said() or str(error) or "out of memory"})
            return False
        if request.get("journal"):
            self._decoder.journal = self._journal_of()
        self._scheduler = Scheduler(self._decoder)
        self._channel.send(
            {
                "loaded": {
                    "n_ctx": self._model.n_ctx,
                    "chat_template": self._model.template.name,
                    "thinking": placement.thinking if self._model.thinking else 0,
                    "gpu_layers": placement.gpu_layers,
                    "gpu_layers_asked": self._model.gpu_layers_asked,
                    "threads": placement.threads,
                    "sequences": placement.sequences,
                    "batch": placement.batch,
                    "flash": placement.flash,
                    "gpu_offload_supported": llama.supports_gpu(),
                    "library": f"llama-cpp-python {version('llama-cpp-python')}",
                    "system_info": llama.system_info(),
                }
            }
        )
        return True

    def serve(self) -> None:
        """Answer requests; ends with the process."""
        assert self._scheduler is not None
        while True:
            is_idle = self._is_paused or not len(self._scheduler)
            request = self._channel.next(wait=is_idle)
            if request is not None:
                self._take(request)
                continue  # all that is asked is known before the next batch is made
            self._step()

    def _take(self, request: dict[str, Any]) -> None:
        match request["do"]:
            case "write":
                self._write(request)
            case "score":
                self._channel.send({"id": request["id"], **self._scored(request)})
            case "cancel":
                self._cancel(request["id"])
            case "pause" | "resume":
                self._is_paused = request["do"] == "pause"
                self._channel.send({"paused": self._is_paused})
            case "count":
                assert self._model is not None
                counts = [len(self._model.tokens([(text, False)])) for text in request["texts"]]
                self._channel.send({"id": request["id"], "ok": counts})
            case "measured":
                self._channel.send({"id": request["id"], "ok": self._measured()})

    def _write(self, request: dict[str, Any]) -> None:
        from errormap_core.judge import llama
        from errormap_core.judge.writing import Limits

        assert self._model is not None and self._scheduler is not None
        key = request["id"]
        try:
            work, writer = self._model.work(
                key,
                request["messages"],
                own=request["own"],
                source=request["source"],
                form=request["form"],
                limits=Limits(**request["limits"]),
                temperature=request["temperature"],
                seed=request["seed"],
                is_urgent=request["is_urgent"],
            )
        except llama.TooLong as error:
            self._channel.send({"id": key, "too_long": {"prompt": error.n_prompt, "room": error.n_room}})
            return
        self._writers[key] = (writer, time.perf_counter())
        self._scheduler.add(work)

    def _step(self) -> None:
        from errormap_core.judge.decoding import DecodeFailed

        assert self._scheduler is not None and self._decoder is not None
        try:
            ended = self._scheduler.step()
        except DecodeFailed as error:
            for key in self._scheduler.cancel():
                self._writers.pop(key)
                self._channel.send({"id": key, "fault": f"{error}. {self._log.said()}".strip()})
            self._decoder.clear()
            self._scheduler.forget()
            return
        finally:
            self._pulse.n_batches = self._decoder.n_calls
        for done in ended:
            self._channel.send({"id": done.work.key, **self._done(done)})

    def _done(self, done: "Done") -> dict[str, Any]:
        from errormap_core.judge.scheduling import ContextFull

        assert self._decoder is not None
        writer, began = self._writers.pop(done.work.key)
        if isinstance(done.error, ContextFull):
            return {"cut_off": {"prompt": done.work.n_prompt, "room": self._decoder.n_context - done.work.n_prompt}}
        if done.error is not None:
            return {"fault": f"{type(done.error).__name__}: {done.error}"}
        written = writer.written
        return {
            "ok": {
                "value": done.value,
                "text": b"".join(written.text).decode("utf-8", "replace"),
                "thinking": written.thinking,
                "prompt_tokens": done.work.n_prompt,
                "reused_tokens": done.work.n_reused,
                "completion_tokens": written.n_sampled,
                "fed_tokens": written.n_fed,
                "seconds": time.perf_counter() - began,
            }
        }

    def _cancel(self, key: int | None) -> None:
        assert self._scheduler is not None
        for dropped in self._scheduler.cancel(key):
            self._writers.pop(dropped, None)
            self._channel.send({"id": dropped, "cancelled": True})

    def _scored(self, request: dict[str, Any]) -> dict[str, Any]:
        """How likely texts are after a prompt, in a context of its own that is made when it is first asked for."""
        from errormap_core.judge import scoring
        from errormap_core.judge.decoding import DecodeFailed

        assert self._model is not None
        try:
            if self._scorer is None:
                self._scorer = scoring.Scorer(self._model.shared_decoder(scoring.SEQUENCES))
            return scoring.answered(self._model, self._scorer, request)
        except (DecodeFailed, MemoryError, ValueError) as error:
            return {"fault": f"{error}. {self._log.said()}".strip()}

    def _measured(self) -> dict[str, Any]:
        """Time in llama_decode so far, and with a journal what the same batches take alone in a context of the same shape."""
        assert self._decoder is not None and self._model is not None
        found = {
            "decode_seconds": self._decoder.seconds,
            "batches": self._decoder.n_calls,
            "longest_batch": self._decoder.longest,
        }
        journal, self._decoder.journal = self._decoder.journal, None
        if journal is not None:
            again = self._model.decoder()
            wall, cpu = time.perf_counter(), time.process_time()
            again.replay(journal)
            found |= {"floor_wall_s": time.perf_counter() - wall, "floor_cpu_s": time.process_time() - cpu}
            again.close()
            self._decoder.journal = self._journal_of()
        return found


class Log:
    """The last errors that llama.cpp logged."""

    def __init__(self) -> None:
        import llama_cpp

        self._lines: collections.deque[str] = collections.deque(maxlen=12)
        n_error, n_continued = 4, 5
        self._last = 0

        def keep(level: int, text: bytes, _: Any) -> None:
            self._last = self._last if level == n_continued else level
            if self._last == n_error:
                self._lines.append(text.decode("utf-8", "replace").strip())

        self._callback = llama_cpp.llama_log_callback(keep)  # kept: llama.cpp holds a bare pointer to it
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))

    def said(self) -> str:
        return " ".join(line for line in self._lines if line)


def die_with(parent: int) -> None:
    """Ask Linux to end this process with its parent; elsewhere the end of stdin alone does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.name == "posix" and os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
