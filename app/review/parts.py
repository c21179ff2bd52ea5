"""What the cards are made of: lists of failures, headings, evidence in words, who keeps space bar and Enter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from app.session import Session
from app.theme import SUBHEADING
from errormap_core.project.pending import ProposalRow
from errormap_core.project.queries import failure_rows
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.operations import Ruling

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


class MemberList(QListWidget):
    """Failures by the titles of their errors; with `is_checkable` each can be left out."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, is_checkable: bool = False) -> None:
        super().__init__(parent)
        self._is_checkable = is_checkable
        self.setWordWrap(True)
        self.setSpacing(2)
        self.setMinimumHeight(84)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.currentItemChanged.connect(self._on_current)

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
            item = QListWidgetItem("\n".join(text for text in texts if text))
            item.setData(ID_ROLE, record_id)
            item.setToolTip(f"{row.dataset} · {row.model} · {row.example_id}\n{row.error_summary}".strip())
            if self._is_checkable:
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked)
            self.addItem(item)
        self.blockSignals(False)

    def _head(self, text: str, session: Session) -> None:
        item = QListWidgetItem(text)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        item.setFont(session.theme.font(semibold=True))
        self.addItem(item)

    def members(self) -> list[QListWidgetItem]:
        """The items that are failures."""
        items = (self.item(place) for place in range(self.count()))
        return [item for item in items if item.data(ID_ROLE)]

    def ids(self) -> list[str]:
        return [item.data(ID_ROLE) for item in self.members()]

    def left_out(self) -> tuple[str, ...]:
        """Ids of those whose box is not checked."""
        if not self._is_checkable:
            return ()
        return tuple(i.data(ID_ROLE) for i in self.members() if i.checkState() == Qt.CheckState.Unchecked)

    def _on_current(self, item: QListWidgetItem | None, _: QListWidgetItem | None = None) -> None:
        if item is not None and item.data(ID_ROLE):
            self.chosen.emit(item.data(ID_ROLE))


class Text(QLabel):
    """Words that wrap and are never markup."""

    def __init__(self, parent: QWidget | None = None, *, muted: bool = False) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        if muted:
            self.setForegroundRole(self.foregroundRole().PlaceholderText)

    def say(self, text: object) -> None:
        """Show a text; an empty one takes no room."""
        self.setText(str(text))
        self.setVisible(bool(str(text)))


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
        """Space and Enter; of a list to choose from letters too, which find an entry."""
        plain = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier, Qt.KeyboardModifier.ShiftModifier
        if event.modifiers() not in plain:
            return False
        return event.key() in (Qt.Key.Key_Space, *_ENTER) or (
            isinstance(watched, QComboBox) and event.text().isprintable() and bool(event.text())
        )


def keep_space(owner: QObject, widgets: Iterable[QWidget], *, enter: Callable[[], None] | None = None) -> None:
    """Let the space bar and Enter press what has the focus, though commands of the page have those keys.

    A list to choose from takes letters as well; `enter` is what Enter does there.
    """
    keeper = _KeepsKeys(owner, enter)
    for widget in widgets:
        widget.installEventFilter(keeper)


def subheading(session: Session, label: QLabel) -> None:
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
    """How sure it is, and what it rests on, in plain figures."""
    if row.kind == "place":
        return ""
    said = [str(trn("{n:,} failure", "{n:,} failures", row.n_subtree))] if row.n_subtree else []
    if row.task == "classify":
        said.append(str(tr("mean margin {score:.0%}", score=row.score)))
    elif row.kind in ("create", "assign") and not row.arguments.get("from_id"):
        said.append(str(tr("cohesion {score:.2f}", score=row.score)))
        return " · ".join(said)
    else:
        said.append(str(tr("{score:.0%} sure", score=row.score)))
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
