"""What is said of how failures got their places and diagnoses, the same in the window and on the command line.

What each way is, and when a person looked at a failure one by one, is stated in project/counting.py.
"""

from collections.abc import Iterator, Mapping

from errormap_core.project.queries import Totals
from errormap_core.sentences import Sentence, tr, trn

STATE_NAMES: Mapping[str, Sentence] = {
    "analysed": tr("Analysed"),
    "placed": tr("Placed by hand, not diagnosed"),
    "no_error": tr("No error found"),
    "waiting": tr("Waiting for the judge"),
    "engine_failed": tr("Judge failed"),
    "disputed": tr("Disputed"),
    "excluded": tr("Excluded"),
    "not_sampled": tr("Not sampled"),
}
"""States of a failure, as window and command line call them."""

PLACED: Mapping[str, Sentence] = {
    "person": tr("placed individually by a person"),
    "person_bulk": tr("placed in bulk by a person"),
    "proposal": tr("placed by accepting a proposal"),
    "machine": tr("placed by a machine only"),
}

DIAGNOSED: Mapping[str, Sentence] = {
    "person": tr("diagnosed by a person"),
    "imported": tr("with an imported diagnosis"),
    "judge": tr("diagnosed by a judge"),
}

NOT_DIAGNOSED = tr("not diagnosed")

LOOKED_AT = tr(
    "A person looked at a failure one by one where it was placed alone, or where a person wrote its analysis. "
    "Batches, bulk accepts, several dragged at once and imports do not count as that."
)


def how_of(placed_by: str | None, diagnosed_by: str | None) -> Sentence:
    """'placed in bulk by a person, not diagnosed': of one failure."""
    diagnosed = NOT_DIAGNOSED if diagnosed_by is None else DIAGNOSED[diagnosed_by]
    if placed_by is None:
        return diagnosed
    return tr("{placed}, {diagnosed}", placed=PLACED[placed_by], diagnosed=diagnosed)


def coverage_sentence(numbers: Totals) -> Sentence:
    """'Coverage 87.9 % of 33 failures that are placed or diagnosed; a person looked at 3 of them one by one'."""
    if numbers.coverage is None:
        return tr("No failure is placed or diagnosed yet, so there is no coverage")
    return trn(
        "Coverage {c:.1%} of {n:,} failure that is placed or diagnosed; a person looked at {k:,} of them one by one",
        "Coverage {c:.1%} of {n:,} failures that are placed or diagnosed; a person looked at {k:,} of them one by one",
        numbers.n_counted,
        c=numbers.coverage,
        k=numbers.n_looked_at,
    )


def looked_at_sentence(n: int, looked_at: int) -> Sentence:
    """'3 of 33 looked at one by one': of any group of counted failures."""
    return tr("{k:,} of {n:,} looked at one by one", k=looked_at, n=n)


def how_lines(numbers: Totals) -> Iterator[Sentence]:
    """Of the counted failures, how many got their place and their diagnosis in which way: a line for each that there is."""
    n = numbers.n_counted
    ways = [
        *((numbers.placed_by.get(key, 0), name) for key, name in PLACED.items()),
        (n - sum(numbers.placed_by.values()), tr("in no category")),
        *((numbers.diagnosed_by.get(key, 0), name) for key, name in DIAGNOSED.items()),
        (n - sum(numbers.diagnosed_by.values()), NOT_DIAGNOSED),
    ]
    for k, name in ways:
        if k:
            yield tr("{k:,} of {n:,} {how}", k=k, n=n, how=name)
