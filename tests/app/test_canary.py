"""No text of a project makes the window open a file: every page, card, dialog, menu and tooltip, with texts that name one."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit, QMenu, QPushButton

from app.imports.dialog import ImportDialog
from app.window import PAGES, Window
from errormap_core.errors import KnownError
from errormap_core.judge.project_prompts import copy_of, prompt_of, save_prompt
from errormap_core.sentences import tr
from errormap_core.taxonomy.operations import AddCategory, AnnotateCategory, AnnotateRecord, RenameCategory, SetChoice
from tests.app import queue_building
from tests.app.canary import Canary, Look, show_tip
from tests.app.queue_fixtures import Queue, open_queue

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells who opens a file without special rights"
)

SOAK = bool(os.environ.get("ERRORMAP_SOAK"))
SHORT = 1
"""So many payloads in the ordinary run."""

NAMING = ("name", "description", "why")


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """The file, in the current folder; its path is short, so that it fits a name."""
    with tempfile.TemporaryDirectory(prefix="c", dir="/tmp") as folder:
        monkeypatch.chdir(folder)
        made = Canary(Path(folder))
        yield made
        made.close()


@pytest.mark.qt_log_ignore("does not support raise", extend=True)
def test_the_canary_hears_what_qt_opens(canary: Canary, qtbot: Any) -> None:
    """Else the tests below would say nothing."""
    assert canary.n_opened() == 0
    for payload in canary.payloads()[1:3]:
        label = QLabel(payload)
        qtbot.addWidget(label)
        label.grab()
        assert canary.n_opened() > 0, payload
        button = QPushButton()
        qtbot.addWidget(button)
        button.show()
        button.setToolTip(payload)
        assert show_tip(button, button.rect().center()) == payload
        assert canary.n_opened() > 0, payload
    with open(canary.path, "rb"):
        pass
    assert canary.n_opened() == 1


def hostile(value: Any, payload: str, n: int) -> Any:
    """Names and texts in arguments of a proposal, made hostile."""
    if isinstance(value, Mapping):
        return {
            key: f"{payload} {n} {each}"
            if key in NAMING and isinstance(each, str) and each
            else hostile(each, payload, n)
            for key, each in value.items()
        }
    return [hostile(each, payload, n) for each in value] if isinstance(value, list) else value


def hostile_queue(window: Window, qtbot: Any, payload: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A project in which every field that data can reach has the payload."""
    add_records, add_analyses, new_proposal = (
        queue_building.add_records,
        queue_building.add_analyses,
        queue_building.new_proposal,
    )
    texts = ("input_text", "output_text", "correct_answer")

    def records(project: Any, rows: Any) -> list[str]:
        made = []
        for row in rows:
            fields = {key: f"{payload} {row[key]}" for key in (*texts, "example_id", "model")}
            made.append({**fields, "dataset": f"{payload} d"})
        return add_records(project, made)

    monkeypatch.setattr(queue_building, "add_records", records)
    monkeypatch.setattr(
        queue_building,
        "add_analyses",
        lambda project, titles: add_analyses(
            project,
            {key: f"{payload} {title}" for key, title in titles.items()},
            run=f"{payload} judge",
            summary=payload,
        ),
    )
    monkeypatch.setattr(
        queue_building,
        "new_proposal",
        lambda project, kind, arguments, *rest, **more: new_proposal(
            project, kind, hostile(arguments, payload, len(kind)), *rest, **hostile(more, payload, 1)
        ),
    )
    monkeypatch.setattr(
        queue_building,
        "AddCategory",
        lambda name, parent_id, description: AddCategory(
            name=f"{payload} {name}", parent_id=parent_id, description=f"{payload} {description}"
        ),
    )
    name = "<img src='c.png'> R&D.errormap" if "/" in payload else f"{payload}.errormap"
    queue = open_queue(window, qtbot, folder / name.replace("/", "·"))
    project, session = queue.project, window.session
    session.apply(SetChoice(key="atlas.title", value=payload))
    for category_id in queue.category.values():
        session.apply(AnnotateCategory(category_id=category_id, notes=payload))
    session.apply(AnnotateRecord(record_id=queue.records[0], text=payload))
    with project.writing() as db:
        db.execute("UPDATE record SET source_file = ?, extra = json_object(?, ?), metrics = '{}'", [payload] * 3)
        db.execute(
            "UPDATE analysis SET required_criteria = json_array(json_object("
            "'criterion', ?, 'quality', 'incorrect', 'evidence', ?, 'comment', ?))",
            [payload] * 3,
        )
    own = copy_of(project, prompt_of(project))
    save_prompt(project, own, actor=session.actor)
    return queue


