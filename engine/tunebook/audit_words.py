"""What the predictions of an audit say in the words of its truth: matched, remarked on or refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tunebook.bias_input import in_order
from tunebook.errors import DataError, shown
from tunebook.vocabularies import alike, number_of, other_spellings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

#: Different numbers, of the kind that no class has, from which a column holds numbers and no classes.
_MOST_FRACTIONS = 20
#: Classes from which on a column in which all values differ holds names or texts.
_MOST_UNIQUE = 20
#: Names that a sentence lists.
_LISTED = 5
#: Standard errors by which accuracy is below chance before another naming is looked for.
_CLEARLY = 4.0
#: Accuracy that another naming must have to be worth a remark.
_PLAUSIBLE = 0.5
#: Classes up to which another naming is looked for.
_MOST_NAMINGS = 200


class Words:
    """
    Holds the words of predictions against those of the truth.

    Parameters
    ----------
    source
        What the table is called.
    truth
        Name of the column with what is right.
    multi_label
        Whether a label names several classes.

    Attributes
    ----------
    said
        What a reader must know of it; one sentence each.
    """

    def __init__(self, source: str, truth: str, *, multi_label: bool = False) -> None:
        self._source, self._truth, self._multi_label = source, truth, multi_label
        self.said: list[str] = []

    def require_classes(self, names: Sequence[str], rows: int) -> None:
        """
        Refuse a truth of numbers to be predicted, or of names that are all different, and remark on like names.

        Raises
        ------
        DataError
            It is one.
        """
        column, fix = f"column {shown(self._truth)}", "an audit compares classes: name another column, or make classes"
        fractions = [name for name in names if _is_fraction(name)]
        if len(fractions) > _MOST_FRACTIONS:
            what = f"holds {len(names):,} different numbers such as {shown(fractions[0])}"
            raise DataError(f"{self._source}: {column} {what} and no classes; {fix}")
        if len(names) == rows > _MOST_UNIQUE:
            raise DataError(f"{self._source}: {column} has a value of its own in each of {rows:,} rows; {fix}")
        if not names:
            raise DataError(f"{self._source}: {column} names no class in any row; name another column")
        for several in alike(names):
            self.said.append(f"Classes {_listed(several)} of {column} differ in spelling alone and stay apart.")

    def by_threshold(
        self, scores: pd.Series, column: str, classes: Sequence[str], positive: str, threshold: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """
        Read scores of one of two classes.

        Returns
        -------
        tuple
            The class of each example, shape (n,), and how sure it is of it, from 0 to 1; ``None`` instead where scores
            are no probabilities.

        Raises
        ------
        DataError
            There are not two classes, or a score is no number.
        """
        if len(classes) != 2:  # noqa: PLR2004
            msg = (
                f"{self._source}: --threshold is for two classes, and column {shown(self._truth)} has {len(classes):,}"
            )
            raise DataError(f"{msg}; leave it out, and name a column that holds the class of the highest score")
        ordered = in_order(classes)
        wanted = positive or ordered[1]
        if wanted not in ordered:
            msg = f"{self._source}: --positive {shown(positive)} is no class of column {shown(self._truth)}"
            raise DataError(f"{msg}; it has {_listed(ordered)}")
        values = self._scores(scores, column)
        other = ordered[0] if wanted == ordered[1] else ordered[1]
        chosen = values >= threshold
        self.said.append(
            f"Scores of column {shown(column)}, from {values.min():g} to {values.max():g}, of {threshold:g} and more "
            f"are read as class {shown(wanted)}: {chosen.sum():,} of {len(chosen):,} rows."
        )
        said = np.where(chosen, np.array(wanted, dtype=object), np.array(other, dtype=object))
        is_share = bool(((values >= 0.0) & (values <= 1.0)).all())
        return said, np.where(chosen, values, 1.0 - values) if is_share else None

    def _scores(self, cells: pd.Series, column: str) -> np.ndarray:
        """Read numbers with a decimal point or a decimal comma, shape (n,)."""
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(values).any():
            commas = pd.Series(cells.astype(str).to_numpy(dtype=object)).str.fullmatch(r"\s*[+-]?\d+(,\d+)?\s*")
            if commas.all():
                values = np.array([float(cell.replace(",", ".")) for cell in cells.astype(str)])
                self.said.append(f"Numbers of column {shown(column)} are read as written with a decimal comma.")
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            first = int(wrong[0])
            what = f"column {shown(column)} is no score in {len(wrong):,} rows"
            raise DataError(
                f"{self._source}: {what} (first: row {first + 1}, {shown(str(cells.iloc[first]), 40)}); write finite "
                "numbers without a unit, or leave --threshold out if it holds classes"
            )
        return values

    def match(
        self, column: str, said: np.ndarray, truth: np.ndarray, names_of: Callable[[np.ndarray], list[str]]
    ) -> dict[str, str]:
        """
        Find what predictions say in another spelling than the truth.

        Parameters
        ----------
        column
            Name of the column of predictions.
        said, truth
            Labels, shape (n,).
        names_of
            Gives the different classes that labels name.

        Returns
        -------
        dict
            What is said to the class that it is.

        Raises
        ------
        DataError
            The predictions are scores, or have no class in common with the truth.
        """
        classes, names = in_order(names_of(truth)), in_order(names_of(said))
        same = other_spellings(classes, names)
        strange = [name for name in names if name not in classes and name not in same]
        self._refuse_scores(column, self._numbers(strange, said), classes)
        if len(strange) == len(names):
            what = f"says {_listed(names) or 'nothing'} and never a class of column {shown(self._truth)}"
            raise DataError(
                f"{self._source}: column {shown(column)} {what}, which has {_listed(classes)}; name the column of "
                "classes, or write its values as they are named there"
            )
        never = [name for name in classes if name not in {same.get(name, name) for name in names}]
        _refuse_separators(self._source, column, strange, classes)
        if self._multi_label:  # otherwise "a/b" may be a class that the model never says
            _refuse_separators(self._source, self._truth, never, names)
        if same:
            pairs = [f"{shown(name)} as {shown(same[name])}" for name in names if name in same]
            self.said.append(f"Column {shown(column)} spells classes otherwise and is read so: {_joined(pairs)}.")
        if strange:
            rows = sum(any(name in strange for name in names_of(np.array([label]))) * n for label, n in _counts(said))
            self.said.append(
                f"Column {shown(column)} says {_listed(strange)} in {rows:,} of {len(said):,} rows, which column "
                f"{shown(self._truth)} never has: that counts as wrong."
            )
        if never:
            rows = sum(any(name in never for name in names_of(np.array([label]))) * n for label, n in _counts(truth))
            self.said.append(
                f"Column {shown(column)} never says {_listed(never)}, which {rows:,} of {len(truth):,} rows have."
            )
        return same

    def _numbers(self, strange: Sequence[str], said: np.ndarray) -> list[str]:
        """Return those names that look like scores: fractions, or whole numbers where these are most rows."""
        fractions = [name for name in strange if _is_fraction(name)]
        whole = [name for name in strange if number_of(name) is not None]
        many = len(whole) > _MOST_FRACTIONS and bool(2 * np.isin(said, whole).sum() > len(said))
        return fractions or (whole if many else [])

    def _refuse_scores(self, column: str, numbers: Sequence[str], classes: Sequence[str]) -> None:
        if not numbers:
            return
        two = f"if they are scores of one of the two, set --threshold 0.5 and --positive {shown(classes[-1], 40)}"
        many = "name a column that holds the class of the highest score"
        raise DataError(
            f"{self._source}: column {shown(column)} holds numbers such as {shown(numbers[0])} and no classes of "
            f"column {shown(self._truth)}, which has {_listed(classes)}; {two if len(classes) == 2 else many}"  # noqa: PLR2004
        )

    def compare(self, column: str, said: np.ndarray, truth: np.ndarray) -> None:
        """Remark on predictions that are right less often than chance, and mostly right under other names."""
        names = sorted({*said.tolist(), *truth.tolist()})
        if len(names) > _MOST_NAMINGS:
            return
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # noqa: PLC0415

        index = pd.Index(names)
        table = np.zeros((len(names), len(names)))
        np.add.at(table, (index.get_indexer(said), index.get_indexer(truth)), 1.0)
        table /= len(said)
        accuracy, chance = float(np.trace(table)), float(table.sum(axis=0) @ table.sum(axis=1))
        if accuracy >= chance - _CLEARLY * np.sqrt(chance * (1.0 - chance) / len(said)):
            return
        rows, columns = linear_sum_assignment(table, maximize=True)
        best = float(table[rows, columns].sum())
        if best >= _PLAUSIBLE:
            pairs = [
                f"{shown(names[row])} as {shown(names[place])}"
                for row, place in zip(rows.tolist(), columns.tolist(), strict=True)
                if row != place and table[row, place]
            ]
            self.said.append(
                f"Column {shown(column)} is right in {accuracy:.0%} of the rows, less often than chance; with "
                f"{_joined(pairs)} it would be {best:.0%}: look whether both columns number the classes alike."
            )


def _is_fraction(name: str) -> bool:
    number = number_of(name)
    return number is not None and not number.is_integer()


def _counts(labels: np.ndarray) -> list[tuple[str, int]]:
    return list(Counter(labels.tolist()).items())


def _listed(names: Collection[str]) -> str:
    return _joined([shown(name, 40) for name in names])


def _joined(words: Sequence[str]) -> str:
    more = len(words) - _LISTED
    return ", ".join(words[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def _refuse_separators(source: str, column: str, strange: Sequence[str], classes: Collection[str]) -> None:
    """Refuse names that are several classes of the other column, with something else than ``|`` between them."""
    for name in strange:
        for separator in (",", ";", "/"):
            parts = [part.strip() for part in name.split(separator)]
            if len(parts) > 1 and all(part in classes for part in parts):
                msg = f"{source}: column {shown(column)} says {shown(name)}, several classes of the other column"
                raise DataError(f"{msg}; write them with | between them, and set --multi-label")
