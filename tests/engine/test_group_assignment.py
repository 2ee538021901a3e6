"""An example is put into the group that the bias report would put it into, or into none."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.bias import BiasReport
from tunebook.errors import DataError, StorageError
from tunebook.group_assignment import UNKNOWN, Assignment, Column
from tunebook.groups import make_groups


def make_report() -> BiasReport:
    rng = np.random.default_rng(0)
    tone, age = rng.choice(["light", "dark", None], 300), rng.integers(18, 90, 300)
    return BiasReport(
        pd.DataFrame({
            "model": "tuned", "id": [str(k) for k in range(300)], "split": "test", "truth": rng.choice(["a", "b"], 300),
            "prediction": "a", "group_tone": tone, "group_age": age,
        })
    )  # fmt: skip


@pytest.mark.parametrize("attribute", ["tone", "age", "tone × age"])
def test_examples_of_the_report_get_the_groups_of_the_report(attribute: str) -> None:
    report = make_report()
    table = report.predictions.rename(columns={"group_tone": "tone", "group_age": "age"})
    found = Assignment.of_report(report, attribute).codes(table)
    assert (found == report.groups(attribute).codes).all()


@pytest.mark.parametrize("attribute", ["tone", "age", "tone × age"])
def test_it_is_the_same_after_json(attribute: str) -> None:
    one = Assignment.of_report(make_report(), attribute)
    assert Assignment.from_json(json.loads(json.dumps(one.to_json(), allow_nan=False))) == one


@given(values=st.lists(st.one_of(st.none(), st.text(max_size=4), st.integers(0, 4), st.just(2.0)), min_size=1))
def test_values_are_named_alone_as_among_others(values: list[object]) -> None:
    groups = make_groups("x", values)
    assert (Column("x", groups.names, groups.edges).codes(values) == groups.codes).all()


@pytest.mark.parametrize("write", ["{}", "{},5", "{} years", "${},000"])
def test_numbers_are_read_as_the_report_read_them(write: str) -> None:
    values = [*(write.format(age) for age in range(20, 60)), "NA", "unknown"]
    groups = make_groups("age", values)
    column = Column("age", groups.names, groups.edges, groups.reading)
    assert groups.kind == "bins"
    assert (column.codes(values) == groups.codes).all()
    assert column.codes([0.5, 1e9, "n/a", "old"]).tolist() == [0, 3, groups.missing, UNKNOWN]


def test_what_was_kept_before_readings_were_still_opens() -> None:
    kept = Assignment.of_report(make_report(), "age").to_json()
    assert kept["columns"][0].pop("reading") == {"decimal": ".", "thousands": "", "unit": ""}
    assert Assignment.from_json(kept) == Assignment.of_report(make_report(), "age")
    kept["columns"][0]["reading"] = {"octal": "yes"}
    with pytest.raises(StorageError, match="damaged"):
        Assignment.from_json(kept)


def test_a_value_that_is_new_is_in_no_group() -> None:
    assignment = Assignment.of_report(make_report(), "tone")
    assert assignment.codes(["dark", "green", None]).tolist() == [0, UNKNOWN, 2]
    assert Column("x", ("a",)).codes(["a", None]).tolist() == [0, UNKNOWN]


def test_numbers_of_bins_may_be_new_and_words_among_them_are_in_no_group() -> None:
    column = Column("age", ("up to 30", "above 30"), (30.0,))
    assert column.codes([30, 31.5, "29", "old", None, float("inf")]).tolist() == [0, 1, 0, -1, -1, -1]


def test_an_intersection_needs_its_columns_by_name() -> None:
    assignment = Assignment.of_report(make_report(), "tone × age")
    with pytest.raises(DataError, match="give a table with 'tone', 'age'"):
        assignment.codes(["dark"])
    with pytest.raises(DataError, match="no column 'age'"):
        assignment.codes({"tone": ["dark"]})


@pytest.mark.parametrize(
    "changed", [{"columns": []}, {"groups": ["a"]}, {"parts": 3}, {"columns": [{"name": "x", "groups": ["a"]}]}]
)
def test_what_is_damaged_is_said_to_be(changed: dict[str, object]) -> None:
    found = Assignment.of_report(make_report(), "tone").to_json() | changed
    with pytest.raises(StorageError, match="damaged"):
        Assignment.from_json(found)
