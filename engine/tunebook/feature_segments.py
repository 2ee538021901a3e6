"""
Segments of a table of features: examples that were added together, in a folder that is never changed afterwards.

::

    000001-1f2e3d4c/
      head.json     dtype, shape after the first dimension, numbers of examples and rows, CRC of the index
      index.bin     for each example its key, its number of rows and the CRC of its bytes
      data.bin      the arrays one after the other, in C order and little-endian; it is memory-mapped

Where an array lies follows from the numbers of rows before it, so an index cannot point outside of its data.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import stat
import zlib
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from tunebook.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

#: Raise it with every change of the layout of a segment; older segments are then computed again.
FORMAT = 1
KEY_BYTES = 16
DTYPES = ("float16", "float32")

_HEAD, _INDEX, _DATA = "head.json", "index.bin", "data.bin"
_ENTRY = np.dtype([("key", f"V{KEY_BYTES}"), ("rows", "<u4"), ("crc", "<u4")])
_NAME = re.compile(r"[0-9]{6,}-[0-9a-f]{8}")
_MOST_HEAD_BYTES = 65_536
_MOST_DIMENSIONS = 8
_MOST = 2**62


class DamagedError(Exception):
    """A file is not as it was written; the text says what is wrong with it."""


class Layout(NamedTuple):
    """What all arrays of a table have in common: one of the dtypes, and the shape after the first dimension."""

    dtype: str = DTYPES[1]
    trailing: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.dtype} of shape ({', '.join(map(str, ('n', *self.trailing)))})"

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of an array."""
        size = np.dtype(self.dtype).itemsize
        for edge in self.trailing:
            size *= edge
        return size

    @property
    def stored(self) -> np.dtype[np.floating]:
        """The dtype as it is on the disk, little-endian."""
        return np.dtype(self.dtype).newbyteorder("<")

    @classmethod
    def of(cls, array: np.ndarray) -> Layout:
        """Return the layout of an array; a ``ValueError`` says that such arrays are not kept."""
        if array.dtype.name not in DTYPES or not 1 <= array.ndim <= _MOST_DIMENSIONS:
            raise ValueError(f"features are arrays of {' or '.join(DTYPES)}, not {array.dtype} of shape {array.shape}")
        return cls(array.dtype.name, array.shape[1:])


class Segment:
    """
    One segment, open for reading: keys in memory, data mapped.

    Parameters
    ----------
    path
        Its folder.

    Attributes
    ----------
    name
        The folder's name.
    layout
        Of all its arrays.
    keys
        One an example, 16 bytes each.
    lengths
        Size of each array's first dimension, int64, shape (examples,).

    Raises
    ------
    DamagedError
        The folder or its files are not there, are links, or do not fit to each other.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            if path.is_symlink():
                raise DamagedError("it is a link")
            self._open(path)
        except OSError as error:
            raise DamagedError(error.strerror or type(error).__name__) from None
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise DamagedError(str(error) or type(error).__name__) from None

    def _open(self, path: Path) -> None:
        self.layout, examples, rows, index_crc = _parse_head(read_file(path / _HEAD, 0, _MOST_HEAD_BYTES))
        size = examples * _ENTRY.itemsize
        raw = read_file(path / _INDEX, size, size)
        if zlib.crc32(raw) != index_crc:
            raise DamagedError("its index is not as it was written")
        index = np.frombuffer(raw, _ENTRY)
        if int(index["rows"].sum(dtype=np.uint64)) != rows:
            raise DamagedError("its head and its index differ")
        size = rows * self.layout.row_bytes
        self._bytes = np.frombuffer(_map_file(path / _DATA, size, size), np.uint8)
        self._rows = self._bytes.view(self.layout.stored).reshape(rows, *self.layout.trailing)
        keys = index["key"].tobytes()
        self.keys = [keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)]
        self.lengths = index["rows"].astype(np.int64)
        self._ends = np.cumsum(self.lengths)
        self._crcs = index["crc"]
        self._length = int(self.lengths[0]) if len(np.unique(self.lengths)) == 1 else None

    def array(self, at: int) -> np.ndarray:
        """Return one array, still in the file: shape (length, ...)."""
        end = int(self._ends[at])
        found: np.ndarray = self._rows[end - int(self.lengths[at]) : end]
        return found

    def copy_into(self, result: np.ndarray, places: np.ndarray, chosen: np.ndarray) -> None:
        """Copy some examples' arrays, shape (n,), to their places in ``result``, shape (k, length, ...)."""
        if self._length is not None:
            grid = self._rows.reshape(len(self.lengths), self._length, *self.layout.trailing)
            result[places] = grid[chosen]
            return
        for to, at in zip(places.tolist(), chosen.tolist(), strict=True):
            result[to] = self.array(at)

    def check(self, chosen: np.ndarray) -> None:
        """Hold the bytes of some examples, shape (n,), against their checksums, or raise a ``DamagedError``."""
        view = self._bytes.data
        ends = self._ends[chosen] * self.layout.row_bytes
        starts = ends - self.lengths[chosen] * self.layout.row_bytes
        for start, end, crc in zip(starts.tolist(), ends.tolist(), self._crcs[chosen].tolist(), strict=True):
            if zlib.crc32(view[start:end]) != crc:
                raise DamagedError("its data are not as they were written")


