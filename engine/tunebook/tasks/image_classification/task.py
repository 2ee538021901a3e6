"""Classifying pictures with timm."""

from __future__ import annotations

import json
import logging
import warnings
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from tunebook import figures, losses, sources
from tunebook.checkpoints import save_tensors
from tunebook.errors import DataError
from tunebook.tasks.image_classification import checks, demo, hub, models, pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from tunebook.examples import Examples
    from tunebook.findings import Findings
    from tunebook.tasks.base import Model
    from tunebook.tasks.image_classification.recipe import ImageClassification

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".avif")
_THUMBNAIL = 112


class ImageClassificationTask:
    """How pictures are read, checked, shown, run through a timm model and exported."""

    name = "image-classification"
    unit = "pictures"

    def load_examples(self, recipe: ImageClassification) -> Examples:
        """Read the examples that the recipe names, with all splits filled."""
        return sources.load_examples(
            recipe,
            recipe.path,
            suffixes=SUFFIXES,
            demo=demo.load_demo,
            hub=lambda name, data: hub.to_table(name, data, recipe),
        )

    def check(self, examples: Examples, recipe: ImageClassification) -> Findings:
        """Look for problems in the pictures."""
        return checks.check_pictures(examples, recipe)

    def load_model(self, recipe: ImageClassification, classes: Sequence[str]) -> Model:
        """Make the model with a head for these classes."""
        return models.load_model(recipe, classes)

    def reader(self, examples: Examples, recipe: ImageClassification, model: Model) -> pictures.PictureReader:
        """Return the reader that feeds this model."""
        return pictures.PictureReader(examples, recipe, model)

    def logits(self, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model; shape (n, classes)."""
        found: Tensor = module(inputs["x"])
        return found

    def features(self, module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Run the model up to what its head sees; shape (n, features)."""
        last = module.forward_features(inputs["x"])  # type: ignore[operator]
        found: Tensor = module.forward_head(last, pre_logits=True)  # type: ignore[operator]
        return found.flatten(1)

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the losses and the sum of the weights, each a scalar."""
        return losses.weighted_cross_entropy(logits, targets, weights, smoothing)

    def scores(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities, shape (n, classes)."""
        return logits.softmax(dim=1)

    def gallery(self, examples: Examples, rows: Sequence[int], captions: Sequence[str], title: str) -> figures.Picture:
        """Show some pictures with a caption each; one that cannot be read is a grey field."""
        images = []
        for row in rows:
            try:
                square = pictures.decode(examples.frame["content"].iloc[row], _THUMBNAIL, Image.Resampling.BICUBIC)
                images.append(Image.fromarray(square))
            except DataError:
                images.append(Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), "#bbbbbb"))
        return figures.grid(images, captions, title)

    def export(self, model: Model, classes: Sequence[str], recipe: ImageClassification, folder: Path) -> list[str]:
        """Write ``model.safetensors`` and ``config.json``, as timm's hub format has them, and ``model.onnx``."""
        module = model.module.to("cpu").eval()
        save_tensors(module.state_dict(), folder / "model.safetensors")
        pretrained: dict[str, Any] = getattr(module, "pretrained_cfg", {})
        architecture = str(pretrained.get("architecture") or model.name)
        settings = model.settings
        size = [3, recipe.image_size, recipe.image_size]
        config = {
            "architecture": architecture,
            "num_classes": len(classes),
            "num_features": int(getattr(module, "num_features", 0)),
            "label_names": list(classes),
            "pretrained_cfg": {
                "input_size": size, "crop_pct": settings["crop_pct"], "interpolation": settings["interpolation"],
                "mean": settings["mean"], "std": settings["std"], "num_classes": len(classes),
                "classifier": pretrained["classifier"], "first_conv": pretrained.get("first_conv"),
            },
            "tunebook": {"settings": settings, "base": model.origin},
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
        words = [
            f"`model.safetensors`, `config.json`: weights in timm's format; "
            f"`timm.create_model({architecture!r}, num_classes={len(classes)}, "
            "checkpoint_path='model/model.safetensors')`, or `timm.create_model('local-dir:model')`",
        ]
        return [*words, self._export_onnx(module, size, folder)] if recipe.onnx else words

    def _export_onnx(self, module: nn.Module, size: list[int], folder: Path) -> str:
        inputs = torch.zeros(2, *size)
        for name in ("torch.onnx", "onnxscript", "onnx_ir"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()):
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    module, (inputs,), folder / "model.onnx", input_names=["x"], output_names=["logits"],
                    dynamic_shapes={"x": {0: torch.export.Dim("batch")}}, dynamo=True, external_data=False,
                    verbose=False,
                )  # fmt: skip
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - the exporter raises anything, and the model is worth more
            (folder / "model.onnx").unlink(missing_ok=True)
            reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
            return f"no ONNX file: this architecture cannot be exported ({type(error).__name__}: {reason})"
        return f"`model.onnx`: input `x` of shape (batch, {', '.join(map(str, size))}), normalised; output `logits`"


TASK: Any = ImageClassificationTask()
