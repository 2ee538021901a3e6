"""The steps of a notebook, a function each: data, checks, model, baseline, tuning."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook import tasks
from tunebook.baseline import Baseline, measure_baselines
from tunebook.choices import require_named
from tunebook.cost import measure
from tunebook.decision import Decider
from tunebook.devices import Devices
from tunebook.errors import InterruptError, StepError, TunebookError
from tunebook.features import Features
from tunebook.findings import Finding
from tunebook.machine import plain_bars
from tunebook.room import require_room, room_of
from tunebook.steps import in_kernel, loading, reading, step
from tunebook.trying import try_model
from tunebook.tuning import Session, Tuning

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.cost import CostModel
    from tunebook.examples import Examples
    from tunebook.figures import Page, Picture
    from tunebook.findings import Findings
    from tunebook.recipe import Recipe
    from tunebook.runs import Run
    from tunebook.tasks.base import Model

# Libraries ask tqdm for the bar that suits, and in a kernel that one imports ipywidgets.
plain_bars()

#: The features made last, with what they were made for: the baseline and the tuning of a notebook share them, and
#: with them the reader and what it has decoded.
_last_features: tuple[Any, ...] = ()
#: What was measured last of a cost, with what it was measured for: the panel shows what loading has looked at.
_last_cost: tuple[Any, ...] = ()
#: The tuning begun last, and the model that it trains.
_last_tuning: tuple[Tuning[Run], Model] | None = None


@step("reads the examples")
def load_examples(recipe: Recipe) -> Examples:
    """
    Read the examples that a recipe names.

    Parameters
    ----------
    recipe
        Its ``data`` says where they are.

    Returns
    -------
    Examples
        With train, validation and test filled, seeded and stratified where the data did not give them.

    Raises
    ------
    DataError
        The data cannot be found or read.
    """
    examples = tasks.get_task(recipe.task).load_examples(recipe)
    return replace(examples, read_with=reading(recipe))


@step("checks the examples")
def check(examples: Examples, recipe: Recipe) -> Findings:
    """
    Look for problems in the data: left out, unreadable, duplicate, leaking between splits, contradictory, too few.

    Returns
    -------
    Findings
        ``findings.resolve(recipe.on_problem)`` applies the policy and gives the examples that are left.
    """
    found = tasks.get_task(recipe.task).check(examples, recipe)
    said = tuple(Finding(kind, text) for kind, text in examples.remarks)
    return replace(found, items=(*said, *found.items))


@step("draws examples")
def preview(examples: Examples, recipe: Recipe, count: int = 24, split: str = "train") -> Picture | Page:
    """Show some examples of a split, the classes in turn, drawn by the recipe's seed."""
    rows = examples.rows(split)
    rng = np.random.default_rng([recipe.seed, 37])
    order = rng.permutation(rows)
    turn = examples.frame.iloc[order].groupby("label", sort=True).cumcount().to_numpy()
    chosen = order[np.argsort(turn, kind="stable")][:count]
    labels = examples.frame["label"]
    task = tasks.get_task(recipe.task)
    title = f"{len(chosen)} of {len(rows)} {split} {task.unit}"
    return task.gallery(examples, chosen.tolist(), [labels.iloc[row] for row in chosen], title)


@step("measures the examples")
def overview(recipe: Recipe, examples: Examples, model: Model) -> Picture:
    """Show how large the examples are, and what of them the model gets to see."""
    return tasks.get_task(recipe.task).overview(examples, recipe, model)


@step("loads the model")
def load_model(recipe: Recipe, examples: Examples) -> Model:
    """
    Load the pre-trained model with a head for the classes of the examples.

    Raises
    ------
    ModelError
        The model is unknown, its weights cannot be had, trusted, or held in memory, or it does not run.
    RecipeError
        A class, group, freeze or dropout rate does not fit the data or the model, ``monitor`` or ``threshold`` cannot
        choose on these examples, or the whole does not fit into this session's memory.
    """
    require_named(recipe, examples)
    model = tasks.get_task(recipe.task).load_model(recipe, examples.classes)
    for freeze in (recipe.freeze, *(freeze for _, freeze in recipe.unfreeze)):
        model.stages.frozen_by(freeze)
    try_model(tasks.get_task(recipe.task), recipe, model, Devices(recipe, model.module))
    _require_room(recipe, examples, model)
    model.loaded_with = loading(recipe, examples.classes)
    return model


