"""The texts and the model that every contestant of a text benchmark has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from benchmarks.benchmark import Plan
    from tunebook import TextClassification

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
#: Tokens that are read of a text.
LENGTH = 128
#: What can be chosen in all text benchmarks, and its default; ``own_lr`` 0 is the recipe's own.
PLAN: dict[str, Any] = {
    "train": "", "dev": "", "text": "text", "label": "label", "examples": 0, "epochs": 1, "batch_size": 32,
    "lr": 5e-5, "own_lr": 0.0, "seed": 0, "tunebook": {},
}  # fmt: skip
QUICK: dict[str, Any] = {"examples": 60, "epochs": 1, "batch_size": 8}


def prepare(plan: Plan, mark: object) -> dict[str, Any]:  # noqa: ARG001 - as all contestants
    """
    Write one table with the split that every contestant reads; nothing of it is measured.

    Returns
    -------
    dict
        ``table`` (Parquet with ``text``, ``label``, ``split``), ``classes``, and ``base``: where transformers
        opens the model.

    Raises
    ------
    BenchmarkError
        One of the two tables is given without the other.
    """
    import pandas as pd

    import tunebook
    from tunebook.table_file import read_table
    from tunebook.tasks.text_classification.models import locate

    table = Path(plan["folder"]) / "texts.parquet"
    if bool(plan["train"]) != bool(plan["dev"]):
        raise BenchmarkError("--train and --dev go together: give both, or none for the demo")
    names = {plan["text"]: "text", plan["label"]: "label"}
    if plan["train"]:
        train, dev = (read_table(Path(plan[name])).rename(columns=names) for name in ("train", "dev"))
        # No contestant looks at the test split, but Tunebook's tables have one.
        parts = [train.assign(split="train"), dev.assign(split="validation"), dev.assign(split="test")]
        pd.concat([part[["text", "label", "split"]] for part in parts], ignore_index=True).to_parquet(table)
    recipe = tunebook.TextClassification(
        data=str(table) if plan["train"] else "demo", max_examples=plan["examples"], seed=plan["seed"]
    )
    examples = tunebook.load_examples(recipe)
    frame = examples.frame.rename(columns={"content": "text"})[["text", "label", "split"]]
    frame.to_parquet(table)
    return {
        "table": str(table), "classes": list(examples.classes), "base": locate(MODEL)[0],
        "source": Path(plan["train"]).name if plan["train"] else "the demo",
    }  # fmt: skip


def split_of(plan: Plan, split: str) -> tuple[list[str], list[int]]:
    """Return the texts of a split and the numbers of their classes."""
    import pandas as pd

    frame = pd.read_parquet(plan["table"])
    chosen = frame[frame["split"] == split]
    return chosen["text"].tolist(), [plan["classes"].index(label) for label in chosen["label"]]


def peer_model(plan: Plan) -> tuple[Any, Any]:
    """
    Load the model and its tokenizer as their own documentation does; what is frozen is held still.

    "Frozen" is all below the pooler: embeddings and encoder, without gradient and without dropout.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

    from benchmarks.pictures import hold_still

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(plan["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(
        plan["base"], num_labels=len(plan["classes"]), dtype=torch.float32
    )
    if plan["frozen"]:
        hold_still([model.base_model.embeddings, model.base_model.encoder])
    return model, AutoTokenizer.from_pretrained(plan["base"])


def recipe_of(plan: Plan) -> TextClassification:
    """Return Tunebook's recipe for the same work."""
    import tunebook

    own = {"lr": plan["own_lr"]} if plan["own_lr"] else {}
    recipe = tunebook.TextClassification(
        data=plan["table"], model=MODEL, freeze="backbone" if plan["frozen"] else "none", unfreeze=[],
        epochs=plan["epochs"], batch_size=plan["batch_size"], max_length=LENGTH, seed=plan["seed"], **own,
    )  # fmt: skip
    return recipe.changed(**{name: recipe.settle(name, value) for name, value in plan["tunebook"].items()})
