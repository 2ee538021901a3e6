"""Tables for spreadsheet programs: no formulas, and negative numbers as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.spreadsheets import harmless, write_csv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd|' /C calc'!A0", "@SUM(A1)", " =1", "\t=1", "\r=1", "＝1", "-x"])
def test_a_formula_becomes_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", [-3, -0.5, "-3", "-0.5e3", "+7", "plain", "a=b", "", None])
def test_numbers_and_plain_texts_stay(value: object) -> None:
    assert harmless(value) == value


def test_a_file_keeps_numbers_and_neutralises_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({"=name": ["=A1", "-5", "ok"], "change": [-0.25, 0.5, float("nan")]})
    write_csv(frame, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["'=name,change", "'=A1,-0.25", "-5,0.5", "ok,"]


@given(st.text())
def test_nothing_that_is_written_begins_a_formula(text: str) -> None:
    written = str(harmless(text)).lstrip()
    assert not written.startswith(("=", "@")) or written == ""
