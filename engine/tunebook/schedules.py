"""How the learning rate changes over the steps of a run."""

from __future__ import annotations

import math


def lr_factor(kind: str, step: int, steps: int, warmup: float) -> float:
    """
    Return the share of the peak learning rate that a step uses.

    Parameters
    ----------
    kind
        ``"cosine"`` falls as half a cosine to 0, ``"linear"`` in a straight line to 0, ``"constant"`` stays.
    step
        Number of the step, from 0.
    steps
        Steps of the whole run, at least 1.
    warmup
        Share of the steps in which the rate rises in a straight line, in [0, 1).

    Returns
    -------
    float
        Above 0, at most 1.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    # The last step still moves: the fall ends one step after it.
    gone = (step - rising) / max(steps - rising, 1)
    gone = min(gone, 1.0)
    if kind == "cosine":
        return max(0.5 * (1.0 + math.cos(math.pi * gone)), 1e-3)
    if kind == "linear":
        return max(1.0 - gone, 1e-3)
    return 1.0
