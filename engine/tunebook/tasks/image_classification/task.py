"""Classifying pictures with timm."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import timm
import torch
from PIL import Image

from tunebook import figures, picture_kinds, sources
from tunebook.checkpoints import save_tensors
from tunebook.errors import DataError
from tunebook.onnx_file import export_onnx
from tunebook.tasks.image_classification import checks, demo, grey, hub, models, pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from tunebook.examples import Examples
    from tunebook.export_check import Known
    from tunebook.findings import Findings
    from tunebook.tasks.base import Model
    from tunebook.tasks.image_classification.recipe import ImageClassification

_THUMBNAIL = 112
#: Pictures that are measured to show their sizes.
_MEASURED = 2_000


class ImageClassificationTask:
    """How pictures are read, checked, shown, run through a timm model and exported."""

    name = "image-classification"
    unit = "pictures"

    def load_examples(self, recipe: ImageClassification) -> Examples:
        """Read the examples that the recipe names, with all splits filled."""
        examples = sources.load_examples(
            recipe,
            recipe.path,
            suffixes=picture_kinds.suffixes(),
            is_example=picture_kinds.is_picture,
            demo=demo.load_demo,
            hub=lambda name, data: hub.to_table(name, data, recipe),
            keep=hub.keep_bytes,
        )
        scales = grey.measure_examples(examples)
        return replace(examples, reading={"grey": scales}, remarks=(*examples.remarks, *grey.said(scales)))

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

    def sample(self, model: Model, recipe: ImageClassification, count: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Return pictures of noise."""
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randn(count, 3, recipe.image_size, recipe.image_size, generator=generator)
        return {"x": pixels.contiguous(memory_format=torch.channels_last)}

    def advice(self, model: Model, recipe: ImageClassification, problem: str) -> str:
        """Name the sizes of pictures that the model reads."""
        return models.unreadable(model.name, recipe.image_size, problem)

    def gallery(self, examples: Examples, rows: Sequence[int], captions: Sequence[str], title: str) -> figures.Picture:
        """Show some pictures with a caption each; one that cannot be read is a grey field."""
        images, scales = [], grey.scales_of(examples)
        for row in rows:
            try:
                path = examples.frame["content"].iloc[row]
                square = pictures.decode(path, _THUMBNAIL, Image.Resampling.BICUBIC, scales=scales)
                images.append(Image.fromarray(square))
            except DataError:
                images.append(Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), "#bbbbbb"))
        return figures.grid(images, captions, title)

    def overview(self, examples: Examples, recipe: ImageClassification, model: Model) -> figures.Picture:  # noqa: ARG002
        """Show how large the pictures are, and how large the model sees them."""
        paths = examples.frame["content"].tolist()
        sides = np.array(
            [side for path in paths[:: max(1, len(paths) // _MEASURED)] if (side := pictures.short_side(path))]
        )
        if not len(sides):
            return figures.Picture.of(figures.new_figure(4, 0.4), "no picture to measure")
        smaller = float((sides < recipe.image_size).mean())
        title = f"Size of the pictures: {smaller:.0%} are smaller than image_size and are enlarged"
        return figures.histogram(sides, title, "pixels of the shorter side", {"image_size": recipe.image_size})

    def export(self, model: Model, classes: Sequence[str], recipe: ImageClassification, folder: Path) -> list[str]:
        """Write ``model.safetensors`` and ``config.json``, as timm's hub format has them, and ``model.onnx``."""
        module = model.module.to("cpu").eval()
        save_tensors(module.state_dict(), folder / "model.safetensors")
        pretrained: dict[str, Any] = getattr(module, "pretrained_cfg", {})
        architecture = str(pretrained.get("architecture") or model.name)
        settings = model.settings
        arguments = dict(getattr(module, "tunebook_arguments", {}))
        size = [3, recipe.image_size, recipe.image_size]
        config = {
            "architecture": architecture,
            "num_classes": len(classes),
            "num_features": int(getattr(module, "num_features", 0)),
            "label_names": list(classes),
            "pretrained_cfg": {
                "input_size": size, "crop_pct": settings["crop_pct"], "interpolation": settings["interpolation"],
                "crop_mode": "center",
                "mean": settings["mean"], "std": settings["std"], "num_classes": len(classes),
                "classifier": pretrained["classifier"], "first_conv": pretrained.get("first_conv"),
                "fixed_input_size": bool(pretrained.get("fixed_input_size")),
            },
            "model_args": arguments,
            "tunebook": {"settings": settings, "base": model.origin},
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
        given = "".join(f"{key}={value!r}, " for key, value in arguments.items())
        words = [
            f"`model.safetensors`, `config.json`: weights in timm's format; "
            f"`timm.create_model({architecture!r}, num_classes={len(classes)}, {given}"
            "checkpoint_path='model/model.safetensors')`, or `timm.create_model('local-dir:model', pretrained=True)`",
        ]
        return [*words, self._export_onnx(module, size, folder)] if recipe.onnx else words

    def check_export(self, model: Model, folder: Path, known: Known) -> str:  # noqa: ARG002
        """Open the folder by timm's ``create_model('local-dir:...')``, and compare."""
        module = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        with torch.inference_mode():
            return known.differs(torch.cat([module(part["x"]) for part in known.inputs]))

    def _export_onnx(self, module: nn.Module, size: list[int], folder: Path) -> str:
        problem = export_onnx(
            module,
            {"x": torch.randn(2, *size, generator=torch.Generator().manual_seed(0))},
            folder / "model.onnx",
            {0: "batch"},
        )
        if problem:
            return f"no ONNX file: {problem}"
        return f"`model.onnx`: input `x` of shape (batch, {', '.join(map(str, size))}), normalised; output `logits`"


TASK: Any = ImageClassificationTask()
