"""Values of a table are named as a person would, and what has no plain text is refused by column and row."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunebook.cells import CellError, id_of, name_of, read_cells, text_of


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("pos ", "pos"),
        (b"neg", "neg"),
        (3, "3"),
        (3.0, "3"),
        (np.float32(0.5), "0.5"),
        (np.int64(7), "7"),
        (True, "True"),
        (Decimal("0.00"), "0"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+3"), "1000"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (pd.Timestamp("2024-01-02"), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4), "2024-01-02 03:04:00"),  # noqa: DTZ001 - tables have such
        (float("inf"), "inf"),
        ("  ", None),
        (None, None),
        (float("nan"), None),
        (pd.NaT, None),
        (pd.NA, None),
    ],
)
def test_plain_values_have_a_name(value: Any, name: str | None) -> None:
    assert name_of(value) == name


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (["a"], "a list"),
        (np.array(["a"]), "a list"),
        ({"a": 1}, "a mapping"),
        (b"\xff\xfe", "bytes that are no text in UTF-8"),
        (object, "of type type"),
    ],
)
def test_other_values_are_refused_by_column_and_row(value: Any, what: str) -> None:
    with pytest.raises(CellError, match=rf"column 'label', row 2: it is {what}"):
        read_cells(["a", value], name_of, "label")


def test_a_text_stays_as_it_is() -> None:
    assert text_of(" two  spaces\n") == " two  spaces\n"
    assert text_of(b"caf\xc3\xa9") == "caf\u00e9"


def test_half_a_character_is_marked_in_texts_and_refused_in_names() -> None:
    assert text_of("a\ud800b") == "a\ufffdb"
    assert text_of("\ud83d\ude00") == "\U0001f600"
    with pytest.raises(CellError, match="it holds half a character"):
        name_of("a\ud800b")


@pytest.mark.parametrize("value", [None, " ", "\ud800", ["a"]])
def test_an_example_needs_a_name(value: Any) -> None:
    assert id_of(7) == "7"
    with pytest.raises(CellError):
        id_of(value)
