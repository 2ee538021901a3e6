"""Copies are found and the right ones dropped; close codes are those that comparing all with all finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunebook.duplicates import MAX_DISTANCE, close_codes, find_duplicates
from tunebook.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.examples import Examples

    Table = Callable[..., Examples]


def brute_force(codes: list[int]) -> list[tuple[int, int]]:
    count = len(codes)
    return [
        (a, b) for a in range(count) for b in range(a + 1, count) if (codes[a] ^ codes[b]).bit_count() <= MAX_DISTANCE
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 2**64 - 1, 0x0F0F_1234_ABCD_5678]), st.sets(st.integers(0, 63), max_size=5)),
        max_size=24,
    )
)
def test_close_codes_are_those_of_brute_force(seeds: list[tuple[int, set[int]]]) -> None:
    codes = [code ^ sum(1 << bit for bit in flipped) for code, flipped in seeds]
    order = np.arange(len(codes), dtype=float)
    found = close_codes(np.array(codes, dtype=np.uint64), order)
    assert found.shape == (len(found), 2)
    assert [tuple(pair) for pair in found.tolist()] == brute_force(codes)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_close_codes_of_random_codes(codes: list[int]) -> None:
    found = close_codes(np.array(codes, dtype=np.uint64), np.zeros(len(codes)))
    assert [tuple(pair) for pair in found.tolist()] == brute_force(codes)


def test_a_crowd_of_equal_codes_stays_in_proportion() -> None:
    found = close_codes(np.zeros(5_000, dtype=np.uint64), np.arange(5_000))
    assert 5_000 < len(found) <= 4 * 32 * 5_000
    assert len(np.unique(found, axis=0)) == len(found)


def test_content_under_two_labels_goes_altogether(table: Table) -> None:
    found = find_duplicates(table([("a", "train"), ("b", "test"), ("a", "train")]), ["x", "x", "y"])
    assert [(f.kind, f.drop) for f in found] == [("two labels", ("e0", "e1"))]


def test_of_content_in_two_splits_the_later_one_stays(table: Table) -> None:
    examples = table([("a", "train"), ("a", "validation"), ("a", "test"), ("a", "validation"), ("a", "train")])
    found = find_duplicates(examples, ["x", "x", "x", "y", "y"])
    assert [(f.kind, f.drop) for f in found] == [("same in two splits", ("e0", "e1", "e4"))]
    assert "2 of train and 1 of validation to drop" in found[0].message


def test_within_a_split_the_first_copy_stays(table: Table) -> None:
    found = find_duplicates(table([("a", "test")] * 3), ["x", "x", "x"])
    assert [(f.kind, f.drop) for f in found] == [("exact duplicate", ("e1", "e2"))]


def test_rows_without_a_key_are_no_copies(table: Table) -> None:
    assert find_duplicates(table([("a", "train")] * 3), [None, None, "x"], [(0, 1)]) == []


def test_near_copies_across_splits_are_dropped_and_within_are_a_remark(table: Table) -> None:
    examples = table([("a", "train"), ("a", "test"), ("a", "train"), ("a", "train"), ("b", "train")])
    found = find_duplicates(examples, list("vwxyz"), [(0, 1), (2, 3), (2, 4)])
    assert [(f.kind, f.ids, f.drop) for f in found] == [
        ("near duplicate across splits", ("e0", "e1"), ("e0",)),
        ("near duplicate with two labels", ("e2", "e4"), ()),
        ("near duplicate", ("e2", "e3"), ()),
    ]


def test_a_dropped_validation_example_takes_no_training_example_with_it(table: Table) -> None:
    examples = table([("a", "train"), ("a", "validation"), ("a", "test")])
    found = find_duplicates(examples, list("xyz"), [(0, 1), (1, 2)])
    assert found[0].drop == ("e1",)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["train", "validation", "test"]), st.sampled_from("vwxyz")),
        min_size=1,
        max_size=12,
    ),
    pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=6),
)
def test_after_dropping_every_content_is_there_once(
    rows: list[tuple[str, str, str]], pairs: list[tuple[int, int]]
) -> None:
    import pandas as pd

    from tunebook.examples import Examples

    near = [(a, b) for a, b in pairs if a < b < len(rows)]
    frame = pd.DataFrame(rows, columns=["label", "split", "key"]).assign(id=[f"e{n}" for n in range(len(rows))])
    examples = Examples(frame, ("a", "b"), "s")
    findings = Findings(examples, tuple(find_duplicates(examples, frame["key"].tolist(), near)))
    dropped = [i for f in findings.items for i in f.drop]
    assert len(dropped) == len(set(dropped))
    left = examples.without(dropped).frame
    assert left["key"].is_unique
    clean = examples.without(i for f in findings.items if f.kind == "two labels" for i in f.drop).frame
    tested = set(clean.loc[clean["split"] == "test", "key"])
    assert tested <= set(left.loc[left["split"] == "test", "key"])
