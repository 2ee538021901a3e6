"""Every place of a model that drops, with its rate, and the parameter of the recipe that sets it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError

if TYPE_CHECKING:
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model

#: A rate that no recipe has by itself: what follows it is set by the parameter that got it.
_MARK = 0.12345


@dataclass(frozen=True)
class Site:
    """
    One place that drops.

    Attributes
    ----------
    path
        Dotted name of the module; empty for the model itself.
    kind
        What the recipe calls it.
    rate
        Its rate under a recipe.
    """

    path: str
    kind: str
    rate: float


class DropoutTable:
    """
    The dropout sites of one model beside a recipe's parameters.

    Parameters
    ----------
    recipe
        Any recipe of the task.
    model
        The model.
    """

    def __init__(self, recipe: Recipe, model: Model) -> None:
        self.model = model
        self.kinds = _kinds(type(recipe))
        self.own = model.dropout.own_rates()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters that set the rate of a kind that this model has."""
        return tuple(name for name, kind in self.kinds.items() if kind in self.model.dropout.kinds)

    def has_place(self, parameter: str) -> bool:
        """Whether a parameter sets no dropout, or one for which the model has a place."""
        return parameter not in self.kinds or self.kinds[parameter] in self.model.dropout.kinds

    def rate(self, recipe: Recipe, kind: str) -> float:
        """Return the rate in force for a kind: the recipe's, or the model's own."""
        wanted = recipe.dropout_rates().get(kind)
        return self.own.get(kind, 0.0) if wanted is None else wanted

    def check(self, recipe: Recipe) -> None:
        """
        Refuse rates that the model has no place for.

        Raises
        ------
        RecipeError
            Names the parameter and the kinds that there are.
        """
        have = self.model.dropout.kinds
        for kind, rate in recipe.dropout_rates().items():
            if rate and kind not in have:
                name = next((n for n, k in self.kinds.items() if k == kind), "dropout")
                msg = (
                    f"{name}={rate:g}: this model has no place for dropout of kind {kind!r} "
                    f"(it has: {', '.join(have) or 'none'}); leave it None or 0"
                )
                raise RecipeError(msg)

    def sites(self, recipe: Recipe) -> list[Site]:
        """Return every site with its rate under a recipe, in the model's order."""
        return [
            Site(site.module_name, site.kind, self.rate(recipe, site.kind) * site.factor)
            for site in self.model.dropout.sites
        ]

    def everywhere(self, rate: float) -> dict[str, Any]:
        """Return the recipe's values when every kind that the model has gets one rate."""
        return dict.fromkeys(self.parameters, rate)

    def common(self, recipe: Recipe) -> float | None:
        """Return the rate of all kinds that can be set; ``None`` where they differ or there are none."""
        rates = {self.rate(recipe, self.kinds[name]) for name in self.parameters}
        return rates.pop() if len(rates) == 1 else None


@cache
def _kinds(recipe_class: type[Recipe]) -> dict[str, str]:
    """Find which parameter sets which kind, by setting each and looking what follows."""
    found: dict[str, str] = {}
    for name in recipe_class.model_fields:
        try:
            rates = recipe_class(**{name: _MARK}).dropout_rates()
        except RecipeError:
            continue
        kind = next((kind for kind, rate in rates.items() if rate == _MARK), None)
        if kind is not None:
            found[name] = kind
    return found
