"""What a form is made from: the JSON schema of a notebook's parameters, their values, and models to choose from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunebook import tasks
from tunebook.errors import RecipeError, shown
from tunebook.parameters import settle_parameters
from tunebook.recipe import GROUPS
from tunebook.templates import find_template, list_templates, load_notebook, parameters_of, source_of, task_of
from tunebook_lab.cells import COMPUTED, Assignment, assignments, with_values
from tunebook_lab.errors import RequestError
from tunebook_lab.model_choices import model_choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.recipe import Recipe
    from tunebook.templates import Template

#: The group of parameters that no recipe knows.
PLAIN_GROUP = "Parameters"
#: What is looked at first in its group: the columns of a table stand beside each other.
_FIRST = ("data", "text", "path", "label", "sensitive")
_WORDS = {"lr": "learning rate", "dir": "folder", "lora": "LoRA", "onnx": "ONNX"}
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_ICONS = {"image-classification": "image", "text-classification": "text"}


def describe_templates() -> list[dict[str, str]]:
    """Return all templates for the launcher, as the OpenAPI file's ``Template``."""
    return [_describe(template) for template in list_templates()]


def _describe(template: Template) -> dict[str, str]:
    return {
        "name": template.name,
        "title": template.title or template.name.replace("-", " ").capitalize(),
        "summary": template.summary,
        "task": template.task,
        "icon": _ICONS.get(template.task) or ("search" if "search" in template.name else "notebook"),
        "problem": template.problem,
    }


def template_form(name: str) -> dict[str, Any]:
    """
    Return the form of a template.

    Raises
    ------
    RequestError
        404: there is no such template.
    NotebookError
        It cannot be used.
    """
    known = {template.name: template for template in list_templates()}
    if name not in known:
        raise RequestError(404, f"no template {shown(name)}; templates: {', '.join(known) or 'none'}")
    template = find_template(name)
    described = _describe(template)
    notebook = load_notebook(template.path)
    form = cell_form(task_of(notebook), cell_source(notebook))
    return {**form, "name": name, "title": described["title"], "summary": described["summary"]}


def cell_source(notebook: Mapping[str, Any]) -> str:
    """Return the source of a notebook's cell tagged ``parameters``; empty when there is none."""
    cell = parameters_cell(notebook)
    return source_of(cell) if cell is not None else ""


