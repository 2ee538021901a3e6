"""Many heads on the features of one frozen trunk, trained as one batch of matrices by the rules of the loop."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tunebook.balance import class_weights
from tunebook.decision import Decider
from tunebook.errors import ModelError, RecipeError, TrainingError
from tunebook.examples import examples_to_fit
from tunebook.labels import THRESHOLD
from tunebook.losses import divisor, target_weights
from tunebook.metrics import measure
from tunebook.monitors import is_better, monitored
from tunebook.schedules import lr_factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from tunebook.recipe import Recipe

#: Modules without parameters that act on each number, or each example, alone.
PLAIN = (nn.Identity, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.ReLU6, nn.Hardswish, nn.LeakyReLU, nn.ELU)
#: torch.optim.AdamW's own values, with which the loop trains.
_BETAS, _EPS = (0.9, 0.999), 1e-8
#: Numbers that the heads of one batch may hold at once; 4 bytes each.
_MOST_NUMBERS = 64_000_000
#: Copies of a head that training holds: weights, gradient, two moments, what the update computes, the best epoch.
_COPIES = 6
#: Trials with the same dropout rates from which a batch of their own pays: they share each mask, and so its product.
_ALIKE = 8
_SMALLEST = 1e-12
#: Metrics that are computed for all heads at once, where the features are.
_ON_DEVICE = ("loss", "accuracy", "macro_f1")


@dataclass(frozen=True)
class HeadData:
    """
    What heads are trained on, and measured with.

    Attributes
    ----------
    features, validation_features
        What the head sees of the training and the validation examples, shapes (n, d) and (m, d), of a floating type.
        Where they lie, CPU or CUDA, is where the heads are trained.
    targets
        How much of each class a training example is, shape (n, classes), float32.
    truth, validation_truth
        As for :func:`tunebook.metrics.measure`, of n and m examples.
    classes
        Class names.
    class_counts
        Training examples of each class, shape (classes,).
    batches
        Gives the positions in ``features`` of each step of an epoch, counted from 0, as the loop would take them.
        It may look at ``batch_size``, ``sampler`` and ``seed`` of the recipe.
    multi_label
        Whether an example may have several classes.
    wanted
        Metrics of validation that are looked at beside the monitors of the recipes.
    dropout_kind
        What :meth:`tunebook.recipe.Recipe.dropout_rates` calls the dropout in the head.
    """

    features: Tensor
    targets: Tensor
    truth: np.ndarray
    validation_features: Tensor
    validation_truth: np.ndarray
    classes: Sequence[str]
    class_counts: np.ndarray
    batches: Callable[[Recipe, int], list[np.ndarray]]
    multi_label: bool = False
    wanted: Sequence[str] = ()
    dropout_kind: str = "head"


@dataclass
class HeadResult:
    """
    One trained head.

    Attributes
    ----------
    recipe
        How it was trained.
    history
        A row an epoch: ``epoch`` from 1, ``step``, ``running_loss``, and for ``train`` and ``validation`` ``n``,
        ``loss``, ``accuracy`` and ``macro_f1`` as :func:`tunebook.metrics.measure` gives them; for ``validation`` all
        that it gives of single numbers, where some other is wanted.
    best
        The best epoch: ``epoch``, ``score``, ``loss``; empty where none was done.
    weights
        State of the head in the best epoch, by name; empty where none was done.
    scores
        Probabilities of the validation examples in the best epoch, shape (m, classes), float32; without rows where
        none was done.
    message
        Why training ended too early; empty where it did not.
    is_pruned
        Whether the caller's report ended it.
    """

    recipe: Recipe
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    scores: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    message: str = ""
    is_pruned: bool = False


def train_heads(
    head: nn.Sequential,
    recipes: Sequence[Recipe],
    data: HeadData,
    report: Callable[[int, int, dict[str, Any]], bool] | None = None,
) -> list[HeadResult]:
    """
    Train a head for each recipe on the same features.

    Each follows the loop of :class:`tunebook.training.Trainer`: its batches, AdamW [1]_ with the schedule, clipping,
    loss, best epoch and patience of its own recipe. Recipes with the same ``batch_size``, ``sampler`` and ``seed`` see
    the same batches, and are computed together: a step of a hundred heads is a few products of larger matrices, and
    costs little more than a step of one. What a head comes to does not depend on its company, but for rounding.

    Dropout has the same rate as in the loop but other draws: in a step, heads with the same seed drop the same numbers
    as far as their rates allow.

    Parameters
    ----------
    head
        Chain of ``Linear``, ``LayerNorm``, ``Dropout`` and activations, with the weights from which all trials start.
        All of it trains. It is not changed.
    recipes
        How to train. Read are ``lr``, ``weight_decay``, dropout, ``label_smoothing``, ``class_weights``, ``sampler``,
        ``epochs``, ``batch_size``, ``schedule``, ``warmup``, ``clip_norm``, ``patience``, ``monitor`` and ``seed``.
    data
        The features, and what they should be told apart into.
    report
        Called with a trial's number in ``recipes``, an epoch from 1 and its row of the history; ``True`` ends the trial
        there. What it raises ends all.

    Returns
    -------
    list of HeadResult
        In the order of ``recipes``. Where a loss or a gradient is not finite, that trial ends with a message and the
        others go on.

    Raises
    ------
    ModelError
        The head holds something else, see :func:`can_train`.
    RecipeError
        A class weight does not fit the data, or a dropout rate the head.

    References
    ----------
    .. [1] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    chain = _Chain(head)
    trials = [_Trial.make(index, recipe, chain, data) for index, recipe in enumerate(recipes)]
    for together in _batches(trials, chain, data):
        _Heads(chain, data, together).train(report)
    return [trial.result for trial in trials]


