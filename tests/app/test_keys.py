"""Keys that the user gave to commands: kept, shown on buttons, menus and in the palette, refused where they are taken."""

import ast
import re
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence

from app.commands import BY_ID
from app.help.pages import KeysDialog
from app.keys import KeyMap, key_text
from errormap_core.errors import KnownError
from errormap_core.project.pending import proposal
from errormap_core.settings import UserSettings
from tests.app.queue_fixtures import Queue
from tests.core.building import add_records

ROOT = Path(__file__).resolve().parents[2]


def test_a_changed_key_works_and_is_shown(queue: Queue) -> None:
    dialog = KeysDialog(queue.window)
    dialog.choose("review.skip")
    dialog.field.setKeySequence(QKeySequence("L"))
    dialog.use.click()
    assert dialog.problem.isHidden()
    assert dialog.table.item(dialog.table.currentRow(), 0).text() == "L · yours"
    dialog.reject()
    assert queue.page.frame.buttons["skip"].text() == "Skip  L"
    action = queue.window.actions_by_id["review.skip"]
    assert [s.toString() for s in action.shortcuts()] == ["L"]
    assert "(L)" in action.toolTip()
    shown = queue.shown
    queue.window.activateWindow()
    queue.page.focus_list()
    queue.press("s")
    assert queue.shown == shown
    queue.press("l")
    assert proposal(queue.project.db, shown or "").verdict == "skip"


def test_number_keys_are_shown_as_they_are(queue: Queue) -> None:
    queue.window.session.keys.change(BY_ID["review.nth_1"], ["Ctrl+Alt+1"])
    card = queue.show("place")
    assert card.list.buttons[0].key == "Ctrl+Alt+1"
    assert card.list.buttons[1].key == "2"


def test_a_key_that_is_taken_is_refused_with_a_sentence(queue: Queue) -> None:
    dialog = KeysDialog(queue.window)
    dialog.choose("review.skip")
    dialog.field.setKeySequence(QKeySequence("X"))
    dialog.use.click()
    assert "X is the key of “Reject” already." in dialog.problem.text()
    assert queue.window.session.keys.of(BY_ID["review.skip"]) == ("S",)
    dialog.none.click()
    assert queue.page.frame.buttons["skip"].text() == "Skip"
    dialog.again.click()
    assert queue.page.frame.buttons["skip"].text() == "Skip  S"
    dialog.reject()


@pytest.mark.parametrize(
    ("command", "key", "other"),
    [
        ("file.new", "Ctrl+O", "Open"),
        ("file.new", "G", "Judges"),  # the first key of chords
        ("taxonomy.delete", "Ctrl+Z", "Undo"),  # the tree is beside every page
        ("review.skip", "U", "Unsure"),
    ],
)
def test_clashes(tmp_path: Path, command: str, key: str, other: str) -> None:
    keys = KeyMap(UserSettings(tmp_path / "s.json"))
    with pytest.raises(KnownError, match=other):
        keys.change(BY_ID[command], [key])


def test_a_page_may_use_a_key_of_the_window(tmp_path: Path) -> None:
    keys = KeyMap(UserSettings(tmp_path / "s.json"))
    keys.change(BY_ID["review.skip"], ["P"])
    assert KeyMap(UserSettings(tmp_path / "s.json")).of(BY_ID["review.skip"]) == ("P",)
    keys.reset(BY_ID["review.skip"])
    assert KeyMap(UserSettings(tmp_path / "s.json")).of(BY_ID["review.skip"]) == ("S",)


def test_settings_that_are_no_keys_are_passed_over(tmp_path: Path) -> None:
    settings = UserSettings(tmp_path / "s.json")
    settings["keys"] = {"review.skip": ["", 3], "no.such": ["A"], "review.flag": "F", "review.reject": ["Ctrl+R"]}
    keys = KeyMap(settings)
    assert keys.of(BY_ID["review.skip"]) == ("S",)
    assert keys.of(BY_ID["review.reject"]) == ("Ctrl+R",)
    settings["keys"] = [1, 2]
    assert KeyMap(settings).of(BY_ID["review.reject"]) == ("X",)
    with pytest.raises(KnownError, match="no key"):
        keys.change(BY_ID["review.skip"], ["Nonsense++"])


