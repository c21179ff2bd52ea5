"""What is said of steps that wait for the project's file: in the status bar at once, above the pages once it takes long."""

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from app.opening import Opening
from app.plain import Label, literal, set_tooltip, words
from app.step_queue import StepQueue
from app.theme import Theme
from errormap_core.sentences import Sentence, tr, trn

RENEW_MS = 1_000
"""So often it is looked anew who has locked the file."""


def state_of(steps: StepQueue) -> Sentence:
    """Whether all is saved, as the status bar says it."""
    n = len(steps.waiting)
    return trn("Waiting to save {n:,} step …", "Waiting to save {n:,} steps …", n) if n else tr("Saved")


class WaitingStrip(QWidget):
    """Why steps are not saved, that they are kept, and what can be done; there for as long as that is so."""

    def __init__(self, steps: StepQueue, opening: Opening, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps, self._opening, self._theme = steps, opening, theme
        self._label = Label(self)
        self._label.setWordWrap(True)
        self.retry = QPushButton(words(tr("&Retry now")), self)
        self.retry.clicked.connect(lambda _=False: self._retry())
        self.drop = QPushButton(self)
        self.drop.setAccessibleName(str(tr("Discard the steps that wait")))
        self.drop.clicked.connect(lambda _=False: self._give_up())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.addWidget(self._label, 1)
        for button in (self.retry, self.drop):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the focus where the keys are
            layout.addWidget(button)
        self._timer = QTimer(self)
        self._timer.setInterval(RENEW_MS)
        self._timer.timeout.connect(self._say)
        steps.changed.connect(self._say)
        opening.changed.connect(self._say)
        theme.changed.connect(self._restyle)
        self._restyle()
        self.hide()

    @property
    def text(self) -> str:
        return self._label.text() if not self.isHidden() else ""

    def _say(self) -> None:
        waits_to_open = self._opening.problem()
        problem = waits_to_open or self._steps.problem()
        self.setVisible(problem is not None)
        if problem is None:
            self._timer.stop()
            return
        self._label.setText(f"⚠  {problem}")
        self.setAccessibleName(str(problem))
        n = len(self._steps.waiting)
        text = tr("Do not open it") if waits_to_open else trn("Discard {n:,} step", "Discard {n:,} steps", n)
        self.drop.setText(literal(text))
        tip = tr("") if waits_to_open else tr("They are not saved then; Redo takes them again")
        set_tooltip(self.drop, str(tip))
        if not self._timer.isActive():
            self._timer.start()

    def _retry(self) -> None:
        self._opening.retry()
        self._steps.retry()

    def _give_up(self) -> None:
        if self._opening.is_waiting:
            self._opening.stop()
        else:
            self._steps.discard()

    def _restyle(self) -> None:
        self._label.setStyleSheet(f"color: {self._theme.scheme.bad};")
