"""The likely places of a failure, each with its number key, its probability as a bar and in figures, its description."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QEnterEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from app.theme import Theme
from errormap_core.sentences import tr

BAR = 72


@dataclass(frozen=True, slots=True)
class Candidate:
    """A likely place: id of a category or of a proposal to make one, its name, probability in [0, 1], description."""

    id: str
    name: str
    probability: float
    description: str = ""
    is_proposed: bool = False


class CandidateButton(QAbstractButton):
    """One candidate. Two lines where there is a description."""

    def __init__(self, theme: Theme, number: int, candidate: Candidate, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self.number, self.candidate = theme, number, candidate
        self._is_under_mouse = False
        self._is_same = False
        self.key = str(number)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        name = self._name()
        self.setText(name.replace("&", "&&"))
        self.setAccessibleName(str(tr("{n}: {name}, {share:.0%}", n=number, name=name, share=candidate.probability)))
        self.setToolTip(f"{name}\n{candidate.description}".strip())

    def mark(self, is_same: bool) -> None:
        """Show whether it is taken for the one that the failure is placed in."""
        self._is_same = is_same
        self.update()

    def _name(self) -> str:
        if self._is_same:
            return str(tr("= {name}", name=self._plain_name()))
        return self._plain_name()

    def _plain_name(self) -> str:
        if self.candidate.is_proposed:
            return str(tr("{name} (proposed)", name=self.candidate.name))
        return self.candidate.name

    def sizeHint(self) -> QSize:
        line = self.fontMetrics().height()
        n = 2 if self.candidate.description else 1
        return QSize(240, max(self._theme.row_height(), n * line + 10))

    def minimumSizeHint(self) -> QSize:
        return QSize(200, self.sizeHint().height())

    def enterEvent(self, event: QEnterEvent) -> None:
        self._is_under_mouse = True
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._is_under_mouse = False
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        scheme, metrics = self._theme.scheme, self.fontMetrics()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = self.rect().adjusted(1, 1, -1, -1)
        if self._is_under_mouse or self.isDown() or self.number == 1:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(scheme.raised))
            painter.drawRoundedRect(room, 6, 6)
        if self.hasFocus():
            painter.setPen(QColor(scheme.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(room, 6, 6)
        line = metrics.height()
        left, top = room.left() + 8, room.top() + (room.height() - line * (2 if self.candidate.description else 1)) // 2
        key_width = max(metrics.horizontalAdvance(self.key), metrics.horizontalAdvance("0")) + 12
        painter.setFont(self._theme.font(semibold=True))
        painter.setPen(QColor(scheme.accent))
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRect(left, top, key_width, line), middle, self.key)
        painter.setFont(self._theme.font(semibold=self.number == 1))
        painter.setPen(QColor(scheme.text))
        share = f"{self.candidate.probability:.0%}"
        share_width = metrics.horizontalAdvance("100%") + 8
        words = QRect(left + key_width, top, room.right() - left - key_width - BAR - share_width - 20, line)
        name = painter.fontMetrics().elidedText(self._name(), Qt.TextElideMode.ElideRight, words.width())
        painter.drawText(words, middle, name)
        bar = QRect(room.right() - BAR - share_width - 8, top + line // 2 - 3, BAR, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(scheme.line))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setBrush(QColor(scheme.accent))
        painter.drawRoundedRect(QRect(bar.left(), bar.top(), max(4, round(BAR * self.candidate.probability)), 6), 3, 3)
        painter.setFont(self._theme.font())
        painter.setPen(QColor(scheme.text))
        figure = QRect(room.right() - share_width - 6, top, share_width, line)
        painter.drawText(figure, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), share)
        if self.candidate.description:
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            below = QRect(words.left(), top + line, room.right() - words.left() - 8, line)
            text = " ".join(self.candidate.description.split())
            painter.drawText(below, middle, metrics.elidedText(text, Qt.TextElideMode.ElideRight, below.width()))
        painter.end()


class CandidateList(QWidget):
    """At most nine candidates, as many as there are number keys."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.buttons: list[CandidateButton] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)

    def show_candidates(self, candidates: Sequence[Candidate], keys: Sequence[str]) -> None:
        """Show these; `keys` are what the number keys are called."""
        for button in self.buttons:
            self._column.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = []
        for number, candidate in enumerate(candidates, start=1):
            button = CandidateButton(self._theme, number, candidate, self)
            button.key = keys[number - 1] if number <= len(keys) else ""
            button.clicked.connect(lambda _=False, c=candidate.id: self.chosen.emit(c))
            self._column.addWidget(button)
            self.buttons.append(button)