@step("measures the baselines")
def measure_baseline(recipe: Recipe, examples: Examples, model: Model) -> Baseline:
    """Measure what is reached without tuning, see :func:`tunebook.baseline.measure_baselines`."""
    devices = Devices(recipe, model.module)
    task = tasks.get_task(recipe.task)
    features = _features(recipe, examples, model)
    decider = Decider.of_examples(recipe, examples)
    return measure_baselines(task, model, features.reader, examples, devices, features, decider)


@step("measures what training costs")
def measure_cost(
    recipe: Recipe, examples: Examples, model: Model, clock: Callable[[], float] = time.perf_counter
) -> CostModel:
    """
    Measure what training this model on these examples costs; takes a few seconds and leaves the model as it is.

    Parameters
    ----------
    recipe, examples, model
        What is to be trained on what.
    clock
        Gives the seconds that count, see :func:`tunebook.cost.measure`.

    Returns
    -------
    CostModel
        ``cost.estimate(recipe)`` says what this recipe, or another one of the same data and model, will cost.
    """
    devices = Devices(recipe, model.module)
    task = tasks.get_task(recipe.task)
    return measure(task, recipe, examples, model, _features(recipe, examples, model).reader, devices, clock)


def known_cost(recipe: Recipe, examples: Examples, model: Model) -> CostModel | None:
    """
    Return what :func:`measure_cost` gives, without measuring again what was measured last.

    Returns
    -------
    CostModel or None
        ``None`` for what does not run once: training will say why.
    """
    global _last_cost  # noqa: PLW0603
    if not (_last_cost and _last_cost[0] is examples and _last_cost[1] is model and _last_cost[2].covers(recipe)):
        try:
            _last_cost = (examples, model, measure_cost(recipe, examples, model))
        except InterruptError:
            raise
        except TunebookError:
            return None
    found: CostModel = _last_cost[2]
    return found


def _require_room(recipe: Recipe, examples: Examples, model: Model) -> None:
    """See :func:`tunebook.room.require_room`; an accelerator has memory of its own, and an error for its end."""
    if room_of(recipe) is not None and Devices(recipe, model.module).device.type == "cpu":
        require_room(recipe, model.module, model.stages, lambda: known_cost(recipe, examples, model))


@step("prepares the training")
def tune(
    recipe: Recipe,
    examples: Examples,
    model: Model,
    baseline: Baseline | None = None,
    findings: Findings | None = None,
) -> Tuning[Run]:
    """
    Fine-tune a model.

    Parameters
    ----------
    recipe
        What to do.
    examples
        What to train on, after the checks.
    model
        The model; its weights are changed. One that was tuned before, or loaded with another seed, is loaded again
        first, so that a cell that is run twice, with another recipe, begins where it began the first time.
    baseline
        Measured before, for the report.
    findings
        What the checks found, for the model card.

    Returns
    -------
    Tuning
        ``await tune(...)`` in a notebook, ``tune(...).result()`` in a script; both give the finished run.

    Raises
    ------
    StepError
        A tuning of this model, or in a notebook any, goes on.
    TunebookError
        At once for what is wrong beforehand; from awaiting it for what goes wrong later.
    """
    global _last_features, _last_cost, _last_tuning  # noqa: PLW0603
    _require_at_rest(model)
    if model.is_tuned or model.loaded_with.get("seed", recipe.seed) != recipe.seed:
        fresh = load_model(recipe, examples)
        for item in fields(model):
            setattr(model, item.name, getattr(fresh, item.name))
        _last_features = _last_cost = ()
    else:
        _require_room(recipe, examples, model)
    task = tasks.get_task(recipe.task)
    dropped = findings.dropped() if findings is not None else {}
    features = _features(recipe, examples, model)
    session = Session(task, recipe, examples, model, features.reader, baseline, dropped, features)
    tuning = Tuning(session.work, session.describe, session.run)
    _last_tuning = tuning, model
    return tuning


def _require_at_rest(model: Model) -> None:
    """Refuse a second tuning while one goes on: both would change the weights of one model, or share a kernel."""
    if _last_tuning is None or _last_tuning[0].done() or not (_last_tuning[1] is model or in_kernel()):
        return
    run = _last_tuning[0].run
    msg = (
        f"tune: run {run.name} still trains; wait for it, or stop it first: the bar's Stop, "
        f"or `tunebook control {run.path} stop`"
    )
    raise StepError(msg)


def _features(recipe: Recipe, examples: Examples, model: Model) -> Features:
    global _last_features  # noqa: PLW0603
    key = (recipe, examples, model)
    if not _last_features or any(a is not b for a, b in zip(key, _last_features, strict=False)):
        task = tasks.get_task(recipe.task)
        features = Features(task, recipe, examples, model, task.reader(examples, recipe, model))
        _last_features = (*key, features)
    found: Features = _last_features[3]
    return found
