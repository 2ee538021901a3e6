"""Which of two classes probabilities stand for: the threshold of the positive class, given or chosen on validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import RecipeError, did_you_mean, shown
from tunebook.threshold_rule import PLAIN, ThresholdRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe

_BINARY = 2
#: Validation examples of a class, below which the threshold chosen on them is remarked on.
_FEW = 10
#: Digits that tell any two 64-bit numbers apart.
_DIGITS = 17


@dataclass(frozen=True)
class Decision:
    """
    When an example is taken for the positive class.

    Attributes
    ----------
    positive
        Number of the positive class, 0 or 1.
    threshold
        Score of that class from which it is said, above 0 and below 1; with 0.5 the more probable class is.
    """

    positive: int
    threshold: float = PLAIN

    @property
    def is_plain(self) -> bool:
        """Whether the more probable class is said."""
        return self.threshold == PLAIN

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return class numbers, shape (n,), int64, of probabilities of shape (n, 2)."""
        if self.is_plain:
            found: np.ndarray = scores.argmax(axis=1)
            return found
        chosen = scores[:, self.positive].astype(np.float64) >= self.threshold
        return np.where(chosen, self.positive, 1 - self.positive)

    @classmethod
    def of_run(cls, metrics: Mapping[str, Any]) -> Decision | None:
        """Return the decision in ``metrics.json``; ``None`` where there are not two classes, or an old run has none."""
        found = metrics.get("decision")
        if not found:
            return None
        return cls(metrics["classes"].index(found["positive"]), float(found["threshold"]))


@dataclass(frozen=True)
class Decider:
    """
    Finds the decision of a model on two classes.

    Attributes
    ----------
    rule
        How its threshold is found.
    positive
        Number of the positive class, 0 or 1.
    classes
        Names of the two classes.
    """

    rule: ThresholdRule
    positive: int
    classes: tuple[str, ...]

    @classmethod
    def of_recipe(cls, recipe: Recipe, classes: Sequence[str], *, multi_label: bool) -> Decider | None:
        """
        Return what decides between the classes of a recipe's data.

        Returns
        -------
        Decider or None
            ``None`` where there are not two classes of which an example has one: the most probable one is said, or with
            several classes an example each from 0.5.

        Raises
        ------
        RecipeError
            The recipe asks for a threshold or a positive class and there are not two classes, or not that one.
        """
        rule = ThresholdRule.read(recipe.threshold)
        if multi_label or len(classes) != _BINARY:
            asked = [f"threshold={recipe.threshold!r}"] if not rule.is_plain else []
            asked += [f"positive={shown(recipe.positive)}"] if recipe.positive else []
            if asked:
                why = (
                    "with multi_label each class is decided by itself, from 0.5"
                    if multi_label
                    else f"there are {len(classes)}, of which the most probable is said"
                )
                msg = f"{asked[0]} is for two classes, and {why}; leave it out"
                raise RecipeError(msg)
            return None
        if recipe.positive and recipe.positive not in classes:
            hint = did_you_mean(recipe.positive, classes)
            msg = f"positive={shown(recipe.positive)}: no such class{hint}; there are {', '.join(map(shown, classes))}"
            raise RecipeError(msg)
        positive = classes.index(recipe.positive) if recipe.positive else 1
        return cls(rule, positive, tuple(classes))

    @classmethod
    def of_examples(cls, recipe: Recipe, examples: Examples) -> Decider | None:
        """
        Return what decides between the classes of some examples, see :meth:`of_recipe`.

        Raises
        ------
        RecipeError
            As there; or a threshold is to be chosen and the validation set has examples of one class only.
        """
        found = cls.of_recipe(recipe, examples.classes, multi_label=examples.multi_label)
        if found is not None and found.rule.kind != "fixed":
            counts = examples.class_counts("validation")
            if not counts.all():
                name = shown(examples.classes[int(np.argmin(counts))])
                msg = (
                    f"threshold={recipe.threshold!r}: it is chosen on the validation set, which has no example of "
                    f"{name}; keep more with validation_fraction, or give a number"
                )
                raise RecipeError(msg)
        return found

    def choose(self, scores: np.ndarray, truth: np.ndarray) -> Decision:
        """
        Find the threshold.

        Parameters
        ----------
        scores
            Probabilities of validation examples, shape (n, 2).
        truth
            Class numbers, shape (n,).
        """
        if self.rule.kind == "fixed":
            return Decision(self.positive, self.rule.numbers[0])
        cuts = _Cuts.of(scores[:, self.positive].astype(np.float64), truth == self.positive)
        wanted = getattr(self, f"_by_{self.rule.kind}")(cuts)
        # Of equally good ones the nearest to 0.5.
        best = np.flatnonzero(wanted == wanted.max())
        middle = 0.5 * (cuts.low[best] + cuts.high[best])
        place = best[int(np.argmin(np.abs(middle - PLAIN)))]
        return Decision(self.positive, _between(float(cuts.low[place]), float(cuts.high[place])))

    def _by_f1(self, cuts: _Cuts) -> np.ndarray:
        found: np.ndarray = 2.0 * cuts.hits / np.maximum(cuts.hits + cuts.false_alarms + cuts.positives, 1)
        return found

    def _by_recall(self, cuts: _Cuts) -> np.ndarray:
        recall = cuts.hits / max(cuts.positives, 1)
        reached = recall >= min(self.rule.numbers[0], float(recall.max()))
        # The largest threshold is the one with the fewest false alarms.
        return np.where(reached, cuts.high, -1.0)

    def _by_cost(self, cuts: _Cuts) -> np.ndarray:
        of_alarm, of_miss = self.rule.numbers
        return -(of_alarm * cuts.false_alarms + of_miss * (cuts.positives - cuts.hits))


