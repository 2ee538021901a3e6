"""What a search may choose from: ranges and choices for parameters, read from text and checked before anything runs."""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError, did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optuna.distributions import BaseDistribution

    from tunebook.recipe import Recipe

#: How a space is written, for error lines.
FORMS = "low..high, low..high/step, log(low,high), or choices a,b,c"
#: What decides which examples a trial is judged on, or where it writes: with it, trials could not be compared.
FIXED = (
    "data", "label", "sensitive", "multi_label", "on_problem", "validation_fraction", "test_fraction", "min_per_class",
    "max_examples", "seed", "run", "runs_dir", "resume", "replay",
)  # fmt: skip

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s*/\s*({_NUMBER}))?")
_LOG = re.compile(rf"log\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)")
_CLOSING = {"[": "]", "{": "}", "(": ")"}
#: Significant digits of the points that a range is cut into.
_DIGITS = 6


@dataclass(frozen=True)
class Range:
    """
    Numbers between two ends, both included.

    Attributes
    ----------
    name
        The parameter.
    low, high
        The ends; whole numbers where the parameter takes such.
    log
        Whether small and large numbers are equally likely.
    step
        Distance of neighbouring values; ``None`` for any value between the ends.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def is_int(self) -> bool:
        """Whether the values are whole numbers."""
        return isinstance(self.low, int)

    def distribution(self) -> BaseDistribution:
        """Return what Optuna draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution  # noqa: PLC0415

        if self.is_int:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def points(self, count: int) -> list[float]:
        """Return the values of a grid: each one where there is a step or few are possible, else ``count`` of them."""
        step = self.step or (1 if self.is_int and self.high - self.low < count and not self.log else None)
        if step is not None:
            number = math.floor((self.high - self.low) / step + 1e-9) + 1
            found = [self.low + k * step for k in range(number)]
            return found if self.is_int else [_rounded(value, self.low, self.high) for value in found]
        parts = [k / max(count - 1, 1) for k in range(count)]
        if self.log:
            found = [self.low * (self.high / self.low) ** part for part in parts]
        else:
            found = [self.low + (self.high - self.low) * part for part in parts]
        if self.is_int:
            return [int(value) for value in dict.fromkeys(round(value) for value in found)]
        return list(dict.fromkeys(_rounded(value, self.low, self.high) for value in found))

    def value(self, drawn: Any) -> object:  # noqa: ANN401
        """Return the parameter's value for what Optuna drew."""
        return int(drawn) if self.is_int else float(drawn)

    def drawn(self, value: object) -> object:
        """Return what Optuna would have drawn for a value."""
        return value

    def __str__(self) -> str:
        low, high = _short(self.low), _short(self.high)
        if self.log:
            return f"log({low},{high})"
        return f"{low}..{high}" + (f"/{_short(self.step)}" if self.step is not None else "")


@dataclass(frozen=True)
class Choices:
    """
    A few values of any type.

    Attributes
    ----------
    name
        The parameter.
    values
        Its values.
    labels
        How each was written; Optuna, tables and figures know them by it.
    """

    name: str
    values: tuple[object, ...]
    labels: tuple[str, ...]

    def distribution(self) -> BaseDistribution:
        """Return what Optuna draws from."""
        from optuna.distributions import CategoricalDistribution  # noqa: PLC0415

        return CategoricalDistribution(self.labels)

    def points(self, count: int) -> list[object]:  # noqa: ARG002 - as for a range
        """Return the values of a grid."""
        return list(self.values)

    def value(self, drawn: Any) -> object:  # noqa: ANN401
        """Return the parameter's value for what Optuna drew."""
        return self.values[self.labels.index(drawn)]

    def drawn(self, value: object) -> object:
        """Return what Optuna would have drawn for a value."""
        return self.labels[self.values.index(value)]

    def __str__(self) -> str:
        return ",".join(self.labels)


Space = Range | Choices


def read_spaces(recipe: Recipe, texts: Mapping[str, str]) -> dict[str, Space]:
    """
    Read the spaces of a search, and check them against a recipe.

    Parameters
    ----------
    recipe
        The parameters that are not searched. Both ends of a range and each choice must be allowed beside them.
    texts
        Parameter to its space as text: ``"0..0.5"``, ``"8..64/8"``, ``"log(1e-5,1e-1)"``, ``"backbone,6,4"``.

    Returns
    -------
    dict
        Parameter to its space, in the order given.

    Raises
    ------
    RecipeError
        A name is unknown or cannot be searched, or a text or a value is not allowed; one line.
    """
    if not texts:
        msg = f"no space to search; name a parameter and its space, such as lr=log(1e-5,1e-1); forms: {FORMS}"
        raise RecipeError(msg)
    known = [name for name in type(recipe).model_fields if name not in FIXED]
    for name in texts:
        if name in FIXED:
            msg = (
                f"parameter {name} cannot be searched: it decides what trials are judged on or where they write, so "
                "they could not be compared; set it with -p"
            )
            raise RecipeError(msg)
        if name not in known:
            msg = f"unknown parameter {shown(name)}{did_you_mean(str(name), known)}"
            raise RecipeError(msg)
    return {name: read_space(recipe, name, text) for name, text in texts.items()}


