"""Strips of the frame: errors above the work, running jobs and the last step in the status bar."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QToolButton, QWidget

from app.keys import KeyMap
from app.plain import Label, set_tooltip, words
from app.tasks.runner import Job
from app.theme import Theme
from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

SHOW_STEP_MS = 15_000
COUNT_DOWN_MS = 2_000
LEAST_TEXT = 80


class Elided(Label):
    """A line of text that ends in … where there is no room for all of it."""

    def minimumSizeHint(self) -> QSize:
        return QSize(LEAST_TEXT, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        room = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room.width())
        painter = QPainter(self)
        self.style().drawItemText(
            painter, room, int(self.alignment()), self.palette(), self.isEnabled(), text, self.foregroundRole()
        )
        painter.end()


class MessageStrip(QWidget):
    """One error at a time above the pages: what, where, what to do; stays until it is dismissed."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._act: Callable[[], object] = self.hide
        self._label = Label(self)
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(self._label.textInteractionFlags().TextSelectableByMouse)
        close = QToolButton(self)
        close.setText("✕")
        close.setAccessibleName(str(tr("Dismiss the message")))
        set_tooltip(close, str(tr("Dismiss the message")))
        close.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        self.button = QPushButton(self)
        self.button.setAccessibleName(str(tr("What can be done about the message")))  # until a message names it
        self.button.clicked.connect(self._press)
        layout.addWidget(self._label, 1)
        layout.addWidget(self.button)
        layout.addWidget(close)
        self.hide()

    def show_error(self, error: KnownError, deed: tuple[Sentence, Callable[[], object]] | None = None) -> None:
        """Show what is wrong, with a button for what mends it."""
        self._show(f"⚠  {error}", self._theme.scheme.bad, deed)
        self.setAccessibleName(str(error))

    def show_note(self, note: Sentence, deed: tuple[Sentence, Callable[[], object]] | None = None) -> None:
        """Show what is no error, with a button for what comes next."""
        self._show(str(note), self._theme.scheme.text, deed)
        self.setAccessibleName(str(note))

    def _press(self) -> None:
        self._act()

    def _show(self, text: str, colour: str, deed: tuple[Sentence, Callable[[], object]] | None) -> None:
        self._label.setText(text)
        self._label.setStyleSheet(f"color: {colour};")
        self.button.setVisible(deed is not None)
        if deed is not None:
            self.button.setText(words(deed[0]))
            self.button.setAccessibleName(words(deed[0]))
            self._act = deed[1]
        self.show()

    @property
    def text(self) -> str:
        return self._label.text() if not self.isHidden() else ""


class TaskStrip(QWidget):
    """The jobs that run: which, how far, how fast, time left, and buttons that pause and stop them."""

    stop = Signal()
    pause = Signal()

    def __init__(self, keys: KeyMap, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        self._label = Elided(self)
        self._bar = QProgressBar(self)
        self._bar.setFixedWidth(140)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(str(tr("Progress of the work")))
        self.pause_button = QPushButton(str(tr("Pause")), self)
        self.pause_button.clicked.connect(self.pause)
        self._button = QPushButton(str(tr("Stop")), self)
        self._button.clicked.connect(self.stop)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        for widget in (self._bar, self._label, self.pause_button, self._button):
            layout.addWidget(widget)
        for button in (self.pause_button, self._button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the focus where the keys are
        self._jobs: list[Job] = []
        self._timer = QTimer(self)
        self._timer.setInterval(COUNT_DOWN_MS)
        self._timer.timeout.connect(self._show_texts)
        keys.follow(self._say_keys)
        self.hide()

    def set_narrow(self, is_narrow: bool) -> None:
        """In a narrow window there is no room for the bar beside the words."""
        self._bar.setVisible(not is_narrow)

    def show_jobs(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self.setVisible(bool(jobs))
        if not jobs:
            self._timer.stop()
            return
        if not self._timer.isActive():
            self._timer.start()
        self._show_texts()
        judge = next((job for job in jobs if job.can_pause), None)
        self.pause_button.setVisible(judge is not None)
        if judge is not None:
            self.pause_button.setText(str(tr("Resume") if judge.is_paused else tr("Pause")))
            self._say_keys()
            self.pause_button.setEnabled(judge.wants_pause is None)
        progress = jobs[0].progress
        if progress is None or not progress.total:
            self._bar.setRange(0, 0)
        else:
            self._bar.setRange(0, progress.total)
            self._bar.setValue(progress.done)
        self._button.setEnabled(not all(job.is_stopping for job in jobs))

    def _say_keys(self) -> None:
        set_tooltip(self._button, self._keys.hinted(tr("Stop the work; it can go on later"), "judge.stop"))
        is_paused = any(job.can_pause and job.is_paused for job in self._jobs)
        tip = tr("Let the judge go on") if is_paused else tr("Pause the judge")
        set_tooltip(self.pause_button, self._keys.hinted(tip, "judge.pause"))

    def _show_texts(self) -> None:
        """The time left goes on while no result comes."""
        self._label.setText("   ".join(str(job.sentence()) for job in self._jobs))
        told = (f"{job.sentence()}\n{job.details()}".strip() for job in self._jobs)
        set_tooltip(self._label, "\n\n".join(told))

    @property
    def text(self) -> str:
        return self._label.text()


class StepStrip(QWidget):
    """What was done last, with Undo beside it where it can be undone."""

    undo = Signal()

    def __init__(self, keys: KeyMap, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = Elided(self)
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.set_narrow(False)
        self._label.setAlignment(self._label.alignment().AlignRight | self._label.alignment().AlignVCenter)
        self._button = QPushButton(str(tr("Undo")), self)
        tip = tr("Take back this step")
        keys.follow(lambda: set_tooltip(self._button, keys.hinted(tip, "edit.undo")))
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

    def set_narrow(self, is_narrow: bool) -> None:
        self._label.setMinimumWidth(120 if is_narrow else 260)

    def tell(self, sentence: Sentence, can_undo: bool) -> None:
        self._label.setText(str(sentence))
        set_tooltip(self._label, str(sentence))
        self._button.setVisible(can_undo)
        self._timer.start(SHOW_STEP_MS)

    def forget(self) -> None:
        """Nothing was done: another project is open, or none."""
        self._timer.stop()
        self._clear()

    def _clear(self) -> None:
        self._label.clear()
        self._button.hide()

    @property
    def text(self) -> str:
        return self._label.text()
