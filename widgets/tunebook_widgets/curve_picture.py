"""The curves as they are kept in a notebook: a PNG, and the figures as text."""

from __future__ import annotations

from string import ascii_lowercase
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook import figures, monitors
from tunebook.figures import Picture, plain
from tunebook_widgets.thinning import thin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tunebook_widgets.curve_source import CurveSource

#: Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B8548C", "#3A93C9", "#A87400", "#5B4BA8")
_DASHES = ("-", "--", ":", "-.")
#: Epochs and marks that the text tells of each run, the newest.
_MOST_ROWS = 30
_MOST_MARKS = 12
#: Commands that change no curve.
_PASSING = ("pause", "resume", "stop", "histograms")
_WIDTH = 400


def picture(sources: Sequence[CurveSource]) -> Picture:
    """
    Draw loss, score and learning rate of some runs, with what happened marked, and tell them as text.

    Parameters
    ----------
    sources
        The runs; those of one call are drawn in one picture.
    """
    figure = figures.new_figure(10.0, 3.4)
    loss, score, rate = figure.subplots(1, 3, width_ratios=[1.2, 1.2, 0.8])
    figures.tidy(loss, "Loss", "step")
    figures.tidy(rate, "Learning rate", "step")
    name = _score(sources)
    title = monitors.words(name)
    figures.tidy(score, title[:1].upper() + title[1:], "step")
    for number, source in enumerate(sources):
        one = len(sources) == 1
        colours = _COLOURS[:2] if one else (_COLOURS[number % len(_COLOURS)],) * 2
        dash = _DASHES[number // len(_COLOURS) % len(_DASHES)]
        prefix = "" if one else f"{plain(source.name, 24)}: "
        _steps(loss, source, colours[0], f"{prefix}train, each step" if one else "")
        for axes, metric in ((loss, "loss"), (score, name)):
            _epochs(axes, source, f"{metric}/train", colours[0], ":" if not one else "-", f"{prefix}train" * one)
            _epochs(axes, source, monitors.curve(metric), colours[1], dash, f"{prefix}validation")
        for tag in source.curves.tags:
            if tag.startswith("lr/"):
                points = _line(source, tag)
                rate.plot(points[:, 0], points[:, 1], color=colours[0], linestyle=dash, linewidth=1)
    if len(sources) == 1:
        _mark(loss, sources[0], letters=True)
        _mark(score, sources[0], letters=True)
        if caption := _caption(sources[0]):
            figure.supxlabel(caption, fontsize=7, x=0.01, ha="left", color="#666666", parse_math=False)
    for axes in (loss, score):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, frameon=False)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.yaxis.get_offset_text().set_fontsize(7)
    return Picture.of(figure, text(sources))


def text(sources: Sequence[CurveSource]) -> str:
    """Tell the curves of some runs as a table: one line an epoch, then what happened at which step."""
    return "\n\n".join("\n".join(_lines(source)) for source in sources) or "no runs"


def _lines(source: CurveSource) -> list[str]:
    history, best = source.history(), source.best()
    lines = [f"{plain(source.name)}: {source.state or 'event files'}"]
    if history:
        names = ["train loss", "valid loss", "accuracy", "macro-F1"]
        names += [plain(monitors.words(source.monitor), 24)] if "monitored" in history[0] else []
        lines.append("  ".join([f"{'epoch':>5}", f"{'step':>8}", *(f"{name:>10}" for name in names)]))
        width = max(10, len(names[-1]))
        lines += [_row(row, width, is_best=row["step"] == best) for row in history[-_MOST_ROWS:]]
    else:
        lines += _last_values(source) or ["no points yet"]
    marks = source.marks()[-_MOST_MARKS:]
    lines += [f"step {step:,.0f}: {plain(words, 120)}" for step, words in marks]
    if source.words:
        lines.append(plain(source.words))
    if source.curves.damaged:
        count = source.curves.damaged
        lines.append(f"{count} damaged {'record was' if count == 1 else 'records were'} skipped")
    return lines


