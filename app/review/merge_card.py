"""A proposal to merge: its categories beside each other, each of which can be left out, and the name that survives."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from app.fields import ChoiceField
from app.review.parts import Card, examples, tab_after
from app.session import Session
from app.taxonomy.merge_sides import MergeSides
from errormap_core.project.pending import ProposalRow
from errormap_core.project.proposing import proposal_members
from errormap_core.project.queries import failure_rows
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.operations import Ruling


class MergeCard(Card):
    """The merge view, filled from a proposal."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._is_named = False  # a person typed the name
        self._before = QWidget(self)  # Tab comes from here to the columns, which are made anew each time
        self._before.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._before.hide()
        self.sides = MergeSides(session, self, can_leave_out=True)
        self.sides.setMinimumHeight(180)
        self.name = ChoiceField(self)
        self.name.setEditable(True)
        self.name.setAccessibleName(str(tr("Name that survives")))
        self.name.setSizeAdjustPolicy(ChoiceField.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        form = QFormLayout()
        form.addRow(str(tr("Name after it")), self.name)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.sides, 1)
        column.addLayout(form)
        self.sides.changed.connect(self._on_sides)
        self.sides.record_chosen.connect(session.select_record)
        self.name.currentTextChanged.connect(lambda _: self._on_named())

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        project = self.session.project
        assert project is not None
        super().fill(row, arguments)
        ids = list(arguments["category_ids"])
        self.sides.show_categories(ids, into=arguments["into"], typical=self._typical(row, ids), keys=self._keys())
        self._is_named = False
        tab_after(self._before, self.sides.fields())
        self.name.blockSignals(True)
        self.name.clear()
        names = [project.tree.live(c).name for c in ids]
        self.name.addItems(list(dict.fromkeys(filter(None, [arguments.get("name"), *names]))))
        self.name.setCurrentText(self._name())
        self.name.blockSignals(False)
        self._lock()

    def _keys(self) -> list[str]:
        n = len(self.arguments["category_ids"])
        return [self.session.keys.text(f"review.nth_{n}") for n in range(1, min(9, n) + 1)]

    def say_keys(self) -> None:
        self.sides.say_keys(self._keys())

    def _typical(self, row: ProposalRow, category_ids: Sequence[str]) -> dict[str, list[str]]:
        """The failures that the evidence names, by the category of the merge that they are in."""
        project = self.session.project
        assert project is not None
        members = [record_id for record_id, _ in proposal_members(project.reader, row.id)]
        named = [*examples(row, members, "typical"), *examples(row, members, "doubtful")]
        rows = failure_rows(project.reader, named)
        column = {c: top for top in category_ids for c in project.tree.subtree(top)}
        found: dict[str, list[str]] = {}
        for record_id in named:
            at = column.get(rows[record_id].category_id or "") if record_id in rows else None
            if at is not None:
                found.setdefault(at, []).append(record_id)
        return found

    def _name(self) -> str:
        """What it would be called if nobody typed another name."""
        project = self.session.project
        assert project is not None
        into = self.sides.into
        proposed = self.arguments.get("name") if into == self.arguments["into"] else None
        category = project.tree.get(into)
        return proposed or (category.name if category is not None else "")

    def _on_sides(self) -> None:
        """Another survivor has another name, unless one was typed."""
        if not self._is_named or not self._can_be_named():
            self._show_name(self._name())
        self._lock()
        self.changed.emit()

    def _show_name(self, name: str) -> None:
        self.name.blockSignals(True)
        self.name.setCurrentText(name)
        self.name.blockSignals(False)

    def _on_named(self) -> None:
        self._is_named = self.name.currentText() != self._name()
        self.changed.emit()

    def _can_be_named(self) -> bool:
        """A reserved category keeps its name."""
        project = self.session.project
        assert project is not None
        category = project.tree.get(self.sides.into)
        return category is not None and category.reserved is None

    def _lock(self) -> None:
        self.name.setEnabled(self._can_be_named())

    def ruling(self) -> Ruling:
        into = self.sides.into
        name = self.name.currentText()
        return self.accepting(
            without=tuple(self.sides.left_out()),
            into=into if into != self.arguments["into"] else None,
            name=name if self.name.isEnabled() and name != self._name() else None,
        )

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.sides.left_out():
            values["left_out"] = tuple(self.sides.left_out())
        if self.sides.into != self.arguments["into"]:
            values["into"] = self.sides.into
        if self._is_named:
            values["name"] = self.name.currentText()
        return values

    def take_up(self, values: Mapping[str, Any]) -> bool:
        left_out, into = values.get("left_out", ()), values.get("into")
        fits = self.sides.choose(left_out=left_out, into=into)
        if "name" in values and self._can_be_named():
            self._show_name(values["name"])
            self._is_named = True
        return fits

    def edit(self) -> None:
        self.name.setFocus()
        field = self.name.lineEdit()
        if field is not None:
            field.selectAll()

    def nth(self, n: int) -> None:
        self.sides.toggle(n - 1)

    def subjects(self) -> Sequence[str]:
        return self.sides.typical_ids()

    def accept_title(self) -> Sentence:
        n = len(self.sides.included())
        return trn("Merge {n:,} category", "Merge {n:,} categories", n)
