"""Models to choose from, those that fit this machine's memory first."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook import machine

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of a process with torch, timm and transformers, before it has a model.
_PROCESS = 900 << 20
#: A weight, its gradient and AdamW's two averages, in fp32.
_BYTES_TRAINED = 16


def model_choices(task: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return the models that a form offers for a task, as the OpenAPI file's ``ModelChoice``.

    Parameters
    ----------
    task
        The task; one without a list gives none.
    values
        The recipe's: ``batch_size``, and ``image_size`` or ``max_length``.

    Notes
    -----
    Memory is that of training all of a model: the process, four numbers a weight, and what each example of a batch
    leaves for the backward pass, which grows with the pixels or tokens. With a frozen part it is less.
    """
    limit = machine.memory_limit()
    scale = _scale(values)
    rows = []
    for row in _catalogue():
        if row["task"] != task:
            continue
        needed = _PROCESS + row["parameters"] * _BYTES_TRAINED
        needed += round(row["activations"] * scale * values.get("batch_size", 32))
        rows.append({
            "name": row["name"], "title": row["title"], "parameters": row["parameters"], "memory": needed,
            "fits": needed <= limit, "local": _is_local(row["name"], row["package"]),
        })  # fmt: skip
    return sorted(rows, key=lambda row: (not row["fits"], row["memory"], row["name"]))


def _scale(values: Mapping[str, Any]) -> float:
    """Return how much larger an example is than the one that was measured."""
    from tunebook_lab.model_sizes import SIDE, TOKENS  # noqa: PLC0415

    if "image_size" in values:
        return float((values["image_size"] / SIDE) ** 2)
    return float(values.get("max_length", TOKENS) / TOKENS)


@cache
def _catalogue() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))
    return rows


def _is_local(name: str, package: str) -> bool:
    if package and find_spec(package) is not None:
        return True
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415

    folder = f"models--{name if '/' in name else f'timm--{name}'}".replace("/", "--")
    # timm's repositories have the training's name behind a dot.
    return any(Path(HF_HUB_CACHE).glob(f"{folder}*/snapshots/*"))
