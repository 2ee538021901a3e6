"""The groups that a sensitive column divides examples into: its values, bins of its numbers, what is missing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tunebook.errors import DataError, shown
from tunebook.vocabularies import class_name, number_of
from tunebook.written_numbers import PLAIN, Reading, is_amount, is_nothing, reading_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Examples without a value are a group of their own, and this is its name.
MISSING = "(missing)"
#: Values beyond the most frequent ones are put together under this name.
OTHER = "(other)"
#: Stands between the attributes of an intersection, and between its groups.
CROSS = " \N{MULTIPLICATION SIGN} "
#: What the name of an attribute ends with that was not recorded but worked out.
DERIVED_MARK = "(derived)"
#: Groups of one attribute that are looked at, at most; and of an intersection.
MOST_GROUPS, MOST_CROSSED = 50, 100
#: A column of more different numbers than this is cut into bins of about equal size.
_MOST_NUMBERS = 10
_BINS = 4
#: Of many values, the most frequent one has as many examples at least, or they are no groups.
_FEWEST_OF_A_VALUE = 20
_LONGEST = 120
#: Words among numbers that are groups of their own, at most; with more, nearly all of a column must be numbers.
_MOST_WORDS = 10
_NEARLY_ALL = 0.9
#: Values of a column that an error or a note names.
_NAMED = 3
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4})")


@dataclass(frozen=True)
class Groups:
    """
    How one attribute, or several at once, divide examples.

    Attributes
    ----------
    name
        Name of the attribute.
    names
        Names of the groups, in the order in which they are shown; different from each other.
    codes
        Group number of each example, shape (n,), int64.
    kind
        ``"values"``, ``"bins"`` or ``"intersection"``.
    columns
        The columns that it comes from.
    edges
        For bins: the limits between them.
    reading
        For bins: how the numbers are written.
    parts
        For an intersection: for each group its group in each of the columns; of a single column, a name each.
    missing
        Number of the group of examples without a value, :data:`MISSING`; -1 where all have one.
    pooled
        Whether the last group, :data:`OTHER`, holds many values that have nothing in common.
    derived
        How it was worked out, if it was not recorded; empty otherwise.
    notes
        What a reader must know of it; one sentence each.
    """

    name: str
    names: tuple[str, ...]
    codes: np.ndarray
    kind: str = "values"
    columns: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    parts: tuple[tuple[str, ...], ...] = ()
    missing: int = -1
    pooled: bool = False
    derived: str = ""
    notes: tuple[str, ...] = ()
    reading: Reading = PLAIN

    def counts(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the number of examples of each group, of all or of some rows, shape (groups,), int64."""
        codes = self.codes if rows is None else self.codes[rows]
        return np.bincount(codes, minlength=len(self.names))

    @property
    def is_pooled(self) -> np.ndarray:
        """Which groups hold values that have nothing in common, shape (groups,), bool."""
        found = np.zeros(len(self.names), bool)
        found[-1:] = self.pooled
        return found


def make_groups(name: str, values: Sequence[object] | pd.Series, derived: str = "") -> Groups:
    """
    Divide examples by one column.

    Numbers of more than ten different values are binned by quartiles; the names of the bins are their limits. Words
    among them, such as "unknown", are groups of their own, but for those that say that there is no number, such as
    "NA". Of other columns each value is a group, the 50 most frequent ones at most.

    Parameters
    ----------
    name
        Name of the column.
    values
        Shape (n,); what is missing is ``None``, NaN, empty or ``"(missing)"``.
    derived
        How the column was worked out, if it was. A name that ends with ``(derived)`` says that it was.

    Raises
    ------
    DataError
        A cell holds several values, as a list does.
    """
    series = pd.Series(values).reset_index(drop=True)
    # A million rows have few different values: those are looked at, not the rows.
    _refuse_containers(name, series)
    found, kinds = pd.factorize(series, use_na_sentinel=True)
    texts = [_text(kind) for kind in kinds]
    rows = np.bincount(found[found >= 0], minlength=len(texts))
    counts: Counter[str | None] = Counter()
    for text, count in zip(texts, rows.tolist(), strict=True):
        counts[text] += count
    counts[None] += int((found < 0).sum())
    missing = counts.pop(None)
    known = {text: count for text, count in counts.items() if text is not None}
    derived = derived or ("its name says so" if name.rstrip().lower().endswith(DERIVED_MARK) else "")
    column = _NumberColumn.of(known)
    if column.is_binned:
        groups = _binned(name, found, texts, column)
    else:
        groups = _valued(name, found, texts, known, missing)
        groups = replace(groups, notes=(*groups.notes, *column.doubts()))
    notes = list(groups.notes)
    if not known:
        notes.insert(0, "The column is empty: all values are missing.")
    elif len(groups.names) == 1 and not groups.pooled:
        notes.insert(0, f"All examples are in one group ({groups.names[0]}), so nothing can be compared.")
    return replace(groups, columns=(name,), derived=derived, notes=tuple(notes))


