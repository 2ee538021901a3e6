"""Weights of classes in the loss and in the drawing of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook.errors import RecipeError, did_you_mean, shown
from tunebook.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Share of the data that a further example is expected to repeat, in "effective".
EFFECTIVE_BETA = 0.999


def class_weights(
    scheme: str | Mapping[str, float], counts: np.ndarray, classes: Sequence[str], parameter: str = "class_weights"
) -> np.ndarray:
    """
    Return one weight a class, with mean 1 over the training examples.

    Parameters
    ----------
    scheme
        ``"none"``: all 1. ``"balanced"``: in inverse proportion to the class's count.
        ``"effective"``: in inverse proportion to its effective number of examples [1]_.
        A mapping by class name: as given, 1 where a class is not named.
    counts
        Training examples of each class, shape (classes,).
    classes
        Class names.
    parameter
        What to call the parameter in an error.

    Returns
    -------
    numpy.ndarray
        Shape (classes,), float64, at least 0.

    Raises
    ------
    RecipeError
        The mapping names an unknown class, or gives every class weight 0.

    References
    ----------
    .. [1] Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.
    """
    if isinstance(scheme, str):
        safe = np.maximum(np.asarray(counts, dtype=np.float64), 1.0)
        if scheme == "none":
            return np.ones(len(classes))
        effective = safe if scheme == "balanced" else (1.0 - EFFECTIVE_BETA**safe) / (1.0 - EFFECTIVE_BETA)
        raw = 1.0 / effective
        scaled: np.ndarray = raw * safe.sum() / (raw * safe).sum()
        return scaled
    known: dict[str, float] = {}
    for name, weight in scheme.items():
        plain = plain_name(name)
        if plain not in classes:
            msg = f"{parameter}: no class {shown(name)}{did_you_mean(str(name), classes)}"
            raise RecipeError(msg)
        if plain in known:
            raise RecipeError(f"{parameter}: class {shown(plain)} is named twice; give it one weight")
        known[plain] = float(weight)
    weights = np.array([known.get(name, 1.0) for name in classes])
    if not weights.any():
        msg = f"{parameter}: every class has weight 0; give at least one a weight above 0"
        raise RecipeError(msg)
    return weights


def example_weights(weights: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """
    Return the chance of each example to be drawn, from the weights of its classes.

    Parameters
    ----------
    weights
        One a class, shape (classes,).
    truth
        Class numbers, shape (n,); or, where an example may have several classes, ones and zeros of shape
        (n, classes): then its rarest class, that of the greatest weight, decides, and 1 where it has none.

    Returns
    -------
    numpy.ndarray
        Shape (n,).
    """
    if truth.ndim == 1:
        found: np.ndarray = weights[truth]
        return found
    most = np.where(truth > 0, weights, -np.inf).max(axis=1)
    return np.where(np.isfinite(most), most, 1.0)


def group_weights(scheme: str, groups: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """
    Return one weight an example, with mean 1, that makes sensitive groups and classes independent of each other.

    Parameters
    ----------
    scheme
        ``"none"``: all 1. ``"reweight"``: P(g) P(y) / P(g, y), after which each class has the same share in each group
        and groups keep their sizes [1]_. ``"resample"``: P(y) / P(g, y), after which all groups are of the same
        size, too [2]_.
    groups
        Group of each training example, shape (n,).
    truth
        Class numbers, shape (n,); or ones and zeros, shape (n, classes), of which each combination is a class.

    Returns
    -------
    numpy.ndarray
        Shape (n,), float64, above 0. A class that a group lacks stays lacking: nothing can weigh it.

    References
    ----------
    .. [1] Kamiran and Calders, "Data preprocessing techniques for classification without discrimination", KAIS 2012.
    .. [2] Idrissi et al., "Simple data balancing achieves competitive worst-group-accuracy", CLeaR 2022.
    """
    if scheme == "none" or not len(groups):
        return np.ones(len(groups))
    labels = np.unique(truth, axis=0, return_inverse=True)[1].reshape(-1)
    known = np.unique(groups, return_inverse=True)[1].reshape(-1)
    table = np.zeros((int(known.max()) + 1, int(labels.max()) + 1))
    np.add.at(table, (known, labels), 1.0)
    of_group = table.sum(axis=1) if scheme == "reweight" else np.ones(len(table))
    raw = of_group[known] * table.sum(axis=0)[labels] / table[known, labels]
    found: np.ndarray = raw / raw.mean()
    return found


def draw_order(rows: np.ndarray, weights: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """
    Return the rows of one epoch in the order in which they are used.

    Parameters
    ----------
    rows
        Row numbers of the training examples, shape (n,).
    weights
        Relative chance of each row, shape (n,); ``None`` takes every row once.
    rng
        Decides the order.

    Returns
    -------
    numpy.ndarray
        Shape (n,): a permutation, or a draw with replacement where there are weights.
    """
    if weights is None:
        return rng.permutation(rows)
    return rng.choice(rows, size=len(rows), p=weights / weights.sum())
