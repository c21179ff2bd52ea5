"""Property: any random steps followed by as many undos give back the same project; a refusal changes nothing."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from errormap_core.errors import KnownError
from errormap_core.ids import content_id
from errormap_core.project.check import check
from errormap_core.project.pending import pending_proposals
from errormap_core.project.queries import totals
from errormap_core.project.staleness import refreshed
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import DecideProposals, Ruling
from tests.core.building import add_analyses, add_proposals, add_records
from tests.core.taxonomy.curation import DRAWS, KINDS, Choices, build, make_curated, snapshot

SOAK = bool(os.environ.get("ERRORMAP_SOAK"))


def make_project(path: Path) -> tuple[Project, list[str], list[str]]:
    """24 failures in three datasets, analysed, with four proposals on two levels."""
    project = Project.create(path)
    rows = [{"example_id": f"e{i:02}", "model": f"m{i % 2}", "dataset": f"d{i % 3}"} for i in range(24)]
    ids = add_records(project, rows)
    add_analyses(project, {record_id: f"Error {i % 5}" for i, record_id in enumerate(ids)})
    proposals = add_proposals(
        project,
        [
            {"name": "Arithmetic", "records": ids[:6]},
            {"name": "Slips", "records": ids[6:12], "parent": 0},
            {"name": "Reading", "records": ids[12:18]},
            {"category_id": next(c.id for c in project.tree if c.reserved == "other"), "records": ids[18:22]},
        ],
    )
    return project, ids, proposals


class Curation(RuleBasedStateMachine):
    """Steps, undos, redos and reopening in any order, on a real file."""

    template: Path
    folder: Path
    made: tuple[list[str], list[str]]
    number = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).number += 1
        path = self.folder / f"{self.number}.errormap"
        shutil.copy(self.template, path)
        self.project = Project.open(path)
        self.actor = self.project.annotator("Ann Bee")
        self.choices = Choices(self.project, *self.made)
        self.done: list[dict[str, Any]] = []
        self.undone: list[dict[str, Any]] = []

    @rule(draw=DRAWS)
    def act(self, draw: tuple[str, list[int], list[str], str]) -> None:
        before = snapshot(self.project)
        try:
            op = build(self.choices, *draw)
            effect = self.project.preview(op, actor=self.actor)
            assert snapshot(self.project) == before, "a preview wrote something"
            change = self.project.apply(op, actor=self.actor)
        except KnownError:
            assert snapshot(self.project) == before, "a refusal changed something"
            return
        assert str(effect.summary) == str(change.summary)
        if effect.other_after is not None:
            assert totals(self.project.db).n_other == effect.other_after
        self.done.append(before)
        self.undone.clear()

    @precondition(lambda self: self.done)
    @rule()
    def undo(self) -> None:
        self.undone.append(snapshot(self.project))
        assert self.project.undo(actor=self.actor) is not None
        assert snapshot(self.project) == self.done.pop()

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self) -> None:
        self.done.append(snapshot(self.project))
        assert self.project.redo(actor=self.actor) is not None
        assert snapshot(self.project) == self.undone.pop()

    @rule()
    def look(self) -> None:
        """What is listed still holds, in part at least. Of a group without unplaced failures those below it may wait."""
        for row in pending_proposals(self.project.db):
            assert refreshed(self.project, row.id) is not None or row.kind == "create"

    @rule()
    def reopen(self) -> None:
        before = snapshot(self.project)
        path = self.project.path
        self.project.close()
        self.project = Project.open(path)
        self.choices._project = self.project
        assert snapshot(self.project) == before
        assert (self.project.undoable() is None) == (not self.done)

    def teardown(self) -> None:
        while self.done:
            self.undo()
        self.project.close()
        for rest in self.folder.glob(f"{self.number}.errormap*"):
            rest.unlink()


@pytest.fixture
def curation(tmp_path: Path) -> type[Curation]:
    project, records, proposals = make_curated(tmp_path / "template.errormap")
    project.close()
    Curation.template, Curation.folder, Curation.made = tmp_path / "template.errormap", tmp_path, (records, proposals)
    return Curation


def test_any_steps_are_undone_exactly(curation: type[Curation]) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        curation,
        settings=settings(
            max_examples=60 if SOAK else 12,
            stateful_step_count=80 if SOAK else 25,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("seed", range(60 if SOAK else 8))
def test_taking_back_any_step_leaves_a_sound_project(tmp_path: Path, seed: int) -> None:
    """Steps of the history are taken back in any order: refused, or the project is sound afterwards."""
    project, records, proposals = make_curated(tmp_path / "any.errormap")
    actor, choices, chance = project.annotator("Ann Bee"), Choices(project, records, proposals), random.Random(seed)
    n_back = 0
    for step in range(120):
        numbers = [chance.randrange(10**6) for _ in range(3)]
        try:
            if chance.random() < 0.35:
                steps = [row[0] for row in project.db.execute("SELECT id FROM log")]
                project.undo_entry(chance.choice(steps or ["none"]), actor=actor)
                n_back += 1
            else:
                kind, name = chance.choice(KINDS.elements), f"N{chance.randrange(12)}"  # type: ignore[attr-defined]
                project.apply(build(choices, kind, numbers, ["t", "m"], name), actor=actor)
        except KnownError:
            continue
        if step % 10 == 0:
            assert [str(p.sentence) for p in check(project)] == []
    assert [str(p.sentence) for p in check(project, replay=True)] == []
    assert n_back > 0
    project.close()


def _accepted(path: Path, steps: list[list[Ruling]]) -> tuple[Any, ...] | None:
    """Tree, assignments and decisions after these steps; None where one is refused."""
    with Project.open(path) as project:
        actor, tree = project.annotator("Ann Bee"), project.tree
        try:
            for rulings in steps:
                project.apply(DecideProposals(rulings=tuple(rulings)), actor=actor)
        except KnownError:
            return None
        sql = "SELECT record_id, source_id, category_id, is_primary, counted FROM assignment"
        return (
            sorted((tree.path(category.id), category.description) for category in tree),
            sorted((r, s, tree.path(c), primary, counted) for r, s, c, primary, counted in project.db.execute(sql)),
            sorted(project.db.execute("SELECT proposal_id, verdict FROM decision").fetchall()),
        )


def test_decisions_of_one_step_do_what_they_do_one_after_another(tmp_path: Path) -> None:
    project, _, proposals = make_curated(tmp_path / "template.errormap")
    project.close()
    n_same = 0
    for seed in range(400 if SOAK else 30):
        chance = random.Random(seed)
        rulings = [
            Ruling(proposal_id=key, verdict="accept", category_id=content_id("test", seed, key), as_is=True)
            for key in chance.sample(proposals, chance.randint(2, 6))
        ]
        found = []
        for name, steps in (("together", [rulings]), ("apart", [[ruling] for ruling in rulings])):
            path = tmp_path / f"{name} {seed}.errormap"
            shutil.copy(tmp_path / "template.errormap", path)
            found.append(_accepted(path, steps))
        if None not in found:  # one that brings along what another decides may be refused in one of the two
            assert found[0] == found[1]
            n_same += 1
    assert n_same > 15


@pytest.mark.soak
def test_ten_thousand_steps(tmp_path: Path) -> None:
    """10,000 seeded steps, then as many undos: the same project. The short form takes 300."""
    wanted = 10_000 if SOAK else 300
    project, records, proposals = make_curated(tmp_path / "long.errormap")
    actor = project.annotator("Ann Bee")
    choices = Choices(project, records, proposals)
    chance = random.Random(7)
    kinds, names = [*KINDS.elements], ["Arithmetic", "Units", "Reading", "Logic", "Format"]  # type: ignore[attr-defined]
    before = snapshot(project)
    n_done = n_refused = 0
    while n_done < wanted:
        numbers = [chance.randrange(10**6) for _ in range(3)]
        name = f"{chance.choice(names)} {chance.randrange(40)}"
        try:
            project.apply(build(choices, chance.choice(kinds), numbers, ["a text", "more"], name), actor=actor)
            n_done += 1
        except KnownError:
            n_refused += 1
    after = snapshot(project)
    for _ in range(n_done):
        assert project.undo(actor=actor) is not None
    assert snapshot(project) == before
    assert project.undo(actor=actor) is None
    for _ in range(n_done):
        assert project.redo(actor=actor) is not None
    assert snapshot(project) == after
    project.close()
    print(f"soak: {n_done:,} steps (seed 7), {n_refused:,} refused, all undone and redone exactly")


def test_draws_cover_every_kind() -> None:
    from errormap_core.taxonomy.operations import OPERATIONS

    # All but the import of an atlas, and decisions twice: one at a time and several.
    assert len(KINDS.elements) == len(OPERATIONS)  # type: ignore[attr-defined]
    assert isinstance(DRAWS, st.SearchStrategy)
