"""NaN at any step: training ends at that step or the next, and no NaN is kept as a checkpoint or as the best."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run

from tunebook.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from torch import nn

#: Changes of the small recipe: 12 steps in two epochs, all of them through the whole model, so that a hook sees them.
CHANGES = {"epochs": 2, "unfreeze": [], "freeze": "none", "cache": "off", "checkpoint_seconds": 0.001}


@contextmanager
def _after_each_step(module: nn.Module, do: Callable[[], None]) -> Iterator[None]:
    """Do something after each step of the optimizer that trains a model."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    weight = next(module.parameters())

    def hook(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if any(weight is parameter for group in optimizer.param_groups for parameter in group["params"]):
            do()

    handle = register_optimizer_step_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class _Steps:
    """Counts the steps that are done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> None:
        self.done += 1


@contextmanager
def _in_the_loss(module: nn.Module, step: int) -> Iterator[None]:
    """Make what the model says NaN, as a bad value in the data does."""
    steps = _Steps()

    def spoil(part: nn.Module, _given: Any, found: Any) -> Any:
        if part.training and steps.done == step - 1:
            getattr(found, "logits", found).data.fill_(float("nan"))
        return found

    with module.register_forward_hook(spoil), _after_each_step(module, steps):
        yield


@contextmanager
def _in_the_gradient(module: nn.Module, step: int) -> Iterator[None]:
    """Make one number of a gradient NaN, as a division by a vanishing norm does."""
    steps = _Steps()

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        if steps.done != step - 1:
            return gradient
        spoilt = gradient.clone()
        spoilt.view(-1)[0] = float("nan")
        return spoilt

    handle = list(module.parameters())[-1].register_hook(spoil)
    try:
        with _after_each_step(module, steps):
            yield
    finally:
        handle.remove()


@contextmanager
def _in_the_weights(module: nn.Module, step: int) -> Iterator[None]:
    """Make one weight infinite after a step whose loss and gradient were finite, as a rate far too high does."""
    steps, weight = _Steps(), list(module.parameters())[-1]

    def spoil() -> None:
        steps()
        if steps.done == step:
            weight.data.view(-1)[0] = float("inf")

    with _after_each_step(module, spoil):
        yield


WAYS = {"loss": _in_the_loss, "gradient": _in_the_gradient, "weights": _in_the_weights}


def _stopped_at(task: str, data: Path, runs: Path, way: Callable[..., Any], step: int) -> int:
    """Train with a NaN at a step; check what is kept, and return the step at which training ended."""
    import torch

    import tunebook
    from tunebook.checkpoints import Checkpoints, load_tensors, verify

    recipe = small_run.recipe(data, runs, task, run=f"{way.__name__[8:]}-{step}", **CHANGES)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    with way(model.module, step), pytest.raises(TrainingError) as caught:
        tunebook.tune(recipe, examples, model).result()
    line = str(caught.value)
    assert "\n" not in line
    assert "set a lower lr" in line
    run = runs / recipe.run
    state = tunebook.runs.Run(run).state()
    assert (state.state, state.message) == ("failed", line)
    assert not (run / "model").exists()
    for folder in (run / "checkpoints").glob("[!.]*"):  # none before the first step is done
        verify(folder)
        for file in folder.glob("*.safetensors"):
            assert all(bool(torch.isfinite(tensor).all()) for tensor in load_tensors(file).values()), folder
    checkpoints = Checkpoints(run / "checkpoints")
    ended = int(re.search(r"at step (\d+) ", line)[1])  # type: ignore[index]
    per_epoch = state.steps // 2
    # An epoch is kept if it was over before.
    assert checkpoints.has_best() == (ended > per_epoch)
    assert ("epoch 1 is kept as the best" in line) == checkpoints.has_best()
    return ended


@pytest.fixture(params=small_run.TASKS)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


#: Steps of each way in the usual tests; all of them are the first, some in the middle, and the last of an epoch.
FEW: dict[str, list[int]] = {"loss": [2], "gradient": [7], "weights": [6]}
ALL = {name: [1, 2, 3, 5, 6, 7, 9, 11, 12] for name in WAYS}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("steps", [FEW, pytest.param(ALL, marks=pytest.mark.long)], ids=["few", "all"])
def test_nan_ends_training_at_once_and_is_kept_nowhere(task: str, tmp_path: Path, steps: dict[str, list[int]]) -> None:
    data = small_run.TASKS[task](tmp_path / "data")
    tried, ended = 0, []
    for name, way in WAYS.items():
        for step in steps[name]:
            found = _stopped_at(task, data, tmp_path / "runs", way, step)
            assert step <= found <= step + 1, f"NaN in the {name} at step {step}, ended at {found}"
            tried += 1
            ended.append(found - step)
    when = f"{ended.count(0)} at the same step, {ended.count(1)} at the next"
    print(f"{task}: {tried} of {tried} NaN ended training, {when}, none of them kept")
