"""Tables of features: the arrays that one address decides, in a folder that processes share."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import StorageError
from tunebook.feature_disk import keeping, remove, remove_at_once, size_of
from tunebook.feature_locks import FILL, USE, alone, hold, wait_to_fill
from tunebook.feature_rows import FeatureRows
from tunebook.feature_segments import (
    KEY_BYTES,
    DamagedError,
    Segment,
    SegmentWriter,
    read_file,
    segment_names,
)
from tunebook.storage import replacing_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tunebook.feature_store import FeatureStore

_ADDRESS = "address.json"
_MOST_ADDRESS_BYTES = 65_536


class MissingFeaturesError(StorageError):
    """Some examples are not in a table, or were damaged there; fill it and ask again."""


@dataclass(frozen=True)
class TableInfo:
    """
    What can be said of a table without reading its data.

    Attributes
    ----------
    name
        SHA-256 of the address, 64 hexadecimal digits.
    address
        The address as it was given; empty where it cannot be read.
    nbytes
        Bytes on disk.
    examples
        Number of examples in segments that can be opened.
    used
        When it was last used, in seconds since 1970.
    in_use
        Whether a process reads it or adds to it now.
    """

    name: str
    address: dict[str, Any]
    nbytes: int
    examples: int
    used: float
    in_use: bool


class FeatureTable:
    """
    The arrays that one address decides, one an example. Made by :meth:`tunebook.feature_store.FeatureStore.table`.

    All arrays of a table have one dtype (float16 or float32), number of dimensions and shape after the first
    dimension; the first may differ.

    Attributes
    ----------
    store
        Where it is.
    address
        What it was made from.
    name
        SHA-256 of the address as canonical JSON, 64 hexadecimal digits.
    path
        Its folder, which need not exist.
    problems
        A line for each segment that was found damaged and set aside.
    """

    def __init__(self, store: FeatureStore, address: Mapping[str, Any]) -> None:
        text = json.dumps(dict(address), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        self.store = store
        self.address: dict[str, Any] = json.loads(json.dumps(dict(address)))
        self.name = hashlib.sha256(text.encode()).hexdigest()
        self.path = store.folder / self.name
        self.problems: list[str] = []
        self._distrusted: set[str] = set()

    def missing(self, keys: Sequence[bytes]) -> np.ndarray:
        """
        Return which keys the table lacks; data are not read.

        Parameters
        ----------
        keys
            16 bytes each.

        Returns
        -------
        numpy.ndarray
            Positions in ``keys`` in rising order, int64, shape (missing,), each different key once.
        """
        known = {key for segment in self._segments() for key in segment.keys}
        return np.array([at for key, at in _first_positions(keys).items() if key not in known], dtype=np.int64)

    def rows(self, keys: Sequence[bytes]) -> FeatureRows:
        """
        Return the arrays of some examples, after checking the bytes of each once.

        A segment that is not as it was written is removed, with a line in :attr:`problems`.

        Parameters
        ----------
        keys
            16 bytes each, in any order and number.

        Returns
        -------
        FeatureRows
            Its positions are those of ``keys``. While it is open the table is not evicted.

        Raises
        ------
        MissingFeaturesError
            The table lacks some; :meth:`tunebook.feature_store.FeatureStore.fill` computes them.
        StorageError
            The table cannot be read.
        """
        different = _first_positions(keys)
        with keeping(self.path), ExitStack() as held:
            try:
                lock = hold(self.path, make=not keys)
            except FileNotFoundError:
                raise self._missing_error(len(different)) from None
            held.callback(os.close, lock)
            while True:
                segments = self._segments()
                where = {
                    key: (number, at)
                    for number, segment in enumerate(segments)
                    for at, key in enumerate(segment.keys)
                    if key in different
                }
                if not self._set_aside_damaged(segments, where):
                    break
            if len(where) < len(different):
                raise self._missing_error(len(different) - len(where))
            rows = FeatureRows(segments, [where[key] for key in keys], lock)
            held.pop_all()  # the lock is theirs now
        self.touch()
        return rows

    @contextmanager
    def using(self) -> Iterator[None]:
        """Keep the table from being evicted while the block lasts; it is made if it is not there."""
        with keeping(self.path):
            lock = hold(self.path, make=True)
        try:
            yield
        finally:
            os.close(lock)

    @contextmanager
    def filling(self, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Be the only one who adds to the table while the block lasts; what killed processes left is removed."""
        with self.using(), ExitStack() as held:
            with keeping(self.path):
                held.callback(os.close, wait_to_fill(self.path, on_wait))
                for inner in self.path.iterdir():
                    if inner.name.startswith(".") and inner.name not in {USE, FILL}:
                        remove(inner)
                self._write_address()
            yield

    @contextmanager
    def writing(self) -> Iterator[SegmentWriter]:
        """Give a writer for a new segment, which is there when the block ends well; the table is being filled."""
        segments = self._segments()
        # The first part is for the order; it need not be unique.
        path = self.path / f"{len(segment_names(self.path)) + 1:06d}-{secrets.token_hex(4)}"
        with (
            replacing_folder(path) as folder,
            SegmentWriter(folder, segments[0].layout if segments else None, self.name) as writer,
        ):
            yield writer

    def touch(self) -> None:
        """Note that the table is used now; a folder that cannot be written is no matter."""
        with suppress(OSError):
            os.utime(self.path, follow_symlinks=False)

    def _segments(self) -> list[Segment]:
        """Open the segments that are whole, oldest first; set the others aside."""
        found: list[Segment] = []
        for name in segment_names(self.path):
            if name in self._distrusted:
                continue
            try:
                segment = Segment(self.path / name)
                if found and segment.layout != found[0].layout:
                    raise DamagedError("its shape differs from that of the others")  # noqa: TRY301
                found.append(segment)
            except DamagedError as error:
                if os.path.lexists(self.path / name):  # else another process removed it while we looked
                    self._set_aside(name, error)
        return found

    def _set_aside_damaged(self, segments: list[Segment], where: Mapping[bytes, tuple[int, int]]) -> bool:
        """Check what is needed of each segment, and say whether one had to go."""
        needed: dict[int, list[int]] = {}
        for number, at in where.values():
            needed.setdefault(number, []).append(at)
        found = False
        for number, chosen in needed.items():
            try:
                segments[number].check(np.sort(np.array(chosen)))
            except DamagedError as error:
                self._set_aside(segments[number].name, error)
                found = True
        return found

    def _set_aside(self, name: str, reason: DamagedError) -> None:
        # The whole segment goes, so that it is computed in the same order and groups, and gets the same bits.
        self._distrusted.add(name)
        self.problems.append(
            f"features segment {name} of table {self.name[:10]} was damaged ({reason}) and is computed again"
        )
        remove_at_once(self.path / name)

    def _missing_error(self, count: int) -> MissingFeaturesError:
        return MissingFeaturesError(f"{count} examples are not in the features {self.name[:10]}; fill them first")

    def _write_address(self) -> None:
        path = self.path / _ADDRESS
        if not path.is_file() or path.is_symlink():
            remove(path)
            write_json(path, self.address, durable=False)


