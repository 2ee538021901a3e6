"""Values of a recipe in a person's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.recipe_words import all_in_words, in_words
from tunebook.tasks import TASKS, recipe_class


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("freeze", -3, "all but the last 3 stages"),
        ("freeze", 1, "the first stage"),
        ("freeze", 0, "nothing: every layer trains"),
        ("freeze", "none", "nothing: every layer trains"),
        ("freeze", "backbone", "the whole backbone: only the head trains"),
        ("freeze", ["blocks.0*", "stem"], "layers that match blocks.0*, stem"),
        ("unfreeze", [], "never"),
        ("unfreeze", [[1, -3], [4, "none"]],
         "from epoch 1 frozen: all but the last 3 stages; from epoch 4 frozen: nothing: every layer trains"),
        ("sensitive", None, "none: quality is not compared between groups"),
        ("sensitive", ["age", "region"], "age, region"),
        ("inner_dropout", None, "the model's own"),
        ("stochastic_depth", None, "the model's own"),
        ("dropout", 0.25, "0.25"),
        ("dropout", 0.0, "0"),
        ("patience", 0, "never"),
        ("max_examples", 0, "all"),
        ("onnx", True, "yes"),
        ("multi_label", False, "no"),
        ("class_weights", {"cat": 1.5, "dog": 1}, "cat: 1.5, dog: 1"),
        ("lr", 0.00030000000000000003, "0.00030000000000000003"),
    ],
)  # fmt: skip
def test_value_is_said_as_a_person_says_it(name: str, value: Any, words: str) -> None:
    assert in_words(name, value) == words


def test_sensitive_attributes_of_the_demo_are_its_own() -> None:
    assert in_words("sensitive", None, {"data": "demo"}) == "those that the demo declares"


@pytest.mark.parametrize("task", TASKS)
def test_no_default_is_left_as_none_or_empty(task: str) -> None:
    for name, words in all_in_words(recipe_class(task)().model_dump(mode="json")).items():
        assert words, name
        assert words not in {"None", "[]", "-3"}, name


@given(
    st.sampled_from(["freeze", "unfreeze", "sensitive", "lr"]),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)),
)
def test_any_value_of_a_damaged_recipe_has_words(name: str, value: Any) -> None:
    assert isinstance(in_words(name, value), str)
