"""Writes the logs of runs for the tests of the curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook.events import EventLog
from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = ("cook", "judge", HOSTILE)


def write_run(
    runs: Path, name: str = "one", *, epochs: int = 3, per_epoch: int = 10, classes: Sequence[str] = CLASSES
) -> Run:
    """Write a finished run: its validation loss falls until the epoch before the last."""
    rng = np.random.default_rng(5)
    run = Run.create(runs, name, "image-classification")
    recipe = {"parameters": {"monitor": "macro_f1", "lr": 2e-3}, "data": {"classes": list(classes)}}
    write_json(run.path / "recipe.json", recipe)
    log = EventLog(run.path)
    log.text("marks", "stage: head trains", 0)
    for step in range(1, epochs * per_epoch + 1):
        log.scalars({"train/loss": 3.0 / step, "lr/head": 2e-3 / step}, step)
        if step % per_epoch == 0:
            _end_epoch(log, step, step // per_epoch, epochs, classes, rng)
    log.text("marks", "dropout head 0.2 → 0.4", per_epoch)
    log.close()
    run.update(state="finished", phase="finished", epoch=epochs, epochs=epochs, step=epochs * per_epoch)
    return run


def _end_epoch(
    log: EventLog, step: int, epoch: int, epochs: int, classes: Sequence[str], rng: np.random.Generator
) -> None:
    score = 0.5 + 0.1 * min(epoch, 2 * epochs - epoch - 2) / epochs
    values = {f"{name}/validation": score for name in ("accuracy", "macro_f1")}
    values |= {f"{name}/train": 0.5 + 0.2 * epoch / epochs for name in ("accuracy", "macro_f1")}
    values |= {"loss/train": 1.0 / epoch, "loss/validation": 2.0 - score, "epoch": float(epoch)}
    values |= {f"recall/{c}": float("nan") if k == 0 and epoch == 1 else 0.5 for k, c in enumerate(classes)}
    log.scalars(values, step)
    if len(classes) <= 50:
        counts = rng.poisson(1.0, (len(classes), len(classes))) + 5 * np.eye(len(classes), dtype=np.int64)
        log.tensor("confusion/validation", counts, step)
    log.histogram("weights/head", rng.standard_normal(500), step)
