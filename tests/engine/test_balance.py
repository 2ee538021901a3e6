"""Weights have mean 1 over the examples, and draws follow them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.balance import class_weights, draw_order, example_weights, group_weights
from tunebook.errors import RecipeError

COUNTS = st.lists(st.integers(1, 100_000), min_size=2, max_size=8)


@given(counts=COUNTS, scheme=st.sampled_from(["none", "balanced", "effective"]))
def test_mean_over_examples_is_one(counts: list[int], scheme: str) -> None:
    weights = class_weights(scheme, np.array(counts), [str(n) for n in range(len(counts))])
    assert (weights * counts).sum() / sum(counts) == pytest.approx(1.0)
    assert (weights > 0).all()


@given(counts=COUNTS)
def test_rarer_classes_weigh_no_less(counts: list[int]) -> None:
    names = [str(n) for n in range(len(counts))]
    for scheme in ("balanced", "effective"):
        weights = class_weights(scheme, np.array(counts), names)
        order = np.argsort(counts)
        assert (np.diff(weights[order]) <= 1e-12 * weights.max()).all()


def test_balanced_makes_every_class_count_the_same() -> None:
    weights = class_weights("balanced", np.array([10, 30]), ["a", "b"])
    assert (weights * [10, 30]).tolist() == pytest.approx([20, 20])


def test_effective_is_as_published() -> None:
    weights = class_weights("effective", np.array([10, 1000]), ["a", "b"])
    published = [(1 - 0.999) / (1 - 0.999**n) for n in (10, 1000)]
    assert weights[0] / weights[1] == pytest.approx(published[0] / published[1])


def test_a_class_without_examples_gives_a_finite_weight() -> None:
    assert np.isfinite(class_weights("balanced", np.array([0, 5]), ["a", "b"])).all()


def test_a_mapping_is_taken_as_given() -> None:
    assert class_weights({"b": 3.0}, np.array([1, 9]), ["a", "b"]).tolist() == [1.0, 3.0]


def test_a_mapping_is_refused_where_it_names_no_class() -> None:
    with pytest.raises(RecipeError, match="sampler: no class 'catt'; did you mean 'cat'"):
        class_weights({"catt": 1.0}, np.array([1, 1]), ["cat", "dog"], "sampler")
    with pytest.raises(RecipeError, match="every class has weight 0"):
        class_weights({"a": 0.0, "b": 0.0}, np.array([1, 1]), ["a", "b"])


def test_without_weights_every_row_is_drawn_once() -> None:
    rows = np.array([3, 5, 8, 9])
    drawn = draw_order(rows, None, np.random.default_rng(0))
    assert sorted(drawn.tolist()) == rows.tolist()


def test_with_weights_rows_are_drawn_in_proportion() -> None:
    rows = np.arange(3000)
    weights = np.where(rows < 1500, 3.0, 0.0) + np.where(rows >= 2000, 1.0, 0.0)
    drawn = draw_order(rows, weights, np.random.default_rng(0))
    assert len(drawn) == len(rows)
    assert (drawn < 1500).mean() == pytest.approx(4500 / 5500, abs=0.03)
    assert not ((drawn >= 1500) & (drawn < 2000)).any()


def test_an_example_is_drawn_by_the_rarest_of_its_classes() -> None:
    weights = np.array([0.5, 2.0])
    assert example_weights(weights, np.array([1, 0])).tolist() == [2.0, 0.5]
    assert example_weights(weights, np.array([[1, 1], [1, 0], [0, 0]])).tolist() == [2.0, 0.5, 1.0]


CELLS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=80)


@given(cells=CELLS, scheme=st.sampled_from(["none", "reweight", "resample"]))
def test_group_weights_have_mean_one_and_are_above_zero(cells: list[tuple[int, int]], scheme: str) -> None:
    groups, truth = np.array(cells).T
    weights = group_weights(scheme, groups, truth)
    assert weights.mean() == pytest.approx(1.0)
    assert (weights > 0).all()


def test_reweighting_is_as_published_and_makes_class_and_group_independent() -> None:
    groups, truth = np.repeat([0, 0, 1, 1], [30, 10, 5, 15]), np.repeat([0, 1, 0, 1], [30, 10, 5, 15])
    weights = group_weights("reweight", groups, truth)
    # P(g=0) P(y=0) / P(g=0, y=0)
    assert weights[0] == pytest.approx((40 / 60) * (35 / 60) / (30 / 60))
    for group in (0, 1):
        inside = groups == group
        assert weights[inside].sum() == pytest.approx(inside.sum())
        assert weights[inside & (truth == 0)].sum() / inside.sum() == pytest.approx(35 / 60)


def test_resampling_makes_groups_of_one_size_with_the_same_shares_of_classes() -> None:
    groups, truth = np.repeat([0, 0, 7, 7], [30, 10, 5, 15]), np.repeat([0, 1, 0, 1], [30, 10, 5, 15])
    weights = group_weights("resample", groups, truth)
    for group in (0, 7):
        inside = groups == group
        assert weights[inside].sum() == pytest.approx(30)
        assert weights[inside & (truth == 0)].sum() / 30 == pytest.approx(35 / 60)


def test_combinations_of_classes_are_weighed_as_classes() -> None:
    groups, truth = np.array([0, 0, 0, 1]), np.array([[1, 1], [1, 1], [0, 0], [1, 1]])
    assert group_weights("reweight", groups, truth) == pytest.approx(
        group_weights("reweight", groups, np.array([1, 1, 0, 1]))
    )


def test_names_of_classes_are_found_in_any_spelling_that_shows_alike() -> None:
    weights = class_weights({"caf\u0065\u0301 ": 2.0}, np.array([5, 5]), ["caf\u00e9", "bar"])
    assert weights.tolist() == [2.0, 1.0]
    with pytest.raises(RecipeError, match="class 'bar' is named twice"):
        class_weights({"bar": 2.0, "bar ": 1.0}, np.array([5, 5]), ["caf\u00e9", "bar"])
    with pytest.raises(RecipeError, match="no class 'Bar'; did you mean 'bar'"):
        class_weights({"Bar": 2.0}, np.array([5, 5]), ["caf\u00e9", "bar"])
