"""Fixtures of the window's tests: the real window, offscreen, on a real project file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from app.start.run import make_window
from app.window import Window
from errormap_core.settings import UserSettings
from tests.app.queue_fixtures import Queue, open_queue
from tests.core.building import add_proposals
from tests.core.taxonomy.test_curation import make_project


@pytest.fixture
def window(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    """The window as it starts, without a project. What a project's lists need is waited for, however slow the machine is."""
    monkeypatch.setattr("app.session.AT_ONCE_S", 30.0)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    settings = UserSettings(tmp_path / "settings.json")
    settings["backups.keep"] = 0  # the tests of backups set another
    settings["queue.questions"] = False  # a process with the encoder for each test would take hours; some start it
    made = make_window(app, settings)
    made.show()
    yield made
    made.session.tasks.cancel_all()
    made.close()
    made.rescue.watch.wait()
    made.deleteLater()
    qtbot.wait(1)


@pytest.fixture
def opened(window: Window, tmp_path: Path) -> tuple[Window, list[str]]:
    """The window on a project with 24 analysed failures and four proposals, and the failures' ids."""
    project, ids, _ = make_project(tmp_path / "test.errormap")
    project.close()
    assert window.session.open(tmp_path / "test.errormap")
    return window, ids


@pytest.fixture
def queue(window: Window, qtbot: Any, tmp_path: Path) -> Queue:
    """The page Review on a project with a tree and a proposal of every kind."""
    return open_queue(window, qtbot, tmp_path / "queue.errormap")


__all__ = ["add_proposals"]
