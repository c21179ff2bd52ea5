"""A text of any length is shown in pieces: bounded blocks, what is missing is said, what is copied is the text itself."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt
from PySide6.QtGui import QFont, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.plain import WritingField
from app.records.long_text import MOST, LongText
from app.records.passages import LONGEST_PIECE, Passage, Passages, cost_of, pieces_of
from app.records.quotes import STEP, Looking, is_looked_for, look_through, places_of
from app.window import Window
from errormap_core.project.store import Project
from tests.core.building import add_analyses, add_records

TEXTS = {
    "word": "a" * 400_000,
    "line": "a word and another " * 270_000,
    "lines": "a line of text\n" * 50_000,
    "arabic": "خطأ في الوحدة " * 8_000,
    "cjk": "漢" * 100_000,
    "marks": "a" + "\u0301" * 20_000,
    "emoji": "👨‍👩‍👧‍👦" * 10_000,
    "controls": "\x1b[31m\u202e" * 10_000,
    "empty lines": "\n" * 30_000,
}


def passages_of(*texts: str) -> Passages:
    return Passages([Passage(QTextBlockFormat(), [(text, QTextCharFormat())]) for text in texts])


@pytest.fixture
def view(qtbot: Any) -> LongText:
    made = LongText()
    qtbot.addWidget(made)
    made.resize(460, 600)
    made.show()
    return made


def show(view: LongText, *texts: str, places: dict[str, int] | None = None, stay: bool = False) -> None:
    view.show_passages(passages_of(*texts), base=QFont(), muted=QTextCharFormat(), places=places, stay=stay)


def line_read(view: LongText) -> str:
    """The line some way below the upper edge."""
    return view.cursorForPosition(QPoint(10, 30)).block().text()


def blocks(view: LongText) -> list[str]:
    document = view.document()
    return [document.findBlockByNumber(n).text() for n in range(document.blockCount())]


@pytest.mark.parametrize("name", TEXTS)
def test_pieces_are_bounded_and_together_the_text(name: str) -> None:
    text = TEXTS[name]
    passages, at, end = passages_of(text), (0, 0), 0
    found = []
    while (piece := passages.next(*at)) is not None:
        assert piece.end - piece.start <= LONGEST_PIECE and piece.start == end
        found.append(piece)
        at = passages.after(piece)
        end = piece.end + piece.ends_line
        if len(found) > 200:
            break
    if at[0] == 1:
        assert end == len(text)
    while found:  # backward the places may be others, and nothing is left out either
        last = passages.previous(found[-1].place, found[-1].start)
        found.pop()
        if last is not None and found:
            assert last.end + last.ends_line == found[-1].end + found[-1].ends_line


def test_no_sign_is_torn_and_words_stay_whole() -> None:
    assert all(piece.startswith("👨") and piece.endswith("👦") for piece in pieces_of("👨‍👩‍👧‍👦" * 2_000))
    assert all(not piece.startswith("\u0301") for piece in pieces_of("e\u0301" * 3_000))
    assert all(piece.endswith(" ") for piece in pieces_of("word " * 3_000))
    assert "".join(pieces_of("a" * 9_999)) == "a" * 9_999


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_opened_in_bounded_blocks_and_what_is_missing_is_said(view: LongText, name: str) -> None:
    text = TEXTS[name]
    show(view, text, "the end")
    shown = blocks(view)
    assert sum(cost_of(block) for block in shown) < MOST
    assert max(map(len, shown)) <= LONGEST_PIECE * 6  # signs are longer than what they stand for
    missing = view.n_missing[1]
    assert missing > 0 and view.n_missing[0] == 0
    assert f"{missing:,} more characters" in shown[-1]


def test_scrolling_lays_out_more_and_forgets_what_is_far(view: LongText, qtbot: Any) -> None:
    text = "".join(f"line {n}\n" for n in range(60_000))
    show(view, text)
    bar = view.verticalScrollBar()
    for _ in range(150):
        bar.setValue(bar.value() + 500)
        qtbot.wait(1)
    above, below = view.n_missing
    assert above > 0 and below > 0
    assert sum(cost_of(block) for block in blocks(view)) < 2 * MOST
    lines = [block for block in blocks(view) if block.startswith("line ")]
    first = int(lines[0].split()[1])
    assert lines == [f"line {n}" for n in range(first, first + len(lines))], "in order, and none is left out"
    assert f"{above:,} characters before" in blocks(view)[0]
    for _ in range(400):
        bar.setValue(bar.value() - 500)
        qtbot.wait(1)
    assert view.n_missing[0] == 0
    assert blocks(view)[0] == "line 0"


def test_what_one_reads_stays_where_it_is_while_more_is_laid_out(view: LongText, qtbot: Any) -> None:
    show(view, "".join(f"line {n}\n" for n in range(60_000)), "the last", places={"last": 1})
    view.jump("last")
    qtbot.wait(300)
    cursor = view.cursorForPosition(view.viewport().rect().center())
    assert "the last" in view.toPlainText() and cursor.block().isValid()
    bar = view.verticalScrollBar()
    bar.setValue(bar.value() - 2_000)
    before = view.cursorForPosition(view.viewport().rect().topLeft()).block().text()
    qtbot.wait(300)
    assert view.cursorForPosition(view.viewport().rect().topLeft()).block().text() == before


def test_parts_far_apart_are_jumped_to_and_the_ends_have_keys(view: LongText, qtbot: Any) -> None:
    show(view, "first " + "a" * 500_000, "middle", "b" * 500_000 + " last", places={"middle": 1})
    view.jump("middle")
    assert "middle" in blocks(view)
    QTest.keyClick(view, Qt.Key.Key_End, Qt.KeyboardModifier.ControlModifier)
    assert view.toPlainText().endswith(" last") and view.n_missing[1] == 0
    QTest.keyClick(view, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    assert view.toPlainText().startswith("first ") and view.n_missing[0] == 0


def test_what_is_copied_is_the_text_itself(view: LongText) -> None:
    text = "a" * 5_000 + "\nsafe\u202egnp.exe\x1b 👨‍👩‍👧‍👦 here\r\nnext"
    show(view, text, "another")
    assert "\\u202e" in view.toPlainText() and "\u202e" not in view.toPlainText()
    view.selectAll()
    assert view.createMimeDataFromSelection().text() == f"{text}\nanother"
    assert not view.createMimeDataFromSelection().hasHtml()
    cursor = view.document().find("exe")
    cursor.setPosition(cursor.selectionStart())
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
    view.setTextCursor(cursor)
    assert view.selected_text().startswith("exe\x1b 👨‍👩‍👧‍👦 here")
    cursor = QTextCursor(view.document())
    cursor.setPosition(1_990)
    cursor.setPosition(2_011, QTextCursor.MoveMode.KeepAnchor)  # over a break that is there for showing only
    view.setTextCursor(cursor)
    assert view.selected_text() == "a" * 20


def test_a_text_that_is_written_again_stays_where_one_reads(view: LongText, qtbot: Any) -> None:
    text = "".join(f"line {n}\n" for n in range(60_000))
    show(view, text)
    bar = view.verticalScrollBar()
    for _ in range(100):
        bar.setValue(bar.value() + 500)
        qtbot.wait(1)
    before = line_read(view)
    show(view, text, stay=True)
    assert line_read(view) == before
    view.resize(300, 600)
    qtbot.wait(50)
    assert line_read(view) == before


def test_quotes_in_a_long_answer_are_found_bit_by_bit(qtbot: Any) -> None:
    text = "b c " * 30_000 + "The total is “nine  dollars” here. " + "d e " * 30_000
    quote, other = 'the total is "nine dollars" HERE', "never said"
    assert places_of(text, quote) == [] and is_looked_for(text, quote)
    steps = list(look_through(text, quote))
    assert len(steps) == -(-len(text) // STEP), "each is a bounded piece of the answer"
    ((start, end),) = places_of(text, quote)
    assert text[start:end] == "The total is “nine  dollars” here" and not is_looked_for(text, quote)
    assert places_of(text, "nine  dollars") == [(start + 14, start + 27)], (
        "what stands there word by word is found at once"
    )
    looking = Looking(QApplication.instance())
    with qtbot.waitSignal(looking.done):
        looking.begin(text, [quote, other])
    assert places_of(text, other) == [] and not is_looked_for(text, other)


def test_a_mark_far_down_a_long_answer_is_found_and_shown(view: LongText) -> None:
    style, mark = QTextCharFormat(), QTextCharFormat()
    mark.setFontUnderline(True)
    runs = [("a" * 300_000, style), ("marked", mark), ("b" * 300_000, style)]
    view.show_passages(Passages([Passage(QTextBlockFormat(), runs)]), base=QFont(), muted=style)
    view.go_to(0, 300_003)
    found = view.document().find("marked")
    assert found.charFormat().fontUnderline() and found.selectedText() == "marked"


def test_the_pane_says_how_long_a_text_is_and_goes_to_its_quotes(window: Window, tmp_path: Path, qtbot: Any) -> None:
    project = Project.create(tmp_path / "long.errormap")
    text = "a" * 300_000 + " so the total is 18 dollars " + "b" * 200_000
    ids = add_records(project, [{"example_id": "e1", "output_text": text}])
    add_analyses(project, {ids[0]: "Forgets the tip"})
    with project.writing() as db:
        quoted = '[{"criterion": "Total", "quality": "incorrect", "evidence": "the total is “18  dollars”"}]'
        db.execute("UPDATE analysis SET required_criteria = ?", [quoted.replace("“18  dollars”", "18  DOLLARS")])
    project.close()
    assert window.session.open(tmp_path / "long.errormap")
    window.session.select_record(ids[0])
    pane = window.record
    assert f"{len(text):,} CHARACTERS" in pane.text.toPlainText()
    qtbot.waitUntil(lambda: pane._evidence.text() == "1 quote found", timeout=20_000)
    pane._evidence.click()
    assert "the total is 18 dollars" in pane.text.toPlainText()
    pane.jump("analysis")
    assert "Forgets the tip" in pane.text.toPlainText()


def test_a_field_breaks_a_word_without_end_anywhere(qtbot: Any) -> None:
    field = WritingField()
    qtbot.addWidget(field)
    field.setPlainText("a word " * 10_000)
    assert field.wordWrapMode() != QTextOption.WrapMode.WrapAnywhere
    data = QMimeData()
    data.setText("a" * 100_000)
    field.insertFromMimeData(data)
    assert field.wordWrapMode() == QTextOption.WrapMode.WrapAnywhere
    again = WritingField("b" * 100_000)
    qtbot.addWidget(again)
    assert again.wordWrapMode() == QTextOption.WrapMode.WrapAnywhere and len(again.toPlainText()) == 100_000
