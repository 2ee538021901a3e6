"""Every kind of picture is decoded as a person sees it, or refused with a reason."""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tunebook.tasks.image_classification.decoding import decode_bytes, decode_file
from tunebook.tasks.image_classification.files import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

RAMP = np.tile(np.arange(64, dtype=np.uint8) * 4, (16, 1))


def png(pixels: bytes, width: int, depth: int, colour: int, clear: bytes = b"") -> bytes:
    """Write one row as PNG with a value that is transparent."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0))
    mark = chunk(b"tRNS", clear) if clear else b""
    return b"\x89PNG\r\n\x1a\n" + head + mark + chunk(b"IDAT", zlib.compress(b"\0" + pixels)) + chunk(b"IEND", b"")


def seen(raw: bytes, name: str = "x.png", **scales: Any) -> np.ndarray:
    return np.asarray(decode_bytes(raw, name, scales).image)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_ordinary_pictures_have_pillow_s_own_pixels(kind: str, mode: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    raw = saved(Image.fromarray(pixels).convert(mode), kind)
    assert np.array_equal(seen(raw), np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")))


@pytest.mark.parametrize(
    ("depth", "colour", "pixels", "clear", "expected"),
    [
        (1, 0, b"\x40", struct.pack(">H", 0), [255, 255]),
        (2, 0, b"\x20", struct.pack(">H", 2), [0, 255]),
        (4, 0, b"\x37", struct.pack(">H", 3), [255, 119]),
        (8, 0, b"\x03\x37", struct.pack(">H", 3), [255, 0x37]),
        (16, 0, b"\x00\x00\x80\x80", struct.pack(">H", 0), [255, 128]),
        (16, 0, b"\x12\x12\x80\x80", struct.pack(">H", 0x8080), [0x12, 255]),
        (16, 2, b"\x12\x34" * 3 + b"\x80\x00" * 3, struct.pack(">HHH", *[0x1234] * 3), [255, 128]),
        (16, 4, b"\x80\x00\xff\xff\x80\x00\x00\x00", b"", [128, 255]),
    ],
)
def test_what_is_transparent_is_white_at_every_depth(
    depth: int, colour: int, pixels: bytes, clear: bytes, expected: list[int]
) -> None:
    assert seen(png(pixels, 2, depth, colour, clear))[0, :, 0].tolist() == expected


def test_colours_that_are_cut_to_eight_bits_are_said() -> None:
    assert decode_bytes(png(b"\x12\x34" * 6, 2, 16, 2), "x.png", {}).cut
    assert not decode_bytes(png(b"\x12\x34" * 2, 2, 16, 0), "x.png", {}).cut
    assert not decode_bytes(png(b"\x12" * 6, 2, 8, 2), "x.png", {}).cut


@pytest.mark.parametrize("mode", ["P", "PA", "LA", "RGBA"])
def test_colours_under_what_is_transparent_do_not_count(mode: str) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., :3] = np.random.default_rng(0).integers(0, 255, (4, 4, 3))
    assert seen(saved(Image.fromarray(pixels), "PNG")).min() == 255
    if mode == "P":
        palette = Image.fromarray(RAMP).convert("P")
        clear = saved(palette, "PNG", transparency=int(np.asarray(palette)[0, 0]))
        assert seen(clear)[0, 0].tolist() == [255, 255, 255]
        assert seen(clear)[0, 20].tolist() == [80, 80, 80]
    elif mode != "PA":
        assert seen(saved(Image.fromarray(pixels).convert(mode), "PNG")).min() == 255


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr", "1", "RGBX", "I;16B", "I;16", "I", "F"])
def test_every_mode_of_tiff_keeps_light_and_dark(mode: str) -> None:
    ramp = Image.fromarray(RAMP)
    if mode in ("I;16", "I;16B"):
        ramp = Image.fromarray(RAMP.astype(">u2" if mode.endswith("B") else "<u2") * 257)
    elif mode == "LAB":
        ramp = Image.merge("LAB", (ramp, Image.new("L", ramp.size, 128), Image.new("L", ramp.size, 128)))
    elif mode in ("CMYK", "YCbCr", "RGBX"):
        ramp = ramp.convert("RGB").convert(mode)
    else:
        ramp = ramp.convert(mode)
    found = seen(saved(ramp, "TIFF"), "x.tif").astype(int)
    assert found[:, -8:].mean() > found[:, :8].mean() + 150
    assert np.abs(found[..., 0] - found[..., 2]).max() < 12


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -3.4e38, 1e37, -9999.0])
@pytest.mark.parametrize("share", [0.01, 0.4])
def test_values_that_are_no_data_change_no_other(odd: float, share: float) -> None:
    values = np.random.default_rng(1).uniform(10.0, 20.0, (40, 40)).astype(np.float32)
    gaps = np.random.default_rng(2).random((40, 40)) < share
    scales = {"float": [10.0, 20.0]}
    whole = decode_bytes(saved(Image.fromarray(values), "TIFF"), "x.tif", scales)
    spoilt = decode_bytes(saved(Image.fromarray(np.where(gaps, np.float32(odd), values)), "TIFF"), "x.tif", scales)
    assert not whole.gaps
    assert spoilt.gaps
    one, other = np.asarray(whole.image), np.asarray(spoilt.image)
    assert np.array_equal(one[~gaps], other[~gaps])
    assert other[gaps].max() == 0


def test_the_value_that_a_file_declares_as_no_data_is_none() -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[42113] = "7"
    tags.tagtype[42113] = 2
    raw = saved(Image.fromarray(np.array([[7, 1, 3], [2, 7, 4]], np.float32)), "TIFF", tiffinfo=tags)
    found = decode_bytes(raw, "x.tif", {"float": [0.0, 5.0]})
    assert found.gaps
    assert np.asarray(found.image)[..., 0].tolist() == [[0, 51, 153], [102, 0, 204]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_pictures_are_turned_as_exif_says(orientation: int, *, deep: bool) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    eight = Image.fromarray(RAMP)
    image = Image.fromarray(RAMP.astype(np.uint16) * 257) if deep else eight
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(saved(eight, "PNG", exif=exif)))).convert("RGB")
    assert np.array_equal(seen(saved(image, "PNG", exif=exif)), np.asarray(expected))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\0"])
def test_damaged_exif_says_nothing(exif: bytes) -> None:
    raw = saved(Image.fromarray(RAMP), "JPEG", exif=exif)
    assert seen(raw).shape == (16, 64, 3)


def test_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    for kind in ("GIF", "TIFF", "PNG"):
        raw = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        found = decode_bytes(raw, "x", {})
        assert found.frames
        assert np.asarray(found.image)[0, 0].tolist() == [255, 0, 0]
    assert not decode_bytes(saved(frames[0], "GIF"), "x.gif", {}).frames


@pytest.mark.parametrize("cut", [1, 9, 30, 200])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "TGA", "PPM"])
def test_a_file_that_is_cut_off_is_refused(kind: str, cut: int) -> None:
    raw = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)), kind)
    with pytest.raises(RefusedError) as caught:
        decode_bytes(raw[:cut], f"x.{kind.lower()}", {})
    assert "\n" not in caught.value.reason


@given(st.binary(max_size=200), st.sampled_from(["PNG", "TIFF", "GIF", "WEBP", "BMP"]), st.integers(0, 150))
def test_damage_is_refused_or_read_and_nothing_else(noise: bytes, kind: str, place: int) -> None:
    raw = saved(Image.fromarray(RAMP), kind)
    try:
        found = decode_bytes(raw[:place] + noise + raw[place + len(noise) :], f"x.{kind.lower()}", {}, max_pixels=1e6)
    except RefusedError as refused:
        assert refused.problem in ("unreadable", "too large")
    else:
        assert found.image.mode == "RGB"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").touch()
    for content in (
        str(tmp_path / "pipe.png"),
        str(tmp_path / "empty.png"),
        str(tmp_path),
        "a\0b",
        "",
        None,
        3.5,
        np.zeros(3),
        [1],
    ):
        with pytest.raises(RefusedError):
            decode_file(content, {})


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    with pytest.raises(RefusedError, match="too large"):
        decode_bytes(saved(Image.new("1", (3000, 3000)), "PNG"), "x.png", {}, max_pixels=1e6)
