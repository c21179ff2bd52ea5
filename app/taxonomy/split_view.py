"""The one split view: what stays in a category, and the new categories beside it; the card of a proposal has the same parts."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QShortcut
from PySide6.QtWidgets import QLineEdit, QWidget

from app.commands import BY_ID
from app.dialogs import Dialog, Field
from app.plain import Label
from app.review.effects import Effects, effect_text
from app.session import Session
from app.taxonomy.split_members import Key
from app.taxonomy.split_parts import MOVES, PartColumn, SplitPart, SplitParts
from errormap_core.errors import KnownError
from errormap_core.project.queries import failure_ids
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.draft import Effect
from errormap_core.taxonomy.operations import Part, SplitCategory

_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class SplitView(Dialog):
    """Choose in a list, move into a part; names are edited in place; the button splits.

    Enter makes a new part of what is selected, F2 goes to the name of the part, the commands `review.part_...` move.
    """

    def __init__(self, session: Session, category_id: str, parent: QWidget) -> None:
        project = session.project
        assert project is not None
        self._category = project.tree.live(category_id)
        super().__init__(tr("Split “{name}”", name=self._category.name), parent)
        self._session, self._project = session, project
        self._effects = Effects(session, key="split-effect")
        self.resize(1060, 660)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(str(tr("Find among them")))
        self.filter.setAccessibleName(str(tr("Find among the failures and children")))
        self.parts = SplitParts(session, self, with_models=True)
        self.rest = self.parts.rest.members
        self.effect = Label(self)
        self.effect.setWordWrap(True)
        self.effect.setAccessibleName(str(tr("What the split touches")))
        self.column.addWidget(self.filter)
        self.column.addWidget(self.parts, 1)
        self.column.addWidget(self.effect)
        self.ok = self.add_buttons(tr("Split"), self._split)
        self.ok.setAutoDefault(False)  # Enter in a list makes a part; the button that splits has to be reached
        self.parts.show_parts(category_id, (), rest=self._members())
        self.parts.record_chosen.connect(session.select_record)
        self.parts.changed.connect(self._on_changed)
        self.filter.textChanged.connect(self.parts.look_for)
        for key in MOVES:
            for sequence in session.keys.shortcuts(BY_ID[f"review.{key}"]):
                QShortcut(sequence, self, self._mover(key))
        self._watch(self.parts.rest)
        self._on_changed()
        fields: dict[str, Field] = {"parts": (self._parts, self._take_up)}
        self.keep_draft(session.drafts, f"split {category_id}", fields, is_lasting=False)
        self.filter.setFocus()

    def _parts(self) -> tuple[tuple[SplitPart, ...], bool]:
        return tuple(self.parts.parts()), self.parts.below.isChecked()

    def _take_up(self, left: tuple[tuple[SplitPart, ...], bool]) -> None:
        parts, is_below = left
        self.parts.show_parts(self._category.id, (), rest=self._members())
        self.parts.take_up(parts, is_below=is_below)
        self._on_changed()

    def _mover(self, how: str) -> Callable[[], None]:
        return lambda: self.parts.move_selected(how)

    def _members(self) -> list[Key]:
        """Children first, then the failures that the category itself holds."""
        children: list[Key] = [("category", child) for child in self._project.tree.children(self._category.id)]
        ids = failure_ids(self._project.reader, category_ids=[self._category.id])
        return [*children, *(("record", record_id) for record_id in ids)]

    def _watch(self, column: PartColumn) -> None:
        """Have keys of its list and of its name come by here first."""
        for widget in (column.members, column.name):
            widget.removeEventFilter(self)
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Enter in a list makes a part of what is selected, in a name it goes back to a list; F2 goes to the name."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return super().eventFilter(watched, event)
        column = next((c for c in (self.parts.rest, *self.parts.columns) if watched in (c.members, c.name)), None)
        if column is None:
            return super().eventFilter(watched, event)
        if event.key() in _ENTER and watched is column.members:
            self.parts.move_selected("part_new")
            return True
        if event.key() in _ENTER:
            self._enter_list(column if self.parts.rest.isHidden() else self.parts.rest)
            return True
        if event.key() == Qt.Key.Key_F2 and column.part is not None:
            column.name.setFocus()
            column.name.selectAll()
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter in the filter goes to what it found, rather than pressing a button."""
        if self.filter.hasFocus() and event.key() in _ENTER:
            self._enter_list(self.parts.rest)
            return
        super().keyPressEvent(event)

    def _enter_list(self, column: PartColumn) -> None:
        """To the first of what is shown there."""
        column.members.setFocus()
        column.members.choose(column.members.members.shown()[:1])

    def operation(self) -> SplitCategory:
        """The split as it is chosen now."""
        parts = tuple(
            Part(name=part.name, record_ids=part.record_ids, child_ids=part.child_ids) for part in self.parts.parts()
        )
        return SplitCategory(category_id=self._category.id, parts=parts, is_below=self.parts.below.isChecked())

    def _on_changed(self) -> None:
        n = len(self.parts.columns)
        for column in self.parts.columns:
            self._watch(column)
        self.ok.setText(str(trn("Split off {n:,} category", "Split off {n:,} categories", n)))
        self.ok.setEnabled(n > 0)
        if not n:
            self._effects.forget()
            key = self._session.keys.bracketed("review.part_new")
            self.effect.setText(
                str(tr("Select failures or children, then make a new part of them: Enter{key}.", key=key))
            )
            return
        self._effects.ask(self.operation(), self._say)

    def _say(self, effect: Effect | KnownError) -> None:
        self.effect.setText(effect_text(effect, "") or str(tr("Moves no failure.")))
        self.ok.setEnabled(not isinstance(effect, KnownError) and bool(self.parts.columns))

    def _split(self) -> None:
        if self._session.apply(self.operation()) is not None:
            self.accept()

    def done(self, result: int) -> None:
        """No answer comes to a dialog that is closed."""
        self._effects.forget()
        super().done(result)
