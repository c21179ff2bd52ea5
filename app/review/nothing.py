"""What the queue says where it shows no proposal: why, and the button that does something about it."""

from collections.abc import Callable

from app.empty import EmptyState
from app.keys import KeyMap
from app.review.deck import Deck
from app.review.filters import FilterRow
from errormap_core.project.queries import Totals
from errormap_core.sentences import Sentence, tr, trn

Do = Callable[[str], object]


def say_why(empty: EmptyState, numbers: Totals, *, deck: Deck, filters: FilterRow, keys: KeyMap, do: Do) -> None:
    """Say why there is nothing; `do` runs a command."""

    def doing(title: Sentence, command: str) -> tuple[str, Callable[[], object]]:
        return keys.titled(title, command), lambda: do(command)

    waiting = deck.waiting()
    n_skipped = sum(row.state == "skipped" for row in waiting)
    if len(waiting) > n_skipped:
        empty.say(
            trn(
                "{n:,} proposal waits that this filter does not show.",
                "{n:,} proposals wait that this filter does not show.",
                len(waiting) - n_skipped,
            ),
            (str(tr("Show all that is pending")), filters.clear),
        )
    elif n_skipped and filters.chosen().state == "pending":
        empty.say(
            trn("All is decided but for {n:,} that was skipped.", "All is decided but for {n:,} that were skipped.",
                n_skipped),
            (str(tr("Show the skipped")), lambda: filters.show_state("skipped")),
        )  # fmt: skip
    elif filters.chosen().state != "pending":
        empty.say(tr("Nothing here."), (str(tr("Show what is pending")), lambda: filters.show_state("pending")))
    elif not numbers.n_failures:
        empty.say(
            tr(
                "No failures yet. Import results first; then the judge diagnoses them, and categories are proposed here."
            ),
            doing(tr("Import…"), "file.import"),
        )
    elif not numbers.states["analysed"] and numbers.states["waiting"]:
        n = numbers.states["waiting"]
        empty.say(
            trn("{n:,} failure waits for a diagnosis.", "{n:,} failures wait for a diagnosis.", n),
            doing(tr("Run the judge…"), "judge.run"),
        )
    elif numbers.n_unplaced:
        n = numbers.n_unplaced
        empty.say(
            trn(
                "{n:,} diagnosed failure is in no category yet.", "{n:,} diagnosed failures are in no category yet.", n
            ),
            doing(tr("Propose categories"), "judge.propose"),
        )
    else:
        empty.say(
            tr("All proposals are decided, and every diagnosed failure has its place."),
            doing(tr("Export the atlas…"), "file.export"),
        )