def cross_groups(several: Sequence[Groups]) -> Groups:
    """Divide examples by several attributes at once; combinations that do not occur are left out."""
    sizes = [len(groups.names) for groups in several]
    code = np.zeros(len(several[0].codes), np.int64)
    for groups, size in zip(several, sizes, strict=True):
        code = code * size + groups.codes
    counts = np.bincount(code, minlength=int(np.prod(sizes)))
    order = np.flatnonzero(counts)
    frequent = order[np.argsort(-counts[order], kind="stable")]
    kept = order if len(order) <= MOST_CROSSED else np.sort(frequent[: MOST_CROSSED - 1])
    parts = [
        tuple(groups.names[int(k)] for groups, k in zip(several, np.unravel_index(int(cell), sizes), strict=True))
        for cell in kept
    ]
    names = [CROSS.join(part) for part in parts]
    place = np.full(len(counts), len(names), np.int64)
    place[kept] = np.arange(len(kept))
    pooled = len(kept) < len(order)
    notes = []
    if pooled:
        names.append(OTHER)
        parts.append((OTHER,) * len(several))
        notes.append(f"Of {len(order):,} combinations the {len(kept)} most frequent are shown, the others together.")
    words = [f"{groups.name!r}, {groups.derived}" for groups in several if groups.derived]
    return Groups(
        CROSS.join(groups.name for groups in several), _distinct(names), place[code], "intersection",
        tuple(groups.name for groups in several), (), tuple(parts), -1, pooled, "; ".join(words), tuple(notes),
    )  # fmt: skip


def _refuse_containers(name: str, series: pd.Series) -> None:
    if series.dtype != object:
        return
    for row, value in enumerate(series):
        if isinstance(value, (list, tuple, dict, set, frozenset, np.ndarray)):
            what = f"row {row + 1} holds {shown(value, 40)}, which is not one value"
            raise DataError(f"column {shown(name)}: {what}; give one value a row to compare by")


@dataclass(frozen=True)
class _NumberColumn:
    """
    The values of a column as numbers and words.

    Attributes
    ----------
    counts
        Examples of each value.
    reading
        How the numbers are written.
    numbers
        Values that are numbers.
    words
        Values that are none and say something, the most frequent first.
    """

    counts: Mapping[str, int]
    reading: Reading
    numbers: Mapping[str, float]
    words: tuple[str, ...]

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> _NumberColumn:
        texts = list(counts)
        reading = reading_of(texts)
        numbers = {text: number for text in texts if (number := reading.number(text)) is not None}
        words = [text for text in texts if text not in numbers and not is_nothing(text)]
        return cls(counts, reading, numbers, tuple(sorted(words, key=lambda text: (-counts[text], text))))

    @property
    def is_binned(self) -> bool:
        """Whether there are many numbers, and few words beside them."""
        if len(set(self.numbers.values())) <= _MOST_NUMBERS:
            return False
        if len(self.words) <= _MOST_WORDS:
            return True
        rows = sum(self.counts[text] for text in self.numbers)
        return rows >= _NEARLY_ALL * (rows + sum(self.counts[text] for text in self.words))

    def doubts(self) -> list[str]:
        """Say why a column that looks like numbers or dates has a group for each value."""
        dates = [text for text in self.counts if _DATE.fullmatch(text)]
        if len(dates) > _MOST_NUMBERS and 2 * len(dates) > len(self.counts):
            return ["Its values are dates, which are not binned: give a column of years or periods to compare by."]
        amounts = sum(is_amount(text) for text in self.counts)
        if amounts <= _MOST_NUMBERS or 2 * amounts <= len(self.counts) or not self.words:
            return []
        words = ", ".join(shown(text, 20) for text in self.words[:_NAMED])
        return [
            f"Of its {len(self.counts):,} different values {len(self.words):,} are not written as most numbers are "
            f"({words}), so that it is not binned: write all alike."
        ]

    def remarks(self, shown_words: Sequence[str]) -> list[str]:
        """Say how numbers were read, and what became of the words among them."""
        said = [self.reading.describe()] if self.reading.describe() else []
        nothing = [text for text in self.counts if is_nothing(text) and text not in self.numbers]
        if nothing:
            said.append(f"Read as missing: {self._listed(nothing)}.")
        if shown_words:
            said.append(f"No numbers, and groups of their own: {self._listed(shown_words)}.")
        rest = [text for text in self.words if text not in shown_words]
        if rest:
            rows = sum(self.counts[text] for text in rest)
            said.append(f"{len(rest):,} further words of {rows:,} examples are put together as {OTHER}.")
        return said

    def _listed(self, texts: Sequence[str]) -> str:
        return ", ".join(f"{shown(text, 40)} ({self.counts[text]:,})" for text in texts)


