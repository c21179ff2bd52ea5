"""What comparisons with gold, of judges and of the tree rest on: which changes of a project make a shown result one from before.

Questions that the queue keeps, proposals, notes, leases and decisions that place nothing change no figure, and a step that was
undone since is no change.
"""

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
    """What changed since a comparison was begun."""

    def __init__(self) -> None:
        self._steps: set[str] = set()
        self._by_machines = False

    def begin(self) -> None:
        """A comparison begins now, with everything as it is."""
        self._steps.clear()
        self._by_machines = False

    def follow(self, change: Change | MachineChange) -> None:
        if not rests_on(change):
            return
        if isinstance(change, MachineChange):
            self._by_machines = True
        elif change.undo_of in self._steps:
            self._steps.discard(change.undo_of)
        else:
            self._steps.add(change.entry_id)

    @property
    def is_changed(self) -> bool:
        """Whether something changed that the comparison rests on, and still is."""
        return self._by_machines or bool(self._steps)


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
