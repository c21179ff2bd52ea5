"""Steps on their way into the project's file: at once where it is free; while another program has locked it they wait here, in
their order, and are tried again until they go in."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QObject, QTimer, Signal

from errormap_core.errors import KnownError, Locked
from errormap_core.project.lock_holder import lock_holder
from errormap_core.project.store import Project
from errormap_core.project.watching import CutOff
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.edits import Change
from errormap_core.taxonomy.operations import Operation
from errormap_core.trouble import DiskError

BUSY_MS = 20
"""So long the window's thread waits for another program's lock at most, in one go: what takes less than 50 ms is not felt."""

RETRY_MS = 150
"""Between two tries of what waits."""

DISK_RETRY_MS = 5_000
"""Between two tries where the disk is why: each finds out anew what is wrong with it."""

FLUSH_S = 0.03
"""So long steps that waited are taken without a look at what the user does."""

LATE_S = 2.0
"""After so long it is said why nothing is saved."""


@dataclass(frozen=True, eq=False)
class WaitingStep:
    """A step that waits for the file; `said` is what it does, where that is known."""

    how: Literal["apply", "call", "undo_entry", "undo", "redo"]
    actor: str
    op: Operation | None = None
    act: Callable[[Project], object] | None = None  # takes a step that depends on what the project says then
    reason: str = ""
    entry_id: str = ""
    said: Sentence | None = None
    of: object = None  # what whoever takes it knows it by

    @property
    def is_forward(self) -> bool:
        """Whether undo takes this one back while it waits, rather than something before it."""
        return self.how in ("apply", "call", "undo_entry")

    def sentence(self) -> Sentence:
        if self.said is not None:
            return self.said
        return {"undo": tr("Undo"), "redo": tr("Redo")}.get(self.how, tr("A step"))


class StepQueue(QObject):
    """Takes steps. One that meets a locked file is kept, and those that are taken later wait behind it."""

    changed = Signal()  # what waits, or for how long
    told = Signal(object, bool)  # a sentence for the status line; True: with Undo beside it
    refused = Signal(object)  # KnownError: a step that waited, and is not possible any more

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project: Project | None = None
        self._waiting: deque[WaitingStep] = deque()
        self._withdrawn: list[WaitingStep] = []  # taken back while they waited: redo takes them again
        self._n_undone = 0  # steps of the file that were undone after those: redo takes these first
        self._is_flushing = False
        self._since = 0.0
        self._is_late = False
        self._disk: DiskError | None = None  # why the first cannot be written, where that is no lock
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.retry)

    def open(self, project: Project) -> None:
        """Take the steps of this project from now on."""
        self.close()
        self._project = project

    def close(self) -> None:
        """Forget what waits: who closes a project asks before."""
        self._timer.stop()
        self._project, self._is_late, self._disk = None, False, None
        self._withdrawn, self._n_undone = [], 0
        if self._waiting:
            self._waiting.clear()
            self.changed.emit()

    @property
    def waiting(self) -> tuple[WaitingStep, ...]:
        return tuple(self._waiting)

    @property
    def is_late(self) -> bool:
        """Whether it waits for so long that it should be said why."""
        return self._is_late

    def problem(self) -> KnownError | None:
        """Why nothing is saved; None where nothing waits for long."""
        project, n = self._project, len(self._waiting)
        if project is None or not n or not self._is_late:
            return None
        if project.cut_off is not None:
            return project.cut_off
        if self._disk is not None:
            fix = trn("{n:,} step is kept here and will be saved as soon as that is possible.",
                      "{n:,} steps are kept here and will be saved in their order as soon as that is possible.", n)  # fmt: skip
            return DiskError(self._disk.what, where=self._disk.where, fix=fix)
        return Locked(
            tr("{who} has locked this project.", who=lock_holder(project.path, project.reader)),
            where=str(project.path),
            fix=trn(
                "{n:,} step is kept here and will be saved as soon as that program lets go.",
                "{n:,} steps are kept here and will be saved in their order as soon as that program lets go.",
                n,
            ),
        )

    @property
    def disk_error(self) -> DiskError | None:
        """Why what waits cannot be written, where that is the disk and no other program."""
        return self._disk

    # Taking

    def take(self, step: WaitingStep) -> Change | WaitingStep | None:
        """Take a step, or keep it until the file is free, which the WaitingStep tells. None where there is nothing to undo or
        redo, and for a call that was done. Raises KnownError where it is not possible."""
        project = self._project
        assert project is not None
        if step.is_forward:
            self._withdrawn, self._n_undone = [], 0
        if not self._waiting and not self._is_flushing:
            try:
                return run_step(step, project)
            except Locked:
                step = _looked_at(project, step)
        elif step.op is not None:
            try:
                step = _looked_at(project, step)
            except KnownError:
                pass  # what waits before it may make it possible; else it is refused, and told, when its turn comes
        step_back = {"undo": project.undoable, "redo": project.redoable}.get(step.how)
        if step_back is not None and not self._waiting and step_back() is None:
            return None
        return self._keep(step)

    def undo(self, actor: str) -> Change | WaitingStep | None:
        """Take back the last step: one that waits never goes into the file."""
        if self._waiting and self._waiting[-1].is_forward:
            step = self._waiting.pop()
            self._withdrawn.append(step)
            self.told.emit(tr("Undid before it was saved: {said}", said=step.sentence()), False)
            self.changed.emit()
            return step
        if self._withdrawn:
            self._n_undone += 1
        return self.take(WaitingStep("undo", actor))

    def redo(self, actor: str) -> Change | WaitingStep | None:
        is_behind, self._n_undone = self._n_undone > 0, max(0, self._n_undone - 1)
        if self._waiting and self._waiting[-1].how == "undo":
            step = self._waiting.pop()
            self.told.emit(tr("Nothing is undone"), False)
            self.changed.emit()
            return step
        if self._withdrawn and not is_behind:
            *rest, step = self._withdrawn
            try:
                return self.take(step)
            finally:
                self._withdrawn = rest
        if self._waiting and self._waiting[-1].is_forward:
            return None
        return self.take(WaitingStep("redo", actor))

    def undoable(self) -> Sentence | None:
        """What undo would take back."""
        if self._waiting and self._waiting[-1].is_forward:
            return self._waiting[-1].sentence()
        return None if self._project is None else self._project.undoable()

    def redoable(self) -> Sentence | None:
        """What redo would take again."""
        if self._waiting and self._waiting[-1].how == "undo":
            return self._waiting[-1].sentence()
        if self._withdrawn and not self._n_undone:
            return self._withdrawn[-1].sentence()
        if self._waiting and self._waiting[-1].is_forward:
            return None
        return None if self._project is None else self._project.redoable()

    # Waiting

    def retry(self) -> None:
        """Try what waits, now."""
        project = self._project
        if project is None or self._is_flushing or not self._waiting:
            return
        until = time.monotonic() + FLUSH_S
        was_late, n_taken, is_locked, disk = self._is_late, 0, False, self._disk
        self._is_flushing = True
        try:
            while self._waiting and not is_locked and time.monotonic() < until:
                is_locked = not self._try_next(project)
                n_taken += not is_locked
        finally:
            self._is_flushing = False
            if self._project is project and self._waiting:
                rest = RETRY_MS if self._disk is None else DISK_RETRY_MS
                self._timer.start(rest if is_locked else 0)
        if n_taken:
            self._since = time.monotonic()
        is_long = time.monotonic() - self._since >= LATE_S
        self._is_late = bool(self._waiting) and (is_long or self._disk is not None)
        if n_taken or self._is_late != was_late or (self._disk is None) != (disk is None):
            self.changed.emit()

    def settle(self) -> bool:
        """Try what waits once more; whether nothing waits then."""
        n = len(self._waiting) + 1
        while self._waiting and len(self._waiting) < n:
            n = len(self._waiting)
            self.retry()
        return not self._waiting

    def discard(self) -> None:
        """Let what waits never go into the file; redo takes it again, the first first."""
        n = len(self._waiting)
        if n:
            self._withdrawn = [step for step in reversed(self._waiting) if step.is_forward]
            self._n_undone = 0
            self._waiting.clear()
            self._timer.stop()
            self._is_late = False
            said = trn("Discarded {n:,} step that was not saved", "Discarded {n:,} steps that were not saved", n)
            self.told.emit(said, False)
            self.changed.emit()

    def forget(self, steps: Iterable[WaitingStep]) -> None:
        """Let these wait no more: they are saved in a copy."""
        gone = set(steps)
        self._waiting = deque(step for step in self._waiting if step not in gone)
        self._is_late = self._is_late and bool(self._waiting)
        self.changed.emit()

    def _try_next(self, project: Project) -> bool:
        """Take the first of what waits; False where the file is locked still."""
        step = self._waiting.popleft()  # who hears of it finds it taken
        self._disk = None
        try:
            run_step(step, project)
        except CutOff as error:  # told where the file is polled
            if not error.went_in:
                self._waiting.appendleft(step)
            return error.went_in
        except (Locked, DiskError) as error:
            self._disk = error if isinstance(error, DiskError) else None
            self._waiting.appendleft(step)
            return False
        except KnownError as error:
            said = tr("A step that waited cannot be saved. {what}", what=error.what)
            if step.said is not None:
                said = tr("“{step}” waited and cannot be saved. {what}", step=step.said, what=error.what)
            self.refused.emit(KnownError(said, where=error.where, fix=error.fix))
        return True

    def _keep(self, step: WaitingStep) -> WaitingStep:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(step)
        if not self._is_flushing and not self._timer.isActive():
            self._timer.start(RETRY_MS)
        self.told.emit(outcome_said(step), step.is_forward)
        self.changed.emit()
        return step


def run_step(step: WaitingStep, project: Project) -> Change | None:
    """Take a step in a project. Raises KnownError where it is not possible."""
    match step.how:
        case "apply":
            assert step.op is not None
            return project.apply(step.op, actor=step.actor, reason=step.reason)
        case "call":
            assert step.act is not None
            step.act(project)
            return None
        case "undo_entry":
            return project.undo_entry(step.entry_id, actor=step.actor)
        case "undo":
            return project.undo(actor=step.actor)
        case "redo":
            return project.redo(actor=step.actor)


def outcome_said(taken: Change | WaitingStep) -> Sentence:
    """What came of a step, as the status line says it."""
    return taken.summary if isinstance(taken, Change) else tr("Waiting to be saved: {said}", said=taken.sentence())


def _looked_at(project: Project, step: WaitingStep) -> WaitingStep:
    """The step with what it does, read beside whoever holds the lock. Raises KnownError where it is not possible already."""
    if step.op is None:
        return step
    try:
        return replace(step, said=project.preview(step.op, actor=step.actor).summary)
    except Locked:  # nobody else can read either: it is looked at when its turn comes
        return step
