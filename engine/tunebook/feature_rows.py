"""The arrays of some examples of a table of features, on the disk until they are taken."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Self

import numpy as np

from tunebook.feature_segments import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.feature_segments import Segment


class FeatureRows:
    """
    The arrays of some examples. Made by :meth:`tunebook.feature_store.FeatureTable.rows`.

    While it is open, its table is not evicted: close it, use it in ``with``, or let go of it.

    Attributes
    ----------
    dtype
        float16 or float32.
    lengths
        Size of each array's first dimension, int64, shape (n,).
    shape
        Shape of every array, or ``None`` where they differ or there are none.
    """

    def __init__(self, segments: list[Segment], where: list[tuple[int, int]], lock: int) -> None:
        self._segments = segments
        self._numbers, self._places = np.array(where, dtype=np.int64).reshape(-1, 2).T
        layout = segments[0].layout if segments else Layout()
        self.dtype = np.dtype(layout.dtype)
        self.lengths = np.zeros(len(where), np.int64)
        for number, segment in enumerate(segments):
            mine = self._numbers == number
            self.lengths[mine] = segment.lengths[self._places[mine]]
        equal = len(np.unique(self.lengths)) == 1
        self.shape = (int(self.lengths[0]), *layout.trailing) if equal else None
        # Last, since until then the lock is the caller's to close.
        self._release = weakref.finalize(self, os.close, lock)

    def __len__(self) -> int:
        return len(self.lengths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, positions: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """
        Return a copy of some arrays.

        Parameters
        ----------
        positions
            Positions in the keys, shape (k,), in any order; negative ones count from the end.

        Returns
        -------
        list of numpy.ndarray
            k arrays of shape (length, ...).

        Raises
        ------
        ValueError
            The rows are closed.
        """
        numbers, places = self._find(positions)
        pairs = zip(numbers.tolist(), places.tolist(), strict=True)
        return [self._segments[number].array(at).astype(self.dtype) for number, at in pairs]

    def stack(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """
        Return a copy of some arrays of equal shape as one.

        Positions are those of :meth:`take`; the result has the shape (k, ...), where ... is :attr:`shape`.

        Raises
        ------
        ValueError
            The arrays differ in shape, or there are none, or the rows are closed.
        """
        numbers, places = self._find(positions)
        if self.shape is None:
            raise ValueError("the arrays differ in shape, or there are none: use take")
        result = np.empty((len(numbers), *self.shape), self.dtype)
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            self._segments[number].copy_into(result, mine, places[mine])
        return result

    def close(self) -> None:
        """Let go of the files; the table may then be evicted."""
        self._segments = []
        self._release()

    def _find(self, positions: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self._release.alive:
            raise ValueError("these rows are closed")
        at = np.asarray(positions, dtype=np.int64)
        return self._numbers[at], self._places[at]
