"""Checks of judges and the agreement of two as sentences, for people: the command line prints them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from errormap_core.gold.report import figure
from errormap_core.project.judge_runs import SHORT_ID, JudgeRun
from errormap_core.sentences import Sentence, tr, trn

HALVES: Mapping[str, Sentence] = {
    "development": tr("development half"),
    "test": tr("test half"),
}


def runs_table(runs: Sequence[JudgeRun]) -> Iterator[str]:
    """A line a run, the latest last; the one that counts is marked."""
    head = (tr("id"), tr("judge"), tr("seed"), tr("status"), tr("analysed"), tr("failed"), tr("shortened"),
            tr("tokens read"), tr("written"), tr("time"))  # fmt: skip
    rows = [["", *map(str, head)]]
    for run in runs:
        rows.append(
            [
                "✓" if run.is_current else "",
                run.short_id,
                run.name,
                "–" if run.seed is None else str(run.seed),
                run.status,
                f"{run.n_analysed:,}",
                f"{run.n_failed:,}",
                f"{run.n_shortened:,}",
                f"{run.prompt_tokens:,}",
                f"{run.completion_tokens:,}",
                str(duration(run.worked_s)),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            text.ljust(width) if column < 3 or column == 4 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def duration(seconds: float) -> Sentence:
    """A span of time as people say it: '42 s', '8 min', '3 h 20 min'."""
    if seconds < 90:
        return tr("{n:.0f} s", n=seconds)
    minutes = round(seconds / 60)
    if minutes < 90:
        return tr("{n:,} min", n=minutes)
    return tr("{h:,} h {m} min", h=minutes // 60, m=minutes % 60)


def check_sentences(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """The result of `check_judges`, line by line."""
    yield tr("Examples are in one of two fixed halves: tune prompts on the development half, judge by the test half.")
    for key in result["keys"]:
        yield from _key(key)


def what_is_missing(key: Mapping[str, Any]) -> Iterator[Sentence]:
    """What people have to review before figures have intervals and categories are compared."""
    if key["key"] != "reviewed":
        return
    for split, half in HALVES.items():
        missing = key["splits"][split]["missing_examples"]
        if missing:
            yield trn(
                "Write analyses of {n:,} more example of the {half} for intervals there ({fewest} are needed).",
                "Write analyses of {n:,} more examples of the {half} for intervals there ({fewest} are needed).",
                missing,
                half=half,
                fewest=key["fewest_examples"],
            )
    if key["missing_placements"]:
        yield trn(
            "Place {n:,} more failure by hand to compare categories.",
            "Place {n:,} more failures by hand to compare categories.",
            key["missing_placements"],
        )


def about_key(key: Mapping[str, Any]) -> Iterator[Sentence]:
    """What a key is made of, and what was left out of it."""
    if key["key"] == "gold":
        yield trn("Gold “{title}”: {n:,} failure", "Gold “{title}”: {n:,} failures", key["n"], title=key["title"])
    else:
        yield tr(
            "{title}: {written} written, {placed} placed by hand",
            title=key["title"],
            written=trn("{n:,} analysis", "{n:,} analyses", key["n_written"]),
            placed=trn("{n:,} failure", "{n:,} failures", key["n_placed"]),
        )
    if key["n_gold"]:
        yield trn(
            "{n:,} analysis written by a person is the gold itself and is checked as such.",
            "{n:,} analyses written by a person are the gold itself and are checked as such.",
            key["n_gold"],
        )
    if key["n_copied"]:
        yield trn(
            "{n:,} of them has the evidence of a judge as it was, which measures no judge.",
            "{n:,} of them have the evidence of a judge as it was, which measures no judge.",
            key["n_copied"],
        )


def _key(key: Mapping[str, Any]) -> Iterator[Sentence]:
    yield from about_key(key)
    for sentence in what_is_missing(key):
        yield tr("  {said}", said=sentence)
    if not key["n"]:
        return
    for split, half in HALVES.items():
        part = key["splits"][split]
        examples = trn("{n:,} example", "{n:,} examples", part["examples"])
        yield trn("  {half}: {n:,} failure of {examples}", "  {half}: {n:,} failures of {examples}", part["n"],
                  half=half, examples=examples)  # fmt: skip
        for run in key["runs"]:
            yield from _run(run, run["splits"][split])
        ceiling = None if key["classifier"] is None else key["classifier"][split]
        if ceiling is not None and ceiling["category"] is not None:
            yield tr(
                "    the classifier on people's own words: category kappa {kappa}",
                kappa=figure(ceiling["category"]["kappa"]),
            )


def _run(run: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Sentence]:
    yield trn(
        "    {name} ({id}): {n:,} failure, {missing:,} more not analysed",
        "    {name} ({id}): {n:,} failures, {missing:,} more not analysed",
        found["n"],
        name=run["name"],
        id=run["run"][:SHORT_ID],
        missing=found["missing"],
    )
    if not found["n"]:
        return
    yield tr("      error or no error   the same {same}; kappa {kappa}",
             same=figure(found["verdict"]["agreement"]), kappa=figure(found["verdict"]["kappa"]))  # fmt: skip
    yield tr("      evidence            F1 {f1}; {n:,} without any",
             f1=figure(found["evidence"]["f1"]), n=found["evidence"]["without"])  # fmt: skip
    for name, title in (("category", tr("category")), ("top_category", tr("top category"))):
        part = found[name]
        if part is not None:
            yield tr("      {title:<19} the same {same}; kappa {kappa}",
                     title=str(title), same=figure(part["agreement"]), kappa=figure(part["kappa"]))  # fmt: skip


def agreement_sentences(result: Mapping[str, Any], *, most: int = 10) -> Iterator[Sentence]:
    """The result of `compare_runs`, line by line, with the failures of the least agreement."""
    first, second = (f"{run['name']} ({run['run'][:SHORT_ID]})" for run in result["runs"])
    yield trn("{first} and {second}: {n:,} failure analysed by both", "{first} and {second}: {n:,} failures analysed by both",
              result["n"], first=first, second=second)  # fmt: skip
    verdict = result["verdict"]
    yield tr("  error or no error   the same {same}; kappa {kappa}",
             same=figure(verdict["agreement"]), kappa=figure(verdict["kappa"]))  # fmt: skip
    yield tr("  evidence            F1 {f1}; {n:,} with that of one alone",
             f1=figure(result["evidence"]["f1"]), n=result["evidence"]["by_one_alone"])  # fmt: skip
    yield tr("  titles, summaries   cosine {cosine}", cosine=figure(result["similarity"]))
    if result["category"] is None:
        yield tr("  category            not compared: there is no gold, and people placed too few failures by hand")
    else:
        for name, title in (("category", tr("category")), ("top_category", tr("top category"))):
            part = result[name]
            yield tr("  {title:<19} the same {same}; kappa {kappa}",
                     title=str(title), same=figure(part["agreement"]), kappa=figure(part["kappa"]))  # fmt: skip
    yield tr("They agree least on:")
    for row in result["disagreements"][:most]:
        yield tr(
            "  {apart:.2f}  {dataset}, {example}, {model}: “{first}” – “{second}”",
            apart=row["disagreement"],
            dataset=row["dataset"],
            example=row["example_id"],
            model=row["model"],
            first=row["titles"][0],
            second=row["titles"][1],
        )
