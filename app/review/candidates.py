"""The likely places of a failure, each with its number key, its probability as a bar and in figures, its description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QEnterEvent, QFocusEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QAbstractButton, QGridLayout, QSizePolicy, QWidget

from app.plain import LONGEST_LINE, literal, one_line, set_tooltip
from app.theme import Theme
from errormap_core.sentences import tr
from errormap_core.taxonomy.asking import Became

BAR = 72

SMALL_BAR = 32

WIDE = 340
"""From this width on in pixels there is room for the whole bar."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A likely place: id of a category or of a proposal to make one, its name, probability in [0, 1], description."""

    id: str
    name: str
    probability: float
    description: str = ""
    is_proposed: bool = False


class CandidateButton(QAbstractButton):
    """One candidate. Two lines where there is a description and room for it. Its probability is shown `with_share` only:
    before people answered, nothing is known of how often such figures are right."""

    pointed = Signal(bool)  # the mouse or the focus came, or went

    def __init__(
        self, theme: Theme, number: int, candidate: Candidate, parent: QWidget, *, with_share: bool = True
    ) -> None:
        super().__init__(parent)
        self.with_share = with_share
        self._theme, self.number, self.candidate = theme, number, candidate
        self._is_under_mouse = self._is_same = self._is_brief = False
        self._became: Became | None = None
        self.key = str(number)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._say()

    def mark(self, is_same: bool) -> None:
        """Show whether it is taken for the one that the failure is placed in."""
        self._is_same = is_same
        self._say()

    def say_became(self, became: Became | None) -> None:
        """Show what became of it since it is shown; its number and its name stay."""
        self._became = became
        self._say()

    def show_brief(self, is_brief: bool) -> None:
        """Leave the description to the tooltip."""
        self._is_brief = is_brief
        self.updateGeometry()
        self.update()

    @property
    def is_gone(self) -> bool:
        """Whether no failure can be placed in it any more."""
        return self._became is not None and self._became.is_gone

    def _say(self) -> None:
        name = self._name()
        self.setText(literal(name))
        spoken = tr("{n}: {name}", n=self.number, name=name)
        if self.with_share:
            spoken = tr("{said}, {share:.0%}", said=spoken, share=self.candidate.probability)
        said = f"{spoken}" if self._became is None else f"{spoken}. {self._became.change}"
        self.setAccessibleName(one_line(said))
        tip = [name, "" if self._became is None else str(self._became.change), self.candidate.description]
        if self.with_share:
            tip.append(str(tr("{share:.0%} is the program's own figure, made before your answer.",
                              share=self.candidate.probability)))  # fmt: skip
        set_tooltip(self, "\n".join(filter(None, tip)))
        self.update()

    def _name(self) -> str:
        if self._is_same:
            return str(tr("= {name}", name=self._plain_name()))
        return self._plain_name()

    def _plain_name(self) -> str:
        if self.candidate.is_proposed:
            return str(tr("{name} (proposed)", name=self.candidate.name))
        return self.candidate.name

    def _note(self) -> str:
        """What became of it, in the least words."""
        became = self._became
        if became is None:
            return ""
        if became.is_gone:
            return str(tr("⚠ gone"))
        return str(tr("⚠ now “{name}”", name=became.now)) if became.now != self.candidate.name else str(tr("⚠ changed"))

    @property
    def _has_two_lines(self) -> bool:
        return bool(self.candidate.description) and not self._is_brief

    def sizeHint(self) -> QSize:
        line = self.fontMetrics().height()
        n = 2 if self._has_two_lines else 1
        return QSize(240, max(self._theme.row_height(), n * line + 10))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def enterEvent(self, event: QEnterEvent) -> None:
        self._is_under_mouse = True
        self.pointed.emit(True)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._is_under_mouse = False
        self.pointed.emit(self.hasFocus())
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.pointed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.pointed.emit(self._is_under_mouse)

    def paintEvent(self, event: QPaintEvent) -> None:
        scheme, metrics = self._theme.scheme, self.fontMetrics()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = self.rect().adjusted(1, 1, -1, -1)
        self._paint_back(painter, room)
        line = metrics.height()
        left, top = room.left() + 8, room.top() + (room.height() - line * (2 if self._has_two_lines else 1)) // 2
        key_width = max(metrics.horizontalAdvance(self.key), metrics.horizontalAdvance("0")) + 12
        painter.setFont(self._theme.font(semibold=True))
        painter.setPen(QColor(scheme.muted if self.is_gone else scheme.accent))
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRect(left, top, key_width, line), middle, self.key)
        bar = 0 if not self.with_share else BAR if self.width() >= WIDE else SMALL_BAR
        share_width = metrics.horizontalAdvance("100%") + 8 if self.with_share else 0
        words = QRect(left + key_width, top, room.right() - left - key_width - bar - share_width - 20, line)
        note = self._note()
        if note:
            at = QRect(words.left(), top, room.right() - words.left() - 6, line)
            wide = min(metrics.horizontalAdvance(note) + 8, at.width() * 2 // 3)
            painter.setFont(self._theme.font())
            painter.setPen(QColor(scheme.warn))
            said = metrics.elidedText(note, Qt.TextElideMode.ElideRight, wide)
            painter.drawText(at, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), said)
            words.setWidth(at.width() - wide - 8)
        font = self._theme.font(semibold=self.number == 1 and not self.is_gone)
        font.setStrikeOut(self.is_gone)
        painter.setFont(font)
        painter.setPen(QColor(scheme.muted if self.is_gone else scheme.text))
        name = painter.fontMetrics().elidedText(one_line(self._name()), Qt.TextElideMode.ElideRight, words.width())
        painter.drawText(words, middle, name)
        if not note and self.with_share:
            self._paint_share(
                painter, QRect(room.right() - bar - share_width - 8, top, bar + share_width + 2, line), bar
            )
        if self._has_two_lines:
            painter.setFont(self._theme.font())
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            below = QRect(words.left(), top + line, room.right() - words.left() - 8, line)
            text = one_line(" ".join(self.candidate.description[:LONGEST_LINE].split()))
            painter.drawText(below, middle, metrics.elidedText(text, Qt.TextElideMode.ElideRight, below.width()))
        painter.end()

    def _paint_back(self, painter: QPainter, room: QRect) -> None:
        scheme = self._theme.scheme
        if self._is_same or self._is_under_mouse or self.isDown() or (self.number == 1 and not self.is_gone):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(scheme.selection if self._is_same else scheme.raised))
            painter.drawRoundedRect(room, 6, 6)
        if self.hasFocus():
            painter.setPen(QColor(scheme.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(room, 6, 6)

    def _paint_share(self, painter: QPainter, room: QRect, width: int) -> None:
        """The probability as a bar of this width, and in figures."""
        scheme = self._theme.scheme
        bar = QRect(room.left(), room.center().y() - 2, width, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(scheme.line))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setBrush(QColor(scheme.accent))
        filled = QRect(bar.left(), bar.top(), max(4, round(width * self.candidate.probability)), 6)
        painter.drawRoundedRect(filled, 3, 3)
        painter.setFont(self._theme.font())
        painter.setPen(QColor(scheme.text))
        share = f"{self.candidate.probability:.0%}"
        painter.drawText(room, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), share)


class CandidateList(QWidget):
    """At most nine candidates, as many as there are number keys, in one column or in two."""

    chosen = Signal(str)
    pointed = Signal(str)  # the one that is under the mouse or has the focus; '' for none

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.buttons: list[CandidateButton] = []
        self._n_columns = 1
        self._is_brief = False
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(_gap(False))

    def show_candidates(
        self, candidates: Sequence[Candidate], keys: Sequence[str], *, with_shares: bool = True
    ) -> None:
        """Show these, the likeliest first; `keys` are what the number keys are called."""
        for button in self.buttons:
            button.blockSignals(True)  # the focus leaves it while it goes
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = []
        for number, candidate in enumerate(candidates, start=1):
            button = CandidateButton(self._theme, number, candidate, self, with_share=with_shares)
            button.show_brief(self._is_brief)
            button.clicked.connect(lambda _=False, c=candidate.id: self.chosen.emit(c))
            button.pointed.connect(lambda on, c=candidate.id: self.pointed.emit(c if on else ""))
            self.buttons.append(button)
        self.say_keys(keys)
        self._place()

    def say_keys(self, keys: Sequence[str]) -> None:
        for place, button in enumerate(self.buttons):
            button.key = keys[place] if place < len(keys) else ""
            button.update()

    def say_became(self, became: Mapping[str, Became]) -> None:
        """Show what became of each since it is shown, by its id."""
        for button in self.buttons:
            button.say_became(became.get(button.candidate.id))

    def arrange(self, n_columns: int, *, is_brief: bool) -> None:
        """Show them in so many columns, without descriptions where `is_brief`."""
        if (n_columns, is_brief) == (self._n_columns, self._is_brief):
            return
        self._n_columns, self._is_brief = n_columns, is_brief
        self._grid.setVerticalSpacing(_gap(is_brief))
        for button in self.buttons:
            button.show_brief(is_brief)
        self._place()

    def height_of(self, n_columns: int, *, is_brief: bool) -> int:
        """How high they would be so, in pixels."""
        rows = -(-len(self.buttons) // n_columns)
        lines = self.fontMetrics().height()
        heights = [
            max(self._theme.row_height(), (2 if b.candidate.description and not is_brief else 1) * lines + 10)
            for b in self.buttons
        ]
        columns = [heights[at : at + rows] for at in range(0, len(heights), rows)] if rows else []
        highest = [max(column[row] for column in columns if row < len(column)) for row in range(rows)]
        return sum(highest) + _gap(is_brief) * max(0, rows - 1)

    def _place(self) -> None:
        """One below the other, and on in the next column."""
        rows = max(1, -(-len(self.buttons) // self._n_columns))
        for place, button in enumerate(self.buttons):
            self._grid.removeWidget(button)
            self._grid.addWidget(button, place % rows, place // rows)
            button.show()  # at once: the layout would do so later, and keys may come before
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < self._n_columns else 0)
        self.updateGeometry()


def _gap(is_brief: bool) -> int:
    """Pixels between rows."""
    return 0 if is_brief else 2
