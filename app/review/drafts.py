"""What people changed on cards and did not decide yet, by proposal. Knows nothing of Qt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from errormap_core.taxonomy.operations import Ruling


@dataclass(frozen=True, slots=True)
class Draft:
    """What was changed, as the card of the kind takes it up again, and the ruling that it makes; None: it is not finished."""

    values: Mapping[str, Any]
    ruling: Ruling | None


class Drafts:
    """Kept until the proposal is decided, the change dropped, or the project closed. Those of decided proposals are set
    aside: undoing the decision brings them back."""

    def __init__(self) -> None:
        self._drafts: dict[str, Draft] = {}
        self._decided: dict[str, Draft] = {}

    def __contains__(self, proposal_id: object) -> bool:
        return proposal_id in self._drafts

    def get(self, proposal_id: str) -> Draft | None:
        return self._drafts.get(proposal_id)

    def keep(self, proposal_id: str, values: Mapping[str, Any], ruling: Ruling | None) -> bool:
        """Keep what was changed; no values: nothing is. Returns whether there is a draft now that was none, or none any more."""
        was = proposal_id in self._drafts
        if values:
            self._drafts[proposal_id] = Draft(values, ruling)
        else:
            self._drafts.pop(proposal_id, None)
        return was != bool(values)

    def drop(self, proposal_ids: Iterable[str]) -> None:
        for proposal_id in proposal_ids:
            self._drafts.pop(proposal_id, None)

    def set_aside(self, proposal_ids: Iterable[str]) -> None:
        """These were decided."""
        for proposal_id in proposal_ids:
            draft = self._drafts.pop(proposal_id, None)
            if draft is not None:
                self._decided[proposal_id] = draft

    def bring_back(self, proposal_ids: Iterable[str]) -> None:
        """The decisions on these were undone."""
        for proposal_id in proposal_ids:
            draft = self._decided.pop(proposal_id, None)
            if draft is not None:
                self._drafts.setdefault(proposal_id, draft)

    def clear(self) -> None:
        self._drafts, self._decided = {}, {}

    def ids(self) -> frozenset[str]:
        return frozenset(self._drafts)
