"""Figures of a search, drawn by Optuna, each with a text that says the same."""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.figures import BEST, FAINT, TRAIN, VALIDATION, Picture, new_figure, plain, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from tunebook.search_objectives import Objective

#: Names of the figures, and of their files.
NAMES = ("history", "importance", "parallel", "slice", "pareto")
#: Longest label of a choice in a figure.
_LABEL = 18
#: Parameters beside each other in one figure, at most.
_MOST = 8


def draw(study: Study, objectives: Sequence[Objective]) -> dict[str, Picture]:
    """
    Draw all figures of a study.

    Parameters
    ----------
    study
        Its trials; none of them need be complete.
    objectives
        Names and directions of its values.

    Returns
    -------
    dict
        Name, one of :data:`NAMES`, to picture; ``pareto`` only with two objectives. What cannot be drawn, as the
        importance of a single trial, is a sentence in place of the axes.
    """
    every = study.get_trials(deepcopy=False)
    trials = [trial for trial in every if trial.state.name == "COMPLETE"]
    note = left_out(every)
    found = {}
    for name, function in (("history", _history), ("importance", _importance), ("parallel", _parallel),
                           ("slice", _slice), ("pareto", _pareto)):  # fmt: skip
        if name == "pareto" and len(objectives) < 2:  # noqa: PLR2004
            continue
        if not trials:
            found[name] = _sentence(f"{name}: no trial is complete{f'; {note}' if note else ''}")
            continue
        with _styled():
            try:
                found[name] = function(study, objectives, trials, note)
            except Exception as error:  # noqa: BLE001 - a figure that cannot be drawn must not cost a search its results
                found[name] = _sentence(f"{name}: it cannot be drawn: {type(error).__name__}: {plain(error, 120)}")
    return found


