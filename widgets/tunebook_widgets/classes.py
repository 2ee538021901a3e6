"""The table of classes: how many examples each has, how it weighs, and what the loss will see of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.balance import class_weights
from tunebook.errors import RecipeError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe

#: Parameters that weigh classes: in the loss, and in drawing examples.
PARAMETERS = ("class_weights", "sampler")
#: What a button gives them; by hand begins with the weights in force.
STRATEGIES = ("none", "balanced", "effective", "by hand")
#: Decimal places of a weight that is set by hand.
_PLACES = 3


class ClassTable:
    """
    One row a class.

    Parameters
    ----------
    examples
        Their classes and splits are counted once.
    """

    def __init__(self, examples: Examples) -> None:
        self.classes = examples.classes
        self.counts = {split: examples.class_counts(split) for split in ("train", "validation", "test")}
        self.multi_label = examples.multi_label

    def weights(self, recipe: Recipe, parameter: str) -> np.ndarray:
        """
        Return the weight of each class, shape (classes,).

        Parameters
        ----------
        recipe
            Says how.
        parameter
            One of :data:`PARAMETERS`.

        Raises
        ------
        RecipeError
            The recipe names a class that the examples do not have, or gives every class weight 0.
        """
        return class_weights(getattr(recipe, parameter), self.counts["train"], self.classes, parameter)

    def check(self, recipe: Recipe) -> None:
        """
        Refuse weights that do not fit the examples.

        Raises
        ------
        RecipeError
            As from :meth:`weights`; or every class that has examples has weight 0.
        """
        for parameter in PARAMETERS:
            if not (self.weights(recipe, parameter) * self.counts["train"]).any():
                msg = f"{parameter}: every class with training examples has weight 0; give one a weight above 0"
                raise RecipeError(msg)

    def shares(self, recipe: Recipe) -> np.ndarray:
        """
        Return the share of the loss that each class is expected to have at equal losses, shape (classes,), sum 1.

        An example counts by its chance to be drawn times its weight in the loss. Where an example may have several
        classes, these are shares of what is to be found.
        """
        drawn = self.counts["train"] * self.weights(recipe, "sampler") * self.weights(recipe, "class_weights")
        total = drawn.sum()
        found: np.ndarray = drawn / total if total > 0 else drawn
        return found

    def strategy(self, recipe: Recipe, parameter: str) -> str:
        """Return which of :data:`STRATEGIES` a recipe has."""
        value = getattr(recipe, parameter)
        return value if isinstance(value, str) else "by hand"

    def chosen(self, recipe: Recipe, parameter: str, strategy: str) -> dict[str, Any]:
        """
        Return the recipe's value for a button.

        Raises
        ------
        RecipeError
            There is no such parameter or strategy.
        """
        if parameter not in PARAMETERS or strategy not in STRATEGIES:
            msg = f"{shown(parameter)}: no strategy {shown(strategy)}; allowed: {', '.join(STRATEGIES)}"
            raise RecipeError(msg)
        if strategy != "by hand":
            return {parameter: strategy}
        return {parameter: self._by_hand(self.weights(recipe, parameter))}

    def weighted(self, recipe: Recipe, parameter: str, changes: Mapping[int, float]) -> dict[str, Any]:
        """
        Return the recipe's value when some classes get a weight by hand and the others keep theirs.

        Parameters
        ----------
        recipe
            What they have now.
        parameter
            One of :data:`PARAMETERS`.
        changes
            New weights by the number of the class.

        Raises
        ------
        RecipeError
            There is no such parameter or class.
        """
        if parameter not in PARAMETERS or not all(0 <= number < len(self.classes) for number in changes):
            msg = f"{shown(parameter)}: no class {shown(list(changes))}; allowed: 0 to {len(self.classes) - 1}"
            raise RecipeError(msg)
        value = getattr(recipe, parameter)
        kept = dict(value) if isinstance(value, dict) else self._by_hand(self.weights(recipe, parameter))
        for number, weight in changes.items():
            kept[self.classes[number]] = weight
        return {parameter: kept}

    def _by_hand(self, weights: np.ndarray) -> dict[str, float]:
        rounded = np.round(weights, _PLACES)
        return {name: float(weight) for name, weight in zip(self.classes, rounded, strict=True)}

    def columns(self) -> dict[str, Any]:
        """Return what never changes, as JSON."""
        return {
            "names": list(self.classes),
            "counts": {split: counts.tolist() for split, counts in self.counts.items()},
        }

    def state(self, recipe: Recipe) -> dict[str, Any]:
        """Return what the class table shows of a recipe, as JSON."""
        shares = self.shares(recipe)
        plain = self.counts["train"] / max(int(self.counts["train"].sum()), 1)
        return {
            "strategies": {parameter: self.strategy(recipe, parameter) for parameter in PARAMETERS},
            "weights": {parameter: np.round(self.weights(recipe, parameter), 4).tolist() for parameter in PARAMETERS},
            "shares": np.round(shares, 6).tolist(),
            "plain": np.round(plain, 6).tolist(),
            "words": self._words(shares),
        }

    def _words(self, shares: np.ndarray) -> str:
        """Say what the weights do, in one sentence."""
        there = self.counts["train"] > 0
        before, after = (_ratio(values[there]) for values in (self.counts["train"], shares))
        if before is None or after is None:
            return "At least one class counts for nothing in the loss."
        if max(before, after) < 1.005:  # noqa: PLR2004 - alike to two decimal places
            return "All classes have as many examples and count alike in the loss."
        if after < 1.005:  # noqa: PLR2004
            return f"All classes count alike in the loss; in the data the largest is {before:.3g} times the smallest."
        most, least = (f"the {word} class" for word in ("largest", "smallest"))
        if abs(before - after) < 0.005 * before:
            return f"In the loss {most} counts {after:.3g} times as much as {least}, as in the data."
        return f"In the loss {most} counts {after:.3g} times as much as {least}; in the data it is {before:.3g} times."


def _ratio(values: np.ndarray) -> float | None:
    if not len(values) or values.min() <= 0:
        return None
    ratio = float(values.max()) / float(values.min())
    return ratio if math.isfinite(ratio) else None
