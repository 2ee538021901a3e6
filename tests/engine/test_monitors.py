"""What may choose the best epoch: names, directions, curves, and what is refused."""

from __future__ import annotations

import math

import pytest

from tunebook import ImageClassification
from tunebook.errors import RecipeError
from tunebook.monitors import (
    GAP,
    LESS_IS_BETTER,
    WORDS,
    check_monitor,
    curve,
    is_better,
    larger_is_better,
    monitored,
    undefined,
    words,
)

METRICS = {
    "accuracy": 0.8, "macro_f1": 0.7, "roc_auc": 0.9, "average_precision": 0.6, "specificity": 0.85, "loss": 0.5,
    "ece": 0.1, "gaps": {"tone": 0.1, "age": 0.3},
}  # fmt: skip


def test_what_chooses_the_best_epoch_grows_as_the_model_gets_better() -> None:
    found = [monitored(METRICS, name) for name in (*WORDS, GAP, "gap:tone")]
    assert found == [0.8, 0.7, 0.9, 0.6, 0.85, -0.5, -0.1, -0.3, -0.1]


@pytest.mark.parametrize("name", [*WORDS, GAP, "gap:tone"])
def test_what_is_undefined_is_the_worst(name: str) -> None:
    nothing = dict.fromkeys(WORDS) | {"gaps": {"tone": None}}
    assert monitored(nothing, name) == -math.inf
    assert monitored({}, name) == -math.inf


def test_a_gap_of_which_one_attribute_is_undefined_is_undefined() -> None:
    assert monitored({"gaps": {"tone": 0.1, "age": None}}, GAP) == -math.inf


def test_of_losses_errors_and_gaps_less_is_better() -> None:
    assert {name for name in (*WORDS, GAP) if not larger_is_better(name)} == LESS_IS_BETTER
    assert not larger_is_better("gap:tone")


def test_each_has_a_curve_of_its_own_and_words() -> None:
    every = [*WORDS, GAP, "gap:tone"]
    assert len({curve(name) for name in every}) == len({words(name) for name in every}) == len(every)
    assert curve("roc_auc") == "roc_auc/validation"
    assert curve("gap:tone") == "gap/tone"


@pytest.mark.parametrize("name", [*WORDS, GAP, "gap:tone", "gap:a:b"])
def test_a_recipe_takes_each(name: str) -> None:
    assert ImageClassification(monitor=name).monitor == check_monitor(name) == name


@pytest.mark.parametrize(
    ("name", "near"), [("rocauc", "roc_auc"), ("macro-f1", "macro_f1"), ("gap:", "gap"), ("loss:tone", "loss")]
)
def test_another_is_refused_with_what_comes_nearest_and_what_is_allowed(name: str, near: str) -> None:
    with pytest.raises(RecipeError) as caught:
        ImageClassification(monitor=name)
    said = str(caught.value)
    assert f"did you mean '{near}'?" in said
    assert all(known in said for known in (*WORDS, "gap:attribute"))
    assert "\n" not in said


def test_of_equal_scores_the_smaller_loss_is_better() -> None:
    assert is_better(0.5, 9.0, {})
    assert is_better(0.5, 0.1, {"score": 0.5, "loss": 0.2})
    assert not is_better(0.5, 0.2, {"score": 0.5, "loss": 0.2})
    assert is_better(0.6, 9.0, {"score": 0.5, "loss": 0.2})


def test_a_metric_of_one_class_needs_others_to_compare_with() -> None:
    assert "ROC AUC" in undefined("roc_auc", [7, 0], 7)
    assert not undefined("roc_auc", [6, 1], 7)
    assert not undefined("accuracy", [7, 0], 7)
