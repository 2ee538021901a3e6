"""Figures of a bias report as they are kept in a notebook: PNG, each with a text that says the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tunebook import figures
from tunebook.bias_page import row_order
from tunebook.comparison import GAP_WORDS
from tunebook.errors import DataError, shown
from tunebook.figures import FAINT, TRAIN, VALIDATION, Picture, plain

if TYPE_CHECKING:
    from tunebook.bias import BiasReport

#: Rows of one figure, at most.
_MOST_ROWS = 40
_LONGEST = 28
_GREY = "#bbbbbb"
_BINARY = 2


def dots(report: BiasReport, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> Picture:
    """
    Draw a metric by group with its 95 % intervals, the baseline hollow and the tuned model filled.

    Parameters
    ----------
    report, attribute, metric, split, label
        As for :meth:`tunebook.bias.BiasReport.table`.
    """
    comparison = report.comparison(attribute, split)
    wanted = report.metric(metric, label)
    column = comparison.column(wanted.name, wanted.label)
    order = row_order(comparison, column)[:_MOST_ROWS]
    low, high = comparison.intervals
    figure = figures.new_figure(7.0, 1.1 + 0.3 * len(order))
    axes = figure.subplots()
    places = np.arange(len(order))
    counted = comparison.counted[-1, order, column]
    last = len(report.models) - 1
    for k, model in enumerate(report.models):
        values = comparison.figures[k, order, column]
        colours = np.where(counted, TRAIN if k == last else FAINT, _GREY)
        if k == last:
            axes.hlines(places, low[k, order, column], high[k, order, column], colors=list(colours), linewidth=2)
        face = list(colours) if k == last else "white"
        axes.scatter(
            values, places, s=42, facecolors=face, edgecolors=list(colours), linewidths=1.5, zorder=3, label=model
        )
    title = f"{str(wanted).capitalize()} by {plain(attribute, 40)}, {split or report.splits[0]} set"
    figures.tidy(axes, plain(title, 90))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color="#e6e6e6", linewidth=0.8)
    names = [f"{plain(comparison.groups.names[k], _LONGEST)}   n {comparison.counts[k]:,}" for k in order]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(len(order) - 0.4, -0.6)
    if len(report.models) > 1:
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    words = []
    for k in order:
        value = comparison.figures[-1, k, column]
        said = "undefined" if math.isnan(value) else (
            f"{value:.3f} ({low[-1, k, column]:.3f} to {high[-1, k, column]:.3f})"
        )  # fmt: skip
        before = comparison.figures[0, k, column]
        was = f", was {before:.3f}" if len(report.models) > 1 and not math.isnan(before) else ""
        small = "" if comparison.counted[-1, k, column] else ", too few to count"
        words.append(f"{plain(comparison.groups.names[k], 60)} {said}{was}, n {comparison.counts[k]:,}{small}")
    return Picture.of(figure, f"{title}: {'; '.join(words)}")


def arrows(report: BiasReport, split: str = "") -> Picture:
    """Draw each attribute's gaps in accuracy, equalised odds and demographic parity before and after tuning."""
    rows = [
        (attribute, name, change)
        for attribute in report.attributes
        for name in ("accuracy", "equalized_odds", "demographic_parity")
        if (change := report.change(attribute, name, split)) is not None and not math.isnan(change.change)
    ][:_MOST_ROWS]
    title = f"Gaps between groups before and after tuning, {split or report.splits[0]} set"
    figure = figures.new_figure(7.0, 0.9 + 0.3 * max(len(rows), 1))
    if not rows:
        words = f"{title}: there is no baseline, or no gap can be measured"
        figure.text(0.01, 0.5, words, fontsize=9, va="center")
        return Picture.of(figure, words)
    axes = figure.subplots()
    for place, (_, _, change) in enumerate(rows):
        colour = VALIDATION if change.after > change.before else TRAIN
        axes.scatter([change.before], [place], s=40, facecolors="white", edgecolors=FAINT, linewidths=1.5, zorder=3)
        if round(change.change, 4) == 0.0:
            axes.scatter([change.after], [place], s=14, color=colour, zorder=4)
            continue
        axes.annotate(
            "",
            (change.after, place),
            (change.before, place),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.8},
        )
    figures.tidy(axes, title, "largest difference between two groups")
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color="#e6e6e6", linewidth=0.8)
    names = [f"{plain(attribute, _LONGEST)}, {GAP_WORDS[name]}" for attribute, name, _ in rows]
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0.0)
    words = "; ".join(
        f"{plain(attribute, 60)}, {GAP_WORDS[name]}: {change.before:.3f} to {change.after:.3f} "
        f"(change {change.change:+.3f}, 95 % interval {change.low:+.3f} to {change.high:+.3f})"
        for attribute, name, change in rows
    )
    return Picture.of(figure, f"{title}: {words}")


def heat_map(report: BiasReport, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> Picture:
    """
    Draw a metric over an intersection of two attributes; groups that are too small are left white.

    Raises
    ------
    DataError
        The attribute is no intersection.
    """
    groups = report.groups(attribute)
    if groups.kind != "intersection" or len(groups.columns) != _BINARY:
        crossed = [name for name in report.attributes if report.groups(name).kind == "intersection"]
        have = ", ".join(map(repr, crossed)) or "none"
        raise DataError(f"{shown(attribute)} is no intersection of two attributes; there are: {have}")
    comparison = report.comparison(attribute, split)
    wanted = report.metric(metric, label)
    column = comparison.column(wanted.name, wanted.label)
    rows, columns = (
        [name for name in report.groups(one).names if any(part[k] == name for part in groups.parts)][:_MOST_ROWS]
        for k, one in enumerate(groups.columns)
    )
    place = {part: k for k, part in enumerate(groups.parts)}
    values = np.full((len(rows), len(columns)), np.nan)
    figure = figures.new_figure(2.2 + 0.95 * len(columns), 1.3 + 0.42 * len(rows))
    axes = figure.subplots()
    words = []
    for r, row in enumerate(rows):
        for c, other in enumerate(columns):
            k = place.get((row, other))
            if k is None or not comparison.counts[k]:
                continue
            value = comparison.figures[-1, k, column]
            counted = comparison.counted[-1, k, column]
            values[r, c] = value if counted else np.nan
            text = "undefined" if math.isnan(value) else f"{value:.2f}"
            words.append(f"{plain(groups.names[k], 60)} {text} (n {comparison.counts[k]:,})")
            axes.text(
                c,
                r,
                f"{text}\nn {comparison.counts[k]:,}",
                ha="center",
                va="center",
                fontsize=7,
                color="#333333" if counted else "#999999",
            )
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    # The darker half of the shades would hide the figures.
    image = axes.imshow(values, cmap="Blues", vmin=low - 0.05, vmax=high + max(high - low, 0.05), aspect="auto")
    figures.tidy(
        axes,
        f"{str(wanted).capitalize()}, {split or report.splits[0]} set",
        plain(groups.columns[1], 40),
        plain(groups.columns[0], 40),
    )
    axes.grid(visible=False)
    axes.set_xticks(
        range(len(columns)), [plain(name, 16) for name in columns], rotation=30, ha="right", parse_math=False
    )
    axes.set_yticks(range(len(rows)), [plain(name, _LONGEST) for name in rows], parse_math=False)
    figure.colorbar(image, ax=axes, shrink=0.7).ax.tick_params(labelsize=7)
    return Picture.of(figure, f"{str(wanted).capitalize()} by {plain(attribute, 80)}: {'; '.join(words)}")
