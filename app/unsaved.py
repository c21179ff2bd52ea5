"""Leaving a project while steps wait for its file: it is closed once they are saved, or it is said what becomes of them."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QDialogButtonBox, QWidget

from app.dialogs import Dialog
from app.files import ask_save
from app.plain import Label, literal, words
from app.session import Session
from app.step_queue import WaitingStep, run_step
from errormap_core.errors import KnownError
from errormap_core.project.copying import copy_with_steps, rescue_with_steps
from errormap_core.project.lock_holder import lock_holder
from errormap_core.sentences import tr, trn

MOST_NAMED = 8
"""So many of the steps are named."""

PROJECTS = tr("Projects (*.errormap)")


class UnsavedDialog(Dialog):
    """Which steps wait and for whom. It closes by itself when they are saved, and what was wanted is done then."""

    _copied = Signal(object)  # Path, or KnownError

    def __init__(self, session: Session, then: Callable[[], object], parent: QWidget) -> None:
        super().__init__(tr("Steps that are not saved yet"), parent)
        project = session.project
        assert project is not None
        self._session, self._then, self._path = session, then, project.path
        self._copying: tuple[WaitingStep, ...] = ()
        self.said = Label(self)
        self.said.setWordWrap(True)
        self.problem = Label(self)
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet(f"color: {session.theme.scheme.bad};")
        self.problem.hide()
        self.column.addWidget(self.said)
        self.column.addWidget(self.problem)
        buttons = QDialogButtonBox(self)
        self.copy = buttons.addButton(words(tr("&Save a copy with them…")), QDialogButtonBox.ButtonRole.ActionRole)
        self.drop = buttons.addButton("", QDialogButtonBox.ButtonRole.DestructiveRole)
        self.stay = buttons.addButton(words(tr("S&tay")), QDialogButtonBox.ButtonRole.RejectRole)
        self.copy.clicked.connect(lambda _=False: self._ask_copy())
        self.drop.clicked.connect(lambda _=False: self._drop())
        buttons.rejected.connect(self.reject)
        self.stay.setDefault(True)
        self.column.addWidget(buttons)
        self.resize(560, 0)
        session.steps.changed.connect(self._say)
        session.closed.connect(self.reject)
        self._copied.connect(self._on_copied)
        self._say()

    def _say(self) -> None:
        steps, project = self._session.steps.waiting, self._session.project
        if project is None or self._copying:
            return
        if not steps:
            self._go()
            return
        n = len(steps)
        lines = [f"•  {step.sentence()}" for step in steps[:MOST_NAMED]]
        if n > MOST_NAMED:
            lines.append(str(tr("and {n:,} more", n=n - MOST_NAMED)))
        if project.cut_off is not None:
            head = trn("{what} {n:,} step is in no file:", "{what} {n:,} steps are in no file:", n,
                       what=project.cut_off.what)  # fmt: skip
            self.said.setText("\n".join([str(head), *lines]))
            self.drop.setText(literal(trn("Discard {n:,} step and close", "Discard {n:,} steps and close", n)))
            return
        if (disk := self._session.steps.disk_error) is not None:
            head = trn("{what} {n:,} step is not saved:", "{what} {n:,} steps are not saved:", n, what=disk.what)
            rest = tr("Wait here: the project is closed as soon as they can be saved.")
        else:
            head = trn(
                "{who} has locked {name}. {n:,} step is not saved:",
                "{who} has locked {name}. {n:,} steps are not saved:",
                n,
                who=lock_holder(project.path, project.reader),
                name=project.path.name,
            )
            rest = tr("Wait here: the project is closed as soon as that program lets go and they are saved.")
        self.said.setText("\n".join([str(head), *lines, "", str(rest)]))
        self.drop.setText(literal(trn("Discard {n:,} step and close", "Discard {n:,} steps and close", n)))

    def _go(self) -> None:
        """Do what was wanted, once this is gone."""
        self.accept()
        QTimer.singleShot(0, self._session, self._then)

    def _drop(self) -> None:
        self._session.steps.discard()

    def _ask_copy(self) -> None:
        suggested = self._path.with_name(f"{self._path.stem} copy{self._path.suffix}")
        path = ask_save(self, tr("Save a copy"), start=str(suggested), filters=PROJECTS)
        if path is not None:
            self.save_copy(path if path.suffix else path.with_suffix(".errormap"))

    def save_copy(self, target: Path) -> None:
        """Make the copy beside the window's thread; the steps that are in it wait no more."""
        steps = self._copying = self._session.steps.waiting
        self._enable(False)
        self.problem.setText(str(tr("Saving the copy …")))
        self.problem.show()
        project = self._session.project
        lost = project if project is not None and project.cut_off is not None else None
        calls = [partial(run_step, step) for step in steps]

        def work() -> None:
            answer: object = KnownError(tr("The copy could not be saved."), where=str(target))
            try:
                if lost is None:
                    refused = copy_with_steps(self._path, target, calls)
                else:
                    refused = rescue_with_steps(lost, target, calls)
                answer = _not_all(refused, target) if refused else target
            except KnownError as error:
                answer = error
            except OSError as error:
                what = tr("The copy cannot be written ({reason}).", reason=error.strerror or error)
                answer = KnownError(what, where=str(target), fix=tr("Choose another folder."))
            finally:  # after a defect, which goes the way of all such, the dialog can be used still
                self._copied.emit(answer)

        threading.Thread(target=work, daemon=True, name="copy").start()

    def _on_copied(self, answer: object) -> None:
        copied, self._copying = self._copying, ()
        self._enable(True)
        if isinstance(answer, KnownError):
            self.problem.setText(f"⚠  {answer}")
            self._say()
            return
        self.problem.hide()
        self._session.steps.forget(copied)
        self._session.say(tr("Saved a copy with all steps: {path}", path=answer))

    def _enable(self, can: bool) -> None:
        for button in (self.copy, self.drop, self.stay):
            button.setEnabled(can)

    def done(self, result: int) -> None:
        """Nothing is heard any more by a dialog that is closed."""
        self._session.steps.changed.disconnect(self._say)
        self._session.closed.disconnect(self.reject)
        super().done(result)

    def reject(self) -> None:
        """A copy that is being made is waited for."""
        if not self._copying:
            super().reject()


def ask_unsaved(session: Session, then: Callable[[], object], parent: QWidget) -> None:
    """Ask what becomes of the steps that wait; where that is asked already, show the question."""
    asked = parent.findChild(UnsavedDialog)
    if asked is not None:
        asked.activateWindow()
        return
    UnsavedDialog(session, then, parent).open()


def _not_all(refused: list[KnownError], target: Path) -> KnownError:
    return KnownError(
        trn(
            "The copy was saved without {n:,} step, which is not possible there. {what}",
            "The copy was saved without {n:,} steps, which are not possible there. The first: {what}",
            len(refused),
            what=refused[0].what,
        ),
        where=str(target),
    )
