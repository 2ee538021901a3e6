"""The control panel as a picture: what a saved notebook shows without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunebook import figures
from tunebook.figures import Picture, plain
from tunebook_widgets.layers import FROZEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tunebook_widgets.panel import ControlPanel

#: Stages above which the smallest are drawn together.
_MOST_ROWS = 28
#: Classes above which they are not drawn one by one.
_MOST_CLASSES = 16


def draw(panel: ControlPanel) -> Picture:
    """
    Draw stages with their share of parameters and when they train, and classes with their counts and weights.

    Parameters
    ----------
    panel
        The panel.
    """
    stages = min(len(panel.stages), _MOST_ROWS)
    classes = min(len(panel.classes.classes), _MOST_CLASSES)
    rows = max(stages, classes)
    figure = figures.new_figure(10.0, 1.1 + 0.24 * rows)
    share, time, counted = figure.subplots(1, 3, width_ratios=[1.1, 0.9, 1.0])
    _draw_shares(panel, share, stages)
    _draw_plan(panel, time, stages)
    _draw_classes(panel, counted, classes)
    words = " · ".join(f"{part['value']} {part['label']}" for part in panel.figures()["figures"])
    figure.supxlabel(words, fontsize=9, x=0.01, ha="left", parse_math=False)
    return Picture.of(figure, panel.text())


def _draw_shares(panel: ControlPanel, axes: Axes, count: int) -> None:
    items = panel.stages.items[-count:]
    total = max(sum(stage.size for stage in panel.stages.items), 1)
    names = [plain(stage.name, 24) for stage in items]
    trained = _first_epochs(panel)[-count:]
    colours = [figures.FAINT if first is None else figures.TRAIN for first in trained]
    bars = axes.barh(range(count), [stage.size / total for stage in items], color=colours, height=0.62)
    axes.bar_label(bars, [f"{stage.size:,}" for stage in items], fontsize=7, padding=3)
    axes.set_yticks(range(count), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.25 * max(stage.size / total for stage in items))
    left = len(panel.stages) - count
    figures.tidy(axes, "Stages, share of parameters" + (f" (first {left} not drawn)" if left else ""))
    axes.grid(visible=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _draw_plan(panel: ControlPanel, axes: Axes, count: int) -> None:
    epochs = panel.recipe.epochs
    phases = panel.plan.phases
    states = [panel.layers.states(phase.frozen) for phase in phases]
    heads = [row for row, depth in enumerate(panel.layers.depths) if depth == 0][-count:]
    for number, phase in enumerate(phases):
        end = phases[number + 1].epoch if number + 1 < len(phases) else epochs
        for place, row in enumerate(heads):
            if states[number][row] != FROZEN and end > phase.epoch:
                axes.barh(place, end - phase.epoch, left=phase.epoch, color=figures.TRAIN, height=0.62)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(0, epochs)
    ticks = sorted({0, epochs, *(phase.epoch for phase in phases if phase.epoch < epochs)})
    axes.set_xticks(ticks)
    figures.tidy(axes, "Trains", "epochs done")
    axes.grid(visible=True, axis="x", color="#e6e6e6", linewidth=0.8)


def _draw_classes(panel: ControlPanel, axes: Axes, count: int) -> None:
    table = panel.classes
    order = sorted(range(len(table.classes)), key=lambda number: -int(table.counts["train"][number]))[:count]
    weights = table.weights(panel.recipe, "class_weights")
    counts = [int(table.counts["train"][number]) for number in order]
    bars = axes.barh(range(count), counts, color=figures.TRAIN, alpha=0.75, height=0.62)
    axes.bar_label(
        bars,
        [f"{n:,} \N{MULTIPLICATION SIGN} {weights[k]:.2g}" for n, k in zip(counts, order, strict=True)],
        fontsize=7,
        padding=3,
    )
    axes.set_yticks(range(count), [plain(table.classes[number], 20) for number in order], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35 * max(counts, default=1))
    left = len(table.classes) - count
    figures.tidy(axes, "Classes, examples \N{MULTIPLICATION SIGN} weight" + (f" ({left} more)" if left else ""))
    axes.grid(visible=False)


def _first_epochs(panel: ControlPanel) -> list[int | None]:
    """Return for each stage the first epoch in which any of it trains."""
    return [
        next((p.epoch for p in panel.plan.phases if not p.frozen.issuperset(stage.parameters)), None)
        for stage in panel.stages.items
    ]
