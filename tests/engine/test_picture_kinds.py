"""One list of endings, made from what Pillow opens."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tunebook.picture_kinds import formats_of, has_picture_name, is_picture, suffixes

if TYPE_CHECKING:
    from pathlib import Path


def test_endings_are_those_that_pillow_opens_itself() -> None:
    assert {".jpg", ".jfif", ".jpe", ".png", ".tga", ".jp2", ".pgm", ".webp", ".tiff", ".avif", ".bmp"} <= suffixes()
    # PostScript starts another program, the others Pillow knows by name only.
    assert suffixes().isdisjoint({".eps", ".ps", ".wmf", ".pdf", ".h5", ".mpg", ".txt", ".csv", ""})
    assert has_picture_name("a/B.JPG")
    assert not has_picture_name("a.jpg/b")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_picture_without_an_ending_is_known_by_its_content(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "scan", format=kind)
    assert is_picture(str(tmp_path / "scan"))


@pytest.mark.parametrize("raw", [b"", b"text", b"P6 no", b"%!PS-Adobe-3.0 EPSF-3.0", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_other_content_is_no_picture(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "scan").write_bytes(raw)
    assert not is_picture(str(tmp_path / "scan"))


def test_formats_without_a_mark_are_tried_on_their_own_ending_only() -> None:
    assert "TGA" in formats_of("x.tga")
    assert "TGA" not in formats_of("x.png")
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    assert Image.open(stream, formats=formats_of("x.png")).format == "JPEG"
