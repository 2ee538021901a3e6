"""The training loop: a step at a time, changeable between steps, and the same bits after any interruption."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from tunebook import machine
from tunebook.balance import class_weights, example_weights
from tunebook.checkpoints import Checkpoint
from tunebook.commands import Commands
from tunebook.decision import Decider
from tunebook.errors import RecipeError, TrainingError, TunebookError
from tunebook.examples import examples_to_fit
from tunebook.fairness import GapMeter
from tunebook.features import Features
from tunebook.losses import divisor
from tunebook.metrics import measure
from tunebook.mitigating import Mitigation
from tunebook.monitors import BEST_EPOCH, GAP, GAPS, OF_ONE_CLASS, curve, is_better, measured, monitored, undefined
from tunebook.predicting import predict_scores
from tunebook.schedules import lr_factor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from tunebook.checkpoints import Checkpoints
    from tunebook.control import Control, Outcome
    from tunebook.devices import Devices
    from tunebook.events import EventLog
    from tunebook.examples import Examples
    from tunebook.feeds import Feed
    from tunebook.recipe import Freeze, Recipe
    from tunebook.tasks.base import Batch, Model, Reader, Task

#: How much a step counts in the speed of the one after it: the last ten or so decide.
_MEMORY = 0.9
#: Metrics that are not kept of every epoch: a number for each class, or for each two.
_NOT_BY_EPOCH = ("confusion", "by_class")


class TrainingStopped(TunebookError):  # noqa: N818 - it is not a failure
    """The user stopped the training; it can be resumed."""


class _StopAsked(Exception):  # noqa: N818 - it is not a failure
    """Leads from wherever a stop is noticed to where training ends with a checkpoint."""


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
    stage
        Entries of the recipe's ``unfreeze`` that have had their turn.
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
    heard
        Ids of the live commands that took effect since the last step.
    is_finishing
        Whether training is to end before its next step, and be measured.
    is_done
        Whether training is over.
    """

    step: int = 0
    epoch: int = 0
    in_epoch: int = 0
    freeze: Any = "none"
    stage: int = 0
    lr: float = 0.0
    dropout: dict[str, float | None] = field(default_factory=dict)
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    threads: int = 0
    heard: list[str] = field(default_factory=list)
    is_finishing: bool = False
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
    control
        Where live commands come from; ``None`` takes none, as in all processes but the main one.
    replay, since
        See :class:`tunebook.commands.Commands`.

    Attributes
    ----------
    trains
        What trains under the freeze in force, in words: ``"blocks.5 + head train"``.
    examples_per_second
        Speed of the last steps; ``None`` before the first.
    waited_seconds
        Time for which a hand made the run pause.
    wants_histograms
        Whether the next step logs histograms of its weights and gradients.

    Raises
    ------
    RecipeError
        A freeze, a dropout rate, a class weight or a replay does not fit the model or the data.
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
        control: Control | None = None,
        replay: Sequence[Outcome] = (),
        since: float = 0.0,
    ) -> None:
        self.task, self.recipe, self.examples, self.model = task, recipe, examples, model
        self.reader, self.devices, self.log, self.checkpoints = reader, devices, log, checkpoints
        self.features = features or Features(task, recipe, examples, model, reader)
        self._truth = examples.targets()
        self._gaps = GapMeter.of_examples(examples, examples.rows("validation"))
        self._gaps.check(recipe.monitor)
        self._decider = Decider.of_examples(recipe, examples)
        why = undefined(recipe.monitor, examples.class_counts("validation").tolist(), len(examples.rows("validation")))
        if why:
            raise RecipeError(f"monitor={recipe.monitor!r}: {why}")
        self._rows = examples.rows("train")
        counts = examples.class_counts("train")
        self._weights = torch.tensor(
            class_weights(recipe.class_weights, counts, examples.classes), dtype=torch.float32, device=devices.device
        )
        drawn = class_weights(recipe.sampler, counts, examples.classes, "sampler")
        self._draw_weights = None if recipe.sampler == "none" else example_weights(drawn, self._truth[self._rows])
        can_weigh = not (reader.mixes() or examples.multi_label)
        self._mitigation = Mitigation(recipe, examples, can_weigh=can_weigh)
        if self._mitigation.drawing is not None:
            chances = self._mitigation.drawing
            self._draw_weights = chances if self._draw_weights is None else chances * self._draw_weights
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
        self.trains = ""
        self.wants_histograms = False
        self.waited_seconds = 0.0
        self._pace, self._epoch_pace = _Pace(_MEMORY), _Pace()
        self._restored: int | None = None
        self.set_dropout(recipe.dropout_rates())
        self.set_freeze(recipe.freeze)
        self._sample = examples_to_fit(self._rows, recipe.seed)
        self.commands = Commands(self, control, replay, since)

    # What a hand may change between any two steps.

    def set_freeze(self, freeze: Freeze) -> None:
        """Change what is frozen from the next step on, until the recipe's next stage."""
        self.model.stages.apply(freeze)
        self.progress.freeze = freeze
        self._feed = None
        words = self.model.stages.describe_names(self.model.stages.frozen)
        is_one = words in (*self.model.stages.names, "whole model")
        self.trains = f"{words} {'trains' if is_one else 'train'}"

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
            Called after each step and each epoch, and ten times a second while the run pauses.

        Raises
        ------
        TrainingStopped
            ``stop`` was set.
        TrainingError
            The loss, the gradient, the weights or a prediction is no longer finite.
        StorageError
            The log or a checkpoint cannot be written.
        """
        self._saved = self._started = time.monotonic()
        self._first, self.waited_seconds = self.progress.step, 0.0
        self.commands.begin()
        if self._restored is None:
            self._begin_epoch()
        try:
            with self._heeding_passes(stop):
                while not self.progress.is_done:
                    self._train_epoch(stop, on_step)
        except _StopAsked:
            self.save()
            msg = f"stopped after step {self.progress.step} of {self.steps}; it can be resumed"
            raise TrainingStopped(msg) from None
        self.commands.close()
        return self.progress

    def _train_epoch(self, stop: threading.Event | None, on_step: Callable[[Trainer], None] | None) -> None:
        progress, epoch = self.progress, self.progress.epoch
        batches = self._batches(epoch)
        self._epoch_pace = _Pace()

        def tell() -> None:
            if on_step is not None:
                on_step(self)

        self._heed(stop)
        for number in range(progress.in_epoch, len(batches)):
            if self.commands.act(stop, tell):
                raise _StopAsked
            if progress.is_finishing:
                break
            began = time.monotonic()
            self._step(batches[number], epoch, number)
            self._note_time(len(batches[number]), began)
            tell()
            self._heed(stop)
            if self._is_time_to_save() and number + 1 < len(batches):
                self.save()
        if progress.in_epoch:
            self._end_epoch(epoch, stop)
        else:
            progress.is_done = True  # a hand ended it between two epochs
        tell()
        if not progress.is_done:
            self._begin_epoch()
        # After the next epoch's beginning: what is logged there comes once, however often the run goes on from here.
        self.save()

    def _heed(self, stop: threading.Event | None) -> None:
        """Take in what is asked for, and stop if that is it."""
        if self.commands.listen(stop):
            raise _StopAsked

    @contextmanager
    def _heeding_passes(self, stop: threading.Event | None) -> Iterator[None]:
        """Heed commands in first passes through a frozen trunk too, while the block lasts: they may take minutes."""
        before = self.features.heed
        # Several processes look at the commands together, and that only between steps.
        if self.devices.count == 1:
            self.features.heed = lambda: self._heed(stop)
        try:
            yield
        finally:
            self.features.heed = before

    def _note_time(self, examples: int, began: float) -> None:
        now = time.monotonic()
        self._pace.add(examples, now - began)
        self._epoch_pace.add(examples, now - began)
        per_step = (now - self._started - self.waited_seconds) / (self.progress.step - self._first)
        self.seconds_left = per_step * (self.steps - self.progress.step)

    @property
    def examples_per_second(self) -> float | None:
        """Training examples a second in the last steps, without measuring; ``None`` before the first."""
        return self._pace.rate()

    @property
    def is_paused(self) -> bool:
        """Whether a hand makes the run pause."""
        return self.commands.is_paused

    @property
    def is_at_checkpoint(self) -> bool:
        """Whether no step was made since a checkpoint was restored."""
        return self.progress.step == self._restored

    def mark(self, words: str) -> None:
        """Log a change that a curve should show at this step, for good."""
        if self.log is not None:
            self.log.text("marks", words, self.progress.step)
            self.log.flush()

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch; a last batch too small for BatchNorm on every device is joined."""
        batches = self.reader.epoch_batches(self._rows, self._draw_weights, epoch)
        if len(batches) > 1 and len(batches[-1]) < 2 * self.devices.count:
            batches[-2:] = [np.concatenate(batches[-2:])]
        return batches

    def _begin_epoch(self) -> None:
        """Begin the recipe's next stage where it is due, and log what trains."""
        progress = self.progress
        due = [freeze for first, freeze in self.recipe.unfreeze[progress.stage :] if first <= progress.epoch]
        for freeze in due:
            self.set_freeze(freeze)
        progress.stage += len(due)
        if due or progress.step == 0:
            self.mark(f"stage: {self.trains}")
        if self.log is not None:
            self.log.scalars({"trainable_parameters": self.model.stages.trainable()}, progress.step)

    def _step(self, rows: np.ndarray, epoch: int, number: int) -> None:
        part = self.devices.part(len(rows))
        # Views take turns wherever a trunk is frozen, cached or not: the cache changes nothing but the time.
        view = self.reader.training_view(epoch, repeats=self.model.stages.frozen_prefix() > 0)
        batches = self.feed.training_batches(rows, (epoch, number), part, view)
        # Dropout and stochastic depth draw from torch's generator: seeded by the step, a resumed
        # run needs no generator state, and what else draws from it changes nothing.
        seeds = np.random.SeedSequence([self.recipe.seed, 23, self.progress.step, self.devices.rank])
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]) >> 1)
        value = self._backward(batches, rows[part])
        trained = [p for p in self.model.module.parameters() if p.requires_grad]
        self.devices.add_gradients(trained)
        if self.wants_histograms:
            self._log_histograms()
        limit = self.recipe.clip_norm or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(trained, limit))
        if not math.isfinite(norm):
            raise self._diverged(f"the gradient's norm became {norm}")
        self._set_learning_rates()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.last_loss = value
        progress = self.progress
        progress.step += 1
        progress.in_epoch += 1
        progress.loss_sum += value
        progress.loss_count += 1
        progress.heard = []
        if self.log is not None and progress.step % self.recipe.log_every == 0:
            rates = {f"lr/{name}": lr for name, lr in self._learning_rates().items()}
            self.log.scalars({"train/loss": value, "train/grad_norm": norm, **rates}, progress.step)

    def _backward(self, batches: Sequence[Batch], rows: np.ndarray) -> float:
        """Compute the gradients of a step's loss, and return the loss over all processes."""
        smoothing, objective = self.recipe.label_smoothing, self.model.objective
        targets = [batch.targets.to(self.devices.device) for batch in batches]
        weights = self._weights_of(rows, len(batches))
        parts = zip(targets, weights, strict=True)
        normaliser = torch.stack([objective.normaliser(part, each, smoothing) for part, each in parts]).sum()
        normaliser = divisor(self.devices.add_up(normaliser))
        losses = []
        for batch, wanted, each in zip(batches, targets, weights, strict=True):
            with self.devices.autocast():
                logits = self.feed.logits(self.devices.move(batch.inputs))
            loss = objective.loss(logits.float(), wanted, each, smoothing) / normaliser
            loss.backward()
            losses.append(loss.detach())
        value = float(self.devices.add_up(torch.stack(losses).sum()))
        if not math.isfinite(value):
            raise self._diverged(f"the loss became {value}")
        return value

    def _log_histograms(self) -> None:
        """Log the weights of every stage and the gradients of those that train, as a step finds them."""
        self.wants_histograms = False
        if self.log is None:
            return
        parameters = dict(self.model.module.named_parameters())
        for stage in self.model.stages.items:
            weights = [parameters[name].detach() for name in stage.parameters]
            gradients = [parameters[name].grad for name in stage.parameters]
            there = [gradient for gradient in gradients if gradient is not None]
            for tag, tensors in (("weights", weights), ("gradients", there)):
                if tensors:
                    values = torch.cat([tensor.float().reshape(-1) for tensor in tensors]).cpu().numpy()
                    self.log.histogram(f"{tag}/{stage.name}", values, self.progress.step + 1)

    def _weights_of(self, rows: np.ndarray, count: int) -> list[torch.Tensor]:
        """Return the weights in the loss for each part of a step: of classes, and of examples where these differ."""
        by_example = self._mitigation.loss
        if by_example is None:
            return [self._weights] * count
        groups = self.reader.training_groups(rows)
        return [self._weights * self._weights.new_tensor(by_example[group])[:, None] for group in groups]

    def _require_finite_weights(self) -> None:
        """Refuse to keep weights that a step made infinite or NaN though its loss and its gradient were finite."""
        if not all(bool(torch.isfinite(p).all()) for p in self.model.module.parameters() if p.requires_grad):
            raise self._diverged("the weights became infinite or nan", self.progress.step)

    def _diverged(self, what: str, step: int | None = None) -> TrainingError:
        kept = (
            f"epoch {int(self.progress.best['epoch'])} is kept as the best"
            if self.progress.best
            else "no epoch was done"
        )
        return TrainingError(
            f"{what} at step {self.progress.step + 1 if step is None else step} (epoch {self.progress.epoch + 1}), "
            f"so training ended; {kept}; "
            f"set a lower lr (now {self.progress.lr:g}), a longer warmup, or clip_norm (now {self.recipe.clip_norm:g})"
        )

    def _end_epoch(self, epoch: int, stop: threading.Event | None) -> None:
        self._require_finite_weights()
        self.devices.share_buffers(self.model.module)
        machine.trim_memory()  # of the steps' activations, before others are made
        rows = self.examples.rows("validation")
        scores = self._scores(rows, stop)
        decision = self._decider.choose(scores, self._truth[rows]) if self._decider is not None else None
        validation = measure(scores, self._truth[rows], self.examples.classes, decision)
        gaps = self._gaps.measure_scores(scores, self._truth[rows], decision)
        validation["gaps"] = {name: gap if math.isfinite(gap) else None for name, gap in gaps.items()}
        scores = self._scores(self._sample, stop)
        fit = measure(scores, self._truth[self._sample], self.examples.classes, decision)
        progress = self.progress
        row = {
            "epoch": epoch + 1,
            "step": progress.step,
            "freeze": progress.freeze,
            "trains": self.model.stages.describe(progress.freeze),
            "running_loss": progress.loss_sum / max(progress.loss_count, 1),
            "train": {k: fit[k] for k in ("n", "loss", "accuracy", "macro_f1")},
            "validation": {k: v for k, v in validation.items() if k not in _NOT_BY_EPOCH},
        }
        progress.history.append(row)
        progress.epoch, progress.in_epoch, progress.loss_sum, progress.loss_count = epoch + 1, 0, 0.0, 0
        score = monitored(validation, self.recipe.monitor)
        if is_better(score, validation["loss"], progress.best):
            progress.best = {"epoch": epoch + 1, "score": score, "loss": validation["loss"]}
            progress.waited = 0
            if self.checkpoints is not None:
                self.checkpoints.save_best(self.model.module.state_dict(), {"best": progress.best})
        else:
            progress.waited += 1
        patient = not self.recipe.patience or progress.waited < self.recipe.patience
        progress.is_done = progress.is_finishing or progress.epoch >= self.recipe.epochs or not patient
        if self.log is not None:
            speed = {"speed/examples_per_second": self._epoch_pace.rate() or math.nan}
            # Whoever shows the curves reads the best epoch, and does not choose again.
            best = {BEST_EPOCH: float(progress.best["epoch"])}
            is_chosen = self._decider is not None and self._decider.rule.kind != "fixed"
            curves = {**_curves(row, self.recipe.monitor, is_chosen=is_chosen), **best}
            self.log.scalars({**curves, **speed, "memory/rss_mb": resident_bytes() / 1e6}, progress.step)
            self.log.tensor("confusion/validation", np.array(validation["confusion"]), progress.step)

    def _scores(self, rows: np.ndarray, stop: threading.Event | None) -> np.ndarray:
        # Several processes look at the commands together, and that only between steps.
        feed = self.feed if self.devices.count > 1 else _Heeding(self.feed, lambda: self._heed(stop))
        scores = predict_scores(feed, self.model, rows, self.devices)
        if not np.isfinite(scores).all():  # their F1 would be a number all the same, and could be the best
            raise self._diverged("the predictions became nan", self.progress.step)
        return scores

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
        """
        Write a checkpoint, after everything logged so far.

        Raises
        ------
        TrainingError
            The weights are no longer finite; earlier checkpoints stay.
        """
        self._require_finite_weights()
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
            self._restored = self.progress.step
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


