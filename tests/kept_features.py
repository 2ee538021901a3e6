"""Small features that follow from their keys, and tables filled with them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tunebook.feature_store import FeatureTable, Filled, Part


ADDRESS = {"format": 1, "model": "resnet18", "boundary": "layer4", "view": 0}


def key(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def keys(count: int, start: int = 0) -> list[bytes]:
    return [key(number) for number in range(start, start + count)]


def array_of(name: bytes, lengths: Sequence[int] = (3,), width: int = 4, dtype: str = "float32") -> np.ndarray:
    """Make the features of an example: they follow from its key."""
    rng = np.random.default_rng(list(name))
    return rng.standard_normal((lengths[name[0] % len(lengths)], width)).astype(dtype)


class Computing:
    """Computes features in parts, and remembers what it was asked for."""

    def __init__(self, names: Sequence[bytes], tables: int = 1, part: int = 4, **shape: Any) -> None:
        self.names, self.tables, self.part, self.shape = names, tables, part, shape
        self.calls: list[list[int]] = []

    def __call__(self, positions: np.ndarray) -> Iterator[Part]:
        self.calls.append(positions.tolist())
        for at in range(0, len(positions), self.part):
            chosen = positions[at : at + self.part]
            yield chosen, [[self.array(p) + t for p in chosen] for t in range(self.tables)]

    def array(self, position: int) -> np.ndarray:
        return array_of(self.names[position], **self.shape)


def filled(table: FeatureTable, names: Sequence[bytes], **shape: Any) -> Filled:
    return table.store.fill([table], names, Computing(names, **shape))


def segments(table: FeatureTable) -> list[Path]:
    return sorted(path for path in table.path.iterdir() if path.is_dir())


def yielding(*parts: tuple[list[int], list[list[np.ndarray]]]) -> Callable[[np.ndarray], Iterator[Part]]:
    return lambda _: iter([(np.array(positions), arrays) for positions, arrays in parts])
