"""The page of prompts: own prompts are edited, saved as steps, compared, filled in and tried; shipped ones are read."""

from typing import Any

import pytest
from PySide6.QtCore import QProcess, Qt
from PySide6.QtWidgets import QLineEdit, QPushButton

from app.prompts.page import PromptsPage, _Tried
from app.tasks.runner import Job
from app.window import Window
from errormap_core.errors import KnownError
from errormap_core.judge.own_prompt import FIELDS
from errormap_core.judge.project_prompts import copy_of, own_prompts, prompt_of, save_prompt
from errormap_core.judge.prompts import load_prompt
from errormap_core.project.store import Project
from errormap_core.sentences import tr

Opened = tuple[Window, list[str]]

RESULT = {
    "analysis": {
        "required_criteria": [
            {
                "criterion": "Adds",
                "present_in_wrong": True,
                "quality": "incorrect",
                "evidence": "Answer",
                "comment": "No.",
            }
        ],
        "error_title": "Wrong sum",
        "error_summary": "The sum is wrong.",
        "verdict": "error",
    },
    "prompt_tokens": 1412,
    "completion_tokens": 96,
    "seconds": 7.4,
    "text": "{}",
}


@pytest.fixture
def shown(opened: Opened) -> tuple[Window, PromptsPage, Project]:
    window, _ = opened
    window.do("judge.prompts")
    project = window.session.project
    assert project is not None
    return window, window.prompts, project


Shown = tuple[Window, PromptsPage, Project]


def names(page: PromptsPage) -> list[str]:
    return [page.list.item(row).text().split("\n")[0] for row in range(page.list.count())]  # type: ignore[union-attr]


def type_into(page: PromptsPage, key: str, text: str) -> None:
    """As a person does it: the field is all selected, and typed over."""
    field = page.editor.fields[key]
    field.selectAll()
    field.insertPlainText(text)


def copied(page: PromptsPage, name: str = "") -> None:
    page.new_copy()
    editor = page.list.findChild(QLineEdit)
    assert editor is not None
    if name:
        editor.setText(name)
    page.list.commitData(editor)
    page.list.closeEditor(editor, page.list.itemDelegate().EndEditHint.NoHint)


def test_shipped_prompts_are_read_only(shown: Shown) -> None:
    window, page, _ = shown
    assert window.tabs.currentWidget() is page
    assert names(page) == ["full  ✓ in use", "quick"]
    assert all(field.isReadOnly() for field in page.editor.fields.values())
    assert page.editor.fields["system"].toPlainText() == load_prompt().system.strip()
    assert "for reading only" in page.state.text()
    assert not page.rename_button.isEnabled() and not page.remove_button.isEnabled()
    assert page.use_button.text() == "In use" and not page.use_button.isEnabled()


def test_a_copy_is_made_named_edited_saved_and_undone(shown: Shown, qtbot: Any) -> None:
    window, page, project = shown
    copied(page, "terse")
    qtbot.waitUntil(lambda: "terse" in own_prompts(project))
    assert names(page) == ["full  ✓ in use", "quick", "terse"]
    type_into(page, "system", "Find the mistake.")
    assert "Not saved yet" in page.state.text()
    page.editor.fields["system"].left.emit()
    assert own_prompts(project)["terse"].system == "Find the mistake."
    assert "Saved." in page.state.text()
    assert "Undo" in window.step_strip.findChildren(QPushButton)[0].text()
    window.do("edit.undo")
    assert page.editor.fields["system"].toPlainText() == load_prompt().system.strip()
    window.do("edit.redo")
    assert page.editor.fields["system"].toPlainText() == "Find the mistake."


