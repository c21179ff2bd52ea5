"""Proposals about one category as such: to the top, below another, another name, another description. Before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QGridLayout, QLineEdit, QVBoxLayout, QWidget

from app.plain import Label, WritingField
from app.review.parts import Card, MemberList, Text, examples
from app.session import Session
from errormap_core.project.pending import ProposalRow
from errormap_core.project.proposing import proposal_members
from errormap_core.project.queries import common_titles, failure_rows, n_counted_in
from errormap_core.sentences import Sentence, tr, trn
from errormap_core.taxonomy.operations import Ruling
from errormap_core.taxonomy.tree import Category

TYPICAL = 8

SHORT = 300
"""Room in pixels at 100 % that is little."""


class ChangeCard(Card):
    """Where the category is and what it says, now and after; what is in it below."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._filled = ("", "")  # name and description as they are proposed, or stay
        self.heads = [Label(str(tr("Now")), self), Label(str(tr("After it")), self)]
        self.now_place, self.now_name, self.now_text = Text(self, muted=True), Text(self), Text(self)
        self.then_place, self.then_text = Text(self, muted=True), Text(self)
        self.name = QLineEdit(self)
        self.name.setAccessibleName(str(tr("Name after it")))
        self.description = WritingField(self)
        self.description.setAccessibleName(str(tr("Description after it")))
        self.description.setTabChangesFocus(True)
        self.description.setMaximumHeight(120)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        now = (self.now_name, self.now_place, self.now_text)
        then = (self.name, self.then_place, self.description, self.then_text)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(self.heads[0], 0, 0, len(now), 1, top)
        grid.addWidget(self.heads[1], len(now) + 1, 0, len(then), 1, top)
        grid.setRowMinimumHeight(len(now), 8)
        for line, widget in enumerate(now):
            grid.addWidget(widget, line, 1)
        for line, shown in enumerate(then, start=len(now) + 1):
            grid.addWidget(shown, line, 1)
        self.title = Text(self)
        self.members = MemberList(self)
        self.members.setAccessibleName(str(tr("Typical failures of the category")))
        self.members.chosen.connect(session.select_record)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(grid)
        column.addWidget(self.title)
        column.addWidget(self.members, 1)
        self.name.textEdited.connect(lambda _: self.changed.emit())
        self.description.textChanged.connect(self.changed.emit)

    @property
    def _category(self) -> Category:
        project = self.session.project
        assert project is not None
        return project.tree.live(self.arguments["category_id"])

    def fill(self, row: ProposalRow, arguments: Mapping[str, Any]) -> None:
        project = self.session.project
        assert project is not None
        super().fill(row, arguments)
        tree, category = project.tree, self._category
        is_moving = row.kind in ("promote", "move")
        self.now_name.say(category.name)
        self.now_place.say(_place(tree.place(category.parent_id) if category.parent_id else ""))
        self.now_text.say(category.description or tr("No description"))
        for field in (self.name, self.description):
            field.blockSignals(True)
        self._filled = (
            arguments["name"] if row.kind == "rename" else category.name,
            arguments["description"] if row.kind == "describe" else category.description,
        )
        self.name.setText(self._filled[0])
        self.name.setCursorPosition(0)
        self.description.setPlainText(self._filled[1])
        for field in (self.name, self.description):
            field.blockSignals(False)
        parent_id = arguments.get("parent_id") if is_moving else category.parent_id
        self.then_place.say(_place(tree.place(parent_id) if parent_id else ""))
        self.then_text.say("" if row.kind == "describe" else (category.description or tr("No description")))
        for widget in (self.now_name, self.name, self.now_place, self.then_place):
            widget.setVisible(row.kind != "describe")
        self.description.setVisible(row.kind == "describe")
        self.then_text.setVisible(row.kind != "describe")
        bold = self.session.theme.font(semibold=True)
        plain = self.session.theme.font()
        self.then_place.setFont(bold if is_moving else plain)
        self.then_place.setForegroundRole(self.foregroundRole() if is_moving else self.foregroundRole().PlaceholderText)
        ids = tree.subtree(category.id)
        n = n_counted_in(project.reader, ids)
        self.title.say(trn("{n:,} failure in it", "{n:,} failures in it, for example", n) if n else
                       tr("No failures are in it yet"))  # fmt: skip
        all_members = [record_id for record_id, _ in proposal_members(project.reader, row.id)]
        members, doubtful = examples(row, all_members, "typical"), examples(row, all_members, "doubtful")
        members = members or all_members[:TYPICAL]
        doubtful = [record_id for record_id in doubtful if record_id not in members]
        if not failure_rows(project.reader, members):
            members = [record_id for _, _, record_id in common_titles(project.reader, ids, limit=TYPICAL)]
        heads = {0: str(tr("Typical")), len(members): str(tr("Most doubtful"))} if doubtful else {}
        self.members.show_members(self.session, [*members, *doubtful], heads=heads)
        self.members.setVisible(bool(members))

    def set_room(self, room: QSize) -> None:
        """With little room what stays as it is is not said twice."""
        kind = self.row.kind if self.row is not None else ""
        is_short = room.height() < SHORT * max(1.0, self.session.theme.factor)
        self.then_text.setVisible(bool(self.then_text.text()) and kind != "describe" and not is_short)
        self.description.setMaximumHeight(60 if is_short else 120)

    def ruling(self) -> Ruling:
        row = self.row
        assert row is not None
        changed = self.values()
        return Ruling(proposal_id=row.id, verdict="edit" if changed else "accept", **changed)

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        name, text = self.name.text(), self.description.toPlainText()
        if name != self._filled[0]:
            values["name"] = name
        if self.row is not None and self.row.kind == "describe" and text != self._filled[1]:
            values["description"] = text
        return values

    def take_up(self, values: Mapping[str, Any]) -> bool:
        if "name" in values:
            self.name.setText(values["name"])
        if "description" in values:
            self.description.setPlainText(values["description"])
        return True

    def edit(self) -> None:
        field = self.description if self.row is not None and self.row.kind == "describe" else self.name
        field.setFocus()
        field.selectAll()

    def subjects(self) -> Sequence[str]:
        return self.members.ids()

    def accept_title(self) -> Sentence:
        kind = self.row.kind if self.row is not None else ""
        titles = {
            "promote": tr("Move it to the top"),
            "move": tr("Move it there"),
            "rename": tr("Rename it"),
            "describe": tr("Describe it so"),
        }
        return titles.get(kind, tr("Accept"))

    def restyle(self) -> None:
        for head in self.heads:
            head.setFont(self.session.theme.font(size=0.9, semibold=True))
            head.setForegroundRole(head.foregroundRole().PlaceholderText)
        self.now_name.setFont(self.session.theme.font(semibold=True))
        self.name.setFont(self.session.theme.font(semibold=True))
        self.title.setFont(self.session.theme.font(semibold=True))


def _place(path: str) -> Sentence:
    return tr("below {path}", path=path) if path else tr("at the top")
