"""Curves for the front end: logs held open, decimated, packed as numbers, and only what is new."""

from __future__ import annotations

import json
import math
import secrets
import threading
import zlib
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.decimation import decimate
from tunebook.errors import shown
from tunebook.run_curves import RunCurves
from tunebook_lab.errors import RequestError
from tunebook_lab.run_rows import one_line, thin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Logs that are held open, and answers that can be gone on from.
LOGS, ANSWERS = 12, 512
#: Series that an answer holds when none is asked for by its name, and tags that it lists.
MOST_SERIES, MOST_TAGS = 400, 20_000
_MOST_TEXTS, _LONGEST_TEXT = 2_000, 500
_MOST_HISTOGRAMS = 60
_VERSION = 1


@dataclass(frozen=True)
class View:
    """
    What of the curves is wanted.

    Attributes
    ----------
    width
        Pixels.
    tags
        Only these; all when empty.
    start, end
        Steps, both included.
    since
        Token of an earlier answer.
    """

    width: int = 1000
    tags: Sequence[str] = ()
    start: float = -np.inf
    end: float = np.inf
    since: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all steps are wanted."""
        return bool(np.isneginf(self.start) and np.isposinf(self.end))


@dataclass
class _Log:
    """A log held open, which one thread reads at a time."""

    curves: RunCurves
    lock: threading.Lock = field(default_factory=threading.Lock)


class Logs:
    """The logs that were asked for lately, each read where it ended the last time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, _Log] = OrderedDict()
        #: Token to the path, and for each tag the number of points sent and a checksum of the last.
        self._sent: OrderedDict[str, tuple[Path, dict[str, tuple[int, int]]]] = OrderedDict()

    @contextmanager
    def reading(self, path: Path, until: float = math.inf) -> Iterator[RunCurves]:
        """Give the curves of a run's folder or an events file as they are now, to this thread alone."""
        with self._lock:
            log = self._open.setdefault(path, _Log(RunCurves(path)))
            self._open.move_to_end(path)
            while len(self._open) > LOGS:
                self._open.popitem(last=False)
        with log.lock:
            log.curves.poll(until)
            yield log.curves

    def holds(self, path: Path) -> bool:
        """Say whether a log is held open."""
        with self._lock:
            return path in self._open

    def keep(self, path: Path, curves: RunCurves) -> None:
        """Hold a log open of which a part was read, to go on there."""
        with self._lock:
            self._open.setdefault(path, _Log(curves))

    def forget(self, path: Path) -> None:
        """Let go of a log whose folder was moved or deleted."""
        with self._lock:
            self._open.pop(path, None)

    def scalars(self, path: Path, view: View) -> bytes:
        """
        Return the curves of a run's folder or an events file, packed as the OpenAPI file says.

        Parameters
        ----------
        path
            The folder or file.
        view
            What of it is wanted.

        Raises
        ------
        StorageError
            A file cannot be read.
        """
        with self.reading(path) as curves:
            tags = curves.tags
            before = self._before(path, view)
            blocks: list[np.ndarray] = []
            series: list[dict[str, Any]] = []
            sent = dict(before)
            known = set(tags)
            for tag in [tag for tag in view.tags if tag in known] if view.tags else tags[:MOST_SERIES]:
                points = curves.points(tag)
                count, mark = before.get(tag, (0, 0))
                follows = 0 < count <= len(points) and _mark(points, count) == mark
                sent[tag] = len(points), _mark(points, len(points))
                if follows and count == len(points):
                    continue
                part = _part(points[count:] if follows else points, view)
                series.append({"tag": tag, "count": len(part), "total": len(points), "append": follows})
                blocks.append(np.ascontiguousarray(part.T, dtype="<f8"))
            header = {
                "version": _VERSION,
                "token": self._remember(path, sent) if view.is_whole else "",
                "tags": [one_line(tag, 1000) if len(tag) > 1000 else tag for tag in tags[:MOST_TAGS]],  # noqa: PLR2004
                "series": series,
                "texts": list(_texts(curves)),
                "histograms": curves.histogram_tags[:MOST_TAGS],
                "damaged": curves.damaged,
                "complete": True,
            }
        return _pack(header, blocks)

    def histograms(self, path: Path, tag: str) -> dict[str, Any]:
        """
        Return the histograms of a tag, at most 60 of them.

        Raises
        ------
        RequestError
            404: there is no such tag.
        """
        with self.reading(path) as curves:
            found = curves.histograms(tag)
        if not found:
            raise RequestError(404, f"no histograms called {shown(tag)}")
        places = thin(range(len(found)), _MOST_HISTOGRAMS)
        rows = [found[int(place or 0)] for place in places]
        listed = [
            {"step": float(step), "edges": edges.tolist(), "counts": counts.tolist()} for step, edges, counts in rows
        ]
        return {"tag": tag, "histograms": listed}

    def _before(self, path: Path, view: View) -> dict[str, tuple[int, int]]:
        with self._lock:
            owner, sent = self._sent.get(view.since, (None, {}))
        return sent if owner == path and view.is_whole else {}

    def _remember(self, path: Path, sent: dict[str, tuple[int, int]]) -> str:
        token = secrets.token_hex(8)
        with self._lock:
            self._sent[token] = path, sent
            while len(self._sent) > ANSWERS:
                self._sent.popitem(last=False)
        return token


def _part(points: np.ndarray, view: View) -> np.ndarray:
    if not view.is_whole:
        # A neighbour on each side lets lines run out of the picture.
        inside = np.flatnonzero((points[:, 0] >= view.start) & (points[:, 0] <= view.end))
        if not len(inside):
            return points[:0]
        points = points[max(0, inside[0] - 1) : inside[-1] + 2]
    return points[decimate(points, view.width)] if len(points) else points


def _mark(points: np.ndarray, count: int) -> int:
    """Return a checksum of the last of the first ``count`` points: a resumed run logs it again at another time."""
    return zlib.crc32(points[count - 1].tobytes()) if count else 0


def _texts(curves: RunCurves) -> Iterator[dict[str, Any]]:
    left = _MOST_TEXTS
    # Marks are what curves are read with; they come before whatever else somebody wrote.
    for tag in sorted(curves.text_tags, key=lambda tag: tag != "marks"):
        for step, text in curves.texts(tag)[-left:] if left > 0 else ():
            left -= 1
            yield {"tag": tag, "step": step, "text": one_line(text, _LONGEST_TEXT)}


def _pack(header: dict[str, Any], blocks: Sequence[np.ndarray]) -> bytes:
    offset = 0
    for series, block in zip(header["series"], blocks, strict=True):
        series["offset"] = offset
        offset += block.nbytes
    head = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    head += b" " * (-(4 + len(head)) % 8)
    return b"".join([len(head).to_bytes(4, "little"), head, *(block.tobytes() for block in blocks)])
