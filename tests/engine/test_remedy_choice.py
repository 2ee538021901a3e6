"""Figures are those of the bias engine, and what is chosen is fair, near the best, and not judged by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunebook.bias import BiasReport, Settings
from tunebook.comparison import GAPS
from tunebook.remedy_choice import FOLDS, GroupFigures, choose, cross_predict, make_folds, weigh


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 4),
    gap=st.sampled_from(sorted(set(GAPS) - {"calibration_error"})),
)
def test_gaps_are_those_of_the_bias_report(seed: int, classes: int, gap: str) -> None:
    rng = np.random.default_rng(seed)
    truth, said, codes = rng.integers(0, classes, 200), rng.integers(0, classes, 200), rng.integers(0, 3, 200)
    names = [f"c{k}" for k in range(classes)]
    report = BiasReport(
        pd.DataFrame({
            "model": "tuned", "id": [str(k) for k in range(200)], "split": "test",
            "truth": [names[k] for k in truth], "prediction": [names[k] for k in said],
            "group_g": [f"g{k}" for k in codes],
        }),
        names, settings=Settings(minimum=20, draws=200),
    )  # fmt: skip
    positive = names.index(report.positive) if report.positive else -1
    large = np.bincount(codes, minlength=3) >= 20
    accuracy, found = GroupFigures(classes, gap, positive, large).judge(said, truth, codes)
    assert accuracy == pytest.approx((said == truth).mean())
    assert found == pytest.approx(report.gap("g", gap).difference, nan_ok=True)


def test_the_smallest_gap_within_a_standard_error_is_chosen() -> None:
    # One standard error of 0.8 on 400 examples is 0.025 (with the floor of 0.25 / n).
    assert choose([0.80, 0.79, 0.60], [0.10, 0.05, 0.0], 400) == 1
    assert choose([0.80, 0.79, 0.65], [0.10, 0.05, 0.0], 4) == 2
    assert choose([0.80, 0.80], [0.05, 0.05], 400) == 0
    assert choose([0.79, 0.80], [0.05, 0.05], 400) == 1


def test_a_gap_that_is_undefined_comes_last_and_the_model_as_it_is_sets_a_floor() -> None:
    assert choose([0.80, 0.80], [np.nan, 0.3], 400) == 1
    assert weigh([0.9, 0.8, 0.9], [0.3, 0.1, np.nan]) == 1
    assert choose([0.70, 0.60], [0.2, 0.0], 400, least=0.9) == 0


def test_folds_share_out_groups_and_classes_and_no_example_judges_itself() -> None:
    truth, codes = np.tile([0, 1], 100), np.repeat([0, 1], 100)
    folds = make_folds(truth, codes, 0)
    for code in (0, 1):
        counts = np.bincount(folds[codes == code], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    seen: list[set[int]] = []

    def predict(rows: np.ndarray, left: np.ndarray) -> np.ndarray:
        assert not set(rows) & set(left)
        seen.append(set(left.tolist()))
        return left

    assert (cross_predict(folds, predict) == np.arange(200)).all()
    assert set().union(*seen) == set(range(200))
