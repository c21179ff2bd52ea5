"""Save a copy of the open project: as a job, or, after its file was moved, deleted or replaced, from the connection that
still holds every step. The window leads there, and does not close without a word while such a copy is missing."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialogButtonBox, QPushButton, QWidget

from app.dialogs import Dialog
from app.files import ask_save
from app.plain import Label, words
from errormap_core.errors import KnownError
from errormap_core.project.copying import copy_project
from errormap_core.project.watching import CutOff
from errormap_core.sentences import Sentence, tr

if TYPE_CHECKING:
    from app.window import Window

PROJECTS = tr("Projects (*.errormap)")

Told = tuple[int, int] | Path | KnownError
"""How far the copy is (pages done, pages there are), where it is, or why there is none."""


class LostDialog(Dialog):
    """Asks who closes the window what is to become of steps that are in no file."""

    def __init__(
        self, parent: QWidget, lost: CutOff, *, save: Callable[[], object], leave: Callable[[], object]
    ) -> None:
        super().__init__(tr("Steps are in no file"), parent)
        for text in (
            f"{lost.where}\n{lost.what}",
            str(tr("Only this window holds every step. If it closes without a copy, the latest steps may be lost.")),
        ):
            label = Label(text)
            label.setWordWrap(True)
            self.column.addWidget(label)
        self.save_button = self.add_buttons(tr("Save a copy as…"), lambda: self._answer(save))
        self.leave_button = QPushButton(words(tr("Close without a copy")))
        buttons = self.findChild(QDialogButtonBox)
        assert buttons is not None
        buttons.addButton(self.leave_button, QDialogButtonBox.ButtonRole.DestructiveRole)
        self.leave_button.clicked.connect(lambda: self._answer(leave))
        self.resize(560, self.sizeHint().height())

    def _answer(self, act: Callable[[], object]) -> None:
        self.accept()
        act()


class Saving(QObject):
    """Copies of the open project, and what the window says of a file that was lost."""

    changed = Signal()  # whether all that was done is in a file
    _came = Signal()

    def __init__(self, window: "Window") -> None:
        super().__init__(window)
        self._window = window
        self._session = window.session
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closes = False  # the window closes once the copy is there
        self._question: LostDialog | None = None
        self._came.connect(self._take)
        self._session.failed.connect(self._on_failed)
        self._session.opened.connect(self._session.forget_copy)

    @property
    def is_busy(self) -> bool:
        return self._thread is not None

    def save_as(self) -> None:
        """Ask for a name and save a copy there."""
        project = self._session.project
        if project is None or self.is_busy:
            return
        folder = project.watch.real.parent
        start = (folder if folder.is_dir() else Path.home()) / f"{project.watch.real.stem} copy.errormap"
        path = ask_save(self._window, tr("Save a copy"), start=str(start), filters=PROJECTS, confirms=False)
        if path is None:
            self._closes = False
            return
        self.save_to(path if path.suffix else path.with_suffix(".errormap"))

    def save_to(self, path: Path) -> None:
        """Save a copy at `path`, where nothing may be; what came of it is told when it is done."""
        project = self._session.project
        if project is None or self.is_busy:
            return
        if project.cut_off is None:
            self._session.start("copy", [str(project.path), str(path)])
            return

        def tell(done: int, total: int) -> None:
            self._told.put((done, total))
            self._came.emit()

        def work() -> None:
            told: Told = KnownError(
                tr("The copy could not be saved."), where=str(path), fix=tr("Choose another name or folder.")
            )
            try:
                told = copy_project(project, path, tell)
            except KnownError as error:
                told = error
            finally:  # after a defect, which goes the way of all such, the window can be used and closed still
                self._told.put(told)
                self._came.emit()

        self._thread = threading.Thread(target=work, name="save a copy")
        self._thread.start()
        self._window.strip.show_note(tr("Saving a copy …"))

    def ask_before_closing(self) -> None:
        """The window is to be closed, and what was done here is in no file: ask what to do about it."""
        project = self._session.project
        assert project is not None and project.cut_off is not None
        if self._question is not None:
            return
        question = LostDialog(self._window, project.cut_off, save=self._save_and_close, leave=self._leave)
        question.finished.connect(self._on_answered)
        self._question = question
        question.open()

    def _on_answered(self) -> None:
        self._question = None

    def _save_and_close(self) -> None:
        self._closes = True
        self.save_as()

    def _leave(self) -> None:
        self._session.has_copy = True  # nobody wants one
        self._window.close()

    def _on_failed(self, error: KnownError) -> None:
        if isinstance(error, CutOff):
            self.changed.emit()

    def _take(self) -> None:
        told: Told | None = None
        while not self._told.empty():
            told = self._told.get()
        if told is None:
            return
        if isinstance(told, tuple):
            done, total = told
            self._window.strip.show_note(tr("Saving a copy … {share:.0%}", share=done / max(total, 1)))
            return
        assert self._thread is not None
        self._thread.join()
        self._thread = None
        if isinstance(told, KnownError):
            self._closes = False
            self._session.failed.emit(CutOff(told.what, where=told.where, fix=told.fix))
        else:
            self._on_saved(told)

    def _on_saved(self, path: Path) -> None:
        project = self._session.project
        assert project is not None
        project.watch.drop_log()  # the copy holds all of it
        self._session.has_copy = True
        self.changed.emit()
        opens = (tr("Open the copy"), lambda: self._session.open(path))
        self._window.strip.show_note(_saved(path), opens)
        if self._closes:
            self._window.close()


def _saved(path: Path) -> Sentence:
    return tr("Every step is saved in {path}. Go on there.", path=path)
