"""The first screen: the sample, recent projects, new, open; a CSV or a project can be dropped anywhere."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from app.plain import Label, ListItem, set_tooltip
from app.theme import HEADING, Theme
from errormap_core.sentences import Sentence, tr


class StartPage(QWidget):
    """Where one begins."""

    open_path = Signal(object)

    def __init__(
        self, theme: Theme, *, new: Callable[[], None], open_: Callable[[], None], sample: Callable[[], None]
    ) -> None:
        super().__init__()
        self._theme = theme
        self._title = Label(str(tr("ErrorMap Studio")), self)
        self._text = Label(
            str(
                tr(
                    "Benchmarks say when a model fails. Find out why: import results, let a local model diagnose every "
                    "failure, and curate the categories yourself. Nothing leaves this machine."
                )
            ),
            self,
        )
        self._text.setWordWrap(True)
        buttons = QHBoxLayout()
        self._buttons: list[QPushButton] = []
        titles: list[tuple[Sentence, Callable[[], None]]] = [
            (tr("Open the sample"), sample),
            (tr("New project…"), new),
            (tr("Open a project…"), open_),
        ]
        for place, (title, action) in enumerate(titles):
            button = QPushButton(str(title), self)
            button.setProperty("primary", place == 0)
            button.clicked.connect(lambda _=False, act=action: act())
            buttons.addWidget(button)
            self._buttons.append(button)
        buttons.addStretch(1)
        self._recent_title = Label(str(tr("Recent projects")), self)
        self._recent = QListWidget(self)
        self._recent.setAccessibleName(str(tr("Recent projects")))
        self._recent.itemActivated.connect(self._on_activated)
        self._recent.setMaximumHeight(220)
        self._hint = Label(str(tr("Or drop a CSV of results, or a project, anywhere in this window.")), self)
        self._hint.setForegroundRole(self._hint.foregroundRole().PlaceholderText)
        column = QVBoxLayout()
        column.setSpacing(12)
        column.addStretch(2)
        column.addWidget(self._title)
        column.addWidget(self._text)
        column.addSpacing(8)
        column.addLayout(buttons)
        column.addSpacing(16)
        column.addWidget(self._recent_title)
        column.addWidget(self._recent)
        column.addWidget(self._hint)
        column.addStretch(3)
        box = QWidget(self)
        box.setLayout(column)
        box.setMaximumWidth(720)
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(box, 8)
        layout.addStretch(1)
        theme.changed.connect(self._restyle)
        self._restyle()

    def show_recent(self, paths: list[Path]) -> None:
        self._recent.clear()
        for path in paths:
            item = ListItem(f"{path.stem}    {path.parent}")
            item.setData(Qt.ItemDataRole.UserRole, path)
            set_tooltip(item, str(path))
            self._recent.addItem(item)
        self._recent.setVisible(bool(paths))
        self._recent_title.setVisible(bool(paths))
        self._buttons[0].setFocus()

    def _on_activated(self, item: QListWidgetItem) -> None:
        self.open_path.emit(item.data(Qt.ItemDataRole.UserRole))

    def _restyle(self) -> None:
        self._title.setFont(self._theme.font(size=HEADING * 1.4, semibold=True))
        self._recent_title.setFont(self._theme.font(size=1.1, semibold=True))
