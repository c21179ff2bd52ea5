"""The page of models: rows and their sentences, details, what its buttons do, and that nothing is left asking."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QProcess, Qt

from app.judging.dialog import JudgeDialog
from app.models.page import ModelsPage
from app.tasks.runner import Job
from app.window import Window
from errormap_core.errors import KnownError
from errormap_core.judge import devices
from errormap_core.judge.memory import MemoryThere
from errormap_core.judge.model_file import embedded_model_path
from errormap_core.judge.models_report import COLUMNS
from errormap_core.sentences import tr
from tests.core.judge.gguf_making import CHAT, EMBEDDING, VISION, write

Opened = tuple[Window, list[str]]

KEYS = [key for key, _ in COLUMNS]

SPEED = {
    "model": "x",
    "prefill_tokens_per_s": 150.0,
    "decode_tokens_per_s": 50.0,
    "threads": 2,
    "sequences": 4,
    "batch": 512,
    "flash_attention": True,
    "copy": {"format": "Q8_0", "bytes": 90_000_000, "path": "/x/copy.gguf"},
}
TRIED = {
    "analysis": {
        "error_title": "Day for <b>week</b>",
        "error_summary": "Another period.",
        "required_criteria": [
            {
                "criterion": "Per day",
                "present_in_wrong": True,
                "quality": "incorrect",
                "evidence": "$18",
                "comment": "No.",
            },
            {"criterion": "A unit", "present_in_wrong": False, "quality": None, "evidence": "", "comment": ""},
        ],
    },
    "prompt_tokens": 1342,
    "completion_tokens": 131,
    "seconds": 9.8,
    "text": "{}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models"
    made.mkdir()
    write(made / "tiny.gguf", CHAT)
    write(made / "embeds.gguf", EMBEDDING)
    write(made / "sees.gguf", VISION)
    (made / "cut.gguf").write_bytes((made / "tiny.gguf").read_bytes()[:-4000])
    (made / "notes.gguf").write_text("hello", encoding="utf-8")
    return made


@pytest.fixture
def page(opened: Opened, folder: Path, qtbot: Any) -> ModelsPage:
    """The page with a folder read, and one that is not there."""
    window, _ = opened
    window.session.settings["models.folders"] = [str(folder), str(folder / "gone")]
    window.do("judge.models")
    assert window.tabs.currentWidget() is window.models
    ready(window.models, qtbot)
    return window.models


def ready(page: ModelsPage, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not page.is_asking(), timeout=30_000)


def row_of(page: ModelsPage, name: str) -> int:
    return next(row for row in range(page.table.rowCount()) if page._entry_at(row).path.name == name)


def cell(page: ModelsPage, name: str, key: str) -> str:
    item = page.table.item(row_of(page, name), KEYS.index(key))
    assert item is not None
    return item.text()


def choose(page: ModelsPage, name: str) -> None:
    page.table.setCurrentCell(row_of(page, name), 0)


def test_every_file_is_a_row_with_figures_or_a_sentence(page: ModelsPage) -> None:
    assert cell(page, "tiny.gguf", "kind") == "chat"
    assert (cell(page, "tiny.gguf", "licence"), cell(page, "tiny.gguf", "context")) == ("mit", "2,048")
    assert cell(page, "embeds.gguf", "kind") == "⚠  embedding"
    assert cell(page, "sees.gguf", "kind") == "⚠  vision"
    for name, sentence in (
        ("cut.gguf", "of its weights are missing"),
        ("notes.gguf", "not a GGUF file"),
        ("gone", "There is no such folder."),
    ):
        assert sentence in cell(page, name, "kind")
        assert page.table.columnSpan(row_of(page, name), 1) == len(COLUMNS) - 1
    assert page.table.columnSpan(row_of(page, "tiny.gguf"), 1) == 1
    assert "Folders: " in page.folders.text()
    assert "llama-cpp-python 0." in page.able.text()


def test_sorting_keeps_numbers_in_order_and_sentences_in_their_rows(page: ModelsPage) -> None:
    page.table.sortItems(KEYS.index("size"), Qt.SortOrder.DescendingOrder)
    sizes = [e.model.size_bytes if e.model else 0 for e in map(page._entry_at, range(page.table.rowCount()))]
    assert sizes == sorted(sizes, reverse=True)
    assert page.table.columnSpan(row_of(page, "notes.gguf"), 1) == len(COLUMNS) - 1
    assert page.table.columnSpan(row_of(page, "tiny.gguf"), 1) == 1


def test_the_judge_is_selected_first_and_told_in_words(page: ModelsPage) -> None:
    entry = page.selected()
    assert entry is not None and entry.path == embedded_model_path()
    assert cell(page, entry.path.name, "name").endswith("(judge)")
    assert "This is the judge" in page.details._verdict.text()
    assert not page.details.use_button.isEnabled()
    assert "98 MB" in cell(page, entry.path.name, "size")


def test_details_say_what_the_file_says(page: ModelsPage) -> None:
    choose(page, "tiny.gguf")
    details = page.details
    assert "A chat model" in details._verdict.text()
    assert "of memory" in details._memory.text()
    assert "that are free" in details.bar.text()
    assert not details.template.isVisible()
    details.template_toggle.setChecked(True)
    assert details.template.isVisible()
    assert details.template.toPlainText() == "{{ messages[0].content }}"
    details.metadata_toggle.setChecked(True)
    keys = [details.metadata.item(row, 0).text() for row in range(details.metadata.rowCount())]  # type: ignore[union-attr]
    assert "llama.attention.head_count_kv" in keys
    choose(page, "notes.gguf")
    assert "Choose a model in llama.cpp's format" in details._verdict.text()
    assert not details.template_toggle.isVisible()
    assert not details.bar.isVisible()
    for button in (details.use_button, details.try_button, details.measure_button):
        assert not button.isEnabled()
    choose(page, "embeds.gguf")
    assert "turns a text into numbers" in details._verdict.text()
    assert not details.use_button.isEnabled()


def test_a_model_becomes_the_judge_and_the_embedded_one_again(page: ModelsPage, folder: Path) -> None:
    settings = page._session.settings
    choose(page, "tiny.gguf")
    page.details.use_button.click()
    assert settings["judge.model"] == str(folder / "tiny.gguf")
    assert cell(page, "tiny.gguf", "name") == "tiny (judge)"
    assert not cell(page, embedded_model_path().name, "name").endswith("(judge)")
    choose(page, embedded_model_path().name)
    page.details.use_button.click()
    assert settings["judge.model"] == ""


def test_a_judge_that_is_gone_is_a_row_with_its_sentence(opened: Opened, tmp_path: Path, qtbot: Any) -> None:
    window, _ = opened
    window.session.settings["judge.model"] = str(tmp_path / "gone.gguf")
    window.do("judge.models")
    ready(window.models, qtbot)
    assert "no such judge's model" in cell(window.models, "gone.gguf", "kind")
    assert cell(window.models, "gone.gguf", "name") == "gone (judge)"


def test_too_large_for_memory_is_told_with_the_numbers(page: ModelsPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.models.page.memory_there", lambda: MemoryThere(10**7, 10**8))
    page._restyle()
    choose(page, "tiny.gguf")
    page._restyle()
    assert cell(page, "tiny.gguf", "memory").startswith("⚠  ")
    assert "10 MB are free" in page.details._verdict.text()
    assert not page.details.try_button.isEnabled()
    monkeypatch.undo()
    page._show_selected()
    page._restyle()
    assert not cell(page, "tiny.gguf", "memory").startswith("⚠")


def test_folders_are_added_and_removed(
    opened: Opened, folder: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    page = window.models
    window.do("judge.models")
    ready(page, qtbot)
    assert "Add a folder" in page.folders.text()
    assert not page.remove_button.isEnabled()
    monkeypatch.setattr("app.models.page.ask_folder", lambda *_: folder)
    page.add_button.click()
    assert "Reading" in page.folders.text()
    ready(page, qtbot)
    assert window.session.settings["models.folders"] == [str(folder)]
    assert cell(page, "tiny.gguf", "kind") == "chat"
    page._remove_menu.actions()[0].trigger()
    ready(page, qtbot)
    assert window.session.settings["models.folders"] == []
    assert [entry.is_embedded for entry in page.entries] == [True] * len(page.entries)


def test_reading_again_keeps_what_is_selected(page: ModelsPage, qtbot: Any) -> None:
    choose(page, "tiny.gguf")
    page.again_button.click()
    ready(page, qtbot)
    entry = page.selected()
    assert entry is not None and entry.path.name == "tiny.gguf"


def test_nothing_is_left_asking_when_the_page_is_left(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    window.do("judge.models")
    assert window.models._reader.is_running
    window.show_page("history")
    assert not window.models._reader.is_running
    assert window.models.findChildren(QProcess) == [] or all(
        p.state() == QProcess.ProcessState.NotRunning for p in window.models.findChildren(QProcess)
    )
    window.do("judge.models")
    ready(window.models, qtbot)
    assert window.models.entries


def test_a_reader_that_dies_is_told(opened: Opened, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    window, _ = opened
    broken = (sys.executable, "-c", "import sys; print('not ours'); sys.exit('no memory')")
    monkeypatch.setattr("errormap_core.judge.catalogue.COMMAND", broken)
    monkeypatch.setattr("errormap_core.judge.devices.COMMAND", broken)
    window.do("judge.models")
    ready(window.models, qtbot)
    assert "The models could not be read. no memory" in window.strip.text
    assert "could not be asked" in window.models.able.text()


# Trying and measuring


def started(page: ModelsPage, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What the page starts from now on, which is not run."""
    calls: list[tuple[str, list[str]]] = []

    def start(kind: str, arguments: list[str]) -> Job:
        calls.append((kind, arguments))
        return Job(kind, QProcess(page))

    monkeypatch.setattr(page._session, "start", start)
    return calls


