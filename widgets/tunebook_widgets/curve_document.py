"""The curves as a saved notebook holds them: JSON small enough to keep, which a front end draws without a kernel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook import monitors
from tunebook_widgets.curve_messages import confusion_json, histogram_json
from tunebook_widgets.thinning import thin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunebook_widgets.curve_source import CurveSource
    from tunebook_widgets.thinning import Rows

#: Type of the data in a notebook's output.
MIME = "application/vnd.tunebook.curves+json"
#: Largest document in bytes.
LARGEST = 150_000
#: Shares of it that matrices and histograms may take.
_CONFUSION_SHARE, _HISTOGRAM_SHARE = 0.2, 0.25
#: Widths that are tried, in buckets a curve.
_WIDTHS = (300, 150, 80, 40, 20, 10)
_MOST_MARKS = 200
#: Tags from the most to the least wanted, by how they begin; recall comes last, since there may be a thousand classes.
_WANTED = ("loss/", "accuracy/", "macro_f1/", "epoch", "train/loss", "lr/", "gap/", "roc_auc/")


def document(sources: Sequence[CurveSource], largest: int = LARGEST) -> dict[str, Any]:
    """
    Return the curves of some runs as JSON.

    Parameters
    ----------
    sources
        The runs.
    largest
        Most bytes of its text. Curves are thinned until it fits, and when that is not enough, the least wanted are
        left out; ``left_out`` says how many.

    Returns
    -------
    dict
        ``version``, and ``runs`` with ``key``, ``name``, ``state``, ``words``, ``damaged``, ``best``, ``monitor`` (tag
        of the curve that chooses the best epoch, and whether more of it is better), ``marks`` (step, words),
        ``clock`` (steps, seconds), ``curves`` (by tag: steps, values, and for thinned curves mean and number of the
        points that a row stands for), ``histograms`` (by tag: step, edges, counts), ``confusion`` (classes, steps,
        counts) and ``left_out``.
    """
    share = largest / max(1, len(sources))
    # Commas between what is measured piece by piece.
    return {"version": 1, "runs": [_run(source, int(share) - 64) for source in sources]}


def size_of(value: object) -> int:
    """Return how many bytes a value takes as compact JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def _run(source: CurveSource, room: int) -> dict[str, Any]:
    marks = source.marks()
    found: dict[str, Any] = {
        "key": source.key,
        "name": source.name[:200],
        "state": source.state,
        "words": source.words[:1000],
        "damaged": source.curves.damaged,
        "best": source.best(),
        "monitor": [monitors.curve(source.monitor), monitors.larger_is_better(source.monitor)],
        "marks": [[_number(step), words[:120]] for step, words in marks[-_MOST_MARKS:]],
        "clock": [[_number(value) for value in column] for column in source.clock()],
        "confusion": _confusion(source, int(room * _CONFUSION_SHARE)),
        "histograms": _histograms(source, int(room * _HISTOGRAM_SHARE)),
        "left_out": 0,
        "curves": {},
    }
    _add_curves(found, source, room - size_of(found))
    return found


def _confusion(source: CurveSource, room: int) -> dict[str, Any] | None:
    for most in (20, 8, 3, 1):
        # A number takes two bytes at least, so that larger ones need not be tried.
        found = confusion_json(source, most, room // 2)
        if found is None or size_of(found) <= room:
            return found
    return None


def _histograms(source: CurveSource, room: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag in source.curves.histogram_tags:
        rows = [histogram_json(*entry) for entry in source.curves.histograms(tag)[-2:]]
        room -= size_of({tag: rows})
        if room < 0:
            break
        found[tag] = rows
    return found


def _add_curves(found: dict[str, Any], source: CurveSource, room: int) -> None:
    tags = sorted(source.curves.tags, key=lambda tag: (tag != monitors.curve(source.monitor), _rank(tag)))
    for width in _WIDTHS:
        curves: dict[str, Any] = {}
        left = room
        for tag, curve in _curves(source, tags, width):
            left -= size_of({tag: curve})
            if left < 0:
                break
            curves[tag] = curve
        if left >= 0:
            break
    # In the order of the log, in which a reader meets the classes as they were named.
    found["curves"] = {tag: curves[tag] for tag in source.curves.tags if tag in curves}
    found["left_out"] = len(tags) - len(curves)


def _curves(source: CurveSource, tags: Sequence[str], width: int) -> Iterator[tuple[str, list[Any]]]:
    for tag in tags:
        points = source.curves.points(tag)
        if len(points) > 1 and (np.diff(points[:, 0]) < 0).any():
            points = points[np.argsort(points[:, 0], kind="stable")]
        yield tag, _columns(thin(points, width))


def _columns(rows: Rows) -> list[Any]:
    columns = [[_number(step) for step in rows.steps.tolist()], [_number(v) for v in rows.values.tolist()]]
    if rows.means is not None and rows.counts is not None:
        columns += [[_number(v) for v in rows.means.tolist()], [int(n) for n in rows.counts.tolist()]]
    return columns


def _number(value: float) -> float | int | None:
    """Return a number in few characters; JSON has none for what is not finite."""
    if not np.isfinite(value):
        return None
    # Steps beyond a million keep all their digits.
    return int(value) if float(value).is_integer() and abs(value) < 1e15 else float(f"{value:.5g}")  # noqa: PLR2004


def _rank(tag: str) -> int:
    if tag.startswith("recall/"):
        return len(_WANTED) + 1
    return next((place for place, start in enumerate(_WANTED) if tag.startswith(start)), len(_WANTED))
