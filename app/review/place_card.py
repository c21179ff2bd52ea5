"""The question 'Where does this failure belong?': the answer large, the likely categories on the number keys."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.dialogs import Picker
from app.records.document import Colours, RecordDocument
from app.review.candidates import Candidate, CandidateList
from app.review.deck import Deck
from app.review.parts import Card, Text, keep_space, subheading
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project.pending import ProposalRow
from errormap_core.project.queries import RecordDetail, record_detail
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.category_operations import checked_name
from errormap_core.taxonomy.operations import Ruling

MOST = 9

LEAST_ANSWER = 72
"""Least height of the answer in pixels."""

DETAILS: tuple[tuple[str, Sentence], ...] = (
    ("question", tr("Question")),
    ("reference", tr("Reference")),
    ("correct", tr("Correct answers")),
    ("criteria", tr("Criteria")),
)
"""What the space bar shows beside the answer, one after the other."""


class EntryField(QLineEdit):
    """A field that takes Enter and Esc for itself, though the page has commands on them."""

    def __init__(self, parent: QWidget, *, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        super().__init__(parent)
        self._enter, self._leave = enter, leave

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                (self._leave if event.key() == Qt.Key.Key_Escape else self._enter)()
                return True
        return super().event(event)


class AnswerText(QTextEdit):
    """Asks for little room, and takes what there is."""

    def sizeHint(self) -> QSize:
        return QSize(200, LEAST_ANSWER)


class PlaceCard(Card):
    """One failure and where it may belong."""

    def __init__(self, session: Session, deck: Deck, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._deck = deck
        self.detail: RecordDetail | None = None
        self.shown: tuple[str, ...] = ()
        self.candidates: list[Candidate] = []
        self.same: set[str] = set()
        self.is_marking = False
        self.folds: dict[str, QToolButton] = {}
        folds = QHBoxLayout()
        folds.setContentsMargins(0, 0, 0, 0)
        for key, title in DETAILS:
            button = QToolButton(self)
            button.setText(str(title))
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda on=False, k=key: self._fold(k, on))
            folds.addWidget(button)
            self.folds[key] = button
        folds.addStretch(1)
        self.answer = AnswerText(self)
        self.answer.setReadOnly(True)
        self.answer.setAccessibleName(str(tr("The answer that failed")))
        self.answer.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.answer.setMinimumHeight(LEAST_ANSWER)
        self.answer.document().setDocumentMargin(4)
        self.judged = Text(self)
        self.summary = Text(self)
        self.where = Text(self, muted=True)
        self.list = CandidateList(session.theme, self)
        self.list.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.list.chosen.connect(self._choose)
        self.new_row = QWidget(self)
        self.name = EntryField(self.new_row, enter=self._add, leave=self._leave)
        self.name.setPlaceholderText(str(tr("Name of the new category, about five words")))
        self.name.setAccessibleName(str(tr("Name of the new category")))
        self.parent_of_new = QComboBox(self.new_row)
        self.parent_of_new.setAccessibleName(str(tr("Where the new category stands")))
        self.parent_of_new.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.parent_of_new.setMinimumContentsLength(14)
        add = QPushButton(str(tr("Place there  ⏎")), self.new_row)
        add.clicked.connect(lambda _=False: self._add())
        line = QHBoxLayout(self.new_row)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.name, 1)
        line.addWidget(self.parent_of_new)
        line.addWidget(add)
        self.problem = Text(self)
        self.new_row.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(folds)
        column.addWidget(self.answer, 10)
        for widget in (self.judged, self.summary, self.where, self.list, self.new_row, self.problem):
            column.addWidget(widget)
        column.addStretch(1)
        self.answer.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        keep_space(self, [*self.folds.values(), self.parent_of_new, add], enter=self._add)
        self.restyle()

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        project = self.session.project
        assert project is not None
        super().fill(row, arguments)
        self._fold_new()
        try:
            self.detail = record_detail(project.reader, arguments["record_id"])
        except KnownError:  # the record went with a later import
            self.detail = None
        self.candidates = [self._candidate(c) for c in arguments["candidates"][:MOST]]
        self.same, self.is_marking = set(), False
        self.shown = ()
        self._write()
        analysis = self.detail.analysis if self.detail is not None else None
        self.judged.say("" if analysis is None else analysis.error_title)
        self.summary.say("" if analysis is None else analysis.error_summary)
        counted = next((a for a in self.detail.assignments if a.counts), None) if self.detail is not None else None
        path = project.tree.path(counted.category_id) if counted is not None else ""
        self.where.say(tr("Now in: {path}", path=path) if path else "")
        keys = [self.session.keys.text(f"review.nth_{n}") for n in range(1, MOST + 1)]
        self.list.show_candidates(self.candidates, keys)

    def _candidate(self, given: Mapping[str, Any]) -> Candidate:
        project = self.session.project
        assert project is not None
        probability = float(given.get("probability") or 0.0)
        category = project.tree.get(given.get("category_id") or "")
        if category is not None:
            return Candidate(category.id, category.name, probability, category.description)
        proposed = self._deck.get(given.get("proposal_id"))
        description = proposed.description if proposed is not None else ""
        return Candidate(str(given.get("proposal_id")), given.get("name", ""), probability, description, True)

    # The texts

    def _parts(self) -> list[str]:
        """Those of DETAILS that there is something of."""
        detail = self.detail
        if detail is None:
            return []
        there = {
            "question": bool(detail.input_text.strip()),
            "reference": bool(detail.correct_answer),
            "correct": bool(detail.correct_predictions),
            "criteria": detail.analysis is not None and bool(detail.analysis.required_criteria),
        }
        return [key for key, _ in DETAILS if there[key]]

    def _write(self) -> None:
        parts = self._parts()
        for key, button in self.folds.items():
            button.setVisible(key in parts)
            button.setChecked(key in self.shown)
            title = dict(DETAILS)[key]
            is_next = key == next((k for k in parts if k not in self.shown), None)
            button.setText(self.session.keys.titled(title, "review.details") if is_next else str(title))
        if self.detail is None:
            self.answer.setPlainText(str(tr("This record is not in the project any more.")))
            return
        scheme = self.session.theme.scheme
        colours = Colours(scheme.text, scheme.muted, scheme.evidence, scheme.bad, scheme.good)
        document = RecordDocument(self.answer.document(), colours, base=self.session.theme.font(size=1.1))
        document.write_parts(self.detail, self.shown)
        self.answer.verticalScrollBar().setValue(0)
        self._places = document.places

    def _fit(self) -> None:
        """As high as the texts are, where there is room: the candidates stand right below."""
        height = self.answer.document().size().height() + 2 * self.answer.frameWidth() + 2
        self.answer.setMaximumHeight(max(self.answer.minimumHeight(), round(height)))

    def show_next_detail(self) -> None:
        """Unfold the next of question, reference, correct answers, criteria; after the last fold all."""
        left = [key for key in self._parts() if key not in self.shown]
        self.shown = (*self.shown, left[0]) if left else ()
        self._write()
        if left:
            self._scroll_to(left[0])

    def _fold(self, key: str, on: bool) -> None:
        self.shown = (*self.shown, key) if on else tuple(k for k in self.shown if k != key)
        self._write()
        if on:
            self._scroll_to(key)

    def _scroll_to(self, key: str) -> None:
        place = self._places.get(key, 0)
        cursor = self.answer.textCursor()
        cursor.setPosition(place)
        top = self.answer.cursorRect(cursor).top()
        bar = self.answer.verticalScrollBar()
        bar.setValue(bar.value() + top - 4)

    # Deciding

    def ruling(self) -> Ruling:
        if not self.candidates:
            raise KnownError(
                tr("There is no likely category for this failure."),
                fix=tr("Find one ({find}), or name a new one ({new}).",
                       find=self.session.keys.text("review.find"), new=self.session.keys.text("review.new")),
            )  # fmt: skip
        return self.placing(self.candidates[0].id)

    def placing(self, target: str) -> Ruling:
        """The failure goes there; the likeliest is what was proposed, another an edit of it."""
        assert self.row is not None
        is_first = bool(self.candidates) and target == self.candidates[0].id
        same = tuple(c.id for c in self.candidates if c.id in self.same and c.id != target)
        is_edit = bool(same) or not is_first
        return Ruling(proposal_id=self.row.id, verdict="edit" if is_edit else "accept", target=target, same=same)

    def nth(self, n: int) -> None:
        if n <= len(self.candidates):
            self._choose(self.candidates[n - 1].id)

    def _choose(self, target: str) -> None:
        """Place it there; while candidates are marked as the same, mark this one, or no more."""
        if not self.is_marking:
            self.decided.emit(self.placing(target))
            return
        self.same ^= {target}
        self._show_same()

    def mark_same(self) -> None:
        """Begin to say which candidates mean the same, or end it: the next one that is chosen takes them in."""
        self.is_marking = not self.is_marking
        self._show_same()

    def stop_marking(self) -> None:
        """Take all marks back."""
        self.same, self.is_marking = set(), False
        self._show_same()

    def _show_same(self) -> None:
        for button in self.list.buttons:
            button.mark(button.candidate.id in self.same)
        n, keys = len(self.same), self.session.keys
        self.problem.setStyleSheet("")
        if self.is_marking:
            self.problem.say(tr("Choose those that mean the same, then {key} again.", key=keys.text("review.same")))
        else:
            self.problem.say(
                trn("{n:,} is taken for the one that you place it in.", "{n:,} are taken for the one that you place it in.", n)
                if n else ""
            )  # fmt: skip

    def find_category(self) -> None:
        """Ask for any other category, proposed ones included."""
        project = self.session.project
        assert project is not None
        tree = project.tree
        places = [(c.id, tree.path(c.id), c.description) for c in tree]
        places += [
            (row.id, str(tr("{name} (proposed)", name=row.name)), row.description)
            for row in self._deck.waiting()
            if row.kind == "create"
        ]

        def entries(words: list[str]) -> Iterator[tuple[str, str, str]]:
            return (entry for entry in places if all(word in entry[1].casefold() for word in words))

        row = self.row

        def pick(target: str) -> None:
            if row is not None and row is self.row:
                self.decided.emit(self.placing(target))

        Picker(tr("Where does this failure belong?"), self, hint=tr("Type to find a category"), entries=entries,
               pick=pick).open()  # fmt: skip

    def new(self) -> None:
        """Ask for the name of a new category."""
        project = self.session.project
        assert project is not None
        tree = project.tree
        self.parent_of_new.clear()
        self.parent_of_new.addItem(str(tr("at the top")), "")
        for category in tree:
            if category.reserved != "hard":
                self.parent_of_new.addItem(str(tr("below {path}", path=tree.path(category.id))), category.id)
        self.new_row.show()
        self.name.clear()
        self.name.setFocus()

    def _add(self) -> None:
        try:
            name = checked_name(self.name.text())
        except KnownError as error:
            self.problem.setStyleSheet(f"color: {self.session.theme.scheme.bad};")
            self.problem.say(f"⚠  {error}")
            return
        parent_id = self.parent_of_new.currentData() or None
        same = tuple(candidate.id for candidate in self.candidates if candidate.id in self.same)
        self.decided.emit(self.accepting(is_new=True, name=name, parent_id=parent_id, same=same))

    def _leave(self) -> None:
        """Leave the field of a new category, which folds away."""
        self._fold_new()
        self._show_same()
        self.left.emit()

    def _fold_new(self) -> None:
        self.new_row.hide()
        self.problem.say("")

    def subjects(self) -> Sequence[str]:
        return (self.arguments["record_id"],)

    def accept_title(self) -> Sentence:
        return tr("Place in 1")

    def restyle(self) -> None:
        subheading(self.session, self.judged)
        if self.row is not None:
            self._write()


def taught(row: ProposalRow) -> Sentence | None:
    """How many others the answer tells about."""
    n = row.evidence.get("n_taught")
    return trn("teaches about {n:,} other", "teaches about {n:,} others", n) if isinstance(n, int) and n else None
