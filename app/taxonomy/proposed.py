"""Proposals that wait, shown below the tree as such: italic, beside the totals, never among the categories."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from app.session import Session
from errormap_core.project.proposing import ProposalRow, pending_proposals
from errormap_core.sentences import tr, trn
from errormap_core.taxonomy.edits import Change

MOST_HEIGHT = 260


class ProposedTree(QWidget):
    """A small tree; what is chosen in it is chosen on the page of proposals, and the other way round."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._items: dict[str, QTreeWidgetItem] = {}
        self._title = QLabel(self)
        self._title.setContentsMargins(8, 6, 8, 2)
        self.tree = QTreeWidget(self)
        self.tree.setAccessibleName(str(tr("Proposed categories, not in the totals")))
        self.tree.setHeaderHidden(True)
        self.tree.setColumnCount(2)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._title)
        column.addWidget(self.tree, 1)
        self.setMaximumHeight(MOST_HEIGHT)
        self.tree.itemSelectionChanged.connect(self._on_selected)
        session.opened.connect(self.reload)
        session.closed.connect(self.reload)
        session.changed.connect(self._on_change)
        session.machine_changed.connect(lambda _: self.reload())
        session.proposal_selected.connect(self._follow)
        self.hide()

    def _on_change(self, change: Change) -> None:
        if change.tables() & {"decision", "category"}:
            self.reload()

    def reload(self) -> None:
        """Read the proposals again."""
        project = self._session.project
        rows = pending_proposals(project.reader) if project is not None else []
        self.tree.blockSignals(True)
        self.tree.clear()
        self._items = {}
        for row in rows:
            self._add(row)
        self.tree.expandAll()
        self.tree.blockSignals(False)
        self._title.setText(
            str(trn("{n:,} proposal, not in the totals", "{n:,} proposals, not in the totals", len(rows)))
        )
        self.setVisible(bool(rows))
        self._follow(self._session.proposal_id)

    def _add(self, row: ProposalRow) -> None:
        project = self._session.project
        assert project is not None
        name = row.name
        if row.kind == "place":
            category = project.tree.get(row.category_id or "")
            name = str(tr("→ {name}", name=category.name if category else "?"))
        item = QTreeWidgetItem([f"? {name}", f"{row.n_subtree:,}"])
        item.setData(0, Qt.ItemDataRole.UserRole, row.id)
        item.setToolTip(0, str(tr("Proposed: {name}. Decide it on the page Review.", name=name)))
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        font = self.font()
        font.setItalic(True)
        for column in (0, 1):
            item.setFont(column, font)
        above = self._items.get(row.parent_id or "")
        if above is not None:
            above.addChild(item)
        else:
            self.tree.addTopLevelItem(item)
        self._items[row.id] = item

    def _on_selected(self) -> None:
        chosen = self.tree.selectedItems()
        if chosen:
            self._session.select_proposal(chosen[0].data(0, Qt.ItemDataRole.UserRole))
            show = getattr(self.window(), "show_page", None)
            if show is not None:
                show("review")

    def _follow(self, proposal_id: str | None) -> None:
        item = self._items.get(proposal_id or "")
        self.tree.blockSignals(True)
        if item is None:
            self.tree.clearSelection()
        else:
            self.tree.setCurrentItem(item)
        self.tree.blockSignals(False)
