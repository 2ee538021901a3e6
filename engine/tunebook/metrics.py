"""How good predictions are. What cannot be computed is ``None``, never 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.labels import decide

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
        Class numbers, shape (n,); or, where an example may have several classes, ones and zeros, shape (n, classes).
    classes
        Class names.

    Returns
    -------
    dict
        ``n``; ``accuracy``; ``macro_f1`` (mean over the classes that occur in truth or prediction);
        ``loss`` (mean negative log-likelihood, nats); ``ece`` (expected calibration error [1]_ in 15
        bins); ``recall`` by class name, ``None`` for a class without examples; ``support``, the
        examples of each class; ``confusion``, rows by truth. All but the counts from 0 to 1, ``loss`` from 0.

        With several classes an example, a prediction is accurate if all of its classes are right;
        ``loss`` and ``ece`` are over every yes and no; ``confusion`` has a table of no and yes for each class.

    References
    ----------
    .. [1] Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    """
    from sklearn.metrics import (  # noqa: PLC0415
        accuracy_score,
        confusion_matrix,
        f1_score,
        multilabel_confusion_matrix,
        recall_score,
    )

    numbers = np.arange(len(classes))
    multi_label = truth.ndim > 1
    predicted = decide(scores, multi_label=multi_label)
    # A class that is neither true nor predicted here has no F1; recall needs a true example.
    f1 = f1_score(truth, predicted, labels=numbers, average=None, zero_division=np.nan)
    recall = recall_score(truth, predicted, labels=numbers, average=None, zero_division=np.nan)
    confusion = (
        multilabel_confusion_matrix(truth, predicted, labels=numbers)
        if multi_label
        else confusion_matrix(truth, predicted, labels=numbers)
    )
    support = truth.sum(axis=0) if multi_label else np.bincount(truth, minlength=len(classes))
    return {
        "n": len(truth),
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(np.nanmean(f1)),
        "loss": negative_log_likelihood(scores, truth),
        "ece": calibration_error(scores, truth),
        "recall": {
            name: None if math.isnan(value) else float(value) for name, value in zip(classes, recall, strict=True)
        },
        "support": dict(zip(classes, support.tolist(), strict=True)),
        "confusion": confusion.tolist(),
    }


def negative_log_likelihood(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean negative log-likelihood, in nats, an example, or a yes or no; inputs as for :func:`measure`."""
    right = np.where(truth > 0, scores, 1.0 - scores) if truth.ndim > 1 else scores[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(right.astype(np.float64), _SMALLEST, 1.0)).mean())


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
    if truth.ndim > 1:
        # Every yes and no is a prediction of its own.
        scores, truth = np.stack([1.0 - scores.ravel(), scores.ravel()], axis=1), truth.ravel()
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
