"""A small model, and recipes and examples for it."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from tunebook.examples import Examples
from tunebook.tasks import recipe_class

sys.path.insert(0, str(Path(__file__).parents[3]))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a small random model of a kind, once."""
    made: dict[str, Path] = {}

    def make(kind: str = "bert", **changes: Any) -> Path:
        name = kind + "".join(f"-{k}-{v}" for k, v in sorted(changes.items()))
        if name not in made:
            made[name] = tiny_models.make_tiny(tmp_path_factory.mktemp("models") / kind, kind, **changes)
        return made[name]

    return make


@pytest.fixture
def tiny(folder: Callable[..., Path]) -> Callable[..., Any]:
    """Make a recipe with a small random model."""

    def make(kind: str = "bert", **values: Any) -> Any:
        return recipe_class("text-classification")(
            **{"model": str(folder(kind)), "max_length": 32, "onnx": False, **values}
        )

    return make


@pytest.fixture
def sentences() -> Callable[..., Examples]:
    """Make examples of sentences whose class is plain from their words."""

    def make(count: int = 60, seed: int = 0) -> Examples:
        rng = random.Random(seed)  # noqa: S311
        rows = []
        for number in range(count):
            label = "good" if number % 2 else "bad"
            opinion = ["good", "great", "fine"] if number % 2 else ["bad", "dull", "poor"]
            filler = rng.choices(["the", "film", "plot", "actor", "is", "was", "it", "scene"], k=rng.randint(2, 12))
            text = " ".join([*filler, rng.choice(opinion), str(number)])
            split = ("train", "train", "train", "validation", "test")[(number // 2) % 5]
            rows.append((f"e{number}", text, label, split))
        frame = pd.DataFrame(rows, columns=["id", "content", "label", "split"])
        return Examples(frame, ("bad", "good"), "made for a test")

    return make
