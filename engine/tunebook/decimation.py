"""Fewer points that draw the same line."""

from __future__ import annotations

import numpy as np

#: Rows kept of each bucket: first, last, smallest, largest.
_KEPT = 4


def decimate(points: np.ndarray, width: int) -> np.ndarray:
    """
    Choose the points that a plot of some width needs.

    The range of the first column is cut into ``width`` equal buckets, and of each bucket the first and the last point
    are kept, and those of the smallest and the largest finite value: no peak is lost, and lines between buckets
    run as they did. Values that are not finite are never extremes; they are kept where they are first or last. The
    method is M4 of Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014.

    Parameters
    ----------
    points
        Shape (n, at least 2): the place on the axis, such as the step, and the value. Other columns do not matter.
    width
        Buckets, at least 1: pixels of the plot.

    Returns
    -------
    numpy.ndarray
        Ascending indices of rows, at most ``4 * width``, int64; all of them if there are no more.
    """
    width = max(1, width)
    if len(points) <= _KEPT * width:
        return np.arange(len(points))
    buckets = _buckets(points[:, 0], width)
    order = None
    if (buckets[1:] < buckets[:-1]).any():  # steps that go back
        order = np.argsort(buckets, kind="stable")
        buckets = buckets[order]
    starts = np.concatenate([[0], np.flatnonzero(buckets[1:] != buckets[:-1]) + 1])
    ends = np.append(starts[1:], len(points))
    values = points[:, 1] if order is None else points[order, 1]
    chosen = np.unique(
        np.concatenate([starts, ends - 1, _lowest(values, starts, ends), _lowest(-values, starts, ends)])
    )
    return chosen if order is None else np.sort(order[chosen])


def _buckets(places: np.ndarray, width: int) -> np.ndarray:
    """Return the bucket of each row, 0 to width - 1."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # Halved first, since the largest steps are further apart than there are numbers.
        shifted = places / 2 - places.min() / 2
        found = shifted * (width / shifted.max())
    if not np.isfinite(found).all():  # one place alone, or one that is no number
        found = np.arange(len(places)) * (width / len(places))
    buckets: np.ndarray = np.minimum(found.astype(np.int64), width - 1)
    return buckets


def _lowest(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the first row of the smallest finite value of each bucket that has one."""
    with np.errstate(invalid="ignore"):
        kept = np.where(np.isfinite(values), values, np.inf)
    least = np.minimum.reduceat(kept, starts)
    rows = np.flatnonzero(kept == np.repeat(least, ends - starts))
    first = rows[np.searchsorted(rows, starts)]
    found: np.ndarray = first[np.isfinite(least)]
    return found
