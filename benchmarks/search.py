"""A search of 100 trials on a frozen trunk, against one epoch of each peer."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import COLUMNS, Benchmark, Column, Contestant, Plan
from benchmarks.picture_contestants import PEERS
from benchmarks.pictures import MODEL, PLAN, QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SWEEP = "tunebook sweep"
_SPACE = ("lr=log(1e-4,1e-1)", "dropout=0..0.5", "weight_decay=log(1e-4,1e-1)")


def sweep(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Run the command as a user does; its process is a child of this one, and counted with it."""
    mark()
    parameters = {
        "data": plan["table"], "path": "path", "label": "label", "model": plan["model"],
        "weights": "pretrained" if plan["model"] == MODEL else "none", "image_size": plan["size"], "freeze": "backbone",
        "unfreeze": "[]", "augment": "none", "epochs": plan["epochs"], "batch_size": plan["batch_size"],
        "seed": plan["seed"], **plan["tunebook"],
    }  # fmt: skip
    command = [sys.executable, "-m", "tunebook.cli", "sweep", "image-classification"]
    command += [word for name, value in parameters.items() for word in ("-p", name, str(value))]
    command += [word for space in _SPACE for word in ("-s", space)]
    command += ["--trials", str(plan["trials"]), "--method", "random", "--objective", "accuracy"]
    subprocess.run([*command, "--name", "search", "--runs-dir", "runs"], check=True, stdout=sys.stderr)
    return _read_trials(Path("runs") / "search" / "trials.csv")


def _read_trials(file: Path) -> dict[str, Any]:
    """Count the trials that ended well, and take the best accuracy of any."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    ended = [row for row in rows if row["state"] in ("complete", "pruned")]
    return {"trials": len(ended), "accuracy": max(float(row["accuracy"]) for row in ended if row["accuracy"])}


def _count(plan: Plan, machine: Mapping[str, Any], medians: Mapping[str, Mapping[str, Any]]) -> list[str]:  # noqa: ARG001 - as all notes
    own = medians.get(_SWEEP)
    peers = {name: row["cpu"] for name, row in medians.items() if name != _SWEEP}
    if own is None or not peers:
        return []
    best = min(peers, key=lambda name: peers[name])
    return [
        f"{own['trials']:.0f} trials of {plan['epochs']} epochs took {own['cpu'] / peers[best]:.2f} times the CPU time "
        f"of one epoch of the best peer, {best}; accuracy is that of the best trial."
    ]


BENCHMARK = Benchmark(
    name="search",
    summary="a random search of 100 trials for a frozen EfficientNet-Lite0, against one epoch of each peer",
    contestants=(
        *(replace(peer, name=f"{peer.name}, one epoch", plan={"epochs": 1}) for peer in PEERS),
        Contestant(_SWEEP, "benchmarks.search:sweep", ("optuna",)),
    ),
    base=_SWEEP,
    prepare="benchmarks.pictures:prepare",
    columns=(*COLUMNS, Column("trials", "trials", 0)),
    plan={**PLAN, "trials": 100, "boundary": "classifier"},
    quick={**QUICK, "trials": 3},
    notes=_count,
)
