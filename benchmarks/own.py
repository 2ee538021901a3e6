"""Tunebook's part in a benchmark: its training loop through the public names, without report and export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model


def fit(recipe: Recipe, examples: Examples, model: Model, mark: Callable[[], None]) -> dict[str, Any]:
    """
    Train as a recipe says.

    Returns
    -------
    dict
        Accuracy after the last epoch, numbers of examples and of weights that train, the precision, and
        ``cache_mb``: what the cache folder holds at the end.
    """
    import sklearn.metrics  # noqa: F401 - the loop would at its first evaluation; imports are set-up for all

    from tunebook.devices import Devices
    from tunebook.tasks import get_task
    from tunebook.training import Trainer

    task = get_task(recipe.task)
    devices = Devices(recipe, model.module)
    mark()  # making the reader or the trainer may compute what is frozen, which is work and no set-up
    trainer = Trainer(task, recipe, examples, model, task.reader(examples, recipe, model), devices)
    progress = trainer.fit()
    return {
        "accuracy": progress.history[-1]["validation"]["accuracy"], "train": len(examples.rows("train")),
        "validation": len(examples.rows("validation")), "trains": model.stages.trainable(), "lr": recipe.lr,
        "precision": devices.precision, "cache_mb": _size(Path(os.environ["TUNEBOOK_CACHE"])) / 1e6,
    }  # fmt: skip


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
