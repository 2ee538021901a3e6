"""The tables from which a cost is reckoned: what was measured of a model, by stage, and of what happens beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Pass(NamedTuple):
    """What one run of the model took: seconds forwards and backwards and bytes kept between, shape (stages,) each."""

    forward: np.ndarray
    backward: np.ndarray
    kept: np.ndarray

    def least(self, other: Pass) -> Pass:
        """Return the smaller of two measurements of the same: noise only adds."""
        return Pass(*(np.minimum(*pair) for pair in zip(self, other, strict=True)))


class Line(NamedTuple):
    """What a batch takes and what each of its units adds, shape (stages,) each. A unit is an example, or a token."""

    fixed: np.ndarray
    each: np.ndarray

    @classmethod
    def through(cls, small: np.ndarray, large: np.ndarray, units: tuple[int, int]) -> Line:
        """
        Draw a line through two measurements; noise must not make a part of it negative.

        Parameters
        ----------
        small, large
            What was measured, shape (stages,) each.
        units
            With how many units each was; where the second has no more than the first, it alone counts.
        """
        if units[1] <= units[0]:
            return cls(np.zeros_like(large), large / units[1])
        each = (large - small) / (units[1] - units[0])
        fixed = small - each * units[0]
        plain = (each < 0) | (fixed < 0)
        return cls(np.where(plain, 0.0, fixed), np.where(plain, large / units[1], each))

    def at(self, groups: float, units: float) -> np.ndarray:
        """Return what so many groups with so many units in all take, shape (stages,)."""
        return self.fixed * groups + self.each * units

    def mixed(self, other: Line, share: np.ndarray) -> Line:
        """Return a line with a share of another in it, shape (stages,)."""
        return Line(*(mine + (its - mine) * share for mine, its in zip(self, other, strict=True)))


class Mode(NamedTuple):
    """How stages are run, as lines: seconds forwards and backwards, and bytes kept between."""

    forward: Line
    backward: Line
    kept: Line


class Layout(NamedTuple):
    """
    How rows are put together: units and groups a row in batches of some sizes, and the units of the largest group.

    A group is what is run at once. Where all examples have one shape, it is the batch, and a unit is an example.

    Attributes
    ----------
    sizes
        Sizes of batches, rising, shape (n,).
    units, groups
        For each size, a row, shape (n,).
    largest
        Units of the largest group for each size, shape (n,).
    """

    sizes: np.ndarray
    units: np.ndarray
    groups: np.ndarray
    largest: np.ndarray

    def at(self, size: int) -> tuple[float, float, float]:
        """Return units a row, groups a row and units of the largest group in batches of a size."""
        share = 1.0 / size
        # In the inverse, which is exact where every batch is one group.
        places = 1.0 / self.sizes[::-1]
        units = float(np.interp(share, places, self.units[::-1]))
        groups = float(np.interp(share, places, self.groups[::-1]))
        return units, groups, float(np.interp(size, self.sizes, self.largest))


@dataclass(frozen=True)
class Times:
    """
    Seconds of what happens beside the model.

    Attributes
    ----------
    decode
        More for a row that is read for the first time.
    read, read_view
        For a row that is read as it is evaluated, and in a view.
    outlined
        For a row of which no more than the outline is made.
    extract
        Of a unit through the frozen trunk by the engine of the cache, for a second by the model itself.
    prepare
        For making that engine ready.
    number, tensor
        Of a step for each trainable number and tensor: clipping and AdamW.
    saved, copied
        For a byte of a checkpoint, and of what was kept.
    """

    decode: float
    read: float
    read_view: float
    outlined: float
    extract: float
    prepare: float
    number: float
    tensor: float
    saved: float
    copied: float


@dataclass(frozen=True)
class Memory:
    """
    Bytes.

    Attributes
    ----------
    resident
        Held by the process, or of the accelerator, before anything trains.
    limit
        What it may hold.
    reader
        What the reader will yet fill.
    weights
        The model's parameters and buffers.
    inputs
        A unit's inputs.
    largest
        A unit's largest tensor in each stage, shape (stages,).
    """

    resident: int
    limit: int
    reader: int
    weights: int
    inputs: float
    largest: np.ndarray


@dataclass(frozen=True)
class Counts:
    """Rows that are trained on, looked at for the fit, validated on, and in all."""

    train: int
    sample: int
    validation: int
    every: int


@dataclass(frozen=True)
class Tables:
    """
    All that was measured of a model on some examples.

    Attributes
    ----------
    counts
        The examples.
    training, passing
        A step of stages that train, and of frozen ones through which a gradient passes.
    evaluated
        Seconds of stages that are evaluated.
    peak
        Bytes that a unit of the longest examples keeps in each stage, training and passing, shape (stages,) each.
    layout
        How training examples are put together.
    evaluation
        Units and groups of a row that is evaluated, and the units of the largest group.
    times, memory
        What happens beside the model, and what is held.
    borders
        Bytes kept of an example at the border before each stage, infinite where there is no border, shape (stages,).
    vector_from
        The first stage before which what is kept is a vector.
    """

    counts: Counts
    training: Mode
    passing: Mode
    evaluated: Line
    peak: tuple[np.ndarray, np.ndarray]
    layout: Layout
    evaluation: tuple[float, float, float]
    times: Times
    memory: Memory
    borders: np.ndarray
    vector_from: int
