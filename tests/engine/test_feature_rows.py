"""Rows give what was kept, in any order and number, as long as they are open."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tunebook.feature_store import FeatureStore, FeatureTable

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, array_of, filled, keys, segments


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", limit=10**9)


@pytest.fixture
def table(store: FeatureStore) -> FeatureTable:
    return store.table(ADDRESS)


def test_stack_reads_over_segments(table: FeatureTable) -> None:
    names = keys(30)
    for start in (0, 10, 20):
        filled(table, names[start : start + 10], width=3)
    wanted = [29, 0, 15, 15, 9, 10, -1]
    with table.rows(names) as rows:
        assert rows.shape == (3, 3)
        assert np.array_equal(rows.stack(wanted), np.stack([array_of(names[at], width=3) for at in wanted]))
        assert rows.stack([]).shape == (0, 3, 3)


def test_equal_shapes_out_of_a_ragged_segment_can_be_stacked(table: FeatureTable) -> None:
    names = keys(40)
    filled(table, names, lengths=(2, 5))
    long = [name for name in names if len(array_of(name, (2, 5))) == 5]
    with table.rows(long) as rows, table.rows(names) as ragged:
        assert np.array_equal(rows.stack([1, 0]), np.stack([array_of(n, (2, 5)) for n in (long[1], long[0])]))
        assert ragged.shape is None
        with pytest.raises(ValueError, match="use take"):
            ragged.stack([0])


def test_what_is_taken_can_be_written_and_does_not_change_the_store(table: FeatureTable) -> None:
    names = keys(3)
    filled(table, names)
    with table.rows(names) as rows:
        rows.take([0])[0][:] = 7
        rows.stack([0])[:] = 7
        assert np.array_equal(rows.take([0])[0], array_of(names[0]))
        assert np.array_equal(rows.stack([0])[0], array_of(names[0]))


def test_closed_rows_give_nothing(table: FeatureTable) -> None:
    filled(table, keys(2))
    rows = table.rows(keys(2))
    rows.close()
    rows.close()
    with pytest.raises(ValueError, match="closed"):
        rows.take([0])


def test_rows_stay_good_while_others_add_and_remove_segments(table: FeatureTable) -> None:
    filled(table, keys(4))
    filled(table, keys(8))
    with table.rows(keys(8)) as rows:
        for path in segments(table):
            shutil.rmtree(path)
        filled(table, keys(10))
        assert np.array_equal(rows.stack(range(8)), np.stack([array_of(name) for name in keys(8)]))
