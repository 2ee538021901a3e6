"""A run once more: what its form begins with, so that a person changes a value or two and starts it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook import tasks
from tunebook.adoption import JOB, SOURCE, folder_of
from tunebook.errors import StorageError, TunebookError, shown
from tunebook.opening import is_file
from tunebook.templates import list_templates, load_notebook, parameters_of, task_of
from tunebook_lab.errors import RequestError
from tunebook_lab.run_rows import read_bounded, recipe_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook_lab.paths import Root

#: Parameters that belong to one run and never to the next.
_OWN = frozenset({"run", "resume"})
_METHODS = ("bayesian", "random", "grid")


def describe_again(path: Path, row: Mapping[str, Any], root: Root) -> dict[str, Any]:
    """
    Return what a form needs to run a run again.

    Parameters
    ----------
    path
        The run directory.
    row
        Its row.
    root
        The server's root.

    Returns
    -------
    dict
        As the OpenAPI file's ``Again``. Relative paths among the values belong to its ``folder``; where the run was
        begun in a folder that the server does not show, they are absolute.

    Raises
    ------
    RequestError
        409: nothing says what the run was given, or no template is of its task.
    """
    given = recipe_parameters(path)
    if not given:
        raise RequestError(409, f"run {path.name} ended before anything says what it was given; open its notebook")
    job = _job(path)
    own = _own_notebook(path, row)
    known = _known(str(row["task"]), own)
    values = {name: value for name, value in given.items() if name in known and name not in _OWN}
    left_out = [name for name in given if name not in known]
    folder = Path(str(job.get("folder") or folder_of(path, given)))
    is_shown = root.holds(folder) and folder.is_dir()
    if row["task"] in tasks.TASKS:
        values |= _places(values, folder, path.parent, is_shown=is_shown)
    notebook = str(job.get("notebook") or "")
    return {
        "template": "" if own else _template(str(row["task"]), path),
        "notebook": root.name(path / SOURCE) if own else "",
        "name": Path(notebook).stem if own and notebook else "",
        "folder": root.name(folder.resolve()) if is_shown else root.name(path.parent),
        "values": values,
        "left_out": left_out,
        "sweep": _sweep(path) if row["kind"] == "sweep" else None,
    }


def _job(path: Path) -> dict[str, Any]:
    try:
        raw = read_bounded(path / JOB)
    except StorageError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _own_notebook(path: Path, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the notebook that a run was made by, where its directory has it."""
    if row["kind"] == "sweep" or not is_file(path / SOURCE):
        return None
    try:
        notebook = load_notebook(path / SOURCE)
    except TunebookError:
        return None
    return notebook if task_of(notebook) == row["task"] or row["kind"] == "notebook" else None


def _known(task: str, notebook: Mapping[str, Any] | None) -> set[str]:
    known = set(tasks.recipe_class(task).model_fields) if task in tasks.TASKS else set()
    return known | (set(parameters_of(notebook)) if notebook is not None else set())


def _places(values: Mapping[str, Any], folder: Path, beside: Path, *, is_shown: bool) -> dict[str, Any]:
    """Return the values that hold paths, so that they mean in the new run what they did in the old one."""
    found: dict[str, Any] = {}
    below = Path(str(values.get("runs_dir") or "runs"))
    if not is_shown or (folder / below).resolve() != beside.resolve():
        found["runs_dir"] = str(beside)
    data = values.get("data")
    if not is_shown and isinstance(data, str) and data and (folder / data).exists():
        found["data"] = str(folder / data)
    return found


def _template(task: str, path: Path) -> str:
    for template in list_templates():
        if template.task == task and not template.problem:
            return template.name
    raise RequestError(409, f"run {path.name} is of the task {shown(task)}, and no template is; open its notebook")


def _sweep(path: Path) -> dict[str, Any] | None:
    """Return a sweep as a form searches: its spaces, trials, method and objectives."""
    try:
        plan = read_bounded(path / "sweep.json")
    except StorageError:
        return None
    spaces, objectives = (plan.get("spaces"), plan.get("objectives")) if isinstance(plan, dict) else (None, None)
    if not isinstance(spaces, dict) or not isinstance(objectives, list):
        return None
    trials, method = plan.get("trials"), plan.get("method")
    return {
        "space": {str(name): str(space) for name, space in spaces.items()},
        "trials": trials if type(trials) is int and trials > 0 else None,
        "method": method if method in _METHODS else _METHODS[0],
        "objectives": [str(objective) for objective in objectives],
    }
