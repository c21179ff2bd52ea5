"""Keys that the user gave to commands: kept, shown on buttons, menus and in the palette, refused where they are taken."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence

from app.commands import BY_ID
from app.help.pages import KeysDialog
from app.keys import KeyMap
from errormap_core.errors import KnownError
from errormap_core.project.pending import proposal
from errormap_core.settings import UserSettings
from tests.app.queue_fixtures import Queue


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
