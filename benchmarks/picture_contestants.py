"""Who trains on pictures: each does as its library's own guide does, on the same pictures with the same settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Contestant
from benchmarks.pictures import peer_model, recipe_of, trained

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.benchmark import Plan

_HERE = "benchmarks.picture_contestants"
TUNEBOOK = "Tunebook, empty cache"
AGAIN = "Tunebook, its cache there"
#: Those who push every picture through the trunk in every epoch.
PEERS = (
    Contestant("bare loop", f"{_HERE}:bare_loop", ("torchvision", "timm")),
    Contestant("fastai", f"{_HERE}:fastai", ("fastai", "timm")),
    Contestant("Trainer", f"{_HERE}:trainer", ("transformers", "timm")),
    Contestant("Lightning", f"{_HERE}:lightning", ("lightning", "timm")),
    Contestant("timm's recipe", f"{_HERE}:timm_recipe", ("timm",)),
)
OWN = (Contestant(TUNEBOOK, f"{_HERE}:tunebook"), Contestant(AGAIN, f"{_HERE}:tunebook", after=TUNEBOOK))


def _folders(plan: Plan) -> tuple[Any, Any]:
    """Return torchvision's data sets of the training and the validation pictures, cut and normalised at each use."""
    from torchvision import datasets, transforms

    interpolation = transforms.InterpolationMode(plan["interpolation"])
    steps = transforms.Compose(
        [
            transforms.Resize(plan["side"], interpolation),
            transforms.CenterCrop(plan["size"]),
            transforms.ToTensor(),
            transforms.Normalize(plan["mean"], plan["std"]),
        ]
    )
    first, second = (datasets.ImageFolder(Path(plan["pictures"]) / split, steps) for split in ("train", "validation"))
    return first, second


def _result(plan: Plan, model: Any, accuracy: float, sizes: tuple[int, int]) -> dict[str, Any]:
    return {
        "accuracy": float(accuracy), "train": sizes[0], "validation": sizes[1], "trains": trained(model),
        "lr": plan["lr"],
    }  # fmt: skip