def left_out(trials: Sequence[FrozenTrial]) -> str:
    """Count the trials that figures leave out, since none of them has a value to compare; empty without any."""
    words = {"PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    counts = {word: sum(trial.state.name == state for trial in trials) for state, word in words.items()}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"left out: {said}" if said else ""


def short_names(names: Sequence[str], most: int = _LABEL) -> list[str]:
    """Cut names in their middle, no further than that they still differ."""
    lines = [plain(name) for name in names]
    for room in range(most, max(map(len, lines), default=0), 4):
        head = (room - 1) * 2 // 5
        cut = [line if len(line) <= room else f"{line[:head]}…{line[head + 1 - room :]}" for line in lines]
        if len(set(cut)) == len(set(lines)):
            return cut
    return lines


def _history(study: Study, objectives: Sequence[Objective], trials: list[FrozenTrial], note: str) -> Picture:
    from optuna.visualization.matplotlib import plot_optimization_history  # noqa: PLC0415

    first = objectives[0]
    axes: Axes = plot_optimization_history(study, target=_target(objectives, 0), target_name=str(first))
    axes.set_title("")
    points, *lines = [axes.collections[0], *axes.lines]
    points.set(color=TRAIN, alpha=0.75)
    points.set_label("trial")
    values = np.array([trial.values[0] for trial in trials])
    best = np.maximum.accumulate(values) if first.sign > 0 else np.minimum.accumulate(values)
    for line in lines:
        line.remove()
    axes.step(
        [trial.number for trial in trials], best, where="post", color=VALIDATION, linewidth=1.8, label="best so far"
    )
    tidy(axes, "History: each trial, and the best so far", "trial", str(first))
    axes.get_figure().set_size_inches(7.5, 3.4)  # type: ignore[union-attr]
    _legend_below(axes)
    place = int(np.argmax(values * first.sign))
    words = (
        f"History of {len(trials)} complete trials: {first} from {_number(values[0])} in trial {trials[0].number} to "
        f"{_number(values[place])} in trial {trials[place].number}; median {_number(float(np.median(values)))}"
    )
    return _picture(axes, words, note=note)


def _importance(study: Study, objectives: Sequence[Objective], trials: list[FrozenTrial], note: str) -> Picture:
    from optuna.importance import get_param_importances  # noqa: PLC0415
    from optuna.visualization.matplotlib import plot_param_importances  # noqa: PLC0415

    first = objectives[0]
    varied = _varied(trials)
    values = [trial.values[0] for trial in trials]
    if len(trials) < 2 or len(varied) < 2 or max(values) == min(values):  # noqa: PLR2004
        few = "only one trial is complete" if len(trials) < 2 else (  # noqa: PLR2004
            f"only {varied[0] if varied else 'nothing'} was varied" if len(varied) < 2 else  # noqa: PLR2004
            f"all trials have the same {first}"
        )  # fmt: skip
        return _sentence(f"Importance: nothing to compare, since {few}")
    target = _target(objectives, 0)
    axes: Axes = plot_param_importances(study, target=target, target_name=str(first), params=varied)
    for bar in axes.patches:
        bar.set_facecolor(TRAIN)
    tidy(axes, f"Importance: share of the change in {first}", "share")
    axes.grid(visible=False)
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    axes.get_figure().set_size_inches(7.5, 1.2 + 0.36 * len(varied))  # type: ignore[union-attr]
    shares = get_param_importances(study, target=target, params=varied)
    listed = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return _picture(axes, f"Importance for {first} (PED-ANOVA, from {len(trials)} trials): {listed}", note=note)


def _parallel(study: Study, objectives: Sequence[Objective], trials: list[FrozenTrial], note: str) -> Picture:
    from matplotlib.collections import LineCollection  # noqa: PLC0415
    from optuna.visualization.matplotlib import plot_parallel_coordinate  # noqa: PLC0415

    first = objectives[0]
    names = _varied(trials)[:_MOST]
    if not names:
        return _sentence("Parallel coordinates: nothing was varied")
    axes: Axes = plot_parallel_coordinate(study, params=names, target=_target(objectives, 0), target_name=str(first))
    figure = _figure(axes)
    # Labels of choices stand between two axes, and must not reach the next one.
    choices = [str(trial.params[name]) for trial in trials for name in names if isinstance(trial.params.get(name), str)]
    longest = max(map(len, short_names(sorted(set(choices)))), default=0)
    figure.set_size_inches(max(6.0, 2.2 + max(1.5, 0.5 + 0.078 * longest) * len(names)), 3.8)
    axes.set_title("")
    axes.set_title("Parallel coordinates: a line a trial", loc="left", fontsize=10, fontweight="bold", y=1.04)
    lines = next(item for item in axes.collections if isinstance(item, LineCollection))
    # Dark is better, whichever way the objective goes; the lightest is still seen on white.
    lines.set_cmap(_shades(reverse=first.sign < 0))
    lines.set_linewidth(1.1)
    axes.grid(visible=False)
    for each in figure.axes:
        each.tick_params(labelsize=8)
        for label in each.get_yticklabels():  # the lines run behind them
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4})
        labels = short_names([label.get_text() for label in each.get_yticklabels()])
        if each is not axes and each.get_yscale() == "linear" and any(not _is_number(text) for text in labels):
            each.set_yticks(each.get_yticks(), labels, parse_math=False)
    # Optuna has an order of its own for parameters: its labels are kept, and only turned.
    labels = [plain(label.get_text(), _LABEL) for label in axes.get_xticklabels()]
    axes.set_xticks(axes.get_xticks(), labels, rotation=20, ha="right", parse_math=False)
    best = max(trials, key=lambda trial: first.sign * trial.values[0])
    chosen = ", ".join(f"{name} {_number(best.params[name])}" for name in names if name in best.params)
    words = f"Parallel coordinates of {len(trials)} trials; the best one, {best.number}: {chosen}"
    return _picture(axes, words, constrained=False, note=note)


def _slice(study: Study, objectives: Sequence[Objective], trials: list[FrozenTrial], note: str) -> Picture:
    from optuna.visualization.matplotlib import plot_slice  # noqa: PLC0415

    first = objectives[0]
    names = _varied(trials)[:_MOST]
    if not names:
        return _sentence("Slice: nothing was varied")
    found: Any = plot_slice(study, params=names, target=_target(objectives, 0), target_name=str(first))
    each = list(np.ravel(found))
    figure = _figure(each[0])
    figure.set_size_inches(max(5.0, 2.5 * len(each) + 1.4), 3.0)
    figure.suptitle("Slice: a dot a trial; later ones are darker", x=0.01, ha="left", fontsize=10, fontweight="bold")
    figure.axes[-1].tick_params(labelsize=8)
    figure.axes[-1].set_ylabel("trial", fontsize=9)
    for axes in each:
        name = axes.get_xlabel()
        axes.set_title("")
        tidy(axes, "", name, str(first) if axes is each[0] else "")
        for dots in axes.collections:
            if len(dots.get_offsets()):
                dots.set_cmap(_shades())
                dots.set_edgecolor("#555555")
                dots.set_linewidth(0.4)
        if isinstance(trials[0].params.get(name), str):
            labels = short_names([label.get_text().strip("'") for label in axes.get_xticklabels()])
            axes.set_xticks(axes.get_xticks(), labels, rotation=30, ha="right", parse_math=False)
            axes.set_xlim(-0.5, len(labels) - 0.5)
    words = "; ".join(_best_part(name, first, trials) for name in names)
    return _picture(each[0], f"Slice, {first} by parameter: {words}", constrained=len(each) > 1, note=note)


