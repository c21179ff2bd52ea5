"""What all cards have around them: what it is and why, figures, what it would touch, what changed, buttons with their keys."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.commands import BY_ID
from app.review.change_card import ChangeCard
from app.review.deck import STATE_NAMES, Deck, kind_name
from app.review.flow import FlowLayout
from app.review.members_card import MembersCard
from app.review.merge_card import MergeCard
from app.review.parts import Card, Text, figures, keep_space, rejected_before
from app.review.place_card import PlaceCard, taught
from app.review.split_card import SplitCard
from app.session import Session
from app.theme import HEADING, make_primary
from errormap_core.project.pending import ProposalRow
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.standing import Standing

BUTTONS = ("accept", "find", "new", "same", "edit", "reject", "skip", "unsure", "flag")
QUESTION_BUTTONS = ("accept", "find", "new", "same", "skip", "unsure", "flag")
OTHER_BUTTONS = ("accept", "edit", "reject", "skip", "unsure", "flag")


class CardFrame(QWidget):
    """Shows one proposal on the card of its kind."""

    pressed = Signal(str)  # id of a command
    changed = Signal()  # something on the card was
    left = Signal()  # a field of the card is done with
    decided = Signal(object)  # Ruling: a key or a click on the card answered it

    def __init__(self, session: Session, deck: Deck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._deck = session, deck
        self.row: ProposalRow | None = None
        self.as_is = False  # the card shows what still holds of it, in the tree as it is
        self.is_gone = False  # nothing of it does
        self.kind = Text(self, muted=True)
        self.title = Text(self)
        self.why = Text(self)
        self.figures = Text(self, muted=True)
        self.before = Text(self)
        self.effect = Text(self)
        self.effect.setAccessibleName(str(tr("What it would touch")))
        self.notice = QFrame(self)
        self.notice_text = Text(self.notice)
        self.refresh_button = self._button("refresh")
        notice = QVBoxLayout(self.notice)
        notice.setContentsMargins(12, 8, 12, 8)
        notice.addWidget(self.notice_text)
        notice.addWidget(self.refresh_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.notice.setObjectName("notice")
        self.place, self.merge, self.split = (
            PlaceCard(session, deck, self),
            MergeCard(session, self),
            SplitCard(session, self),
        )
        self.members, self.change = MembersCard(session, deck, self), ChangeCard(session, self)
        self._cards: dict[str, Card] = {
            "place": self.place,
            "merge": self.merge,
            "split": self.split,
            "create": self.members,
            "assign": self.members,
            **dict.fromkeys(("promote", "move", "rename", "describe"), self.change),
        }
        for card in dict.fromkeys(self._cards.values()):
            card.hide()
            card.changed.connect(self.changed)
            card.decided.connect(self.decided)
            card.left.connect(self.left)
        self.unknown = QLabel(self)
        self.unknown.setWordWrap(True)
        self.unknown.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.unknown.hide()
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QScrollArea.Shape.NoFrame)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.buttons: dict[str, QPushButton] = {}
        row = FlowLayout()
        for key in BUTTONS:
            button = self._button(key)
            row.addWidget(button)
            self.buttons[key] = button
        make_primary(self.buttons["accept"])
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 12, 20, 12)
        column.setSpacing(6)
        for widget in (self.kind, self.title, self.why, self.figures, self.before):
            column.addWidget(widget)
        column.addWidget(self._area, 1)
        column.addWidget(self.effect)
        column.addWidget(self.notice)
        column.addLayout(row)
        keep_space(self, [*self.buttons.values(), self.refresh_button])
        self.notice.hide()

    def _button(self, key: str) -> QPushButton:
        button = QPushButton(self)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the focus where the keys are
        button.clicked.connect(lambda _=False, k=key: self.pressed.emit(f"review.{k}"))
        return button

    @property
    def card(self) -> Card | None:
        """The card of the kind that is shown."""
        return None if self.row is None else self._cards.get(self.row.kind)

    def show_row(self, row: ProposalRow, left: Standing, *, place: Sentence) -> None:
        """Show a proposal as far as it holds in the tree as it is; `place` says where in the queue it is."""
        self.row = row
        done = row.state == "done"
        self.is_gone = left.arguments is None and not done
        self.as_is = bool(left.changes) and not self.is_gone and not done
        self._say_head(row, place)
        self.say_standing(left if not done else None, is_shown=True)
        card = self.card
        if card is not None and left.arguments is not None:
            self._turn_to(card)
            card.setEnabled(not done)
            card.fill(row, left.arguments)
        else:
            self._turn_to(self.unknown)
        self.unknown.setText(
            str(tr("Nothing is left of it.") if card is not None
                else tr("This kind of proposal needs a newer version of ErrorMap Studio."))
        )  # fmt: skip
        self.effect.say("")
        self.say_buttons()

    def _turn_to(self, card: QWidget) -> None:
        """Show a card in place of the one that is shown. Cards do not share a stack: each asks for its own room only."""
        if self._area.widget() is card:
            return
        before = self._area.takeWidget()
        if before is not None:
            before.setParent(self)
            before.hide()
        self._area.setWidget(card)
        card.show()

    def _say_head(self, row: ProposalRow, place: Sentence) -> None:
        parts = [kind_name(row), str(place)]
        if row.kind == "place":
            parts = [str(place)]
            self.title.say(tr("Where does this failure belong?"))
            parts += [str(s) for s in (taught(row),) if s is not None]
        elif row.kind == "create":
            self.title.say(tr("A new category: {name}", name=row.name))
            parts = [str(place)]
            named = (
                tr("named by the judge") if row.named_by.startswith("judge") else tr("named from its typical members")
            )
            parts.append(str(named))
        else:
            self.title.say(row.title)
        if row.state != "pending":
            parts.append(str(STATE_NAMES[row.state]).lower() if row.state != "done" else str(_done(row)))
        self.kind.say(" · ".join(filter(None, parts)))
        self.why.say(row.why if row.why is not None and row.kind != "place" else "")
        said = figures(row)
        above = self._deck.upwards(row)
        if above:
            said += " · " + str(tr("below “{name}”, which is accepted with it", name=above[0].name))
        self.figures.say("" if row.kind == "place" else said)
        self.before.say(rejected_before(row) or "")

    def say_standing(self, left: Standing | None, *, is_shown: bool) -> None:
        """Say what changed since it was proposed; `is_shown`: the card shows what is left of it."""
        changed = left.sentence() if left is not None else None
        if left is None or changed is None:
            self.notice.hide()
            return
        if left.arguments is None:
            then = tr("Nothing is left to accept: reject it, or skip it.")
            if self.row is not None and self.row.kind == "place":
                then = tr("There is nothing left to answer: skip it.")
            elif left.is_placed:
                then = tr("Accepting it would bring nothing.")
        elif is_shown:
            then = tr("The card shows what still holds; accepting takes that.")
        else:
            then = tr("Refresh the card to see what still holds.")
        self.notice_text.say(f"⚠  {changed}  {then}")
        self.refresh_button.setVisible(left.arguments is not None and not is_shown)
        self.notice.show()

    def say_buttons(self) -> None:
        """Titles with their keys, and which of them there are."""
        row = self.row
        wanted = QUESTION_BUTTONS if row is not None and row.kind == "place" else OTHER_BUTTONS
        keys = self._session.keys
        is_open = row is not None and self._session.can_edit and row.state != "done"
        for key, button in self.buttons.items():
            command = BY_ID[f"review.{key}"]
            title: object = command.name
            if key == "accept" and self.card is not None and not self.is_gone and self.row is not None:
                title = self.card.accept_title()
            if key == "find":
                title = tr("Find another…")
            button.setText(keys.titled(title, command.id).replace("&", "&&"))
            button.setToolTip(keys.tooltip(command))
            button.setVisible(key in wanted and is_open)
            button.setEnabled(is_open and not (self.is_gone and key in ("accept", "edit", "find", "new", "same")))
        refresh = BY_ID["review.refresh"]
        self.refresh_button.setText(keys.titled(refresh.name, refresh.id))
        self.refresh_button.setToolTip(keys.tooltip(refresh))

    def restyle(self) -> None:
        theme = self._session.theme
        self.title.setFont(theme.font(size=HEADING, semibold=True))
        self.before.setStyleSheet(f"color: {theme.scheme.warn};")
        back, edge = theme.scheme.raised, theme.scheme.warn
        self.notice.setStyleSheet(
            f"QFrame#notice {{ background: {back}; border-radius: 6px; border-left: 3px solid {edge}; }}"
        )
        for card in dict.fromkeys(self._cards.values()):
            card.restyle()
        self.say_buttons()


def _done(row: ProposalRow) -> Sentence:
    return tr("rejected") if row.verdict == "reject" else tr("accepted")
