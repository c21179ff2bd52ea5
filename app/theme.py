"""Colours, sizes and spacing: one table for the light and the dark scheme; plots take theirs from it too."""

from dataclasses import dataclass

import pyqtgraph as pg
from PySide6.QtCore import QObject, QPointF, Qt, QTemporaryDir, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPalette, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QPushButton, QStyleFactory


@dataclass(frozen=True, slots=True)
class Scheme:
    """Colours by role; contrasts on their surfaces are at least 4.5:1 for text, 3:1 for series."""

    name: str
    window: str
    surface: str
    raised: str
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    selection: str
    good: str
    warn: str
    bad: str
    evidence: str
    series: tuple[str, ...]


LIGHT = Scheme(
    "light", "#f6f7f9", "#ffffff", "#eef0f3", "#d5d9e0", "#1c2027", "#5b6472", "#1f5fbf", "#ffffff", "#d6e4fb",
    "#1a7f4b", "#9a5b00", "#b3261e", "#ffe9a8",
    ("#3b6fb6", "#c8404f", "#2e8b57", "#a87400", "#168394", "#8e44ad", "#a0522d", "#6b7a00", "#b8457f", "#5b6472",
     "#0f766e", "#6a48e8"),
)  # fmt: skip
DARK = Scheme(
    "dark", "#16191e", "#1e2228", "#272c34", "#3a414c", "#e7eaef", "#a0a9b8", "#7fb0ff", "#0e1420", "#24395a",
    "#5fce94", "#f0b35a", "#ff8a80", "#5c4a12",
    ("#6f9fe0", "#e8717f", "#58b985", "#e0a93a", "#4cc0d0", "#b98ad6", "#cf8a60", "#a3b43c", "#e090bf", "#a0a9b8",
     "#45b5aa", "#a08cff"),
)  # fmt: skip

SPACE = 8
"""Spacing goes in steps of 4: 4, 8, 12, 16, 24."""

ROW = 28
"""Least height of rows and of what is clicked, in pixels at 100 %."""

HEADING = 1.25
SUBHEADING = 1.1


class Theme(QObject):
    """The scheme and text size in force; `changed` when either moves."""

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__()
        self._app = app
        self._wanted = "system"
        self._factor = 1.0
        self._system_font = QFont(app.font())
        self._pictures = QTemporaryDir()
        self.scheme = LIGHT
        app.setStyle(QStyleFactory.create("Fusion"))
        app.styleHints().colorSchemeChanged.connect(lambda _: self.apply(self._wanted, self._factor))

    def apply(self, wanted: str, factor: float) -> None:
        """Use the scheme 'light', 'dark' or 'system', and `factor` times the system's text size."""
        self._wanted, self._factor = wanted, factor
        says_dark = self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        self.scheme = DARK if wanted == "dark" or (wanted == "system" and says_dark) else LIGHT
        font = QFont(self._system_font)
        size = self._system_font.pointSizeF()
        font.setPointSizeF((size if size > 0 else 10.0) * factor)
        self._app.setFont(font)
        self._app.setPalette(_palette(self.scheme))
        tick = self._pictures.filePath(f"tick-{self.scheme.name}.png")
        _draw_tick(self.scheme, tick)
        self._app.setStyleSheet(_sheet(self.scheme, factor, tick))
        pg.setConfigOptions(background=self.scheme.surface, foreground=self.scheme.text, antialias=True)
        self.changed.emit()

    def font(self, *, size: float = 1.0, semibold: bool = False) -> QFont:
        """The window's font, larger or smaller; figures are as wide as each other."""
        font = QFont(self._app.font())
        font.setPointSizeF(font.pointSizeF() * size)
        if semibold:
            font.setWeight(QFont.Weight.DemiBold)
        return font

    @property
    def factor(self) -> float:
        """How many times the system's text size."""
        return self._factor

    def row_height(self) -> int:
        return round(ROW * max(1.0, self._factor))


def make_primary(button: QPushButton) -> None:
    """Show a button as the one to press; works also after it was shown."""
    button.setProperty("primary", True)
    button.style().unpolish(button)
    button.style().polish(button)


def make_tight(button: QPushButton) -> None:
    """Show a button with less room around its text, where many stand beside each other."""
    button.setProperty("tight", True)


