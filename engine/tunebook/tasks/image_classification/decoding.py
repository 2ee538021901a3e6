"""
The one decoder of pictures: what the checks compare, the model learns from and the figures show are the same pixels.

A file becomes eight-bit RGB: upright, on white where it is transparent, the first frame where it has several. Grey
values of more than eight bits are brought to 0 to 255 by one scale for a whole data set, see :mod:`.grey`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from tunebook.picture_kinds import formats_of
from tunebook.tasks.image_classification import grey
from tunebook.tasks.image_classification.files import RefusedError, read_bytes, reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ORIENTATION = 0x0112
#: EXIF's orientation -> what turns the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: How Pillow unpacks pixels of PNG -> what brings the grey or colour that stands for "transparent" to the same range.
_WIDENED = {"L;2": lambda value: value * 85, "L;4": lambda value: value * 17, "RGB;16B": lambda value: value >> 8}
#: Formats whose further frames are no pictures of their own, such as the depth map of a photograph.
_ONE_PICTURE = frozenset({"MPO", "ICO", "ICNS", "CUR", "JPEG2000"})


@dataclass(frozen=True)
class Decoded:
    """
    A picture.

    Attributes
    ----------
    image
        RGB, upright.
    size
        Width and height of the file's picture, in pixels, before JPEG's draft and before it was turned.
    frames
        Whether the file holds further frames or pages.
    gaps
        Whether some of its values are no number, infinite, or stand for "no data".
    cut
        Whether its colours have 16 bits, of which Pillow keeps the upper 8.
    profile
        Bytes of its ICC profile; empty where it has none.
    """

    image: Image.Image
    size: tuple[int, int]
    frames: bool = False
    gaps: bool = False
    cut: bool = False
    profile: bytes = b""


def decode_file(
    content: object, scales: Mapping[str, Sequence[float]], *, max_pixels: float | None = None, draft: int | None = None
) -> Decoded:
    """
    Read and decode a picture's file, see :func:`decode_bytes`.

    Raises
    ------
    RefusedError
        It cannot be read or decoded, or is too large.
    """
    return decode_bytes(read_bytes(content), str(content), scales, max_pixels=max_pixels, draft=draft)


def decode_bytes(
    raw: bytes,
    name: str,
    scales: Mapping[str, Sequence[float]],
    *,
    max_pixels: float | None = None,
    draft: int | None = None,
) -> Decoded:
    """
    Decode a picture.

    Parameters
    ----------
    raw
        The file.
    name
        Its name, of which the ending counts where the bytes do not tell the format.
    scales
        Kind of grey values -> the least and the largest of them in the data set, see :func:`grey.measure`.
    max_pixels
        Pictures with more are refused by what their header says; ``None`` leaves it to Pillow.
    draft
        Least side that is of use: JPEG decodes at an eighth, quarter or half of its size for a fraction of the time.
        The pixels are then not quite those of the whole, so that only thumbnails are made of them.

    Raises
    ------
    RefusedError
        It cannot be decoded, or is too large.
    """
    try:
        with Image.open(BytesIO(raw), formats=formats_of(name)) as opened:
            return _decode(opened, scales, max_pixels, draft)
    except RefusedError:
        raise
    except Image.DecompressionBombError:
        raise RefusedError("too large", "more pixels than Pillow opens") from None
    except UnidentifiedImageError:
        raise RefusedError("unreadable", "not a whole picture of a kind that Pillow opens here") from None
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise almost anything for a broken file
        raise RefusedError("unreadable", reason_of(error)) from None


def _decode(
    opened: Image.Image, scales: Mapping[str, Sequence[float]], max_pixels: float | None, draft: int | None
) -> Decoded:
    size = opened.size
    if min(size) < 1:
        raise RefusedError("unreadable", f"{size[0]} x {size[1]} pixels")
    if max_pixels is not None and size[0] * size[1] > max_pixels:
        raise RefusedError("too large", f"{size[0]} x {size[1]} pixels")
    if draft is not None:
        opened.draft("RGB", (draft, draft))
    unpacked = _unpacked(opened)
    opened.load()
    profile = opened.info.get("icc_profile") or b""
    image, gaps = _to_rgb(opened, unpacked, scales)
    cut = not grey.kind_of(opened.mode) and ";16" in unpacked
    return Decoded(_turned(image, opened), size, _has_frames(opened), gaps, cut, profile)


def _unpacked(image: Image.Image) -> str:
    """Return how the pixels will be unpacked, as Pillow names it; loading forgets it."""
    tiles: Any = getattr(image, "tile", None)
    args = tiles[0].args if tiles else ""
    found = args[0] if isinstance(args, tuple) and args else args
    return found if isinstance(found, str) else ""


def _to_rgb(image: Image.Image, unpacked: str, scales: Mapping[str, Sequence[float]]) -> tuple[Image.Image, bool]:
    """Return a picture in RGB on white, and whether some of its values stood for nothing."""
    kind = grey.kind_of(image.mode)
    if kind:
        values, known = grey.values_of(image)
        clear = image.info.get("transparency")
        pixels = grey.scaled(values, known, scales.get(kind) or grey.lone_range(kind, values[known]))
        if isinstance(clear, int):
            pixels = np.where(values == clear, np.uint8(255), pixels)
        return Image.fromarray(pixels).convert("RGB"), not bool(known.all())
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        _widen_transparency(image, unpacked)
        coloured = image.convert("RGBA")
        image = Image.new("RGBA", coloured.size, "white")
        image.alpha_composite(coloured)
    return (_from_lab(image) if image.mode == "LAB" else image.convert("RGB")), False


def _widen_transparency(image: Image.Image, unpacked: str) -> None:
    clear, widen = image.info.get("transparency"), _WIDENED.get(unpacked)
    if widen is None or image.format != "PNG":
        return
    if isinstance(clear, int):
        image.info["transparency"] = widen(clear)
    elif isinstance(clear, tuple):
        image.info["transparency"] = tuple(widen(value) for value in clear)


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # noqa: PLC0415

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    found = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, rgb, "LAB", "RGB"))
    if found is None:
        raise RefusedError("unreadable", "its colours cannot be converted")
    return found


def _turned(image: Image.Image, opened: Image.Image) -> Image.Image:
    """Turn a picture upright; damaged EXIF says nothing of how it was held."""
    orientation = None
    with suppress(Exception):
        orientation = opened.getexif().get(_ORIENTATION)
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _has_frames(opened: Image.Image) -> bool:
    with suppress(Exception):
        return opened.format not in _ONE_PICTURE and bool(getattr(opened, "is_animated", False))
    # What follows the first picture is damaged.
    return True


@lru_cache(maxsize=1024)
def is_other_profile(profile: bytes) -> bool:
    """Whether an ICC profile says that colours are not those of sRGB; a damaged one, or one of grey, says nothing."""
    if not profile:
        return False
    from PIL import ImageCms  # noqa: PLC0415

    with suppress(Exception):
        read = ImageCms.ImageCmsProfile(BytesIO(profile))
        return (
            read.profile.xcolor_space.strip() != "GRAY"
            and "srgb" not in (read.profile.profile_description or "").lower()
        )
    return False
