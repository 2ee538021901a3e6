"""
The tasks: what differs between pictures and texts, and nothing else.

A task is a package here with a module ``recipe`` (light: it is imported by ``tunebook --help``)
and a module ``task`` (heavy). It is named in :data:`TASKS`; nothing else knows it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tunebook.errors import RecipeError, did_you_mean, shown

if TYPE_CHECKING:
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Task

#: Task name -> package that holds it.
TASKS = {
    "image-classification": "tunebook.tasks.image_classification",
    "text-classification": "tunebook.tasks.text_classification",
}


def _package(name: str) -> str:
    if name not in TASKS:
        msg = f"unknown task {shown(name)}{did_you_mean(name, TASKS)}; tasks: {', '.join(TASKS)}"
        raise RecipeError(msg)
    return TASKS[name]


def recipe_class(name: str) -> type[Recipe]:
    """
    Return the recipe class of a task, without importing torch.

    Raises
    ------
    RecipeError
        There is no such task.
    """
    found: type[Recipe] = import_module(f"{_package(name)}.recipe").RECIPE
    return found


def get_task(name: str) -> Task:
    """
    Return the task of a name.

    Raises
    ------
    RecipeError
        There is no such task.
    """
    found: Task = import_module(f"{_package(name)}.task").TASK
    return found
