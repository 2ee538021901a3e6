"""Parquet is read as Python values, with the names of classes in its metadata, and cannot explode."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunebook.parquet_file import read_parquet
from tunebook.table_bounds import TableBounds, TableError

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = {"names": ["oak", "elm"], "_type": "ClassLabel"}


def write(path: Path, table: pa.Table, features: dict[str, Any] | None = None) -> Path:
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path)
    return path


def test_values_are_pythons_own(tmp_path: Path) -> None:
    table = pa.table({
        " text": ["a", None, "b"], "number": [1, None, 2**60 + 1], "list": [["x"], [], None], "raw": [b"a", None, b""],
        "kind": pa.array(["p", "q", "p"]).dictionary_encode(),
    })  # fmt: skip
    found = read_parquet(write(tmp_path / "t.parquet", table))
    assert found.names == ["text", "number", "list", "raw", "kind"]
    assert found.values == {
        "text": ["a", None, "b"], "number": [1, None, 2**60 + 1], "list": [["x"], [], None], "raw": [b"a", None, b""],
        "kind": ["p", "q", "p"],
    }  # fmt: skip
    assert read_parquet(tmp_path / "t.parquet", ["text", "none"], most=2).values == {"text": ["a", None]}


@pytest.mark.parametrize("inner", [CLASSES, {"feature": CLASSES, "_type": "List"}, [CLASSES]])
def test_numbers_become_the_names_of_their_classes(tmp_path: Path, inner: Any) -> None:
    one = inner is CLASSES
    values = [0, 1, -1, None] if one else [[0], [1, 0], [-1], None]
    named = ["oak", "elm", None, None] if one else [["oak"], ["elm", "oak"], [None], None]
    path = write(tmp_path / "t.parquet", pa.table({"label": values}), {"label": inner})
    assert read_parquet(path).values == {"label": named}


def test_a_number_that_no_class_has_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"label": [0, 2]}), {"label": CLASSES})
    with pytest.raises(TableError, match="column 'label', row 2: class 2 is none of the 2 that the file names"):
        read_parquet(path)


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"null", b'{"info": {"features": [1]}}', b"[" * 100_000])
def test_damaged_metadata_does_not_count(tmp_path: Path, metadata: bytes) -> None:
    table = pa.table({"label": [0]}).replace_schema_metadata({b"huggingface": metadata})
    assert read_parquet(write(tmp_path / "t.parquet", table)).values == {"label": [0]}


def test_a_text_in_every_row_is_unpacked_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"text": ["x" * 100_000] * 2_000}))
    assert path.stat().st_size < 10_000
    found = read_parquet(path).values["text"]
    assert len({id(text) for text in found}) <= 2
    with pytest.raises(TableError, match="unpacked it takes more than 50,000,000 bytes"):
        read_parquet(path, bounds=TableBounds(bytes=50_000_000))


def test_every_bound_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"text": ["long", "words"], "list": [[0] * 10_000, [1]]}))
    for bounds, reason in (
        (TableBounds(rows=1), "more than 1 rows"),
        (TableBounds(columns=1), "it has 2 columns; at most 1 are read"),
        (TableBounds(line=4), "a cell of column 'text' has more than 4 characters"),
        (TableBounds(bytes=5_000), "unpacked it takes more than 5,000 bytes"),
    ):
        with pytest.raises(TableError, match=reason):
            read_parquet(path, bounds=bounds)


def test_what_is_no_parquet_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = write(tmp_path / "w.parquet", pa.table({"text": ["a"] * 100})).read_bytes()
    for raw in (b"", b"PAR1 no", whole[:-20], whole[:40] + b"\xff" * 60 + whole[100:]):
        (tmp_path / "t.parquet").write_bytes(raw)
        with pytest.raises(TableError) as caught:
            read_parquet(tmp_path / "t.parquet")
        assert "\n" not in str(caught.value)
    os.mkfifo(tmp_path / "p.parquet")
    with pytest.raises(OSError, match="a pipe"):
        read_parquet(tmp_path / "p.parquet")
