"""Cells: counts are those of the rows, draws and permutations have the moments that theory gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook import group_cells
from tunebook.group_cells import GroupCells, count_cells, count_patterns

_ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=80)


@given(_ROWS, st.booleans())
def test_counts_are_those_of_the_rows(rows: list[tuple[int, int, int]], sparse: bool) -> None:  # noqa: FBT001
    groups, first, second = (np.array(column) for column in zip(*rows, strict=True))
    dense = group_cells._DENSE
    try:
        group_cells._DENSE = 0 if sparse else dense
        cells = count_cells(groups, 3, [first, second], [4, 2])
    finally:
        group_cells._DENSE = dense
    assert cells.counts.sum() == len(rows)
    for cell, (a, b) in enumerate(cells.outcomes):
        for group in range(3):
            assert cells.counts[group, cell] == rows.count((group, int(a), int(b)))


@given(_ROWS)
def test_counts_of_patterns_are_those_of_the_rows(rows: list[tuple[int, int, int]]) -> None:
    table = np.array(rows)
    cells = count_patterns(table[:, 0], 3, table[:, 1:])
    assert {tuple(outcome) for outcome in cells.outcomes.tolist()} == {row[1:] for row in rows}
    assert cells.counts.sum() == len(rows)


def _cells() -> GroupCells:
    return GroupCells(np.array([[30, 10, 5], [8, 40, 12], [1, 2, 30]]), np.zeros((3, 0), np.int64))


def test_a_resample_keeps_sizes_and_has_binomial_spread() -> None:
    drawn = np.stack(list(_cells().resample(4000, np.random.default_rng(0))), axis=1)
    assert (drawn.sum(axis=2) == [45, 60, 33]).all()
    share = (30 + 2 * 39 / 138) / 47
    assert drawn[:, 0, 0].mean() == pytest.approx(45 * share, rel=0.02)
    assert drawn[:, 0, 0].var() == pytest.approx(45 * share * (1 - share), rel=0.1)


def test_a_permutation_keeps_both_margins_and_is_hypergeometric() -> None:
    cells = _cells()
    drawn = cells.permute(4000, np.random.default_rng(0))
    assert (drawn.sum(axis=2) == cells.sizes).all()
    assert (drawn.sum(axis=1) == cells.counts.sum(axis=0)).all()
    total, size, kind = 138, 45, 39
    mean = size * kind / total
    variance = mean * (1 - kind / total) * (total - size) / (total - 1)
    assert drawn[:, 0, 0].mean() == pytest.approx(mean, rel=0.02)
    assert drawn[:, 0, 0].var() == pytest.approx(variance, rel=0.1)
    assert drawn[:, 2, 0].mean() == pytest.approx(33 * kind / total, rel=0.03)


def test_labels_are_exchanged_within_strata_only() -> None:
    cells = _cells()
    drawn = cells.permute(50, np.random.default_rng(0), np.array([0, 0, 1]))
    assert (drawn[:, :, 2] == cells.counts[:, 2]).all()
    assert (drawn[:, :, :2].sum(axis=2) == cells.counts[:, :2].sum(axis=1)).all()
    assert len(np.unique(drawn[:, 0, 0])) > 1


def test_empty_groups_stay_empty() -> None:
    cells = GroupCells(np.array([[0, 0], [3, 4]]), np.zeros((2, 0), np.int64))
    assert (next(cells.resample(5, np.random.default_rng(0))) == 0).all()
    assert (cells.permute(5, np.random.default_rng(0))[:, 0] == 0).all()


def test_very_large_tables_are_drawn_less_often_but_often_enough() -> None:
    cells = GroupCells(np.ones((1000, 1000), np.int64), np.zeros((1000, 0), np.int64))
    assert cells.draws_within(1000) == 200
    assert _cells().draws_within(1000) == 1000