def _palette(scheme: Scheme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, colour in {
        role.Window: scheme.window,
        role.WindowText: scheme.text,
        role.Base: scheme.surface,
        role.AlternateBase: scheme.raised,
        role.Text: scheme.text,
        role.PlaceholderText: scheme.muted,
        role.Button: scheme.raised,
        role.ButtonText: scheme.text,
        role.BrightText: scheme.bad,
        role.Highlight: scheme.selection,
        role.HighlightedText: scheme.text,
        role.Accent: scheme.accent,
        role.Link: scheme.accent,
        role.LinkVisited: scheme.accent,
        role.ToolTipBase: scheme.raised,
        role.ToolTipText: scheme.text,
        role.Light: scheme.surface,
        role.Midlight: scheme.raised,
        role.Mid: scheme.line,
        role.Dark: scheme.line,
        role.Shadow: scheme.line,
    }.items():
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(scheme.muted))
    return palette


def _draw_tick(scheme: Scheme, path: str) -> None:
    """The tick of a checked box, which a style sheet takes from a file only."""
    picture = QPixmap(26, 26)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(scheme.on_accent), 3.5))
    painter.drawPolyline([QPointF(5, 14), QPointF(11, 20), QPointF(21, 7)])
    painter.end()
    picture.save(path)


def _sheet(scheme: Scheme, factor: float, tick: str) -> str:
    """The little that a palette cannot say."""
    row = round(ROW * max(1.0, factor))
    return f"""
    QToolTip {{ color: {scheme.text}; background: {scheme.raised}; border: 1px solid {scheme.line}; padding: 4px; }}
    QPushButton {{ min-height: {row - 8}px; padding: 3px 12px; border: 1px solid {scheme.line}; border-radius: 6px;
        background: {scheme.raised}; color: {scheme.text}; }}
    QPushButton:hover {{ border-color: {scheme.accent}; }}
    QPushButton:focus {{ border: 2px solid {scheme.accent}; padding: 2px 11px; }}
    QPushButton[tight="true"] {{ padding: 3px 8px; }}
    QPushButton[tight="true"]:focus {{ padding: 2px 7px; }}
    QPushButton:disabled {{ color: {scheme.muted}; }}
    QPushButton[primary="true"] {{ background: {scheme.accent}; color: {scheme.on_accent}; border-color: {scheme.accent}; }}
    QPushButton[primary="true"]:focus {{ border: 2px solid {scheme.text}; }}
    QPushButton[primary="true"]:disabled {{ background: {scheme.raised}; color: {scheme.muted}; border-color: {scheme.line}; }}
    QToolButton {{ min-height: {row - 6}px; min-width: {row - 6}px; border: 1px solid transparent; border-radius: 6px; padding: 2px 6px; }}
    QToolButton:hover {{ background: {scheme.raised}; }}
    QToolButton:checked {{ background: {scheme.selection}; }}
    QToolButton:focus {{ border-color: {scheme.accent}; }}
    QRadioButton::indicator {{ width: 12px; height: 12px; border-radius: 7px; border: 1px solid {scheme.muted}; background: {scheme.surface}; }}
    QRadioButton::indicator:checked {{ width: 4px; height: 4px; border: 5px solid {scheme.accent}; }}
    QCheckBox::indicator, QAbstractItemView::indicator {{ width: 13px; height: 13px; border-radius: 3px; border: 1px solid {scheme.muted}; background: {scheme.surface}; }}
    QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{ border-color: {scheme.accent}; background: {scheme.accent}; image: url({tick}); }}
    QLineEdit, QPlainTextEdit {{ border: 1px solid {scheme.line}; border-radius: 6px;
        padding: 3px 6px; background: {scheme.surface}; min-height: {row - 10}px; }}
    QLineEdit:focus, QPlainTextEdit:focus {{ border-color: {scheme.accent}; }}
    QTreeView, QTableView, QListView, QTextEdit {{ border: none; background: {scheme.surface}; }}
    QTreeView::item, QListView::item {{ min-height: {row}px; }}
    QTreeView:focus, QTableView:focus, QListView:focus, QTextEdit:focus {{ border: 1px solid {scheme.accent}; }}
    QHeaderView::section {{ background: {scheme.surface}; color: {scheme.muted}; border: none;
        border-bottom: 1px solid {scheme.line}; padding: 4px 8px; }}
    QDockWidget::title {{ background: {scheme.window}; padding: 6px 8px; }}
    QMainWindow::separator {{ background: {scheme.line}; width: 1px; height: 1px; }}
    QStatusBar QLabel {{ padding: 0 6px; }}
    QStatusBar {{ border-top: 1px solid {scheme.line}; }}
    QStatusBar::item {{ border: none; }}
    """