def _pareto(study: Study, objectives: Sequence[Objective], trials: list[FrozenTrial], note: str) -> Picture:
    from optuna.visualization.matplotlib import plot_pareto_front  # noqa: PLC0415

    axes: Axes = plot_pareto_front(study, target_names=[str(objective) for objective in objectives])
    axes.set_title("")
    for dots, colour, word in zip(axes.collections, (FAINT, BEST), ("trial", "on the front"), strict=False):
        dots.set_color(colour)
        dots.set_label(word)
    tidy(axes, "Pareto front: no trial is better in both", *(str(objective) for objective in objectives))
    axes.get_figure().set_size_inches(6.0, 4.2)  # type: ignore[union-attr]
    _legend_below(axes)
    best = sorted(study.best_trials, key=lambda trial: -objectives[0].sign * trial.values[0])
    listed = "; ".join(f"trial {t.number}: " + ", ".join(_number(value) for value in t.values) for t in best[:10])
    names = " and ".join(str(objective) for objective in objectives)
    return _picture(axes, f"Pareto front of {names}, {len(best)} of {len(trials)} trials: {listed}", note=note)


def _target(objectives: Sequence[Objective], place: int) -> Callable[[FrozenTrial], float] | None:
    # Optuna takes an objective's direction into account only where no target is named.
    if len(objectives) == 1:
        return None
    return lambda trial: float(trial.values[place])


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    return [name for name in names if len({str(trial.params.get(name)) for trial in trials}) > 1]


def _best_part(name: str, objective: Objective, trials: Sequence[FrozenTrial]) -> str:
    """Say where a parameter was in the best fifth of the trials."""
    order = sorted(trials, key=lambda trial: -objective.sign * trial.values[0])
    values = [trial.params[name] for trial in order[: max(1, len(order) // 5)]]
    if isinstance(values[0], str):
        most = max(dict.fromkeys(values), key=values.count)
        return f"{name}: mostly {plain(most)} in the best fifth"
    return f"{name}: {_number(min(values))} to {_number(max(values))} in the best fifth"


@contextmanager
def _styled() -> Iterator[None]:
    """Keep what Optuna does to matplotlib's settings and windows from everyone else."""
    import matplotlib as mpl  # noqa: PLC0415

    backend = mpl.rcParams._get_backend_or_none()  # type: ignore[attr-defined]  # noqa: SLF001 - asking would choose one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls them experimental
        from matplotlib import pyplot as plt  # noqa: PLC0415

        before = set(plt.get_fignums()) if backend else set()
        if backend is None or backend.lower() in {name.lower() for name in _windows()}:
            plt.switch_backend("agg")  # a window cannot be made in a thread
        try:
            with mpl.rc_context():
                yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
            if backend is not None and backend.lower() != mpl.get_backend().lower():
                plt.switch_backend(backend)


def _windows() -> list[str]:
    from matplotlib.backends import registry  # noqa: PLC0415

    known: Any = registry.backend_registry
    return list(known.list_builtin(registry.BackendFilter.INTERACTIVE))


def _picture(axes: Axes, words: str, *, note: str, constrained: bool = True) -> Picture:
    figure = _figure(axes)
    if note:
        words = f"{words}; {note}"
        figure.text(0.99, 0.005, note, ha="right", va="bottom", fontsize=7, color="#666666")
    if constrained:
        figure.set_layout_engine("constrained", rect=(0.0, 0.05, 1.0, 0.95) if note else (0.0, 0.0, 1.0, 1.0))
    else:  # a layout does not understand axes that lie on each other, nor a colour bar that halves its only axes
        figure.set_layout_engine("none")
        figure.subplots_adjust(left=0.12, right=0.98, bottom=0.22, top=0.88)
    figure.set_facecolor("white")
    for each in figure.axes:
        each.set_facecolor("white")
    return Picture.of(figure, words)


def _figure(axes: Axes) -> Figure:
    figure: Any = axes.get_figure()
    found: Figure = figure
    return found


def _sentence(words: str) -> Picture:
    figure = new_figure(7.5, 0.6)
    figure.text(0.01, 0.5, words, fontsize=9, va="center", parse_math=False)
    return Picture.of(figure, words)


def _legend_below(axes: Axes) -> None:
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))


def _shades(*, reverse: bool = False) -> Any:  # noqa: ANN401
    from matplotlib import colormaps  # noqa: PLC0415
    from matplotlib.colors import ListedColormap  # noqa: PLC0415

    colours = colormaps["Blues"](np.linspace(0.25, 1.0, 200))
    return ListedColormap(colours[::-1] if reverse else colours)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace("\N{MINUS SIGN}", "-")))
    except ValueError:
        return False


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(value, 40)
