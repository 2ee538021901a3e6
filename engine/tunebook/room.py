"""Room in memory: what a session's limit would not let end is refused before it begins, with what would fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tunebook import cgroup
from tunebook.cost import what_fits
from tunebook.errors import ModelError, RecipeError, shown
from tunebook.quantities import amount

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from tunebook.cost import CostModel
    from tunebook.recipe import Recipe
    from tunebook.stages import Stages

_WEIGHT_BYTES = 4
#: Numbers beside each weight that trains: its gradient and AdamW's two averages.
_BESIDE_TRAINED = 3
_ANYWAY = "or set on_memory='try' to see how far it comes"


def room_of(recipe: Recipe) -> int | None:
    """Return the bytes beyond which this session would be killed; ``None`` without a limit, or where it may be."""
    return cgroup.memory_room() if recipe.on_memory == "stop" else None


def require_room_for_weights(recipe: Recipe, build: Callable[[], nn.Module]) -> None:
    """
    Refuse a model whose weights alone are more than what is left.

    Parameters
    ----------
    recipe
        It names the model.
    build
        Makes the model without reading weights. It is called where tensors have a shape and take no memory.

    Raises
    ------
    ModelError
        The weights do not fit.
    """
    room = room_of(recipe)
    if room is None:
        return
    try:
        # The head that is made later draws the same numbers as without this.
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            size = _WEIGHT_BYTES * _scalars(build())
    except Exception:  # noqa: BLE001 - what cannot be made without memory is left to be loaded
        return
    if size > room:
        example = type(recipe)().model
        other = f", such as {example}" if example != recipe.model else ""
        msg = (
            f"model {shown(recipe.model)}: its weights take {amount(size)} and {amount(room)} of this session's "
            f"{amount(cgroup.memory_limit() or 0)} of memory are left; choose a smaller model{other}, {_ANYWAY}"
        )
        raise ModelError(msg)


def require_room(recipe: Recipe, module: nn.Module, stages: Stages, measure: Callable[[], CostModel | None]) -> None:
    """
    Refuse a recipe that is expected to take more than what is left.

    Parameters
    ----------
    recipe
        What is to be run.
    module, stages
        The loaded model.
    measure
        Measures what the model costs; ``None`` where it cannot be measured, and then nothing is refused. It is not
        called where there is no limit, and where even a pass backwards through all of the model would not fit.

    Raises
    ------
    RecipeError
        It does not fit; the line names the change that would.
    """
    room = room_of(recipe)
    if room is None:
        return
    if 2 * _WEIGHT_BYTES * _scalars(module) > room:
        _require_room_for_moments(recipe, module, stages, room)
        return
    cost = measure()
    # Measuring has filled what training fills again.
    room = room_of(recipe) or 0
    if cost is None:
        return
    estimate = cost.with_room(room).estimate(recipe)
    if not estimate.fits:
        more = estimate.memory - cost.tables.memory.resident
        have = f"{amount(more)} more of memory expected and {amount(room)} of {amount(cgroup.memory_limit() or 0)} left"
        raise RecipeError(f"{have}: {what_fits(estimate.change)}, {_ANYWAY}")


def _require_room_for_moments(recipe: Recipe, module: nn.Module, stages: Stages, room: int) -> None:
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    trained: set[str] = set()
    for freeze in (recipe.freeze, *(later for epoch, later in recipe.unfreeze if epoch < recipe.epochs)):
        trained |= sizes.keys() - stages.frozen_by(freeze)
    scalars = sum(sizes[name] for name in trained)
    needed = _BESIDE_TRAINED * _WEIGHT_BYTES * scalars
    if needed > room:
        msg = (
            f"training {scalars:,} weights takes {amount(needed)} beside them and {amount(room)} of memory are left: "
            f"freeze='backbone' with unfreeze=[] trains fewer, and a smaller model has fewer; {_ANYWAY}"
        )
        raise RecipeError(msg)


def _scalars(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
