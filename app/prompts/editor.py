"""The texts of a prompt as fields, in the order in which a judge reads them; what is wrong with one stands below it."""

from collections.abc import Mapping

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QFontDatabase, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.plain import Label, WritingField
from app.theme import SPACE, Theme
from errormap_core.errors import KnownError
from errormap_core.judge.own_prompt import FIELDS
from errormap_core.sentences import tr

FEWEST_LINES, MOST_LINES = 1, 16

FRAME = 4
"""Pixels of border and padding, as the theme's style sheet has them."""

_STAYS = (Qt.FocusReason.PopupFocusReason, Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.MenuBarFocusReason)
"""A field that loses the focus for one of these gets it back."""


def _is_save(event: QKeyEvent) -> bool:
    is_ctrl = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier == Qt.KeyboardModifier.ControlModifier
    return is_ctrl and event.key() in (Qt.Key.Key_S, Qt.Key.Key_Return, Qt.Key.Key_Enter)


class TextField(WritingField):
    """A text that is as high as it is long; tells when it is left, and when Ctrl+S or Ctrl+Enter asks to save it."""

    left = Signal()
    save_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setTabChangesFocus(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self.fit())

    def fit(self) -> None:
        """Be as high as the text needs, within bounds."""
        lines = max(FEWEST_LINES, min(MOST_LINES, round(self.document().size().height())))
        around = 2 * self.document().documentMargin() + 2 * FRAME
        self.setFixedHeight(round(lines * self.fontMetrics().lineSpacing() + around) + 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            QTimer.singleShot(0, self, self.fit)  # lines are broken elsewhere, once the layout has settled

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and _is_save(event):
            event.accept()  # before a command of the window that has the same key
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if _is_save(event):
            self.save_asked.emit()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() not in _STAYS:
            self.left.emit()


class PromptEditor(QScrollArea):
    """Shows the texts of a prompt. `edited` with each change that a person makes."""

    edited = Signal()
    left = Signal()
    save_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._is_loading = False
        self.fields: dict[str, TextField] = {}
        self._labels: dict[str, Label] = {}
        self.problems: dict[str, Label] = {}
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, SPACE, SPACE)
        column.setSpacing(4)
        for key, title in FIELDS.items():
            column.addWidget(self._label(key, str(title)))
            column.addWidget(self._field(key, str(title)))
            column.addWidget(self._problem(key))
            column.addSpacing(4)
        column.addStretch(1)
        self.setWidget(inside)
        self.restyle()

    def _label(self, key: str, title: str) -> Label:
        label = Label(title, self)
        self._labels[key] = label
        return label

    def _field(self, key: str, title: str) -> TextField:
        field = TextField(self)
        field.setAccessibleName(title)
        field.textChanged.connect(self._on_text)
        field.left.connect(self.left)
        field.save_asked.connect(self.save_asked)
        self._labels[key].setBuddy(field)
        self.fields[key] = field
        return field

    def _problem(self, key: str) -> Label:
        label = Label(self)
        label.setWordWrap(True)
        label.hide()
        self.problems[key] = label
        return label

    def show_texts(self, texts: Mapping[str, str], *, read_only: bool) -> None:
        """Show these texts by the keys of FIELDS."""
        self._is_loading = True
        for key, field in self.fields.items():
            if field.toPlainText() != texts[key]:
                field.setPlainText(texts[key])
            field.document().setModified(False)
            field.setReadOnly(read_only)
            field.setTextInteractionFlags(
                Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
                if read_only
                else Qt.TextInteractionFlag.TextEditorInteraction
            )
            field.fit()
        self._is_loading = False

    def edited_texts(self) -> dict[str, str]:
        """What a person changed since the texts were shown."""
        return {key: field.toPlainText() for key, field in self.fields.items() if field.document().isModified()}

    def put_edited(self, texts: Mapping[str, str]) -> None:
        """Put back what a person typed earlier; it counts as changed."""
        self._is_loading = True
        for key, text in texts.items():
            self.fields[key].setPlainText(text)
            self.fields[key].document().setModified(True)
        self._is_loading = False

    def show_problems(self, problems: Mapping[str, KnownError]) -> None:
        """Say below each field what is wrong with it."""
        for key, label in self.problems.items():
            problem = problems.get(key)
            label.setVisible(problem is not None)
            said = "" if problem is None else str(tr("⚠ {what} {fix}", what=problem.what, fix=problem.fix))
            label.setText(said)
            self.fields[key].setAccessibleDescription(said)

    def restyle(self) -> None:
        """Fonts and colours as the theme has them."""
        mono = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        mono.setPointSizeF(self._theme.font().pointSizeF())
        for key, field in self.fields.items():
            field.setFont(mono)
            field.fit()
            self._labels[key].setFont(self._theme.font(semibold=True))
            self.problems[key].setStyleSheet(f"color: {self._theme.scheme.bad};")

    def _on_text(self) -> None:
        if not self._is_loading:
            self.edited.emit()
