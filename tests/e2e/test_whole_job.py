"""The whole job through the real window with the real models: import, judge, propose, accept, rename, merge, split,
move, undo, redo, export. Nothing here is a stand-in; the judge is the embedded one and the encoder too."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PySide6.QtWidgets import QApplication, QLineEdit

from app.imports.dialog import ImportDialog
from app.judging.dialog import JudgeDialog
from app.start.run import make_window
from app.taxonomy.merge_view import MergeView
from app.taxonomy.split_view import SplitView
from app.window import Window
from errormap_core.exporters.atlas import balance, schema
from errormap_core.project import queries
from errormap_core.project.check import check
from errormap_core.project.store import Project
from errormap_core.resources import resource_path
from errormap_core.sample.build import questions
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import SetChoice

N_JUDGED = 8
N_MODELS = 6
"""Of the sample."""


MINUTES = 60_000


@pytest.fixture
def window(qtbot: Any, tmp_path: Path) -> Iterator[Window]:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    settings = UserSettings(Path(os.environ["ERRORMAP_STUDIO_CONFIG"]) / "settings.json")
    settings["judge.threads"] = 1
    made = make_window(app, settings)
    made.show()
    yield made
    made.session.tasks.cancel_all()
    qtbot.waitUntil(lambda: not made.session.tasks.running(), timeout=MINUTES)
    made.close()
    made.deleteLater()


def project_of(window: Window) -> Project:
    assert window.session.project is not None
    return window.session.project


def job_done(window: Window, qtbot: Any, start: Any) -> Any:
    """Start a job by the window's own means and wait for it."""
    with qtbot.waitSignal(window.session.tasks.finished, timeout=5 * MINUTES) as done:
        start()
    assert done.args[0].error is None, done.args[0].error
    window.session.poll()
    return done.args[0]


def test_from_results_to_an_atlas(window: Window, tmp_path: Path, qtbot: Any) -> None:
    target = tmp_path / "whole.errormap"
    assert window.session.create(target)
    project = project_of(window)
    # Short answers, so that the toy judge is done in a minute
    window.session.apply(SetChoice(key="judge.max_criteria", value=1))
    window.session.apply(SetChoice(key="proposals.min_size", value=2))

    # Import, through the dialog with its preview
    dialog = ImportDialog(window.session, [resource_path("sample", "everyday_maths.csv")], window)
    assert dialog.table.rowCount() > 0
    job = job_done(window, qtbot, dialog._start)
    n_rows = sum(q["dataset"] == "everyday_maths" for q in questions()) * N_MODELS
    assert job.result["files"][0]["n_added"] == n_rows
    n_failures = queries.totals(project.db).n_failures
    assert 0 < n_failures < n_rows
    assert len(window.records.model.ids()) == n_failures

    # Judge: the window stays usable and can stop it; a second run goes on where it was
    dialog_judge = JudgeDialog(window.session, window)
    dialog_judge.limit.setValue(N_JUDGED)
    dialog_judge._start()
    [running] = window.session.tasks.running()
    qtbot.waitUntil(  # measuring the model comes first where that was not done here yet
        lambda: running.progress is not None and running.progress.stage == "judge" and running.progress.done >= 2,
        timeout=2 * MINUTES,
    )
    window.records.next()  # the list answers while the judge works
    with qtbot.waitSignal(window.session.tasks.finished, timeout=MINUTES):
        window.do("judge.stop")
    window.session.poll()
    n_kept = queries.totals(project.db).n_counted
    assert 2 <= n_kept < N_JUDGED
    dialog_judge = JudgeDialog(window.session, window)
    dialog_judge.limit.setValue(N_JUDGED - n_kept)
    job = job_done(window, qtbot, dialog_judge._start)
    assert job.result["failed"] == 0
    assert queries.totals(project.db).n_counted == N_JUDGED
    assert job.result["judge"]["model_file"].startswith("SmolLM2")

    # Propose, look, accept all
    job_done(window, qtbot, lambda: window.do("judge.propose"))
    assert window.review.n_pending >= 1
    qtbot.waitUntil(lambda: window.tabs.currentWidget() is window.review, timeout=10_000)  # once the queue is read
    window.do("review.accept_all")
    totals = queries.totals(project.db)
    assert totals.n_unplaced + totals.states["no_error"] + totals.n_placed == totals.n_counted

    # Make sure of two categories with failures, whatever the toy judge said
    if not [c for c in project.tree if c.reserved is None]:
        window.session.apply(_add("Slips"))
    first = next(c.id for c in project.tree if c.reserved is None)
    window.session.apply(_add("By hand"))
    by_hand = next(c.id for c in project.tree if c.name == "By hand")
    analysed = queries.failure_ids(project.db, state="analysed")
    window.session.select_record(analysed[0])  # a command is about the selection only where what is read is in it
    window.session.select_failures(analysed[:3])
    window.records.place()
    from app.records.place_dialog import PlaceDialog

    place = window.records.findChild(PlaceDialog)
    assert place is not None
    place.field.setText("by hand")
    place.choose()
    assert queries.own_counts(project.db)[by_hand] == 3

    # Rename in place
    window.tree.select([by_hand])
    window.do("taxonomy.rename")
    editor = window.tree.view.viewport().findChild(QLineEdit)
    assert editor is not None
    editor.setText("Wrong sum")
    window.tree.view.commitData(editor)
    assert project.tree.live(by_hand).name == "Wrong sum"

    # Merge, then undo and redo
    window.tree.select([first, by_hand])
    window.do("taxonomy.merge")
    merge = window.tree.findChild(MergeView)
    assert merge is not None
    merge._merge()
    [survivor] = window.tree.selected_ids()
    before = queries.own_counts(project.db)
    window.do("edit.undo")
    assert first in project.tree
    assert by_hand in project.tree
    window.do("edit.redo")
    assert queries.own_counts(project.db) == before

    # Split, move
    window.tree.select([survivor])
    window.do("taxonomy.split")
    split = window.tree.findChild(SplitView)
    assert split is not None
    split.rest.choose(split.rest.members.shown()[-1:])
    split.parts.move_selected("part_new")
    split.parts.columns[0].name.setText("Of its own")
    split._split()
    own = next(c.id for c in project.tree if c.name == "Of its own")
    assert queries.own_counts(project.db)[own] == 1
    window.tree.select([own])
    window.do("taxonomy.in")
    assert project.tree.live(own).parent_id == survivor

    # The chart draws what the tree says
    window.tree.select([])
    window.show_page("signatures")
    qtbot.waitUntil(lambda: survivor in window.signatures.category_ids, timeout=5000)

    # Export, as the window does it
    atlas = tmp_path / "atlas.json"
    job_done(window, qtbot, lambda: window.session.tasks.start("export", [str(target), "-o", str(atlas)]))
    document = json.loads(atlas.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert balance(document) == []
    assert document["totals"]["counted"] == N_JUDGED
    assert {"Of its own"} <= {c["name"] for c in document["categories"]}
    assert check(project, replay=True) == []

    # All of it back, and again
    n_steps = len(queries.history(project.db))
    while window.session.project is not None and project.undoable() is not None:
        window.do("edit.undo")
    assert [c.name for c in project.tree] == ["Other", "Hard to Analyze"]
    while project.redoable() is not None:
        window.do("edit.redo")
    assert project.tree.live(own).parent_id == survivor
    assert len(queries.history(project.db)) > n_steps


def _add(name: str) -> Any:
    from errormap_core.taxonomy.operations import AddCategory

    return AddCategory(name=name)
