"""Predictions for the tests of the bias report's view."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tunebook.bias import BiasReport, Settings

HOSTILE = "<img src=x onerror=alert(1)>"


def make_report(
    count: int = 1200,
    *,
    classes: tuple[str, ...] = ("no", "yes"),
    models: tuple[str, ...] = ("baseline", "tuned"),
    worse: str = "dark",
    sensitive: bool = True,
    scores: bool = True,
) -> BiasReport:
    """Make a report of predictions that are worse for one skin tone, with few examples of one gender."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, len(classes), count)
    tone = rng.choice(["light", "medium", worse], count, p=[0.5, 0.3, 0.2])
    gender = np.where(np.arange(count) % 90 == 1, "other", rng.choice(["female", "male"], count))
    groups = {"group_tone": tone, "group_gender": gender, "group_age": rng.integers(18, 90, count).astype(str)}
    tables = []
    for model in models:
        accuracy = np.where(tone == worse, 0.7, 0.95) - (0.15 if model == "baseline" else 0.0)
        said = np.where(rng.random(count) < accuracy, truth, rng.integers(0, len(classes), count))
        tables.append(pd.DataFrame({
            "model": model, "id": [f"e{k}" for k in range(count)],
            "split": np.where(np.arange(count) % 4 == 0, "validation", "test"),
            "truth": np.array(classes)[truth], "prediction": np.array(classes)[said],
            **({"confidence": rng.uniform(0.5, 1.0, count)} if scores else {}), **(groups if sensitive else {}),
        }))  # fmt: skip
    return BiasReport(pd.concat(tables, ignore_index=True), settings=Settings(draws=200, source="made"))
