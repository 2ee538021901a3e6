"""Audit of a model that Tunebook did not train: a bias report from a table of its predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.audit_words import Words
from tunebook.bias import BiasReport, Settings
from tunebook.errors import DataError, did_you_mean, shown
from tunebook.fairness import PREFIX
from tunebook.labels import join_label, split_label
from tunebook.opening import is_file
from tunebook.table_file import read_table
from tunebook.vocabularies import class_name, other_spellings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Name under which predictions without a split are reported.
WHOLE = "whole"
#: Splits of a table, at most: a column of more values is something else.
_MOST_SPLITS = 20


@dataclass(frozen=True)
class Columns:
    """
    Which columns of a table hold what.

    Attributes
    ----------
    truth, prediction
        What is right, and what the model says.
    sensitive
        Columns to compare by; at least one.
    baseline
        What another model says, that the first is compared with; empty for none.
    confidence
        How sure the model is of its prediction, 0 to 1; empty for none.
    split, id
        Split and name of each example; empty for none.
    """

    truth: str
    prediction: str
    sensitive: tuple[str, ...]
    baseline: str = ""
    confidence: str = ""
    split: str = ""
    id: str = ""

    def named(self) -> dict[str, str]:
        """Return the columns that are named, by what they are."""
        parts = {
            "truth": self.truth, "prediction": self.prediction, "baseline": self.baseline,
            "confidence": self.confidence, "split": self.split, "id": self.id,
        }  # fmt: skip
        return {what: column for what, column in parts.items() if column}


@dataclass(frozen=True)
class Audit:
    """
    An audit of a table.

    Attributes
    ----------
    columns
        Which columns hold what.
    multi_label
        Whether truth and prediction name any number of classes, with ``|`` between them or as a list.
    settings
        How groups are compared.
    threshold
        Score from which an example is said to be of the positive one of two classes, where the column of predictions
        holds scores; ``None`` where it holds classes.
    """

    columns: Columns
    multi_label: bool = False
    settings: Settings = field(default_factory=Settings)
    threshold: float | None = None

    def of_file(self, path: Path) -> BiasReport:
        """
        Audit a CSV, TSV, Parquet or JSONL file.

        Raises
        ------
        DataError
            It cannot be read, or see :meth:`of_table`.
        """
        if not is_file(path):
            msg = f"{shown(path)}: no such file; give a .csv, .tsv, .parquet or .jsonl of predictions"
            raise DataError(msg)
        columns = self.columns
        wanted = [*columns.named().values(), *columns.sensitive, *self.settings.derived]
        return self.of_table(read_table(path, wanted), shown(path.name))

    def of_table(self, table: pd.DataFrame, source: str = "the table") -> BiasReport:
        """
        Audit a table.

        Parameters
        ----------
        table
            One row an example.
        source
            What to call it.

        Raises
        ------
        DataError
            A column is not there, is empty, holds lists, or is two things at once; what is said are scores, or names
            that are none of the classes; or there are no rows.
        """
        self._check(table, source)
        columns = self.columns
        truth, words = self._labels(table[columns.truth]), Words(source, columns.truth, multi_label=self.multi_label)
        words.require_classes(self._names(truth), len(table))
        settings = self._with_positive(self._names(truth))
        parts = [("tuned" if columns.baseline else "model", columns.prediction, columns.confidence)]
        if columns.baseline:
            parts.insert(0, ("baseline", columns.baseline, ""))
        whole = []
        for model, column, confidence in parts:
            said, sure = self._said(table, column, truth, words, settings)
            part = self._frame(table, model, confidence, source).assign(truth=truth, prediction=said)
            whole.append(part if confidence or sure is None else part.assign(confidence=sure))
        predictions = pd.concat(whole, ignore_index=True)
        if columns.baseline:
            # Of the baseline nobody said how sure it is, so calibration cannot be compared.
            predictions = predictions.drop(columns="confidence", errors="ignore")
        elif columns.confidence:
            _check_confidence(predictions["confidence"], source, columns.confidence)
        named = replace(
            settings, notes=(*settings.notes, *_read_as(table), *words.said), tuned=False,
            source=settings.source or f"Audit of {source}, predictions in column {columns.prediction}",
        )  # fmt: skip
        return BiasReport(predictions, multi_label=self.multi_label, settings=named)

    def _check(self, table: pd.DataFrame, source: str) -> None:
        columns = self.columns
        used = [*columns.named().values(), *columns.sensitive, *self.settings.derived]
        self._require_columns(table, source, used)
        labels = (columns.truth, columns.prediction, columns.baseline) if self.multi_label else ()
        for column in dict.fromkeys(used):
            _refuse_containers(table[column], source, column, lists=column in labels)
        for column in columns.sensitive:
            self._check_sensitive(table, source, column)
        for column in self.settings.derived:
            if column not in columns.sensitive:
                raise DataError(
                    f"{source}: --derived names {shown(column)}, which is not among --sensitive; add it there"
                )
        for column in filter(None, (columns.truth, columns.prediction, columns.baseline, columns.split, columns.id)):
            if column not in labels:
                _require_values(table[column], source, column)

    def _require_columns(self, table: pd.DataFrame, source: str, used: list[str]) -> None:
        have = ", ".join(shown(str(name), 40) for name in list(table.columns)[:12])
        for column in used:
            if column not in table:
                hint = did_you_mean(column, map(str, table.columns))
                raise DataError(f"{source}: no column {shown(column)}{hint}; it has {have}")
            if list(table.columns).count(column) > 1:
                raise DataError(f"{source}: column {shown(column)} is there more than once; give each its own name")
        if not len(table):
            raise DataError(f"{source}: the table has no rows")
        if not self.columns.sensitive:
            raise DataError(f"{source}: name at least one column to compare by, with --sensitive; it has {have}")
        self._require_roles(source)

    def _require_roles(self, source: str) -> None:
        seen: dict[str, str] = {}
        for what, column in self.columns.named().items():
            if column in seen:
                raise DataError(
                    f"{source}: column {shown(column)} is named as {seen[column]} and as {what}; name a column for each"
                )
            seen[column] = what

    def _check_sensitive(self, table: pd.DataFrame, source: str, column: str) -> None:
        columns = self.columns
        if columns.sensitive.count(column) > 1:
            raise DataError(f"{source}: --sensitive names {shown(column)} twice; name each column once")
        what = next((what for what, name in columns.named().items() if name == column), "")
        if what:
            raise DataError(f"{source}: column {shown(column)} is the {what} itself; compare by another column")
        if _is_blank(table[column]).all():
            msg = f"{source}: column {shown(column)} is empty: none of {len(table):,} rows has a value"
            raise DataError(f"{msg}; compare by another column")

    def _with_positive(self, classes: list[str]) -> Settings:
        """Return the settings with the positive class spelled as the truth spells it."""
        wanted = self.settings.positive
        same = other_spellings(classes, [class_name(wanted)]) if wanted else {}
        return replace(self.settings, positive=same.get(class_name(wanted), wanted))

    def _said(
        self, table: pd.DataFrame, column: str, truth: np.ndarray, words: Words, settings: Settings
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what a model says in the words of the truth, and how sure it is where its scores tell."""
        names = self._names(truth)
        is_prediction = column == self.columns.prediction
        said = self._labels(table[column])
        if self.threshold is not None and (is_prediction or not set(self._names(said)) <= set(names)):
            by_score = words.by_threshold(table[column], column, names, settings.positive, self.threshold)
            words.compare(column, by_score[0], truth)
            return by_score
        same = words.match(column, said, truth, self._names)
        if same:
            said = np.array([self._renamed(label, same) for label in said.tolist()], dtype=object)
        if not self.multi_label:
            words.compare(column, said, truth)
        return said, None

    def _renamed(self, label: str, same: Mapping[str, str]) -> str:
        if self.multi_label:
            return join_label(same.get(name, name) for name in split_label(label))
        return same.get(label, label)

    def _names(self, labels: np.ndarray) -> list[str]:
        """Return the different classes that labels name, in order."""
        different = set(labels.tolist())
        return sorted({name for label in different for name in split_label(label)} if self.multi_label else different)

    def _frame(self, table: pd.DataFrame, model: str, confidence: str, source: str) -> pd.DataFrame:
        columns = self.columns
        ids = (
            table[columns.id].astype(str)
            if columns.id
            else pd.Series(np.arange(1, len(table) + 1)).map("row {}".format)
        )
        if columns.id and ids.duplicated().any():
            twice = shown(ids[ids.duplicated()].iloc[0])
            raise DataError(f"{source}: the id {twice} is there more than once; ids must be unique")
        part = pd.DataFrame({"model": model, "id": ids.to_numpy(), "split": self._splits(table, source)})
        if confidence:
            part["confidence"] = pd.to_numeric(table[confidence], errors="coerce").to_numpy()
        for column in columns.sensitive:
            part[PREFIX + column] = table[column].to_numpy()
        return part

    def _splits(self, table: pd.DataFrame, source: str) -> np.ndarray | str:
        column = self.columns.split
        if not column:
            return WHOLE
        found = _each(table[column], class_name)
        count = len(set(found.tolist()))
        if count > _MOST_SPLITS:
            msg = f"{source}: column {shown(column)} has {count:,} different values and names no splits"
            raise DataError(f"{msg}; at most {_MOST_SPLITS} are allowed: name another column, or leave --split out")
        return found

    def _labels(self, values: pd.Series) -> np.ndarray:
        return _each(values, self._label)

    def _label(self, value: Any) -> str:  # noqa: ANN401 - of a table
        if not self.multi_label:
            return class_name(value)
        if isinstance(value, list | tuple | np.ndarray):
            return join_label(class_name(item) for item in value)
        return join_label(map(class_name, split_label(class_name(value))))


