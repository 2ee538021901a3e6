"""Calibration by group for any number of classes: a temperature, and an offset for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.decision import Decision
from tunebook.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook.remedy_choice import GroupFigures

#: How much more a point of the gap counts than a point of accuracy, in the searches that are compared.
STRENGTHS = (0.25, 0.5, 1.0, 2.0)
#: Classes up to which offsets are searched one by one.
MOST_CLASSES = 20
#: Offsets that are tried, added to a logarithm of a probability.
_TRIED = np.array([-1.5, -1.0, -0.6, -0.3, -0.15, 0.0, 0.15, 0.3, 0.6, 1.0, 1.5])
_SWEEPS = 3
#: What an offset of 1 must bring at least, as a share of the examples: without it, noise would be fitted.
_PRICE = 0.001
#: Weight of the belief that the model is right as it is, in the units of an example's log-likelihood.
_BELIEF = 2.0
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Offsets:
    """
    A temperature and offsets for each group: the score of a class is ``softmax(log(p) / temperature + offset)``.

    Attributes
    ----------
    temperatures
        Shape (groups,), above 0; 1 changes nothing.
    offsets
        Shape (groups, classes); 0 changes nothing.
    decision
        When the adjusted score of the positive one of two classes is one for it; ``None`` decides for the largest.
    """

    temperatures: np.ndarray
    offsets: np.ndarray
    decision: Decision | None = None

    kind = "offsets"

    def logits(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return what the softmax is taken of, shape (n, classes)."""
        known = np.maximum(codes, 0)
        inside = (codes >= 0)[:, None]
        logits = np.log(np.clip(scores.astype(np.float64), _SMALLEST, 1.0))
        found: np.ndarray = np.where(inside, logits / self.temperatures[known][:, None] + self.offsets[known], logits)
        return found

    def scores(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """
        Return the adjusted probabilities.

        Parameters
        ----------
        scores
            The model's probabilities, shape (n, classes).
        codes
            Group numbers, shape (n,); below 0 where there is no known group: those stay as they are.
        """
        return _softmax(self.logits(scores, codes))

    def predict(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return class numbers, shape (n,)."""
        found: np.ndarray = self.raised(self.logits(scores, codes)).argmax(axis=1)
        return found

    def raised(self, logits: np.ndarray) -> np.ndarray:
        """Return logits of which the largest is decided for: the positive class has to pass its threshold's odds."""
        if self.decision is None or self.decision.is_plain:
            return logits
        odds = np.zeros(logits.shape[-1])
        odds[self.decision.positive] = np.log(self.decision.threshold / (1.0 - self.decision.threshold))
        found: np.ndarray = logits - odds
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "temperatures": [round(float(value), 9) for value in self.temperatures],
            "offsets": [[round(float(value), 9) for value in row] for row in self.offsets],
            **({} if self.decision is None else vars(self.decision)),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Offsets:
        """
        Read what :meth:`to_json` gave.

        Raises
        ------
        StorageError
            Something is missing or of a wrong form.
        """
        try:
            temperatures = np.array(found["temperatures"], np.float64)
            offsets = np.array(found["offsets"], np.float64)
            own = Decision(int(found["positive"]), float(found["threshold"])) if "threshold" in found else None
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"remedy: its offsets are damaged ({error}); export it again") from None
        fits = temperatures.ndim == 1 and offsets.ndim == 2 and len(offsets) == len(temperatures)  # noqa: PLR2004
        if not fits or not np.isfinite(offsets).all() or not (np.isfinite(temperatures) & (temperatures > 0)).all():
            raise StorageError("remedy: its offsets are damaged (shapes or values do not fit); export it again")
        if own is not None and not (offsets.shape[1] == 2 and own.positive in (0, 1) and 0.0 < own.threshold < 1.0):  # noqa: PLR2004
            raise StorageError("remedy: its threshold is damaged; export it again")
        return cls(temperatures, offsets, own)


def fit_calibration(
    scores: np.ndarray,
    truth: np.ndarray,
    codes: np.ndarray,
    number: int,
    minimum: int,
    decision: Decision | None = None,
) -> Offsets:
    """
    Fit a temperature and class offsets for each group by penalised maximum likelihood.

    It is bias-corrected temperature scaling [1]_ [2]_, by group. The penalty stands for a belief in the
    model as it is, so that a small group is changed little.

    Parameters
    ----------
    scores
        The model's probabilities of validation examples, shape (n, classes).
    truth, codes
        Class and group numbers, shape (n,).
    number
        Number of groups.
    minimum
        Fewest examples with which a group is calibrated; smaller ones stay as they are.
    decision
        Of two classes: how the model decides, and goes on deciding.

    References
    ----------
    .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    .. [2] Alexandari et al., "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat", ICML 2020.
    """
    classes = scores.shape[1]
    found = Offsets(np.ones(number), np.zeros((number, classes)), decision)
    logits = np.log(np.clip(scores.astype(np.float64), _SMALLEST, 1.0))
    for code in range(number):
        inside = codes == code
        if inside.sum() >= minimum:
            found.temperatures[code], found.offsets[code] = _calibrate(logits[inside], truth[inside])
    return found


def _calibrate(logits: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # noqa: PLC0415

    rows, classes = np.arange(len(truth)), logits.shape[1]
    wanted = np.eye(classes)[truth]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        # The slope is the inverse of the temperature, by its logarithm, so that it stays above 0.
        slope, offsets = np.exp(values[0]), values[1:]
        shares = _softmax(slope * logits + offsets)
        residuals = shares - wanted
        likelihood = -np.log(np.maximum(shares[rows, truth], _SMALLEST)).sum()
        gradient = np.concatenate([[slope * (residuals * logits).sum()], residuals.sum(axis=0)])
        return likelihood + _BELIEF * float(values @ values), gradient + 2.0 * _BELIEF * values

    limits = [(-2.0, 2.0), *[(-4.0, 4.0)] * classes]
    best = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=limits).x
    return float(np.exp(-best[0])), best[1:] - best[1:].mean()


def fit_offsets(
    start: Offsets, scores: np.ndarray, truth: np.ndarray, codes: np.ndarray, figures: GroupFigures, strength: float
) -> Offsets:
    """
    Search offsets by group that make accuracy large and a gap small.

    That the best fair decision is the largest of scores with an offset for each group and class is shown by [1]_ for
    demographic parity and by [2]_ for other gaps. Offsets are changed one at a time, each to the best of a few values,
    in three rounds.

    Parameters
    ----------
    start
        Where the search begins; groups that it leaves as they are, with all offsets 0, are searched too if they count.
    scores, truth, codes
        As for :func:`fit_calibration`.
    figures
        What is measured, and which groups count.
    strength
        Points of accuracy that a point of the gap is worth, at least 0.

    References
    ----------
    .. [1] Denis et al., "Fairness guarantees in multi-class classification with demographic parity", JMLR 2024.
    .. [2] Xian and Zhao, "A Unified Post-Processing Framework for Group Fairness in Classification", 2024.
    """
    found = replace(start, offsets=start.offsets.copy())
    classes = scores.shape[1]
    logits = found.raised(replace(found, offsets=np.zeros_like(found.offsets)).logits(scores, codes))
    tables = begun = figures.tables(found.predict(scores, codes), truth, codes)
    for sweep in range(_SWEEPS):
        # From weak to strong, the worst off first: what helps a group comes before what harms another.
        force = strength * (sweep + 1) / _SWEEPS
        for group in figures.worst_first(tables):
            inside = codes == group
            own, of = logits[inside], truth[inside]
            for column in range(classes):
                others = own + found.offsets[group]
                others[:, column] = -np.inf
                rival = others.argmax(axis=1)
                tried = start.offsets[group, column] + _TRIED
                wins = own[:, column] + tried[:, None] > others.max(axis=1)
                several = np.repeat(tables[None], len(tried), axis=0)
                several[:, group] = figures.tabulate(np.where(wins, column, rival), of)
                price = _PRICE * np.abs(tried - start.offsets[group, column])
                best = int(np.argmax(_worth(figures, several, force) - price))
                found.offsets[group, column] = tried[best]
                tables = several[best]
    return found if _worth(figures, tables, strength) >= _worth(figures, begun, strength) else start


def _worth(figures: GroupFigures, tables: np.ndarray, strength: float) -> np.ndarray:
    accuracy, gap = figures.measure(tables)
    found: np.ndarray = accuracy - strength * np.nan_to_num(gap)
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return found
