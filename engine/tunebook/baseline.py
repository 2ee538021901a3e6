"""What is reached without tuning: the most frequent class, and the model as it is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.feeds import DirectFeed
from tunebook.metrics import measure, negative_log_likelihood
from tunebook.monitors import WORDS, measured
from tunebook.predicting import extract_features, predict_scores
from tunebook.threshold_rule import PLAIN

if TYPE_CHECKING:
    from tunebook.decision import Decider, Decision
    from tunebook.devices import Devices
    from tunebook.examples import Examples
    from tunebook.features import Features
    from tunebook.tasks.base import Model, Reader, Task

#: Strengths of the probe's penalty that are tried on the validation set.
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
#: The probe is fitted on at most this many examples; more change it little and take long.
_MOST_EXAMPLES = 5_000

SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Baseline:
    """
    Baselines of one model on one set of examples.

    Attributes
    ----------
    metrics
        Name of a baseline to its metrics on ``validation`` and ``test``, see :func:`tunebook.metrics.measure`.
    name
        The one with the best macro-F1 on the validation set: what tuning has to beat.
    rows, scores
        Rows of validation and test, and that baseline's probabilities, shape (rows, classes).
    decision
        When it says the positive one of two classes, by the recipe's rule on its own scores; ``None`` where there are
        not two.
    measured_on
        What tells these examples from others, see :meth:`tunebook.examples.Examples.held_out`; empty is not known.
    """

    metrics: dict[str, dict[str, Any]]
    name: str
    rows: np.ndarray
    scores: np.ndarray
    decision: Decision | None = None
    measured_on: str = ""

    @property
    def best(self) -> dict[str, Any]:
        """Metrics of the best one."""
        return self.metrics[self.name]

    def table(self) -> pd.DataFrame:
        """Return one row a baseline, with its metrics on both splits."""
        return metrics_table(self.metrics)

    def _repr_html_(self) -> str:
        return str(self.table().to_html(float_format="{:.3f}".format, border=0))

    def __repr__(self) -> str:
        return self.table().to_string(float_format="{:.3f}".format)


def metrics_table(metrics: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """
    Tabulate metrics by name and split, those of :data:`tunebook.monitors.WORDS` but the loss.

    NaN is undefined, or of a split that was not measured; a metric that was measured nowhere, as in runs of earlier
    versions, has no column. Where a threshold is another than 0.5, it has one.
    """
    shown = {key: word for key, word in WORDS.items() if key != "loss"}
    rows = {
        name: {
            f"{split} {word}": measured(splits.get(split, {}), key) for split in SPLITS for key, word in shown.items()
        }
        for name, splits in metrics.items()
    }
    every = [split for splits in metrics.values() for split in splits.values()]
    known = {key for split in every for key in split}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table = table[[f"{split} {word}" for split in SPLITS for key, word in shown.items() if key in known]]
    if any(split.get("threshold", PLAIN) != PLAIN for split in every):
        # To its last digit: what is rounded decides otherwise.
        own = [next(iter(splits.values())).get("threshold") for splits in metrics.values()]
        table.insert(0, "threshold", ["" if threshold is None else str(threshold) for threshold in own])
    return table


def measure_baselines(
    task: Task,
    model: Model,
    reader: Reader,
    examples: Examples,
    devices: Devices,
    features: Features | None = None,
    decider: Decider | None = None,
) -> Baseline:
    """
    Measure the class frequencies, a linear probe on the untuned model's features, and its head if it was loaded.

    The probe is a logistic regression on standardised features; its penalty is chosen on the validation set.

    Parameters
    ----------
    task, model, reader, examples, devices
        What is measured on what, and where. The model is not changed.
    features
        Where the probe finds what the model sees, if it is cached.
    decider
        Finds the threshold of each baseline between two classes.
    """
    truth = examples.targets()
    rows = {split: examples.rows(split) for split in SPLITS}
    scores: dict[str, dict[str, np.ndarray]] = {}
    counts = examples.class_counts("train")
    share = (counts / len(examples.rows("train"))).astype(np.float32)
    name = "frequent classes" if examples.multi_label else "majority class"
    scores[name] = {split: np.tile(share, (len(rows[split]), 1)) for split in SPLITS}
    model.module.to(devices.device)
    if model.head_is_trained:
        scores["model as it starts"] = {
            split: predict_scores(DirectFeed(task, model, reader), model, rows[split], devices) for split in SPLITS
        }
    scores["linear probe"] = _probe(task, model, reader, examples, devices, rows, features)
    decisions = {
        name: None if decider is None else decider.choose(scores[name]["validation"], truth[rows["validation"]])
        for name in scores
    }
    metrics = {
        name: {
            split: measure(scores[name][split], truth[rows[split]], examples.classes, decisions[name])
            for split in SPLITS
        }
        for name in scores
    }
    best = max(metrics, key=lambda name: metrics[name]["validation"]["macro_f1"])
    return Baseline(
        metrics, best, np.concatenate([rows[s] for s in SPLITS]), np.concatenate([scores[best][s] for s in SPLITS]),
        decisions[best], examples.held_out(),
    )  # fmt: skip


def _probe(
    task: Task,
    model: Model,
    reader: Reader,
    examples: Examples,
    devices: Devices,
    rows: dict[str, np.ndarray],
    features: Features | None,
) -> dict[str, np.ndarray]:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    truth = examples.targets()
    train = examples.rows("train")
    if len(train) > _MOST_EXAMPLES:
        rng = np.random.default_rng([len(train), 31])
        # One of each class stays in, however rare it is.
        first = train[examples.target_shares()[train].argmax(axis=0)]
        train = np.union1d(first, rng.choice(train, _MOST_EXAMPLES, replace=False))
    parts = {"train": train, **rows}
    every = np.concatenate(list(parts.values()))
    known = features.pooled(every, devices) if features is not None else None
    found = known if known is not None else extract_features(task, model, reader, every, devices)
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    seen = dict(zip(parts, np.split(found.astype(np.float64), ends), strict=True))
    best: tuple[float, dict[str, np.ndarray]] = (-np.inf, {})
    for penalty in _PENALTIES:
        regression = LogisticRegression(C=penalty, max_iter=1_000)
        probe = make_pipeline(StandardScaler(), OneVsRestClassifier(regression) if truth.ndim > 1 else regression)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(seen["train"], truth[train])
        guesses = {split: probe.predict_proba(seen[split]).astype(np.float32) for split in SPLITS}
        score = -negative_log_likelihood(guesses["validation"], truth[rows["validation"]])
        if score > best[0]:
            best = (score, guesses)
    return best[1]