def parameters_cell(notebook: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a notebook's cell tagged ``parameters``; ``None`` when there is none."""
    for cell in notebook["cells"]:
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
        if cell.get("cell_type") == "code" and isinstance(tags, list) and "parameters" in tags:
            found: dict[str, Any] = cell
            return found
    return None


def cell_form(task: str, source: str) -> dict[str, Any]:
    """
    Return the form of a parameters cell.

    Parameters
    ----------
    task
        The notebook's task; empty, or one that Tunebook does not know, makes the form from the cell alone.
    source
        The cell; empty gives the task's defaults.

    Returns
    -------
    dict
        As the OpenAPI file's ``Form``; without name, path, title and summary, which are empty.

    Raises
    ------
    NotebookError
        The cell is not plain Python.
    """
    found = assignments(source)
    recipe = tasks.recipe_class(task) if task in tasks.TASKS else None
    if recipe is None:
        schema, groups, defaults = _plain_schema(found), [PLAIN_GROUP], _plain_values(found)
    else:
        schema, groups = _recipe_schema(recipe), _groups(recipe)
        defaults = recipe().model_dump(mode="json")
    known = [each for each in found if each.name in schema["properties"]]
    values, problems = _checked(recipe, {e.name: e.value for e in known if e.value is not COMPUTED})
    return {
        "name": "", "path": "", "title": "", "summary": "", "task": task, "schema": schema, "groups": groups,
        "defaults": defaults, "values": values, "computed": [e.name for e in known if e.value is COMPUTED],
        "problems": problems, "models": model_choices(task, defaults), "source": source or _whole_cell(recipe),
    }  # fmt: skip


def check(task: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are allowed and a line on each that is not, as ``/parameters/check`` answers."""
    if task not in tasks.TASKS:
        return {"values": dict(values), "problems": {}}
    found, problems = _checked(tasks.recipe_class(task), values)
    return {"values": found, "problems": problems}


def rewrite(task: str, source: str, values: Mapping[str, Any]) -> str:
    """
    Return a parameters cell with other values.

    Raises
    ------
    RecipeError
        A value is not allowed.
    NotebookError
        The cell is not plain Python.
    """
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}
    notebook = {"cells": [cell], "metadata": {"tunebook": {"task": task if task in tasks.TASKS else ""}}}
    settled = settle_parameters(notebook, values)
    recipe = tasks.recipe_class(task) if task in tasks.TASKS else None
    if recipe is None:
        return with_values(source, settled, {})
    if not source.strip():
        return recipe.parameters_cell(settled)
    whole = recipe.parameters_cell(settled).splitlines()
    lines = {line.partition(":")[0]: line for line in whole if line and not line.startswith("#")}
    # What the cell leaves out and stays at its default need not be written.
    has = {found.name for found in assignments(source)}
    default = recipe().model_dump(mode="json")
    return with_values(source, {k: v for k, v in settled.items() if k in has or default[k] != v}, lines)


def full_values(notebook: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check values together with those that the notebook's own cell keeps.

    Returns
    -------
    dict
        The settled values.

    Raises
    ------
    RecipeError
        A value is not allowed, or does not fit to those of the cell.
    NotebookError
        The notebook takes no parameters.
    """
    settled = settle_parameters(notebook, values)
    task = task_of(notebook)
    if task in tasks.TASKS:
        recipe = tasks.recipe_class(task)
        own = {k: v for k, v in parameters_of(notebook).items() if k in recipe.model_fields and v is not ...}
        recipe(**{**own, **settled})
    return settled


def _checked(recipe: type[Recipe] | None, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    if recipe is None:
        return {name: _jsonable(value) for name, value in values.items()}, {}
    good: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, value in values.items():
        try:
            good[name] = _jsonable(recipe.settle(name, value))
        except RecipeError as error:
            problems[name] = str(error)
    try:
        recipe(**good)
    except RecipeError as error:
        problems[""] = str(error)
    return good, problems


def _jsonable(value: object) -> Any:  # noqa: ANN401
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _recipe_schema(recipe: type[Recipe]) -> dict[str, Any]:
    schema = recipe.model_json_schema()
    defaults = recipe().model_dump(mode="json")
    order = {group: place for place, group in enumerate(GROUPS)}
    rows = sorted(
        schema["properties"].items(),
        key=lambda row: (
            order.get(row[1].get("group", ""), len(order)),
            _FIRST.index(row[0]) if row[0] in _FIRST else len(_FIRST),
        ),
    )
    properties = {
        name: {**node, "title": _title(name), "default": defaults[name]} for name, node in rows
    }  # fmt: skip
    return {**schema, "properties": properties}


def _groups(recipe: type[Recipe]) -> list[str]:
    used = {node.get("group") for node in recipe.model_json_schema()["properties"].values()}
    return [group for group in GROUPS if group in used]


def _title(name: str) -> str:
    text = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def _plain_schema(found: Sequence[Assignment]) -> dict[str, Any]:
    properties = {}
    for each in found:
        node: dict[str, Any] = {"title": _title(each.name), "group": PLAIN_GROUP, "advanced": False}
        node["description"] = each.help
        if type(each.value) in _TYPES:
            node |= {"type": _TYPES[type(each.value)], "default": _jsonable(each.value)}
        properties[each.name] = node
    return {"type": "object", "properties": properties}


def _plain_values(found: Sequence[Assignment]) -> dict[str, Any]:
    return {each.name: _jsonable(each.value) for each in found if each.value is not COMPUTED}


def _whole_cell(recipe: type[Recipe] | None) -> str:
    return recipe.parameters_cell() if recipe is not None else ""
