"""Tables for spreadsheet programs: no formulas, and negative numbers as they are."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.spreadsheets import csv_text, harmless, write_csv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd",
        "-cmd|' /C calc'!A0",
        "@SUM(A1)",
        " =1",
        "\t=1",
        "\r=1",
        "＝1",
        "-x",
        ";=1",
        ", =1",
        "|@x",
        "\u200b=1",
        "\ufeff=1",
        "\u2066;\u00ad+cmd",
        "\u0301=1",
        "\x00=1",
        "\n-x",
    ],
)
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


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a;=1", "a\t=1", "a|=1", "a\u2028b"])
def test_a_text_that_ends_a_line_or_a_cell_for_some_reader_is_quoted(name: str, tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"name": [name, "plain"], "n": [1, 2]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes().decode() == f'"name","n"\n"{name}",1\n"plain",2\n'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1))
def test_what_is_written_is_read_back_line_by_line(texts: list[str]) -> None:
    written = csv_text(pd.DataFrame({"name": texts}))
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert [row[0] if row else "" for row in rows[1:]] == [harmless(text) for text in texts]


@given(st.text())
def test_nothing_that_is_written_begins_a_formula(text: str) -> None:
    written = str(harmless(text)).lstrip()
    assert not written.startswith(("=", "@")) or written == ""
