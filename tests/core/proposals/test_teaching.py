"""What placements teach, on points in separate islands and on points of any kind."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from errormap_core.embedding.encoder import unit_rows
from errormap_core.proposals.certainty import FEWEST_DRAWN, certainty, certainty_explained, certainty_sentence
from errormap_core.proposals.partition import partition
from errormap_core.proposals.splitting import neighbour_graphs
from errormap_core.proposals.teaching import Lessons, Teacher
from errormap_core.proposals.worklist import Answer, worklist
from errormap_core.tasks import Stopped


def islands(sizes: list[int], *, seed: int = 0, spread: float = 0.4) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    middles = np.linalg.qr(rng.standard_normal((32, 32)))[0][: len(sizes)]
    truth = np.repeat(np.arange(len(sizes)), sizes)
    noise = unit_rows(rng.standard_normal((len(truth), 32)))
    return unit_rows(middles[truth] + spread * noise), truth


def test_one_placed_failure_an_island_places_all_others() -> None:
    vectors, truth = islands([40, 30, 12, 6])
    first = [int(np.flatnonzero(truth == island)[0]) for island in range(4)]
    lessons = Lessons(placed={row: f"island {truth[row]}" for row in first})
    found = Teacher(vectors, n_groups=4).predict(lessons)
    assert [found.keys[best] for best in found.best] == [f"island {island}" for island in truth]
    assert found.probability.sum(axis=1) == pytest.approx(np.ones(len(truth)), abs=1e-4)
    assert [found.ranked(row, 1) for row in first] == [[(f"island {truth[row]}", 1)] for row in first]
    assert ((found.margin >= 0) & (found.margin <= 1)).all()


def test_what_is_undone_is_unlearned_and_what_was_refused_is_not_said_again() -> None:
    vectors, _ = islands([30, 30])
    teacher = Teacher(vectors, n_groups=2)
    one = Lessons(placed={0: "a", 30: "b"})
    before = teacher.predict(one).probability
    taught = teacher.predict(Lessons(placed={0: "a", 30: "b", 1: "b", 2: "b", 3: "b"})).probability
    assert not np.allclose(before, taught)
    assert np.array_equal(teacher.predict(one).probability, before)
    refused = teacher.predict(Lessons(placed={0: "a", 30: "b"}, refused={(5, "a")}))
    assert refused.keys[refused.best[5]] == "b"


def test_a_group_stays_together_until_an_answer_concerns_it() -> None:
    vectors, truth = islands([30, 30])
    mixed = np.flatnonzero(truth == 0)[:10]
    rest = np.flatnonzero(truth == 1)
    both = np.sort(np.concatenate([mixed, rest]))  # a proposed group that holds a third of another island
    groups = [("x", np.flatnonzero(truth == 0)[10:]), ("y", both)]
    teacher = Teacher(vectors, n_groups=2)
    untouched = teacher.predict(Lessons(placed={}, groups=groups))
    assert {untouched.keys[untouched.best[row]] for row in mixed} == {"y"}
    touched = teacher.predict(Lessons(placed={int(mixed[0]): "x"}, groups=groups))
    assert [touched.keys[touched.best[row]] for row in mixed].count("x") >= 8


def test_names_that_nobody_read_lose_their_say() -> None:
    """Everything was placed under new names: a group whose failure was placed elsewhere is no candidate any more."""
    vectors, truth = islands([20] * 12)
    groups = [(f"proposed {island}", np.flatnonzero(truth == island)) for island in range(12)]
    placed = {int(rows[0]): f"mine {n}" for n, (_, rows) in enumerate(groups[:11])}
    found = Teacher(vectors, n_groups=12).predict(Lessons(placed=placed, groups=groups))
    assert set(found.keys) == {"proposed 11", *(f"mine {n}" for n in range(11))}
    assert [found.keys[best] for best in found.best[truth == 3]] == ["mine 3"] * 20


def test_what_is_said_of_one_holds_for_all_that_say_the_same() -> None:
    vectors, _ = islands([20, 20])
    many = np.concatenate([vectors, np.repeat(vectors[:1], 500, axis=0)])
    teacher = Teacher(many, n_groups=2)
    lessons = Lessons(placed={20: "b"}, named={"a": vectors[0], "b": vectors[20]})
    asked = teacher.questions(lessons, teacher.predict(lessons), 1)[0]
    assert (asked.row, asked.n_taught >= 500) == (0, True)
    taught = Lessons(placed={20: "b", 30: "b", 0: "b"})
    found = teacher.predict(taught)
    assert {found.keys[best] for best in found.best[40:]} == {"b"}
    assert 0 not in {q.row for q in teacher.questions(taught, found, 50)}
    assert not {q.row for q in teacher.questions(taught, found, 50)} & set(range(40, 540))


def test_many_examples_are_solved_by_dimensions_with_the_same_result() -> None:
    vectors, truth = islands([80, 80])
    rows = [*range(60), *range(80, 140)]
    lessons = Lessons(placed={row: f"g{truth[row]}" for row in rows})
    teacher = Teacher(vectors, n_groups=2)
    assert len(rows) > teacher._features.shape[1]
    found = teacher.predict(lessons)
    few = Lessons(placed={0: "g0", 80: "g1"})
    assert [found.keys[best] for best in found.best] == [f"g{island}" for island in truth]
    known = teacher._features[teacher._point_of[rows]].astype(np.float64)
    target = np.eye(2)[truth[rows]]
    dual = known.T @ np.linalg.solve(known @ known.T + np.eye(len(rows)) * 0.03, target)
    primal = np.linalg.solve(known.T @ known + 0.03 * np.eye(known.shape[1]), known.T @ target)
    assert dual == pytest.approx(primal, abs=1e-6)
    assert teacher.predict(few).probability.shape == (160, 2)


def test_a_category_without_failures_is_where_its_name_is() -> None:
    vectors, truth = islands([30, 30])
    named = {"b": vectors[truth == 1].mean(axis=0)}
    found = Teacher(vectors, n_groups=2).predict(Lessons(placed={0: "a"}, named=named))
    assert [found.keys[best] for best in found.best[truth == 1]].count("b") >= 25


def test_questions_go_where_nothing_is_known() -> None:
    vectors, truth = islands([50, 20, 10])
    teacher = Teacher(vectors, n_groups=3)
    lessons = Lessons(placed={0: "a"}, named={"a": vectors[0]})
    prediction = teacher.predict(lessons)
    asked = teacher.questions(lessons, prediction, 2)
    assert {int(truth[question.row]) for question in asked} == {1, 2}
    assert asked[0].n_taught >= 15
    again = teacher.questions(lessons, prediction, 2, without=[question.row for question in asked])
    assert not {q.row for q in again} & {q.row for q in asked}
    assert len(teacher.questions(lessons, prediction, 500)) == 79
    assert all(question.row != 0 for question in teacher.questions(lessons, prediction, 500))


@given(
    n=st.integers(1, 70),
    kinds=st.integers(1, 5),
    n_placed=st.integers(0, 10),
    same=st.booleans(),
    seed=st.integers(0, 10),
)
@settings(max_examples=25, deadline=None)
def test_any_lessons_about_any_points(n: int, kinds: int, n_placed: int, same: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit_rows(np.ones((n, 8)) if same else rng.standard_normal((n, 8)))
    teacher = Teacher(vectors, n_groups=kinds, seed=seed)
    rows = np.arange(n)
    groups = [(f"g{kind}", rows[kind::kinds]) for kind in range(kinds) if len(rows[kind::kinds])]
    placed = {int(row): f"g{rng.integers(kinds + 1)}" for row in rng.choice(n, min(n, n_placed), replace=False)}
    listed = worklist(teacher, Lessons(placed=placed, groups=groups), [Answer(True, True)] * n_placed)
    assert np.isfinite(listed.prediction.probability).all()
    assert listed.prediction.probability.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert all(listed.prediction.keys[listed.prediction.best[row]] == key for row, key in placed.items())
    if not same:  # of failures that say the same none is asked about when one is placed, and one at most otherwise
        assert len({place.row for place in listed.places}) == min(5, n - len(placed))
    else:
        assert len(listed.places) == (0 if placed else 1)
    sure = listed.certainty
    assert (sure.n, sure.n_open, sure.n_answers) == (n, n - len(placed), n_placed)
    assert (sure.low is None) == (sure.high is None) == (n_placed < 20)
    assert sure.low is None or sure.high is None or 0 <= sure.low <= sure.high <= 1


def test_no_category_at_all_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no category"):
        Teacher(islands([5])[0], n_groups=1).predict(Lessons(placed={}))


def test_nothing_is_said_before_enough_answers_and_then_only_of_what_was_drawn() -> None:
    few = certainty([True] * 13, [True] * 2, n=100, n_open=87)
    assert (few.n_missing, few.low, few.high) == (7, None, None)
    assert str(certainty_sentence(asdict(few))) == (
        "How often the first suggestion is right is not known yet: 7 more answers are needed"
    )
    small = certainty([True] * 13, [True] * 2, n=19, n_open=6)  # said before: 7 more answers are needed
    assert str(certainty_sentence(asdict(small))) == (
        "How often the first suggestion is right is not known: 6 failures are left that no person placed, too few to find out"
    )
    all_placed = certainty([True] * 13, [True] * 2, n=13, n_open=0)
    assert "no suggestion is open" in str(certainty_sentence(asdict(all_placed)))
    undrawn = certainty([True] * 40, [], n=100, n_open=60)  # answered before any was drawn
    assert (undrawn.n_missing, undrawn.low) == (FEWEST_DRAWN, None)
    sure = certainty([True] * 30 + [False] * 10, [True] * 4 + [False] * 4, n=100, n_open=60)
    assert (sure.n_answers, sure.n_right, sure.n_drawn, sure.n_drawn_right, sure.n_missing) == (40, 30, 8, 4, 0)
    assert (sure.low, sure.high) == pytest.approx(
        (0.2152, 0.7848), abs=1e-4
    )  # Wilson, of 4 of 8 rather than of 30 of 40
    assert str(certainty_sentence(asdict(sure))) == (
        "First suggestion right for 22% to 78% of the 60 that no person placed (4 of 8 drawn at random)"
    )
    assert "Of 40 answers in all the first suggestion was right in 30." in str(certainty_explained(asdict(sure)))
    late = certainty([True] * 100, [False] * 10 + [True] * 10, n=200, n_open=100)
    assert (late.n_drawn, late.n_drawn_right) == (10, 10)  # what was asked when less was known is left out
    done = certainty([True] * 40, [True] * 8, n=40, n_open=0)
    assert str(certainty_sentence(asdict(done))) == "A person placed every analysed failure; no suggestion is open"


def test_one_in_five_questions_is_about_a_failure_drawn_at_random() -> None:
    vectors, truth = islands([20] * 6)
    teacher = Teacher(vectors, n_groups=6)
    groups = [(f"g{island}", np.flatnonzero(truth == island)) for island in range(6)]
    order = [int(row) for row in np.random.default_rng(3).permutation(120)]
    placed: dict[int, str] = {}
    answers: list[Answer] = []
    drawn_at, drawn_rows = [], []
    while len(answers) < 30:
        place = worklist(teacher, Lessons(placed=dict(placed), groups=groups), answers, order=order).places[0]
        placed[place.row] = f"g{truth[place.row]}"
        if place.is_drawn:
            drawn_at.append(len(answers))
            drawn_rows.append(place.row)
        answers.append(Answer(True, place.is_drawn))
    assert drawn_at == [4, 9, 14, 19, 24, 29]
    assert drawn_rows == [
        row for row in order if row in drawn_rows
    ]  # in the order of the draw, past those that were placed
    late = worklist(
        teacher, Lessons(placed=placed, groups=groups), [Answer(True)] * 30, order=order, without=order[:60]
    )
    assert late.places[0].is_drawn and late.places[0].row in order[60:]
    assert not any(p.is_drawn for p in worklist(teacher, Lessons(placed=placed, groups=groups), answers).places)


def test_a_partition_is_the_same_for_the_same_seed_and_keeps_to_its_limit() -> None:
    vectors, truth = islands([60, 50, 40, 30, 20, 10], spread=0.7)
    graphs, copies = neighbour_graphs(vectors), np.ones(len(vectors), np.int64)
    one, two = (partition(vectors, graphs, copies, max_groups=20, min_size=3, seed=4) for _ in range(2))
    rest = islands([40, 40], seed=9)[0]
    partition(rest, neighbour_graphs(rest), np.ones(80, np.int64), max_groups=9)  # whatever was done before
    third = partition(vectors, graphs, copies, max_groups=20, min_size=3, seed=4)
    assert one is not None and two is not None and third is not None
    assert np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.labels, third.labels)
    for label in range(int(one.labels.max()) + 1):
        assert len(set(truth[one.labels == label])) == 1, "no group holds two islands"
    for n_groups, allowed in ((3, {3}), (5, {5}), (11, {10, 11, 12}), (60, set(range(54, 67)))):
        given = partition(vectors, graphs, copies, max_groups=20, n_groups=n_groups, seed=4)
        assert given is not None
        assert given.labels.max() + 1 in allowed


@pytest.mark.parametrize("after", [0, 5, 60, 150])
def test_a_partition_can_be_stopped_at_every_step(after: int) -> None:
    vectors, _ = islands([60, 60])
    graphs, left = neighbour_graphs(vectors), [after]

    def pause() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        partition(vectors, graphs, np.ones(120, np.int64), max_groups=40, pause=pause)


@pytest.mark.parametrize("most", [2, 5, 9])
def test_a_partition_keeps_to_its_limit(most: int) -> None:
    vectors, _ = islands([5] * 20)
    found = partition(vectors, neighbour_graphs(vectors), np.ones(100, np.int64), max_groups=most)
    assert found is not None
    assert 2 <= found.labels.max() + 1 <= most


def test_as_many_groups_as_points_are_no_error() -> None:
    """No two points are ever together, so that no edge is left for a consensus."""
    vectors = unit_rows(np.random.default_rng(1).standard_normal((60, 384)))
    for n_groups in (30, 60, 1000):
        found = partition(vectors, neighbour_graphs(vectors), np.ones(60, np.int64), max_groups=20, n_groups=n_groups)
        assert found is not None
        assert found.labels.max() + 1 >= 27


def test_of_very_many_keys_the_nearest_have_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where points and keys are too many to be held together, predictions are nearly those that are made of all."""
    vectors, truth = islands([12] * 30)
    lessons = Lessons(
        placed={row: f"c{truth[row]}" for row in range(0, len(truth), 12)},
        groups=[("g", np.array([5, 6, 7]))],
        refused=[(2, f"c{truth[2]}")],
        named={f"only a name {k}": vectors[k] for k in range(50)},
    )
    whole = Teacher(vectors, n_groups=30).predict(lessons)
    monkeypatch.setattr("errormap_core.proposals.teaching.MOST_AT_ONCE", 1000)
    some = Teacher(vectors, n_groups=30).predict(lessons)
    assert some.keys == whole.keys
    assert some.among is not None
    assert some.probability.shape == some.among.shape == (len(truth), 20)
    assert some.probability.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert float((some.best == whole.best).mean()) > 0.9
    for row, key in lessons.placed.items():
        assert some.ranked(row, 1) == [(key, 1.0)]
    assert dict(some.ranked(2, 20)).get(f"c{truth[2]}", 0.0) == 0.0
    for row in range(0, len(truth), 7):
        ranked = some.ranked(row, 5)
        assert some.keys[some.best[row]] == ranked[0][0]
        assert [p for _, p in ranked] == sorted((p for _, p in ranked), reverse=True)


def test_learning_can_be_stopped() -> None:
    vectors, _ = islands([70] * 10)  # of fewer the spectral rows come at once
    n = 0

    def pause(most: float) -> None:
        nonlocal n
        n += 1
        if n > most:
            raise Stopped

    teacher = Teacher(vectors, n_groups=10, pause=lambda: pause(float("inf")))
    asked = n
    assert asked > 2
    for most in (0, asked // 2, asked - 1):
        n = 0
        with pytest.raises(Stopped):
            Teacher(vectors, n_groups=10, pause=lambda most=most: pause(most))  # type: ignore[misc]
    before = n
    teacher.predict(Lessons(placed={0: "a"}))
    assert n > before
