"""Each operation: what it does, what it refuses with which sentence, what it says beforehand."""

import json

import pytest

from errormap_core.errors import KnownError
from errormap_core.project import queries
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.taxonomy.operations import (
    AddCategory,
    AssignFailures,
    DecideProposals,
    DeleteCategories,
    MarkRecords,
    MergeCategories,
    MoveCategories,
    Operation,
    Part,
    RenameCategory,
    Ruling,
    SetChoice,
    SetThreshold,
    SplitCategory,
    UnassignFailures,
    WriteAnalyses,
    arguments_of,
    operation_from,
)
from tests.core.building import add_analyses, add_proposals, add_records

Analysed = tuple[Project, list[str]]


def add(project: Project, actor: str, name: str, parent: str | None = None, index: int | None = None) -> str:
    op = AddCategory(name=name, parent_id=parent, index=index)
    project.apply(op, actor=actor)
    return op.category_id


def names(project: Project) -> list[str]:
    return [project.tree.path(c.id) for c in project.tree if c.reserved is None]


def place(project: Project, actor: str, record_ids: list[str], category_id: str) -> None:
    project.apply(AssignFailures(record_ids=tuple(record_ids), category_id=category_id), actor=actor)


def test_positions_of_siblings(project: Project, annotator: str) -> None:
    for name, index in [("C", None), ("A", 0), ("B", 1), ("D", 3)]:
        add(project, annotator, name, index=index)
    assert names(project) == ["A", "B", "C", "D"]
    a, _b, _c, d = project.tree.children(None)[:4]
    project.apply(MoveCategories(category_ids=(a,), parent_id=None, index=2), actor=annotator)
    assert names(project) == ["B", "C", "A", "D"]
    project.apply(MoveCategories(category_ids=(d, a), parent_id=None, index=0), actor=annotator)
    assert names(project) == ["A", "D", "B", "C"]


def test_siblings_are_numbered_anew_where_no_number_is_left(project: Project, annotator: str) -> None:
    add(project, annotator, "first")
    add(project, annotator, "last")
    for i in range(120):
        add(project, annotator, f"n{i:03}", index=1)
    assert names(project) == ["first", *(f"n{i:03}" for i in reversed(range(120))), "last"]


