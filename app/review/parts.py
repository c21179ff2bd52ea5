"""What the cards are made of: lists of failures, headings, evidence in words, who keeps space bar and Enter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QTextLayout
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QWidget,
)

from app.plain import Label, ListItem, set_tooltip
from app.session import Session
from app.theme import SUBHEADING
from errormap_core.project.pending import ProposalRow
from errormap_core.project.queries import failure_rows
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.operations import Ruling
from errormap_core.taxonomy.standing import Standing

ID_ROLE = Qt.ItemDataRole.UserRole

SHOWN_MEMBERS = 200
"""So many failures are read for a list on a card; a card says how many more there are."""


class Card(QWidget):
    """What one family of kinds shows of a proposal. `changed`: its ruling would be another one; `decided`: a key on it or a
    click answered the proposal."""

    changed = Signal()
    decided = Signal(object)  # Ruling
    left = Signal()  # a field of it is done with: the focus goes back to where the keys are

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.row: ProposalRow | None = None
        self.arguments: Mapping[str, Any] = {}

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        """Show a proposal; `arguments` are those that hold in the tree as it is."""
        self.row, self.arguments = row, arguments

    def ruling(self) -> Ruling:
        """Accepting what the card shows, here just as it is proposed. Raises KnownError where something is missing that
        only a person can say."""
        return self.accepting()

    @property
    def is_unfinished(self) -> bool:
        """Whether something was begun that its ruling says nothing of."""
        return False

    def previewed(self) -> Ruling | None:
        """The ruling whose effect is worth saying before. Raises KnownError as `ruling` does."""
        return self.ruling()

    def values(self) -> dict[str, Any]:
        """What was changed by hand, as `take_up` takes it; empty where nothing was."""
        return {}

    def take_up(self, values: Mapping[str, Any]) -> bool:
        """Change it again as it was; whether all of that still fits what the card shows."""
        return not values

    def since(self, left: Standing) -> Standing:
        """What is left of the proposal, with what changed besides since the card was filled; the card marks that."""
        return left

    def set_room(self, room: QSize) -> None:
        """Make the best of the room that it is seen in, in pixels; what does not fit is scrolled to."""

    def say_keys(self) -> None:
        """Show the keys as they are now; nothing else on the card changes."""

    def edit(self) -> None:
        """Put the focus where something can be changed."""

    def nth(self, n: int) -> None:
        """What the key of a digit does, from 1."""

    def subjects(self) -> Sequence[str]:
        """Failures that stand for the proposal, the first is shown in the record pane."""
        return ()

    def accept_title(self) -> Sentence:
        """What Enter does, as its button says it."""
        return tr("Accept")

    def restyle(self) -> None:
        """Fonts and colours of the scheme."""

    def accepting(self, **changed: Any) -> Ruling:
        """A ruling that accepts, as an edit where it changes something."""
        assert self.row is not None
        values = {key: value for key, value in changed.items() if value not in (None, (), False)}
        return Ruling(proposal_id=self.row.id, verdict="edit" if values else "accept", **values)


LEAST_MEMBERS = 84

ENDS = (Qt.Key.Key_Home, Qt.Key.Key_End)
"""Keys that go to the ends of a list that has the focus, though the page has a command on one of them."""


def keeps_ends(event: QEvent) -> bool:
    """Whether this asks if Home or End are a list's own; to be accepted then."""
    return isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and event.key() in ENDS


