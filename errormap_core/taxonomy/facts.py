"""What plans of operations may ask of the project; project/facts.py answers it, planned.py adds what a draft has planned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from errormap_core.sentences import Sentence
from errormap_core.taxonomy.edits import Row

ASSIGNMENT_COLUMNS = ("id", "record_id", "source_id", "category_id", "is_primary", "confidence")


class Facts(Protocol):
    """What a plan may ask of the project."""

    def assignment_ids(self, category_id: str, record_ids: Sequence[str] | None = None) -> list[int]:
        """Keys of all assignments in a category, or of these records' only; ascending."""

    def duplicates_after_merge(self, category_ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """Secondary assignments (ASSIGNMENT_COLUMNS) that would stand twice for one record and source."""

    def n_counted(self, category_ids: Sequence[str]) -> int:
        """Failures that count in these categories themselves, not below them."""

    def assignments(self, record_ids: Sequence[str], **where: Any) -> list[tuple[Any, ...]]:
        """Rows (ASSIGNMENT_COLUMNS) of these records with these values (source_id, category_id, is_primary)."""

    def placed_since(self, keys: Mapping[str, int]) -> set[str]:
        """Of records, those that a person placed after the assignment of this key."""

    def assignment_rows(self, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """Rows (ASSIGNMENT_COLUMNS) of these keys, ascending."""

    def n_counted_among(self, ids: Sequence[int]) -> int:
        """How many of these assignments count."""

    def next_assignment_id(self) -> int: ...

    def next_counter(self) -> int:
        """The counter that the next entry of the log has: the order of steps, whatever clocks say."""

    def row(self, table: str, key: str) -> Row | None:
        """A row of a table that operations may edit."""

    def known_records(self, record_ids: Sequence[str]) -> set[str]: ...

    def record_hash(self, record_id: str) -> str: ...

    def record_name(self, record_id: str) -> Sentence:
        """A record as people know it."""

    def failures_by_threshold(self, dataset: str, threshold: float | None) -> tuple[int, int]:
        """How many failures the dataset has, and would have with this threshold (None: its default)."""

    def dataset_names(self) -> list[str]: ...

    def proposal(self, proposal_id: str, run_id: str | None = None) -> "ProposalFacts":
        """A proposal as a run has it; None: the latest that proposed it."""

    def source_label(self, source_id: str) -> dict[str, str]:
        """Kind and name of a source, for provenance."""


class StandingFacts(Facts, Protocol):
    """What is asked of the project besides, to see whether a proposal still fits. Answers are of the project's file."""

    def read_proposals(self, proposal_ids: Sequence[str]) -> None:
        """Read these at once, because they are asked about next."""

    def is_locked(self) -> bool:
        """Whether the taxonomy is locked, so that no proposal may change the tree."""

    def any_in(self, category_id: str, record_ids: Sequence[str]) -> bool:
        """Whether any of these records has an assignment in the category."""

    def any_unplaced(self, record_ids: Sequence[str]) -> bool:
        """Whether any of these records has no primary assignment."""

    def failure_state(self, record_id: str) -> str | None:
        """State of a failure; None where the record is no failure."""

    def is_placed_by_person(self, record_id: str) -> bool:
        """Whether a person placed the record."""


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """What deciding a proposal needs of it. `evidence` may be renewed later, so no plan may rest on it."""

    id: str
    kind: str
    run_id: str
    parent_id: str | None
    arguments: Mapping[str, Any]
    members: tuple[tuple[str, float | None], ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)
