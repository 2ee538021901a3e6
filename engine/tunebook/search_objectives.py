"""What a search makes large or small, always measured on the validation set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import DataError, RecipeError, did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.examples import Examples

#: Objective -> what Optuna calls its direction.
DIRECTIONS = {"accuracy": "maximize", "macro_f1": "maximize", "loss": "minimize", "gap": "minimize"}
#: Groups with fewer validation examples are left out of a gap: one example would move it by a tenth.
SMALLEST_GROUP = 10
#: A front of more than two objectives cannot be looked at.
_MOST = 2


@dataclass(frozen=True)
class Objective:
    """
    One objective.

    Attributes
    ----------
    name
        One of :data:`DIRECTIONS`.
    attribute
        For ``gap``: the sensitive attribute; empty takes the largest gap of all of them.
    """

    name: str
    attribute: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.attribute}" if self.attribute else self.name

    @property
    def direction(self) -> str:
        """``"maximize"`` or ``"minimize"``."""
        return DIRECTIONS[self.name]

    @property
    def sign(self) -> float:
        """1 where larger is better, else -1."""
        return 1.0 if self.direction == "maximize" else -1.0


def read_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """
    Read objectives as they are written: ``accuracy``, ``macro_f1``, ``loss``, ``gap`` or ``gap:attribute``.

    Raises
    ------
    RecipeError
        One is unknown, is there twice, or there are none or more than two.
    """
    forms = "accuracy, macro_f1, loss, gap, gap:attribute"
    found: list[Objective] = []
    for text in texts:
        name, colon, attribute = str(text).strip().partition(":")
        if name not in DIRECTIONS or (colon and (name != "gap" or not attribute)):
            msg = f"objective {shown(text)}{did_you_mean(name, DIRECTIONS)}; allowed: {forms}"
            raise RecipeError(msg)
        found.append(Objective(name, attribute))
    if not 1 <= len(found) <= _MOST or len(set(found)) != len(found):
        msg = f"objectives {shown([str(o) for o in found])}: one, or two different ones for a Pareto front; {forms}"
        raise RecipeError(msg)
    return tuple(found)


class Judge:
    """
    Measures objectives on the validation set of some examples.

    Parameters
    ----------
    objectives
        What to measure.
    examples
        Of their validation set alone anything is looked at.

    Raises
    ------
    DataError
        A gap is asked for and the data has no such attribute, or no two groups large enough.
    """

    def __init__(self, objectives: Sequence[Objective], examples: Examples) -> None:
        self.objectives = tuple(objectives)
        self.rows = examples.rows("validation")
        self._truth = examples.targets()[self.rows]
        self._multi_label = examples.multi_label
        self._groups = {
            objective: {name: self._members(examples, name) for name in _attributes(objective, examples)}
            for objective in self.objectives
            if objective.name == "gap"
        }
        for objective, attributes in self._groups.items():
            if not any(len(groups) > 1 for groups in attributes.values()):
                msg = (
                    f"objective {objective}: the validation set has no two groups of {SMALLEST_GROUP} examples by "
                    f"{', '.join(attributes)}; use more data, or another objective"
                )
                raise DataError(msg)

    @property
    def needs_scores(self) -> bool:
        """Whether single predictions are looked at, not metrics alone."""
        return bool(self._groups)

    def values(self, metrics: Mapping[str, Any], scores: np.ndarray | None = None) -> tuple[float, ...]:
        """
        Return the value of each objective.

        Parameters
        ----------
        metrics
            Of the validation set, see :func:`tunebook.metrics.measure`.
        scores
            Its probabilities, shape (n, classes); needed for a gap.
        """
        return tuple(
            self._gap(objective, scores) if objective.name == "gap" else float(metrics[objective.name])
            for objective in self.objectives
        )

    def _gap(self, objective: Objective, scores: np.ndarray | None) -> float:
        from tunebook.labels import decide  # noqa: PLC0415

        assert scores is not None  # noqa: S101 - needs_scores said so
        right = decide(scores, multi_label=self._multi_label) == self._truth
        right = right.all(axis=1) if right.ndim > 1 else right
        if not np.isfinite(scores).all():
            return math.nan
        gaps = [
            max(accuracies) - min(accuracies)
            for groups in self._groups[objective].values()
            if len(accuracies := [float(right[members].mean()) for members in groups]) > 1
        ]
        return max(gaps)

    def _members(self, examples: Examples, attribute: str) -> list[np.ndarray]:
        values = examples.frame[attribute].iloc[self.rows].astype(str).to_numpy()
        groups = [np.flatnonzero(values == value) for value in np.unique(values)]
        return [members for members in groups if len(members) >= SMALLEST_GROUP]


def _attributes(objective: Objective, examples: Examples) -> tuple[str, ...]:
    known = examples.sensitive
    if not known:
        msg = f"objective {objective}: the data has no sensitive attribute; name its columns with sensitive"
        raise DataError(msg)
    if objective.attribute and objective.attribute not in known:
        hint = did_you_mean(objective.attribute, known)
        msg = f"objective {objective}: no sensitive attribute {shown(objective.attribute)}{hint}; it has: " + ", ".join(
            known
        )
        raise DataError(msg)
    return (objective.attribute,) if objective.attribute else known