class MemberList(QListWidget):
    """Failures by the titles of their errors; with `is_checkable` each can be left out."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, is_checkable: bool = False) -> None:
        super().__init__(parent)
        self._is_checkable = is_checkable
        self.setWordWrap(True)
        self.setSpacing(2)
        self.setMinimumHeight(LEAST_MEMBERS)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.currentItemChanged.connect(self._on_current)

    def sizeHint(self) -> QSize:
        """Little: it takes what room there is."""
        return QSize(200, LEAST_MEMBERS)

    def event(self, event: QEvent) -> bool:
        if keeps_ends(event):
            event.accept()
            return True
        return super().event(event)

    def show_members(
        self, session: Session, record_ids: Sequence[str], *, notes: Mapping[str, str] | None = None,
        with_summaries: bool = True, heads: Mapping[int, str] | None = None,
    ) -> None:  # fmt: skip
        """Show these failures in this order. `notes` stand below their titles; `heads` are headings before places."""
        self.blockSignals(True)
        self.clear()
        project = session.project
        assert project is not None
        rows = failure_rows(project.reader, list(record_ids))
        for place, record_id in enumerate(record_ids):
            if heads and place in heads:
                self._head(heads[place], session)
            row = rows.get(record_id)
            if row is None:
                continue
            title = row.error_title or str(tr("No title · {example}", example=row.example_id))
            texts = [title, row.error_summary if with_summaries else "", (notes or {}).get(record_id, "")]
            item = ListItem("\n".join(text for text in texts if text))
            item.setData(ID_ROLE, record_id)
            set_tooltip(item, f"{row.dataset} · {row.model} · {row.example_id}\n{row.error_summary}".strip())
            if self._is_checkable:
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked)
            self.addItem(item)
        self.blockSignals(False)

    def _head(self, text: str, session: Session) -> None:
        item = ListItem(text)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        item.setFont(session.theme.font(semibold=True))
        self.addItem(item)

    def members(self) -> list[QListWidgetItem]:
        """The items that are failures."""
        items = (self.item(place) for place in range(self.count()))
        return [item for item in items if item.data(ID_ROLE)]

    def ids(self) -> list[str]:
        return [item.data(ID_ROLE) for item in self.members()]

    def leave_out(self, record_ids: Iterable[str]) -> None:
        """Uncheck the boxes of these, and check all others."""
        out = set(record_ids)
        for item in self.members():
            state = Qt.CheckState.Unchecked if item.data(ID_ROLE) in out else Qt.CheckState.Checked
            item.setCheckState(state)

    def left_out(self) -> tuple[str, ...]:
        """Ids of those whose box is not checked."""
        if not self._is_checkable:
            return ()
        return tuple(i.data(ID_ROLE) for i in self.members() if i.checkState() == Qt.CheckState.Unchecked)

    def _on_current(self, item: QListWidgetItem | None, _: QListWidgetItem | None = None) -> None:
        if item is not None and item.data(ID_ROLE):
            self.chosen.emit(item.data(ID_ROLE))


class Text(Label):
    """Words that wrap and are never markup."""

    def __init__(self, parent: QWidget | None = None, *, muted: bool = False) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        if muted:
            self.setForegroundRole(self.foregroundRole().PlaceholderText)

    def say(self, text: object) -> None:
        """Show a text; an empty one takes no room."""
        self.setText(str(text))
        self.setVisible(bool(str(text)))


LONGEST = 3_000
"""Characters of a text that are laid out; of a longer one the rest is not worth what it takes."""


class Clipped(Text):
    """Words that wrap into at most so many lines; the rest is in the tooltip. `most` 0: all lines."""

    def __init__(self, parent: QWidget | None = None, *, muted: bool = False, most: int = 1) -> None:
        super().__init__(parent, muted=muted)
        self._most = most
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_lines(self, most: int) -> None:
        """Show at most so many from now on; 0: all."""
        if most != self._most:
            self._most = most
            self.updateGeometry()
            self.update()

    def say(self, text: object) -> None:
        whole = str(text)
        super().say(whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}…")
        set_tooltip(self, self.text())

    def n_lines(self, width: int, most: int) -> int:
        """How many lines would be shown in this width if at most so many were."""
        return len(self._lines(width, most))

    def lines(self, width: int) -> list[str]:
        """The lines that are shown in this width, the last elided where more would follow."""
        return self._lines(width, self._most)

    def _lines(self, width: int, most: int) -> list[str]:
        text = " ".join(self.text().split())
        layout = QTextLayout(text, self.font())
        layout.beginLayout()
        found: list[tuple[int, int]] = []
        while (line := layout.createLine()).isValid():
            line.setLineWidth(max(1, width))
            found.append((line.textStart(), line.textLength()))
            if most and len(found) > most:
                break
        layout.endLayout()
        shown = [text[start : start + n].rstrip() for start, n in found]
        if most and len(shown) > most:
            rest = text[found[most - 1][0] :]
            last = self.fontMetrics().elidedText(rest, Qt.TextElideMode.ElideRight, max(1, width))
            return [*shown[: most - 1], last]
        return shown

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return max(1, len(self.lines(width))) * self.fontMetrics().lineSpacing()

    def sizeHint(self) -> QSize:
        return QSize(200, self.heightForWidth(max(1, self.width())))

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.fontMetrics().lineSpacing())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        step, ascent = self.fontMetrics().lineSpacing(), self.fontMetrics().ascent()
        for n, line in enumerate(self.lines(self.width())):
            painter.drawText(0, n * step + ascent, line)
        painter.end()


_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class _KeepsKeys(QObject):
    def __init__(self, owner: QObject, enter: Callable[[], None] | None) -> None:
        super().__init__(owner)
        self._enter = enter

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QKeyEvent) or not self._is_own(watched, event):
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress and event.key() in _ENTER:
            if isinstance(watched, QAbstractButton):
                watched.click()
            elif self._enter is not None:
                self._enter()
            return True
        return False

    def _is_own(self, watched: QObject, event: QKeyEvent) -> bool:
        """Space and Enter; of a list to choose from letters, Home and End too, which go to an entry."""
        plain = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier, Qt.KeyboardModifier.ShiftModifier
        if event.modifiers() not in plain:
            return False
        if isinstance(watched, QComboBox) and (event.key() in ENDS or (event.text() and event.text().isprintable())):
            return True
        return event.key() in (Qt.Key.Key_Space, *_ENTER)


def keep_space(owner: QObject, widgets: Iterable[QWidget], *, enter: Callable[[], None] | None = None) -> None:
    """Let the space bar and Enter press what has the focus, though commands of the page have those keys.

    A list to choose from takes letters as well; `enter` is what Enter does there.
    """
    keeper = _KeepsKeys(owner, enter)
    for widget in widgets:
        widget.installEventFilter(keeper)


def tab_after(first: QWidget, widgets: Iterable[QWidget]) -> None:
    """Let Tab go from `first` to these, one after the other: what is made later would come last in the window."""
    for widget in widgets:
        QWidget.setTabOrder(first, widget)
        first = widget


def subheading(session: Session, label: Label) -> None:
    label.setFont(session.theme.font(size=SUBHEADING, semibold=True))


def rejected_before(row: ProposalRow) -> Sentence | None:
    """That it was rejected before and why it comes back, where its evidence says so."""
    before = row.evidence.get("rejected_before")
    if not isinstance(before, Mapping):
        return None
    then, now = before.get("n_then", 0), before.get("n_now", 0)
    by = tr(" by {name}", name=before["by"]) if before.get("by") else tr("")
    return tr(
        "Rejected before{by} on {at}; it comes again because its failures changed ({then:,} then, {now:,} now).",
        by=by,
        at=str(before.get("at", ""))[:10],
        then=then,
        now=now,
    )


_FIGURES: Mapping[str, Sentence] = {
    "similarity": tr("similarity {value:.2f}"),
    "next_similarity": tr("to the next {value:.2f}"),
    "own_similarity": tr("to where it is {value:.2f}"),
    "nearer_by": tr("nearer by {value:.2f}"),
    "within": tr("alike within a part {value:.2f}"),
    "across": tr("across parts {value:.2f}"),
    "cohesion": tr("cohesion {value:.2f}"),
    "usual_cohesion": tr("usual here {value:.2f}"),
    "name_similarity": tr("name to failures {value:.2f}"),
    "typical_similarity": tr("a typical title {value:.2f}"),
    "twin_probability": tr("{value:.0%} that another says the same"),
}
"""Figures of a proposal's evidence, in the order in which they are said."""

