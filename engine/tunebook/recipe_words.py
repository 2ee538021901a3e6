"""Values of a recipe as a person says them: what is frozen, and what an empty value or a 0 stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What ``None``, an empty text or an empty list stands for, by parameter.
_EMPTY = {
    "mitigate_by": "the first sensitive attribute",
    "remedy_by": "the attribute with the largest gap",
    "replay": "no run",
    "resume": "no run",
    "run": "made from task and time",
    "sensitive": "none: quality is not compared between groups",
    "unfreeze": "never",
}
_OWN = "the model's own"
_DROPOUTS = ("dropout", "stochastic_depth")
#: What 0 stands for, where that is no amount.
_ZERO = {
    "checkpoint_seconds": "at every step",
    "clip_norm": "no clipping",
    "max_examples": "all",
    "mixup": "no blending",
    "patience": "never",
    "views": "always new ones",
}


def in_words(name: str, value: object, parameters: Mapping[str, object] | None = None) -> str:
    """
    Say what a parameter's value means.

    Parameters
    ----------
    name
        The parameter.
    value
        As JSON has it.
    parameters
        The other parameters: of the demo no attribute need be named.

    Returns
    -------
    str
        One line; a name from the data stays as it is, and is escaped by who shows it.
    """
    if name in {"freeze", "unfreeze"} and value not in (None, []):
        return _freeze(value) if name == "freeze" else _steps(value)
    if value is None or value in ("", [], {}):
        return _empty(name, parameters or {})
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == 0 and name in _ZERO:
        return _ZERO[name]
    return _plain(value)


def all_in_words(parameters: Mapping[str, object]) -> dict[str, str]:
    """Say what every value of a recipe means."""
    return {name: in_words(name, value, parameters) for name, value in parameters.items()}


def _empty(name: str, parameters: Mapping[str, object]) -> str:
    if name == "sensitive" and parameters.get("data") == "demo":
        return "those that the demo declares"
    return _OWN if name.endswith(_DROPOUTS) else _EMPTY.get(name, "none")


def _freeze(value: object) -> str:
    if value == "backbone":
        return "the whole backbone: only the head trains"
    if value in ("none", 0):
        return "nothing: every layer trains"
    if isinstance(value, int):
        stages = "stage" if abs(value) == 1 else f"{abs(value)} stages"
        return f"the first {stages}" if value > 0 else f"all but the last {stages}"
    return f"layers that match {_plain(value)}"


def _steps(value: object) -> str:
    if not isinstance(value, list) or not all(isinstance(step, (list, tuple)) and len(step) == 2 for step in value):  # noqa: PLR2004
        return _plain(value)
    return "; ".join(f"from epoch {epoch} frozen: {_freeze(freeze)}" for epoch, freeze in value)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
