"""Finding examples that are there twice: the same, the same in two splits, under two labels, or nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook.errors import shown
from tunebook.examples import SPLITS
from tunebook.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from tunebook.examples import Examples

    Pairs = list[tuple[int, int]]

_CASES_SHOWN = 3
_BANDS = 4
_BAND_BITS = 16
#: Two codes that differ in no more bits than this agree in at least one of the four bands.
MAX_DISTANCE = _BANDS - 1
_WINDOW = 256
_MOST_PER_ROW = 32


def find_duplicates(
    examples: Examples, keys: Sequence[str | None], near: Iterable[tuple[int, int]] | np.ndarray = ()
) -> list[Finding]:
    """
    Find examples whose content is there more than once, and say which of them to drop.

    Same content under two labels is dropped altogether. Of same content in two splits the copy in
    the later split stays (test before validation before train), so a test set stays whole. Within
    a split the first of several copies stays. Contents that are only nearly the same are treated
    likewise across splits; within a split, or under two labels, they are a remark: they may well
    be different examples, and neither inflates a score.

    Parameters
    ----------
    examples
        The examples.
    keys
        For each row what is equal for equal contents only, such as a hash; ``None`` leaves a row out.
    near
        Pairs of row numbers whose contents are nearly the same. One pair for two contents is
        enough, whichever of their copies it names.

    Returns
    -------
    list of Finding
        At most one of each kind. No example is dropped by two of them, and none of the test split
        for being in another split as well.
    """
    rows = _Rows(examples.frame, keys)
    return [
        *_two_labels(rows),
        *_two_splits(rows),
        *_repeated(rows),
        *_near(rows, [(int(a), int(b)) for a, b in near]),
    ]


def close_codes(codes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """
    Find rows whose 64-bit codes differ in at most :data:`MAX_DISTANCE` bits, without comparing all with all.

    Only rows that agree in one of four 16-bit bands are compared; pairs this close do so in at
    least one. In each band a row is compared with the next 256 in ``order``, and with no more of
    them once 32 were close. So time and pairs stay in proportion to the number of rows, even if
    all codes are equal, and pairs are missed in such crowds only.

    Parameters
    ----------
    codes
        Shape (n,), uint64.
    order
        Shape (n,), numbers that are close for contents that are nearly the same.

    Returns
    -------
    numpy.ndarray
        Shape (pairs, 2), int64: row numbers, the smaller first, each pair once, sorted.
    """
    codes = codes.astype(np.uint64)
    found = [np.empty(0, np.int64)]
    for band in range(_BANDS):
        part = (codes >> np.uint64(_BAND_BITS * band)) & np.uint64(2**_BAND_BITS - 1)
        rank = np.lexsort((order, part))
        found += _within_buckets(codes, part, rank)
    pairs = np.unique(np.concatenate(found))
    return np.stack(np.divmod(pairs, max(len(codes), 1)), axis=1)


def _within_buckets(codes: np.ndarray, part: np.ndarray, rank: np.ndarray) -> Iterator[np.ndarray]:
    """Yield close pairs, as smaller row * n + larger row, among rows with equal ``part``; ``rank`` sorts by it."""
    codes, part = codes[rank], part[rank]
    place = np.arange(len(rank))
    many = np.zeros(len(rank), np.int64)
    for step in range(1, _WINDOW + 1):
        place = place[place + step < len(rank)]
        place = place[(part[place] == part[place + step]) & (many[place] < _MOST_PER_ROW)]
        if not len(place):
            return
        close = place[np.bitwise_count(codes[place] ^ codes[place + step]) <= MAX_DISTANCE]
        many[close] += 1
        left, right = rank[close], rank[close + step]
        yield np.minimum(left, right) * len(codes) + np.maximum(left, right)


class _Rows:
    """The rows of a table with their keys, and which of them a finding has dropped already."""

    def __init__(self, frame: pd.DataFrame, keys: Sequence[str | None]) -> None:
        self.ids = frame["id"].tolist()
        self.labels = frame["label"].tolist()
        self.splits = frame["split"].tolist()
        self.rank = [SPLITS.index(split) for split in self.splits]
        self.keys = list(keys)
        self.dropped: set[int] = set()

    def copies(self) -> list[list[int]]:
        """Return the rows of each content that is left more than once."""
        groups: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            if key is not None and row not in self.dropped:
                groups.setdefault(key, []).append(row)
        return [rows for rows in groups.values() if len(rows) > 1]

    def left(self, pairs: Pairs) -> Pairs:
        """Put in the place of each row the copy of its content that is left; leave out pairs of which one has none."""
        present = [row for row, key in enumerate(self.keys) if key is not None and row not in self.dropped]
        holder = {self.keys[row]: row for row in present}
        moved = ((holder.get(self.keys[a], -1), holder.get(self.keys[b], -1)) for a, b in pairs)
        return sorted({(min(pair), max(pair)) for pair in moved if min(pair) >= 0 and pair[0] != pair[1]})

    def finding(self, kind: str, text: str, cases: Sequence[Sequence[int]], drop: Iterable[int] = ()) -> list[Finding]:
        """Make a finding that names the first cases; no finding where there is no case."""
        if not cases:
            return []
        rows = sorted({row for case in cases for row in case})
        gone = sorted(set(drop))
        self.dropped.update(gone)
        named = "; ".join(self._named(case) for case in cases[:_CASES_SHOWN])
        more = f"; and {len(cases) - _CASES_SHOWN} more" if len(cases) > _CASES_SHOWN else ""
        ids, dropped = (tuple(self.ids[row] for row in some) for some in (rows, gone))
        return [Finding(kind, f"{text}: {named}{more}", ids, dropped)]

    def _named(self, case: Sequence[int]) -> str:
        # A content may be there a thousand times, and two of its places are enough to find the rest.
        other = next((row for row in case if self._place(row) != self._place(case[0])), case[1])
        named = [f"{shown(self.ids[row])} ({self._place(row)})" for row in (case[0], other)]
        return " = ".join(named) + (f" and {len(case) - 2} more" if len(case) > 2 else "")  # noqa: PLR2004

    def _place(self, row: int) -> str:
        return f"{self.splits[row]}, {shown(self.labels[row], 40)}"


def _two_labels(rows: _Rows) -> list[Finding]:
    cases = [case for case in rows.copies() if len({rows.labels[row] for row in case}) > 1]
    drop = [row for case in cases for row in case]
    text = f"{_number(len(cases), 'content')} with more than one label; all {len(drop)} examples of them to drop"
    return rows.finding("two labels", text, cases, drop)


def _two_splits(rows: _Rows) -> list[Finding]:
    cases = [case for case in rows.copies() if len({rows.rank[row] for row in case}) > 1]
    drop = [row for case in cases for row in case if rows.rank[row] < max(rows.rank[other] for other in case)]
    text = (
        f"{_number(len(cases), 'content')} in more than one split, so a score would reward memory; "
        f"{_by_split(rows, drop)} to drop"
    )
    return rows.finding("same in two splits", text, cases, drop)


def _repeated(rows: _Rows) -> list[Finding]:
    cases = rows.copies()
    drop = [row for case in cases for row in case[1:]]
    text = f"{_number(len(cases), 'content')} more than once in a split; {_number(len(drop), 'repetition')} to drop"
    return rows.finding("exact duplicate", text, cases, drop)


def _near(rows: _Rows, pairs: Pairs) -> list[Finding]:
    """Judge near pairs, once of each content one example at most is left."""
    pairs = rows.left(pairs)
    alike = [(a, b) for a, b in pairs if rows.labels[a] == rows.labels[b]]
    across = [(a, b) for a, b in alike if rows.rank[a] != rows.rank[b]]
    drop: set[int] = set()
    # The pairs with test come first: a validation example that they drop takes no training example with it.
    for a, b in sorted(across, key=lambda pair: -max(rows.rank[row] for row in pair)):
        if a not in drop and b not in drop:
            drop.add(min(a, b, key=lambda row: rows.rank[row]))
    text = (
        f"{_number(len(across), 'pair')} of nearly the same examples in two splits, so a score would reward memory; "
        f"{_by_split(rows, drop)} to drop"
    )
    found = rows.finding("near duplicate across splits", text, across, drop)
    left = [pair for pair in pairs if not drop.intersection(pair)]
    unlike = [(a, b) for a, b in left if rows.labels[a] != rows.labels[b]]
    text = f"{_number(len(unlike), 'pair')} of nearly the same examples with different labels; look at them"
    found += rows.finding("near duplicate with two labels", text, unlike)
    within = [(a, b) for a, b in left if rows.labels[a] == rows.labels[b]]
    text = f"{_number(len(within), 'pair')} of nearly the same examples within a split; none to drop"
    return found + rows.finding("near duplicate", text, within)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _by_split(rows: _Rows, drop: Iterable[int]) -> str:
    """Say how many rows of which split, as in ``"12 of train and 1 of validation"``."""
    splits = [rows.splits[row] for row in drop]
    return " and ".join(f"{splits.count(split)} of {split}" for split in SPLITS if split in splits)
