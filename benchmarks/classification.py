"""Classification into given names, by scoring and by embedding: `python -m benchmarks.classification --data CSV ...`.

Draws `--n` texts with `--seed`, each to be put under one of all names in the label column (underscores made blanks):

- embedding: the name that is nearest by embedding
- judge, all / short-list: scoring by a model, all names or the nearest 10
- both, all / short-list: scores and similarities together, with the weights that are shipped

Accuracy stands with a 95 % bootstrap interval over the texts, and processor time a text, the engine's included. The last
line is one JSON object. `--fit` also fits the weights to these texts by likelihood: for texts that nothing is reported of
(`--but-seed`, `--but-n` leave out those that another call draws).
"""

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.embedding.words import Words, texts_of, vectors_of_words
from errormap_core.judge.classifying import WEIGHTS, FailureText, Scorer, Weights, calibrated, shortlist, weigh
from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import embedded_model_path, file_sha256
from errormap_core.settings import setting

RESAMPLES = 2000
CONTEXT = 2048

Floats = NDArray[np.float64]


def drawn(rows: Sequence[dict[str, str]], n: int, seed: int, *, but: Sequence[int] = ()) -> list[int]:
    """Places of `n` rows, drawn with the seed from those that are not in `but`."""
    left_out = set(but)
    free = [place for place in range(len(rows)) if place not in left_out]
    return random.Random(seed).sample(free, n)


