"""
The store of features: what a frozen trunk gave, kept on disk and shared by epochs, runs, trials and processes.

A store is a folder of tables. A table holds one array an example under an address, which is everything that decides
those arrays but the example itself; its folder is named by the address's SHA-256, and was changed when it was last
used::

    <64 digits>/            a table
      address.json          the address, for people
      .use, .fill           its locks, see `feature_locks`
      000001-1f2e3d4c/      a segment, see `feature_segments`
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import StorageError, shown
from tunebook.feature_disk import GONE, keeping, remove, size_of
from tunebook.feature_rows import FeatureRows
from tunebook.feature_table import FeatureTable, MissingFeaturesError, TableInfo, inspect, last_used, remove_unused
from tunebook.opening import from_home
from tunebook.quantities import amount
from tunebook.storage import CACHE_VARIABLE, cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tunebook.feature_segments import SegmentWriter

    #: Positions, and for each table one array for each of them.
    Part = tuple[np.ndarray, list[list[np.ndarray]]]
    Compute = Callable[[np.ndarray], Iterable[Part]]

__all__ = ["Cleared", "FeatureRows", "FeatureStore", "FeatureTable", "Filled", "MissingFeaturesError", "TableInfo"]

LIMIT_VARIABLE = "TUNEBOOK_CACHE_GB"

_TABLE_NAME = re.compile(r"[0-9a-f]{64}")
_DEFAULT_LIMIT = 10_000_000_000
_ATTEMPTS = 5


@dataclass(frozen=True)
class Filled:
    """
    What filling did.

    Attributes
    ----------
    found
        Different keys that every table had already.
    computed
        Different keys that were computed.
    seconds
        Time from start to end, waiting for other processes included.
    """

    found: int
    computed: int
    seconds: float


@dataclass(frozen=True)
class Cleared:
    """
    What clearing did.

    Attributes
    ----------
    removed
        Names of the tables that are gone.
    kept
        Names of those that should have gone and are in use, or cannot be removed.
    freed
        Bytes that the removed ones took.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    freed: int


