"""The processes of the benchmark of the judge, one for each way of asking: `python -m benchmarks.judge_children JOB RESULT`.

Both are JSON files. Loading is not part of the times.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import psutil

from benchmarks.judge_measures import PAPER_SCHEMA
from benchmarks.judge_records import BenchPrompt, bench_prompt
from errormap_core.judge.base import JudgeRequest

CONTEXT = 4096


@dataclass(slots=True)
class Written:
    """What came of one record: the raw text, the analysis where there is one, else why not; tokens where they are known."""

    text: str = ""
    analysis: dict[str, Any] | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    completion_tokens: int | None = None
    fed_tokens: int | None = None


@dataclass(slots=True)
class Run:
    """One way of asking, over all records in their order; times are those of all of them together.

    `decode_s` is the part of `wall_s` in llama_decode, `floor_*` what the very batches take alone, `sequences` how many
    records were written at once; None where it is not known.
    """

    cpu_s: float
    wall_s: float
    written: list[Written]
    instructions: str
    decode_s: float | None = None
    floor_cpu_s: float | None = None
    floor_wall_s: float | None = None
    sequences: int | None = None


def plain(model_path: str, requests: Sequence[JudgeRequest], *, max_tokens: int) -> Run:
    """The plain loop: chat completions with the paper's schema, one after another, as the binding does it by itself.

    It reuses the longest beginning that a prompt shares with what the context holds.
    """
    import llama_cpp

    prompt = bench_prompt()
    llama = llama_cpp.Llama(model_path, n_ctx=CONTEXT, n_threads=1, n_threads_batch=1, n_gpu_layers=0, verbose=False)
    written: list[Written] = []
    cpu, wall = time.process_time(), time.perf_counter()
    for request in requests:
        try:
            done: Any = llama.create_chat_completion(
                messages=cast(Any, prompt.messages(request)),
                response_format={"type": "json_object", "schema": PAPER_SCHEMA},
                max_tokens=max_tokens,
                temperature=0,
            )
        except (ValueError, RuntimeError) as error:  # too long for the context; the user's loop goes on
            written.append(Written(error=str(error)))
            continue
        written.append(
            Written(
                text=done["choices"][0]["message"]["content"] or "",
                prompt_tokens=done["usage"]["prompt_tokens"],
                completion_tokens=done["usage"]["completion_tokens"],
            )
        )
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    llama.close()
    return Run(cpu_s=cpu_s, wall_s=wall_s, written=written, instructions=prompt.instructions)


def ours(
    model_path: str,
    requests: Sequence[JudgeRequest],
    *,
    is_same: bool,
    profile: str,
    sequences: int | None,
    has_floor: bool,
    max_tokens: int,
) -> Run:
    """Our engine. THE ADAPTER: the one place of the benchmark that knows how our engine is asked.

    Parameters
    ----------
    is_same : bool
        With the plain loop's prompt and schema, else as shipped in this profile ('full' or 'quick').
    sequences : int, optional
        How many records are written at once; None is as shipped.
    has_floor : bool
        Keep the batches, and decode them once more when the clocks have stopped.
    max_tokens : int
        The most that an answer may take, labels included; 'longest_answer' in the result tells whether it kept below.
    """
    from errormap_core.judge.base import RecordFailed
    from errormap_core.judge.engine import EngineSettings
    from errormap_core.judge.llama_judge import LlamaJudge
    from errormap_core.judge.prompts import SHIPPED, load_prompt
    from errormap_core.judge.tuning import known_tuning, tune, tuned_settings
    from errormap_core.tasks import driven

    used: Any = bench_prompt() if is_same else load_prompt(SHIPPED[cast(Any, profile)])
    model = Path(model_path)
    tuning = known_tuning(model) or driven(tune(model))  # as the product does the first time; not part of the times
    settings = tuned_settings(
        tuning,
        EngineSettings(model, context=CONTEXT, journal=has_floor),
        chosen={"threads": 1, **({} if sequences is None else {"sequences": sequences})},
    )
    known: dict[str, Written] = {}
    with LlamaJudge(
        settings,
        prompt=used,
        form="paper" if is_same else None,
        most_tokens=max_tokens,
        model=model,
        weights=tuning.weights,
    ) as judge:
        engines = [psutil.Process(pid) for pid in judge.engine_pids]
        cpu, wall = _cpu_s(engines), time.perf_counter()
        waiting = list(reversed(requests))
        while waiting or judge.n_asked:
            while waiting and judge.n_asked < judge.capacity:
                judge.submit(waiting.pop())
            for request, result in judge.results(1.0):
                if isinstance(result, RecordFailed):
                    known[request.record_id] = Written(error=str(result))
                    continue
                value = result.analysis.to_json()
                known[request.record_id] = Written(
                    text=result.text,
                    analysis=as_paper(value) if is_same else value,
                    prompt_tokens=result.prompt_tokens,
                    reused_tokens=result.reused_tokens,
                    completion_tokens=result.completion_tokens,
                    fed_tokens=result.fed_tokens,
                )
        cpu_s, wall_s = _cpu_s(engines) - cpu, time.perf_counter() - wall
        measured = judge.measured()
    return Run(
        cpu_s=cpu_s,
        wall_s=wall_s,
        written=[known[request.record_id] for request in requests],
        instructions=_instructions(used, requests[0]),
        decode_s=measured["decode_seconds"],
        floor_cpu_s=measured.get("floor_cpu_s"),
        floor_wall_s=measured.get("floor_wall_s"),
        sequences=settings.sequences,
    )


def as_paper(value: dict[str, Any]) -> dict[str, Any]:
    """The product's analysis as the paper writes it: no verdict, null for an evidence that is missing."""
    criteria = [
        {
            **entry,
            "quality": "partially correct" if entry["quality"] == "partially_correct" else entry["quality"],
            "evidence": entry["evidence"] or None,
        }
        for entry in value["required_criteria"]
    ]
    return {
        "required_criteria": criteria,
        "error_summary": value["error_summary"],
        "error_title": value["error_title"],
    }


def _instructions(prompt: Any, request: JudgeRequest) -> str:
    """What a prompt says beside the record's texts: the system's message and the last lines of the user's."""
    if isinstance(prompt, BenchPrompt):
        return prompt.instructions
    return f"{prompt.messages(request, max_criteria=4)[0]['content']}\n{getattr(prompt, 'after', '')}"


def _cpu_s(engines: Sequence[psutil.Process]) -> float:
    """Processor time of this process and of the engines so far."""
    times = [engine.cpu_times() for engine in engines]
    return time.process_time() + sum(float(spent.user + spent.system) for spent in times)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    requests = [JudgeRequest(**{**one, "references": tuple(one["references"])}) for one in job["requests"]]
    ask = plain if job["do"] == "plain" else ours
    result = asdict(ask(job["model"], requests, **job["how"]))
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
