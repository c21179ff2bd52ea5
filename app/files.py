"""The one way to ask for a file or folder: Qt's own dialog, which looks at names only.

A file of SQLite must not be opened and closed beside its connection in the same process: POSIX then drops the locks of
the connection, other processes take themselves for the last and delete the log under it, and what is written later is lost
(https://www.sqlite.org/howtocorrupt.html, 2.2). Qt's dialog does that where it tells the kind of files from their content,
and so may a desktop's. Hence a provider of icons that does not look into files, and no native dialog on POSIX systems.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QDir, QFileInfo, Qt
from PySide6.QtGui import QAbstractFileIconProvider, QIcon
from PySide6.QtWidgets import QApplication, QFileDialog, QGridLayout, QStyle, QWidget

from app.plain import Label
from errormap_core.errors import KnownError
from errormap_core.output_paths import PROJECT, OutputKind, check_output
from errormap_core.sentences import Sentence, tr
from errormap_core.visible_text import visible_sentence

Check = Callable[[Path], object]
"""Raises KnownError for a name that cannot be taken."""


class NameIcons(QAbstractFileIconProvider):
    """Icons and kinds of files by whether they are folders, and by their endings."""

    def __init__(self) -> None:
        super().__init__()
        style = QApplication.style()
        self._folder = style.standardIcon(QStyle.StandardPixmap.SP_DirIcon)
        self._file = style.standardIcon(QStyle.StandardPixmap.SP_FileIcon)

    def icon(self, info: QFileInfo | QAbstractFileIconProvider.IconType) -> QIcon:
        is_folder = info.isDir() if isinstance(info, QFileInfo) else info == self.IconType.Folder
        return self._folder if is_folder else self._file

    def type(self, info: QFileInfo) -> str:
        return str(tr("Folder")) if info.isDir() else info.suffix()


class FileDialog(QFileDialog):
    """A dialog for files that opens none of them."""

    def __init__(
        self,
        parent: QWidget,
        title: Sentence,
        *,
        start: str = "",
        filters: Sentence | None = None,
        check: Check | None = None,
    ) -> None:
        if os.name == "posix":  # before the dialog is made: only then has it widgets that take a provider
            QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
        super().__init__(parent, str(title), QDir.rootPath())  # where no project lies, until the provider is set
        self.setOption(QFileDialog.Option.DontUseCustomDirectoryIcons)
        self._icons = NameIcons()  # kept: the dialog does not own it
        self.setIconProvider(self._icons)
        self.setDirectory(start or QDir.currentPath())
        if filters is not None:
            self.setNameFilters(str(filters).split(";;"))
        self._check = check
        self.problem = Label(self)
        self.problem.setWordWrap(True)
        self.problem.hide()
        layout = self.layout()
        if isinstance(layout, QGridLayout):  # a desktop's own dialog has none
            layout.addWidget(self.problem, layout.rowCount(), 0, 1, -1)

    def accept(self) -> None:
        """Take the name, unless it is refused, which is told here."""
        chosen = [Path(name) for name in self.selectedFiles()]
        self.problem.hide()
        if self._check is not None and not any(path.is_dir() for path in chosen):  # a folder is entered
            try:
                for path in chosen:
                    self._check(path)
            except KnownError as error:
                self.problem.setText(visible_sentence(error))
                self.problem.show()
                return
        super().accept()

    def ask(self) -> list[Path]:
        """What was chosen; nothing where it was cancelled."""
        return [Path(name) for name in self.selectedFiles()] if self.exec() else []


def ask_save(
    parent: QWidget,
    title: Sentence,
    *,
    start: str = "",
    filters: Sentence,
    kind: OutputKind = PROJECT,
    project: Path | None = None,
    confirms: bool = True,
) -> Path | None:
    """A name to save a file of this kind under, or None. One without an ending gets the kind's; what may not be written over
    is told in the dialog.

    Who replaces nothing need not have it confirmed.
    """
    dialog = FileDialog(parent, title, filters=filters, check=partial(check_output, kind=kind, project=project))
    dialog.setDefaultSuffix(kind.ending)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setOption(QFileDialog.Option.DontConfirmOverwrite, not confirms)
    if start:
        dialog.setDirectory(str(Path(start).parent))
        dialog.selectFile(Path(start).name)
    return next(iter(dialog.ask()), None)


def ask_open(parent: QWidget, title: Sentence, *, filters: Sentence, start: str = "") -> Path | None:
    """A file that is there, or None."""
    dialog = FileDialog(parent, title, start=start, filters=filters)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    return next(iter(dialog.ask()), None)


def ask_open_several(parent: QWidget, title: Sentence, *, filters: Sentence) -> list[Path]:
    """Files that are there; nothing where it was cancelled."""
    dialog = FileDialog(parent, title, filters=filters)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    return dialog.ask()


def ask_folder(parent: QWidget, title: Sentence) -> Path | None:
    """A folder that is there, or None."""
    dialog = FileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return next(iter(dialog.ask()), None)
