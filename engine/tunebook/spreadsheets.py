"""Tables for spreadsheet programs, in which no text from the data is taken for a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunebook.storage import write_text

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

#: What a spreadsheet program takes for the beginning of a formula, in full width too, and what it drops before it.
_FORMULA = re.compile(r"^[\s'\"]*[=+\-@＝＋－＠|%]|^[\t\r\n]")  # noqa: RUF001 - the full-width signs are meant
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def harmless(value: object) -> object:
    """Put an apostrophe before a text that could be taken for a formula; numbers stay, negative ones too."""
    if not isinstance(value, str) or _NUMBER.match(value) or not _FORMULA.match(value):
        return value
    return f"'{value}"


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table without its index as CSV; texts and column names are made harmless."""
    tidied = frame.rename(columns=harmless)
    for column in tidied.columns:
        if tidied[column].dtype.kind not in "biuf":
            tidied[column] = tidied[column].map(harmless)
    return str(tidied.to_csv(index=False))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as :func:`csv_text` gives it, UTF-8, whole or not at all."""
    write_text(path, csv_text(frame), durable=False)
