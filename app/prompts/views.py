"""Beside the texts of a prompt: filled in for a record, what it changes, and what the judge makes of it."""

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QTextBlockFormat, QTextCharFormat
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from app.plain import Label, set_tooltip
from app.records.document import Colours, RecordDocument
from app.records.long_text import LongText
from app.records.passages import Passage, Passages
from app.theme import SPACE, Theme
from errormap_core.ids import now
from errormap_core.judge.base import Message
from errormap_core.project.queries import AnalysisRow, RecordDetail
from errormap_core.sentences import Sentence, tr, trn

ROLES = {"system": tr("System"), "user": tr("User")}


def _note(parent: QWidget) -> Label:
    label = Label(parent)
    label.setWordWrap(True)
    label.setForegroundRole(label.foregroundRole().PlaceholderText)
    return label


def _reader(parent: QWidget, name: Sentence) -> LongText:
    text = LongText(parent)
    text.setAccessibleName(str(name))
    text.setReadOnly(True)
    text.setTabChangesFocus(True)
    text.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    text.document().setDocumentMargin(8)
    return text


class TextView(QWidget):
    """A sentence, and lines below it that are written with colours of the theme."""

    def __init__(self, theme: Theme, name: Sentence) -> None:
        super().__init__()
        self._theme = theme
        self._write: Callable[[], None] = lambda: None
        self.note = _note(self)
        self.text = _reader(self, name)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, SPACE, 0, 0)
        column.addWidget(self.note)
        column.addWidget(self.text, 1)

    def show_messages(self, messages: Sequence[Message], note: Sentence) -> None:
        """The prompt as the judge gets it."""

        def write() -> None:
            for message in messages:
                self._heading(str(ROLES.get(message["role"], tr("{role}", role=message["role"]))))
                self._lines([message["content"]])

        self._show(write, note)

    def show_difference(self, lines: Sequence[str], note: Sentence) -> None:
        """Lines that begin with '+ ', '- ' or blanks."""

        def write() -> None:
            scheme = self._theme.scheme
            colours = {"+": scheme.good, "-": scheme.bad}
            for line in lines:
                is_title = line[2:3] == "[" and line.endswith("]") and line[0] == " "
                if is_title:
                    self._heading(line[3:-1])
                elif line.strip():
                    shown = line.replace("- ", "− ", 1) if line[0] == "-" else line
                    is_other = line[0] in colours
                    self._lines([shown], colour=colours.get(line[0], scheme.muted), is_bold=is_other, is_marked=True)

        self._show(write, note)

    def restyle(self) -> None:
        self._rewrite()

    def _show(self, write: Callable[[], None], note: Sentence) -> None:
        self._write = write
        self.note.setText(str(note))
        self._rewrite()

    def _rewrite(self) -> None:
        """Write it again, staying where one reads."""
        self._passages: list[Passage] = []
        self._write()
        muted = QTextCharFormat()
        muted.setForeground(QColor(self._theme.scheme.muted))
        self.text.show_passages(Passages(self._passages), base=self._theme.font(), muted=muted, stay=True)

    def _heading(self, text: str) -> None:
        style = QTextCharFormat()
        style.setFont(self._theme.font(size=0.85, semibold=True))
        style.setForeground(QColor(self._theme.scheme.muted))
        self._block(space=12 if self._passages else 0)
        self._passages[-1].runs.append((text.upper(), style))

    def _lines(self, lines: Sequence[str], *, colour: str = "", is_bold: bool = False, is_marked: bool = False) -> None:
        mono = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        mono.setPointSizeF(self._theme.font().pointSizeF())
        if is_bold:
            mono.setWeight(QFont.Weight.DemiBold)
        style = QTextCharFormat()
        style.setFont(mono)
        style.setForeground(QColor(colour or self._theme.scheme.text))
        hang = QFontMetricsF(mono).horizontalAdvance("  ") if is_marked else 0.0
        for line in lines:
            self._block(space=2, hang=hang)
            self._passages[-1].runs.append((line, style))

    def _block(self, *, space: int, hang: float = 0.0) -> None:
        """`hang`: pixels by which lines after the first stand farther in, behind a mark."""
        block = QTextBlockFormat()
        block.setTopMargin(space)
        block.setLeftMargin(hang)
        block.setTextIndent(-hang)
        self._passages.append(Passage(block))


class TryView(QWidget):
    """The judge on one record with this prompt, beside the analysis that counts now."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._shown: tuple[RecordDetail, AnalysisRow] | None = None
        self.button = QPushButton(str(tr("&Try on this record")), self)
        set_tooltip(self.button, str(tr("Runs the judge on the selected record with this prompt; nothing is stored")))
        self.note = _note(self)
        self.before = _reader(self, tr("The analysis that counts now"))
        self.after = _reader(self, tr("The analysis with this prompt"))
        self._titles = (Label(self), Label(self))
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        for title, text in zip(self._titles, (self.before, self.after), strict=True):
            side = QWidget(self)
            column = QVBoxLayout(side)
            column.setContentsMargins(0, 0, 0, 0)
            title.setWordWrap(True)
            column.addWidget(title)
            column.addWidget(text, 1)
            self._split.addWidget(side)
        self._split.hide()
        head = QHBoxLayout()
        head.addWidget(self.button)
        head.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, SPACE, 0, 0)
        column.addLayout(head)
        column.addWidget(self.note)
        column.addWidget(self._split, 1)
        column.addStretch(0)
        self.restyle()

    @property
    def is_showing(self) -> bool:
        """Whether it shows what a try gave."""
        return self._shown is not None

    def clear(self) -> None:
        self._shown = None
        self._split.hide()

    def show_result(self, detail: RecordDetail, result: dict[str, Any], *, name: str) -> None:
        """Both analyses of a record, side by side. `result` is what the command 'try' gave."""
        analysis = result["analysis"]
        made = AnalysisRow(
            id="",
            source_id="",
            source_kind="run",
            source_name=name,
            verdict=analysis["verdict"],
            required_criteria=analysis["required_criteria"],
            error_title=analysis["error_title"],
            error_summary=analysis["error_summary"],
            details={"shortened": result.get("shortened")},
            created_at=now(),
            is_outdated=False,
            counts=False,
        )
        self._shown = (detail, made)
        self._titles[0].setText(str(tr("Counts now")))
        self._titles[1].setText(str(tr("With “{name}”, not stored", name=name)))
        said = trn(
            "{example}, {model}: {n:,} token written, {prompt:,} read, in {seconds:.1f} s.",
            "{example}, {model}: {n:,} tokens written, {prompt:,} read, in {seconds:.1f} s.",
            result["completion_tokens"],
            example=detail.example_id,
            model=detail.model,
            prompt=result["prompt_tokens"],
            seconds=result["seconds"],
        )
        self.note.setText(str(said))
        self._split.show()
        self.restyle()

    def restyle(self) -> None:
        for title in self._titles:
            title.setFont(self._theme.font(semibold=True))
        if self._shown is None:
            return
        scheme = self._theme.scheme
        colours = Colours(scheme.text, scheme.muted, scheme.evidence, scheme.bad, scheme.good)
        detail, made = self._shown
        for text, analysis in ((self.before, detail.analysis), (self.after, made)):
            RecordDocument(text, colours, base=self._theme.font()).write_analysis(detail, analysis)
