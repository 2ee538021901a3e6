"""Metrics: known values, and None for what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.metrics import calibration_error, measure, one_against_rest, reliability, standard_error


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


def test_a_class_of_all_or_of_no_examples_has_no_area_precision_or_specificity() -> None:
    found = measure(_scores([0, 1, 0], 3), np.array([0, 1, 1]), ["a", "b", "never"])
    assert found["by_class"]["roc_auc"]["never"] is None
    assert found["by_class"]["average_precision"]["never"] is None
    assert found["by_class"]["specificity"] == {"a": 0.5, "b": 1.0, "never": 1.0}
    alike = measure(_scores([0, 1], 2), np.array([0, 0]), ["a", "b"])
    assert alike["roc_auc"] is alike["average_precision"] is None
    assert alike["by_class"]["specificity"] == {"a": None, "b": 0.5}
    assert alike["specificity"] == 0.5


def test_equal_scores_are_one_threshold() -> None:
    areas, precisions = one_against_rest(np.full((4, 2), 0.5), np.array([0, 1, 1, 1]))
    assert areas.tolist() == [0.5, 0.5]
    assert precisions.tolist() == [0.25, 0.75]


#: Few values, so that many scores are equal.
_PROBABILITY = st.integers(0, 8).map(lambda k: k / 8)


@st.composite
def _ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count, classes = draw(st.integers(1, 30)), draw(st.integers(2, 4))
    is_multi_label = draw(st.booleans())
    rows = draw(st.lists(st.lists(_PROBABILITY, min_size=classes, max_size=classes), min_size=count, max_size=count))
    several = st.lists(st.integers(0, 1), min_size=classes, max_size=classes)
    label = several if is_multi_label else st.integers(0, classes - 1)
    labels = draw(st.lists(label, min_size=count, max_size=count))
    return np.array(rows, np.float32), np.array(labels)


@given(_ranked())
def test_each_class_against_the_rest_is_as_scikit_learn_has_it(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

    scores, truth = drawn
    classes = [str(k) for k in range(scores.shape[1])]
    found = measure(scores, truth, classes)
    predicted = scores >= 0.5 if truth.ndim > 1 else scores.argmax(axis=1)
    wanted: dict[str, list[float]] = {"roc_auc": [], "average_precision": [], "specificity": []}
    for k, name in enumerate(classes):
        of = truth[:, k] if truth.ndim > 1 else (truth == k).astype(int)
        said = predicted[:, k] if truth.ndim > 1 else predicted == k
        if 0 < of.sum() < len(of):
            wanted["roc_auc"].append(roc_auc_score(of, scores[:, k]))
            wanted["average_precision"].append(average_precision_score(of, scores[:, k]))
            assert found["by_class"]["roc_auc"][name] == pytest.approx(wanted["roc_auc"][-1], abs=1e-12)
            assert found["by_class"]["average_precision"][name] == pytest.approx(wanted["average_precision"][-1])
        else:
            assert found["by_class"]["roc_auc"][name] is found["by_class"]["average_precision"][name] is None
        if of.sum() < len(of):
            # The recall of the other classes together.
            wanted["specificity"].append(recall_score(1 - of, ~said.astype(bool)))
            assert found["by_class"]["specificity"][name] == pytest.approx(wanted["specificity"][-1])
        else:
            assert found["by_class"]["specificity"][name] is None
    for metric, values in wanted.items():
        assert found[metric] == (pytest.approx(np.mean(values)) if values else None)
