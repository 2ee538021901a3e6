"""The groups that a sensitive column divides examples into: its values, bins of its numbers, what is missing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    Numbers of more than ten different values are binned by quartiles; the names of the bins are their limits. Of other
    columns each value is a group, the 50 most frequent ones at most.

    Parameters
    ----------
    name
        Name of the column.
    values
        Shape (n,); what is missing is ``None``, NaN, empty or ``"(missing)"``.
    derived
        How the column was worked out, if it was. A name that ends with ``(derived)`` says that it was.
    """
    series = pd.Series(values).reset_index(drop=True)
    # A million rows have few different values: those are looked at, not the rows.
    found, kinds = pd.factorize(series, use_na_sentinel=True)
    texts = [_text(kind) for kind in kinds]
    known = [text for text in texts if text is not None]
    numbers = [_number(text) for text in known]
    derived = derived or ("its name says so" if name.rstrip().lower().endswith(DERIVED_MARK) else "")
    if len(set(known)) > _MOST_NUMBERS and all(number is not None for number in numbers):
        groups = _binned(name, found, [None if text is None else _number(text) for text in texts])
    else:
        groups = _valued(name, found, texts)
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


def _valued(name: str, found: np.ndarray, texts: Sequence[str | None]) -> Groups:
    rows = np.bincount(found[found >= 0], minlength=len(texts))
    counts: Counter[str | None] = Counter()
    for text, count in zip(texts, rows.tolist(), strict=True):
        counts[text] += count
    missing = counts.pop(None, 0) + int((found < 0).sum())
    known: dict[str, int] = {text: count for text, count in counts.items() if text is not None}
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


def _binned(name: str, found: np.ndarray, numbers: Sequence[float | None]) -> Groups:
    values = np.array([np.nan if number is None else number for number in numbers] + [np.nan])[found]
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, _BINS + 1)[1:-1], method="inverted_cdf"))
    edges = edges[edges < known.max()]
    codes = np.searchsorted(edges, values, side="left")
    written = [f"{edge:g}" if float(f"{edge:g}") == edge else repr(float(edge)) for edge in edges]
    names = [f"up to {written[0]}"] if written else [f"{known.min():g}"]
    names += [f"above {low} to {high}" for low, high in pairwise(written)]
    names += [f"above {written[-1]}"] if written else []
    place_of_missing = -1
    if len(known) < len(values):
        place_of_missing = len(names)
        codes[np.isnan(values)] = place_of_missing
        names.append(MISSING)
    note = f"Numbers from {known.min():g} to {known.max():g} are put into bins of about equal size: {', '.join(names)}."
    parts = tuple((text,) for text in names)
    limits = tuple(edges.tolist())
    return Groups(
        name, tuple(names), codes.astype(np.int64), "bins", (), limits, parts, place_of_missing, notes=(note,)
    )


def _text(value: object) -> str | None:
    """Name a value as a person would; ``None`` for a missing one."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    text = " ".join(str(value).split())
    return None if text in ("", MISSING) else text


def _number(text: str) -> float | None:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    number = float(text)
    return number if np.isfinite(number) else None


def _natural(name: str) -> tuple[int, float, list[tuple[int, int, str]], str]:
    """Sort key: numbers by their size, then words, with 10 after 9 within them."""
    number = _number(name)
    if number is not None:
        return 0, number, [], name
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
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
