"""Grey values of more than eight bits have one scale in a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tunebook
from tunebook.tasks.image_classification import grey
from tunebook.tasks.image_classification.pictures import decode

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, kind: str, brightest: float, count: int = 8) -> Path:
    """Write pictures of two classes, dark and light, whose values differ by a factor only."""
    rng = np.random.default_rng(0)
    for label, factor in (("dark", 0.25), ("light", 1.0)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            values = rng.random((24, 24)) * factor * brightest
            values[0, 0] = factor * brightest
            Image.fromarray(values.astype(kind)).save(folder / label / f"{number}.tif")
    return folder


@pytest.mark.parametrize(
    ("kind", "brightest", "limits"),
    [("uint16", 65535, [0, 65535]), ("uint16", 4095, [0, 4095]), ("uint16", 200, [0, 255]), ("int32", 1000, [0, 1023])],
)
def test_whole_numbers_are_scaled_by_the_bits_they_take(
    tmp_path: Path, kind: str, brightest: float, limits: list[float]
) -> None:
    recipe = tunebook.ImageClassification(data=str(write(tmp_path, kind, brightest)))
    examples = tunebook.load_examples(recipe)
    assert list(examples.reading["grey"].values()) == [limits]
    assert f"from 0 to {limits[1]} are brought to 0 to 255" in examples.remarks[0][1]
    assert tunebook.check(examples, recipe).items[0].kind == "grey values"


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_dark_pictures_stay_darker_than_light_ones(tmp_path: Path, kind: str) -> None:
    data = str(write(tmp_path, kind, 4095 if kind == "uint16" else 0.9))
    examples = tunebook.load_examples(tunebook.ImageClassification(data=data))
    scales = examples.reading["grey"]
    means = {
        label: np.mean([decode(path, 24, Image.Resampling.BICUBIC, scales=scales).mean() for path in rows["content"]])
        for label, rows in examples.frame.groupby("label")
    }
    assert means["light"] / means["dark"] == pytest.approx(4.0, rel=0.1)


def test_pictures_that_are_dropped_do_not_change_the_scale(tmp_path: Path) -> None:
    examples = tunebook.load_examples(tunebook.ImageClassification(data=str(write(tmp_path, "float32", 1.0))))
    light = examples.frame.loc[examples.frame["label"] == "light", "id"]
    assert grey.scales_of(examples.without(light)) == grey.scales_of(examples)


def test_ordinary_pictures_have_no_scale_and_the_fingerprint_of_before(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(4):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / label / f"{number}.png")
    examples = tunebook.load_examples(tunebook.ImageClassification(data=str(tmp_path)))
    assert grey.scales_of(examples) == {}
    plain = type(examples)(examples.frame, examples.classes, examples.source)
    assert plain.fingerprint() == examples.fingerprint()


@given(
    st.sampled_from(["16-bit", "integer", "float"]),
    st.lists(st.floats(-1e9, 1e9, width=32) | st.integers(0, 65535).map(float), max_size=30),
)
def test_scaled_values_keep_their_order(kind: str, values: list[float]) -> None:
    array = np.array(values, np.float32)
    limits = grey.own_range(kind, array)
    assert limits[0] < limits[1]
    found: Any = grey.scaled(array, np.ones(len(array), bool), limits)
    order = np.argsort(array)
    assert (np.diff(found[order].astype(int)) >= 0).all()


def test_hot_pixels_do_not_set_the_range_of_floating_point_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(10):
        values = rng.random((60, 60)).astype(np.float32)
        values[0, 0] = 1e20
        Image.fromarray(values).save(tmp_path / f"{number}.tif")
    low, high = grey.measure([str(tmp_path / f"{number}.tif") for number in range(10)])["float"]
    assert 0.0 <= low < 0.01
    assert 0.99 < high <= 1.0
