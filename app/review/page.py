"""The page of proposals: a list in tree order, the chosen one large beside it, decided by a key each."""

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.empty import EmptyState
from app.review.edit_dialog import EditDialog
from app.session import Session
from app.theme import HEADING
from errormap_core.project.proposing import ProposalRow, pending_proposals, proposal_members
from errormap_core.project.queries import Totals, failure_rows, totals
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.edits import Change, MachineChange
from errormap_core.taxonomy.operations import DecideProposals, Ruling

SHOWN_MEMBERS = 200


class ReviewPage(QWidget):
    """Proposals wait here; nothing of them is in the tree before it is accepted."""

    n_changed = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._menu: Callable[[], QMenu] | None = None
        self._rows: dict[str, ProposalRow] = {}
        self._read = ""  # the proposal whose first failure was shown; a new list of the same does not show it again
        self._items: dict[str, QTreeWidgetItem] = {}
        self.list = QTreeWidget(self)
        self.list.setAccessibleName(str(tr("Proposals")))
        self.list.setHeaderLabels([str(tr("Proposal")), str(tr("Failures"))])
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._show_menu)
        self.list.currentItemChanged.connect(self._on_current)
        self._name = QLabel(self)
        self._name.setWordWrap(True)
        self._about = QLabel(self)
        self._about.setWordWrap(True)
        self._about.setForegroundRole(self._about.foregroundRole().PlaceholderText)
        self._description = QLabel(self)
        self._description.setWordWrap(True)
        self.members = QListWidget(self)
        self.members.setAccessibleName(str(tr("Failures of the proposal, the most typical first")))
        self.members.setWordWrap(True)
        self.members.setSpacing(3)
        self.members.currentItemChanged.connect(self._on_member)
        self._members_title = QLabel(self)
        self._members_title.setWordWrap(True)
        self._buttons: dict[str, QPushButton] = {}
        self._all = QPushButton(str(tr("Accept all  Ctrl+⏎")), self)
        self._all.clicked.connect(lambda _=False: self.accept_all())
        card = QWidget(self)
        column = QVBoxLayout(card)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(8)
        for widget in (self._name, self._about, self._description):
            column.addWidget(widget)
        column.addLayout(self._make_buttons())
        column.addWidget(self._members_title)
        column.addWidget(self.members, 1)
        split = QSplitter(Qt.Orientation.Horizontal, self)
        left = QWidget(self)
        stack = QVBoxLayout(left)
        stack.setContentsMargins(0, 0, 0, 8)
        stack.addWidget(self.list, 1)
        stack.addWidget(self._all, 0, Qt.AlignmentFlag.AlignHCenter)
        left.setMinimumWidth(220)
        split.addWidget(left)
        split.addWidget(card)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        split.setChildrenCollapsible(False)
        split.setSizes([360, 360])
        self.list.setIndentation(12)
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._empty = EmptyState(self)
        self._layers = QStackedLayout(self)
        self._layers.addWidget(self._empty)
        self._layers.addWidget(split)
        session.opened.connect(self.reload)
        session.closed.connect(self._on_closed)
        session.changed.connect(self._on_change)
        session.machine_changed.connect(self._on_machine)
        session.counted.connect(lambda numbers, _: self._say_why(numbers) if not self._rows else None)
        session.proposal_selected.connect(self._follow)
        session.theme.changed.connect(self._restyle)
        self._restyle()
        self._on_closed()

    def _make_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for key, title, deed in (
            ("accept", tr("Accept  ⏎"), self.accept),
            ("edit", tr("Edit…  E"), self.edit),
            ("reject", tr("Reject  X"), self.reject),
            ("skip", tr("Skip  S"), self.skip),
        ):
            button = QPushButton(str(title), self)
            button.setProperty("primary", key == "accept")
            button.clicked.connect(lambda _=False, act=deed: act())
            row.addWidget(button)
            self._buttons[key] = button
        row.addStretch(1)
        return row

    def showEvent(self, event: QShowEvent) -> None:
        """The record pane shows a failure of the chosen proposal again."""
        super().showEvent(event)
        row = self._chosen()
        if row is not None:
            self._read = ""
            self._show(row)

    def set_menu(self, make: Callable[[], QMenu]) -> None:
        """Where the context menu comes from."""
        self._menu = make

    @property
    def n_pending(self) -> int:
        return len(self._rows)

    # What is shown

    def reload(self) -> None:
        """Read the proposals again, staying on the same one or the one after it."""
        project = self._session.project
        if project is None:
            return
        before = self._session.proposal_id
        order = list(self._rows)
        place = order.index(before) if before in order else 0
        rows = pending_proposals(project.reader)
        self._rows = {row.id: row for row in rows}
        self._fill(rows)
        after = [i for i in (*order[place:], *reversed(order[:place])) if i in self._rows]
        chosen = after[0] if after else (rows[0].id if rows else None)
        if chosen is not None:
            self.list.setCurrentItem(self._items[chosen])
        else:
            self._session.select_proposal(None)
        self._layers.setCurrentIndex(1 if rows else 0)
        if not rows:
            self._say_why(totals(project.reader))
        for button in (*self._buttons.values(), self._all):
            button.setEnabled(self._session.can_edit)
        self.n_changed.emit(len(rows))

    def _fill(self, rows: list[ProposalRow]) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        self._items = {}
        for row in rows:
            skipped = str(tr(" · skipped")) if row.verdict == "skip" else ""
            item = QTreeWidgetItem([self._title(row) + skipped, f"{row.n_subtree:,}"])
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setData(0, Qt.ItemDataRole.UserRole, row.id)
            item.setToolTip(0, f"{row.name}\n{row.description}")
            above = self._items.get(row.parent_id or "")
            if above is not None:
                above.addChild(item)
            else:
                self.list.addTopLevelItem(item)
            self._items[row.id] = item
        self.list.expandAll()
        self.list.blockSignals(False)

    def _title(self, row: ProposalRow) -> str:
        if not row.is_placing:
            return row.name
        project = self._session.project
        assert project is not None
        category = project.tree.get(row.category_id or "")
        return str(tr("→ {name}", name=category.name if category else "?"))

    def _on_machine(self, change: MachineChange) -> None:
        project = self._session.project
        if project is None or change.tables <= {"analysis", "judge_error"}:  # a judge proposes nothing
            return
        if change.is_quiet and pending_proposals(project.reader) == list(self._rows.values()):
            return  # a run of a judge began or ended
        self.reload()

    def _say_why(self, numbers: Totals) -> None:
        do = getattr(self.window(), "do", None)

        def doing(command: str) -> Callable[[], object]:
            return lambda: do(command) if do is not None else None

        if not numbers.n_failures:
            self._empty.say(
                tr(
                    "No failures yet. Import results first; then the judge diagnoses them, and categories are proposed here."
                ),
                (str(tr("Import…  Ctrl+I")), doing("file.import")),
            )
        elif not numbers.states["analysed"]:
            self._empty.say(
                trn(
                    "{n:,} failure waits for a diagnosis.",
                    "{n:,} failures wait for a diagnosis.",
                    numbers.states["waiting"],
                ),
                (str(tr("Run the judge…  Ctrl+J")), doing("judge.run")),
            )
        elif numbers.n_unplaced:
            self._empty.say(
                trn("{n:,} diagnosed failure is in no category yet.", "{n:,} diagnosed failures are in no category yet.",
                    numbers.n_unplaced),
                (str(tr("Propose categories  Ctrl+P")), doing("judge.propose")),
            )  # fmt: skip
        else:
            self._empty.say(
                tr("All proposals are decided, and every diagnosed failure has its place."),
                (str(tr("Export the atlas…  Ctrl+E")), doing("file.export")),
            )

    def _on_current(self, item: QTreeWidgetItem | None, _: QTreeWidgetItem | None = None) -> None:
        row = self._rows.get(item.data(0, Qt.ItemDataRole.UserRole)) if item is not None else None
        self._session.select_proposal(row.id if row else None)
        if row is not None:
            self._show(row)

    def _follow(self, proposal_id: str | None) -> None:
        """Another pane selected a proposal: show it here."""
        item = self._items.get(proposal_id or "")
        if item is not None and item is not self.list.currentItem():
            self.list.setCurrentItem(item)

    def _show(self, row: ProposalRow) -> None:
        project = self._session.project
        assert project is not None
        place = row.is_placing
        self._name.setText(self._title(row))
        named = tr("named by the judge") if row.named_by.startswith("judge") else tr("named from its typical members")
        about = tr("Place these failures") if place else tr("New category, {named}", named=named)
        n = trn("{n:,} failure", "{n:,} failures", row.n_subtree)
        above = self._rows.get(row.parent_id or "")
        under = tr(" · below “{name}”, which is accepted with it", name=above.name) if above else tr("")
        # The score of a proposal to assign is the mean margin between its category and the next.
        measured = tr("mean margin {score:.0%}", score=row.score)
        if row.kind != "assign":
            measured = tr("cohesion {score:.2f}", score=row.score)
        self._about.setText(
            str(tr("{about} · {n} · {measured}{under}", about=about, n=n, measured=measured, under=under))
        )
        self._description.setText(row.description)
        self._description.setVisible(bool(row.description))
        self.members.blockSignals(True)
        self.members.clear()
        members = self._members(row)
        rows = failure_rows(project.reader, [record_id for record_id, _ in members])
        for record_id, _ in members:
            failure = rows.get(record_id)
            if failure is not None:
                item = QListWidgetItem(
                    f"{failure.error_title}\n{failure.error_summary}{self._certainty(row, record_id)}"
                )
                item.setData(Qt.ItemDataRole.UserRole, record_id)
                item.setToolTip(f"{failure.dataset} · {failure.model} · {failure.example_id}")
                self.members.addItem(item)
        self.members.blockSignals(False)
        direct = trn(
            "{n:,} failure goes into it, the most typical first",
            "{n:,} failures go into it, the most typical first",
            row.n_members,
        )
        if row.kind == "assign":
            direct = trn("{n:,} failure goes into it", "{n:,} failures go into it, the surest first", row.n_members)
        below = tr("Its failures are in the proposals below it")
        self._members_title.setText(str(direct if row.n_members else below))
        if members and self.isVisible() and row.id != self._read:
            self._read = row.id
            self._session.select_record(members[0][0])

    def _certainty(self, row: ProposalRow, record_id: str) -> str:
        """How sure a proposal to assign is of one of its failures, on a line of its own; '' for other kinds."""
        known = row.evidence.get("members", {}).get(record_id) if row.kind == "assign" else None
        if known is None:
            return ""
        project = self._session.project
        assert project is not None
        second = project.tree.get(known["runner_up"] or "")
        sure = tr("{share:.0%} sure", share=known["probability"])
        if second is not None:
            sure = tr(
                "{sure} · next: {name}, {share:.0%}", sure=sure, name=second.name, share=known["runner_up_probability"]
            )
        return f"\n{sure}"

    def _members(self, row: ProposalRow) -> list[tuple[str, float | None]]:
        """Its own failures, then those of the proposals below it; at most SHOWN_MEMBERS."""
        project = self._session.project
        assert project is not None
        members = proposal_members(project.reader, row.id, limit=SHOWN_MEMBERS)
        for below in self._rows.values():
            if below.parent_id == row.id and len(members) < SHOWN_MEMBERS:
                members += self._members(below)
        return members[:SHOWN_MEMBERS]

    def _on_member(self, item: QListWidgetItem | None, _: QListWidgetItem | None = None) -> None:
        if item is not None:
            self._session.select_record(item.data(Qt.ItemDataRole.UserRole))

    def _on_change(self, change: Change) -> None:
        if change.tables() & {"decision", "category"}:
            self.reload()
        elif not self._rows and self._session.project is not None:  # the reason why there is none may have changed
            self._say_why(totals(self._session.project.reader))

    def _on_closed(self) -> None:
        self._rows, self._items = {}, {}
        self.list.clear()
        self._empty.say(tr("No project is open."))
        self._layers.setCurrentIndex(0)
        self.n_changed.emit(0)

    def _restyle(self) -> None:
        theme = self._session.theme
        self._name.setFont(theme.font(size=HEADING, semibold=True))
        self._members_title.setFont(theme.font(semibold=True))

    def focus_list(self) -> None:
        self.list.setFocus()

    def _show_menu(self, point: QPoint) -> None:
        if self._menu is not None:
            self._menu().popup(self.list.viewport().mapToGlobal(point))

    # Decisions

    def accept(self) -> None:
        """Accept the chosen proposal, and those above it that are not accepted yet."""
        row = self._chosen()
        if row is not None:
            self._session.apply(
                DecideProposals(rulings=tuple(Ruling(proposal_id=i, verdict="accept") for i in self._upwards(row)))
            )

    def reject(self) -> None:
        self._decide("reject")

    def skip(self) -> None:
        """Decide later: the next one is shown, this one stays in the list."""
        row = self._chosen()
        self._decide("skip")
        if row is not None and row.id in self._items:
            below = self.list.itemBelow(self._items[row.id])
            if below is not None:
                self.list.setCurrentItem(below)

    def edit(self) -> None:
        """Change name, description or members, then accept."""
        row, project = self._chosen(), self._session.project
        if row is None or project is None:
            return
        members = proposal_members(project.reader, row.id)
        rows = failure_rows(project.reader, [i for i, _ in members])
        titles = {i: rows[i].error_title for i, _ in members if i in rows}
        dialog = EditDialog(row, titles, parent=self)
        dialog.decided.connect(self._accept_edited)
        dialog.open()

    def _accept_edited(self, ruling: Ruling) -> None:
        row = self._rows.get(ruling.proposal_id)
        if row is not None:
            above = tuple(Ruling(proposal_id=i, verdict="accept") for i in self._upwards(row)[1:])
            self._session.apply(DecideProposals(rulings=(ruling, *above)))

    def accept_all(self) -> None:
        """Accept all that wait, in one step that is recorded as bulk."""
        if self._rows:
            rulings = tuple(Ruling(proposal_id=i, verdict="accept") for i in self._rows)
            self._session.apply(DecideProposals(rulings=rulings, is_bulk=True))

    def _decide(self, verdict: str) -> None:
        row = self._chosen()
        if row is not None:
            self._session.apply(DecideProposals(rulings=(Ruling(proposal_id=row.id, verdict=verdict),)))  # type: ignore[arg-type]

    def _chosen(self) -> ProposalRow | None:
        return self._rows.get(self._session.proposal_id or "")

    def _upwards(self, row: ProposalRow) -> list[str]:
        found = [row.id]
        while row.parent_id is not None and row.parent_id in self._rows:
            row = self._rows[row.parent_id]
            found.append(row.id)
        return found
