"""The recipe refuses what it must, in one line that helps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunebook.errors import RecipeError
from tunebook.recipe import GROUPS
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


NUMBER = st.floats(0.0, 5.0, allow_subnormal=False)
FREEZE = st.one_of(st.sampled_from(["none", "backbone"]), st.integers(-5, 5), st.lists(st.text(max_size=8), max_size=3))
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "data": st.text(st.characters(codec="utf-8"), max_size=30),
        "model": st.text(st.characters(codec="utf-8"), max_size=30),
        "sensitive": st.none() | st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=3),
        "freeze": FREEZE,
        "unfreeze": st.lists(st.tuples(st.integers(1, 50), FREEZE), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: sorted(pairs, key=lambda pair: pair[0])
        ),
        "class_weights": st.sampled_from(["none", "balanced", "effective"])
        | st.dictionaries(st.text(max_size=8), NUMBER, max_size=3),
        "dropout": st.none() | st.floats(0.0, 0.99),
        "lr": st.floats(1e-12, 10.0),
        "epochs": st.integers(1, 100_000),
        "onnx": st.booleans(),
        "mixup": st.floats(0.0, 10.0),
    },
)


@given(VALUES)
def test_a_parameters_cell_gives_back_its_recipe(values: dict[str, Any]) -> None:
    recipe = RECIPE(**values)
    cell = RECIPE.parameters_cell(recipe.model_dump())
    namespace: dict[str, Any] = {}
    exec(cell, namespace)  # noqa: S102 - it is what a kernel does
    assert RECIPE.from_parameters(namespace) == recipe
    assert len([line for line in cell.splitlines() if line and not line.startswith("#")]) == len(RECIPE.model_fields)


@given(VALUES)
def test_a_recipe_survives_json(values: dict[str, Any]) -> None:
    recipe = RECIPE(**values)
    assert RECIPE(**json.loads(json.dumps(recipe.model_dump()))) == recipe
    assert recipe.changed() == recipe


@given(VALUES)
def test_values_settle_from_their_json(values: dict[str, Any]) -> None:
    recipe = RECIPE(**values)
    for name in values:
        value = getattr(recipe, name)
        if not isinstance(value, str):
            assert RECIPE.settle(name, json.dumps(value)) == value
            assert RECIPE.settle(name, repr(value)) == value


@given(st.sampled_from(sorted(RECIPE.model_fields)), st.text(max_size=40))
def test_any_text_settles_or_is_refused_in_one_line(name: str, text: str) -> None:
    try:
        value = RECIPE.settle(name, text)
    except RecipeError as error:
        assert "\n" not in str(error)
        assert name in str(error)
    else:
        assert getattr(RECIPE(**{name: value}), name) == value


@given(st.sampled_from(sorted(RECIPE.model_fields)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
))  # fmt: skip
def test_any_value_is_taken_or_refused_with_a_recipe_error(name: str, value: object) -> None:
    try:
        RECIPE(**{name: value})
    except RecipeError as error:
        assert "\n" not in str(error)
        assert str(error).startswith(f"parameter {name}: got ")


@pytest.mark.parametrize("text", ["\x85", "a\u2028b", "\x00", "👩\u200d💻", "\n# Parameters\n", "\ud800", '"\\'])
def test_an_odd_text_stays_on_its_line(text: str) -> None:
    cell = RECIPE.parameters_cell({"model": text})
    (line,) = (line for line in cell.splitlines() if line.startswith("model: "))
    namespace: dict[str, Any] = {}
    exec(line, namespace)  # noqa: S102
    assert namespace["model"] == text
    cell.encode()


@pytest.mark.parametrize("text", ["[" * 5000, "9" * 5000, "1e999", "nan", "-inf", "{1: 2}", "\x00", "__import__('os')"])
def test_hostile_texts_are_one_line(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        RECIPE.settle("lr", text)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_unknown_names_are_refused_only_where_papermill_put_them() -> None:
    free = {"lr": 0.5, "something": 1, "In": ["", "lr = 0.5\nsomething = 1"]}
    assert RECIPE.from_parameters(free).lr == 0.5
    with pytest.raises(RecipeError, match="unknown parameter 'lrr'; did you mean 'lr'"):
        RECIPE.from_parameters({"In": ["", "# Parameters\nlrr = 0.5\n"]})


def test_a_freeze_is_in_force_from_its_epoch_on() -> None:
    recipe = RECIPE(freeze="backbone", unfreeze=[[2, -2], [4, "none"]])
    assert [recipe.freeze_at(epoch) for epoch in range(6)] == ["backbone", "backbone", -2, -2, "none", "none"]


def test_a_recipe_cannot_be_changed_in_place() -> None:
    recipe = RECIPE()
    with pytest.raises(ValidationError):
        recipe.lr = 1.0
    assert recipe.changed(lr=0.5).lr == 0.5
    assert RECIPE().lr == recipe.lr


@pytest.mark.parametrize("name", sorted(RECIPE.model_fields))
def test_every_parameter_says_what_it_takes(name: str) -> None:
    assert RECIPE.allowed(name)
    info = RECIPE.model_fields[name]
    assert info.description
    assert "\n" not in info.description
    assert info.json_schema_extra["group"] in GROUPS


def test_the_task_must_be_known() -> None:
    with pytest.raises(RecipeError, match="unknown task 'image-clasification'; did you mean 'image-classification'"):
        recipe_class("image-clasification")


def test_a_replay_is_named_by_text_and_folded_away() -> None:
    assert RECIPE(replay="runs/mine").replay == "runs/mine"
    assert RECIPE().replay == ""
    extra = RECIPE.model_fields["replay"].json_schema_extra
    assert (extra["group"], extra["advanced"]) == ("Run", True)
    with pytest.raises(RecipeError, match=r"parameter replay: got 3"):
        RECIPE(replay=3)
