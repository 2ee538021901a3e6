"""Pictures of a Hugging Face dataset, as its library holds them in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as PillowImage

from tunebook.errors import DataError
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
