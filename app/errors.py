"""Where all errors of the window end: a sentence for what is the world's fault, the log for what is ours."""

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import platformdirs
from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from errormap_core.errors import KnownError
from errormap_core.sentences import tr

log = logging.getLogger("errormap_studio")

Show = Callable[[KnownError], None]


def log_path() -> Path:
    return Path(platformdirs.user_log_dir("errormap-studio")) / "errormap-studio.log"


def install(show: Show) -> None:
    """Send uncaught errors of Python and threads, and Qt's messages, to one handler; `show` shows a sentence."""
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log.addHandler(logging.FileHandler(path, encoding="utf-8", delay=True))
    except OSError as error:
        log.addHandler(logging.StreamHandler())
        log.warning("no log file: %s", error)
    seen: set[str] = set()

    def handle(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KnownError):
            show(error)
            return
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("unexpected error", exc_info=(kind, error, trace))
        sys.__excepthook__(kind, error, trace)
        if repr(error) not in seen:  # a defect that repeats is shown once
            seen.add(repr(error))
            show(
                KnownError(
                    tr("Something went wrong that should not ({error}).", error=f"{kind.__name__}: {error}"),
                    fix=tr("Your work is saved. The details are in {path}.", path=path),
                )
            )

    sys.excepthook = handle
    threading.excepthook = lambda args: handle(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    qInstallMessageHandler(_on_qt)


def _on_qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    level = logging.ERROR if kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg) else logging.WARNING
    if kind in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg):
        level = logging.DEBUG
    log.log(level, "Qt: %s (%s:%s)", text, context.file, context.line)
