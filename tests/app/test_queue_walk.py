"""From a raw taxonomy with a crowded Other to a clean one, by keyboard alone, in the real window with the real jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit

from app.window import Window
from errormap_core.project import queries
from errormap_core.project.pending import ProposalRow
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, AssignFailures
from tests.core.building import add_analyses, add_records

TAXONOMIES = Path(__file__).resolve().parents[2] / "benchmarks" / "taxonomies"

N_UNPLACED = 12

CTRL = Qt.KeyboardModifier.ControlModifier


def raw_taxonomy(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """A project of a taxonomy that was damaged on purpose, some of its failures not placed.

    Returns where a person knows each failure to belong (path by record id), and paths by category id.
    """
    listed = json.loads((TAXONOMIES / "assistant.json").read_text(encoding="utf-8"))
    project = Project.create(path)
    actor = project.annotator("Ann Bee")
    titles = [(each["path"], title) for each in listed for title in each["members"]]
    ids = add_records(project, [{"example_id": f"e{i:03}"} for i in range(len(titles))])
    add_analyses(project, {record_id: title for record_id, (_, title) in zip(ids, titles, strict=True)})
    made: dict[str, str] = {"Other": next(c.id for c in project.tree if c.reserved == "other")}

    def make(name: str) -> str:
        if name not in made:
            parent, _, own = name.rpartition("/")
            described = next((each.get("description", "") for each in listed if each["path"] == name), "")
            op = AddCategory(name=own, parent_id=make(parent) if parent else None, description=described)
            project.apply(op, actor=actor)
            made[name] = op.category_id
        return made[name]

    known = {record_id: at for record_id, (at, _) in zip(ids, titles, strict=True)}
    unplaced = {record_id for i, record_id in enumerate(ids) if i % (len(ids) // N_UNPLACED) == 0}
    for each in listed:
        here = tuple(i for i in ids if known[i] == each["path"] and i not in unplaced)
        project.apply(AssignFailures(record_ids=here, category_id=make(each["path"])), actor=actor)
    project.hand_over()
    project.close()
    return known, {category_id: name for name, category_id in made.items()}


class Curator:
    """Reads a card and presses keys; knows which categories are the same and where failures belong."""

    def __init__(self, window: Window, qtbot: Any, known: dict[str, str], paths: dict[str, str]) -> None:
        self.window, self.qtbot, self.known, self.paths = window, qtbot, known, paths
        truth = json.loads((TAXONOMIES / "assistant.truth.json").read_text(encoding="utf-8"))
        self.same = {path: min(pair) for pair in truth for path in pair}
        self.n_keys = 0

    def press(self, key: Qt.Key | str, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        self.n_keys += 1
        if QApplication.activeWindow() is None:  # a window manager does so when a dialog is closed; here is none
            self.window.activateWindow()
        self.qtbot.waitUntil(lambda: QApplication.focusWidget() is not None, timeout=3000)
        target = QApplication.focusWidget()
        assert target is not None
        if isinstance(key, str):
            self.qtbot.keyClicks(target, key)
        else:
            self.qtbot.keyClick(target, key, modifier)

    def meaning(self, path: str) -> str:
        return self.same.get(path, path)

    def decide(self, row: ProposalRow) -> None:
        """Answer the proposal that is shown, as somebody who knows the truth would."""
        answers: dict[str, Callable[[ProposalRow], None]] = {
            "merge": self.merge,
            "promote": self.promote,
            "place": self.place,
        }
        answers.get(row.kind, self.other)(row)

    def merge(self, row: ProposalRow) -> None:
        """What does not mean the same as the first two that do is left out with its number."""
        meanings = [self.meaning(self.paths[c]) for c in row.arguments["category_ids"]]
        twins = next((m for m in meanings if meanings.count(m) > 1), None)
        if twins is None:
            self.press("x")
            return
        for n, meaning in enumerate(meanings, start=1):
            if meaning != twins:
                self.press(str(n))
        self.press(Qt.Key.Key_Return)

    def promote(self, row: ProposalRow) -> None:
        """What has a twin elsewhere is to be merged, not promoted."""
        self.press("s" if self.paths[row.arguments["category_id"]] in self.same else Qt.Key.Key_Return)

    def place(self, row: ProposalRow) -> None:
        wanted = self.meaning(self.known[row.arguments["record_id"]])
        for n, candidate in enumerate(row.arguments["candidates"], start=1):
            if candidate.get("category_id") and self.meaning(self.paths.get(candidate["category_id"], "")) == wanted:
                self.press(str(n))
                return
        self.press("/")
        self.qtbot.waitUntil(lambda: isinstance(QApplication.focusWidget(), QLineEdit), timeout=3000)
        tree = self.window.session.project.tree  # type: ignore[union-attr]
        category = next(c for c in self.paths if self.meaning(self.paths[c]) == wanted)
        self.press(tree.resolve(category).name)
        self.press(Qt.Key.Key_Return)

    def other(self, row: ProposalRow) -> None:
        """Failures that nobody placed go where they were proposed if most belong there; the rest stays as it is."""
        if row.kind == "assign" and not row.arguments.get("from_id"):
            self.press(Qt.Key.Key_Return)
        else:
            self.press("x")


def test_a_crowded_other_is_cleaned_by_keyboard_alone(window: Window, qtbot: Any, tmp_path: Path) -> None:
    known, paths = raw_taxonomy(tmp_path / "raw.errormap")
    assert window.session.open(tmp_path / "raw.errormap")
    project = window.session.project
    assert project is not None
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    curator = Curator(window, qtbot, known, paths)
    other = next(c for c in project.tree if c.reserved == "other").id

    def n_other() -> int:
        own = queries.own_counts(project.reader)
        return sum(own.get(c, 0) for c in project.tree.subtree(other))

    before = n_other()
    twins = {tuple(sorted(pair)) for pair in json.loads((TAXONOMIES / "assistant.truth.json").read_text())}
    with qtbot.waitSignal(window.session.tasks.finished, timeout=180_000):
        curator.press(Qt.Key.Key_P, CTRL)
    page = window.review
    qtbot.waitUntil(lambda: window.tabs.currentWidget() is page)
    qtbot.waitUntil(lambda: page.frame.row is not None and page.n_pending > 0, timeout=5000)
    n_steps = project.db.table("log").count

    for _ in range(200):
        row = page.deck.get(page._current)
        if row is None or row.state != "pending":
            break
        curator.decide(row)
    assert page.deck.waiting() == [row for row in page.deck.waiting() if row.state == "skipped"]

    categories = {path: category for category, path in paths.items()}
    merged = [pair for pair in twins if len({project.tree.resolve(categories[path]).id for path in pair}) == 1]
    assert len(merged) >= 0.8 * len(twins), f"{len(merged)} of {len(twins)} twins are one now"
    assert n_other() < before / 2, f"Other held {before} failures, and holds {n_other()}"
    assert project.db.table("log").count > n_steps

    # What nobody placed is asked about, one question after the other
    window.session.settings["queue.questions"] = True
    page.questions.want(True)
    qtbot.waitUntil(lambda: any(row.kind == "place" for row in page.deck.waiting()), timeout=120_000)
    assert window.session.tasks.running() == [], "choosing questions is no work that one waits for"
    assert window.task_strip.isHidden()
    assert "first suggestion" in page.top.sure.text()
    qtbot.waitUntil(lambda: page.chosen_kind == "place", timeout=5000)
    n_unplaced = queries.totals(project.db).n_unplaced
    print(f"{n_unplaced} are not placed, {curator.n_keys} keys so far")
    for _ in range(min(3, n_unplaced)):
        qtbot.waitUntil(lambda: page.chosen_kind == "place", timeout=5000)
        row = page.deck.get(page._current)
        assert row is not None
        record_id = row.arguments["record_id"]
        curator.decide(row)
        where = queries.failure_rows(project.db, [record_id])[record_id].category_id
        assert where is not None
        assert curator.meaning(paths[where]) == curator.meaning(known[record_id])

    # And all of it can be taken back
    while project.undoable() is not None:
        curator.press(Qt.Key.Key_Z, CTRL)
    assert n_other() == before
    assert curator.n_keys < 400
