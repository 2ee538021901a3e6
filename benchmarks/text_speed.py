"""
CPU time, memory and accuracy of a full fine-tune of MiniLM: Tunebook, a plain loop, and transformers' Trainer.

Each contestant runs in a process of its own, one after the other, on the same tables:

    python benchmarks/text_speed.py --train train.tsv --dev dev.tsv

The tables have a column with the text and one with the label; without them, the reviews of the demo
are used. CPU time is that of the whole process between the first and the last step of training;
imports, loading, tokenizing and evaluation are left out of it, memory is the peak of everything.
The plain loop pads every batch to 128 tokens and uses torch's AdamW, with the learning rate that is
Trainer's default; Trainer has its defaults (batches of 8, padded to the longest); Tunebook has its
own, but trains the whole model from the start as the others do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CONTESTANTS = ("padded loop", "Trainer", "Tunebook")
_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class Clock:
    """CPU seconds of this process while it trains."""

    def __init__(self) -> None:
        self.start = self.end = time.process_time()

    def begin(self) -> None:
        self.start = time.process_time()

    def tick(self) -> None:
        self.end = time.process_time()


def main() -> None:
    """Run all contestants and print a table."""
    parser = argparse.ArgumentParser(description="Compare the cost of fine-tuning a text classifier")
    parser.add_argument("--train", help="table to train on (.tsv, .csv, .parquet, .jsonl)")
    parser.add_argument("--dev", help="table to measure on")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=5e-5, help="of the plain loop and Trainer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=CONTESTANTS, action="append", help="leave the others out")
    parser.add_argument("--out", help="file for the figures, as JSON")
    parser.add_argument("--as", dest="contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        print(json.dumps(_measure(arguments)))
        return
    found = {}
    for name in arguments.only or CONTESTANTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        threads = {"OMP_NUM_THREADS": str(arguments.threads), "MKL_NUM_THREADS": str(arguments.threads)}
        environment = {**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--as", name],
            env=environment, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found[name] = json.loads(done.stdout.splitlines()[-1])
    print(_table(found, arguments))
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(found, indent=2), encoding="utf-8")


def _table(found: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> str:
    own = found.get("Tunebook", next(iter(found.values())))
    lines = [
        f"{own['train']} training texts, {own['dev']} dev texts, {arguments.epochs} epoch(s), "
        f"{arguments.threads} thread(s), {own['precision']} for Tunebook; {own['machine']}; {own['versions']}",
        "",
        "| | CPU s an epoch | of Tunebook's | dev accuracy | peak memory, MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in found.items():
        ratio = row["cpu_seconds"] / own["cpu_seconds"]
        lines.append(
            f"| {name} | {row['cpu_seconds']:.1f} | {ratio:.2f} | {row['accuracy']:.3f} | {row['peak_mb']:.0f} |"
        )
    return "\n".join(lines)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    run = {"padded loop": _padded_loop, "Trainer": _trainer, "Tunebook": _tunebook}[arguments.contestant]
    found = run(arguments)
    import torch
    import transformers

    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {**found, "peak_mb": peak, "versions": versions, "machine": platform.machine()}


def _recipe(arguments: argparse.Namespace, table: str) -> Any:
    from tunebook import TextClassification

    return TextClassification(
        data=table, text=arguments.text, label=arguments.label, model=_MODEL, freeze="none", unfreeze=[],
        epochs=arguments.epochs, seed=arguments.seed,
    )  # fmt: skip


def _prepare(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Return the recipe and the examples that every contestant has, with the dev table as validation and test."""
    import pandas as pd

    import tunebook
    from tunebook.sources import read_table

    if not arguments.train:
        recipe = _recipe(arguments, "demo")
        return recipe, tunebook.load_examples(recipe)
    train, dev = (read_table(Path(name)) for name in (arguments.train, arguments.dev))
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "both.parquet"
        parts = [train.assign(split="train"), dev.assign(split="validation"), dev.assign(split="test")]
        pd.concat(parts, ignore_index=True).to_parquet(table)
        recipe = _recipe(arguments, str(table))
        return recipe, tunebook.load_examples(recipe)


