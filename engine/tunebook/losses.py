"""Losses that take weights of classes and soft targets, and the scores that belong to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from tunebook.recipe import Recipe


class Objective(Protocol):
    """A loss, and what turns the logits that it trains into probabilities."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the losses and its normaliser, each a scalar."""
        ...

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities, shape (n, classes)."""
        ...


class OneOfMany:
    """Every example has exactly one class: softmax and cross-entropy."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the sum and the normaliser of :func:`weighted_cross_entropy`."""
        return weighted_cross_entropy(logits, targets, weights, smoothing)

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities that add up to 1 over the classes."""
        return logits.softmax(dim=1)


class AnyOfMany:
    """An example has any number of classes: a sigmoid and a binary cross-entropy for each of them."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the sum and the normaliser of :func:`weighted_binary_cross_entropy`."""
        return weighted_binary_cross_entropy(logits, targets, weights, smoothing)

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities, each class on its own."""
        return logits.sigmoid()


def objective(recipe: Recipe) -> Objective:
    """Return the objective of a recipe: it has one class an example, or any number of them."""
    return AnyOfMany() if recipe.multi_label else OneOfMany()


def weighted_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """
    Cross-entropy with class weights, as a sum and its normaliser.

    Their quotient is torch's weighted mean for hard targets; kept apart, they can be added over
    processes, so that several devices give the loss of the whole batch.

    Parameters
    ----------
    logits
        Shape (n, classes).
    targets
        Shape (n, classes), each row at least 0 with sum 1.
    weights
        Shape (classes,), at least 0.
    smoothing
        Share of each target that is spread evenly over all classes, in [0, 1).

    Returns
    -------
    tuple of Tensor
        Weighted sum of the losses and sum of the weights, both scalars.
    """
    if smoothing:
        targets = targets * (1.0 - smoothing) + smoothing / targets.shape[1]
    weighted = targets * weights
    return -(weighted * logits.log_softmax(dim=1)).sum(), weighted.sum()


def weighted_binary_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """
    Binary cross-entropy of each class on its own, as a sum and its normaliser.

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
    tuple of Tensor
        Weighted sum of the losses, and the number of examples times classes, both scalars.
    """
    targets = targets * (1.0 - smoothing) + 0.5 * smoothing
    present = targets * weights * functional.softplus(-logits)
    absent = (1.0 - targets) * functional.softplus(logits)
    return (present + absent).sum(), logits.new_tensor(float(logits.numel()))
