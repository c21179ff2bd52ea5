"""Why an analysis says what it says: what wrote it, the prompt as it was, what the judge thought and answered."""

from collections.abc import Callable

from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextLength,
    QTextTableFormat,
)
from PySide6.QtWidgets import QDialogButtonBox, QPushButton, QTabWidget, QWidget

from app.dialogs import Dialog
from app.fields import ChoiceField
from app.plain import Label, PlainView, one_line, set_tooltip, shown
from app.records.long_text import LongText
from app.records.passages import Passage, Passages
from app.session import Session
from app.theme import SPACE
from errormap_core.errors import KnownError
from errormap_core.judge.explained import Explanation, explain
from errormap_core.project.queries import AnalysisRow, RecordDetail
from errormap_core.sentences import Sentence, tr


class WhyDialog(Dialog):
    """All analyses of a record can be chosen; the one that counts comes first. Esc closes it."""

    def __init__(self, session: Session, detail: RecordDetail, parent: QWidget) -> None:
        super().__init__(tr("Why this analysis"), parent)
        self._session = session
        self._analyses = sorted(detail.analyses, key=lambda analysis: not analysis.counts)
        self.shown: Explanation | None = None
        self.choice = ChoiceField(self)
        self.choice.setAccessibleName(str(tr("Analysis")))
        for analysis in self._analyses:
            self.choice.addItem(one_line(_name(analysis)))
        self.note = Label(self)
        self.note.setWordWrap(True)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(str(tr("Parts of the explanation")))
        self.about, self.prompt, self.answer = PlainView(self), LongText(self), LongText(self)
        self._add_text(self.about, tr("How it came about"))
        self._add_text(self.prompt, tr("Prompt"))
        self._add_text(self.answer, tr("Answer"))
        self.column.addWidget(self.choice)
        self.column.addWidget(self.note)
        self.column.addWidget(self.tabs, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self.copy = QPushButton(str(tr("&Copy all")), self)
        set_tooltip(self.copy, str(tr("Put all of this on the clipboard as text")))
        self.copy.clicked.connect(self.copy_all)
        buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        self.column.addWidget(buttons)
        self.choice.currentIndexChanged.connect(lambda _: self._show())
        self.choice.setVisible(len(self._analyses) > 1)
        self.resize(820, 680)
        self._show()
        self.tabs.setFocus()

    def copy_all(self) -> None:
        """Put the explanation on the clipboard."""
        if self.shown is not None:
            QGuiApplication.clipboard().setText(str(self.shown))
            self.note.setText(str(tr("Copied.")))

    def _add_text(self, text: PlainView, title: Sentence) -> None:
        text.setTabChangesFocus(True)
        text.setAccessibleName(str(title))
        text.document().setDocumentMargin(12)
        flags = text.textInteractionFlags()
        text.setTextInteractionFlags(flags | flags.TextSelectableByKeyboard | flags.TextSelectableByMouse)
        self.tabs.addTab(text, str(title))

    def _show(self) -> None:
        project = self._session.project
        if project is None:
            return
        if not self._analyses:
            self.shown = None
            self.note.setText(str(tr("There is no analysis of this record yet.")))
            self.tabs.hide()
            self.copy.setEnabled(False)
            return
        try:
            found = explain(project, self._analyses[max(0, self.choice.currentIndex())].id)
        except KnownError as error:
            self.note.setText(str(error))
            return
        self.shown = found
        for place in (1, 2):
            self.tabs.setTabVisible(place, found.is_by_judge)
        self.note.setText("" if found.is_by_judge else str(found.prompt_note))
        self.note.setVisible(not found.is_by_judge)
        self._write_about(found)
        self._write_prompt(found)
        self._write_answer(found)

    def _write_about(self, found: Explanation) -> None:
        self.about.clear()
        cursor = QTextCursor(self.about.document())
        table = QTextTableFormat()
        table.setBorder(0)
        table.setCellPadding(SPACE / 2)
        table.setColumnWidthConstraints(
            [QTextLength(QTextLength.Type.PercentageLength, share) for share in (28, 72)]
        )  # fmt: skip
        cells = cursor.insertTable(len(found.facts), 2, table)
        for row, (title, text) in enumerate(found.facts):
            cells.cellAt(row, 0).firstCursorPosition().insertText(str(title), self._style(muted=True))
            cells.cellAt(row, 1).firstCursorPosition().insertText(shown(text), self._style())
        self.about.moveCursor(QTextCursor.MoveOperation.Start)

    def _write_prompt(self, found: Explanation) -> None:
        mark = "✓ " if found.prompt_state == "same" else "⚠ "
        scheme = self._session.theme.scheme
        style = self._style(colour=scheme.good if mark == "✓ " else scheme.warn)
        passages = [_passage(0, f"{mark}{found.prompt_note}", style)]
        if found.shortened is not None:
            passages.append(_passage(SPACE, f"⚠ {found.shortened}", self._style(colour=scheme.warn)))
        for message in found.prompt:
            role = tr("Instructions") if message["role"] == "system" else tr("What was asked")
            passages.append(_passage(2 * SPACE, str(role), self._style(semibold=True)))
            passages.append(_passage(SPACE, message["content"], self._style(mono=True)))
        self._fill(self.prompt, passages)

    def _write_answer(self, found: Explanation) -> None:
        parts = [(tr("What the judge thought before"), found.thinking)] if found.thinking else []
        parts.append((tr("What the judge wrote"), found.answer))
        passages = []
        for place, (title, text) in enumerate(parts):
            passages.append(_passage(2 * SPACE if place else 0, str(title), self._style(semibold=True)))
            style = self._style(mono=True) if text else self._style(muted=True)
            passages.append(_passage(SPACE, text or str(tr("It was not stored.")), style))
        self._fill(self.answer, passages)

    def _fill(self, view: LongText, passages: list[Passage]) -> None:
        view.show_passages(Passages(passages), base=self._session.theme.font(), muted=self._style(muted=True))

    def _style(
        self, *, muted: bool = False, mono: bool = False, semibold: bool = False, colour: str = ""
    ) -> QTextCharFormat:
        theme = self._session.theme
        font = theme.font(semibold=semibold)
        if mono:
            size = font.pointSizeF()
            font = QFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
            font.setPointSizeF(size)
        style = QTextCharFormat()
        style.setFont(font)
        style.setForeground(QColor(colour or (theme.scheme.muted if muted else theme.scheme.text)))
        return style


def open_why(session: Session, parent: QWidget, read: Callable[[], RecordDetail]) -> WhyDialog | None:
    """Open it for the record that is read; None where that cannot be read (the reason was told)."""
    try:
        dialog = WhyDialog(session, read(), parent)
    except KnownError as error:
        session.failed.emit(error)
        return None
    dialog.open()
    return dialog


def _name(analysis: AnalysisRow) -> str:
    state = tr("counts") if analysis.counts else tr("outdated") if analysis.is_outdated else tr("beside")
    return str(
        tr("{name} · {state} · {title}", name=analysis.source_name, state=state, title=analysis.error_title or "–")
    )


def _passage(space: int, text: str, style: QTextCharFormat) -> Passage:
    """A text whose lines stand close."""
    block = QTextBlockFormat()
    block.setTopMargin(space)
    block.setLineHeight(130, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    return Passage(block, [(text, style)], is_close=True)
