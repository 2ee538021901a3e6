"""What a recipe will cost, in the words of the strip below the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebook.cost import Cost
    from tunebook.recipe import Recipe
    from tunebook.stages import Stages
    from tunebook_widgets.freezing import Plan

#: Share of the memory from which a run is told to be close to its limit.
_CLOSE = 0.9
_GIGA = 1e9


def cost_figures(cost: Cost | None, plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """
    Return what the strip shows, as JSON.

    Parameters
    ----------
    cost
        An estimate; ``None`` where nothing was measured, and then parameters alone are counted.
    plan, recipe
        What it is of.

    Returns
    -------
    dict
        ``figures`` (each a ``value``, a ``label``, perhaps a ``share`` in [0, 1] and a ``tone``), ``advice`` with
        ``change``, what to do where it would not fit, and ``fits``.
    """
    trainable, total = trained_parameters(plan) if cost is None else (cost.trainable, cost.trainable + cost.frozen)
    figures: list[dict[str, Any]] = [
        {
            "value": f"{trainable:,}",
            "label": f"parameters train ({trainable / max(total, 1):.0%}), {total - trainable:,} frozen",
            "share": trainable / max(total, 1),
        }
    ]
    if cost is None:
        return {"figures": figures, "advice": "", "change": "", "fits": True}
    limit = cost.memory_limit
    share = cost.memory / limit if limit else 0.0
    tone = "bad" if not cost.fits else "close" if share > _CLOSE else ""
    of = f" of {limit / _GIGA:.1f}" if limit else ""
    figures += [
        {
            "value": f"{cost.memory / _GIGA:.1f}{of} GB",
            "label": "memory at peak",
            "share": min(share, 1.0),
            "tone": tone,
        },
        {"value": duration(cost.seconds), "label": f"expected, {_epochs(recipe.epochs)}"},
        {"value": duration(cost.seconds_epoch), "label": "an epoch"},
    ]
    if cost.saved_seconds > 0:
        times = (cost.seconds + cost.saved_seconds) / max(cost.seconds, 1e-9)
        label = f"faster by the frozen cache, saves {duration(cost.saved_seconds)}"
        figures.append({"value": f"{times:.1f}\N{MULTIPLICATION SIGN}", "label": label, "tone": "good"})
    change = ", ".join(f"{name}={value!r}" for name, value in cost.change.items())
    return {"figures": figures, "advice": cost.advice, "change": change, "fits": cost.fits}


def trained_parameters(plan: Plan) -> tuple[int, int]:
    """Return how many scalars train in the phase in which most do, and how many there are."""
    sizes = _sizes(plan.stages)
    total = sum(sizes.values())
    most = max(sum(size for name, size in sizes.items() if name not in phase.frozen) for phase in plan.phases)
    return most, total


def _sizes(stages: Stages) -> dict[str, int]:
    listed = {name for stage in stages.items for name in stage.parameters}
    return {name: p.numel() for name, p in stages.module.named_parameters() if name in listed}


def duration(seconds: float) -> str:
    """Write a time as a clock does: ``"0:48"``, ``"1:02:05"``; below ten seconds with one decimal place."""
    if seconds < 10:  # noqa: PLR2004
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
