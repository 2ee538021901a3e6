"""A small model with every kind of layer, its examples and recipe: what the tests of the panel are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import nn

from tunebook.dropout import DropoutSite, DropoutSites
from tunebook.examples import Examples
from tunebook.losses import OneOfMany
from tunebook.stages import Stages
from tunebook.tasks import recipe_class
from tunebook.tasks.base import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.recipe import Recipe


class Small(nn.Module):
    """A stem, some blocks of two layers with a norm and a dropout, and a head."""

    def __init__(self, blocks: int = 3, layers: int = 2) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Dropout(0.0)) for _ in range(layers)))
            for _ in range(blocks)
        )
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(4, 3)


def small_model(blocks: int = 3, layers: int = 2) -> Model:
    """Make the model with its stages ``stem``, ``blocks.0``, ... and ``head``, and two kinds of dropout."""
    torch.manual_seed(0)
    module = Small(blocks, layers)
    names = [name for name, _ in module.named_parameters()]
    groups = [
        [name for name in names if name.startswith(("stem.", "norm."))],
        *([name for name in names if name.startswith(f"blocks.{k}.")] for k in range(blocks)),
        [name for name in names if name.startswith("head.")],
    ]
    sites = [DropoutSite(f"blocks.{k}.{n}.2", "p", "depth", k / blocks) for k in range(blocks) for n in range(layers)]
    dropout = DropoutSites(module, [*sites, DropoutSite("drop", "p", "head")])
    return Model(module, "small", "made for a test", Stages(module, groups), dropout, "0" * 64, OneOfMany())


def small_examples(counts: Sequence[int] = (8, 4, 2), names: Sequence[str] = ("ape", "bee", "cat")) -> Examples:
    """Make some examples of each class to train on, and one for each of the other splits."""
    rows = [
        (f"{k}-{split}-{n}", "", names[k], split)
        for k, count in enumerate(counts)
        for split, size in (("train", count), ("validation", 1), ("test", 1))
        for n in range(size)
    ]
    frame = pd.DataFrame(rows, columns=["id", "content", "label", "split"])
    return Examples(frame, tuple(names), "made for a test")


def small_recipe(**values: Any) -> Recipe:
    """Make a recipe that freezes the backbone and trains one block more from the second epoch on."""
    return recipe_class("image-classification")(**{"freeze": "backbone", "unfreeze": [[1, -2]], "epochs": 4, **values})
