"""Classifying texts with transformers."""

from __future__ import annotations

import copy
import html
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunebook import figures, sources
from tunebook.errors import DataError, did_you_mean, shown
from tunebook.onnx_file import export_onnx
from tunebook.tasks.text_classification import adapters, checks, demo, models, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from torch import Tensor

    from tunebook.examples import Examples
    from tunebook.export_check import Known
    from tunebook.findings import Findings
    from tunebook.tasks.base import Model
    from tunebook.tasks.text_classification.recipe import TextClassification

#: Characters of a text that are shown.
_SHOWN = 400
#: Difference of two scores that rounding, or tokens padded otherwise, may make.
SCORE_TOLERANCE = 1e-3
#: Texts whose length is measured, about.
_MEASURED = 5_000


class TextClassificationTask:
    """How texts are read, checked, shown, run through a transformers model and exported."""

    name = "text-classification"
    unit = "texts"

    def load_examples(self, recipe: TextClassification) -> Examples:
        """Read the examples that the recipe names, with all splits filled."""
        examples = sources.load_examples(
            recipe, recipe.text, demo=demo.load_demo, hub=lambda name, data: _to_table(name, data, recipe)
        )
        examples.frame["content"] = examples.frame["content"].fillna("")
        return examples

    def check(self, examples: Examples, recipe: TextClassification) -> Findings:
        """Look for problems in the texts."""
        return checks.check_texts(examples, recipe)

    def load_model(self, recipe: TextClassification, classes: Sequence[str]) -> Model:
        """Make the model with a head for these classes."""
        return models.load_model(recipe, classes)

    def reader(self, examples: Examples, recipe: TextClassification, model: Model) -> texts.TextReader:
        """Return the reader that feeds this model."""
        return texts.TextReader(examples, recipe, model)

    def logits(self, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model; shape (n, classes)."""
        found: Tensor = module(**inputs).logits
        return found

    def features(self, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Return the mean over each text's tokens of what the last layer gives; shape (n, features)."""
        base: Any = module.base_model
        base = base.get_encoder() if module.config.is_encoder_decoder else base  # type: ignore[union-attr]
        last = base(**inputs).last_hidden_state.float()
        read = inputs["attention_mask"] if "attention_mask" in inputs else torch.ones_like(inputs["input_ids"])
        if last.shape[1] != read.shape[1]:
            # Models that shorten a text as they read it, as Funnel does, keep its first place.
            first: Tensor = last[:, 0]
            return first
        mask = read.unsqueeze(2).to(last.dtype)
        found: Tensor = (last * mask).sum(dim=1) / mask.sum(dim=1)
        return found

    def sample(self, model: Model, recipe: TextClassification, count: int) -> dict[str, Tensor]:
        """Return texts of two lengths."""
        return texts.pad_tokens(models.tried_rows(model.processor, recipe.max_length)[-count:], model)

    def advice(self, model: Model, recipe: TextClassification, problem: str) -> str:  # noqa: ARG002
        """Name the other choice there is."""
        return f"does not run with max_length={recipe.max_length} ({problem}); choose another model"

    def gallery(self, examples: Examples, rows: Sequence[int], captions: Sequence[str], title: str) -> figures.Page:
        """Show some texts with a caption each; what is invisible in them is written out."""
        contents = [checks.visible(examples.frame["content"].iloc[row][: 4 * _SHOWN]) for row in rows]
        cut = [text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …" for text in contents]
        heads = [", ".join(caption.split("\n")) for caption in captions]
        body = "".join(
            f'<tr><td style="text-align: left; vertical-align: top; white-space: nowrap">{html.escape(head)}</td>'
            f'<td style="text-align: left; white-space: normal" dir="auto">{html.escape(text)}</td></tr>'
            for head, text in zip(heads, cut, strict=True)
        )
        lines = [f"{head}: {text}" for head, text in zip(heads, cut, strict=True)]
        if not lines:
            return figures.Page(f"<p>{html.escape(title)}: nothing to show</p>", f"{title}: nothing to show")
        page = f"<p><b>{html.escape(title)}</b></p><table>{body}</table>"
        return figures.Page(page, "\n".join([title, *lines]))

    def overview(self, examples: Examples, recipe: TextClassification, model: Model) -> figures.Picture:
        """Show how long the texts are, in tokens, and where they are cut off."""
        longest = 8 * recipe.max_length
        contents = examples.frame["content"].tolist()
        contents = contents[:: max(1, len(contents) // _MEASURED)]
        counts = np.array([row.shape[1] for row in texts.tokenize(model.processor, contents, longest)])
        cut = float((counts > recipe.max_length).mean())
        title = f"Length of the texts: {cut:.0%} are longer than max_length and lose their end"
        return figures.histogram(counts, title, "tokens", {"max_length": recipe.max_length})

    def export(self, model: Model, classes: Sequence[str], recipe: TextClassification, folder: Path) -> list[str]:  # noqa: ARG002
        """Write a folder that ``transformers.pipeline`` opens, ``model.onnx``, and the adapter if there is one."""
        module: Any = model.module.to("cpu").eval()
        said = [
            "`model.safetensors`, `config.json`, `tokenizer.json`: weights, classes and tokenizer; "
            "`transformers.pipeline('text-classification', model='model', truncation=True)`"
        ]
        if recipe.adapter != "none":
            adapters.save_lora(module, folder / "adapter", recipe.model, model.stages.items[-1].parameters)
            said.append("`adapter/`: LoRA's matrices and the head alone, as peft opens them on the untuned model")
            # The module in memory keeps its adapter: what is merged is a copy.
            module = copy.deepcopy(module)
            adapters.merge_lora(module)
        tokenizer = copy.deepcopy(model.processor)
        tokenizer.model_max_length = recipe.max_length
        with models.quiet():
            module.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return [*said, self._export_onnx(folder, model)] if recipe.onnx else said

    def check_export(self, model: Model, folder: Path, known: Known) -> str:
        """Open the folder by ``transformers.pipeline``, and compare its scores."""
        from transformers import pipeline  # noqa: PLC0415 - heavy

        with models.quiet():
            classify: Any = pipeline("text-classification", model=str(folder), truncation=True, device=-1)
            found = classify(list(known.contents), top_k=None)
        classes = [classify.model.config.id2label[k] for k in range(known.logits.shape[1])]
        scores = torch.tensor(
            [[{part["label"]: part["score"] for part in row}[name] for name in classes] for row in found]
        )
        most = float((scores - model.objective.scores(known.logits)).abs().max())
        return "" if most <= SCORE_TOLERANCE + known.noise else f"its scores differ by {most:.2g}"

    def _export_onnx(self, folder: Path, model: Model) -> str:
        # What was saved is opened again: that shows that it can be, and has neither hooks nor adapters.
        module = models.reopen(folder)
        example = texts.pad_tokens([np.stack([np.arange(1, n), np.zeros(n - 1, np.int64)]) for n in (7, 9)], model)
        problem = export_onnx(_Logits(module, list(example)), example, folder / "model.onnx", {0: "batch", 1: "tokens"})
        if problem:
            return f"no ONNX file: {problem}"
        names = ", ".join(f"`{name}`" for name in example)
        return f"`model.onnx`: inputs {names} of shape (batch, tokens), 64-bit integers; output `logits`"


class _Logits(nn.Module):
    """A model that takes its inputs by position and gives its logits alone."""

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module, self._names = module, names

    def forward(self, *inputs: Tensor) -> Tensor:
        found: Tensor = self.module(**dict(zip(self._names, inputs, strict=True))).logits
        return found


def _to_table(name: str, data: Any, recipe: TextClassification) -> pd.DataFrame:  # noqa: ANN401
    def content(part: Any) -> dict[str, Any]:  # noqa: ANN401
        if recipe.text not in part.features:
            hint, have = did_you_mean(recipe.text, part.features), ", ".join(part.features)
            raise DataError(f"data {shown(name)}: no column {shown(recipe.text)}{hint}; it has {have}; set text")
        return {recipe.text: list(part[recipe.text])}

    return sources.from_splits(name, data, recipe, content)


TASK: Any = TextClassificationTask()
