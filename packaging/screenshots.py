"""Grabs every screen of the real window on the sample, light and dark, into docs/screenshots: `make screenshots`."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app.help.pages import KeysDialog
from app.help.palette import Palette
from app.imports.dialog import ImportDialog
from app.judging.dialog import JudgeDialog
from app.settings.dialog import SettingsDialog
from app.start.run import make_window
from app.taxonomy.merge_view import MergeView
from app.taxonomy.split_view import SplitView
from app.window import Window
from errormap_core.resources import resource_path
from errormap_core.sample.build import build_sample
from errormap_core.settings import UserSettings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "screenshots"

SIZE = (1440, 900)


def wait(ms: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def shoot(widget: QWidget, name: str) -> None:
    wait(150)
    widget.grab().save(str(TARGET / f"{name}.png"))
    print(name, flush=True)


def dialog_shot(window: Window, name: str, make: Callable[[], QDialog]) -> None:
    dialog = make()
    dialog.show()
    wait(600)
    shoot(dialog, name)
    dialog.reject()
    wait(50)


def grab_all(window: Window, path: Path, scheme: str) -> None:
    window.theme.apply(scheme, 1.0)
    window.resize(*SIZE)
    window.session.close()
    shoot(window, f"start-{scheme}")
    window.session.open(path)
    project = window.session.project
    assert project is not None
    window.show_page("review")
    shoot(window, f"review-{scheme}")
    window.do("review.accept_all")
    chosen = [c.id for c in project.tree if c.reserved is None]
    window.show_page("records")
    window.tree.select(chosen[:1])
    shoot(window, f"records-{scheme}")
    window.tree.select([])
    window.show_page("signatures")
    shoot(window, f"signatures-{scheme}")
    window.show_page("history")
    shoot(window, f"history-{scheme}")
    window.show_page("gold")
    shoot(window, f"gold-before-{scheme}")
    window.do("judge.gold")
    while window.session.tasks.running():
        wait(100)
    shoot(window, f"gold-{scheme}")
    window.show_page("records")
    window.tree.select(chosen[:2])
    if len(chosen) > 1:
        dialog_shot(window, f"merge-{scheme}", lambda: MergeView(window.session, chosen[:2], into=None, parent=window))
    dialog_shot(window, f"split-{scheme}", lambda: SplitView(window.session, chosen[0], window))
    files = [resource_path("sample", "everyday_maths.csv")]
    dialog_shot(window, f"import-{scheme}", lambda: ImportDialog(window.session, files, window))
    dialog_shot(window, f"judge-{scheme}", lambda: JudgeDialog(window.session, window))
    dialog_shot(window, f"settings-{scheme}", lambda: SettingsDialog(window.session, window))
    dialog_shot(window, f"keys-{scheme}", lambda: KeysDialog(window))
    dialog_shot(window, f"palette-{scheme}", lambda: Palette(window))
    window.do("edit.undo")
    if scheme == "dark":
        window.resize(1024, 768)
        window.show_page("records")
        shoot(window, f"narrow-{scheme}")
        window.theme.apply(scheme, 2.0)
        window.resize(*SIZE)
        shoot(window, f"large-text-{scheme}")


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.errormap"
        build_sample(path).close()
        app = QApplication.instance() or QApplication(sys.argv[:1])
        assert isinstance(app, QApplication)
        settings = UserSettings(Path(folder) / "settings.json")
        settings["user.name"] = "Ann Bee"
        window = make_window(app, settings)
        window.show()
        for scheme in ("light", "dark"):
            grab_all(window, path, scheme)
        window.close()


if __name__ == "__main__":
    main()
