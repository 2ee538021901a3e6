"""Whether gaps between groups are larger than chance makes them, by permutation of the group labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Share of the permutations in which a gap is called clear by chance alone.
_TAIL = 0.05


@dataclass(frozen=True)
class Clearest:
    """
    The gap between two groups that is least like chance.

    Attributes
    ----------
    p
        Chance of any gap between two groups as clear as this one where groups do not matter.
    lower, upper
        Numbers of the groups with the smaller and the larger value.
    column
        Number of the metric.
    least
        What the difference of the two groups is at least, with 95 % certainty for all pairs together; may be below 0.
    """

    p: float
    lower: int
    upper: int
    column: int
    least: float


def clearest_gap(values: np.ndarray, permuted: np.ndarray) -> Clearest:
    """
    Find the gap that is least like chance, and how often chance makes one as clear.

    A gap is measured in standard errors, since between two small groups chance makes wide gaps: by width alone a
    small group would hide what is plain between large ones. Of all pairs and metrics the clearest counts, in what was
    seen and in each permutation, so that looking at many is paid for [1]_.

    Parameters
    ----------
    values
        Shape (groups, metrics); NaN where a group does not take part. At least one metric has two groups.
    permuted
        The same with the group labels exchanged, shape (draws, groups, metrics).

    References
    ----------
    .. [1] Westfall and Young, "Resampling-Based Multiple Testing", 1993: single-step maximum of the statistic.
    """
    most = np.zeros(len(permuted))
    best, found = -1.0, (0, 0, 0)
    pairs = []
    for column in np.flatnonzero((~np.isnan(values)).sum(axis=0) > 1):
        groups = np.flatnonzero(~np.isnan(values[:, column]))
        seen = values[groups, column]
        drawn = np.ascontiguousarray(permuted[:, groups, column].T)
        undefined = np.isnan(drawn)
        if undefined.any():
            # A permutation that leaves a rate undefined says nothing for or against: it counts as the mean.
            known = np.where(undefined, 0.0, drawn)
            mean = known.sum(axis=1) / np.maximum((~undefined).sum(axis=1), 1)
            drawn = np.where(undefined, mean[:, None], drawn)
        variance = drawn.var(axis=1)
        for one in range(len(groups) - 1):
            error = np.sqrt(variance[one] + variance[one + 1 :])
            # Where labels make no difference at all, neither does chance.
            error = np.where(error > 1e-12, error, np.inf)  # noqa: PLR2004
            clear = np.abs(seen[one + 1 :] - seen[one]) / error
            chance = (np.abs(drawn[one + 1 :] - drawn[one]) / error[:, None]).max(axis=0)
            np.maximum(most, chance, out=most)
            other = int(np.argmax(clear))
            pairs.append((np.abs(seen[one + 1 :] - seen[one]), error))
            if clear[other] > best:
                best, found = float(clear[other]), (int(groups[one]), int(groups[one + 1 + other]), int(column))
    first, second, place = found
    lower, upper = (first, second) if values[first, place] <= values[second, place] else (second, first)
    # The tables that were drawn and the one that was seen; rounding must not tell equal ones apart.
    p = float((1 + (most >= best - 1e-9).sum()) / (1 + len(most)))
    limit = float(np.quantile(most, 1.0 - _TAIL))
    with np.errstate(invalid="ignore"):
        least = max(float(np.nanmax(np.where(np.isfinite(error), gap - limit * error, -1.0))) for gap, error in pairs)
    return Clearest(p, lower, upper, place, least)
