"""What a model's classifier sees, and that classifier: a linear layer that can be fitted again in seconds."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tunebook import tasks
from tunebook.devices import Devices
from tunebook.errors import DataError, ModelError
from tunebook.features import Features
from tunebook.labels import decide
from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from tunebook.decision import Decision
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model, Reader, Task

#: Share of the validation examples on which features and run must lead to the same class.
_SAME = 0.97


@dataclass(frozen=True)
class LinearHead:
    """
    Weights of a classifier.

    Attributes
    ----------
    weight, bias
        Shapes (classes, features) and (classes,), float64.
    """

    weight: np.ndarray
    bias: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, shape (n, classes), of features of shape (n, features)."""
        logits = features @ self.weight.T + self.bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
        return found


@dataclass(frozen=True)
class HeadFeatures:
    """
    Features of some rows, and the classifier that they go into.

    Attributes
    ----------
    classifier
        The last layer of the model.
    rows
        For each list of rows their features, shape (n, features), float64.
    """

    classifier: nn.Linear
    rows: tuple[np.ndarray, ...]

    @property
    def head(self) -> LinearHead:
        """The classifier's own weights."""
        weight, bias = (
            value.detach().cpu().double().numpy() for value in (self.classifier.weight, self.classifier.bias)
        )
        return LinearHead(weight, bias)


@contextmanager
def replaced(classifier: nn.Linear, head: LinearHead) -> Iterator[None]:
    """Give a classifier other weights while the block lasts."""
    kept = {name: value.detach().clone() for name, value in classifier.state_dict().items()}
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(head.weight))
        classifier.bias.copy_(torch.from_numpy(head.bias))
    try:
        yield
    finally:
        classifier.load_state_dict(kept)


def read_features(
    recipe: Recipe,
    examples: Examples,
    model: Model,
    splits: Sequence[np.ndarray],
    said: np.ndarray,
    decision: Decision | None = None,
) -> HeadFeatures:
    """
    Return what the classifier sees of some rows as they are evaluated, from the cache where that can be.

    Parameters
    ----------
    recipe, examples, model
        What was trained on what; the model is as it was measured, and is not changed.
    splits
        Rows, several times; the second ones are of the validation examples.
    said
        Which class the run's predictions name for each of the second rows, shape (n,).
    decision
        When they name the positive one of two classes; ``None`` names the most probable class.

    Raises
    ------
    ModelError
        The model does not end in a linear layer with a bias.
    DataError
        The predictions are not of this model and these examples.
    """
    task = tasks.get_task(recipe.task)
    reader = task.reader(examples, recipe, model)
    devices = Devices(recipe, model.module)
    model.module.to(devices.device)
    classifier = _classifier(task, model, reader, devices, splits[0][:2])
    features = Features(task, recipe, examples, model, reader)
    try:
        kept = features.vectors(model.stages.frozen_by("backbone"), devices, splits)
    finally:
        features.close()
    if kept is not None:
        chain = list(kept.head)
        last = max((at for at, part in enumerate(chain) if isinstance(part, nn.Linear)), default=-1)
        below = nn.Sequential(*chain[:last])
        with evaluating(below), torch.inference_mode():
            rows = tuple(below(vectors).double().numpy() for vectors in kept.vectors)
        found = HeadFeatures(classifier, rows)
        if last >= 0 and _agrees(found, said, decision):
            return found
    found = HeadFeatures(classifier, tuple(_watch(task, model, reader, devices, classifier, part) for part in splits))
    if not _agrees(found, said, decision):
        raise DataError(
            "remedies: the run's predictions are not those of this model on these examples; give the examples and the "
            "model of the run, by its own recipe"
        )
    return found


def _agrees(found: HeadFeatures, said: np.ndarray, decision: Decision | None) -> bool:
    if found.rows[1].shape[1] != found.classifier.in_features:
        return False
    again = decide(found.head.scores(found.rows[1]), multi_label=False, decision=decision)
    return bool((again == said).mean() >= _SAME)


def _classifier(task: Task, model: Model, reader: Reader, devices: Devices, rows: np.ndarray) -> nn.Linear:
    """Find the linear layer that gives the model's logits, by running it."""
    called: list[tuple[nn.Linear, Tensor]] = []

    def note(part: nn.Module, _given: object, output: Tensor) -> None:
        assert isinstance(part, nn.Linear)  # noqa: S101 - only those are watched
        called.append((part, output))

    handles = [part.register_forward_hook(note) for part in model.module.modules() if isinstance(part, nn.Linear)]
    try:
        with evaluating(model.module), torch.inference_mode():
            logits = task.logits(model.module, devices.move(reader.inputs(rows)))
    finally:
        for handle in handles:
            handle.remove()
    for part, output in reversed(called):
        if output.shape == logits.shape and torch.equal(output, logits) and part.bias is not None:
            return part
    raise ModelError(
        f"remedies: {model.name} does not end in a linear layer with a bias, so its head cannot be fitted again; "
        "thresholds and offsets by group need no head, and recipe.mitigate trains the whole model"
    )


def _watch(
    task: Task, model: Model, reader: Reader, devices: Devices, classifier: nn.Linear, rows: np.ndarray
) -> np.ndarray:
    """Run the whole model, and keep what goes into its classifier."""
    seen: list[Tensor] = []
    handle = classifier.register_forward_pre_hook(lambda _part, given: seen.append(given[0].float().cpu()))
    order: list[np.ndarray] = []
    try:
        with evaluating(model.module), torch.inference_mode():
            for group in reader.evaluation_batches(rows):
                task.logits(model.module, devices.move(reader.inputs(group)))
                order.append(group)
    finally:
        handle.remove()
    values = torch.cat(seen).double().numpy()
    place = {int(row): k for k, row in enumerate(np.concatenate(order))}
    return np.asarray(values[[place[int(row)] for row in rows]])
