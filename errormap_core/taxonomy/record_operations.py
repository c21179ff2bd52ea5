"""Operations on failures and datasets: assign, unassign, exclude, dispute, annotate, analyse, thresholds, settings."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import setting
from errormap_core.taxonomy.draft import Draft
from errormap_core.taxonomy.facts import Facts
from errormap_core.taxonomy.registry import operation
from errormap_core.taxonomy.tree import Tree


def checked_records(draft: Draft, record_ids: Sequence[str]) -> list[str]:
    """The records without repeats. Raises KnownError where there are none or one is unknown."""
    wanted = list(dict.fromkeys(record_ids))
    if not wanted:
        raise KnownError(tr("No failure was chosen."), fix=tr("Select one or more first."))
    unknown = set(wanted) - draft.facts.known_records(wanted)
    if unknown:
        raise KnownError(
            trn("{n:,} record is not in this project ({first}).", "{n:,} records are not in this project ({first}).",
                len(unknown), first=min(unknown)),
            fix=tr("Import the file that holds them first."),
        )  # fmt: skip
    return wanted


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class AssignFailures:
    """Place failures in a category, as the actor's own word; replaces the actor's primary assignment.

    Those that the actor placed there already stay as they are, unless somebody else placed them since (`overrules`), whose
    word would count otherwise. With `confirms` all are placed anew, so that it is kept how the actor came to look at them last.
    """

    kind: ClassVar[str] = "failure.assign"
    version: ClassVar[int] = 2
    ADDED: ClassVar[Mapping[int, Mapping[str, Any]]] = {2: {"overrules": False}}
    record_ids: tuple[str, ...]
    category_id: str
    is_primary: bool = True
    confidence: float | None = None
    confirms: bool = False
    overrules: bool = True

    def plan(self, draft: Draft) -> Sentence:
        category = draft.tree.live(self.category_id)
        wanted = checked_records(draft, self.record_ids)
        mine = draft.facts.assignments(wanted, source_id=draft.actor)
        stale = [row for row in mine if row[3] == category.id or (self.is_primary and row[4])]
        same = {row[1] for row in mine if row[3] == category.id and row[4] == int(self.is_primary)}
        if self.confirms:
            same = set()
        elif self.overrules and self.is_primary:
            same -= draft.facts.placed_since({row[1]: row[0] for row in mine if row[1] in same and row[4]})
        wanted = [r for r in wanted if r not in same]
        draft.unassign(row for row in stale if row[1] not in same)
        draft.assign(
            ((r, self.confidence) for r in wanted), category.id, source_id=draft.actor, is_primary=self.is_primary
        )
        if len(wanted) == 1:
            return tr("Placed {record} in “{name}”", record=draft.facts.record_name(wanted[0]), name=category.name)
        return trn(
            "Placed {n:,} failure in “{name}”", "Placed {n:,} failures in “{name}”", len(wanted), name=category.name
        )


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class UnassignFailures:
    """Take failures out of a category, whoever placed them there."""

    kind: ClassVar[str] = "failure.unassign"
    version: ClassVar[int] = 1
    record_ids: tuple[str, ...]
    category_id: str

    def plan(self, draft: Draft) -> Sentence:
        category = draft.tree.live(self.category_id)
        wanted = checked_records(draft, self.record_ids)
        rows = draft.facts.assignments(wanted, category_id=category.id)
        if not rows:
            raise KnownError(
                tr("None of the chosen failures is in “{name}”.", name=category.name),
                fix=tr("Choose failures that the category shows."),
            )
        draft.unassign(rows)
        taken = {row[1] for row in rows}
        n = len(taken)
        draft.effect.n_failures += n
        if n == 1:
            return tr("Took {record} out of “{name}”", record=draft.facts.record_name(*taken), name=category.name)
        return trn("Took {n:,} failure out of “{name}”", "Took {n:,} failures out of “{name}”", n, name=category.name)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRecords:
    """Exclude junk records from all counts, dispute them (reference, score or question at fault), or (None) neither."""

    kind: ClassVar[str] = "record.mark"
    version: ClassVar[int] = 1
    record_ids: tuple[str, ...]
    mark: Literal["excluded", "disputed"] | None
    reason: str = ""

    def plan(self, draft: Draft) -> Sentence:
        wanted = checked_records(draft, self.record_ids)
        if self.mark not in (None, "excluded", "disputed"):
            raise KnownError(tr("There is no mark “{mark}”.", mark=self.mark), fix=tr("Use excluded or disputed."))
        for record_id in wanted:
            row = None
            if self.mark is not None:
                row = {"record_id": record_id, "mark": self.mark, "reason": self.reason.strip()}
            draft.set_row("record_mark", record_id, row)
        draft.effect.n_failures += len(wanted)
        n = len(wanted)
        if n == 1:
            record = draft.facts.record_name(wanted[0])
            if self.mark == "excluded":
                return tr("Excluded {record}", record=record)
            if self.mark == "disputed":
                return tr("Disputed {record}", record=record)
            return tr("Counted {record} again", record=record)
        if self.mark == "excluded":
            return trn("Excluded {n:,} record", "Excluded {n:,} records", n)
        if self.mark == "disputed":
            return trn("Disputed {n:,} record", "Disputed {n:,} records", n)
        return trn("Counted {n:,} record again", "Counted {n:,} records again", n)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateRecord:
    """Write a note on a record; an empty text takes it away."""

    kind: ClassVar[str] = "record.annotate"
    version: ClassVar[int] = 1
    record_id: str
    text: str

    def plan(self, draft: Draft) -> Sentence:
        [record_id] = checked_records(draft, [self.record_id])
        text = self.text.strip()
        draft.set_row("record_note", record_id, {"record_id": record_id, "text": text} if text else None)
        record = draft.facts.record_name(record_id)
        return tr("Noted on {record}", record=record) if text else tr("Removed the note on {record}", record=record)


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAnalysis:
    """A person's own analysis of a failure: it counts before any judge's."""

    kind: ClassVar[str] = "analysis.write"
    version: ClassVar[int] = 2
    ADDED: ClassVar[Mapping[int, Mapping[str, Any]]] = {2: {"counter": 0}}
    record_id: str
    verdict: Literal["error", "no_error", "unclear"]
    error_title: str
    error_summary: str
    required_criteria: Any = ()
    record_hash: str | None = None
    counter: int | None = None

    def resolved(self, facts: Facts, tree: Tree) -> "WriteAnalysis":
        """With the content that was analysed, so that a replay does not take it for an analysis of a later one, and the
        log's counter, by which the latest of several people's counts."""
        is_counted = self.counter is not None
        return self.of_content(facts) if is_counted else replace(self.of_content(facts), counter=facts.next_counter())

    def of_content(self, facts: Facts) -> "WriteAnalysis":
        """With the content that the record has now, unless one is given."""
        is_known = self.record_hash is not None or not facts.known_records([self.record_id])
        return self if is_known else replace(self, record_hash=facts.record_hash(self.record_id))

    def plan(self, draft: Draft) -> Sentence:
        [record_id] = checked_records(draft, [self.record_id])
        if self.verdict not in ("error", "no_error", "unclear"):
            raise KnownError(
                tr("“{verdict}” is no verdict.", verdict=self.verdict), fix=tr("Use error, no_error or unclear.")
            )
        if self.verdict == "error" and not self.error_title.strip():
            raise KnownError(tr("An analysis of an error needs a title."), fix=tr("Write a few words, about five."))
        record_hash = self.record_hash or draft.facts.record_hash(record_id)
        key = content_id("analysis", record_id, draft.actor, record_hash)
        row = {
            "id": key,
            "record_id": record_id,
            "source_id": draft.actor,
            "record_hash": record_hash,
            "verdict": self.verdict,
            "required_criteria": json.dumps(list(self.required_criteria), ensure_ascii=False),
            "error_title": self.error_title.strip(),
            "error_summary": self.error_summary.strip(),
            "details": json.dumps({"counter": self.counter} if self.counter else {}),
            "created_at": draft.at,
        }
        draft.set_row("analysis", key, row)
        return tr("Wrote an analysis of {record}", record=draft.facts.record_name(record_id))


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAnalyses:
    """Several analyses of a person's as one step: what was written elsewhere comes in, and goes, together.

    Each item has the arguments of WriteAnalysis.
    """

    kind: ClassVar[str] = "analysis.write_many"
    version: ClassVar[int] = 2
    ADDED: ClassVar[Mapping[int, Mapping[str, Any]]] = {2: {"counter": 0}}
    analyses: tuple[dict[str, Any], ...]
    counter: int | None = None

    def resolved(self, facts: Facts, tree: Tree) -> "WriteAnalyses":
        counter = facts.next_counter() if self.counter is None else self.counter
        return WriteAnalyses(analyses=tuple(asdict(one.of_content(facts)) for one in self._each()), counter=counter)

    def plan(self, draft: Draft) -> Sentence:
        checked = checked_records(draft, [one.record_id for one in self._each()])
        if len(checked) < len(self.analyses):
            raise KnownError(tr("A record is analysed twice in one step."), fix=tr("Keep one analysis of each record."))
        for one in self._each():
            replace(one, counter=self.counter).plan(draft)
        return trn("Wrote {n:,} analysis", "Wrote {n:,} analyses", len(self.analyses))

    def _each(self) -> Iterator[WriteAnalysis]:
        if not self.analyses:
            raise KnownError(tr("No analysis was given."), fix=tr("Write one or more first."))
        try:
            return iter([WriteAnalysis(**item) for item in self.analyses])
        except TypeError as error:
            raise KnownError(
                tr("An analysis has fields that make no analysis ({reason}).", reason=error),
                fix=tr("Give the fields that writing a single one takes."),
            ) from error


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class SetThreshold:
    """Set a dataset's success threshold; None goes back to the one computed at its first import."""

    kind: ClassVar[str] = "dataset.threshold"
    version: ClassVar[int] = 1
    dataset: str
    threshold: float | None

    def plan(self, draft: Draft) -> Sentence:
        names = draft.facts.dataset_names()
        if self.dataset not in names:
            raise KnownError(
                tr("There is no dataset “{name}”.", name=self.dataset),
                fix=tr("This project has {names}.", names=", ".join(names) or tr("none yet")),
            )
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise KnownError(tr("A threshold is a number."), fix=tr("Give one within the range of the scores."))
        before, after = draft.facts.failures_by_threshold(self.dataset, self.threshold)
        draft.effect.failures_come, draft.effect.failures_go = max(0, after - before), max(0, before - after)
        row = None if self.threshold is None else {"dataset": self.dataset, "threshold": float(self.threshold)}
        draft.set_row("chosen_threshold", self.dataset, row)
        return tr(
            "Threshold of {name} is {threshold}: {moves}",
            name=self.dataset,
            threshold=tr("the default") if self.threshold is None else f"{self.threshold:g}",
            moves=draft.effect.come_and_go(),
        )


@operation
@dataclass(frozen=True, slots=True, kw_only=True)
class SetChoice:
    """Set a setting of the project (errormap_core/settings.py, scope 'project')."""

    kind: ClassVar[str] = "choice.set"
    version: ClassVar[int] = 1
    key: str
    value: Any

    def plan(self, draft: Draft) -> Sentence:
        known = setting(self.key, "project")
        value = known.check(self.value)
        draft.set_row("choice", known.key, {"key": known.key, "value": json.dumps(value, ensure_ascii=False)})
        return tr("Set {title}", title=known.title)
