"""The pictures and the model that every contestant of a picture benchmark has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.benchmark import Plan
    from tunebook import ImageClassification
    from tunebook.examples import Examples

#: What can be chosen in all picture benchmarks, and its default.
PLAN: dict[str, Any] = {
    "data": "", "examples": 0, "size": 128, "epochs": 5, "batch_size": 32, "lr": 1e-2, "own_lr": 1e-2, "seed": 0,
    "tunebook": {},
}  # fmt: skip
#: A random model of 0.1 million weights on few, small pictures.
QUICK: dict[str, Any] = {"model": "test_efficientnet", "examples": 80, "size": 32, "epochs": 1, "batch_size": 8}
MODEL = "tf_efficientnet_lite0"
#: BatchNorm's momentum in every contestant: timm's 0.01 for this model never catches up in so few steps.
_MOMENTUM = 0.1


def prepare(plan: Plan, mark: object) -> dict[str, Any]:  # noqa: ARG001 - as all contestants
    """
    Split the pictures, write the weights, and count the trunk's operations; nothing of it is measured.

    Returns
    -------
    dict
        ``pictures`` (a folder with ``train/CLASS/`` and ``validation/CLASS/``), ``table`` (the same with the
        split, for Tunebook), ``weights`` (safetensors in timm's names), ``classes``, how pictures are cut and
        normalised, and ``trunk_macs``: multiply-adds of everything below the classifier, for one picture.
    """
    import tunebook
    from tunebook.checkpoints import save_tensors
    from tunebook.tasks.image_classification.middle import resized_side

    folder, model_name = Path(plan["folder"]), plan.get("model", MODEL)
    recipe = tunebook.ImageClassification(
        data=plan["data"] or "demo", max_examples=plan["examples"], image_size=plan["size"], seed=plan["seed"],
        model=model_name, weights="none" if model_name != MODEL else "pretrained", augment="none",
    )  # fmt: skip
    examples = tunebook.load_examples(recipe)
    table = _link(examples, folder)
    model = tunebook.load_model(recipe, examples)
    weights = folder / "trunk.safetensors"
    save_tensors(model.module.state_dict(), weights)
    settings = model.settings
    return {
        "model": model_name, "pictures": str(folder / "pictures"), "table": str(table), "weights": str(weights),
        "classes": list(examples.classes), "mean": list(settings["mean"]), "std": list(settings["std"]),
        "interpolation": settings["interpolation"],
        "side": resized_side(plan["size"], float(settings["crop_pct"])),
        "trunk_macs": _trunk_macs(model.module, plan["size"]),
        "source": "the demo" if not plan["data"] else Path(plan["data"]).name,
    }  # fmt: skip


def _link(examples: Examples, folder: Path) -> Path:
    """Lay the pictures out as the peers' own loaders expect, without copying them."""
    rows = []
    numbers = {name: f"{k:03d}" for k, name in enumerate(examples.classes)}
    for number, row in enumerate(examples.frame.itertuples()):
        source = Path(str(row.content)).resolve()
        target = folder / "pictures" / str(row.split) / numbers[str(row.label)] / f"{number:06d}{source.suffix.lower()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
        rows.append({"path": str(target), "label": row.label, "split": row.split})
    table = folder / "pictures.parquet"
    type(examples.frame)(rows).to_parquet(table)
    return table


def _trunk_macs(module: Any, size: int) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module.eval().forward_features(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 2.0


def peer_model(plan: Plan) -> Any:
    """
    Make the timm model with the same weights for a peer, its frozen part held still.

    The classifier starts at zero in every contestant: the one that timm makes starts with a loss of 6 for ten classes,
    and learning rates that are good for it are not for the others. Frozen modules get no gradient and stay in
    evaluation mode whatever the library does: otherwise their BatchNorm statistics would move with every batch.
    """
    import timm
    import torch
    from safetensors.torch import load_file

    torch.manual_seed(plan["seed"])
    model = timm.create_model(plan["model"], num_classes=len(plan["classes"]))
    model.load_state_dict(load_file(plan["weights"]))
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = _MOMENTUM
    hold_still(frozen_parts(model, plan["boundary"]))
    return model


def frozen_parts(model: Any, boundary: str) -> list[Any]:
    """Return the outermost modules that run before the boundary: ``"blocks.4"``, or ``"classifier"``."""
    parts: list[Any] = []
    for name, child in model.named_children():
        if name == boundary:
            return parts
        if boundary.startswith(f"{name}."):
            return [*parts, *list(child.children())[: int(boundary.rpartition(".")[2])]]
        parts.append(child)
    raise ValueError(boundary)


def hold_still(parts: list[Any]) -> None:
    """Freeze modules: no gradient, and evaluation mode for ever."""
    for part in parts:
        part.requires_grad_(requires_grad=False)
        part.eval()
        # Every library calls model.train() before an epoch, which would reach these too.
        part.train = lambda mode=True, part=part: part  # noqa: ARG005


def trained(model: Any) -> int:
    """Return how many weights train."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def recipe_of(plan: Plan) -> ImageClassification:
    """Return Tunebook's recipe for the same work."""
    import tunebook

    recipe = tunebook.ImageClassification(
        data=plan["table"], model=plan["model"], weights="none" if plan["model"] != MODEL else "pretrained",
        image_size=plan["size"], augment="none", freeze="backbone", unfreeze=[], epochs=plan["epochs"],
        batch_size=plan["batch_size"], lr=plan["own_lr"], seed=plan["seed"],
    )  # fmt: skip
    return recipe.changed(**{name: recipe.settle(name, value) for name, value in plan["tunebook"].items()})
