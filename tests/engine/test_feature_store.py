"""Features come back as they were kept, or are missed; and they stay under a limit."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import StorageError
from tunebook.feature_store import FeatureStore, FeatureTable

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, Computing, array_of, filled, key, keys, segments, yielding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tunebook.feature_store import Part


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", limit=10**9)


@pytest.fixture
def table(store: FeatureStore) -> FeatureTable:
    return store.table(ADDRESS)


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
            assert rows.shape == (expected[0].shape if len({array.shape for array in expected}) == 1 else None)
            if rows.shape is not None:
                assert np.array_equal(rows.stack(range(len(wanted))[::-1]), np.stack(expected[::-1]))


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
        (yielding(([0, 1], [[ROW, ROW[:, :1]]])), "and one computed now is float32 of shape"),
        (yielding(([0, 1], [[ROW, np.zeros((), np.float32)]])), "of shape ()"),
    ],
)
def test_what_was_not_asked_for_is_refused_and_nothing_is_left(
    table: FeatureTable, compute: Callable[[np.ndarray], Iterator[Part]], words: str
) -> None:
    with pytest.raises((ValueError, StorageError), match=words.replace("()", r"\(\)")):
        table.store.fill([table], keys(2), compute)
    assert [path.name for path in table.path.iterdir() if path.name not in {".use", ".fill"}] == ["address.json"]


def test_keys_and_tables_must_be_right(store: FeatureStore, table: FeatureTable) -> None:
    with pytest.raises(ValueError, match="key 1 has 3 bytes"):
        table.missing([key(0), b"abc"])
    with pytest.raises(ValueError, match="each table once"):
        store.fill([table, store.table(ADDRESS)], keys(1), Computing(keys(1)))


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


def test_folders_of_others_are_left_alone(store: FeatureStore) -> None:
    (store.folder / "notes").mkdir(parents=True)
    (store.folder / "README").write_text("x")
    filled(store.table(ADDRESS), keys(3))
    store.clear()
    assert sorted(path.name for path in store.folder.iterdir()) == ["README", "notes"]


def make_tables(store: FeatureStore, count: int) -> list[FeatureTable]:
    """Fill tables of about 50 kB; the first was used longest ago."""
    tables = [store.table(ADDRESS | {"view": number}) for number in range(count)]
    for number, table in enumerate(tables):
        filled(table, keys(10), lengths=(300,))
        os.utime(table.path, (1000 + number, 1000 + number))
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


def test_features_larger_than_the_limit_are_refused_before_anything_is_computed(store: FeatureStore) -> None:
    table = store.table(ADDRESS)
    computing = Computing(keys(5))
    with pytest.raises(StorageError, match=r"take 2\.0 GB and the cache may take 1\.0 GB; set TUNEBOOK_CACHE_GB"):
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
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 5_000_000_000))
    assert FeatureStore().limit == 500_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 10**15))
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