def test_the_dialog_is_worked_by_keys(queue: Queue) -> None:
    dialog = KeysDialog(queue.window)
    dialog.open()
    dialog.choose("records.note")
    dialog.field.setFocus()
    queue.qtbot.keyClick(
        dialog.field, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    )
    queue.qtbot.waitUntil(dialog.use.isEnabled, timeout=3000)
    dialog.use.click()
    assert [s.toString() for s in queue.window.actions_by_id["records.note"].shortcuts()] == ["Ctrl+Alt+Y"]
    dialog.reject()


# Keys in sentences

KEY_IN_WORDS = re.compile(r"(Ctrl|Alt|Shift|Meta)\+\S|\(([A-Z]|F\d+|Del|Space|Enter|Home)\)|  (⏎|[A-Z])$")

FIXED = {
    ("app/prompts/notes.py", "Not saved yet: Ctrl+S, or leave the field."),
    ("app/prompts/page.py", "Give it another name (F2)"),
    ("app/prompts/page.py", "Take it out of the project (Del); what was made with it stays"),
    ("app/review/new_row.py", "Place there  ⏎"),
}
"""Keys that belong to a field or a list and to no command: they cannot be changed."""


def test_no_sentence_has_the_key_of_a_command_written_into_it() -> None:
    found = set()
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tr", "trn"):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                where = path.relative_to(ROOT).as_posix()
                found |= {(where, text) for text in texts if KEY_IN_WORDS.search(text)}
    assert {text for where, text in found if where != "app/commands.py"} == {text for _, text in FIXED}
    assert {each for each in found if each[0] != "app/commands.py"} == FIXED


def give(queue: Queue, command_id: str, *keys: str) -> None:
    queue.window.session.keys.change(BY_ID[command_id], keys)


def test_sentences_follow_the_keys_that_are_set(queue: Queue) -> None:
    window = queue.window
    give(queue, "taxonomy.add", "Ctrl+Alt+A")
    assert window.tree._add.toolTip() == "Add category (Ctrl+Alt+A)"
    give(queue, "taxonomy.add")
    assert window.tree._add.toolTip() == "Add category"
    give(queue, "edit.undo", "Ctrl+Alt+Z")
    assert window.step_strip._button.toolTip() == "Take back this step (Ctrl+Alt+Z)"
    give(queue, "edit.find", "Ctrl+Alt+F")
    assert window.records.search.placeholderText() == "Search question, answer, error (Ctrl+Alt+F)"
    give(queue, "judge.gold", "Ctrl+Alt+G")
    assert window.gold.again.toolTip().endswith("(Ctrl+Alt+G)")
    give(queue, "judge.check", "Ctrl+Alt+J")
    assert window.judges.check.toolTip().endswith("or all (Ctrl+Alt+J)")
    give(queue, "records.analyse_now", "Ctrl+Alt+N")
    assert window.record.now_button.text() == "Analyse now (Ctrl+Alt+N)"
    give(queue, "judge.stop", "Ctrl+Alt+S")
    assert window.task_strip._button.toolTip().endswith("(Ctrl+Alt+S)")


def test_a_record_without_analysis_names_the_keys_that_are_set(queue: Queue) -> None:
    ids = add_records(queue.project, [{"example_id": "new", "model": "m9"}])
    queue.window.session.select_record(ids[0])
    assert (
        "Have it analysed now (N), run the judge (Ctrl+J), or write one yourself (A)."
        in queue.window.record.text.toPlainText()
    )
    give(queue, "records.analyse", "Ctrl+Alt+W")
    give(queue, "judge.run")
    text = queue.window.record.text.toPlainText()
    assert "Have it analysed now (N), run the judge, or write one yourself (Ctrl+Alt+W)." in text


def test_a_taken_name_is_merged_by_the_key_of_merging(queue: Queue) -> None:
    give(queue, "taxonomy.merge", "Ctrl+Alt+M")
    tree = queue.window.tree
    assert tree.names.note.button.text() == "Merge the two…  Ctrl+Alt+M"
    give(queue, "taxonomy.merge", "Y")
    assert tree.names.note.button.text() == "Merge the two…", "a letter is typed into the field"


def test_arrows_and_enter_have_signs(tmp_path: Path) -> None:
    assert [key_text(key) for key in ("Return", "Ctrl+Return", "Ctrl+Shift+Left", "Alt+Up", "Ctrl+M")] == [
        "⏎",
        "Ctrl+⏎",
        "Ctrl+Shift+←",
        "Alt+↑",
        "Ctrl+M",
    ]