def _row(row: dict[str, Any], width: int, *, is_best: bool) -> str:
    train, validation = row["train"], row["validation"]
    chosen = f"  {row['monitored']:>{width}.4f}" if "monitored" in row else ""
    return (
        f"{row['epoch']:>5}  {row['step']:>8,.0f}  {train['loss']:>10.4f}  {validation['loss']:>10.4f}  "
        f"{validation['accuracy']:>10.4f}  {validation['macro_f1']:>10.4f}{chosen}{' *' * is_best}"
    )


def _last_values(source: CurveSource) -> list[str]:
    lines = []
    for tag in source.curves.tags[:_MOST_ROWS]:
        points = source.curves.points(tag)
        if len(points):
            lines.append(f"{plain(tag, 60)}: {points[-1, 1]:.5g} at step {points[-1, 0]:,.0f}, {len(points):,} points")
    return lines


def _score(sources: Sequence[CurveSource]) -> str:
    """Return what is drawn beside the loss: what chooses the best epoch, where that is one for all and another one."""
    chosen = {source.monitor for source in sources}
    found = next(iter(chosen)) if len(chosen) == 1 else "accuracy"
    is_logged = any(monitors.curve(found) in source.curves.tags for source in sources)
    return found if is_logged and found != "loss" else "accuracy"


def _line(source: CurveSource, tag: str) -> NDArray[np.float64]:
    """Return steps and values of a curve, thinned to what a picture can show."""
    if tag not in source.curves.tags:
        return np.empty((0, 2))
    rows = thin(source.curves.points(tag), _WIDTH)
    return np.stack([rows.steps, rows.values.astype(np.float64)], axis=1)


def _steps(axes: Axes, source: CurveSource, colour: str, label: str) -> None:
    points = _line(source, "train/loss")
    if len(points):
        axes.plot(points[:, 0], points[:, 1], color=colour, alpha=0.25, linewidth=0.8, label=label or None)
        # The first steps of a new head can be ten times the rest and would flatten everything else.
        finite = points[np.isfinite(points[:, 1]), 1]
        if len(finite):
            top = max(axes.get_ylim()[1] if axes.lines[:-1] else 0.0, 1.15 * float(np.quantile(finite, 0.98)))
            axes.set_ylim(min(0.0, float(finite.min())), top if top > 0.0 else None)


def _epochs(axes: Axes, source: CurveSource, tag: str, colour: str, dash: str, label: str) -> None:
    points = _line(source, tag)
    if len(points):
        marker = "o" if len(points) <= 40 else ""  # noqa: PLR2004
        axes.plot(
            points[:, 0], points[:, 1], color=colour, linestyle=dash, linewidth=1.5, label=label or None, marker=marker,
            markersize=3.0,
        )  # fmt: skip


def _mark(axes: Axes, source: CurveSource, *, letters: bool) -> None:
    for number, step in enumerate(_events(source)):
        axes.axvline(step, color=figures.FAINT, linestyle=":", linewidth=1)
        if letters and number < _MOST_MARKS:
            axes.annotate(
                ascii_lowercase[number], (step, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                fontsize=7, color="#666666",
            )  # fmt: skip
    best = source.best()
    if best is not None:
        axes.axvline(best, color=figures.BEST, linewidth=1.2, alpha=0.7, label="best epoch")


def _events(source: CurveSource) -> dict[float, str]:
    """Return what changed the curves, by step; what happened at one step is one line."""
    found: dict[float, list[str]] = {}
    for step, words in source.marks():
        if words not in _PASSING:
            found.setdefault(step, []).append(plain(words.removeprefix("stage: "), 60))
    return {step: ", ".join(words) for step, words in found.items()}


def _caption(source: CurveSource) -> str:
    """Return what the letters above the curves stand for."""
    events = list(_events(source).items())[:_MOST_MARKS]
    words = [f"{ascii_lowercase[k]}: {said} (step {step:,.0f})" for k, (step, said) in enumerate(events)]
    return "\n".join(wrap("  ·  ".join(words), 175))
