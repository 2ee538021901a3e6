"""The recipe refuses what it must, in one line that helps."""

from __future__ import annotations

import pytest

from tunebook.errors import RecipeError
from tunebook.tasks import recipe_class

RECIPE = recipe_class("image-classification")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lrr": 1}, "did you mean 'lr'?"),
        ({"lr": "a"}, "a number above 0 and at most 10"),
        ({"lr": float("nan")}, "must be finite"),
        ({"lr": 100.0}, "at most 10"),
        ({"epochs": True}, "whole number"),
        ({"__import__('os')": 1}, "unknown parameter"),
        ({"run": "../x"}, "parameter run"),
        ({"unfreeze": [[2, "none"], [1, 3]]}, "must rise"),
    ],
)
def test_bad_values_are_one_line(values: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        RECIPE(**values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("lr", "1e-3", 1e-3), ("unfreeze", "[[2,-2]]", [(2, -2)]), ("freeze", "6", 6), ("run", "2024", "2024")],
)
def test_text_settles_into_the_field_s_type(name: str, text: str, value: object) -> None:
    assert RECIPE.settle(name, text) == value
