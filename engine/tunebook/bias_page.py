"""A bias report as one page that needs no network, no script and no other file. Every name in it is escaped."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np

from tunebook import bias_words
from tunebook.bias_style import STYLE
from tunebook.bias_tracks import axis, bar, escape, mark, scale, share, signed
from tunebook.comparison import GAP_WORDS
from tunebook.figures import Page, Picture
from tunebook.group_metrics import WORDS, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunebook.bias import BiasReport
    from tunebook.comparison import Comparison

#: Rows of a plot, and columns of a table of classes, that can still be read.
_MOST_ROWS, _MOST_COLUMNS = 40, 20
_UNDEFINED = "undefined"
#: Shades of a heat map: the strongest still lets text be read on it, in light and dark.
_PALEST, _SHADES = 0.06, 0.52
#: Between these two marks stands what was found of remedies; no name from the data can look like one of them.
REMEDIES = ("<!-- remedies -->", "<!-- end of remedies -->")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_BINARY, _THREE = 2, 3
#: Longest name beside which three plots fit into a row.
_SHORT = 14


def write_page(report: BiasReport, gallery: Picture | Page | None = None) -> str:
    """
    Write a report as HTML.

    Parameters
    ----------
    report
        What is shown.
    gallery
        The worst group's most confident mistakes as pictures or texts; without it they are listed in a table.
    """
    source = report.settings.source or "predictions"
    first, *others = report.splits
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bias report: {escape(source)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{STYLE}</style></head><body>',
        f"<h1>Bias report</h1><p class='soft'>{escape(source, 200)}</p>",
        _split_part(report, first),
        *REMEDIES,
        _mistakes(report, first, gallery),
        *(
            f"<details><summary>{escape(_capital(split))} set</summary>{_split_part(report, split)}</details>"
            for split in others
        ),
        _data_notes(report),
        _reading(report),
        "</body></html>\n",
    ]
    return "".join(part for part in parts if part)


def _split_part(report: BiasReport, split: str) -> str:
    headline = report.headline(split)
    worse = " worse" if headline.startswith("The model is worse") else ""
    sections = [_attribute(report, attribute, split) for attribute in report.attributes]
    return "".join([
        f'<p class="headline{worse}">{escape(headline, 0)}</p>',
        _remarks(report.general_remarks(split)),
        _arrows(report, split),
        *sections,
    ])  # fmt: skip


def _attribute(report: BiasReport, attribute: str, split: str) -> str:
    comparison, groups = report.comparison(attribute, split), report.groups(attribute)
    tags = [{"values": "", "bins": "binned", "intersection": "intersection"}[groups.kind]]
    tags.append("derived" if groups.derived else "")
    head = "".join(f'<span class="tag">{tag}</span>' for tag in tags if tag)
    said = "".join(f"<li>{escape(sentence, 0)}</li>" for sentence in report.sentences(attribute, split))
    shown = _shown_metrics(report, comparison)
    short = max(map(len, groups.names)) <= _SHORT
    plots = "".join(_dots(report, comparison, metric) for metric in shown)
    heat = _heat_map(report, comparison) if groups.kind == "intersection" else ""
    return (
        f"<section><header><h2>{escape(attribute, 120)}</h2>{head}"
        f'<span class="soft">{escape(split)} set, n {int(comparison.counts.sum()):,}</span>{_legend(report)}</header>'
        f'<div><ul class="said">{said}</ul>{_remarks(report.remarks(attribute, split))}</div>'
        f'<div class="panels{" three" if len(shown) == _THREE and short else ""}">{plots}</div>{heat}'
        f"<div>{_gaps(report, attribute, split)}</div>"
        f"<details><summary>All metrics by group</summary>{_group_tables(report, comparison)}</details></section>"
    )


def _legend(report: BiasReport) -> str:
    tuned = f"<i></i> {escape(report.models[-1])}"
    base = f' &nbsp;<i class="base"></i> {escape(report.models[0])}' if len(report.models) > 1 else ""
    return f'<p class="legend">95 % interval {tuned}{base}</p>'


def _shown_metrics(report: BiasReport, comparison: Comparison) -> list[Metric]:
    if report.positive:
        rates = ("true_positive_rate", "false_positive_rate", "selection_rate")
        return [Metric("accuracy"), *(Metric(name, report.positive) for name in rates)]
    error = [Metric("calibration_error")] if comparison.outcomes.certainty else []
    return [Metric("accuracy"), Metric("macro_f1"), *error]


# Plots: tables with a track in each row, so that they are as wide as the screen and are read out as tables.


def _dots(report: BiasReport, comparison: Comparison, metric: Metric) -> str:
    column = comparison.column(metric.name, metric.label)
    low, high = (ends[:, :, column] for ends in comparison.intervals)
    values, counted = comparison.figures[:, :, column], comparison.counted[-1, :, column]
    order = row_order(comparison, column)
    shown = order[:_MOST_ROWS]
    ticks = scale(np.concatenate([low[:, shown].ravel(), high[:, shown].ravel()]))
    rows = []
    for group in shown:
        marks = []
        for k in range(len(report.models)):
            base = " base" if k < len(report.models) - 1 else ""
            if not math.isnan(values[k, group]):
                marks.append(bar(f"range{base}", low[k, group], high[k, group], ticks))
                marks.append(mark(f"dot{base}", values[k, group], ticks))
        value = values[-1, group]
        words = f"{value:.2f}" if not math.isnan(value) else f"<small>{_UNDEFINED}</small>"
        title = f"{value:.3f}, 95 % interval {low[-1, group]:.3f} to {high[-1, group]:.3f}"
        track = "" if math.isnan(value) else f'<div class="track" title="{title}">{"".join(marks)}</div>'
        name = comparison.groups.names[group]
        rows.append(
            f'<tr{"" if counted[group] else _SMALL}><th scope="row">{escape(name)}</th><td>{track}</td>'
            f'<td class="value">{words}</td><td class="n"><small>n {comparison.counts[group]:,}</small></td></tr>'
        )
    more = len(order) - len(shown)
    note = f'<p class="soft">{more:,} more groups are in the table below.</p>' if more else ""
    return (
        f'<div><table class="dots"><caption>{escape(_capital(str(metric)), 80)}</caption><tbody>{"".join(rows)}'
        f'<tr aria-hidden="true"><th></th><td>{axis(ticks)}</td><td class="value"></td><td class="n"></td></tr>'
        f"</tbody></table>{note}</div>"
    )


_SMALL = ' class="small"'


def row_order(comparison: Comparison, column: int) -> np.ndarray:
    """Return the groups that occur in the order in which they are shown: bins as they are, else the best first."""
    present = np.flatnonzero(comparison.counts)
    if comparison.groups.kind == "bins":
        return present
    values = np.nan_to_num(comparison.figures[-1, present, column], nan=-1.0)
    return present[np.lexsort((-values, ~comparison.counted[-1, present, column]))]


def _arrows(report: BiasReport, split: str) -> str:
    """Show each gap in accuracy and equalised odds before and after tuning."""
    rows = []
    for attribute in report.attributes:
        for name in ("accuracy", "equalized_odds", "demographic_parity"):
            change = report.change(attribute, name, split)
            if change is not None and not math.isnan(change.change):
                rows.append((attribute, name, change))
    if not rows:
        return ""
    title = "Gaps before and after tuning" if report.settings.tuned else "Gaps of the baseline and of the model"
    first, last = ("before", "after") if report.settings.tuned else ("baseline", "model")
    ticks = scale(np.array([0.0, *(end for _, _, c in rows for end in (c.before, c.after))]))
    body = []
    for attribute, name, change in rows:
        up = "up" if change.after > change.before else "down"
        low, high = sorted((change.before, change.after))
        tip = mark(f"tip {up}", change.after, ticks) if round(change.change, 4) else mark("dot", change.after, ticks)
        track = bar(f"way {up}", low, high, ticks) + mark("dot base", change.before, ticks) + tip
        clear = ' class="clear"' if change.low > 0.0 or change.high < 0.0 else ""
        body.append(
            f'<tr><th scope="row">{escape(attribute)}<br><small>{GAP_WORDS[name]}</small></th>'
            f'<td><div class="track">{track}</div></td><td{clear}>{signed(change.change)} '
            f"<small>{signed(change.low)} to {signed(change.high)}</small></td></tr>"
        )
    return (
        f"<section><header><h2>{title}</h2>"
        f'<p class="legend"><i class="base"></i> {first}, arrow to {last}; the change with its interval</p></header>'
        f'<div><table class="dots changes"><tbody>{"".join(body)}'
        f'<tr aria-hidden="true"><th></th><td>{axis(ticks)}</td><td></td></tr></tbody></table></div></section>'
    )


def _heat_map(report: BiasReport, comparison: Comparison) -> str:
    groups = comparison.groups
    if len(groups.columns) != _BINARY:
        return ""
    first, second = (
        [name for name in report.groups(column).names if any(part[k] == name for part in groups.parts)]
        for k, column in enumerate(groups.columns)
    )
    if len(first) > _MOST_ROWS or len(second) > _MOST_COLUMNS:
        return ""
    place = {part: k for k, part in enumerate(groups.parts)}
    column = comparison.column("accuracy")
    values, counted = comparison.figures[-1, :, column], comparison.counted[-1, :, column]
    known = values[counted]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    head = "".join(f'<th scope="col">{escape(name, 30)}</th>' for name in second)
    body = []
    for row in first:
        cells = []
        for other in second:
            k = place.get((row, other))
            if k is None or not comparison.counts[k]:
                cells.append('<td class="none">no example</td>')
                continue
            number = f"{values[k]:.2f}<br><small>n {comparison.counts[k]:,}</small>"
            if not counted[k]:
                cells.append(f'<td class="small">{number}</td>')
                continue
            strength = (values[k] - low) / (high - low) if high > low else 0.5
            cells.append(f'<td style="--a:{_PALEST + _SHADES * strength:.2f}">{number}</td>')
        body.append(f'<tr><th scope="row">{escape(row, 30)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table class="heat"><caption>Accuracy, {escape(report.models[-1])}: stronger is better'
        f"</caption><thead><tr><th>{escape(groups.columns[0], 30)} \\ {escape(groups.columns[1], 30)}</th>{head}</tr>"
        f"</thead><tbody>{''.join(body)}</tbody></table></div>"
    )


# Tables.


def _gaps(report: BiasReport, attribute: str, split: str) -> str:
    has_base = len(report.models) > 1
    rows = []
    for name in report.gap_names(attribute, split):
        gap, change = report.gap(attribute, name, split), report.change(attribute, name, split)
        label = escape(gap.widest.metric.label, 30) if gap.widest is not None else ""
        label = f" <small>{label}</small>" if label else ""
        head = f'<th scope="row" class="left">{_capital(GAP_WORDS[name])}{label}</th>'
        if gap.widest is None:
            rows.append(
                f'<tr class="small">{head}<td class="left" colspan="{6 if has_base else 4}">{_UNDEFINED}</td></tr>'
            )
            continue
        low, high = escape(gap.widest.lowest), escape(gap.widest.highest)
        cells = [f'<td class="left">{low} <span class="soft">to</span> {high}</td>']
        if change is not None:
            cells.append(f"<td>{share(change.before)}</td>")
        cells.append(f"<td>{share(gap.difference)} <small>{share(gap.low)} to {share(gap.high)}</small></td>")
        if change is not None:
            ends = f"<small>{signed(change.low)} to {signed(change.high)}</small>"
            cells.append(f"<td>{signed(change.change)} {ends}</td>")
        cells.append(f"<td>{share(gap.ratio)} <small>{share(gap.ratio_low)} to {share(gap.ratio_high)}</small></td>")
        clear = ' class="clear"' if gap.p < bias_words.UNLIKELY else ""
        cells.append(f"<td{clear}>{gap.p:.3f}</td>")
        rows.append(f"<tr>{head}{''.join(cells)}</tr>")
    heads = ["gap", "lowest to highest", *(["baseline"] if has_base else []), report.models[-1]]
    heads += [*(["change"] if has_base else []), "ratio", "p"]
    return _figures("Gaps between groups", heads, rows, left=2)


def _group_tables(report: BiasReport, comparison: Comparison) -> str:
    whole = ["accuracy", "macro_f1", *(["calibration_error"] if comparison.outcomes.certainty else [])]
    metrics = [Metric(name) for name in whole]
    parts = []
    if report.positive:
        names = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
        metrics += [Metric(name, report.positive) for name in names]
    for k, model in enumerate(report.models):
        parts.append(_metric_table(comparison, metrics, k, f"{model}"))
    classes = report.classes[:_MOST_COLUMNS]
    for name in ("true_positive_rate", "precision", "false_positive_rate", "selection_rate"):
        if report.positive and name != "true_positive_rate":
            continue
        title = "Recall of each class (true positive rate)" if name == "true_positive_rate" else (
            f"{_capital(WORDS[name])} of each class"
        )  # fmt: skip
        more = f", the first {_MOST_COLUMNS} of {len(report.classes)}" if len(report.classes) > _MOST_COLUMNS else ""
        columns = [Metric(name, label) for label in classes]
        table = _metric_table(comparison, columns, -1, f"{title}, {report.models[-1]}{more}", by_label=True)
        parts.append(table)
    return "".join(parts)


def _metric_table(
    comparison: Comparison, metrics: Sequence[Metric], model: int, title: str, *, by_label: bool = False
) -> str:
    low, high = comparison.intervals
    columns = [comparison.column(metric.name, metric.label) for metric in metrics]
    rows = []
    for group in np.flatnonzero(comparison.counts):
        cells = []
        for column in columns:
            value = comparison.figures[model, group, column]
            grey = "" if comparison.counted[model, group, column] else _SMALL
            ends = f"<small>{share(low[model, group, column])} to {share(high[model, group, column])}</small>"
            text = f"<small>{_UNDEFINED}</small>" if math.isnan(value) else f"{share(value)} {ends}"
            cells.append(f"<td{grey}>{text}</td>")
        grey = _SMALL if comparison.is_small[group] or comparison.groups.is_pooled[group] else ""
        name = escape(comparison.groups.names[group])
        rows.append(
            f'<tr{grey}><th scope="row" class="left">{name}</th><td>{comparison.counts[group]:,}</td>'
            f"{''.join(cells)}</tr>"
        )
    heads = ["group", "n", *(metric.label if by_label else str(metric) for metric in metrics)]
    return _figures(title, heads, rows)


def _figures(title: str, heads: Sequence[str], rows: Iterable[str], left: int = 1) -> str:
    shown = "".join(
        f'<th scope="col"{_LEFT if k < left else ""}>{escape(head, 40)}</th>' for k, head in enumerate(heads)
    )
    return (
        f'<div class="wide"><table class="figures"><caption>{escape(title, 120)}</caption>'
        f"<thead><tr>{shown}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


_LEFT = ' class="left"'


def _mistakes(report: BiasReport, split: str, gallery: Picture | Page | None) -> str:
    rows = report.worst_mistakes(split=split)
    if not len(rows):
        return ""
    attribute, group = rows.attrs["attribute"], rows.attrs["group"]
    title = f"Most confident mistakes of “{escape(group)}” <span class='soft'>by {escape(attribute)}</span>"
    if isinstance(gallery, Picture):
        data = base64.b64encode(gallery.png).decode("ascii")
        body = f'<div class="paper"><img alt="{escape(gallery.text, 2000)}" src="data:image/png;base64,{data}"></div>'
    elif isinstance(gallery, Page):
        body = f'<div class="paper">{gallery.html}</div>'
    else:
        sure = bool(report.comparison(attribute, split).outcomes.certainty)
        heads = ["example", "truth", "prediction", *(["confidence"] if sure else [])]
        listed = [
            f'<tr><th scope="row" class="left">{escape(row["id"])}</th><td class="left">{escape(row["truth"])}</td>'
            f'<td class="left">{escape(row["prediction"])}</td>'
            + (f"<td>{row['confidence']:.2f}</td>" if sure else "") + "</tr>"
            for _, row in rows.iterrows()
        ]  # fmt: skip
        body = _figures("", heads, listed, left=3)
    return f"<section><header><h2>{title}</h2></header><div>{body}</div></section>"


def _remarks(said: Sequence[str]) -> str:
    return "".join(f'<p class="remarks">{escape(sentence, 0)}</p>' for sentence in said)


def _data_notes(report: BiasReport) -> str:
    notes = report.settings.notes
    if not notes:
        return ""
    listed = "".join(f"<li>{escape(note, 0)}</li>" for note in notes)
    return f'<section><header><h2>The data</h2></header><div><ul class="said">{listed}</ul></div></section>'


def _reading(report: BiasReport) -> str:
    lines = [
        "A gap is the largest difference between two groups; its ratio is the lowest value divided by the highest.",
        "Accuracy: share of the examples that are right. Macro-F1: mean over the classes, rare ones counting as "
        "much as frequent ones. Calibration error: how far the model's confidence is from how often it is right.",
        "Demographic parity: how much more often a class is said in one group than in another. Equalised odds: the "
        "larger gap of true and false positive rate. Equal opportunity: the gap of the true positive rate. "
        + ("Of several classes each is held against the rest, and the worst one counts." if not report.positive else
           f"The rates are those of the class {report.positive!r}."),
        "95 % interval: made for the unknown true value so that 95 of 100 such intervals hold it. p: how often "
        "exchanging the group labels by chance makes a gap that is as clear, between any two groups; clear is what is "
        "large beside the gaps that chance makes between groups of that size.",
        f"Grey groups have fewer than {report.settings.minimum} examples (a rate: few of its own) and are in no gap. "
        "What cannot be computed reads undefined. A gap is no proof of its cause, and no gap is no proof of fairness.",
        "Metrics are Fairlearn's; all figures are in bias.json and bias.csv.",
    ]  # fmt: skip
    listed = "".join(f"<li>{escape(line, 0)}</li>" for line in lines)
    return f'<section><header><h2>How to read it</h2></header><div><ul class="said">{listed}</ul></div></section>'


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
