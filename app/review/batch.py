"""Several proposals decided in one step: what they would do together is said before, one undo takes it back."""

from collections import Counter
from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QListWidget, QPushButton, QVBoxLayout, QWidget

from app.commands import BY_ID
from app.plain import ListItem, literal, set_tooltip
from app.review.deck import kind_name, short_title
from app.review.flow import FlowLayout
from app.review.parts import Text, keep_space
from app.session import Session
from app.theme import HEADING, make_primary, make_tight
from errormap_core.project.pending import ProposalRow
from errormap_core.project.previewing import BatchPreview
from errormap_core.sentences import Sentence, tr, trn

BUTTONS = ("accept", "reject", "skip", "unsure", "flag")


class BatchPanel(QWidget):
    """What is selected, the whole effect of accepting it, and the buttons."""

    pressed = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._rows: list[ProposalRow] = []
        self.preview: BatchPreview | None = None
        self.title = Text(self)
        self.kinds = Text(self, muted=True)
        self.effect = Text(self)
        self.effect.setAccessibleName(str(tr("What accepting all of them would touch")))
        self.problem = Text(self)
        self.list = QListWidget(self)
        self.list.setAccessibleName(str(tr("Selected proposals")))
        self.list.setWordWrap(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.buttons: dict[str, QPushButton] = {}
        row = FlowLayout()
        for key in BUTTONS:
            button = QPushButton(self)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, k=key: self.pressed.emit(f"review.{k}"))
            make_tight(button)
            row.addWidget(button)
            self.buttons[key] = button
        make_primary(self.buttons["accept"])
        keep_space(self, self.buttons.values())
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 8)
        column.setSpacing(8)
        for widget in (self.title, self.kinds, self.effect, self.problem):
            column.addWidget(widget)
        column.addWidget(self.list, 1)
        column.addLayout(row)

    def show_rows(self, rows: Sequence[ProposalRow]) -> None:
        """Show what is selected; the effect comes when it is known."""
        self._rows = list(rows)
        self.preview = None
        self.title.say(trn("{n:,} proposal is selected", "{n:,} proposals are selected", len(rows)))
        counts = Counter(kind_name(row) for row in rows)
        kinds = [f"{kind} {n:,}" for kind, n in counts.items()]
        self.kinds.say(" · ".join(kinds))
        self.effect.say(tr("Looking what accepting them would touch …"))
        self.problem.say("")
        self._fill({})
        self.say_buttons()

    def _fill(self, notes: Mapping[str, Sentence]) -> None:
        self.list.clear()
        for row in self._rows:
            text = f"{kind_name(row)}: {short_title(row)}"
            note = notes.get(row.id)
            self.list.addItem(ListItem(f"{text}\n⚠  {note}" if note is not None else text))

    def show_preview(self, found: BatchPreview, *, also: Mapping[str, Sentence]) -> None:
        """Say what accepting them would do together, and which cannot be accepted as they are; `also` are left out too."""
        self.preview = found
        self._fill({**found.left_out, **also})
        n = len(found.left_out)
        self.problem.say(
            trn("{n:,} is left out, because it does not fit the tree as it is or will be after the others; look at it by itself.",
                "{n:,} are left out, because they do not fit the tree as it is or will be after the others; look at them by "
                "themselves.", n)
            if n else ""
        )  # fmt: skip
        if also:
            more = trn(
                "{n:,} is left out because its card is not finished.",
                "{n:,} are left out because their cards are not finished.",
                len(also),
            )
            self.problem.say(f"{self.problem.text()} {more}".strip())
        if found.effect is None:
            self.effect.say(tr("None of them can be accepted as it is."))
        else:
            made, gone = found.effect.n_made, found.effect.n_gone
            said = [
                str(trn("Makes {n:,} category.", "Makes {n:,} categories.", made)) if made else "",
                str(trn("{n:,} category goes into another.", "{n:,} categories go into others.", gone)) if gone else "",
                *(str(sentence) for sentence in found.effect.sentences()),
            ]
            self.effect.say(" ".join(filter(None, said)) or tr("Moves no failure."))
        self.say_buttons()

    def say_buttons(self) -> None:
        keys, n = self._session.keys, len(self._rows)
        can = self._session.can_edit
        for key, button in self.buttons.items():
            command = BY_ID[f"review.{key}"]
            number = n
            if key == "accept":
                number = len(self.preview.rulings) if self.preview is not None else n
            text = tr("{name} {n:,}", name=command.name, n=number)
            button.setText(literal(keys.titled(text, command.id)))
            set_tooltip(button, keys.tooltip(command))
            button.setEnabled(can and (key != "accept" or self.can_accept))

    @property
    def can_accept(self) -> bool:
        """Whether the effect is known, and there is one."""
        return self.preview is not None and self.preview.effect is not None

    def restyle(self) -> None:
        theme = self._session.theme
        self.title.setFont(theme.font(size=HEADING, semibold=True))
        self.problem.setStyleSheet(f"color: {theme.scheme.warn};")
        self.say_buttons()
