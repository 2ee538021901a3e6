"""What a model is fed with: examples from the start, or what its frozen trunk once made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from tunebook.tasks.base import Batch
from tunebook.trunk import edge

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tunebook.feature_store import FeatureRows
    from tunebook.tasks.base import Model, Reader, Task
    from tunebook.trunk import Cut

#: Name of the kept activation among a batch's inputs. No model has an argument of this name.
KEPT = "tunebook_kept"
#: Most examples that are evaluated together on kept features of the head alone.
_MOST_TOGETHER = 1_024


class Feed(Protocol):
    """Gives batches and runs the model on them."""

    def training_batches(self, rows: np.ndarray, place: tuple[int, int], part: slice, view: int | None) -> list[Batch]:
        """Return a step's examples, see :class:`tunebook.tasks.base.Reader`."""
        ...

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        ...

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the inputs of some rows as they are evaluated."""
        ...

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model on inputs of this feed; shape (n, classes)."""
        ...


class DirectFeed:
    """
    Every example through the whole model.

    Parameters
    ----------
    task, model, reader
        What reads the examples and runs the model.
    """

    def __init__(self, task: Task, model: Model, reader: Reader) -> None:
        self._task, self._model, self._reader = task, model, reader
        self.training_batches = reader.training_batches
        self.evaluation_batches = reader.evaluation_batches

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the inputs of some rows as they are evaluated."""
        return self._reader.inputs(rows)

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model on inputs of this feed; shape (n, classes)."""
        return self._task.logits(self._model.module, inputs)


class CachedFeed:
    """
    Kept activations through the rest of the model.

    Parameters
    ----------
    direct
        For training on batches whose examples do not stand alone.
    cut
        Where the trunk ends.
    reader
        Gives targets, and what the rest of the model reads beside the activation.
    kept
        Gives, for a view, the kept activations and for each row of the table its position in them, -1 for none;
        the rows that are asked for are there. ``None`` where they can be kept no more. It is told for how many
        passes through the trunk they are used.
    """

    def __init__(
        self,
        direct: DirectFeed,
        cut: Cut,
        reader: Reader,
        kept: Callable[[int | None, np.ndarray, int], tuple[FeatureRows, np.ndarray] | None],
    ) -> None:
        self._direct, self.cut, self._reader, self._kept = direct, cut, reader, kept

    def training_batches(self, rows: np.ndarray, place: tuple[int, int], part: slice, view: int | None) -> list[Batch]:
        """Return a step's examples in a view, as kept."""
        if self._reader.mixes():
            return self._direct.training_batches(rows, place, part, view)
        groups = self._reader.training_groups(rows[part])
        return [Batch(self.view_inputs(group, view), self._reader.targets(group)) for group in groups]

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        is_small = len(self.cut.shape()) == 1 or self.cut.position != "all"
        if is_small and self._kept(None, rows, 0) is not None:
            return [rows[k : k + _MOST_TOGETHER] for k in range(0, len(rows), _MOST_TOGETHER)]
        return self._reader.evaluation_batches(rows)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return what is kept of some rows as they are evaluated."""
        return self.view_inputs(rows, None)

    def view_inputs(self, rows: np.ndarray, view: int | None) -> dict[str, Tensor]:
        """Return what is kept of some rows in a view, and what else the rest of the model reads."""
        found = self._kept(view, rows, len(rows))
        if found is None:
            return self._reader.inputs(rows, view)
        kept, places = found
        outline = self._reader.outline(rows)
        if not self.cut.is_ragged:
            return {**outline, KEPT: _tensor(kept.stack(places[rows]))}
        lengths = self._reader.lengths(rows)
        assert lengths is not None  # noqa: S101 - ragged activations come from ragged inputs
        if self.cut.position != "all":
            at = self.positions(outline, lengths)
            one = {name: tensor[np.arange(len(rows)), at].unsqueeze(1) for name, tensor in outline.items()}
            return {**one, KEPT: _tensor(kept.stack(places[rows])).unsqueeze(1)}
        return {**outline, KEPT: _tensor(self._padded(kept.take(places[rows]), outline))}

    def _padded(self, arrays: list[np.ndarray], outline: dict[str, Tensor]) -> np.ndarray:
        """Put arrays of different lengths into one, where the inputs have their positions."""
        length = next(iter(outline.values())).shape[1]
        found = np.zeros((len(arrays), length, *arrays[0].shape[1:]), np.float32)
        first = starts(outline, np.array([len(array) for array in arrays]))
        for place, (array, start) in enumerate(zip(arrays, first.tolist(), strict=True)):
            found[place, start : start + len(array)] = array
        return found

    def positions(self, outline: dict[str, Tensor], lengths: np.ndarray) -> np.ndarray:
        """Return the place of the one position of each example that the rest reads, shape (n,)."""
        first = starts(outline, lengths)
        return first if self.cut.position == "first" else first + lengths - 1

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """Run the rest of the model on inputs of this feed, or all of it where nothing is kept; shape (n, classes)."""
        if KEPT not in inputs:
            return self._direct.logits(inputs)
        rest = {name: tensor for name, tensor in inputs.items() if name != KEPT}
        return self.cut.run(inputs[KEPT], rest)


def _tensor(values: np.ndarray) -> Tensor:
    """Return a copy in torch's own memory: bits depend on its alignment, and numpy's differs from run to run."""
    return torch.tensor(values, dtype=torch.float32)


def starts(inputs: dict[str, Tensor], lengths: np.ndarray) -> np.ndarray:
    """Return the place at which each example of padded sequences begins, shape (n,)."""
    mask = inputs.get("attention_mask")
    if mask is None:
        return np.zeros(len(lengths), np.int64)
    return edge(mask.cpu().numpy().astype(bool), "first")
