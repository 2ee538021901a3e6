"""Thresholds by group for two classes: Fairlearn's ThresholdOptimizer, kept as numbers and applied without it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import DataError, StorageError
from tunebook.threshold_rule import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Gap that is to be closed -> Fairlearn's constraint. Thresholds cannot make accuracies equal; equal error rates of
#: both kinds come nearest.
CONSTRAINTS = {
    "accuracy": "equalized_odds",
    "macro_f1": "equalized_odds",
    "equalized_odds": "equalized_odds",
    "equal_opportunity": "true_positive_rate_parity",
    "demographic_parity": "demographic_parity",
}
#: Scores lie between 0 and 1, so these are as good as infinite, and JSON has them.
_LOWEST, _HIGHEST = -1.0, 2.0
_BINARY = 2


@dataclass(frozen=True)
class Threshold:
    """
    How one group's scores become decisions.

    An example is taken for positive with the chance ``mix * constant + (1 - mix) * (first_weight * [score beyond
    first] + second_weight * [score beyond second])``. Mostly one weight is 1, and there is no chance in it.

    Attributes
    ----------
    first, second
        Limits of the positive class's score.
    first_above, second_above
        Whether scores above the limit, or those below it, are beyond it.
    first_weight, second_weight
        At least 0, together 1.
    mix, constant
        Share of the examples that are decided without a score, and the chance of the positive class among them.
    """

    first: float
    first_above: bool = True
    first_weight: float = 1.0
    second: float = _HIGHEST
    second_above: bool = True
    second_weight: float = 0.0
    mix: float = 0.0
    constant: float = 0.0

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Threshold:
        """Read one group's numbers; raises what a wrong form raises: KeyError, TypeError or ValueError."""
        numbers = ("first", "first_weight", "second", "second_weight", "mix", "constant")
        values = {name: float(found[name]) for name in numbers}
        if not all(np.isfinite(value) for value in values.values()):
            raise ValueError("a number is not finite")
        return cls(
            values["first"], bool(found["first_above"]), values["first_weight"], values["second"],
            bool(found["second_above"]), values["second_weight"], values["mix"], values["constant"],
        )  # fmt: skip

    def chances(self, scores: np.ndarray) -> np.ndarray:
        """Return the chance of being taken for positive, shape (n,), of scores of shape (n,)."""
        one = scores > self.first if self.first_above else scores < self.first
        two = scores > self.second if self.second_above else scores < self.second
        found: np.ndarray = self.mix * self.constant + (1.0 - self.mix) * (
            self.first_weight * one + self.second_weight * two
        )
        return found


