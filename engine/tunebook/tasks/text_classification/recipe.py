"""The recipe for classifying texts."""

from __future__ import annotations

from typing import ClassVar, Literal

from tunebook.recipe import Fraction, Freeze, Recipe, Unfreeze, field


class TextClassification(Recipe):
    """Every choice of a run that fine-tunes a transformers model on texts."""

    task: ClassVar[str] = "text-classification"
    regularisers: ClassVar[str] = "dropout, hidden_dropout or weight_decay"
    asked_of_data: ClassVar[tuple[str, ...]] = (*Recipe.asked_of_data, "text")
    asked_of_model: ClassVar[tuple[str, ...]] = (*Recipe.asked_of_model, "max_length", "adapter")

    data: str = field("demo", "demo, a CSV/Parquet/JSONL file, or a Hugging Face dataset id", "Data")
    text: str = field("text", "column with the text", "Data", min_length=1)
    match_case: bool = field(
        default=False,
        description="whether texts that differ in letter case only are different ones, where copies are looked for",
        group="Data",
        advanced=True,
    )
    max_length: int = field(128, "tokens that the model reads of a text; the rest is cut off", "Data", ge=4, le=131_072)
    model: str = field(
        "sentence-transformers/all-MiniLM-L6-v2", "model id of the hub (owner/name), or local folder", "Model"
    )
    adapter: Literal["none", "lora"] = field(
        "none", "lora trains small matrices beside the layers' own, which stay as they are", "Model"
    )
    lora_rank: int = field(8, "rank of LoRA's matrices", "Model", advanced=True, ge=1, le=1_024)
    lora_alpha: int = field(
        16, "LoRA's scale: its matrices count alpha / rank", "Model", advanced=True, ge=1, le=10_000
    )
    freeze: Freeze = field(
        -3, "none, backbone, a number of stages (negative: all but the last ones), or glob patterns", "Model"
    )
    unfreeze: Unfreeze = field(
        [[1, "none"]], "gradual unfreezing: [[epoch, freeze], ...], each evaluated on its own", "Model"
    )
    dropout: Fraction | None = field(
        None, "dropout before the classifier; None keeps the model's own", "Regularisation"
    )
    hidden_dropout: Fraction | None = field(
        None, "dropout in embeddings and layers; None keeps the model's own", "Regularisation"
    )
    attention_dropout: Fraction | None = field(
        None, "dropout of attention weights; None keeps the model's own", "Regularisation"
    )
    lora_dropout: Fraction = field(0.0, "dropout before LoRA's matrices", "Regularisation", advanced=True)
    epochs: int = field(3, "passes over the training examples", "Schedule", ge=1, le=100_000)
    lr: float = field(3e-4, "peak learning rate", "Schedule", gt=0.0, le=10.0)
    layer_decay: float = field(
        0.9, "learning rate multiplied by this for each stage below the head", "Schedule", advanced=True, gt=0.0, le=1.0
    )

    def dropout_rates(self) -> dict[str, float | None]:
        """Return the wanted rate for each kind of dropout site; ``None`` keeps the model's own."""
        rates = {"classifier": self.dropout, "hidden": self.hidden_dropout, "attention": self.attention_dropout}
        return rates | ({"adapter": self.lora_dropout} if self.adapter == "lora" else {})


RECIPE = TextClassification
