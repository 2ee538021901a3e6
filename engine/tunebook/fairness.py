"""Sensitive attributes of predictions, and gaps between their groups while a model trains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tunebook.errors import RecipeError
from tunebook.groups import make_groups
from tunebook.monitors import GAP, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tunebook.decision import Decision
    from tunebook.examples import Examples

#: Prefix of the columns of ``predictions.parquet`` that hold sensitive attributes.
PREFIX = "group_"
#: Groups with fewer examples are left out of a gap: one example would move it by a tenth.
SMALLEST_GROUP = 10


def attributes(predictions: pd.DataFrame) -> list[str]:
    """Return the sensitive attributes that a table of predictions has."""
    return [str(c).removeprefix(PREFIX) for c in predictions.columns if str(c).startswith(PREFIX)]


class GapMeter:
    """
    Measures gaps in accuracy between groups of the same examples again and again, as after each epoch.

    Groups are made as in the bias report: numbers are binned, what is missing is a group of its own.

    Parameters
    ----------
    columns
        Attribute -> its value for each example, shape (n,).
    minimum
        Fewest examples with which a group counts.
    """

    def __init__(self, columns: Mapping[str, Sequence[object]], minimum: int = SMALLEST_GROUP) -> None:
        self._minimum = minimum
        self._codes: dict[str, np.ndarray] = {}
        self._large: dict[str, np.ndarray] = {}
        for name, values in columns.items():
            groups = make_groups(name, values)
            large = (groups.counts() >= minimum) & ~groups.is_pooled
            if large.sum() > 1:
                self._codes[name], self._large[name] = groups.codes, large

    @classmethod
    def of_examples(
        cls, examples: Examples, rows: np.ndarray, names: Sequence[str] | None = None, minimum: int = SMALLEST_GROUP
    ) -> GapMeter:
        """Return what measures some rows of examples by some of their sensitive attributes, or by all."""
        wanted = examples.sensitive if names is None else names
        return cls({name: examples.frame[name].iloc[rows].tolist() for name in wanted}, minimum)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes of which a gap can be measured: those with two groups that are large enough."""
        return tuple(self._codes)

    def check(self, monitor: str) -> None:
        """
        Refuse to choose an epoch by a gap that cannot be measured.

        Raises
        ------
        RecipeError
            ``monitor`` names an attribute that is not in :attr:`attributes`, or any and there is none.
        """
        name, _, attribute = monitor.partition(":")
        if name != GAP or (attribute in self._codes if attribute else self._codes):
            return
        have = ", ".join(self._codes) or "none"
        msg = (
            f"monitor={monitor!r}: no such attribute with two groups of {self._minimum} validation examples each; "
            f"there are: {have}; name one of them in sensitive, or choose {', '.join(WORDS)}"
        )
        raise RecipeError(msg)

    def measure(self, predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """
        Return the largest difference in accuracy between two groups, by attribute.

        Parameters
        ----------
        predicted, truth
            Class numbers, shape (n,); or ones and zeros, shape (n, classes), where all must be right.

        Returns
        -------
        dict
            Attribute -> gap, 0 to 1; of :attr:`attributes` only.
        """
        right = predicted == truth
        right = right.all(axis=1) if right.ndim > 1 else right
        found = {}
        for name, codes in self._codes.items():
            large = self._large[name]
            counts = np.bincount(codes, minlength=len(large))[large]
            accuracy = np.bincount(codes, weights=right, minlength=len(large))[large] / counts
            found[name] = float(accuracy.max() - accuracy.min())
        return found

    def measure_scores(
        self, scores: np.ndarray, truth: np.ndarray, decision: Decision | None = None
    ) -> dict[str, float]:
        """Return the same for probabilities, shape (n, classes), as they are decided; NaN where they are not finite."""
        from tunebook.labels import decide  # noqa: PLC0415

        if not np.isfinite(scores).all():
            return dict.fromkeys(self._codes, math.nan)
        return self.measure(decide(scores, multi_label=truth.ndim > 1, decision=decision), truth)