@dataclass(frozen=True)
class _Cuts:
    """All ways to divide examples by a threshold: it is above ``low`` and at most ``high``, each of shape (cuts,)."""

    low: np.ndarray
    high: np.ndarray
    hits: np.ndarray
    false_alarms: np.ndarray
    positives: int

    @classmethod
    def of(cls, scores: np.ndarray, is_positive: np.ndarray) -> _Cuts:
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        last = np.append(ranked[1:] != ranked[:-1], True)
        hits = np.concatenate([[0], np.cumsum(is_positive[order])[last]])
        alarms = np.concatenate([[0], np.cumsum(~is_positive[order])[last]])
        high = np.concatenate([[1.0], ranked[last]])
        low = np.append(high[1:], 0.0)
        # Above the largest score nothing is said, and a score of 0 is never said: 1 and 0 are no thresholds.
        possible = low < high
        return cls(low[possible], high[possible], hits[possible], alarms[possible], int(is_positive.sum()))


def _between(low: float, high: float) -> float:
    """Return the shortest decimal number between two, nearest to their middle: it reads the same everywhere."""
    middle = 0.5 * (low + high)
    for digits in range(1, _DIGITS + 1):
        found = round(middle, digits)
        if low < found < high:
            return found
    return high


def in_words(decision: Mapping[str, Any], reached: Mapping[str, Any] | None = None) -> str:
    """
    Say in a sentence how a run decides.

    Parameters
    ----------
    decision
        ``decision`` of ``metrics.json``.
    reached
        The tuned model's metrics on the validation set.
    """
    name, threshold, by = f"“{decision['positive']}”", decision["threshold"], decision["chosen_by"]
    if threshold == PLAIN and by == PLAIN:
        return f"The positive class is {name}; the more probable class is said, which is a threshold of 0.5."
    rule = ThresholdRule.read(by)
    how = {
        "fixed": "as the recipe says",
        "f1": "which gave the largest F1 on validation",
        "recall": f"the largest with a recall of at least {':'.join(str(by).split(':')[1:])} on validation",
        "cost": f"which made the mistakes on validation cheapest, a false positive at {rule.numbers[0]:g} and a false "
        f"negative at {rule.numbers[-1]:g}" if rule.numbers else "",
    }[rule.kind]  # fmt: skip
    of = (reached or {}).get("of_positive", {})
    figures = [
        f"{word} undefined" if of[key] is None else f"{word} {of[key]:.3f}"
        for key, word in _FIGURES.items()
        if key in of
    ]
    there = f" There: {', '.join(figures)}." if figures else ""
    fewest = min((reached or {}).get("support", {}).values(), default=_FEW)
    if rule.kind != "fixed" and fewest < _FEW:
        examples = f"{fewest} validation example{'' if fewest == 1 else 's'}"
        there += f" It stands on {examples} of one class, too few to trust."
    baseline = decision.get("baseline")
    own = f" The baseline's own, by the same rule, is {baseline}." if baseline not in (None, threshold) else ""
    return f"{name} is said from a score of {threshold}, {how}.{there}{own}"


_FIGURES = {"precision": "precision", "recall": "recall", "specificity": "specificity", "f1": "F1"}
