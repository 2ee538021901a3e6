"""Paths in tables are found however people write them; bytes become files."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.cells import CellError
from tunebook.file_cells import file_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("pics/1.png", "home/2.png", f"pics/{unicodedata.normalize('NFD', 'é')}.png", "pics/odd .png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("pics/1.png", "pics/1.png"),
        ("pics/1.png ", "pics/1.png"),
        ("pics\\1.png", "pics/1.png"),
        (".\\pics\\1.png", "pics/1.png"),
        ("~/2.png", "home/2.png"),
        ("~\\2.png", "home/2.png"),
        ("pics/\u00e9.png", "pics/e\u0301.png"),
        ("pics/odd .png", "pics/odd .png"),
        (b"pics/1.png", "pics/1.png"),
        ({"path": "pics/1.png", "bytes": None}, "pics/1.png"),
        ("pics\\none.png ", "pics\\none.png"),
        ("a\x00b.png", "a\x00b.png"),
    ],
)
def test_a_path_is_found_as_people_write_it(folder: Path, written: Any, found: str) -> None:
    assert file_of(written, folder, None) == str(folder / found)


def test_addresses_stay_and_files_addresses_are_paths(folder: Path) -> None:
    assert file_of("https://example.org/a.png ", folder, None) == "https://example.org/a.png"
    assert file_of(f"file://{folder}/pics/1.png", folder, None) == f"{folder}/pics/1.png"
    (folder / "50%20.png").touch()
    for written in ("50%20.png", "50%2520.png"):
        assert file_of(f"file://{folder}/{written}", folder, None) == f"{folder}/50%20.png"


def test_bytes_are_kept_as_files(folder: Path) -> None:
    kept: list[bytes] = []

    def keep(raw: bytes) -> str:
        kept.append(raw)
        return f"file {len(kept)}"

    values = [
        b"\x89PNG\r\n",
        {"bytes": b"\xff\xd8", "path": "x.jpg"},
        {"bytes": None, "path": None},
        None,
        float("nan"),
    ]
    assert [file_of(value, folder, keep) for value in values] == ["file 1", "file 2", None, None, None]
    assert kept == [b"\x89PNG\r\n", b"\xff\xd8"]


@pytest.mark.parametrize(
    "value", [["a.png"], {"a": 1}, {"bytes": "text", "path": None}, {"bytes": b"\xff", "path": ""}]
)
def test_other_values_are_refused(folder: Path, value: Any) -> None:
    with pytest.raises(CellError):
        file_of(value, folder, None)


@pytest.mark.parametrize("text", ["data:image/png;base64,iVBORw0KGgo=", "iVBORw0KGgo" * 400])
def test_the_text_of_a_file_is_no_path(folder: Path, text: str) -> None:
    with pytest.raises(CellError, match=r"characters and no path .*; save it as a file, or as bytes in Parquet"):
        file_of(text, folder, None)
