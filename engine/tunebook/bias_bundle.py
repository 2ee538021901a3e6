"""A bias report as a cell keeps it: headline, dot plot and table, as PNG, as HTML and as text, without any widget."""

from __future__ import annotations

import base64
import html
import io
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tunebook import figures
from tunebook.bias_page import row_order
from tunebook.cell_tables import Table, escape, picture_html
from tunebook.figures import Page, Picture, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.bias import BiasReport

#: Rows of the table, at most; all of them are in ``bias.csv``.
_MOST_ROWS = 60
_LONGEST = 60
#: Characters of the headline in a line of the picture, and how high a line is, in inches.
_LINE, _HEIGHT = 104, 0.2
#: Inks beside the palette of the figures: what is bad news, and what is plain.
_ALERT, _INK = "#b34700", "#1b1f24"


def mime_bundle(
    report: BiasReport, attribute: str = "", metric: str = "accuracy", split: str = "", label: str = ""
) -> dict[str, str]:
    """
    Return what a cell's output holds of a report; each of its forms says the same.

    Parameters
    ----------
    report
        What is shown.
    attribute
        Which of its attributes; the one with the clearest gap in accuracy when empty.
    metric, split, label
        As for :meth:`tunebook.bias.BiasReport.table`.

    Returns
    -------
    dict
        ``image/png`` in base64, where there are groups to draw; ``text/html``; and ``text/plain``.

    Raises
    ------
    DataError
        There is no such attribute, metric, split or class.
    """
    attribute = attribute or first_attribute(report, split)
    if not attribute:
        words = report.headline(split)
        return {"text/html": f"<p>{html.escape(words)}</p>", "text/plain": words}
    plot = report.figure(attribute, metric, split, label)
    shown = page(report, attribute, metric, split, label, plot)
    return {
        "image/png": base64.b64encode(picture(report, plot, split).png).decode("ascii"),
        "text/html": shown.html,
        "text/plain": shown.text,
    }


def first_attribute(report: BiasReport, split: str = "") -> str:
    """Return the attribute that a reader should see first: with the clearest gap in accuracy; "" if there is none."""
    worst = report.worst(split)
    return worst[0] if worst else next(iter(report.attributes), "")


def picture(report: BiasReport, plot: Picture, split: str = "") -> Picture:
    """
    Write the headline above a figure.

    Parameters
    ----------
    report
        Whose headline it is.
    plot
        The figure.
    split
        What the headline is of; the first of the report's splits when empty.
    """
    words = report.headline(split)
    lines = wrap(plain(words), _LINE)
    figure = figures.new_figure(7.0, 0.12 + _HEIGHT * len(lines))
    ink = _ALERT if words.startswith("The model is worse") else _INK
    figure.text(0.012, 0.5, "\n".join(lines), fontsize=9, va="center", color=ink, parse_math=False)
    return Picture(_stacked([Picture.of(figure, words).png, plot.png]), f"{words}\n{plot.text}")


def _stacked(pngs: Sequence[bytes]) -> bytes:
    """Put pictures below each other."""
    images = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    width, height = max(image.width for image in images), sum(image.height for image in images)
    whole = Image.new("RGB", (width, height), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    stream = io.BytesIO()
    whole.quantize(256).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def page(
    report: BiasReport,
    attribute: str,
    metric: str = "accuracy",
    split: str = "",
    label: str = "",
    plot: Picture | None = None,
) -> Page:
    """
    Write headline, sentences and the table of a metric by group.

    Parameters
    ----------
    report, attribute, metric, split, label
        As for :meth:`tunebook.bias.BiasReport.table`.
    plot
        What the page shows above the table.
    """  # fmt: skip
    headline = report.headline(split)
    said = [*report.sentences(attribute, split), *report.remarks(attribute, split)]
    wanted = report.metric(metric, label)
    title = f"{str(wanted).capitalize()} by {attribute}, {split or report.splits[0]} set"
    table, left_out = _table(report, attribute, metric, split, label)
    if left_out:
        said.append(f"{left_out:,} more groups are in bias.csv.")
    if any(table.small):
        said.append("Grey, or in brackets: too few examples to count in gaps.")
    text = [headline, "", plain(title, 120), *table.lines(), "", *said]
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
    parts = [
        f"<p><strong>{escape(headline)}</strong></p>",
        "" if plot is None else picture_html(plot),
        table.html(plain(title, 120)),
        f"<ul>{listed}</ul>" if listed else "",
    ]
    return Page("".join(parts), "\n".join(text).rstrip())


def _table(report: BiasReport, attribute: str, metric: str, split: str, label: str) -> tuple[Table, int]:
    """Return the table of a metric by group, and the number of groups left out of it."""
    comparison, wanted = report.comparison(attribute, split), report.metric(metric, label)
    column = comparison.column(wanted.name, wanted.label)
    low, high = (ends[-1, :, column] for ends in comparison.intervals)
    order = row_order(comparison, column)
    shown = order[:_MOST_ROWS]
    rows, has_base = [], len(report.models) > 1
    for group in shown:
        value, before = (comparison.figures[k, group, column] for k in (-1, 0))
        ends = "" if np.isnan(value) else f"{low[group]:.2f} to {high[group]:.2f}"
        change = "" if np.isnan(value - before) else f"{value - before:+.2f}".replace("-", "\N{MINUS SIGN}")
        rows.append([
            plain(comparison.groups.names[group], _LONGEST), f"{comparison.counts[group]:,}",
            *([_share(before)] if has_base else []), _share(value), ends, *([change] if has_base else []),
        ])  # fmt: skip
    models = [report.models[0]] if has_base else []
    heads = [
        plain(attribute, _LONGEST),
        "n",
        *models,
        report.models[-1],
        "95 % interval",
        *(["change"] if has_base else []),
    ]
    return Table(heads, rows, list(~comparison.counted[-1, shown, column])), len(order) - len(shown)


def _share(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.2f}"
