"""A score as sentences, for people: the command line prints them."""

from collections.abc import Iterator, Mapping
from typing import Any

from errormap_core.sentences import Sentence, tr, trn


def sentences(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """The result of `score_project`, line by line."""
    gold = result["gold"]
    yield tr(
        "Gold “{title}”: {analyses} ({error:,} with an error, {no_error:,} without, {unclear:,} unclear), "
        "{used:,} of {categories} used",
        title=gold["title"],
        analyses=trn("{n:,} analysis", "{n:,} analyses", gold["analyses"]),
        used=gold["categories_used"],
        categories=trn("{n:,} category", "{n:,} categories", gold["categories"]),
        **gold["verdicts"],
    )
    if gold["left_out"]:
        yield trn("{n:,} line of it was left out.", "{n:,} lines of it were left out.", gold["left_out"])
    again = result["second_pass"]
    if again is not None:
        yield trn("Its second pass, blind to the first, over {n:,} failure:",
                  "Its second pass, blind to the first, over {n:,} failures:", again["n"])  # fmt: skip
        yield from _comparison(again)
    for source in result["analyses"]:
        yield from _source(source)
    ceiling = result["classifier"]
    if ceiling is not None:
        yield trn("The classifier of categories on the gold's own words ({n:,} failure):",
                  "The classifier of categories on the gold's own words ({n:,} failures):", ceiling["n"])  # fmt: skip
        yield from _categories(ceiling)
    yield from _tree(result["tree"])


def _source(source: Mapping[str, Any]) -> Iterator[Sentence]:
    if source["is_gold"]:
        yield trn("{name}: {n:,} analysis, which is the gold itself", "{name}: {n:,} analyses, which are the gold itself",
                  source["n"], name=source["name"])  # fmt: skip
        return
    yield trn("{name}: {n:,} failure, {missing:,} more not analysed", "{name}: {n:,} failures, {missing:,} more not analysed",
              source["n"], name=source["name"], missing=source["missing"])  # fmt: skip
    yield from _comparison(source)


def _comparison(part: Mapping[str, Any]) -> Iterator[Sentence]:
    verdict, evidence = part["verdict"], part["evidence"]
    yield tr("  error or no error   the same {same}; kappa {kappa}",
             same=figure(verdict["agreement"]), kappa=figure(verdict["kappa"]))  # fmt: skip
    if evidence["f1"] is None:
        yield tr("  evidence            the gold marks none in these")
    else:
        yield tr("  evidence            F1 {f1}; {n:,} without any", f1=figure(evidence["f1"]), n=evidence["without"])
    yield from _categories(part)


def _categories(part: Mapping[str, Any]) -> Iterator[Sentence]:
    for key, title in (("category", tr("category")), ("top_category", tr("top category"))):
        if part.get(key) is not None:
            yield tr(
                "  {title:<19} the same {same}; kappa {kappa}",
                title=str(title),
                same=figure(part[key]["agreement"]),
                kappa=figure(part[key]["kappa"]),
            )


def _tree(tree: Mapping[str, Any]) -> Iterator[Sentence]:
    yield trn("The tree: {n:,} failure placed by both, {k:,} of them looked at one by one; {rest:,} not placed yet",
              "The tree: {n:,} failures placed by both, {k:,} of them looked at one by one; {rest:,} not placed yet",
              tree["n"], k=tree["looked_at"], rest=tree["not_placed"])  # fmt: skip
    for key, title in (("categories", tr("categories")), ("top_categories", tr("top categories"))):
        part = tree[key]
        if part is not None:
            yield tr(
                "  {title:<19} adjusted Rand {rand}; V-measure {v}",
                title=str(title),
                rand=figure(part["adjusted_rand"]),
                v=figure(part["v_measure"]),
            )
            yield tr(
                "                      {gold:,} of the gold, {tree:,} of the tree; matched {matched}",
                gold=part["gold"],
                tree=part["tree"],
                matched=figure(part["matched"]),
            )


def figure(estimate: Mapping[str, Any] | None) -> str:
    """'0.62 (0.51 to 0.73, chance 0.20)'; '–' for what is not defined."""
    if estimate is None:
        return "–"
    said = f"{estimate['value']:z.2f}"  # z: no minus before 0.00
    beside = []
    if estimate["low"] is not None:
        beside.append(str(tr("{low:z.2f} to {high:z.2f}", low=estimate["low"], high=estimate["high"])))
    if estimate["chance"] is not None:
        beside.append(str(tr("chance {chance:z.2f}", chance=estimate["chance"])))
    return f"{said} ({', '.join(beside)})" if beside else said
