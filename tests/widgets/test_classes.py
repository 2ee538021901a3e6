"""The class table: counts, weights and what the loss will see."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import RecipeError
from tunebook_widgets.classes import ClassTable

sys.path.insert(0, str(Path(__file__).parent))
from panel_parts import small_examples, small_recipe

TABLE = ClassTable(small_examples())


def test_counts_are_by_split_in_the_order_of_the_classes() -> None:
    columns = TABLE.columns()
    assert columns["names"] == ["ape", "bee", "cat"]
    assert columns["counts"] == {"train": [8, 4, 2], "validation": [1, 1, 1], "test": [1, 1, 1]}


def test_balanced_classes_share_the_loss_equally() -> None:
    for parameter in ("class_weights", "sampler"):
        np.testing.assert_allclose(TABLE.shares(small_recipe(**{parameter: "balanced"})), 1 / 3)
    np.testing.assert_allclose(TABLE.shares(small_recipe()), np.array([8, 4, 2]) / 14)


def test_both_weights_multiply() -> None:
    recipe = small_recipe(sampler="balanced", class_weights={"cat": 2.0})
    np.testing.assert_allclose(TABLE.shares(recipe), [0.25, 0.25, 0.5])


def test_by_hand_begins_with_the_weights_in_force() -> None:
    recipe = small_recipe(class_weights="balanced")
    value = TABLE.chosen(recipe, "class_weights", "by hand")["class_weights"]
    np.testing.assert_allclose(list(value.values()), TABLE.weights(recipe, "class_weights"), atol=0.001)
    changed = TABLE.weighted(recipe, "class_weights", {1: 5.0})["class_weights"]
    assert changed == {**value, "bee": 5.0}
    assert TABLE.strategy(recipe.changed(class_weights=changed), "class_weights") == "by hand"


@pytest.mark.parametrize("number", [-1, 3])
def test_a_class_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(RecipeError, match="no class"):
        TABLE.weighted(small_recipe(), "class_weights", {number: 1.0})


def test_an_unknown_strategy_or_parameter_is_refused() -> None:
    with pytest.raises(RecipeError, match="no strategy"):
        TABLE.chosen(small_recipe(), "class_weights", "random")
    with pytest.raises(RecipeError, match="lr"):
        TABLE.chosen(small_recipe(), "lr", "none")


@given(st.lists(st.floats(0.0, 100.0), min_size=3, max_size=3))
def test_shares_add_up_to_one_wherever_something_counts(weights: list[float]) -> None:
    recipe = small_recipe(class_weights=dict(zip(TABLE.classes, weights, strict=True)))
    if any(weights):
        shares = TABLE.shares(recipe)
        assert shares.sum() == pytest.approx(1.0)
        assert (shares >= 0).all()
        assert TABLE.state(recipe)["words"].endswith(".")
    else:
        with pytest.raises(RecipeError, match="weight 0"):
            TABLE.check(recipe)