def can_train(head: nn.Module) -> bool:
    """Say whether :func:`train_heads` knows every part of a head."""
    if not isinstance(head, nn.Sequential):
        return False
    try:
        _Chain(head)
    except ModelError:
        return False
    return True


class _Chain:
    """The parts of a head in order, run for many sets of weights at once."""

    def __init__(self, head: nn.Sequential) -> None:
        named = head.named_modules(remove_duplicate=False)
        self.parts = [(name, part) for name, part in named if not isinstance(part, nn.Sequential)]
        self.start = {name: value.detach() for name, value in head.named_parameters()}
        self.drops = [part for _, part in self.parts if isinstance(part, nn.Dropout)]
        for name, part in self.parts:
            flat = isinstance(part, nn.LayerNorm) and len(part.normalized_shape) == 1
            # Of a module used twice, only the first name has parameters.
            owned = all(f"{name}.{own}" in self.start for own, _ in part.named_parameters())
            if not (flat or isinstance(part, (nn.Linear, nn.Dropout, *PLAIN))) or not owned:
                msg = (
                    f"the head's part {name!r} ({type(part).__name__}) cannot be trained in a batch of heads; allowed: "
                    "Linear, LayerNorm, Dropout and activations, each once; train this head in the loop"
                )
                raise ModelError(msg)
        widths = [n for _, part in self.parts if isinstance(part, nn.Linear) for n in _sides(part)]
        if not widths:
            msg = "the head has no Linear, so it cannot be trained in a batch of heads; train it in the loop"
            raise ModelError(msg)
        self.width = max(widths)
        self.size = sum(value.numel() for value in self.start.values())

    def run(
        self, x: Tensor, weights: Mapping[str, Tensor], drop: Callable[[int, Tensor], Tensor] | None = None
    ) -> Tensor:
        """
        Return logits, shape (heads, n, classes).

        Parameters
        ----------
        x
            Features, shape (n, d).
        weights
            Parameters by name, each with one more dimension in front.
        drop
            Called with the number of a dropout and its input, shape (n, d) where that is the same for all heads,
            (heads, n, d) where not; ``None`` drops nothing.
        """
        site = 0
        for name, part in self.parts:
            if isinstance(part, nn.Dropout):
                x = x if drop is None else drop(site, x)
                site += 1
            elif isinstance(part, nn.Linear):
                x = _linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))
            elif isinstance(part, nn.LayerNorm):
                x = functional.layer_norm(x, part.normalized_shape, eps=part.eps)
                if f"{name}.weight" in weights:
                    x = x * weights[f"{name}.weight"][:, None]
                if f"{name}.bias" in weights:
                    x = x + weights[f"{name}.bias"][:, None]
            else:
                # The features are everyone's: what works in place must not have them.
                x = part(x.clone() if getattr(part, "inplace", False) else x)
        return x


