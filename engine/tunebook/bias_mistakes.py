"""The mistakes that a model makes in the group that it is worst for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook import bias_words

if TYPE_CHECKING:
    import pandas as pd

    from tunebook.bias import BiasReport
    from tunebook.examples import Examples
    from tunebook.figures import Page, Picture


def worst_mistakes(report: BiasReport, count: int, split: str) -> pd.DataFrame:
    """Return the most confident ones, see :meth:`tunebook.bias.BiasReport.worst_mistakes`."""
    worst = report.worst(split)
    if worst is None:
        return report.predictions.iloc[:0]
    attribute, group = worst
    comparison = report.comparison(attribute, split)
    outcomes, groups = comparison.outcomes, comparison.groups
    inside = groups.codes[outcomes.rows] == groups.names.index(group)
    wrong = np.flatnonzero(inside & ~outcomes.right(len(report.models) - 1))
    rows = report.predictions.iloc[outcomes.rows[wrong]]
    sure = np.zeros(len(wrong))
    if outcomes.certainty:
        how_sure, right = outcomes.certainty[-1]
        sure = np.where(right, 0.0, how_sure).max(axis=1)[wrong]
    found = rows.assign(confidence=sure).sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    found = found.head(count)
    found.attrs.update(attribute=attribute, group=group)
    return found


def gallery(report: BiasReport, examples: Examples, task: str, count: int, split: str) -> Picture | Page | None:
    """Show them as pictures or texts, see :meth:`tunebook.bias.BiasReport.mistakes`."""
    from tunebook.tasks import get_task  # noqa: PLC0415

    rows = report.worst_mistakes(count, split)
    place = {name: k for k, name in enumerate(examples.frame["id"])}
    known = rows[rows["id"].isin(place)]
    if not len(known):
        return None
    said = zip(*(known[c].tolist() for c in ("prediction", "confidence", "truth")), strict=True)
    captions = [f"{prediction or 'none'} {sure:.0%}\nis {truth or 'none'}" for prediction, sure, truth in said]
    title = f"Most confident mistakes of {bias_words.name_group(rows.attrs['group'])}, {split} set"
    return get_task(task).gallery(examples, [place[i] for i in known["id"]], captions, title)
