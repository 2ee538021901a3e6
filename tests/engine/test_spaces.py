"""Spaces: what is read, what is refused in one line, and what a grid makes of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import RecipeError
from tunebook.spaces import Choices, Range, grid, grid_size, read_space, read_spaces, split_assignments, split_choices
from tunebook.tasks import recipe_class

RECIPE = recipe_class("image-classification")()
NAMES = [name for name in type(RECIPE).model_fields if name not in {"data", "label", "seed"}]
_FINITE = st.floats(1e-6, 9.0, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("lr", "log(1e-5,1e-1)", Range("lr", 1e-5, 1e-1, log=True)),
        ("lr", " log( 1e-5 , .1 ) ", Range("lr", 1e-5, 0.1, log=True)),
        ("dropout", "0..0.5", Range("dropout", 0.0, 0.5)),
        ("dropout", "0..0.5/0.2", Range("dropout", 0.0, 0.4, step=0.2)),
        ("batch_size", "8..64", Range("batch_size", 8, 64)),
        ("batch_size", "8..65/8", Range("batch_size", 8, 64, step=8)),
        ("freeze", "2..6", Range("freeze", 2, 6)),
        ("freeze", "backbone,6,-4", Choices("freeze", ("backbone", 6, -4), ("backbone", "6", "-4"))),
        ("unfreeze", "[],[[1,-3]]", Choices("unfreeze", ([], [[1, -3]]), ("[]", "[[1,-3]]"))),
        ("dropout", "None,0.1", Choices("dropout", (None, 0.1), ("None", "0.1"))),
        ("class_weights", 'none,{"a":1.0}', Choices("class_weights", ("none", {"a": 1.0}), ("none", '{"a":1.0}'))),
        ("model", "../a,./b", Choices("model", ("../a", "./b"), ("../a", "./b"))),
    ],
)
def test_what_is_meant_is_read(name: str, text: str, expected: object) -> None:
    found = read_space(RECIPE, name, text)
    assert found == expected
    assert read_space(RECIPE, name, str(found)) == found


def test_whole_numbers_stay_whole() -> None:
    space = read_space(RECIPE, "batch_size", "8..64")
    assert isinstance(space, Range)
    assert space.is_int
    assert type(space.value(12.0)) is int
    assert not read_space(RECIPE, "lr", "1..2").is_int  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("lr", "1..100", "at most 10"),
        ("lr", "0..1", "above 0"),
        ("dropout", "0..1", "below 1"),
        ("batch_size", "8..64.5", "a whole number"),
        ("model", "1..5", "it has no range"),
        ("onnx", "0..1", "parameter onnx"),
        ("lr", "0.1", "set with -p"),
        ("lr", "", "a choice is empty"),
        ("lr", "0.1,", "a choice is empty"),
        ("lr", "0.2..0.1", "below the second"),
        ("weight_decay", "log(0,1)", "begin above 0"),
        ("batch_size", "8..64/0.5", "a whole number above 0"),
        ("dropout", "0..0.5/0.6", "at most 0.5"),
        ("freeze", "[a", "is not closed"),
        ("freeze", "6,6", "is there twice"),
        ("freeze", "backbone,sometimes,4", "parameter freeze"),
        ("lr", "nan..1", "forms: "),
        ("lr", "__import__('os').system('true'),1", "parameter lr"),
        ("stochastic_depth", "a\x1b,b\nc", "parameter stochastic_depth"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(name: str, text: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_space(RECIPE, name, text)
    line = str(caught.value)
    assert words in line
    assert line.startswith(f"space of {name}: ")
    assert "low..high" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({}, "no space to search"),
        ({"lrr": "1..2"}, "did you mean 'lr'?"),
        ({"x=1;import os": "1..2"}, "unknown parameter"),
        ({"data": "a,b"}, "cannot be searched"),
        ({"seed": "1..5"}, "cannot be searched"),
    ],
)
def test_names_are_checked_before_use(texts: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match=words.replace("?", r"\?")):
        read_spaces(RECIPE, texts)


def test_assignments_are_split_at_their_first_equals_sign() -> None:
    assert split_assignments(["lr=log(1,2)", ' model =a=b,"c=d"']) == {"lr": "log(1,2)", "model": 'a=b,"c=d"'}
    for wrong in (["lr"], ["=1..2"], ["lr=1..2", "lr=2..3"]):
        with pytest.raises(RecipeError):
            split_assignments(wrong)


@given(st.sampled_from(NAMES), st.text(max_size=30) | st.from_regex(r"[-0-9.,elog()\[\]/\"' ]{0,20}", fullmatch=True))
def test_anything_is_read_or_refused_in_one_line(name: str, text: str) -> None:
    try:
        space = read_spaces(RECIPE, {name: text})[name]
    except RecipeError as error:
        assert str(error).isprintable()
        return
    points = space.points(3)
    assert points
    for value in points:
        RECIPE.changed(**{name: value})
    assert space.distribution() is not None


@given(_FINITE, _FINITE, st.booleans(), st.integers(2, 9))
def test_points_of_a_range_are_spread_from_end_to_end(first: float, second: float, log: bool, count: int) -> None:  # noqa: FBT001
    low, high = sorted((first, second))
    if low < high:
        points = Range("lr", low, high, log=log).points(count)
        assert points == sorted(set(points))
        assert all(low <= value <= high for value in points)
        assert points[0] == pytest.approx(low, rel=1e-5)
        assert points[-1] == pytest.approx(high, rel=1e-5)
        assert len(points) <= count


@given(st.integers(1, 60_000), st.integers(1, 60_000), st.integers(1, 500))
def test_a_step_gives_each_of_its_values(first: int, span: int, step: int) -> None:
    if step <= span and first + span <= 65_536:
        space = read_space(RECIPE, "batch_size", f"{first}..{first + span}/{step}")
        assert space.points(2) == list(range(first, first + span + 1, step))


@given(st.lists(st.from_regex(r"[a-z0-9]{1,3}|\[[a-z,]*\]|\"[a-z,]*\"", fullmatch=True), min_size=1, max_size=6))
def test_choices_are_split_at_top_level_commas_only(parts: list[str]) -> None:
    assert split_choices(",".join(parts)) == parts


def test_a_grid_has_every_combination_once() -> None:
    spaces = read_spaces(RECIPE, {"freeze": "backbone,4", "batch_size": "8..10", "lr": "log(1e-4,1e-2)"})
    points = list(grid(spaces, 3))
    assert len(points) == grid_size(spaces, 3) == 2 * 3 * 3
    assert len({tuple(point.values()) for point in points}) == len(points)
    assert {point["lr"] for point in points} == {1e-4, 1e-3, 1e-2}
    assert math.isclose(points[1]["lr"], 1e-3)  # type: ignore[arg-type]
