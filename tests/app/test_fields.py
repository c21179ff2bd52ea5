"""Fields: numbers in one locale, and a wheel that turns nothing on its way past."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.fields import ChoiceField, DecimalField, WholeField

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["de_DE", "fr_FR", "en_US", "ar_EG"])
def locale(request: pytest.FixtureRequest) -> Iterator[str]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def typed(qtbot: QtBot, field: DecimalField | WholeField, text: str) -> str:
    qtbot.addWidget(field)
    field.show()
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    return field.text()


@pytest.mark.parametrize(
    ("text", "shown", "value"),
    [("0.5", "0.5", 0.5), ("0,5", "0.5", 0.5), ("0.025", "0.025", 0.025), ("1", "1", 1.0), (",25", ".25", 0.25)],
)
def test_a_point_and_a_comma_are_the_decimal_mark(
    qtbot: QtBot, locale: str, text: str, shown: str, value: float
) -> None:
    field = DecimalField()
    field.setDecimals(6)
    field.setRange(0.0, 1.0)
    assert typed(qtbot, field, text) == shown
    assert field.value() == value


@pytest.mark.parametrize(("text", "value"), [("1,000.5", 1000.5), ("1000,5", 1000.5), ("12.5", 12.5)])
def test_a_number_that_is_pasted(qtbot: QtBot, locale: str, text: str, value: float) -> None:
    field = DecimalField()
    field.setRange(0.0, 1e6)
    qtbot.addWidget(field)
    field.selectAll()
    QApplication.clipboard().setText(text)
    field.lineEdit().paste()
    assert field.value() == value


def test_a_whole_number_has_western_digits_and_no_signs_between(qtbot: QtBot, locale: str) -> None:
    field = WholeField()
    field.setRange(0, 2_000_000)
    assert typed(qtbot, field, "1234567") == "1234567"
    assert field.value() == 1_234_567
    typed(qtbot, field, "1,000")
    assert field.value() == 1000


def test_what_is_shown_has_no_zeros_behind(qtbot: QtBot) -> None:
    field = DecimalField()
    qtbot.addWidget(field)
    field.setDecimals(6)
    field.setRange(0.0, 1000.0)
    for value, shown in ((1.0, "1"), (0.02, "0.02"), (0.0, "0"), (100.0, "100"), (0.000001, "0.000001")):
        field.setValue(value)
        assert field.text() == shown


def wheel(field: QWidget) -> bool:
    """Turn the wheel over a field as the window system does; whether it took it."""
    at = QPointF(field.rect().center())
    event = QWheelEvent(
        at, QPointF(field.mapToGlobal(at.toPoint())), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    event.ignore()
    QApplication.sendEvent(field, event)
    return event.isAccepted()


def test_the_wheel_turns_only_the_field_that_has_the_focus(qtbot: QtBot) -> None:
    area = QScrollArea()
    qtbot.addWidget(area)
    page = QWidget()
    column = QVBoxLayout(page)
    whole, decimal, choice = WholeField(page), DecimalField(page), ChoiceField(page)
    choice.addItems(["a", "b", "c"])
    editable = ChoiceField(page)
    editable.setEditable(True)
    editable.addItems(["a", "b", "c"])
    for field in (whole, decimal, choice, editable):
        field.setMinimumHeight(200)
        column.addWidget(field)
    whole.setValue(50)
    decimal.setValue(50)
    area.setWidget(page)
    area.resize(300, 300)
    with qtbot.waitExposed(area):
        area.show()
    area.activateWindow()
    area.setFocus()
    for field in (whole, decimal, choice, editable):
        assert not wheel(field), "it is left to the page, which scrolls"
        assert (whole.value(), decimal.value(), choice.currentIndex(), editable.currentIndex()) == (50, 50, 0, 0)
        assert not field.hasFocus()
    whole.setFocus()
    wheel(whole)
    assert whole.value() == 49
    choice.setFocus()
    wheel(choice)
    assert choice.currentIndex() == 1
    editable.setFocus()
    wheel(editable)
    assert editable.currentIndex() == 1


def test_there_are_no_other_fields() -> None:
    """Qt's own take the system's locale, and the wheel at any time."""
    forbidden = {"QSpinBox", "QDoubleSpinBox", "QComboBox", "QSlider", "QDial", "QDateTimeEdit", "QFontComboBox"}
    found = set()
    for path in sorted((ROOT / "app").rglob("*.py")):
        if path.name == "fields.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in forbidden:
                found.add(f"{path.name}: {node.func.id}")
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                found |= {f"{path.name}: {node.name}" for base in bases & forbidden}
    assert not found


@pytest.mark.parametrize(("decimals", "text"), [(6, "0.012345"), (2, "0.25"), (8, "0.12345678")])
def test_a_number_is_seen_whole(qtbot: QtBot, decimals: int, text: str) -> None:
    """Before, a field from 0 to 1 was as wide as these."""
    field = DecimalField()
    qtbot.addWidget(field)
    field.setRange(0.0, 1.0)
    field.setDecimals(decimals)
    field.setValue(float(text))
    field.resize(field.minimumSizeHint())
    field.show()
    assert field.text() == text
    assert field.lineEdit().width() > field.fontMetrics().horizontalAdvance(text) + 2
