"""ONNX files: a model for programs without torch."""

from __future__ import annotations

import logging
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

#: Difference of two outputs, in units of the largest one, that sums in another order may make.
_TOLERANCE = 1e-3


def export_onnx(
    module: nn.Module, inputs: Mapping[str, Tensor], path: Path, free: Mapping[int, str], output: str = "logits"
) -> str:
    """
    Write a model as ONNX.

    Parameters
    ----------
    module
        On the CPU, in evaluation mode; takes the inputs by position and returns one tensor.
    inputs
        An example by name, with at least two along every free axis.
    path
        The file.
    free
        Axis of every input whose length is free, to its name.
    output
        Name of the output.

    Returns
    -------
    str
        Why there is no file, if the exporter cannot write this architecture, or writes what gives other outputs where
        ONNX Runtime is installed; empty if there is one.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    axes = {axis: torch.export.Dim(name) for axis, name in free.items()}
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _ByPosition(module), tuple(inputs.values()), path, input_names=list(inputs), output_names=[output],
                dynamic_shapes=(tuple(axes for _ in inputs),), dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - the exporter raises anything, and the model is worth more
        path.unlink(missing_ok=True)
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        return f"this architecture cannot be exported ({type(error).__name__}: {reason})"
    problem = _difference(module, inputs, path) if find_spec("onnxruntime") is not None else ""
    if problem:
        path.unlink(missing_ok=True)
        return f"what was exported is not this model ({problem})"
    return ""


def _difference(module: nn.Module, inputs: Mapping[str, Tensor], path: Path) -> str:
    """Run the file as ONNX Runtime does, on all examples and on one; say what differs from the model."""
    import onnxruntime  # noqa: PLC0415 - heavy, and an extra

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for count in (len(next(iter(inputs.values()))), 1):
            given = {name: tensor[:count] for name, tensor in inputs.items()}
            with torch.no_grad():
                wanted = module(*given.values())
            (found,) = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
            most = float((torch.from_numpy(found) - wanted).abs().max())
            if not most <= _TOLERANCE * max(1.0, float(wanted.abs().max())):
                return f"its output differs by {most:.2g}"
    except Exception as error:  # noqa: BLE001 - the runtime raises errors of its own, and the model is worth more
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"
    return ""


class _ByPosition(torch.nn.Module):
    """Takes any number of tensors: the exporter wants to know the shape of each by its place."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        found: Tensor = self.module(*inputs)
        return found
