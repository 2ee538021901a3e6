"""A bias report as a cell keeps it: headline, dot plot and table, as PNG, as HTML and as text, without any widget."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tunebook import figures
from tunebook.bias_page import row_order
from tunebook.figures import Page, Picture, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.bias import BiasReport

#: Rows of the table, at most; all of them are in ``bias.csv``.
_MOST_ROWS = 60
_LONGEST = 60
#: Characters of the headline in a line of the picture, and how high a line is, in inches.
_LINE, _HEIGHT = 104, 0.2
#: Inks beside the palette of the figures: what is bad news, what is plain, what is too small to count.
_ALERT, _INK, _FAINT = "#b34700", "#1b1f24", "#8a9199"


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
    listed = "".join(f"<li>{_escape(sentence)}</li>" for sentence in said)
    parts = [
        f"<p><strong>{_escape(headline)}</strong></p>",
        "" if plot is None else _image(plot),
        table.html(plain(title, 120)),
        f"<ul>{listed}</ul>" if listed else "",
    ]
    return Page("".join(parts), "\n".join(text).rstrip())


def _image(plot: Picture) -> str:
    data = base64.b64encode(plot.png).decode("ascii")
    return f'<p><img alt="{_escape(plain(plot.text, 1500))}" src="data:image/png;base64,{data}"></p>'


@dataclass(frozen=True)
class _Table:
    """Cells as text, and which rows are of groups that are too small to count."""

    heads: list[str]
    rows: list[list[str]]
    small: list[bool]

    def lines(self) -> list[str]:
        """Return it as text, the first column to the left and the others to the right."""
        marked = [
            [f"[{row[0]}]" if small else row[0], *row[1:]] for row, small in zip(self.rows, self.small, strict=True)
        ]
        columns = list(zip(self.heads, *marked, strict=True))
        widths = [max(map(len, column)) for column in columns]
        aligned = [
            [cell.rjust(width) if k else cell.ljust(width) for cell in column]
            for k, (column, width) in enumerate(zip(columns, widths, strict=True))
        ]
        return ["  ".join(line).rstrip() for line in zip(*aligned, strict=True)]

    def html(self, title: str) -> str:
        """Return it as HTML that needs no style sheet: a notebook strips those from what it does not trust."""
        body = []
        for row, small in zip(self.rows, self.small, strict=True):
            ink = f' style="color:{_FAINT}"' if small else ""
            body.append(f"<tr{ink}>{_cells('td', row)}</tr>")
        return (
            f"<table><caption>{_escape(title)}</caption><thead><tr>{_cells('th', self.heads)}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def _table(report: BiasReport, attribute: str, metric: str, split: str, label: str) -> tuple[_Table, int]:
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
    return _Table(heads, rows, list(~comparison.counted[-1, shown, column])), len(order) - len(shown)


def _share(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.2f}"


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(
        f'<{tag} style="text-align:{"right" if k else "left"}">{_escape(text)}</{tag}>' for k, text in enumerate(texts)
    )


def _escape(text: str) -> str:
    return html.escape(plain(text))
