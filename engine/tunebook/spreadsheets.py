"""Tables for spreadsheet programs, in which no text from the data is taken for a formula."""

from __future__ import annotations

import csv
import re
import unicodedata
from typing import TYPE_CHECKING

from tunebook.storage import write_text

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

#: What a spreadsheet program takes for the beginning of a formula, in full width too.
_FORMULA = frozenset("=+-@|%＝＋－＠％")  # noqa: RUF001 - the full-width signs are meant
#: What some readers end a cell with, so that the formula may stand behind it, and the quotes around a cell.
_SEPARATORS = frozenset(",;'\"")
#: Kinds of characters that are dropped before a cell is read: spaces, controls, signs without width.
_DROPPED = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn"})
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
#: Where one of these is in a text, every text is quoted: some readers begin a line or a cell there.
_ENDS = re.compile(r"[\r\n;\t|\v\f\x1c-\x1e\x85\u2028\u2029]")


def harmless(value: object) -> object:
    """Put an apostrophe before a text that could be taken for a formula; numbers stay, negative ones too."""
    if not isinstance(value, str) or _NUMBER.match(value):
        return value
    start = next((at for at, sign in enumerate(value) if not _is_passed_over(sign)), len(value))
    is_pushed_in = value[:1] in {"\t", "\r", "\n"}  # which alone makes some programs evaluate what follows
    return f"'{value}" if is_pushed_in or value[start : start + 1] in _FORMULA else value


def _is_passed_over(sign: str) -> bool:
    return sign in _SEPARATORS or unicodedata.category(sign) in _DROPPED


def csv_text(frame: pd.DataFrame) -> str:
    """
    Return a table without its index as CSV; texts and column names are made harmless.

    Texts are quoted where one of them holds what ends a line or a cell for some reader, such as a bare carriage return.
    """
    tidied = frame.rename(columns=harmless)
    ends = any(_ENDS.search(str(name)) for name in tidied.columns)
    for column in tidied.columns:
        if tidied[column].dtype.kind not in "biuf":
            tidied[column] = tidied[column].map(harmless)
            ends = ends or any(isinstance(text, str) and _ENDS.search(text) for text in tidied[column])
    return str(tidied.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC if ends else csv.QUOTE_MINIMAL))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as :func:`csv_text` gives it, UTF-8, whole or not at all."""
    write_text(path, csv_text(frame), durable=False)
