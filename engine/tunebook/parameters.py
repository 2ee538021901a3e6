"""Parameters of a notebook, as they come from a command line, YAML or Python, checked before papermill sees them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunebook import tasks
from tunebook.errors import NotebookError, RecipeError, did_you_mean, shown
from tunebook.recipe import readings
from tunebook.templates import parameters_of, task_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def settle_parameters(notebook: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check parameters for a notebook and give them the types that it takes.

    papermill writes a parameter's *name* into code as it is and only warns about unknown ones, so
    nothing gets there that is not known to be a parameter.

    Parameters
    ----------
    notebook
        The notebook. When its metadata names a task, the task's recipe decides; otherwise its
        cell tagged ``parameters`` does.
    parameters
        Names and values, from Python, YAML or as text from a command line.

    Returns
    -------
    dict
        The same names with values that JSON can hold.

    Raises
    ------
    RecipeError
        A name is unknown or a value is not allowed.
    NotebookError
        The notebook takes no parameters.
    """
    _check_text(parameters)
    task = task_of(notebook)
    if task:
        recipe = tasks.recipe_class(task)
        values = {name: recipe.settle(name, value) for name, value in parameters.items()}
        recipe(**values)
        return {name: _plain(name, value) for name, value in values.items()}
    defaults = parameters_of(notebook) if parameters else {}
    if parameters and not defaults:
        msg = "the notebook takes no parameters: tag the cell that assigns their defaults with 'parameters'"
        raise NotebookError(msg)
    for name in parameters:
        if name not in defaults:
            hint = did_you_mean(name, defaults) or f"; allowed: {', '.join(defaults)}"
            msg = f"unknown parameter {shown(name)}{hint}"
            raise RecipeError(msg)
    return {name: _plain(name, _like(name, defaults[name], value)) for name, value in parameters.items()}


def _check_text(names: Iterable[object]) -> None:
    for name in names:
        if not isinstance(name, str):  # YAML reads `on: 1` as the name True
            msg = f"a parameter's name is text: got {shown(name)} ({type(name).__name__}); put it in quotes"
            raise RecipeError(msg)


def _like(name: str, default: object, value: object) -> object:
    """Read a value as the type of the default in the notebook's cell."""
    if default is None or default is ...:
        return next(iter(readings(value)), value) if isinstance(value, str) else value
    candidates = [value] if isinstance(default, str) or not isinstance(value, str) else readings(value)
    for candidate in candidates:
        if isinstance(default, float) and type(candidate) is int:
            return float(candidate)
        # A bool is an int to isinstance, and a tuple is a list to JSON.
        if type(candidate) is type(default) or {type(candidate), type(default)} == {list, tuple}:
            return candidate
    allowed = f"{type(default).__name__}, as its default {shown(default)}"
    msg = f"parameter {name}: got {shown(value)} ({type(value).__name__}); allowed: {allowed}"
    raise RecipeError(msg)


def _plain(name: str, value: object) -> object:
    """Return a value as JSON gives it back: papermill and the run directory hold nothing else."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        allowed = "finite numbers, text, true, false, None, and lists and mappings of these"
        msg = f"parameter {name}: got {shown(value)} ({type(value).__name__}); allowed: {allowed}"
        raise RecipeError(msg) from None
