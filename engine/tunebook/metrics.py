"""How good predictions are. What cannot be computed is ``None``, never 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.labels import decide
from tunebook.monitors import OF_ONE_CLASS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.decision import Decision

#: Bins of confidence for the calibration error.
BINS = 15
_SMALLEST = 1e-12
#: Numbers that are ranked at once.
_AT_ONCE = 4_000_000


def measure(
    scores: np.ndarray, truth: np.ndarray, classes: Sequence[str], decision: Decision | None = None
) -> dict[str, Any]:
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
    decision
        When the positive one of two classes is said; ``None`` says the most probable class.

    Returns
    -------
    dict
        ``n``; ``accuracy``; ``macro_f1`` (mean over the classes that occur in truth or prediction);
        ``roc_auc`` (area under the ROC curve, by score), ``average_precision`` and ``specificity`` (share
        of the examples of other classes that are not taken for it), of each class against the rest and averaged over
        the classes for which they are defined; ``loss`` (mean negative log-likelihood, nats); ``ece`` (expected
        calibration error [1]_ in 15 bins); ``recall`` by class name, ``None`` for a class without examples;
        ``support``, the examples of each class; ``by_class``, the three by class name, ``None`` for a class that all
        or none of the examples are of; ``confusion``, rows by truth. All but the counts from 0 to 1, ``loss`` from 0.

        With a decision also its ``threshold``, and ``of_positive``: ``precision``, ``recall``, ``specificity``, ``f1``,
        ``roc_auc`` and ``average_precision`` of the positive class, ``None`` where undefined.

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
    predicted = decide(scores, multi_label=multi_label, decision=decision)
    # A class that is neither true nor predicted here has no F1; recall needs a true example.
    f1 = f1_score(truth, predicted, labels=numbers, average=None, zero_division=np.nan)
    recall = recall_score(truth, predicted, labels=numbers, average=None, zero_division=np.nan)
    confusion = (
        multilabel_confusion_matrix(truth, predicted, labels=numbers)
        if multi_label
        else confusion_matrix(truth, predicted, labels=numbers)
    )
    support = truth.sum(axis=0) if multi_label else np.bincount(truth, minlength=len(classes))
    against = dict(zip(OF_ONE_CLASS, (*one_against_rest(scores, truth), _specificity(confusion)), strict=True))
    return {
        "n": len(truth),
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(np.nanmean(f1)),
        **{name: _mean(values) for name, values in against.items()},
        "loss": negative_log_likelihood(scores, truth),
        "ece": calibration_error(scores, truth, None if multi_label else predicted),
        "recall": _named(classes, recall),
        "support": dict(zip(classes, support.tolist(), strict=True)),
        "by_class": {name: _named(classes, values) for name, values in against.items()},
        **({} if decision is None else _of_positive(decision, confusion, against)),
        "confusion": confusion.tolist(),
    }


def _of_positive(decision: Decision, confusion: np.ndarray, against: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a decision's threshold, and what it comes to for the positive class."""
    place = decision.positive
    right, said, of = int(confusion[place, place]), int(confusion[:, place].sum()), int(confusion[place].sum())
    found = {
        "precision": right / said if said else None,
        "recall": right / of if of else None,
        "f1": 2.0 * right / (said + of) if said + of else None,
        **{name: None if math.isnan(values[place]) else float(values[place]) for name, values in against.items()},
    }
    return {"threshold": decision.threshold, "of_positive": found}


def _named(classes: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in zip(classes, values.tolist(), strict=True)}


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _specificity(confusion: np.ndarray) -> np.ndarray:
    """Return the specificity of each class, shape (classes,), of a matrix or of a table of no and yes for each."""
    if confusion.ndim > 2:  # noqa: PLR2004 - several classes an example
        rejected, wrong = confusion[:, 0, 0], confusion[:, 0, 1]
        others = rejected + wrong
    else:
        others = confusion.sum() - confusion.sum(axis=1)
        rejected = others - (confusion.sum(axis=0) - np.diag(confusion))
    found: np.ndarray = np.divide(rejected, others, out=np.full(len(others), np.nan), where=others > 0)
    return found


