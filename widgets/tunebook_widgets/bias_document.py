"""A bias report as the browser takes it: everything that can be chosen, once, as columns of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook import bias_words
from tunebook.comparison import GAP_WORDS
from tunebook.figures import plain
from tunebook.group_metrics import BY_CLASS, LESS_IS_BETTER, WORDS, Metric

if TYPE_CHECKING:
    from tunebook.bias import BiasReport
    from tunebook.comparison import Comparison, Gap

#: Version of the form.
SCHEMA = "tunebook-bias-view/1"
#: Figures of one document, at most: about two megabytes.
_MOST_FIGURES = 400_000
#: A figure is a whole number of these parts of 1; :data:`_UNDEFINED` stands for what cannot be computed.
PARTS, _UNDEFINED = 10_000, -1
#: Numbers of a figure: its value, both ends of its interval, and of how many examples it is.
_PER_FIGURE = 4
#: Characters of a name.
LONGEST = 120
_BINARY = 2


def document(report: BiasReport, *, most: int = _MOST_FIGURES) -> dict[str, Any]:
    """
    Return what the view shows of a report.

    Parameters
    ----------
    report
        What is shown; all of its intervals and gaps are computed.
    most
        Numbers that it may hold, about. Beyond that it has the classes with the largest gaps only, and then the first
        attributes only; ``left_out`` counts the others.

    Returns
    -------
    dict
        Plain values. ``metrics`` and ``attributes`` say what can be chosen; ``attributes[].views`` holds, by split,
        ``groups`` (their numbers), ``n``, ``counted`` (a string of 0 and 1 for each metric), and ``value``, ``low``,
        ``high`` and ``of`` by metric, model and group: parts of 1/10,000, -1 for undefined; and the gaps in figures and
        words.
    """
    attributes = _attributes_within(report, most)
    views = {(name, split): report.comparison(name, split) for name in attributes for split in report.splits}
    labels = _labels_within(report, list(views), most)
    metrics = _metrics(report, labels)
    return {
        "schema": SCHEMA,
        "source": plain(report.settings.source, LONGEST),
        "models": list(report.models),
        "splits": [plain(split, LONGEST) for split in report.splits],
        "is_tuned": report.settings.tuned,
        "minimum": report.settings.minimum,
        "positive": plain(report.positive, LONGEST),
        "headline": [plain(report.headline(split)) for split in report.splits],
        "remarks": [_plain(report.general_remarks(split)) for split in report.splits],
        "metrics": [
            {
                "name": metric.name, "label": plain(metric.label, LONGEST), "words": WORDS[metric.name],
                "less": metric.name in LESS_IS_BETTER,
            }
            for metric in metrics
        ],
        "attributes": [_attribute(report, name, metrics) for name in attributes],
        "left_out": {
            "classes": 0 if report.positive else len(report.classes) - len(labels),
            "attributes": len(report.attributes) - len(attributes),
        },
    }  # fmt: skip


def _plain(said: list[str]) -> list[str]:
    return [plain(sentence) for sentence in said]


# What there is room for.


def _attributes_within(report: BiasReport, most: int) -> list[str]:
    """Return the first attributes whose figures there is room for, one of them at least."""
    fewest = len(BY_CLASS) + 3
    found: list[str] = []
    numbers = 0
    for name in report.attributes:
        numbers += len(report.groups(name).names) * len(report.splits) * len(report.models) * fewest * _PER_FIGURE
        if found and numbers > most:
            break
        found.append(name)
    return found


def _labels_within(report: BiasReport, views: list[tuple[str, str]], most: int) -> list[str]:
    """Return the classes whose rates are shown: the positive one; or those that there is room for, in their order."""
    if report.positive:
        return [report.positive]
    groups = sum(int((report.comparison(*view).counts > 0).sum()) for view in views) * len(report.models)
    room = max(int((most / max(groups * _PER_FIGURE, 1) - 3) // len(BY_CLASS)), 1)
    if room >= len(report.classes):
        return list(report.classes)
    named = {
        pair.metric.label
        for name, split in views
        for gap in (report.gap(name, gap_name, split) for gap_name in report.gap_names(name, split))
        for pair in (gap.widest, gap.clearest)
        if pair is not None
    }
    spread = np.zeros(len(report.classes))
    for view in views:
        comparison = report.comparison(*view)
        columns = [comparison.column("true_positive_rate", label) for label in report.classes]
        figures = np.where(comparison.counted[-1][:, columns], comparison.figures[-1][:, columns], np.nan)
        high, low = np.nan_to_num(figures, nan=-np.inf).max(axis=0), np.nan_to_num(figures, nan=np.inf).min(axis=0)
        spread = np.maximum(spread, np.where(high >= low, high - low, 0.0))
    order = sorted(range(len(report.classes)), key=lambda k: (report.classes[k] not in named, -spread[k]))
    return [report.classes[k] for k in sorted(order[:room])]


def _metrics(report: BiasReport, labels: list[str]) -> list[Metric]:
    has_scores = any(
        report.comparison(name, split).outcomes.certainty for name in report.attributes for split in report.splits
    )
    whole = [Metric("accuracy"), Metric("macro_f1"), *([Metric("calibration_error")] if has_scores else [])]
    return [*whole, *(Metric(name, label) for name in BY_CLASS for label in labels)]


# One attribute.


def _attribute(report: BiasReport, name: str, metrics: list[Metric]) -> dict[str, Any]:
    groups = report.groups(name)
    found: dict[str, Any] = {
        "name": plain(name, LONGEST),
        "kind": groups.kind,
        "is_derived": bool(groups.derived),
        "groups": [plain(group, LONGEST) for group in groups.names],
        "views": [_view(report, name, split, metrics) for split in report.splits],
    }
    if groups.kind == "intersection" and len(groups.columns) == _BINARY:
        axes = [list(report.groups(column).names) for column in groups.columns]
        places = [{group: k for k, group in enumerate(axis)} for axis in axes]
        found["columns"] = [plain(column, LONGEST) for column in groups.columns]
        found["axes"] = [[plain(group, LONGEST) for group in axis] for axis in axes]
        # The groups put together as the last one stand in no row or column.
        found["parts"] = [
            [-1, -1] if pooled else [places[k][one] for k, one in enumerate(part)]
            for part, pooled in zip(groups.parts, groups.is_pooled, strict=True)
        ]
    return found


def _view(report: BiasReport, attribute: str, split: str, metrics: list[Metric]) -> dict[str, Any]:
    comparison = report.comparison(attribute, split)
    rows = np.flatnonzero(comparison.counts)
    columns = [comparison.column(metric.name, metric.label) for metric in metrics]
    low, high = comparison.intervals
    of, every = _sizes(comparison, columns)
    return {
        "groups": rows.tolist(),
        "n": comparison.counts[rows].tolist(),
        "counted": ["".join("01"[int(one)] for one in comparison.counted[-1, rows, column]) for column in columns],
        "value": [_parts(comparison.figures[:, rows, column]) for column in columns],
        "low": [_parts(low[:, rows, column]) for column in columns],
        "high": [_parts(high[:, rows, column]) for column in columns],
        "of": [of[:, rows, k].tolist() for k in range(len(columns))],
        "every": [_parts(every[:, k]) for k in range(len(columns))],
        "gaps": [_gap(report, attribute, split, name, metrics) for name in report.gap_names(attribute, split)],
        "remarks": _plain(report.remarks(attribute, split)),
    }


def _sizes(comparison: Comparison, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return of how many examples a figure is, and a rate of all examples, which are each in one group."""
    models, number = comparison.numerators.shape[0], comparison.numerators.shape[-1]
    of = np.broadcast_to(comparison.counts[None, :, None], (models, len(comparison.counts), len(columns))).copy()
    every = np.full((models, len(columns)), np.nan)
    for k, column in enumerate(columns):
        if column >= number:
            continue
        of[..., k] = comparison.denominators[..., column]
        right, total = comparison.numerators[..., column].sum(axis=1), comparison.denominators[..., column].sum(axis=1)
        every[:, k] = np.where(total > 0, right / np.maximum(total, 1), np.nan)
    return of, every


