"""The queue of a real project: what it asks, what answers change, and what undoing them gives back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from errormap_core.embedding.encoder import SentenceEncoder
from errormap_core.project import teaching
from errormap_core.project.check import check
from errormap_core.project.pending import proposal_list
from errormap_core.project.store import Project
from errormap_core.proposals.queueing import Queue
from errormap_core.sample.build import build_sample
from errormap_core.tasks import driven
from errormap_core.taxonomy.operations import AddCategory, AssignFailures, DecideProposals, Ruling


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(threads=1)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with build_sample(tmp_path / "sample.errormap") as project:
        yield project


def actor_of(project: Project) -> str:
    return project.annotator("Ada Bee")


def test_it_asks_where_the_proposed_categories_tell_least(project: Project, encoder: SentenceEncoder) -> None:
    asked = driven(Queue(project, encoder).refresh(n=5))
    rows = proposal_list(project.db, kinds=["place"])
    assert [row.id for row in rows] == sorted(
        (row.id for row in rows), key=lambda i: -next(r.worth for r in rows if r.id == i)
    )
    assert {row.id for row in rows} == {question["id"] for question in asked["questions"]}
    assert len(rows) == 5
    proposed = {group.proposal_id for group in teaching.proposed_groups(project.db)}
    for question in asked["questions"]:
        assert len(question["candidates"]) == 9
        assert {candidate["proposal_id"] for candidate in question["candidates"]} <= proposed
        assert all(candidate["name"] for candidate in question["candidates"])
        shares = [candidate["probability"] for candidate in question["candidates"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1.001
        assert question["why"]
    sure = asked["certainty"]
    assert sure["n"] == len(teaching.analysed_failures(project.db))
    assert 0 <= sure["low"] <= sure["right"] <= sure["high"] <= sure["n"]
    assert check(project, replay=True) == []


def test_the_same_state_gives_the_same_questions(project: Project, encoder: SentenceEncoder) -> None:
    queue = Queue(project, encoder)
    one, two, other = driven(queue.refresh()), driven(queue.refresh()), driven(Queue(project, encoder).refresh())
    assert one == two == other


def test_an_answer_is_learned_and_undone(project: Project, encoder: SentenceEncoder) -> None:
    queue, actor = Queue(project, encoder), actor_of(project)
    before = driven(queue.refresh())
    question = before["questions"][0]
    project.apply(DecideProposals(rulings=(Ruling(proposal_id=question["id"], verdict="accept"),)), actor=actor)
    placed = teaching.decided_failures(project.db).placed
    assert list(placed) == [question["record_id"]]
    assert project.tree.live(placed[question["record_id"]]).name == question["candidates"][0]["name"]
    answered = teaching.answered_questions(project.db)
    assert [each.record_id for each in answered] == [question["record_id"]]
    after = driven(queue.refresh())
    assert question["id"] not in {each["id"] for each in after["questions"]}
    assert after["certainty"]["n_answers"] == 1
    assert any("category_id" in c for each in after["questions"] for c in each["candidates"]), (
        "what was made is a candidate"
    )
    project.undo(actor=actor)
    again = driven(queue.refresh())
    assert again == before, "what is undone is unlearned"


def test_what_was_skipped_is_not_asked_again_and_what_was_placed_by_hand_teaches(
    project: Project, encoder: SentenceEncoder
) -> None:
    queue, actor = Queue(project, encoder), actor_of(project)
    first = driven(queue.refresh(n=3))["questions"]
    verdicts = ("skip", "unsure", "flag")
    for question, verdict in zip(first, verdicts, strict=True):
        project.apply(DecideProposals(rulings=(Ruling(proposal_id=question["id"], verdict=verdict),)), actor=actor)
    then = driven(queue.refresh(n=10))["questions"]
    assert not {q["id"] for q in then} & {q["id"] for q in first}
    project.apply(AddCategory(category_id="mine", name="My own"), actor=actor)
    project.apply(AssignFailures(record_ids=(then[0]["record_id"],), category_id="mine"), actor=actor)
    last = driven(queue.refresh(n=10))
    assert then[0]["id"] not in {q["id"] for q in last["questions"]}
    assert "My own" in {c["name"] for q in last["questions"] for c in q["candidates"]}
    assert check(project, replay=True) == []


def test_without_categories_or_failures_nothing_is_asked(tmp_path: Path, encoder: SentenceEncoder) -> None:
    with Project.create(tmp_path / "empty.errormap") as project:
        assert driven(Queue(project, encoder).refresh()) == {"questions": [], "certainty": None}
