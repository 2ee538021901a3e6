"""What may choose the best epoch, or be what a search is for: names, which way is better, and the curve of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tunebook.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Metrics of a validation set that may be chosen by, as :func:`tunebook.metrics.measure` calls them, and in words.
WORDS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "specificity": "specificity",
    "loss": "loss",
    "ece": "calibration error",
}
#: The largest difference in accuracy between two groups, of all attributes or of one.
GAP = "gap"
#: Metrics of each class against the rest; their mean over the classes has the same name.
OF_ONE_CLASS = ("roc_auc", "average_precision", "specificity")
#: Of these less is better.
LESS_IS_BETTER = frozenset({"loss", "ece", GAP})
#: How they are written, for error lines and help.
FORMS = f"{', '.join(WORDS)}, {GAP} or {GAP}:attribute"
#: Tag under which training writes the epoch that is the best so far.
BEST_EPOCH = "best/epoch"
#: Prefix of the tags of gaps, each with its attribute behind it.
GAPS = "gap/"
#: Curves whose tag is not the metric's own name.
_CURVES = {"ece": "calibration_error/validation", GAP: "largest_gap/validation"}


def check_monitor(text: str) -> str:
    """
    Return the name of what may be chosen by, if it is one.

    Raises
    ------
    ValueError
        It is none; the message says what comes nearest.
    """
    name, colon, attribute = text.partition(":")
    if name == GAP and (attribute or not colon):
        return text
    if name in WORDS and not colon:
        return text
    raise ValueError(f"no such metric{did_you_mean(name, [*WORDS, GAP])}")


def larger_is_better(monitor: str) -> bool:
    """Say whether more of a metric, or of a gap, is better."""
    return monitor.partition(":")[0] not in LESS_IS_BETTER


def words(monitor: str) -> str:
    """Return what a metric or a gap is called in words."""
    name, _, attribute = monitor.partition(":")
    return WORDS.get(name) or (f"gap by {attribute}" if attribute else "largest gap")


def curve(monitor: str) -> str:
    """Return the tag of the curve that shows a metric or a gap of the validation set."""
    name, _, attribute = monitor.partition(":")
    return f"{GAPS}{attribute}" if attribute else _CURVES.get(name, f"{name}/validation")


def undefined(monitor: str, counts: Sequence[int], total: int) -> str:
    """
    Say why a metric is undefined for every class of a validation set; empty where it is not.

    Parameters
    ----------
    monitor
        As for :func:`monitored`.
    counts, total
        Examples of each class, and of all.
    """
    if monitor not in OF_ONE_CLASS or any(0 < count < total for count in counts):
        return ""
    return (
        f"{words(monitor)} compares the examples of a class with others, and the {total} of the validation set are all "
        "alike; choose accuracy or loss, or keep more with validation_fraction"
    )


def monitored(metrics: Mapping[str, Any], monitor: str) -> float:
    """
    Return what chooses the best epoch, made so that more is better.

    Parameters
    ----------
    metrics
        Of the validation set, see :func:`tunebook.metrics.measure`; for a gap with ``gaps``, attribute -> gap.
    monitor
        One of :data:`WORDS`, ``"gap"`` (the largest of all attributes) or ``"gap:attribute"``.

    Returns
    -------
    float
        The value, with its sign changed where less is better. What is undefined is the worst, minus infinity.
    """
    value = measured(metrics, monitor)
    if not math.isfinite(value):
        return -math.inf
    return value if larger_is_better(monitor) else -value


def measured(metrics: Mapping[str, Any], monitor: str) -> float:
    """Return a metric or a gap as it was measured, for the same parameters as :func:`monitored`; NaN if undefined."""
    name, _, attribute = monitor.partition(":")
    if name != GAP:
        value = metrics.get(name)
        return math.nan if value is None else float(value)
    gaps = metrics.get("gaps", {})
    values = [gaps.get(attribute)] if attribute else list(gaps.values())
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    return max(known) if known and len(known) == len(values) else math.nan


def is_better(score: float, loss: float, best: Mapping[str, float]) -> bool:
    """
    Say whether an epoch is better than the best one before it.

    Parameters
    ----------
    score, loss
        From :func:`monitored`, and the loss of the same validation set.
    best
        ``score`` and ``loss`` of the best epoch before; empty where there is none.
    """
    # Equal scores are common on small validation sets: the smaller loss decides.
    return not best or (score, -loss) > (best["score"], -best["loss"])