def _parts(values: np.ndarray) -> Any:  # noqa: ANN401 - lists in lists of whole numbers
    whole = np.rint(np.nan_to_num(values, nan=0.0) * PARTS).astype(int)
    return np.where(np.isnan(values), _UNDEFINED, whole).tolist()


def _gap(report: BiasReport, attribute: str, split: str, name: str, metrics: list[Metric]) -> dict[str, Any]:
    gap, change = report.gap(attribute, name, split), report.change(attribute, name, split)
    found: dict[str, Any] = {"name": name, "words": GAP_WORDS[name], "said": "", "metric": -1}
    if gap.widest is None:
        return found
    said = (bias_words.gap_sentence(gap), bias_words.change_sentence(change, tuned=report.settings.tuned))
    found |= {
        "said": plain(" ".join(filter(None, said))),
        "metric": metrics.index(gap.widest.metric) if gap.widest.metric in metrics else -1,
        "label": plain(gap.widest.metric.label, LONGEST),
        "lowest": plain(gap.widest.lowest, LONGEST), "highest": plain(gap.widest.highest, LONGEST),
        "difference": _numbers(gap.difference, gap.low, gap.high), "ratio": _numbers(gap.ratio)[0],
        "p": _numbers(gap.p)[0], "clear": _is_clear(gap),
    }  # fmt: skip
    if change is not None:
        found |= {
            "before": _numbers(change.before)[0],
            "change": _numbers(change.change, change.low, change.high),
            "is_changed": bool(change.low > 0.0 or change.high < 0.0),
        }
    return found


def _is_clear(gap: Gap) -> bool:
    return bool(gap.p < bias_words.UNLIKELY)


def _numbers(*values: float) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
