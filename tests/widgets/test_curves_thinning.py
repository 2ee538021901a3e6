"""Thinned curves: what is kept, what it stands for, and that growing gives what starting anew gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunebook_widgets.thinning import KEPT, Rows, Thinning, bucket_size, thin

BUCKETS = 8


def _points(values: list[float]) -> np.ndarray:
    return np.stack([np.arange(1.0, len(values) + 1), np.array(values, dtype=float)], axis=1).reshape(-1, 2)


def _joined(parts: list[tuple[int, Rows]]) -> np.ndarray:
    """Return the rows that a front end has after some patches."""
    rows = np.empty((0, 4))
    for keep, new in parts:
        means = new.values if new.means is None else new.means
        counts = np.ones(len(new)) if new.counts is None else new.counts
        rows = np.concatenate([rows[:keep], np.stack([new.steps, new.values, means, counts], axis=1)])
    return rows


VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=300)


@given(VALUES, st.lists(st.integers(1, 60), max_size=12))
def test_a_curve_that_grows_is_thinned_as_if_it_had_come_at_once(values: list[float], pieces: list[int]) -> None:
    points, grown, parts = _points(values), Thinning(BUCKETS), []
    for end in [*np.minimum(np.cumsum(pieces), len(points)), len(points)]:
        parts += [found for found in [grown.update(points[: int(end)])] if found is not None]
    assert np.array_equal(_joined(parts), _joined([(0, thin(points, BUCKETS))]), equal_nan=True)


@given(VALUES)
def test_ends_and_extremes_are_kept_in_few_rows_that_stand_for_all_points(values: list[float]) -> None:
    points = _points(values)
    rows = thin(points, BUCKETS)
    assert len(rows) <= KEPT * (BUCKETS + 1)
    assert (np.diff(rows.steps) > 0).all()
    assert (rows.steps[0], rows.steps[-1]) == (1.0, len(points))
    finite = points[np.isfinite(points[:, 1]), 1].astype(np.float32)
    if len(finite):
        assert np.nanmax(rows.values) == finite.max()
        assert np.nanmin(rows.values) == finite.min()
    if rows.means is not None and rows.counts is not None:
        assert rows.counts.sum() == len(finite)
        total = float(np.nansum(rows.means.astype(float) * rows.counts))
        assert abs(total - finite.sum(dtype=float)) <= 1e-4 * max(1.0, float(np.abs(finite).sum()))


def test_all_points_are_rows_until_there_are_too_many() -> None:
    assert bucket_size(KEPT * BUCKETS, BUCKETS) == 1
    assert bucket_size(KEPT * BUCKETS + 1, BUCKETS) == 8
    rows = thin(_points([1.0, 5.0, 2.0]), BUCKETS)
    assert not rows.is_thinned
    assert rows.values.tolist() == [1.0, 5.0, 2.0]


def test_a_new_point_changes_the_last_bucket_alone() -> None:
    points = _points(np.random.default_rng(0).random(5_000).tolist())
    thinned = Thinning(100)
    first = thinned.update(points[:4_000])
    assert first is not None
    found = thinned.update(points[:4_001])
    assert found is not None
    keep, rows = found
    assert keep > 0.9 * len(first[1])
    assert len(rows) <= 2 * KEPT
    assert thinned.update(points[:4_001]) is None


def test_points_that_a_resumed_run_logs_again_replace_the_old_ones() -> None:
    before, after = _points([1.0, 2.0, 3.0, 4.0]), _points([1.0, 2.0, 9.0, 9.0, 9.0])
    thinned = Thinning(BUCKETS)
    parts = [thinned.update(before), thinned.update(after)]
    assert parts[1] is not None
    assert parts[1][0] == 0
    assert _joined([part for part in parts if part])[:, 1].tolist() == [1.0, 2.0, 9.0, 9.0, 9.0]
    shorter = thinned.update(before[:2])
    assert shorter is not None
    assert _joined([shorter])[:, 1].tolist() == [1.0, 2.0]


def test_a_curve_that_is_emptied_is_sent_empty_once() -> None:
    thinned = Thinning(BUCKETS)
    assert thinned.update(np.empty((0, 3))) is None
    thinned.update(_points([1.0, 2.0]))
    found = thinned.update(np.empty((0, 3)))
    assert found is not None
    assert (found[0], len(found[1])) == (0, 0)
    assert thinned.update(np.empty((0, 3))) is None


def test_steps_out_of_order_come_in_order() -> None:
    points = np.array([[1.0, 1.0], [5.0, 5.0], [3.0, 3.0]])
    found = Thinning(BUCKETS).update(points)
    assert found is not None
    assert found[1].steps.tolist() == [1.0, 3.0, 5.0]
    thinned = Thinning(BUCKETS)
    thinned.update(points[:2])
    later = thinned.update(points)
    assert later is not None
    assert later[0] == 0
    assert later[1].steps.tolist() == [1.0, 3.0, 5.0]


def test_numbers_beyond_float32_are_gaps_and_no_warnings() -> None:
    rows = thin(_points([1e300, -1e300, float("inf"), 1.0] * 40), BUCKETS)
    assert np.isfinite(rows.values).any()
    assert rows.buffer()


def test_the_buffer_holds_the_columns_one_after_the_other() -> None:
    rows = Rows(np.array([1.0, 2.0]), np.array([3.0, 4.0], np.float32))
    assert rows.buffer() == np.array([1.0, 2.0], "<f8").tobytes() + np.array([3.0, 4.0], "<f4").tobytes()
    wide = Rows(rows.steps, rows.values, rows.values, rows.values)
    assert len(wide.buffer()) == 2 * (8 + 3 * 4)
