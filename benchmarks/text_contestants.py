"""Who trains on texts: a loop that pads every batch to the full length, transformers' Trainer, and Tunebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Contestant
from benchmarks.pictures import trained
from benchmarks.texts import LENGTH, peer_model, recipe_of, split_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.benchmark import Plan

_HERE = "benchmarks.text_contestants"
PADDED = Contestant("padded loop", f"{_HERE}:padded_loop", ("transformers",))
TRAINER = Contestant("Trainer", f"{_HERE}:trainer", ("transformers",))


def _result(plan: Plan, model: Any, accuracy: float, sizes: tuple[int, int]) -> dict[str, Any]:
    return {
        "accuracy": float(accuracy), "train": sizes[0], "validation": sizes[1], "trains": trained(model),
        "lr": plan["lr"],
    }  # fmt: skip


def padded_loop(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with nothing but torch on texts that are all padded to the full length, as many guides have it."""
    import torch
    from torch.utils.data import DataLoader

    model, tokenizer = peer_model(plan)
    mark()
    train, validation = (_padded(tokenizer, *split_of(plan, split)) for split in ("train", "validation"))
    loader = DataLoader(train, plan["batch_size"], shuffle=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=plan["lr"])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, plan["epochs"] * len(loader))
    right = 0
    for _ in range(plan["epochs"]):
        model.train()
        for *inputs, targets in loader:
            model(**_named(inputs), labels=targets).loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        model.eval()
        with torch.inference_mode():
            right = sum(
                int((model(**_named(inputs)).logits.argmax(dim=1) == targets).sum())
                for *inputs, targets in DataLoader(validation, plan["batch_size"])
            )
    return _result(plan, model, right / len(validation), (len(train), len(validation)))


_INPUTS = ("input_ids", "token_type_ids", "attention_mask")


def _padded(tokenizer: Any, texts: Sequence[str], labels: Sequence[int]) -> Any:
    import torch

    encoded = tokenizer(texts, truncation=True, max_length=LENGTH, padding="max_length", return_tensors="pt")
    return torch.utils.data.TensorDataset(*(encoded[name] for name in _INPUTS), torch.tensor(labels))


def _named(inputs: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_INPUTS, inputs, strict=True))


def trainer(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with transformers' Trainer, which pads each batch to its longest text."""
    from torch.utils.data import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    class Rows(Dataset[dict[str, Any]]):
        def __init__(self, texts: Sequence[str], labels: Sequence[int]) -> None:
            self.encoded, self.labels = tokenizer(texts, truncation=True, max_length=LENGTH), labels

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {**{name: values[row] for name, values in self.encoded.items()}, "labels": self.labels[row]}

    def score(found: Any) -> dict[str, float]:
        return {"accuracy": float((found.predictions.argmax(axis=1) == found.label_ids).mean())}

    model, tokenizer = peer_model(plan)
    mark()
    train, validation = (Rows(*split_of(plan, split)) for split in ("train", "validation"))
    settings = TrainingArguments(
        "trainer", num_train_epochs=plan["epochs"], learning_rate=plan["lr"], seed=plan["seed"], report_to="none",
        per_device_train_batch_size=plan["batch_size"], per_device_eval_batch_size=plan["batch_size"],
        eval_strategy="epoch", save_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    own = Trainer(
        model, settings, train_dataset=train, eval_dataset=validation, compute_metrics=score,
        data_collator=DataCollatorWithPadding(tokenizer),
    )  # fmt: skip
    own.train()
    accuracy = next(row["eval_accuracy"] for row in reversed(own.state.log_history) if "eval_accuracy" in row)
    return _result(plan, model, accuracy, (len(train), len(validation)))


def tunebook(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Train with Tunebook's own loop; no report and no export."""
    from benchmarks.own import fit
    from tunebook import load_examples, load_model

    recipe = recipe_of(plan)
    examples = load_examples(recipe)
    return fit(recipe, examples, load_model(recipe, examples), mark)
