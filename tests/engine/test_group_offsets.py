"""Calibration by group finds what is wrong with a group's scores, and offsets close gaps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunebook.errors import StorageError
from tunebook.group_offsets import Offsets, fit_calibration, fit_offsets
from tunebook.metrics import negative_log_likelihood
from tunebook.remedy_choice import GroupFigures


def make_scores(count: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make scores of three classes that shrink from the third class in group 1, and are too sure there."""
    rng = np.random.default_rng(seed)
    truth, codes = rng.integers(0, 3, count), rng.integers(0, 2, count)
    logits = 1.6 * np.eye(3)[truth] + rng.normal(0, 1.0, (count, 3))
    skewed = 2.0 * (logits - np.array([0.0, 0.0, 1.5]))
    logits = np.where(codes[:, None] == 1, skewed, logits)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True), truth, codes


def test_calibration_takes_back_what_was_done_to_a_group() -> None:
    scores, truth, codes = make_scores()
    rule = fit_calibration(scores, truth, codes, 2, 20)
    assert rule.temperatures[1] / rule.temperatures[0] == pytest.approx(2.0, rel=0.25)
    assert rule.offsets[1, 2] - rule.offsets[1, :2].mean() > 1.0
    inside = codes == 1
    before = negative_log_likelihood(scores[inside], truth[inside])
    after = negative_log_likelihood(rule.scores(scores, codes)[inside], truth[inside])
    assert after < before - 0.2


def test_offsets_close_the_gap_in_accuracy_on_examples_that_they_have_not_seen() -> None:
    scores, truth, codes = make_scores(3000)
    figures = GroupFigures(3, "accuracy", -1, np.ones(2, bool))
    start = Offsets(np.ones(2), np.zeros((2, 3)))
    rule = fit_offsets(start, scores, truth, codes, figures, 1.0)
    fresh, its_truth, its_codes = make_scores(3000, seed=1)
    accuracy, gap = figures.judge(fresh.argmax(axis=1), its_truth, its_codes)
    better, smaller = figures.judge(rule.predict(fresh, its_codes), its_truth, its_codes)
    assert gap > 0.08
    assert smaller < gap / 2
    assert better > accuracy
    assert not start.offsets.any()


@pytest.mark.parametrize("gap", ["demographic_parity", "equalized_odds", "equal_opportunity", "macro_f1"])
def test_the_search_never_ends_worse_than_it_began(gap: str) -> None:
    scores, truth, codes = make_scores(400)
    figures = GroupFigures(3, gap, -1, np.ones(2, bool))
    start = fit_calibration(scores, truth, codes, 2, 20)
    found = fit_offsets(start, scores, truth, codes, figures, 2.0)
    was, now = (figures.judge(rule.predict(scores, codes), truth, codes) for rule in (start, found))
    assert now[0] - 2.0 * now[1] >= was[0] - 2.0 * was[1]


def test_small_and_unknown_groups_stay_as_they_are() -> None:
    scores, truth, codes = make_scores(300)
    codes[:10] = 2
    rule = fit_calibration(scores, truth, codes, 3, 20)
    assert rule.temperatures[2] == 1.0
    assert not rule.offsets[2].any()
    unknown = np.full(len(scores), -1)
    assert rule.scores(scores, unknown) == pytest.approx(scores, abs=1e-5)
    assert (rule.predict(scores, unknown) == scores.argmax(axis=1)).all()


def test_a_group_of_one_class_gets_finite_numbers() -> None:
    scores, truth, codes = make_scores(300)
    truth[codes == 1] = 0
    rule = fit_calibration(scores, truth, codes, 2, 20)
    assert np.isfinite(rule.offsets).all()
    assert (rule.temperatures > 0).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 5.0))
def test_scores_stay_probabilities_and_agree_with_predictions(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    scores, codes = rng.dirichlet(np.ones(4), 20), rng.integers(-1, 3, 20)
    rule = Offsets(np.exp(rng.normal(0, 0.5, 3)), scale * rng.normal(size=(3, 4)))
    found = rule.scores(scores, codes)
    assert found.sum(axis=1) == pytest.approx(np.ones(20))
    assert (found.argmax(axis=1) == rule.predict(scores, codes)).all()


def test_json_gives_the_same_rule_and_damage_is_refused() -> None:
    scores, truth, codes = make_scores(300)
    rule = fit_calibration(scores, truth, codes, 2, 20)
    again = Offsets.from_json(json.loads(json.dumps(rule.to_json(), allow_nan=False)))
    assert (again.predict(scores, codes) == rule.predict(scores, codes)).all()
    good = rule.to_json()
    for broken in ({}, good | {"temperatures": [1.0]}, good | {"temperatures": [0.0, 1.0]}, good | {"offsets": ["x"]}):
        with pytest.raises(StorageError, match="offsets are damaged"):
            Offsets.from_json(broken)
