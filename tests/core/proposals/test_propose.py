"""Proposing on real project files with the real encoder: ids, rejection, new failures, names, nothing to propose."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.errors import KnownError
from errormap_core.project import proposing, teaching
from errormap_core.project.lease import take_lease
from errormap_core.project.pending import pending_proposals, proposal
from errormap_core.project.proposing import latest_propose_run, proposal_members, run_of
from errormap_core.project.queries import totals
from errormap_core.project.schema import HARD_ID, OTHER_ID
from errormap_core.project.store import Project
from errormap_core.proposals.propose import propose
from errormap_core.sentences import tr
from errormap_core.tasks import Progress, never_cancelled
from errormap_core.taxonomy.operations import AddCategory, AssignFailures, DecideProposals, Ruling, SetChoice
from tests.core.building import add_analyses, add_records
from tests.fakes import FakeJudge

KINDS: Mapping[str, Sequence[str]] = {
    "unit": (
        "Wrong unit of length",
        "Metres mistaken for centimetres",
        "Unit conversion error",
        "Confused kilometres with miles",
        "Forgot to convert the units",
        "Converted inches wrongly to centimetres",
    ),
    "sum": (
        "Wrong addition",
        "Arithmetic slip in the sum",
        "Adds two numbers incorrectly",
        "Calculation error in addition",
        "Addition is off by ten",
        "Miscalculated the total sum",
    ),
    "language": (
        "Answers in French",
        "Reply written in the wrong language",
        "Answer given in Spanish instead of English",
        "Responds in German",
        "Switches language in the middle of the answer",
        "Output is not in English",
    ),
}


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(threads=1)


def run(project: Project, encoder: SentenceEncoder, **options: Any) -> dict[str, Any]:
    work = propose(project, encoder, **options)
    try:
        while True:
            assert isinstance(next(work), Progress)
    except StopIteration as end:
        result: dict[str, Any] = end.value
        return result


def fill(
    project: Project, kinds: Sequence[str] = tuple(KINDS), *, first: int = 0, reverse: bool = False
) -> dict[str, str]:
    """Failures with one title each; returns record id by title."""
    titles = [title for kind in kinds for title in KINDS[kind]]
    numbered = [(f"e{first + i:03}", title) for i, title in enumerate(titles)]
    if reverse:
        numbered.reverse()
    ids = add_records(project, [{"example_id": number} for number, _ in numbered])
    add_analyses(project, {key: title for key, (_, title) in zip(ids, numbered, strict=True)}, run=f"judge {first}")
    return {title: key for key, (_, title) in zip(ids, numbered, strict=True)}


def decide(project: Project, actor: str, verdict: Any, *ids: str) -> None:
    project.apply(DecideProposals(rulings=tuple(Ruling(proposal_id=i, verdict=verdict) for i in ids)), actor=actor)


def snapshot(project: Project) -> list[Any]:
    return [
        (row.id, row.parent_id, row.kind, row.name, row.description, row.score, proposal_members(project.db, row.id))
        for row in pending_proposals(project.db)
    ]


def members_under(project: Project) -> list[str]:
    return sorted(r for row in pending_proposals(project.db) for r, _ in proposal_members(project.db, row.id))


@pytest.fixture
def other_project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "other.errormap") as made:
        yield made


def test_every_failure_is_proposed_once_and_nothing_enters_the_tree(project: Project, encoder: SentenceEncoder) -> None:
    ids = fill(project)
    result = run(project, encoder)
    assert members_under(project) == sorted(ids.values())
    assert result["failures"] == 18
    assert result["encoded"] == 36, "18 titles and 18 summaries"
    assert totals(project.db).n_unplaced == 18
    assert project.db.table("assignment").count == 0
    rows = pending_proposals(project.db)
    top = next(row for row in rows if row.kind == "create")
    assert top.name
    assert top.named_by == "members"
    assert top.evidence["typical"][0] in ids.values()
    assert top.evidence["n_members"] == top.n_subtree
    assert 0 < top.score <= 1
    assert run_of(project.db, top.id) == result["run"]
    assert proposal(project.db, top.id) == top
    assert proposal_members(project.db, top.id, limit=1) == proposal_members(project.db, top.id)[:1]


def test_like_failures_come_together(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    project.apply(SetChoice(key="proposals.max_categories", value=3), actor=annotator)
    ids = fill(project, ("unit", "language"))
    run(project, encoder)
    groups = [
        set(dict(proposal_members(project.db, row.id))) for row in pending_proposals(project.db) if row.kind == "create"
    ]
    assert len(groups) == 2
    for kind in ("unit", "language"):
        own = {ids[title] for title in KINDS[kind]}
        assert max(len(own & group) for group in groups) >= 5


@pytest.mark.parametrize("n", [1, 2, 3])
def test_as_many_categories_as_are_set(project: Project, encoder: SentenceEncoder, annotator: str, n: int) -> None:
    project.apply(SetChoice(key="proposals.n_categories", value=n), actor=annotator)
    fill(project)
    run(project, encoder)
    created = [row for row in pending_proposals(project.db) if row.kind == "create"]
    leaves = {row.id for row in created} - {row.parent_id for row in created}
    assert len(leaves) == n


def test_the_number_that_is_set_is_for_an_empty_tree(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    """What comes later is as many categories as it is, and failures that are few are not all too few for themselves."""
    project.apply(SetChoice(key="proposals.n_categories", value=1000), actor=annotator)
    fill(project, ("unit",))
    run(project, encoder)
    first = [row for row in pending_proposals(project.db) if row.kind == "create"]
    assert first
    project.apply(SetChoice(key="proposals.n_categories", value=1), actor=annotator)
    project.apply(AddCategory(category_id="else", name="Something else"), actor=annotator)
    fill(project, ("language", "sum"), first=100)
    run(project, encoder)
    later = [row for row in pending_proposals(project.db) if row.kind == "create"]
    assert len(later) > 1


def test_the_same_seed_gives_the_same_proposals(
    project: Project, other_project: Project, encoder: SentenceEncoder
) -> None:
    fill(project)
    fill(other_project, reverse=True)
    run(project, encoder)
    run(other_project, encoder)
    assert snapshot(project) == snapshot(other_project) != []


def test_nothing_new_is_the_same_run(project: Project, encoder: SentenceEncoder) -> None:
    fill(project)
    first = run(project, encoder)
    before = snapshot(project)
    second = run(project, encoder)
    assert second["run"] == first["run"]
    assert second["encoded"] == 0
    assert snapshot(project) == before


def test_another_seed_is_another_run_and_going_back_makes_the_first_the_latest(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    fill(project)
    first = run(project, encoder)
    project.apply(SetChoice(key="proposals.seed", value=7), actor=annotator)
    second = run(project, encoder)
    assert second["run"] != first["run"]
    assert second["encoded"] == 0
    project.undo(actor=annotator)
    run(project, encoder)
    latest = latest_propose_run(project.db)
    assert latest is not None
    assert latest["id"] == first["run"]
    assert json.loads(latest["parameters"])["encoder"] == encoder.name


def test_a_rejected_proposal_is_known_again(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    fill(project)
    run(project, encoder)
    rejected = next(row for row in pending_proposals(project.db) if row.kind == "create")
    decide(project, annotator, "reject", rejected.id)
    project.apply(SetChoice(key="proposals.seed", value=1), actor=annotator)
    result = run(project, encoder)
    assert result["decided_before"] == 1
    assert "decided before" in str(result["note"])
    assert rejected.id not in {row.id for row in pending_proposals(project.db)}
    project.undo(actor=annotator)  # the seed
    project.undo(actor=annotator)  # the rejection
    assert rejected.id in {row.id for row in pending_proposals(project.db)}


def test_a_rejected_group_comes_back_when_it_changed_and_says_so(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    """Of a group of 20 two more make nearly the same group, eight more make another."""
    ids = add_records(project, [{"example_id": f"{n:02}"} for n in range(48)])
    units, other = ["Wrong unit of length", "Wrong unit"], ["Answers in French", "Reply in the wrong language"]
    titles = {record_id: (units if n % 2 else other)[n // 2 % 2] for n, record_id in enumerate(ids)}
    add_analyses(project, {key: titles[key] for key in ids[:40]})
    run(project, encoder)

    def of_units(proposal_id: str) -> bool:
        return {r for r, _ in proposal_members(project.db, proposal_id)} <= set(ids[1::2])

    (first,) = [row for row in pending_proposals(project.db) if row.kind == "create" and of_units(row.id)]
    assert first.n_members == 20
    decide(project, annotator, "reject", first.id)
    add_analyses(project, {key: titles[key] for key in ids[40:44]}, run="later")
    result = run(project, encoder)
    assert result["rejected_before"] == 1
    assert "hardly changed" in str(result["note"])
    assert not any(of_units(row.id) for row in pending_proposals(project.db) if row.n_members)
    add_analyses(project, {key: titles[key] for key in ids[44:]}, run="still later")
    more = add_records(project, [{"example_id": f"more {n}"} for n in range(4)])
    add_analyses(project, dict.fromkeys(more, "Wrong unit"), run="more")
    result = run(project, encoder)
    assert result["rejected_before"] == 0
    back = [row for row in pending_proposals(project.db) if "rejected_before" in row.evidence]
    assert [(row.n_members, row.evidence["rejected_before"]["n_then"]) for row in back] == [(28, 20)]


def test_below_a_rejected_one_nothing_waits(project: Project, annotator: str) -> None:
    from tests.core.building import add_proposals

    ids = add_records(project, [{"example_id": str(i)} for i in range(6)])
    add_analyses(project, dict.fromkeys(ids, "Error"))
    top, below, beside = add_proposals(
        project,
        [
            {"name": "Top", "records": []},
            {"name": "Below", "records": ids[:3], "parent": 0},
            {"name": "Beside", "records": ids[3:]},
        ],
    )
    assert [(row.id, row.depth, row.n_members, row.n_subtree) for row in pending_proposals(project.db)] == [
        (top, 0, 0, 3),
        (below, 1, 3, 3),
        (beside, 0, 3, 3),
    ]
    decide(project, annotator, "reject", top)
    assert [row.id for row in pending_proposals(project.db)] == [beside]
    decide(project, annotator, "skip", beside)
    assert [(row.id, row.verdict) for row in pending_proposals(project.db)] == [(beside, "skip")]


def test_after_an_accept_only_new_failures_are_placed(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    ids = fill(project, ("language",))
    run(project, encoder)
    rows = pending_proposals(project.db)
    decide(project, annotator, "accept", *(row.id for row in rows))
    assert pending_proposals(project.db) == []
    nothing = run(project, encoder)
    assert nothing["proposals"] == 0
    assert "has its place" in str(nothing["note"])
    sql = "SELECT category_id FROM assignment WHERE record_id = ? AND counted = 1"
    category = project.tree.live(project.db.execute(sql, [ids["Answers in French"]]).fetchone()[0])
    new = add_records(project, [{"example_id": "n1"}, {"example_id": "n2"}])
    add_analyses(project, {new[0]: "Answers in French", new[1]: "Lost a carry digit while multiplying"}, run="later")
    result = run(project, encoder)
    assert result["encoded"] == 2  # its title and summary; the others are kept already
    placed = {row.category_id: dict(proposal_members(project.db, row.id)) for row in pending_proposals(project.db)}
    assert placed[category.id] == {new[0]: pytest.approx(placed[category.id][new[0]])}
    assert new[1] in placed[OTHER_ID]
    row = next(row for row in pending_proposals(project.db) if row.category_id == category.id)
    assert row.name == category.name
    assert row.evidence["least_similarity"] >= 0.6
    decide(project, annotator, "accept", *(row.id for row in pending_proposals(project.db)))
    assert totals(project.db).n_unplaced == 0


def test_unclear_ones_go_to_hard_to_analyze(project: Project, encoder: SentenceEncoder) -> None:
    ids = add_records(project, [{"example_id": str(i)} for i in range(5)])
    add_analyses(project, dict.fromkeys(ids[:2], "Cannot tell"), verdict="unclear")
    add_analyses(project, dict.fromkeys(ids[2:], "Wrong unit"), run="b")
    run(project, encoder)
    rows = {row.category_id or row.name: row for row in pending_proposals(project.db)}
    assert set(rows) == {HARD_ID, "Wrong unit"}
    assert {r for r, _ in proposal_members(project.db, rows[HARD_ID].id)} == set(ids[:2])
    assert rows[HARD_ID].name == "Hard to Analyze"


def test_too_few_for_a_group_go_to_other(project: Project, encoder: SentenceEncoder) -> None:
    ids = add_records(project, [{"example_id": "1"}])
    add_analyses(project, {ids[0]: "Wrong unit"}, summary=" ")
    result = run(project, encoder)
    (row,) = pending_proposals(project.db)
    assert (row.kind, row.category_id, result["other"]) == ("assign", OTHER_ID, 1)


def test_analyses_that_say_nothing_are_set_aside_and_counted(project: Project, encoder: SentenceEncoder) -> None:
    ids = add_records(project, [{"example_id": str(i)} for i in range(12)])
    junk = dict(zip(ids[:5], ("", "1", "N/A", "error_title", "- — !"), strict=True))
    add_analyses(project, junk, summary=" ")
    add_analyses(project, dict.fromkeys(ids[5:], "Wrong unit"), run="b")
    result = run(project, encoder)
    rows = {row.category_id or row.name: row for row in pending_proposals(project.db)}
    assert set(rows) == {HARD_ID, "Wrong unit"}
    assert {r for r, _ in proposal_members(project.db, rows[HARD_ID].id)} == set(ids[:5])
    assert (result["junk"], result["same"]) == (5, 6)
    assert "5 analyses say nothing" in str(result["note"])
    assert "say nothing" in str(rows[HARD_ID].why)


def test_a_locked_taxonomy_is_only_applied(project: Project, encoder: SentenceEncoder) -> None:
    actor = project.annotator("Ann Bee")
    ids = add_records(project, [{"example_id": str(i)} for i in range(24)])
    titles = ["Wrong unit"] * 12 + ["Reads the question as another one"] * 12
    add_analyses(project, dict(zip(ids, titles, strict=True)))
    project.apply(AddCategory(category_id="unit", name="Units"), actor=actor)
    project.apply(AssignFailures(record_ids=tuple(ids[:4]), category_id="unit"), actor=actor)
    project.apply(SetChoice(key="taxonomy.locked", value=True), actor=actor)
    run(project, encoder)
    rows = {row.category_id: row for row in pending_proposals(project.db)}
    assert set(rows) == {"unit", OTHER_ID}
    assert {r for r, _ in proposal_members(project.db, rows["unit"].id)} == set(ids[4:12])
    project.apply(SetChoice(key="taxonomy.locked", value=False), actor=actor)
    run(project, encoder)
    assert {row.kind for row in pending_proposals(project.db)} == {"assign", "create"}


def test_what_people_placed_one_by_one_places_the_rest(project: Project, encoder: SentenceEncoder) -> None:
    """Two kinds of mistakes that the titles tell apart, each placed six times by hand, in categories whose names say nothing."""
    actor = project.annotator("Ann Bee")
    ids = add_records(project, [{"example_id": str(i)} for i in range(60)])
    units = [
        "Gives metres instead of feet",
        "Answers in grams, not kilograms",
        "Leaves the unit out",
        "Wrong unit of time",
    ]
    reading = [
        "Misreads who is asked about",
        "Answers another question",
        "Overlooks a word of the question",
        "Takes the wrong name",
    ]
    add_analyses(project, {record_id: (units if i % 2 else reading)[i // 2 % 4] for i, record_id in enumerate(ids)})
    for key in ("A", "B"):
        project.apply(AddCategory(category_id=key, name=f"Group {key}"), actor=actor)
    for i in range(12):
        project.apply(AssignFailures(record_ids=(ids[i],), category_id="B" if i % 2 else "A"), actor=actor)
    result = run(project, encoder)
    assert result["learned"] >= 44
    for row in pending_proposals(project.db):
        if row.kind == "assign" and row.category_id in ("A", "B"):
            for record_id, share in proposal_members(project.db, row.id):
                assert ids.index(record_id) % 2 == (row.category_id == "B")
                assert share is not None and share > 0.5
    decided = teaching.decided_failures(project.db)
    assert len(decided.placed) == 12, "nothing is placed before it is accepted"


@pytest.mark.parametrize("diagnosed", [False, True])
def test_nothing_to_propose_says_why(
    project: Project, encoder: SentenceEncoder, annotator: str, diagnosed: bool
) -> None:
    if diagnosed:
        fill(project, ("unit",))
        run(project, encoder)
        decide(project, annotator, "accept", *(row.id for row in pending_proposals(project.db)))
    result = run(project, encoder)
    assert result["proposals"] == 0
    assert ("has its place" if diagnosed else "no failure is diagnosed yet") in str(result["note"])
    latest = latest_propose_run(project.db)
    assert latest is not None
    assert (latest["status"], latest["id"]) == ("finished", result["run"])
    assert str(run(project, encoder)["note"]) == str(result["note"])


def test_a_new_category_is_not_named_as_one_that_is_there(
    project: Project, encoder: SentenceEncoder, annotator: str
) -> None:
    ids = add_records(project, [{"example_id": str(i)} for i in range(4)])
    add_analyses(project, dict.fromkeys(ids, "Other"))
    run(project, encoder)
    (row,) = pending_proposals(project.db)
    assert row.kind == "create"
    assert row.name.casefold() not in ("other", "hard to analyze")
    decide(project, annotator, "accept", row.id)


def test_the_judge_names_where_that_is_wanted(project: Project, encoder: SentenceEncoder, annotator: str) -> None:
    fill(project)
    run(project, encoder)
    before = snapshot(project)
    kept = next(row for row in pending_proposals(project.db) if row.kind == "create")
    decide(project, annotator, "reject", kept.id)
    project.undo(actor=annotator)
    project.apply(SetChoice(key="proposals.names_by", value="judge"), actor=annotator)
    result = run(project, encoder, judge=FakeJudge())
    created = [row for row in pending_proposals(project.db) if row.kind == "create"]
    assert [row[0] for row in snapshot(project)] == [row[0] for row in before]  # the same groups, the same ids
    named = [row for row in created if row.id != kept.id]
    assert all(row.named_by == "judge:fake" for row in named)
    assert result["named_by_judge"] == len(named)
    # One that was ever decided keeps its name: the log refers to it.
    assert proposal(project.db, kept.id).name == kept.name


def test_the_judge_is_asked_for_names_only_where_the_setting_says_so(
    project: Project, encoder: SentenceEncoder
) -> None:
    fill(project, ("unit",))
    assert run(project, encoder, judge=FakeJudge())["named_by_judge"] == 0


def test_stopped_it_proposes_nothing_and_keeps_embeddings(project: Project, encoder: SentenceEncoder) -> None:
    fill(project)
    result = run(project, encoder, cancelled=lambda: project.db.table("embedding").count > 0)
    assert result["run"] is None
    assert latest_propose_run(project.db) is None
    assert project.db.table("embedding").count == 36
    assert run(project, encoder, cancelled=never_cancelled)["encoded"] == 0


def test_two_do_not_propose_at_once(project: Project, encoder: SentenceEncoder) -> None:
    lease = take_lease(project, "propose", purpose=tr("Proposing"))
    with pytest.raises(KnownError, match="under way"):
        run(project, encoder)
    lease.release()
    run(project, encoder)


def test_an_unknown_proposal_is_a_sentence(project: Project) -> None:
    for ask in (proposal, run_of):
        with pytest.raises(KnownError, match="no proposal"):
            ask(project.db, "no such id")


def test_proposals_that_are_kept_do_not_change_their_members(project: Project, encoder: SentenceEncoder) -> None:
    fill(project)
    first = run(project, encoder)
    created = [row for row in pending_proposals(project.db) if row.kind == "create"]
    rows = {row.id: proposal_members(project.db, row.id) for row in created}
    renewed = [
        proposing.NewProposal(key, "create", {"name": "New", "description": ""}, {}, 0.5, None, []) for key in rows
    ]
    with project.writing() as db:
        proposing.save_proposals(db, first["run"], renewed)
    again = [row for row in pending_proposals(project.db) if row.id in rows]
    assert {row.id: proposal_members(project.db, row.id) for row in again} == rows != {}
    assert {row.name for row in again} == {"New"}
