"""Splits of categories that hold several things: `python -m benchmarks.splits --data CSV --text COL --label COL [--json]`.

Of the labels of a CSV file some are joined by two, some by three, the others stay whole, drawn with each seed; each is a
category at the top of a tree, with the texts as its members. Splits are proposed as the product does. Printed are

- how many of the joined ones are among the first 30 proposed splits, and how many whole ones
- purity of the parts: the share of a category's texts that have the commonest label of their part, and of the category unsplit
- how often there are as many parts as labels, and the adjusted Rand index of parts and labels

`--near` joins every other one with the label nearest to it instead of any, which is harder. The last line is one JSON
object, means over the seeds.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.merges import Encode, Kept
from errormap_core.embedding.encoder import SentenceEncoder, unit_rows
from errormap_core.errors import KnownError
from errormap_core.proposals.repairs import Node, propose_repairs
from errormap_core.sentences import tr

FIRST = 30
SHARE_OF_TWOS = 0.26
SHARE_OF_THREES = 0.1
"""Shares of the labels: so many pairs, so many triples."""


def drawn(labels: Sequence[str], vectors: NDArray[np.float32], seed: int, *, near: bool) -> list[list[str]]:
    """Labels joined by three, by two, and whole ones; `vectors` of shape (n_labels, d) say which are near."""
    rng = np.random.default_rng(seed)
    free = rng.permutation(len(labels)).tolist()
    joined = []
    sizes = [3] * round(SHARE_OF_THREES * len(labels)) + [2] * round(SHARE_OF_TWOS * len(labels))
    for number, size in enumerate(sizes):
        group = [free.pop(0)]
        while len(group) < size:
            to = vectors[free] @ vectors[group].mean(axis=0)
            group.append(free.pop(int(to.argmax()) if near and number % 2 else 0))
        joined.append(group)
    return [[labels[i] for i in group] for group in (*joined, *([i] for i in free))]


def measure(
    texts: Sequence[str], labels: Sequence[str], vectors: NDArray[np.float32], encode: Encode, seed: int, *, near: bool
) -> dict[str, Any]:
    """Figures of one drawing."""
    names = sorted(set(labels))
    of = {name: [row for row, label in enumerate(labels) if label == name] for name in names}
    centres = unit_rows(np.stack([vectors[of[name]].mean(axis=0) for name in names]))
    groups = drawn(names, centres, seed, near=near)
    nodes = []
    for group in groups:
        rows = sorted(row for name in group for row in of[name])
        title = " / ".join(" ".join(name.split("_")) for name in group)
        members = tuple(str(row) for row in rows)
        nodes.append(
            Node("+".join(group), None, title, "", None, members, vectors[rows], tuple(texts[row] for row in rows))
        )
    joined = {"+".join(group) for group in groups if len(group) > 1}
    found = propose_repairs(nodes, encode, seed=seed, kinds=("split",))
    shown = [repair.arguments["category_id"] for repair in found[:FIRST]]
    pure, unsplit, agree, right = [], [], [], []
    for repair in found[:FIRST]:
        key = repair.arguments["category_id"]
        if key not in joined:
            continue
        parts = [[labels[int(row)] for row in part["members"]] for part in repair.arguments["parts"]]
        n = sum(map(len, parts))
        pure.append(sum(max(Counter(part).values()) for part in parts) / n)
        unsplit.append(max(sum((Counter(part) for part in parts), Counter[str]()).values()) / n)
        right.append(len(parts) == key.count("+") + 1)
        agree.append(
            adjusted_rand_score(
                [label for part in parts for label in part], [p for p, part in enumerate(parts) for _ in part]
            )
        )
    wrong = [repair.arguments["category_id"] for repair in found if repair.arguments["category_id"] not in joined]
    return {
        "joined": len(joined),
        "whole": len(groups) - len(joined),
        "found": len(joined & set(shown)),
        "share_found": len(joined & set(shown)) / min(FIRST, len(joined)),
        "wrong_in_first": sum(key not in joined for key in shown),
        "wrong_at_all": len(wrong),
        "purity": float(np.mean(pure)) if pure else 0.0,
        "purity_unsplit": float(np.mean(unsplit)) if unsplit else 0.0,
        "right_number_of_parts": float(np.mean(right)) if right else 0.0,
        "rand": float(np.mean(agree)) if agree else 0.0,
    }


def read(path: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Texts and labels. Raises KnownError where the file or a column is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in (text, label) if column not in (reader.fieldnames or ())]
            if missing:
                raise KnownError(
                    tr("There is no column “{column}”.", column=missing[0]),
                    where=str(path),
                    fix=tr("It has: {columns}.", columns=", ".join(reader.fieldnames or ())),
                )
            rows = [row for row in reader if row[text] and row[label]]
    except OSError as error:
        raise KnownError(tr("The file cannot be read ({reason}).", reason=error.strerror), where=str(path)) from error
    if len({row[label] for row in rows}) < 6:
        raise KnownError(tr("At least six labels are needed."), where=str(path))
    return [row[text] for row in rows], [row[label] for row in rows]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.splits", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="category")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--near", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the last line alone")
    args = parser.parse_args(argv)
    try:
        texts, labels = read(args.data, args.text, args.label)
    except KnownError as error:
        print(error, file=sys.stderr)
        return 2
    encode = Kept(SentenceEncoder(threads=1))
    vectors = encode(texts)
    results = [measure(texts, labels, vectors, encode, seed, near=args.near) for seed in range(args.seeds)]
    mean = {key: round(float(np.mean([each[key] for each in results])), 4) for key in results[0]}
    if not args.json:
        for seed, each in enumerate(results):
            print(f"seed {seed}: " + ", ".join(f"{key} {value:.3g}" for key, value in each.items()))
    print(json.dumps({"data": args.data.name, "seeds": args.seeds, "near": args.near, "first": FIRST, **mean}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
