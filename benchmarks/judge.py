"""The judge beside a plain loop over the same records: `python -m benchmarks.judge --records CSV --n N --json`.

One run, one thread, the same records and limits:

- plain: chat completions with the paper's schema and the prompt in judge_prompt.toml, prefix reuse on
- same: our engine with that prompt and schema
- shipped: our engine with its own prompt and form
- floor: the batches of the two through llama_decode alone

Every part has processes of its own. Loading is not counted. Processor time is the measure; wall time stands beside it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.judge_measures import (
    PAPER_SCHEMA,
    Answer,
    changed,
    is_obeyed,
    measure,
    speed_counts,
)
from benchmarks.judge_records import bench_prompt, failures, fingerprint, n_sharing, orders
from errormap_core.errors import KnownError
from errormap_core.judge.analysis import published_schema
from errormap_core.judge.base import JudgeRequest
from errormap_core.judge.model_file import embedded_model_path, file_sha256

MAX_TOKENS = 400
PARTS = ("plain", "same", "shipped", "floor", "orders", "changed")
SIDES = ("plain", "same", "shipped")
AT_ONCE = (1, 8)
"""How many records are written at once in the two runs that `changed` compares."""

ROOT = Path(__file__).resolve().parent.parent


class Bench:
    """The parts of one benchmark over the same records; each is run once, in a child."""

    def __init__(self, model: Path, requests: Sequence[JudgeRequest], *, profile: str, folder: Path) -> None:
        self.model = model
        self.requests = requests
        self.profile = profile
        self.runs: dict[str, dict[str, Any]] = {}
        self._folder = folder

    def plain(self) -> dict[str, Any]:
        return self._ask("plain", self.requests, max_tokens=MAX_TOKENS)

    def ours(
        self,
        requests: Sequence[JudgeRequest] | None = None,
        *,
        is_same: bool = False,
        sequences: int | None = None,
        has_floor: bool = False,
    ) -> dict[str, Any]:
        """Our engine on these records, or on all; `is_same` with the plain loop's prompt and schema."""
        return self._ask(
            "ours",
            self.requests if requests is None else requests,
            is_same=is_same,
            profile=self.profile,
            sequences=sequences,
            has_floor=has_floor,
            max_tokens=MAX_TOKENS,
        )

    def _ask(self, do: str, requests: Sequence[JudgeRequest], **how: Any) -> dict[str, Any]:
        return self._child(
            {"do": do, "model": str(self.model), "requests": [asdict(request) for request in requests], "how": how}
        )

    def _child(self, job: Mapping[str, Any]) -> dict[str, Any]:
        asked, answered = self._folder / "job.json", self._folder / "result.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        answered.unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.judge_children", str(asked), str(answered)]
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}, check=True)
        result: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
        return result


def answers(run: Mapping[str, Any], requests: Sequence[JudgeRequest]) -> list[Answer]:
    """A run's texts with the answers that they are about."""
    found = []
    for request, written in zip(requests, run["written"], strict=True):
        read = Answer.read(request.output_text, written["text"])
        analysis = written["analysis"]
        found.append(read if analysis is None else Answer(read.source, read.text, analysis))
    return found


