"""Asking for files never opens one: a project's locks stay where a dialog shows its folder."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog

from app import files
from app.files import FileDialog
from app.window import Window
from errormap_core.exporters.atlas import ATLAS
from errormap_core.output_paths import check_output
from errormap_core.sentences import tr

Opened = tuple[Window, list[str]]

ROOT = Path(__file__).resolve().parents[2]


def locks(folder: Path) -> int:
    """Locks that this process holds on files of a folder."""
    inodes = {os.stat(path).st_ino for path in folder.iterdir()}
    rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    mine = [row for row in rows if str(os.getpid()) in row]
    return sum(int(row[row.index(str(os.getpid())) + 1].split(":")[-1]) in inodes for row in mine)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of locks in /proc")
@pytest.mark.parametrize("view", [QFileDialog.ViewMode.List, QFileDialog.ViewMode.Detail])
def test_a_dialog_that_shows_the_project_leaves_its_locks(
    opened: Opened, qtbot: Any, view: QFileDialog.ViewMode
) -> None:
    window, _ = opened
    project = window.session.project
    assert project is not None
    held = locks(project.path.parent)
    assert held >= 2
    dialog = FileDialog(window, tr("Any"), start=str(project.path.parent))
    dialog.setViewMode(view)
    dialog.show()
    dialog.selectFile(project.path.name)
    qtbot.wait(700)  # a thread of Qt's looks at the files
    assert locks(project.path.parent) == held
    dialog.reject()
    qtbot.wait(50)
    assert locks(project.path.parent) == held


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of locks in /proc")
def test_looking_whether_a_file_is_a_project_leaves_its_locks(opened: Opened) -> None:
    from errormap_core.project.files import check_file

    window, _ = opened
    project = window.session.project
    assert project is not None
    held = locks(project.path.parent)
    check_file(project.path)
    assert locks(project.path.parent) == held


def test_no_other_module_makes_dialogs_for_files() -> None:
    using = [p.name for p in (ROOT / "app").rglob("*.py") if "QFileDialog" in p.read_text(encoding="utf-8")]
    assert using == ["files.py"]


@pytest.mark.parametrize("ask", ["ask_open", "ask_save", "ask_open_several", "ask_folder"])
def test_what_is_chosen_comes_back_and_what_is_cancelled_does_not(
    window: Window, qtbot: Any, tmp_path: Path, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    wanted = tmp_path / ("folder" if ask == "ask_folder" else "a.csv")
    kept = {} if ask == "ask_folder" else {"filters": tr("All files (*)")}

    def press(accept: bool) -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QFileDialog)
        if accept:
            monkeypatch.setattr(type(dialog), "selectedFiles", lambda _: [str(wanted)])
            dialog.done(QFileDialog.DialogCode.Accepted)
        else:
            dialog.reject()

    for accept in (True, False):
        QTimer.singleShot(200, window, lambda accept=accept: press(accept))
        found = getattr(files, ask)(window, tr("Which?"), **kept)
        expected: Any = [wanted] if ask == "ask_open_several" else wanted
        assert found == (expected if accept else ([] if ask == "ask_open_several" else None))


def test_a_name_that_cannot_be_written_is_told_in_the_dialog(opened: Opened, tmp_path: Path, qtbot: Any) -> None:
    """Before the job starts; the project is not opened to find out, and the dialog stays."""
    window, _ = opened
    project = window.session.project
    assert project is not None
    held = locks(project.path.parent)
    other = tmp_path / "notes.json"
    other.write_text("{}", encoding="utf-8")
    check = partial(check_output, kind=ATLAS, project=project.path)
    dialog = FileDialog(window, tr("Export atlas"), start=str(tmp_path), check=check)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setDefaultSuffix("json")
    dialog.show()
    for path, said in (
        (other, "There is a file of this name, and it is not an atlas."),
        (project.path, "This is the project itself."),
        (tmp_path / "other.errormap", "This name ends in .errormap"),
    ):
        dialog.setDirectory(str(path.parent))
        dialog.selectFile(path.name)
        dialog.accept()
        assert said in dialog.problem.text()
        assert dialog.isVisible()
        assert not dialog.problem.isHidden()
    assert locks(project.path.parent) == held
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile("new")
    dialog.accept()
    assert not dialog.isVisible()
    assert [Path(name).name for name in dialog.selectedFiles()] == ["new.json"]
    assert other.read_text(encoding="utf-8") == "{}"
