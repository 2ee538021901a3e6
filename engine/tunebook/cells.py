"""Values of a table as names and as texts: what is plain is read, and what is not is refused."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.errors import shown
from tunebook.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Half of a pair that stands for one character in UTF-16; alone it is none, and no file can hold it.
_HALF = re.compile("[\ud800-\udfff]")


class CellError(ValueError):
    """A value of a table is not of a kind that can be read: the reason, without column and row."""


def is_missing(value: object) -> bool:
    """Whether a value stands for nothing: ``None``, NaN, NaT, pandas' NA."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def is_list(value: object) -> bool:
    """Whether a value is a list of others."""
    return isinstance(value, (list, tuple, set, frozenset)) or getattr(value, "ndim", 0) > 0


def text_of(value: object) -> str | None:
    """
    Return a value as text, as a person would write it; ``None`` for what is missing.

    3.0, as a column of whole numbers with gaps is read, is ``"3"``; bytes are UTF-8; a time at midnight is a date; half
    a character, which no file can hold, is U+FFFD.

    Raises
    ------
    CellError
        It is a list, a mapping or something else that has no plain text, or bytes that are not UTF-8.
    """
    if is_missing(value):
        return None
    for kinds, read in _READERS:
        if isinstance(value, kinds):
            return read(value)
    kind = "a mapping" if isinstance(value, dict) else f"of type {type(value).__name__}"
    what = "a list" if is_list(value) else kind
    raise CellError(f"it is {what} ({shown(value, 40)}); give one text or number in each row")


def name_of(value: object) -> str | None:
    """
    Return a value as the name of a class or a group, see :func:`tunebook.names.plain_name`; ``None`` for no name.

    Raises
    ------
    CellError
        As :func:`text_of`.
    """
    if isinstance(value, str) and not value.isascii() and _HALF.search(value):
        raise CellError(f"it holds half a character ({shown(value, 40)})")
    text = text_of(value)
    return (plain_name(text) or None) if text is not None else None


def id_of(value: object) -> str:
    """
    Return a value as the name of an example.

    Raises
    ------
    CellError
        As :func:`name_of`, or there is no value.
    """
    text = text_of(value)
    if text is None or name_of(value) is None:
        raise CellError("it is empty; each example needs a name, or leave the column out")
    return text


def read_cells(values: Iterable[object], read: Callable[[object], str | None], column: str) -> list[str | None]:
    """
    Read the values of a column.

    Raises
    ------
    CellError
        One cannot be read; the line names column and row.
    """
    found: list[str | None] = []
    for row, value in enumerate(values, 1):
        try:
            found.append(read(value))
        except CellError as error:
            raise CellError(f"column {shown(column)}, row {row:,}: {error}") from None
    return found


def _of_str(value: str) -> str:
    return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _of_bytes(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise CellError(f"it is bytes that are no text in UTF-8 ({shown(value, 40)})") from None


def _of_time(value: dt.datetime) -> str:
    is_date = value.time() == dt.time() and value.tzinfo is None
    return str(value.date()) if is_date else str(value)


def _of_float(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value.is_integer() else str(value)


def _of_decimal(value: Decimal) -> str:
    if not value.is_finite():
        return str(value)
    whole = value.to_integral_value()
    return str(int(whole)) if value == whole else format(value.normalize(), "f")


#: Types with a plain text, and what gives it; a type that is of another kind as well comes before it.
_READERS: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((str,), _of_str),
    ((bytes, bytearray), _of_bytes),
    ((dt.datetime,), _of_time),
    ((bool, np.bool_, int, np.integer, dt.date, dt.time, dt.timedelta, uuid.UUID), str),
    ((float, np.floating), _of_float),
    ((Decimal,), _of_decimal),
)
