"""Proposals that wait are shown below the tree, outside its totals, and follow every decision without a reset."""

import dataclasses
import random
from typing import Any

from PySide6.QtCore import QModelIndex

from app.taxonomy.proposed import ProposedModel
from app.window import Window
from errormap_core.project.pending import ProposalRow, pending_proposals
from errormap_core.taxonomy.operations import DecideProposals, Ruling

Opened = tuple[Window, list[str]]


def shown(model: ProposedModel, parent: QModelIndex | None = None) -> list[Any]:
    parent = parent or QModelIndex()
    indexes = [model.index(row, 0, parent) for row in range(model.rowCount(parent))]
    return [[i.data(), model.index(i.row(), 1, parent).data(), shown(model, i)] for i in indexes]


def wanted(rows: list[ProposalRow], parent: str | None = None) -> list[Any]:
    pending = {row.id for row in rows}
    here = [row for row in rows if (row.parent_id if row.parent_id in pending else None) == parent]
    return [[row.name, f"{row.n_subtree:,}", wanted(rows, row.id)] for row in here]


def test_proposals_are_shown_outside_the_totals(opened: Opened) -> None:
    window, _ = opened
    panel = window.tree.proposed
    assert shown(panel.model) == [
        ["Arithmetic", "12", [["Slips", "6", []]]],
        ["Reading", "6", []],
        ["→ Other", "4", []],
    ]
    assert panel.title.text() == "4 proposals, not in the totals"
    assert panel.isVisible()
    tree = window.tree.model
    assert [tree.index(row, 1).data() for row in range(tree.rowCount())] == ["0", "0"]
    font = panel.model.index(0, 0).data(6)  # Qt.FontRole
    assert font.italic()
    assert panel.model.index(1, 0).data(11) == "Reading, proposed, 6 failures"  # Qt.AccessibleTextRole


def test_decisions_and_undo_are_followed_without_a_reset(opened: Opened, qtmodeltester: Any, qtbot: Any) -> None:
    window, _ = opened
    project, panel = window.session.project, window.tree.proposed
    assert project is not None
    qtmodeltester.check(panel.model)
    resets: list[int] = []
    panel.model.modelReset.connect(lambda: resets.append(1))
    chance = random.Random(3)
    for _ in range(40):
        rows = pending_proposals(project.db)
        if rows and chance.random() < 0.6:
            row = chance.choice([r for r in rows if r.parent_id is None or r.parent_id not in {x.id for x in rows}])
            verdict = chance.choice(["accept", "reject"])
            window.session.apply(DecideProposals(rulings=(Ruling(proposal_id=row.id, verdict=verdict),)))  # type: ignore[arg-type]
        else:
            window.deeds.undo() if chance.random() < 0.6 else window.deeds.redo()
        rows = [dataclasses.replace(r, name=f"→ {r.name}" if r.kind == "assign" else r.name) for r in
                pending_proposals(project.db)]  # fmt: skip
        expected = wanted(rows)
        qtbot.waitUntil(lambda e=expected: shown(panel.model) == e, timeout=3000)
        assert panel.isHidden() == (not rows)
    qtmodeltester.check(panel.model)
    assert resets == []


def row(key: str, parent: str | None = None, *, n: int = 1) -> ProposalRow:
    return ProposalRow(id=key, kind="create", parent_id=parent, name=key, description="", category_id=None, score=0.5,
                       n_members=n, n_subtree=n, named_by="members", evidence={}, verdict=None, depth=0)  # fmt: skip


def test_any_list_is_followed_by_insertions_and_removals(qtmodeltester: Any) -> None:
    model, chance = ProposedModel(), random.Random(7)
    qtmodeltester.check(model)
    for _ in range(60):
        rows: list[ProposalRow] = []
        for key in chance.sample("abcdefghij", chance.randrange(11)):
            above = chance.choice([None, *(r.id for r in rows)])
            rows.append(row(key, above, n=chance.randrange(3)))
        model.follow(rows)
        assert shown(model) == wanted(rows)
    qtmodeltester.check(model)


def test_choosing_one_shows_it_on_its_page_and_the_other_way(opened: Opened) -> None:
    window, _ = opened
    panel, session = window.tree.proposed, window.session
    window.show_page("records")
    reading = panel.model.index(1, 0)
    panel.view.setCurrentIndex(reading)
    assert window.tabs.currentWidget() is window.review
    chosen = panel.model.row(reading)
    assert chosen is not None
    assert session.proposal_id == chosen.id
    assert window.review.list.currentIndex().data() == "Reading"
    window.show_page("records")
    window.review.first()
    assert panel.view.currentIndex().data() == "Arithmetic"
    assert window.tabs.currentWidget() is window.records, "following alone turns no page"


def test_it_folds_away(opened: Opened) -> None:
    window, _ = opened
    panel = window.tree.proposed
    panel.title.click()
    assert panel.view.isHidden()
    panel.title.click()
    assert not panel.view.isHidden()
