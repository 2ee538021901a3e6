"""The labels of an example as text and as numbers: one class each, or any number of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunebook.decision import Decision

#: Stands between the classes of one example, in tables and in predictions.
SEPARATOR = "|"
#: Score from which an example is said to have a class, where it may have several.
THRESHOLD = 0.5


def split_label(label: str) -> list[str]:
    """Return the classes that a label of several names; none for an empty one."""
    return [name for part in label.split(SEPARATOR) if (name := part.strip())]


def join_label(names: Iterable[str]) -> str:
    """Write several classes as one label, always in the same order."""
    return SEPARATOR.join(sorted(set(names)))


def encode(labels: Sequence[str], classes: Sequence[str], *, multi_label: bool) -> np.ndarray:
    """
    Turn labels into numbers.

    Returns
    -------
    numpy.ndarray
        Class numbers, shape (n,), int64; with ``multi_label`` ones and zeros, shape (n, classes), int64.
        A class that is not in ``classes`` is -1, or no one.
    """
    number = {name: k for k, name in enumerate(classes)}
    if not multi_label:
        return np.array([number.get(label, -1) for label in labels], dtype=np.int64)
    found = np.zeros((len(labels), len(classes)), dtype=np.int64)
    for row, label in enumerate(labels):
        for name in split_label(label):
            if name in number:
                found[row, number[name]] = 1
    return found


def decide(scores: np.ndarray, *, multi_label: bool, decision: Decision | None = None) -> np.ndarray:
    """
    Say which classes scores stand for.

    Parameters
    ----------
    scores
        Probabilities, shape (n, classes).
    multi_label
        Whether an example may have several classes.
    decision
        Of two classes; ``None`` says the most probable one.

    Returns
    -------
    numpy.ndarray
        As from :func:`encode`.
    """
    if multi_label:
        return (scores >= THRESHOLD).astype(np.int64)
    found: np.ndarray = scores.argmax(axis=1) if decision is None else decision.decide(scores)
    return found


def decode(numbers: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Turn what :func:`encode` gives back into labels."""
    if numbers.ndim == 1:
        return [classes[k] for k in numbers.tolist()]
    return [join_label(classes[k] for k in np.flatnonzero(row).tolist()) for row in numbers]


def confidence(scores: np.ndarray, *, multi_label: bool, decision: Decision | None = None) -> np.ndarray:
    """
    Say how sure scores are of what they stand for, from 0 to 1, shape (n,); parameters as for :func:`decide`.

    For one class it is its probability; for several, that of the least sure of the yes and no.
    """
    if multi_label:
        least: np.ndarray = np.maximum(scores, 1.0 - scores).min(axis=1)
        return least
    said = decide(scores, multi_label=False, decision=decision)
    found: np.ndarray = scores[np.arange(len(scores)), said]
    return found


def mistakes_confidence(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Say how sure scores are where they are wrong, shape (n,): 0 where all is right; ``truth`` as from `encode`."""
    if truth.ndim == 1:
        wrong = scores.argmax(axis=1) != truth
        return np.where(wrong, scores.max(axis=1), 0.0)
    error = np.abs(scores - truth)
    return np.where(error.max(axis=1) > THRESHOLD, error.max(axis=1), 0.0)
