"""The parameters cell: read, and written without disturbing what else it holds."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import NotebookError, RecipeError
from tunebook.tasks import TASKS, recipe_class
from tunebook_lab.cells import COMPUTED, assignments, literal, with_values
from tunebook_lab.forms import cell_form, rewrite

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def read(source: str) -> dict[str, Any]:
    return {found.name: found.value for found in assignments(source)}


@given(VALUES)
def test_literal_is_one_line_that_means_the_same(value: Any) -> None:
    text = literal(value)
    assert len(text.splitlines()) == 1
    assert ast.literal_eval(text) == value


@given(
    st.dictionaries(st.sampled_from(["lr", "epochs", "ünïcode", "x", "new"]), VALUES), st.text("äöü日 \t#", max_size=9)
)
def test_values_are_replaced_and_all_else_stays(values: dict[str, Any], comment: str) -> None:
    source = f"# kept {comment}\nlr: float = 1e-3  # {comment}\nünïcode = 'ä'; x = [1,\n  2]\nprint('é', lr)\n"
    written = with_values(source, values, {})
    assert read(written) == {"lr": 1e-3, "ünïcode": "ä", "x": [1, 2], **values}
    assert written.startswith(f"# kept {comment}\nlr: float = ")
    assert "print('é', lr)" in written
    assert comment.strip() in written.splitlines()[1]
    assert with_values(written, values, {}) == written or not values


def test_value_that_is_the_same_is_left_as_it_is_written() -> None:
    source = "lr = 1e-3\nsteps = 1_000\nflag = 1"
    assert with_values(source, {"lr": 0.001, "steps": 1000}, {}) == source
    assert with_values(source, {"flag": True}, {}).endswith("flag = True")


def test_expression_is_known_as_one() -> None:
    assert read("lr = 10 ** -3\npath = __import__('os').getcwd()\n") == {"lr": COMPUTED, "path": COMPUTED}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_they_like(line_end: str) -> None:
    source = line_end.join(["a = 1", "b = 'é\u2028\x0c'", "c = 3"])
    assert read(with_values(source, {"b": "x", "c": 4}, {})) == {"a": 1, "b": "x", "c": 4}


@pytest.mark.parametrize("source", ["lr = (", "\0", "(" * 5000, "lr = 1\n  x = 2", "x" * 300_000, "'''"])
def test_cell_that_is_no_python_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(NotebookError) as caught:
        assignments(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_whole_cell_goes_there_and_back(task: str) -> None:
    recipe = recipe_class(task)
    source = rewrite(task, "", {"epochs": 9})
    form = cell_form(task, source)
    assert form["values"] == recipe(epochs=9).model_dump(mode="json")
    assert form["problems"] == {}
    assert rewrite(task, source, form["values"]) == source


def test_value_in_the_cell_that_is_not_allowed_is_told() -> None:
    form = cell_form("image-classification", "epochs = 0\nlr = 'fast'\nmodel = 'resnet18'")
    assert set(form["problems"]) == {"epochs", "lr"}
    assert form["values"] == {"model": "resnet18"}


def test_name_that_is_code_never_gets_into_a_cell() -> None:
    for name in ("import os", "lr; import os", "lr\nimport os", "__import__('os')"):
        with pytest.raises(RecipeError):
            rewrite("image-classification", "lr = 0.1", {name: 1})
        with pytest.raises(RecipeError):
            rewrite("", "lr = 0.1", {name: 1})


def test_hostile_text_stays_text() -> None:
    text = "'\"\n\r\u2028\\'''\"\"\"; import os  # {x}"
    written = rewrite("image-classification", "label = 'a'", {"label": text})
    assert read(written) == {"label": text}
    assert len(ast.parse(written).body) == 1
