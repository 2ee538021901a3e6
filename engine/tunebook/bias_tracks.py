"""Tracks of a page: figures as marks on a line, drawn with elements alone, and what is written beside them."""

from __future__ import annotations

import html
import math

import numpy as np

from tunebook.figures import plain

#: Characters of a name.
LONGEST = 60


def scale(values: np.ndarray) -> np.ndarray:
    """Return ticks from 0 to 1, or to what the values reach, at most six."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.array([0.0, 1.0])
    low, high = float(known.min()), float(known.max())
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / step <= 4 or step == 0.5)  # noqa: PLR2004
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return np.arange(first, max(last, first + 1) + 1) * step


def percent(value: float, ticks: np.ndarray) -> float:
    """Return where a value lies between the first and the last tick, in hundredths of the way."""
    way = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return round(100.0 * float(np.clip(way, 0.0, 1.0)), 2)


def mark(kind: str, value: float, ticks: np.ndarray) -> str:
    """Write a mark of a kind, a class of the style sheet, at a value."""
    return f'<i class="{kind}" style="left:{percent(value, ticks):g}%"></i>'


def bar(kind: str, low: float, high: float, ticks: np.ndarray) -> str:
    """Write a bar between two values; nothing where one of them is undefined."""
    if math.isnan(low) or math.isnan(high):
        return ""
    left, right = percent(low, ticks), percent(high, ticks)
    return f'<i class="{kind}" style="left:{left:g}%;width:{round(right - left, 2):g}%"></i>'


def axis(ticks: np.ndarray) -> str:
    """Write the ticks below the tracks."""
    shown = "".join(f'<span style="left:{percent(tick, ticks):g}%">{tick:g}</span>' for tick in np.round(ticks, 4))
    return f'<div class="axis">{shown}</div>'


def share(value: float) -> str:
    """Write a share with two digits; nothing where it is undefined."""
    return "" if math.isnan(value) else f"{value:.2f}"


def signed(value: float | None) -> str:
    """Write a difference with its sign; nothing where it is undefined."""
    if value is None or math.isnan(value):
        return ""
    sign = "+" if round(value, 2) > 0 else "−" if round(value, 2) < 0 else ""  # noqa: RUF001 - a minus sign is meant
    return f"{sign}{abs(value):.2f}"


def escape(text: object, limit: int = LONGEST) -> str:
    """Write text from anywhere as one line of HTML, cut to ``limit`` characters if that is above 0."""
    # What belongs together stays on one line.
    return (
        html.escape(plain(text, limit))
        .replace(" %", "&nbsp;%")
        .replace("(p = ", "(p&nbsp;=&nbsp;")
        .replace("(p &lt; ", "(p&nbsp;&lt;&nbsp;")
    )
