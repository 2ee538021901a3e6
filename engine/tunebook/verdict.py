"""Over-fitting, under-fitting, unbalanced, or fine: in words, with the figures that say so and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook.metrics import standard_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Gap of accuracy between training and validation that is worth a word, beyond what chance makes.
_GAP = 0.05
#: Rise of the validation loss above its lowest, as a share, that is worth a word.
_RISE = 0.15
#: Share of the training loss that an epoch at the end still takes away when training ended too early.
_STILL_FALLING = 0.05
#: Recall of a class below the mean by this much is worth a word.
_LAGGING = 0.25


@dataclass(frozen=True)
class Verdict:
    """
    What the curves say about a run.

    Attributes
    ----------
    name
        ``over-fitting``, ``under-fitting``, ``unbalanced`` or ``fine``.
    reason
        The figures that say so, one sentence.
    curve
        Tags of the curves that show it.
    advice
        Parameters that would help, one sentence; empty when it is fine.
    """

    name: str
    reason: str
    curve: str
    advice: str = ""

    def __repr__(self) -> str:
        return " ".join(
            part for part in (f"Verdict: {self.name}. {self.reason}", f"(curves: {self.curve})", self.advice) if part
        )

    def _repr_markdown_(self) -> str:
        advice = f"\n\n{self.advice}" if self.advice else ""
        return f"**Verdict: {self.name}.** {self.reason} *(Curves: {self.curve})*{advice}"


def judge(
    history: Sequence[Mapping[str, Any]],
    best: int,
    counts: Mapping[str, int],
    baseline_accuracy: float | None = None,
    regularisers: str = "dropout, weight_decay",
) -> list[Verdict]:
    """
    Judge a run by its curves.

    Parameters
    ----------
    history
        One row an epoch, with ``train`` and ``validation`` metrics of the model as evaluated.
    best
        The epoch that was kept, from 1.
    counts
        Training examples by class.
    baseline_accuracy
        Validation accuracy of the baseline.
    regularisers
        Parameters of the recipe of which more works against over-fitting.

    Returns
    -------
    list of Verdict
        The main one first; only ``fine`` where nothing else is to be said.
    """
    row = history[best - 1]
    train, validation = row["train"], row["validation"]
    found = [
        *_overfitting(history, best, regularisers),
        *_underfitting(history, best, baseline_accuracy),
        *_unbalanced(row, counts),
    ]
    if not found:
        reason = (
            f"Accuracy is {train['accuracy']:.3f} in training and {validation['accuracy']:.3f} in validation, "
            f"a gap within what chance makes, and the loss no longer falls."
        )
        found = [Verdict("fine", reason, "loss/train, loss/validation")]
    return found


def _overfitting(history: Sequence[Mapping[str, Any]], best: int, regularisers: str) -> list[Verdict]:
    row, last = history[best - 1], history[-1]
    lowest = min(history, key=lambda r: float(r["validation"]["loss"]))
    gap = row["train"]["accuracy"] - row["validation"]["accuracy"]
    chance = 2.0 * standard_error(row["validation"]["accuracy"], row["validation"]["n"])
    risen = last["validation"]["loss"] > (1.0 + _RISE) * lowest["validation"]["loss"]
    fell = last["train"]["loss"] < lowest["train"]["loss"]
    advice = f"More {regularisers}, fewer unfrozen stages (freeze, unfreeze), or more examples would help"
    if risen and fell:
        reason = (
            f"Validation loss rose from {lowest['validation']['loss']:.3f} (epoch {lowest['epoch']}) to "
            f"{last['validation']['loss']:.3f} while training loss fell to {last['train']['loss']:.3f}."
        )
        return [
            Verdict("over-fitting", reason, "loss/train, loss/validation", f"{advice}; patience would end it in time.")
        ]
    if gap > _GAP + chance:
        reason = (
            f"Accuracy is {row['train']['accuracy']:.3f} in training and {row['validation']['accuracy']:.3f} in "
            f"validation; chance alone would make a gap of about {chance:.2f}."
        )
        return [Verdict("over-fitting", reason, "accuracy/train, accuracy/validation", f"{advice}.")]
    return []


def _underfitting(history: Sequence[Mapping[str, Any]], best: int, baseline: float | None) -> list[Verdict]:
    row, last = history[best - 1], history[-1]
    accuracy = row["validation"]["accuracy"]
    chance = standard_error(accuracy, row["validation"]["n"])
    advice = "More epochs, a higher lr, more unfrozen stages (unfreeze), or less dropout would help."
    if baseline is not None and accuracy < baseline - chance:
        reason = f"Validation accuracy {accuracy:.3f} stays below the untuned baseline's {baseline:.3f}."
        return [Verdict("under-fitting", reason, "accuracy/validation", advice)]
    if len(history) > 1 and best == len(history) and last["validation"]["loss"] < history[-2]["validation"]["loss"]:
        before = history[-2]["validation"]["loss"]
        falling = (before - last["validation"]["loss"]) / max(before, 1e-9)
        gap = last["train"]["accuracy"] - accuracy
        if falling > _STILL_FALLING and gap < _GAP + 2.0 * chance and last["train"]["accuracy"] < 0.97:  # noqa: PLR2004
            reason = (
                f"Validation loss still fell by {falling:.0%} in the last epoch (to {last['validation']['loss']:.3f}), "
                f"and training accuracy is only {last['train']['accuracy']:.3f}."
            )
            return [Verdict("under-fitting", reason, "loss/validation, accuracy/train", advice)]
    return []


def _unbalanced(row: Mapping[str, Any], counts: Mapping[str, int]) -> list[Verdict]:
    recall = {name: value for name, value in row["validation"]["recall"].items() if value is not None}
    if len(recall) < 2:  # noqa: PLR2004
        return []
    mean = sum(recall.values()) / len(recall)
    worst = min(recall, key=lambda name: recall[name])
    middle = sorted(counts.values())[len(counts) // 2]
    if recall[worst] < mean - _LAGGING and counts[worst] < middle:
        reason = (
            f"Class {worst!r} has recall {recall[worst]:.2f} where the mean is {mean:.2f}; it has "
            f"{counts[worst]} training examples, and the largest class {max(counts.values())}."
        )
        ways = "class_weights='balanced' or sampler='balanced'"
        ways = f"threshold='f1', {ways}" if len(counts) == 2 else ways  # noqa: PLR2004
        advice = f"{ways} would help, or more examples of it."
        return [Verdict("unbalanced", reason, f"recall/{worst}", advice)]
    return []
