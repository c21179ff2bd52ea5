"""What all cards have around them: what it is and why, figures, what it would touch, what changed, buttons with their keys."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.commands import BY_ID
from app.plain import Label, literal, set_tooltip
from app.review.change_card import ChangeCard
from app.review.deck import STATE_NAMES, Deck, kind_name
from app.review.drafts import Drafts
from app.review.flow import FlowLayout
from app.review.members_card import MembersCard
from app.review.merge_card import MergeCard
from app.review.parts import Card, Clipped, Text, figures, keep_space, rejected_before
from app.review.place_card import PlaceCard, taught
from app.review.split_card import SplitCard
from app.session import Session
from app.theme import HEADING, make_primary, make_tight
from errormap_core.errors import KnownError
from errormap_core.project.pending import ProposalRow
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.operations import Ruling
from errormap_core.taxonomy.standing import Standing, concerned

BUTTONS = ("accept", "find", "new", "same", "edit", "reject", "skip", "unsure", "flag")
QUESTION_BUTTONS = ("accept", "find", "new", "same", "skip", "unsure", "flag")
OTHER_BUTTONS = ("accept", "edit", "reject", "skip", "unsure", "flag")

SHORT = 460
"""In a card that is less high, in pixels at 100 %, why and figures are cut short."""


class CardFrame(QWidget):
    """Shows one proposal on the card of its kind."""

    pressed = Signal(str)  # id of a command
    changed = Signal()  # something on the card was
    edited_changed = Signal()  # a proposal has an edit that is not decided, or has none any more
    left = Signal()  # a field of the card is done with
    decided = Signal(object)  # Ruling: a key or a click on the card answered it

    def __init__(self, session: Session, deck: Deck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._deck = session, deck
        self.row: ProposalRow | None = None
        self.as_is = False  # the card shows what still holds of it, in the tree as it is
        self.is_gone = False  # nothing of it does
        self.drafts = Drafts()
        self._is_filling = False
        self.kind = Text(self, muted=True)
        self.kind.setWordWrap(False)
        self.title = Text(self)
        self.why = Clipped(self, most=0)
        self.figures = Clipped(self, muted=True, most=0)
        self.before = Text(self)
        self.effect = Text(self)
        self.effect.setAccessibleName(str(tr("What it would touch")))
        self.notice = QFrame(self)
        self.notice_text = Text(self.notice)
        self.refresh_button = self._button("refresh")
        notice = QHBoxLayout(self.notice)
        notice.setContentsMargins(12, 6, 8, 6)
        notice.addWidget(self.notice_text, 1)
        notice.addWidget(self.refresh_button)
        self.notice.setObjectName("notice")
        self.edited = QWidget(self)
        self.edited_text = Text(self.edited)
        self.drop_button = self._button("drop")
        edited = QHBoxLayout(self.edited)
        edited.setContentsMargins(0, 0, 0, 0)
        edited.addWidget(self.edited_text, 1)
        edited.addWidget(self.drop_button)
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
            card.changed.connect(self._on_card)
            card.decided.connect(self.decided)
            card.left.connect(self.left)
        self.unknown = Label(self)
        self.unknown.setWordWrap(True)
        self.unknown.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.unknown.hide()
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QScrollArea.Shape.NoFrame)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.installEventFilter(self)
        holder = QWidget(self)
        cards = QVBoxLayout(holder)
        cards.setContentsMargins(0, 0, 0, 0)
        for widget in (*dict.fromkeys(self._cards.values()), self.unknown):
            cards.addWidget(widget)
        self._area.setWidget(holder)
        self.buttons: dict[str, QPushButton] = {}
        row = FlowLayout()
        for key in BUTTONS:
            button = self._button(key)
            row.addWidget(button)
            self.buttons[key] = button
        make_primary(self.buttons["accept"])
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 8)
        column.setSpacing(6)
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._head.setSpacing(8)
        self._head.addWidget(self.title, 1)
        self._head.addWidget(self.kind, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(self._head)
        for widget in (self.why, self.figures, self.before):
            column.addWidget(widget)
        column.addWidget(self._area, 1)
        column.addWidget(self.effect)
        column.addWidget(self.notice)
        column.addWidget(self.edited)
        column.addLayout(row)
        keep_space(self, [*self.buttons.values(), self.refresh_button, self.drop_button])
        for box in (self.notice, self.edited):
            box.hide()

    def _button(self, key: str) -> QPushButton:
        button = QPushButton(self)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the focus where the keys are
        button.clicked.connect(lambda _=False, k=key: self.pressed.emit(f"review.{k}"))
        make_tight(button)
        return button

    @property
    def card(self) -> Card | None:
        """The card of the kind that is shown."""
        return None if self.row is None else self._cards.get(self.row.kind)

    def show_row(self, row: ProposalRow, left: Standing, *, place: Sentence) -> None:
        """Show a proposal as far as it holds in the tree as it is, with what was changed of it; `place` says where in the
        queue it is."""
        self.row = row
        done = row.state == "done"
        self.is_gone = left.arguments is None and not done
        self.as_is = bool(left.changes) and not self.is_gone and not done
        self._say_head(self._named(row, left), place)
        self.say_standing(left if not done else None, is_shown=True)
        self.effect.say("")
        card = self.card
        fits = True
        if card is not None and left.arguments is not None:
            self._is_filling = True
            self._turn_to(card)
            card.setEnabled(not done)
            card.fill(row, left.arguments)
            draft = self.drafts.get(row.id) if not done else None
            if draft is not None:
                fits = card.take_up(draft.values)
                self._keep()
            self._is_filling = False
        else:
            self._turn_to(self.unknown)
        self.unknown.setText(
            str(tr("Nothing is left of it.") if card is not None
                else tr("This kind of proposal needs a newer version of ErrorMap Studio."))
        )  # fmt: skip
        self.say_edited(fits=fits)
        self.say_buttons()

    def _named(self, row: ProposalRow, left: Standing) -> ProposalRow:
        """The row with categories as they are called now, and those that are left of it."""
        project = self._session.project
        if project is None or row.kind == "place" or row.state == "done":
            return row
        arguments = row.arguments if left.arguments is None else dict(left.arguments)
        found = [project.tree.get(category_id) for category_id in concerned(row.kind, arguments)]
        there = [category for category in found if category is not None]
        ids, names = tuple(c.id for c in there), tuple(c.name for c in there)
        return replace(row, arguments=arguments, category_ids=ids, category_names=names)

    # What was changed by hand

    @property
    def has_edit(self) -> bool:
        """Whether something of the proposal that is shown was changed and is not decided."""
        return self.row is not None and self.row.id in self.drafts

    def _on_card(self) -> None:
        if self._is_filling or self.row is None:
            return
        self._keep()
        self.say_edited()
        self.changed.emit()

    def _keep(self) -> None:
        row, card = self.row, self.card
        if row is None or card is None or row.state == "done":
            return
        values = card.values()
        if self.drafts.keep(row.id, values, _ruling_of(card) if values else None):
            self.edited_changed.emit()

    def drop_edit(self) -> None:
        """Forget what was changed of the proposal that is shown; the card is to be filled anew."""
        if self.row is not None:
            self._change_drafts(lambda: self.drafts.drop([self.row.id] if self.row is not None else []))

    def follow_decisions(self, decided: Iterable[str], undone: Iterable[str]) -> None:
        """Set aside what was changed of those that are decided, and take it up again of those whose decision was undone."""

        def change() -> None:
            self.drafts.set_aside(decided)
            self.drafts.bring_back(undone)

        self._change_drafts(change)

    def drop_all(self) -> None:
        """Forget what was changed of all: the project is closed."""
        self.row = None
        self._change_drafts(self.drafts.clear)

    def _change_drafts(self, change: Callable[[], object]) -> None:
        before = self.drafts.ids()
        change()
        if self.drafts.ids() != before:
            self.edited_changed.emit()

    def ruling_for(self, proposal_id: str) -> Ruling | None:
        """What accepts a proposal, with what was changed of it; None where that is not finished."""
        draft = self.drafts.get(proposal_id)
        return Ruling(proposal_id=proposal_id, verdict="accept") if draft is None else draft.ruling

    def say_edited(self, *, fits: bool = True) -> None:
        """Say that something was changed and is not decided; with not `fits`: that part of it is gone."""
        if not fits:
            self.edited_text.say(tr("✎  Part of what you changed does not fit any more and was left away."))
        else:
            self.edited_text.say(tr("✎  You changed this; it is kept until you decide."))
        self.edited.setVisible(self.has_edit or not fits)
        self.drop_button.setVisible(self.has_edit)

    def since(self, left: Standing) -> Standing:
        """What is left of the proposal, with what changed of what the card shows."""
        card = self.card
        return left if card is None or self.is_gone else card.since(left)

    def say_keys(self) -> None:
        """Show keys as they are now; the card stays as it is filled."""
        self.say_buttons()
        if self.card is not None and not self.is_gone and self.row is not None:
            self.card.say_keys()

    # Room

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._area and event.type() == QEvent.Type.Resize:
            self._give_room()
        return super().eventFilter(watched, event)

    def _give_room(self) -> None:
        card = self.card
        if card is not None and not card.isHidden():
            bar = (
                self._area.verticalScrollBar().sizeHint().width()
            )  # shown or not: else what fits would depend on itself
            card.set_room(QSize(self._area.width() - bar, self._area.height()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fold()

    def _fold(self) -> None:
        """Where there is little room: what it is above its title, why and figures cut short (the tooltip has all)."""
        title = self.title.fontMetrics().horizontalAdvance(self.title.text())
        is_narrow = title + self.kind.sizeHint().width() + 48 > self.width()
        way = QBoxLayout.Direction.BottomToTop if is_narrow else QBoxLayout.Direction.LeftToRight
        if self._head.direction() != way:
            self._head.setDirection(way)
        is_short = self.height() < SHORT * max(1.0, self._session.theme.factor)
        self.why.show_lines(1 if is_short else 0)
        self.figures.show_lines(1 if is_short else 0)

    def _turn_to(self, card: QWidget) -> None:
        """Show a card in place of the one that is shown. They are in one layout, in which what is hidden asks for no room, and
        stay where they are: Tab goes through them between the list and the buttons."""
        if card.isHidden():
            for other in (*dict.fromkeys(self._cards.values()), self.unknown):
                other.setVisible(other is card)
        self._give_room()

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
        self._fold()

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
        elif self.row is not None and self.row.kind == "place":
            then = tr("The numbers mean what they show until you refresh.")
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
            button.setText(literal(keys.titled(title, command.id)))
            set_tooltip(button, keys.tooltip(command))
            button.setVisible(key in wanted and is_open)
            button.setEnabled(is_open and not (self.is_gone and key in ("accept", "edit", "find", "new", "same")))
        for command_id, button in (("review.refresh", self.refresh_button), ("review.drop", self.drop_button)):
            button.setText(keys.titled(BY_ID[command_id].name, command_id))
            set_tooltip(button, keys.tooltip(BY_ID[command_id]))

    def restyle(self) -> None:
        theme = self._session.theme
        self.title.setFont(theme.font(size=HEADING, semibold=True))
        self.kind.setContentsMargins(0, 4, 0, 0)
        self.before.setStyleSheet(f"color: {theme.scheme.warn};")
        back, edge = theme.scheme.raised, theme.scheme.warn
        self.notice.setStyleSheet(
            f"QFrame#notice {{ background: {back}; border-radius: 6px; border-left: 3px solid {edge}; }}"
        )
        for card in dict.fromkeys(self._cards.values()):
            card.restyle()
        self.say_buttons()


def _ruling_of(card: Card) -> Ruling | None:
    """What accepting the card as it is would say; None where it is not finished."""
    if card.is_unfinished:
        return None
    try:
        return card.ruling()
    except KnownError:
        return None


def _done(row: ProposalRow) -> Sentence:
    return tr("rejected") if row.verdict == "reject" else tr("accepted")
