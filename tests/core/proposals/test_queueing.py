"""The queue of a real project: what it asks, what answers change, and what undoing them gives back."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from errormap_core.embedding.encoder import SentenceEncoder, Vectors
from errormap_core.project import teaching
from errormap_core.project.check import check
from errormap_core.project.pending import proposal_list
from errormap_core.project.proposing import proposal_members
from errormap_core.project.schema import OTHER_ID
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
    assert (sure["n_open"], sure["n_missing"], sure["low"], sure["high"]) == (sure["n"], 20, None, None)
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


def test_likely_categories_that_mean_the_same_become_one_with_the_answer(
    project: Project, encoder: SentenceEncoder
) -> None:
    """Proposed ones make no categories of their own then, made ones are merged; one step, undone as one."""
    queue, actor = Queue(project, encoder), project.annotator("Ada Bee")
    before = driven(queue.refresh())
    one, *others = before["questions"]
    first, second, third = (candidate["proposal_id"] for candidate in one["candidates"][:3])
    ruling = Ruling(proposal_id=one["id"], verdict="edit", target=first, same=(second,))
    project.apply(DecideProposals(rulings=(ruling,)), actor=actor)
    made = teaching.categories_of_proposals(project.db)
    assert made[first] == made[second] == made[one["id"]]
    assert [c.name for c in project.tree if c.reserved is None] == [one["candidates"][0]["name"]]
    assert second not in {row.id for row in proposal_list(project.db, kinds=["create"])}
    after = driven(queue.refresh())
    assert all(c.get("proposal_id") not in (first, second) for q in after["questions"] for c in q["candidates"])
    project.apply(
        DecideProposals(rulings=(Ruling(proposal_id=others[0]["id"], verdict="edit", target=third),)), actor=actor
    )
    assert len([c for c in project.tree if c.reserved is None]) == 2
    last = driven(queue.refresh())["questions"][0]
    target = made[first]
    other = teaching.categories_of_proposals(project.db)[third]
    ruling = Ruling(proposal_id=last["id"], verdict="edit", target=target, same=(other,))
    project.apply(DecideProposals(rulings=(ruling,)), actor=actor)
    assert project.tree.resolve(other).id == target
    assert len(teaching.decided_failures(project.db).placed) == 3
    assert check(project, replay=True) == []
    for _ in range(3):
        project.undo(actor=actor)
    assert driven(queue.refresh()) == before
    assert check(project, replay=True) == []


class SlowEncoder:
    """Calls `meanwhile` once, while it encodes."""

    def __init__(self, encoder: SentenceEncoder, meanwhile: Callable[[], None]) -> None:
        self._encoder, self._meanwhile = encoder, meanwhile
        self.name, self.dim, self.threads = encoder.name, encoder.dim, encoder.threads

    def encode(self, texts: Sequence[str]) -> Vectors:
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return self._encoder.encode(texts)


def test_what_people_do_while_texts_are_embedded_is_known_afterwards(
    project: Project, encoder: SentenceEncoder
) -> None:
    """Another process accepts a proposal, which makes a category, while this one embeds."""

    def accept() -> None:
        with Project.open(project.path) as other:
            first = next(row for row in proposal_list(other.db, kinds=["create"]))
            actor = other.annotator("Bea Cee")
            other.apply(DecideProposals(rulings=(Ruling(proposal_id=first.id, verdict="accept"),)), actor=actor)

    found = driven(Queue(project, SlowEncoder(encoder, accept)).refresh())
    assert len(found["questions"]) == 5
    made = [category.id for category in project.tree if category.reserved is None]
    assert len(made) == 1
    assert made[0] in {c.get("category_id") for q in found["questions"] for c in q["candidates"]}


def test_what_was_left_out_of_a_group_is_not_predicted_back_into_it(project: Project, encoder: SentenceEncoder) -> None:
    actor = project.annotator("Ada Bee")
    row = max(proposal_list(project.db, kinds=["create"]), key=lambda each: each.n_members)
    members = [record_id for record_id, _ in proposal_members(project.db, row.id)]
    ruling = Ruling(proposal_id=row.id, verdict="edit", without=tuple(members[:3]))
    project.apply(DecideProposals(rulings=(ruling,)), actor=actor)
    category_id = teaching.categories_of_proposals(project.db)[row.id]
    found = driven(Queue(project, encoder).predict())
    assert found is not None
    for record_id in members[:3]:
        best, share = found.prediction.ranked(found.row_of[record_id], 1)[0]
        assert best != category_id
        assert share > 0


def test_what_a_person_puts_into_other_is_right_there_and_not_asked_about(
    project: Project, encoder: SentenceEncoder
) -> None:
    actor = project.annotator("Ada Bee")
    ids = tuple(failure.record_id for failure in teaching.analysed_failures(project.db))
    project.apply(AssignFailures(record_ids=ids, category_id=OTHER_ID), actor=actor)
    found = driven(Queue(project, encoder).refresh())
    assert found["questions"] == []
    assert (found["certainty"]["n"], found["certainty"]["n_open"], found["certainty"]["low"]) == (len(ids), 0, None)


def test_what_stands_below_a_rejected_proposal_is_no_answer(project: Project, encoder: SentenceEncoder) -> None:
    actor = project.annotator("Ada Bee")
    rows = proposal_list(project.db, kinds=["create"])
    ruled = [Ruling(proposal_id=row.id, verdict="reject") for row in rows if row.depth == 0][:3]
    project.apply(DecideProposals(rulings=tuple(ruled)), actor=actor)
    gone = {ruling.proposal_id for ruling in ruled}
    found = driven(Queue(project, encoder).refresh())
    named = {c.get("proposal_id") for q in found["questions"] for c in q["candidates"]}
    assert named and not named & gone
    assert not {group.proposal_id for group in teaching.proposed_groups(project.db)} & gone


def test_the_fifth_question_is_drawn_at_random_and_says_so(project: Project, encoder: SentenceEncoder) -> None:
    """It stands first in its turn until it is answered; answers that were given in bulk tell nothing of suggestions."""
    queue, actor = Queue(project, encoder), actor_of(project)
    driven(queue.refresh())
    for _ in range(4):
        first = proposal_list(project.db, kinds=["place"])[0]
        assert "is_drawn" not in first.arguments
        project.apply(DecideProposals(rulings=(Ruling(proposal_id=first.id, verdict="accept"),)), actor=actor)
        found = driven(queue.refresh())
    assert found["certainty"]["n_answers"] == 4
    for _ in range(2):
        drawn = proposal_list(project.db, kinds=["place"])[0]
        assert drawn.arguments["is_drawn"] is True
        assert str(drawn.why).startswith("Drawn at random, to see how often the first suggestion is right.")
        driven(queue.refresh())
    others = [row for row in proposal_list(project.db, kinds=["place"]) if row.id != drawn.id]
    bulk = tuple(Ruling(proposal_id=row.id, verdict="accept") for row in others[:2])
    project.apply(DecideProposals(rulings=bulk, is_bulk=True), actor=actor)
    project.apply(DecideProposals(rulings=(Ruling(proposal_id=drawn.id, verdict="accept"),)), actor=actor)
    sure = driven(queue.refresh())["certainty"]
    assert (sure["n_answers"], sure["n_drawn"], sure["n_drawn_right"], sure["n_missing"]) == (5, 1, 1, 15)
    assert "is_drawn" not in proposal_list(project.db, kinds=["place"])[0].arguments
    assert teaching.queue_certainty(project.db) == sure
    with project.writing() as db:  # as a version left it that said how many are in the right place
        db.execute(
            """UPDATE run SET result = '{"certainty": {"n": 13, "right": 13.0, "n_answers": 13}}' WHERE kind = 'propose'"""
        )
    assert teaching.queue_certainty(project.db) is None