def _sides(part: nn.Linear) -> tuple[int, int]:
    return part.in_features, part.out_features


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a linear layer of each head: weight (heads, out, in); x (n, in) or (heads, n, in)."""
    if x.ndim > 2:  # noqa: PLR2004 - heads, examples, numbers
        # This way round the narrow side comes first, which was 1.5 times faster for ten classes.
        y = torch.bmm(weight, x.transpose(1, 2)).transpose(1, 2)
    else:
        # The same examples for all heads: one matrix product, in which the heads stand side by side.
        y = (x @ weight.flatten(0, 1).T).unflatten(1, weight.shape[:2]).transpose(0, 1)
    return y if bias is None else y + bias[:, None]


@dataclass
class _Trial:
    """
    One recipe, and how far it is.

    Attributes
    ----------
    index, result
        Its place among the recipes, and what comes of it.
    rates
        Rate of each dropout of the head.
    class_weights
        Shape (classes,), float64.
    steps
        Steps of the whole run.
    waited
        Epochs since the best one.
    is_over
        Whether it has ended, in whatever way.
    """

    index: int
    result: HeadResult
    rates: tuple[float, ...]
    class_weights: np.ndarray
    steps: int
    waited: int = 0
    is_over: bool = False

    @classmethod
    def make(cls, index: int, recipe: Recipe, chain: _Chain, data: HeadData) -> _Trial:
        """Settle what does not change in training."""
        wanted = recipe.dropout_rates().get(data.dropout_kind)
        if wanted and not chain.drops:
            msg = f"this head has no place for dropout of kind {data.dropout_kind!r}; leave it None or 0"
            raise RecipeError(msg)
        rates = tuple(float(drop.p if wanted is None else wanted) for drop in chain.drops)
        weights = class_weights(recipe.class_weights, data.class_counts, data.classes)
        result = HeadResult(recipe, scores=np.zeros((0, len(data.classes)), dtype=np.float32))
        return cls(index, result, rates, weights, len(data.batches(recipe, 0)) * recipe.epochs)

    @property
    def recipe(self) -> Recipe:
        return self.result.recipe

    def lr(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.recipe.lr * lr_factor(self.recipe.schedule, step, self.steps, self.recipe.warmup)

    def finish_epoch(self, row: dict[str, Any]) -> bool:
        """Take in an epoch as the loop does; return whether it is the best so far."""
        result, recipe, validation = self.result, self.recipe, row["validation"]
        result.history.append(row)
        score = monitored(validation, recipe.monitor)
        found = is_better(score, validation["loss"], result.best)
        if found:
            result.best = {"epoch": row["epoch"], "score": score, "loss": validation["loss"]}
        self.waited = 0 if found else self.waited + 1
        is_patient = not recipe.patience or self.waited < recipe.patience
        self.is_over = row["epoch"] >= recipe.epochs or not is_patient
        return found

    def fail(self, what: str, step: int) -> None:
        """End with the loop's words; ``step`` counts from 0."""
        best, recipe = self.result.best, self.recipe
        kept = f"epoch {int(best['epoch'])} is kept as the best" if best else "no epoch was done"
        self.result.message = str(
            TrainingError(
                f"{what} at step {step + 1} (epoch {len(self.result.history) + 1}), so training ended; {kept}; "
                f"set a lower lr (now {recipe.lr:g}), a longer warmup, or clip_norm (now {recipe.clip_norm:g})"
            )
        )
        self.is_over = True


