"""What a search makes large or small, always measured on the validation set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import DataError, RecipeError, did_you_mean, shown
from tunebook.monitors import FORMS, GAP, check_monitor, larger_is_better, measured, undefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.decision import Decider
    from tunebook.examples import Examples
    from tunebook.fairness import GapMeter

#: A front of more than two objectives cannot be looked at.
_MOST = 2


@dataclass(frozen=True)
class Objective:
    """
    One objective.

    Attributes
    ----------
    name
        One of :data:`tunebook.monitors.WORDS`, or ``gap``.
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
        return "maximize" if larger_is_better(self.name) else "minimize"

    @property
    def sign(self) -> float:
        """1 where larger is better, else -1."""
        return 1.0 if larger_is_better(self.name) else -1.0


def read_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """
    Read objectives as they are written: a metric of :data:`tunebook.monitors.WORDS`, ``gap`` or ``gap:attribute``.

    Raises
    ------
    RecipeError
        One is unknown, is there twice, or there are none or more than two.
    """
    found: list[Objective] = []
    for text in texts:
        try:
            name, _, attribute = check_monitor(str(text).strip()).partition(":")
        except ValueError as error:
            msg = f"objective {shown(text)}: {error}; allowed: {FORMS}"
            raise RecipeError(msg) from None
        found.append(Objective(name, attribute))
    if not 1 <= len(found) <= _MOST or len(set(found)) != len(found):
        msg = f"objectives {shown([str(o) for o in found])}: one, or two different ones for a Pareto front; {FORMS}"
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
    decider
        Finds the threshold between two classes, for gaps.

    Raises
    ------
    DataError
        A gap is asked for and the data has no such attribute, or no two groups large enough; or the validation set
        has examples of one class only.
    """

    def __init__(self, objectives: Sequence[Objective], examples: Examples, decider: Decider | None = None) -> None:
        self.objectives = tuple(objectives)
        self.rows = examples.rows("validation")
        self._truth = examples.targets()[self.rows]
        self._decider = decider
        from tunebook.fairness import SMALLEST_GROUP, GapMeter  # noqa: PLC0415 - the command line needs no pandas

        self._meters: dict[Objective, GapMeter] = {}
        counts = examples.class_counts("validation").tolist()
        for objective in self.objectives:
            why = undefined(objective.name, counts, len(self.rows))
            if why:
                raise DataError(f"objective {objective}: {why}")
            if objective.name == GAP:
                names = _attributes(objective, examples)
                meter = GapMeter.of_examples(examples, self.rows, names)
                if not meter.attributes:
                    msg = (
                        f"objective {objective}: the validation set has no two groups of {SMALLEST_GROUP} examples by "
                        f"{', '.join(names)}; use more data, or another objective"
                    )
                    raise DataError(msg)
                self._meters[objective] = meter

    @property
    def needs_scores(self) -> bool:
        """Whether single predictions are looked at, not metrics alone."""
        return bool(self._meters)

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
            self._gap(objective, scores) if objective.name == GAP else measured(metrics, objective.name)
            for objective in self.objectives
        )

    def _gap(self, objective: Objective, scores: np.ndarray | None) -> float:
        assert scores is not None  # noqa: S101 - needs_scores said so
        decision = None
        if self._decider is not None and np.isfinite(scores).all():
            decision = self._decider.choose(scores, self._truth)
        gaps = self._meters[objective].measure_scores(scores, self._truth, decision)
        return math.nan if any(math.isnan(gap) for gap in gaps.values()) else max(gaps.values())


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
