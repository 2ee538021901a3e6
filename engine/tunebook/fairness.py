"""Quality by group, with Fairlearn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Prefix of the columns of ``predictions.parquet`` that hold sensitive attributes.
PREFIX = "group_"


def attributes(predictions: pd.DataFrame) -> list[str]:
    """Return the sensitive attributes that a table of predictions has."""
    return [str(c).removeprefix(PREFIX) for c in predictions.columns if str(c).startswith(PREFIX)]


def by_group(predictions: pd.DataFrame, names: Sequence[str] | None = None, split: str = "test") -> pd.DataFrame:
    """
    Compare baseline and tuned model by group.

    Parameters
    ----------
    predictions
        As in ``predictions.parquet``.
    names
        Sensitive attributes; all when not given.
    split
        ``"test"`` or ``"validation"``.

    Returns
    -------
    pandas.DataFrame
        One row a group, indexed by attribute and group: number of examples, accuracy before and
        after tuning, and the change. Empty without sensitive attributes.
    """
    from fairlearn.metrics import MetricFrame, count  # noqa: PLC0415
    from sklearn.metrics import accuracy_score  # noqa: PLC0415

    part = predictions[predictions["split"] == split]
    found = []
    for name in names if names is not None else attributes(predictions):
        frames = {
            model: MetricFrame(
                metrics={"n": count, "accuracy": accuracy_score},
                y_true=rows["truth"],
                y_pred=rows["prediction"],
                sensitive_features=rows[PREFIX + name].rename(name),
            ).by_group
            for model, rows in part.groupby("model")
        }
        if "tuned" not in frames:
            continue
        table = pd.DataFrame({"n": frames["tuned"]["n"].astype(int)})
        before = frames.get("baseline")
        table["baseline accuracy"] = before["accuracy"] if before is not None else np.nan
        table["tuned accuracy"] = frames["tuned"]["accuracy"]
        table["change"] = table["tuned accuracy"] - table["baseline accuracy"]
        table.index = pd.MultiIndex.from_product([[name], table.index], names=["attribute", "group"])
        found.append(table)
    if not found:
        return pd.DataFrame(columns=["n", "baseline accuracy", "tuned accuracy", "change"])
    return pd.concat(found)