@dataclass(frozen=True)
class Thresholds:
    """
    Thresholds for each group.

    Attributes
    ----------
    positive
        Number of the positive class, 0 or 1.
    groups
        One a group; ``None`` for one that keeps the model's own decisions.
    own
        The model's own threshold: score of the positive class from which it is said, and above which it is with 0.5.
    """

    positive: int
    groups: tuple[Threshold | None, ...]
    own: float = PLAIN

    kind = "thresholds"

    def scores(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """
        Return the chance of each class to be decided for.

        Parameters
        ----------
        scores
            The model's probabilities, shape (n, 2).
        codes
            Group numbers, shape (n,); below 0 where there is no known group.
        """
        of_positive = scores[:, self.positive]
        chances = (of_positive >= self.own if self.own != PLAIN else of_positive > PLAIN).astype(np.float64)
        for code, threshold in enumerate(self.groups):
            inside = codes == code
            if threshold is not None and inside.any():
                chances[inside] = threshold.chances(of_positive[inside])
        found = np.empty((len(scores), _BINARY))
        found[:, self.positive], found[:, 1 - self.positive] = chances, 1.0 - chances
        return found

    def predict(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return class numbers, shape (n,). What is left to chance is drawn from the score: same score, same answer."""
        chances = self.scores(scores, codes)[:, self.positive]
        chosen = _draw(scores[:, self.positive]) < chances
        return np.where(chosen, self.positive, 1 - self.positive)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "positive": self.positive,
            "own": self.own,
            "groups": [None if one is None else dict(vars(one)) for one in self.groups],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Thresholds:
        """
        Read what :meth:`to_json` gave.

        Raises
        ------
        StorageError
            Something is missing or of a wrong form.
        """
        try:
            several = tuple(None if one is None else Threshold.from_json(one) for one in found["groups"])
            return cls(int(found["positive"]), several, float(found.get("own", PLAIN)))
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"remedy: its thresholds are damaged ({error}); export it again") from None


def fit_thresholds(
    scores: np.ndarray,
    truth: np.ndarray,
    codes: np.ndarray,
    number: int,
    *,
    positive: int,
    gap: str,
    minimum: int,
    own: float = PLAIN,
) -> tuple[Thresholds, list[int]]:
    """
    Find thresholds by group that close a gap at the least cost in accuracy [1]_.

    Parameters
    ----------
    scores
        The model's probabilities of validation examples, shape (n, 2).
    truth, codes
        Class and group numbers, shape (n,).
    number
        Number of groups.
    positive
        Number of the positive class.
    gap
        One of :data:`CONSTRAINTS`.
    minimum
        Fewest examples with which a group gets thresholds of its own.
    own
        The model's own threshold, which the others keep.

    Returns
    -------
    tuple of Thresholds and list of int
        The thresholds, and the groups that keep the model's own decisions: too small, or all of one class.

    Raises
    ------
    DataError
        Fewer than two groups are left.

    References
    ----------
    .. [1] Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS 2016; as
       ``fairlearn.postprocessing.ThresholdOptimizer``.
    """
    from fairlearn.postprocessing import ThresholdOptimizer  # noqa: PLC0415
    from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: PLC0415

    is_positive = (truth == positive).astype(np.int64)
    fits = [k for k in range(number) if _can_fit(is_positive[codes == k], minimum)]
    if len(fits) < _BINARY:
        raise DataError(
            f"thresholds: fewer than two groups have {minimum} validation examples and both classes; "
            "keep more for validation, with validation_fraction"
        )

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Its score is its only feature."""

        def fit(self, x: np.ndarray, y: np.ndarray) -> Given:  # noqa: ARG002
            self.classes_ = np.array([0, 1])
            return self

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            column = np.asarray(x, np.float64)[:, 0]
            return np.stack([1.0 - column, column], axis=1)

    rows = np.isin(codes, fits)
    column = scores[rows, positive].astype(np.float64)[:, None]
    optimizer = ThresholdOptimizer(
        estimator=Given().fit(column, is_positive[rows]), constraints=CONSTRAINTS[gap], prefit=True,
        predict_method="predict_proba",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.fit(column, is_positive[rows], sensitive_features=codes[rows])
    several: list[Threshold | None] = [None] * number
    for code, found in optimizer.interpolated_thresholder_.interpolation_dict.items():
        several[int(code)] = _read(found)
    return Thresholds(positive, tuple(several), own), [k for k in range(number) if k not in fits]


def _can_fit(is_positive: np.ndarray, minimum: int) -> bool:
    return len(is_positive) >= minimum and 0 < is_positive.sum() < len(is_positive)


def _read(found: Any) -> Threshold:  # noqa: ANN401
    """Take one group's numbers out of Fairlearn's own objects."""
    one, two = found.operation0, found.operation1
    return Threshold(
        first=_finite(one.threshold), first_above=one.operator == ">", first_weight=float(found.p0),
        second=_finite(two.threshold), second_above=two.operator == ">", second_weight=float(found.p1),
        mix=float(found.get("p_ignore", 0.0)), constant=float(found.get("prediction_constant", 0.0)),
    )  # fmt: skip


def _finite(threshold: float) -> float:
    return float(np.clip(threshold, _LOWEST, _HIGHEST))


def _draw(scores: np.ndarray | Sequence[float]) -> np.ndarray:
    """Return numbers from 0 to 1 that look random and depend on nothing but a score, by SplitMix64's last steps."""
    bits = np.asarray(scores, np.float32).view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed = bits * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