def finish(page: ModelsPage, result: dict[str, Any] | None) -> None:
    job, _ = page._asked[0]
    job.result = result or {}
    job.error = None if result else KnownError(tr("It failed."))
    page._session.tasks.finished.emit(job)


def test_trying_asks_for_the_selected_failure_and_shows_what_came(
    page: ModelsPage, opened: Opened, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, ids = opened
    choose(page, "tiny.gguf")
    window.session.select_record(None)
    assert not page.details.try_button.isEnabled()
    assert "Select a failure first" in page.details.try_button.toolTip()
    window.session.select_record(ids[0])
    assert page.details.try_button.isEnabled()
    calls = started(page, monkeypatch)
    page.details.try_button.click()
    project = window.session.project
    assert project is not None
    model = str(folder / "tiny.gguf")
    assert calls == [("try", [str(project.path), "--record", ids[0], "--model", model])]
    assert "Trying" in page.details.tried.text()
    choose(page, "notes.gguf")
    assert page.details.tried.text() == ""
    choose(page, "tiny.gguf")
    assert "Trying" in page.details.tried.text(), "what is under way is told again"
    choose(page, embedded_model_path().name)
    finish(page, TRIED)
    assert page.details.tried.text() == "", "it is the other model's"
    choose(page, "tiny.gguf")
    shown = page.details.tried.text()
    assert "Day for <b>week</b>" in shown, "what a model writes is no markup"
    assert "incorrect" in shown and "missing" in shown and "1,342" in shown


def test_a_try_that_fails_leaves_nothing(page: ModelsPage, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    window, ids = opened
    window.session.select_record(ids[0])
    choose(page, "tiny.gguf")
    started(page, monkeypatch)
    page.details.try_button.click()
    finish(page, None)
    assert page.details.tried.text() == ""
    assert not page.details.tried.isVisible()
    assert page.details.try_button.isEnabled()


def test_a_try_of_another_page_is_not_shown_here(page: ModelsPage) -> None:
    choose(page, "tiny.gguf")
    job = Job("try", QProcess(page))
    job.result = TRIED
    page._session.tasks.finished.emit(job)
    assert page.details.tried.text() == ""


def test_speed_is_measured_and_said_in_words(page: ModelsPage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(page, "tiny.gguf")
    calls = started(page, monkeypatch)
    page.details.measure_button.click()
    assert calls == [("tune", ["--model", str(folder / "tiny.gguf")])]
    assert "Measuring" in page.details.speed.text()
    finish(page, SPEED)
    shown = page.details.speed.text()
    assert "reads 150 tokens a second and writes 50.0" in shown
    assert "about 15 s" in shown
    assert "failures at once 4" in shown and "flash attention on" in shown
    assert "/x/copy.gguf (90 MB)" in shown
    page.show_speed({**SPEED, "copy": None, "sequences": None, "decode_tokens_per_s": 0})
    assert "copy" not in page.details.speed.text()


# The judge's dialog


def test_layers_are_offered_only_where_llama_can_offload(
    opened: Opened, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, _ = opened
    dialog = JudgeDialog(window.session, window)
    dialog.show()
    qtbot.waitUntil(lambda: dialog._has_answer, timeout=30_000)
    assert not dialog.gpu.isVisible()
    assert "built without GPU support" in dialog.offload.text()
    dialog.reject()
    card = {"name": "CUDA0", "description": "A card", "kind": "gpu", "memory_free": 1, "memory_total": 2 * 10**9}
    answer = {"library": "llama-cpp-python 1", "can_offload": True, "system_info": "", "devices": [card]}
    monkeypatch.setattr(devices, "COMMAND", (sys.executable, "-c", f"print({json.dumps(answer)!r})"))
    dialog = JudgeDialog(window.session, window)
    dialog.show()
    qtbot.waitUntil(lambda: dialog._has_answer, timeout=30_000)
    assert dialog.gpu.isVisible()
    assert "CUDA0: A card" in dialog.offload.text()
    dialog.reject()


def test_everything_has_a_name_and_the_keyboard_reaches_it(page: ModelsPage) -> None:
    details = page.details
    for widget in (page.table, details, details.bar, details.template, details.metadata):
        assert widget.accessibleName()
    for widget in (page.table, page.add_button, page.remove_button, details.use_button, details.template_toggle):
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert page.table.hasFocus()
