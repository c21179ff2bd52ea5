"""Merges found in damaged taxonomies: `python -m benchmarks.merges [--taxonomy JSON --truth JSON] [--ablate] [--json]`.

A taxonomy is a list of {"path": "Name", "Parent/Child" or "Other/Name", "description" (may be missing), "members" (may be
missing: a list of titles, of objects with title and summary, or a number)}; its truth a list of [path, path] that a person
would merge. Merges are proposed from the taxonomy alone, in the order in which the product shows them. How many true pairs are
among the first so many proposals is printed, beside pairs by the cosine of their names alone.

A proposal of three categories counts each of its pairs as found, but is one proposal. Parents that the list does not name are
there for the hierarchy, and are not merged. Without arguments all taxonomies in benchmarks/taxonomies are run. The weights
of the signals were learned on these, so each of them is run with weights learned on the others; any other taxonomy with those
that are shipped. `--ablate` leaves out one signal at a time, with weights learned without it; `--fit` prints weights of all.

The last line is one JSON object, {"found": {"10": n, "20": n, "30": n, "50": n}, "of": n, ...}, where `twice` is what is found in
the first 2 x as many proposals as there are true pairs, and `cosine` is that baseline.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.embedding.words import Words, vectors_of_words
from errormap_core.errors import KnownError
from errormap_core.proposals.nodes import Forest
from errormap_core.proposals.pairs import BY_NAMES, SIGNALS, WITH_MEMBERS, Weights, find_pairs, pictures
from errormap_core.proposals.repairs import Node, propose_repairs
from errormap_core.sentences import tr
from errormap_core.taxonomy.tree import name_key

FOLDER = Path(__file__).parent / "taxonomies"
MARKS = (10, 20, 30, 50)
SOFT = 10.0
"""Inverse strength of the penalty on weights (C of scikit-learn): there are few true pairs."""

IMPLIED = "parent of "
RESERVED: dict[tuple[str, ...], Literal["other", "hard"]] = {("other",): "other", ("hard to analyze",): "hard"}
Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Pair = frozenset[str]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Nodes whose ids are their paths; `implied` are parents that the list does not name. `truth` are pairs of paths."""

    name: str
    nodes: tuple[Node, ...]
    implied: frozenset[str]
    truth: frozenset[Pair]

    @property
    def refused(self) -> frozenset[frozenset[str] | tuple[str, ...]]:
        return frozenset(("merge", key) for key in self.implied)

    def without(self, *, members: bool) -> "Taxonomy":
        if not members:
            return self
        bare = tuple(
            Node(n.id, n.parent_id, n.name, n.description, n.reserved, (), n.vectors[:0], ()) for n in self.nodes
        )
        return Taxonomy(self.name, bare, self.implied, self.truth)


