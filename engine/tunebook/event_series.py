"""What several files of one folder say of a tag, in the order in which the files were begun."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

#: When a file was begun, and its name: files are taken in this order.
FileKey = tuple[float, str]
T = TypeVar("T")

#: Room is made for a part more than there is: a longer series is not copied with every point.
_GROWTH = 1.25
_LEAST = 64


class Points:
    """The points of one tag: step, value, wall time."""

    def __init__(self) -> None:
        self._rows = np.empty((_LEAST, 3))
        self._count = 0
        # Files that have points here, and how many each.
        self._keys: list[FileKey] = []
        self._counts: list[int] = []

    def rows(self) -> np.ndarray:
        """
        Return the points.

        Returns
        -------
        numpy.ndarray
            Shape (n, 3), float64, read-only. It stays as it is when more is added.
        """
        found = self._rows[: self._count]
        found.flags.writeable = False
        return found

    def add(self, key: FileKey, rows: np.ndarray) -> None:
        """Add points, (n, 3), behind those of a file."""
        place = bisect.bisect_right(self._keys, key)
        if not place or self._keys[place - 1] != key:
            self._keys.insert(place, key)
            self._counts.insert(place, 0)
            place += 1
        self._counts[place - 1] += len(rows)
        start = sum(self._counts[:place]) - len(rows)
        if start < self._count:
            self._set(np.concatenate([self._rows[:start], rows, self._rows[start : self._count]]))
            return
        end = self._count + len(rows)
        if end > len(self._rows):
            larger = np.empty((max(end, int(len(self._rows) * _GROWTH)), 3))
            larger[: self._count] = self._rows[: self._count]
            self._rows = larger
        self._rows[self._count : end] = rows
        self._count = end

    def purge(self, key: FileKey, step: float) -> bool:
        """Drop points at a step and later of a file and those begun before it; returns whether there were any."""
        places = np.repeat(np.arange(len(self._keys)), self._counts)
        before = bisect.bisect_right(self._keys, key)
        kept = ~((self._rows[: self._count, 0] >= step) & (places < before))
        if kept.all():
            return False
        self._counts = np.bincount(places[kept], minlength=len(self._keys)).tolist()
        self._set(self._rows[: self._count][kept])
        return True

    def _set(self, rows: np.ndarray) -> None:
        self._rows, self._count = rows, len(rows)


class Entries(Generic[T]):
    """What else was logged with one tag, such as texts."""

    def __init__(self) -> None:
        self._keys: list[FileKey] = []
        self._entries: list[tuple[int, T]] = []

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return iter(self._entries)

    def add(self, key: FileKey, step: int, what: T) -> None:
        """Add an entry behind those of a file."""
        place = bisect.bisect_right(self._keys, key)
        self._keys.insert(place, key)
        self._entries.insert(place, (step, what))

    def purge(self, key: FileKey, step: float) -> bool:
        """Drop entries at a step and later of a file and those begun before it; returns whether there were any."""
        pairs = list(zip(self._keys, self._entries, strict=True))
        kept = [(own, entry) for own, entry in pairs if own > key or entry[0] < step]
        self._keys, self._entries = [own for own, _ in kept], [entry for _, entry in kept]
        return len(kept) < len(pairs)


class Purges:
    """From which step on the files of a folder void what was logged in files begun before them."""

    def __init__(self) -> None:
        self._steps: dict[FileKey, float] = {}

    def add(self, key: FileKey, step: float) -> None:
        """Note that a file starts anew at a step."""
        self._steps[key] = min(step, self._steps.get(key, math.inf))

    def limit(self, key: FileKey) -> float:
        """Return the step from which on later files void what a file says."""
        return min((step for other, step in self._steps.items() if other > key), default=math.inf)
