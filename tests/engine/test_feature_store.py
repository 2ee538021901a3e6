"""Features come back as they were kept, or are missed: never wrong, never half, never computed twice."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook import feature_store
from tunebook.errors import StorageError
from tunebook.feature_store import FeatureStore, FeatureTable, MissingFeaturesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tunebook.feature_store import Part

ADDRESS = {"format": 1, "model": "resnet18", "boundary": "layer4", "view": 0}


def key(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def keys(count: int, start: int = 0) -> list[bytes]:
    return [key(number) for number in range(start, start + count)]


def array_of(name: bytes, lengths: Sequence[int] = (3,), width: int = 4, dtype: str = "float32") -> np.ndarray:
    """Make the features of an example: they follow from its key."""
    rng = np.random.default_rng(list(name))
    return rng.standard_normal((lengths[name[0] % len(lengths)], width)).astype(dtype)


class Computing:
    """Computes features in parts, and remembers what it was asked for."""

    def __init__(self, names: Sequence[bytes], tables: int = 1, part: int = 4, **shape: Any) -> None:
        self.names, self.tables, self.part, self.shape = names, tables, part, shape
        self.calls: list[list[int]] = []

    def __call__(self, positions: np.ndarray) -> Iterator[Part]:
        self.calls.append(positions.tolist())
        for at in range(0, len(positions), self.part):
            chosen = positions[at : at + self.part]
            yield chosen, [[self.array(p) + t for p in chosen] for t in range(self.tables)]

    def array(self, position: int) -> np.ndarray:
        return array_of(self.names[position], **self.shape)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", limit=10**9)


@pytest.fixture
def table(store: FeatureStore) -> FeatureTable:
    return store.table(ADDRESS)


def filled(table: FeatureTable, names: Sequence[bytes], **shape: Any) -> feature_store.Filled:
    return table.store.fill([table], names, Computing(names, **shape))


def segments(table: FeatureTable) -> list[Path]:
    return sorted(path for path in table.path.iterdir() if path.is_dir())


# What goes in comes out.


@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    width=st.integers(0, 5),
    dtype=st.sampled_from(["float16", "float32"]),
    wanted=st.lists(st.integers(0, 11), max_size=30),
    batches=st.lists(st.lists(st.integers(0, 11), max_size=8), max_size=3),
)
def test_arrays_come_back_bit_for_bit(
    lengths: list[int], width: int, dtype: str, wanted: list[int], batches: list[list[int]]
) -> None:
    shape: dict[str, Any] = {"lengths": lengths, "width": width, "dtype": dtype}
    with tempfile.TemporaryDirectory() as folder:
        table = FeatureStore(Path(folder), limit=10**9).table(ADDRESS)
        known: set[int] = set()
        for batch in [*batches, wanted]:
            names = [key(number) for number in batch]
            computing = Computing(names, **shape)
            done = table.store.fill([table], names, computing)
            assert done.computed == len(set(batch) - known) == sum(map(len, computing.calls))
            assert done.found == len(set(batch) & known)
            known |= set(batch)
        expected = [array_of(key(number), **shape) for number in wanted]
        with table.rows([key(number) for number in wanted]) as rows:
            assert rows.lengths.tolist() == [len(array) for array in expected]
            found = rows.take(range(len(wanted)))
            assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(found, expected, strict=True))
            assert rows.is_ragged == (len({array.shape for array in expected}) > 1)
            if rows.shape is not None:
                assert np.array_equal(rows.stack(range(len(wanted))[::-1]), np.stack(expected[::-1]))
            assert rows.nbytes == sum({n: array_of(key(n), **shape).nbytes for n in wanted}.values())


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_stack_reads_over_segments_whether_in_memory_or_not(
    table: FeatureTable,
    in_memory: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_store, "IN_MEMORY", in_memory)
    names = keys(30)
    for start in (0, 10, 20):
        filled(table, names[start : start + 10], width=3)
    wanted = [29, 0, 15, 15, 9, 10, -1]
    with table.rows(names) as rows:
        assert rows.shape == (3, 3)
        assert np.array_equal(rows.stack(wanted), np.stack([array_of(names[at], width=3) for at in wanted]))
        assert rows.stack([]).shape == (0, 3, 3)


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_equal_shapes_out_of_a_ragged_segment_can_be_stacked(
    table: FeatureTable, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "IN_MEMORY", in_memory)
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


def test_one_pass_fills_several_tables_each_with_what_it_lacks(store: FeatureStore) -> None:
    one, two = store.table(ADDRESS), store.table(ADDRESS | {"view": 1})
    names = keys(10)
    filled(one, names[:4])
    before = segments(one)[0].stat().st_mtime_ns
    computing = Computing(names, tables=2)
    rows, done = store.load([one, two], names, computing)
    assert computing.calls == [list(range(10))]
    assert (done.found, done.computed) == (0, 10)
    assert [len(path) for path in (segments(one), segments(two))] == [2, 1]
    assert segments(one)[0].stat().st_mtime_ns == before
    assert np.array_equal(rows[1].stack([9])[0], array_of(names[9]) + 1)
    assert sum(info.examples for info in store.tables()) == 20
    for each in rows:
        each.close()


def test_parts_may_come_in_any_order(table: FeatureTable) -> None:
    names = keys(9)

    def backwards(positions: np.ndarray) -> Iterator[Part]:
        for at in positions[::-1]:
            yield np.array([at]), [[array_of(names[at])]]

    table.store.fill([table], names, backwards)
    with table.rows(names) as rows:
        assert np.array_equal(rows.stack(range(9)), np.stack([array_of(name) for name in names]))


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


# What does not fit is told.


def test_examples_that_are_not_there_are_named(table: FeatureTable) -> None:
    names = keys(6)
    with pytest.raises(MissingFeaturesError) as caught:
        table.rows([*names, names[0]])
    assert caught.value.positions.tolist() == [0, 1, 2, 3, 4, 5]
    assert not table.path.exists()
    filled(table, names[1:4])
    with pytest.raises(MissingFeaturesError) as caught:
        table.rows([*names, names[0]])
    assert caught.value.positions.tolist() == table.missing(names).tolist() == [0, 4, 5]


def yielding(*parts: tuple[list[int], list[list[np.ndarray]]]) -> Callable[[np.ndarray], Iterator[Part]]:
    return lambda _: iter([(np.array(positions), arrays) for positions, arrays in parts])


ROW = np.zeros((1, 2), np.float32)


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (yielding(([0], [[ROW]])), "1 of 2 positions were not computed"),
        (yielding(([0, 0], [[ROW, ROW]])), "holds a position twice"),
        (yielding(([0], [[ROW]]), ([0], [[ROW]])), "again"),
        (yielding(([0, 2], [[ROW, ROW]])), "not asked for"),
        (yielding(([0, 1], [[ROW]])), "needs as many arrays"),
        (yielding(([0, 1], [[ROW, ROW], [ROW, ROW]])), "for each of 1 tables"),
        (yielding(([0, 1], [[ROW, ROW.astype(np.float64)]])), "not float64"),
        (yielding(([0, 1], [[ROW, ROW[:, :1]]])), "of one table"),
        (yielding(([0, 1], [[ROW, np.zeros((), np.float32)]])), "of shape ()"),
    ],
)
def test_what_was_not_asked_for_is_refused_and_nothing_is_left(
    table: FeatureTable, compute: Callable[[np.ndarray], Iterator[Part]], words: str
) -> None:
    with pytest.raises(ValueError, match=words.replace("()", r"\(\)")):
        table.store.fill([table], keys(2), compute)
    assert [path.name for path in table.path.iterdir() if path.name not in {".use", ".fill"}] == ["address.json"]


def test_another_shape_under_the_same_address_says_which_table_to_clear(table: FeatureTable) -> None:
    filled(table, keys(2), width=4)
    with pytest.raises(StorageError, match=f"tunebook cache clear {table.name[:10]}"):
        filled(table, keys(4), width=5)
    assert table.missing(keys(4)).tolist() == [2, 3]


def test_keys_and_tables_must_be_right(store: FeatureStore, table: FeatureTable) -> None:
    with pytest.raises(ValueError, match="key 1 has 3 bytes"):
        table.missing([key(0), b"abc"])
    with pytest.raises(ValueError, match="each table once"):
        store.fill([table, store.table(ADDRESS)], keys(1), Computing(keys(1)))


def test_closed_rows_give_nothing(table: FeatureTable) -> None:
    filled(table, keys(2))
    rows = table.rows(keys(2))
    rows.close()
    rows.close()
    with pytest.raises(ValueError, match="closed"):
        rows.take([0])


# Faults while filling.


class Unlucky(Computing):
    """Fails in the middle."""

    def __init__(self, names: Sequence[bytes], error: BaseException) -> None:
        super().__init__(names)
        self.error = error

    def __call__(self, positions: np.ndarray) -> Iterator[Part]:
        for number, part in enumerate(super().__call__(positions)):
            if number == 1:
                raise self.error
            yield part


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.EIO, "picture"), RuntimeError("x"), StorageError("its own")], ids=repr
)
def test_an_error_of_the_computation_passes_as_it_is_and_leaves_nothing(
    table: FeatureTable, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        table.store.fill([table], keys(20), Unlucky(keys(20), error))
    assert caught.value is error
    assert segments(table) == []
    assert filled(table, keys(20)).computed == 20


def test_a_full_disk_is_one_line_and_leaves_nothing(table: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    names = keys(20)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"features cannot be kept in .*: No space left .* TUNEBOOK_CACHE") as e:
            filled(table, names)
    assert "\n" not in str(e.value)
    assert segments(table) == []
    assert filled(table, names).computed == 20


def test_a_disk_that_fills_while_writing_is_one_line(table: FeatureTable) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    names = keys(2000)

    def compute(positions: np.ndarray) -> Iterator[Part]:
        inside = next(path for path in table.path.iterdir() if path.suffix == ".part")
        # The file that is being written to becomes a device without room.
        descriptor = next(
            int(link.name)
            for link in Path("/proc/self/fd").iterdir()
            if link.is_symlink() and str(inside) in os.path.realpath(link)
        )
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, descriptor)
        os.close(full)
        yield from Computing(names, part=100, width=100)(positions)

    with pytest.raises(StorageError, match=r"cannot be kept in .*: No space left on device"):
        table.store.fill([table], names, compute)
    assert segments(table) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    table = FeatureStore(tmp_path / "file" / "features", limit=10**9).table(ADDRESS)
    computing = Computing(keys(1))
    with pytest.raises(StorageError, match=r"features cannot be kept in .*file"):
        table.store.fill([table], keys(1), computing)
    assert computing.calls == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_may_only_be_read_can_be_used(table: FeatureTable) -> None:
    filled(table, keys(2))
    table.path.chmod(0o555)
    try:
        rows, done = table.store.load([table], keys(2), Computing(keys(2)))
        assert (len(rows[0]), done.computed) == (2, 0)
        with pytest.raises(StorageError, match="Permission denied"):
            filled(table, keys(3))
    finally:
        table.path.chmod(0o755)


def test_an_error_of_writing_the_lock_names_the_folder(table: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(feature_store.fcntl, "flock", no_locks)
    with pytest.raises(StorageError, match="No locks available"):
        filled(table, keys(1))


# Damage.


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


@pytest.mark.parametrize("where", ["table", "segment", "lock", "use", "used", "address"])
@pytest.mark.parametrize("what", ["file", "link", "folder", "pipe"])
def test_strange_things_under_our_names_are_no_hindrance(
    store: FeatureStore, tmp_path: Path, where: str, what: str
) -> None:
    table = store.table(ADDRESS)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data.bin").write_text("keep")
    inner = {"segment": "000007-00c0ffee", "lock": ".fill", "use": ".use", "used": "used", "address": "address.json"}
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


def test_folders_of_others_are_left_alone(store: FeatureStore) -> None:
    (store.folder / "notes").mkdir(parents=True)
    (store.folder / "README").write_text("x")
    filled(store.table(ADDRESS), keys(3))
    store.clear()
    assert sorted(path.name for path in store.folder.iterdir()) == ["README", "notes"]


def test_a_table_without_an_address_that_can_be_read_is_listed(table: FeatureTable) -> None:
    filled(table, keys(3))
    (table.path / "address.json").write_text("[1")
    assert [(info.examples, info.address) for info in table.store.tables()] == [(3, {})]


# The limit.


def make_tables(store: FeatureStore, count: int) -> list[FeatureTable]:
    """Fill tables of about 50 kB; the first was used longest ago."""
    tables = [store.table(ADDRESS | {"view": number}) for number in range(count)]
    for number, table in enumerate(tables):
        filled(table, keys(10), lengths=(300,))
        os.utime(table.path / "used", (1000 + number, 1000 + number))
    return tables


def test_the_table_used_longest_ago_goes_first(store: FeatureStore) -> None:
    tables = make_tables(store, 4)
    tables[0].rows(keys(10)).close()  # used now
    kept = store.size() // 2
    assert store.evict(kept).removed == (tables[1].name, tables[2].name)
    assert store.size() <= kept
    assert [info.name for info in store.tables()] == [tables[0].name, tables[3].name]


def test_filling_keeps_the_store_under_its_limit_and_its_own_table(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit=120_000)
    tables = make_tables(store, 5)
    assert [table.path.exists() for table in tables] == [False, False, False, True, True]
    small = FeatureStore(tmp_path, limit=10)
    filled(small.table(ADDRESS), keys(10), lengths=(300,))
    assert [info.name for info in small.tables()] == [small.table(ADDRESS).name]


def test_a_table_in_use_is_not_evicted_until_its_rows_are_let_go(store: FeatureStore) -> None:
    first, second = make_tables(store, 2)
    rows = first.rows(keys(10))
    assert {info.name: info.in_use for info in store.tables()} == {first.name: True, second.name: False}
    assert store.evict(0).removed == (second.name,)
    assert store.clear().kept == (first.name,)
    assert np.array_equal(rows.take([3])[0], array_of(key(3), (300,)))
    del rows
    assert store.clear().removed == (first.name,)


def test_a_table_that_is_being_filled_is_not_evicted(table: FeatureTable) -> None:
    names = keys(8)
    kept = []

    def compute(positions: np.ndarray) -> Iterator[Part]:
        kept.append(table.store.clear().kept)
        yield from Computing(names)(positions)

    table.store.fill([table], names, compute)
    assert kept == [(table.name,)]
    assert table.missing(names).tolist() == []


def test_rows_that_are_open_do_not_keep_others_from_adding(table: FeatureTable) -> None:
    filled(table, keys(5))
    with table.rows(keys(5)) as rows:
        assert filled(table, keys(9)).computed == 4
        assert len(rows.take([4])) == 1


def test_features_larger_than_the_limit_are_refused_before_anything_is_computed(store: FeatureStore) -> None:
    table = store.table(ADDRESS)
    computing = Computing(keys(5))
    with pytest.raises(StorageError, match=r"take 2\.00 GB and the cache may take 1\.00 GB; set TUNEBOOK_CACHE_GB"):
        store.fill([table], keys(5), computing, expected_bytes=2 * 10**9)
    assert computing.calls == []
    assert not table.path.exists()
    filled(table, keys(5))
    assert store.fill([table], keys(5), computing, expected_bytes=2 * 10**9).found == 5


def test_features_larger_than_the_disk_are_refused(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit=10**18)
    with pytest.raises(StorageError, match=r"the disk of .* has"):
        store.fill([store.table(ADDRESS)], keys(5), Computing(keys(5)), expected_bytes=10**17)


def test_room_is_made_before_it_is_needed(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, limit=10**9)
    tables = make_tables(store, 2)
    store = FeatureStore(tmp_path, limit=store.size())
    seen = []

    def compute(positions: np.ndarray) -> Iterator[Part]:
        seen.append([table.path.exists() for table in tables])
        yield from Computing(keys(5))(positions)

    store.fill([store.table({})], keys(5), compute, expected_bytes=40_000)
    assert seen == [[False, True]]


def test_the_limit_comes_from_the_environment_or_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    monkeypatch.setenv("TUNEBOOK_CACHE_GB", "2.5")
    assert FeatureStore().limit == 2_500_000_000
    assert FeatureStore().folder == tmp_path / "features"
    assert FeatureStore(limit=7).limit == 7
    for wrong in ("many", "-1", "nan", "inf", "1e99"):
        monkeypatch.setenv("TUNEBOOK_CACHE_GB", wrong)
        with pytest.raises(StorageError, match="is no number of gigabytes"):
            _ = FeatureStore().limit
    monkeypatch.delenv("TUNEBOOK_CACHE_GB")
    usage = type(feature_store.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda _: usage(0, 0, 5_000_000_000))
    assert FeatureStore().limit == 500_000_000
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda _: usage(0, 0, 10**15))
    assert FeatureStore().limit == 10_000_000_000


def test_clear_takes_one_by_its_short_name_or_those_that_are_old(store: FeatureStore) -> None:
    tables = make_tables(store, 3)
    with pytest.raises(StorageError, match="no table of features begins with 'xyz'"):
        store.clear("xyz")
    assert store.clear(tables[1].name[:10]).removed == (tables[1].name,)
    tables[2].touch()
    assert store.clear(older_than=3600).removed == (tables[0].name,)
    assert store.clear().freed > 48_000
    assert store.tables() == []


# Many small segments.


def test_many_segments_become_one_with_the_same_features(table: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "MANY_SEGMENTS", 4)
    names = keys(12)
    opened = []
    for end in range(2, 13, 2):
        filled(table, names[:end])
        opened.append(len(segments(table)))
        with table.rows(names[:end]) as rows:
            assert np.array_equal(rows.stack(range(end)), np.stack([array_of(name) for name in names[:end]]))
    assert opened == [1, 2, 3, 4, 1, 2]


def test_rows_opened_before_a_merge_stay_good(table: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "IN_MEMORY", 0)
    filled(table, keys(4))
    filled(table, keys(8))
    with table.rows(keys(8)) as rows:
        monkeypatch.setattr(feature_store, "MANY_SEGMENTS", 2)
        filled(table, keys(10))
        assert len(segments(table)) == 1
        assert np.array_equal(rows.stack(range(8)), np.stack([array_of(name) for name in keys(8)]))


def test_damage_is_not_merged(table: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(table, keys(4))
    filled(table, keys(8))
    flip(segments(table)[0] / "data.bin", 0)
    monkeypatch.setattr(feature_store, "MANY_SEGMENTS", 2)
    filled(table, keys(10))
    assert len(segments(table)) == 3
    [rows], done = table.store.load([table], keys(10), Computing(keys(10)))
    rows.close()
    assert done.computed == 4


# Processes.

WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from tunebook.feature_store import FeatureStore

folder, mark, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
names = [bytes([n] * 16) for n in range(40)]

def compute(positions):
    with mark.open("a") as stream:
        stream.write(f"{len(positions)}\\n")
    for at in range(0, len(positions), 4):
        time.sleep(pause)
        chosen = positions[at : at + 4]
        yield chosen, [[np.full((2, 3), names[p][0] + t, np.float32) for p in chosen] for t in (0, 100)]

store = FeatureStore(folder, limit=10**9)
tables = [store.table({"view": n}) for n in (0, 1)]
if len(sys.argv) > 4:
    tables.reverse()
print("ready", flush=True)
sys.stdin.readline()
rows, done = store.load(tables, names, compute, on_wait=lambda line: print(line, flush=True))
for each in rows:
    assert each.stack(range(40)).shape == (40, 2, 3)
print(done.found, done.computed, done.waited > 0.2, flush=True)
"""


