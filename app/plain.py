"""Text that comes from data is only text: the one home of everything in the window that Qt could take for markup.

Labels and tooltips of Qt guess whether a text is markup, and markup opens the files that it names. A category
could then hang the window by its name, or drop the locks of the project. So nothing else in `app` may use the classes
and methods that guess (tests/test_plain_text.py insists); what is here shows every letter as it is, characters that
nobody sees by a sign, and of a text without end its beginning.
"""

import re
import textwrap
from collections.abc import Iterable
from typing import Any, Protocol, overload

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QAction, QTextOption
from PySide6.QtGui import Qt as Guessing
from PySide6.QtWidgets import (
    QLabel,
    QListWidgetItem,
    QPlainTextEdit,
    QTableWidgetItem,
    QTabWidget,
    QTextEdit,
    QTreeWidgetItem,
    QWidget,
)

from errormap_core.sentences import Sentence
from errormap_core.visible_text import visible

LONGEST = 3_000
"""Characters of a text that a label or tooltip shows; of a longer one the rest is not worth what it takes."""

LONGEST_LINE = 400
"""Characters of a text that stands on one line of a list: more than any is wide."""

_NO_TAG = "\u2060"
"""A word joiner: nothing that begins with it is the name of a tag or of a character."""

_ENDLESS = re.compile(r"[^\s]{2000}")

WIDEST = 110
"""Characters in a line of a tooltip before it is wrapped."""


def shown(text: object, most: int = LONGEST) -> str:
    """The text as it is shown where lines may break: nothing hidden in it, and no more than `most` of it."""
    whole = str(text)
    cut = whole if len(whole) <= most else f"{whole[:most]}…"
    return visible(cut, lines=True)


def one_line(text: object, most: int = LONGEST_LINE) -> str:
    """The text as it is shown on one line of a list."""
    whole = str(text)
    return visible(whole if len(whole) <= most else f"{whole[:most]}…")


def literal(text: object, most: int = LONGEST_LINE) -> str:
    """The text of a button, menu or tab: an & in it is no key."""
    return one_line(text, most).replace("&", "&&")


def words(sentence: Sentence) -> str:
    """The program's own words, in which an & names a key. Raises ValueError where they have values, which may be data."""
    if sentence.values:
        raise ValueError(f"{sentence.template!r} has values: use literal(…)")
    return str(sentence)


def tooltip(text: object) -> str:
    """The text as a tooltip that shows it, wrapped. Where Qt would guess markup, a character that nobody sees stands behind
    each sign that it guesses by: so the text is none, and looks the same."""
    said = "\n".join(piece for line in shown(text).split("\n") for piece in _wrapped(line))
    if Guessing.mightBeRichText(said):
        said = said.replace("<", f"<{_NO_TAG}").replace("&", f"&{_NO_TAG}")
    return said


def _wrapped(line: str) -> list[str]:
    return [line] if len(line) <= WIDEST else textwrap.wrap(line, WIDEST, replace_whitespace=False) or [""]


class _HasTip(Protocol):
    def setToolTip(self, text: str, /) -> None: ...


@overload
def set_tooltip(target: "QTreeWidgetItem", text: object, column: int) -> None: ...
@overload
def set_tooltip(target: "QWidget | QAction | _HasTip", text: object) -> None: ...
def set_tooltip(target: Any, text: object, column: int | None = None) -> None:
    """Give a widget, action or item a tooltip that shows the text; a tree's item also names the column."""
    if column is None:
        target.setToolTip(tooltip(text))
    else:
        target.setToolTip(column, tooltip(text))


def set_tab_tooltip(tabs: QTabWidget, place: int, text: object) -> None:
    """Give a tab a tooltip that shows the text."""
    tabs.setTabToolTip(place, tooltip(text))


def set_title(window: QWidget, text: object) -> None:
    """The title of a window; Qt takes [*] in one for a mark of its own."""
    window.setWindowTitle(one_line(text).replace("[*]", "[*][*]"))


class Label(QLabel):
    """A label that shows what it is given, letter by letter."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*(word for word in words if not isinstance(word, str)))
        super().setTextFormat(Qt.TextFormat.PlainText)
        for word in words:
            if isinstance(word, str):
                self.setText(word)

    def setText(self, text: str) -> None:
        super().setText(shown(text))


class ListItem(QListWidgetItem):
    """An entry of a list."""

    def __init__(self, text: str = "") -> None:
        super().__init__(shown(text))

    def setText(self, text: str) -> None:
        super().setText(shown(text))


class TableItem(QTableWidgetItem):
    """A cell of a table."""

    def __init__(self, text: str = "") -> None:
        super().__init__(one_line(text))

    def setText(self, text: str) -> None:
        super().setText(one_line(text))


class TreeItem(QTreeWidgetItem):
    """A row of a tree, by itself or below another."""

    def __init__(self, parent: QTreeWidgetItem | None = None, texts: Iterable[str] = ()) -> None:
        found = [one_line(text) for text in texts]
        super().__init__(found) if parent is None else super().__init__(parent, found)

    def setText(self, column: int, text: str) -> None:
        super().setText(column, one_line(text))


class WritingField(QPlainTextEdit):
    """A text of several lines to write. A word without end is broken anywhere: to look for a better place would take seconds."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*(word for word in words if not isinstance(word, str)))
        for word in words:
            if isinstance(word, str):
                self.setPlainText(word)

    def setPlainText(self, text: str) -> None:
        self._break(text)
        super().setPlainText(text)

    def insertFromMimeData(self, source: QMimeData) -> None:
        self._break(source.text())
        super().insertFromMimeData(source)

    def _break(self, text: str) -> None:
        if _ENDLESS.search(text):
            self.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)


class PlainView(QTextEdit):
    """A document to read. It takes and gives plain text, and opens nothing that a text names."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setAcceptRichText(False)

    def loadResource(self, kind: int, name: Any) -> Any:
        """Nothing is loaded, whatever a document asks for."""
        return b""

    def createMimeDataFromSelection(self) -> QMimeData:
        """What is copied is text, without the colours of the window."""
        data = QMimeData()
        data.setText(self.textCursor().selection().toPlainText())
        return data