class Kept:
    """An encoder that encodes each text once."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder = encoder
        self.known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = sorted({text for text in texts if text not in self.known}, key=lambda text: (len(text), text))
        self.known.update(zip(new, self.encoder.encode(new), strict=True))
        return np.stack([self.known[text] for text in texts]) if texts else np.zeros((0, self.encoder.dim), np.float32)


# Reading


def read_taxonomy(path: Path, truth: Path, encode: Encode) -> Taxonomy:
    """Raises KnownError with the file, the entry and the field where something is wrong."""
    entries = [_entry(path, number, each) for number, each in enumerate(_list(path), start=1)]
    by_key: dict[tuple[str, ...], _Entry] = {}
    for entry in entries:
        if entry.key in by_key:
            raise _wrong(path, entry.number, "path", tr("“{path}” is there twice.", path=entry.path))
        by_key[entry.key] = entry
    nodes: list[Node] = []
    implied: dict[tuple[str, ...], Node] = {}
    none = encode([])
    for entry in entries:
        parent, name = _parent(entry, by_key)
        parent_id = None
        if parent:
            above = by_key.get(parent)
            parent_id = above.path if above else IMPLIED + "/".join(parent)
            if above is None and parent not in implied:
                label = "/".join(entry.parts[: len(parent)])
                implied[parent] = Node(parent_id, None, label, "", RESERVED.get(parent), (), none)
        vectors = vectors_of_words(entry.words, encode) if entry.words else none
        members = tuple(f"{entry.path} {n}" for n in range(max(entry.n, len(entry.words))))
        nodes.append(
            Node(
                id=entry.path,
                parent_id=parent_id,
                name=name,
                description=entry.description,
                reserved=RESERVED.get(entry.key),
                members=members[: len(entry.words)] if entry.words else members,
                vectors=vectors,
                titles=tuple(words.title or words.summary for words in entry.words),
            )
        )
    known = {key: entry.path for key, entry in by_key.items()}
    pairs = _truth(truth, known)
    return Taxonomy(path.stem, (*implied.values(), *nodes), frozenset(n.id for n in implied.values()), pairs)


@dataclass(frozen=True, slots=True)
class _Entry:
    number: int
    path: str
    parts: tuple[str, ...]
    key: tuple[str, ...]
    description: str
    words: tuple[Words, ...]
    n: int


def _wrong(path: Path, number: int | None, field: str, what: Any, fix: Any = "") -> KnownError:
    where = str(path) if number is None else f"{path}, entry {number}" + (f", {field}" if field else "")
    return KnownError(what, where=where, fix=fix)


def _list(path: Path) -> list[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _wrong(path, None, "", tr("The file cannot be read ({reason}).", reason=error.strerror)) from error
    except ValueError as error:
        raise _wrong(path, None, "", tr("This is no JSON ({reason}).", reason=error)) from error
    if isinstance(value, dict) and len(lists := [each for each in value.values() if isinstance(each, list)]) == 1:
        value = lists[0]
    if not isinstance(value, list):
        raise _wrong(path, None, "", tr("A list is needed."))
    return value


def _keys(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = tuple(part.strip() for part in path.split("/") if part.strip())
    return parts, tuple(name_key(part) for part in parts)


def _entry(file: Path, number: int, value: Any) -> _Entry:
    if not isinstance(value, dict):
        raise _wrong(file, number, "", tr("An object with a path is needed."))
    path = value.get("path")
    if not isinstance(path, str) or not _keys(path)[0]:
        raise _wrong(file, number, "path", tr("A text such as “Parent/Child” is needed."))
    description = value.get("description")
    if not isinstance(description, (str, type(None))):
        raise _wrong(file, number, "description", tr("A text is needed, or nothing."))
    parts, key = _keys(path)
    words, n = _members(file, number, value.get("members"))
    return _Entry(number, path, parts, key, description or "", words, n)


def _members(file: Path, number: int, value: Any) -> tuple[tuple[Words, ...], int]:
    if value is None:
        return (), 0
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return (), value
    if not isinstance(value, list):
        raise _wrong(file, number, "members", tr("A list or a number is needed, or nothing."))
    found = []
    for place, each in enumerate(value, start=1):
        if isinstance(each, str):
            found.append(Words(each, ""))
            continue
        if isinstance(each, dict):
            title = next((each[key] for key in ("title", "error_title", "name") if isinstance(each.get(key), str)), "")
            keys = ("summary", "error_summary", "description", "text")
            summary = next((each[key] for key in keys if isinstance(each.get(key), str)), "")
            if title or summary:
                found.append(Words(title, summary))
                continue
        raise _wrong(file, number, f"members, {place}", tr("A title is needed, or an object with title or summary."))
    return tuple(found), len(found)


def _parent(entry: _Entry, by_key: Mapping[tuple[str, ...], _Entry]) -> tuple[tuple[str, ...], str]:
    """The key of the parent, () at the top, and the name: what follows the longest other path that is listed, else what
    follows the first stroke, since a name may hold one."""
    for length in range(len(entry.key) - 1, 0, -1):
        if entry.key[:length] in by_key:
            return entry.key[:length], "/".join(entry.parts[length:])
    if len(entry.key) > 1:
        return entry.key[:1], "/".join(entry.parts[1:])
    return (), entry.parts[0]


def _truth(file: Path, known: Mapping[tuple[str, ...], str]) -> frozenset[Pair]:
    found: set[Pair] = set()
    for number, each in enumerate(_list(file), start=1):
        if not isinstance(each, list) or len(each) < 2 or not all(isinstance(path, str) for path in each):
            raise _wrong(file, number, "", tr("A list of two paths is needed."))
        paths = []
        for path in each:
            if _keys(path)[1] not in known:
                raise _wrong(file, number, "path", tr("“{path}” is not in the taxonomy.", path=path))
            paths.append(known[_keys(path)[1]])
        if len(set(paths)) < len(paths):
            raise _wrong(file, number, "path", tr("A category is not merged with itself."))
        found.update(frozenset(pair) for pair in combinations(paths, 2))
    return frozenset(found)


# Measuring


def in_order(
    taxonomy: Taxonomy, encode: Encode, signals: Collection[str], weights: tuple[Weights, Weights]
) -> list[Pair]:
    """The categories of each merge, in the order in which they are shown."""
    repairs = propose_repairs(
        taxonomy.nodes,
        encode,
        refused=taxonomy.refused,
        kinds=("merge",),
        signals=signals,
        with_members=weights[0],
        by_names=weights[1],
    )
    return [frozenset(repair.arguments["category_ids"]) for repair in repairs]


def by_cosine(taxonomy: Taxonomy, encode: Encode) -> list[Pair]:
    """Pairs of categories by the cosine of their names."""
    nodes = [node for node in taxonomy.nodes if node.id not in taxonomy.implied and node.reserved is None]
    vectors = encode([node.name for node in nodes])
    near = vectors @ vectors.T
    one, two = np.triu_indices(len(nodes), 1)
    order = np.argsort(-near[one, two], kind="stable")
    return [frozenset((nodes[one[m]].id, nodes[two[m]].id)) for m in order]


def counted(proposals: Sequence[Pair], truth: Collection[Pair]) -> dict[str, Any]:
    """How many true pairs the first so many proposals hold; `twice`: the first 2 x as many as there are true pairs."""
    marks = {str(mark): mark for mark in MARKS} | {"twice": 2 * len(truth)}
    held = {
        key: len(
            {frozenset(pair) for group in proposals[:mark] for pair in combinations(sorted(group), 2)} & set(truth)
        )
        for key, mark in marks.items()
    }
    twice = held.pop("twice")
    return {"found": held, "of": len(truth), "twice": twice, "proposals": len(proposals)}


def learned(
    taxonomies: Sequence[Taxonomy], encode: Encode, signals: Collection[str] = SIGNALS
) -> tuple[Weights, Weights]:
    """Weights of pairs with members, and of pairs by their names and descriptions, by logistic regression on all pairs of
    neighbours in these taxonomies."""
    found = []
    for bare in (False, True):
        features, truths = [], []
        for whole in taxonomies:
            taxonomy = whole.without(members=bare)
            forest = Forest(sorted(taxonomy.nodes, key=lambda node: node.id))
            pairs = find_pairs(forest, pictures(forest, encode, signals), signals=signals)
            for m in range(len(pairs)):
                ids = frozenset(forest.nodes[i].id for i in (int(pairs.one[m]), int(pairs.two[m])))
                if not ids & taxonomy.implied and (bare or pairs.has_members[m] or "members" not in signals):
                    features.append(pairs.features[m])
                    truths.append(ids in taxonomy.truth)
        fitted = LogisticRegression(C=SOFT, max_iter=5000).fit(np.array(features), truths)
        found.append(Weights(float(fitted.intercept_[0]), *(float(w) for w in fitted.coef_[0])))
    return found[0], found[1]


def committed() -> list[tuple[Path, Path]]:
    truths = sorted(FOLDER.glob("*.truth.json"))
    return [(truth.with_name(truth.name.replace(".truth.", ".")), truth) for truth in truths]


def calibration(
    taxonomies: Sequence[Taxonomy], encode: Encode, weights: Mapping[str, tuple[Weights, Weights]]
) -> list[Any]:
    """Of pairs by their score: from, to, how many, mean score, share that is true."""
    scored: list[tuple[float, bool]] = []
    for taxonomy in taxonomies:
        forest = Forest(sorted(taxonomy.nodes, key=lambda node: node.id))
        one, two = weights[taxonomy.name]
        pairs = find_pairs(forest, pictures(forest, encode), with_members=one, by_names=two)
        for m in range(len(pairs)):
            ids = frozenset(forest.nodes[i].id for i in (int(pairs.one[m]), int(pairs.two[m])))
            if not ids & taxonomy.implied:
                scored.append((float(pairs.probability[m]), ids in taxonomy.truth))
    rows = []
    for low, high in ((0.02, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        here = [(score, is_true) for score, is_true in scored if low <= score < high]
        if here:
            mean, share = np.mean(here, axis=0)
            rows.append([low, min(high, 1.0), len(here), round(float(mean), 3), round(float(share), 3)])
    return rows


def _line(name: str, result: Mapping[str, Any]) -> str:
    held = "  ".join(f"{result['found'][str(mark)]:>3}" for mark in MARKS)
    return f"{name:34} {held}   {result['twice']:>3} of {result['of']}"


def _total(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "found": {str(mark): sum(each["found"][str(mark)] for each in results) for mark in MARKS},
        "of": sum(each["of"] for each in results),
        "twice": sum(each["twice"] for each in results),
        "proposals": sum(each["proposals"] for each in results),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.merges", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--taxonomy", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--ablate", action="store_true", help="leave out one signal at a time")
    parser.add_argument("--fit", action="store_true", help="print weights learned on all taxonomies of the folder")
    parser.add_argument("--no-members", action="store_true", help="from names and descriptions alone")
    parser.add_argument("--json", action="store_true", help="print the last line alone")
    args = parser.parse_args(argv)
    if (args.taxonomy is None) != (args.truth is None):
        parser.error("--taxonomy and --truth belong together")
    try:
        return _run(args)
    except KnownError as error:
        print(error, file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    encode = Kept(SentenceEncoder(threads=1))
    files = committed()
    wanted = files if args.taxonomy is None else [(args.taxonomy, args.truth)]
    own = {path.resolve() for path, _ in files}
    asked = [read_taxonomy(path, truth, encode).without(members=args.no_members) for path, truth in wanted]
    is_own = [path.resolve() in own for path, _ in wanted]
    everything = (
        [read_taxonomy(path, truth, encode) for path, truth in files] if any(is_own) or args.ablate or args.fit else []
    )
    if args.fit:
        print("with members, by names:", *learned(everything, encode), sep="\n  ")

    def weights(taxonomy: Taxonomy, mine: bool, signals: Collection[str]) -> tuple[Weights, Weights]:
        if not mine and set(signals) == set(SIGNALS):
            return WITH_MEMBERS, BY_NAMES
        return learned([each for each in everything if not mine or each.name != taxonomy.name], encode, signals)

    found = {t.name: weights(t, mine, SIGNALS) for t, mine in zip(asked, is_own, strict=True)}
    whole = [counted(in_order(t, encode, SIGNALS, found[t.name]), t.truth) for t in asked]
    plain = [counted(by_cosine(t, encode), t.truth) for t in asked]
    lines = [f"{'in the first':34} " + "  ".join(f"{mark:>3}" for mark in MARKS) + "   twice as many as there are"]
    lines += [_line(t.name, result) for t, result in zip(asked, whole, strict=True)]
    if len(asked) > 1:
        lines.append(_line("all", _total(whole)))
    lines.append(_line("cosine of names", _total(plain)))
    ablated = {}
    for signal in SIGNALS if args.ablate else ():
        rest = [each for each in SIGNALS if each != signal]
        results = [
            counted(in_order(t, encode, rest, weights(t, mine, rest)), t.truth)
            for t, mine in zip(asked, is_own, strict=True)
        ]
        ablated[signal] = _total(results)
        lines.append(_line(f"without {signal}", ablated[signal]))
    checked = calibration(asked, encode, found)
    lines.append("score, from to: pairs, mean score, share that is true")
    lines += [f"  {low:.2f} {high:.2f}: {n:>4}  {mean:.2f}  {share:.2f}" for low, high, n, mean, share in checked]
    if not args.json:
        print("\n".join(lines))
    total = _total(whole)
    result = {
        **total,
        "cosine": {key: _total(plain)[key] for key in ("found", "twice")},
        "learned_on": "the other taxonomies" if any(is_own) else "benchmarks/taxonomies",
        "calibration": checked,
        **({"taxonomies": {t.name: each for t, each in zip(asked, whole, strict=True)}} if len(asked) > 1 else {}),
        **({"ablated": ablated} if ablated else {}),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