def one_against_rest(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure how well the score of each class ranks its examples above the others.

    Parameters
    ----------
    scores, truth
        As for :func:`measure`.

    Returns
    -------
    tuple of numpy.ndarray
        Area under the ROC curve and average precision of each class, both of shape (classes,), from 0 to 1; equal
        scores count as one threshold. NaN for a class that all or none of the examples are of.
    """
    count, classes = scores.shape
    areas, precisions = np.empty(classes), np.empty(classes)
    step = max(1, _AT_ONCE // max(count, 1))
    for first in range(0, classes, step):
        part = slice(first, min(first + step, classes))
        of = truth[:, part].T > 0 if truth.ndim > 1 else truth == np.arange(classes)[part, None]
        areas[part], precisions[part] = _rank(np.ascontiguousarray(scores[:, part].T), of)
    return areas, precisions


def _rank(scores: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return area and average precision of each row; both arguments are of shape (rows, n)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked, hits = np.take_along_axis(scores, order, axis=1), np.take_along_axis(of, order, axis=1)
    count = scores.shape[1]
    places = np.broadcast_to(np.arange(count), scores.shape)
    # Examples with equal scores are above a threshold together: each has the first and the last place of its equals.
    changes = ranked[:, 1:] != ranked[:, :-1]
    edge = np.ones((len(scores), 1), bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, changes], axis=1), places, 0), axis=1)
    last = np.where(np.concatenate([changes, edge], axis=1), places, count - 1)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    found = np.cumsum(hits, axis=1)
    at_last = np.take_along_axis(found, last, axis=1)
    before_first = np.take_along_axis(found - hits, first, axis=1)
    positives = found[:, -1]
    negatives = count - positives
    # For each positive: the negatives above it, and half of those that are its equals.
    above = 0.5 * ((last + 1 - at_last) + (first - before_first))
    with np.errstate(invalid="ignore", divide="ignore"):
        area = 1.0 - (above * hits).sum(axis=1) / (positives * negatives.astype(np.float64))
        precision = (at_last / (last + 1.0) * hits).sum(axis=1) / positives
    is_defined = (positives > 0) & (negatives > 0)
    return np.where(is_defined, area, np.nan), np.where(is_defined, precision, np.nan)


def negative_log_likelihood(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean negative log-likelihood, in nats, an example, or a yes or no; inputs as for :func:`measure`."""
    right = np.where(truth > 0, scores, 1.0 - scores) if truth.ndim > 1 else scores[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(right.astype(np.float64), _SMALLEST, 1.0)).mean())


def reliability(scores: np.ndarray, truth: np.ndarray, said: np.ndarray | None = None, bins: int = BINS) -> np.ndarray:
    """
    Compare confidence with accuracy.

    Parameters
    ----------
    scores, truth
        As for :func:`measure`.
    said
        Class numbers, shape (n,), where each example has one class; the most probable ones when not given.
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
        said = None
    said = scores.argmax(axis=1) if said is None else said
    confidence = scores[np.arange(len(scores)), said].astype(np.float64)
    right = said == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [(confidence[place == k].mean(), right[place == k].mean(), (place == k).mean()) for k in np.unique(place)]
    return np.array(rows).reshape(-1, 3)


def calibration_error(scores: np.ndarray, truth: np.ndarray, said: np.ndarray | None = None) -> float:
    """Return the expected calibration error: mean distance of confidence and accuracy over the bins, 0 to 1."""
    confidence, accuracy, share = reliability(scores, truth, said).T
    return float((np.abs(confidence - accuracy) * share).sum())


def standard_error(accuracy: float, count: int) -> float:
    """Return the standard error of an accuracy measured on ``count`` examples; the half-width of 68 % of chance."""
    return math.sqrt(max(accuracy * (1.0 - accuracy), 0.25 / max(count, 1)) / max(count, 1))
