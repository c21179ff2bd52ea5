"""Strips of the frame: errors above the work, running jobs and the last step in the status bar."""

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QToolButton, QWidget

from app.tasks.runner import Job
from app.theme import Theme
from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

SHOW_STEP_MS = 15_000


class MessageStrip(QWidget):
    """One error at a time above the pages: what, where, what to do; stays until it is dismissed."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._label = QLabel(self)
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(self._label.textInteractionFlags().TextSelectableByMouse)
        close = QToolButton(self)
        close.setText("✕")
        close.setAccessibleName(str(tr("Dismiss the message")))
        close.setToolTip(str(tr("Dismiss the message")))
        close.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.addWidget(self._label, 1)
        layout.addWidget(close)
        self.hide()

    def show_error(self, error: KnownError) -> None:
        self._label.setText(f"⚠  {error}")
        colour = self._theme.scheme.bad
        self._label.setStyleSheet(f"color: {colour};")
        self.setAccessibleName(str(error))
        self.show()

    @property
    def text(self) -> str:
        return self._label.text() if not self.isHidden() else ""


class TaskStrip(QWidget):
    """The jobs that run: which, how far, how fast, time left, and a button that stops them."""

    stop = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._bar = QProgressBar(self)
        self._bar.setFixedWidth(140)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(str(tr("Progress of the work")))
        self._button = QPushButton(str(tr("Stop")), self)
        self._button.setToolTip(str(tr("Stop the work; it can go on later (Ctrl+.)")))
        self._button.clicked.connect(self.stop)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        for widget in (self._bar, self._label, self._button):
            layout.addWidget(widget)
        self.hide()

    def show_jobs(self, jobs: list[Job]) -> None:
        self.setVisible(bool(jobs))
        if not jobs:
            return
        self._label.setText("   ".join(str(job.sentence()) for job in jobs))
        progress = jobs[0].progress
        if progress is None or not progress.total:
            self._bar.setRange(0, 0)
        else:
            self._bar.setRange(0, progress.total)
            self._bar.setValue(progress.done)
        self._button.setEnabled(not all(job.is_stopping for job in jobs))

    @property
    def text(self) -> str:
        return self._label.text()


class StepStrip(QWidget):
    """What was done last, with Undo beside it where it can be undone."""

    undo = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._label.setMinimumWidth(260)
        self._label.setAlignment(self._label.alignment().AlignRight | self._label.alignment().AlignVCenter)
        self._button = QPushButton(str(tr("Undo")), self)
        self._button.setToolTip(str(tr("Take back this step (Ctrl+Z)")))
        self._button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the focus where the keys are
        self._button.clicked.connect(self.undo)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.addWidget(self._label, 1)
        layout.addWidget(self._button)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._clear)
        self._button.hide()

    def tell(self, sentence: Sentence, can_undo: bool) -> None:
        self._label.setText(str(sentence))
        self._label.setToolTip(str(sentence))
        self._button.setVisible(can_undo)
        self._timer.start(SHOW_STEP_MS)

    def _clear(self) -> None:
        self._label.clear()
        self._button.hide()

    @property
    def text(self) -> str:
        return self._label.text()
