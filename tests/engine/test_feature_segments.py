"""Whatever is damaged in a segment is found, said and computed again; it is never given out."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.feature_store import FeatureStore, FeatureTable

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, Computing, array_of, filled, keys, segments

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", limit=10**9)


@pytest.fixture
def table(store: FeatureStore) -> FeatureTable:
    return store.table(ADDRESS)


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def cut(path: Path, size: int) -> None:
    with path.open("rb+") as stream:
        stream.truncate(size)


def head_with(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        head = json.loads((folder / "head.json").read_text())
        (folder / "head.json").write_text(json.dumps(head | changes))

    return change


def in_place_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


DAMAGE: dict[str, Callable[[Path], object]] = {
    "first byte": lambda f: flip(f / "data.bin", 0),
    "a byte in the middle": lambda f: flip(f / "data.bin", 250),
    "last byte": lambda f: flip(f / "data.bin", -1),
    "a key": lambda f: flip(f / "index.bin", 3),
    "a length": lambda f: flip(f / "index.bin", 17),
    "a checksum": lambda f: flip(f / "index.bin", 21),
    "data cut by a byte": lambda f: cut(f / "data.bin", 479),
    "data cut by an example": lambda f: cut(f / "data.bin", 480 - 48),
    "data empty": lambda f: cut(f / "data.bin", 0),
    "index cut": lambda f: cut(f / "index.bin", 24 * 9),
    "index empty": lambda f: cut(f / "index.bin", 0),
    "head empty": lambda f: cut(f / "head.json", 0),
    "head cut": lambda f: cut(f / "head.json", 40),
    "garbage": lambda f: (f / "head.json").write_bytes(b"\xff\x00\xfe"),
    "nested": lambda f: (f / "head.json").write_text("[" * 60_000),
    "long": lambda f: (f / "head.json").write_text(" " * 70_000),
    "a list": lambda f: (f / "head.json").write_text("[]"),
    "another format": head_with(format=2),
    "objects": head_with(dtype="object"),
    "a pickle's dtype": head_with(dtype="O"),
    "no dtype": head_with(dtype=["float32"]),
    "huge": head_with(rows=10**30),
    "many rows": head_with(rows=2**61),
    "many examples": head_with(examples=2**60),
    "negative": head_with(examples=-1),
    "a float": head_with(rows=30.0),
    "true": head_with(examples=True),
    "a huge edge": head_with(trailing=[2**61]),
    "a product of 0": head_with(trailing=[0, 2**61, 2**61]),
    "a negative edge": head_with(trailing=[-4]),
    "text for edges": head_with(trailing="4"),
    "many dimensions": head_with(trailing=[1] * 40),
    "another edge": head_with(trailing=[2]),
    "infinite": lambda f: (f / "head.json").write_text('{"format": 1, "rows": Infinity}'),
    "digits without end": lambda f: (f / "head.json").write_text('{"format": 1, "rows": ' + "9" * 6000 + "}"),
    "no data": lambda f: (f / "data.bin").unlink(),
    "no head": lambda f: (f / "head.json").unlink(),
    "a folder for data": in_place_of("data.bin", Path.mkdir),
    "a pipe for data": in_place_of("data.bin", os.mkfifo),
    "a pipe for a head": in_place_of("head.json", os.mkfifo),
    "a link for data": in_place_of("data.bin", lambda path: path.symlink_to("/etc/passwd")),
    "a link for an index": in_place_of("index.bin", lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_segment_is_computed_again_as_a_whole_and_said(
    table: FeatureTable, damage: Callable[[Path], object]
) -> None:
    names = keys(20)
    filled(table, names[:10])
    filled(table, names)
    first = segments(table)[0]
    damage(first)
    computing = Computing(names)
    [rows], done = table.store.load([table], names, computing)
    with rows:
        assert np.array_equal(rows.stack(range(20)), np.stack([array_of(name) for name in names]))
    assert computing.calls == [list(range(10))]
    assert (done.found, done.computed) == (10, 10)
    assert len(table.problems) == 1
    assert f"features segment {first.name} of table {table.name[:10]} was damaged (" in table.problems[0]
    assert not first.exists()
    assert FeatureStore(table.store.folder).table(ADDRESS).missing(names).tolist() == []


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7), file=st.sampled_from(["head.json", "index.bin", "data.bin"]))
def test_no_flipped_bit_gives_wrong_features(at: int, bit: int, file: str) -> None:
    names = keys(5)
    with tempfile.TemporaryDirectory() as folder:
        table = FeatureStore(Path(folder), limit=10**9).table(ADDRESS)
        filled(table, names, lengths=(1, 2), dtype="float16")
        path = segments(table)[0] / file
        raw = bytearray(path.read_bytes())
        raw[at % len(raw)] ^= 1 << bit
        path.write_bytes(raw)
        [rows], _ = table.store.load([table], names, Computing(names, lengths=(1, 2), dtype="float16"))
        with rows:
            expected = [array_of(name, (1, 2), dtype="float16") for name in names]
            assert all(map(np.array_equal, rows.take(range(5)), expected))


def test_damage_of_examples_that_are_not_needed_keeps_nobody(table: FeatureTable) -> None:
    filled(table, keys(10))
    flip(segments(table)[0] / "data.bin", -1)
    with table.rows(keys(9)) as rows:
        assert len(rows) == 9
    assert table.problems == []
