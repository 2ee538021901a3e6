"""The middle of a picture, cut out to the pixel as timm's transform for evaluation cuts it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

#: timm's name of an interpolation -> Pillow's filter.
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
#: Raise it with every change of this module or of the decoder that changes a pixel: kept features are told apart by it.
VERSION = 2
#: Pixels of a resized picture that are made although most are cut off; of a longer one only the middle is resized.
_MOST_RESIZED = 32_000_000


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """
    Return how a model's pictures are cut, from timm's configuration of its weights.

    A share above 1, for which timm adds a black border, counts as 1; an interpolation of another name as bicubic.
    """
    interpolation = str(config["interpolation"])
    return {
        "crop_pct": min(float(config["crop_pct"]), 1.0),
        "interpolation": interpolation if interpolation in FILTERS else "bicubic",
    }


def resized_side(size: int, crop_pct: float) -> int:
    """Return the length in pixels to which the shorter side is brought, of which the middle ``size`` are kept."""
    return max(size, math.floor(size / crop_pct))


def margin(side: int, size: int) -> int:
    """Return where a window of ``size`` pixels in the middle of ``side`` begins; halves go to the even number."""
    return round((side - size) / 2.0)


def cut_square(image: Image.Image, side: int, size: int, resample: Image.Resampling) -> np.ndarray:
    """
    Bring a picture's shorter side to ``side`` pixels and cut a square out around its middle.

    Parameters
    ----------
    image
        RGB.
    side
        Side of the square in pixels.
    size
        Side of what the model sees of the square, from ``margin(side, size)`` on: those pixels are timm's.
    resample
        Filter.

    Returns
    -------
    numpy.ndarray
        Shape (side, side, 3), uint8.
    """
    width, height = image.size
    shorter = min(width, height)
    # As torchvision rounds, so that a picture of odd sides is stretched by the same part of a pixel.
    across, down = (side if length == shorter else int(side * length / shorter) for length in (width, height))
    left, top = (margin(length, size) - margin(side, size) for length in (across, down))
    box = (left, top, left + side, top + side)
    if across * down <= _MOST_RESIZED:
        whole = image if (across, down) == image.size else image.resize((across, down), resample)
        return np.asarray(whole.crop(box))
    # The weights of its pixels are the same but for their last bits.
    wide, high = width / across, height / down
    right, bottom = min((left + side) * wide, width), min((top + side) * high, height)
    return np.asarray(image.resize((side, side), resample, box=(left * wide, top * high, right, bottom)))
