"""What a bias report says in sentences of one attribute, or of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook import bias_words

if TYPE_CHECKING:
    from tunebook.bias import BiasReport
    from tunebook.groups import Groups


def sentences(report: BiasReport, attribute: str, split: str) -> list[str]:
    """Say what an attribute's gaps are, see :meth:`tunebook.bias.BiasReport.sentences`."""
    said = []
    for name in report.gap_names(attribute, split):
        sentence = bias_words.gap_sentence(report.gap(attribute, name, split))
        # Macro-F1 says much the same as accuracy, and equal opportunity is half of equalised odds.
        if sentence and name not in ("macro_f1", "equal_opportunity"):
            change = bias_words.change_sentence(report.change(attribute, name, split), tuned=report.settings.tuned)
            said.append(f"{sentence} {change}".rstrip())
    return said


def remarks(report: BiasReport, attribute: str, split: str) -> list[str]:
    """Say what a reader must know of an attribute, see :meth:`tunebook.bias.BiasReport.remarks`."""
    groups, comparison = report.groups(attribute), report.comparison(attribute, split)
    derived = [f"Derived, not recorded: {groups.derived}."] if groups.derived else []
    said = [*derived, *groups.notes, *bias_words.notes_on_groups(comparison)]
    return [*said, *_differences(report, groups)]


def _differences(report: BiasReport, groups: Groups) -> list[str]:
    """Say which groups are in one split and not in another."""
    if groups.kind == "intersection" or len(report.splits) < 2:  # noqa: PLR2004
        return []
    splits = report.predictions["split"].to_numpy()
    occurs = {split: groups.counts(np.flatnonzero(splits == split)) > 0 for split in report.splits}
    said = []
    for split, present in occurs.items():
        only = [bias_words.name_group(groups.names[k]) for k in np.flatnonzero(~present)]
        if only and present.any():
            listed = ", ".join(only[:5]) + (f" and {len(only) - 5} more" if len(only) > 5 else "")  # noqa: PLR2004
            said.append(f"Not in the {split} set: {listed}.")
    return said


def general_remarks(report: BiasReport, split: str) -> list[str]:
    """Say what holds for all attributes, see :meth:`tunebook.bias.BiasReport.general_remarks`."""
    if not report.attributes:
        return []
    comparison = report.comparison(report.attributes[0], split)
    said = [report.settings.decided] if report.settings.decided else []
    said += bias_words.notes_on_outcomes(comparison)
    if comparison.outcomes.left_out:
        said.append(f"{comparison.outcomes.left_out:,} rows have no prediction of each model and were left out.")
    compared = sum(report.gap(attribute, "accuracy", split).widest is not None for attribute in report.attributes)
    if compared > 1:
        said.append(
            f"Each p-value is of one gap alone; of {compared} attributes and intersections without any true gap "
            f"about {compared * bias_words.UNLIKELY:.1f} would fall below {bias_words.UNLIKELY}."
        )
    return said
