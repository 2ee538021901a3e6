"""Metrics of groups: equal to Fairlearn's MetricFrame on every shared metric, undefined cases included."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score

from tunebook.comparison import Comparison
from tunebook.groups import make_groups
from tunebook.metrics import calibration_error, measure
from tunebook.outcomes import read_outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

Row = tuple[int, int, str]
_BINARY = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("abc")), min_size=1, max_size=60)
_SEVERAL = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=60)


def _table(rows: list[Row], scores: np.ndarray | None = None) -> pd.DataFrame:
    truth, said, group = (list(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"model": "tuned", "id": range(len(rows)), "split": "test", "group_g": group})
    frame["truth"], frame["prediction"] = [f"c{t}" for t in truth], [f"c{s}" for s in said]
    if scores is not None:
        frame["confidence"], frame["scores"] = scores.max(axis=1), list(scores)
    return frame


def _compare(table: pd.DataFrame, classes: int, *, minimum: int = 1, **options: Any) -> Comparison:
    names = [f"c{k}" for k in range(classes)]
    multi_label = bool(options.pop("multi_label", False))
    outcomes = read_outcomes(table, "test", ["tuned"], names, multi_label=multi_label)
    groups = make_groups("g", table["group_g"])
    return Comparison(groups, outcomes, outcomes.rows, minimum=minimum, draws=200, **options)


def _frame(rows: list[Row], metrics: dict[str, Callable[..., float]], positive: int | None = None) -> pd.DataFrame:
    truth, said = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if positive is not None:
        truth, said = (truth == positive).astype(int), (said == positive).astype(int)
    return fairlearn.MetricFrame(
        metrics=metrics, y_true=truth, y_pred=said, sensitive_features=pd.Series([row[2] for row in rows], name="g")
    ).by_group


def _check(ours: np.ndarray, theirs: pd.Series, defined: np.ndarray) -> None:
    for value, other, is_defined in zip(ours, theirs, defined, strict=True):
        # Where there is nothing to divide by, Fairlearn and scikit-learn say 0; we say that it is undefined.
        assert value == pytest.approx(other) if is_defined else (math.isnan(value) and other in (0, 0.0))


@settings(deadline=None, max_examples=15)
@given(_SEVERAL, st.integers(0, 3))
def test_every_rate_of_a_class_equals_fairlearns(rows: list[Row], positive: int) -> None:
    comparison = _compare(_table(rows), 4)
    metrics: dict[str, Callable[..., float]] = {
        "accuracy": accuracy_score,
        "selection_rate": fairlearn.selection_rate,
        "true_positive_rate": lambda t, p: fairlearn.true_positive_rate(t, p, pos_label=1),
        "false_positive_rate": lambda t, p: fairlearn.false_positive_rate(t, p, pos_label=1),
        "precision": lambda t, p: precision_score(t, p, zero_division=0),
    }
    theirs = _frame(rows, metrics, positive)
    for name in list(metrics)[1:]:
        column = comparison.column(name, f"c{positive}")
        _check(comparison.figures[0, :, column], theirs[name], comparison.denominators[0, :, column] > 0)
    assert comparison.figures[0, :, 0] == pytest.approx(_frame(rows, {"accuracy": accuracy_score})["accuracy"])


@settings(deadline=None, max_examples=30)
@given(_SEVERAL)
def test_macro_f1_equals_scikit_learns_over_the_classes_that_occur(rows: list[Row]) -> None:
    theirs = _frame(rows, {"macro_f1": lambda t, p: f1_score(t, p, average="macro")})
    assert _compare(_table(rows), 4).figures[0, :, -2] == pytest.approx(theirs["macro_f1"])


@settings(deadline=None, max_examples=30)
@given(_BINARY)
def test_disparities_equal_fairlearns_where_all_groups_are_defined(rows: list[Row]) -> None:
    comparison = _compare(_table(rows), 2, positive="c1")
    comparison._fewest = 1
    comparison.counted = comparison._counted()
    if len(comparison.groups.names) < 2:
        assert math.isnan(comparison.gap("accuracy").difference)
        return
    truth, said, group = (np.array(column) for column in zip(*rows, strict=True))
    given_: dict[str, Any] = {"y_true": truth, "y_pred": said, "sensitive_features": group}
    parity = comparison.gap("demographic_parity", "c1")
    assert parity.difference == pytest.approx(fairlearn.demographic_parity_difference(**given_))
    ratio = fairlearn.demographic_parity_ratio(**given_)
    assert parity.ratio == pytest.approx(ratio) if said.any() else math.isnan(parity.ratio)
    rates = ("true_positive_rate", "false_positive_rate")
    places = {name: comparison.column(name, "c1") for name in rates}
    if all((comparison.denominators[0, :, place] > 0).all() for place in places.values()):
        odds = comparison.gap("equalized_odds", "c1")
        assert odds.difference == pytest.approx(fairlearn.equalized_odds_difference(**given_))
        if all(comparison.figures[0, :, place].max() > 0 for place in places.values()):  # 0 of 0 has no ratio
            assert odds.ratio == pytest.approx(fairlearn.equalized_odds_ratio(**given_))
        chance = comparison.gap("equal_opportunity", "c1")
        assert chance.difference == pytest.approx(fairlearn.equal_opportunity_difference(**given_))


def test_recall_of_a_group_without_positives_is_undefined_and_not_0() -> None:
    rows = [(1, 1, "a"), (0, 0, "a"), (0, 0, "b"), (0, 1, "b")]
    comparison = _compare(_table(rows), 2)
    recall = comparison.figures[0, :, comparison.column("true_positive_rate", "c1")]
    assert recall[0] == 1.0
    assert math.isnan(recall[1])
    assert not comparison.counted[0, 1, comparison.column("true_positive_rate", "c1")]


def test_small_groups_and_rates_of_few_are_kept_out_of_the_gaps() -> None:
    rows: list[Row] = [(k % 2, k % 2, "a") for k in range(30)] + [(k % 2, 0, "b") for k in range(40)]
    rows += [(0, 1, "few")] * 19
    comparison = _compare(_table(rows), 2, minimum=20, positive="c1")
    gap = comparison.gap("accuracy")
    assert gap.difference == pytest.approx(0.5)
    assert gap.groups == 2
    assert comparison.is_small.tolist() == [False, False, True]


@settings(deadline=None, max_examples=20)
@given(_SEVERAL, st.integers(0, 1000))
def test_calibration_error_of_a_group_is_that_of_its_rows(rows: list[Row], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(4), len(rows)).astype(np.float32)
    rows = [(t, int(s.argmax()), g) for (t, _, g), s in zip(rows, scores, strict=True)]
    comparison = _compare(_table(rows, scores), 4)
    for k, name in enumerate(comparison.groups.names):
        inside = np.array([row[2] == name for row in rows])
        truth = np.array([row[0] for row in rows])[inside]
        assert comparison.figures[0, k, -1] == pytest.approx(calibration_error(scores[inside], truth), abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from("ab")), min_size=1, max_size=40), st.integers(0, 1000))
def test_several_classes_an_example_equal_the_metrics_of_the_rows(rows: list[tuple[int, str]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random((len(rows), 3)).astype(np.float32)
    truth = np.array([[(t >> k) & 1 for k in range(3)] for t, _ in rows])
    names = np.array(["c0", "c1", "c2"])
    table = _table([(0, 0, g) for _, g in rows], scores)
    table["truth"] = ["|".join(names[row > 0]) for row in truth]
    table["prediction"] = ["|".join(names[row >= 0.5]) for row in scores]
    comparison = _compare(table, 3, multi_label=True)
    for k, name in enumerate(comparison.groups.names):
        inside = np.array([g == name for _, g in rows])
        found = measure(scores[inside], truth[inside], names.tolist())
        assert comparison.figures[0, k, 0] == pytest.approx(found["accuracy"])
        assert comparison.figures[0, k, -1] == pytest.approx(found["ece"], abs=1e-6)
        recall = [comparison.figures[0, k, comparison.column("true_positive_rate", c)] for c in names]
        assert [None if math.isnan(r) else r for r in recall] == [
            None if r is None else pytest.approx(r) for r in found["recall"].values()
        ]


def test_what_is_said_without_being_a_known_class_is_wrong_and_nothing_else() -> None:
    table = _table([(0, 0, "a"), (1, 1, "a")])
    table.loc[1, "prediction"] = "unheard of"
    comparison = _compare(table, 2)
    assert comparison.figures[0, 0, 0] == 0.5
    assert comparison.figures[0, 0, comparison.column("selection_rate", "c1")] == 0.0