def _each(values: pd.Series, name: Any) -> np.ndarray:  # noqa: ANN401 - a function of a cell
    """Name each value, shape (n,); a missing one is empty. Different values are looked at once."""
    if values.dtype == object and any(isinstance(value, list | tuple | np.ndarray) for value in values):
        return np.array(["" if _is_nothing(value) else name(value) for value in values], dtype=object)
    codes, kinds = pd.factorize(values, use_na_sentinel=True)
    return np.array([*(name(kind) for kind in kinds), ""], dtype=object)[codes]


def _is_nothing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _is_blank(values: pd.Series) -> pd.Series:
    return values.isna() | (values.astype(str).str.strip() == "")


def _require_values(values: pd.Series, source: str, column: str) -> None:
    gone = _is_blank(values)
    if gone.any():
        first = int(gone.to_numpy().argmax()) + 1
        msg = f"{source}: {int(gone.sum()):,} rows have no value in column {shown(column)} (first: row {first})"
        raise DataError(f"{msg}; fill them or remove the rows")


def _refuse_containers(values: pd.Series, source: str, column: str, *, lists: bool) -> None:
    """Refuse cells that hold several values, but for lists of plain ones where these are several classes."""
    if values.dtype != object:
        return
    several, plain = (list, tuple, np.ndarray), (str, int, float, bool, np.generic)

    def is_wrong(value: Any) -> bool:  # noqa: ANN401 - of a table
        if isinstance(value, several) and lists:
            return not all(isinstance(item, plain) for item in value)
        return isinstance(value, (dict, set, frozenset, *several))

    wrong = [is_wrong(value) for value in values]
    if any(wrong):
        row = wrong.index(True)
        kind = "mapping" if isinstance(values.iloc[row], dict) else "list"
        what = f"{sum(wrong):,} cells of column {shown(column)} hold a {kind} (first: row {row + 1})"
        fix = "write class names with | between them" if lists else "name a column with one value a row"
        raise DataError(f"{source}: {what}; {fix}")


def _read_as(table: pd.DataFrame) -> list[str]:
    """Return what was done to read a table's file, a sentence each."""
    return [f"Of the file: {text}." for _, text in table.attrs.get("remarks", ())]


def _check_confidence(values: pd.Series, source: str, column: str) -> None:
    wrong = ~values.between(0.0, 1.0)
    if wrong.any():
        first = int(wrong.to_numpy().argmax()) + 1
        msg = f"{source}: column {shown(column)} is no confidence from 0 to 1 in {int(wrong.sum()):,} rows"
        raise DataError(f"{msg} (first: row {first}); name another column, or leave --confidence out")


def read_derived(texts: list[str]) -> Mapping[str, str]:
    """
    Read how attributes were derived, each written ``column=how``.

    Raises
    ------
    DataError
        One is written otherwise.
    """
    found = {}
    for text in texts:
        column, equals, how = text.partition("=")
        if not equals or not column.strip() or not how.strip():
            raise DataError(f"--derived {shown(text)}: write column=how, such as gender='from first names'")
        found[column.strip()] = " ".join(how.split())
    return found
