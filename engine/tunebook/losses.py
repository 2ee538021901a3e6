"""Losses that take weights of classes and soft targets, and the scores that belong to them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from tunebook.recipe import Recipe


class Objective(Protocol):
    """A loss, and what turns the logits that it trains into probabilities."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the weighted sum of the losses, a scalar."""
        ...

    def normaliser(self, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """
        Return what the sum of the losses is divided by, a scalar.

        It does not depend on the model, and adds up over the parts of a batch, on one device or several.
        """
        ...

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities, shape (n, classes)."""
        ...


class OneOfMany:
    """
    Every example has exactly one class: softmax and cross-entropy.

    The loss divided by its normaliser is torch's ``CrossEntropyLoss(weight, label_smoothing=...)`` of class numbers.
    Where two classes are blended, both sums are the blend of theirs.
    """

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the sum of :func:`weighted_cross_entropy`."""
        return weighted_cross_entropy(logits, targets, weights, smoothing)

    def normaliser(self, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the sum of the weights of the targets as they were before smoothing, as torch's weighted mean does."""
        if not smoothing:
            return (targets * weights).sum()
        return (smoothed(targets, smoothing) * target_weights(targets, weights)).sum()

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities that add up to 1 over the classes."""
        return logits.softmax(dim=1)


class AnyOfMany:
    """An example has any number of classes: a sigmoid and a binary cross-entropy for each of them."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the sum of :func:`weighted_binary_cross_entropy`."""
        return weighted_binary_cross_entropy(logits, targets, weights, smoothing)

    def normaliser(self, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:  # noqa: ARG002
        """Return the number of examples times classes, whatever their weights."""
        return weights.new_tensor(float(targets.numel()))

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities, each class on its own."""
        return logits.sigmoid()


def objective(recipe: Recipe) -> Objective:
    """Return the objective of a recipe: it has one class an example, or any number of them."""
    return AnyOfMany() if recipe.multi_label else OneOfMany()


def smoothed(targets: Tensor, smoothing: float) -> Tensor:
    """Return targets of which a share is spread evenly over all classes."""
    return targets * (1.0 - smoothing) + smoothing / targets.shape[1] if smoothing else targets


def target_weights(targets: Tensor, weights: Tensor) -> Tensor:
    """
    Return how much each example counts: the weight of its class.

    Parameters
    ----------
    targets
        Shape (n, classes), each row at least 0 with sum 1: the weights of blended classes are blended.
    weights
        Shape (classes,), or any that fits targets, at least 0; dimensions in front of both stay.

    Returns
    -------
    Tensor
        Shape (n, 1). Equal weights come back as they are, to the last bit.
    """
    return (targets * weights).sum(dim=-1, keepdim=True) / targets.sum(dim=-1, keepdim=True)


def divisor(normaliser: Tensor) -> Tensor:
    """
    Return what losses are divided by: the normaliser, or infinity where it is 0.

    Class weights of 0 may leave nothing of a batch, and torch's mean is then not a number. Here such a batch has the
    loss 0 and teaches nothing, also where smoothing would have it teach the other classes.
    """
    return normaliser.masked_fill(normaliser <= 0.0, math.inf)


def weighted_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """
    Cross-entropy with class weights, as a sum.

    Parameters
    ----------
    logits
        Shape (n, classes).
    targets
        Shape (n, classes), each row at least 0 with sum 1.
    weights
        Shape (classes,), at least 0; or (n, classes), where examples count differently.
    smoothing
        Share of each target that is spread evenly over all classes, in [0, 1).

    Returns
    -------
    Tensor
        Weighted sum of the losses, a scalar.
    """
    return -(smoothed(targets, smoothing) * weights * logits.log_softmax(dim=1)).sum()


def weighted_binary_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """
    Binary cross-entropy of each class on its own, as a sum.

    A class's weight counts for the examples that have it, as ``pos_weight`` of torch's
    ``BCEWithLogitsLoss`` does; examples without it count once.

    Parameters
    ----------
    logits
        Shape (n, classes).
    targets
        Shape (n, classes), in [0, 1].
    weights
        Shape (classes,), at least 0.
    smoothing
        Share of each target that is moved towards one half, in [0, 1).

    Returns
    -------
    Tensor
        Weighted sum of the losses, a scalar.
    """
    targets = targets * (1.0 - smoothing) + 0.5 * smoothing
    present = targets * weights * functional.softplus(-logits)
    absent = (1.0 - targets) * functional.softplus(logits)
    return (present + absent).sum()