def _batches(trials: Sequence[_Trial], chain: _Chain, data: HeadData) -> Iterator[list[_Trial]]:
    """Put trials together that see the same batches, as many as fit in memory."""
    groups: dict[tuple[Any, ...], list[_Trial]] = {}
    alike = Counter((*_order(trial.recipe), trial.rates) for trial in trials)
    for trial in trials:
        order = _order(trial.recipe)
        # Heads that drop the same numbers see one input, and their product is one.
        own = trial.rates if alike[*order, trial.rates] >= _ALIKE else None
        groups.setdefault((*order, own), []).append(trial)
    for group in groups.values():
        rows = min(group[0].recipe.batch_size, len(data.features))
        most = max(1, _MOST_NUMBERS // (_COPIES * chain.size + 3 * rows * chain.width))
        for first in range(0, len(group), most):
            yield group[first : first + most]


def _order(recipe: Recipe) -> tuple[int, str, int]:
    """Return what decides the batches."""
    return recipe.batch_size, json.dumps(recipe.sampler, sort_keys=True), recipe.seed


class _Heads:
    """Heads that train together, and their optimizer. Those that end leave the stack."""

    def __init__(self, chain: _Chain, data: HeadData, trials: list[_Trial]) -> None:
        self.chain, self.data, self.trials, self.step = chain, data, trials, 0
        self.device = data.features.device
        count = len(trials)
        self.weights = {
            name: value.to(self.device, torch.float32).repeat(count, *[1] * value.ndim).requires_grad_()
            for name, value in chain.start.items()
        }
        self.means = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.squares = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.loss_sum = torch.zeros(count, dtype=torch.float64, device=self.device)
        fit = examples_to_fit(np.arange(len(data.features)), trials[0].recipe.seed)
        self._seen = {
            "train": (data.features[torch.from_numpy(fit)], self._on_device(data.truth[fit])),
            "validation": (data.validation_features, self._on_device(data.validation_truth)),
        }
        wanted = {*data.wanted, *(trial.recipe.monitor for trial in trials)}
        deciders = [Decider.of_recipe(t.recipe, data.classes, multi_label=data.multi_label) for t in trials]
        self._deciders = {trial.index: one for trial, one in zip(trials, deciders, strict=True)}
        is_plain = all(one is None or one.rule.is_plain for one in deciders)
        self._measures_all = not (wanted <= set(_ON_DEVICE) and is_plain)
        self._settle()

    def _on_device(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _settle(self) -> None:
        """Write down what the recipes of those still in training ask for, one number or row a head."""
        recipes = [trial.recipe for trial in self.trials]
        self._class_weights = self._column([trial.class_weights for trial in self.trials])[:, None]
        self._smoothing = self._column([recipe.label_smoothing for recipe in recipes])[:, None, None]
        self._decay = self._column([recipe.weight_decay for recipe in recipes])
        self._limits = self._column([recipe.clip_norm or math.inf for recipe in recipes])
        self._rates = [list(rates) for rates in zip(*(trial.rates for trial in self.trials), strict=True)]

    def _column(self, values: Sequence[Any]) -> Tensor:
        return torch.tensor(np.array(values), dtype=torch.float32, device=self.device)

    def train(self, report: Callable[[int, int, dict[str, Any]], bool] | None) -> None:
        """Train until every trial has ended."""
        epoch = 0
        while self.trials:
            batches = self.data.batches(self.trials[0].recipe, epoch)
            for rows in batches:
                self._train_on(torch.from_numpy(rows).to(self.device))
                if not self.trials:
                    return
            epoch += 1
            self._end_epoch(epoch, len(batches), report)

    def _train_on(self, rows: Tensor) -> None:
        logits = self.chain.run(self.data.features.index_select(0, rows).float(), self.weights, self._drop)
        losses = _losses(
            logits, self.data.targets[rows], self._class_weights, self._smoothing, multi_label=self.data.multi_label
        )
        # No head has a part in another's loss: the gradient of the sum is each one's own.
        found = torch.autograd.grad(losses.sum(), list(self.weights.values()))
        gradients = dict(zip(self.weights, found, strict=True))
        losses = losses.detach()
        parts = [torch.linalg.vector_norm(value.flatten(1), dim=1) for value in found]
        norms = torch.linalg.vector_norm(torch.stack(parts), dim=0)
        if not bool(torch.isfinite(losses + norms).all()):
            keep = self._without_failed(losses, norms)
            losses, norms = losses[keep], norms[keep]
            gradients = {name: value[keep] for name, value in gradients.items()}
            if not self.trials:
                return
        self.loss_sum += losses
        self._update(gradients, norms)
        self.step += 1

    def _drop(self, site: int, x: Tensor) -> Tensor:
        """Drop numbers at each head's own rate: those whose draw, the same for all heads, is below it."""
        rates = self._rates[site]
        if not any(rates):
            return x
        generator = torch.Generator(self.device)
        seeds = np.random.SeedSequence([self.trials[0].recipe.seed, 23, self.step, site])
        generator.manual_seed(int(seeds.generate_state(1, np.uint64)[0]) >> 1)
        draws = torch.rand(x.shape[-2:], generator=generator, device=self.device)
        if len(set(rates)) == 1:
            same: Tensor = (draws >= rates[0]) / (1.0 - rates[0])
            return x * same
        limit = self._column(rates)[:, None, None]
        kept = torch.empty(len(rates), *draws.shape, device=self.device)
        torch.ge(draws, limit, out=kept)
        kept /= 1.0 - limit
        return x * kept if x.requires_grad else kept.mul_(x)

    @torch.no_grad()
    def _update(self, gradients: Mapping[str, Tensor], norms: Tensor) -> None:
        """Do a step of AdamW for each head, after clipping its gradient."""
        shares = (self._limits / (norms + 1e-6)).clamp(max=1.0)
        clips = bool((shares < 1.0).any())
        mean_share, square_share = (1.0 - beta ** (self.step + 1) for beta in _BETAS)
        lr = self._column([trial.lr(self.step) for trial in self.trials])
        for name, gradient in gradients.items():
            weight, mean, square = self.weights[name], self.means[name], self.squares[name]
            shape = (-1, *[1] * (weight.ndim - 1))
            if clips:
                gradient.mul_(shares.view(shape))
            # As in the loop, norms' gains and biases do not decay.
            if self.chain.start[name].ndim > 1:
                weight.mul_((1.0 - lr * self._decay).view(shape))
            mean.lerp_(gradient, 1.0 - _BETAS[0])
            square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1.0 - _BETAS[1])
            # The corrections of both moments are one number: a pass over the weights less.
            change = square.sqrt().add_(_EPS * math.sqrt(square_share))
            torch.div(mean, change, out=change)
            weight.addcmul_(change, (lr * (-math.sqrt(square_share) / mean_share)).view(shape))

    def _without_failed(self, losses: Tensor, norms: Tensor) -> Tensor:
        for trial, loss, norm in zip(self.trials, losses.tolist(), norms.tolist(), strict=True):
            if not math.isfinite(loss):
                trial.fail(f"the loss became {loss}", self.step)
            elif not math.isfinite(norm):
                trial.fail(f"the gradient's norm became {norm}", self.step)
        return self._leave()

    def _leave(self) -> Tensor:
        """Take those that have ended out of the stack; return the places of the others in it."""
        places = [place for place, trial in enumerate(self.trials) if not trial.is_over]
        keep = torch.tensor(places, dtype=torch.int64, device=self.device)
        if len(places) < len(self.trials):
            self.trials = [self.trials[place] for place in places]
            self.weights = {name: value.detach()[keep].requires_grad_() for name, value in self.weights.items()}
            self.means = {name: value[keep] for name, value in self.means.items()}
            self.squares = {name: value[keep] for name, value in self.squares.items()}
            self.loss_sum = self.loss_sum[keep]
            if self.trials:
                self._settle()
        return keep

    def _end_epoch(self, epoch: int, steps: int, report: Callable[[int, int, dict[str, Any]], bool] | None) -> None:
        scores = {split: self._scores(features) for split, (features, _) in self._seen.items()}
        found = {split: _measure(scores[split], truth) for split, (_, truth) in self._seen.items()}
        for place, trial in enumerate(self.trials):
            row: dict[str, Any] = {
                "epoch": epoch, "step": self.step, "running_loss": float(self.loss_sum[place]) / steps,
                **{split: {"n": len(truth), **{k: v[place] for k, v in found[split].items()}}
                   for split, (_, truth) in self._seen.items()},
            }  # fmt: skip
            if self._measures_all:
                row |= self._measure_all(self._deciders[trial.index], {k: v[place] for k, v in scores.items()})
            if trial.finish_epoch(row):
                trial.result.weights = {name: value[place].detach().clone() for name, value in self.weights.items()}
                trial.result.scores = scores["validation"][place].cpu().numpy().copy()
            if report is not None and report(trial.index, epoch, row) and not trial.is_over:
                trial.is_over = trial.result.is_pruned = True
        self.loss_sum.zero_()
        self._leave()

    def _measure_all(self, decider: Decider | None, scores: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
        """Measure one head as the loop does; ``scores`` are its probabilities of both splits."""
        truth = {split: of.cpu().numpy() for split, (_, of) in self._seen.items()}
        own = {split: values.cpu().numpy() for split, values in scores.items()}
        decision = None if decider is None else decider.choose(own["validation"], truth["validation"])
        found = {split: measure(own[split], truth[split], self.data.classes, decision) for split in own}
        plain = {k: v for k, v in found["validation"].items() if isinstance(v, (int, float)) or v is None}
        return {"train": {k: found["train"][k] for k in ("n", *_ON_DEVICE)}, "validation": plain}

    @torch.no_grad()
    def _scores(self, features: Tensor) -> Tensor:
        """Return probabilities, shape (heads, n, classes)."""
        size = max(1, _MOST_NUMBERS // (4 * len(self.trials) * self.chain.width))
        parts = [self.chain.run(part.float(), self.weights) for part in features.split(size)]
        logits = torch.cat(parts, dim=1)
        return logits.sigmoid() if self.data.multi_label else logits.softmax(dim=2)


def _losses(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: Tensor, *, multi_label: bool) -> Tensor:
    """
    Return each head's loss as :mod:`tunebook.losses` has it, divided by its normaliser; shape (heads,).

    Parameters
    ----------
    logits
        Shape (heads, n, classes).
    targets
        Shape (n, classes).
    weights
        Shape (heads, 1, classes).
    smoothing
        Shape (heads, 1, 1).
    multi_label
        Whether an example may have several classes.
    """
    count = targets.shape[1]
    if multi_label:
        wanted = targets * (1.0 - smoothing) + 0.5 * smoothing
        present = wanted * weights * functional.softplus(-logits)
        absent = (1.0 - wanted) * functional.softplus(logits)
        return (present + absent).sum(dim=(1, 2)) / max(targets.numel(), 1e-8)
    wanted = targets * (1.0 - smoothing) + smoothing / count
    normaliser = (wanted * target_weights(targets, weights)).sum(dim=(1, 2))
    return -(wanted * weights * logits.log_softmax(dim=2)).sum(dim=(1, 2)) / divisor(normaliser)


def _measure(scores: Tensor, truth: Tensor) -> dict[str, list[float]]:
    """
    Return ``loss``, ``accuracy`` and ``macro_f1`` of each head, equal to those of :func:`tunebook.metrics.measure`.

    Parameters
    ----------
    scores
        Shape (heads, n, classes).
    truth
        Shape (n,) or, of ones and zeros, (n, classes).
    """
    if truth.ndim > 1:
        chosen, wanted = scores >= THRESHOLD, truth > 0
        right = torch.where(wanted, scores, 1.0 - scores)
        accurate = (chosen == wanted).all(dim=2)
        hits, said, there = (chosen & wanted).sum(dim=1), chosen.sum(dim=1), wanted.sum(dim=0)
    else:
        classes = scores.shape[2]
        chosen = scores.argmax(dim=2)
        accurate = chosen == truth
        right = scores.gather(2, truth.expand(len(scores), -1)[:, :, None])
        said = _counts(chosen, torch.ones_like(chosen), classes)
        hits = _counts(chosen, accurate.long(), classes)
        there = torch.bincount(truth, minlength=classes)
    # A class that is neither true nor predicted has no F1: 0 / 0 is left out of the mean.
    f1 = (2.0 * hits.double() / (said + there)).nanmean(dim=1)
    loss = -right.double().clamp(_SMALLEST, 1.0).log().flatten(1).mean(dim=1)
    found = dict(zip(_ON_DEVICE, (loss, accurate.double().mean(dim=1), f1), strict=True))
    return {name: [float(number) for number in value] for name, value in found.items()}


def _counts(chosen: Tensor, values: Tensor, classes: int) -> Tensor:
    """Add up values by class for each head: shapes (heads, n) to (heads, classes)."""
    found: Tensor = values.new_zeros(len(chosen), classes).scatter_add_(1, chosen, values)
    return found
