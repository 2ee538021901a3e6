"""The part of a bias report's page that compares remedies: figures in a table, and the frontier to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook import remedy_cell
from tunebook.bias_page import REMEDIES
from tunebook.bias_tracks import escape, percent, scale, signed
from tunebook.comparison import GAP_WORDS
from tunebook.remedy_effects import AS_TUNED, pareto_front

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of a change that is more than chance.
_CLEAR = ' class="clear"'
#: Points nearer to each other than this, in hundredths of the plane's width and height, share a mark.
_NEAR = np.array([4.0, 8.0])


def put_section(page: str, found: Mapping[str, Any]) -> str:
    """
    Put remedies into a page that was written before.

    Parameters
    ----------
    page
        From :func:`tunebook.bias_page.write_page`; what it said of remedies is replaced.
    found
        From :func:`tunebook.remedy_json.as_json`.
    """
    head, mark, rest = page.partition(REMEDIES[0])
    _, end, tail = rest.partition(REMEDIES[1])
    return f"{head}{mark}{write_section(found)}{end}{tail}" if end else page


def write_section(found: Mapping[str, Any]) -> str:
    """Write what was found of remedies as HTML; every name in it is escaped."""
    remedies = found["remedies"]
    said = "".join(f"<li>{escape(sentence, 0)}</li>" for sentence in remedy_cell.words(found))
    what = f"the gap in {GAP_WORDS[found['gap']]} by {escape(found['attribute'], 120)}"
    how = "".join(f"<li>{escape(one['name'])}: {escape(one['how'], 0)}</li>" for one in remedies)
    return (
        f'<section><header><h2>What would mend {what}</h2><span class="soft">test set, n {remedies[0]["test"]["n"]:,}'
        f'</span></header><div><ul class="said">{said}</ul></div><div>{_frontier(found)}</div>'
        f'<div class="wide">{_table(found)}</div>'
        f'<details><summary>How each was found</summary><ul class="said">{how}</ul></details></section>'
    )


# The table.


def _table(found: Mapping[str, Any]) -> str:
    remedies = found["remedies"]
    best, worst = (remedies[0]["test"][key] for key in ("best_off", "worst_off"))
    names = [
        f"{word} “{escape(of['group'], 30)}”" if of else word for word, of in (("best-off", best), ("worst-off", worst))
    ]
    heads = ["accuracy", "gap", "change of the gap", *names]
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    rows = "".join(_row(found, number, one) for number, one in enumerate(remedies, start=1))
    return (
        '<table class="figures"><thead><tr><th scope="col" class="left">remedy</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(found: Mapping[str, Any], number: int, one: Mapping[str, Any]) -> str:
    effect, change = one["test"], one["test"]["gap_change"]
    exported = found["exported"] or {"name": AS_TUNED, "attribute": found["attribute"]}
    is_exported = one["name"] == exported["name"] and exported["attribute"] == found["attribute"]
    tags = ['<span class="tag">first on validation</span>'] if one["name"] == found["suggested"] else []
    tags += ['<span class="tag">exported</span>'] if is_exported else []
    cells = [_cell(effect["accuracy"]), _cell(effect["gap"])]
    if change is None:
        cells.append("<td></td>")
    else:
        sure = change["high"] is not None and (change["high"] < 0.0 or change["low"] > 0.0)
        ends = f"<small>{remedy_cell.between(change, is_signed=True)}</small>"
        cells.append(f"<td{_CLEAR if sure else ''}>{signed(change['value'])} {ends}</td>")
    for key in ("best_off", "worst_off"):
        of = effect[key]
        step = f"<small>{signed(of['change'])}</small>" if of and change is not None else ""
        cells.append(f"<td>{remedy_cell.share(of and of['value'])} {step}</td>")
    label = f'<b class="number">{number}</b> {escape(one["name"])} {" ".join(tags)}'
    return f'<tr><th scope="row" class="left">{label}</th>{"".join(cells)}</tr>'


def _cell(figure: Mapping[str, float | None]) -> str:
    return f"<td>{remedy_cell.share(figure['value'])} <small>{remedy_cell.between(figure)}</small></td>"


# The frontier.


@dataclass(frozen=True)
class _Point:
    """A remedy's place in the plane: gap and accuracy, with both ends of their intervals, shape (3,) each."""

    number: int
    gap: np.ndarray
    accuracy: np.ndarray


