"""A run that takes seconds: started in processes of their own by the fault tests, to be killed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = {"red": (200, 60, 50), "green": (60, 190, 70), "blue": (60, 80, 200)}


def make_pictures(folder: Path, count: int = 24, side: int = 40) -> Path:
    """Write noisy pictures of three colours, a folder a class."""
    rng = np.random.default_rng(7)
    for name, colour in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(0.0, 45.0, (side, side, 3)) + np.array(colour)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def recipe(folder: Path, runs_dir: Path, **changes: Any) -> Any:
    """Return a recipe with everything random turned on, and a checkpoint at nearly every step."""
    from tunebook import ImageClassification

    return ImageClassification(
        **{
            "data": str(folder), "runs_dir": str(runs_dir), "model": "test_efficientnet", "weights": "none",
            "image_size": 32, "epochs": 4, "batch_size": 8, "freeze": "backbone", "unfreeze": [[1, -2], [2, "none"]],
            "dropout": 0.2, "stochastic_depth": 0.2, "mixup": 0.2, "augment": "strong", "layer_decay": 0.7,
            "sampler": "balanced", "label_smoothing": 0.1, "onnx": False, "checkpoint_seconds": 0.05, "device": "cpu",
            **changes,
        }
    )  # fmt: skip


def train(folder: Path, runs_dir: Path, limit: int = 0, **changes: Any) -> None:
    """Do all steps of a notebook; ``limit`` is the size in bytes that no file may exceed."""
    import tunebook
    from tunebook.errors import TunebookError

    wanted = recipe(folder, runs_dir, **changes)
    examples = tunebook.load_examples(wanted)
    model = tunebook.load_model(wanted, examples)
    baseline = tunebook.measure_baseline(wanted, examples, model)
    if limit:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        tunebook.tune(wanted, examples, model, baseline).result()
    except TunebookError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        raise SystemExit(3) from None


def outcome(run: Path) -> dict[str, str]:
    """Return a hash of each thing that a resumed run must have in common with one that was not killed."""
    history = json.loads((run / "metrics.json").read_text())
    found = {"metrics": hashlib.sha256(json.dumps(history, sort_keys=True).encode()).hexdigest()}
    for name in ("model/model.safetensors", "predictions.parquet"):
        found[name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
    return found
