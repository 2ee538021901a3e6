"""Losses that take weights of classes and soft targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
