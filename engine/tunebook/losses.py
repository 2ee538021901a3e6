"""Losses that take weights of classes and soft targets, and the scores that belong to them."""

from __future__ import annotations

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
    """Every example has exactly one class: softmax and cross-entropy."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the sum of :func:`weighted_cross_entropy`."""
        return weighted_cross_entropy(logits, targets, weights, smoothing)

    def normaliser(self, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """Return the sum of the weights of the targets, as torch's weighted mean does."""
        return (smoothed(targets, smoothing) * weights).sum()

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
