"""Audit of a model that Tunebook did not train: a bias report from a table of its predictions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tunebook.bias import BiasReport, Settings
from tunebook.errors import DataError, did_you_mean, shown
from tunebook.fairness import PREFIX
from tunebook.labels import join_label, split_label
from tunebook.sources import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Name under which predictions without a split are reported.
WHOLE = "whole"


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
        Whether truth and prediction name any number of classes, with ``|`` between them.
    settings
        How groups are compared.
    """

    columns: Columns
    multi_label: bool = False
    settings: Settings = field(default_factory=Settings)

    def of_file(self, path: Path) -> BiasReport:
        """
        Audit a CSV, TSV, Parquet or JSONL file.

        Raises
        ------
        DataError
            It cannot be read, or see :meth:`of_table`.
        """
        if not path.is_file():
            msg = f"{shown(str(path))}: no such file; give a .csv, .tsv, .parquet or .jsonl of predictions"
            raise DataError(msg)
        return self.of_table(read_table(path), shown(path.name))

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
            A column is not there, is empty, or is at once what is right and what is compared by; or there are no rows.
        """
        self._check(table, source)
        columns = self.columns
        parts = [("tuned" if columns.baseline else "model", columns.prediction, columns.confidence)]
        if columns.baseline:
            parts.insert(0, ("baseline", columns.baseline, ""))
        predictions = pd.concat([self._part(table, source, *part) for part in parts], ignore_index=True)
        if columns.baseline:
            # Of the baseline nobody said how sure it is, so calibration cannot be compared.
            predictions = predictions.drop(columns="confidence", errors="ignore")
        elif columns.confidence:
            _check_confidence(predictions["confidence"], source, columns.confidence)
        settings = self.settings
        named = Settings(
            settings.minimum, settings.draws, settings.seed, settings.positive, settings.derived, settings.notes,
            settings.source or f"Audit of {source}, predictions in column {columns.prediction}", tuned=False,
        )  # fmt: skip
        return BiasReport(predictions, multi_label=self.multi_label, settings=named)

    def _check(self, table: pd.DataFrame, source: str) -> None:
        columns = self.columns
        have = ", ".join(shown(str(name), 40) for name in list(table.columns)[:12])
        for column in [*columns.named().values(), *columns.sensitive, *self.settings.derived]:
            if column not in table:
                hint = did_you_mean(column, map(str, table.columns))
                raise DataError(f"{source}: no column {shown(column)}{hint}; it has {have}")
        if not len(table):
            raise DataError(f"{source}: the table has no rows")
        if not columns.sensitive:
            raise DataError(f"{source}: name at least one column to compare by, with --sensitive; it has {have}")
        for column in columns.sensitive:
            self._check_sensitive(table, source, column)
        for column in self.settings.derived:
            if column not in columns.sensitive:
                raise DataError(
                    f"{source}: --derived names {shown(column)}, which is not among --sensitive; add it there"
                )
        for column in filter(None, (columns.truth, columns.prediction, columns.baseline)):
            gone = table[column].isna()
            if gone.any() and not self.multi_label:
                first = int(gone.to_numpy().argmax()) + 1
                msg = f"{source}: {int(gone.sum()):,} rows have no value in column {shown(column)} (first: row {first})"
                raise DataError(f"{msg}; fill them or remove the rows")

    def _check_sensitive(self, table: pd.DataFrame, source: str, column: str) -> None:
        columns = self.columns
        if columns.sensitive.count(column) > 1:
            raise DataError(f"{source}: --sensitive names {shown(column)} twice; name each column once")
        what = next((what for what, name in columns.named().items() if name == column), "")
        if what:
            raise DataError(f"{source}: column {shown(column)} is the {what} itself; compare by another column")
        values = table[column]
        if values.isna().all() or (values.astype(str).str.strip() == "").all():
            msg = f"{source}: column {shown(column)} is empty: none of {len(table):,} rows has a value"
            raise DataError(f"{msg}; compare by another column")

    def _part(self, table: pd.DataFrame, source: str, model: str, prediction: str, confidence: str) -> pd.DataFrame:
        columns = self.columns
        ids = (
            table[columns.id].astype(str)
            if columns.id
            else pd.Series(np.arange(1, len(table) + 1)).map("row {}".format)
        )
        if columns.id and ids.duplicated().any():
            twice = shown(ids[ids.duplicated()].iloc[0])
            raise DataError(f"{source}: the id {twice} is there more than once; ids must be unique")
        part = pd.DataFrame({
            "model": model,
            "id": ids.to_numpy(),
            "split": table[columns.split].astype(str).to_numpy() if columns.split else WHOLE,
            "truth": self._labels(table[columns.truth]),
            "prediction": self._labels(table[prediction]),
        })  # fmt: skip
        if confidence:
            part["confidence"] = pd.to_numeric(table[confidence], errors="coerce").to_numpy()
        for column in columns.sensitive:
            part[PREFIX + column] = table[column].to_numpy()
        return part

    def _labels(self, values: pd.Series) -> np.ndarray:
        codes, kinds = pd.factorize(values, use_na_sentinel=True)
        names = [_name(kind) for kind in kinds]
        if self.multi_label:
            names = [join_label(split_label(name)) for name in names]
        return np.array([*names, ""], dtype=object)[codes]


def _name(value: object) -> str:
    """Name a class: 3.0 and the text "3.0", as a column with gaps is read and written, are "3"."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    return text.partition(".")[0] if re.fullmatch(r"[+-]?\d+\.0+", text) else text


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