def read_space(recipe: Recipe, name: str, text: object) -> Space:
    """
    Read one space, see :func:`read_spaces`.

    Raises
    ------
    RecipeError
        The text is no space, or holds a value that the parameter does not take; one line.
    """
    if not isinstance(text, str):
        msg = f"space of {name}: got {shown(text)} ({type(text).__name__}); write it as text; forms: {FORMS}"
        raise RecipeError(msg)
    stripped = text.strip()
    if found := _LOG.fullmatch(stripped):
        return _range(recipe, name, text, (*found.groups(), None), log=True)
    if found := _RANGE.fullmatch(stripped):
        return _range(recipe, name, text, found.groups(), log=False)
    return _choices(recipe, name, text)


def split_assignments(texts: Iterable[str]) -> dict[str, str]:
    """
    Split texts ``name=space``, as they come from a command line.

    Raises
    ------
    RecipeError
        One has no ``=``, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, space = text.partition("=")
        name = name.strip()
        if not equals or not name:
            msg = f"space {shown(text)}: write it as name=space, such as lr=log(1e-5,1e-1); forms: {FORMS}"
            raise RecipeError(msg)
        if name in found:
            msg = f"parameter {shown(name)} is given two spaces; join them to one"
            raise RecipeError(msg)
        found[name] = space
    return found


def grid(spaces: Mapping[str, Space], points: int) -> Iterable[dict[str, object]]:
    """Yield the values of each point of a grid, the last parameter changing fastest."""
    lists = [space.points(points) for space in spaces.values()]
    for values in itertools.product(*lists):
        yield dict(zip(spaces, values, strict=True))


def grid_size(spaces: Mapping[str, Space], points: int) -> int:
    """Return the number of points of a grid."""
    return math.prod(len(space.points(points)) for space in spaces.values())


def split_choices(text: str) -> list[str] | None:
    """
    Split a text at its commas, but not within brackets or quotes.

    Returns
    -------
    list of str
        The parts without spaces around them, or ``None`` where a bracket or a quote is not closed.
    """
    parts, part, open_brackets, quote = [], "", list[str](), ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _CLOSING:
            open_brackets.append(_CLOSING[sign])
        elif sign in _CLOSING.values():
            if not open_brackets or open_brackets.pop() != sign:
                return None
        elif sign == "," and not open_brackets:
            parts.append(part.strip())
            part = ""
            continue
        part += sign
    return None if quote or open_brackets else [*parts, part.strip()]


def _range(recipe: Recipe, name: str, text: str, parts: tuple[str | None, ...], *, log: bool) -> Range:
    first, last, stride = parts
    low, high = (_checked(recipe, name, text, end) for end in (str(first), str(last)))
    if isinstance(low, bool) or not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        raise _refused(name, text, f"it takes {recipe.allowed(name)}, so it has no range", recipe)
    if type(low) is not type(high):  # 1..2.5 for what takes whole numbers and others
        low, high = float(low), float(high)
    if low >= high:
        raise _refused(name, text, "the first end must be below the second", recipe)
    if log and low <= 0:
        raise _refused(name, text, "a logarithmic range must begin above 0", recipe)
    step = None
    if stride is not None:
        step = float(stride)
        if not 0 < step <= high - low or (isinstance(low, int) and step != int(step)):
            whole = "a whole number " if isinstance(low, int) else ""
            raise _refused(name, text, f"the step must be {whole}above 0 and at most {_short(high - low)}", recipe)
        number = math.floor((high - low) / step + 1e-9)
        # Optuna wants the last step to end at the range's end.
        high = low + int(number * step) if isinstance(low, int) else _rounded(low + number * step, low, high, digits=12)
        step = int(step) if isinstance(low, int) else step
    return Range(name, low, high, log, step)


def _choices(recipe: Recipe, name: str, text: str) -> Choices:
    parts = split_choices(text)
    if parts is None:
        raise _refused(name, text, "a bracket or a quote is not closed", recipe)
    if not all(parts):
        raise _refused(name, text, "a choice is empty", recipe)
    if len(parts) == 1:
        raise _refused(name, text, "there is nothing to choose from; one fixed value is set with -p", recipe)
    values = [_checked(recipe, name, text, part) for part in parts]
    plain = [_plain(value) for value in values]
    for place, value in enumerate(plain):
        if value in plain[:place]:
            raise _refused(name, text, f"{shown(parts[place])} is there twice", recipe)
    labels = tuple(part if part.isprintable() else ascii(part) for part in parts)
    return Choices(name, tuple(plain), labels)


def _checked(recipe: Recipe, name: str, text: str, part: str) -> object:
    """Return a value as its parameter takes it, allowed on its own and beside the recipe's other parameters."""
    try:
        value = type(recipe).settle(name, part)
        recipe.changed(**{name: value})
    except RecipeError as error:
        raise RecipeError(f"space of {name}: {shown(text)}: {error}; forms: {FORMS}") from None
    return value


def _refused(name: str, text: str, reason: str, recipe: Recipe) -> RecipeError:
    return RecipeError(
        f"space of {name}: got {shown(text)}; {reason}; forms: {FORMS}; values of {name}: {recipe.allowed(name)}"
    )


def _plain(value: object) -> object:
    """Return a value as JSON gives it back: that is how it travels to workers and is kept."""
    return json.loads(json.dumps(value))


def _short(value: float) -> str:
    return repr(value) if isinstance(value, int) else f"{value:g}"


def _rounded(value: float, low: float, high: float, digits: int = _DIGITS) -> float:
    """Round to some significant digits without leaving the range."""
    return min(max(float(f"{value:.{digits}g}"), low), high)
