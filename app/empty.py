"""What a pane shows that has nothing to show: why, and what to do next, with the button that does it."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.plain import Label
from errormap_core.sentences import Sentence


class EmptyState(QWidget):
    """A sentence and at most two buttons in the middle of an empty pane."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = Label(self)
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._label.setForegroundRole(self.foregroundRole().PlaceholderText)
        self._buttons = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.addStretch(1)
        layout.addWidget(self._label)
        layout.addSpacing(12)
        layout.addLayout(self._buttons)
        layout.addStretch(2)

    def say(self, text: Sentence, *actions: tuple[str, Callable[[], object]]) -> None:
        """Show a sentence and buttons (text, what it does); the first is the one to press."""
        self._label.setText(str(text))
        self.setAccessibleName(str(text))
        while (item := self._buttons.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self._buttons.addStretch(1)
        for place, (title, action) in enumerate(actions):
            button = QPushButton(title, self)
            button.setProperty("primary", place == 0)
            button.clicked.connect(lambda _=False, act=action: act())
            self._buttons.addWidget(button)
        self._buttons.addStretch(1)

    @property
    def text(self) -> str:
        return self._label.text()
