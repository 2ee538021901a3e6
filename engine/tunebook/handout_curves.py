"""Curves of a run as drawings inside a page: training dashed, validation plain with points."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from tunebook.decimation import decimate
from tunebook.run_curves import RunCurves

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 520, 220, 52, 22
_TOP, _RIGHT = 8, 12
#: Attributes whose gaps are drawn.
_MOST_GAPS = 8
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8548c", "#3a93c9", "#a87400", "#5b4ba8")
_DASHES = ("", "7 4", "2 3", "9 3 2 3")
STYLE = """
.curves { display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)) }
.curves svg { forced-color-adjust: none; height: auto; width: 100% } .curves text { fill: var(--soft); font-size: 11px }
.curves .grid { stroke: var(--line) } .curves .key { display: inline-flex; gap: .3rem; margin-right: 1rem }
.curves .key svg { width: 28px }
"""


def draw_curves(path: Path, curves: RunCurves | None = None) -> Iterator[str]:
    """
    Draw loss, scores, learning rates and gaps of a run as SVG inside HTML.

    Parameters
    ----------
    path
        The run directory.
    curves
        Its log, read already.

    Raises
    ------
    StorageError
        The log cannot be read.
    """
    if curves is None:
        curves = RunCurves(path)
        curves.poll()
    gaps = [tag for tag in curves.tags if tag.startswith("gap/")][:_MOST_GAPS]
    rates = [tag for tag in curves.tags if tag.startswith("lr/")][:_MOST_GAPS]
    panels = {
        "Loss": ["loss/validation", "loss/train"],
        "Accuracy": ["accuracy/validation", "accuracy/train"],
        "Macro-F1": ["macro_f1/validation", "macro_f1/train"],
        "Gap between groups": gaps,
        "Learning rate": rates,
    }
    found = []
    for title, tags in panels.items():
        points = {tag: curves.points(tag)[:, :2] for tag in tags if tag in curves.tags}
        kept = {tag: rows for tag, rows in points.items() if np.isfinite(rows).all(axis=1).any()}
        if kept:
            found.append(_panel(title, kept))
    if found:
        yield f"<div class='curves'>{''.join(found)}</div>"


def _panel(title: str, points: dict[str, np.ndarray]) -> str:
    rows = {tag: one[np.isfinite(one).all(axis=1)] for tag, one in points.items()}
    every = np.concatenate(list(rows.values()))
    (x0, y0), (x1, y1) = every.min(axis=0), every.max(axis=0)
    room = 0.06 * (y1 - y0) or 0.05 * abs(y1) or 0.5
    low, high = (0.0 if 0 <= y0 < room else y0 - room), y1 + room
    x0, x1 = (0.0 if 0 < x0 <= x1 / 4 else x0), (x1 if x1 > x0 else x0 + 1)

    def place(one: np.ndarray) -> np.ndarray:
        across = _LEFT + (one[:, 0] - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT)
        return np.stack(
            [across, _HEIGHT - _BOTTOM - (one[:, 1] - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP)], axis=1
        )

    parts = []
    for value in np.linspace(low, high, 5):
        y = float(place(np.array([[x0, value]]))[0, 1])
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    for value, anchor in ((x0, "start"), (x1, "end")):
        x = float(place(np.array([[value, low]]))[0, 0])
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">step {value:,.0f}</text>')
    keys = []
    for number, (tag, one) in enumerate(rows.items()):
        stroke, dash, dots = _look(tag, number)
        shown = place(one[decimate(one, _WIDTH // 2)])
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in shown)
        look = f'stroke="{stroke}" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{line}" fill="none" stroke-width="2" {look}/>')
        if dots or len(shown) == 1:
            spread = shown[:: max(1, len(shown) // 20)]
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{stroke}"/>' for x, y in spread]
        dot = f'<circle cx="14" cy="5" r="3" fill="{stroke}"/>' if dots else ""
        sample = f'<svg viewBox="0 0 28 10"><line x1="0" x2="28" y1="5" y2="5" stroke-width="2" {look}/>{dot}</svg>'
        keys.append(f"<span class='key'>{sample} {_escape(_name(tag))} {one[-1, 1]:.4g}</span>")
    said = _escape(f"{title}: " + ", ".join(f"{_name(tag)} ends at {one[-1, 1]:.4g}" for tag, one in rows.items()))
    picture = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">{"".join(parts)}</svg>'
    return f"<figure><figcaption><strong>{title}</strong> {''.join(keys)}</figcaption>{picture}</figure>"


def _look(tag: str, number: int) -> tuple[str, str, bool]:
    if tag.endswith("/train"):
        return _COLOURS[0], _DASHES[1], False
    if tag.endswith("/validation"):
        return _COLOURS[1], _DASHES[0], True
    return _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)], False


def _name(tag: str) -> str:
    head, _, rest = tag.partition("/")
    return rest if head in {"gap", "lr"} else tag.rpartition("/")[2]


def _escape(text: str) -> str:
    return html.escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:200])
