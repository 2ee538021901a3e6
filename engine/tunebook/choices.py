"""Whether the data have what a recipe names: classes, groups and sensitive columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunebook.balance import class_weights
from tunebook.fairness import GapMeter
from tunebook.mitigating import Mitigation

if TYPE_CHECKING:
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe


def require_named(recipe: Recipe, examples: Examples) -> None:
    """
    Refuse a recipe that names what its examples do not have, before a model is loaded or anything is trained.

    Raises
    ------
    RecipeError
        ``class_weights`` or ``sampler`` names an unknown class, ``mitigate_by`` or ``monitor`` an unknown group.
    """
    counts = examples.class_counts("train")
    for parameter in ("class_weights", "sampler"):
        class_weights(getattr(recipe, parameter), counts, examples.classes, parameter)
    Mitigation(recipe, examples, can_weigh=True)
    GapMeter.of_examples(examples, examples.rows("validation")).check(recipe.monitor)
