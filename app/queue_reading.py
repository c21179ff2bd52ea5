"""The queue as it is in the project, read beside the window's thread whenever something changed; all views of it show the
same reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from errormap_core.project.pending import ProposalProgress, ProposalRow, whole_queue
from errormap_core.project.teaching import queue_certainty
from errormap_core.taxonomy.edits import Change, MachineChange

if TYPE_CHECKING:
    from app.session import Session

BESIDE = {"analysis", "judge_error", "embedding"}
"""Tables that machines write without proposing anything."""

DECIDING_TABLES = {"decision", "category", "assignment", "choice", "chosen_threshold", "record_mark", "analysis"}
"""Tables whose edits can change what waits: decisions and the tree; the lock; which failures count."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The queue as it was read: rows by id, the most worthwhile first; those that wait, parents before children."""

    rows: Mapping[str, ProposalRow]
    waiting: tuple[ProposalRow, ...]
    progress: ProposalProgress
    certainty: dict[str, Any] | None


def read_queue(db: Any, *, with_done: bool, known: Mapping[str, ProposalRow]) -> Reading:
    """All that is not decided, with what is done where that is wanted. A row that is as it is known is that very object."""
    whole = whole_queue(db, with_done=with_done, known=known)
    return Reading({row.id: row for row in whole.rows}, whole.waiting, whole.progress, queue_certainty(db))


class QueueReads(QObject):
    """Reads it. A reading that was asked before the last step says less than who took the step knows, and is dropped."""

    read = Signal(object)  # Reading

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self._n_steps = 0
        self._n_asked = 0
        self._then: list[tuple[int, Callable[[], None]]] = []
        self._known: Mapping[str, ProposalRow] = {}
        self._with_done = False
        session.opened.connect(self._on_opened)
        session.changed.connect(self._on_change)
        session.machine_changed.connect(self._on_machine)

    def want_done(self, is_wanted: bool) -> None:
        """Whether what is done is read as well; it is read at once where it was not."""
        if is_wanted != self._with_done:
            self._with_done = is_wanted
            if is_wanted:
                self.ask()

    def ask(self, then: Callable[[], None] | None = None) -> None:
        """Read it now, or once more; `then` is called when that is shown."""
        self._n_asked += 1
        asked, steps, with_done, known = self._n_asked, self._n_steps, self._with_done, self._known
        if then is not None:
            self._then.append((asked, then))
        self._session.reads.ask(
            "queue",
            lambda db: read_queue(db, with_done=with_done, known=known),
            lambda reading: self._take(reading, asked) if steps == self._n_steps else None,
        )

    def _take(self, reading: Reading, asked: int) -> None:
        self._known = reading.rows
        self.read.emit(reading)
        due = [then for n, then in self._then if n <= asked]
        self._then = [(n, then) for n, then in self._then if n > asked]
        for then in due:
            then()

    def _on_opened(self) -> None:
        self._n_steps += 1
        self._known, self._with_done, self._then = {}, False, []
        self.ask()

    def _on_change(self, change: Change) -> None:
        if change.tables() & DECIDING_TABLES:
            self._n_steps += 1
            self.ask()

    def _on_machine(self, change: MachineChange) -> None:
        if not change.tables <= BESIDE:
            self.ask()