def start(folder: Path, mark: Path, pause: float, *more: str) -> subprocess.Popen[str]:
    command = (sys.executable, "-c", WORKER, str(folder), str(mark), str(pause), *more)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_that_start_together_compute_once(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # One names the tables the other way round, which must not lock both up.
    both = [start(tmp_path / "f", mark, 0.1), start(tmp_path / "f", mark, 0.1, "reversed")]
    for process in both:
        go(process)
    said = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert mark.read_text() == "40\n"
    first, second = sorted(said, key=len)
    assert first == ["0 40 False"]
    pid = next(process.pid for process, lines in zip(both, said, strict=True) if lines is first)
    assert second == [f"features are being computed by process {pid}; waiting for it", "40 0 True"]


def test_a_process_killed_while_filling_leaves_nothing_damaged(tmp_path: Path) -> None:
    mark, folder = tmp_path / "mark", tmp_path / "f"
    killed = start(folder, mark, 0.2)
    go(killed)
    waits = start(folder, mark, 0.0)
    deadline = time.monotonic() + 30
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    go(waits)
    time.sleep(0.5)
    assert list(folder.glob("*/.*.part"))
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    answer = waits.communicate(timeout=60)[0].splitlines()
    assert answer[-1].startswith("0 40")
    assert mark.read_text() == "40\n40\n"
    assert not list(folder.glob("*/.*.part"))
    table = FeatureStore(folder, limit=10**9).table({"view": 1})
    with table.rows([bytes([n] * 16) for n in range(40)]) as rows:
        assert rows.stack(range(40))[:, 0, 0].tolist() == [100.0 + n for n in range(40)]
    assert table.problems == []


def test_what_a_killed_process_left_is_swept_from_tables_that_nobody_fills_again(store: FeatureStore) -> None:
    left, other = store.table(ADDRESS), store.table({})
    filled(left, keys(2))
    (left.path / ".000002-00000000.abc.part").mkdir()
    (left.path / ".000002-00000000.abc.part" / "data.bin").write_bytes(b"x" * 100)
    (store.folder / ".gone-1").mkdir()
    filled(other, keys(2))
    assert [path.name for path in store.folder.iterdir() if path.name.startswith(".")] == []
    assert not (left.path / ".000002-00000000.abc.part").exists()
    assert left.missing(keys(2)).tolist() == []


def test_waiting_can_be_given_up(table: FeatureTable) -> None:
    names = keys(4)
    inside, leave = threading.Event(), threading.Event()

    def slow(positions: np.ndarray) -> Iterator[Part]:
        inside.set()
        leave.wait(20)
        yield from Computing(names)(positions)

    thread = threading.Thread(target=lambda: table.store.fill([table], names, slow))
    thread.start()
    assert inside.wait(20)

    def give_up() -> None:
        raise KeyboardInterrupt

    other = FeatureStore(table.store.folder).table(ADDRESS)
    with pytest.raises(KeyboardInterrupt):
        other.store.fill([other], names, Computing(names), on_poll=give_up)
    leave.set()
    thread.join()
    assert other.missing(names).tolist() == []


def test_eviction_in_one_thread_and_use_in_others_never_fails(tmp_path: Path) -> None:
    names = keys(6)
    stop = threading.Event()
    wrong: list[BaseException] = []

    def use() -> None:
        store = FeatureStore(tmp_path, limit=10**9)
        try:
            for _ in range(15):
                [rows], _ = store.load([store.table(ADDRESS)], names, Computing(names))
                with rows:
                    assert np.array_equal(rows.stack([5])[0], array_of(names[5]))
        except BaseException as error:  # noqa: BLE001 - a thread's error would be lost
            wrong.append(error)

    def evict() -> None:
        while not stop.is_set():
            FeatureStore(tmp_path, limit=10**9).evict(0)
            time.sleep(0.001)

    threads = [threading.Thread(target=use) for _ in range(3)]
    evictor = threading.Thread(target=evict)
    for thread in (evictor, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    evictor.join()
    assert wrong == []
