"""How good predictions are. What cannot be computed is ``None``, never 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bins of confidence for the calibration error.
BINS = 15
_SMALLEST = 1e-12


def measure(scores: np.ndarray, truth: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """
    Measure predictions of one split.

    Parameters
    ----------
    scores
        Probabilities, shape (n, classes), n at least 1.
    truth
        Class numbers, shape (n,).
    classes
        Class names.

    Returns
    -------
    dict
        ``n``; ``accuracy``; ``macro_f1`` (mean over the classes that occur in truth or prediction);
        ``loss`` (mean negative log-likelihood, nats); ``ece`` (expected calibration error [1]_ in 15
        bins); ``recall`` by class name, ``None`` for a class without examples; ``confusion``, rows
        by truth. All but the counts from 0 to 1, ``loss`` from 0.

    References
    ----------
    .. [1] Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score  # noqa: PLC0415

    numbers = np.arange(len(classes))
    predicted = scores.argmax(axis=1)
    # A class that is neither true nor predicted here has no F1; recall needs a true example.
    f1 = f1_score(truth, predicted, labels=numbers, average=None, zero_division=np.nan)
    recall = recall_score(truth, predicted, labels=numbers, average=None, zero_division=np.nan)
    likelihood = scores[np.arange(len(truth)), truth].astype(np.float64)
    return {
        "n": len(truth),
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(np.nanmean(f1)),
        "loss": float(-np.log(np.clip(likelihood, _SMALLEST, 1.0)).mean()),
        "ece": calibration_error(scores, truth),
        "recall": {
            name: None if math.isnan(value) else float(value) for name, value in zip(classes, recall, strict=True)
        },
        "confusion": confusion_matrix(truth, predicted, labels=numbers).tolist(),
    }


def reliability(scores: np.ndarray, truth: np.ndarray, bins: int = BINS) -> np.ndarray:
    """
    Compare confidence with accuracy.

    Parameters
    ----------
    scores, truth
        As for :func:`measure`.
    bins
        Number of equal bins of confidence.

    Returns
    -------
    numpy.ndarray
        Shape (filled bins, 3): mean confidence, accuracy, share of the examples.
    """
    confidence = scores.max(axis=1).astype(np.float64)
    right = scores.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [(confidence[place == k].mean(), right[place == k].mean(), (place == k).mean()) for k in np.unique(place)]
    return np.array(rows).reshape(-1, 3)


def calibration_error(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the expected calibration error: mean distance of confidence and accuracy over the bins, 0 to 1."""
    confidence, accuracy, share = reliability(scores, truth).T
    return float((np.abs(confidence - accuracy) * share).sum())


def standard_error(accuracy: float, count: int) -> float:
    """Return the standard error of an accuracy measured on ``count`` examples; the half-width of 68 % of chance."""
    return math.sqrt(max(accuracy * (1.0 - accuracy), 0.25 / max(count, 1)) / max(count, 1))
