"""The commands that lead back: restore a backup, repair into a copy. Both run as jobs; the window shows what came of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QWidget

from app.dialogs import Dialog
from app.files import ask_open, ask_save
from app.plain import Label
from app.rescue.restore_dialog import RestoreDialog
from app.rescue.strip import DamageStrip
from app.rescue.watch import Rescue
from app.tasks.runner import Job
from errormap_core.errors import KnownError
from errormap_core.project import backup_folder, backups, health
from errormap_core.project.backup_folder import Backup
from errormap_core.project.damage import DamagedFile
from errormap_core.safety_jobs import repaired_name
from errormap_core.sentences import tr

if TYPE_CHECKING:
    from app.window import Window

PROJECTS = tr("Projects (*.errormap)")


class RepairedDialog(Dialog):
    """What was saved of a damaged project, and what was lost."""

    def __init__(self, result: dict[str, Any], parent: QWidget) -> None:
        super().__init__(tr("Repaired into a copy"), parent)
        for line in (*result["told"], *result["problems"]):
            label = Label(line)
            label.setWordWrap(True)
            self.column.addWidget(label)
        self.column.addStretch(1)
        self.resize(620, self.sizeHint().height())


class RescueDeeds:
    """Handlers of these commands, and of the strip that offers them."""

    def __init__(self, window: "Window") -> None:
        self._window = window
        self._session = window.session
        self.watch = Rescue(window.session)
        self.strip = DamageStrip(window.theme)
        self._path: Path | None = None  # of a damaged project, open or not
        self._reopens: Path | None = None
        self.strip.restore.connect(self.restore)
        self.strip.repair.connect(self.repair)
        self.watch.looked.connect(self._on_looked)
        self._session.opened.connect(self._on_opened)
        self._session.closed.connect(self.strip.hide)
        self._session.tasks.finished.connect(self._on_finished)

    def restore(self) -> None:
        """Choose a backup of the project that is open or damaged, else of one that is named."""
        path = self._chosen(tr("Restore a backup of which project?"))
        if path is None:
            return
        try:
            found = backups.found_for(path)
        except OSError as error:
            folder = str(backup_folder.backups_folder())
            self._session.failed.emit(
                KnownError(
                    tr("The folder of backups cannot be read ({reason}).", reason=error.strerror),
                    where=folder,
                    fix=tr("Check who may read it."),
                )
            )
            return
        RestoreDialog(path, found, lambda backup, over: self._restore(path, backup, over), self._window).open()

    def repair(self) -> None:
        """Save what can be read of the project into a copy."""
        path = self._chosen(tr("Repair which project?"))
        if path is None:
            return
        target = ask_save(self._window, tr("Repair into a copy"), start=str(repaired_name(path)), filters=PROJECTS)
        if target is not None:
            target = target if target.suffix else target.with_suffix(".errormap")
            self._session.tasks.start("check", [str(path), "--repair", "-o", str(target)])

    def _chosen(self, title: Any) -> Path | None:
        if self._path is not None and not self.strip.isHidden():
            return self._path
        project = self._session.project
        return project.path if project is not None else ask_open(self._window, title, filters=PROJECTS)

    def _restore(self, path: Path, backup: Backup, over: bool) -> None:
        arguments = [str(path), "--backup", str(backup.path)]
        if not over:
            start = path.with_name(f"{path.stem}.restored.errormap")
            target = ask_save(self._window, tr("Restore as"), start=str(start), filters=PROJECTS)
            if target is None:
                return
            target = target if target.suffix else target.with_suffix(".errormap")
            self._session.tasks.start("restore", [*arguments, "-o", str(target)])
            return
        if not self._session.is_free():
            return
        project = self._session.project
        if project is not None and project.path == path:
            self.watch.leave_out()
            self._session.close()
        self._session.say(tr("Restoring a backup …"))
        self.watch.when_done(lambda: self._restore_over(path, arguments))

    def _restore_over(self, path: Path, arguments: list[str]) -> None:
        """Once no thread reads the file any more."""
        if self._session.tasks.start("restore", arguments) is not None:
            self._reopens = path

    def _on_finished(self, job: Job) -> None:
        if job.kind == "restore":
            reopens, self._reopens = self._reopens, None
            if reopens is not None:  # over the project; where that failed, it is as it was
                self._path = None
                self._session.open(reopens)
            elif job.error is None and job.result:
                self._session.open(Path(job.result["path"]))
            if job.error is None and job.result.get("kept"):
                self._session.say(tr("Restored. What was there is kept as {path}", path=job.result["kept"]))
        elif job.kind == "check" and job.error is None and job.result:
            dialog = RepairedDialog(job.result, self._window)
            dialog.add_buttons(tr("Open the copy"), lambda: self._open(dialog, Path(job.result["path"])))
            dialog.open()

    def _open(self, dialog: Dialog, path: Path) -> None:
        dialog.accept()
        self._session.open(path)

    def _on_opened(self) -> None:
        project = self._session.project
        assert project is not None
        known = health.known_damage(project.path)
        self._path = None
        if known is None:
            self.strip.hide()
        else:
            self._on_looked(known)

    def _on_looked(self, found: DamagedFile | None) -> None:
        if found is None:
            self.strip.hide()
            return
        self._show(found)

    def on_failed(self, error: KnownError) -> None:
        """A file that is damaged is told beside what leads back, not as one message among others."""
        if isinstance(error, DamagedFile):
            self._show(error)
            self._window.strip.hide()
            self._session.context_changed.emit()

    def _show(self, error: DamagedFile) -> None:
        project = self._session.project
        self._path = error.path
        self.strip.show_damage(error, is_open=project is not None and project.path == error.path)