def _frontier(found: Mapping[str, Any]) -> str:
    points = [
        _Point(number, *(_ends(one["test"][key]) for key in ("gap", "accuracy")))
        for number, one in enumerate(found["remedies"], start=1)
        if one["test"]["gap"]["value"] is not None
    ]
    if not points:
        return '<p class="soft">No gap can be measured, so there is nothing to draw.</p>'
    across = scale(np.array([0.0, *np.concatenate([point.gap for point in points])]))
    up = scale(np.concatenate([point.accuracy for point in points]))
    places = np.array([[percent(point.gap[0], across), percent(point.accuracy[0], up)] for point in points])
    front = pareto_front([point.accuracy[0] for point in points], [point.gap[0] for point in points])
    marks = [_cross(point, across, up) for point in points]
    marks += _steps(places[front])
    marks += [_mark(points, places, group, front) for group in _together(places)]
    lines = [f'<i class="rule" style="bottom:{percent(tick, up):g}%"></i>' for tick in up]
    left = [f'<span style="bottom:{percent(tick, up):g}%">{tick:g}</span>' for tick in np.round(up, 4)]
    below = [f'<span style="left:{percent(tick, across):g}%">{tick:g}</span>' for tick in np.round(across, 4)]
    return (
        '<div class="front" aria-hidden="true"><p class="soft">Accuracy, up is better. Numbers are those of the table, '
        'in orange the model as tuned; the line joins what no other remedy beats in both.</p><div class="frame">'
        f'<div class="up">{"".join(left)}</div><div class="plane">{"".join(lines + marks)}</div>'
        f'<div class="axis">{"".join(below)}</div></div>'
        f'<p class="soft right">Gap in {GAP_WORDS[found["gap"]]} between groups, left is fairer</p></div>'
    )


def _ends(figure: Mapping[str, float | None]) -> np.ndarray:
    return np.array([figure[key] for key in ("value", "low", "high")], np.float64)


def _cross(point: _Point, across: np.ndarray, up: np.ndarray) -> str:
    """Draw the intervals of a point as a cross."""
    x, left, right = (percent(value, across) for value in point.gap)
    y, low, high = (percent(value, up) for value in point.accuracy)
    return (
        f'<i class="level" style="left:{left:g}%;width:{right - left:.2f}%;bottom:{y:g}%"></i>'
        f'<i class="upright" style="bottom:{low:g}%;height:{high - low:.2f}%;left:{x:g}%"></i>'
    )


def _steps(front: np.ndarray) -> list[str]:
    """Draw the stairs through the points of the front, from the smallest gap and accuracy upwards."""
    found = []
    for (x, y), (x_next, y_next) in pairwise(front):
        found.append(f'<i class="stair" style="left:{x:g}%;width:{x_next - x:.2f}%;bottom:{y:g}%"></i>')
        found.append(f'<i class="stair rise" style="left:{x_next:g}%;bottom:{y:g}%;height:{y_next - y:.2f}%"></i>')
    return found


def _together(places: np.ndarray) -> list[list[int]]:
    """Put points that would cover each other together, each with the first one that it is near to."""
    groups: list[list[int]] = []
    for k, place in enumerate(places):
        near = next((group for group in groups if (np.abs(places[group[0]] - place) < _NEAR).all()), None)
        if near is None:
            groups.append([k])
        else:
            near.append(k)
    return groups


def _mark(points: Sequence[_Point], places: np.ndarray, group: Sequence[int], front: Sequence[int]) -> str:
    x, y = places[group].mean(axis=0)
    kind = " tuned" if points[group[0]].number == 1 else " best" if set(group) & set(front) else ""
    text = " ".join(str(points[k].number) for k in group)
    return f'<b class="number at{kind}" style="left:{x:.2f}%;bottom:{y:.2f}%">{text}</b>'
