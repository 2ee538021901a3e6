"""Curves of millions of points as a few thousand rows, kept up to date at the cost of what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows kept of a bucket: its first, smallest, largest and last point.
KEPT = 4


@dataclass(frozen=True)
class Rows:
    """
    Rows of a thinned curve.

    Attributes
    ----------
    steps
        Shape (n,), float64, rising.
    values
        Shape (n,), float32.
    means, counts
        Mean and number of the finite points since the row before, with the row itself; shape (n,), float32.
        ``None`` where every point is a row.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float32]
    means: NDArray[np.float32] | None = None
    counts: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def is_thinned(self) -> bool:
        """Whether a row may stand for several points."""
        return self.means is not None

    def buffer(self) -> bytes:
        """Return the columns one after the other, little-endian."""
        columns = [self.steps.astype("<f8").tobytes(), self.values.astype("<f4").tobytes()]
        if self.means is not None and self.counts is not None:
            columns += [self.means.astype("<f4").tobytes(), self.counts.astype("<f4").tobytes()]
        return b"".join(columns)


class Thinning:
    """
    One curve that grows, thinned so that what was sent stays as it is for as long as it can.

    Points are put into buckets of a power of two, counted from the first point, so that new points change the last
    bucket alone. When there would be too many buckets their size doubles, and everything is sent again, which a curve
    of a million points does a dozen times.

    Parameters
    ----------
    buckets
        Most buckets that are kept; rows are at most four times as many, and some.
    """

    def __init__(self, buckets: int = 500) -> None:
        self.buckets = buckets
        self._size = 1
        self._seen = 0
        #: Bytes of the last point that was seen: points that are logged again are others, at least in their time.
        self._last = b""
        self._last_step = 0.0
        #: Points in full buckets, and rows that were made of them.
        self._done = 0
        self._rows = 0

    @property
    def is_thinning(self) -> bool:
        """Whether there are points that are no rows."""
        return self._size > 1

    def update(self, points: NDArray[np.float64]) -> tuple[int, Rows] | None:
        """
        Thin what is new.

        Parameters
        ----------
        points
            All points of the curve so far, shape (n, 2) or more columns: step and value.

        Returns
        -------
        tuple of int and Rows
            How many of the rows that were given before stay, and the rows after them; ``None`` where nothing changed.
        """
        count = len(points)
        if not count and not self._seen:
            return None
        # A thousand curves are asked at each look, and nearly all of them are as they were.
        grew = 0 < self._seen <= count and points[self._seen - 1].tobytes() == self._last
        if grew and count == self._seen:
            return None
        fresh = points[self._seen :, 0] if grew else points[:, 0]
        if (len(fresh) > 1 and (np.diff(fresh) < 0).any()) or (grew and fresh[0] < self._last_step):
            # Files of other programs may interleave; a chart wants its steps in order, and such curves are sent whole.
            self._seen = self._done = self._rows = 0
            return 0, thin(points[np.argsort(points[:, 0], kind="stable")], self.buckets)
        size = bucket_size(count, self.buckets)
        if not grew or size != self._size:
            self._size, self._done, self._rows = size, 0, 0
        keep = self._rows
        rest = points[self._done :]
        indices, full = _chosen(rest[:, 1], size)
        rows = _rows(rest, indices, size)
        self._seen = count
        if count:
            self._last, self._last_step = points[-1].tobytes(), float(points[-1, 0])
        self._done += full
        self._rows += int(np.searchsorted(indices, full))
        return keep, rows


def thin(points: NDArray[np.float64], buckets: int) -> Rows:
    """
    Thin a whole curve; its first and last point and the extremes of each bucket stay.

    Parameters
    ----------
    points
        Shape (n, 2) or more columns: step, rising, and value.
    buckets
        Most buckets.
    """
    size = bucket_size(len(points), buckets)
    indices, _ = _chosen(points[:, 1], size)
    return _rows(points, indices, size)


def bucket_size(count: int, buckets: int) -> int:
    """Return how many points go into a bucket: 1 where all can be kept, else a power of two."""
    if count <= KEPT * buckets:
        return 1
    return int(2 ** np.ceil(np.log2(count / buckets)))


def _chosen(values: NDArray[np.float64], size: int) -> tuple[NDArray[np.intp], int]:
    """Return the points that are kept, rising, and how many points are in full buckets."""
    count = len(values)
    if size == 1:
        return np.arange(count), count
    full = count // size * size
    table = values[:full].reshape(-1, size)
    starts = np.arange(0, full, size)
    found = [starts, starts + size - 1, starts + _arg(table, np.inf), starts + _arg(-table, np.inf)]
    if full < count:
        tail = values[None, full:]
        ends = [full, count - 1, full + int(_arg(tail, np.inf)[0]), full + int(_arg(-tail, np.inf)[0])]
        found.append(np.array(ends))
    return np.unique(np.concatenate(found)), full


def _arg(table: NDArray[np.float64], instead: float) -> NDArray[np.intp]:
    """Return the place of the smallest number in each row; what is not a number has none."""
    found: NDArray[np.intp] = np.where(np.isnan(table), instead, table).argmin(axis=1)
    return found


def _rows(points: NDArray[np.float64], indices: NDArray[np.intp], size: int) -> Rows:
    kept = points[indices]
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, and a gap in the chart
        steps, values = np.ascontiguousarray(kept[:, 0]), kept[:, 1].astype(np.float32)
    if size == 1 or not len(indices):
        return Rows(steps, values, *(() if size == 1 else (values, values)))
    every = points[: indices[-1] + 1, 1]
    finite = np.isfinite(every)
    starts = np.concatenate([[0], indices[:-1] + 1])
    counts = np.add.reduceat(finite.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(finite, every, 0.0), starts)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        means = (sums / counts).astype(np.float32)
    return Rows(steps, values, means, counts.astype(np.float32))