def result_of(bench: Bench, runs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Times a failure, shares of time and of answers; what was not run, or is not known, is None."""
    n = len(bench.requests)
    schemas = {"plain": PAPER_SCHEMA, "same": PAPER_SCHEMA, "shipped": published_schema()}
    result: dict[str, Any] = {}
    measured: dict[str, dict[str, float]] = {}
    for side in SIDES:
        run = runs.get(side)
        result[f"{side}_cpu_s"] = None if run is None else round(run["cpu_s"] / n, 4)
        result[f"{side}_wall_s"] = None if run is None else round(run["wall_s"] / n, 4)
        if run is not None:
            measured[side] = measure(
                answers(run, bench.requests), instructions=run["instructions"], schema=schemas[side]
            )
    for side in SIDES[1:]:
        run, plain = runs.get(side), runs.get("plain")
        floor_s = None if run is None else run["floor_cpu_s"]
        result[f"{side}_times_faster"] = None if run is None or plain is None else _over(plain["cpu_s"], run["cpu_s"])
        result[f"floor_{side}_cpu_s"] = None if floor_s is None else round(floor_s / n, 4)
        result[f"{side}_over_floor"] = None if run is None or floor_s is None else _over(run["cpu_s"], floor_s)
        is_decoding = run is not None and run["decode_s"] is not None
        result[f"{side}_decode_share"] = _over(run["decode_s"], run["wall_s"]) if run and is_decoding else None
        result[f"{side}_speed_counts"] = (
            speed_counts(measured[side], measured["plain"]) if side in measured and "plain" in measured else None
        )
    result["decode_share"] = result["shipped_decode_share"]
    for name in ("valid", "verbatim", "parroted", "evidence_share", "distinct_titles", "degenerate"):
        result[name] = measured["shipped"][name] if "shipped" in measured else None
    if "plain" in runs:
        mended = [answer.mended() for answer in answers(runs["plain"], bench.requests)]
        measured["plain_mended"] = measure(mended, instructions=runs["plain"]["instructions"], schema=PAPER_SCHEMA)
    result["by_side"] = measured
    result["failed"] = {side: sum(w["error"] is not None for w in run["written"]) for side, run in runs.items()}
    result["tokens"] = {side: _tokens(run, n) for side, run in runs.items()}
    result["longest_answer"] = {
        side: max((w["completion_tokens"] or 0) + (w["fed_tokens"] or 0) for w in run["written"])
        for side, run in runs.items()
    }
    return result


def obeyed_of(bench: Bench) -> tuple[float, list[str], dict[str, Any]]:
    """Share of the records with orders that were obeyed, which, and the run over them."""
    records = orders()
    requests = [order.request() for order in records]
    run = bench.ours(requests)
    found = [
        order.id
        for order, answer in zip(records, answers(run, requests), strict=True)
        if is_obeyed(order.obeyed_if, answer)
    ]
    return round(len(found) / len(records), 4), found, run


def changed_of(bench: Bench, shipped: Mapping[str, Any] | None) -> float | None:
    """Share of records whose analysis differs between one and eight at once; None where the engine knows only one."""
    found = []
    for sequences in AT_ONCE:
        is_run = shipped is not None and shipped["sequences"] == sequences
        run = shipped if shipped is not None and is_run else bench.ours(sequences=sequences)
        if run["sequences"] is None:
            return None
        found.append(answers(run, bench.requests))
    return changed(*found)


def table(result: Mapping[str, Any]) -> list[str]:
    """The figures as lines to be read."""
    head: tuple[str, ...] = ("", "cpu s", "wall s", "x plain", "read", "reused", "written", "fed")
    head = (*head, "valid", "verbatim", "parroted", "evidence", "titles", "degenerate")
    rows = [head]
    for side in SIDES:
        shares = result["by_side"].get(side)
        if shares is None:
            continue
        tokens = result["tokens"][side]
        rows.append(
            (
                side,
                _number(result[f"{side}_cpu_s"], 2),
                _number(result[f"{side}_wall_s"], 2),
                "1" if side == "plain" else _number(result[f"{side}_times_faster"], 2),
                *(_number(tokens[name], 0) for name in ("prompt", "reused", "completion", "fed")),
                *(_number(shares[name], 2) for name in ("valid", "verbatim", "parroted", "evidence_share")),
                *(_number(shares[name], 2) for name in ("distinct_titles", "degenerate")),
            )
        )
        if side != "plain" and result[f"floor_{side}_cpu_s"] is not None:
            rows.append((f"  floor of {side}", _number(result[f"floor_{side}_cpu_s"], 2), *[""] * (len(head) - 2)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.append(
        "Seconds and tokens are for one failure; 'x plain' is how many times less processor time than the plain loop."
    )
    for side in SIDES[1:]:
        if result[f"{side}_speed_counts"] is False:
            lines.append(
                f"The speed of {side} does not count: it is degenerate, or says less than the plain loop does."
            )
    for name, what in (
        ("decode_share", "of shipped's time in llama_decode"),
        ("obeyed", f"of {len(orders())} records that give orders were obeyed by shipped"),
        ("changed", f"of the analyses differ between {AT_ONCE[0]} and {AT_ONCE[1]} at once"),
    ):
        lines.append(f"{_number(result.get(name), 3)} {what}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        model = (args.model or embedded_model_path()).expanduser().resolve()
        requests = failures(args.records, args.n, seed=args.seed)
        sha256 = file_sha256(model)
    except KnownError as error:
        print(error, file=sys.stderr)
        return 2
    if not requests:
        print(f"{args.records} has no failures.", file=sys.stderr)
        return 2
    key = fingerprint(
        sha256, [asdict(request) for request in requests], bench_prompt().sha256, PAPER_SCHEMA, MAX_TOKENS
    )
    with tempfile.TemporaryDirectory(prefix="errormap-bench-") as folder:
        bench = Bench(model, requests, profile=args.profile, folder=Path(folder))
        runs: dict[str, dict[str, Any]] = {}
        if args.skip_plain is not None:
            saved = json.loads(args.skip_plain.read_text(encoding="utf-8"))
            if saved["key"] != key or "plain" not in saved["runs"]:
                print(f"{args.skip_plain} is of other records, another model, prompt or limit.", file=sys.stderr)
                return 2
            runs["plain"] = saved["runs"]["plain"]
            print(f"The plain loop was not run: its result is that of {args.skip_plain}.")
        elif "plain" in args.parts:
            _tell("the plain loop")
            runs["plain"] = bench.plain()
        if "same" in args.parts:
            _tell("ours with the same prompt and schema")
            runs["same"] = bench.ours(is_same=True, has_floor="floor" in args.parts)
        if "shipped" in args.parts:
            _tell("ours as shipped")
            runs["shipped"] = bench.ours(has_floor="floor" in args.parts)
        result = result_of(bench, runs)
        result["obeyed"] = result["changed"] = None
        if "orders" in args.parts:
            _tell("records that give orders")
            result["obeyed"], result["obeyed_records"], runs["orders"] = obeyed_of(bench)
        if "changed" in args.parts:
            _tell("one at once and eight at once")
            result["changed"] = changed_of(bench, runs.get("shipped"))
    result |= {
        "records": args.records.name,
        "n": len(requests),
        "n_sharing": n_sharing(requests),
        "seed": args.seed,
        "model": model.name,
        "model_sha256": sha256,
        "profile": args.profile,
        "threads": 1,
        "max_tokens": MAX_TOKENS,
        "plain_is_reused": args.skip_plain is not None,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    if args.save is not None:
        saved = {"key": key, "result": result, "runs": runs}
        args.save.write_text(json.dumps(saved, ensure_ascii=False, indent=1), encoding="utf-8")
    print(
        f"{len(requests)} failures of {args.records.name}, {result['n_sharing']} of which share a task; {model.name}, one thread"
    )
    for line in table(result):
        print(line)
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--records", type=Path, required=True, metavar="CSV", help="a file of results in ErrorMap's format"
    )
    parser.add_argument("--n", type=_count, default=30, help="how many failures (30)")
    parser.add_argument("--model", type=Path, metavar="GGUF", help="by default the embedded one")
    parser.add_argument("--profile", choices=("full", "quick"), default="full", help="how much ours as shipped writes")
    parser.add_argument("--seed", type=int, default=0, help="another seed takes other failures")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="run only these")
    parser.add_argument("--skip-plain", type=Path, metavar="FILE", help="take the plain loop's result from there")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the result and every text there")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser


def _count(text: str) -> int:
    n = int(text)
    if n < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return n


def _tokens(run: Mapping[str, Any], n: int) -> dict[str, float | None]:
    """Tokens a failure; None where they are not known."""
    found: dict[str, float | None] = {}
    for name in ("prompt", "reused", "completion", "fed"):
        known = [w[f"{name}_tokens"] for w in run["written"] if w[f"{name}_tokens"] is not None]
        found[name] = round(sum(known) / n, 1) if known else None
    return found


def _over(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole > 0 else None


def _number(value: float | None, places: int) -> str:
    return "?" if value is None else f"{value:.{places}f}"


def _tell(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
