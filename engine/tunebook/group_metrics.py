"""Metrics of groups as sums over cells, by Fairlearn's definitions. What cannot be computed is NaN, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Metrics of a whole group; those of one class against the rest.
WHOLE = ("accuracy", "macro_f1", "calibration_error")
BY_CLASS = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
#: What a metric is called in words.
WORDS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "calibration_error": "calibration error",
    "selection_rate": "selection rate",
    "true_positive_rate": "true positive rate",
    "false_positive_rate": "false positive rate",
    "precision": "precision",
}
#: Metrics of which less is better; of a selection rate neither is.
LESS_IS_BETTER = frozenset({"calibration_error", "false_positive_rate"})


@dataclass(frozen=True)
class Metric:
    """
    A metric of a group.

    Attributes
    ----------
    name
        One of :data:`WHOLE` or :data:`BY_CLASS`.
    label
        The class that is looked at against the rest; empty for a metric of all.
    """

    name: str
    label: str = ""

    def __str__(self) -> str:
        return f"{WORDS[self.name]}, {self.label}" if self.label else WORDS[self.name]


def metric_list(classes: Sequence[str]) -> list[Metric]:
    """Return all rates in the order of :func:`rates`, then macro-F1 and the calibration error."""
    found = [Metric("accuracy")]
    found += [Metric(name, label) for name in BY_CLASS for label in classes]
    return [*found, Metric("macro_f1"), Metric("calibration_error")]


class OutcomeSums:
    """
    What the cells of truth and prediction add up to.

    The sums of a group are: its examples; those that are right; then for each class those that are right and of it,
    those that are of it, and those that are said to be.

    Parameters
    ----------
    truth, predicted
        Of each cell: class numbers, shape (cells,); or ones and zeros, shape (cells, classes).
    classes
        Number of classes.
    """

    def __init__(self, truth: np.ndarray, predicted: np.ndarray, classes: int) -> None:
        if truth.ndim == 1:
            every = np.arange(classes)
            of, said = truth[:, None] == every, predicted[:, None] == every
            right = truth == predicted
        else:
            of, said = truth > 0, predicted > 0
            right = (of == said).all(axis=1)
        columns = [np.ones((len(truth), 1)), right[:, None], of & said, of, said]
        self.design = np.concatenate(columns, axis=1, dtype=np.float64, casting="unsafe")

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """Return the sums, shape (..., 2 + 3 * classes), of counts of shape (..., cells)."""
        found: np.ndarray = counts.astype(np.float64) @ self.design
        return found


def rates(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the metrics that are a share of some examples, as counts.

    Parameters
    ----------
    sums
        From :class:`OutcomeSums`, shape (..., 2 + 3 * classes).

    Returns
    -------
    tuple of numpy.ndarray
        Numerators and denominators, shape (..., 1 + 4 * classes): accuracy; then selection rate, true positive rate,
        false positive rate and precision, for each class against the rest.
    """
    classes = (sums.shape[-1] - 2) // 3
    size, right = sums[..., :1], sums[..., 1:2]
    both, of, said = (sums[..., 2 + k * classes : 2 + (k + 1) * classes] for k in range(3))
    sizes = np.broadcast_to(size, of.shape)
    numerators = np.concatenate([right, said, both, said - both, both], axis=-1)
    return numerators, np.concatenate([size, sizes, of, sizes - of, said], axis=-1)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 over the classes that occur in a group's truth or predictions, shape (...); 0 to 1."""
    classes = (sums.shape[-1] - 2) // 3
    both, of, said = (sums[..., 2 + k * classes : 2 + (k + 1) * classes] for k in range(3))
    occurs = of + said > 0
    f1 = 2.0 * both / np.where(occurs, of + said, 1.0)
    return divided(f1.sum(axis=-1), occurs.sum(axis=-1))


def divided(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Divide counts; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(denominators > 0, numerators / denominators, np.nan)
    return found
