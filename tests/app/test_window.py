"""The window as a whole: what is selected in one pane is selected in the others, work runs beside it, errors are sentences."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from app.imports.dialog import ImportDialog
from app.judging.dialog import JudgeDialog
from app.records.analysis_dialog import AnalysisDialog
from app.session import Scope
from app.settings.dialog import SettingsDialog
from app.start.run import make_window
from app.window import Window
from errormap_core.project import queries
from errormap_core.project.schema import OTHER_ID
from errormap_core.project.store import Project
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.operations import AssignFailures, SetChoice, WriteAnalysis
from tests.core.building import add_records

Opened = tuple[Window, list[str]]

HEADER = "example_id,model,input_text,output_text,score,correct_answer\n"


def results(path: Path, *, n: int = 6, broken: bool = False) -> Path:
    """A CSV of `n` answers, every third of them right."""
    rows = "".join(f"e{i},m{i % 2},What is {i}+{i}?,It is {i}.,{int(i % 3 == 0)},{2 * i}\n" for i in range(n))
    path.write_text(HEADER + rows + ("e99,m0,Q,A,many,1\n" if broken else ""), encoding="utf-8")
    return path


def project_of(window: Window) -> Project:
    assert window.session.project is not None
    return window.session.project


def test_every_pane_says_what_to_do_next(window: Window, tmp_path: Path) -> None:
    assert window.session.create(tmp_path / "empty.errormap")
    assert "Import" in window.review._empty.text
    assert "Import a CSV" in window.records._empty.text
    assert "Select a failure" in window.record._empty.text
    window.signatures.reload()
    assert "Shares appear here" in window.signatures._empty.text
    window.history.reload()
    assert "No step was taken yet" in window.history._empty.text


def test_what_is_selected_in_one_pane_is_selected_in_the_others(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    tree = project_of(window).tree
    reading = next(c.id for c in tree if c.name == "Reading")
    window.tree.select([reading])
    held = queries.failure_ids(project_of(window).db, category_ids=[reading])
    assert window.records.model.ids() == held
    assert window.record.detail is not None and window.record.detail.id == held[0]
    assert window.tree.model.marked == reading
    window.records.next()
    assert window.record.detail.id == held[1]
    window.session.select_record(held[3])
    assert window.records.table.currentIndex().row() == 3
    window.session.select_categories([])
    assert window.tree.selected_ids() == []
    assert len(window.records.model.ids()) == 24


def test_a_proposal_shows_its_typical_failures(opened: Opened) -> None:
    window, ids = opened
    assert window.session.proposal_id is not None
    assert window.record.detail is not None and window.record.detail.id == ids[0]
    window.review.frame.members.members.setCurrentRow(2)
    assert window.record.detail.id == ids[2]


def test_proposals_stand_below_the_tree_as_such(opened: Opened) -> None:
    window, _ = opened
    proposed = window.tree.proposed
    assert not proposed.isHidden()
    assert "4 proposals, not in the totals" in proposed.title.text()
    ids = [row.id for row in window.review.model.rows()]
    proposed.view.setCurrentIndex(proposed.model.index_of(ids[2]))
    assert window.session.proposal_id == ids[2]
    assert window.review.list.currentIndex().row() == 2
    window.review.first()
    assert proposed.view.currentIndex() == proposed.model.index_of(ids[0])
    window.review.accept_all()
    assert proposed.isHidden()


def test_what_was_placed_unread_is_said_to_be(opened: Opened, qtbot: Any) -> None:
    """The same numbers in the status bar, the list, the record, the tree and the signatures; before, these were 'Analysed'."""
    window, _ = opened
    project = project_of(window)
    [*unread, last] = add_records(project, [{"example_id": f"u{i}"} for i in range(7)])
    window.session.apply(AssignFailures(record_ids=tuple(unread), category_id=OTHER_ID))
    qtbot.waitUntil(lambda: "coverage 0.0% of 30 · 0 of 30 looked at one by one" in window._saved.text())
    assert "6 of 30 placed in bulk by a person" in window._saved.toolTip()
    assert "24 of 30 diagnosed by a judge" in window._saved.toolTip()
    assert "Placed by hand, not diagnosed  6" in window.tree.beside.buttons["placed"].text()
    window.session.select_scope(Scope(state="placed"))
    window.show_page("records")
    assert set(window.records.model.ids()) == set(unread)
    assert window.records.model.index(0, 0).data() == "Placed by hand, not diagnosed"
    window.session.select_record(unread[0])
    assert "Other, placed in bulk by a person" in window.record.text.toPlainText()
    assert not window.record.now_button.isHidden()
    window.session.apply(AssignFailures(record_ids=(unread[0],), category_id=OTHER_ID, confirms=True))
    qtbot.waitUntil(lambda: "1 of 30 looked at one by one" in window._saved.text())
    assert "Other, placed individually by a person" in window.record.text.toPlainText()
    assert "1 of 6 looked at one by one" in window.tree.model.index_of(OTHER_ID).data(Qt.ItemDataRole.ToolTipRole)
    window.session.select_categories([])
    window.signatures.reload()
    said = window.signatures._note.text()
    assert (
        "1 of 30 looked at one by one · 24 of 30 are in no category and have no bar · 1 other failure is left out"
        in said
    )
    assert last in queries.failure_ids(project.db, state="waiting")


def test_what_was_done_in_one_project_is_not_offered_for_undo_in_the_next(opened: Opened, tmp_path: Path) -> None:
    window, _ = opened
    window.review.accept_all()
    assert "Accepted" in window.step_strip.text
    assert window.session.create(tmp_path / "next.errormap")
    assert window.step_strip.text == "" and window.step_strip._button.isHidden()


def test_a_click_into_the_chart_selects_the_category(opened: Opened) -> None:
    window, _ = opened
    window.review.accept_all()
    window.show_page("signatures")
    window.signatures.reload()
    wanted = window.signatures.category_ids[1]
    window.signatures.select_at(1.2)
    assert window.tree.selected_ids() == [wanted]


def test_evidence_is_marked_only_where_it_is_found(opened: Opened) -> None:
    window, ids = opened
    criteria = [
        {
            "criterion": "Reads",
            "present_in_wrong": True,
            "quality": "incorrect",
            "evidence": "Answer  E00",
            "comment": "no",
        },
        {"criterion": "Adds", "present_in_wrong": True, "quality": "correct", "evidence": "never said", "comment": ""},
    ]
    op = WriteAnalysis(
        record_id=ids[0],
        verdict="error",
        error_title="Misread",
        error_summary="It did not read.",
        required_criteria=criteria,
    )
    window.session.apply(op)
    window.session.select_record(None)
    window.session.select_record(ids[0])
    text = window.record.text.toPlainText()
    assert "Misread" in text and "“never said”  (not found in the answer)" in text
    document = window.record.text.document()
    place = text.index("Answer e00")
    cursor = window.record.text.textCursor()
    cursor.setPosition(place + 2)
    colour = cursor.charFormat().background().color().name()
    assert colour == window.theme.scheme.evidence
    cursor.setPosition(text.index("Question e00") + 2)
    assert cursor.charFormat().background().style() == Qt.BrushStyle.NoBrush
    assert document.blockCount() > 8


def test_a_person_writes_an_analysis(opened: Opened) -> None:
    window, ids = opened
    window.session.select_record(ids[0])
    window.do("records.analyse")
    dialog = window.records.findChild(AnalysisDialog)
    assert dialog is not None
    assert dialog.title.text() == "Error 0"
    dialog.title.setText("  ")
    dialog.save()
    assert "needs a title" in window.strip.text
    dialog.title.setText("Says only its name")
    dialog.save()
    rows = queries.failure_rows(project_of(window).db, [ids[0]])
    assert rows[ids[0]].error_title == "Says only its name"
    assert "Says only its name" in window.record.text.toPlainText()
    window.do("edit.undo")
    assert queries.failure_rows(project_of(window).db, [ids[0]])[ids[0]].error_title == "Error 0"


def test_texts_of_records_are_never_markup(window: Window, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEADER + 'e1,m,"<b>bold</b> {x} %s","<img src=x>&amp;",0,\n', encoding="utf-8")
    project = Project.create(tmp_path / "x.errormap")
    from errormap_core.importers.importing import import_files

    for _ in import_files(project, [path]):
        pass
    project.close()
    window.session.open(tmp_path / "x.errormap")
    text = window.record.text.toPlainText()
    assert "<b>bold</b> {x} %s" in text and "<img src=x>&amp;" in text


def test_proposals_are_decided_by_a_key_each(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    window.show_page("review")
    window.review.list.setFocus()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    n = window.review.n_pending
    qtbot.keyClick(window.review.list, Qt.Key.Key_S)
    assert window.review.n_pending == n
    qtbot.keyClick(window.review.list, Qt.Key.Key_X)
    assert window.review.n_pending == n - 1
    qtbot.keyClick(window.review.list, Qt.Key.Key_Return)
    names = [c.name for c in project_of(window).tree if c.reserved is None]
    assert names, "accepting brings the proposals above it"
    for _ in range(3):
        qtbot.keyClick(window.review.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.review.n_pending == n
    qtbot.keyClick(window.review.list, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert window.review.n_pending == 0
    assert "All proposals are decided" in window.review._empty.text or "in no category yet" in window.review._empty.text


def test_an_edited_proposal(opened: Opened) -> None:
    window, ids = opened
    window.do("review.edit")
    card = window.review.frame.members
    card.name.setText("Sums")
    card.members.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert card.title.text().startswith("5 failures go into it")
    window.do("review.accept")
    assert next(c for c in project_of(window).tree).name == "Sums"
    assert queries.failure_rows(project_of(window).db, [ids[0]])[ids[0]].category_id is None


def test_importing_with_a_preview(window: Window, tmp_path: Path, qtbot: Any) -> None:
    window.session.create(tmp_path / "p.errormap")
    path = results(tmp_path / "quiz.csv", broken=True)
    dialog = ImportDialog(window.session, [path], window)
    assert "6 rows" in dialog.about.text() and "4 fail" in dialog.about.text() and "1 problem" in dialog.about.text()
    assert "line 8, score: “many” is no number." in dialog.problems.toPlainText()
    assert dialog.table.rowCount() == 6
    with qtbot.waitSignal(window.session.tasks.finished, timeout=30_000):
        dialog._start()
        assert window.task_strip.text.startswith("Import")
    qtbot.waitUntil(lambda: len(window.records.model.ids()) == 4, timeout=5000)
    assert "1 row was left out" in window.strip.text and "line 8" in window.strip.text


def test_an_import_that_is_not_possible_is_told_before(window: Window, tmp_path: Path) -> None:
    window.session.create(tmp_path / "p.errormap")
    path = tmp_path / "wrong.csv"
    path.write_text("example,model\n1,2\n", encoding="utf-8")
    dialog = ImportDialog(window.session, [path], window)
    assert "columns example_id, input_text, output_text, score are missing" in dialog.about.text()
    assert not dialog.ok.isEnabled()
    dialog.reject()


def test_a_job_that_fails_is_a_sentence(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    with qtbot.waitSignal(window.session.tasks.finished, timeout=30_000):
        window.session.tasks.start("export", [str(project_of(window).path), "-o", "/nowhere/atlas.json"])
    assert "/nowhere: There is no such folder." in window.strip.text
    with qtbot.waitSignal(window.session.tasks.finished, timeout=30_000):
        job = window.session.tasks.start("import", [str(project_of(window).path), "/nowhere/x.csv"])
        assert job is not None
        job.process.kill()
    assert "ended unexpectedly" in window.strip.text


def test_closing_the_window_stops_its_work(opened: Opened, tmp_path: Path, qtbot: Any) -> None:
    window, _ = opened
    path = results(tmp_path / "large.csv", n=300_000)
    job = window.session.tasks.start("import", [str(project_of(window).path), str(path)])
    assert job is not None
    qtbot.waitUntil(lambda: job.progress is not None, timeout=20_000)
    target = project_of(window).path
    window.close()
    qtbot.waitUntil(lambda: not window.session.is_open, timeout=10_000)
    with Project.open(target) as project:
        assert project.db.execute("SELECT count(*) FROM record WHERE dataset = 'large'").fetchone() == (0,)


def test_a_second_window_reads_and_follows(opened: Opened, tmp_path: Path, qtbot: Any) -> None:
    window, _ = opened
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    second = make_window(app, UserSettings(tmp_path / "other.json"))
    assert second.session.open(project_of(window).path)
    assert not second.session.can_edit
    assert "under way already" in second.strip.text
    assert "(reading only)" in second.windowTitle()
    window.review.accept_all()
    qtbot.waitUntil(lambda: len(project_of(second).tree) == 5, timeout=3000)
    assert second.tree.model.rowCount() == 4
    second.close()
    second.deleteLater()
    path = project_of(window).path
    window.session.close()
    assert window.session.open(path) and window.session.can_edit


def test_the_judge_dialog_tells_what_llama_can_do(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    dialog = JudgeDialog(window.session, window)
    assert "0 failures wait" in dialog.about.text()
    assert not dialog.ok.isEnabled()
    qtbot.waitUntil(lambda: "llama-cpp-python 0." in dialog.offload.text(), timeout=20_000)
    dialog.reject()


def test_settings_are_saved_and_a_bad_one_is_told(opened: Opened) -> None:
    window, _ = opened
    dialog = SettingsDialog(window.session, window)
    dialog._fields["atlas.title"][2].__self__.setText("My atlas")  # type: ignore[attr-defined]
    dialog._fields["user.initials"][2].__self__.setText("ZZ")  # type: ignore[attr-defined]
    dialog.save()
    assert project_of(window).setting("atlas.title") == "My atlas"
    assert window.session.settings["user.initials"] == "ZZ"
    assert window.step_strip.text == "Set Title"
    window.do("edit.undo")
    assert project_of(window).setting("atlas.title") == "test"


def test_a_model_that_is_not_there_is_no_setting(opened: Opened) -> None:
    window, _ = opened
    initials = window.session.settings["user.initials"]
    dialog = SettingsDialog(window.session, window)
    dialog._fields["models.analysed"][2].__closure__[0].cell_contents.setText("typo")  # type: ignore[index]
    dialog._fields["atlas.title"][2].__self__.setText("My atlas")  # type: ignore[attr-defined]
    dialog._fields["user.initials"][2].__self__.setText("QQ")  # type: ignore[attr-defined]
    dialog.save()
    assert "There is no model “typo”." in dialog.problem.text()
    assert not dialog.problem.isHidden()
    assert project_of(window).setting("atlas.title") == "test", "nothing was set"
    assert window.session.settings["user.initials"] == initials
    dialog.reject()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_look_applies(opened: Opened, scheme: str, factor: float) -> None:
    window, _ = opened
    window.theme.apply(scheme, factor)
    assert window.palette().window().color().name() == window.theme.scheme.window
    window.theme.apply("light", 1.0)


def test_what_can_be_used_has_a_name(opened: Opened) -> None:
    """Every field, list, tree and button without a text has an accessible name."""
    window, _ = opened
    nameless = []
    for widget in window.findChildren(QWidget):
        kind = widget.metaObject().className()
        if kind in (
            "QLineEdit",
            "QTableView",
            "QTreeWidget",
            "QListWidget",
            "QTextEdit",
            "ChoiceField",
            "QTableWidget",
        ):
            inside = widget.parent() is not None and widget.parent().metaObject().className() in (
                "ChoiceField",
                "WholeField",
            )
            if not inside and not widget.accessibleName():
                nameless.append(f"{kind} in {widget.parent()}")
        is_qts_own = widget.objectName().startswith(("qt_", "Scroll", "_q_")) or kind in (
            "QTableCornerButton",
            "QLineEditIconButton",
        )
        is_button = isinstance(widget, QAbstractButton) and not is_qts_own
        if is_button and not widget.text() and not widget.accessibleName():
            nameless.append(f"{kind} {widget.objectName()} in {widget.parent()}")
    assert nameless == []


def test_labels_show_plain_text_of_the_project(opened: Opened) -> None:
    window, _ = opened
    window.tree.select([])
    assert window.findChildren(QLabel)


def test_commands_are_about_the_failure_that_is_read(opened: Opened) -> None:
    window, ids = opened
    window.show_page("review")
    window.review.frame.members.members.setCurrentRow(3)
    read = window.session.record_id
    window.session.record_ids = [ids[-1]]  # as if another were selected in the list that is not seen
    window.do("records.dispute")
    marks = project_of(window).db.execute("SELECT record_id FROM record_mark").fetchall()
    assert marks == [(read,)]
    assert read in ids


def test_what_machines_add_takes_no_selection_away(opened: Opened) -> None:
    window, _ = opened
    window.show_page("records")
    window.records.table.selectRow(15)
    window.session.select_failures(window.session.record_ids)
    chosen, read = list(window.session.record_ids), window.session.record_id
    with Project.open(project_of(window).path) as other:
        add_records(other, [{"example_id": "a-new-one", "dataset": "a"}])
    window.session.poll()
    assert len(window.records.model.ids()) == 25
    assert (window.session.record_ids, window.session.record_id) == (chosen, read)
    assert window.records.table.currentIndex().row() == 16


def test_settings_that_were_not_touched_stay_to_the_last_digit(opened: Opened, tmp_path: Path) -> None:
    window, _ = opened
    window.session.apply(SetChoice(key="sampling.ratio", value=0.0123456789))
    n = len(queries.history(project_of(window).db))
    SettingsDialog(window.session, window).save()
    assert len(queries.history(project_of(window).db)) == n
    dialog = ImportDialog(window.session, [results(tmp_path / "x.csv")], window)
    assert (dialog.ratio.value(), dialog.seed.value()) == dialog._given
    dialog.reject()


def test_opening_the_open_project_again_changes_nothing(opened: Opened) -> None:
    window, _ = opened
    assert window.session.open(project_of(window).path)
    assert window.session.can_edit
    assert window.strip.text == ""


def test_another_project_waits_for_the_work_on_this_one(opened: Opened, tmp_path: Path, qtbot: Any) -> None:
    window, _ = opened
    path = results(tmp_path / "large.csv", n=100_000)
    before = project_of(window).path
    job = window.session.start("import", [str(before), str(path)])
    assert job is not None
    assert not window.session.create(tmp_path / "other.errormap")
    assert "Work is running" in window.strip.text
    assert window.session.start("import", [str(before), str(path)]) is None
    assert "running already" in window.strip.text
    assert project_of(window).path == before
    with qtbot.waitSignal(window.session.tasks.finished, timeout=30_000):
        window.session.tasks.cancel_all()


def test_a_settings_file_with_nonsense_does_not_keep_the_window_closed(qtbot: Any, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"look.recent": 5, "look.text_size": "big"}', encoding="utf-8")
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    window = make_window(app, UserSettings(tmp_path / "s.json"))
    assert "look.text_size" in window.strip.text
    window.close()
    window.deleteLater()


def test_the_keys_work_as_soon_as_a_project_is_open(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is window.review.list)
    before = window.review.n_pending
    qtbot.keyClick(window.review.list, Qt.Key.Key_Return)
    assert window.review.n_pending < before
    button = window.step_strip._button
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert window.review.n_pending == before
    assert QApplication.focusWidget() is window.review.list


def test_the_reason_why_there_is_no_proposal_follows_what_is_placed(opened: Opened, qtbot: Any) -> None:
    window, _ = opened
    project = project_of(window)
    window.review.accept_all()
    from errormap_core.taxonomy.operations import AssignFailures, UnassignFailures

    category = next(c.id for c in project.tree if c.reserved is None)
    n = queries.totals(project.db).n_unplaced
    held = queries.failure_ids(project.db, category_ids=[category])
    window.session.apply(UnassignFailures(record_ids=tuple(held[:2]), category_id=category))
    qtbot.waitUntil(lambda: f"{n + 2} diagnosed failures" in window.review._empty.text)
    window.session.apply(AssignFailures(record_ids=tuple(held[:1]), category_id=category))
    qtbot.waitUntil(lambda: f"{n + 1} diagnosed failure" in window.review._empty.text)


def test_what_an_import_would_change_is_told_before(window: Window, tmp_path: Path, qtbot: Any) -> None:
    from errormap_core.exporters.atlas import write_atlas
    from errormap_core.taxonomy.operations import AddCategory

    window.session.create(tmp_path / "p.errormap")
    project = project_of(window)
    project.apply(AddCategory(name="A"), actor=window.session.actor)
    document = write_atlas(project, tmp_path / "a.json")
    document["categories"][0]["name"] = "x" * 300
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    dialog = ImportDialog(window.session, [tmp_path / "a.json"], window)
    assert "/categories/0/name: The name has 300 characters" in dialog.problems.toPlainText()
    dialog.reject()
    (tmp_path / "yes.csv").write_text("example_id,model,input_text,output_text,score\n1,m,q,a,yes\n", encoding="utf-8")
    dialog = ImportDialog(window.session, [tmp_path / "yes.csv"], window)
    assert "“yes”, no row that can be imported. 1 problem." in dialog.about.text()  # before: mean score nan
    dialog.reject()
    path = tmp_path / os.fsdecode(b"wide\xe9.csv")
    extra = [f"c{i}" for i in range(20_000)]
    header = ["example_id", "model", "input_text", "output_text", "score", *extra]
    path.write_text(
        ",".join(header) + '\n1,m,q,"a,0' + ",v" * 20_000 + "\n2,m,q,a,0" + ",v" * 20_000 + "\n", encoding="utf-8"
    )
    dialog = ImportDialog(window.session, [path], window)
    assert (
        "20,000 other columns are kept: c0, c1" in dialog.about.text() and "c19 and 19,980 more" in dialog.about.text()
    )
    assert "wide\ufffd.csv, line 2, output_text: A quote that opens here is not closed" in dialog.problems.toPlainText()
    with qtbot.waitSignal(window.session.tasks.finished, timeout=60_000):
        dialog._start()
    assert project.db.execute("SELECT dataset FROM record").fetchall() == [("wide\ufffd",)]