@pytest.mark.parametrize("key", [Qt.Key.Key_S, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_keys_save_even_where_a_command_has_the_same(shown: Shown, qtbot: Any, key: Qt.Key) -> None:
    _, page, project = shown
    copied(page)
    field = page.editor.fields["after"]
    field.setFocus()
    type_into(page, "after", "Go.")
    qtbot.keyClick(field, key, Qt.KeyboardModifier.ControlModifier)
    assert own_prompts(project)["full copy"].after == "Go."
    assert names(page)[2] == "full copy"
    assert project.undoable() is not None and "prompts" in str(project.undoable()), "no proposals were accepted instead"


def test_tab_leaves_a_field_and_that_saves(shown: Shown, qtbot: Any) -> None:
    _, page, project = shown
    copied(page)
    page.editor.fields["system"].setFocus()
    type_into(page, "system", "Find it.")
    qtbot.keyClick(page.editor.fields["system"], Qt.Key.Key_Tab)
    assert not page.editor.fields["system"].hasFocus()
    assert own_prompts(project)["full copy"].system == "Find it."


def test_what_cannot_be_used_is_said_and_kept_as_a_draft(shown: Shown) -> None:
    window, page, project = shown
    copied(page)
    before = own_prompts(project)["full copy"]
    type_into(page, "input_text", "no place for it")
    assert not page.save()
    assert own_prompts(project)["full copy"] == before
    problem = page.editor.problems["input_text"]
    assert problem.isVisibleTo(page) and "{text} must stand here once" in problem.text()
    assert page.editor.fields["input_text"].accessibleDescription() == problem.text()
    assert "Not saved: 1 text" in page.state.text()
    page.list.setCurrentRow(0)
    assert "not saved" in page.list.item(2).text()  # type: ignore[union-attr]
    page.list.setCurrentRow(2)
    assert page.editor.fields["input_text"].toPlainText() == "no place for it"
    assert page.editor.problems["input_text"].isVisibleTo(page)
    told: list[KnownError] = []
    window.session.failed.connect(told.append)
    page.use()
    assert prompt_of(project).id == "analyse", "a draft is not put to use"
    window.session.close()
    assert "“full copy” was not saved" in str(told[-1])


def test_what_was_typed_is_saved_when_the_project_is_closed_or_another_page_shown(shown: Shown) -> None:
    window, page, project = shown
    path = project.path
    copied(page)
    type_into(page, "after", "One.")
    window.show_page("history")
    assert own_prompts(project)["full copy"].after == "One."
    window.show_page("prompts")
    type_into(page, "after", "Two.")
    window.session.close()
    with Project.open(path) as again:
        assert own_prompts(again)["full copy"].after == "Two."


def test_a_prompt_is_put_to_use_renamed_and_removed(shown: Shown, qtbot: Any) -> None:
    window, page, project = shown
    copied(page)
    page.use()
    assert prompt_of(project).name == "full copy"
    assert names(page) == ["full", "quick", "full copy  ✓ in use"]
    page.rename("full copy", "mine")
    assert names(page)[2] == "mine  ✓ in use"
    told: list[KnownError] = []
    window.session.failed.connect(told.append)
    page.rename("mine", "quick")
    assert "name of a shipped prompt" in str(told[-1])
    assert page.list.name() == "mine"
    qtbot.keyClick(page.list, Qt.Key.Key_Delete)
    assert own_prompts(project) == {}
    assert names(page)[0] == "full  ✓ in use"
    window.do("edit.undo")
    assert names(page)[2] == "mine  ✓ in use"


def test_f2_renames_in_the_list_although_the_tree_has_that_key_too(shown: Shown, qtbot: Any) -> None:
    _, page, _ = shown
    copied(page)
    page.list.setFocus()
    qtbot.keyClick(page.list, Qt.Key.Key_F2)
    assert page.list.findChild(QLineEdit) is not None


def test_the_preview_is_the_prompt_for_the_selected_record(shown: Shown, qtbot: Any) -> None:
    window, page, project = shown
    window.session.select_record(None)
    page.tabs.setCurrentWidget(page.preview)
    qtbot.waitUntil(lambda: "Select a failure" in page.preview.note.text())
    record_id = project.db.execute("SELECT id FROM record WHERE example_id = 'e07'").fetchone()[0]
    window.session.select_record(record_id)
    qtbot.waitUntil(lambda: "Answer e07." in page.preview.text.toPlainText())
    assert page.preview.note.text().startswith("e07, m1: ")
    assert "tokens" in page.preview.note.text()
    copied(page)
    type_into(page, "after", "Typed just now.")
    qtbot.waitUntil(lambda: "Typed just now." in page.preview.text.toPlainText())
    type_into(page, "after", "")
    qtbot.waitUntil(lambda: "when its texts can be used" in page.preview.note.text())


def test_a_record_that_is_too_long_is_told(shown: Shown, qtbot: Any) -> None:
    window, page, project = shown
    with project.writing() as db:
        db.execute("UPDATE record SET output_text = ? WHERE example_id = 'e07'", ["word " * 100_000])
    record_id = project.db.execute("SELECT id FROM record WHERE example_id = 'e07'").fetchone()[0]
    page.tabs.setCurrentWidget(page.preview)
    window.session.select_record(record_id)
    qtbot.waitUntil(lambda: "Too long for the context of 4,096 tokens" in page.preview.note.text())
    assert len(page.preview.text.toPlainText()) < 250_000


def test_the_difference_is_marked(shown: Shown) -> None:
    _, page, _ = shown
    page.tabs.setCurrentWidget(page.difference)
    assert "shipped prompt" in page.difference.note.text()
    copied(page)
    assert "says the same as analyse v2" in page.difference.note.text()
    type_into(page, "after", "Go.")
    page.save()
    assert page.difference.note.text() == "analyse v2: 1 line added (+), 1 taken away (−)."
    lines = page.difference.text.toPlainText().splitlines()
    assert f"− {load_prompt().after.strip()}" in lines
    assert "+ Go." in lines


def test_trying_runs_the_judge_with_this_prompt(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    window, page, project = shown
    asked: list[tuple[str, list[str]]] = []
    job = Job("try", QProcess(page))
    monkeypatch.setattr(window.session, "start", lambda kind, words: asked.append((kind, list(words))) or job)
    record_id = window.session.record_id
    assert record_id is not None
    page.list.setCurrentRow(1)
    page.try_record()
    assert asked == [("try", [str(project.path), "--record", record_id, "--prompt", "quick"])]
    assert "Trying “quick”" in page.trial.note.text()
    job.result = RESULT
    window.session.tasks.finished.emit(job)
    assert "96 tokens written, 1,412 read, in 7.4 s" in page.trial.note.text()
    assert "Wrong sum" in page.trial.after.toPlainText()
    assert "Error 0" in page.trial.before.toPlainText()
    assert project.undoable() is None


def test_a_try_of_another_page_is_not_shown_here(shown: Shown) -> None:
    window, page, _ = shown
    other = Job("try", QProcess(page))
    other.result = RESULT
    window.session.tasks.finished.emit(other)
    assert not page.trial.is_showing
    page.show_try(RESULT)
    assert not page.trial.is_showing


def test_a_try_that_failed_can_be_done_again(shown: Shown) -> None:
    window, page, _ = shown
    job = Job("try", QProcess(page))
    job.error = KnownError(tr("It did not work."))
    page._tried = _Tried(job, window.session.record_id or "", "full")
    window.session.tasks.finished.emit(job)
    assert page._tried is None
    assert page.trial.button.isEnabled()


def test_wide_or_narrow_all_is_there(shown: Shown, qtbot: Any) -> None:
    window, page, _ = shown
    assert page.tabs.indexOf(page._texts) == 0, "beside both docks there is no room for the texts"
    window.left.hide()
    window.right.hide()
    qtbot.waitUntil(lambda: page.tabs.indexOf(page._texts) == -1)
    assert page.editor.isVisible() and page.preview.isVisible()
    window.left.show()
    window.right.show()
    qtbot.waitUntil(lambda: page.tabs.indexOf(page._texts) == 0)


def test_fields_are_as_high_as_their_texts(shown: Shown, qtbot: Any) -> None:
    _, page, _ = shown
    copied(page)
    field = page.editor.fields["after"]
    low = field.height()
    type_into(page, "after", "one\ntwo\nthree\nfour")
    qtbot.waitUntil(lambda: field.height() > 2 * low)
    assert not field.verticalScrollBar().maximum()


def test_what_another_window_does_is_seen(shown: Shown) -> None:
    window, page, project = shown
    with Project.open(project.path) as other:
        actor = other.annotator("Bo Lee")
        save_prompt(other, copy_of(other, load_prompt("quick")), actor=actor)
    window.session.poll()
    assert names(page) == ["full  ✓ in use", "quick", "quick copy"]


def test_without_a_project_it_says_so(window: Window) -> None:
    window.prompts.show()
    assert "No project is open" in window.prompts._empty.text
    for deed in (window.prompts.new_copy, window.prompts.remove, window.prompts.use, window.prompts.try_record):
        deed()


def test_everything_has_a_name_and_a_key(shown: Shown) -> None:
    _, page, _ = shown
    for widget in (page.list, page.tabs, page.preview.text, page.difference.text, page.trial.before, page.trial.after):
        assert widget.accessibleName()
    assert [field.accessibleName() for field in page.editor.fields.values()] == [
        str(title) for title in FIELDS.values()
    ]
    for button in (page.copy_button, page.rename_button, page.remove_button, page.trial.button):
        assert "&" in button.text() and button.toolTip()


def test_light_and_dark(shown: Shown) -> None:
    window, page, _ = shown
    copied(page)
    type_into(page, "after", "Go.")
    page.tabs.setCurrentWidget(page.difference)
    for scheme in ("dark", "light"):
        window.theme.apply(scheme, 1.0)
        assert window.theme.scheme.bad in page.editor.problems["after"].styleSheet()
        assert window.theme.scheme.good in page.difference.text.toHtml()
