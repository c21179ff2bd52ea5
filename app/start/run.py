"""Starts Qt and opens the window."""

import sys
from pathlib import Path

from PySide6.QtCore import QLocale, QTimer
from PySide6.QtWidgets import QApplication

from app import errors
from app.fields import NUMBERS
from app.session import Session
from app.theme import Theme
from app.window import Window
from errormap_core.settings import UserSettings


def make_window(app: QApplication, settings: UserSettings | None = None) -> Window:
    """The window with its session and theme, not shown yet."""
    QLocale.setDefault(NUMBERS)  # every sentence has a decimal point, so Qt's own texts have one too
    settings = settings or UserSettings()
    theme = Theme(app)
    session = Session(settings, theme)
    window = Window(session, theme)
    session.setParent(window)
    window.deeds.apply_look()
    for problem in settings.problems:
        window.strip.show_error(problem)
    return window


FRAMED_MS = 200
"""After so long the window has its frame, whose size only the desktop knows."""


def open_window(path: Path | None, *, sample: bool) -> int:
    """Open the window, on a project or the sample, and run until it is closed; returns the exit code."""
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("errormap-studio")
    app.setApplicationDisplayName("ErrorMap Studio")
    app.setDesktopFileName("errormap-studio")
    window = make_window(app)
    errors.install(window.strip.show_error)
    window.show()
    window.restore_layout()
    QTimer.singleShot(FRAMED_MS, window, window.fit_screen)
    if sample:
        QTimer.singleShot(0, window, window.deeds.open_sample)
    elif path is not None:
        QTimer.singleShot(0, window, lambda: window.deeds.open_path(path))
    code: int = app.exec()
    return code
