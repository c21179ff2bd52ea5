"""The queue without its decisions: the list by worth, the card of the chosen one, filters, going about.

Rows are in memory (deck.py): the next card is there at once, and what machines or other people change meanwhile is read
beside the window's thread. The card that somebody looks at stays as it is; a line on it says what changed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QMenu,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.plain import set_tooltip
from app.queue_reading import BESIDE, DECIDING_TABLES, Reading
from app.review.batch import BatchPanel
from app.review.deck import Deck
from app.review.effects import Effects, effect_text
from app.review.frame import CardFrame
from app.review.nothing import say_why
from app.review.parts import keep_space
from app.review.questions import Questions
from app.review.queue_list import QueueModel, QueueView
from app.review.top import QueueTop
from app.session import Scope, Session
from errormap_core.errors import KnownError
from errormap_core.project.pending import ProposalRow, accepted_with_all
from errormap_core.project.previewing import standing_on
from errormap_core.project.proposing import has_diagnosed
from errormap_core.project.queries import Totals
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.edits import Change, Edit, MachineChange
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from errormap_core.taxonomy.rulings import DECIDING
from errormap_core.taxonomy.standing import Standing

LEAST_LIST = 180


class QueueBrowser(QWidget):
    """The list, the cards and what is read for them; deciding is page.py's."""

    n_changed = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._menu: Callable[[], QMenu] | None = None
        self.deck = Deck()
        self._current: str | None = None  # the proposal on the card
        self._read = ""  # the one whose failure was shown beside; a new list of the same does not show it again
        self._awaited: str | None = None  # an undone one that is to be shown once it is read
        self._is_following = False
        self._is_read = False  # the deck holds what the project does
        self._numbers: Totals | None = None
        self.effects = Effects(session)
        self.questions = Questions(session, self)
        self._build()
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.changed.connect(self._on_change)
        session.steps.changed.connect(self._on_steps)
        session.machine_changed.connect(self._on_machine)
        session.queue.read.connect(self._take)
        session.counted.connect(lambda numbers, _: self._on_counted(numbers))
        session.proposal_selected.connect(self._follow)
        session.scope_changed.connect(self._on_scope)
        session.theme.changed.connect(self._restyle)
        session.keys.changed.connect(self._on_keys)
        self.questions.changed.connect(self._say_questions)
        self._restyle()
        self._on_closed()

    def _build(self) -> None:
        self.top = QueueTop(self._session, self)
        self.filters = self.top.filters
        self.filters.changed.connect(self._on_filter)
        self.model = QueueModel(self)
        self.list = QueueView(self)
        self.list.setModel(self.model)
        self.list.customContextMenuRequested.connect(self._show_menu)
        self.list.selectionModel().selectionChanged.connect(lambda *_: self._on_selection())
        self._all = QPushButton(self)
        self._all.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.frame = CardFrame(self._session, self.deck, self)
        self.frame.changed.connect(self._on_card)
        self.frame.edited_changed.connect(self._on_edited)
        self.frame.left.connect(self.focus_list)
        self.batch = BatchPanel(self._session, self)
        self._cards = QStackedWidget(self)
        self._cards.addWidget(self.frame)
        self._cards.addWidget(self.batch)
        left = self._side = QWidget(self)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 8)
        column.addWidget(self.list, 1)
        column.addWidget(self._all, 0, Qt.AlignmentFlag.AlignHCenter)
        split = QSplitter(Qt.Orientation.Horizontal, self)
        split.addWidget(left)
        split.addWidget(self._cards)
        split.setStretchFactor(0, 0)
        split.setStretchFactor(1, 1)
        split.setChildrenCollapsible(False)
        split.setSizes([220, 520])
        self._empty = EmptyState(self)
        middle = QWidget(self)
        self._layers = QStackedLayout(middle)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(split)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.top)
        whole.addWidget(middle, 1)
        filters = self.filters
        boxes = (filters.kind, filters.state, filters.worth, filters.age)
        keep_space(self, boxes, enter=self.focus_list)
        keep_space(self, [filters.below, self._all])
        for box in boxes:
            box.closed.connect(self.focus_list)  # chosen: the keys are the list's again

    # What commands ask

    @property
    def n_pending(self) -> int:
        """How many wait, skipped ones included."""
        return len(self.deck.waiting())

    @property
    def chosen_kind(self) -> str:
        """Kind of the proposal on the card."""
        return "" if self.frame.row is None or self._current is None else self.frame.row.kind

    @property
    def n_selected(self) -> int:
        return len(self.list.selected_rows())

    @property
    def has_edit(self) -> bool:
        """Whether something was changed on the card that is not decided."""
        return self._current is not None and self.frame.has_edit

    @property
    def can_decide(self) -> bool:
        """Whether what is selected can be decided: what was accepted is changed by undoing."""
        if self.n_selected > 1:
            return any(row.state != "done" for row in self.list.selected_rows())
        row = self.deck.get(self._current)
        return row is not None and row.state != "done"

    # Reading

    def _on_opened(self) -> None:
        self._follow_selection()  # of the project before
        self.filters.set_quietly("pending")
        self._refresh_list()
        self._want_questions()

    def _on_counted(self, numbers: Totals) -> None:
        self._numbers = numbers
        if self._current is None:  # why there is nothing may have changed
            self._say_why()

    def _want_done(self) -> None:
        """What is done is read where the filter shows it."""
        self._session.queue.want_done(self.filters.chosen().state in ("", "done"))

    def _take(self, reading: Reading) -> None:
        self._is_read = True
        self.deck.read(reading.rows, keep=self._current)
        self.deck.is_certainty_known = reading.certainty is not None and not reading.certainty["n_missing"]
        self.top.show_reading(reading)
        self._refresh_list()
        row = self.deck.get(self._current)
        if row is not None and row.kind == "place":  # the queue may have learned meanwhile
            self._recheck(row)
        if self._awaited is not None and self.deck.get(self._awaited) is not None:
            awaited, self._awaited = self._awaited, None
            self._go(awaited)
        elif self._current is None:
            self._go_first()

    def _refresh_list(self) -> None:
        """Show what the filter shows of the deck; the card stays."""
        rows = self.deck.shown(self.filters.chosen())
        self._is_following = True
        with self.list.staying():
            self.model.follow(rows)
        place = self.model.place_of(self._current)
        if place >= 0 and self.list.currentIndex().row() != place and self.n_selected < 2:
            self.list.go(place)
        self._is_following = False
        is_shown = bool(rows) or self._current is not None
        self._layers.setCurrentIndex(1 if is_shown else 0)
        self.top.setVisible(self._session.is_open)
        if not is_shown:
            self._say_why()
        self._say_all()
        self.n_changed.emit(self.n_pending)

    def _say_all(self) -> None:
        n = len(accepted_with_all(self.deck.waiting())[0])
        self._all.setVisible(n > 1)
        self._all.setEnabled(self._session.can_edit)
        self._all.setText(self._session.keys.titled(tr("Accept all {n:,}", n=n), "review.accept_all"))
        self._side.setMinimumWidth(max(LEAST_LIST, self._all.sizeHint().width() + 16 if n > 1 else 0))
        set_tooltip(
            self._all,
            str(tr("Accept all new categories and places of failures in one step; what you skipped is left out")),
        )

    def _on_filter(self) -> None:
        if self._session.project is None:
            return
        self._show_none()
        self._refresh_list()
        self._go_first()
        self._want_done()

    def _on_scope(self, _: Scope) -> None:
        self._follow_selection()

    def _follow_selection(self) -> None:
        project = self._session.project
        self.filters.follow_selection(
            self._session.scope.category_ids or (), project.tree if project is not None else None
        )

    def _on_machine(self, change: MachineChange) -> None:
        if self._session.project is None or change.tables <= BESIDE:
            return
        if "run" in change.tables:
            self.questions.came()
        self._want_questions()

    def _on_change(self, change: Change) -> None:
        if not change.tables() & DECIDING_TABLES:
            return
        if "category" in change.tables():
            self._follow_selection()  # it may have another name now
        self.deck.decide(change.edits)
        decided = [e for e in change.edits if isinstance(e, Edit) and e.table == "decision"]
        keys = [e.key for e in decided]
        standing = [e.key for e in decided if e.after is not None and e.after["verdict"] in DECIDING]
        self.frame.follow_decisions(standing, [key for key in keys if key not in standing])
        row = self.deck.get(self._current)
        was_shown = row is not None and row.id in keys
        before = self._order()
        self._refresh_list()
        if change.is_own and change.undo_of is not None and keys and self._is_undone(keys[0]):
            self._go_back_to(keys[0])
        elif was_shown and row is not None and change.is_own and not self.filters.chosen().shows(row):
            self._go_after(before, {row.id})
        elif row is not None:
            self._recheck(row, was_decided=was_shown and not change.is_own)
        else:
            self._go_first()
        if self.n_selected > 1:
            self._show_batch()

    def _on_steps(self) -> None:
        """What was decided and is not saved yet is out of the way; what is not going to be saved comes back."""
        ops = [step.op for step in self._session.steps.waiting]
        rulings = [r for op in ops if isinstance(op, DecideProposals) for r in op.rulings]
        back = self.deck.set_unsaved({ruling.proposal_id: ruling.verdict for ruling in rulings})
        if not self._session.is_open:
            return
        self._refresh_list()
        again = next((key for key in back if self._is_undone(key)), None)
        if again is not None:
            self._go_back_to(again)

    def _is_undone(self, proposal_id: str) -> bool:
        row = self.deck.get(proposal_id)
        return row is None or row.state != "done"

    def _go_back_to(self, proposal_id: str) -> None:
        """Show a proposal whose decision was taken back."""
        if self.deck.get(proposal_id) is None:
            self._awaited = proposal_id
        elif self._go(proposal_id):
            self.list.setFocus() if self.isVisible() else None

    # The card

    def _order(self) -> list[str]:
        return [row.id for row in self.model.rows()]

    def _go(self, proposal_id: str) -> bool:
        """Show this one; where the filter hides it, the filter gives way."""
        row = self.deck.get(proposal_id)
        if row is None:
            return False
        if not self.filters.chosen().shows(row):
            self.filters.set_quietly(row.state)
            self._refresh_list()
            self._want_done()
        place = self.model.place_of(proposal_id)
        if place < 0:
            return False
        self._is_following = True
        self.list.go(place)
        self._is_following = False
        self._show(row)
        return True

    def _go_first(self) -> None:
        """Show the most worthwhile that waits."""
        self._go_after([], set())

    def _go_after(self, before: Sequence[str], left: set[str]) -> None:
        """Show what follows in the order `before`, else what comes before it, else the first; what has become pointless is
        passed over."""
        place = next((i for i, key in enumerate(before) if key in left), -1)
        ahead = (key for key in before[place + 1 :] if key not in left)
        behind = (key for key in reversed(before[: max(0, place)]) if key not in left)
        first_waiting: str | None = None
        done: list[str] = []
        for row in self._once(chain(ahead, behind, (row.id for row in self.model.rows()))):
            if row.state == "done":
                done.append(row.id)
            elif self._standing(row).arguments is not None:
                self._go(row.id)
                return
            else:
                first_waiting = first_waiting or row.id
        wanted = next(iter(done), first_waiting)
        if wanted is not None:
            self._go(wanted)
            return
        self._show_none()
        self._refresh_list()

    def _once(self, proposal_ids: Iterable[str]) -> Iterator[ProposalRow]:
        """The rows of these that are shown, each once."""
        seen: set[str] = set()
        for proposal_id in proposal_ids:
            row = self.model.row(proposal_id)
            if row is not None and proposal_id not in seen:
                seen.add(proposal_id)
                yield row

    def _show_none(self) -> None:
        self._current = None
        self._cards.setCurrentWidget(self.frame)
        self._session.select_proposal(None)
        self._session.context_changed.emit()

    def _standing(self, row: ProposalRow) -> Standing:
        project = self._session.project
        assert project is not None
        try:
            return standing_on(project.reader, project.tree, row.id)
        except KnownError as error:  # it went with what machines wrote
            return Standing((error.what,), None)

    def _show(self, row: ProposalRow) -> None:
        """Fill the card from a proposal as it holds in the tree as it is."""
        left = self._standing(row)
        if row.state == "done":
            left = Standing((), row.arguments)
        self._current, self._left = row.id, left
        place = tr("{n:,} of {total:,}", n=self.model.place_of(row.id) + 1, total=self.model.rowCount())
        self.frame.show_row(row, left, place=place)
        self._layers.setCurrentIndex(1)
        self._cards.setCurrentWidget(self.frame)
        self._session.select_proposal(row.id)
        self._session.context_changed.emit()
        self._show_failure()
        self._preview()

    def _show_failure(self) -> None:
        """Show a failure of the proposal in the record pane, once."""
        card = self.frame.card
        if card is None or self._current is None or not self.isVisible() or self._read == self._current:
            return
        if self.frame.is_gone:
            return
        subjects = card.subjects()
        if subjects:
            self._read = self._current
            self._session.select_record(subjects[0])

    def _on_edited(self) -> None:
        self.model.mark_edited(self.frame.drafts.ids())
        self._session.context_changed.emit()

    def _on_card(self) -> None:
        """Something was changed on the card: other buttons, another effect."""
        if self._current is None:
            return
        self.frame.say_buttons()
        self._preview()

    def _preview(self) -> None:
        """Say what accepting what the card shows would touch."""
        row, card, project = self.deck.get(self._current), self.frame.card, self._session.project
        if row is None or card is None or project is None or self.frame.is_gone or row.state == "done":
            return
        try:
            ruling = card.previewed()
            op = None if ruling is None else self._op(self._as_shown(ruling), row)
        except KnownError as error:
            self.effects.forget()
            self.frame.effect.say(f"⚠  {error}")
            return
        if op is None:  # an answer alone moves the one failure that is shown
            self.effects.forget()
            self.frame.effect.say("")
        elif row.kind == "place":
            self.frame.effect.say(tr("Looking what it would do …"))  # the card makes room for it once
            self.effects.ask_answer(op, lambda found: self.frame.effect.say(self.frame.place.effect_of(found)))
        else:
            self.effects.ask(op, lambda effect: self.frame.effect.say(effect_text(effect, self.chosen_kind)))

    def _op(self, ruling: Ruling, row: ProposalRow) -> DecideProposals:
        above = tuple(self.frame.ruling_for(up.id) for up in self.deck.upwards(row))
        return DecideProposals(rulings=(ruling, *(each for each in above if each is not None)))

    def _as_shown(self, ruling: Ruling) -> Ruling:
        return replace(ruling, as_is=True) if self.frame.as_is else ruling

    def _recheck(self, row: ProposalRow, *, was_decided: bool = False) -> None:
        """Say on the card what changed under it; the card itself stays as it is."""
        if was_decided:
            self.frame.say_standing(Standing((tr("It was decided elsewhere meanwhile."),), None), is_shown=False)
            return
        if row.state == "done":
            return
        left = self.frame.since(self._standing(row))
        is_same = left.arguments == self._left.arguments
        self.frame.say_standing(left, is_shown=is_same and self.frame.as_is)
        if left.arguments is None:
            self.effects.forget()
            self.frame.effect.say("")  # what accepting would touch was said of the tree as it was
        elif row.kind != "place":
            self._preview()

    # Selection

    def _on_selection(self) -> None:
        if self._is_following:
            return
        rows = self.list.selected_rows()
        if len(rows) > 1:
            self._show_batch()
        elif rows and (rows[0].id != self._current or self._cards.currentWidget() is self.batch):
            self._show(rows[0])

    def _show_batch(self) -> None:
        """Show what accepting all that is selected would do."""
        project = self._session.project
        assert project is not None
        rows = [row for row in self.list.selected_rows() if row.state != "done"]
        self.batch.show_rows(rows)
        self._cards.setCurrentWidget(self.batch)
        self._session.context_changed.emit()
        rulings, unfinished = self._rulings(rows)
        self.effects.ask_batch(rulings, lambda found: self.batch.show_preview(found, also=unfinished))

    def _rulings(self, rows: Sequence[ProposalRow]) -> tuple[list[Ruling], dict[str, Sentence]]:
        """What accepts each, with what was changed of it, and those above that are accepted along; and those that are left
        out because something on their cards is not finished."""
        ids = dict.fromkeys(row.id for row in rows)
        ids |= dict.fromkeys(above.id for row in rows for above in self.deck.upwards(row))
        found = {key: self.frame.ruling_for(key) for key in ids}
        said = tr("What you began on its card is not finished.")
        return [r for r in found.values() if r is not None], {key: said for key, r in found.items() if r is None}

    def _follow(self, proposal_id: str | None) -> None:
        """Another pane selected a proposal: show it here."""
        is_shown = proposal_id == self._current and self.n_selected < 2
        if proposal_id is not None and not is_shown and not self._is_following:
            self._go(proposal_id)

    # Going about

    def next(self) -> None:
        self._step(1)

    def previous(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        n = self.model.rowCount()
        if n:
            place = self.model.place_of(self._current)
            self._go(self.model.rows()[max(0, min(n - 1, place + by))].id)

    def first(self) -> None:
        self._go_first()
        self.focus_list()

    def select_all(self) -> None:
        self.list.selectAll()

    def focus_list(self) -> None:
        self.list.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc goes from a field back to the keys, and from several selected ones to one."""
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
            return
        if self.n_selected > 1 and self._current is not None:
            self._go(self._current)
        if self.frame.card is self.frame.place and self.frame.place.is_marking:
            self.frame.place.stop_marking()
        self.focus_list()

    def showEvent(self, event: QShowEvent) -> None:
        """The record pane shows a failure of the chosen proposal again."""
        super().showEvent(event)
        self._read = ""
        self._show_failure()
        self._want_questions()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.questions.want(False)

    def _want_questions(self) -> None:
        project = self._session.project
        is_wanted = project is not None and self.isVisible() and self._session.can_edit
        self.questions.want(is_wanted and project is not None and has_diagnosed(project.reader))

    def _say_questions(self) -> None:
        self.top.say_questions(self.questions.said)

    def set_menu(self, make: Callable[[], QMenu]) -> None:
        """Where the context menu comes from."""
        self._menu = make

    def _show_menu(self, point: QPoint) -> None:
        if self._menu is not None:
            self._menu().popup(self.list.viewport().mapToGlobal(point))

    # Nothing to show

    def _on_closed(self) -> None:
        self.deck.clear()
        self.frame.drop_all()
        self._current = self._awaited = self._numbers = None
        self._is_read = False
        self._is_following = True
        self.model.follow(())
        self._is_following = False
        self.frame.row = None
        self._empty.say(tr("No project is open."))
        self._layers.setCurrentIndex(0)
        self.top.hide()
        self.n_changed.emit(0)

    def _say_why(self) -> None:
        """Say why there is nothing, once that is known."""
        numbers = self._numbers
        if not self._session.is_open:
            return
        if numbers is None or not self._is_read:
            self._empty.say(tr("Reading the proposals …"))
            return
        window_do = getattr(self.window(), "do", None)

        def do(command: str) -> None:
            if window_do is not None:
                window_do(command)

        say_why(self._empty, numbers, deck=self.deck, filters=self.filters, keys=self._session.keys, do=do)

    def _on_keys(self) -> None:
        self.frame.say_keys()
        self.batch.say_buttons()
        self._say_all()

    def _restyle(self) -> None:
        self.top.restyle()
        self.frame.restyle()
        self.batch.restyle()
        self.list.viewport().update()
