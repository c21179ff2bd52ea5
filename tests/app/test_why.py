"""'Why this analysis': opened by its key, for what is read; all analyses can be chosen; it can be copied; Esc closes it."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from app.commands import BY_ID
from app.records.why_dialog import WhyDialog
from app.window import Window
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import WriteAnalysis
from tests.core.project.test_judge_runs import judge

Opened = tuple[Window, list[str]]


def open_for(window: Window, record_id: str) -> WhyDialog:
    window.session.select_record(record_id)
    window.do("records.why")
    dialog = window.findChild(WhyDialog)
    assert isinstance(dialog, WhyDialog)
    return dialog


def add_run(window: Window, ids: list[str], **details: Any) -> None:
    assert window.session.project is not None
    with Project.open(window.session.project.path) as other:
        judge(other, ids, text='{"verdict": "error"}', **details)
    window.session.poll()


def test_the_command_stands_where_it_is_looked_for(opened: Opened) -> None:
    window, ids = opened
    command = BY_ID["records.why"]
    assert (command.menu, command.keys, command.in_context) == ("judge", ("W",), ("records", "record"))
    window.session.select_record(None)
    window._enable()
    assert not window.actions_by_id["records.why"].isEnabled()
    window.session.select_record(ids[0])
    window._enable()
    assert window.actions_by_id["records.why"].isEnabled()


def test_what_a_judge_wrote(opened: Opened, qtbot: Any) -> None:
    window, ids = opened
    add_run(window, ids[:1], thinking="Let me see.", shortened={"references": 1})
    dialog = open_for(window, ids[0])
    assert dialog.choice.count() == 2 and "counts" in dialog.choice.itemText(0)
    about = dialog.about.toPlainText()
    assert "m.gguf" in about and "ab" * 32 in about and "100 read, 10 written" in about
    assert "1 reference" in dialog.prompt.toPlainText()
    answer = dialog.answer.toPlainText()
    assert "Let me see." in answer and '{"verdict": "error"}' in answer
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == str(dialog.shown)
    assert "m.gguf" in QGuiApplication.clipboard().text()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.findChild(WhyDialog) is None)


def test_another_analysis_of_the_record_can_be_chosen(opened: Opened) -> None:
    window, ids = opened
    add_run(window, ids[:1])
    dialog = open_for(window, ids[0])
    dialog.choice.setCurrentIndex(1)
    assert dialog.shown is not None and "m.gguf" not in dialog.about.toPlainText()
    assert "It was not stored." in dialog.answer.toPlainText()
    dialog.reject()


def test_what_a_person_wrote(opened: Opened) -> None:
    window, ids = opened
    op = WriteAnalysis(record_id=ids[0], verdict="error", error_title="Mine", error_summary="So.")
    window.session.apply(op)
    dialog = open_for(window, ids[0])
    assert "A person wrote this analysis" in dialog.note.text()
    assert not dialog.tabs.isTabVisible(1) and not dialog.tabs.isTabVisible(2)
    dialog.choice.setCurrentIndex(1)
    assert dialog.tabs.isTabVisible(1)
    dialog.reject()


def test_a_record_without_an_analysis(opened: Opened) -> None:
    window, ids = opened
    assert window.session.project is not None
    with Project.open(window.session.project.path) as other:
        with other.writing() as db:
            db.execute("UPDATE failure SET analysis_id = NULL")
            db.execute("DELETE FROM analysis")
    dialog = open_for(window, ids[0])
    assert "no analysis of this record yet" in dialog.note.text()
    assert not dialog.copy.isEnabled()
    dialog.reject()
