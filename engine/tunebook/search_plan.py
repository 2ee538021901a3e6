"""The plan of a search: all that decides its trials, checked before anything runs and kept as ``sweep.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tunebook import tasks
from tunebook.errors import NotebookError, RecipeError, StorageError, did_you_mean, shown
from tunebook.machine import versions
from tunebook.search_objectives import Objective, read_objectives
from tunebook.spaces import Space, grid_size, read_spaces
from tunebook.storage import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.runs import Run

METHODS = ("bayesian", "random", "grid")
#: Trials of a search that does not say how many.
TRIALS = 30
#: Values into which a grid cuts a range, unless told.
POINTS = 5
FILE = "sweep.json"
_MOST_TRIALS = 1_000_000
_SEEDS = 2**32


@dataclass(frozen=True)
class Plan:
    """
    What is searched, and how.

    Attributes
    ----------
    task
        Name of the task.
    parameters
        The whole recipe as JSON; trials differ from it in the spaces.
    spaces
        Parameter to its space as text.
    objectives
        One, or two for a Pareto front, as text.
    trials
        How many trials end.
    method
        One of :data:`METHODS`.
    points
        Values into which a grid cuts a range.
    prune
        Whether trials below the median of those before are given up.
    seed
        Seed of the choice of parameters.
    storage
        URL of Optuna's storage, without a password; empty for a journal in the sweep's directory.
    versions, data
        Of the packages; source, hash and number of the examples, empty until they are read.
    """

    task: str
    parameters: dict[str, Any]
    spaces: dict[str, str]
    objectives: tuple[str, ...] = ("macro_f1",)
    trials: int = TRIALS
    method: str = "bayesian"
    points: int = POINTS
    prune: bool = True
    seed: int = 0
    storage: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def recipe(self, **changes: Any) -> Recipe:  # noqa: ANN401
        """Return the recipe of a trial: the plan's, with some parameters changed."""
        return tasks.recipe_class(self.task)(**{**self.parameters, **changes})

    def read_spaces(self) -> dict[str, Space]:
        """Return the spaces."""
        return read_spaces(self.recipe(), self.spaces)

    def read_objectives(self) -> tuple[Objective, ...]:
        """Return the objectives."""
        return read_objectives(self.objectives)

    def save(self, run: Run) -> None:
        """Write ``sweep.json``."""
        write_json(run.path / FILE, {**asdict(self), "objectives": list(self.objectives)})

    @classmethod
    def load(cls, run: Run) -> Plan:
        """
        Read the plan of a sweep, and check it again.

        Raises
        ------
        StorageError
            The run is no sweep, or its plan is damaged.
        """
        path = run.path / FILE
        if not path.is_file():
            msg = f"run {run.name} is no sweep; go on with it by `tunebook run --resume {run.path}`"
            raise StorageError(msg)
        raw = read_json(path)
        try:
            plan = cls(**{**raw, "objectives": tuple(raw["objectives"])})
            plan.read_spaces()
            plan.read_objectives()
        except (TypeError, KeyError, AttributeError, ValueError, RecipeError) as error:
            msg = f"{path} is not the plan of a sweep: {error}; start a new one"
            raise StorageError(msg) from None
        return plan

    def described(self, examples: Examples) -> Plan:
        """Return the plan with the examples that it is about."""
        found = {"source": examples.source, "sha256": examples.fingerprint(), "examples": len(examples)}
        return replace(self, data=found)


def make_plan(
    notebook: Mapping[str, Any],
    spaces: Mapping[str, str],
    *,
    parameters: Mapping[str, Any] | None = None,
    objectives: Sequence[str] = ("macro_f1",),
    trials: int | None = None,
    method: str = "bayesian",
    points: int = POINTS,
    prune: bool | None = None,
    seed: int = 0,
    storage: str = "",
) -> Plan:
    """
    Make the plan of a search for a notebook, and check all of it.

    Parameters
    ----------
    notebook
        With a task in its metadata; its parameters cell gives the recipe.
    spaces
        Parameter to its space as text, see :func:`tunebook.spaces.read_spaces`.
    parameters
        Values in place of the notebook's; text is read as from a command line.
    objectives, trials, method, points, prune, seed, storage
        As in :class:`Plan`. ``trials`` is the whole grid, or 30, and ``prune`` is on for one objective when ``None``.

    Raises
    ------
    RecipeError
        A name, value, space, objective or method is not allowed; one line.
    NotebookError
        The notebook has no task.
    """
    given = dict(parameters or {})
    recipe = _base_recipe(notebook, given)
    for name in spaces:
        if name in given:
            msg = f"parameter {shown(name)} is both set and searched; leave one of them out"
            raise RecipeError(msg)
    found = read_spaces(recipe, spaces)
    wanted = read_objectives([objectives] if isinstance(objectives, str) else objectives)
    if method not in METHODS:
        msg = f"method {shown(method)}{did_you_mean(str(method), METHODS)}; allowed: {', '.join(METHODS)}"
        raise RecipeError(msg)
    _check_number("points", points, 2, 1_000)
    _check_number("seed", seed, 0, _SEEDS - 1)
    count = TRIALS if trials is None else _check_number("trials", trials, 1, _MOST_TRIALS)
    if method == "grid":
        size = grid_size(found, points)
        if trials is None:
            _check_number("trials (the size of the grid)", size, 1, _MOST_TRIALS)
        count = size if trials is None else min(count, size)
    if prune and len(wanted) > 1:
        msg = "prune: trials are pruned by one objective; with two of them leave --prune out"
        raise RecipeError(msg)
    return Plan(
        task=recipe.task,
        parameters=json.loads(recipe.model_dump_json()),
        spaces={name: str(spaces[name]) for name in found},
        objectives=tuple(str(objective) for objective in wanted),
        trials=count,
        method=method,
        points=points,
        prune=len(wanted) == 1 if prune is None else prune,
        seed=seed,
        storage=storage,
        versions={**versions(), **_more_versions()},
    )


def _base_recipe(notebook: Mapping[str, Any], given: Mapping[str, Any]) -> Recipe:
    from tunebook.parameters import settle_parameters  # noqa: PLC0415
    from tunebook.templates import parameters_of, task_of  # noqa: PLC0415

    task = task_of(notebook)
    if not task:
        msg = "the notebook names no task, so there is no recipe to search; start from one of `tunebook templates`"
        raise NotebookError(msg)
    kind = tasks.recipe_class(task)
    if given.get("resume"):
        msg = "resume is not a parameter of a search; go on with a sweep by `tunebook sweep --resume SWEEP`"
        raise RecipeError(msg)
    if given.get("replay"):
        msg = "replay is not a parameter of a search: trials take no live commands; leave it out"
        raise RecipeError(msg)
    values = settle_parameters(notebook, given)
    cell = {name: value for name, value in parameters_of(notebook).items() if name in kind.model_fields}
    for name, value in cell.items():
        if value is ... and name not in values:
            msg = f"parameter {name}: the notebook's value is no plain value; set it with -p {name} VALUE"
            raise RecipeError(msg)
    # Trials have no run directories of their own.
    return kind(**{**cell, **values, "run": "", "runs_dir": "runs", "resume": "", "replay": ""})


def _check_number(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        msg = f"{name}: got {shown(value)}; allowed: a whole number from {low} to {high}"
        raise RecipeError(msg)
    return value


def _more_versions() -> dict[str, str]:
    from importlib import metadata  # noqa: PLC0415

    found = {}
    for name in ("optuna", "distributed"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
