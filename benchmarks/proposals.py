"""What is proposed, and how fast it learns.

`python -m benchmarks.proposals --data CSV --text COL --label COL --decisions N --json`
`python -m benchmarks.proposals --synthetic N --json`: what proposing for N failures in a project costs (large_project.py)

The texts stand for analysed failures, one a record; their labels are what the simulated annotator of annotator.py knows.
Accuracy is over all records, of the leaves that the product proposes with its default settings. Every number is the mean of
--seeds runs. The last line is one JSON object.
"""

import argparse
import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.annotator import Annotator, Mark, accuracy, leaf_groups, skewed
from benchmarks.large_project import large_project
from errormap_core.embedding.encoder import SentenceEncoder, Vectors
from errormap_core.errors import KnownError
from errormap_core.proposals.clustering import cluster
from errormap_core.proposals.splitting import ward_cut
from errormap_core.proposals.teaching import Teacher
from errormap_core.sentences import tr

Labels = NDArray[np.int64]
MARKS = (50, 100, 200, 400)
FEW = 400
"""Texts of a part that is measured besides: most projects are no larger."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proposals", description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="CSV", type=Path, help="texts with labels")
    parser.add_argument("--text", default="text", metavar="COL")
    parser.add_argument("--label", default="category", metavar="COL")
    parser.add_argument("--k", type=int, help="the number of groups; by default it is found")
    parser.add_argument("--decisions", type=int, default=400, metavar="N")
    parser.add_argument("--seeds", type=int, default=3, help="runs that are averaged (3)")
    parser.add_argument("--plain", action="store_true", help="without parts, wrong answers and unread categories")
    parser.add_argument(
        "--synthetic", type=int, metavar="N", help="a project of N failures with 0.3 N titles instead of data"
    )
    parser.add_argument("--tune", action="store_true", help="the curve with a fine-tuned encoder as well, minutes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    try:
        with threadpool_limits(limits=1):
            result = large_project(args.synthetic) if args.synthetic else measured(args)
    except KnownError as error:
        parser.exit(2, f"{error}\n")
    if args.json:
        print(json.dumps(result))
    return 0


def measured(args: argparse.Namespace) -> dict[str, Any]:
    began = time.process_time()
    if args.data is None:
        raise KnownError(tr("No data were named."), where="--data", fix=tr("Name a CSV with texts and labels."))
    texts, names = read(args.data, args.text, args.label)
    truth: Labels = np.unique(names, return_inverse=True)[1].astype(np.int64)
    vectors = SentenceEncoder(threads=1).encode(texts)
    k = int(truth.max()) + 1
    print(
        f"{len(texts):,} texts, {k} labels, encoded in {time.process_time() - began:.0f} s of processor time",
        flush=True,
    )
    marks = [mark for mark in MARKS if mark < args.decisions] + [args.decisions]
    runs: dict[str, list[list[Mark]]] = {}
    found = [[leaf_groups(cluster(vectors, seed=seed, n_groups=args.k)) for seed in range(args.seeds)]]
    teachers = [Teacher(vectors, n_groups=len(leaves), seed=seed) for seed, leaves in enumerate(found[0])]

    def work(name: str, **how: Any) -> None:
        runs[name] = []
        for seed, leaves in enumerate(found[0]):
            annotator = Annotator(vectors, truth, leaves, seed=seed, **how)
            runs[name].append(annotator.work(marks, teacher=teachers[seed]))
        _show(name, runs[name])

    unaided = [_labels(leaves, len(texts)) for leaves in found[0]]
    result: dict[str, Any] = {
        "acc": _mean([accuracy(labels, truth) for labels in unaided]),
        "nmi": _mean([normalized_mutual_info_score(truth, labels) for labels in unaided]),
        "k": _mean([len(leaves) for leaves in found[0]]),
        "k_true": k,
        "n": len(texts),
        "seeds": args.seeds,
        "baselines": baselines(vectors, truth, args.seeds),
    }
    print(
        f"unaided: accuracy {result['acc']:.3f}, NMI {result['nmi']:.3f}, {result['k']:.1f} groups; {result['baselines']}",
        flush=True,
    )
    work("curve")
    work("curve_random", ordered=False)
    if not args.plain:
        work("curve_noise", noise=0.1)
        work("curve_unread", reads=False)
        parts = {
            "skewed": [skewed(truth, seed=seed) for seed in range(args.seeds)],
            "few": [few(len(texts), seed=seed) for seed in range(args.seeds)],
        }
        for name, of_seeds in parts.items():
            result[name], runs[f"curve_{name}"] = _of_parts(vectors, truth, of_seeds, marks)
            _show(f"curve_{name}", runs[f"curve_{name}"])
    if args.tune:
        result["tuned"] = _with_tuned_encoder(texts, vectors, truth, marks, runs, k=args.k or len(found[0][0]))
    for name, marked in runs.items():
        result[name] = [
            [marks_at[0].decisions, _mean([m.accuracy for m in marks_at])] for marks_at in zip(*marked, strict=True)
        ]
    result["certainty"] = {
        name: [
            {"decisions": at[0].decisions, "first_right": _mean([m.first for m in at]),
             "said": [[m.low, m.high] for m in at], "holds": [m.holds for m in at]}
            for at in zip(*marked, strict=True)
        ]
        for name, marked in runs.items()
    }  # fmt: skip
    said = [m.holds for marked in runs.values() for marks_of in marked for m in marks_of if m.holds is not None]
    result["certainty_holds"] = _mean(said) if said else None
    result["cpu_s"] = round(time.process_time() - began, 1)
    print(
        f"the interval holds the true share in {sum(said)} of {len(said)} marks; {result['cpu_s']:.0f} s of processor time"
    )
    return result


def few(n: int, *, seed: int) -> Labels:
    """FEW rows, or all where there are fewer, drawn with the seed."""
    return np.sort(np.random.default_rng(seed).choice(n, min(n, FEW), replace=False)).astype(np.int64)


def _of_parts(
    vectors: Vectors, truth: Labels, parts: Sequence[Labels], marks: Sequence[int]
) -> tuple[dict[str, float], list[list[Mark]]]:
    """Unaided numbers of parts of the texts beside k-means with the number of labels given, and the marks of each."""
    unaided, runs = [], []
    within = [mark for mark in marks if mark < min(map(len, parts))]
    for seed, rows in enumerate(parts):
        own, own_truth = vectors[rows], np.unique(truth[rows], return_inverse=True)[1].astype(np.int64)
        leaves = leaf_groups(cluster(own, seed=seed))
        k = int(own_truth.max()) + 1
        means = KMeans(k, n_init=3, random_state=seed).fit_predict(own).astype(np.int64)
        right = accuracy(_labels(leaves, len(rows)), own_truth)
        unaided.append((right, len(leaves), k, len(rows), accuracy(means, own_truth)))
        runs.append(Annotator(own, own_truth, leaves, seed=seed).work(within))
    names = ("acc", "k", "k_true", "n", "kmeans_k_given")
    return dict(zip(names, map(_mean, zip(*unaided, strict=True)), strict=True)), runs


def _with_tuned_encoder(
    texts: Sequence[str],
    vectors: Vectors,
    truth: Labels,
    marks: Sequence[int],
    runs: dict[str, list[list[Mark]]],
    *,
    k: int,
) -> dict[str, float]:
    """Unaided numbers with an encoder that was tuned on the texts; its curve goes into `runs`. One seed: it takes minutes.

    `k` is the number of groups that was found before: tuning draws near texts nearer, and makes many small groups look clear.
    """
    from benchmarks.tuned_encoder import tuned_vectors

    began = time.process_time()
    tuned = tuned_vectors(texts, vectors)
    seconds = time.process_time() - began
    leaves = leaf_groups(cluster(tuned, n_groups=k))
    labels = _labels(leaves, len(texts))
    runs["curve_tuned"] = [Annotator(tuned, truth, leaves).work(marks)]
    _show("curve_tuned", runs["curve_tuned"])
    nmi = round(float(normalized_mutual_info_score(truth, labels)), 4)
    return {"acc": round(accuracy(labels, truth), 4), "nmi": nmi, "k": len(leaves), "tuning_cpu_s": round(seconds, 1)}


def read(path: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Texts and labels. Raises KnownError for a file that is not there, or lacks a column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise KnownError(
            tr("The data cannot be read ({reason}).", reason=error.strerror), where=str(path), fix=tr("Check the name.")
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise KnownError(
            tr("The data are no CSV in UTF-8 ({reason}).", reason=error), where=str(path), fix=tr("Save them as one.")
        ) from error
    for column in (text, label):
        if not rows or column not in rows[0]:
            raise KnownError(
                tr("The data have no column “{column}”.", column=column),
                where=str(path),
                fix=tr("Name the columns with --text and --label."),
            )
    if len(rows) < 2:
        raise KnownError(
            tr("One text alone makes no categories."), where=str(path), fix=tr("Name data of two texts or more.")
        )
    return [row[text] or "" for row in rows], [row[label] or "" for row in rows]


def baselines(vectors: Vectors, truth: Labels, seeds: int) -> dict[str, float]:
    """What the usual methods reach when they are told the number of labels."""
    k = int(truth.max()) + 1
    means = [KMeans(k, n_init=3, random_state=seed).fit_predict(vectors) for seed in range(seeds)]
    return {
        "kmeans_k_given": _mean([accuracy(labels.astype(np.int64), truth) for labels in means]),
        "ward_k_given": accuracy(ward_cut(vectors)(k), truth),
    }


def _labels(leaves: Sequence[NDArray[np.int64]], n: int) -> Labels:
    labels: Labels = np.zeros(n, np.int64)
    for number, rows in enumerate(leaves):
        labels[rows] = number
    return labels


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def _show(name: str, runs: Sequence[Sequence[Mark]]) -> None:
    at = [f"{marks[0].decisions}: {np.mean([m.accuracy for m in marks]):.3f}" for marks in zip(*runs, strict=True)]
    print(f"{name}: accuracy after decisions {', '.join(at)}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
