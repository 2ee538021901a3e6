"""Metrics: known values, and None for what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.metrics import calibration_error, measure, reliability, standard_error


def _scores(predictions: list[int], classes: int, confidence: float = 0.9) -> np.ndarray:
    rest = (1.0 - confidence) / (classes - 1)
    scores = np.full((len(predictions), classes), rest, np.float32)
    scores[np.arange(len(predictions)), predictions] = confidence
    return scores


def test_metrics_have_their_known_values() -> None:
    truth = np.array([0, 0, 0, 1])
    found = measure(_scores([0, 0, 1, 1], 3), truth, ["a", "b", "never"])
    assert found["accuracy"] == 0.75
    assert found["recall"] == {"a": pytest.approx(2 / 3), "b": 1.0, "never": None}
    # F1 of a is 0.8, of b 2/3; the class that never occurs has none.
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert found["loss"] == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4, rel=1e-5)
    assert found["ece"] == pytest.approx(abs(0.9 - 0.75), abs=1e-6)


def test_a_certain_mistake_has_a_finite_loss() -> None:
    assert np.isfinite(measure(np.array([[1.0, 0.0]]), np.array([1]), ["a", "b"])["loss"])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0.4, 1.0)), min_size=1, max_size=40))
def test_metrics_stay_in_their_bounds(rows: list[tuple[int, int, float]]) -> None:
    truth = np.array([row[0] for row in rows])
    scores = np.concatenate([_scores([row[1]], 3, row[2]) for row in rows])
    found = measure(scores, truth, ["a", "b", "c"])
    assert found["accuracy"] == pytest.approx(np.mean([row[0] == row[1] for row in rows]))
    assert 0.0 <= found["macro_f1"] <= 1.0
    assert 0.0 <= calibration_error(scores, truth) <= 1.0
    assert np.array(found["confusion"]).sum() == len(rows)
    assert reliability(scores, truth)[:, 2].sum() == pytest.approx(1.0)


def test_the_standard_error_of_a_perfect_score_is_not_zero() -> None:
    assert standard_error(1.0, 100) > 0.0
    assert standard_error(0.5, 100) == pytest.approx(0.05)


def test_several_classes_an_example_have_their_known_values() -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.2, 0.1], [0.8, 0.4, 0.1], [0.1, 0.1, 0.1], [0.1, 0.9, 0.1]])
    found = measure(scores, truth, ["a", "b", "never"])
    assert found["accuracy"] == 0.75  # all classes of an example, or it is wrong
    assert found["recall"] == {"a": 1.0, "b": 0.5, "never": None}
    assert found["support"] == {"a": 2, "b": 2, "never": 0}
    assert found["macro_f1"] == pytest.approx((1.0 + 2 / 3) / 2)
    assert found["confusion"][1] == [[2, 0], [1, 1]]
    right = np.where(truth == 1, scores, 1 - scores)
    assert found["loss"] == pytest.approx(-np.log(right).mean())
    assert 0.0 < found["ece"] < 0.5
