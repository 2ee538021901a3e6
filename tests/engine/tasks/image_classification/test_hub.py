"""Pictures of a Hugging Face dataset, as its library holds them in memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as PillowImage

import tunebook
from tunebook.errors import DataError
from tunebook.sources import class_names
from tunebook.tasks.image_classification.hub import to_table
from tunebook.tasks.image_classification.recipe import ImageClassification

if TYPE_CHECKING:
    from pathlib import Path


def _dataset() -> Any:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value

    features = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"]), "place": Value("string")})
    pictures = [PillowImage.new("RGB", (8, 8), (20 * k, 0, 0)) for k in range(6)]
    rows = {"image": pictures, "label": [0, 1, 0, 1, 0, 1], "place": ["in", None, "in", "out", "out", "in"]}
    return DatasetDict({"train": Dataset.from_dict(rows, features=features)})


def test_pictures_become_files_and_labels_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    recipe = ImageClassification(data="someone/pets", sensitive=["place"])
    table = to_table("someone/pets", _dataset(), recipe)
    assert table["label"].tolist() == ["cat", "dog"] * 3
    assert table["split"].unique().tolist() == ["train"]
    assert table["place"].isna().sum() == 1
    with PillowImage.open(table["path"][3]) as picture:
        assert picture.getpixel((0, 0)) == (60, 0, 0)
    assert table["id"].is_unique


def test_a_dataset_without_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    data = _dataset().remove_columns("image")
    with pytest.raises(DataError, match="no column of pictures"):
        to_table("someone/pets", data, ImageClassification(data="someone/pets"))


def test_cells_without_a_picture_are_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Image

    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    features = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
    shapes = np.random.default_rng(0).integers(0, 255, (24, 3, 3, 3), dtype=np.uint8)
    cells: list[Any] = [_png(PillowImage.fromarray(shape).resize((32, 32))) for shape in shapes]
    cells[0] = None
    cells[3] = {"bytes": b"", "path": None}
    cells[5] = {"bytes": b"no picture", "path": None}
    cells[7] = {"bytes": None, "path": str(tmp_path / "gone.png")}
    data = Dataset.from_dict({"image": cells, "label": [0, 1] * 12}, features=features)
    monkeypatch.setattr("datasets.load_dataset", lambda _: DatasetDict({"train": data}))
    recipe = ImageClassification(data="someone/pets")
    examples = tunebook.load_examples(recipe)
    finding = next(f for f in tunebook.check(examples, recipe).items if f.kind == "unreadable")
    assert finding.drop == ("train-0", "train-3", "train-5", "train-7")
    assert "4 of 24 pictures cannot be read as a picture: 'train-0' (there is no picture)" in finding.message


def test_two_splits_of_one_name_are_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    part = _dataset()["train"]
    table = to_table("someone/pets", {"train": part, "val": part, "eval": part}, ImageClassification(data="a/b"))
    assert table.attrs["notes"] == ["The dataset's splits 'val', 'eval' are read as one: validation."]


def test_numbers_that_no_class_has_are_no_label() -> None:
    from datasets import ClassLabel, Sequence

    kind = ClassLabel(names=["cat", "dog"])
    assert class_names(kind, [1, None, -1, 7, float("nan")]) == ["dog", None, None, None, None]
    assert class_names(Sequence(kind), [[0, 1], None, [9, 1]]) == [["cat", "dog"], [], ["dog"]]


def _png(image: PillowImage.Image) -> dict[str, Any]:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}
