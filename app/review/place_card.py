"""The question 'Where does this failure belong?': the answer large, the likely categories on the number keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.dialogs import Picker
from app.records.document import Colours, RecordDocument
from app.records.long_text import LongText
from app.review.candidates import Candidate, CandidateList
from app.review.deck import Deck
from app.review.effects import effect_text
from app.review.new_row import NewRow
from app.review.parts import Card, Clipped, Text, keep_space, subheading, tab_after
from app.session import Session
from errormap_core.errors import KnownError
from errormap_core.project.pending import ProposalRow
from errormap_core.project.previewing import AnswerPreview, since_shown_on
from errormap_core.project.queries import RecordDetail, record_detail
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.asking import Became, Shown
from errormap_core.taxonomy.names import checked_name
from errormap_core.taxonomy.operations import Ruling
from errormap_core.taxonomy.standing import Standing

MOST = 9

DOUBLE = 420
"""From this width on in pixels the candidates have room in two columns."""

SPACING = 6

SHORT_NAME = 32

DETAILS: tuple[tuple[str, Sentence], ...] = (
    ("question", tr("Question")),
    ("reference", tr("Reference")),
    ("correct", tr("Correct answers")),
    ("criteria", tr("Criteria")),
)
"""What the space bar shows beside the answer, one after the other."""


class AnswerText(LongText):
    """Asks for little room, and takes what there is."""

    def sizeHint(self) -> QSize:
        return QSize(200, 46)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, 24)


class PlaceCard(Card):
    """One failure and where it may belong. What there is room for is shown; the likely categories always are."""

    def __init__(self, session: Session, deck: Deck, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._deck = deck
        self.detail: RecordDetail | None = None
        self.shown: tuple[str, ...] = ()
        self.candidates: list[Candidate] = []
        self.same: set[str] = set()
        self.is_marking = False
        self._became: Mapping[str, Became] = {}
        self._pointed = ""
        self._room = QSize(0, 0)
        self.folds: dict[str, QToolButton] = {}
        folds = QHBoxLayout()
        folds.setContentsMargins(0, 0, 0, 0)
        folds.setSpacing(2)
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
        self.answer.document().setDocumentMargin(4)
        self.judged = Clipped(self)
        self.summary = Clipped(self)
        self.where = Clipped(self, muted=True)
        self.list = CandidateList(session.theme, self)
        self.list.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.list.chosen.connect(self._choose)
        self.list.pointed.connect(self._point)
        self.new_row = NewRow(self)
        self.name = self.new_row.name
        self.new_row.entered.connect(self._add)
        self.new_row.left.connect(self._leave)
        self.new_row.edited.connect(self._on_edited)
        self.problem = Text(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addLayout(folds)
        column.addWidget(self.answer, 10)
        for widget in (self.judged, self.summary, self.where, self.list, self.new_row, self.problem):
            column.addWidget(widget)
        column.addStretch(1)
        self.problem.say("")
        self.answer.document().documentLayout().documentSizeChanged.connect(lambda _: self._fit())
        keep_space(self, self.folds.values())
        self.restyle()

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        project = self.session.project
        assert project is not None
        super().fill(row, arguments)
        self.new_row.fold()
        self.problem.say("")
        try:
            self.detail = record_detail(project.reader, arguments["record_id"])
        except KnownError:  # the record went with a later import
            self.detail = None
        self.candidates = [self._candidate(c) for c in arguments["candidates"][:MOST]]
        self.same, self.is_marking, self._became, self._pointed = set(), False, {}, ""
        self.shown = ()
        self._write()
        analysis = self.detail.analysis if self.detail is not None else None
        self.judged.say("" if analysis is None else analysis.error_title)
        self.summary.say("" if analysis is None else analysis.error_summary)
        counted = next((a for a in self.detail.assignments if a.counts), None) if self.detail is not None else None
        path = project.tree.place(counted.category_id) if counted is not None else ""
        self.where.say(tr("Now in: {path}", path=path) if path else "")
        self.list.show_candidates(self.candidates, self._keys(), with_shares=self._deck.is_certainty_known)
        tab_after(self.answer, self.list.buttons)
        self._fit()

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

    def _keys(self) -> list[str]:
        return [self.session.keys.text(f"review.nth_{n}") for n in range(1, MOST + 1)]

    def say_keys(self) -> None:
        self.list.say_keys(self._keys())
        self._say_folds()
        self._show_same()

    # What changed since it was filled

    def since(self, left: Standing) -> Standing:
        """The candidates keep their keys; what became of them stands beside them."""
        project = self.session.project
        if left.arguments is None or project is None:
            return left
        shown = [Shown(c.id, c.name, c.probability, c.description) for c in self.candidates]
        found = since_shown_on(project.reader, project.tree, shown, left.arguments["candidates"][:MOST])
        self._became = found.became
        self.list.say_became(found.became)
        return Standing((*left.changes, *found.changes()), left.arguments)

    def _refuse_gone(self, target: str) -> None:
        became = self._became.get(target)
        if became is not None and became.is_gone:
            key = self.session.keys.bracketed("review.refresh")
            raise KnownError(became.change, fix=tr("Choose another, or refresh the card{key}.", key=key))

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

    def _say_folds(self) -> None:
        parts = self._parts()
        for key, button in self.folds.items():
            button.setVisible(key in parts)
            button.setChecked(key in self.shown)
            title = dict(DETAILS)[key]
            is_next = key == next((k for k in parts if k not in self.shown), None)
            button.setText(self.session.keys.titled(title, "review.details") if is_next else str(title))

    def _write(self) -> None:
        self._say_folds()
        if self.detail is None:
            self.answer.show_words(tr("This record is not in the project any more."))
            return
        scheme = self.session.theme.scheme
        colours = Colours(scheme.text, scheme.muted, scheme.evidence, scheme.bad, scheme.good)
        document = RecordDocument(self.answer, colours, base=self.session.theme.font(size=1.1))
        document.write_parts(self.detail, self.shown)

    def set_room(self, room: QSize) -> None:
        self._room = room
        self._fit()

    def _fit(self) -> None:
        """Show as much as there is room for: the answer as high as it is, then summary, descriptions, one column or two."""
        width = max(1, self._room.width() or self.width())
        text = round(self.answer.document().size().height()) + 2 * self.answer.frameWidth() + 2
        chosen = LEVELS[-1]
        for level in LEVELS:
            if self._room.height() >= self._need(level, width, text):
                chosen = level
                break
        for key, button in self.folds.items():
            button.setVisible(key in self._parts() and chosen.has_texts)
        self.answer.setVisible(chosen.has_texts)
        self.summary.setVisible(bool(self.summary.text()) and chosen.summary > 0)
        self.summary.show_lines(max(1, chosen.summary))
        self.where.setVisible(bool(self.where.text()) and chosen.has_where)
        self.list.arrange(chosen.columns(width), is_brief=chosen.is_brief)
        self.answer.setMinimumHeight(min(text, chosen.answer))
        self.answer.setMaximumHeight(max(min(text, chosen.answer), text))

    def _need(self, level: "Level", width: int, text: int) -> int:
        """How high the card would be so, in pixels."""
        heights = []
        if level.has_texts:
            heights += [max(button.sizeHint().height() for button in self.folds.values()), min(text, level.answer)]
        heights.append(self.list.height_of(level.columns(width), is_brief=level.is_brief))
        line = self.summary.fontMetrics().lineSpacing()
        if self.judged.text():
            heights.append(self.judged.heightForWidth(width))
        if self.summary.text() and level.summary:
            heights.append(self.summary.n_lines(width, level.summary) * line)
        if self.where.text() and level.has_where:
            heights.append(line)
        if not self.new_row.isHidden():
            heights.append(self.new_row.sizeHint().height())
        if not self.problem.isHidden():
            heights.append(self.problem.heightForWidth(width))
        return sum(heights) + SPACING * len(heights)

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
        self.answer.jump(key)

    # Deciding

    def ruling(self) -> Ruling:
        if not self.candidates:
            raise KnownError(
                tr("There is no likely category for this failure."),
                fix=tr("Find one{find}, or name a new one{new}.",
                       find=self.session.keys.bracketed("review.find"), new=self.session.keys.bracketed("review.new")),
            )  # fmt: skip
        return self.placing(self.candidates[0].id)

    def placing(self, target: str) -> Ruling:
        """The failure goes there; the likeliest is what was proposed, another an edit of it. Raises KnownError where that
        category, or one that is marked as the same, is gone since it is shown."""
        assert self.row is not None
        for key in (target, *self.same):
            self._refuse_gone(key)
        is_first = bool(self.candidates) and target == self.candidates[0].id
        same = tuple(c.id for c in self.candidates if c.id in self.same and c.id != target)
        is_edit = bool(same) or not is_first
        return Ruling(proposal_id=self.row.id, verdict="edit" if is_edit else "accept", target=target, same=same)

    def _placing_anew(self, name: str) -> Ruling:
        for key in self.same:
            self._refuse_gone(key)
        same = tuple(candidate.id for candidate in self.candidates if candidate.id in self.same)
        return self.accepting(is_new=True, name=name, parent_id=self.new_row.parent_id, same=same)

    def nth(self, n: int) -> None:
        if n <= len(self.candidates):
            self._choose(self.candidates[n - 1].id)

    def _choose(self, target: str) -> None:
        """Place it there; while candidates are marked as the same, mark this one, or no more."""
        try:
            if not self.is_marking:
                self.decided.emit(self.placing(target))
                return
            self._refuse_gone(target)
        except KnownError as error:
            self.session.failed.emit(error)
            return
        self.same ^= {target}
        self._show_same()
        self.changed.emit()

    def mark_same(self) -> None:
        """Begin to say which candidates mean the same, or end it: the next one that is chosen takes them in."""
        self.is_marking = not self.is_marking
        self._show_same()

    def stop_marking(self) -> None:
        """Take all marks back."""
        self.same, self.is_marking = set(), False
        self._show_same()
        self.changed.emit()

    def _show_same(self) -> None:
        for button in self.list.buttons:
            button.mark(button.candidate.id in self.same)
        n, keys = len(self.same), self.session.keys
        self.problem.setStyleSheet("")
        if self.is_marking:
            key = keys.text("review.same") or str(tr("the button"))
            self.problem.say(tr("Choose those that mean the same, then {key} again.", key=key))
        else:
            self.problem.say(
                trn("{n:,} is taken for the one that you place it in.", "{n:,} are taken for the one that you place it in.", n)
                if n else ""
            )  # fmt: skip
        self._fit()

    def previewed(self) -> Ruling | None:
        """Of an answer alone there is nothing to say: it moves the failure that is shown. With marks: the one that would be
        given to the candidate that is pointed at, to the new category that is named, or to the first that takes others in."""
        if not self.same:
            return None
        if not self.new_row.isHidden() and self.name.text().strip():
            return self._placing_anew(self.name.text())
        return self.placing(self._meant())

    def _meant(self) -> str:
        """Id of the candidate that the effect is told of."""
        there = [c.id for c in self.candidates if c.id == self._pointed]
        there += [c.id for c in self.candidates if self.same - {c.id}]
        return there[0] if there else self.candidates[0].id

    def effect_of(self, found: AnswerPreview | KnownError) -> str:
        """What the answer and its marks would do."""
        if isinstance(found, KnownError):
            return f"⚠  {found}"
        name = _short(found.name)
        counts = tr("“{name}” {before:,} → {after:,}", name=name, before=found.n_before, after=found.n_after)
        if not self.new_row.isHidden() and self.name.text().strip():
            said = [str(tr("In the new category: {counts}.", counts=counts))]
        else:
            ids = [c.id for c in self.candidates]
            said = [str(tr("Placed in {n}: {counts}.", n=ids.index(self._meant()) + 1, counts=counts))]
        for name, n in found.merged:
            said.append(str(tr("“{name}” ({n:,}) goes into it.", name=_short(name), n=n)))
        return " ".join([*said, effect_text(found.effect, "merge")])

    def _point(self, target: str) -> None:
        if target != self._pointed:
            self._pointed = target
            if self.same:
                self.changed.emit()

    def find_category(self) -> None:
        """Ask for any other category, proposed ones included."""
        project = self.session.project
        assert project is not None
        tree = project.tree
        places = [(c.id, tree.place(c.id), c.description) for c in tree]
        names = {c.id: c.name for c in tree}
        for row in self._deck.waiting():
            if row.kind == "create":
                places.append((row.id, str(tr("{name} (proposed)", name=row.name)), row.description))
                names[row.id] = row.name

        def entries(words: list[str]) -> Iterator[tuple[str, str, str]]:
            return (entry for entry in places if all(word in entry[1].casefold() for word in words))

        asked = self.row

        def pick(target: str) -> None:
            if asked is None or self.row is None or asked.id != self.row.id:
                return
            self._pick(target, names[target])

        Picker(tr("Where does this failure belong?"), self, hint=tr("Type to find a category"), entries=entries,
               pick=pick).open()  # fmt: skip

    def _pick(self, target: str, name: str) -> None:
        """Place it in a category that was looked for, unless that went meanwhile."""
        project = self.session.project
        assert project is not None
        found = since_shown_on(project.reader, project.tree, [Shown(target, name, 0.0)], ())
        became = found.became.get(target)
        try:
            if became is not None and became.is_gone:
                raise KnownError(became.change, fix=tr("Choose another."))
            self.decided.emit(self.placing(target))
        except KnownError as error:
            self.session.failed.emit(error)

    def new(self) -> None:
        """Ask for the name of a new category; what was typed before is there still."""
        project = self.session.project
        assert project is not None
        self.new_row.open(project.tree, name=self.name.text(), parent_id=self.new_row.parent_id)
        self._fit()
        self.name.setFocus()

    def _on_edited(self) -> None:
        self._show_same()
        self.changed.emit()

    def _add(self) -> None:
        try:
            self.decided.emit(self._placing_anew(checked_name(self.name.text())))
        except KnownError as error:
            self.problem.setStyleSheet(f"color: {self.session.theme.scheme.bad};")
            self.problem.say(f"⚠  {error}")
            self._fit()

    def _leave(self) -> None:
        """Leave the field of a new category; where nothing was typed it folds away."""
        if not self.name.text():
            self.new_row.fold()
        self._show_same()
        self.left.emit()

    # What was changed

    @property
    def is_unfinished(self) -> bool:
        """Something was begun, and no answer was given: what is marked as the same would go into an answer nobody chose."""
        return self._is_naming or bool(self.same)

    @property
    def _is_naming(self) -> bool:
        return not self.new_row.isHidden() and bool(self.name.text())

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.same:
            values["same"] = tuple(c.id for c in self.candidates if c.id in self.same)
        if self._is_naming:
            values["name"], values["parent_id"] = self.name.text(), self.new_row.parent_id
        return values

    def take_up(self, values: Mapping[str, Any]) -> bool:
        project = self.session.project
        assert project is not None
        wanted = values.get("same", ())
        self.same = {c.id for c in self.candidates}.intersection(wanted)
        fits = len(self.same) == len(wanted)
        if values.get("name"):
            there = self.new_row.open(project.tree, name=values["name"], parent_id=values["parent_id"])
            fits = fits and there
        self._show_same()
        return fits

    def subjects(self) -> Sequence[str]:
        return (self.arguments["record_id"],)

    def accept_title(self) -> Sentence:
        return tr("Place in 1")

    def restyle(self) -> None:
        subheading(self.session, self.judged)
        if self.row is not None:
            self._write()
            self._fit()


@dataclass(frozen=True, slots=True)
class Level:
    """How much is shown: height of the answer at least (pixels), lines of the summary at most, whether it is said
    where the failure is, whether candidates go without description, and into two columns where they are wide enough; with
    not `has_texts` no answer: the record pane has it."""

    answer: int
    summary: int
    has_where: bool
    is_brief: bool
    is_double: bool = False
    has_texts: bool = True

    def columns(self, width: int) -> int:
        return 2 if self.is_double and width >= DOUBLE else 1


LEVELS = (
    Level(160, 8, True, False),
    Level(110, 2, True, True),
    Level(80, 2, True, True, True),
    Level(64, 1, False, True, True),
    Level(46, 0, False, True, True),
    Level(0, 0, False, True, True, has_texts=False),
)
"""From most to least; the first that there is room for is taken."""


def _short(name: str) -> str:
    """A name as a line of the effect takes it; its number has it in full."""
    return name if len(name) <= SHORT_NAME else f"{name[: SHORT_NAME - 1]}…"


def taught(row: ProposalRow) -> Sentence | None:
    """How many others the answer tells about, or that the question is a check of the suggestions."""
    if row.arguments.get("is_drawn"):
        return tr("drawn at random, to check the suggestions")
    n = row.evidence.get("n_taught")
    return trn("teaches about {n:,} other", "teaches about {n:,} others", n) if isinstance(n, int) and n else None