class SegmentWriter:
    """
    Writes a segment into a folder, an array at a time; it is whole when the ``with`` block ends well.

    Parameters
    ----------
    folder
        An empty folder.
    layout
        What the table's arrays must be; ``None`` where it has none yet.
    table
        The table's name, for errors.
    """

    def __init__(self, folder: Path, layout: Layout | None, table: str) -> None:
        self._folder, self._layout, self._table = folder, layout, table
        self._index: list[tuple[bytes, int, int]] = []
        self._stream = (folder / _DATA).open("wb", buffering=1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stream:  # closing may find the disk full
            if kind is None:
                self._finish()

    def add(self, key: bytes, array: np.ndarray) -> None:
        """
        Add an example's array.

        Raises
        ------
        ValueError
            Such arrays are not kept.
        StorageError
            It differs from those that the table has.
        """
        layout = Layout.of(array)
        self._layout = self._layout or layout
        if layout != self._layout:
            raise StorageError(
                f"the features {self._table[:10]} are {self._layout}, and one computed now is {layout}; if the others "
                f"are older, remove them with `tunebook cache clear {self._table[:10]}`"
            )
        plain = np.ascontiguousarray(array, layout.stored).reshape(-1).view(np.uint8)
        self._index.append((key, len(array), zlib.crc32(plain.data)))
        self._stream.write(plain.data)

    def _finish(self) -> None:
        index = np.array(self._index, _ENTRY).tobytes()
        layout = self._layout or Layout()
        head = {
            "format": FORMAT,
            "dtype": layout.dtype,
            "trailing": list(layout.trailing),
            "examples": len(self._index),
            "rows": sum(rows for _, rows, _ in self._index),
            "index_crc": zlib.crc32(index),
        }
        (self._folder / _INDEX).write_bytes(index)
        (self._folder / _HEAD).write_text(json.dumps(head) + "\n", encoding="utf-8")


def segment_names(table: Path) -> list[str]:
    """Return the names of a table's segments, oldest first; none where the table cannot be read or is a link."""
    if table.is_symlink():
        return []
    try:
        return sorted(path.name for path in table.iterdir() if _NAME.fullmatch(path.name))
    except OSError:
        return []


def read_file(path: Path, least: int, most: int) -> bytes:
    """Read a plain file of so many bytes, or raise a ``DamagedError`` or an ``OSError``; links are not followed."""
    return bytes(_map_file(path, least, most))


def _map_file(path: Path, least: int, most: int) -> mmap.mmap | bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError(f"{path.name} is no file")
        if not least <= status.st_size <= most:
            raise DamagedError(f"{path.name} has {status.st_size} bytes")
        # An empty file cannot be mapped.
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if status.st_size else b""
    finally:
        os.close(descriptor)


def _parse_head(raw: bytes) -> tuple[Layout, int, int, int]:
    """Return the layout, the numbers of examples and rows, and the CRC of the index."""
    head = json.loads(raw)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise DamagedError("its head is of another format")
    trailing = head.get("trailing")
    examples, rows, crc = (head.get(name, -1) for name in ("examples", "rows", "index_crc"))
    if head.get("dtype") not in DTYPES or not isinstance(trailing, list) or len(trailing) >= _MOST_DIMENSIONS:
        raise DamagedError("its head names no dtype and shape")
    if not all(type(number) is int and 0 <= number < _MOST for number in (examples, rows, crc, *trailing)):
        raise DamagedError("its head holds numbers that cannot be")
    return Layout(str(head["dtype"]), tuple(trailing)), examples, rows, crc
