"""A watch on a model's passes, which tells their time and what they keep apart by stage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils import _pytree as trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    Clock = Callable[[], float]


class Watch:
    """
    Hooks on a model that tell the time and the bytes of a pass apart by stage.

    Parameters
    ----------
    module
        The model.
    stages
        Names of the modules of each stage, by name; others count to what ran before them.
    count
        Number of stages.
    clock
        Gives the seconds that count, once what was asked of the device is done.

    Attributes
    ----------
    seconds
        What each stage took since the beginning, shape (stages,).
    kept
        Bytes that each stage keeps for the way back, parameters and buffers aside, shape (stages,).
    """

    def __init__(self, module: nn.Module, stages: Mapping[str, int], count: int, clock: Clock) -> None:
        self._module, self._stages, self._clock = module, stages, clock
        self.seconds = np.zeros(count)
        self.kept = np.zeros(count)
        self._stage, self._since = 0, 0.0
        self._known = {_address(tensor) for tensor in [*module.parameters(), *module.buffers()]}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hold the hooks while the block lasts."""
        handles = []
        for name, part in self._module.named_modules():
            stage = self._stages.get(name)
            if stage is not None:
                handles.append(part.register_forward_pre_hook(lambda _p, _a, stage=stage: self.switch(stage)))
                handles.append(part.register_forward_hook(lambda _p, _a, out, stage=stage: self._follow(out, stage)))
        try:
            with saved_tensors_hooks(self._pack, lambda tensor: tensor):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def begin(self, stage: int) -> None:
        """Start the clock."""
        self.seconds = np.zeros(len(self.seconds))
        self._stage, self._since = stage, self._clock()

    def switch(self, stage: int) -> None:
        """Count the time from here on to a stage."""
        now = self._clock()
        self.seconds[self._stage] += now - self._since
        self._stage, self._since = stage, now

    def end(self) -> np.ndarray:
        """Return the seconds of each stage since the beginning, shape (stages,)."""
        self.switch(self._stage)
        return self.seconds

    def _follow(self, output: Any, stage: int) -> None:  # noqa: ANN401 - whatever a module gives
        for tensor in trees.tree_leaves(output):
            # A gradient that arrives at what a module gave is about to go through that module.
            if isinstance(tensor, Tensor) and tensor.requires_grad and tensor.grad_fn is not None:
                tensor.register_hook(lambda _gradient: self.switch(stage))

    def _pack(self, tensor: Tensor) -> Tensor:
        address = _address(tensor)
        if address not in self._known:
            self._known.add(address)
            self.kept[self._stage] += _held_bytes(tensor)
        return tensor


def _address(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr() or id(tensor)
    except (NotImplementedError, RuntimeError):  # layouts without a storage
        return id(tensor)


def _held_bytes(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage().nbytes())
    except (NotImplementedError, RuntimeError):
        return tensor.numel() * tensor.element_size()
