"""Runs that take seconds: started in processes of their own by the fault tests, to be killed."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext
    from multiprocessing.context import ForkServerProcess as Process

CLASSES = {"red": (200, 60, 50), "green": (60, 190, 70), "blue": (60, 80, 200)}
OPINIONS = {"good": ["good", "great", "fine"], "bad": ["bad", "dull", "poor"], "neither": ["end", "scene", "actor"]}


def make_pictures(folder: Path, count: int = 24, side: int = 40) -> Path:
    """Write noisy pictures of three colours, a folder a class."""
    rng = np.random.default_rng(7)
    for name, colour in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(0.0, 45.0, (side, side, 3)) + np.array(colour)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def make_texts(folder: Path, count: int = 24) -> Path:
    """Write sentences of three opinions as ``texts.csv``, and a small model to read them as ``model/``."""
    rng = random.Random(7)  # noqa: S311
    filler = ["the", "film", "plot", "is", "was", "it", "very", "not"]
    rows = [
        (" ".join([*rng.choices(filler, k=rng.randint(1, 20)), rng.choice(words), str(number)]), name)
        for number in range(count)
        for name, words in OPINIONS.items()
    ]
    folder.mkdir(parents=True)
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / "texts.csv", index=False)
    tiny_models.make_tiny(folder / "model", "bert")
    return folder / "texts.csv"


#: Task -> what makes its data. Everything random is turned on in their recipes, and nearly every step has a checkpoint.
TASKS = {"image-classification": make_pictures, "text-classification": make_texts}
_SAME: dict[str, Any] = {
    "epochs": 4, "batch_size": 8, "freeze": "backbone", "unfreeze": [[1, -2], [2, "none"]], "dropout": 0.2,
    "layer_decay": 0.7, "sampler": "balanced", "label_smoothing": 0.1, "onnx": False, "checkpoint_seconds": 0.05,
    "device": "cpu",
}  # fmt: skip
_OWN: dict[str, dict[str, Any]] = {
    "image-classification": {
        "model": "test_efficientnet", "weights": "none", "image_size": 32, "stochastic_depth": 0.2, "mixup": 0.2,
        "augment": "strong",
    },
    "text-classification": {"max_length": 24, "hidden_dropout": 0.2, "attention_dropout": 0.2},
}  # fmt: skip


def recipe(data: Path, runs_dir: Path, task: str = "image-classification", /, **changes: Any) -> Any:
    """Return a recipe for data that one of :data:`TASKS` made."""
    from tunebook.tasks import recipe_class

    own = dict(_OWN[task])
    if task == "text-classification":
        own["model"] = str(data.parent / "model")
    return recipe_class(task)(**{"data": str(data), "runs_dir": str(runs_dir), **_SAME, **own, **changes})


#: What takes a small run through its steps in half the time, where it does not matter how it trains.
SHORT: dict[str, Any] = {"epochs": 1, "unfreeze": []}
#: Epochs and examples of a class of runs that are ended on the way.
EPOCHS, _COUNT = 3, 18


def train(
    data: Path, runs_dir: Path, limit: int = 0, task: str = "image-classification",
    before: Callable[[], None] | None = None, said: Path | None = None, /, **changes: Any,
) -> None:  # fmt: skip
    """
    Do all steps of a notebook but the baseline, which is over before there is a run directory.

    ``limit`` is the size in bytes that no file may exceed; ``before`` is called when all but the training is done;
    ``said`` is a file to which the line of an error is added, which is printed otherwise.
    """
    import tunebook
    from tunebook.errors import TunebookError

    wanted = recipe(data, runs_dir, task, **changes)
    examples = tunebook.load_examples(wanted)
    model = tunebook.load_model(wanted, examples)
    if limit:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if before is not None:
        before()
    try:
        tunebook.tune(wanted, examples, model).result()
    except TunebookError as error:
        line = f"{type(error).__name__}: {error}"
        if said is None:
            print(line, flush=True)
        else:
            with said.open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")
        raise SystemExit(3) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def outcome(run: Path) -> dict[str, str]:
    """Return a hash of each thing that a resumed run must have in common with one that was not killed."""
    history = json.loads((run / "metrics.json").read_text())
    found = {"metrics": hashlib.sha256(json.dumps(history, sort_keys=True).encode()).hexdigest()}
    for name in ("model/model.safetensors", "predictions.parquet"):
        found[name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
    return found


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed: what others are compared with."""

    context: ForkServerContext
    task: str
    data: Path
    run: Path
    outcome: dict[str, str]
    #: Of the processor, from the appearance of its directory to its end: a busy machine has other seconds every minute.
    seconds: float

    def begin(
        self,
        runs: Path,
        name: str,
        before: Callable[[], None] | None = None,
        said: Path | None = None,
        limit: int = 0,
        **changes: Any,
    ) -> Process:
        """Start the same run in a process of its own, or go on with it."""
        process = self.context.Process(
            target=train,
            args=(self.data, runs, limit, self.task, before, said),
            kwargs={"run": name, "epochs": EPOCHS, **changes},
        )
        process.start()
        return process

    def resume(self, run: Path) -> dict[str, str]:
        """Go on with a run to its end, and return its outcome."""
        process = self.begin(run.parent, run.name, resume=str(run))
        finish(process)
        return outcome(run)

    @classmethod
    def of(cls, context: ForkServerContext, task: str, folder: Path) -> Whole:
        """Make the data of a task, and train on it."""
        data = TASKS[task](folder / "made", _COUNT)
        kwargs = {"run": "whole", "epochs": EPOCHS}
        process = context.Process(target=train, args=(data, folder, 0, task), kwargs=kwargs)
        process.start()
        appearance(folder / "whole")
        began = last = processor_seconds(process)
        while process.is_alive():
            last = processor_seconds(process) or last
            time.sleep(0.005)
        finish(process)
        return cls(context, task, data, folder / "whole", outcome(folder / "whole"), last - began)


def processor_seconds(process: Process) -> float:
    """Return the seconds of the processor that a process has had; 0 when it is gone."""
    try:
        times = psutil.Process(process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def appearance(run: Path) -> None:
    """Wait until a run's directory is there."""
    wait_until((run / "state.json").exists, "the run did not start")


def wait_for_step(run: Path, step: int) -> None:
    """Wait until a run's checkpoints, of which nearly every step has one, have come to a step."""
    folder = run / "checkpoints"
    wait_until(lambda: any(int(path.name[5:]) >= step for path in folder.glob("step-*")), "the run does not go on")


def wait_until(is_so: Callable[[], bool], otherwise: str, seconds: float = 120.0) -> None:
    """Wait for a condition, or fail."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, otherwise
        time.sleep(0.002)


def finish(process: Process, seconds: float = 240.0) -> None:
    """Wait for a process that ends well."""
    process.join(seconds)
    assert process.exitcode == 0
