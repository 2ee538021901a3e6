"""A run that was begun in a notebook, made fit to go on by ``tunebook run --resume``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError, StorageError, TunebookError, shown
from tunebook.opening import is_file
from tunebook.storage import read_json, write_json, write_text
from tunebook.tasks import TASKS
from tunebook.templates import list_templates, load_notebook, task_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a run directory holds of the notebook before it runs: its text, and how it was started.
SOURCE, JOB = "source.ipynb", "job.json"
RECIPE = "recipe.json"


def adopt(run: Path) -> None:
    """
    Write into a run directory what ``tunebook run`` would have: a notebook, and how it is started.

    The recipe says all that a run computes, so where the run's own notebook is not kept, its task's template with that
    recipe goes on with it. Data or a model that the notebook changed by other code than its parameters are other data
    or another model, and are refused when the run goes on.

    Parameters
    ----------
    run
        The run directory, absolute.

    Raises
    ------
    NotebookError
        The run had no recipe yet, or no template is of its task.
    StorageError
        A file cannot be written.
    """
    parameters, task = _recipe(run)
    notebook = run / SOURCE
    if not _is_of(notebook, task):
        notebook = _template(task, run)
        write_text(run / SOURCE, notebook.read_text(encoding="utf-8"))
    folder = folder_of(run, parameters)
    job = {"notebook": str(notebook), "output": None, "folder": str(folder), "parameters": dict(parameters)}
    write_json(run / JOB, job)


def folder_of(run: Path, parameters: Mapping[str, Any]) -> Path:
    """
    Return the folder in which a run was begun, to which its relative paths belong.

    Parameters
    ----------
    run
        The run directory, absolute.
    parameters
        Its recipe's: a relative ``runs_dir`` leads back from the run directory.
    """
    below = Path(str(parameters.get("runs_dir") or "runs"))
    parts = [part for part in below.parts if part != "."]
    if not below.is_absolute() and ".." not in parts and "~" not in parts[:1]:
        folders = run.parent.parts
        if not parts or list(folders[-len(parts) :]) == parts:
            return Path(*folders[: len(folders) - len(parts)])
    return run.parent


def _recipe(run: Path) -> tuple[dict[str, Any], str]:
    missing = f"run {run.name} ended before it had a recipe, so there is nothing to go on with; run its notebook again"
    if not is_file(run / RECIPE):
        raise NotebookError(missing)
    raw = read_json(run / RECIPE)
    parameters, task = (raw.get("parameters"), raw.get("task")) if isinstance(raw, dict) else (None, None)
    if not isinstance(parameters, dict) or task not in TASKS:
        raise StorageError(f"{run / RECIPE} does not say what was run; run its notebook again")
    return parameters, str(task)


def _is_of(notebook: Path, task: str) -> bool:
    try:
        return is_file(notebook) and task_of(load_notebook(notebook)) == task
    except TunebookError:
        return False


def _template(task: str, run: Path) -> Path:
    for template in list_templates():
        if template.task == task and not template.problem:
            return template.path
    msg = f"run {run.name} is of the task {shown(task)}, and no template is; `tunebook templates` lists them"
    raise NotebookError(msg)
