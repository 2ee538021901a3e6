"""Trials that differ in nothing but how a head is trained on a frozen trunk, trained as one batch of matrices."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook import tasks
from tunebook.balance import class_weights, example_weights
from tunebook.decision import Decider
from tunebook.devices import Devices
from tunebook.errors import TunebookError
from tunebook.features import Features
from tunebook.heads import HeadData, train_heads
from tunebook.monitors import GAP
from tunebook.search_materials import model_key
from tunebook.search_objectives import Judge
from tunebook.search_trials import TrialResult, trial_metrics
from tunebook.training import TrainingStopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from torch import nn

    from tunebook.heads import HeadResult
    from tunebook.recipe import Recipe
    from tunebook.search_materials import Materials, Shared
    from tunebook.search_objectives import Objective
    from tunebook.search_trials import Evaluator, Report

#: Fewer trials than these are not worth making ready for.
_LEAST = 2


class HeadsTogether:
    """
    Trains trials whose trunk is frozen throughout together, and leaves the others to another evaluator.

    Parameters
    ----------
    materials
        What the trials share.
    objectives
        What is measured.
    others
        Trains what is more than a head.
    """

    def __init__(self, materials: Materials, objectives: Sequence[Objective], others: Evaluator) -> None:
        self._materials, self._objectives, self._others = materials, tuple(objectives), others

    def evaluate(
        self, recipes: Sequence[Recipe], report: Report, stop: threading.Event | None = None
    ) -> Iterator[TrialResult]:
        """Train some recipes, see :class:`tunebook.search_trials.Evaluator`."""
        groups: dict[str, list[int]] = {}
        for place, recipe in enumerate(recipes):
            groups.setdefault(_group(recipe), []).append(place)
        left: list[int] = []
        for key, places in groups.items():
            found = None
            if key and len(places) >= _LEAST:
                found = self._together([recipes[place] for place in places], places, report, stop)
            if found is None:
                left += places
            else:
                yield from found

        def told(place: int, epoch: int, value: float) -> bool:
            return report(left[place], epoch, value)

        if left:
            for result in self._others.evaluate([recipes[place] for place in left], told, stop):
                yield replace(result, place=left[result.place])

    def _together(
        self, recipes: list[Recipe], places: list[int], report: Report, stop: threading.Event | None
    ) -> list[TrialResult] | None:
        """Train a group; ``None`` where it has to be trained in another way."""
        started = time.monotonic()
        try:
            shared = self._materials.take(recipes[0])
            judges = [
                Judge(self._objectives, shared.examples, Decider.of_examples(recipe, shared.examples))
                for recipe in recipes
            ]
            ready = self._ready(recipes[0], shared)
            if ready is None:
                return None

            def told(number: int, epoch: int, row: dict[str, Any]) -> bool:
                _heed(stop)
                # A gap needs single predictions, which are kept of the best epoch alone.
                judge = judges[number]
                return not judge.needs_scores and report(places[number], epoch, judge.values(row["validation"])[0])

            head, data = ready
            results = train_heads(head, recipes, data, told)
        except TrainingStopped:
            raise
        except TunebookError:
            return None  # each by itself finds its own fault
        seconds = (time.monotonic() - started) / len(recipes)
        return [
            _judged(place, result, judge, seconds) for place, result, judge in zip(places, results, judges, strict=True)
        ]

    def _ready(self, recipe: Recipe, shared: Shared) -> tuple[nn.Sequential, HeadData] | None:
        examples, model, reader = shared
        # Views of augmented pictures are not one matrix.
        if reader.mixes() or reader.training_view(0, repeats=True) is not None:
            return None
        rows, validation = examples.rows("train"), examples.rows("validation")
        features = Features(tasks.get_task(recipe.task), recipe, examples, model, reader)
        devices = Devices(recipe, model.module)
        found = features.vectors(model.stages.frozen_by(recipe.freeze), devices, [rows, validation])
        if found is None or devices.count > 1:
            return None
        truth, counts = examples.targets(), examples.class_counts("train")
        place = np.full(len(examples), -1, np.int64)
        place[rows] = np.arange(len(rows))

        def batches(of: Recipe, epoch: int) -> list[np.ndarray]:
            drawn = class_weights(of.sampler, counts, examples.classes, "sampler")
            weights = None if of.sampler == "none" else example_weights(drawn, truth[rows])
            several = self._materials.reader(of, shared).epoch_batches(rows, weights, epoch)
            if len(several) > 1 and len(several[-1]) < 2:  # noqa: PLR2004 - as the loop joins them
                several[-2:] = [np.concatenate(several[-2:])]
            return [place[batch] for batch in several]

        return found.head, HeadData(
            features=found.vectors[0], targets=torch.from_numpy(examples.target_shares()[rows]), truth=truth[rows],
            validation_features=found.vectors[1], validation_truth=truth[validation], classes=examples.classes,
            class_counts=counts, batches=batches, multi_label=examples.multi_label, dropout_kind=found.dropout_kind,
            wanted=[one.name for one in self._objectives if one.name != GAP],
        )  # fmt: skip


def _heed(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise TrainingStopped("stopped between two epochs; the search can be resumed")


def _group(recipe: Recipe) -> str:
    """Return a text that is the same for trials that may be trained together; empty for one that cannot be."""
    # Heads know no groups: a gap that chooses the epoch, and weights by group, are the loop's.
    needs_groups = recipe.monitor.partition(":")[0] == GAP or recipe.mitigate != "none"
    if recipe.unfreeze or recipe.cache == "off" or recipe.precision == "bf16" or needs_groups:
        return ""
    return f"{model_key(recipe)} {recipe.freeze!r}"


def _judged(place: int, result: HeadResult, judge: Judge, seconds: float) -> TrialResult:
    if result.message or not result.best:
        return TrialResult(place, "failed", seconds=seconds, message=result.message or "no epoch was done")
    epoch = int(result.best["epoch"])
    row = result.history[epoch - 1]["validation"]
    values = judge.values(row, result.scores)
    if not all(map(math.isfinite, values)):
        message = f"an objective is not finite: {list(values)}"
        return TrialResult(place, "failed", seconds=seconds, message=message)
    metrics = trial_metrics(row)
    if result.is_pruned:
        message = f"pruned after epoch {len(result.history)}: it was worse than the median of the trials before"
        return TrialResult(place, "pruned", values, epoch, metrics, seconds, message)
    return TrialResult(place, "complete", values, epoch, metrics, seconds)
