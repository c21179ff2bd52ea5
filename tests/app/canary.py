"""A file that nothing may open, what texts that name it look like, and all places of the window that show texts."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QPoint, Qt
from PySide6.QtGui import QAction, QHelpEvent, QImage
from PySide6.QtGui import Qt as Guessing
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QMenu,
    QTextEdit,
    QToolTip,
    QWidget,
)

IN_OPEN = 0x20
IN_NONBLOCK = os.O_NONBLOCK


class Canary:
    """A picture; Linux tells of each time that anything in this machine opens it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "c.png"
        image = QImage(4, 4, QImage.Format.Format_RGB32)
        image.fill(0)
        assert image.save(str(self.path))
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(IN_NONBLOCK)
        assert self._fd >= 0, os.strerror(ctypes.get_errno())
        assert libc.inotify_add_watch(self._fd, os.fsencode(self.path), IN_OPEN) >= 0, os.strerror(ctypes.get_errno())

    def n_opened(self) -> int:
        """How often it was opened since it was asked last."""
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return 0
        n = at = 0
        while at < len(data):
            (length,) = struct.unpack_from("I", data, at + 12)
            n, at = n + 1, at + 16 + length
        return n

    def close(self) -> None:
        os.close(self._fd)

    def payloads(self) -> list[str]:
        """Texts that make whatever takes them for markup open the file; the current folder is the file's."""
        url, path, name = self.path.as_uri(), str(self.path), self.path.name
        return [
            f'<img src="{path}"> R&D <table background="{name}"><tr><td>x</table> & more',
            f'<img src="{path}"> R&D',
            f"<table background='{name}'><tr><td>R&D</table>",
            f'<img src="{url}">',
            f'<img src="{name}"> & more',
            f'<body background="{url}">x</body>',
            f'<p style="background-image: url({path})">x</p>',
            f'<link rel="stylesheet" href="{url}"><b>x</b>',
            f'<style>@import url("{url}");</style><i>x</i>',
            f"![x]({url})",
            f'<?xml version="1.0"?><img src="{path}">',
            f'&lt;b <img src="{path}">',
            f'<qt><img src="{path}"></qt>',
        ]


def show_tip(widget: QWidget, place: QPoint) -> str:
    """Ask a widget for its tooltip as the mouse does, and let it be painted; what it says."""
    app = QApplication.instance()
    assert app is not None
    app.sendEvent(widget, QHelpEvent(QEvent.Type.ToolTip, place, widget.mapToGlobal(place)))
    if not QToolTip.isVisible():
        return ""
    for tip in QApplication.topLevelWidgets():
        if tip.inherits("QTipLabel"):
            tip.grab()
    said = QToolTip.text()
    QToolTip.hideText()
    return said


def _indexes(view: QAbstractItemView, rows: int = 4) -> Iterator[QModelIndex]:
    model = view.model()
    todo = [QModelIndex()]
    while todo:
        parent = todo.pop()
        for row in range(min(model.rowCount(parent), rows)):
            n_columns = 1 if isinstance(model, QAbstractListModel) else min(model.columnCount(parent), 8)
            for column in range(n_columns):
                yield model.index(row, column, parent)
            todo.append(model.index(row, 0, parent))


class Look:
    """Looks at all that a window shows, and keeps what is markup or has a key out of data."""

    def __init__(self, canary: Canary) -> None:
        self.canary = canary
        self.faults: list[str] = []
        self.n_tips = 0
        self.n_texts = 0
        self._seen: set[tuple[str, str]] = set()

    def at(self, where: str, window: QWidget) -> None:
        """Paint this window, show every tooltip in it, and look at every text."""
        window.grab()
        for widget in [window, *window.findChildren(QWidget)]:
            if not widget.isVisible():
                continue
            self._text(where, widget)
            if widget.toolTip() and self._is_new(widget, widget.toolTip()):
                self._tip(where, widget, QPoint(1, 1))
            if isinstance(widget, QAbstractItemView) and not isinstance(widget, QHeaderView):
                self._items(where, widget)
        for action in window.findChildren(QAction):
            self._keys(where, action.text())
        self._opened(where)

    def menu(self, where: str, menu: QMenu) -> None:
        menu.aboutToShow.emit()
        menu.ensurePolished()
        menu.grab()
        for action in menu.actions():
            self._keys(where, action.text())
        self._opened(where)

    def _opened(self, where: str) -> None:
        if self.canary.n_opened():
            self.faults.append(f"{where}: the file was opened")

    def _is_new(self, widget: QWidget, text: str) -> bool:
        key = type(widget).__name__, text
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    def _tip(self, where: str, widget: QWidget, place: QPoint) -> None:
        said = show_tip(widget, place)
        self.n_tips += bool(said)
        if Guessing.mightBeRichText(said):
            self.faults.append(f"{where}: the tooltip of {type(widget).__name__} is markup: {said[:80]}")

    def _items(self, where: str, view: QAbstractItemView) -> None:
        for index in _indexes(view):
            tip = index.data(Qt.ItemDataRole.ToolTipRole)
            if tip and Guessing.mightBeRichText(str(tip)):
                self.faults.append(f"{where}: a tooltip in {type(view).__name__} is markup: {str(tip)[:80]}")
            if tip and self._is_new(view, str(tip)) and (rect := view.visualRect(index)).isValid():
                self._tip(where, view.viewport(), rect.center())

    def _text(self, where: str, widget: QWidget) -> None:
        kind = type(widget).__name__
        if isinstance(widget, QLabel):
            self.n_texts += 1
            guessed = widget.textFormat() == Qt.TextFormat.AutoText and Guessing.mightBeRichText(widget.text())
            if guessed or widget.textFormat() == Qt.TextFormat.RichText:
                self.faults.append(f"{where}: {kind} shows markup: {widget.text()[:80]}")
            if widget.buddy() is not None:
                self._keys(where, widget.text())
        elif isinstance(widget, QAbstractButton):
            self._keys(where, widget.text())
        elif isinstance(widget, QComboBox):
            widget.view().grab()
        elif isinstance(widget, QTextEdit) and "<img" in widget.document().toHtml():
            self.faults.append(f"{where}: {kind} holds a picture")

    def _keys(self, where: str, text: str) -> None:
        if any(words in text.replace("&&", "") for words in ("R&D", "& more")):
            self.faults.append(f"{where}: an & of a name is a key: {text[:80]}")
