"""Fields to set a number or choose from a list, as every dialog has them.

Numbers are typed as every sentence of the program writes them: a decimal point, whatever the system's language. The wheel
turns a field only while it has the focus, so that scrolling a page changes nothing on the way.
"""

from PySide6.QtCore import QLocale, QSize, Qt
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QSpinBox, QWidget

NUMBERS = QLocale(QLocale.Language.C)
"""How numbers are written in fields: a decimal point, no signs between thousands."""

MOST_SEEN = 8
"""So many decimals are seen at once."""


def _keeps_still(field: QAbstractSpinBox | QComboBox) -> None:
    """Let only a click or Tab give the field the focus: by default the wheel does, and would turn it at once."""
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


def _as_written(text: str) -> str:
    """A number as this program writes it: where it has a comma and no point, the comma is the decimal mark; next to a point,
    commas stand between thousands."""
    return text.replace(",", "") if "." in text else text.replace(",", ".")


class WholeField(QSpinBox):
    """A whole number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setLocale(NUMBERS)
        _keeps_still(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class DecimalField(QDoubleSpinBox):
    """A number with decimals. A comma that is typed becomes the decimal point before one's eyes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setLocale(NUMBERS)
        _keeps_still(self)

    def validate(self, text: str, place: int) -> tuple[QValidator.State, str, int]:
        written = _as_written(text)
        state, _, _ = super().validate(written, place)
        return state, written, min(place, len(written))

    def sizeHint(self) -> QSize:
        return self._with_decimals(super().sizeHint())

    def minimumSizeHint(self) -> QSize:
        return self._with_decimals(super().minimumSizeHint())

    def _with_decimals(self, size: QSize) -> QSize:
        """Qt makes it as wide as its least and its greatest value: 0 and 1, where 0.0125 is typed and 0125 would be seen."""
        shown = "." + "0" * min(self.decimals(), MOST_SEEN)
        return size + QSize(self.fontMetrics().horizontalAdvance(shown), 0)

    def textFromValue(self, value: float) -> str:
        """Without zeros that say nothing."""
        text = super().textFromValue(value)
        return text.rstrip("0").rstrip(".") if "." in text else text

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class ChoiceField(QComboBox):
    """One of several."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _keeps_still(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()
