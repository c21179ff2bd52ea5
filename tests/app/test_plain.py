"""What `app.plain` shows is what it is given, letter by letter."""

from typing import Any

import pytest
from PySide6.QtGui import Qt as Guessing
from PySide6.QtWidgets import QPushButton, QTreeWidget

from app.plain import Label, ListItem, PlainView, TableItem, TreeItem, literal, set_tooltip, shown, tooltip, words
from errormap_core.sentences import tr

HOSTILE = [
    '<img src="/dev/zero">',
    "Omits the <b> tag",
    "&lt;br&gt; printed",
    "a < b > c\n<table background='x'>",
    "<?xml version='1.0'?><b>x</b>",
    "<style>@import url(file:///etc/passwd)</style>",
    "![x](file:///etc/passwd)",
]


def plain_of(tip: str) -> str:
    """What is read in a tooltip; it may not be one that Qt takes for markup."""
    assert not Guessing.mightBeRichText(tip)
    return tip.replace("\u2060", "")


@pytest.mark.parametrize("text", [*HOSTILE, "two\nlines", "tabs\tand  blanks", "word " * 60])
def test_a_tooltip_shows_its_text(qtbot: Any, text: str) -> None:
    assert plain_of(tooltip(text)).split() == text.split()
    assert max(map(len, tooltip(text).split("\n"))) < 150


def test_a_tooltip_that_is_plain_stays_as_it_is() -> None:
    assert tooltip("Merge (Ctrl+M)\nOne & all") == "Merge (Ctrl+M)\nOne & all"


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_and_items_show_their_text(qtbot: Any, text: str) -> None:
    label, button = Label(text), QPushButton()
    set_tooltip(button, text)
    assert label.textFormat() == label.textFormat().PlainText and label.text() == text
    tree = QTreeWidget()
    row = TreeItem(texts=[text])
    tree.addTopLevelItem(row)
    set_tooltip(row, text, 0)
    for tip in (button.toolTip(), row.toolTip(0)):
        assert plain_of(tip) == text
    assert ListItem(text).text() == text
    assert TableItem(text).text() == text.replace("\n", "␊")


def test_what_is_hidden_is_shown_and_what_has_no_end_is_cut() -> None:
    assert shown("a\u202eb\x1b\nc") == "a\\u202eb␛\nc"
    assert shown("شركة\u200d") == "شركة\\u200d"
    assert len(shown("x" * 400_000)) < 4_000
    assert len(TableItem("x" * 400_000).text()) < 1_000
    assert literal("R&D <b>") == "R&&D <b>"


def test_words_have_no_values() -> None:
    assert words(tr("Open &recent")) == "Open &recent"
    with pytest.raises(ValueError, match="has values"):
        words(tr("Open {name}", name="x"))


def test_a_document_loads_nothing_and_gives_only_text(qtbot: Any) -> None:
    view = PlainView()
    qtbot.addWidget(view)
    view.setPlainText("<img src='x'> & more")
    view.selectAll()
    copied = view.createMimeDataFromSelection()
    assert copied.text() == "<img src='x'> & more" and not copied.hasHtml()
    assert view.loadResource(2, "file:///etc/passwd") == b""
