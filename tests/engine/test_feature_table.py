"""A table is what its address says, and what is strange in its folder is no hindrance."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tunebook.errors import StorageError
from tunebook.feature_store import FeatureStore, FeatureTable, MissingFeaturesError

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, Computing, array_of, filled, key, keys

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", limit=10**9)


@pytest.fixture
def table(store: FeatureStore) -> FeatureTable:
    return store.table(ADDRESS)


def test_an_address_that_differs_is_another_table_and_the_order_of_its_fields_does_not_matter(
    store: FeatureStore,
) -> None:
    turned = dict(reversed(ADDRESS.items()))
    assert store.table(turned).name == store.table(ADDRESS).name
    assert store.table(ADDRESS | {"view": 1}).name != store.table(ADDRESS).name
    with pytest.raises(ValueError, match="JSON"):
        store.table({"lr": float("nan")})


def test_the_address_is_kept_for_people(table: FeatureTable) -> None:
    filled(table, keys(1))
    assert list(json.loads((table.path / "address.json").read_text()).items()) == list(ADDRESS.items())


def test_examples_that_are_not_there_are_counted(table: FeatureTable) -> None:
    names = keys(6)
    with pytest.raises(MissingFeaturesError, match=r"^6 examples are not in the features"):
        table.rows([*names, names[0]])
    assert not table.path.exists()
    filled(table, names[1:4])
    with pytest.raises(MissingFeaturesError, match=r"^3 examples are not in the features"):
        table.rows([*names, names[0]])
    assert table.missing([*names, names[0]]).tolist() == [0, 4, 5]


def test_another_shape_under_the_same_address_says_which_table_to_clear(table: FeatureTable) -> None:
    filled(table, keys(2), width=4)
    with pytest.raises(StorageError, match=f"tunebook cache clear {table.name[:10]}"):
        filled(table, keys(4), width=5)
    assert table.missing(keys(4)).tolist() == [2, 3]


@pytest.mark.parametrize("where", ["table", "segment", "lock", "use", "address"])
@pytest.mark.parametrize("what", ["file", "link", "folder", "pipe"])
def test_strange_things_under_our_names_are_no_hindrance(
    store: FeatureStore, tmp_path: Path, where: str, what: str
) -> None:
    table = store.table(ADDRESS)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data.bin").write_text("keep")
    inner = {"segment": "000007-00c0ffee", "lock": ".fill", "use": ".use", "address": "address.json"}
    path = table.path / inner[where] if where in inner else table.path
    path.parent.mkdir(parents=True)
    make: dict[str, Callable[[Path], object]] = {
        "file": lambda p: p.write_bytes(b"\0\xff\n"),
        "link": lambda p: p.symlink_to(outside, target_is_directory=True),
        "folder": lambda p: (p / "head.json").mkdir(parents=True),
        "pipe": os.mkfifo,
    }
    make[what](path)
    store.tables()
    with pytest.raises(MissingFeaturesError):
        table.rows(keys(3))
    [rows], _ = store.load([table], keys(3), Computing(keys(3)))
    with rows:
        assert np.array_equal(rows.stack([2])[0], array_of(key(2)))
    assert [info.name for info in store.tables()] == [table.name]
    assert store.clear().removed == (table.name,)
    assert (outside / "data.bin").read_text() == "keep"


def test_a_table_without_an_address_that_can_be_read_is_listed(table: FeatureTable) -> None:
    filled(table, keys(3))
    (table.path / "address.json").write_text("[1")
    assert [(info.examples, info.address) for info in table.store.tables()] == [(3, {})]
