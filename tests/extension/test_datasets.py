"""The look at data says what the engine reads, and stops at its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tunebook.errors import DataError
from tunebook.picture_kinds import is_picture, suffixes
from tunebook.sources import read_folder
from tunebook_lab import datasets
from tunebook_lab.datasets import _pictures

if TYPE_CHECKING:
    from pathlib import Path

LAYOUTS = {
    "classes": ["oak/1.png", "elm/1.png", "elm/2.jfif"],
    "splits": ["train/oak/1.png", "train/elm/1.png", "Eval/oak/1.png", "Eval/elm/1.TGA"],
    "splits beside others": ["train/oak/1.png", "train/elm/1.png", "raw/1.png", "__MACOSX/train/1.png", "test/1.png"],
    "hidden and odd files": ["oak/.ipynb_checkpoints/1.png", "oak/1.png", "elm/1.png", "elm/list.txt", "elm/x.heic"],
    "two splits of one name": ["train/oak/1.png", "train/elm/1.png", "val/oak/1.png", "eval/oak/1.png"],
    "an empty class": ["oak/1.png", "elm/1.txt"],
    "no train": ["val/oak/1.png", "val/elm/1.png"],
    "one folder too high": ["all/oak/1.png", "all/elm/1.png"],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_look_says_what_the_engine_reads(tmp_path: Path, name: str) -> None:
    for file in LAYOUTS[name]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    seen = _pictures(tmp_path)
    try:
        frame = read_folder(tmp_path, suffixes(), is_picture)
    except DataError:
        assert seen.kind == "unknown"
        assert seen.values == {}
        return
    assert seen.kind == "pictures"
    assert seen.summary.startswith(f"{frame['label'].nunique()} classes, {len(frame)} pictures")
    assert all(text in seen.summary for _, text in frame.attrs["remarks"])


def test_pictures_without_an_ending_count(tmp_path: Path) -> None:
    for label in ("oak", "elm"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / label / "scan", format="PNG")
    assert _pictures(tmp_path).summary == "2 classes, 2 pictures"


def test_a_large_folder_is_looked_at_in_part_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_BOUNDS", datasets.Bounds(entries=20, depth=4, seconds=9.0))
    for label in ("oak", "elm"):
        (tmp_path / label).mkdir()
        for number in range(15):
            (tmp_path / label / f"{number}.png").touch()
    seen = _pictures(tmp_path)
    assert seen.kind == "pictures"
    assert "2 classes, at least " in seen.summary