class FeatureStore:
    """
    A folder of tables with a size limit.

    Several processes and threads may use one folder. Making a store touches nothing.

    Parameters
    ----------
    folder
        Where the tables are; ``None`` takes ``features`` in the user's cache folder, or in ``$TUNEBOOK_CACHE``.
    limit
        Most bytes that the tables may take together. ``None`` takes ``$TUNEBOOK_CACHE_GB``, or else the smaller of
        10 GB and a tenth of what is free on that disk together with what the tables hold.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = from_home(cache_folder() / "features" if folder is None else folder).absolute()
        self._limit = limit

    @property
    def limit(self) -> int:
        """
        Most bytes that the tables may take together.

        Raises
        ------
        StorageError
            ``$TUNEBOOK_CACHE_GB`` is no number of at least 0.
        """
        if self._limit is not None:
            return self._limit
        wanted = wanted_limit()
        if wanted is not None:
            return wanted
        there = next((path for path in (self.folder, *self.folder.parents) if path.is_dir()), Path())
        return min(_DEFAULT_LIMIT, (shutil.disk_usage(there).free + self.size()) // 10)

    def table(self, address: Mapping[str, Any]) -> FeatureTable:
        """
        Return the table of an address, which need not exist yet.

        Parameters
        ----------
        address
            Everything that decides the arrays but the example: values that JSON can hold.

        Raises
        ------
        TypeError, ValueError
            The address holds something that JSON cannot.
        """
        return FeatureTable(self, address)

    def tables(self) -> list[TableInfo]:
        """Return what there is, the one used last first; nothing is changed."""
        found = [info for info in map(inspect, self._paths()) if info is not None]
        return sorted(found, key=lambda info: (-info.used, info.name))

    def size(self) -> int:
        """Return how many bytes all tables take."""
        return sum(map(size_of, self._paths()))

    def fill(
        self,
        tables: Sequence[FeatureTable],
        keys: Sequence[bytes],
        compute: Compute,
        *,
        expected_bytes: int | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> Filled:
        """
        Add to each table the examples that it lacks, by one pass over them.

        A second process that asks for the same waits until the first is done, and finds everything there. An
        error or an end in the middle leaves the tables as they were.

        Parameters
        ----------
        tables
            Different tables of this store.
        keys
            One key an example, 16 bytes each; one that comes twice is computed once.
        compute
            Called once, or not at all, with the positions in ``keys`` that a table lacks, in rising order. It yields
            parts: some of these positions in any order, and for each table one array for each position in the part.
            Parts are written as they come.
        expected_bytes
            Bytes that all keys take in all tables. Where it exceeds the limit or the disk, nothing is computed.
        on_wait
            Told in a line which process has a table, once for each; it may raise to give up.

        Returns
        -------
        Filled
            How much was found and computed.

        Raises
        ------
        StorageError
            The folder cannot be written, the disk is full, or the features are larger than the limit.
        ValueError
            What ``compute`` yields does not fit to what it was asked for.
        """
        started = time.monotonic()
        if len({table.name for table in tables}) != len(tables) or any(table.store is not self for table in tables):
            raise ValueError("give each table once, and tables of this store only")
        computed, different = 0, len(set(keys))
        if any(_lacking(tables, keys)):  # else no lock: who only reads waits for nobody
            self._refuse_too_large(expected_bytes)
            with ExitStack() as held:
                # In one order everywhere, so that two processes never wait for each other.
                for table in sorted(tables, key=lambda each: each.name):
                    held.enter_context(table.filling(on_wait))
                lacking = _lacking(tables, keys)
                computed = len(set().union(*lacking))
                if computed:
                    self._make_room((expected_bytes or 0) * computed // different)
                    self._add(tables, keys, lacking, compute)
                    self.evict()
        for table in tables:
            table.touch()
        return Filled(different - computed, computed, time.monotonic() - started)

    def load(
        self,
        tables: Sequence[FeatureTable],
        keys: Sequence[bytes],
        compute: Compute,
        *,
        expected_bytes: int | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> tuple[list[FeatureRows], Filled]:
        """
        Fill tables and return their rows; what is found damaged is computed again.

        Parameters and errors are those of :meth:`fill`; the tables are not evicted in between.

        Returns
        -------
        list of FeatureRows
            For each table the rows of all keys; close them after use.
        Filled
            What was done in all.
        """
        started, computed, attempt = time.monotonic(), 0, 1
        with ExitStack() as held:
            while True:
                computed += self.fill(tables, keys, compute, expected_bytes=expected_bytes, on_wait=on_wait).computed
                if attempt == 1:
                    for table in tables:
                        held.enter_context(table.using())
                try:
                    rows = _open_all(tables, keys)
                except MissingFeaturesError:
                    if attempt == _ATTEMPTS:
                        raise
                    attempt += 1
                else:
                    found = max(0, len(set(keys)) - computed)
                    return rows, Filled(found, computed, time.monotonic() - started)

    def evict(self, limit: int | None = None) -> Cleared:
        """
        Remove the tables that were not used for longest until the others fit; those in use stay.

        Parameters
        ----------
        limit
            Bytes that may stay; ``None`` is the store's limit.
        """
        excess = self.size() - (self.limit if limit is None else limit)
        return self._remove(self._paths(), excess)

    def clear(self, name: str = "", older_than: float = 0.0) -> Cleared:
        """
        Remove tables; those in use stay.

        Parameters
        ----------
        name
            The beginning of one table's name; empty means every table.
        older_than
            Only tables that were not used for this many seconds.

        Raises
        ------
        StorageError
            No table begins so, or several do.
        """
        paths = [path for path in self._paths() if path.name.startswith(name)]
        if name and len(paths) != 1:
            what = f"{len(paths)} tables of features begin" if paths else "no table of features begins"
            raise StorageError(f"{what} with {shown(name)}; `tunebook cache` lists them")
        before = time.time() - older_than
        return self._remove([path for path in paths if older_than <= 0 or last_used(path) <= before], None)

    def _remove(self, paths: Sequence[Path], excess: int | None) -> Cleared:
        """Remove tables, the one used longest ago first, until so many bytes are free; ``None`` removes all."""
        with suppress(OSError):  # a folder that is not there
            for path in self.folder.iterdir():
                if path.name.startswith(GONE):
                    remove(path)
        removed: list[str] = []
        kept: list[str] = []
        freed = 0
        for path in sorted(paths, key=lambda each: (last_used(each), each.name)):
            if excess is not None and freed >= excess:
                break
            size = size_of(path)
            if remove_unused(path):
                removed.append(path.name)
                freed += size
            else:
                kept.append(path.name)
        return Cleared(tuple(removed), tuple(kept), freed)

    def _paths(self) -> list[Path]:
        """Return the folders of tables; what others put there is not ours."""
        try:
            named = [path for path in self.folder.iterdir() if _TABLE_NAME.fullmatch(path.name)]
        except OSError:
            return []
        return sorted(path for path in named if path.is_dir() and not path.is_symlink())

    def _add(
        self,
        tables: Sequence[FeatureTable],
        keys: Sequence[bytes],
        lacking: Sequence[set[int]],
        compute: Compute,
    ) -> None:
        """Compute and write what tables lack, which are being filled."""
        failed: list[Exception] = []
        try:
            with keeping(self.folder), ExitStack() as stack:
                writers = [
                    stack.enter_context(table.writing()) if wanted else None
                    for table, wanted in zip(tables, lacking, strict=True)
                ]
                _write_parts(writers, lacking, keys, _noting_errors(compute, failed))
        except StorageError:
            if not failed:
                raise
        if failed:  # raised here, so that it has no error of ours as its context
            raise failed[0]

    def _refuse_too_large(self, expected_bytes: int | None) -> None:
        if expected_bytes is not None and expected_bytes > self.limit:
            raise StorageError(
                f"the features take {amount(expected_bytes)} and the cache may take {amount(self.limit)}; "
                f"set {LIMIT_VARIABLE} to more, or free space in {self.folder}"
            )

    def _make_room(self, need: int) -> None:
        """Evict what was not used for long before so much is written, and see whether the disk has it."""
        self.evict(max(0, self.limit - need))
        with suppress(OSError):
            free = shutil.disk_usage(self.folder).free
            if need > free:
                raise StorageError(
                    f"the features take {amount(need)} and the disk of {self.folder} has {amount(free)}; "
                    f"free some space, or set {CACHE_VARIABLE} to a folder with room"
                )


def _lacking(tables: Sequence[FeatureTable], keys: Sequence[bytes]) -> list[set[int]]:
    """Return for each table which positions it lacks."""
    return [set(table.missing(keys).tolist()) for table in tables]


def _open_all(tables: Sequence[FeatureTable], keys: Sequence[bytes]) -> list[FeatureRows]:
    with ExitStack() as opened:
        rows = [opened.enter_context(table.rows(keys)) for table in tables]
        opened.pop_all()  # all are there: they stay open
        return rows


def _write_parts(
    writers: Sequence[SegmentWriter | None], lacking: Sequence[set[int]], keys: Sequence[bytes], compute: Compute
) -> None:
    """Write what is computed as it comes, to each table what it lacks, and see that nothing is left out."""
    left: set[int] = set().union(*lacking)
    asked = len(left)
    for part, arrays in compute(np.array(sorted(left), dtype=np.int64)):
        given = np.asarray(part, dtype=np.int64).tolist()
        if len(set(given)) != len(given) or not left.issuperset(given):
            raise ValueError("a part holds a position twice, again, or one that was not asked for")
        if [len(column) for column in arrays] != [len(given)] * len(writers):
            raise ValueError(f"a part of {len(given)} positions needs as many arrays for each of {len(writers)} tables")
        left.difference_update(given)
        for writer, wanted, column in zip(writers, lacking, arrays, strict=True):
            for position, array in zip(given, column, strict=True):
                if writer is not None and position in wanted:
                    writer.add(keys[position], array)
    if left:
        raise ValueError(f"{len(left)} of {asked} positions were not computed")


def _noting_errors(compute: Compute, failed: list[Exception]) -> Compute:
    """Note errors of the computation, which others would take for errors of the disk."""

    def noting(positions: np.ndarray) -> Iterator[Part]:
        try:
            yield from compute(positions)
        except Exception as error:
            failed.append(error)
            raise

    return noting


def wanted_limit() -> int | None:
    """
    Return the bytes that ``$TUNEBOOK_CACHE_GB`` allows the tables; ``None`` where it says nothing.

    Raises
    ------
    StorageError
        It is no number of at least 0.
    """
    wish = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not wish:
        return None
    try:
        gigabytes = float(wish)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < sys.maxsize / 1e9:  # catches what is not a number, too
        raise StorageError(f"{LIMIT_VARIABLE}={shown(wish)} is no number of gigabytes; set it to 0 or more, such as 10")
    return int(gigabytes * 1e9)
