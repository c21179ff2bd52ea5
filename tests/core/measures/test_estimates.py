"""Estimates: known values, intervals that cover as often as they say, chance that is chance."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

from errormap_core.measures.estimates import (
    agreement,
    clustering_agreement,
    mean,
    share,
    span_chance,
    span_f1,
)


def test_a_share_has_wilsons_interval() -> None:
    found = share([True] * 8 + [False] * 2)
    assert found.value == 0.8
    assert (found.low, found.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    everything = share([True] * 5)
    assert everything.low is not None and 0.5 < everything.low < 1.0, "five of five do not prove all"


def test_nothing_has_no_share_and_no_mean() -> None:
    for measure in (share, mean):
        with pytest.raises(ValueError, match="nothing"):
            measure([])
    for measure in (agreement, clustering_agreement):  # type: ignore[assignment]
        with pytest.raises(ValueError, match="at least one"):
            measure([], [])  # type: ignore[call-arg]


def test_one_item_has_no_interval() -> None:
    assert mean([0.4]).low is None
    few = clustering_agreement(["a", "b", "a", "b"], ["x", "y", "x", "y"]).adjusted_rand
    assert few is not None and (few.value, few.low, few.high) == (1.0, None, None)


def test_items_that_are_all_alike_have_no_interval_either() -> None:
    assert (mean([0.0] * 40).low, mean([0.0] * 40).high) == (None, None)
    same = clustering_agreement(["a", "b"] * 20, ["x", "y"] * 20).adjusted_rand
    assert same is not None and (same.value, same.low) == (1.0, None)


def test_the_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        found = mean(list(rng.normal(0.5, 0.1, 40)))
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.5 <= found.high
    assert 50 <= hits <= 60


def test_kappa_of_the_textbook() -> None:
    """50 items: both yes 20, both no 15, yes/no 5, no/yes 10 (Cohen's kappa 0.4, agreement by chance 0.5)."""
    ours = ["yes"] * 25 + ["no"] * 25
    theirs = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    same, kappa = agreement(ours, theirs)
    assert kappa is not None
    assert same.value == pytest.approx(0.7)
    assert same.chance == pytest.approx(0.5)
    assert kappa.value == pytest.approx(0.4)
    assert kappa.low is not None and kappa.high is not None and kappa.low < 0.4 < kappa.high


def test_kappa_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        ours, theirs = rng.integers(0, 5, 40).tolist(), rng.integers(1, 7, 40).tolist()
        _, kappa = agreement(ours, theirs)
        assert kappa is not None and kappa.value == pytest.approx(cohen_kappa_score(ours, theirs))


def test_kappa_is_not_defined_where_all_say_the_same_and_is_chance_where_one_side_does() -> None:
    same, kappa = agreement(["a"] * 5, ["a"] * 5)
    assert (same.value, same.chance, kappa) == (1.0, 1.0, None)
    _, kappa = agreement(["a", "b", "a"], ["a"] * 3)
    assert kappa is not None and kappa.value == 0.0


def test_a_kappa_that_most_resamples_cannot_give_has_no_interval() -> None:
    _, kappa = agreement(["a"] * 59 + ["b"], ["a"] * 60)
    assert kappa is not None and (kappa.low, kappa.high) == (None, None)
    _, kappa = agreement(["a", "b"], ["a", "b"])
    assert kappa is not None and (kappa.value, kappa.low, kappa.high) == (1.0, None, None)


def test_spans_overlap_by_characters() -> None:
    assert span_f1([(0, 10)], [(0, 10)], 20) == 1.0
    assert span_f1([(0, 10)], [(5, 15)], 20) == pytest.approx(0.5)
    assert span_f1([(0, 4), (2, 10)], [(0, 10)], 20) == 1.0, "what is marked twice counts once"
    assert span_f1([(0, 10)], [], 20) == 0.0
    assert span_f1([], [], 20) == 1.0


def test_whoever_marks_the_whole_answer_does_no_better_than_chance() -> None:
    whole = [(0, 40)]
    assert span_chance([(10, 20)], whole, 40) == pytest.approx(span_f1([(10, 20)], whole, 40))
    assert span_chance([(10, 20)], [(10, 20)], 400) < 0.1
    assert span_chance([(0, 2)], [(0, 90)], 5) > 0, "a quote that is longer than the answer is cut"


def test_clusterings_that_are_the_same_by_other_names() -> None:
    ours = ["a"] * 6 + ["b"] * 6 + ["c"] * 3
    found = clustering_agreement(ours, [f"{label}!" for label in ours])
    assert found.adjusted_rand is not None and found.v_measure is not None
    assert found.adjusted_rand.value == found.v_measure.value == found.matched.value == 1.0
    assert [(m.ours, m.theirs, m.n_both) for m in found.matches] == [("a", "a!", 6), ("b", "b!", 6), ("c", "c!", 3)]


def test_clusterings_by_chance() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.integers(0, 6, 150).tolist(), (10 + rng.integers(0, 8, 150)).tolist()
    found = clustering_agreement(ours, theirs)
    assert found.adjusted_rand is not None and found.v_measure is not None
    assert found.adjusted_rand.value == pytest.approx(adjusted_rand_score(ours, theirs))
    for estimate in (found.adjusted_rand, found.v_measure):
        assert estimate.low is not None and estimate.high is not None and estimate.chance is not None
        assert estimate.low <= estimate.chance <= estimate.high
    assert found.v_measure.chance is not None and found.v_measure.chance > 0.05, "V-measure of chance is not 0"
    assert found.matched.value == 0.0


def test_a_category_that_was_split_is_matched_by_its_larger_half() -> None:
    found = clustering_agreement(["a"] * 10, ["x"] * 7 + ["y"] * 3)
    assert [(m.theirs, m.n_both, round(m.f1, 3)) for m in found.matches] == [("x", 7, 0.824)]
    assert found.matched.value == 1.0


def test_members_that_are_not_placed_count_against_a_match() -> None:
    found = clustering_agreement(["a"] * 4, ["x"] * 4, sizes={"a": 20, "b": 5})
    assert [(m.n_ours, m.n_both) for m in found.matches] == [(20, 4)]
    assert (found.matched.value, found.matched.n) == (0.0, 2)
    assert found.adjusted_rand is None and found.v_measure is None, "one category agrees with any"


def test_the_jackknife_interval_of_the_rand_index_covers_the_truth() -> None:
    """Truth: the index of ten thousand items of which a fifth is put anywhere."""
    rng = np.random.default_rng(4)

    def draw(n: int) -> tuple[list[int], list[int]]:
        ours = rng.integers(0, 5, n)
        theirs = np.where(rng.random(n) < 0.2, rng.integers(0, 5, n), ours)
        return ours.tolist(), (10 + theirs).tolist()

    truth = adjusted_rand_score(*draw(10_000))
    hits = 0
    for _ in range(30):
        found = clustering_agreement(*draw(100)).adjusted_rand
        assert found is not None and found.low is not None and found.high is not None
        hits += found.low <= truth <= found.high
    assert hits >= 26


def test_the_same_data_give_the_same_figures() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.integers(0, 4, 60).tolist(), rng.integers(0, 4, 60).tolist()
    assert clustering_agreement(ours, theirs) == clustering_agreement(ours, theirs)
    assert agreement(ours, theirs) == agreement(ours, theirs)
