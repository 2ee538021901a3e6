"""
What recipe, data and model say together, asked before a kernel is started or a run directory is made.

Most mistakes are seen in the recipe alone. A class that the data do not have, a stage that the model does not have or a
model of no such name need data and model: a process of their own loads both where the recipe says something about
them, and ends with its memory.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tunebook import errors
from tunebook.errors import StorageError, TunebookError
from tunebook.monitors import OF_ONE_CLASS
from tunebook.opening import from_home, is_there
from tunebook.storage import cache_folder, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from tunebook.recipe import Recipe

#: Any model has as many stages.
_PLAIN_STAGES = 3
_LIBRARIES = ("tunebook", "torch", "timm", "transformers")


def refuse_beforehand(recipe: Recipe) -> None:
    """
    Refuse a recipe that its data or its model do not allow.

    Nothing is loaded where the recipe says nothing of them that could be wrong, nor where the same was asked of a
    model before. What cannot be told here, since loading dies or the answer is no answer, the notebook will tell.

    Parameters
    ----------
    recipe
        A whole recipe, validated by itself.

    Raises
    ------
    TunebookError
        As loading the data, loading the model, or beginning to tune would raise it: one line.
    """
    asked = {"data": _asks_data(recipe), "model": _asks_model(recipe)}
    if not any(asked.values()):
        return
    known = None if asked["data"] else _mark(recipe)
    if known is not None and known.is_file():
        return
    request = {"task": recipe.task, "recipe": recipe.model_dump(mode="json"), "model": asked["model"]}
    done = subprocess.run(
        [sys.executable, "-m", "tunebook.preflight_child"],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=False,
    )
    answer: Any = None
    with suppress(ValueError):
        answer = json.loads(done.stdout)
    if not isinstance(answer, dict):
        return
    if isinstance(answer.get("error"), str):
        raise _kind(answer.get("kind"))(answer["error"])
    if known is not None:
        with suppress(StorageError):  # then it is asked again
            write_text(known, "", durable=False)


def _asks_data(recipe: Recipe) -> bool:
    """Say whether a recipe names what its data must have: a class, a column or a group, or two classes."""
    names_classes = any(not isinstance(weights, str) for weights in (recipe.class_weights, recipe.sampler))
    chooses = recipe.monitor.startswith("gap") or recipe.monitor in OF_ONE_CLASS
    return names_classes or chooses or _differs(recipe, recipe.asked_of_data)


def _asks_model(recipe: Recipe) -> bool:
    """Say whether a recipe names a model, or something that must be in it."""
    freezes = (recipe.freeze, *(freeze for _, freeze in recipe.unfreeze))
    differs = _differs(recipe, ("freeze", "unfreeze")) and not all(map(_is_plain, freezes))
    return differs or _differs(recipe, recipe.asked_of_model)


def _differs(recipe: Recipe, names: tuple[str, ...]) -> bool:
    fields = type(recipe).model_fields
    return any(getattr(recipe, name) != fields[name].get_default(call_default_factory=True) for name in names)


def _is_plain(freeze: object) -> bool:
    return freeze in ("none", "backbone") or (isinstance(freeze, int) and abs(freeze) <= _PLAIN_STAGES)


def _mark(recipe: Recipe) -> Path | None:
    """Return the file that says that a model allows this; ``None`` for files, which may be others the next time."""
    if any(is_there(from_home(place)) for place in (recipe.model, recipe.weights)):
        return None
    names = ("model", "weights", "freeze", "unfreeze", *recipe.asked_of_model)
    values = recipe.model_dump(mode="json", include=set(names))
    text = json.dumps([recipe.task, values, [_version(name) for name in _LIBRARIES]], sort_keys=True)
    return cache_folder() / "preflight" / hashlib.sha256(text.encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _kind(name: object) -> type[TunebookError]:
    found = getattr(errors, str(name), None)
    return found if isinstance(found, type) and issubclass(found, TunebookError) else TunebookError
