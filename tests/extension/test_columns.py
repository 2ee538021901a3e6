"""What the form is told of a table's columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook_lab.columns import LONGEST, MOST_COLUMNS, describe, label_of, path_of, text_of

ROWS = [
    [str(k), f"a sentence about things, number {k}", ["north", "south"][k % 2], f"p/{k}.JPG", "yes"] for k in range(9)
]
NAMES = ["id", "words", "region", "picture", "checked"]


def test_column_is_described_by_its_values() -> None:
    found = describe(NAMES, ROWS)
    assert [column.type for column in found] == ["whole numbers", "text", "words", "picture files", "yes or no"]
    assert [column.distinct for column in found] == [9, 9, 2, 9, 1]
    assert found[2].examples == ["north", "south", "north"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2"], "whole numbers"),
        (["1.5", "2e-3", ",5"], "numbers"),
        (["1,5", "2"], "numbers"),
        (["2026-01-02", "2026-01-03 10:00:00"], "dates"),
        (["True", "false"], "yes or no"),
        (["['a', 'b']", "[]"], "lists"),
        (["", "NA", "null"], "nothing"),
        (["C:\\photos\\a.jfif", "b.heic", "c.TIF"], "picture files"),
        (["1", "two"], "words"),
    ],
)
def test_type_is_that_of_all_values(values: list[str], expected: str) -> None:
    assert describe(["x"], [[value] for value in values])[0].type == expected


def test_label_is_never_guessed_from_values() -> None:
    choice = label_of(describe(NAMES, ROWS))
    assert choice.column == ""
    assert choice.why


@pytest.mark.parametrize("name", ["label", "Class", " target "])
def test_label_is_the_only_column_that_is_named_so(name: str) -> None:
    assert label_of(describe([name, "region"], [["a", "b"]])).column == name


def test_two_columns_named_like_labels_are_asked_for() -> None:
    choice = label_of(describe(["class", "category"], [["a", "b"]]))
    assert choice.column == ""
    assert "'class' and 'category'" in choice.why
    assert label_of(describe(["class", "label"], [["a", "b"]])).column == "label"


def test_text_and_path_are_taken_where_only_one_column_can_be_meant() -> None:
    columns = describe(NAMES, ROWS)
    assert text_of(columns, "").column == "words"
    assert path_of(columns).column == "picture"
    twice = describe(["a", "b"], [["x" * 30, "y" * 30]])
    assert text_of(twice, "").column == ""
    assert text_of(twice, "a").column == "b"
    assert path_of(describe(["a", "b"], [["x.png", "y.png"]])).column == ""


@given(st.lists(st.text(), max_size=4), st.lists(st.lists(st.text(), max_size=5), max_size=5))
def test_any_table_is_described(names: list[str], rows: list[list[str]]) -> None:
    found = describe(names, rows)
    assert [column.name for column in found] == names
    assert all(column.distinct + column.missing <= len(rows) for column in found)
    assert all(len(example) <= LONGEST and "\n" not in example for column in found for example in column.examples)
    label_of(found), text_of(found, ""), path_of(found)


def test_wide_table_is_described_in_part() -> None:
    assert len(describe([str(k) for k in range(MOST_COLUMNS + 5)], [])) == MOST_COLUMNS
