"""Predictions of one split as numbers: truth, and what each model said of it and how sure it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tunebook.labels import encode

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Outcomes:
    """
    What some models said of the same examples.

    Attributes
    ----------
    classes
        Class names.
    models
        Names of the models.
    rows
        Rows of the table of the last model, one an example, shape (n,).
    truth
        Class numbers, shape (n,), int64; or ones and zeros, shape (n, classes).
    predicted
        For each model the same of its predictions.
    certainty
        For each model how sure it is, 0 to 1, and whether that is right, both of shape (n, predictions an example);
        empty where a model has no scores.
    left_out
        Rows of a model that another one does not have.
    """

    classes: tuple[str, ...]
    models: tuple[str, ...]
    rows: np.ndarray
    truth: np.ndarray
    predicted: tuple[np.ndarray, ...]
    certainty: tuple[tuple[np.ndarray, np.ndarray], ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def multi_label(self) -> bool:
        """Whether an example may have several classes."""
        return self.truth.ndim > 1

    def right(self, model: int) -> np.ndarray:
        """Return whether all that a model says of an example is right, shape (n,), bool."""
        same = self.predicted[model] == self.truth
        found: np.ndarray = same.all(axis=1) if self.multi_label else same
        return found


def read_outcomes(
    predictions: pd.DataFrame, split: str, models: Sequence[str], classes: Sequence[str], *, multi_label: bool
) -> Outcomes:
    """
    Take one split from a table of predictions, the same examples in the same order for all models.

    Parameters
    ----------
    predictions
        As ``predictions.parquet``: ``model``, ``id``, ``split``, ``truth``, ``prediction``, and, if there are scores,
        ``confidence`` and ``scores``.
    split
        Name of the split.
    models
        Names of the models, the one that the report is about last.
    classes
        Class names; truth and predictions that are none of them are left without a class.
    multi_label
        Whether truth and prediction name any number of classes.
    """
    of_split = predictions["split"].to_numpy() == split
    names = predictions["model"].to_numpy()
    places = [np.flatnonzero(of_split & (names == model)) for model in models]
    places, left_out = _aligned([predictions["id"].iloc[place] for place in places], places)
    truth = _numbers(predictions["truth"].iloc[places[-1]], classes, multi_label=multi_label)
    predicted = tuple(
        _numbers(predictions["prediction"].iloc[place], classes, multi_label=multi_label) for place in places
    )
    certainty = tuple(
        found
        for place, said in zip(places, predicted, strict=True)
        if (found := _certainty(predictions, place, said, truth)) is not None
    )
    whole = certainty if len(certainty) == len(models) else ()
    return Outcomes(tuple(classes), tuple(models), places[-1], truth, predicted, whole, left_out)


def _aligned(ids: list[pd.Series], places: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    last = ids[-1].to_numpy()
    if all(len(other) == len(last) and (other.to_numpy() == last).all() for other in ids):
        return places, 0
    common = pd.Index(last)
    for other in ids[:-1]:
        common = common[common.isin(other)]
    found = [place[pd.Index(own).get_indexer(common)] for own, place in zip(ids, places, strict=True)]
    return found, max(len(place) for place in places) - len(common)


def _numbers(labels: pd.Series, classes: Sequence[str], *, multi_label: bool) -> np.ndarray:
    if multi_label:
        return encode(["" if label is None else str(label) for label in labels], classes, multi_label=True)
    found = pd.Index(classes).get_indexer(pd.Index(labels.astype(str)))
    return np.asarray(found, dtype=np.int64)


def _certainty(
    predictions: pd.DataFrame, place: np.ndarray, said: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    if said.ndim > 1:
        if "scores" not in predictions:
            return None
        column = predictions["scores"].iloc[place]
        if column.isna().any() or not len(column):
            return None
        scores = np.stack(column.to_list()).astype(np.float64)
        return np.where(said > 0, scores, 1.0 - scores), said == truth
    if "confidence" not in predictions:
        return None
    sure = predictions["confidence"].iloc[place].to_numpy(dtype=np.float64, na_value=np.nan)
    return None if not len(sure) or not np.isfinite(sure).all() else (sure[:, None], (said == truth)[:, None])
