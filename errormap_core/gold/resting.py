"""What comparisons with gold, of judges and of the tree rest on: which changes of a project make a shown result one from before.

Questions that the queue keeps, proposals, notes, leases and decisions that place nothing change no figure, and a step that was
undone since is no change.
"""

from dataclasses import dataclass, field

from errormap_core.taxonomy.edits import AnyEdit, Change, Edit, MachineChange

_MACHINES = frozenset({"record", "analysis"})
_PEOPLE = frozenset({"assignment", "analysis", "record_mark", "chosen_threshold"})
_OF_CATEGORY = ("name", "parent_id", "retired")
_CHOICES = ("sampling.", "models.")
"""Settings that say which failures count."""


def rests_on(change: Change | MachineChange) -> bool:
    """Whether a score of tree and analyses, or a check of judges, may give something else after this change."""
    if isinstance(change, MachineChange):
        return not change.tables.isdisjoint(_MACHINES)
    return any(_matters(edit) for edit in change.edits)


class Since:
    """What changed since the comparison whose result is shown, or that runs, was begun."""

    def __init__(self) -> None:
        self._now = _Changes()
        self._before: _Changes | None = None  # where a comparison runs beside the one that is shown

    def begin(self) -> None:
        """A comparison begins now, with everything as it is."""
        self._now, self._before = _Changes(), self._now

    def give_up(self) -> None:
        """The comparison that was begun last came to nothing: what was shown before is shown again."""
        if self._before is not None:
            self._now, self._before = self._before, None

    def follow(self, change: Change | MachineChange) -> None:
        if rests_on(change):
            self._now.add(change)
            if self._before is not None:
                self._before.add(change)

    @property
    def is_changed(self) -> bool:
        """Whether something changed that the comparison rests on, and still is."""
        return self._now.by_machines or bool(self._now.steps)


@dataclass(slots=True, eq=False)
class _Changes:
    steps: set[str] = field(default_factory=set)
    by_machines: bool = False

    def add(self, change: Change | MachineChange) -> None:
        if isinstance(change, MachineChange):
            self.by_machines = True
        elif change.undo_of in self.steps:
            self.steps.discard(change.undo_of)
        else:
            self.steps.add(change.entry_id)


def _matters(edit: AnyEdit) -> bool:
    if edit.table in _PEOPLE:
        return True
    if not isinstance(edit, Edit):
        return False
    if edit.table == "choice":
        return edit.key.startswith(_CHOICES)
    if edit.table != "category" or edit.before is None or edit.after is None:
        return False  # a category that is made or unmade holds nothing by that
    before, after = edit.before, edit.after
    return any(before[name] != after[name] for name in _OF_CATEGORY)