def bare_loop(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with nothing but torch; what is frozen runs without autograd."""
    import torch
    from torch.utils.data import DataLoader

    model = peer_model(plan)
    train, validation = _folders(plan)
    loader = DataLoader(train, plan["batch_size"], shuffle=True, drop_last=len(train) % plan["batch_size"] == 1)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=plan["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan["epochs"] * len(loader))
    mark()
    accuracy = 0.0
    for _ in range(plan["epochs"]):
        model.train()
        for pictures, targets in loader:
            loss = torch.nn.functional.cross_entropy(_forward(model, pictures, plan["boundary"]), targets)
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        accuracy = _accuracy(model, validation, plan)
    return _result(plan, model, accuracy, (len(train), len(validation)))


def _forward(model: Any, pictures: Any, boundary: str) -> Any:
    import torch

    if boundary != "classifier":  # autograd records nothing below the first weight that trains
        return model(pictures)
    with torch.no_grad():
        features = model.forward_features(pictures)
    return model.forward_head(features)


def _accuracy(model: Any, pictures: Any, plan: Plan) -> float:
    import torch
    from torch.utils.data import DataLoader

    model.eval()
    right = 0
    with torch.inference_mode():
        for batch, targets in DataLoader(pictures, plan["batch_size"]):
            right += int((model(batch).argmax(dim=1) == targets).sum())
    return right / len(pictures)


def fastai(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with fastai's Learner and its one-cycle policy."""
    import warnings

    from fastai.vision import all as vision
    from PIL import Image

    vision.set_seed(plan["seed"])
    resample = Image.Resampling[plan["interpolation"].upper()]
    cut = [vision.Resize(plan["side"], resamples=(resample, Image.Resampling.NEAREST)), vision.CropPad(plan["size"])]
    loaders = vision.ImageDataLoaders.from_folder(
        plan["pictures"], train="train", valid="validation", item_tfms=cut, bs=plan["batch_size"], num_workers=0,
        batch_tfms=vision.Normalize.from_stats(plan["mean"], plan["std"]),
    )  # fmt: skip
    # from_folder also takes what is in neither folder for training.
    model = peer_model(plan)
    learner = vision.Learner(
        loaders, model, loss_func=vision.CrossEntropyLossFlat(), metrics=vision.accuracy, train_bn=False
    )
    mark()
    with learner.no_bar(), learner.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fit_one_cycle(plan["epochs"], plan["lr"])
    accuracy = learner.recorder.values[-1][-1]
    return _result(plan, model, accuracy, (len(loaders.train_ds), len(loaders.valid_ds)))


def trainer(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with transformers' Trainer, which takes any module that gives a loss."""
    import torch
    from transformers import Trainer, TrainingArguments

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = peer_model(plan)

        def forward(self, pixel_values: Any, labels: Any) -> dict[str, Any]:
            logits = self.model(pixel_values)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    def collate(rows: list[tuple[Any, int]]) -> dict[str, Any]:
        return {
            "pixel_values": torch.stack([picture for picture, _ in rows]),
            "labels": torch.tensor([label for _, label in rows]),
        }

    def score(found: Any) -> dict[str, float]:
        return {"accuracy": float((found.predictions.argmax(axis=1) == found.label_ids).mean())}

    model = Classifier()
    train, validation = _folders(plan)
    settings = TrainingArguments(
        "trainer", num_train_epochs=plan["epochs"], learning_rate=plan["lr"], seed=plan["seed"], report_to="none",
        per_device_train_batch_size=plan["batch_size"], per_device_eval_batch_size=plan["batch_size"],
        eval_strategy="epoch", save_strategy="no", disable_tqdm=True, use_cpu=True, remove_unused_columns=False,
    )  # fmt: skip
    own = Trainer(
        model, settings, train_dataset=train, eval_dataset=validation, data_collator=collate, compute_metrics=score
    )
    mark()
    own.train()
    accuracy = next(row["eval_accuracy"] for row in reversed(own.state.log_history) if "eval_accuracy" in row)
    return _result(plan, model, accuracy, (len(train), len(validation)))


def lightning(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with Lightning's Trainer."""
    import warnings

    import lightning as pl
    import torch
    from torch.utils.data import DataLoader

    warnings.filterwarnings("ignore")
    pl.seed_everything(plan["seed"], verbose=False)
    train, validation = _folders(plan)
    seen = {"right": 0, "accuracy": 0.0}

    class Classifier(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = peer_model(plan)

        def training_step(self, batch: Any, _number: int) -> Any:
            return torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def on_validation_epoch_start(self) -> None:
            seen["right"] = 0

        def validation_step(self, batch: Any, _number: int) -> None:
            seen["right"] += int((self.model(batch[0]).argmax(dim=1) == batch[1]).sum())

        def on_validation_epoch_end(self) -> None:
            seen["accuracy"] = seen["right"] / len(validation)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=plan["lr"])
            steps = int(self.trainer.estimated_stepping_batches)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    model = Classifier()
    own = pl.Trainer(
        max_epochs=plan["epochs"], accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    mark()
    own.fit(
        model,
        DataLoader(train, plan["batch_size"], shuffle=True, drop_last=len(train) % plan["batch_size"] == 1),
        DataLoader(validation, plan["batch_size"]),
    )
    return _result(plan, model, seen["accuracy"], (len(train), len(validation)))


def timm_recipe(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with timm's loaders, optimizer, scheduler and meters, put together as its training script does."""
    import torch
    from timm import data, utils
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2

    utils.random_seed(plan["seed"])
    model = peer_model(plan)
    sets = [data.create_dataset("", root=plan["pictures"], split=split) for split in ("train", "validation")]
    loaders = [
        data.create_loader(
            pictures, input_size=(3, plan["size"], plan["size"]), batch_size=plan["batch_size"], no_aug=True,
            is_training=split == "train", use_prefetcher=False, interpolation=plan["interpolation"], num_workers=0,
            mean=plan["mean"], std=plan["std"], crop_pct=plan["size"] / plan["side"], persistent_workers=False,
            device=torch.device("cpu"),
        )
        for split, pictures in zip(("train", "validation"), sets, strict=True)
    ]  # fmt: skip
    # no_aug resizes to the input's size alone: cut training pictures as the validation pictures are.
    sets[0].transform = sets[1].transform
    optimizer = create_optimizer_v2(model, opt="adamw", lr=plan["lr"], weight_decay=0.01)
    schedule, epochs = create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=plan["epochs"], warmup_epochs=0, updates_per_epoch=len(loaders[0]),
        step_on_epochs=False,
    )  # fmt: skip
    lose, updates, meter = torch.nn.CrossEntropyLoss(), 0, utils.AverageMeter()
    mark()
    for _ in range(epochs):
        model.train()
        for pictures, targets in loaders[0]:
            optimizer.zero_grad()
            lose(model(pictures), targets).backward()
            optimizer.step()
            updates += 1
            schedule.step_update(num_updates=updates)
        model.eval()
        meter = utils.AverageMeter()
        with torch.inference_mode():
            for pictures, targets in loaders[1]:
                meter.update(utils.accuracy(model(pictures), targets)[0].item(), len(targets))
    return _result(plan, model, meter.avg / 100.0, (len(sets[0]), len(sets[1])))


def tunebook(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with Tunebook's own loop; no report and no export."""
    from benchmarks.own import fit
    from tunebook import load_examples, load_model

    recipe = recipe_of(plan)
    examples = load_examples(recipe)
    model = load_model(recipe, examples)
    if plan["boundary"] != "classifier":
        recipe = recipe.changed(freeze=model.stages.names.index(plan["boundary"]))
    return fit(recipe, examples, model, mark)
