"""What a task must be able to do for the engine to tune it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from torch import Tensor, nn

    from tunebook.dropout import DropoutSites
    from tunebook.examples import Examples
    from tunebook.figures import Page, Picture
    from tunebook.findings import Findings
    from tunebook.losses import Objective
    from tunebook.recipe import Recipe
    from tunebook.stages import Stages


@dataclass
class Model:
    """
    A model that can be tuned.

    Attributes
    ----------
    module
        The torch module.
    name
        What the library calls its architecture.
    origin
        Where its weights come from, in words.
    stages, dropout
        Its stages and its dropout sites.
    fingerprint
        SHA-256 of the weights as they were loaded.
    objective
        Its loss, and what turns its logits into probabilities.
    head_is_trained
        Whether the head was loaded for these very classes, not made at random.
    settings
        How inputs are prepared for it, as JSON.
    processor
        What prepares them, where that is an object of the model's library, such as a tokenizer.
    """

    module: nn.Module
    name: str
    origin: str
    stages: Stages
    dropout: DropoutSites
    fingerprint: str
    objective: Objective
    head_is_trained: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    processor: Any = None


class Batch(NamedTuple):
    """
    What one training step sees.

    Attributes
    ----------
    inputs
        Arguments of the model by name, on the CPU.
    targets
        Shape (n, classes), float32: how much of each class an example is.
    """

    inputs: dict[str, Tensor]
    targets: Tensor


class Reader(Protocol):
    """Makes batches of one set of examples. A batch depends on nothing but the recipe and the numbers given."""

    def epoch_batches(self, rows: np.ndarray, weights: np.ndarray | None, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch, in order."""
        ...

    def training_batches(self, rows: np.ndarray, epoch: int, step: int, part: slice) -> list[Batch]:
        """
        Return the examples ``rows[part]`` of a step, augmented as the whole step's random numbers say.

        They may be in several parts that are run one after the other, which takes less memory.
        """
        ...

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        ...

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the inputs of some rows as they are evaluated: nothing random."""
        ...


class Task(Protocol):
    """One kind of problem: how its examples are read, checked, shown, run through a model and exported."""

    name: str
    #: What one example is called, in the plural.
    unit: str

    def load_examples(self, recipe: Any) -> Examples:  # noqa: ANN401
        """Read the examples that the recipe names, with all splits filled."""
        ...

    def check(self, examples: Examples, recipe: Any) -> Findings:  # noqa: ANN401
        """Look for problems in the examples."""
        ...

    def load_model(self, recipe: Any, classes: Sequence[str]) -> Model:  # noqa: ANN401
        """Make the model with a head for these classes."""
        ...

    def reader(self, examples: Examples, recipe: Any, model: Model) -> Reader:  # noqa: ANN401
        """Return the reader that feeds this model."""
        ...

    def logits(self, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model; shape (n, classes)."""
        ...

    def features(self, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model up to what its head sees; shape (n, features)."""
        ...

    def gallery(self, examples: Examples, rows: Sequence[int], captions: Sequence[str], title: str) -> Picture | Page:
        """Show some examples with a caption each."""
        ...

    def overview(self, examples: Examples, recipe: Any, model: Model) -> Picture:  # noqa: ANN401
        """Show how large the examples are, and what of them the model gets to see."""
        ...

    def export(self, model: Model, classes: Sequence[str], recipe: Recipe, folder: Path) -> list[str]:
        """Write a folder that the model's own library opens; return a sentence on each file for the card."""
        ...
