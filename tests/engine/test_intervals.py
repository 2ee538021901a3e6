"""Intervals hold what is true as often as they say, by simulation; p-values are as small as they say by chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tunebook.chance import clearest_gap
from tunebook.comparison import Comparison
from tunebook.group_cells import GroupCells
from tunebook.groups import Groups
from tunebook.intervals import centred, error_interval, gap_interval, gap_size, wilson
from tunebook.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_wilsons_interval_has_its_known_values() -> None:
    low, high = wilson(np.array([8.0, 0.0, 10.0, 0.0]), np.array([10.0, 10.0, 10.0, 0.0]))
    assert low[:3] == pytest.approx([0.4902, 0.0, 0.7225], abs=1e-4)
    assert high[:3] == pytest.approx([0.9433, 0.2775, 1.0], abs=1e-4)
    assert math.isnan(low[3])
    assert math.isnan(high[3])


def _comparison(rng: np.random.Generator, sizes: Sequence[int], accuracy: Sequence[float], classes: int) -> Comparison:
    """Return a comparison of groups in which the model is right as often as is given, wrong at random."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    truth = rng.integers(0, classes, len(codes))
    right = rng.random(len(codes)) < np.array(accuracy)[codes]
    said = np.where(right, truth, (truth + rng.integers(1, classes, len(codes))) % classes)
    groups = Groups("g", tuple(f"g{k}" for k in range(len(sizes))), codes)
    outcomes = Outcomes(tuple(map(str, range(classes))), ("tuned",), np.arange(len(codes)), truth, (said,), ())
    return Comparison(groups, outcomes, outcomes.rows, draws=300, seed=int(rng.integers(0, 2**31)))


def _coverage(repeats: int, sizes: Sequence[int], accuracy: Sequence[float], classes: int = 3) -> dict[str, float]:
    """Return how often intervals hold what is true: of shares, of macro-F1 (here the accuracy), and of the gap."""
    rng = np.random.default_rng(0)
    true_gap = max(accuracy) - min(accuracy)
    hits = dict.fromkeys(("accuracy", "macro_f1", "gap"), 0.0)
    for _ in range(repeats):
        comparison = _comparison(rng, sizes, accuracy, classes)
        low, high = comparison.intervals
        for name in ("accuracy", "macro_f1"):
            column = comparison.column(name)
            inside = (low[0, :, column] <= accuracy) & (np.array(accuracy) <= high[0, :, column])
            hits[name] += float(inside.mean()) / repeats
        gap = comparison.gap("accuracy")
        hits["gap"] += (gap.low <= true_gap <= gap.high) / repeats
    return hits


