"""YAML of a foreign hand: read within bounds, and refused with the line that met one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import NotebookError, RecipeError
from tunebook.yaml_file import read_mapping
from tunebook.yaml_nodes import BoundedLoader

if TYPE_CHECKING:
    from pathlib import Path

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{after}: &{after} {{<<: [{','.join([f'*{before}'] * 9)}]}}\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "in line 6: it holds more than 100000 values"),
        (MERGES, "in line 6: it holds more than 100000 values"),
        ("a: &a [*a]", "in line 1: an alias stands within what it refers to"),
        ("a: &a\n  b: *a", "in line 2: an alias stands within"),
        ("a: 1\nb: " + "[" * 60, "in line 2: it is nested more than 50 levels"),
        ("? " * 5000, "nested more than 50 levels"),
        ("a: " + "1" * 5000, "in line 1: a number has 5000 characters"),
        ("a: " + ":".join(["59"] * 200), "a number has 599 characters"),
        ("a: 1." + "0" * 5000, "a number has 5002 characters"),
        ("a: 1\nb: 2\na: 3", "line 3: 'a' is there twice, in line 1 too"),
        ("a:\n  b: 1\n  b: 2", "line 3: 'b' is there twice, in line 2 too"),
        ("a: 2001-99-99", "month must be in 1..12"),
        ("# " + "x" * (1 << 20), "at most 1,048,576 are read"),
    ],
    ids=range(13),
)
def test_a_bound_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((RecipeError, NotebookError), match=words) as caught:
        read_mapping(path)
    assert "\n" not in str(caught.value)


def test_aliases_and_merges_of_a_person_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("base: &base {lr: 1.0e-3, epochs: 2}\none: {<<: *base, lr: 0.1}\ntwo: *base\n", encoding="utf-8")
    assert read_mapping(path) == {
        "base": {"lr": 1e-3, "epochs": 2}, "one": {"lr": 0.1, "epochs": 2}, "two": {"lr": 1e-3, "epochs": 2},
    }  # fmt: skip


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(NotebookError, match="a pipe and not a regular file"):
        read_mapping(tmp_path / "p.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_plain_values_are_read_as_the_library_reads_them(value: object) -> None:
    text = yaml.safe_dump(value)
    assert BoundedLoader(text).get_single_data() == yaml.safe_load(text)