def interval(right: Sequence[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean: of what is right (0 or 1), or of differences text by text."""
    values = np.array(right, dtype=np.float64)
    picks = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return round(float(low), 3), round(float(high), 3)


class Texts:
    """Texts with the place of their label among the names, and how near each is to each name."""

    def __init__(self, texts: Sequence[str], truth: Sequence[int], names: Sequence[str], *, threads: int) -> None:
        self.texts, self.truth, self.names = list(texts), list(truth), list(names)
        encoder = SentenceEncoder(threads=threads)
        encoder.encode(["loaded"])
        began = time.process_time()
        named = vectors_of_words([Words(name, "") for name in names], encoder.encode)
        shown = [Words("", text) for text in texts]
        known = dict(zip(texts_of(shown), encoder.encode(texts_of(shown)), strict=True))
        vectors = vectors_of_words(shown, lambda wanted: np.stack([known[text] for text in wanted]))
        self.near: Floats = (vectors @ named.T).astype(np.float64)
        self.cpu_s = (time.process_time() - began) / len(texts)


def scored(scorer: Scorer, judge: LlamaJudge, texts: Texts, most: int) -> tuple[Floats, Floats, float]:
    """Scores after each text and after nothing, of shape (n_texts, n_names), NaN off the short-list; processor seconds a
    text. The names without a text, which are scored once, are not counted."""
    scores = np.full(texts.near.shape, np.nan)
    priors = np.full(texts.near.shape, np.nan)
    scorer.name_scores(FailureText(), texts.names)
    engine = psutil.Process(judge.engine_pids[0])
    began, cpu = time.process_time(), engine.cpu_times()
    for place, text in enumerate(texts.texts):
        chosen = shortlist(texts.near[place], most)
        found = scorer.name_scores(FailureText(summary=text), [texts.names[name] for name in chosen])
        scores[place, chosen], priors[place, chosen] = found
        if place % 20 == 19:
            print(f"\r{place + 1} of {len(texts.texts)}", end="", file=sys.stderr, flush=True)
    print("\r", end="", file=sys.stderr)
    used = engine.cpu_times()
    seconds = time.process_time() - began + used.user + used.system - cpu.user - cpu.system
    return scores, priors, seconds / len(texts.texts)


def chosen_by(texts: Texts, weights: Weights, scores: Floats | None = None, priors: Floats | None = None) -> list[int]:
    """The place of the best name of each text."""
    found = []
    for place in range(len(texts.texts)):
        offered = np.arange(len(texts.names)) if scores is None else np.flatnonzero(~np.isnan(scores[place]))
        judged = None
        if scores is not None and priors is not None:
            judged = calibrated(scores[place, offered], priors[place, offered], weights)
        near = texts.near[place, offered] if weights.similarity else None
        ids = [str(name) for name in offered]
        found.append(int(weigh(ids, weights, scores=judged, similarities=near).best))
    return found


def row(texts: Texts, chosen: Sequence[int], cpu_s: float, **what: Any) -> dict[str, Any]:
    """A line of the table; `gain` is over the nearest name by embedding, text by text."""
    right = np.array(chosen) == np.array(texts.truth)
    gained = right.astype(float) - (np.array(chosen_by(texts, WEIGHTS["embedding"])) == np.array(texts.truth))
    return {
        **what,
        "accuracy": round(float(right.mean()), 4),
        "interval": interval(right),
        "gain": round(float(gained.mean()), 4),
        "gain_interval": interval(gained),
        "cpu_s_a_text": round(cpu_s, 3),
    }


def fitted(texts: Texts, scores: Floats, priors: Floats) -> dict[str, Any]:
    """The weights of greatest likelihood over texts whose name is on the short-list, and their accuracy over all texts."""
    from scipy.optimize import minimize

    truth = np.array(texts.truth)
    offered = ~np.isnan(scores)
    counted = offered[np.arange(len(truth)), truth]

    def loss(similarity: float, judge: float, prior: float) -> float:
        logits = np.where(offered, similarity * texts.near + judge * (scores - prior * priors), -np.inf)
        logits -= logits.max(axis=1, keepdims=True)
        likely = logits[np.arange(len(truth)), truth] - np.log(np.exp(logits).sum(axis=1))
        return -float(likely[counted].mean())

    found = {}
    for method, start in (("embedding", [15.0]), ("judge", [0.3, 0.9]), ("both", [13.0, 0.15, 0.9])):

        def at(x: Sequence[float], method: str = method) -> tuple[float, float, float]:
            return {
                "embedding": lambda: (x[0], 0.0, 0.0),
                "judge": lambda: (0.0, x[0], x[1]),
                "both": lambda: tuple(x),
            }[method]()  # type: ignore[return-value]

        best = minimize(lambda x, at=at: loss(*at(x)), start, method="Nelder-Mead")
        similarity, judge, prior = at(best.x)
        weights = Weights(similarity, judge, prior)
        accuracy = np.mean(np.array(chosen_by(texts, weights, scores, priors)) == truth)
        found[method] = {
            "similarity": round(similarity, 2), "judge": round(judge, 3), "prior": round(prior, 2),
            "nats": round(float(best.fun), 4), "accuracy": round(float(accuracy), 4),
        }  # fmt: skip
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.classification", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="category")
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--but-seed", type=int)
    parser.add_argument("--but-n", type=int, default=400)
    parser.add_argument("--model", action="append", type=Path, help="GGUF; may be repeated (default: the embedded one)")
    parser.add_argument("--shortlist", type=int, default=setting("classify.shortlist").default)
    parser.add_argument("--only-shortlist", action="store_true", help="leave out scoring of all names")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the last line alone")
    args = parser.parse_args(argv)
    with args.data.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({each[args.label] for each in rows})
    names = [" ".join(label.replace("_", " ").split()) for label in labels]
    but = [] if args.but_seed is None else drawn(rows, args.but_n, args.but_seed)
    places = drawn(rows, args.n, args.seed, but=but)
    texts = Texts(
        [rows[place][args.text] for place in places],
        [labels.index(rows[place][args.label]) for place in places],
        names,
        threads=args.threads,
    )
    table = [row(texts, chosen_by(texts, WEIGHTS["embedding"]), texts.cpu_s, method="embedding", model="", names="all")]
    fits: dict[str, Any] = {}
    pairs = list(zip(texts.truth, texts.near, strict=True))
    reached = {
        most: round(sum(truth in shortlist(near, most) for truth, near in pairs) / len(pairs), 4)
        for most in sorted({5, 10, 20, args.shortlist})
    }
    models = args.model or [embedded_model_path()]
    for model in models:
        with LlamaJudge(EngineSettings(model, threads=args.threads, context=CONTEXT)) as judge:
            scorer = Scorer(judge)
            for most in [args.shortlist] if args.only_shortlist else [0, args.shortlist]:
                scores, priors, cpu_s = scored(scorer, judge, texts, most)
                which = f"nearest {most}" if most else "all"
                for method in ("judge", "both"):
                    chosen = chosen_by(texts, WEIGHTS[method], scores, priors)
                    cost = cpu_s + (texts.cpu_s if most or method == "both" else 0.0)
                    table.append(row(texts, chosen, cost, method=method, model=model.stem, names=which))
                if args.fit:
                    fits[f"{model.stem}, {which}"] = fitted(texts, scores, priors)
    if not args.json:
        print(f"{'method':10} {'names':11} {'accuracy':8} {'95 %':15} {'gain':6} {'95 %':17} {'cpu s a text':12} model")
        for each in table:
            (low, high), (least, most) = each["interval"], each["gain_interval"]
            print(
                f"{each['method']:10} {each['names']:11} {each['accuracy']:.3f}    {low:.3f} to {high:.3f}  "
                f"{each['gain']:+.3f} {least:+.3f} to {most:+.3f}  {each['cpu_s_a_text']:<12.3f} {each['model']}"
            )
    result = {
        "data": args.data.name, "n": args.n, "seed": args.seed, "names": len(names), "threads": args.threads,
        "weights": {method: [w.similarity, w.judge, w.prior] for method, w in WEIGHTS.items()},
        "models": {model.stem: file_sha256(model) for model in models},
        "shortlist_holds_the_right_one": reached, "table": table, **({"fits": fits} if fits else {}),
    }  # fmt: skip
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
