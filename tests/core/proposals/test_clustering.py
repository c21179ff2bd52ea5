"""Clustering: whatever the points, every row ends up in one place and the limits hold."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, silhouette_score

from errormap_core.embedding.encoder import unit_rows
from errormap_core.proposals.clustering import Clustering, Group, cluster, cohesion_of, similarity_to_others
from errormap_core.proposals.placing import NEAR, place
from errormap_core.proposals.splitting import silhouette
from errormap_core.tasks import Stopped


def blobs(
    sizes: Sequence[int], *, dim: int = 32, spread: float = 0.08, seed: int = 0
) -> tuple[NDArray[np.float32], list[int]]:
    """Points around as many directions as there are sizes, and which of these each belongs to."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.standard_normal((dim, dim)))[0][: len(sizes)]
    truth = [number for number, size in enumerate(sizes) for _ in range(size)]
    return unit_rows(centres[truth] + spread * rng.standard_normal((len(truth), dim))), truth


def labels_of(found: Clustering, n: int) -> list[int]:
    labels = [-1] * n
    for number, group in enumerate(found.groups):
        for row in group.members:
            labels[row] = number
    return labels


def check(found: Clustering, n: int, *, depth: int, max_categories: int, min_size: int) -> None:
    """What holds for every clustering of n rows."""
    at_top = [row for group in found.groups for row in group.members]
    assert sorted([*at_top, *found.other]) == list(range(n))
    assert list(found.other) == sorted(found.other)

    def check_level(groups: tuple[Group, ...], n_parent: int, level: int) -> None:
        assert len(groups) <= (max_categories if level > 1 else min(max_categories, max(2, math.ceil(0.1 * n_parent))))
        assert not groups or level <= depth
        for group in groups:
            assert len(group.members) >= min_size
            assert len(set(group.members)) == len(group.members) == len(group.confidences)
            assert list(group.confidences) == sorted(group.confidences, reverse=True)
            assert all(0 <= value <= 1 for value in (*group.confidences, group.cohesion))
            assert np.linalg.norm(group.centroid) == pytest.approx(1, abs=1e-4)
            below = [row for child in group.children for row in child.members]
            assert len(group.children) != 1
            assert sorted([*below, *group.direct]) == sorted(group.members)
            check_level(group.children, len(group.members), level + 1)

    check_level(found.groups, n, 1)


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[np.float32]:
    """A few points, some of them many times, some near to each other, in few dimensions."""
    dim = draw(st.integers(1, 4))
    number = st.integers(-3, 3) if draw(st.booleans()) else st.floats(-1, 1, width=32)
    points = draw(st.lists(st.lists(number, min_size=dim, max_size=dim), min_size=0, max_size=40))
    picks = draw(st.lists(st.integers(0, max(0, len(points) - 1)), max_size=80)) if points else []
    rows = [points[i] for i in picks] + points
    return unit_rows(np.array(rows, np.float32).reshape(len(rows), dim))


@settings(max_examples=150)
@given(arrays(), st.integers(1, 3), st.integers(2, 6), st.integers(1, 5))
@example(np.array([[0, 1], [1, 0]], np.float32), 1, 2, 1)  # what scipy takes for a matrix of distances
def test_any_points_are_divided_within_the_limits(
    vectors: NDArray[np.float32], depth: int, max_categories: int, min_size: int
) -> None:
    found = cluster(vectors, depth=depth, max_categories=max_categories, min_size=min_size)
    check(found, len(vectors), depth=depth, max_categories=max_categories, min_size=min_size)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_rows(n: int) -> None:
    found = cluster(blobs([1] * max(1, n))[0][:n], min_size=3)
    check(found, n, depth=2, max_categories=25, min_size=3)
    assert len(found.other) == n  # too few for a group, or too far from each other


@pytest.mark.parametrize("n", [3, 5, 60, 700])
def test_copies_of_one_text_are_one_group(n: int) -> None:
    found = cluster(np.repeat(blobs([1])[0], n, axis=0))
    assert [len(group.members) for group in found.groups] == [n]
    assert found.groups[0].cohesion == 1
    assert found.groups[0].children == ()
    assert found.other == ()


def test_a_judge_that_says_four_things_gives_four_groups() -> None:
    points = blobs([1, 1, 1, 1], seed=3)[0]
    truth = [0] * 30 + [1] * 12 + [2] * 4 + [3]
    found = cluster(points[truth], min_size=3)
    assert [len(group.members) for group in found.groups] == [30, 12, 4]
    assert found.other == (46,)


@pytest.mark.parametrize("sizes", [[40, 40], [60, 20, 20, 20], [100, 90, 80, 70, 60, 50, 40, 30, 20, 10], [9, 9, 9]])
def test_separate_groups_are_found_whatever_their_sizes(sizes: list[int]) -> None:
    vectors, truth = blobs(sizes)
    found = cluster(vectors, depth=1)
    assert len(found.groups) == len(sizes)
    assert adjusted_rand_score(truth, labels_of(found, len(truth))) > 0.98


