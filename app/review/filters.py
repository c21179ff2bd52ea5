"""The filters above the queue: kind, state, below the selected category, least worth, age."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QWidget

from app.fields import ChoiceField
from app.plain import literal, set_tooltip
from app.review.deck import KIND_NAMES, STATE_NAMES, Filter
from app.review.flow import FlowLayout
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.tree import Tree

WORTHS: tuple[tuple[float, Sentence], ...] = (
    (0.0, tr("Any worth")),
    (1.0, tr("1 and more")),
    (5.0, tr("5 and more")),
    (20.0, tr("20 and more")),
)
AGES: tuple[tuple[int, Sentence], ...] = ((0, tr("Any age")), (1, tr("Last 24 hours")), (7, tr("Last 7 days")))

SHORT = 24


class FilterBox(ChoiceField):
    """`closed`: its list was open, and something was chosen or not. Keys that change it while it is shut leave it the focus."""

    closed = Signal()

    def hidePopup(self) -> None:
        was_open = self.view().isVisible()
        super().hidePopup()
        if was_open:
            self.closed.emit()


class FilterRow(QWidget):
    """A compact row; `changed` when another filter is chosen."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._inside: frozenset[str] | None = None
        self.kind = self._combo(tr("Kinds that are shown"), [("", tr("All kinds")), *KIND_NAMES.items()])
        self.state = self._combo(tr("States that are shown"), [*STATE_NAMES.items(), ("", tr("All states"))])
        self.worth = self._combo(tr("Least worth that is shown: failures that would be in a better place"), WORTHS)
        self.age = self._combo(tr("When it was first proposed"), AGES)
        self.below = QCheckBox(self)
        set_tooltip(
            self.below, str(tr("Only what concerns the category that is selected in the tree, or one below it"))
        )
        self.below.toggled.connect(lambda _: self.changed.emit())
        row = FlowLayout(self)
        for widget in (self.kind, self.state, self.worth, self.age, self.below):
            row.addWidget(widget)
        self.follow_selection((), None)

    def _combo(self, name: Sentence, entries: Sequence[tuple[object, Sentence]]) -> FilterBox:
        combo = FilterBox(self)
        combo.setAccessibleName(str(name))
        set_tooltip(combo, str(name))
        for key, title in entries:
            combo.addItem(str(title), key)
        combo.currentIndexChanged.connect(lambda _: self.changed.emit())
        return combo

    def follow_selection(self, category_ids: Sequence[str], tree: Tree | None) -> None:
        """Let 'below' mean the category that is selected in the tree now."""
        chosen = [c for c in category_ids if tree is not None and c in tree]
        inside = frozenset(i for c in chosen for i in tree.subtree(c)) if chosen and tree is not None else None
        name = tr("the selected category")
        if chosen and tree is not None:
            text = tree.live(chosen[0]).name
            name = tr("“{name}”", name=text if len(text) <= SHORT else f"{text[: SHORT - 1]}…")
            if len(chosen) > 1:
                name = tr("{n:,} selected ones", n=len(chosen))
        self.below.setText(literal(tr("Below {name}", name=name)))
        before, self._inside = self._inside, inside
        self.below.setEnabled(inside is not None)
        if inside is None and self.below.isChecked():
            self.below.setChecked(False)
        elif before != inside and self.below.isChecked():
            self.changed.emit()

    def chosen(self) -> Filter:
        days = self.age.currentData()
        since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds") if days else ""
        return Filter(
            kind=self.kind.currentData(),
            state=self.state.currentData(),
            inside=self._inside if self.below.isChecked() else None,
            min_worth=self.worth.currentData(),
            since=since,
        )

    def show_state(self, state: str) -> None:
        self.state.setCurrentIndex(self.state.findData(state))

    def clear(self) -> None:
        """Show all that is pending."""
        self.set_quietly("pending")
        self.changed.emit()

    def set_quietly(self, state: str) -> None:
        """Show all of this state, without telling anybody."""
        self.blockSignals(True)
        for combo in (self.kind, self.worth, self.age):
            combo.setCurrentIndex(0)
        self.below.setChecked(False)
        self.show_state(state)
        self.blockSignals(False)
