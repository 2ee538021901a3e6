"""Running a model over examples without changing it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from tunebook.devices import Devices
    from tunebook.feeds import Feed
    from tunebook.tasks.base import Model, Reader, Task


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode while the block lasts, and every part back into its own mode after."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def predict_scores(feed: Feed, model: Model, rows: np.ndarray, devices: Devices) -> np.ndarray:
    """
    Return the model's probabilities for some rows.

    Parameters
    ----------
    feed
        Gives the inputs and runs the model on them, from the start or from what is cached.
    model, rows, devices
        What is run on what, and where.

    Returns
    -------
    numpy.ndarray
        Shape (len(rows), classes), float32, in the order of ``rows``.
    """

    def compute(inputs: dict[str, Tensor]) -> Tensor:
        return model.objective.scores(feed.logits(inputs).float())

    return _run(compute, model.module, feed, rows, devices)


def extract_features(task: Task, model: Model, reader: Reader, rows: np.ndarray, devices: Devices) -> np.ndarray:
    """
    Return what the model's head sees for some rows.

    Returns
    -------
    numpy.ndarray
        Shape (len(rows), features), float32, in the order of ``rows``.
    """

    def compute(inputs: dict[str, Tensor]) -> Tensor:
        return task.features(model.module, inputs).float()

    return _run(compute, model.module, reader, rows, devices)


def _run(
    compute: Callable[[dict[str, Tensor]], Tensor],
    module: nn.Module,
    source: Feed | Reader,
    rows: np.ndarray,
    devices: Devices,
) -> np.ndarray:
    found: list[tuple[np.ndarray, np.ndarray]] = []
    with evaluating(module), torch.inference_mode():
        for number, group in enumerate(source.evaluation_batches(rows)):
            if number % devices.count != devices.rank:
                continue
            with devices.autocast():
                output = compute(devices.move(source.inputs(group)))
            found.append((group, output.cpu().numpy()))
    parts = devices.gather(found)
    values = np.concatenate([values for _, values in parts])
    place = {int(row): k for k, row in enumerate(np.concatenate([group for group, _ in parts]))}
    return values[[place[int(row)] for row in rows]]
