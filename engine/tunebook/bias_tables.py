"""A bias report as tables; :class:`tunebook.bias.BiasReport` says what is in each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.comparison import GAP_WORDS

if TYPE_CHECKING:
    from tunebook.bias import BiasReport


def by_metric(report: BiasReport, attribute: str, metric: str, split: str, label: str) -> pd.DataFrame:
    """Tabulate a metric by group, see :meth:`tunebook.bias.BiasReport.table`."""
    comparison = report.comparison(attribute, split)
    wanted = report.metric(metric, label)
    column = comparison.column(wanted.name, wanted.label)
    low, high = comparison.intervals
    table = pd.DataFrame({"n": comparison.counts, "counted": comparison.counted[-1, :, column]})
    for k, model in enumerate(report.models):
        table[model] = comparison.figures[k, :, column]
        table[f"{model} low"], table[f"{model} high"] = low[k, :, column], high[k, :, column]
    table.index = pd.Index(comparison.groups.names, name=attribute)
    return table[comparison.counts > 0]


def of_gaps(report: BiasReport, attribute: str, split: str) -> pd.DataFrame:
    """Tabulate the gaps of an attribute, see :meth:`tunebook.bias.BiasReport.gaps_table`."""
    rows = {}
    for name in report.gap_names(attribute, split):
        gap, change = report.gap(attribute, name, split), report.change(attribute, name, split)
        row: dict[str, Any] = {
            "lowest": gap.widest.lowest if gap.widest else "", "highest": gap.widest.highest if gap.widest else "",
            "of": gap.widest.metric.label if gap.widest else "",
            "difference": gap.difference, "low": gap.low, "high": gap.high, "ratio": gap.ratio, "p": gap.p,
        }  # fmt: skip
        if change is not None:
            row |= {
                "before": change.before, "change": change.change, "change low": change.low,
                "change high": change.high,
            }  # fmt: skip
        rows[GAP_WORDS[name]] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def by_group(report: BiasReport, split: str) -> pd.DataFrame:
    """Tabulate accuracy by group, see :meth:`tunebook.bias.BiasReport.by_group`."""
    found = []
    for attribute in report.single_attributes():
        table = report.table(attribute, "accuracy", split)
        last = report.models[-1]
        before = table[report.models[0]] if len(report.models) > 1 else pd.Series(np.nan, index=table.index)
        tidied = pd.DataFrame({
            "n": table["n"], "baseline accuracy": before, "tuned accuracy": table[last],
            "low": table[f"{last} low"], "high": table[f"{last} high"], "change": table[last] - before,
        })  # fmt: skip
        tidied.index = pd.MultiIndex.from_product([[attribute], table.index], names=["attribute", "group"])
        found.append(tidied)
    columns = ["n", "baseline accuracy", "tuned accuracy", "low", "high", "change"]
    return pd.concat(found) if found else pd.DataFrame(columns=columns)


def of_figures(report: BiasReport) -> pd.DataFrame:
    """Return every figure of every group, one a row, see :meth:`tunebook.bias.BiasReport.long_table`."""
    rows = []
    for split in report.splits:
        for attribute in report.attributes:
            comparison = report.comparison(attribute, split)
            low, high = comparison.intervals
            for k, model in enumerate(report.models):
                for group in np.flatnonzero(comparison.counts):
                    head = (split, attribute, comparison.groups.names[group], int(comparison.counts[group]), model)
                    rows += [
                        (*head, metric.name, metric.label, comparison.figures[k, group, m], low[k, group, m],
                         high[k, group, m], bool(comparison.counted[k, group, m]))
                        for m, metric in enumerate(comparison.metrics)
                    ]  # fmt: skip
    columns = [
        "split", "attribute", "group", "n", "model", "metric", "class", "value", "low", "high", "counted"
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
