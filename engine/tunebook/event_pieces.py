"""What a piece of an event file says: its records checked, read, and put in order."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tunebook.event_layouts import Layout, Scalars, gather, learn, padded
from tunebook.event_messages import Event, EventDecoder, Histogram, TagList
from tunebook.event_records import HEADER, are_whole, is_whole
from tunebook.protobuf import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunebook.event_records import Walk

#: Fewer events that look alike are read one by one: it takes less time than the arrays.
_FEW = 8
#: Layouts of messages of one length; what looks like none of them is read one by one.
_MOST_LAYOUTS = 32
#: Sorting by a key of 16 bits takes a step for each byte.
_SHORT_KEY = 1 << 16
#: Behind all records of a piece.
_END = np.iinfo(np.intp).max

#: Numbers of records in a piece, and where they begin.
_Places = tuple[np.ndarray, np.ndarray]


@dataclass(slots=True)
class Piece:
    """
    What a part of a file says, up to where a run goes on anew.

    Attributes
    ----------
    purge
        A run goes on at this step: what was logged before at this step and later is void. None if that is not so.
    scalars
        Tags and their points, (n, 3) float64: step, value, wall time.
    texts, histograms, tensors
        Tag, step and what was logged.
    """

    purge: int | None = None
    scalars: list[tuple[str, np.ndarray]] = field(default_factory=list)
    texts: list[tuple[str, int, str]] = field(default_factory=list)
    histograms: list[tuple[str, int, Histogram]] = field(default_factory=list)
    tensors: list[tuple[str, int, np.ndarray]] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    """What was read of a piece so far."""

    scalars: list[Scalars] = field(default_factory=list)
    events: dict[int, Event] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)
    #: Number and wall time of the first event that says nothing else.
    first: tuple[int, float] | None = None


class PieceReader:
    """Reads the records of one file, and remembers what they look like."""

    def __init__(self) -> None:
        self._tags = TagList()
        self._decoder = EventDecoder(self._tags)
        self._layouts: dict[int, list[Layout]] = {}
        #: Wall time of the first event, which says when the file was begun; None until there is one.
        self.began: float | None = None

    def read(self, data: bytes, walk: Walk) -> tuple[list[Piece], list[int]]:
        """
        Read the records that a walk found.

        Parameters
        ----------
        data
            A piece of the file.
        walk
            Where its records are.

        Returns
        -------
        tuple
            What they say, and the numbers of the records that are damaged.
        """
        found = _Found()
        rest: list[tuple[int, int, int, bool]] = []
        for length, (starts, numbers) in walk.groups.items():
            places = numbers, starts
            if len(starts) >= _FEW:
                places = self._read_alike(data, length, places, found)
            whole = are_whole(data, places[1], length).tolist()
            each = zip(places[0].tolist(), places[1].tolist(), whole, strict=True)
            rest += [(number, start, length, is_sound) for number, start, is_sound in each]
        # In the order of the file, since what a tag is may be said at first only.
        last, event = b"", None
        for number, start, length, is_sound in sorted(rest):
            if not is_sound:
                found.damaged.append(number)
                continue
            message = data[start + HEADER : start + HEADER + length]
            # Those that say the same again and again, or nothing, are read once.
            if event is None or message != last:
                last, event = message, self._event(message)
            if event is None:
                found.damaged.append(number)
            elif not event.is_empty:
                found.events[number] = event
            elif found.first is None or number < found.first[0]:
                found.first = number, event.wall
        if self.began is None:
            self.began = _first_time(found)
        return list(self._pieces(found)), found.damaged

    def _read_alike(self, data: bytes, length: int, places: _Places, found: _Found) -> _Places:
        """Read what looks alike, and return the places of the rest."""
        width = padded(length)
        # The last message may be nearer to the end than its row is wide.
        rows = gather(
            data if places[1][-1] + HEADER + width <= len(data) else data + bytes(8), places[1] + HEADER, width
        )
        layouts = self._layouts.setdefault(length, [])
        numbers, starts = places
        rest: list[np.ndarray] = []
        tried = 0
        left = np.arange(len(rows))
        while len(left):
            if tried == len(layouts) and not self._learn(data, length, starts[left], layouts):
                rest.append(left)
                break
            layout = layouts[tried]
            tried += 1
            fits = layout.fits(rows[left] if len(left) < len(rows) else rows)
            if fits.any():
                own = left[fits]
                part = rows[own] if len(own) < len(rows) else rows
                scalars, unread = layout.read(part, numbers[own], self._tags)
                found.scalars.append(scalars)
                rest.append(own[unread])
                left = left[~fits]
        remaining = np.concatenate([np.empty(0, np.intp), *rest])
        return numbers[remaining], starts[remaining]

    def _learn(self, data: bytes, length: int, starts: np.ndarray, layouts: list[Layout]) -> bool:
        """Add the layout of one of some messages, if a few of them show one."""
        if len(starts) < _FEW or len(layouts) == _MOST_LAYOUTS:
            return False
        for start in starts[:_FEW].tolist():
            if is_whole(data, start, length):
                try:
                    layout = learn(data[start + HEADER : start + HEADER + length])
                except WireError:
                    layout = None
                if layout is not None:
                    layouts.append(layout)
                    return True
        return False

    def _event(self, message: bytes) -> Event | None:
        """Read one message; None if it is damaged."""
        try:
            return self._decoder.decode(message)
        except WireError:
            return None

    def _pieces(self, found: _Found) -> Iterator[Piece]:
        scalars = self._joined(found)
        others = sorted(found.events.items())
        starts = [(number, event.step) for number, event in others if event.is_start]
        if starts:
            scalars = _taken(scalars, np.argsort(scalars.numbers, kind="stable"))
        places = [place for place, _ in others]
        first, purge = 0, None
        for number, step in [*starts, (_END, 0)]:
            piece = Piece(purge)
            part = slice(*np.searchsorted(scalars.numbers, [first, number])) if starts else slice(None)
            piece.scalars = list(self._by_tag(_taken(scalars, part)))
            for _, event in others[bisect_left(places, first) : bisect_left(places, number)]:
                piece.texts += [(tag, event.step, what) for tag, what in event.texts]
                piece.histograms += [(tag, event.step, shown) for tag, shown in event.histograms]
                piece.tensors += [(tag, event.step, array) for tag, array in event.tensors]
            yield piece
            first, purge = number, step

    def _joined(self, found: _Found) -> Scalars:
        """Return all scalars; those of one layout are in the order of their records."""
        single = [
            (number, self._tags.index(tag), event.step, value, event.wall)
            for number, event in sorted(found.events.items())
            for tag, value in event.scalars
        ]
        columns = zip(*single, strict=True) if single else ((), (), (), (), ())
        kinds = (np.intp, np.intp, np.float64, np.float64, np.float64)
        parts = [*found.scalars, Scalars(*(np.array(c, kind) for c, kind in zip(columns, kinds, strict=True)))]
        return Scalars(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _by_tag(self, scalars: Scalars) -> Iterator[tuple[str, np.ndarray]]:
        """Give the points of each tag in the order of the file, the tag that comes first at first."""
        if not len(scalars.tags):
            return
        keys = scalars.tags.astype(np.uint16) if len(self._tags.names) <= _SHORT_KEY else scalars.tags
        order = np.argsort(keys, kind="stable")
        numbers, tags = scalars.numbers[order], scalars.tags[order]
        is_same = tags[1:] == tags[:-1]
        if (is_same & (numbers[1:] < numbers[:-1])).any():  # a tag in messages of several lengths
            order = np.lexsort((scalars.numbers, scalars.tags))
            numbers = scalars.numbers[order]
        points = np.empty((len(order), 3))
        for place, column in enumerate((scalars.steps, scalars.values, scalars.walls)):
            points[:, place] = column[order]
        bounds = np.concatenate([[0], np.flatnonzero(~is_same) + 1, [len(tags)]])
        for place in np.argsort(numbers[bounds[:-1]], kind="stable").tolist():
            start, end = bounds[place : place + 2].tolist()
            yield self._tags.names[tags[start]], points[start:end]


def _taken(scalars: Scalars, which: np.ndarray | slice) -> Scalars:
    return Scalars(*(column[which] for column in scalars))


def _first_time(found: _Found) -> float | None:
    """Return the wall time of the first record that could be read."""
    times = {number: event.wall for number, event in found.events.items()}
    times |= dict([found.first]) if found.first is not None else {}
    times |= {int(part.numbers[0]): float(part.walls[0]) for part in found.scalars if len(part.numbers)}
    return times[min(times)] if times else None
