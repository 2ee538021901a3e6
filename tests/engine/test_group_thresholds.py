"""Thresholds by group decide as Fairlearn's own object does, and what is left to chance is the same every time."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from tunebook.errors import DataError, StorageError
from tunebook.group_thresholds import CONSTRAINTS, Threshold, Thresholds, fit_thresholds


def make_scores(count: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make scores of which those of group 1 are too low for the positive class."""
    rng = np.random.default_rng(seed)
    truth, codes = rng.integers(0, 2, count), rng.integers(0, 2, count)
    logits = 1.5 * (2 * truth - 1) - 1.2 * codes + rng.normal(0, 1.2, count)
    positive = 1.0 / (1.0 + np.exp(-logits))
    return np.stack([1.0 - positive, positive], axis=1).astype(np.float32).astype(np.float64), truth, codes


@pytest.mark.parametrize("gap", sorted(CONSTRAINTS))
def test_chances_are_those_of_fairlearn(gap: str) -> None:
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.dummy import DummyClassifier

    scores, truth, codes = make_scores()

    class Given(DummyClassifier):  # type: ignore[misc]
        def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
            return np.stack([1.0 - X[:, 0], X[:, 0]], axis=1)

    column = scores[:, 1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ThresholdOptimizer(
            estimator=Given().fit(column, truth),
            constraints=CONSTRAINTS[gap],
            prefit=True,
            predict_method="predict_proba",
        ).fit(column, truth, sensitive_features=codes)
        wanted = theirs._pmf_predict(column, sensitive_features=codes)[:, 1]
    ours, left = fit_thresholds(scores, truth, codes, 2, positive=1, gap=gap, minimum=20)
    assert left == []
    assert ours.scores(scores, codes)[:, 1] == pytest.approx(wanted)


def test_the_gap_in_true_positive_rates_closes() -> None:
    scores, truth, codes = make_scores(4000)
    rule, _ = fit_thresholds(scores, truth, codes, 2, positive=1, gap="equal_opportunity", minimum=20)

    def gap(said: np.ndarray) -> float:
        rates = [said[(codes == k) & (truth == 1)].mean() for k in (0, 1)]
        return abs(rates[0] - rates[1])

    assert gap(scores.argmax(axis=1)) > 0.2
    assert gap(rule.predict(scores, codes)) < 0.05


def test_the_positive_class_may_be_the_first() -> None:
    scores, truth, codes = make_scores()
    one, _ = fit_thresholds(scores, truth, codes, 2, positive=1, gap="demographic_parity", minimum=20)
    two, _ = fit_thresholds(scores[:, ::-1], 1 - truth, codes, 2, positive=0, gap="demographic_parity", minimum=20)
    assert two.scores(scores[:, ::-1], codes)[:, ::-1] == pytest.approx(one.scores(scores, codes))


def test_the_same_example_gets_the_same_answer_in_any_company() -> None:
    scores, _, codes = make_scores()
    rule = Thresholds(1, (Threshold(0.2, first_weight=0.5, second=0.8, second_weight=0.5),) * 2)
    whole = rule.predict(scores, codes)
    order = np.random.default_rng(1).permutation(len(scores))[:50]
    assert (rule.predict(scores[order], codes[order]) == whole[order]).all()
    between = (scores[:, 1] > 0.2) & (scores[:, 1] < 0.8)
    assert 0.4 < whole[between].mean() < 0.6


def test_unknown_groups_and_those_that_were_left_out_keep_the_more_likely_class() -> None:
    scores, _, codes = make_scores(50)
    rule = Thresholds(1, (None, Threshold(2.0)))
    plain = scores.argmax(axis=1)
    assert (rule.predict(scores, np.full(50, -1)) == plain).all()
    assert (rule.predict(scores, codes) == np.where(codes == 0, plain, 0)).all()


def test_groups_too_small_or_of_one_class_are_left_out() -> None:
    scores, truth, codes = make_scores()
    codes = codes.copy()
    codes[:5] = 2
    codes[5:60] = 3
    truth = np.where(codes == 3, 1, truth)
    rule, left = fit_thresholds(scores, truth, codes, 4, positive=1, gap="accuracy", minimum=20)
    assert left == [2, 3]
    assert [one is None for one in rule.groups] == [False, False, True, True]
    with pytest.raises(DataError, match="fewer than two groups"):
        fit_thresholds(scores, truth, np.zeros(len(truth), int), 1, positive=1, gap="accuracy", minimum=20)


def test_json_keeps_every_bit_and_damage_is_refused() -> None:
    scores, truth, codes = make_scores()
    rule, _ = fit_thresholds(scores, truth, codes, 2, positive=1, gap="accuracy", minimum=20)
    found = json.loads(json.dumps(rule.to_json(), allow_nan=False))
    assert Thresholds.from_json(found) == rule
    for broken in ({}, {"positive": 1, "groups": [{}]}, {"positive": "x", "groups": []}):
        with pytest.raises(StorageError, match="thresholds are damaged"):
            Thresholds.from_json(broken)
    found["groups"][0]["first"] = float("nan")
    with pytest.raises(StorageError, match="not finite"):
        Thresholds.from_json(found)