@pytest.mark.parametrize(("sizes", "spread"), [([5] * 40, 0.05), ([4, 5, 6, 30] * 10, 0.07), ([3, 4, 5] * 12, 0.08)])
def test_many_groups_of_a_handful_are_found(sizes: list[int], spread: float) -> None:
    """The limit of a level is none for the leaves: there may be more of them than a tenth of the rows."""
    vectors, truth = blobs(sizes, dim=64, spread=spread)
    found = cluster(vectors)
    leaves = [leaf for group in found.groups for leaf in group.children or (group,)]
    labels = np.full(len(truth), -1)
    for number, leaf in enumerate(leaves):
        labels[list(leaf.members)] = number
    assert 0.9 * len(sizes) <= len(leaves) <= 1.2 * len(sizes)
    assert adjusted_rand_score(truth, labels) > 0.9


def test_groups_of_groups_become_two_levels() -> None:
    rng = np.random.default_rng(1)
    tops = np.linalg.qr(rng.standard_normal((48, 48)))[0]
    rows, truth = [], []
    for top in range(3):
        for below in range(3):
            middle = tops[top] + 0.7 * tops[3 + 3 * top + below]
            rows += [middle + 0.05 * rng.standard_normal(48) for _ in range(30)]
            truth += [top] * 30
    found = cluster(unit_rows(np.array(rows)), depth=2, max_categories=3)
    assert len(found.groups) == 3
    assert adjusted_rand_score(truth, labels_of(found, len(truth))) == 1
    assert [len(group.children) for group in found.groups] == [3, 3, 3]
    assert all(group.children == () for group in cluster(unit_rows(np.array(rows)), depth=1).groups)


def test_a_given_number_is_as_nearly_met_as_a_level_may_hold() -> None:
    vectors, _ = blobs([8] * 30, spread=0.05)
    assert len(cluster(vectors, depth=1, n_groups=30).groups) == 25
    assert len(cluster(vectors, depth=1, n_groups=12).groups) == 12
    assert len(cluster(vectors, n_groups=1).groups) == 1


def test_five_titles_or_fewer_are_not_split_further() -> None:
    vectors, truth = blobs([30, 30, 30, 30])
    titles = [f"title {number}" for number in truth]
    one = cluster(vectors, titles=titles, max_categories=2)
    assert all(group.children == () for group in one.groups)
    titles = [f"title {row}" for row in range(len(truth))]
    assert any(group.children for group in cluster(vectors, titles=titles, max_categories=2).groups)


def test_what_is_far_from_every_group_is_left_over() -> None:
    vectors, _ = blobs([40, 40, 1], spread=0.03)
    found = cluster(vectors, depth=1, min_size=3)
    assert found.other == (80,)


def test_points_without_structure_are_not_split() -> None:
    rng = np.random.default_rng(0)
    vectors = unit_rows(rng.standard_normal((300, 64)) + 3)
    assert [len(group.children) for group in cluster(vectors).groups] == [0]


def test_the_same_seed_gives_the_same_tree_and_order_does_not_matter() -> None:
    vectors, _ = blobs([50, 40, 30, 20, 10], spread=0.15)
    one, two = cluster(vectors, seed=5), cluster(vectors.copy(), seed=5)
    assert [g.members for g in one.groups] == [g.members for g in two.groups]
    order = np.random.default_rng(0).permutation(len(vectors))
    turned = cluster(vectors[order], seed=5)
    assert {frozenset(order[list(g.members)].tolist()) for g in turned.groups} == {
        frozenset(g.members) for g in one.groups
    }


def test_asked_to_stop_it_stops() -> None:
    with pytest.raises(Stopped):
        cluster(blobs([40, 40])[0], cancelled=lambda: True)


def test_thousands_of_points_in_separate_islands() -> None:
    vectors, truth = blobs([700, 500, 400, 300, 100, 60, 40], spread=0.02)
    found = cluster(vectors, depth=1)
    assert adjusted_rand_score(truth, labels_of(found, len(truth))) > 0.98


def test_the_silhouette_is_the_known_one() -> None:
    vectors, truth = blobs([20, 10, 5], spread=0.3)
    labels = np.array(truth)
    copies = np.ones(len(truth), np.int64)
    assert silhouette(vectors, copies, labels) == pytest.approx(
        silhouette_score(vectors, labels, metric="cosine"), abs=1e-5
    )


def test_cohesion_is_one_for_copies_and_none_for_strangers() -> None:
    assert cohesion_of(np.eye(4, dtype=np.float32)) == 0
    assert cohesion_of(np.repeat(np.eye(4, dtype=np.float32)[:1], 3, axis=0)) == pytest.approx(1)
    assert similarity_to_others(np.eye(2, dtype=np.float32)[:1]).tolist() == [0]


def test_a_failure_is_placed_where_its_like_are() -> None:
    vectors, _ = blobs([130, 130, 30])
    own = [vectors[:30], vectors[130:160]]
    new = np.concatenate([vectors[30:130], vectors[160:]])
    placed, similarity, limits = place(new, own)
    assert set(placed[:100].tolist()) <= {0, -1}
    assert set(placed[100:200].tolist()) <= {1, -1}
    assert set(placed[200:].tolist()) == {-1}
    assert 0.6 < (placed[:200] >= 0).mean() < 0.9  # three in four, as the rule says
    assert (limits >= NEAR).all()
    assert (similarity[placed >= 0] >= limits[placed[placed >= 0]]).all()
    assert place(new, [])[0].tolist() == [-1] * len(new)
    copies = np.repeat(vectors[:1], 3, axis=0)
    assert place(copies, [copies[:1]])[0].tolist() == [0, 0, 0]