def _tunebook(arguments: argparse.Namespace) -> dict[str, Any]:
    import tunebook
    from tunebook.devices import Devices
    from tunebook.metrics import measure
    from tunebook.predicting import predict_scores
    from tunebook.tasks import get_task
    from tunebook.training import Trainer

    recipe, examples = _prepare(arguments)
    model = tunebook.load_model(recipe, examples)
    task = get_task(recipe.task)
    devices = Devices(recipe, model.module)
    trainer = Trainer(task, recipe, examples, model, task.reader(examples, recipe, model), devices)
    seconds, clock = 0.0, Clock()

    def on_step(trainer: Trainer) -> None:
        nonlocal seconds
        if trainer.progress.in_epoch:
            clock.tick()
        else:  # an epoch was evaluated: that is not training
            seconds += clock.end - clock.start
            clock.begin()

    clock.begin()
    trainer.fit(on_step=on_step)
    rows = examples.rows("validation")
    scores = predict_scores(task, model, trainer.reader, rows, devices)
    accuracy = measure(scores, examples.targets()[rows], examples.classes)["accuracy"]
    return _result(arguments, examples, seconds, accuracy, devices.precision)


def _result(
    arguments: argparse.Namespace, examples: Any, seconds: float, accuracy: float, precision: str
) -> dict[str, Any]:
    return {
        "cpu_seconds": seconds / arguments.epochs, "accuracy": accuracy, "precision": precision,
        "train": len(examples.rows("train")), "dev": len(examples.rows("validation")),
    }  # fmt: skip


def _plain_model(arguments: argparse.Namespace, examples: Any) -> tuple[Any, Any]:
    """Load the model and the tokenizer as their own documentation does."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from tunebook.tasks.text_classification.models import locate

    source = locate(_MODEL)[0]
    torch.manual_seed(arguments.seed)
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(examples.classes))
    return model, AutoTokenizer.from_pretrained(source)


def _texts(examples: Any, split: str) -> tuple[list[str], list[int]]:
    rows = examples.rows(split)
    return examples.frame["content"].iloc[rows].tolist(), examples.targets()[rows].tolist()


def _accuracy(model: Any, tokenizer: Any, examples: Any) -> float:
    import torch

    texts, labels = _texts(examples, "validation")
    model.eval()
    right = 0
    with torch.inference_mode():
        for k in range(0, len(texts), 32):
            batch = tokenizer(texts[k : k + 32], truncation=True, max_length=128, padding=True, return_tensors="pt")
            right += int((model(**batch).logits.argmax(dim=1) == torch.tensor(labels[k : k + 32])).sum())
    return right / len(texts)


def _padded_loop(arguments: argparse.Namespace) -> dict[str, Any]:
    import torch

    _, examples = _prepare(arguments)
    model, tokenizer = _plain_model(arguments, examples)
    texts, labels = _texts(examples, "train")
    encoded = tokenizer(texts, truncation=True, max_length=128, padding="max_length", return_tensors="pt")
    data = torch.utils.data.TensorDataset(*encoded.values(), torch.tensor(labels))
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, arguments.epochs * len(loader))
    model.train()
    clock = Clock()
    clock.begin()
    for _ in range(arguments.epochs):
        for *inputs, target in loader:
            loss = model(**dict(zip(encoded, inputs, strict=True)), labels=target).loss
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    clock.tick()
    return _result(arguments, examples, clock.end - clock.start, _accuracy(model, tokenizer, examples), "fp32")


def _trainer(arguments: argparse.Namespace) -> dict[str, Any]:
    from torch.utils.data import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    _, examples = _prepare(arguments)
    model, tokenizer = _plain_model(arguments, examples)
    texts, labels = _texts(examples, "train")
    encoded = tokenizer(texts, truncation=True, max_length=128)

    class Rows(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {**{name: values[row] for name, values in encoded.items()}, "labels": labels[row]}

    clock = Clock()

    class Timed(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder, num_train_epochs=arguments.epochs, learning_rate=arguments.lr, seed=arguments.seed,
            save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        Trainer(
            model, settings, train_dataset=Rows(), data_collator=DataCollatorWithPadding(tokenizer), callbacks=[Timed()]
        ).train()
    return _result(arguments, examples, clock.end - clock.start, _accuracy(model, tokenizer, examples), "fp32")


if __name__ == "__main__":
    main()
