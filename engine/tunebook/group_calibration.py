"""How far confidence is from accuracy in each group, from counts of cells: bin of confidence, and right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunebook.group_cells import GroupCells, count_cells, count_patterns
from tunebook.group_metrics import divided
from tunebook.metrics import BINS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class GroupCalibration:
    """
    Confidence and accuracy of some models, by group.

    Attributes
    ----------
    cells
        Counts of what one example adds, for all models together.
    designs
        For each model what a cell adds to each bin, shape (cells, 2 * bins): predictions, and those that are right.
    means
        For each model the mean confidence of each group in each bin, shape (groups, bins).
    """

    cells: GroupCells
    designs: tuple[np.ndarray, ...]
    means: tuple[np.ndarray, ...]

    def gaps(self, counts: np.ndarray, model: int, groups: np.ndarray | slice | int = slice(None)) -> np.ndarray:
        """
        Return for each bin confidence less accuracy, as a share of all predictions.

        Parameters
        ----------
        counts
            Of the cells, shape (..., cells).
        model
            Number of a model.
        groups
            Whose mean confidence is taken: one group's, or those of the last axis but one.

        Returns
        -------
        numpy.ndarray
            Shape (..., bins). The sum of its absolute values is the expected calibration error.
        """
        sums = counts.astype(np.float64) @ self.designs[model]
        size, right = sums[..., :BINS], sums[..., BINS:]
        whole = np.broadcast_to(size.sum(axis=-1, keepdims=True), size.shape)
        return divided(size * self.means[model][groups] - right, whole)


def calibration_error(gaps: np.ndarray) -> np.ndarray:
    """Return the expected calibration error (Naeini et al. 2015) of gaps by bin, shape (...); 0 to 1."""
    found: np.ndarray = np.abs(gaps).sum(axis=-1)
    return found


def count_confidence(
    groups: np.ndarray, number: int, predictions: Sequence[tuple[np.ndarray, np.ndarray]]
) -> GroupCalibration:
    """
    Count confidence and being right by group.

    Parameters
    ----------
    groups, number
        Group of each example, shape (n,), and how many groups there are.
    predictions
        For each model how sure it is of each prediction, 0 to 1, and whether that is right; both of shape (n, k): of
        one prediction an example, or of k, every yes and no of several classes.
    """
    if predictions[0][0].shape[1] == 1:
        outcomes = [column[:, 0] for sure, right in predictions for column in (right.astype(np.int64), _bins(sure))]
        cells = count_cells(groups, number, outcomes, [2, BINS] * len(predictions))
        designs = []
        for k in range(len(predictions)):
            right, place = cells.outcomes[:, 2 * k], cells.outcomes[:, 2 * k + 1]
            bins = np.eye(BINS)[place]
            designs.append(np.concatenate([bins, bins * right[:, None]], axis=1))
    else:
        patterns = np.concatenate([_pattern(sure, right) for sure, right in predictions], axis=1)
        cells = count_patterns(groups, number, patterns)
        width = 2 * BINS
        designs = [cells.outcomes[:, k * width : (k + 1) * width].astype(np.float64) for k in range(len(predictions))]
    means = tuple(_means(groups, number, sure) for sure, _ in predictions)
    return GroupCalibration(cells, tuple(designs), means)


def _bins(confidence: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    return found


def _pattern(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Count for each example its predictions in each bin, and those that are right, shape (n, 2 * bins)."""
    rows = np.arange(len(confidence))[:, None]
    place = rows * BINS + _bins(confidence)
    size = len(confidence) * BINS
    counts = np.bincount(place.ravel(), minlength=size).reshape(-1, BINS)
    hits = np.bincount(place.ravel(), weights=right.ravel(), minlength=size).reshape(-1, BINS)
    return np.concatenate([counts, hits.astype(np.int64)], axis=1)


def _means(groups: np.ndarray, number: int, confidence: np.ndarray) -> np.ndarray:
    """Return the mean confidence of each group in each bin; of all groups where one has none there."""
    place = _bins(confidence)
    code = (groups[:, None] * BINS + place).ravel()
    counts = np.bincount(code, minlength=number * BINS).reshape(number, BINS)
    sums = np.bincount(code, weights=confidence.ravel(), minlength=number * BINS).reshape(number, BINS)
    middle = (np.arange(BINS) + 0.5) / BINS
    whole = np.where(counts.sum(axis=0) > 0, sums.sum(axis=0) / np.maximum(counts.sum(axis=0), 1), middle)
    found: np.ndarray = np.where(counts > 0, sums / np.maximum(counts, 1), whole)
    return found
