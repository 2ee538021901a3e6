"""Where a run computes: one CPU, one accelerator, or several processes, behind one face."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook import machine
from tunebook.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunebook.recipe import Recipe


class Devices:
    """
    The devices of one run, through accelerate.

    Gradients are added over the processes here and not by DistributedDataParallel, because that
    one fixes which parameters train when it is made, and ours change while training goes on.

    Parameters
    ----------
    recipe
        Its ``device`` and ``precision``.
    module
        The model, to judge whether bf16 helps it.

    Raises
    ------
    RecipeError
        The device is not there, or cannot compute in the precision asked for.
    """

    def __init__(self, recipe: Recipe, module: nn.Module) -> None:
        from accelerate import Accelerator  # noqa: PLC0415
        from accelerate.state import AcceleratorState  # noqa: PLC0415

        wanted = recipe.device
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if wanted != "auto" and not there[wanted]:
            have = ", ".join(name for name, is_there in there.items() if is_there)
            msg = f"device={wanted!r} is not there; this machine has {have} (torch {torch.__version__})"
            raise RecipeError(msg)
        kind = wanted if wanted != "auto" else next(name for name in ("cuda", "mps", "cpu") if there[name])
        self.precision = _precision(recipe.precision, kind, module)
        # accelerate keeps one state a process and refuses another precision; runs of one kernel differ.
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())  # noqa: SLF001
        self._accelerator = Accelerator(cpu=kind == "cpu", mixed_precision="bf16" if self.precision == "bf16" else "no")
        self.device = torch.device("mps") if kind == "mps" else self._accelerator.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run directory."""
        return bool(self._accelerator.is_main_process)

    @property
    def count(self) -> int:
        """Number of processes."""
        return int(self._accelerator.num_processes)

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self._accelerator.process_index)

    def part(self, size: int) -> slice:
        """Return the part of a batch of ``size`` examples that this process works on."""
        return slice(size * self.rank // self.count, size * (self.rank + 1) // self.count)

    def autocast(self) -> Any:  # noqa: ANN401
        """Return the context in which the forward pass runs."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def move(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Bring inputs to the device."""
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in tensors.items()}

    def add_up(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over the processes."""
        if self.count == 1:
            return value
        total: torch.Tensor = self._accelerator.reduce(value, reduction="sum")
        return total

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add each parameter's gradient over the processes, in one message."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.add_up(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process the main one's buffers, such as BatchNorm's statistics."""
        if self.count == 1:
            return
        from accelerate.utils import broadcast  # noqa: PLC0415

        for buffer in module.buffers():
            buffer.copy_(broadcast(buffer.contiguous()))

    def gather(self, items: list[Any]) -> list[Any]:
        """Return the items of all processes, in the order of the processes."""
        if self.count == 1:
            return items
        from accelerate.utils import gather_object  # noqa: PLC0415

        found: list[Any] = gather_object(items)
        return found

    def agree(self, value: Any) -> Any:  # noqa: ANN401
        """Return the main process's value in every process."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list  # noqa: PLC0415

        return broadcast_object_list([value])[0]

    def describe(self) -> str:
        """Say in words where and how the run computes."""
        many = f"{self.count} x " if self.count > 1 else ""
        threads = f", {torch.get_num_threads()} threads" if self.device.type == "cpu" else ""
        return f"{many}{self.device.type}{threads}, {self.precision}"


def _precision(wanted: str, kind: str, module: nn.Module) -> str:
    """
    Choose the precision.

    Measured on CPUs with bf16 instructions: dense convolutions and matrices train up to twice as
    fast, depthwise convolutions do not gain.
    """
    can = False
    if kind == "cpu":
        can = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
    elif kind == "cuda":
        can = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if wanted == "bf16" and not can:
        msg = f"precision='bf16': this {kind} has no bf16 arithmetic; use precision='auto' or 'fp32'"
        raise RecipeError(msg)
    if wanted != "auto":
        return wanted
    if kind == "cpu":
        can = can and not any(
            isinstance(part, nn.Conv2d) and part.groups > 1 and part.groups == part.in_channels
            for part in module.modules()
        )
    return "bf16" if can else "fp32"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use a number of threads while the block lasts: sums over threads, and so bits, depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or machine.cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)
