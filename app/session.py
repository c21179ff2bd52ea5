"""What is open and selected: the one place that panes share. Operations go out from here, changes come back here."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from app.keys import KeyMap
from app.opening import Opened, Opening
from app.queue_reading import QueueReads
from app.reading import Reads
from app.step_queue import StepQueue, WaitingStep
from app.tasks.runner import Job, TaskRunner
from app.text_drafts import TextDrafts
from app.theme import Theme
from errormap_core.errors import KnownError, Locked
from errormap_core.project.lease import Lease
from errormap_core.project.queries import own_counts, totals
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.edits import Change, MachineChange
from errormap_core.taxonomy.operations import Operation

POLL_MS = 500
BEAT_S = 60
BEAT_AGAIN_S = 5
MOST_RECENT = 10

AT_ONCE_S = 0.04
"""A project that is opened waits so long for its lists, so that those of a small one are there with the window."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which failures the list shows: those of categories (and below), a state, those not placed yet, or all."""

    category_ids: tuple[str, ...] | None = None
    state: str | None = None
    unplaced: bool = False


class Session(QObject):
    """The open project, who works on it, what is selected. Panes connect to its signals and hold no truth of their own."""

    opened = Signal()
    leaving = Signal()  # the project may be closed soon: what was typed becomes a step now
    unsaved = Signal(
        object
    )  # a callable, to be called once nothing waits to be saved: the project stays open until then
    closing = Signal()  # the project is open still: what was typed can be saved
    closed = Signal()
    changed = Signal(object)  # Change: a step was taken, here or elsewhere
    machine_changed = Signal(object)  # MachineChange: machines added rows
    counted = Signal(object, dict)  # Totals and failures by category: as they are now, read beside the window's thread
    scope_changed = Signal(object)  # Scope
    record_selected = Signal(object)  # str or None
    failures_selected = Signal(list)  # ids selected in the list
    proposal_selected = Signal(object)  # str or None
    context_changed = Signal()
    told = Signal(object, bool)  # a sentence for the status line; True: with Undo beside it
    failed = Signal(object)  # KnownError

    def __init__(self, settings: UserSettings, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.settings = settings
        self.theme = theme
        self.keys = KeyMap(settings, self)
        self.drafts = TextDrafts(settings, self)
        self.drafts.failed.connect(self.failed)
        self.drafts.kept.connect(lambda: self.say(tr("Not saved: what you wrote is kept as a draft")))
        self.is_reading_one = False  # the record pane has the focus: commands are about what it shows
        self.project: Project | None = None
        self.actor = ""
        self.scope = Scope()
        self.record_id: str | None = None
        self.record_ids: list[str] = []
        self.proposal_id: str | None = None
        self.tasks = TaskRunner(self)
        self.reads = Reads(self)
        self.steps = StepQueue(self)
        self.steps.told.connect(self.told)
        self.steps.refused.connect(self.failed)
        self.steps.changed.connect(self.context_changed)
        self.queue = QueueReads(self)
        self.opening = Opening(settings, self._take, self)
        self.opening.told.connect(self.told)
        self.opening.failed.connect(self.failed)
        self._lease: Lease | None = None
        self._beaten = time.monotonic()
        self._is_lost = False
        self.has_copy = False  # of a project whose file was lost
        self._trouble: KnownError | None = None
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self.poll)

    # Opening and closing

    @property
    def is_open(self) -> bool:
        return self.project is not None

    @property
    def can_edit(self) -> bool:
        return self.project is not None and not self.project.read_only and not self.project.is_damaged

    @property
    def has_its_file(self) -> bool:
        """Whether this window edits the file of that name: not once it was moved, deleted or replaced."""
        return self.project is not None and not self.project.read_only and self.project.cut_off is None

    def needs_copy(self) -> bool:
        """Whether this window alone holds steps: the project's file was moved, deleted or replaced. Not where another program
        wrote over it: there is nothing left to copy then."""
        lost = None if self.project is None else self.project.cut_off
        return self.can_edit and not self.has_copy and lost is not None and not lost.is_written_over

    def forget_copy(self) -> None:
        """Another project is open, of which there is no such copy."""
        self.has_copy = False

    def leave_to_others(self) -> None:
        """The user turns to another program, perhaps to copy the file: let it hold everything soon."""
        if self.project is not None:
            self.project.checkpoints.hurry()

    def is_free(self) -> bool:
        """Whether another project may take the place of this one: not while work runs on it."""
        if self.needs_copy():
            assert self.project is not None and self.project.cut_off is not None
            self.failed.emit(self.project.cut_off)
            return False
        if self.project is None or not self.tasks.running():
            return True
        fix = tr("Stop it first{key}, or wait.", key=self.keys.bracketed("judge.stop"))
        self.failed.emit(KnownError(tr("Work is running on this project."), fix=fix))
        return False

    def may_leave(self, then: Callable[[], object]) -> bool:
        """Whether nothing waits to be saved. Else it is asked what becomes of that, and `then` is done after it."""
        if self.project is None:
            return True
        self.leaving.emit()
        if self.steps.settle():
            return True
        self.unsaved.emit(then)
        return False

    def start(self, kind: str, arguments: Sequence[str]) -> Job | None:
        """Start long work; that work of this kind is running already is told."""
        if self.project is not None and self.project.cut_off is not None:  # the work would find another file, or none
            self.failed.emit(self.project.cut_off)
            return None
        if not self.steps.settle():
            n = len(self.steps.waiting)
            what = trn("{n:,} step is not in the file yet, which this work reads.",
                       "{n:,} steps are not in the file yet, which this work reads.", n)  # fmt: skip
            self.failed.emit(KnownError(what, fix=tr("Start it once they are saved.")))
            return None
        job = self.tasks.start(kind, arguments)
        if job is None:
            fix = tr("Wait for it, or stop it{key}.", key=self.keys.bracketed("judge.stop"))
            self.failed.emit(KnownError(tr("Work of this kind is running already."), fix=fix))
        return job

    def create(self, path: Path) -> bool:
        """Make a project and open it; False where that is not possible (the reason was told)."""
        if not self.is_free() or not self.may_leave(lambda: self.create(path)):
            return False
        try:
            Project.create(path).close()
        except KnownError as error:
            self.failed.emit(error)
            return False
        return self.open(path)

    def open(self, path: Path) -> bool:
        """Open a project; where another window edits it, for reading only. False where it is not open then: it was refused, or
        another program has locked it, and it is opened once that lets go."""
        if self.project is not None and self.project.path.resolve() == path.resolve():
            return True
        if not self.is_free() or not self.may_leave(lambda: self.open(path)):
            return False
        if self.project is not None and self.project.cut_off is not None:
            self.close()  # it may be that very file under its new name, which SQLite cannot have open twice
        self.opening.start(path)
        return self.project is not None and self.project.path == path

    def _take(self, opened: Opened) -> None:
        """Work on a project that was opened."""
        path = opened.project.path
        if not self.is_free() or not self.may_leave(lambda: self.open(path)):  # work was begun while it waited
            if opened.lease is not None:
                self._give_back(opened.lease, opened.project)
            opened.project.close()
            return
        self.close()
        project, self._lease = opened.project, opened.lease
        self.project = project
        self.actor = opened.actor or self.actor
        for problem in opened.problems:
            self.failed.emit(problem)
        project.subscribe(self._on_change)
        self.steps.open(project)
        self.reads.open(project.path)
        self.drafts.open(project.copy_id)
        self._remember(project.path)
        self._poll.start()
        if project.backup is not None:
            self.told.emit(
                tr("Brought up to date; a copy of the file as it was is kept: {name}", name=project.backup.name), False
            )
        self.select_record(None)
        self._count()
        self.opened.emit()
        self.reads.settle(AT_ONCE_S)
        self.context_changed.emit()

    def close(self) -> None:
        """Close the project and give the editing right back."""
        self.opening.stop()
        if self.project is None:
            return
        self.closing.emit()
        if not self.steps.settle():
            n = len(self.steps.waiting)
            what = trn("{n:,} step could not be saved.", "{n:,} steps could not be saved.", n)
            fix = tr("Another program had locked the project. Take what is missing again.")
            self.failed.emit(KnownError(what, where=str(self.project.path), fix=fix))
        self._poll.stop()
        self.reads.close()
        project, self.project = self.project, None
        self.record_id, self.record_ids, self.proposal_id, self.scope = None, [], None, Scope()
        self.closed.emit()
        self.steps.close()
        lease, self._lease = self._lease, None
        if lease is not None:
            self._give_back(lease, project)
        project.close()
        if project.left_in_two is not None:
            self.failed.emit(project.left_in_two)
        self.context_changed.emit()

    def _give_back(self, lease: Lease, project: Project) -> None:
        if project.cut_off is not None:
            lease.forget()
            return
        try:
            lease.release_when_free()
        except KnownError as error:
            self.failed.emit(error)

    def recent(self) -> list[Path]:
        """Projects opened lately that are still there, newest first."""
        kept = self.settings["look.recent"]
        names = [name for name in kept if isinstance(name, str)] if isinstance(kept, list | tuple) else []
        return [path for path in map(Path, names) if os.path.exists(path)]

    def _remember(self, path: Path) -> None:
        path = path.resolve()
        paths = [path, *(p for p in self.recent() if p != path)]
        try:
            self.settings["look.recent"] = [str(p) for p in paths[:MOST_RECENT]]
        except KnownError as error:
            self.failed.emit(error)

    # Steps

    def apply(self, op: Operation, *, reason: str = "") -> Change | WaitingStep | None:
        """Take a step; a WaitingStep where it goes in later, because another program has locked the file; None where it was
        refused (the reason was told)."""
        if self.project is None:
            return None
        try:
            return self.take(op, reason=reason)
        except KnownError as error:
            self.failed.emit(error)
            return None

    def take(self, op: Operation, *, reason: str = "") -> Change | WaitingStep:
        """Take a step, now or as soon as the file is free. Raises KnownError where it is refused."""
        taken = self.steps.take(WaitingStep("apply", self.actor, op=op, reason=reason))
        assert taken is not None
        return taken

    def undo(self) -> None:
        self._step_back(self.steps.undo, tr("There is nothing to undo."))

    def redo(self) -> None:
        self._step_back(self.steps.redo, tr("There is nothing to redo."))

    def _step_back(self, step: Callable[[str], object], otherwise: Sentence) -> None:
        if self.project is None:
            return
        try:
            if step(self.actor) is None:
                self.told.emit(otherwise, False)
        except KnownError as error:
            self.failed.emit(error)

    def poll(self) -> None:
        """Look for what other processes wrote."""
        if self.project is not None:
            try:
                self.project.poll()
                self._tell_trouble(self.project.checkpoints.trouble)
                if self._lease is not None and time.monotonic() - self._beaten > BEAT_S:
                    self._beat(self._lease)
                self._is_lost = False
            except KnownError as error:
                if not self._is_lost:  # told once, and tried again: a disk may come back
                    self._is_lost = True
                    self.failed.emit(error)

    def _beat(self, lease: Lease) -> None:
        self._beaten = time.monotonic()
        try:
            lease.beat()
        except Locked:  # nobody needs this sign at once
            self._beaten += BEAT_AGAIN_S - BEAT_S

    def _tell_trouble(self, trouble: KnownError | None) -> None:
        """What keeps the log out of the file is told once, each time that it begins."""
        if trouble is not None and self._trouble is None:
            self.failed.emit(trouble)
        self._trouble = trouble

    def _on_change(self, change: Change | MachineChange) -> None:
        if isinstance(change, MachineChange):
            self.machine_changed.emit(change)
        else:
            self.changed.emit(change)
            if change.is_own:
                self.told.emit(change.summary, change.undo_of is None)
        self._count()
        self.context_changed.emit()

    def _count(self) -> None:
        self.reads.ask("counts", lambda db: (totals(db), own_counts(db)), lambda found: self.counted.emit(*found))

    # Selection

    def select_scope(self, scope: Scope) -> None:
        """Show these failures in the list; the tree follows."""
        self.scope = scope
        self.scope_changed.emit(scope)
        self.context_changed.emit()

    def select_categories(self, category_ids: Sequence[str]) -> None:
        self.select_scope(Scope(category_ids=tuple(category_ids) or None))

    def select_record(self, record_id: str | None) -> None:
        """Show this record in the record pane; the list follows where it holds it."""
        if record_id != self.record_id:
            self.record_id = record_id
            self.record_selected.emit(record_id)

    def targets(self) -> list[str]:
        """The failures that a command is about: in the record pane the one that is read; elsewhere those selected in the list
        if the one that is read is among them, else the one that is read."""
        if self.record_id is None or (self.record_id in self.record_ids and not self.is_reading_one):
            return self.record_ids
        return [self.record_id]

    def select_failures(self, record_ids: list[str]) -> None:
        self.record_ids = record_ids
        self.failures_selected.emit(record_ids)
        self.context_changed.emit()

    def select_proposal(self, proposal_id: str | None) -> None:
        if proposal_id != self.proposal_id:
            self.proposal_id = proposal_id
            self.proposal_selected.emit(proposal_id)
            self.context_changed.emit()

    def say(self, sentence: Sentence) -> None:
        self.told.emit(sentence, False)
