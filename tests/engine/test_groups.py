"""Groups: values, bins, what is missing, and intersections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.groups import MISSING, MOST_CROSSED, MOST_GROUPS, OTHER, cross_groups, make_groups


def test_each_value_is_a_group_and_what_is_missing_is_one_of_its_own() -> None:
    groups = make_groups("tone", ["light", None, "dark", float("nan"), "", "(missing)", "light"])
    assert groups.names == ("dark", "light", MISSING)
    assert groups.codes.tolist() == [1, 2, 0, 2, 2, 2, 1]
    assert groups.names[groups.missing] == MISSING
    assert groups.counts().tolist() == [1, 2, 4]


def test_groups_are_in_the_order_of_their_numbers() -> None:
    assert make_groups("wave", ["10", "9", "2", "2"]).names == ("2", "9", "10")
    assert make_groups("wave", [3.0, 1.0, None]).names == ("1", "3", MISSING)
    assert make_groups("class", ["c10", "c9"]).names == ("c9", "c10")


@pytest.mark.parametrize("as_text", [False, True])
def test_numbers_are_binned_by_their_quartiles_and_the_bins_are_told(as_text: bool) -> None:  # noqa: FBT001
    ages = [str(age) if as_text else age for age in range(20, 60)]
    groups = make_groups("age", [*ages, None])
    assert groups.kind == "bins"
    assert groups.names == ("up to 29", "above 29 to 39", "above 39 to 49", "above 49", MISSING)
    assert groups.counts().tolist() == [10, 10, 10, 10, 1]
    assert groups.edges == (29.0, 39.0, 49.0)
    assert "from 20 to 59" in groups.notes[0]


def test_few_numbers_are_values() -> None:
    assert make_groups("stars", [1, 2, 3, 4, 5] * 3).kind == "values"


def test_a_number_that_is_very_frequent_makes_fewer_bins() -> None:
    groups = make_groups("income", [0.0] * 80 + [float(k) for k in range(1, 21)])
    assert groups.names == ("up to 0", "above 0")


def test_many_values_are_put_together_and_that_is_told() -> None:
    values = [f"town {k}" for k in range(100)] * 2 + ["town 7"] * 30
    groups = make_groups("town", values)
    assert len(groups.names) == MOST_GROUPS
    assert groups.names[-1] == OTHER
    assert groups.pooled
    assert groups.is_pooled.tolist() == [False] * (MOST_GROUPS - 1) + [True]
    assert "town 7" in groups.names
    assert "100 different values" in groups.notes[0]


def test_a_column_of_identifiers_is_named_as_such() -> None:
    groups = make_groups("name", [f"n{k}x" for k in range(10_000)])
    assert groups.names == (OTHER,)
    assert "10,000 different values" in groups.notes[0]
    assert "identifier" in groups.notes[0]


def test_one_value_and_no_value_are_told() -> None:
    assert "All examples are in one group (a)" in make_groups("x", ["a", "a"]).notes[0]
    empty = make_groups("x", [None, ""])
    assert empty.names == (MISSING,)
    assert "empty" in empty.notes[0]


def test_names_that_nobody_can_read_are_cut_and_stay_different() -> None:
    groups = make_groups("x", ["a" * 10_000, "a" * 10_001, "b"])
    assert len(set(groups.names)) == 3
    assert max(map(len, groups.names)) < 130


def test_a_derived_attribute_is_marked_by_hand_or_by_its_name() -> None:
    assert make_groups("gender", ["a"], "from first names").derived == "from first names"
    assert make_groups("gendered words (derived)", ["a"]).derived
    assert not make_groups("gender", ["a"]).derived


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", ""])), min_size=1, max_size=60))
def test_an_intersection_has_the_examples_of_both(rows: list[tuple[str, str]]) -> None:
    first, second = make_groups("one", [a for a, _ in rows]), make_groups("two", [b for _, b in rows])
    crossed = cross_groups([first, second])
    for code, (a, b) in zip(crossed.codes, rows, strict=True):
        assert crossed.parts[code] == (a, b or MISSING)
    assert crossed.counts().min() > 0


def test_very_many_combinations_are_put_together() -> None:
    rng = np.random.default_rng(0)
    columns = [make_groups(name, [f"v{k}" for k in rng.integers(0, 20, 5000)]) for name in "ab"]
    crossed = cross_groups(columns)
    assert len(crossed.names) == MOST_CROSSED
    assert crossed.names[-1] == OTHER
    assert crossed.counts().sum() == 5000


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.integers(), st.floats()), min_size=1, max_size=40))
def test_whatever_the_values_every_example_has_a_group(values: list[object]) -> None:
    groups = make_groups("x", pd.Series(values, dtype=object))
    assert len(groups.codes) == len(values)
    assert groups.codes.min() >= 0
    assert groups.codes.max() < len(groups.names)
    assert len(set(groups.names)) == len(groups.names)
