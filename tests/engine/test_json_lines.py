"""JSON Lines are read as they are, or refused with the line that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunebook.json_lines import preview_json_lines, read_json_lines
from tunebook.table_bounds import TableBounds, TableError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1}\n{broken', "line 2: "),
        (b'{"a": 1}\n[1, 2]', "line 2 is no object"),
        (b'{"a": 1, "a": 2}', "line 1: the key 'a' is there twice"),
        (b'{"a": 1}\n{"a ": 2}', "the keys 'a ' and 'a' differ in spelling only"),
        (b'{"a": "\xff"}', "line 1 is not UTF-8"),
        (b'{"a": ' + b"[" * 100_000, "line 1: it is nested too deeply"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "line 1: "),
        (b"\x1f\x8b\x08", "it is gzip"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><title>404</title>", "it is a web page"),
        (b"<?xml version='1.0'?>\n<Error/>", "it is a web page or XML"),
    ],
)
def test_what_is_no_object_is_refused_with_its_line(tmp_path: Path, raw: bytes, reason: str) -> None:
    (tmp_path / "t.jsonl").write_bytes(raw)
    for read in (read_json_lines, preview_json_lines):
        with pytest.raises(TableError, match=reason) as caught:
            read(tmp_path / "t.jsonl")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_objects_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.jsonl").write_text('{" a": "\u00e9"}\r\n\n{"b": NaN}\n', encoding=encoding)
    first, second = read_json_lines(tmp_path / "t.jsonl")
    assert first == {"a": "\u00e9"}
    assert second["b"] != second["b"]


def test_every_bound_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": "long enough"}\n{"b": 1}\n')
    for bounds, reason in (
        (TableBounds(line=10), "line 1 has more than 10 characters"),
        (TableBounds(rows=1), "more than 1 rows"),
        (TableBounds(columns=1), "the table up to line 2 has 2 columns; at most 1 are read"),
    ):
        with pytest.raises(TableError, match=reason):
            read_json_lines(tmp_path / "t.jsonl", bounds)
    with pytest.raises(OSError, match="at most 10 are read"):
        read_json_lines(tmp_path / "t.jsonl", TableBounds(bytes=10))


def test_a_preview_takes_whole_lines_of_the_head(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": "some words"}\n' * 20_000 + "{broken")
    assert 10_000 < len(preview_json_lines(tmp_path / "t.jsonl")) < 20_000
