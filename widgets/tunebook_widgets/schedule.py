"""The curve of the learning rate over a run, as numbers and as a drawing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from tunebook.figures import plain
from tunebook.schedules import lr_factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.recipe import Recipe

#: Points of a drawn curve.
_POINTS = 160
_WIDTH, _HEIGHT = 640, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 18, 22
#: Width of a letter of the words above the curve, and the fewest letters that say anything.
_LETTER, _FEWEST_LETTERS = 5.2, 5


def lr_curve(recipe: Recipe, examples: int) -> np.ndarray:
    """
    Return the learning rate of the head over a run.

    Parameters
    ----------
    recipe
        Its ``lr``, ``schedule``, ``warmup``, ``epochs`` and ``batch_size``.
    examples
        Number of training examples.

    Returns
    -------
    numpy.ndarray
        Shape (n, 2): epochs done, from 0, and the rate.
    """
    by_epoch = max(-(-examples // recipe.batch_size), 1)
    steps = by_epoch * recipe.epochs
    chosen = np.unique(np.linspace(0, steps - 1, min(steps, _POINTS)).round().astype(int))
    # The step at which the rate is highest is in it whatever the number of steps.
    chosen = np.union1d(chosen, [min(round(recipe.warmup * steps), steps - 1)])
    rates = [recipe.lr * lr_factor(recipe.schedule, int(step), steps, recipe.warmup) for step in chosen]
    return np.column_stack([chosen / by_epoch, rates])


def lr_drawing(recipe: Recipe, examples: int, marks: Sequence[tuple[int, str]] = ()) -> str:
    """
    Draw the curve as SVG in the colours of what is around it.

    Parameters
    ----------
    recipe, examples
        As for :func:`lr_curve`.
    marks
        Epochs, from 0, at which a phase of the plan begins, and what it is called; text is escaped.

    Returns
    -------
    str
        An ``svg`` element with a title that says the same in words.
    """
    curve = lr_curve(recipe, examples)
    x = _LEFT + curve[:, 0] / recipe.epochs * (_WIDTH - _LEFT - _RIGHT)
    y = _TOP + (1.0 - curve[:, 1] / recipe.lr) * (_HEIGHT - _TOP - _BOTTOM)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    base = _HEIGHT - _BOTTOM
    steps = max(-(-examples // recipe.batch_size), 1)
    passes = f"{recipe.epochs} \N{MULTIPLICATION SIGN} {steps} steps"
    words = (
        f"Learning rate: rises to {recipe.lr:g} over {recipe.warmup:.0%} of the steps, then {recipe.schedule}; "
        f"{recipe.epochs} epochs of {steps} steps"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tunebook-lr" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{escape(words)}">',
        f"<title>{escape(words)}</title>",
        f'<line class="tunebook-lr-axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _RIGHT}" y2="{base}"/>',
        f'<line class="tunebook-lr-grid" x1="{_LEFT}" y1="{_TOP}" x2="{_WIDTH - _RIGHT}" y2="{_TOP}"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{recipe.lr:.3g}</text>',
        f'<text x="{_LEFT - 6}" y="{base + 4}" text-anchor="end">0</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">epoch 1</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{passes}</text>',
        *_marks(recipe, marks),
        f'<polygon class="tunebook-lr-area" points="{_LEFT},{base} {points} {x[-1]:.1f},{base}"/>',
        f'<polyline class="tunebook-lr-line" points="{points}"/>',
        "</svg>",
    ]
    return "".join(parts)


def _marks(recipe: Recipe, marks: Sequence[tuple[int, str]]) -> list[str]:
    """Draw lines at which a phase begins, each with as much of its words as there is room for."""
    inside = [(epoch, word) for epoch, word in marks if 0 < epoch < recipe.epochs]
    places = [_LEFT + epoch / recipe.epochs * (_WIDTH - _LEFT - _RIGHT) for epoch, _ in inside]
    parts = []
    for (_, word), x, end in zip(inside, places, [*places, _WIDTH][1:], strict=True):
        room = int((end - x - 8) / _LETTER)
        shown = plain(word, room) if room >= _FEWEST_LETTERS else ""
        parts.append(
            f'<line class="tunebook-lr-mark" x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}">'
            f"<title>{escape(word)}</title></line>"
            f'<text class="tunebook-lr-word" x="{x + 4:.1f}" y="{_TOP - 6}">{escape(shown)}</text>'
        )
    return parts
