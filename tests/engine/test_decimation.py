"""A line drawn from fewer points shows what the whole one would."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunebook.decimation import decimate

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0])


def points(values: np.ndarray, steps: np.ndarray | None = None) -> np.ndarray:
    steps = np.arange(len(values), dtype=float) if steps is None else steps
    return np.stack([steps, values, np.zeros(len(values))], axis=1)


@given(arrays(float, st.integers(0, 200), elements=NUMBERS), st.integers(1, 20))
def test_size_order_ends_and_extremes(values: np.ndarray, width: int) -> None:
    rows = decimate(points(values), width)
    assert len(rows) <= 4 * width
    assert (np.diff(rows) > 0).all()
    if len(values) <= 4 * width:
        assert len(rows) == len(values)
        return
    buckets = (np.arange(len(values)) * (width / (len(values) - 1))).astype(int).clip(max=width - 1)
    for bucket in range(width):
        inside = np.flatnonzero(buckets == bucket)
        kept = rows[buckets[rows] == bucket]
        assert {inside[0], inside[-1]} <= set(kept.tolist())
        finite = values[inside][np.isfinite(values[inside])]
        if len(finite):
            assert {finite.min(), finite.max()} <= set(values[kept].tolist())


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e3, 2.0**62, 1e-310]))
def test_steps_may_go_back_and_jump(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    values, steps = rng.normal(size=60), rng.normal(size=60) * scale
    rows = decimate(points(values, steps), 5)
    assert len(rows) <= 20
    assert (np.diff(rows) > 0).all()
    assert {0, values.argmin(), values.argmax()} <= set(rows.tolist())


def test_steps_that_are_all_equal_are_spread_by_their_order() -> None:
    values = np.sin(np.arange(1000) / 20)
    rows = decimate(points(values, np.full(1000, 7.0)), 10)
    assert len(rows) > 20
    assert {0, 999} <= set(rows.tolist())


def test_equal_buckets_are_of_the_steps_and_not_of_the_rows() -> None:
    steps = np.concatenate([np.arange(900) / 1000, [1.0, 2.0, 3.0, 4.0]])
    rows = decimate(points(np.arange(904.0), steps), 4)
    assert {900, 901, 902, 903} <= set(rows.tolist())


def test_not_a_number_is_no_extreme_and_ends_are_kept() -> None:
    values = np.full(100, 5.0)
    values[[0, 30, 99]] = np.nan
    values[50] = 9.0
    values[60] = np.inf
    assert decimate(points(values), 1).tolist() == [0, 1, 50, 99]
    assert decimate(points(np.full(100, np.nan)), 1).tolist() == [0, 99]


def test_a_width_of_nothing_is_one() -> None:
    assert len(decimate(points(np.arange(50.0)), 0)) <= 4


def test_a_million_points_take_a_moment() -> None:
    many = points(np.random.default_rng(0).normal(size=1_000_000))
    before = time.process_time()
    decimate(many, 1000)
    assert time.process_time() - before < 1.0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_are_all_kept(count: int) -> None:
    assert decimate(points(np.zeros(count)), 1).tolist() == list(range(count))
