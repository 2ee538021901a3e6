"""A model is tried before it is trained: run once on a few examples without content, forwards and backwards."""

from __future__ import annotations

import hashlib
import time
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from tunebook.cost_probe import untouched
from tunebook.errors import ModelError, TunebookError, shown
from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from tunebook.devices import Devices
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model, Task

#: Examples that a model is tried on.
_FEW = 2
#: Seconds of a forward pass from which on the backward pass is left out.
_CHEAP = 1.0

#: Digests of what was tried in this process and worked: what a model is made of and is given, without its weights.
_worked: set[str] = set()


def try_model(task: Task, recipe: Recipe, model: Model, devices: Devices) -> None:
    """
    Run a model on a few examples as it will be run, and leave it as it is.

    Parameters
    ----------
    task, recipe, model
        What is to be trained.
    devices
        In whose precision. The model is run where it is.

    Raises
    ------
    ModelError
        It ends in an error, or gives something else than a number for each class: in one line, with what would help.
    """
    inputs = task.sample(model, recipe, min(_FEW, recipe.batch_size))
    shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
    text = f"{recipe.model} {model.module!r} {shapes} {devices.precision} {devices.device.type}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest in _worked:
        return
    problem = first_problem(lambda: _run(task, model, inputs, devices))
    if problem and devices.precision != "fp32" and not first_problem(lambda: _run(task, model, inputs, None)):
        msg = f"model {shown(recipe.model)} does not run in {devices.precision} ({problem}); set precision='fp32'"
        raise ModelError(msg)
    if problem:
        raise ModelError(f"model {shown(recipe.model)} {task.advice(model, recipe, problem)}")
    _worked.add(digest)


def first_problem(run: Callable[[], object]) -> str:
    """
    Return the error that something ends in, as the first line of it and its kind; nothing where it ends well.

    Errors that Tunebook raises on purpose go on, and so does one of memory.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
    except (TunebookError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a model's code may raise anything
        first = (str(error).strip().splitlines() or [""])[0][:160]
        return f"{type(error).__name__}: {first}" if first else type(error).__name__
    return ""


def _run(task: Task, model: Model, inputs: dict[str, Tensor], devices: Devices | None) -> None:
    module = model.module
    here = next(module.parameters()).device
    cast = devices.autocast() if devices is not None and devices.device.type == here.type else nullcontext()
    count = len(next(iter(inputs.values())))
    with untouched(module), cast:
        started = time.process_time()
        with evaluating(module), torch.no_grad():
            logits = task.logits(module, inputs)
            _require_rows(task.features(module, inputs), count, "features")
        _require_rows(logits, count, "outputs")
        if time.process_time() - started < _CHEAP:
            module.train()
            _train(task, module, inputs)


def _train(task: Task, module: nn.Module, inputs: dict[str, Tensor]) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(True)  # noqa: FBT003 - torch's own signature
    task.logits(module, inputs).float().logsumexp(dim=1).sum().backward()


def _require_rows(found: object, count: int, what: str) -> None:
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != count:  # noqa: PLR2004 - examples, numbers
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        msg = f"its {what} of {count} examples are {shape} and not a row of numbers each"
        raise ValueError(msg)
