"""
Grey values of more than eight bits: one scale for a data set, so that a dark picture stays darker than a light one.

Pillow's own conversion cuts them off at 255; stretching each picture by its own extremes loses its brightness.
"""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tunebook.picture_kinds import formats_of
from tunebook.tasks.image_classification.files import require_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tunebook.examples import Examples

#: Kinds of values, and how they are called.
KINDS = {"16-bit": "16-bit grey values", "integer": "integer grey values", "float": "floating-point values"}
#: Values that stand for "no data" by custom, where they are the least of a picture.
_NO_DATA = (-9999.0, -99999.0, -32768.0, -32767.0, -2147483648.0)
_HUGE = np.float32(1e30)
#: TIFF's tag for the value that stands for "no data", as GDAL writes it.
_GDAL_NO_DATA = 42113
#: Shares of the values that may lie below and above the range: single hot or dead pixels do not set it.
_QUANTILES = (0.0005, 0.9995)
#: Pictures of a kind that are measured, and pixels of each.
_MEASURED, _PIXELS = 128, 20_000
_MOST_PIXELS = 50e6
_PNG = b"\x89PNG\r\n\x1a\n"
#: How files begin whose grey values have no more than eight bits: JPEG, GIF, WebP and BMP.
_SHALLOW = (b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")
_HEADER = 32
_THREADS = 16


def kind_of(mode: str) -> str:
    """Return the kind of values of Pillow's mode; empty for one of eight bits or less."""
    if mode.startswith("I;16"):
        return "16-bit"
    return {"I": "integer", "F": "float"}.get(mode, "")


def values_of(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the values of a picture and which of them are known.

    Returns
    -------
    tuple of numpy.ndarray
        Shape (height, width), float32; and bool: false where a value is no number, infinite, or stands for no data.
    """
    values = np.asarray(image, dtype=np.float32)
    # NaN is not below anything.
    known = np.abs(values) < _HUGE
    gap = _declared_gap(image)
    if gap is not None:
        known &= values != gap
    if known.any() and image.mode in ("I", "F"):
        least = float(values[known].min())
        if least in _NO_DATA:
            known &= values != np.float32(least)
    return values, known


def _declared_gap(image: Image.Image) -> np.float32 | None:
    tags: Any = getattr(image, "tag_v2", {})
    with suppress(ValueError, TypeError, OverflowError):
        return np.float32(str(tags.get(_GDAL_NO_DATA)).strip("\0 "))
    return None


def scaled(values: np.ndarray, known: np.ndarray, limits: Sequence[float]) -> np.ndarray:
    """Bring values to 0 to 255, uint8; what lies outside the limits is black or white, and what is not known black."""
    low, high = np.float32(limits[0]), np.float32(limits[1])
    inside = np.clip(np.where(known, values, low), low, high)
    brought: np.ndarray = np.rint((inside - low) * np.float32(255.0 / max(float(high) - float(low), 1e-30)))
    return brought.astype(np.uint8)


def own_range(kind: str, values: np.ndarray) -> list[float]:
    """
    Return the range of values of one kind.

    That of 16 bits, and of integers that fit into them, is from 0 to the largest number of as many bits as the values
    take, 8 at least; any other is what holds all values but a thousandth.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    values
        Known values, shape (n,).
    """
    if not values.size:
        return [0.0, 65535.0 if kind == "16-bit" else 1.0]
    least, largest = float(values.min()), float(values.max())
    if kind != "float" and least >= 0.0 and largest <= 65535.0:  # noqa: PLR2004 - 16 bits
        return [0.0, float(2 ** max(8, int(largest).bit_length()) - 1)]
    low, high = (float(value) for value in np.quantile(values.astype(np.float64), _QUANTILES))
    if not low < high:
        low, high = least, largest
    return [low, high] if low < high else [low, math.nextafter(low, math.inf) + 1.0]


def lone_range(kind: str, values: np.ndarray) -> list[float]:
    """Return the range for a picture that belongs to no data set: all of 16 bits, or its own."""
    return [0.0, 65535.0] if kind == "16-bit" else own_range(kind, values)


def measure(contents: Iterable[object]) -> dict[str, list[float]]:
    """
    Measure the ranges of grey values in a data set.

    Parameters
    ----------
    contents
        Paths of pictures; all headers are looked at, and the values of at most 128 pictures of each kind, spread
        evenly. What cannot be read is passed over: the checks find it.

    Returns
    -------
    dict
        Kind -> least and largest value; empty where all pictures have eight bits, as most have.
    """
    paths = list(contents)
    # Odd files make Pillow warn; the checks judge them. The filters belong to the whole process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="grey") as pool:
            kinds = list(pool.map(_kind_of_file, paths))
            return {kind: _range(kind, [str(p) for p, k in zip(paths, kinds, strict=True) if k == kind], pool)
                    for kind in sorted({*kinds} - {""})}  # fmt: skip


def _range(kind: str, paths: Sequence[str], pool: ThreadPoolExecutor) -> list[float]:
    number = min(_MEASURED, len(paths))
    samples = pool.map(_sample, [paths[k * len(paths) // number] for k in range(number)])
    values = [values for values in samples if values is not None]
    return own_range(kind, np.concatenate([np.empty(0, np.float32), *values]))


def scales_of(examples: Examples) -> Mapping[str, Sequence[float]]:
    """Return the ranges that were measured when examples were read, or measure them where they were made by hand."""
    found: Mapping[str, Sequence[float]] | None = examples.reading.get("grey")
    return measure_examples(examples) if found is None else found


def measure_examples(examples: Examples) -> dict[str, list[float]]:
    """Measure the ranges in the training examples; kinds that they lack in the others."""
    contents, rows = examples.frame["content"].to_numpy(), examples.rows("train")
    rest = np.setdiff1d(np.arange(len(examples)), rows)
    return {**measure(contents[rest]), **measure(contents[rows])}


def said(scales: Mapping[str, Sequence[float]]) -> list[tuple[str, str]]:
    """Say for the checks and the card how grey values of more than eight bits are read: kind and sentence."""
    return [
        (
            "grey values",
            f"{KINDS[kind]} from {low:g} to {high:g} are brought to 0 to 255, for all pictures alike; "
            "values outside are black or white",
        )
        for kind, (low, high) in scales.items()
    ]


def _kind_of_file(content: object) -> str:
    if not isinstance(content, str) or not content:
        return ""
    with suppress(Exception):
        require_file(content)
        with Path(content).open("rb") as stream:
            head = stream.read(_HEADER)
        if head.startswith(_SHALLOW):
            return ""
        if head.startswith(_PNG):
            # Depth and type of colour: of 16 bits, Pillow keeps grey alone whole.
            return "16-bit" if head[24:26] == b"\x10\x00" else ""
        with Image.open(content, formats=formats_of(content)) as opened:
            return kind_of(opened.mode)
    return ""


def _sample(path: str) -> np.ndarray | None:
    """Return some of the known values of a picture, evenly spread; of whole numbers the least and largest too."""
    with suppress(Exception), Image.open(path, formats=formats_of(path)) as opened:
        if opened.width * opened.height > _MOST_PIXELS:
            return None
        opened.load()
        values, known = values_of(opened)
        some = values[known]
        if some.size:
            spread = some[:: max(1, some.size // _PIXELS)]
            # Whole numbers need the largest; for the others, one hot pixel must not count twice.
            return spread if opened.mode == "F" else np.append(spread, [some.min(), some.max()])
    return None
