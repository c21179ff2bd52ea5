"""The queue: all proposals by worth at the left, the chosen one large at the right, one key decides it and goes on."""

from functools import partialmethod

from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPlainTextEdit

from app.commands import BY_ID
from app.review.browser import QueueBrowser
from app.session import Session
from app.step_queue import outcome_said
from errormap_core.errors import KnownError
from errormap_core.project.pending import ProposalRow, accepted_with_all
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from errormap_core.taxonomy.rulings import Verdict


class ReviewPage(QueueBrowser):
    """Proposals and questions wait here; nothing of them is in the tree before it is accepted."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.frame.decided.connect(self._decide_one)
        self.frame.pressed.connect(self._press)
        self.batch.pressed.connect(self._press)
        self._all.clicked.connect(lambda _=False: self.accept_all())

    # Deciding

    def _unfinished_above(self, row: ProposalRow) -> ProposalRow | None:
        """A proposal that would be accepted with this one, and whose card is half changed."""
        return next((up for up in self.deck.upwards(row) if self.frame.ruling_for(up.id) is None), None)

    def _decide_one(self, ruling: Ruling) -> None:
        row = self.deck.get(ruling.proposal_id)
        if row is not None and self._session.can_edit:
            accepts = ruling.verdict in ("accept", "edit")
            above = self._unfinished_above(row) if accepts else None
            if above is not None:
                self._session.failed.emit(
                    KnownError(
                        tr("The card above this one, “{name}”, is not finished.", name=above.name),
                        fix=tr("Finish it or drop its edit; it is accepted with this one."),
                    )
                )
                return
            self._take_step(self._op(ruling, row) if accepts else DecideProposals(rulings=(ruling,)))

    def _take_step(self, op: DecideProposals, *, also: Sentence | None = None) -> None:
        """Take it and show the next; where it is refused, the card says what changed. `also` is said behind what was done."""
        left = {ruling.proposal_id for ruling in op.rulings}
        before = self._order()
        current = self._current
        change = self._session.apply(op)
        if change is None:
            row = self.deck.get(current)
            if row is not None and self.n_selected < 2:
                self._recheck(row)
            return
        if also is not None:
            self._session.told.emit(tr("{done}; {also}", done=outcome_said(change), also=also), True)
        if (self._current == current and current in left) or op.is_bulk:
            self._go_after(before, left)
        self.focus_list()

    def accept(self) -> None:
        """Accept what the card shows, with the proposals above it; of several selected ones all that can be accepted."""
        if self.n_selected > 1:
            self._accept_batch()
            return
        row, card = self.deck.get(self._current), self.frame.card
        if row is None or card is None or row.state == "done":
            return
        if (
            card is self.frame.place and self.frame.place.is_marking
        ):  # it was asked which are the same, not where it goes
            self.frame.place.mark_same()
            return
        left = self._standing(row)
        if left.arguments is None:
            self.frame.say_standing(left, is_shown=False)
            return
        if left.changes and left != self._left:  # it is not what was read any more
            self._show(row)
            return
        try:
            ruling = self._as_shown(card.ruling())
        except KnownError as error:
            self._session.failed.emit(error)
            return
        self._decide_one(ruling)

    def _accept_batch(self) -> None:
        preview = self.batch.preview
        if preview is not None and self.batch.can_accept:
            self._take_step(DecideProposals(rulings=preview.rulings, is_bulk=True))

    def _say_verdict(self, verdict: Verdict) -> None:
        """Decide without accepting, the selected ones in one step."""
        rows = [row for row in self.list.selected_rows() if row.state != "done"]
        if len(rows) < 2:
            row = self.deck.get(self._current)
            rows = [row] if row is not None and row.state != "done" else []
        if rows:
            rulings = tuple(Ruling(proposal_id=row.id, verdict=verdict) for row in rows)
            self._take_step(DecideProposals(rulings=rulings, is_bulk=len(rows) > 1))

    def reject(self) -> None:
        self._say_verdict("reject")

    def skip(self) -> None:
        """Decide later."""
        self._say_verdict("skip")

    def unsure(self) -> None:
        self._say_verdict("unsure")

    def flag(self) -> None:
        self._say_verdict("flag")

    def accept_all(self) -> None:
        """Accept all that place failures and were not skipped, in one step that is recorded as bulk; changes of the tree are
        looked at one by one. From a field of a card it is that card that is accepted."""
        if self._is_in_field():
            self.accept()
            return
        chosen, skipped = accepted_with_all(self.deck.waiting())
        rulings, n_unfinished = [], 0
        for row in chosen:
            if row.id == self._current and self._standing(row).arguments is None:
                continue  # what is looked at stays in the list when nothing of it is left, and its card says so
            ruling = self.frame.ruling_for(row.id)
            if ruling is None or self._unfinished_above(row) is not None:
                n_unfinished += 1
            else:
                rulings.append(ruling)
        left = _left_out(len(skipped), n_unfinished)
        if rulings:
            self._take_step(DecideProposals(rulings=tuple(rulings), is_bulk=True), also=left)
        elif left is not None:
            self._session.say(tr("Nothing was accepted: {left}", left=left))

    def _is_in_field(self) -> bool:
        """Whether one types on the card."""
        focus = QApplication.focusWidget()
        return isinstance(focus, QLineEdit | QPlainTextEdit | QComboBox) and self.frame.isAncestorOf(focus)

    def edit(self) -> None:
        """Put the focus on what can be changed."""
        if self.frame.card is not None and self._current is not None:
            self.frame.card.edit()

    def find_category(self) -> None:
        if self._is_asking:
            self.frame.place.find_category()

    def new(self) -> None:
        if self._is_asking:
            self.frame.place.new()

    def same(self) -> None:
        if self._is_asking:
            self.frame.place.mark_same()

    @property
    def _is_asking(self) -> bool:
        """Whether the card is a question that can be answered."""
        return self.chosen_kind == "place" and not self.frame.is_gone

    def details(self) -> None:
        if self.chosen_kind == "place":
            self.frame.place.show_next_detail()

    def refresh(self) -> None:
        """Show the proposal as it would be now."""
        row = self.deck.get(self._current)
        if row is not None:
            self._show(row)

    def drop_edit(self) -> None:
        """Show the proposal as it is proposed, without what was changed on its card."""
        row = self.deck.get(self._current)
        if row is not None and self.frame.has_edit:
            self.frame.drop_edit()
            self._show(row)
            self.focus_list()

    def _move(self, how: str) -> None:
        if self.frame.card is self.frame.split and self._current is not None and not self.frame.is_gone:
            self.frame.split.move_selected(how)

    part_next = partialmethod(_move, "part_next")
    part_previous = partialmethod(_move, "part_previous")
    part_new = partialmethod(_move, "part_new")
    part_back = partialmethod(_move, "part_back")

    def filter(self) -> None:
        """Go to the filters; Esc comes back to the list."""
        self.filters.kind.setFocus()

    def _nth(self, n: int) -> None:
        if self.frame.card is not None and self._current is not None and not self.frame.is_gone:
            self.frame.card.nth(n)

    nth_1 = partialmethod(_nth, 1)
    nth_2 = partialmethod(_nth, 2)
    nth_3 = partialmethod(_nth, 3)
    nth_4 = partialmethod(_nth, 4)
    nth_5 = partialmethod(_nth, 5)
    nth_6 = partialmethod(_nth, 6)
    nth_7 = partialmethod(_nth, 7)
    nth_8 = partialmethod(_nth, 8)
    nth_9 = partialmethod(_nth, 9)

    def _press(self, command_id: str) -> None:
        getattr(self, BY_ID[command_id].handler.removeprefix("review."))()


def _left_out(n_skipped: int, n_unfinished: int) -> Sentence | None:
    """How many accepting all left out, and why; None where that is none."""
    skipped = trn("{n:,} skipped was left out", "{n:,} skipped were left out", n_skipped)
    unfinished = trn(
        "{n:,} was left out because its card, or one above it, is not finished",
        "{n:,} were left out because their cards, or those above them, are not finished",
        n_unfinished,
    )
    if n_skipped and n_unfinished:
        return tr("{skipped}, {unfinished}", skipped=skipped, unfinished=unfinished)
    return skipped if n_skipped else unfinished if n_unfinished else None
