"""The recipe for classifying pictures."""

from __future__ import annotations

from typing import ClassVar, Literal

from tunebook.recipe import Fraction, Freeze, Recipe, Unfreeze, field


class ImageClassification(Recipe):
    """Every choice of a run that fine-tunes a timm model on pictures."""

    task: ClassVar[str] = "image-classification"
    regularisers: ClassVar[str] = "dropout, weight_decay, augment='strong' or mixup"
    asked_of_data: ClassVar[tuple[str, ...]] = (*Recipe.asked_of_data, "path")
    asked_of_model: ClassVar[tuple[str, ...]] = (*Recipe.asked_of_model, "image_size")

    path: str = field("path", "column with the picture's path, for tables", "Data", min_length=1)
    image_size: int = field(128, "side in pixels of the square that the model sees", "Data", ge=16, le=2048)
    augment: Literal["none", "light", "strong"] = field(
        "light", "random crop, flip and light in training", "Regularisation"
    )
    views: int = field(
        4,
        "augmented views of each picture that take turns while a trunk is frozen, so that they can be cached; 0 always "
        "draws new ones",
        "Regularisation",
        ge=0,
        le=10_000,
    )
    model: str = field("tf_efficientnet_lite0", "timm name, hub id (hf-hub:owner/name), or local folder", "Model")
    freeze: Freeze = field(
        "backbone", "none, backbone, a number of stages (negative: all but the last ones), or glob patterns", "Model"
    )
    unfreeze: Unfreeze = field(
        [[1, -3]], "gradual unfreezing: [[epoch, freeze], ...], each evaluated on its own", "Model"
    )
    epochs: int = field(5, "passes over the training examples", "Schedule", ge=1, le=100_000)
    lr: float = field(2e-3, "peak learning rate", "Schedule", gt=0.0, le=10.0)
    inner_dropout: Fraction | None = field(
        None, "dropout inside the blocks; None keeps the model's own", "Regularisation"
    )
    stochastic_depth: Fraction | None = field(
        None, "chance to skip the last block in training, less for earlier ones", "Regularisation"
    )
    mixup: float = field(
        0.0, "mixup's alpha: how far two pictures are blended; 0 does not", "Regularisation", ge=0.0, le=10.0
    )

    def dropout_rates(self) -> dict[str, float | None]:
        """Return the wanted rate for each kind of dropout site; ``None`` keeps the model's own."""
        return {"head": self.dropout, "inner": self.inner_dropout, "depth": self.stochastic_depth}


RECIPE = ImageClassification