def dialogs() -> list[QDialog]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, QDialog) and each.isVisible()]


def close_all(qtbot: Any) -> None:
    for dialog in dialogs():
        dialog.reject()
    qtbot.wait(5)


@pytest.mark.soak
@pytest.mark.qt_log_ignore("does not support raise", extend=True)
@pytest.mark.parametrize("n", range(13 if SOAK else SHORT))
def test_no_text_opens_a_file(
    window: Window, qtbot: Any, canary: Canary, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, folder = canary.payloads()[n], canary.path.parent
    (folder / "<img src='c.png'>.gguf").write_bytes(b"GGUF" + bytes(60))
    window.session.settings["models.folders"] = [str(folder)]
    look = Look(canary)
    queue = hostile_queue(window, qtbot, payload, folder, monkeypatch)
    for kind in queue.kind:
        queue.show(kind)
        qtbot.wait(20)
        look.at(f"card {kind}", window)
    window.session.select_record(queue.records[0])
    for key, _ in PAGES:
        window.show_page(key)
        qtbot.wait(30)
        look.at(f"page {key}", window)
    categories = [queue.category["Arithmetic"], queue.category["Reading"]]
    window.show_page("records")
    for command, chosen in (
        ("taxonomy.describe", categories[:1]),
        ("taxonomy.merge", categories),
        ("taxonomy.split", categories[1:]),
        ("records.place", categories[:1]),
        ("records.analyse", categories[:1]),
        ("records.note", categories[:1]),
        ("records.why", categories[:1]),
        ("judge.run", ()),
        ("file.settings", ()),
        ("help.palette", ()),
        ("help.keys", ()),
        ("help.about", ()),
    ):
        window.tree.select(list(chosen))
        window.session.select_record(queue.records[0])
        window.do(command)
        qtbot.wait(10)
        assert dialogs(), command
        for dialog in dialogs():
            look.at(f"dialog {command}", dialog)
        look.at(f"behind {command}", window)
        close_all(qtbot)
    rows = folder / "rows.csv"
    quoted = payload.replace('"', '""')
    rows.write_text(
        f'example_id,model,input_text,output_text,score,"{quoted}"\n"{quoted}","{quoted}","{quoted}","{quoted}",0,x\n',
        encoding="utf-8",
    )
    dialog = ImportDialog(window.session, [rows], window)
    dialog.open()
    qtbot.wait(50)
    look.at("import", dialog)
    close_all(qtbot)
    for menu in window.findChildren(QMenu):
        look.menu(f"menu {menu.title()}", menu)
    for where in ("tree", "list", "record", "review"):
        look.menu(f"context {where}", window._context_menu(where))
    window.session.apply(RenameCategory(category_id=queue.category["Units"], name=f"{payload} again"))
    look.at("after a step", window)
    window.strip.show_error(
        KnownError(tr("{name} is not there.", name=payload), fix=tr("Choose {name}.", name=payload))
    )
    look.at("an error", window)
    window.tree.select(categories[:1])
    window.do("taxonomy.rename")
    look.at("a name that is edited", window)
    editor = window.tree.view.findChild(QLineEdit)
    assert editor is not None
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert look.faults == []
    assert look.n_tips > 20 and look.n_texts > 100, "it looked at something"
    close_all(qtbot)
