"""The table of commands: no key twice, every command has a tip, a menu and a handler that is there."""

import itertools

from PySide6.QtGui import QKeySequence

from app.commands import COMMANDS, MENUS, Context
from app.help.pages import KeysDialog
from app.help.palette import Palette
from app.keys import shares_place
from app.window import Window


def test_no_key_is_used_twice() -> None:
    used = [(QKeySequence(key), command) for command in COMMANDS for key in command.keys]
    for (key, one), (other_key, other) in itertools.combinations(used, 2):
        assert key != other_key or not shares_place(one, other), f"{key.toString()}: {one.id}, {other.id}"


def test_a_chord_does_not_hide_behind_its_first_key() -> None:
    keys = [QKeySequence(k) for command in COMMANDS for k in command.keys]
    firsts = {key[0].toCombined() for key in keys if key.count() > 1}
    assert [k.toString() for k in keys if k.count() == 1 and k[0].toCombined() in firsts] == []


def test_every_command_has_a_tip_and_a_menu() -> None:
    assert [c.id for c in COMMANDS if not str(c.tip)] == []
    assert [c.id for c in COMMANDS if c.menu not in MENUS] == []


def test_every_handler_is_there(window: Window) -> None:
    for command in COMMANDS:
        where, _, what = command.handler.partition(".")
        assert callable(getattr(window._targets[where], what)), command.id


def test_nothing_can_be_done_to_a_project_that_is_not_open(window: Window) -> None:
    enabled = {c.id for c in COMMANDS if window.actions_by_id[c.id].isEnabled()}
    assert {"file.new", "file.open", "help.keys"} <= enabled
    assert not enabled & {"taxonomy.add", "edit.undo", "judge.run", "file.export", "review.accept_all"}


def test_a_reader_cannot_change_anything() -> None:
    reading = Context(
        is_open=True, n_categories=2, n_movable=2, n_failures=3, has_record=True, has_proposal=True, undo="x"
    )
    changing = [c for c in COMMANDS if c.menu in ("taxonomy", "records", "review", "edit", "judge") and c.when(reading)]
    looking = {
        "edit.find",
        "taxonomy.expand",
        "taxonomy.collapse",
        "taxonomy.filter",
        "records.next",
        "records.previous",
        "judge.gold",
        "judge.models",
        "judge.prompts",
        "judge.judges",
        "judge.check",
        "records.why",
    }
    assert {c.id for c in changing} <= looking


def test_the_page_of_keys_lists_every_key(window: Window) -> None:
    dialog = KeysDialog(window)
    assert dialog.table.rowCount() == len(COMMANDS)
    shown = {dialog.table.item(row, 0).text() for row in range(dialog.table.rowCount())}
    assert {"Ctrl+Z", "Ctrl+Shift+Z   Ctrl+Y", "G, V", ""} & shown >= {"Ctrl+Z", "Ctrl+Shift+Z   Ctrl+Y", ""}
    dialog.reject()


def test_the_palette_finds_and_does(opened: tuple[Window, list[str]]) -> None:
    window, _ = opened
    palette = Palette(window)
    palette.field.setText("history")
    assert palette.list.count() == 1
    palette.choose()
    assert window.tabs.currentWidget() is window.history