def test_merging_moves_failures_and_leaves_redirects(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    a, b, c = (add(project, annotator, name) for name in "ABC")
    for category_id, chosen in ((a, ids[:2]), (b, ids[2:5]), (c, ids[5:6])):
        place(project, annotator, chosen, category_id)
    op = MergeCategories(category_ids=(a, b, c), into=b, name="All")
    effect = project.preview(op, actor=annotator)
    assert [str(s) for s in effect.sentences()] == ["Moves 3 failures.", "Touches 3 decisions of Ann Bee."]
    change = project.apply(op, actor=annotator)
    assert str(change.summary) == "Merged 3 categories into “All”, 3 failures moved"
    assert queries.own_counts(project.db) == {b: 6}
    assert project.tree.resolve(a).id == b
    assert json.loads(project.tree.live(b).aliases) == ["A", "C"]
    with pytest.raises(KnownError, match=r"“A” is not in the tree any more\. “All” took over"):
        project.apply(RenameCategory(category_id=a, name="X"), actor=annotator)


def test_merging_children_of_one_name_folds_them_or_renames(project: Project, annotator: str) -> None:
    a, b = add(project, annotator, "A"), add(project, annotator, "B")
    for parent in (a, b):
        x = add(project, annotator, "X", parent)
        add(project, annotator, "deep", x)
    op = MergeCategories(category_ids=(a, b), into=a)
    said = [str(s) for s in project.preview(op, actor=annotator).sentences()]
    assert said == [
        "“X” is merged into “A / X”, which has the same name.",
        "“deep” is merged into “A / X / deep”, which has the same name.",
    ]
    project.apply(op, actor=annotator)
    assert names(project) == ["A", "A / X", "A / X / deep"]
    project.undo(actor=annotator)
    project.apply(MergeCategories(category_ids=(a, b), into=a, on_collision="rename"), actor=annotator)
    assert names(project) == ["A", "A / X", "A / X / deep", "A / X (2)", "A / X (2) / deep"]


@pytest.mark.parametrize("into", ["ancestor", "descendant"])
def test_merging_ancestor_and_descendant_folds_up(analysed: Analysed, annotator: str, into: str) -> None:
    project, ids = analysed
    top = add(project, annotator, "Top")
    middle = add(project, annotator, "Middle", top)
    low = add(project, annotator, "Low", middle)
    add(project, annotator, "Leaf", low)
    place(project, annotator, ids[:3], top)
    place(project, annotator, ids[3:5], low)
    target = top if into == "ancestor" else low
    project.apply(MergeCategories(category_ids=(top, low), into=target), actor=annotator)
    kept = "Top" if into == "ancestor" else "Low"
    assert sorted(names(project)) == [kept, f"{kept} / Leaf", f"{kept} / Middle"]
    assert queries.own_counts(project.db) == {target: 5}


def test_a_secondary_assignment_is_not_left_twice(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    a, b = add(project, annotator, "A"), add(project, annotator, "B")
    place(project, annotator, ids[:1], a)
    project.apply(AssignFailures(record_ids=(ids[0],), category_id=b, is_primary=False), actor=annotator)
    project.apply(MergeCategories(category_ids=(a, b), into=b), actor=annotator)
    rows = project.db.execute("SELECT category_id, is_primary FROM assignment").fetchall()
    assert rows == [(b, 1)]
    project.undo(actor=annotator)
    assert project.db.execute("SELECT count(*) FROM assignment").fetchone() == (2,)


def test_splitting_failures_and_children(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    a = add(project, annotator, "A")
    child = add(project, annotator, "Child", a)
    add(project, annotator, "Z")
    place(project, annotator, ids[:5], a)
    parts = (Part(name="One", record_ids=tuple(ids[:2])), Part(name="Two", record_ids=(ids[2],), child_ids=(child,)))
    change = project.apply(SplitCategory(category_id=a, parts=parts), actor=annotator)
    assert str(change.summary) == "Split 2 from “A”, 3 failures moved"
    assert names(project) == ["A", "One", "Two", "Two / Child", "Z"]
    assert queries.own_counts(project.db) == {a: 2, parts[0].category_id: 2, parts[1].category_id: 1}
    below = Part(name="Below", record_ids=(ids[3],))
    project.apply(SplitCategory(category_id=a, parts=(below,), is_below=True), actor=annotator)
    assert "A / Below" in names(project)
    with pytest.raises(KnownError, match="1 failure chosen for “X” is not in the category"):
        project.apply(SplitCategory(category_id=a, parts=(Part(name="X", record_ids=(ids[0],)),)), actor=annotator)


def test_deleting_a_top_category_sends_its_failures_to_other(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    top = add(project, annotator, "Top")
    low = add(project, annotator, "Low", top)
    leaf = add(project, annotator, "Leaf", low)
    place(project, annotator, ids[:2], top)
    place(project, annotator, ids[2:5], low)
    change = project.apply(DeleteCategories(category_ids=(low,)), actor=annotator)
    assert str(change.summary) == "Deleted “Low”, 3 failures moved to “Top”"
    assert names(project) == ["Top", "Top / Leaf"]
    assert queries.own_counts(project.db) == {top: 5}
    project.apply(DeleteCategories(category_ids=(top,)), actor=annotator)
    assert names(project) == ["Leaf"]
    assert queries.own_counts(project.db) == {OTHER_ID: 5}
    assert project.tree.resolve(low).id == OTHER_ID
    assert leaf in project.tree


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["A", "B"], "Deleted 2 categories, 5 failures moved to “Other”"),
        (["A", "Low"], "Deleted 2 categories, 5 failures moved"),
        (["Low"], "Deleted “Low”, 3 failures moved to “Top”"),
        (["Empty"], "Deleted “Empty”, 0 failures moved"),
    ],
)
def test_deleting_says_where_the_failures_went(
    analysed: Analysed, annotator: str, chosen: list[str], said: str
) -> None:
    """Before, '5 failures moved', and nobody knew where. A, with 2 failures, and B, with 3, are top categories."""
    project, ids = analysed
    top = add(project, annotator, "Top")
    made = {name: add(project, annotator, name) for name in ("A", "B", "Empty")}
    made["Low"] = add(project, annotator, "Low", top)
    place(project, annotator, ids[:2], made["A"])
    place(project, annotator, ids[2:5], made["B"])
    place(project, annotator, ids[5:8], made["Low"])
    change = project.apply(DeleteCategories(category_ids=tuple(made[name] for name in chosen)), actor=annotator)
    assert str(change.summary) == said


def test_a_persons_word_counts_before_a_runs(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    [proposal] = add_proposals(project, [{"name": "Run's", "records": ids[:4]}])
    change = project.apply(DecideProposals(rulings=(Ruling(proposal_id=proposal, verdict="accept"),)), actor=annotator)
    assert str(change.summary) == "Accepted “Run's” with 4 failures"
    runs, mine = project.tree.children(None)[0], add(project, annotator, "Mine")
    place(project, annotator, ids[:1], mine)
    assert queries.own_counts(project.db) == {runs: 3, mine: 1}
    bob = project.annotator("Bob")
    theirs = add(project, bob, "Bob's")
    place(project, bob, ids[:1], theirs)
    assert queries.own_counts(project.db) == {runs: 3, theirs: 1}
    project.apply(UnassignFailures(record_ids=(ids[0],), category_id=theirs), actor=bob)
    assert queries.own_counts(project.db) == {runs: 3, mine: 1}


def test_accepting_needs_or_brings_the_parents(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    parent, child = add_proposals(
        project, [{"name": "P", "records": ids[:2]}, {"name": "C", "records": ids[2:4], "parent": 0}]
    )
    with pytest.raises(KnownError, match="above “C” is not accepted"):
        project.apply(DecideProposals(rulings=(Ruling(proposal_id=child, verdict="accept"),)), actor=annotator)
    rulings = tuple(Ruling(proposal_id=i, verdict="accept") for i in (child, parent))
    project.apply(DecideProposals(rulings=rulings, is_bulk=True), actor=annotator)
    assert names(project) == ["P", "P / C"]
    assert project.db.execute("SELECT DISTINCT verdict, is_bulk FROM decision").fetchall() == [("accept", 1)]
    with pytest.raises(KnownError, match="accepted already"):
        project.apply(DecideProposals(rulings=rulings), actor=annotator)
    project.undo(actor=annotator)
    assert project.db.execute("SELECT count(*) FROM decision").fetchone() == (0,)
    assert project.db.execute("SELECT count(*) FROM assignment").fetchone() == (0,)


def test_an_edited_accept_and_part_of_the_members(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    [proposal] = add_proposals(project, [{"name": "P", "records": ids[:3]}])
    ruling = Ruling(proposal_id=proposal, verdict="edit", name="Better", description="Mine.", without=(ids[0],))
    project.apply(DecideProposals(rulings=(ruling,)), actor=annotator)
    [category] = [c for c in project.tree if c.reserved is None]
    assert (category.name, category.description) == ("Better", "Mine.")
    assert queries.own_counts(project.db) == {category.id: 2}
    provenance = json.loads(category.provenance)
    assert provenance["proposed_by"] == {"kind": "run", "name": "propose"}
    assert provenance["decided_by"] == {"kind": "annotator", "name": "Ann Bee"}


def test_the_log_keeps_the_proposal_that_a_step_answered(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    [proposal] = add_proposals(project, [{"name": "P", "records": ids[:3]}])
    project.apply(
        DecideProposals(rulings=(Ruling(proposal_id=proposal, verdict="reject"),)), actor=annotator, reason="no"
    )
    row = next(iter(project.db.query("SELECT * FROM log")))
    assert (row["proposal_id"], row["reason"], row["counter"], row["follows"]) == (proposal, "no", 1, "[]")


def test_excluded_and_disputed_are_counted_beside(analysed: Analysed, annotator: str) -> None:
    project, ids = analysed
    a = add(project, annotator, "A")
    place(project, annotator, ids, a)
    project.apply(MarkRecords(record_ids=tuple(ids[:2]), mark="excluded", reason="junk"), actor=annotator)
    project.apply(MarkRecords(record_ids=(ids[2],), mark="disputed", reason="reference wrong"), actor=annotator)
    totals = queries.totals(project.db)
    assert (totals.states["excluded"], totals.states["disputed"], totals.n_counted) == (2, 1, 9)
    assert queries.own_counts(project.db) == {a: 9}
    assert totals.coverage == 1.0


def test_thresholds(project: Project, annotator: str) -> None:
    add_records(project, [{"example_id": f"e{i}", "score": i / 4} for i in range(5)], threshold=0.5)
    assert queries.totals(project.db).n_failures == 2
    op = SetThreshold(dataset="d", threshold=0.8)
    assert [str(s) for s in project.preview(op, actor=annotator).sentences()] == ["2 failures come, 0 go."]
    project.apply(op, actor=annotator)
    assert queries.totals(project.db).n_failures == 4
    project.apply(SetThreshold(dataset="d", threshold=0.0), actor=annotator)
    assert queries.totals(project.db).n_failures == 1, "where the threshold is 0, a score of 0 fails"
    project.apply(SetThreshold(dataset="d", threshold=None), actor=annotator)
    assert queries.totals(project.db).n_failures == 2


def test_sampling_shares_examples_and_nests(project: Project, annotator: str) -> None:
    rows = [{"example_id": f"e{i}", "model": f"m{i % 3}", "dataset": "d"} for i in range(3)]
    rows += [{"example_id": f"e{i}", "model": m} for i in range(3, 200) for m in ("m0", "m1")]
    add_records(project, rows)
    seen: list[set[tuple[str, str]]] = []
    for ratio in (0.1, 0.4, 1.0):
        project.apply(SetChoice(key="sampling.ratio", value=ratio), actor=annotator)
        sql = "SELECT r.model, r.example_id FROM failure f JOIN record r ON r.id = f.record_id WHERE state <> 'not_sampled'"
        seen.append(set(project.db.execute(sql).fetchall()))
    assert seen[0] < seen[1] < seen[2]
    assert 8 <= len({e for _, e in seen[0]}) <= 35
    by_model = [{e for m, e in seen[1] if m == model and int(e[1:]) >= 3} for model in ("m0", "m1")]
    assert by_model[0] == by_model[1]
    project.apply(SetChoice(key="models.analysed", value=["m0"]), actor=annotator)
    assert queries.totals(project.db).states["waiting"] == 198


def test_of_two_runs_the_chosen_one_counts(project: Project, annotator: str) -> None:
    [record_id] = add_records(project, [{"example_id": "e"}])
    first = add_analyses(project, {record_id: "First"}, run="one")
    add_analyses(project, {record_id: "Second"}, run="two")
    assert queries.failure_rows(project.db, [record_id])[record_id].error_title == "Second"
    project.apply(SetChoice(key="judge.current_run", value=first), actor=annotator)
    assert queries.failure_rows(project.db, [record_id])[record_id].error_title == "First"


CASES: list[tuple[Operation, str]] = [
    (AddCategory(name="  "), "needs a name"),
    (AddCategory(name="x" * 201), "201 characters"),
    (AddCategory(name="OTHER"), "“Other” exists already"),
    (AddCategory(name="A", parent_id="nowhere"), "no category with the id nowhere"),
    (AddCategory(name="A", parent_id=HARD_ID), "can have no categories below it"),
    (AddCategory(name="A", category_id=OTHER_ID), "belongs to a category already"),
    (RenameCategory(category_id=OTHER_ID, name="Rest"), "cannot be renamed"),
    (MoveCategories(category_ids=(HARD_ID,), parent_id=OTHER_ID), "cannot be moved"),
    (MergeCategories(category_ids=(OTHER_ID, HARD_ID), into=HARD_ID), "cannot be merged"),
    (MergeCategories(category_ids=(OTHER_ID,), into=OTHER_ID), "two categories or more"),
    (DeleteCategories(category_ids=(OTHER_ID,)), "cannot be deleted"),
    (DeleteCategories(category_ids=()), "Nothing was chosen"),
    (SplitCategory(category_id=OTHER_ID, parts=()), "at least one part"),
    (SplitCategory(category_id=OTHER_ID, parts=(Part(name="A"),)), "Nothing was chosen for “A”"),
    (AssignFailures(record_ids=("nothing",), category_id=OTHER_ID), "1 record is not in this project"),
    (AssignFailures(record_ids=(), category_id=OTHER_ID), "No failure was chosen"),
    (SetThreshold(dataset="nowhere", threshold=1.0), "no dataset “nowhere”"),
    (SetChoice(key="sampling.ratoi", value=1), "Did you mean “sampling.ratio”"),
    (SetChoice(key="sampling.ratio", value=2), "a number from 0 to 1"),
    (DecideProposals(rulings=(Ruling(proposal_id="nothing", verdict="accept"),)), "no proposal with the id"),
]


@pytest.mark.parametrize(("op", "sentence"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_refused(project: Project, annotator: str, op: Operation, sentence: str) -> None:
    with pytest.raises(KnownError, match=sentence) as caught:
        project.apply(op, actor=annotator)
    assert str(caught.value.fix), "an error says what to do"
    assert project.db.execute("SELECT count(*) FROM log").fetchone() == (0,)


def test_a_category_cannot_be_moved_below_itself(project: Project, annotator: str) -> None:
    a = add(project, annotator, "A")
    b = add(project, annotator, "B", a)
    with pytest.raises(KnownError, match="below itself"):
        project.apply(MoveCategories(category_ids=(a,), parent_id=b), actor=annotator)


def test_operations_are_what_the_log_says(analysed: Analysed, annotator: str) -> None:
    """The arguments of a log entry build the same operation again."""
    project, ids = analysed
    a = add(project, annotator, "A")
    place(project, annotator, ids[:3], a)
    ops: list[Operation] = [
        SplitCategory(category_id=a, parts=(Part(name="X", record_ids=(ids[0],)),)),
        MoveCategories(category_ids=(a,), parent_id=None, index=0),
        MarkRecords(record_ids=(ids[5],), mark="excluded"),
    ]
    for op in ops:
        project.apply(op, actor=annotator)
        text = project.db.execute("SELECT arguments FROM log ORDER BY seq DESC LIMIT 1").fetchone()[0]
        assert json.loads(text) == json.loads(json.dumps(arguments_of(op)))
        assert operation_from(op.kind, op.version, json.loads(text)) == op
    with pytest.raises(KnownError, match="newer version"):
        operation_from("category.fly", 1, {})


def test_a_merge_says_what_goes_along(project: Project, annotator: str) -> None:
    for name, parent in (("A", None), ("B", None), ("below B", "B")):
        above = None if parent is None else next(c.id for c in project.tree if c.name == parent)
        project.apply(AddCategory(name=name, parent_id=above), actor=annotator)
    key = {c.name: c.id for c in project.tree}
    ids = add_records(project, [{"example_id": "a"}, {"example_id": "b"}])
    project.apply(AssignFailures(record_ids=tuple(ids), category_id=key["below B"]), actor=annotator)
    op = MergeCategories(category_ids=(key["A"], key["B"]), into=key["A"])
    effect = project.preview(op, actor=annotator)
    assert "1 subcategory with 2 failures goes along." in [str(s) for s in effect.sentences()]
    summary = str(project.apply(op, actor=annotator).summary)
    assert summary == "Merged 2 categories into “A”, 0 failures moved, 2 more below them"


def test_analyses_come_and_go_together(project: Project) -> None:
    ids = add_records(project, [{"example_id": "a"}, {"example_id": "b"}])
    actor = project.annotator("Ann")
    item = {"verdict": "error", "error_title": "T", "error_summary": "S"}
    written = tuple({"record_id": key, **item} for key in ids)
    assert str(project.apply(WriteAnalyses(analyses=written), actor=actor).summary) == "Wrote 2 analyses"
    assert queries.totals(project.db).states["analysed"] == 2
    project.undo(actor=actor)
    assert queries.totals(project.db).states["waiting"] == 2
    for broken, said in (
        ((), "No analysis was given"),
        ((written[0], written[0]), "twice in one step"),
        (({"record_id": ids[0]},), "fields that make no analysis"),
        (({**written[0], "colour": "red"},), "fields that make no analysis"),
        (({**written[0], "record_id": "x"},), "not in this project"),
    ):
        with pytest.raises(KnownError, match=said):
            project.apply(WriteAnalyses(analyses=broken), actor=actor)
    assert queries.totals(project.db).states["waiting"] == 2
