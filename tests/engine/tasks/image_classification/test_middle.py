"""What the model sees of a picture is, to the pixel, what timm's transform for evaluation gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tunebook.tasks.image_classification import middle

if TYPE_CHECKING:
    import numpy.typing as npt


def of_timm(image: Image.Image, size: int, crop_pct: float, interpolation: str) -> npt.NDArray[np.uint8]:
    from timm.data import create_transform

    cut = create_transform(
        (3, size, size), crop_pct=crop_pct, interpolation=interpolation, mean=(0, 0, 0), std=(1, 1, 1)
    )
    return np.rint(cut(image).permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def of_ours(image: Image.Image, size: int, crop_pct: float, interpolation: str) -> npt.NDArray[np.uint8]:
    side = middle.resized_side(size, crop_pct)
    square = middle.cut_square(image, side, size, middle.FILTERS[interpolation])
    assert square.shape == (side, side, 3)
    edge = middle.margin(side, size)
    return square[edge : edge + size, edge : edge + size]


@given(
    size=st.integers(16, 96),
    crop_pct=st.sampled_from([0.8, 0.875, 0.9, 0.95, 0.965, 1.0]),
    width=st.integers(3, 300),
    height=st.integers(3, 300),
    interpolation=st.sampled_from(sorted(middle.FILTERS)),
)
def test_pixels_are_timm_s(size: int, crop_pct: float, width: int, height: int, interpolation: str) -> None:
    pixels = np.random.default_rng([width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert np.array_equal(of_ours(image, size, crop_pct, interpolation), of_timm(image, size, crop_pct, interpolation))


@pytest.mark.parametrize("size", [64, 128, 224])
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("shape", [(300, 300), (301, 300), (300, 301), (257, 400), (47, 31)])
def test_usual_sizes_are_timm_s(size: int, crop_pct: float, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert np.array_equal(of_ours(image, size, crop_pct, "bicubic"), of_timm(image, size, crop_pct, "bicubic"))


@given(width=st.integers(1, 400), height=st.integers(1, 400), side=st.integers(1, 80), share=st.floats(0.5, 1.0))
def test_the_square_lies_inside_the_picture(width: int, height: int, side: int, share: float) -> None:
    size = max(1, int(side * share))
    white = Image.new("RGB", (width, height), "white")
    # What lay outside would be black.
    assert middle.cut_square(white, side, size, Image.Resampling.NEAREST).min() == 255


def test_a_very_long_picture_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 900, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    whole = of_ours(image, 32, 0.875, "bicubic")
    monkeypatch.setattr(middle, "_MOST_RESIZED", 0)
    assert np.abs(of_ours(image, 32, 0.875, "bicubic").astype(int) - whole).max() <= 1
    monkeypatch.undo()
    assert of_ours(Image.new("RGB", (1, 1_000_000)), 32, 0.875, "bicubic").shape == (32, 32, 3)


def test_settings_that_timm_would_not_fill_are_mended() -> None:
    assert middle.settings_of({"crop_pct": 1.2, "interpolation": "random"}) == {
        "crop_pct": 1.0,
        "interpolation": "bicubic",
    }
