"""What a remedy does: to accuracy, to the gap between groups, and to the group that was best off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunebook.comparison import GAP_WORDS, Change, Comparison, Gap
from tunebook.intervals import LEVEL, wilson
from tunebook.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.groups import Groups

#: What a model without any remedy is called.
AS_TUNED = "as tuned"
#: The normal distribution's quantile for 95 %.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Shift:
    """
    An accuracy, and how a remedy changed it on the same examples.

    Attributes
    ----------
    value, low, high
        Accuracy with the remedy and its 95 % interval.
    change, change_low, change_high
        That less the accuracy as tuned.
    n
        Examples.
    group
        Name of the group that it is of; empty for all.
    """

    value: float
    low: float
    high: float
    change: float
    change_low: float
    change_high: float
    n: int
    group: str = ""


@dataclass(frozen=True)
class Effect:
    """
    What one remedy does on one split.

    Attributes
    ----------
    name
        The remedy.
    split
        The split.
    overall
        Accuracy of all examples.
    gap
        The gap between groups, with its interval.
    change
        How the gap changed; ``None`` for the model as tuned.
    best_off, worst_off
        Accuracy of the groups that were best and worst off as tuned, of those that count; ``None`` where none does.
    """

    name: str
    split: str
    overall: Shift
    gap: Gap
    change: Change | None
    best_off: Shift | None
    worst_off: Shift | None

    def sentence(self, attribute: str) -> str:
        """Say it in words that need no statistics."""
        word = f"the gap in {GAP_WORDS[self.gap.name]} by {attribute}"
        if self.change is None or np.isnan(self.change.change):
            return f"As tuned, {word} is {_points(self.gap.difference)}."
        before, after, change = self.change.before, self.change.after, self.change
        sure = change.high < 0.0 or change.low > 0.0
        verb = "leaves" if round(100 * before) == round(100 * after) else "narrows" if change.change < 0 else "widens"
        said = (
            f"“{self.name}” leaves {word} at {_points(after)}"
            if verb == "leaves"
            else f"“{self.name}” {verb} {word} from {round(100 * before)} to {_points(after)}"
        )
        said += "" if sure or verb == "leaves" else ", which chance alone could do"
        if self.best_off is not None:
            cost = -self.best_off.change
            words = "costs" if cost > 0 else "gives" if cost < 0 else ""
            of = f"the group that was best off, “{self.best_off.group}”"
            said += (
                f"; it {words} {of}, {_points(abs(cost))}" if round(100 * abs(cost)) else f"; it costs {of}, nothing"
            )
        return (
            f"{said}; accuracy of all is {self.overall.value:.3f}, was {self.overall.value - self.overall.change:.3f}."
        )


def _points(share: float) -> str:
    if np.isnan(share):
        return "undefined"
    number = round(100 * share)
    return f"{number} point{'' if number == 1 else 's'}"


def measure_effect(
    name: str, split: str, gap: str, groups: Groups, rows: np.ndarray, classes: Sequence[str], truth: np.ndarray,
    tuned: np.ndarray, predicted: np.ndarray, *, positive: str, minimum: int, draws: int, seed: int,
) -> Effect:  # fmt: skip
    """
    Measure a remedy on one split beside the model as tuned, by the bias report's own rules.

    Parameters
    ----------
    name, split, gap
        Of the remedy, of the split, and one of :data:`tunebook.comparison.GAPS`.
    groups, rows
        How the attribute divides a table of predictions, and which of its rows are compared, shape (n,).
    classes
        Class names.
    truth, tuned, predicted
        Class numbers, shape (n,).
    positive, minimum, draws, seed
        As for :class:`tunebook.comparison.Comparison`.
    """
    is_tuned = name == AS_TUNED
    models = (AS_TUNED,) if is_tuned else (AS_TUNED, name)
    said = (tuned,) if is_tuned else (tuned, predicted)
    outcomes = Outcomes(tuple(classes), models, rows, truth, said, ())
    comparison = Comparison(groups, outcomes, rows, positive=positive, minimum=minimum, draws=draws, seed=seed)
    label = comparison.labels(gap)[0]
    right, was = predicted == truth, tuned == truth
    codes = groups.codes[rows]
    column = comparison.column("accuracy")
    counted = np.flatnonzero(comparison.counted[0, :, column])
    ends: list[Shift | None] = [None, None]
    if len(counted):
        order = counted[np.argsort(comparison.figures[0, counted, column], kind="stable")]
        ends = [_shift(right, was, codes == code, groups.names[code]) for code in (order[-1], order[0])]
    everyone = _shift(right, was, np.ones(len(rows), bool), "")
    return Effect(name, split, everyone, comparison.gap(gap, label), comparison.change(gap, label), *ends)


def _shift(right: np.ndarray, was: np.ndarray, inside: np.ndarray, group: str) -> Shift:
    count = int(inside.sum())
    hits = right[inside].astype(np.float64)
    low, high = wilson(np.array(hits.sum()), np.array(count))
    step = hits - was[inside]
    change = float(step.mean())
    # Two examples that changed by chance are added, one each way: without them no change would look certain.
    half = _Z * float(np.sqrt(((step - change) ** 2).sum() + 2.0)) / max(count, 1) if step.any() else 0.0
    return Shift(float(hits.mean()), float(low), float(high), change, change - half, change + half, count, group)


def pareto_front(accuracies: Sequence[float], gaps: Sequence[float]) -> list[int]:
    """
    Return the points that no other one beats in both, from the smallest gap to the largest.

    Parameters
    ----------
    accuracies, gaps
        Of each point: the larger and the smaller is better; NaN is beaten by all.
    """
    order = sorted(
        (k for k, (a, g) in enumerate(zip(accuracies, gaps, strict=True)) if not np.isnan(a + g)),
        key=lambda k: (gaps[k], -accuracies[k]),
    )
    found: list[int] = []
    best = -np.inf
    for k in order:
        if accuracies[k] > best:
            found.append(k)
            best = accuracies[k]
    return found


__all__ = ["AS_TUNED", "LEVEL", "Effect", "Shift", "measure_effect", "pareto_front"]
