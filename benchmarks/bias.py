"""A million predictions by group, with intervals: counts of cells against Fairlearn's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Benchmark, Column, Contestant, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

_OWN, _SMALL = "Tunebook, counts of cells", "Tunebook, as few rows and draws as Fairlearn"
_ROWS, _PLAIN = "Fairlearn's MetricFrame, n_boot", "Fairlearn's MetricFrame, no intervals"
#: The accuracy of the first group's examples; every other group's is a little less.
_BEST, _STEP = 0.9, 0.005


def make_rows(count: int, groups: int, seed: int) -> pd.DataFrame:
    """Make predictions of two classes that are worse from group to group, with confidence."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng([seed, count])
    group = rng.integers(0, groups, count)
    truth = rng.integers(0, 2, count)
    said = np.where(rng.random(count) < _BEST - _STEP * group, truth, 1 - truth)
    names = np.array([f"group {k}" for k in range(groups)])
    return pd.DataFrame({
        "model": "tuned", "id": np.arange(count), "split": "test", "truth": truth.astype(str),
        "prediction": said.astype(str), "confidence": rng.uniform(0.5, 1.0, count), "group_g": names[group],
    })  # fmt: skip


def own(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Measure eight metrics of each group with intervals, and the gap in accuracy with its p-value."""
    from time import process_time

    from tunebook.bias import BiasReport, Settings

    table = make_rows(plan["rows"], plan["groups"], plan["seed"])
    mark()
    started = process_time()
    report = BiasReport(table, settings=Settings(draws=plan["draws"], minimum=1))
    comparison = report.comparison("g")
    low, high = comparison.intervals
    seconds = process_time() - started
    column = comparison.column("accuracy")
    width = float((high - low)[0, :, column].mean())
    names = ("accuracy", "macro_f1", "calibration_error")
    counted = 1 + len(names) + len({m.name for m in comparison.metrics if m.label})
    return {
        "seconds": seconds, "rows": len(table), "draws": len(comparison.draws), "metrics": counted, "width": width,
        "accuracy": float(comparison.figures[0, 0, column]),
    }  # fmt: skip


def rows(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Measure the same with MetricFrame; ``draws`` of 0 makes no intervals."""
    from time import process_time

    import numpy as np
    from fairlearn.metrics import MetricFrame, count, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score, f1_score, precision_score

    table = make_rows(plan["rows"], plan["groups"], plan["seed"])
    truth, said = table["truth"].astype(int), table["prediction"].astype(int)
    sure = table["confidence"].to_numpy()

    def error(y_true: Any, y_pred: Any, confidence: Any) -> float:
        right = np.asarray(y_true) == np.asarray(y_pred)
        place = np.minimum((np.asarray(confidence) * 15).astype(int), 14)
        gaps = np.bincount(place, weights=np.asarray(confidence) - right, minlength=15)
        return float(np.abs(gaps).sum() / len(right))

    metrics = {
        "n": count, "accuracy": accuracy_score, "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate, "false_positive_rate": false_positive_rate,
        "precision": lambda t, p: precision_score(t, p, zero_division=0),
        "macro_f1": lambda t, p: f1_score(t, p, average="macro"), "calibration_error": error,
    }  # fmt: skip
    boot = {"n_boot": plan["draws"], "ci_quantiles": [0.025, 0.975], "random_state": 0} if plan["draws"] else {}
    mark()
    started = process_time()
    frame = MetricFrame(
        metrics=metrics, y_true=truth, y_pred=said, sensitive_features=table["group_g"],
        sample_params={"calibration_error": {"confidence": sure}}, **boot,
    )  # fmt: skip
    by_group = frame.by_group
    found = {
        "seconds": process_time() - started, "rows": len(table), "draws": plan["draws"], "metrics": len(metrics),
        "accuracy": float(by_group["accuracy"].iloc[0]),
    }  # fmt: skip
    if boot:
        low, high = frame.by_group_ci
        found["width"] = float((high["accuracy"] - low["accuracy"]).mean())
    return found


def _ratios(plan: Plan, machine: Mapping[str, Any], medians: Mapping[str, Mapping[str, Any]]) -> list[str]:  # noqa: ARG001 - as all notes
    notes = []
    if _SMALL in medians and _ROWS in medians:
        times = medians[_ROWS]["seconds"] / medians[_SMALL]["seconds"]
        notes.append(f"On the same rows with as many draws MetricFrame took {times:,.0f} times as long.")
    if _OWN in medians and _PLAIN in medians:
        times = medians[_PLAIN]["seconds"] / medians[_OWN]["seconds"]
        notes.append(
            f"Without any interval MetricFrame took {times:,.1f} times as long on {plan['rows']:,} rows as Tunebook "
            f"with {plan['draws']:,} draws."
        )
    return notes


#: What MetricFrame can do in reasonable time: its time grows with rows and with draws.
_FEW = {"rows": 10_000, "draws": 50}

BENCHMARK = Benchmark(
    name="bias",
    summary="eight metrics of 20 groups of a million predictions, with 1,000-draw intervals, against MetricFrame",
    contestants=(
        Contestant(_OWN, "benchmarks.bias:own"),
        Contestant(_PLAIN, "benchmarks.bias:rows", ("fairlearn",), plan={"draws": 0}),
        Contestant(_SMALL, "benchmarks.bias:own", plan=_FEW),
        Contestant(_ROWS, "benchmarks.bias:rows", ("fairlearn",), plan=_FEW),
    ),
    base=_OWN,
    columns=(
        Column("rows", "rows", 0),
        Column("draws", "draws", 0),
        Column("metrics", "metrics", 0),
        Column("seconds", "CPU s", 3),
        Column("seconds", "of Tunebook's", 2, ratio=True),
        Column("accuracy", "accuracy of one group", 4),
        Column("width", "width of its interval", 4),
        Column("peak_mb", "peak memory, MB", 0),
    ),
    plan={"rows": 1_000_000, "groups": 20, "draws": 1_000, "seed": 0},
    quick={"rows": 20_000, "groups": 5, "draws": 200},
    notes=_ratios,
)
