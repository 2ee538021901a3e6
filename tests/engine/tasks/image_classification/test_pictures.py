"""Pictures of every kind become the tensors that a model expects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tunebook.errors import DataError
from tunebook.tasks.image_classification.pictures import PictureReader, decode

sys.path.insert(0, str(Path(__file__).parents[3] / "faults"))
import small_run

BICUBIC = Image.Resampling.BICUBIC


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_is_read(mode: str, tmp_path: Path) -> None:
    ramp = Image.fromarray(np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1)))
    image = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257) if mode == "I;16" else ramp.convert(mode)
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    image.save(path)
    found = decode(str(path), 20, BICUBIC)
    assert found.shape == (20, 20, 3)
    assert found.dtype == np.uint8
    assert found[:, -1].mean() > found[:, 0].mean() + 50


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert decode(str(tmp_path / "clear.png"), 4, BICUBIC).min() == 255


def test_a_picture_taken_sideways_is_turned(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "sideways.png", exif=exif)
    found = decode(str(tmp_path / "sideways.png"), 10, BICUBIC)
    assert found[:, -1].min() > 200
    assert found[:, 0].max() < 50


def test_the_middle_square_of_a_panorama_is_cut_out(tmp_path: Path) -> None:
    pixels = np.zeros((10, 100, 3), np.uint8)
    pixels[:, 45:55] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert decode(str(tmp_path / "wide.png"), 10, BICUBIC).mean() > 240


def test_an_unreadable_picture_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    with pytest.raises(DataError, match=r"bad\.png") as caught:
        decode(str(tmp_path / "bad.png"), 10, BICUBIC)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_pictures(tmp_path_factory.mktemp("data") / "colours", count=10)


def _reader(folder: Path, **changes: Any) -> PictureReader:
    import tunebook

    recipe = small_run.recipe(folder, folder, **changes)
    examples = tunebook.load_examples(recipe)
    return PictureReader(examples, recipe, tunebook.load_model(recipe, examples))


def test_inputs_are_normalised_and_channels_last(folder: Path) -> None:
    x = _reader(folder).inputs(np.arange(6))["x"]
    assert x.shape == (6, 3, 32, 32)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.abs().max() < 5.0


@pytest.mark.parametrize(
    "changes", [{"mixup": 0.0}, {"mixup": 0.4}, {"augment": "strong"}, {"augment": "none", "mixup": 0.0}]
)
def test_a_batch_depends_on_its_place_and_view_alone(folder: Path, changes: dict[str, Any]) -> None:
    rows = np.array([3, 1, 7, 20, 12])
    whole = _reader(folder, **changes).training_batches(rows, (2, 5), slice(0, 5), 1)[0]
    again = _reader(folder, **changes)
    parts = [again.training_batches(rows, (2, 5), part, 1)[0] for part in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat([p.inputs["x"] for p in parts]), whole.inputs["x"])
    assert torch.equal(torch.cat([p.targets for p in parts]), whole.targets)
    assert whole.targets.sum(dim=1) == pytest.approx(1.0, abs=1e-5)
    other_view = again.training_batches(rows, (2, 5), slice(0, 5), 2)[0].inputs["x"]
    assert torch.equal(other_view, whole.inputs["x"]) == (changes.get("augment") == "none")
    other_step = again.training_batches(rows, (2, 6), slice(0, 5), 1)[0].inputs["x"]
    assert torch.equal(other_step, whole.inputs["x"]) == (changes.get("mixup") == 0.0)


def test_a_view_of_a_picture_depends_on_its_content_alone(folder: Path) -> None:
    reader = _reader(folder, augment="light")
    x = reader.inputs(np.array([4, 2, 9]), 3)["x"]
    assert torch.equal(reader.inputs(np.array([9, 4]), 3)["x"], x[[2, 0]])
    assert not torch.equal(reader.inputs(np.array([4]), 2)["x"], x[:1])
    keys = reader.keys(np.arange(12))
    assert len(set(keys)) == 12
    assert all(len(key) == 16 for key in keys)
    assert reader.transform(3) != reader.transform(2) != reader.transform(None)
    assert reader.outline(np.arange(3))["x"].shape == x.shape


@pytest.mark.parametrize(
    ("changes", "views"),
    [({"views": 2}, [0, 1, 0, 1]), ({"views": 0}, [0, 1, 2, 3]), ({"augment": "none"}, [None] * 4)],
)
def test_views_take_turns_where_they_repeat(folder: Path, changes: dict[str, Any], views: list[int | None]) -> None:
    reader = _reader(folder, **{"augment": "light", **changes})
    assert [reader.training_view(epoch, repeats=True) for epoch in range(4)] == views
    fresh = [None] * 4 if changes.get("augment") == "none" else [0, 1, 2, 3]
    assert [reader.training_view(epoch, repeats=False) for epoch in range(4)] == fresh


def test_an_epoch_has_every_row_once(folder: Path) -> None:
    reader = _reader(folder, sampler="none")
    batches = reader.epoch_batches(np.arange(18), None, 0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(18))
    assert not np.array_equal(batches[0], reader.epoch_batches(np.arange(18), None, 1)[0])


@pytest.mark.parametrize("size", [32, 35])
def test_inputs_are_those_of_timm_s_transform(tmp_path: Path, size: int) -> None:
    from timm.data import create_transform

    for number, shape in enumerate([(50, 61), (97, 40), (33, 33), (200, 31), (35, 36)] * 2):
        pixels = np.random.default_rng(number).integers(0, 256, (*shape, 3), dtype=np.uint8)
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        kind, options = ((".jpg", {"quality": 95}), (".png", {}))[number % 2]
        Image.fromarray(pixels).save(tmp_path / "ab"[number % 2] / f"{number}{kind}", **options)
    reader = _reader(tmp_path, image_size=size, augment="none", min_per_class=1)
    settings = reader._model.settings
    cut = create_transform((3, size, size), **{k: settings[k] for k in ("crop_pct", "interpolation", "mean", "std")})
    expected = torch.stack([cut(Image.open(path).convert("RGB")) for path in reader._paths])
    assert torch.allclose(reader.inputs(np.arange(len(expected)))["x"], expected, atol=1e-5)
