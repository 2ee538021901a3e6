"""``bias.json``: a bias report as plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.bias import SCHEMA
from tunebook.comparison import FEWEST_OF_A_RATE
from tunebook.group_metrics import BY_CLASS
from tunebook.intervals import LEVEL

if TYPE_CHECKING:
    from tunebook.bias import BiasReport
    from tunebook.comparison import Change, Comparison, Gap, Pair


def as_json(report: BiasReport) -> dict[str, Any]:
    """Return a report as plain values; what is undefined is ``None``."""
    settings = report.settings
    return {
        "schema": SCHEMA,
        "source": settings.source,
        "notes": list(settings.notes),
        "classes": list(report.classes),
        "positive": report.positive or None,
        "decided": settings.decided or None,
        "multi_label": report.multi_label,
        "models": list(report.models),
        "splits": list(report.splits),
        "level": LEVEL,
        "minimum": settings.minimum,
        "minimum_of_a_rate": min(FEWEST_OF_A_RATE, settings.minimum),
        "draws": settings.draws,
        "seed": settings.seed,
        "headline": {split: report.headline(split) for split in report.splits},
        "remarks": {split: report.general_remarks(split) for split in report.splits},
        "attributes": [_attribute(report, name) for name in report.attributes],
        "groups": [
            row for name in report.attributes for split in report.splits for row in _groups(report, name, split)
        ],
        "gaps": [row for name in report.attributes for split in report.splits for row in _gaps(report, name, split)],
    }


def _attribute(report: BiasReport, name: str) -> dict[str, Any]:
    groups = report.groups(name)
    return {
        "name": name,
        "kind": groups.kind,
        "columns": list(groups.columns),
        "groups": list(groups.names),
        "edges": list(groups.edges),
        "derived": groups.derived or None,
        "missing": groups.names[groups.missing] if groups.missing >= 0 else None,
        "pooled": groups.names[-1] if groups.pooled else None,
        "remarks": {split: report.remarks(name, split) for split in report.splits},
        "sentences": {split: report.sentences(name, split) for split in report.splits},
    }


def _groups(report: BiasReport, attribute: str, split: str) -> list[dict[str, Any]]:
    comparison = report.comparison(attribute, split)
    return [
        {
            "attribute": attribute,
            "split": split,
            "model": model,
            "group": comparison.groups.names[group],
            "n": int(comparison.counts[group]),
            "small": bool(comparison.is_small[group]),
            "metrics": _metrics(comparison, k, int(group)),
        }
        for k, model in enumerate(report.models)
        for group in np.flatnonzero(comparison.counts)
    ]


def _metrics(comparison: Comparison, model: int, group: int) -> dict[str, Any]:
    low, high = comparison.intervals
    found: dict[str, Any] = {}
    for place, metric in enumerate(comparison.metrics):
        entry: dict[str, Any] = {
            "value": _number(comparison.figures[model, group, place]),
            "low": _number(low[model, group, place]),
            "high": _number(high[model, group, place]),
            "counted": bool(comparison.counted[model, group, place]),
        }
        if place < comparison.numerators.shape[-1]:
            entry["count"] = int(comparison.numerators[model, group, place])
            entry["of"] = int(comparison.denominators[model, group, place])
        if metric.name in BY_CLASS:
            found.setdefault(metric.name, {})[metric.label] = entry
        else:
            found[metric.name] = entry
    return found


def _gaps(report: BiasReport, attribute: str, split: str) -> list[dict[str, Any]]:
    comparison = report.comparison(attribute, split)
    rows = []
    for name in report.gap_names(attribute, split):
        for label in comparison.labels(name)[: 1 if report.many_classes() else None]:
            # Of the baseline, single classes would take as long again and interest nobody.
            models = list(enumerate(report.models))[0 if label == comparison.labels(name)[0] else -1 :]
            gaps = {model: _gap(report.gap(attribute, name, split, label, k)) for k, model in models}
            change = report.change(attribute, name, split, label)
            rows.append({
                "attribute": attribute, "split": split, "gap": name, "class": label or None, "models": gaps,
                "change": None if change is None else _change(change),
            })  # fmt: skip
    return rows


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "difference": {"value": _number(gap.difference), "low": _number(gap.low), "high": _number(gap.high)},
        "ratio": {"value": _number(gap.ratio), "low": _number(gap.ratio_low), "high": _number(gap.ratio_high)},
        "p": _number(gap.p),
        "widest": _pair(gap.widest),
        "clearest": _pair(gap.clearest),
        "groups": gap.groups,
    }


def _pair(pair: Pair | None) -> dict[str, Any] | None:
    if pair is None:
        return None
    return {
        "metric": pair.metric.name,
        "class": pair.metric.label or None,
        "lowest": {"group": pair.lowest, "value": _number(pair.lowest_value)},
        "highest": {"group": pair.highest, "value": _number(pair.highest_value)},
    }


def _change(change: Change) -> dict[str, Any]:
    return {"value": _number(change.change), "low": _number(change.low), "high": _number(change.high)}


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
