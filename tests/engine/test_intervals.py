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


def _comparison(
    rng: np.random.Generator, sizes: Sequence[int], *models: Sequence[float], classes: int = 3, draws: int = 300
) -> Comparison:
    """
    Return a comparison of groups in which a model is right as often as is given, wrong at random.

    Of two models the second is mostly right where the first is, as one that was tuned is.
    """
    codes = np.repeat(np.arange(len(sizes)), sizes)
    truth = rng.integers(0, classes, len(codes))
    said = []
    common = rng.random(len(codes))
    for accuracy in models:
        chance = np.where(rng.random(len(codes)) < 0.5, common, rng.random(len(codes)))
        right = chance < np.array(accuracy)[codes]
        said.append(np.where(right, truth, (truth + rng.integers(1, classes, len(codes))) % classes))
    groups = Groups("g", tuple(f"g{k}" for k in range(len(sizes))), codes)
    names = ("baseline", "tuned")[-len(models) :]
    outcomes = Outcomes(tuple(map(str, range(classes))), names, np.arange(len(codes)), truth, tuple(said), ())
    return Comparison(groups, outcomes, outcomes.rows, draws=draws, seed=int(rng.integers(0, 2**31)))


def _coverage(repeats: int, sizes: Sequence[int], before: Sequence[float], after: Sequence[float]) -> dict[str, float]:
    """Return how often intervals hold what is true: of shares, of macro-F1 (here the accuracy), and of the gaps."""
    rng = np.random.default_rng(0)
    size, was = (max(accuracy) - min(accuracy) for accuracy in (after, before))
    truth = {"gap": size, "ratio": min(after) / max(after), "change": size - was}
    hits = dict.fromkeys(("accuracy", "macro_f1", *truth), 0.0)
    for _ in range(repeats):
        comparison = _comparison(rng, sizes, before, after)
        low, high = comparison.intervals
        for name in ("accuracy", "macro_f1"):
            column = comparison.column(name)
            inside = (low[1, :, column] <= after) & (np.array(after) <= high[1, :, column])
            hits[name] += float(inside.mean()) / repeats
        gap, change = comparison.gap("accuracy"), comparison.change("accuracy")
        assert change is not None
        seen = {
            "gap": (gap.low, gap.difference, gap.high),
            "ratio": (gap.ratio_low, gap.ratio, gap.ratio_high),
            "change": (change.low, change.change, change.high),
        }
        for name, (least, value, most) in seen.items():
            assert least - 1e-9 <= value <= most + 1e-9
            hits[name] += (least - 1e-9 <= truth[name] <= most + 1e-9) / repeats
    return hits


#: Sizes of groups, accuracy in each before and after tuning.
CASES = {
    "a gap that stays": ([100, 100], [0.8, 0.65], [0.85, 0.7]),
    "three groups": ([60, 90, 120], [0.6, 0.6, 0.5], [0.85, 0.8, 0.7]),
    "five groups, as in the demo": ([90] * 5, [0.52, 0.53, 0.59, 0.51, 0.49], [0.89, 0.93, 0.88, 0.83, 0.72]),
    "a gap that closes": ([200] * 5, [0.8, 0.8, 0.8, 0.8, 0.6], [0.85] * 5),
    "a gap that opens": ([90] * 5, [0.6] * 5, [0.9, 0.9, 0.9, 0.9, 0.75]),
    "small groups beside a large one": ([400, 40, 40], [0.7, 0.7, 0.75], [0.8, 0.7, 0.85]),
    "no gap": ([100, 100], [0.7, 0.7], [0.85, 0.85]),
}


def test_intervals_hold_what_is_true_and_what_was_seen() -> None:
    found = _coverage(100, *CASES["three groups"])
    assert found["accuracy"] == pytest.approx(0.95, abs=0.03)
    assert found["macro_f1"] == pytest.approx(0.95, abs=0.035)
    assert all(found[name] >= 0.88 for name in ("gap", "ratio", "change"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES)
def test_coverage_is_95_percent_within_2(case: str) -> None:
    found = _coverage(1_000, *CASES[case])
    print(f"{case}: {', '.join(f'{name} {share:.3f}' for name, share in found.items())}")
    # What 1,000 repeats leave open is added: a standard error is 0.007.
    assert found["accuracy"] == pytest.approx(0.95, abs=0.02)
    assert found["macro_f1"] == pytest.approx(0.95, abs=0.027)
    for name in ("gap", "ratio", "change"):
        assert found[name] > 0.93 - 0.007, name
        # A gap cannot be below 0: where there is none, an interval can miss it on one side only.
        assert found[name] < (0.97 if min(map(len, (set(CASES[case][1]), set(CASES[case][2])))) > 1 else 1.0) + 0.007


@pytest.mark.parametrize("accuracy", [[0.8, 0.8], [0.8, 0.8, 0.8, 0.8, 0.8]])
def test_a_gap_smaller_than_chance_makes_it_still_has_an_interval(accuracy: list[float]) -> None:
    """Groups that came out exactly alike may differ by what chance hides: the interval says by how much."""
    size, codes = 50, np.repeat(np.arange(len(accuracy)), 50)
    right = np.tile(np.arange(size) < 40, len(accuracy))
    groups = Groups("g", tuple(f"g{k}" for k in range(len(accuracy))), codes)
    truth = np.tile(np.arange(size) % 2, len(accuracy))
    said = np.where(right, truth, 1 - truth)
    outcomes = Outcomes(("0", "1"), ("tuned",), np.arange(len(codes)), truth, (said,), ())
    gap = Comparison(groups, outcomes, outcomes.rows, draws=300).gap("accuracy")
    assert (gap.difference, gap.low) == (0.0, 0.0)
    assert 0.1 < gap.high < 0.25  # of two groups of 50 at 0.8: 1.96 standard errors of 0.08 are 0.16
    assert gap.ratio_low < 0.9 < gap.ratio == gap.ratio_high


def test_without_a_gap_p_is_below_5_percent_in_5_percent_and_the_interval_begins_at_0() -> None:
    rng = np.random.default_rng(1)
    gaps = [_comparison(rng, [40, 80, 160], [0.8] * 3).gap("accuracy") for _ in range(200)]
    assert np.mean([gap.p < 0.05 for gap in gaps]) == pytest.approx(0.05, abs=0.035)
    assert np.mean([gap.low == 0.0 for gap in gaps]) > 0.9


def test_a_small_group_does_not_hide_what_is_plain_between_large_ones() -> None:
    rng = np.random.default_rng(2)
    gap = _comparison(rng, [1000, 1000, 30], [0.9, 0.82, 0.86], classes=2).gap("accuracy")
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
    single = _comparison(rng, [100, 100], [0.9, 0.7], classes=2)
    outcomes = single.outcomes
    both = Outcomes(
        outcomes.classes, ("baseline", "tuned"), outcomes.rows, outcomes.truth, outcomes.predicted * 2, (), 0
    )
    change = Comparison(single.groups, both, both.rows, draws=300).change("accuracy")
    assert change is not None
    assert (change.change, change.low, change.high) == (0.0, 0.0, 0.0)
    assert single.change("accuracy") is None
    assert pd.isna(single.gap("calibration_error").difference)
