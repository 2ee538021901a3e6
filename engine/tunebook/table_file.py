"""Tables from files: CSV, TSV, Parquet and JSON Lines, each read strictly and within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tunebook.csv_dialect import read_separated
from tunebook.errors import DataError, shown
from tunebook.json_lines import read_json_lines
from tunebook.names import plain_name
from tunebook.parquet_file import read_parquet
from tunebook.table_bounds import TableError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")


def read_table(path: Path, wanted: Collection[str] | None = None) -> pd.DataFrame:
    """
    Read a CSV, TSV, Parquet or JSONL file.

    Parameters
    ----------
    path
        The file.
    wanted
        Names of columns; others are read too, unless that takes long. ``None`` takes all for needed.

    Returns
    -------
    pandas.DataFrame
        Columns of objects, text from CSV and TSV. Their names are plain, see :func:`tunebook.names.plain_name`; of
        several columns with one name the first is there. ``attrs["remarks"]`` says what a reader has to know,
        ``attrs["columns"]`` has the names of all columns.

    Raises
    ------
    DataError
        The suffix is not one of :data:`TABLE_SUFFIXES`; the file cannot be read or meets a bound; or a column that is
        needed is there twice, or lacks cells.
    """
    kind = path.suffix.lower()
    if kind not in TABLE_SUFFIXES:
        msg = f"data {shown(path)}: the file must end in {', '.join(TABLE_SUFFIXES)}"
        raise DataError(msg)
    needed = None if wanted is None else {plain_name(name) for name in wanted}
    try:
        if kind == ".parquet":
            frame = _of_parquet(path, needed)
        else:
            frame = _of_json_lines(path) if kind == ".jsonl" else _of_lines(path, needed)
        _refuse_twice(frame.attrs["columns"], needed)
    except (ValueError, OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"data {shown(path)} cannot be read as {kind[1:].upper()}: {reason}"
        raise DataError(msg) from None
    return frame


def _of_lines(path: Path, needed: Collection[str] | None) -> pd.DataFrame:
    found = read_separated(path)
    for row, line in found.short.items():
        gone = [name for name in found.columns[len(found.rows[row]) :] if name and (needed is None or name in needed)]
        if gone:
            count, width = len(found.rows[row]), len(found.columns)
            msg = f"line {line:,} has {count} of {width} cells, and none for column {shown(gone[0])}"
            raise TableError(f"{msg}; fill it or remove the line")
    if found.short:
        line = min(found.short.values())
        text = f"{len(found.short):,} rows have fewer cells than there are columns (first: line {line:,})"
        found.remarks.append(("short rows", text))
    columns: dict[str, list[str | None]] = {}
    for place, name in enumerate(found.columns):
        if name and name not in columns:
            # Nothing but nothing is missing: "NA" and "null" may be names.
            columns[name] = [row[place] or None if place < len(row) else None for row in found.rows]
    return _frame(columns, found.columns, found.remarks)


def _of_json_lines(path: Path) -> pd.DataFrame:
    rows = read_json_lines(path)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _frame({name: [row.get(name) for row in rows] for name in names}, names, [])


def _of_parquet(path: Path, needed: Collection[str] | None) -> pd.DataFrame:
    found = read_parquet(path, needed)
    return _frame(found.values, found.names, [])


def _frame(columns: dict[str, Any], names: list[str], remarks: list[tuple[str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame.attrs = {"remarks": remarks, "columns": [name for name in names if name]}
    return frame


def _refuse_twice(names: list[str], needed: Collection[str] | None) -> None:
    twice = next((n for k, n in enumerate(names) if n in names[:k] and (needed is None or n in needed)), None)
    if twice is not None:
        raise TableError(f"the column {shown(twice)} is there {names.count(twice)} times; rename all but one")
