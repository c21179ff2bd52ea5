"""What the window says of a damaged project, above the pages: what happened, and the two ways back as buttons."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QWidget

from app.plain import Label, set_tooltip, words
from app.theme import Theme
from errormap_core.errors import KnownError
from errormap_core.sentences import tr


class DamageStrip(QWidget):
    """Stays as long as the damaged project is open: nothing can be edited, and why must not be out of sight."""

    restore = Signal()
    repair = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._label = Label(self)
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(self._label.textInteractionFlags().TextSelectableByMouse)
        self.restore_button = QPushButton(words(tr("Restore a backup…")), self)
        self.restore_button.clicked.connect(self.restore)
        self.repair_button = QPushButton(words(tr("Repair into a copy…")), self)
        self.repair_button.clicked.connect(self.repair)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.addWidget(self._label, 1)
        layout.addWidget(self.restore_button)
        layout.addWidget(self.repair_button)
        self._close = QToolButton(self)
        self._close.setText("✕")
        self._close.setAccessibleName(str(tr("Dismiss the message")))
        set_tooltip(self._close, str(tr("Dismiss the message")))
        self._close.clicked.connect(self.hide)
        layout.addWidget(self._close)
        theme.changed.connect(self._restyle)
        self._restyle()
        self.hide()

    def show_damage(self, error: KnownError, *, is_open: bool) -> None:
        """Say that the project is damaged, and whether it can be read all the same."""
        reads = tr(" It is open for reading only.") if is_open else ""
        text = f"⚠  {error.where}\n{error.what}{reads}"
        self._label.setText(text)
        self.setAccessibleName(text)
        self._close.setVisible(not is_open)
        self.show()

    @property
    def text(self) -> str:
        return self._label.text() if not self.isHidden() else ""

    def _restyle(self) -> None:
        self._label.setStyleSheet(f"color: {self._theme.scheme.bad};")
