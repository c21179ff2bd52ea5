"""A view of texts of any length: what one sees is laid out, and some more; the rest follows as one scrolls.

The document never holds more than `MOST`, so that opening, scrolling, another width and another theme take no longer than
one notices. Lines at its ends say how much is not laid out.
"""

from collections import deque
from collections.abc import Mapping

from PySide6.QtCore import QMimeData, QPoint, Qt, QTimer
from PySide6.QtGui import (
    QFont,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QWidget

from app.plain import PlainView
from app.records.passages import Passage, Passages, Piece, original_place
from errormap_core.sentences import Sentence, trn
from errormap_core.visible_text import visible

AT_ONCE = 14_000
"""What is laid out before the view is shown, in units of `cost_of`."""

SLICE = 7_000
"""What is laid out in one go while one scrolls."""

MOST = 60_000
"""What the document holds at most; what is farther away is taken out."""

FAR_PAGES = 1.5
"""What is nearer than so many pages stays, whatever it takes: else the two ends would be laid out in turn for ever."""

SURELY_SCROLLED = 12_000
"""A text with more characters than that needs a scroll bar."""

EASY = 16_000
"""What can be laid out again in one go, for another width."""


class LongText(PlainView):
    """Shows passages. `places` tells which passage each part begins with (for jumping)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setUndoRedoEnabled(False)
        self.passages = Passages()
        self.places: dict[str, int] = {}
        self._pieces: deque[Piece] = deque()
        self._has_above = self._has_below = False
        self._muted = QTextCharFormat()
        self._is_filling = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._go_on)
        self.verticalScrollBar().valueChanged.connect(lambda _: self._ask())

    # What is shown

    def show_passages(
        self, passages: Passages, *, base: QFont, muted: QTextCharFormat, places: Mapping[str, int] | None = None,
        stay: bool = False,
    ) -> None:  # fmt: skip
        """Show these from the top, or with `stay` from where one reads."""
        at, above = self._reading_at() if stay else ((0, 0), 0)
        self.passages, self.places, self._muted = passages, dict(places or {}), muted
        self.document().setDefaultFont(base)
        if at[0] >= len(passages.all) or at[1] > len(passages.all[at[0]].text):
            at = (0, 0)
        self._fill(*at, above=above)

    def show_words(self, sentence: Sentence) -> None:
        """Show a sentence instead of texts."""
        passage = Passage(QTextBlockFormat(), [(str(sentence), QTextCharFormat())])
        self.show_passages(Passages([passage]), base=self.font(), muted=QTextCharFormat())

    def jump(self, key: str) -> None:
        """Scroll to where a part begins; the caret goes there as well."""
        if key in self.places:
            self.go_to(self.places[key], 0)

    def go_to(self, place: int, offset: int) -> None:
        """Scroll to a character of a passage."""
        found = self._index_of(place, offset)
        if found is None:
            piece = self.passages.piece_with(place, offset)
            if piece is None:
                return
            self._fill(piece.place, piece.start, above=0)
            found = self._index_of(place, offset) or 0
        block = self._block(found)
        self.setTextCursor(QTextCursor(block))
        bar = self.verticalScrollBar()
        bar.setValue(round(self._top_of(block)) - 8)
        self._ask()

    def go_to_end(self) -> None:
        """Scroll to the end of the last passage."""
        last = self.passages.previous(len(self.passages.all), 0) if self.passages.all else None
        if last is None:
            return
        if not self._pieces or self._pieces[-1] != last:
            first, cost = last, last.cost
            while cost < AT_ONCE:
                before = self.passages.previous(first.place, first.start)
                if before is None:
                    break
                first, cost = before, cost + before.cost
            self._fill(first.place, first.start, above=0)
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    @property
    def n_missing(self) -> tuple[int, int]:
        """How many characters are not laid out, above and below."""
        if not self._pieces:
            return 0, 0
        first, last = self._pieces[0], self._pieces[-1]
        return self.passages.n_before(first.place, first.start), self.passages.n_after(last.place, last.end)

    # Laying out

    def _fill(self, place: int, offset: int, *, above: int) -> None:
        """Lay out anew from here, so that the first line stands `above` pixels above the edge."""
        self._is_filling = True
        policies = Qt.ScrollBarPolicy
        is_long = (
            self.passages.n_after(0, 0) > SURELY_SCROLLED
        )  # a bar that comes while it is filled lays all out again
        self.setVerticalScrollBarPolicy(policies.ScrollBarAlwaysOn if is_long else policies.ScrollBarAsNeeded)
        self.clear()
        self._pieces.clear()
        self._has_above = self._has_below = False
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        self._append(cursor, self.passages.next(place, offset), AT_ONCE)
        self._say_ends(cursor)
        cursor.endEditBlock()
        self.moveCursor(QTextCursor.MoveOperation.Start)
        top = round(self._top_of(self._block(0))) if self._has_above else 0
        self.verticalScrollBar().setValue(top + above)
        self._is_filling = False
        self._ask()

    def _append(self, cursor: QTextCursor, piece: Piece | None, most: int) -> None:
        """Put pieces behind the last, from this one on."""
        cost = 0
        while piece is not None and (cost < most or not self._pieces):
            cursor.movePosition(QTextCursor.MoveOperation.End)
            if self._pieces:
                cursor.insertBlock(self._format_of(piece), QTextCharFormat())
            else:
                cursor.setBlockFormat(self._format_of(piece))
            self._write(cursor, piece)
            self._pieces.append(piece)
            cost += piece.cost
            piece = self.passages.next(*self.passages.after(piece))

    def _prepend(self, cursor: QTextCursor, most: int) -> None:
        """Put pieces before the first."""
        cost = 0
        while cost < most:
            piece = self.passages.previous(self._pieces[0].place, self._pieces[0].start)
            if piece is None:
                return
            cursor.setPosition(0)
            cursor.insertBlock(cursor.blockFormat(), QTextCharFormat())
            cursor.setPosition(0)
            cursor.setBlockFormat(self._format_of(piece))
            self._write(cursor, piece)
            self._pieces.appendleft(piece)
            cost += piece.cost

    def _write(self, cursor: QTextCursor, piece: Piece) -> None:
        for text, style in self.passages.runs_of(piece):
            cursor.insertText(visible(text, lines=True), style)

    def _format_of(self, piece: Piece) -> QTextBlockFormat:
        passage = self.passages.all[piece.place]
        is_first = piece.start == 0
        if is_first or (self.passages.begins_line(piece) and not passage.is_close):
            return passage.block
        block = QTextBlockFormat(passage.block)
        block.setTopMargin(0)
        return block

    def _say_ends(self, cursor: QTextCursor) -> None:
        """Lines at the ends that say what is not laid out; `cursor` is in an edit block."""
        above, below = self.n_missing
        if self._has_above:
            self._remove(cursor, 0, 1)
        if above:
            cursor.setPosition(0)
            cursor.insertBlock(cursor.blockFormat(), QTextCharFormat())
            cursor.setPosition(0)
            cursor.setBlockFormat(QTextBlockFormat())
            cursor.insertText(str(_above(above)), self._muted)
        self._has_above = bool(above)
        if self._has_below:
            self._drop_last(cursor)
        if below:
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertBlock(QTextBlockFormat(), QTextCharFormat())
            cursor.insertText(str(_below(below)), self._muted)
        self._has_below = bool(below)

    def _remove(self, cursor: QTextCursor, first: int, n: int) -> None:
        """Take out n blocks from the first on; one stays behind them."""
        start = self.document().findBlockByNumber(first)
        after = self.document().findBlockByNumber(first + n)
        kept = after.blockFormat()
        cursor.setPosition(start.position())
        cursor.setPosition(after.position(), QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        cursor.setBlockFormat(kept)

    def _drop_last(self, cursor: QTextCursor) -> None:
        last = self.document().lastBlock()
        cursor.setPosition(last.position() - 1)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()

    # Following the reader

    def _ask(self) -> None:
        """Lay out more in a moment, where one comes near an end."""
        if not self._is_filling and self._wanted():
            self._later.start()

    def _wanted(self) -> str:
        bar, page = self.verticalScrollBar(), self.viewport().height()
        if self._has_below and bar.maximum() - bar.value() < page:
            return "below"
        if self._has_above and bar.value() < page:
            return "above"
        return ""

    def _go_on(self) -> None:
        """Lay out one slice where one reads, and take out what is far away; what one sees stays where it is."""
        wanted = self._wanted()
        if not wanted:
            return
        self._is_filling = True
        seen = self._first_seen()
        piece, above = self._pieces[seen], self.verticalScrollBar().value() - self._top_of(self._block(seen))
        far_above, far_below = self._far()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        if self._has_below:
            self._drop_last(cursor)
            self._has_below = False
        if self._has_above:
            self._remove(cursor, 0, 1)
            self._has_above = False
        if wanted == "below":
            self._append(cursor, self.passages.next(*self.passages.after(self._pieces[-1])), SLICE)
            self._trim_above(cursor, far_above)
        else:
            self._prepend(cursor, SLICE)
            self._trim_below(cursor, far_below)
        self._say_ends(cursor)
        cursor.endEditBlock()
        self.verticalScrollBar().setValue(round(self._top_of(self._block(self._pieces.index(piece))) + above))
        self._is_filling = False
        self._ask()

    def _far(self) -> tuple[int, int]:
        """How many pieces at either end are so far away that they may be taken out."""
        value, far = self.verticalScrollBar().value(), FAR_PAGES * self.viewport().height()
        last = len(self._pieces) - 1
        above = self._index_at(1)
        while above > 0 and self._top_of(self._block(above)) > value - far:
            above -= 1
        below = self._index_at(self.viewport().height())
        while below < last and self._top_of(self._block(below)) < value + self.viewport().height() + far:
            below += 1
        return above, last - below

    def _trim_above(self, cursor: QTextCursor, far: int) -> None:
        total, n = sum(piece.cost for piece in self._pieces), 0
        while total > MOST and n < far:
            total -= self._pieces.popleft().cost
            n += 1
        if n:
            self._remove(cursor, 0, n)

    def _trim_below(self, cursor: QTextCursor, far: int) -> None:
        total = sum(piece.cost for piece in self._pieces)
        while total > MOST and far > 0:
            total -= self._pieces.pop().cost
            far -= 1
            self._drop_last(cursor)

    def _first_seen(self) -> int:
        return self._index_at(1)

    def _index_at(self, y: int) -> int:
        """The piece at this height of the view, looked for in its middle: the margin is before all of the text."""
        number = self.cursorForPosition(QPoint(self.viewport().width() // 2, y)).block().blockNumber() - self._has_above
        return max(0, min(len(self._pieces) - 1, number))

    def _reading_at(self) -> tuple[tuple[int, int], int]:
        """Where one reads: a place to lay out from, and how far the edge is below its top."""
        if not self._pieces:
            return (0, 0), 0
        if not self._has_above:
            first = self._pieces[0]
            if sum(piece.cost for piece in self._pieces) <= AT_ONCE:
                return (first.place, first.start), self.verticalScrollBar().value()
        seen = self._first_seen()
        piece = self._pieces[seen]
        return (piece.place, piece.start), round(self.verticalScrollBar().value() - self._top_of(self._block(seen)))

    def _index_of(self, place: int, offset: int) -> int | None:
        for index, piece in enumerate(self._pieces):
            if piece.place == place and piece.start <= offset <= piece.end:
                return index
        return None

    def _block(self, index: int) -> QTextBlock:
        return self.document().findBlockByNumber(index + self._has_above)

    def _top_of(self, block: QTextBlock) -> float:
        return self.document().documentLayout().blockBoundingRect(block).top()

    # Events

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width: what would take long is laid out anew from where one reads."""
        is_heavy = sum(piece.cost for piece in self._pieces) > EASY
        if self._is_filling or not is_heavy or event.size().width() == event.oldSize().width():
            super().resizeEvent(event)  # a bar that goes while it is filled is no other width
            self._ask()
            return
        at, above = self._reading_at()
        self._is_filling = True
        self.clear()
        super().resizeEvent(event)
        self._fill(*at, above=above)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.MoveToEndOfDocument) or event.key() == Qt.Key.Key_End:
            self.go_to_end()
        elif event.matches(QKeySequence.StandardKey.MoveToStartOfDocument) or event.key() == Qt.Key.Key_Home:
            if self._has_above:
                self._fill(0, 0, above=0)
            self.verticalScrollBar().setValue(0)
        else:
            super().keyPressEvent(event)

    def createMimeDataFromSelection(self) -> QMimeData:
        """What is copied is the text itself: without breaks and signs that are there for showing only. Where all that is
        laid out is selected it is all of the text."""
        data = QMimeData()
        data.setText(self.selected_text())
        return data

    def selected_text(self) -> str:
        """The selection, as it stands in the texts themselves."""
        cursor = self.textCursor()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        if not self._pieces or start == end:
            return ""
        if start == 0 and end >= self.document().characterCount() - 1:
            return self.passages.whole()
        first, from_letter = self._letter_at(start)
        last, to_letter = self._letter_at(end)
        return self.passages.text_between(first, from_letter, last, to_letter)

    def _letter_at(self, position: int) -> tuple[Piece, int]:
        """The piece at a position of the document, and the letter in it."""
        block = self.document().findBlock(position)
        index = block.blockNumber() - self._has_above
        if index < 0:
            return self._pieces[0], 0
        if index >= len(self._pieces):
            return self._pieces[-1], self._pieces[-1].end - self._pieces[-1].start
        piece = self._pieces[index]
        units = block.text().encode("utf-16-le", "surrogatepass")[: 2 * (position - block.position())]
        n_shown = len(units.decode("utf-16-le", "ignore"))
        return piece, original_place(self.passages.all[piece.place].text[piece.start : piece.end], n_shown)


def _above(n: int) -> Sentence:
    return trn(
        "… {n:,} character before, laid out as you scroll", "… {n:,} characters before, laid out as you scroll", n
    )


def _below(n: int) -> Sentence:
    return trn("… {n:,} more character, laid out as you scroll", "… {n:,} more characters, laid out as you scroll", n)
