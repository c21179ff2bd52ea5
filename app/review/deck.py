"""The queue's rows in memory: what was read, what was decided since, and what of it a filter shows. Knows nothing of Qt."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from errormap_core.project.pending import STATE_AFTER, WAITING, ProposalRow
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.edits import AnyEdit, Edit
from errormap_core.taxonomy.rulings import ACCEPTING

KIND_NAMES: Mapping[str, Sentence] = {
    "place": tr("Question"),
    "merge": tr("Merge"),
    "create": tr("New category"),
    "assign": tr("Place failures"),
    "promote": tr("To the top"),
    "move": tr("Move"),
    "split": tr("Split"),
    "rename": tr("Rename"),
    "describe": tr("Describe"),
}
"""What the kinds are called in lists, in the order of the filter."""

STATE_NAMES: Mapping[str, Sentence] = {
    "pending": tr("Pending"),
    "skipped": tr("Skipped"),
    "flagged": tr("Flagged"),
    "done": tr("Done"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are shown. `kind` and `state` '' are all; `inside` ids of a category and those below it; `since` UTC."""

    kind: str = ""
    state: str = "pending"
    inside: frozenset[str] | None = None
    min_worth: float = 0.0
    since: str = ""

    def shows(self, row: ProposalRow) -> bool:
        return (
            (not self.kind or row.kind == self.kind)
            and (not self.state or row.state == self.state)
            and (self.inside is None or not self.inside.isdisjoint(row.category_ids))
            and row.worth >= self.min_worth
            and (not self.since or row.created_at >= self.since)
        )


class Deck:
    """Rows by worth, the greatest first. What was decided while the project is open stays, so that undoing is at once."""

    def __init__(self) -> None:
        self._rows: dict[str, ProposalRow] = {}
        self._unsaved: Mapping[str, str] = {}
        self._waiting: list[ProposalRow] | None = None
        self.is_certainty_known = False
        """Whether there are answers enough to say how often suggestions are right."""

    def clear(self) -> None:
        self._rows, self._waiting, self._unsaved, self.is_certainty_known = {}, None, {}, False

    def set_unsaved(self, verdicts: Mapping[str, str]) -> set[str]:
        """Verdicts by proposal that wait for the file: their rows are shown nowhere until they are saved, or given up.
        Returns the ids of those that are shown again."""
        back = self._unsaved.keys() - verdicts.keys()
        self._unsaved, self._waiting = dict(verdicts), None
        return back

    def get(self, proposal_id: str | None) -> ProposalRow | None:
        return self._rows.get(proposal_id or "")

    def read(self, rows: Mapping[str, ProposalRow], *, keep: str | None = None) -> None:
        """Take what was read, by id and by worth, in place of what was, but for what is done and `keep`, which somebody
        looks at."""
        kept = [row for row in self._rows.values() if (row.state == "done" or row.id == keep) and row.id not in rows]
        self._rows, self._waiting = dict(rows), None
        if kept:
            by_worth = sorted([*rows.values(), *kept], key=lambda row: -row.rank)
            self._rows = {row.id: row for row in by_worth}

    def decide(self, edits: Iterable[AnyEdit]) -> list[str]:
        """Follow decisions that were taken, or taken back; returns the ids of the rows that changed."""
        changed = []
        for edit in edits:
            if isinstance(edit, Edit) and edit.table == "decision" and edit.key in self._rows:
                verdict = None if edit.after is None else edit.after["verdict"]
                self._rows[edit.key] = replace(self._rows[edit.key], verdict=verdict, state=STATE_AFTER[verdict])
                changed.append(edit.key)
        self._waiting = None
        return changed

    def shown(self, chosen: Filter) -> list[ProposalRow]:
        return [row for row in self._rows.values() if row.id not in self._unsaved and chosen.shows(row)]

    def waiting(self) -> Sequence[ProposalRow]:
        """What waits, skipped ones included. Asked for with everything that happens, and kept as long as it is so."""
        if self._waiting is None:
            self._waiting = [row for row in self._rows.values() if row.state in WAITING and row.id not in self._unsaved]
        return self._waiting

    def upwards(self, row: ProposalRow) -> list[ProposalRow]:
        """The proposals above one that are not accepted, the nearest first: they are accepted with it."""
        found = []
        above = self.get(row.parent_id)
        while above is not None and self._verdict(above) not in ACCEPTING and above not in found:
            found.append(above)
            above = self.get(above.parent_id)
        return found

    def _verdict(self, row: ProposalRow) -> str | None:
        return self._unsaved.get(row.id, row.verdict)

    def below(self, row: ProposalRow) -> list[ProposalRow]:
        return [other for other in self._rows.values() if other.parent_id == row.id]


def kind_name(row: ProposalRow) -> str:
    """What its kind is called."""
    if row.kind == "assign" and row.arguments.get("from_id"):
        return str(tr("Move failures"))
    return str(KIND_NAMES.get(row.kind, row.kind))


def short_title(row: ProposalRow) -> str:
    """What a row is about, where its kind is said beside it."""
    names = dict(zip(row.category_ids, row.category_names, strict=True))
    arguments: Mapping[str, Any] = row.arguments
    own = names.get(row.category_id or "", row.name)
    match row.kind:
        case "merge":
            return " + ".join(names.get(c, "?") for c in arguments["category_ids"])
        case "assign" if arguments.get("from_id"):
            return f"{names.get(arguments['from_id'], '?')} → {own}"
        case "assign":
            return f"→ {own}"
        case "move":
            return f"{own} → {names.get(arguments.get('parent_id') or '', '?')}"
        case "split":
            return str(tr("{name} → {n:,} parts", name=own, n=len(arguments["parts"])))
        case "rename":
            return f"{own} → {row.name}"
        case "place":
            return row.name or str(tr("A failure without a title"))
        case _:
            return own


def worth_text(worth: float) -> str:
    """The worth as lists show it."""
    return f"{worth:,.0f}" if worth >= 0.95 else f"{worth:.1f}"
