"""What the curves' front end is told: a header as JSON, and all rows in one binary buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.monitors import curve, larger_is_better
from tunebook_widgets.curve_source import CONFUSION
from tunebook_widgets.thinning import Rows, Thinning, thin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from tunebook_widgets.curve_source import CurveSource

#: Most histograms of one tag, and matrices, that are sent: the newest, and others spread over the run.
_MOST = 60
#: Most scalars in the matrices that are sent at once.
_MOST_CELLS = 400_000
#: Wanted bounds of a view, in CSS pixels.
_WIDEST = 4_000

Message = tuple[dict[str, Any], list[bytes]]


class CurveMessages:
    """
    Makes the messages on some runs; it remembers what was sent, so that only news are.

    Parameters
    ----------
    sources
        The runs.
    """

    def __init__(self, sources: Sequence[CurveSource]) -> None:
        self.sources = list(sources)
        self._thinned: dict[tuple[str, str], Thinning] = {}
        self._told: dict[str, dict[str, Any]] = {}

    def whole(self) -> Message:
        """Return everything, for a front end that knows nothing."""
        self._thinned.clear()
        self._told.clear()
        header, buffers = self.news() or ({"kind": "patch", "runs": []}, [])
        return {**header, "whole": True}, buffers

    def news(self) -> Message | None:
        """Return what is new since the last message; ``None`` where nothing is."""
        runs, buffers = [], []
        for source in self.sources:
            curves, rows = self._curves(source)
            about = self._about(source)
            told = self._told.setdefault(source.key, {})
            changed = {name: value for name, value in about.items() if name not in told or told[name] != value}
            told.update(changed)
            if curves or changed:
                runs.append({"key": source.key, **changed, "curves": curves})
                buffers += rows
        return ({"kind": "patch", "runs": runs}, [b"".join(buffers)]) if runs else None

    def _curves(self, source: CurveSource) -> tuple[list[list[Any]], list[bytes]]:
        patches, buffers = [], []
        for tag in source.curves.tags:
            thinned = self._thinned.setdefault((source.key, tag), Thinning())
            found = thinned.update(source.curves.points(tag))
            if found is not None:
                keep, rows = found
                patches.append([tag, keep, len(rows), rows.is_thinned])
                buffers.append(rows.buffer())
        return patches, buffers

    def _about(self, source: CurveSource) -> dict[str, Any]:
        return {
            "name": source.name,
            "state": source.state,
            "words": source.words,
            "damaged": source.curves.damaged,
            "best": source.best(),
            "monitor": [curve(source.monitor), larger_is_better(source.monitor)],
            "marks": source.marks(),
            "clock": source.clock(),
            "histogram_tags": list(source.curves.histogram_tags),
            "has_confusion": CONFUSION in source.curves.tensor_tags,
        }

    def detail(self, ranges: Mapping[str, Any], width: object) -> Message:
        """
        Return the finest rows of a part of the steps.

        Parameters
        ----------
        ranges
            First and last step, by the key of the run.
        width
            Pixels for them.
        """
        pixels = min(max(int(width), 50), _WIDEST) if isinstance(width, (int, float)) and np.isfinite(width) else 500
        runs: list[dict[str, Any]] = []
        buffers: list[bytes] = []
        used: dict[str, tuple[float, float]] = {}
        for source in self.sources:
            asked = _pair(ranges.get(source.key))
            patches = []
            for tag in source.curves.tags if asked else ():
                # Curves that are sent whole anyway need no closer look.
                if asked is None or not self._is_thinned(source, tag):
                    continue
                rows = _between(source.curves.points(tag), asked, pixels)
                patches.append([tag, 0, len(rows), rows.is_thinned])
                buffers.append(rows.buffer())
            if asked:
                used[source.key] = asked
            runs.append({"key": source.key, "curves": patches})
        return {"kind": "detail", "ranges": used, "runs": runs}, [b"".join(buffers)]

    def _is_thinned(self, source: CurveSource, tag: str) -> bool:
        known = self._thinned.get((source.key, tag))
        return known is not None and known.is_thinning

    def histograms(self, key: str) -> Message | None:
        """Return the histograms of weights and gradients of a run; ``None`` for a run that is not there."""
        source = self._source(key)
        if source is None:
            return None
        found = {
            tag: [histogram_json(*entry) for entry in _spread(source.curves.histograms(tag), _MOST)]
            for tag in source.curves.histogram_tags
        }
        return {"kind": "patch", "runs": [{"key": key, "histograms": found}]}, []

    def confusion(self, key: str) -> Message | None:
        """Return the confusion matrices of a run; ``None`` for a run that is not there."""
        source = self._source(key)
        if source is None:
            return None
        return {"kind": "patch", "runs": [{"key": key, "confusion": confusion_json(source, _MOST)}]}, []

    def _source(self, key: str) -> CurveSource | None:
        return next((source for source in self.sources if source.key == key), None)


def confusion_json(source: CurveSource, most: int, cells: int = _MOST_CELLS) -> dict[str, Any] | None:
    """
    Return the confusion matrices of a run as JSON.

    Parameters
    ----------
    source
        The run.
    most
        Most matrices.
    cells
        Most numbers in all of them; the last matrix comes nevertheless, unless it alone is larger.
    """
    found = source.confusion()
    if not found:
        return None
    count = len(found[-1][1])
    if count * count > cells:
        return None
    same = [(step, counts) for step, counts in found if len(counts) == count]
    chosen = _spread(same, max(1, min(most, cells // max(1, count * count))))
    return {
        "classes": source.class_names(count),
        "steps": [step for step, _ in chosen],
        "counts": [[int(n) for n in np.nan_to_num(counts).ravel()] for _, counts in chosen],
    }


def histogram_json(step: float, edges: ArrayLike, counts: ArrayLike) -> list[Any]:
    """Return a histogram as JSON; edges that are not finite, as some programs write them, become the nearest ones."""
    ends = np.asarray(edges, dtype=float)
    numbers = np.asarray(counts, dtype=float)
    finite = ends[np.isfinite(ends)]
    if len(ends) != len(numbers) + 1 or not len(finite):
        return [float(step), [0.0, 1.0], [0.0]]
    ends = np.clip(np.nan_to_num(ends, nan=finite[0]), finite.min(), finite.max())
    return [float(step), [float(f"{e:.5g}") for e in ends], [float(f"{n:.6g}") for n in np.nan_to_num(numbers)]]


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004
        return None
    if not all(isinstance(end, (int, float)) and np.isfinite(end) for end in value):
        return None
    return float(value[0]), float(value[1])


def _between(points: np.ndarray, ends: tuple[float, float], pixels: int) -> Rows:
    first, last = np.searchsorted(points[:, 0], ends[0]), np.searchsorted(points[:, 0], ends[1], side="right")
    return thin(points[first:last], pixels)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, the first and last among them."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[-1]]
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most).round()]
