"""How large a table may be that is read, whatever file it comes from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


class TableError(ValueError):
    """A table cannot be read: one line that says why, without the name of the file."""


@dataclass(frozen=True)
class TableBounds:
    """
    What is read of a table at most; each bound that is met raises :class:`TableError`, which names it.

    Attributes
    ----------
    bytes
        Size of the file; of Parquet also once it is unpacked.
    rows, columns
        Their numbers.
    line
        Characters in a cell, and in a line of the file.
    seconds
        Time that reading may take.
    """

    bytes: int = 2 << 30
    rows: int = 20_000_000
    columns: int = 4_096
    line: int = 16 << 20
    seconds: float = 900.0


@dataclass
class Watch:
    """Watches the bounds of one table while it is read."""

    bounds: TableBounds
    _start: float = field(default_factory=time.monotonic)

    def columns(self, count: int, place: str) -> None:
        """Refuse more columns than are allowed; ``place`` says where they are."""
        if count > self.bounds.columns:
            raise TableError(f"{place} has {count:,} columns; at most {self.bounds.columns:,} are read")

    def line(self, length: int, place: str) -> None:
        """Refuse a line or a cell that is too long."""
        if length > self.bounds.line:
            raise TableError(f"{place} has more than {self.bounds.line:,} characters, the most that are read")

    def rows(self, count: int) -> None:
        """Refuse too many rows, and reading that takes too long; cheap enough to ask now and then."""
        if count > self.bounds.rows:
            raise TableError(f"it has more than {self.bounds.rows:,} rows, the most that are read")
        if time.monotonic() - self._start > self.bounds.seconds:
            raise TableError(f"reading took more than {self.bounds.seconds:g} s, with {count:,} rows read")

    def size(self, count: int) -> None:
        """Refuse what takes too much memory once it is unpacked."""
        if count > self.bounds.bytes:
            raise TableError(f"unpacked it takes more than {self.bounds.bytes:,} bytes, the most that are read")
