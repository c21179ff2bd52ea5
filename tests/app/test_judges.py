"""The page of judges: the table, what counts, checks and comparisons as real jobs, what a result shows, empty states."""

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QTreeWidget, QTreeWidgetItem

from app.judges.page import COLUMNS, JudgesPage
from app.judging.dialog import JudgeDialog
from app.window import Window
from errormap_core.project.judge_runs import CURRENT_RUN, judge_runs
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import AddCategory, AssignFailures
from tests.core.building import add_analyses
from tests.core.project.test_judge_runs import judge

Opened = tuple[Window, list[str]]


@pytest.fixture
def page(opened: Opened) -> JudgesPage:
    """The page on a project with three runs; the first is that of the fixture."""
    window, ids = opened
    with Project.open(project_of(window).path) as other:
        judge(other, ids, model="alpha", failing={})
        judge(other, ids[:10], model="beta", seed=3, shortened={"output_text": 9})
    window.session.poll()
    window.judges.reload()
    window.do("judge.judges")
    return window.judges


def project_of(window: Window) -> Project:
    assert window.session.project is not None
    return window.session.project


def cells(page: JudgesPage, row: int) -> dict[str, str]:
    found = {}
    for column, (key, _) in enumerate(COLUMNS):
        item = page.table.item(row, column)
        assert item is not None
        found[key] = item.text()
    return found


def texts(tree: QTreeWidget) -> list[list[str]]:
    found: list[list[str]] = []

    def walk(item: QTreeWidgetItem) -> None:
        found.append([item.text(column) for column in range(item.columnCount())])
        for place in range(item.childCount()):
            child = item.child(place)
            assert child is not None
            walk(child)

    for place in range(tree.topLevelItemCount()):
        top = tree.topLevelItem(place)
        assert top is not None
        walk(top)
    return found


def choose(page: JudgesPage, *rows: int) -> None:
    page.table.clearSelection()
    for row in rows:
        page._select_row(row)


def figure(value: float, *, low: float | None = 0.1, n: int = 24) -> dict[str, Any]:
    return {"value": value, "low": low, "high": None if low is None else 0.9, "chance": 0.2, "n": n}


def test_without_a_project_and_without_a_run(window: Window, tmp_path: Any) -> None:
    window.show_page("judges")
    assert "No project is open" in window.judges._empty.text
    assert window.session.create(tmp_path / "new.errormap")
    window.do("judge.judges")
    assert "No judge has worked on this project yet" in window.judges._empty.text
    assert not window.judges.check.isEnabled()


def test_every_run_with_what_it_cost(page: JudgesPage) -> None:
    assert page.table.rowCount() == 3
    shown = cells(page, 2)
    assert shown == {
        "counts": "✓", "number": "3", "judge": "beta", "prompt": "analyse v1", "seed": "3", "analysed": "10",
        "failed": "0", "tokens": "1,145", "time": "2 s",
    }  # fmt: skip
    assert cells(page, 1)["counts"] == ""
    choose(page, 2)
    assert "10 prompts shortened" in page.about.text() and "counts for 10 failures" in page.about.text()


def test_make_one_count_and_take_it_back(page: JudgesPage, opened: Opened) -> None:
    window, _ = opened
    choose(page, 1)
    assert page.use.isEnabled() and not page.latest.isVisible()
    page.use.click()
    assert project_of(window).setting(CURRENT_RUN) == page.runs[1].id
    assert [cells(page, row)["counts"] for row in range(3)] == ["", "✓", ""]
    assert [run.id for run in page.selected()] == [page.runs[1].id], "the selection stays"
    assert not page.use.isEnabled() and page.latest.isVisible()
    window.do("edit.undo")
    assert [cells(page, row)["counts"] for row in range(3)] == ["", "", "✓"]
    choose(page, 2)
    page.use.click()
    page.latest.click()
    assert project_of(window).setting(CURRENT_RUN) == ""