def inspect(path: Path) -> TableInfo | None:
    """Look at a table without changing it; ``None`` where it is gone."""
    examples = 0
    for name in segment_names(path):
        with suppress(DamagedError):
            examples += len(Segment(path / name).keys)
    with alone(path, make=False) as free:
        info = TableInfo(path.name, _read_address(path), size_of(path), examples, last_used(path), not free)
    return info if path.is_dir() else None


def last_used(path: Path) -> float:
    """Return when a table was last used, in seconds since 1970; 0 where it is gone."""
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


def remove_unused(path: Path) -> bool:
    """Remove a table unless it is in use; say whether it is gone."""
    with alone(path, make=True) as free:
        # Another process may have removed it since it was listed.
        return (free and remove_at_once(path)) or not os.path.lexists(path)


def _read_address(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_file(path / _ADDRESS, 0, _MOST_ADDRESS_BYTES))
    except (OSError, ValueError, RecursionError, DamagedError):
        return {}
    return found if isinstance(found, dict) else {}


def _first_positions(keys: Sequence[bytes]) -> dict[bytes, int]:
    """Return for each different key where it comes first, in that order."""
    first: dict[bytes, int] = {}
    for at, key in enumerate(keys):
        if len(key) != KEY_BYTES:
            raise ValueError(f"key {at} has {len(key)} bytes and not {KEY_BYTES}")
        first.setdefault(key, at)
    return first