def _valued(
    name: str, found: np.ndarray, texts: Sequence[str | None], known: Mapping[str, int], missing: int
) -> Groups:
    notes = []
    pooled = len(known) > MOST_GROUPS
    names = list(known)
    if pooled and max(known.values()) < _FEWEST_OF_A_VALUE:
        names = []
        notes.append(
            f"It has {len(known):,} different values, none of them in {_FEWEST_OF_A_VALUE} examples: it looks like a "
            "name or an identifier, and nothing can be compared by it."
        )
    elif pooled:
        names = sorted(known, key=lambda text: (-known[text], text))[: MOST_GROUPS - 1]
        notes.append(
            f"It has {len(known):,} different values; the {len(names)} most frequent are groups of their own, "
            f"the others are put together as {OTHER}."
        )
    names.sort(key=_natural)
    place = {text: k for k, text in enumerate(names)}
    shown = [*names]
    place_of_missing = -1
    if missing or not (names or pooled):
        place_of_missing = len(shown)
        shown.append(MISSING)
    if pooled:
        shown.append(OTHER)
    lookup = np.array(
        [place_of_missing if text is None else place.get(text, len(shown) - 1) for text in texts] + [place_of_missing],
        np.int64,
    )
    shown_names = _distinct(shown)
    parts = tuple((text,) for text in shown_names)
    return Groups(name, shown_names, lookup[found], "values", (), (), parts, place_of_missing, pooled, "", tuple(notes))


def _binned(name: str, found: np.ndarray, texts: Sequence[str | None], column: _NumberColumn) -> Groups:
    numbers = [np.nan if text is None else column.numbers.get(text, np.nan) for text in texts]
    values = np.array([*numbers, np.nan])[found]
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, _BINS + 1)[1:-1], method="inverted_cdf"))
    edges = edges[edges < known.max()]
    codes = np.searchsorted(edges, values, side="left").astype(np.int64)
    written = [f"{edge:g}" if float(f"{edge:g}") == edge else repr(float(edge)) for edge in edges]
    names = [f"up to {written[0]}"] if written else [f"{known.min():g}"]
    names += [f"above {low} to {high}" for low, high in pairwise(written)]
    names += [f"above {written[-1]}"] if written else []
    nothing = np.array([text is None or is_nothing(text) for text in texts] + [True])[found] & np.isnan(values)
    listed = ", ".join([*names, MISSING] if nothing.any() else names)
    pooled = len(column.words) > _MOST_WORDS
    words = list(column.words[: _MOST_WORDS - 1] if pooled else column.words)
    place = {text: len(names) + k for k, text in enumerate(words)}
    names += words
    place_of_missing = len(names) if nothing.any() else -1
    names += [MISSING] if nothing.any() else []
    other = len(names)
    names += [OTHER] if pooled else []
    of_kind = np.array([other if text is None else place.get(text, other) for text in texts] + [other])[found]
    codes = np.where(np.isnan(values), np.where(nothing, place_of_missing, of_kind), codes)
    note = f"Numbers from {known.min():g} to {known.max():g} are put into bins of about equal size: {listed}."
    shown_names = _distinct(names)
    parts = tuple((text,) for text in shown_names)
    notes = (note, *column.remarks(words))
    return Groups(
        name, shown_names, codes, "bins", (), tuple(edges.tolist()), parts, place_of_missing, pooled, "", notes,
        column.reading,
    )  # fmt: skip


def _text(value: object) -> str | None:
    """Name a value as a person would; ``None`` for a missing one."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    text = class_name(value)
    return None if text in ("", MISSING) else text


def _natural(name: str) -> tuple[int, float, list[tuple[int, float, str]], str]:
    """Sort key: numbers by their size, then words, with 10 after 9 within them."""
    number = number_of(name)
    if number is not None:
        return 0, number, [], name
    parts = [(0, float(part), "") if part.isdecimal() else (1, 0.0, part) for part in re.split(r"(\d+)", name) if part]
    return 1, 0.0, parts, name


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Cut names that nobody could read, and tell those apart that were alike until the cut."""
    cut = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    seen: Counter[str] = Counter()
    found = []
    for name in cut:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(found)
