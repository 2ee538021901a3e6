"""Gaps while a model trains are those of the report."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tunebook.examples import Examples
from tunebook.fairness import GapMeter, attributes


def test_attributes_are_the_columns_of_groups() -> None:
    assert attributes(pd.DataFrame(columns=["id", "group_tone", "group_age"])) == ["tone", "age"]


def test_a_gap_is_the_largest_difference_of_accuracy_between_groups_large_enough() -> None:
    meter = GapMeter({"tone": ["a"] * 10 + ["b"] * 10 + ["few"] * 3, "one": ["x"] * 23})
    assert meter.attributes == ("tone",)
    truth = np.zeros(23, int)
    said = np.array([0] * 9 + [1] + [0] * 6 + [1] * 4 + [1] * 3)
    assert meter.measure(said, truth) == {"tone": pytest.approx(0.3)}


def test_of_several_classes_all_must_be_right() -> None:
    meter = GapMeter({"tone": ["a", "b"] * 10}, minimum=5)
    truth = np.tile([1, 0], (20, 1))
    scores = np.tile([0.9, 0.1], (20, 1))
    scores[::2, 1] = 0.9
    assert meter.measure_scores(scores, truth) == {"tone": 1.0}


def test_scores_that_are_not_finite_have_no_gap() -> None:
    meter = GapMeter({"tone": ["a", "b"] * 10})
    found = meter.measure_scores(np.full((20, 2), np.nan), np.zeros(20, int))
    assert math.isnan(found["tone"])


def test_numbers_are_binned_and_what_is_missing_counts() -> None:
    frame = pd.DataFrame({"age": [str(k) for k in range(40)] + ["(missing)"] * 10, "split": "validation"})
    frame["id"], frame["content"], frame["label"] = [str(k) for k in range(50)], "x", "a"
    examples = Examples(frame, ("a", "b"), "made", ("age",))
    meter = GapMeter.of_examples(examples, examples.rows("validation"))
    said = np.array([0] * 40 + [1] * 10)
    assert meter.measure(said, examples.targets()) == {"age": 1.0}
