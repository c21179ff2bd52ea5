"""llama.cpp in a process of its own: `python -m errormap_core.judge.engine_process`.

It reads JSON lines from stdin and writes JSON lines to what was stdout; C code that prints goes to
stderr. It ends at once when stdin ends, which is when its parent is gone, however that went.

Requests: {"do": "load", ...}, {"do": "analyse" | "complete", "id", ...}, {"do": "cancel", "id"}.
Answers: {"loaded": {...}} or {"load_failed": "..."}; then {"id", "ok" | "too_long" | "cancelled" | "fault"}.
"""

import collections
import ctypes
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

_PR_SET_PDEATHSIG = 1


class Requests:
    """What the parent asks for, read by a thread, so that its end is seen during long C calls too.

    The file is read without Python's buffer, whose lock a thread would still hold when the interpreter ends.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: int | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        return self._waiting.get()

    def is_cancelled(self, request_id: int) -> bool:
        return self._cancelled == request_id

    def _read(self) -> None:
        rest = b""
        while part := os.read(self._file, 1 << 16):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                request = json.loads(line)
                if request["do"] == "cancel":
                    self._cancelled = request["id"]
                else:
                    self._waiting.put(request)
        os._exit(0)


def main() -> None:
    protocol = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; it closes stdin
    if len(sys.argv) > 1:
        _die_with(int(sys.argv[1]))
    requests = Requests(0)

    def send(answer: dict[str, Any]) -> None:
        protocol.write(json.dumps(answer) + "\n")
        protocol.flush()

    serve(requests, send)


def serve(requests: Requests, send: Any) -> None:
    """Load, then answer one request after the other; ends with the process."""
    load = requests.next()
    from errormap_core.judge import llama  # after the thread that watches the parent: loading takes long

    log = _Log()
    try:
        model = llama.Model(
            load["path"], n_ctx=load["context"], threads=load["threads"], gpu_layers=load["gpu_layers"], log=log.said
        )
    except llama.LoadFailed as error:
        send({"load_failed": str(error)})
        return
    send(
        {
            "loaded": {
                "n_ctx": model.n_ctx,
                "chat_template": model.template_name(),
                "gpu_layers": load["gpu_layers"],
                "gpu_layers_asked": model.gpu_layers_asked,
                "threads": load["threads"],
                "gpu_offload_supported": llama.supports_gpu(),
                "library": f"llama-cpp-python {version('llama-cpp-python')}",
                "system_info": llama.system_info(),
            }
        }
    )
    while True:
        request = requests.next()
        send({"id": request["id"], **_answered(model, request, requests)})


def _answered(model: Any, request: dict[str, Any], requests: Requests) -> dict[str, Any]:
    from errormap_core.judge import llama

    ask = _analysed if request["do"] == "analyse" else _completed
    try:
        done = ask(model, request, lambda: requests.is_cancelled(request["id"]))
    except llama.TooLong as error:
        return {"too_long": {"prompt": error.n_prompt, "room": error.n_room}}
    except llama.EngineFault as error:
        return {"fault": str(error)}
    return {"cancelled": True} if done is None else {"ok": done}


def _completed(model: Any, request: dict[str, Any], is_cancelled: Callable[[], bool]) -> dict[str, Any] | None:
    answer = model.answer(
        request["messages"],
        schema=request["schema"],
        max_tokens=request["max_tokens"],
        temperature=request["temperature"],
        seed=request["seed"],
        is_cancelled=is_cancelled,
    )
    if answer is None:
        return None
    return {
        "text": answer.text,
        "is_whole": answer.is_whole,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "seconds": answer.seconds,
    }


def _analysed(model: Any, request: dict[str, Any], is_cancelled: Callable[[], bool]) -> dict[str, Any] | None:
    from errormap_core.judge.writing import Limits

    found = model.analyse(
        request["messages"],
        own=request["own"],
        source=request["source"],
        limits=Limits(max_criteria=request["max_criteria"]),
        temperature=request["temperature"],
        seed=request["seed"],
        is_cancelled=is_cancelled,
    )
    return None if found is None else asdict(found)


class _Log:
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


def _die_with(parent: int) -> None:
    """Ask Linux to end this process with its parent; elsewhere the end of stdin alone does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.name == "posix" and os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