def test_intervals_hold_what_is_true() -> None:
    found = _coverage(150, [60, 90, 120], [0.85, 0.8, 0.7])
    assert found["accuracy"] == pytest.approx(0.95, abs=0.03)
    assert found["macro_f1"] == pytest.approx(0.95, abs=0.035)
    assert found["gap"] == pytest.approx(0.95, abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize(
    ("sizes", "accuracy"),
    [
        ([60, 90], [0.85, 0.75]),
        ([60, 90, 120], [0.85, 0.8, 0.7]),
        ([200] * 5, [0.9, 0.86, 0.82, 0.78, 0.74]),
        ([90] * 5, [0.9, 0.9, 0.9, 0.9, 0.75]),
        ([400, 40, 40], [0.8, 0.7, 0.85]),
    ],
)
def test_coverage_is_95_percent_within_2(sizes: list[int], accuracy: list[float]) -> None:
    found = _coverage(2_000, sizes, accuracy)
    assert found["accuracy"] == pytest.approx(0.95, abs=0.02)
    assert found["macro_f1"] == pytest.approx(0.95, abs=0.02)
    assert found["gap"] == pytest.approx(0.95, abs=0.025)


def test_without_a_gap_p_is_below_5_percent_in_5_percent_and_the_interval_begins_at_0() -> None:
    rng = np.random.default_rng(1)
    gaps = [_comparison(rng, [40, 80, 160], [0.8] * 3, 3).gap("accuracy") for _ in range(200)]
    assert np.mean([gap.p < 0.05 for gap in gaps]) == pytest.approx(0.05, abs=0.035)
    assert np.mean([gap.low == 0.0 for gap in gaps]) > 0.9


def test_a_small_group_does_not_hide_what_is_plain_between_large_ones() -> None:
    rng = np.random.default_rng(2)
    gap = _comparison(rng, [1000, 1000, 30], [0.9, 0.82, 0.86], 2).gap("accuracy")
    assert gap.p < 0.01
    assert gap.clearest is not None
    assert (gap.clearest.lowest, gap.clearest.highest) == ("g1", "g0")
    assert 0.02 < gap.low <= gap.difference <= gap.high


def test_a_gap_is_over_the_worst_metric_and_the_groups_that_take_part() -> None:
    values = np.array([[0.5, 0.2], [0.7, np.nan], [np.nan, 0.9]])
    assert gap_size(values) == pytest.approx(0.7)
    assert math.isnan(gap_size(np.array([[0.5], [np.nan]])))
    assert gap_interval(np.array([[0.5], [np.nan]]), np.zeros((5, 2, 1))) == pytest.approx(
        (np.nan, np.nan), nan_ok=True
    )


def test_where_nothing_varies_nothing_is_unlikely() -> None:
    found = clearest_gap(np.array([[1.0], [1.0]]), np.ones((200, 2, 1)))
    assert found.p == 1.0
    assert gap_interval(np.array([[1.0], [1.0]]), np.ones((200, 2, 1))) == (0.0, 0.0)


def test_a_permutation_that_leaves_a_rate_undefined_is_no_error() -> None:
    permuted = np.random.default_rng(0).random((200, 3, 1))
    permuted[:50, 0] = np.nan
    permuted[:, 2] = np.nan
    found = clearest_gap(np.array([[0.1], [0.9], [0.4]]), permuted)
    assert 0.0 < found.p <= 1.0


def test_an_interval_from_draws_is_centred_on_what_was_seen() -> None:
    draws = np.random.default_rng(0).normal(0.3, 0.1, (4000, 2))
    draws[0, 0] = np.nan
    low, high = centred(np.array([0.5, 0.6]), draws)
    assert low == pytest.approx([0.304, 0.404], abs=0.02)
    assert high == pytest.approx([0.696, 0.796], abs=0.02)


def test_a_perfectly_calibrated_model_may_have_no_calibration_error() -> None:
    """Plain quantiles of the draws would never hold 0, which is the truth here."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        sure = rng.uniform(0.5, 1.0, 80)
        place = (sure * 15).astype(int)
        right = rng.random(80) < sure
        gaps = np.bincount(place, weights=sure - right, minlength=15) / 80
        cells = GroupCells(np.bincount(2 * place + right, minlength=30)[None], np.zeros((30, 0), np.int64))
        mean = np.bincount(place, weights=sure, minlength=15) / np.maximum(np.bincount(place, minlength=15), 1)
        drawn = next(cells.resample(300, rng)).reshape(300, 15, 2)
        low, _ = error_interval(gaps, (drawn.sum(axis=2) * mean - drawn[:, :, 1]) / 80)
        held += low == 0.0
    assert held > 50


def test_the_change_of_a_gap_is_paired() -> None:
    """Two models that say the same have no change, whatever the gap: only pairing can tell."""
    rng = np.random.default_rng(4)
    single = _comparison(rng, [100, 100], [0.9, 0.7], 2)
    outcomes = single.outcomes
    both = Outcomes(
        outcomes.classes, ("baseline", "tuned"), outcomes.rows, outcomes.truth, outcomes.predicted * 2, (), 0
    )
    change = Comparison(single.groups, both, both.rows, draws=300).change("accuracy")
    assert change is not None
    assert (change.change, change.low, change.high) == (0.0, 0.0, 0.0)
    assert single.change("accuracy") is None
    assert pd.isna(single.gap("calibration_error").difference)
