"""A search's directory to look at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from pathlib import Path


def write_sweep(path: Path, trials: int = 5) -> Path:
    """Write a sweep's directory as a search leaves it, with invented figures."""
    run = Run.create(path.parent, path.name, "image-classification")
    run.update(
        state="finished", phase="finished", step=trials, steps=trials, started=time.time(), message="5 of 5 trials"
    )
    write_json(path / "sweep.json", {
        "task": "image-classification", "parameters": {"model": "resnet18"}, "spaces": {"lr": "log(1e-4,1e-1)"},
        "objectives": ["macro_f1"], "trials": trials, "method": "random",
    })  # fmt: skip
    lines = ["number,state,macro_f1,lr,seconds,epoch,message"]
    lines += [f"{k},complete,{0.5 + k / 100},0.00{k + 1},0.2,3," for k in range(trials - 1)]
    lines.append(f'{trials - 1},failed,,0.1,0.2,,"it broke, badly"')
    (path / "trials.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    best = {"number": trials - 2, "values": [0.5 + (trials - 2) / 100]}
    write_json(path / "best.json", {"objectives": ["macro_f1"], "best": best, "ranking": [trials - 2]})
    (path / "parameters.py").write_text("lr = 0.004\n", encoding="utf-8")
    return path
