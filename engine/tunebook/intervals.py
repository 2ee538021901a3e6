"""95 % intervals: of a share, of a figure from draws, and of a gap between groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

LEVEL = 0.95
#: The normal distribution's quantile for :data:`LEVEL`.
_Z = 1.959963984540054
#: True values that are tried on each side of what was seen.
_STEPS = 10
#: Lower and upper tail of the inverted test for gaps. The upper one is narrower than that of :data:`LEVEL`: what is
#: true of groups, and how much chance adds to it, is itself estimated, and simulations fell short by up to 4 %.
_GAP_TAILS = (0.025, 0.015)
#: Each tail of the change of a gap.
_CHANGE_TAIL = 0.02
#: Differences of shares below this are none.
_SMALLEST = 1e-9


def wilson(numerators: np.ndarray, denominators: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return Wilson's score interval of shares [1]_.

    Parameters
    ----------
    numerators, denominators
        Counts, any shape.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper ends, 0 to 1; NaN where the denominator is 0.

    References
    ----------
    .. [1] Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(denominators > 0, numerators / denominators, np.nan)
        scale = 1.0 + _Z**2 / denominators
        middle = (share + _Z**2 / (2.0 * denominators)) / scale
        half = _Z / scale * np.sqrt(share * (1.0 - share) / denominators + _Z**2 / (4.0 * denominators**2))
    defined = denominators > 0
    low, high = np.clip(middle - half, 0.0, 1.0), np.clip(middle + half, 0.0, 1.0)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def centred(value: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the interval of a figure from draws of it, moved so that their mean lies on the figure.

    Parameters
    ----------
    value
        The figure, shape (...).
    draws
        Shape (draws, ...); NaN where a draw leaves it undefined.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper ends; NaN where nothing is defined.
    """
    tail = (1.0 - LEVEL) / 2.0
    shape = draws.shape[1:]
    flat = draws.reshape(len(draws), -1)
    low, high = (np.full(flat.shape[1], np.nan) for _ in range(2))
    some = ~np.isnan(flat).all(axis=0)
    if some.any():
        low[some], high[some] = np.nanquantile(flat[:, some], [tail, 1.0 - tail], axis=0) - np.nanmean(
            flat[:, some], axis=0
        )
    return value + low.reshape(shape), value + high.reshape(shape)


def invert(
    seen: float, simulate: Callable[[float], np.ndarray], farthest: float, tails: tuple[float, float]
) -> tuple[float, float]:
    """
    Return the true values of at least 0 of which the one that was seen is not among the most unusual outcomes.

    A gap between the best and the worst of several groups, as a calibration error, is larger in a sample than in truth,
    since chance adds to it, and its draws are larger still: their quantiles are no interval. Here the interval is
    found by inverting a test: each true value is tried, and kept where what was seen is not in the tails of what it
    leads to. What was seen is always in it.

    Parameters
    ----------
    seen
        What was seen, at least 0.
    simulate
        Given a true value returns draws of what would be seen, which grow with it.
    farthest
        A true value that is certainly too large.
    tails
        Shares of the draws beyond the lower and the upper end.
    """
    below = np.linspace(0.0, seen, _STEPS)
    highest = np.maximum.accumulate([_at(simulate(value), 1.0 - tails[0]) for value in below])
    low = 0.0 if highest[0] >= seen else float(np.interp(seen, highest, below))
    above = np.linspace(low, max(farthest, seen), _STEPS)
    lowest = np.maximum.accumulate([_at(simulate(value), tails[1]) for value in above])
    high = float(above[-1]) if lowest[-1] <= seen else float(np.interp(seen, lowest, above))
    return low, max(high, seen)


def _at(draws: np.ndarray, share: float) -> float:
    """Return a quantile; numpy's own takes ten times as long for a thousand draws, and is asked thousands of times."""
    place = round(share * (len(draws) - 1))
    return float(np.partition(draws, place)[place])


