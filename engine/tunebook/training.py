"""The training loop: a step at a time, changeable between steps, and the same bits after any interruption."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from tunebook.balance import class_weights, example_weights
from tunebook.checkpoints import Checkpoint
from tunebook.errors import TrainingError, TunebookError
from tunebook.examples import examples_to_fit
from tunebook.features import Features
from tunebook.metrics import measure
from tunebook.predicting import predict_scores
from tunebook.schedules import lr_factor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from tunebook.checkpoints import Checkpoints
    from tunebook.devices import Devices
    from tunebook.events import EventLog
    from tunebook.examples import Examples
    from tunebook.feeds import Feed
    from tunebook.recipe import Freeze, Recipe
    from tunebook.tasks.base import Model, Reader, Task


class TrainingStopped(TunebookError):  # noqa: N818 - it is not a failure
    """The user stopped the training; it can be resumed."""


@dataclass
class Progress:
    """
    Where training is. Plain JSON; with the weights and the optimizer it is all that a resumed run needs.

    Attributes
    ----------
    step, epoch, in_epoch
        Steps done in all, epochs done, steps done in the epoch that is under way.
    freeze
        The freeze in force.
    lr
        Peak learning rate in force.
    dropout
        Rates in force by kind; ``None`` for the model's own.
    loss_sum, loss_count
        Sum of the losses of the epoch's steps, and their number.
    history
        One row an epoch.
    best
        The epoch with the best validation score: ``epoch``, ``score``, ``loss``; empty before the first.
    waited
        Epochs since the best one.
    threads
        Threads with which the run was started: sums over threads, and so bits, depend on it.
    is_done
        Whether training is over.
    """

    step: int = 0
    epoch: int = 0
    in_epoch: int = 0
    freeze: Any = "none"
    lr: float = 0.0
    dropout: dict[str, float | None] = field(default_factory=dict)
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    threads: int = 0
    is_done: bool = False


class Trainer:
    """
    Trains one model as a recipe says.

    Parameters
    ----------
    task, recipe, examples, model, reader, devices
        What is trained on what, and where.
    log, checkpoints
        Where the curves and the weights go; ``None`` keeps nothing, as in all processes but the main one.
    features
        What is cached of the frozen trunk; made here when not given.

    Raises
    ------
    RecipeError
        A freeze, a dropout rate or a class weight does not fit the model or the data.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        examples: Examples,
        model: Model,
        reader: Reader,
        devices: Devices,
        *,
        log: EventLog | None = None,
        checkpoints: Checkpoints | None = None,
        features: Features | None = None,
    ) -> None:
        self.task, self.recipe, self.examples, self.model = task, recipe, examples, model
        self.reader, self.devices, self.log, self.checkpoints = reader, devices, log, checkpoints
        self.features = features or Features(task, recipe, examples, model, reader)
        self._truth = examples.targets()
        self._rows = examples.rows("train")
        counts = examples.class_counts("train")
        self._weights = torch.tensor(
            class_weights(recipe.class_weights, counts, examples.classes), dtype=torch.float32, device=devices.device
        )
        drawn = class_weights(recipe.sampler, counts, examples.classes, "sampler")
        self._draw_weights = None if recipe.sampler == "none" else example_weights(drawn, self._truth[self._rows])
        for _, freeze in recipe.unfreeze:  # a mistake in a later stage shows before the first one is trained
            model.stages.frozen_by(freeze)
        model.module.to(devices.device)
        self._feed: Feed | None = None
        self.optimizer = self._new_optimizer()
        self.progress = Progress(lr=recipe.lr, threads=torch.get_num_threads())
        self.steps_per_epoch = len(self._batches(0))
        self.steps = self.steps_per_epoch * recipe.epochs
        self.seconds_left: float | None = None
        self.last_loss: float | None = None
        self.set_dropout(recipe.dropout_rates())
        self.set_freeze(recipe.freeze)
        self._sample = examples_to_fit(self._rows, recipe.seed)

    # What a hand may change between any two steps.

    def set_freeze(self, freeze: Freeze) -> None:
        """Change what is frozen from the next step on, until the recipe's next stage."""
        self.model.stages.apply(freeze)
        self.progress.freeze = freeze
        self._feed = None

    def set_dropout(self, rates: Mapping[str, float | None]) -> None:
        """Change the dropout rates of some kinds from the next step on."""
        self.model.dropout.apply(rates)
        self.progress.dropout = {**self.progress.dropout, **rates}

    def set_lr(self, lr: float) -> None:
        """Change the peak learning rate from the next step on; the schedule goes on."""
        self.recipe.changed(lr=lr)
        self.progress.lr = lr

    @property
    def feed(self) -> Feed:
        """What the model is fed with under the freeze in force."""
        if self._feed is None:
            self._feed = self.features.feed(self.model.stages.frozen, self.devices, self.progress.epoch)
        return self._feed

    # Training.

    def fit(self, stop: threading.Event | None = None, on_step: Callable[[Trainer], None] | None = None) -> Progress:
        """
        Train to the end, from wherever :attr:`progress` is.

        Parameters
        ----------
        stop
            When set, training ends after the step under way, with a checkpoint.
        on_step
            Called after each step and each epoch.

        Raises
        ------
        TrainingStopped
            ``stop`` was set.
        TrainingError
            The loss or the gradient is no longer finite.
        StorageError
            The log or a checkpoint cannot be written.
        """
        started, first = time.monotonic(), self.progress.step
        self._saved = started
        while not self.progress.is_done:
            epoch = self.progress.epoch
            if self.progress.in_epoch == 0:
                self._begin_epoch(epoch)
            batches = self._batches(epoch)
            for number in range(self.progress.in_epoch, len(batches)):
                self._step(batches[number], epoch, number)
                per_step = (time.monotonic() - started) / (self.progress.step - first)
                self.seconds_left = per_step * (self.steps - self.progress.step)
                if on_step is not None:
                    on_step(self)
                if self.devices.agree(stop is not None and stop.is_set()):
                    self.save()
                    msg = f"stopped after step {self.progress.step} of {self.steps}; it can be resumed"
                    raise TrainingStopped(msg)
                if self._is_time_to_save() and number + 1 < len(batches):
                    self.save()
            self._end_epoch(epoch)
            self.save()
            if on_step is not None:
                on_step(self)
        return self.progress

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch; a last batch too small for BatchNorm on every device is joined."""
        batches = self.reader.epoch_batches(self._rows, self._draw_weights, epoch)
        if len(batches) > 1 and len(batches[-1]) < 2 * self.devices.count:
            batches[-2:] = [np.concatenate(batches[-2:])]
        return batches

    def _begin_epoch(self, epoch: int) -> None:
        for first, freeze in self.recipe.unfreeze:
            if first == epoch:
                self.set_freeze(freeze)
        if self.log is not None:
            self.log.scalars({"trainable_parameters": self.model.stages.trainable()}, self.progress.step)

    def _step(self, rows: np.ndarray, epoch: int, number: int) -> None:
        part = self.devices.part(len(rows))
        # Views take turns wherever a trunk is frozen, cached or not: the cache changes nothing but the time.
        view = self.reader.training_view(epoch, repeats=self.model.stages.frozen_prefix() > 0)
        batches = self.feed.training_batches(rows, (epoch, number), part, view)
        # Dropout and stochastic depth draw from torch's generator: seeded by the step, a resumed
        # run needs no generator state, and what else draws from it changes nothing.
        seeds = np.random.SeedSequence([self.recipe.seed, 23, self.progress.step, self.devices.rank])
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]) >> 1)
        smoothing, objective = self.recipe.label_smoothing, self.model.objective
        targets = [batch.targets.to(self.devices.device) for batch in batches]
        normaliser = torch.stack([objective.normaliser(part, self._weights, smoothing) for part in targets]).sum()
        # Class weights of 0 may leave nothing of a batch: it then teaches nothing.
        normaliser = self.devices.add_up(normaliser).clamp(min=1e-8)
        losses = []
        for batch, wanted in zip(batches, targets, strict=True):
            with self.devices.autocast():
                logits = self.feed.logits(self.devices.move(batch.inputs))
            loss = objective.loss(logits.float(), wanted, self._weights, smoothing) / normaliser
            loss.backward()
            losses.append(loss.detach())
        value = float(self.devices.add_up(torch.stack(losses).sum()))
        if not math.isfinite(value):
            raise self._diverged(f"the loss became {value}")
        trained = [p for p in self.model.module.parameters() if p.requires_grad]
        self.devices.add_gradients(trained)
        limit = self.recipe.clip_norm or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(trained, limit))
        if not math.isfinite(norm):
            raise self._diverged(f"the gradient's norm became {norm}")
        self._set_learning_rates()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.last_loss = value
        self.progress.step += 1
        self.progress.in_epoch += 1
        self.progress.loss_sum += value
        self.progress.loss_count += 1
        if self.log is not None and self.progress.step % self.recipe.log_every == 0:
            rates = {f"lr/{name}": lr for name, lr in self._learning_rates().items()}
            self.log.scalars({"train/loss": value, "train/grad_norm": norm, **rates}, self.progress.step)

    def _diverged(self, what: str) -> TrainingError:
        kept = (
            f"epoch {int(self.progress.best['epoch'])} is kept as the best"
            if self.progress.best
            else "no epoch was done"
        )
        return TrainingError(
            f"{what} at step {self.progress.step + 1} (epoch {self.progress.epoch + 1}), so training ended; {kept}; "
            f"set a lower lr (now {self.progress.lr:g}), a longer warmup, or clip_norm (now {self.recipe.clip_norm:g})"
        )

    def _end_epoch(self, epoch: int) -> None:
        self.devices.share_buffers(self.model.module)
        validation = self._evaluate(self.examples.rows("validation"))
        fit = self._evaluate(self._sample)
        progress = self.progress
        row = {
            "epoch": epoch + 1,
            "step": progress.step,
            "freeze": progress.freeze,
            "trains": self.model.stages.describe(progress.freeze),
            "running_loss": progress.loss_sum / max(progress.loss_count, 1),
            "train": {k: fit[k] for k in ("n", "loss", "accuracy", "macro_f1")},
            "validation": {k: v for k, v in validation.items() if k != "confusion"},
        }
        progress.history.append(row)
        progress.epoch, progress.in_epoch, progress.loss_sum, progress.loss_count = epoch + 1, 0, 0.0, 0
        monitor = self.recipe.monitor
        score = -validation["loss"] if monitor == "loss" else validation[monitor]
        best = progress.best
        # Equal scores are common on small validation sets: the smaller loss decides.
        if not best or (score, -validation["loss"]) > (best["score"], -best["loss"]):
            progress.best = {"epoch": epoch + 1, "score": score, "loss": validation["loss"]}
            progress.waited = 0
            if self.checkpoints is not None:
                self.checkpoints.save_best(self.model.module.state_dict(), {"best": progress.best})
        else:
            progress.waited += 1
        patient = not self.recipe.patience or progress.waited < self.recipe.patience
        progress.is_done = progress.epoch >= self.recipe.epochs or not patient
        if self.log is not None:
            self.log.scalars(_curves(row), progress.step)

    def _evaluate(self, rows: np.ndarray) -> dict[str, Any]:
        scores = predict_scores(self.feed, self.model, rows, self.devices)
        return measure(scores, self._truth[rows], self.examples.classes)

    # The optimizer.

    def _new_optimizer(self) -> torch.optim.AdamW:
        groups = []
        parameters = dict(self.model.module.named_parameters())
        count = len(self.model.stages)
        for index, stage in enumerate(self.model.stages.items):
            scale = self.recipe.layer_decay ** (count - 1 - index)
            # Decay would pull norms' gains and biases to 0, which nothing asks for.
            for decay, names in (
                (self.recipe.weight_decay, [n for n in stage.parameters if parameters[n].ndim > 1]),
                (0.0, [n for n in stage.parameters if parameters[n].ndim <= 1]),
            ):
                if names:
                    group = {"params": [parameters[n] for n in names], "weight_decay": decay}
                    groups.append({**group, "scale": scale, "stage": index})
        return torch.optim.AdamW(groups, lr=self.recipe.lr, fused=True)

    def _set_learning_rates(self) -> None:
        factor = lr_factor(self.recipe.schedule, self.progress.step, self.steps, self.recipe.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.progress.lr * factor * group["scale"]

    def _learning_rates(self) -> dict[str, float]:
        """Return the rate of each stage that trains; of the head alone where all have the same."""
        stages = self.model.stages
        rates = {
            stages.names[g["stage"]]: float(g["lr"])
            for g in self.optimizer.param_groups
            if not stages.is_frozen(g["stage"])
        }
        return rates if self.recipe.layer_decay < 1.0 else dict(list(rates.items())[-1:])

    # Checkpoints.

    def _is_time_to_save(self) -> bool:
        return self.checkpoints is not None and time.monotonic() - self._saved >= self.recipe.checkpoint_seconds

    def save(self) -> None:
        """Write a checkpoint, after everything logged so far."""
        if self.log is not None:
            self.log.flush()
        if self.checkpoints is not None:
            state = Checkpoint(dict(self.model.module.state_dict()), self._optimizer_state(), asdict(self.progress))
            self.checkpoints.save(self.progress.step, state)
        self._saved = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """
        Go back to a checkpoint of the same recipe, data and model.

        Raises
        ------
        TrainingError
            It belongs to another model.
        """
        try:
            self.model.module.load_state_dict(checkpoint.model)
            self.progress = Progress(**checkpoint.progress)
        except (RuntimeError, TypeError) as error:
            msg = (
                f"the checkpoint does not fit this run: {str(error).splitlines()[0]}; resume with the run's own recipe"
            )
            raise TrainingError(msg) from None
        parameters = dict(self.model.module.named_parameters())
        state: dict[str, dict[str, Tensor]] = {}
        for key, value in checkpoint.optimizer.items():
            name, _, entry = key.rpartition("/")
            state.setdefault(name, {})[entry] = value
        for name, entries in state.items():
            parameter = parameters[name]
            self.optimizer.state[parameter] = {
                # Memory layout as the optimizer would have made it, or sums would run in another order.
                entry: torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape and value.ndim else
                value.to(parameter.device if parameter.is_cuda else "cpu")
                for entry, value in entries.items()
            }  # fmt: skip
        self.model.dropout.apply(self.progress.dropout)
        self.set_freeze(self.progress.freeze)

    def _optimizer_state(self) -> dict[str, Tensor]:
        names = {parameter: name for name, parameter in self.model.module.named_parameters()}
        return {
            f"{names[cast('torch.nn.Parameter', parameter)]}/{entry}": value
            for parameter, entries in self.optimizer.state.items()
            for entry, value in entries.items()
        }


def _curves(row: Mapping[str, Any]) -> dict[str, float]:
    values = {"epoch": float(row["epoch"]), "train/epoch_loss": float(row["running_loss"])}
    for split in ("train", "validation"):
        for name in ("loss", "accuracy", "macro_f1"):
            values[f"{name}/{split}"] = float(row[split][name])
    values["calibration_error/validation"] = float(row["validation"]["ece"])
    for name, recall in row["validation"]["recall"].items():
        values[f"recall/{name}"] = math.nan if recall is None else recall
    return values
