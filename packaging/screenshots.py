"""Grabs every screen of the real window on the sample, light and dark, into docs/screenshots: `make screenshots`."""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QWidget
from queue_shots import make_careless, shoot_queue

from app.help.pages import KeysDialog
from app.help.palette import Palette
from app.imports.dialog import ImportDialog
from app.judging.dialog import JudgeDialog
from app.records.why_dialog import WhyDialog
from app.settings.dialog import SettingsDialog
from app.start.run import make_window
from app.taxonomy.merge_view import MergeView
from app.taxonomy.split_view import SplitView
from app.window import Window
from errormap_core import cli
from errormap_core.judge.project_prompts import copy_of, save_prompt
from errormap_core.judge.prompts import load_prompt
from errormap_core.project.queries import RecordDetail, failure_ids, record_detail
from errormap_core.resources import resource_path
from errormap_core.sample.build import build_sample, sample_gold
from errormap_core.settings import UserSettings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "screenshots"

SIZE = (1440, 900)

N_JUDGED = 24
N_SHOWN = 40


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


def shoot_prompts(window: Window, scheme: str) -> None:
    """The page of prompts with one of the project's own, beside the docks and with all the room."""
    project = window.session.project
    assert project is not None
    own = replace(copy_of(project, load_prompt()), name="terse").with_text("after", "Name the mistake.")
    save_prompt(project, own, actor=window.session.actor)
    window.do("judge.prompts")
    window.prompts.list.setCurrentRow(2)
    shoot(window, f"prompts-{scheme}")
    window.left.hide()
    window.right.hide()
    wait(100)
    window.prompts.tabs.setCurrentWidget(window.prompts.difference)
    shoot(window, f"prompts-wide-{scheme}")
    window.left.show()
    window.right.show()
    window.do("edit.undo")


def shoot_models(window: Window, scheme: str) -> None:
    """The page of models, once the embedded ones are read and llama.cpp has said what it can do here."""
    window.do("judge.models")
    while window.models.is_asking():
        wait(100)
    shoot(window, f"models-{scheme}")


def shoot_judges(window: Window, scheme: str) -> None:
    """The page of judges with two short real runs: checked, compared, and why an analysis says what it says."""
    judges = window.judges
    window.do("judge.check")
    while window.session.tasks.running():
        wait(100)
    shoot(window, f"judges-{scheme}")
    judges.table.selectAll()
    judges.compare_selected()
    while window.session.tasks.running():
        wait(100)
    judges.agreement_view.table.selectRow(0)
    shoot(window, f"judges-agreement-{scheme}")
    project, record_id = window.session.project, window.session.record_id
    assert project is not None and record_id is not None
    detail = record_detail(project.reader, record_id)
    dialog_shot(window, f"why-{scheme}", lambda: why(window, detail, 0))
    dialog_shot(window, f"why-prompt-{scheme}", lambda: why(window, detail, 1))


def why(window: Window, detail: RecordDetail, tab: int) -> WhyDialog:
    """The dialog on a judge's analysis rather than the person's that counts."""
    dialog = WhyDialog(window.session, detail, window)
    dialog.choice.setCurrentIndex(1)
    dialog.tabs.setCurrentIndex(tab)
    return dialog


def split(window: Window, category_id: str) -> SplitView:
    """The split of a category, with one part begun."""
    view = SplitView(window.session, category_id, window)
    view.rest.choose(view.rest.members.shown()[:2])
    view.parts.move_selected("part_new")
    view.parts.columns[0].name.setText("Multiplies")
    return view


def run_judges(path: Path) -> None:
    """Two short runs of the embedded judge over the same failures."""
    for n_criteria in (4, 2):
        words = ["--gold", str(sample_gold()), "--limit", str(N_JUDGED), "--set", f"judge.max_criteria={n_criteria}"]
        cli.main(["judge", str(path), *words, "--progress", "none"])


def shoot_run(window: Window, path: Path, scheme: str) -> None:
    """The judge's dialog with its estimate, folded and unfolded; the window while it works, and while it is paused."""
    window.theme.apply(scheme, 1.0)
    window.resize(*SIZE)
    window.session.close()
    window.session.open(path)
    window.show_page("records")
    dialog = JudgeDialog(window.session, window)
    dialog.show()
    while dialog.is_asking():
        wait(100)
    shoot(dialog, f"judge-{scheme}")
    dialog.more.setChecked(True)
    shoot(dialog, f"judge-advanced-{scheme}")
    dialog.limit.setValue(N_SHOWN)
    dialog._start()
    [job] = window.session.tasks.running()
    while job.progress is None or job.progress.done < N_SHOWN // 4:
        wait(100)
    wait(1000)
    project = window.session.project
    assert project is not None
    window.session.select_record(failure_ids(project.reader, state="analysed")[0])
    shoot(window, f"judging-{scheme}")
    window.do("judge.pause")
    while not job.is_paused:
        wait(50)
    shoot(window, f"judging-paused-{scheme}")
    window.do("judge.stop")
    while window.session.tasks.running():
        wait(100)


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
    shoot_prompts(window, scheme)
    shoot_models(window, scheme)
    shoot_judges(window, scheme)
    window.show_page("records")
    window.tree.select(chosen[:2])
    if len(chosen) > 1:
        dialog_shot(window, f"merge-{scheme}", lambda: MergeView(window.session, chosen[:2], into=None, parent=window))
    dialog_shot(window, f"split-{scheme}", lambda: split(window, chosen[0]))
    files = [resource_path("sample", "everyday_maths.csv")]
    dialog_shot(window, f"import-{scheme}", lambda: ImportDialog(window.session, files, window))
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
        os.environ["ERRORMAP_STUDIO_CONFIG"] = os.environ["ERRORMAP_STUDIO_CACHE"] = folder  # nobody's own
        build_sample(path).close()
        run_judges(path)
        waiting = Path(folder) / "waiting.errormap"
        build_sample(waiting, with_analyses=False).close()
        careless = Path(folder) / "careless.errormap"
        make_careless(careless)
        app = QApplication.instance() or QApplication(sys.argv[:1])
        assert isinstance(app, QApplication)
        settings = UserSettings(Path(folder) / "settings.json")
        settings["user.name"] = "Ann Bee"
        settings["queue.questions"] = False  # they are chosen already
        window = make_window(app, settings)
        window.show()
        for scheme in ("light", "dark"):
            grab_all(window, path, scheme)
            shoot_run(window, waiting, scheme)
            shoot_queue(window, careless, scheme, shoot)
        window.close()


if __name__ == "__main__":
    main()