def gap_size(values: np.ndarray) -> np.ndarray:
    """
    Return the largest difference between any two groups, over some metrics.

    Parameters
    ----------
    values
        Shape (..., groups, metrics); NaN where a group does not take part.

    Returns
    -------
    numpy.ndarray
        Shape (...); NaN where no metric has two groups.
    """
    known = ~np.isnan(values)
    high = np.where(known, values, -np.inf).max(axis=-2)
    low = np.where(known, values, np.inf).min(axis=-2)
    gaps = np.where(known.sum(axis=-2) > 1, high - low, -np.inf).max(axis=-1)
    return np.where(np.isfinite(gaps), gaps, np.nan)


class GapDraws:
    """
    What the largest difference between groups comes out as, given its true size.

    What is true of the groups is taken to have the shape of what was seen, blurred by chance, and its size is what is
    sought.

    Parameters
    ----------
    values
        Shares, shape (groups, metrics); NaN where a group does not take part. A metric has two groups at least.
    draws
        Draws of them, shape (draws, groups, metrics).
    shape
        Which groups have how much more than others, as ``values``; those themselves when not given.

    Attributes
    ----------
    seen
        The largest difference that was seen, 0 to 1.
    spread
        The largest standard error of a share.
    """

    def __init__(self, values: np.ndarray, draws: np.ndarray, shape: np.ndarray | None = None) -> None:
        self.seen = float(gap_size(values))
        wanted = values if shape is None else np.where(np.isnan(shape), values, shape)
        columns = []
        for column in np.flatnonzero((~np.isnan(values)).sum(axis=0) > 1):
            part = ~np.isnan(values[:, column])
            drawn = draws[:, part, column].astype(np.float64)
            undefined = np.isnan(drawn)
            known = np.where(undefined, 0.0, drawn)
            mean = known.sum(axis=0) / np.maximum((~undefined).sum(axis=0), 1)
            noise = np.where(undefined, 0.0, known - mean)
            # Of the groups that came out on top some did so by chance: the shape is that of another draw.
            columns.append((wanted[part, column] + np.roll(noise, len(noise) // 3, axis=0), noise))
        self.spread = max(float(noise.std(axis=0).max()) for _, noise in columns)
        size = np.maximum(np.max([np.ptp(shape, axis=1) for shape, _ in columns], axis=0), _SMALLEST)[:, None]
        self._scaled = [
            # Groups first: the largest of them is then found along whole rows of draws.
            (
                np.ascontiguousarray(((shape - shape.mean(axis=1, keepdims=True)) / size).T),
                np.ascontiguousarray(noise.T),
            )
            for shape, noise in columns
        ]

    def __call__(self, size: float) -> np.ndarray:
        """Return draws of what would be seen if the true difference were ``size``, shape (draws,)."""
        found: np.ndarray | None = None
        for shape, noise in self._scaled:
            drawn = size * shape + noise
            gaps = drawn.max(axis=0) - drawn.min(axis=0)
            found = gaps if found is None else np.maximum(found, gaps)
        assert found is not None  # noqa: S101 - there is a gap, so there is a column
        return found

    @property
    def is_plain(self) -> bool:
        """Whether chance alone would rarely make as large a difference."""
        return self.seen > _at(self(0.0), LEVEL)

    @property
    def farthest(self) -> float:
        """A true size that is certainly too large, at most 1."""
        return min(self.seen + 6.0 * self.spread, 1.0)

    def typical(self) -> float:
        """Return the true size under which what was seen is the middle of what comes out; 0 where chance gives more."""
        sizes = np.linspace(0.0, self.seen, _STEPS)
        return float(np.interp(self.seen, np.maximum.accumulate([_at(self(size), 0.5) for size in sizes]), sizes))


def gap_interval(values: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    """
    Return the interval of the largest difference between groups, see :func:`invert`.

    What was seen is in it. Where chance alone could have made it, so is the upper end of the ordinary interval of the
    two groups that are farthest apart: a gap smaller than chance mostly makes is likely under no true size, so that
    inversion alone would leave an interval without any width.

    Parameters
    ----------
    values
        Shares, shape (groups, metrics); NaN where a group does not take part.
    draws
        Draws of them, shape (draws, groups, metrics).

    Returns
    -------
    tuple of float
        Lower and upper end, 0 to 1; both NaN where there are no two groups.
    """
    if np.isnan(gap_size(values)):
        return np.nan, np.nan
    simulate = GapDraws(values, draws)
    low, high = invert(simulate.seen, simulate, simulate.farthest, _GAP_TAILS)
    room = 0.0 if simulate.is_plain else _Z * _pair_error(values, draws)
    return low, max(high, min(simulate.seen + room, 1.0))


def _pair_error(values: np.ndarray, draws: np.ndarray) -> float:
    """Return the standard error of the difference of the two groups that are farthest apart; the largest of equals."""
    sizes = np.array([float(gap_size(values[:, [column]])) for column in range(values.shape[1])])
    errors = []
    for column in np.flatnonzero(sizes >= np.nanmax(sizes) - _SMALLEST):
        known = ~np.isnan(values[:, column])
        value, spread = values[known, column], np.nanstd(draws[:, known, column].astype(np.float64), axis=0)
        errors.append(float(np.hypot(spread[value == value.min()].max(), spread[value == value.max()].max())))
    return max(errors)


def change_interval(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """
    Return the interval of how much larger a gap became, measured twice on the same examples.

    Each true change is tried, the sum of both gaps held at what is most plausible: chance adds more to a small gap than
    to a large one, so that draws moved onto the change that was seen would miss what is true too often. Which groups
    are better off, each gap tells where both are plain, the plain one where one is, and both together where none is.

    Parameters
    ----------
    before, after
        Shares and draws of them as for :func:`gap_interval`, the same draw of examples in both.

    Returns
    -------
    tuple of float
        Lower and upper end, -1 to 1, with the change that was seen between them; both NaN where a gap is undefined.
    """
    if np.isnan(gap_size(before[0])) or np.isnan(gap_size(after[0])):
        return np.nan, np.nan
    one, two = GapDraws(*before), GapDraws(*after)
    if not (one.is_plain and two.is_plain):
        # The pattern of a gap that is none is chance's, and would tear apart what one draw of examples does to both.
        pattern = before[0] if one.is_plain else after[0] if two.is_plain else before[0] + after[0]
        one, two = GapDraws(*before, pattern), GapDraws(*after, pattern)
    seen = two.seen - one.seen
    total = one.typical() + two.typical()

    def simulate(change: float) -> np.ndarray:
        middle = max(total, abs(change)) / 2.0
        found: np.ndarray = two(middle + change / 2.0) - one(middle - change / 2.0)
        return found

    room = 4.0 * max(float((simulate(seen) - seen).std()), _SMALLEST)
    ends = []
    for tail, end in ((1.0 - _CHANGE_TAIL, max(seen - room, -1.0)), (_CHANGE_TAIL, min(seen + room, 1.0))):
        tried = np.linspace(min(seen, end), max(seen, end), _STEPS)
        found = np.maximum.accumulate([_at(simulate(change), tail) for change in tried])
        ends.append(float(np.interp(seen, found, tried)))
    return min(ends[0], seen), max(ends[1], seen)


def error_interval(gaps: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    """
    Return the interval of a calibration error.

    Parameters
    ----------
    gaps
        Confidence less accuracy in each bin, as a share of all predictions, shape (bins,).
    draws
        Draws of them, shape (draws, bins).

    Returns
    -------
    tuple of float
        Lower and upper end, 0 to 1; both NaN where the error is undefined.
    """
    seen = float(np.abs(gaps).sum())
    if np.isnan(seen):
        return np.nan, np.nan
    noise = draws - draws.mean(axis=0)
    shape = gaps / seen if seen > 0.0 else np.zeros_like(gaps)

    def simulate(size: float) -> np.ndarray:
        found: np.ndarray = np.abs(size * shape + noise).sum(axis=1)
        return found

    farthest = min(seen + 6.0 * float(np.sqrt((noise**2).sum(axis=1).mean())), 1.0)
    low, high = invert(seen, simulate, farthest, ((1.0 - LEVEL) / 2.0,) * 2)
    # An error smaller than chance mostly makes is likely under none, as a gap.
    return low, max(high, min(seen + _Z * float(simulate(seen).std()), 1.0))
