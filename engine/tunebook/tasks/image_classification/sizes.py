"""Sizes of pictures that a timm model can read: some have one alone, others those that their windows divide."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import timm
import torch

from tunebook.trying import first_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

#: Most models halve a picture five times.
_STEP = 32
_SMALLEST, _LARGEST = 32, 512
#: Sizes that are named, and seconds after which no further one is tried.
_NAMED, _SECONDS = 3, 20.0


def fitting_sizes(name: str, wanted: int, create: Callable[[int], nn.Module]) -> list[int]:
    """
    Find sizes that a model can read, near the wanted one.

    Parameters
    ----------
    name
        Of the architecture.
    wanted
        The size that it cannot read.
    create
        Makes the model for a size, with random weights. It is called on torch's device without memory, so that large
        models take no time.

    Returns
    -------
    list of int
        The model's own size and the nearest others, ascending; empty where none was found.
    """
    config = timm.get_pretrained_cfg(name)
    own = int(config.input_size[-1]) if config is not None else 224
    steps = sorted(range(_SMALLEST, _LARGEST + 1, _STEP), key=lambda size: (abs(size - wanted), size))
    found: list[int] = []
    started = time.monotonic()
    for size in dict.fromkeys((own, *steps)):
        if len(found) == _NAMED or time.monotonic() - started > _SECONDS:
            break
        if size != wanted and not first_problem(lambda size=size: _read(create, size)):  # type: ignore[misc]
            found.append(size)
    return sorted(found)


def _read(create: Callable[[int], nn.Module], size: int) -> None:
    with torch.device("meta"), torch.no_grad():
        create(size).eval()(torch.zeros(1, 3, size, size))
