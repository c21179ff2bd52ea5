"""Whether a judge tells categories that are one from others: `python -m benchmarks.arbiter [--model GGUF ...] [--json]`.

Of each taxonomy in benchmarks/taxonomies the likeliest pairs are taken, `--times` as many as there are true ones, in the order of
the score whose weights were learned on the other taxonomies (benchmarks/merges.py). The judge is asked of each pair in two ways:

- same: whether the two are one, yes or no, in both orders, less what it says where nothing is known
- named: how likely the name of the one is as the category of a failure that is described as the other is, both ways, less
  how likely it is where nothing is known

Printed are, for the score and for both answers, the area under the ROC curve over these pairs (chance 0.5) with a 95 % bootstrap
interval; and, as the answers are added to the score by logistic regression learned on the other taxonomies, how many true
pairs are among the first 2 x as many as there are. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.merges import Kept, Taxonomy, committed, learned, read_taxonomy
from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.judge.classifying import WEIGHTS, Candidate, FailureText, Scorer, calibrated
from errormap_core.judge.engine import EngineSettings
from errormap_core.judge.llama_judge import LlamaJudge
from errormap_core.judge.model_file import embedded_model_path
from errormap_core.proposals.nodes import Forest
from errormap_core.proposals.pairs import find_pairs, pictures

RESAMPLES = 2000
CONTEXT = 2048
ADDED = {"score": (0,), "score and same": (0, 1), "score and named": (0, 2), "all three": (0, 1, 2)}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """The likeliest pairs of a taxonomy, whether each is true, and `features`, (m, 3): log-odds of the score, same, named."""

    name: str
    features: Floats
    is_true: NDArray[np.bool_]
    n_true: int


def likeliest(taxonomy: Taxonomy, others: Sequence[Taxonomy], encode: Kept, times: int) -> tuple[list[Any], Floats]:
    """Pairs of nodes, the likeliest first, and the log-odds of their score, shape (m,)."""
    with_members, by_names = learned(others, encode)
    forest = Forest(sorted(taxonomy.nodes, key=lambda node: node.id))
    pairs = find_pairs(forest, pictures(forest, encode), with_members=with_members, by_names=by_names)
    found, odds = [], []
    for m in range(len(pairs)):
        one, two = forest.nodes[int(pairs.one[m])], forest.nodes[int(pairs.two[m])]
        if not {one.id, two.id} & taxonomy.implied and len(found) < times * len(taxonomy.truth):
            found.append((one, two))
            p = float(np.clip(pairs.probability[m], 1e-9, 1 - 1e-9))
            odds.append(np.log(p / (1 - p)))
    return found, np.array(odds)


def ask(scorer: Scorer, pairs: Sequence[Any]) -> Floats:
    """What the judge says of each pair, shape (m, 2): log-odds of `same`, nats of `named`."""
    answers = np.zeros((len(pairs), 2))
    sides = [tuple(Candidate(node.id, node.name, node.description) for node in pair) for pair in pairs]
    for m, (one, two) in enumerate(sides):
        answers[m, 0] = scorer.same(one, two).log_odds
    partners: dict[Candidate, list[tuple[int, Candidate]]] = {}
    for m, (one, two) in enumerate(sides):
        partners.setdefault(one, []).append((m, two))
        partners.setdefault(two, []).append((m, one))
    for given, asked in partners.items():
        scores, priors = scorer.name_scores(
            FailureText(title=given.name, summary=given.description), [other.name for _, other in asked]
        )
        worth = calibrated(scores, priors, WEIGHTS["judge"])
        for (m, _), nats in zip(asked, worth, strict=True):
            answers[m, 1] += float(nats) / 2
    return answers


def area(value: Floats, is_true: NDArray[np.bool_]) -> list[float]:
    """Under the ROC curve, with its 95 % bootstrap interval over pairs."""
    rng = np.random.default_rng(0)
    again = []
    while len(again) < RESAMPLES:
        rows = rng.integers(0, len(value), len(value))
        if 0 < is_true[rows].sum() < len(rows):
            again.append(roc_auc_score(is_true[rows], value[rows]))
    low, high = np.quantile(again, [0.025, 0.975])
    return [round(float(x), 3) for x in (roc_auc_score(is_true, value), low, high)]


def found_first(asked: Sequence[Asked], columns: Sequence[int]) -> int:
    """True pairs among the first 2 x as many, with weights learned on the other taxonomies."""
    total = 0
    for here in asked:
        others = [each for each in asked if each.name != here.name]
        x = np.vstack([each.features[:, columns] for each in others])
        fitted = LogisticRegression(C=1.0, max_iter=2000).fit(x, np.concatenate([each.is_true for each in others]))
        order = np.argsort(-fitted.decision_function(here.features[:, columns]), kind="stable")
        total += int(here.is_true[order[: 2 * here.n_true]].sum())
    return total


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.arbiter", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", action="append", type=Path, help="GGUF; may be repeated (default: the embedded one)")
    parser.add_argument("--times", type=int, default=4, help="pairs asked about, in multiples of the true ones (4)")
    parser.add_argument("--json", action="store_true", help="print the last line alone")
    args = parser.parse_args(argv)
    encode = Kept(SentenceEncoder(threads=1))
    taxonomies = [read_taxonomy(path, truth, encode) for path, truth in committed()]
    listed = [
        (each, *likeliest(each, [other for other in taxonomies if other.name != each.name], encode, args.times))
        for each in taxonomies
    ]
    result: dict[str, Any] = {"of": sum(len(each.truth) for each in taxonomies), "models": {}}
    for model in args.model or [embedded_model_path()]:
        with LlamaJudge(EngineSettings(model, threads=1, context=CONTEXT)) as judge:
            scorer = Scorer(judge)
            engine = psutil.Process(judge.engine_pids[0])
            before = engine.cpu_times()
            asked = []
            for taxonomy, pairs, odds in listed:
                is_true = np.array([frozenset((one.id, two.id)) in taxonomy.truth for one, two in pairs], bool)
                features = np.column_stack([odds, ask(scorer, pairs)])
                asked.append(Asked(taxonomy.name, features, is_true, len(taxonomy.truth)))
                print(f"{model.stem}, {taxonomy.name}: {len(pairs)} pairs", file=sys.stderr, flush=True)
            after = engine.cpu_times()
        n = sum(len(each.is_true) for each in asked)
        together, truth = np.vstack([e.features for e in asked]), np.concatenate([e.is_true for e in asked])
        result["models"][model.stem] = {
            "pairs": n,
            "true": int(truth.sum()),
            "area": {name: area(together[:, c], truth) for c, name in enumerate(("score", "same", "named"))},
            "twice": {name: found_first(asked, columns) for name, columns in ADDED.items()},
            "cpu_s_a_pair": round((after.user + after.system - before.user - before.system) / n, 2),
        }
    result["cpu_s"] = round(time.process_time(), 1)
    if not args.json:
        for name, each in result["models"].items():
            print(
                f"{name}: {each['pairs']} pairs, {each['true']} true, {each['cpu_s_a_pair']} s of processor time a pair"
            )
            for key, (middle, low, high) in each["area"].items():
                print(f"  area of {key:16} {middle:.3f} ({low:.3f} to {high:.3f})")
            for key, n in each["twice"].items():
                print(f"  {key:24} {n} of {result['of']} in the first 2 x as many")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
