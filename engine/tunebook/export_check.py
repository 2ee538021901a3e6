"""An export is opened after it was written: what it says of some examples has to be what the model says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tunebook.tasks.base import Model, Task

#: Difference of two logits, in units of the largest one, that sums in another order may make.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Known:
    """
    What a model says of some examples.

    Attributes
    ----------
    contents
        The examples as the data has them: texts, or paths of pictures.
    inputs
        What the model was given of them, in parts. A part of one example has no padding, as others give it.
    logits
        Shape (n, classes).
    noise
        Largest difference of two passes: some models draw at random whenever they run.
    """

    contents: Sequence[Any]
    inputs: Sequence[dict[str, Tensor]]
    logits: Tensor
    noise: float

    @classmethod
    def of(cls, task: Task, model: Model, contents: Sequence[Any], inputs: Sequence[dict[str, Tensor]]) -> Known:
        """Run a model, which is on the CPU, on some examples."""
        with evaluating(model.module), torch.inference_mode():
            logits, again = (torch.cat([task.logits(model.module, part).float() for part in inputs]) for _ in range(2))
        return cls(contents, inputs, logits, float((logits - again).abs().max()))

    def differs(self, logits: Tensor) -> str:
        """Say by how much other logits of the same examples differ; nothing where it is rounding."""
        if logits.shape != self.logits.shape:
            return f"its output has shape {tuple(logits.shape)} in place of {tuple(self.logits.shape)}"
        most = float((logits.float() - self.logits).abs().max())
        allowed = _TOLERANCE * max(1.0, float(self.logits.abs().max())) + 3.0 * self.noise
        return "" if most <= allowed else f"its logits differ by {most:.2g}"
