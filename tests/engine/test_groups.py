"""Groups: values, bins, what is missing, and intersections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import DataError
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


def _ages(word: object = None, every: int = 20) -> list[object]:
    return [word if word is not None and k % every == 0 else str(20 + k % 40) for k in range(2000)]


@pytest.mark.parametrize("word", ["unknown", "inf", "1e400", "90+", "<18", "18-25", float("inf")])
def test_a_word_among_numbers_is_a_group_beside_their_bins(word: object) -> None:
    groups = make_groups("age", _ages(word))
    assert groups.kind == "bins"
    assert groups.names[4:] == (str(word),)
    assert groups.counts()[4] == 100
    assert groups.notes[1] == f"No numbers, and groups of their own: {str(word)!r} (100)."
    assert groups.missing == -1


@pytest.mark.parametrize("word", ["NA", "n/a", "NaN", "None", "-", "?"])
def test_a_word_for_nothing_among_numbers_is_missing_and_counted(word: str) -> None:
    groups = make_groups("age", _ages(word))
    assert groups.names[4:] == (MISSING,)
    assert groups.names[groups.missing] == MISSING
    assert groups.counts()[4] == 100
    assert groups.notes[1] == f"Read as missing: {word!r} (100)."
    assert make_groups("country", ["NA", "DE"] * 9).names == ("DE", "NA")  # Namibia


def test_many_words_among_numbers_are_put_together_and_counted() -> None:
    groups = make_groups("age", [f"word {k}" if k % 100 == 0 else str(20 + k % 40) for k in range(2000)])
    assert groups.kind == "bins"
    assert groups.names[-1] == OTHER
    assert groups.pooled
    assert len(groups.names) == 4 + 9 + 1
    assert groups.counts()[-1] == 11
    assert "11 further words of 11 examples" in groups.notes[2]


@pytest.mark.parametrize(
    ("write", "edges", "words"),
    [
        ("{},5", (29.5, 39.5, 49.5), "with a decimal comma"),
        ("{}.000,50", (29000.5, 39000.5, 49000.5), "with a decimal comma and with a point between thousands"),
        ("{},000", (29000.0, 39000.0, 49000.0), "with a comma between thousands"),
        ("0,0{}", (0.029, 0.039, 0.049), "with a decimal comma"),
        ("{}\u202f000", (29000.0, 39000.0, 49000.0), "with a space between thousands"),
        ("{}'000.5", (29000.5, 39000.5, 49000.5), "with an apostrophe between thousands"),
        ("{} %", (29.0, 39.0, 49.0), "with '%'"),
        ("{} years", (29.0, 39.0, 49.0), "with 'years'"),
        ("{}kg", (29.0, 39.0, 49.0), "with 'kg'"),
        ("${},000", (29000.0, 39000.0, 49000.0), "with a comma between thousands and with '$'"),
    ],
)
def test_numbers_are_read_as_a_column_writes_them_throughout(write: str, edges: tuple[float, ...], words: str) -> None:
    groups = make_groups("x", [write.format(age) for age in range(20, 60)])
    assert groups.edges == pytest.approx(edges)
    assert groups.counts().tolist() == [10, 10, 10, 10]
    assert groups.notes[1] == f"Its numbers are read as written {words}."


def test_numbers_without_a_point_tell_that_others_have_it_between_thousands() -> None:
    groups = make_groups("income", [*(str(age) for age in range(900, 920)), *(f"{age}.100" for age in range(1, 21))])
    assert groups.edges[2] == 10100.0
    assert make_groups("x", [f"1.{age}" for age in range(100, 140)]).edges[0] == 1.109


@pytest.mark.parametrize("write", ["{},5 {}.5", "{} {}_years", "{}_months {}_years", "0.{} {}%"])
def test_numbers_written_in_two_ways_are_not_binned_and_that_is_said(write: str) -> None:
    values = [word.replace("_", " ") for age in range(20, 60) for word in write.format(age, age).split()]
    groups = make_groups("x", values)
    assert groups.kind == "values"
    assert "40 are not written as most numbers are" in groups.notes[-1]


@pytest.mark.parametrize("write", ["2020-01-{:02d}", "{:02d}.01.2020", "{}/1/20", "2020-01-{:02d} 00:00:00"])
def test_dates_are_not_binned_and_that_is_said(write: str) -> None:
    groups = make_groups("born", [write.format(day) for day in range(1, 29)])
    assert "Its values are dates, which are not binned" in groups.notes[-1]


@pytest.mark.parametrize("write", ["Ward {}", "SW{}", "{}-29", "{}:30"])
def test_names_that_hold_numbers_are_values(write: str) -> None:
    groups = make_groups("place", [write.format(k) for k in range(20, 40)] * 30)
    assert groups.kind == "values"
    assert not groups.notes


def test_cells_that_hold_several_values_are_refused_by_their_row() -> None:
    for value in (["a"], ("a", "b"), {"a": 1}, np.array([1, 2])):
        with pytest.raises(DataError, match=r"column 'tone': row 3 holds .* give one value a row"):
            make_groups("tone", ["x", "y", value])


def test_a_value_has_one_name_in_whatever_form_it_is_kept() -> None:
    assert make_groups("x", [1, "1", 1.0, " 1.0", b"1"]).names == ("1",)
    assert make_groups("x", ["\u00e9", "e\u0301", "\u00e9\u00a0"]).names == ("\u00e9",)
    assert make_groups("x", ["9" * 5000, "a" + "9" * 5000, "b"]).counts().tolist() == [1, 1, 1]


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
