"""What a control needs to know of a parameter, from the recipe's JSON schema."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook.recipe import Recipe

#: Bounds further apart than this, as a ratio to the default, are no use as the ends of a slider.
_WIDE = 25.0


@dataclass(frozen=True)
class Field:
    """
    One parameter as a form shows it.

    Attributes
    ----------
    name, help
        Its name in the recipe, and what it means.
    kind
        ``"number"``, ``"integer"``, ``"choice"``, ``"flag"`` or ``"text"``.
    default
        The recipe's default.
    optional
        Whether it may be ``None``.
    low, high
        Bounds; infinite where there is none.
    low_is_open, high_is_open
        Whether the bound itself is not allowed.
    choices
        Allowed words, for a choice.
    advanced
        Whether forms fold it away.
    """

    name: str
    help: str
    kind: Literal["number", "integer", "choice", "flag", "text"]
    default: Any
    optional: bool = False
    low: float = -math.inf
    high: float = math.inf
    low_is_open: bool = False
    high_is_open: bool = False
    choices: tuple[str, ...] = ()
    advanced: bool = False

    @property
    def label(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")

    @property
    def is_logarithmic(self) -> bool:
        """Whether its values are compared as ratios: a rate above 0 whose bounds are far from its default."""
        return self.kind == "number" and self.low_is_open and self.low == 0 and self._is_wide

    @property
    def _is_wide(self) -> bool:
        size = abs(self.default) if isinstance(self.default, (int, float)) and self.default else 1.0
        return self.high - self.low > _WIDE * size

    def slider_range(self, value: float) -> tuple[float, float, float]:
        """
        Return the ends of a slider and its step.

        Parameters
        ----------
        value
            What it must be able to show.

        Returns
        -------
        tuple of float
            Low, high and step; exponents of 10 where the field is logarithmic. Where the bounds are far apart it is
            the neighbourhood of the default and of the value.
        """
        if self.is_logarithmic:
            # Of all values, those within a factor of 100 of the default are tried.
            near = math.log10(self.default), math.log10(value)
            low = min(near[0] - 2.0, math.floor(near[1]))
            return low, min(max(near[0] + 2.0, math.ceil(near[1])), math.log10(self.high)), 0.02
        high = self.high
        if self._is_wide:
            size = self.default if isinstance(self.default, (int, float)) else 1.0
            high = min(self.high, max(4.0 * size, 1.0 if self.kind == "number" and not size else 4.0 * size, value))
            if self.kind == "integer":
                high = max(high, 10.0)
        if self.kind == "integer":
            return self.low, high, 1.0
        step = 10.0 ** math.floor(math.log10((high - self.low) / 50.0))
        low = self.low + step if self.low_is_open else self.low
        return low, high - step if self.high_is_open and high == self.high else high, step


@cache
def fields(recipe_class: type[Recipe]) -> dict[str, list[Field]]:
    """
    Return the parameters of a recipe class that ordinary controls can show, by group, in the recipe's order.

    Parameters
    ----------
    recipe_class
        Of any task.
    """
    schema = recipe_class.model_json_schema()
    found: dict[str, list[Field]] = {}
    for name, node in schema["properties"].items():
        made = _field(name, node, schema.get("$defs", {}))
        if made is not None:
            found.setdefault(node["group"], []).append(made)
    return found


def _field(name: str, node: Mapping[str, Any], defs: Mapping[str, Any]) -> Field | None:
    options = [_resolved(option, defs) for option in node.get("anyOf", [node])]
    real = [option for option in options if option.get("type") != "null"]
    if len(real) != 1:
        return None
    kind = _kind(real[0])
    if kind is None:
        return None
    low, low_is_open = _bound(real[0], "minimum", "exclusiveMinimum", -math.inf)
    high, high_is_open = _bound(real[0], "maximum", "exclusiveMaximum", math.inf)
    return Field(
        name=name,
        help=node.get("description", ""),
        kind=kind,
        default=node.get("default"),
        optional=len(real) < len(options),
        low=low,
        high=high,
        low_is_open=low_is_open,
        high_is_open=high_is_open,
        choices=tuple(real[0].get("enum", ())),
        advanced=bool(node.get("advanced")),
    )


def _resolved(node: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = defs[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
    return found


def _kind(node: Mapping[str, Any]) -> Literal["number", "integer", "choice", "flag", "text"] | None:
    if "enum" in node:
        return "choice"
    kinds: dict[str, Literal["number", "integer", "flag", "text"]] = {
        "number": "number", "integer": "integer", "boolean": "flag", "string": "text"
    }  # fmt: skip
    return kinds.get(node.get("type", ""))


def _bound(node: Mapping[str, Any], closed: str, opened: str, missing: float) -> tuple[float, bool]:
    if opened in node:
        return float(node[opened]), True
    return float(node.get(closed, missing)), False
