"""The window on a project that has a proposal of every kind, and what tests of the queue press and read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt

from app.window import Window
from errormap_core.project import queries
from errormap_core.project.store import Project
from tests.app.queue_building import Built


@dataclass(slots=True)
class Queue:
    """The open window; `category`, `records` and `kind` are ids: of categories by name, failures, proposals by kind."""

    window: Window
    qtbot: Any
    category: dict[str, str]
    records: list[str]
    kind: dict[str, str]

    @property
    def project(self) -> Project:
        assert self.window.session.project is not None
        return self.window.session.project

    @property
    def page(self) -> Any:
        return self.window.review

    @property
    def shown(self) -> str | None:
        """Id of the proposal on the card."""
        current: str | None = self.page._current
        return current

    def show(self, kind: str) -> Any:
        """Show the proposal of a kind; its card."""
        self.window.session.select_proposal(self.kind[kind])
        assert self.shown == self.kind[kind]
        return self.page.frame.card

    def press(self, *keys: Qt.Key | str, on: Any = None) -> None:
        """Press keys one after the other, where the focus is."""
        app = self.window
        for key in keys:
            target = on or app.focusWidget() or app
            if isinstance(key, str):
                self.qtbot.keyClicks(target, key)
            else:
                self.qtbot.keyClick(target, key)

    def category_of(self, record: int) -> str:
        """Name of the category in which the nth failure counts; '' for none."""
        row = queries.failure_rows(self.project.db, [self.records[record]])[self.records[record]]
        return self.project.tree.live(row.category_id).name if row.category_id else ""

    def names(self) -> set[str]:
        """Paths of the categories that are not reserved."""
        tree = self.project.tree
        return {tree.path(c.id) for c in tree if c.reserved is None}

    def effect(self) -> str:
        """What the card says that accepting would touch, once it is known."""
        text = self.page.frame.effect
        self.qtbot.waitUntil(lambda: bool(text.text()), timeout=3000)
        said: str = text.text()
        return said


def open_queue(window: Window, qtbot: Any, path: Path) -> Queue:
    built = Built(path).propose_all()
    built.project.close()
    assert window.session.open(path)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.show_page("review")
    window.review.focus_list()
    return Queue(window, qtbot, built.category, built.records, {kind: new.id for kind, new in built.by_kind.items()})
