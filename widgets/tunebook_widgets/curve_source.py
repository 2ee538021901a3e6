"""One run as its curves show it: the log, its state, and what both say in words."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import StorageError
from tunebook.monitors import curve
from tunebook.run_curves import RunCurves, best_epoch
from tunebook.runs import Run
from tunebook.storage import read_json
from tunebook.verdict import judge

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Tag under which training writes its confusion matrices.
CONFUSION = "confusion/validation"
#: States in which a run may still write.
LIVE = ("queued", "running", "")
#: Points of time that are enough to tell when each step was.
_CLOCK = 64


class CurveSource:
    """
    The curves of one run directory, or of any folder with event files.

    Parameters
    ----------
    folder
        The directory.
    key
        What this run is called in messages.
    name
        What it is called to a person.

    Attributes
    ----------
    curves
        The reader of its event files.
    state
        As in ``state.json``; empty for a folder that is no run of ours.
    words
        What the curves say; empty while they say nothing.
    classes
        Names of the classes, for the confusion matrices.
    monitor
        Score that chooses the best epoch.
    """

    def __init__(self, folder: Path, key: str, name: str) -> None:
        self.folder, self.key, self.name = folder, key, name
        self.curves = RunCurves(folder)
        self.state = ""
        self.words = ""
        self.classes: list[str] = []
        self.monitor = "macro_f1"
        self._has_recipe = False
        self._judged = -1
        #: Examples in validation, which chance is judged by.
        self._examples = 0

    @property
    def is_live(self) -> bool:
        """Whether it may still write."""
        return self.state in LIVE

    def poll(self) -> bool:
        """
        Read what is new; True if anything changed.

        Raises
        ------
        StorageError
            A file cannot be read.
        """
        # The state first: what a run logs before it says that it is finished is then never missed.
        before = self.state, self.words
        self._read_state()
        changed = self.curves.poll()
        self._read_recipe()
        if changed or before[0] != self.state:
            self._judge()
        return changed or before != (self.state, self.words)

    def _read_state(self) -> None:
        if (self.folder / "state.json").is_file():
            # It is being replaced, or another program's: what was known stays.
            with suppress(StorageError, TypeError, ValueError):
                self.state = str(Run(self.folder).state().state)

    def _read_recipe(self) -> None:
        if self._has_recipe or not (self.folder / "recipe.json").is_file():
            return
        with suppress(StorageError, KeyError, TypeError, AttributeError):
            recipe = read_json(self.folder / "recipe.json")
            self.monitor = str(recipe["parameters"].get("monitor", self.monitor))
            self.classes = [str(name) for name in recipe["data"]["classes"]]
        self._has_recipe = True

    # What is told beside the curves.

    def marks(self) -> list[tuple[float, str]]:
        """Return what happened at which step: stages that began, and live commands."""
        return [(float(step), str(words)) for step, words in self.curves.texts("marks")]

    def clock(self) -> tuple[list[float], list[float]]:
        """Return some steps, and the seconds from the log's first point to each."""
        tags = [tag for tag in ("train/loss", "epoch") if tag in self.curves.tags] or self.curves.tags[:1]
        points = self.curves.points(tags[0]) if tags else np.empty((0, 3))
        if not len(points):
            return [], []
        chosen = np.unique(np.linspace(0, len(points) - 1, _CLOCK).astype(int))
        steps, times = points[chosen, 0], points[chosen, 2] - points[0, 2]
        # A run that was resumed has steps that are later than the next one's: time goes on, and does not go back.
        times = np.maximum.accumulate(np.where(np.isfinite(times), times, 0.0))
        return steps.tolist(), [round(float(t), 2) for t in times]

    def best(self) -> float | None:
        """Return the last step of the best epoch so far; ``None`` before there is one."""
        epoch, steps = best_epoch(self.curves, self.monitor), self._points("loss/validation")[:, 0]
        return None if epoch is None or epoch > len(steps) else float(steps[epoch - 1])

    def confusion(self) -> list[tuple[float, NDArray[Any]]]:
        """Return the confusion matrices of validation by step."""
        return [
            (float(step), counts)
            for step, counts in self.curves.tensors(CONFUSION)
            if counts.ndim == 2 and counts.shape[0] == counts.shape[1]  # noqa: PLR2004
        ]

    def class_names(self, count: int) -> list[str]:
        """Return a name for each of ``count`` classes."""
        return self.classes if len(self.classes) == count else [str(number) for number in range(count)]

    def _points(self, tag: str) -> NDArray[np.float64]:
        return self.curves.points(tag) if tag in self.curves.tags else np.empty((0, 3))

    def history(self) -> list[dict[str, Any]]:
        """
        Return one row an epoch: ``epoch``, ``step``, and the metrics of ``train`` and ``validation``.

        ``monitored`` is what chooses the best epoch, where it is none of these metrics and was logged.
        """
        names = ("loss", "accuracy", "macro_f1")
        found = {(split, name): self._points(f"{name}/{split}") for split in ("train", "validation") for name in names}
        monitored = self._points(curve(self.monitor))[:, 1]
        count = min(len(points) for points in found.values())
        steps = found["validation", "loss"]
        rows = []
        for row in range(count):
            values = {
                split: {name: float(found[split, name][row, 1]) for name in names} for split in ("train", "validation")
            }
            rows.append({"epoch": row + 1, "step": float(steps[row, 0]), **values})
            if self.monitor not in names and len(monitored) >= count:
                rows[-1]["monitored"] = float(monitored[row])
        return rows

    def _judge(self) -> None:
        """Say what the curves say: a finished run has its verdict, before that only over-fitting is worth a word."""
        path = self.folder / "metrics.json"
        if not self.is_live and path.is_file():
            with suppress(StorageError, LookupError, TypeError):
                first = read_json(path)["verdicts"][0]
                self.words = " ".join(f"{first['name'].capitalize()}: {first['reason']} {first['advice']}".split())
            return
        epochs = len(self._points("loss/validation"))
        if epochs == self._judged:
            return
        self._judged = epochs
        self.words = ""
        if not self._examples and CONFUSION in self.curves.tensor_tags:
            self._examples = int(self.confusion()[-1][1].sum())
        history, best = self.history(), self.best()
        kept = next((row["epoch"] for row in history if row["step"] == best), 0)
        if not self._examples or not kept:
            return
        for row in history:
            row["validation"].update(n=self._examples, recall={})
        first = judge(history, kept, {})[0]
        if first.name == "over-fitting":
            self.words = f"Over-fitting: {first.reason} The best epoch so far is {kept}. {first.advice}".strip()