class _Pace:
    """
    Examples a second.

    Parameters
    ----------
    memory
        How much what was before still counts when something is added, from 0 to 1.
    """

    def __init__(self, memory: float = 1.0) -> None:
        self._memory, self._examples, self._seconds = memory, 0.0, 0.0

    def add(self, examples: int, seconds: float) -> None:
        self._examples = self._memory * self._examples + examples
        self._seconds = self._memory * self._seconds + seconds

    def rate(self) -> float | None:
        return self._examples / self._seconds if self._seconds > 0.0 else None


class _Heeding:
    """A feed that heeds commands before each batch that is measured: a validation set may take longer than a step."""

    def __init__(self, feed: Feed, heed: Callable[[], None]) -> None:
        self._feed, self._heed = feed, heed
        self.training_batches, self.evaluation_batches = feed.training_batches, feed.evaluation_batches
        self.logits = feed.logits

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        self._heed()
        return self._feed.inputs(rows)


def resident_bytes() -> int:
    """Return the bytes of memory that this process holds."""
    import psutil  # noqa: PLC0415

    return int(psutil.Process().memory_info().rss)


def _curves(row: Mapping[str, Any], monitor: str, *, is_chosen: bool) -> dict[str, float]:
    values = {"epoch": float(row["epoch"]), "train/epoch_loss": float(row["running_loss"])}
    for split in ("train", "validation"):
        for name in ("loss", "accuracy", "macro_f1"):
            values[f"{name}/{split}"] = float(row[split][name])
    for name in (*OF_ONE_CLASS, "ece"):
        values[curve(name)] = measured(row["validation"], name)
    for name, recall in row["validation"]["recall"].items():
        values[f"recall/{name}"] = math.nan if recall is None else recall
    for name, gap in row["validation"].get("gaps", {}).items():
        values[f"{GAPS}{name}"] = math.nan if gap is None else gap
    if is_chosen:
        values["threshold/validation"] = float(row["validation"]["threshold"])
    if monitor == GAP:
        values[curve(GAP)] = measured(row["validation"], GAP)
    return values
