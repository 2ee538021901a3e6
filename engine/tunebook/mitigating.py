"""Weights of training examples that make sensitive groups and classes independent of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook.balance import group_weights
from tunebook.errors import RecipeError, did_you_mean, shown
from tunebook.groups import cross_groups, make_groups

if TYPE_CHECKING:
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe


class Mitigation:
    """
    How much each training example counts, by its group and its class.

    Parameters
    ----------
    recipe
        Its ``mitigate`` and ``mitigate_by``.
    examples
        Their sensitive attributes make the groups: as in the bias report, numbers are binned, and what is missing is a
        group of its own.
    can_weigh
        Whether an example can be weighed by itself in the loss. Where not, it is drawn as much more often instead.

    Attributes
    ----------
    loss
        Weight of each example in the loss, by its row, shape (examples,), with mean 1 over the training examples;
        ``None`` where all count once.
    drawing
        Relative chance of each training example to be drawn, shape (training examples,); ``None`` where all have one.

    Raises
    ------
    RecipeError
        There is no such attribute, or none at all.
    """

    def __init__(self, recipe: Recipe, examples: Examples, *, can_weigh: bool) -> None:
        self.loss: np.ndarray | None = None
        self.drawing: np.ndarray | None = None
        if recipe.mitigate == "none":
            return
        rows = examples.rows("train")
        groups = [make_groups(name, examples.frame[name].iloc[rows].tolist()) for name in _names(recipe, examples)]
        codes = groups[0].codes if len(groups) == 1 else cross_groups(groups).codes
        weights = group_weights(recipe.mitigate, codes, examples.targets()[rows])
        if recipe.mitigate == "reweight" and can_weigh:
            self.loss = np.ones(len(examples))
            self.loss[rows] = weights
        else:
            self.drawing = weights


def _names(recipe: Recipe, examples: Examples) -> list[str]:
    have = list(examples.sensitive)
    if not have:
        msg = f"mitigate={recipe.mitigate!r}: the examples have no sensitive column; name one in sensitive"
        raise RecipeError(msg)
    names = [name.strip() for name in recipe.mitigate_by.split("|")] if recipe.mitigate_by else have[:1]
    for name in names:
        if name not in have:
            hint = did_you_mean(name, have)
            msg = f"mitigate_by: no sensitive column {shown(name)}{hint}; there are: {', '.join(have)}"
            raise RecipeError(msg)
    return names
