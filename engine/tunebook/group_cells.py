"""Counts of cells: how often each outcome occurs in each group, and what chance would make of such counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Draws of single cells for one table of counts, at most: more draws than this are made fewer.
BUDGET = 30_000_000
#: Fewest draws from which a 95 % interval can be read.
_FEWEST = 200
#: Examples of the outcomes of all groups that are mixed into each group before drawing: without them a group in which
#: all is right would be drawn right every time, as if nothing were unknown of it.
_MIXED_IN = 2.0
#: Number of different outcomes up to which they are counted in a table, not sorted.
_DENSE = 4_000_000


@dataclass(frozen=True)
class GroupCells:
    """
    A table of counts, group by outcome. All that is measured of groups is a sum over its cells.

    Attributes
    ----------
    counts
        Shape (groups, cells), int64.
    outcomes
        What each cell stands for, shape (cells, ...).
    """

    counts: np.ndarray
    outcomes: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Examples of each group, shape (groups,), int64."""
        found: np.ndarray = self.counts.sum(axis=1)
        return found

    def draws_within(self, wanted: int) -> int:
        """Return how many draws of the whole table can be made in a reasonable time: ``wanted``, or fewer."""
        return max(min(wanted, BUDGET // max(self.counts.size, 1)), min(wanted, _FEWEST))

    def resample(self, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """
        Draw the examples of each group again (bootstrap): multinomial over its cells.

        The chances of a group's cells are mixed with two examples' worth of those of all groups together.

        Yields
        ------
        numpy.ndarray
            For each group in turn the counts of its cells, shape (draws, cells), int64.
        """
        pooled = self.counts.sum(axis=0) / max(int(self.counts.sum()), 1)
        for row in self.counts:
            size = int(row.sum())
            if size == 0:
                yield np.zeros((draws, len(row)), np.int64)
                continue
            chances = (row + _MIXED_IN * pooled) / (size + _MIXED_IN)
            yield rng.multinomial(size, chances / chances.sum(), size=draws)

    def permute(self, draws: int, rng: np.random.Generator, strata: np.ndarray | None = None) -> np.ndarray:
        """
        Hand the group labels out again among the examples, each group keeping its size.

        Parameters
        ----------
        draws
            How often.
        rng
            Where chance comes from.
        strata
            Shape (cells,): labels are exchanged among examples of the same stratum only; among all when not given.

        Returns
        -------
        numpy.ndarray
            Counts, shape (draws, groups, cells), int64: from the multivariate hypergeometric distribution, which is
            what shuffling the rows comes to.
        """
        groups, cells = self.counts.shape
        found = np.zeros((draws, groups, cells), np.int64)
        parts = np.zeros(cells, np.int64) if strata is None else strata
        for stratum in np.unique(parts):
            where = np.flatnonzero(parts == stratum)
            counts = self.counts[:, where]
            left = np.repeat(counts.sum(axis=0)[None], draws, axis=0)
            for group in range(groups - 1):
                taken = _take(left, int(counts[group].sum()), rng)
                found[:, group, where] = taken
                left -= taken
            found[:, groups - 1, where] = left
        return found


def _take(left: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``size`` of the examples that are left, without putting any back; ``left`` is of shape (draws, cells)."""
    taken = np.zeros_like(left)
    if size == 0:
        return taken
    need = np.full(len(left), size, np.int64)
    rest = left.sum(axis=1)
    last = left.shape[1] - 1
    for cell in range(last):
        rest = rest - left[:, cell]
        taken[:, cell] = rng.hypergeometric(left[:, cell], rest, need)
        need = need - taken[:, cell]
    taken[:, last] = need
    return taken


def count_cells(groups: np.ndarray, number: int, outcomes: Sequence[np.ndarray], sizes: Sequence[int]) -> GroupCells:
    """
    Count how often each combination of several outcomes occurs in each group.

    Parameters
    ----------
    groups
        Group of each example, shape (n,), from 0.
    number
        Number of groups.
    outcomes
        Arrays of shape (n,), from 0.
    sizes
        Number of values of each of them.

    Returns
    -------
    GroupCells
        Only of combinations that occur; its ``outcomes`` are of shape (cells, len(outcomes)).
    """
    code = np.zeros(len(groups), np.int64)
    for outcome, size in zip(outcomes, sizes, strict=True):
        code = code * size + outcome
    space = int(np.prod([float(size) for size in sizes]))
    if space * number <= _DENSE:
        table = np.bincount(groups * space + code, minlength=space * number).reshape(number, space)
        known = np.flatnonzero(table.any(axis=0))
        counts = table[:, known]
    else:
        known, place = np.unique(code, return_inverse=True)
        counts = np.bincount(groups * len(known) + place, minlength=len(known) * number).reshape(number, len(known))
    columns = []
    for size in reversed(sizes):
        known, column = np.divmod(known, size)
        columns.append(column)
    return GroupCells(counts, np.stack(columns[::-1], axis=1) if columns else np.zeros((len(counts.T), 0), np.int64))


def count_patterns(groups: np.ndarray, number: int, patterns: np.ndarray) -> GroupCells:
    """
    Count how often each row of a matrix occurs in each group.

    Parameters
    ----------
    groups, number
        As for :func:`count_cells`.
    patterns
        Small whole numbers, shape (n, width).
    """
    known, place = np.unique(patterns.astype(np.int16), axis=0, return_inverse=True)
    place = place.reshape(-1)
    counts = np.bincount(groups * len(known) + place, minlength=len(known) * number).reshape(number, len(known))
    return GroupCells(counts, known.astype(np.int64))
