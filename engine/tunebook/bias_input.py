"""What a bias report starts from: its settings, and what predictions say of classes and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tunebook.comparison import DRAWS, MINIMUM
from tunebook.errors import DataError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

#: Version of the form of ``bias.json``.
SCHEMA = "tunebook-bias/1"


@dataclass(frozen=True)
class Settings:
    """
    How groups are compared.

    Attributes
    ----------
    minimum
        Fewest examples with which a group counts in worst-case figures, at least 1.
    draws
        Draws for intervals and p-values, at least 200.
    seed
        Of all that is drawn.
    positive
        With two classes: the one that rates are of; empty takes the last.
    derived
        Attribute -> how it was worked out, of those that were not recorded.
    notes
        What a reader must know of the data; one sentence each.
    source
        What the predictions are of, in words.
    tuned
        Whether the second of two models is the first one tuned.
    decided
        How scores became predictions, one sentence; empty where the most probable class is said, or nothing is known.
    """

    minimum: int = MINIMUM
    draws: int = DRAWS
    seed: int = 0
    positive: str = ""
    derived: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = ""
    tuned: bool = True
    decided: str = ""


def occurring_classes(predictions: pd.DataFrame, *, multi_label: bool) -> tuple[str, ...]:
    """Return the classes that occur in truth or prediction, numbers by size and words by the alphabet."""
    from tunebook.labels import split_label  # noqa: PLC0415

    texts = [str(label) for column in ("truth", "prediction") for label in predictions[column].dropna().unique()]
    return in_order({name for text in texts for name in split_label(text)} if multi_label else set(texts))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in the order of reports: numbers by size, then words by the alphabet."""

    def key(name: str) -> tuple[int, float, str]:
        try:
            number = float(name)
        except ValueError:
            return 1, 0.0, name
        return (0, number, name) if np.isfinite(number) else (1, 0.0, name)

    return tuple(sorted(names, key=key))


def model_names(predictions: pd.DataFrame) -> list[str]:
    """
    Return the models that are compared: the baseline, if there is one, then the one that the report is about.

    Raises
    ------
    DataError
        There are others than one model, or baseline and tuned.
    """
    present = [str(name) for name in predictions["model"].unique()]
    if len(present) == 1:
        return present
    if set(present) != {"baseline", "tuned"}:
        msg = f"predictions of the models {', '.join(map(shown, present[:6]))}; give one model, or baseline and tuned"
        raise DataError(msg)
    return ["baseline", "tuned"]
