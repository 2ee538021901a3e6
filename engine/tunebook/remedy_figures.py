"""The frontier: accuracy against the gap between groups, a labelled point for each remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook import figures
from tunebook.comparison import GAP_WORDS
from tunebook.figures import BEST, FAINT, TRAIN, VALIDATION, Picture, plain
from tunebook.remedy_effects import AS_TUNED, pareto_front

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from tunebook.remedy_effects import Effect

_LONGEST = 36


def frontier(effects: Sequence[Effect], attribute: str, suggested: str = "") -> Picture:
    """
    Draw accuracy against the gap, with 95 % intervals, the Pareto front, and a label for each remedy.

    Parameters
    ----------
    effects
        Of one split, one a remedy.
    attribute
        Name of the attribute.
    suggested
        The remedy that validation examples speak for.
    """
    gap, split = effects[0].gap.name, effects[0].split
    title = f"What a smaller gap by {plain(attribute, 40)} costs, {split} set"
    known = [effect for effect in effects if not np.isnan(effect.gap.difference)]
    if not known:
        words = f"{title}: no gap can be measured"
        figure = figures.new_figure(7.0, 0.8)
        figure.text(0.01, 0.5, plain(words), fontsize=9, va="center", parse_math=False)
        return Picture.of(figure, words)
    figure = figures.new_figure(8.2, max(3.6, 1.4 + 0.36 * len(known)))
    axes = figure.subplots()
    front = pareto_front([e.overall.value for e in known], [e.gap.difference for e in known])
    line = [(known[k].gap.difference, known[k].overall.value) for k in front]
    axes.step(
        *zip(*line, strict=True), where="post", color=BEST, linewidth=1.4, alpha=0.8, zorder=2, label="best trade"
    )
    for effect in known:
        colour = _colour(effect, known, front)
        x, y = effect.gap.difference, effect.overall.value
        axes.hlines(y, effect.gap.low, effect.gap.high, colors=colour, alpha=0.35, linewidth=1.2, zorder=1)
        axes.vlines(x, effect.overall.low, effect.overall.high, colors=colour, alpha=0.35, linewidth=1.2, zorder=1)
        face = colour if effect.name != AS_TUNED else "white"
        axes.scatter([x], [y], s=52, facecolors=face, edgecolors=colour, linewidths=1.6, zorder=4)
        if effect.name == suggested:
            axes.scatter([x], [y], s=170, facecolors="none", edgecolors=colour, linewidths=1.2, zorder=4)
    figures.tidy(axes, title, f"gap in {GAP_WORDS[gap]} between groups (left is fairer)", "accuracy (up is better)")
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.8)
    axes.set_xlim(left=-0.02 * axes.get_xlim()[1])
    _label(axes, known, front, suggested)
    words = "; ".join(_say(effect) for effect in effects)
    best = ", ".join(known[k].name for k in front)
    chosen = f". Validation speaks for “{suggested}”" if suggested else ""
    return Picture.of(figure, f"{title}: {words}. No other is better in both than: {best}{chosen}.")


def _colour(effect: Effect, known: Sequence[Effect], front: Sequence[int]) -> str:
    if effect.name == AS_TUNED:
        return VALIDATION
    return TRAIN if any(known[k] is effect for k in front) else FAINT


def _label(axes: Axes, known: Sequence[Effect], front: Sequence[int], suggested: str) -> None:
    """Write the names beside the axes, in the order of their points, with a line from each to its point."""
    bottom, top = axes.get_ylim()
    right = axes.get_xlim()[1]
    order = sorted(known, key=lambda effect: (effect.overall.value, -effect.gap.difference))
    wanted = np.array([(effect.overall.value - bottom) / (top - bottom) for effect in order])
    places = _spread(wanted, min(0.075, 0.98 / len(order)))
    for effect, place in zip(order, places, strict=True):
        colour = _colour(effect, known, front)
        mark = " ← validation" if effect.name == suggested else ""
        axes.annotate(
            plain(effect.name, _LONGEST) + mark,
            (effect.gap.difference, effect.overall.value),
            (right + 0.03 * right, bottom + place * (top - bottom)),
            annotation_clip=False, fontsize=8.5, va="center", color="#333333" if colour == FAINT else colour,
            arrowprops={
                "arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.45, "shrinkB": 4, "relpos": (0.0, 0.5)
            },
            parse_math=False, fontweight="bold" if effect.name == suggested else "normal",
        )  # fmt: skip


def _spread(wanted: np.ndarray, least: float) -> np.ndarray:
    """Move rising places apart until each two are ``least`` apart, between 0 and 1."""
    found = wanted.copy()
    for k in range(1, len(found)):
        found[k] = max(found[k], found[k - 1] + least)
    found -= max(found[-1] - 0.99, 0.0)
    for k in range(len(found) - 2, -1, -1):
        found[k] = min(found[k], found[k + 1] - least)
    return found


def _say(effect: Effect) -> str:
    gap, overall = effect.gap, effect.overall
    shown = (
        "gap undefined" if np.isnan(gap.difference) else f"gap {gap.difference:.3f} ({gap.low:.3f} to {gap.high:.3f})"
    )
    return f"{plain(effect.name, 60)}: accuracy {overall.value:.3f} ({overall.low:.3f} to {overall.high:.3f}), {shown}"
