"""Finished runs that were never trained, for tests of what is made of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_run(
    folder: Path, classes: int = 2, *, count: int = 900, change: Callable[[pd.DataFrame], Any] | None = None
) -> Run:
    """Make a finished run whose scores of the positive, or last, class are too low for the group "dark"."""
    rng = np.random.default_rng(3)
    names = [f"c{k}" for k in range(classes)]
    truth = rng.integers(0, classes, count)
    tone = rng.choice(["light", "dark"], count)
    logits = 1.5 * np.eye(classes)[truth] + rng.normal(0, 0.9, (count, classes))
    logits[tone == "dark", -1] -= 1.6
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame({
        "model": "tuned", "id": [f"e{k}" for k in range(count)],
        "split": np.where(np.arange(count) % 2, "validation", "test"), "truth": np.array(names)[truth],
        "prediction": np.array(names)[scores.argmax(axis=1)], "confidence": scores.max(axis=1).astype(np.float32),
        "scores": list(scores.astype(np.float32)), "group_tone": tone, "group_age": rng.integers(18, 80, count),
    })  # fmt: skip
    changed = change(table) if change else None
    table = table if changed is None else changed
    run = Run.create(folder, "made", "text-classification")
    (run.path / "model").mkdir()
    table.to_parquet(run.path / "predictions.parquet", index=False)
    write_json(run.path / "metrics.json", {"classes": names, "multi_label": False})
    write_json(run.path / "recipe.json", {"parameters": {}})
    return run
