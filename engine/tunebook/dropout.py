"""Every place in a model where units or paths are dropped, settable before and during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunebook.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

#: Attribute that holds the rate, by what kind of module has it.
_RATES = ("p", "drop_prob", "drop_rate")


@dataclass(frozen=True)
class DropoutSite:
    """
    One place that drops.

    Attributes
    ----------
    module_name
        Dotted name of the module; empty for the model itself.
    attribute
        Its attribute that holds the rate.
    kind
        What the recipe calls it: ``"head"``, ``"inner"``, ``"depth"``, ...
    factor
        The site's rate for a rate of 1 in the recipe. Stochastic depth grows from input to
        head [1]_, so its sites have factors from 0 to 1; others have 1.

    References
    ----------
    .. [1] Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
    """

    module_name: str
    attribute: str
    kind: str
    factor: float = 1.0


class DropoutSites:
    """
    The dropout sites of one model.

    Parameters
    ----------
    module
        The model.
    sites
        Its sites. The rates that they have now are the model's own.
    """

    def __init__(self, module: nn.Module, sites: list[DropoutSite]) -> None:
        self.module = module
        self.sites = tuple(sites)
        self._own = [self._rate(site) for site in self.sites]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that this model has, in order of first appearance."""
        return tuple(dict.fromkeys(site.kind for site in self.sites))

    def rates(self) -> dict[str, float]:
        """Return the greatest rate in force for each kind."""
        return self._greatest([self._rate(site) for site in self.sites])

    def own_rates(self) -> dict[str, float]:
        """Return the greatest rate of the model's own for each kind: what is in force where a recipe says ``None``."""
        return self._greatest(self._own)

    def _rate(self, site: DropoutSite) -> float:
        return float(getattr(self.module.get_submodule(site.module_name), site.attribute))

    def _greatest(self, rates: list[float]) -> dict[str, float]:
        found: dict[str, float] = {}
        for site, rate in zip(self.sites, rates, strict=True):
            found[site.kind] = max(found.get(site.kind, 0.0), rate)
        return found

    def apply(self, rates: Mapping[str, float | None]) -> None:
        """
        Set the rate of each kind; ``None`` gives it the model's own. May be called between any two steps.

        A kind that is not named stays as it is.

        Where one rate is refused, none is set.

        Raises
        ------
        RecipeError
            A rate above 0 is asked of a kind that the model has no site for, or is not in [0, 1).
        """
        wanted = {kind: rate for kind, rate in rates.items() if rate is not None}
        for kind, rate in wanted.items():
            if not 0.0 <= rate < 1.0:
                msg = f"dropout of kind {kind!r}: got {rate!r}; allowed: a number at least 0 and below 1"
                raise RecipeError(msg)
            if rate and kind not in self.kinds:
                have = ", ".join(self.kinds) or "none"
                msg = f"this model has no place for dropout of kind {kind!r} (it has: {have}); leave it None or 0"
                raise RecipeError(msg)
        for site, own in zip(self.sites, self._own, strict=True):
            if site.kind in rates:
                rate = wanted[site.kind] * site.factor if site.kind in wanted else own
                setattr(self.module.get_submodule(site.module_name), site.attribute, rate)


def find_sites(module: nn.Module, kind_of: Callable[[str, nn.Module, str], str | None]) -> list[DropoutSite]:
    """
    Look through a model for numbers that are dropout rates.

    Parameters
    ----------
    module
        The model.
    kind_of
        Called with module name, module and attribute name; gives the kind, or ``None`` for what is no site.
    """
    found = []
    for name, part in module.named_modules():
        for attribute in _RATES:
            value = getattr(part, attribute, None)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                kind = kind_of(name, part, attribute)
                if kind is not None:
                    found.append(DropoutSite(name, attribute, kind))
    return found