def test_what_can_be_done_follows_the_selection(page: JudgesPage, qtbot: Any) -> None:
    choose(page)
    assert (page.use.isEnabled(), page.compare.isEnabled(), page.check.isEnabled()) == (False, False, True)
    page.focus_list()
    page.table.setCurrentCell(0, 2)
    qtbot.keyClick(page.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert len(page.selected()) == 2, "without a mouse"
    assert (page.use.isEnabled(), page.compare.isEnabled()) == (False, True)
    choose(page, 0, 1, 2)
    assert not page.compare.isEnabled()


def test_another_judge_goes_over_what_others_analysed(page: JudgesPage, opened: Opened) -> None:
    window, _ = opened
    page.another.click()
    dialog = window.findChild(JudgeDialog)
    assert isinstance(dialog, JudgeDialog)
    assert dialog.again.isChecked() and dialog.ok.isEnabled()
    dialog.reject()


def test_two_are_really_compared(page: JudgesPage, opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    choose(page, 1, 2)
    with qtbot.waitSignal(window.session.tasks.finished, timeout=120_000):
        page.compare.click()
        assert "Comparing" in page._hints["agreement"].text
        assert not page.compare.isEnabled()
    view = page.agreement_view
    assert page.results.currentIndex() == 1 and view.has_result
    assert "2 · alpha, analyse v1, seed 0 and 3 · beta, analyse v1, seed 3: 10 failures" in view.note.text()
    assert ["Error or no error: the same", "1.00", "1.00", "10"] in texts(view.tree)
    view.table.selectRow(4)
    assert window.session.record_id == view._record_ids[4]
    assert window.record.detail is not None and window.record.detail.id == view._record_ids[4]


def test_all_are_really_checked(page: JudgesPage, opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    choose(page)
    with qtbot.waitSignal(window.session.tasks.finished, timeout=120_000):
        window.do("judge.check")
        assert not window.actions_by_id["judge.check"].isEnabled()
    shown = [row[0] for row in texts(page.check_view.tree)]
    assert "Reviewed in this project: 0 analyses written, 0 failures placed by hand" in shown
    assert "Place 20 more failures by hand to compare categories." in shown
    assert window.actions_by_id["judge.check"].isEnabled()


def test_a_check_shows_each_figure_with_all_judges(page: JudgesPage) -> None:
    halves = {
        half: {"n": 12, "n_written": 12, "n_placed": 0, "examples": 12, "missing_examples": 0}
        for half in ("development", "test")
    }
    key = {
        "key": "gold", "title": "Small", "folder": "/g", "left_out": 1, "n": 24, "n_written": 24, "n_placed": 24,
        "fewest_examples": 10, "missing_placements": 0, "n_gold": 0, "n_copied": 0, "splits": halves,
        "classifier": {half: {"category": {"kappa": figure(0.7)}, "top_category": None} for half in halves},
    }  # fmt: skip

    def found(value: float) -> dict[str, Any]:
        same = {"agreement": figure(value), "kappa": None}
        return {"n": 12, "missing": 0, "verdict": same, "evidence": {"f1": figure(value, low=None), "without": 0},
                "category": {"agreement": figure(value), "kappa": figure(-0.001)}, "top_category": None}  # fmt: skip

    runs = [
        {"run": run.id, "name": run.name, "seed": run.seed, "is_current": run.is_current,
         "splits": {"development": found(0.5), "test": found(0.4)}}
        for run in page.runs[1:]
    ]  # fmt: skip
    result = {"keys": [{**key, "runs": runs}], "problems": [{"text": "line 3 is wrong"}], "is_stopped": False}
    page.check_view.show_result(result, {page.runs[1].id: 2})
    shown = texts(page.check_view.tree)
    assert [row[0] for row in shown[:3]] == [
        "Gold “Small”: 24 failures",
        "Test half: 12 failures of 12 examples",
        "Category: kappa",
    ]
    assert shown[3] == ["2 · alpha, analyse v1, seed 0", "0.00  (0.10 – 0.90)", "0.20", "24"]
    assert shown[4][0] == f"beta, analyse v1 · {page.runs[2].short_id}, seed 3", "a run that is not in the table"
    assert shown[5] == ["for comparison: people's own words", "0.70  (0.10 – 0.90)", "0.20", "24"]
    assert ["2 · alpha, analyse v1, seed 0", "0.50", "0.20", "24"] in shown, "no interval where there is none"
    assert not any(row[0].startswith("Top category") for row in shown), "what nobody has is left out"
    assert "1 line of the gold was left out: line 3 is wrong" in page.check_view.note.text()


def test_a_stopped_check_leaves_what_was_shown(page: JudgesPage, opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    choose(page)
    with qtbot.waitSignal(window.session.tasks.finished, timeout=120_000):
        page.check.click()
        window.do("judge.stop")
    assert "Which judge is good enough?" in page._hints["check-judge"].text
    assert page._layers_of["check-judge"].currentIndex() == 0
    page._since["check-judge"].begin()
    page.check_view.show_result({"keys": [], "problems": [], "is_stopped": False}, {})
    page._since["check-judge"].begin()  # as when another check is started
    page.on_failed("check-judge")
    assert page._layers_of["check-judge"].currentIndex() == 1
    assert "from before" in page.results.tabText(0)
    assert "was not finished" in page.results.tabToolTip(0)  # said before: 'The project changed since'


def test_a_change_makes_a_result_old(page: JudgesPage, opened: Opened) -> None:
    window, ids = opened
    page.check_view.show_result({"keys": [], "problems": [], "is_stopped": False}, {})
    page._layers_of["check-judge"].setCurrentIndex(1)
    page._tell_old()
    page._since["check-judge"].begin()
    page._tell_old()
    assert page.results.tabText(0) == "Check"
    window.session.apply(AddCategory(name="New", parent_id=None))
    assert page.results.tabText(0) == "Check"  # nothing that was compared
    window.session.apply(AssignFailures(record_ids=(ids[0],), category_id=OTHER_ID))
    assert "from before" in page.results.tabText(0)
    window.session.undo()
    assert page.results.tabText(0) == "Check"


def test_what_another_process_judges_appears(page: JudgesPage, opened: Opened, qtbot: Any) -> None:
    window, ids = opened
    choose(page, 1)
    with Project.open(project_of(window).path) as other:
        add_analyses(other, {ids[0]: "New"}, run="late")
    window.session.poll()
    qtbot.waitUntil(lambda: page.table.rowCount() == 4)
    assert len(judge_runs(project_of(window).db)) == 4
    assert cells(page, 3)["counts"] == "✓"
    assert [run.id for run in page.selected()] == [page.runs[1].id]
    window.session.close()
    assert page.runs == []


@pytest.mark.parametrize(("scheme", "factor"), [("light", 1.0), ("dark", 2.0)])
def test_it_follows_the_look(page: JudgesPage, opened: Opened, scheme: str, factor: float) -> None:
    window, _ = opened
    window.theme.apply(scheme, factor)
    assert page.table.verticalHeader().defaultSectionSize() == window.theme.row_height()
    window.theme.apply("light", 1.0)
