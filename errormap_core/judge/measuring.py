"""How fast a model is run in one way: `python -m errormap_core.judge.measuring`, in a process of its own.

It reads JSON lines {"path", "placement", "depth", "steps", "memory"}, of which the last is what it may have for itself, and
answers each with {"prefill_tokens_per_s", "decode_tokens_per_s"} or {"failed": why}; {"copy": path, "to": path, "format":
name} makes a copy of the weights in another format and answers {"bytes"} or {"failed"}. It ends with its standard input.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from errormap_core.judge.engine_process import Log, die_with

FORMATS = {"q8_0": 7, "q4_0": 2}
"""llama.cpp's numbers of the formats that a copy may have."""

_CHUNK = 64


def main() -> None:
    if len(sys.argv) > 1:
        die_with(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    os.dup2(2, 1)
    global _log
    _log = Log()
    for line in sys.stdin:
        request = json.loads(line)
        answer = _copied(request) if "copy" in request else _measured(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


_models: dict[str, Any] = {}
_log: Any = None


def _measured(request: dict[str, Any]) -> dict[str, Any]:
    """Speeds of a prompt and of writing after it; the best of two, since other work only ever slows."""
    from errormap_core.judge import llama
    from errormap_core.judge.decoding import DecodeFailed, Decoder
    from errormap_core.judge.memory_cap import limit_self
    from errormap_core.judge.scheduling import Part

    if request.get("memory") and not _models:
        limit_self(request["memory"])
    placement = llama.Placement(**request["placement"])
    key = json.dumps([request["path"], placement.gpu_layers, placement.main_gpu])
    try:
        if key not in _models:
            for old in _models.values():
                old.close()  # one at a time: a large model may fit once only
            _models.clear()
            _models[key] = llama.Model(request["path"], placement, log=_log.said)
        model = _models[key]
        model.placement, model.n_ctx = placement, placement.context
        decoder: Decoder = model.decoder()
    except llama.LoadFailed as error:
        return {"failed": _log.said() or str(error)}
    depth, steps, n = request["depth"], request["steps"], placement.sequences
    try:
        reading, writing = 0.0, 0.0
        for _ in range(2):
            decoder.clear()
            began = time.perf_counter()
            decoder.decode([Part(0, 0, _tokens(depth), 1)])
            reading = max(reading, depth / (time.perf_counter() - began))
            for sequence in range(1, n):
                decoder.copy(0, sequence)
            decoder.decode([Part(sequence, depth, [300 + sequence], 1) for sequence in range(n)])  # the copies are made
            began = time.perf_counter()
            for step in range(1, steps + 1):
                decoder.decode([Part(sequence, depth + step, [400 + step], 1) for sequence in range(n)])
            writing = max(writing, steps * n / (time.perf_counter() - began))
    except DecodeFailed as error:
        return {"failed": str(error)}
    finally:
        decoder.close()
    return {"prefill_tokens_per_s": reading, "decode_tokens_per_s": writing}


def _tokens(n: int) -> list[int]:
    return [100 + place % 97 for place in range(n)]


def _copied(request: dict[str, Any]) -> dict[str, Any]:
    import llama_cpp

    target = Path(request["to"])
    part = target.with_suffix(f".{os.getpid()}.part")
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = request["threads"]
    params.ftype = FORMATS[request["format"]]
    params.allow_requantize = True
    code = llama_cpp.llama_model_quantize(request["copy"].encode(), str(part).encode(), ctypes.byref(params))
    if code:
        part.unlink(missing_ok=True)
        return {"failed": f"llama_model_quantize returned {code}"}
    part.replace(target)
    return {"bytes": target.stat().st_size}


if __name__ == "__main__":
    main()
