"""Which of several remedies to take, by what they do on validation examples that they were not fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook.comparison import FEWEST_OF_A_RATE, GAPS
from tunebook.group_metrics import OutcomeSums, divided, macro_f1, metric_list, rates
from tunebook.intervals import gap_size
from tunebook.metrics import standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Parts into which validation examples are put: each is judged by what was fitted on the others.
FOLDS = 5


class GroupFigures:
    """
    Measures accuracy and one gap of many predictions at once.

    Parameters
    ----------
    classes
        Number of classes.
    gap
        One of :data:`tunebook.comparison.GAPS`, but not that of calibration.
    positive
        With two classes: the number of the one that rates are of; below 0 takes the worst class.
    counts
        Which groups count, shape (groups,), bool.
    """

    def __init__(self, classes: int, gap: str, positive: int, counts: np.ndarray) -> None:
        self.classes, self.counts = classes, counts
        cells = np.arange(classes)
        self._sums = OutcomeSums(np.repeat(cells, classes), np.tile(cells, classes), classes)
        label = str(positive) if positive >= 0 else ""
        self._columns = [
            k
            for k, metric in enumerate(metric_list([str(k) for k in cells])[:-2])
            if metric.name in GAPS[gap] and (not label or metric.label in ("", label))
        ]
        self._is_f1 = gap == "macro_f1"

    def tabulate(self, predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Count truth and prediction, shape (..., classes²), of class numbers of shape (..., n)."""
        several = np.atleast_2d(predicted)
        cells = self.classes**2
        code = np.arange(len(several))[:, None] * cells + truth * self.classes + several
        found = np.bincount(code.ravel(), minlength=len(several) * cells).reshape(len(several), cells)
        return found if predicted.ndim > 1 else found[0]

    def tables(self, predicted: np.ndarray, truth: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Count truth and prediction by group, shape (groups + 1, classes²); the last are in no known group."""
        number, cells = len(self.counts), self.classes**2
        code = np.where(codes < 0, number, codes) * cells + truth * self.classes + predicted
        return np.bincount(code, minlength=(number + 1) * cells).reshape(number + 1, cells)

    def measure(self, tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return accuracy and gap, both of shape (...), of counts of shape (..., groups + 1, classes²)."""
        whole = self._sums(tables.sum(axis=-2))
        accuracy = divided(whole[..., 1], whole[..., 0])
        sums = self._sums(tables[..., :-1, :][..., self.counts, :])
        if self._is_f1:
            return accuracy, gap_size(macro_f1(sums)[..., None])
        numerators, denominators = (share[..., self._columns] for share in rates(sums))
        values = divided(numerators, np.where(denominators >= FEWEST_OF_A_RATE, denominators, 0.0))
        return accuracy, gap_size(values)

    def worst_first(self, tables: np.ndarray) -> np.ndarray:
        """Return the numbers of the groups that count, by their accuracy in counts of shape (groups + 1, classes²)."""
        sums = self._sums(tables[:-1])
        accuracy = divided(sums[:, 1], sums[:, 0])
        groups = np.flatnonzero(self.counts)
        found: np.ndarray = groups[np.argsort(np.nan_to_num(accuracy[groups], nan=1.0), kind="stable")]
        return found

    def judge(self, predicted: np.ndarray, truth: np.ndarray, codes: np.ndarray) -> tuple[float, float]:
        """Return accuracy and gap of class numbers of shape (n,); NaN where a gap is undefined."""
        accuracy, gap = self.measure(self.tables(predicted, truth, codes))
        return float(accuracy), float(gap)


def choose(accuracies: Sequence[float], gaps: Sequence[float], count: int, *, least: float = -np.inf) -> int:
    """
    Return the number of the candidate with the smallest gap of those that cost no more than a standard error.

    It is the one-standard-error rule [1]_: accuracies that close cannot be told apart anyway.

    Parameters
    ----------
    accuracies, gaps
        Of each candidate on the same examples; a gap that is NaN counts as the largest.
    count
        Number of the examples.
    least
        An accuracy that is to be kept within a standard error as well: that of the model as it is.

    References
    ----------
    .. [1] Breiman et al., "Classification and Regression Trees", 1984, chapter 3.4.3.
    """
    best = max(*accuracies, least)
    limit = best - standard_error(best, count)
    order = [
        (accuracy < limit, np.inf if np.isnan(gap) else round(gap, 9), -accuracy)
        for accuracy, gap in zip(accuracies, gaps, strict=True)
    ]
    # Where none is near enough, the most accurate comes nearest.
    if all(entry[0] for entry in order):
        return int(np.argmax(accuracies))
    return min(range(len(order)), key=order.__getitem__)


def weigh(accuracies: Sequence[float], gaps: Sequence[float]) -> int:
    """
    Return the number of the candidate with the largest accuracy less gap, as Fairlearn's grid search chooses.

    Parameters
    ----------
    accuracies, gaps
        Of each candidate on the same examples; a gap that is NaN counts as the largest, 1.
    """
    worth = np.asarray(accuracies) - np.nan_to_num(np.asarray(gaps, np.float64), nan=1.0)
    return int(np.argmax(np.round(worth, 9)))


def make_folds(truth: np.ndarray, codes: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold of each example, shape (n,): each has its share of every group and class."""
    order = np.random.default_rng([seed, 71]).permutation(len(truth))
    order = order[np.lexsort((truth[order], codes[order]))]
    found = np.empty(len(truth), np.int64)
    found[order] = np.arange(len(truth)) % FOLDS
    return found


def cross_predict(folds: np.ndarray, predict: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """
    Return for each example the prediction of what was fitted without it, shape (n,).

    Parameters
    ----------
    folds
        From :func:`make_folds`.
    predict
        Given the rows to fit on and those to predict gives class numbers of the latter.
    """
    found = np.empty(len(folds), np.int64)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        found[rows] = predict(np.flatnonzero(folds != fold), rows)
    return found
