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
    from tunebook.export_check import Known
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
    is_tuned
        Whether a training has begun to change its weights.
    loaded_with
        The parameters of the recipe that decided how it was loaded, and its ``classes``; empty where none did.
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
    is_tuned: bool = False
    loaded_with: dict[str, Any] = field(default_factory=dict)


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
    """
    Makes batches of one set of examples. A batch depends on nothing but the recipe and the numbers given.

    A view is a number: the same view of an example is the same every time, whatever epoch or step asks for it.
    """

    def epoch_batches(self, rows: np.ndarray, weights: np.ndarray | None, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch, in order."""
        ...

    def training_view(self, epoch: int, *, repeats: bool) -> int | None:
        """
        Return which view of its examples an epoch trains on; ``None`` for what they are evaluated as.

        Parameters
        ----------
        epoch
            From 0.
        repeats
            Whether views take turns as the recipe says, so that they can be cached, or are new in each epoch.
        """
        ...

    def mixes(self) -> bool:
        """Whether a training batch blends its examples, so that none of them stands alone."""
        ...

    def training_batches(self, rows: np.ndarray, place: tuple[int, int], part: slice, view: int | None) -> list[Batch]:
        """
        Return the examples ``rows[part]`` of a step in a view.

        They may be in several parts that are run one after the other, which takes less memory.

        Parameters
        ----------
        rows
            All examples of the step.
        place
            Epoch and number of the step in it, from which what is random in the whole batch comes.
        part
            Which of them this process has.
        view
            As from :meth:`training_view`.
        """
        ...

    def training_groups(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the parts in which examples of a step are run one after the other."""
        ...

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        ...

    def inputs(self, rows: np.ndarray, view: int | None = None) -> dict[str, Tensor]:
        """Return the inputs of some rows in a view; as they are evaluated, nothing random, where it is ``None``."""
        ...

    def outline(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return inputs of the same shape, cheap to make, which hold what a model's rest reads beside its trunk."""
        ...

    def lengths(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the number of positions of each example, shape (n,); ``None`` where all have one shape."""
        ...

    def targets(self, rows: np.ndarray) -> Tensor:
        """Return how much of each class each example is, shape (n, classes), float32."""
        ...

    def keys(self, rows: np.ndarray) -> list[bytes]:
        """Return 16 bytes for each example that tell its content, as read, from any other's."""
        ...

    def transform(self, view: int | None) -> dict[str, Any]:
        """Return all that decides, beside its content, what an example's inputs are in a view, as JSON."""
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

    def sample(self, model: Model, recipe: Any, count: int) -> dict[str, Tensor]:  # noqa: ANN401
        """Return inputs of some examples without content, cheap to make, on which a model is tried."""
        ...

    def advice(self, model: Model, recipe: Any, problem: str) -> str:  # noqa: ANN401
        """Say that a model does not run for a reason, and what to choose instead: the rest of "model X ..."."""
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

    def check_export(self, model: Model, folder: Path, known: Known) -> str:
        """Open a folder as :meth:`export` says that it opens; return what differs, nothing where nothing does."""
        ...