_SIGNALS: Mapping[str, Sentence] = {
    "name": tr("names {value:.2f}"),
    "description": tr("descriptions {value:.2f}"),
    "members": tr("failures {value:.2f}"),
    "shared_titles": tr("shared titles {value:.0%}"),
}
"""What two categories have in common, signal by signal."""


LEAST_FIGURE = 0.005
"""What would be shown as 0 says nothing."""


def figures(row: ProposalRow) -> str:
    """Its score and what it rests on, in plain figures. The score is no share of what is right."""
    if row.kind == "place":
        return ""
    said = [str(trn("{n:,} failure", "{n:,} failures", row.n_subtree))] if row.n_subtree else []
    if row.task == "classify":
        said.append(str(tr("mean margin {score:.0%}", score=row.score)))
    elif row.kind in ("create", "assign") and not row.arguments.get("from_id"):
        said.append(str(tr("cohesion {score:.2f}", score=row.score)))
        return " · ".join(said)
    else:
        said.append(str(tr("score {score:.2f}", score=row.score)))
    said += _said(_FIGURES, row.evidence)
    signals = row.evidence.get("signals")
    if isinstance(signals, Mapping):
        said += _said(_SIGNALS, signals)
    return " · ".join(said)


def _said(sentences: Mapping[str, Sentence], values: Mapping[str, Any]) -> list[str]:
    found = []
    for key, sentence in sentences.items():
        value = values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= LEAST_FIGURE:
            found.append(str(Sentence(sentence.template, {"value": value})))
    return found


def examples(row: ProposalRow, member_ids: Sequence[str], key: str) -> list[str]:
    """Failures that the evidence names as 'typical' or 'doubtful', which are places among the members or ids."""
    named = row.evidence.get(key)
    found = []
    for each in named if isinstance(named, list) else ():
        if isinstance(each, int) and 0 <= each < len(member_ids):
            found.append(member_ids[each])
        elif isinstance(each, str):
            found.append(each)
    return list(dict.fromkeys(found))
