"""The files that the documentation's blocks name, and recipes that are small where a block does not say otherwise."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunebook.recipe import Recipe

COLOURS = {"cat": (200, 90, 60), "dog": (70, 90, 200)}
#: What is asked of a recipe that does not say otherwise.
SMALL: dict[str, dict[str, Any]] = {
    "image-classification": {
        "model": "test_efficientnet", "weights": "none", "image_size": 32, "epochs": 2, "augment": "none",
        "onnx": False,
    },
    "text-classification": {"max_length": 24, "epochs": 1, "onnx": False},
}  # fmt: skip


def _pictures(folder: Path, count: int) -> list[tuple[str, str]]:
    """Write noisy pictures of two colours, and return file and class of each."""
    rng = np.random.default_rng(3)
    rows = []
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(0.0, 60.0, (24, 24, 3)) + np.array(colour)
            path = folder / name / (f"{number}.png" if number else "one.jpg")
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            rows.append((str(path.relative_to(folder.parent)), name))
    return rows


def make_files(folder: Path) -> None:
    """Write the pictures, tables and the small model that the blocks name."""
    rng = np.random.default_rng(5)
    pictures = pd.DataFrame(_pictures(folder / "pictures", 130), columns=["file", "species"])
    for name, groups in {
        "region": ["north", "south"],
        "skin_tone": ["light", "dark"],
        "gender": ["man", "woman"],
    }.items():
        pictures[name] = rng.choice(groups, len(pictures))
    pictures["job"] = pictures["species"].map({"cat": "pilot", "dog": "cook"})
    pictures.to_csv(folder / "table.csv", index=False)
    texts = pd.DataFrame({"label": rng.choice(["good", "bad"], 80), "country": rng.choice(["A", "B"], 80)})
    filler = tiny_models.WORDS[:4]
    texts["text"] = [
        " ".join([*rng.choice(filler, 6), word, str(number)]) for number, word in enumerate(texts["label"])
    ]
    texts.to_parquet(folder / "reviews.parquet")
    texts.rename(columns={"text": "tweet", "label": "emotion"}).to_csv(folder / "tweets.csv", index=False)
    texts.assign(label=texts["label"] + "|" + texts["country"])[["text", "label"]].to_json(
        folder / "tags.jsonl", orient="records", lines=True
    )
    answers = pd.DataFrame({"y": rng.choice(["yes", "no"], 400), "gender": rng.choice(["man", "woman"], 400)})
    answers["p"] = np.where(rng.random(400) < 0.8, answers["y"], "no")
    answers.assign(age=rng.integers(18, 80, 400)).to_csv(folder / "predictions.csv", index=False)
    (folder / "params.yaml").write_text("epochs: 3\nlr: 0.001\n")
    (folder / "sets.yaml").write_text("- {lr: 0.001}\n- {run: all-layers, freeze: none}\n")
    _pictures(folder / "photos", 12)
    tiny_models.make_tiny(folder / "tiny", "bert")


@contextmanager
def small_recipes(folder: Path) -> Iterator[None]:
    """Be in a folder, in which recipes take small values where none are given."""
    from tunebook.recipe import Recipe

    own = {**SMALL, "text-classification": {**SMALL["text-classification"], "model": str(folder / "tiny")}}
    begin = Recipe.__init__

    def init(self: Recipe, **values: Any) -> None:
        begin(self, **{**own.get(self.task, {}), **values})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recipe, "__init__", init)
        patch.chdir(folder)
        yield
