"""One trial of a search: a recipe trained, and what it reached on the validation set."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from tunebook import tasks
from tunebook.decision import Decider
from tunebook.devices import Devices
from tunebook.errors import TunebookError
from tunebook.monitors import WORDS
from tunebook.predicting import predict_scores
from tunebook.search_materials import model_key, reader_key
from tunebook.search_objectives import Judge
from tunebook.training import Trainer, TrainingStopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from tunebook.recipe import Recipe
    from tunebook.search_materials import Materials
    from tunebook.search_objectives import Objective

    #: Called with a trial's place, an epoch from 1 and the first objective's value then; whether to prune the trial.
    Report = Callable[[int, int, float], bool]

Outcome = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class TrialResult:
    """
    What became of a trial.

    Attributes
    ----------
    place
        Its place among the recipes that were given, from 0.
    outcome
        ``"complete"``, ``"pruned"`` or ``"failed"``.
    values
        Value of each objective in the best epoch; empty if it failed.
    epoch
        The best epoch, from 1; 0 if it failed.
    metrics
        Those of :data:`tunebook.monitors.WORDS` that were measured on the validation set in the best epoch.
    seconds
        How long it took.
    message
        Why it failed or was pruned, one line.
    """

    place: int
    outcome: Outcome
    values: tuple[float, ...] = ()
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, for a worker to send."""
        return {**asdict(self), "values": list(self.values)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what :meth:`to_json` gave."""
        return cls(**{**value, "values": tuple(value["values"])})


class Evaluator(Protocol):
    """Trains recipes and measures them."""

    def evaluate(
        self, recipes: Sequence[Recipe], report: Report, stop: threading.Event | None = None
    ) -> Iterator[TrialResult]:
        """
        Train some recipes, and yield what became of each, in any order.

        Parameters
        ----------
        recipes
            Any number of the same task.
        report
            Called after each epoch; ``True`` ends that trial there.
        stop
            When set, training ends after the step under way.

        Raises
        ------
        TrainingStopped
            ``stop`` was set; trials that were not yielded are not done.
        """
        ...


class OneByOne:
    """
    Trains one recipe after the other, each as a run of its own would.

    Parameters
    ----------
    materials
        What the trials share.
    objectives
        What is measured.
    """

    def __init__(self, materials: Materials, objectives: Sequence[Objective]) -> None:
        self.materials, self.objectives = materials, tuple(objectives)

    def evaluate(
        self, recipes: Sequence[Recipe], report: Report, stop: threading.Event | None = None
    ) -> Iterator[TrialResult]:
        """Train some recipes, those that can share most next to each other; see :class:`Evaluator`."""
        order = sorted(range(len(recipes)), key=lambda place: (model_key(recipes[place]), reader_key(recipes[place])))
        for place in order:
            yield self._evaluate(place, recipes[place], report, stop)

    def _evaluate(self, place: int, recipe: Recipe, report: Report, stop: threading.Event | None) -> TrialResult:
        started = time.monotonic()

        def result(outcome: Outcome, **found: Any) -> TrialResult:  # noqa: ANN401
            return TrialResult(place, outcome, seconds=time.monotonic() - started, **found)

        try:
            shared = self.materials.take(recipe)
            decider = Decider.of_examples(recipe, shared.examples)
            watch = _Watch(Judge(self.objectives, shared.examples, decider), place, report)
            trainer = Trainer(
                tasks.get_task(recipe.task), recipe, *shared, devices=Devices(recipe, shared.model.module)
            )
            trainer.fit(stop, watch)
        except TrainingStopped:
            raise
        except _Pruned as pruned:
            return result("pruned", message=str(pruned), **pruned.found)
        except Exception as error:  # noqa: BLE001 - a trial that fails, however it does, does not end the search
            return result("failed", message=reason(error))
        found = watch.best(int(trainer.progress.best["epoch"]))
        if not all(map(math.isfinite, found["values"])):
            return result("failed", message=f"an objective is not finite: {list(found['values'])}")
        return result("complete", **found)


def evaluator(materials: Materials, objectives: Sequence[Objective]) -> Evaluator:
    """Return what trains the trials of this process: heads together where that can be, other trials one by one."""
    from tunebook.search_heads import HeadsTogether  # noqa: PLC0415 - it is built on this module

    return HeadsTogether(materials, objectives, OneByOne(materials, objectives))


def trial_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are kept of a trial, of those that one of its epochs has."""
    return {name: float(row[name]) for name in WORDS if row.get(name) is not None}


def reason(error: BaseException) -> str:
    """Say in one line why something failed."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TunebookError) else f"{type(error).__name__}: {text}"[:400]


class _Pruned(Exception):  # noqa: N818
    """The search gave a trial up."""

    def __init__(self, message: str, found: dict[str, Any]) -> None:
        super().__init__(message)
        self.found = found


class _Watch:
    """Follows a training epoch by epoch: measures the objectives, and reports the first one."""

    def __init__(self, judge: Judge, place: int, report: Report) -> None:
        self._judge, self._place, self._report = judge, place, report
        self._values: list[tuple[float, ...]] = []
        self._metrics: list[dict[str, float]] = []

    def __call__(self, trainer: Trainer) -> None:
        history = trainer.progress.history
        if len(history) == len(self._values):
            return
        row = history[-1]["validation"]
        self._metrics.append(trial_metrics(row))
        self._values.append(self._judge.values(row, self._scores(trainer)))
        epoch, value = len(history), self._values[-1][0]
        if self._report(self._place, epoch, value) and not trainer.progress.is_done:
            found = self.best(int(trainer.progress.best["epoch"]))
            raise _Pruned(f"pruned after epoch {epoch}: it was worse than the median of the trials before", found)

    def best(self, epoch: int) -> dict[str, Any]:
        return {"values": self._values[epoch - 1], "metrics": self._metrics[epoch - 1], "epoch": epoch}

    def _scores(self, trainer: Trainer) -> np.ndarray | None:
        if not self._judge.needs_scores:
            return None
        return predict_scores(trainer.feed, trainer.model, self._judge.rows, trainer.devices)
