"""Whether the data have what a recipe names: classes, groups, sensitive columns, and what it chooses by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunebook.balance import class_weights
from tunebook.decision import Decider
from tunebook.errors import RecipeError
from tunebook.fairness import GapMeter
from tunebook.mitigating import Mitigation
from tunebook.monitors import undefined

if TYPE_CHECKING:
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe


def require_named(recipe: Recipe, examples: Examples) -> None:
    """
    Refuse a recipe that names what its examples do not have, before a model is loaded or anything is trained.

    Raises
    ------
    RecipeError
        ``class_weights``, ``sampler`` or ``positive`` names an unknown class, ``mitigate_by`` or ``monitor`` an unknown
        group; ``monitor`` or ``threshold`` cannot choose on this validation set.
    """
    counts = examples.class_counts("train")
    for parameter in ("class_weights", "sampler"):
        class_weights(getattr(recipe, parameter), counts, examples.classes, parameter)
    Mitigation(recipe, examples, can_weigh=True)
    rows = examples.rows("validation")
    GapMeter.of_examples(examples, rows).check(recipe.monitor)
    why = undefined(recipe.monitor, examples.class_counts("validation").tolist(), len(rows))
    if why:
        raise RecipeError(f"monitor={recipe.monitor!r}: {why}")
    Decider.of_examples(recipe, examples)
