"""
Events that look alike, read as a matrix of bytes.

Nearly all events of a log are scalars whose messages differ in the time, the step, the tag and the number alone, and
these stand at the same places in messages of the same length. A layout is learnt from one of them; the others are
compared with it, checked and read column by column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tunebook.crc32c import LONGEST_ROW, constant_of, contribution, masked
from tunebook.event_messages import TagList, plugin_of
from tunebook.event_records import FOOTER
from tunebook.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field, fields

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = 8
#: A varint of more bytes does not fit 63 bits; negative steps are read one by one.
_LONGEST_STEP = 9
_MOST_VALUES = 64
#: Tags that one layout remembers.
_MOST_TAGS = 1 << 16


class Place(NamedTuple):
    """Where a scalar stands in a message: its tag, and its number of a numpy type."""

    tag_start: int
    tag_end: int
    start: int
    kind: str


class Scalars(NamedTuple):
    """
    Scalars of many records, as columns.

    Attributes
    ----------
    numbers
        The number of each one's record in the piece, (n,), intp.
    tags
        Index of each one's tag in the list of the file's tags, (n,), intp.
    steps, values, walls
        (n,), float64.
    """

    numbers: np.ndarray
    tags: np.ndarray
    steps: np.ndarray
    values: np.ndarray
    walls: np.ndarray


def gather(data: bytes, starts: np.ndarray, width: int) -> np.ndarray:
    """
    Copy stretches of equal width out of a buffer.

    Parameters
    ----------
    data
        The buffer; every stretch lies in it.
    starts
        Where they begin, (n,).
    width
        Their bytes, at least 1.

    Returns
    -------
    numpy.ndarray
        Shape (n, width), uint8.
    """
    # Items of one size at any place, which numpy copies one by one and not byte by byte.
    windows = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
    rows: np.ndarray = windows[starts].view(np.uint8).reshape(len(starts), width)
    return rows


def padded(length: int) -> int:
    """Return the bytes of a row for a message of some length and its CRC, a multiple of a word."""
    return -(-(length + FOOTER) // _WORD) * _WORD


@dataclass(slots=True)
class _Tags:
    """Tags met in one layout, by what their bytes contribute to the CRC."""

    keys: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint32))
    words: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.uint64))
    indices: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.intp))


class Layout:
    """
    The places at which messages of one length hold what differs between them.

    Parameters
    ----------
    message
        One of them, whole.
    wall
        Where its time begins.
    step
        Where its step begins and ends; equal if it has none and is 0.
    places
        Its scalars.
    """

    def __init__(self, message: bytes, wall: int, step: tuple[int, int], places: list[Place]) -> None:
        self.length, self._wall, self._step, self._places = len(message), wall, step, places
        free = np.zeros(padded(self.length), bool)
        for start, end in [(wall, wall + 8), step, *((p.start, p.start + int(p.kind[-1])) for p in places)]:
            free[start:end] = True
        in_tag = np.zeros_like(free)
        for place in places:
            in_tag[place.tag_start : place.tag_end] = True
        self._free = np.flatnonzero(free).tolist()
        self._in_tag = np.flatnonzero(in_tag).tolist()
        mask = np.where(free | in_tag, 0, 255).astype(np.uint8)
        mask[self.length :] = 0
        # Of a step, the bits that say how many bytes it has.
        mask[step[0] : step[1]] = 128
        row = np.zeros(len(free), np.uint8)
        row[: self.length] = np.frombuffer(message, np.uint8)
        self._mask, self._row = mask.view(np.uint64), (row & mask).view(np.uint64)
        self._words = np.flatnonzero(self._mask).tolist()
        self._tag_mask = np.where(in_tag, 255, 0).astype(np.uint8).view(np.uint64)
        self._tag_words = np.flatnonzero(self._tag_mask).tolist()
        fixed = np.flatnonzero(~(free | in_tag)[: self.length])
        self._constant = contribution(row[None], fixed, self.length)[0] ^ np.uint32(constant_of(self.length))
        self._tags = _Tags(
            words=np.empty((0, len(self._tag_words)), np.uint64), indices=np.empty((0, len(places)), np.intp)
        )

    def fits(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows, (n, padded length), look like this layout, (n,), bool."""
        words = rows.view(np.uint64)
        found = np.ones(len(rows), bool)
        for word in self._words:
            found &= (words[:, word] & self._mask[word]) == self._row[word]
        return found

    def read(self, rows: np.ndarray, numbers: np.ndarray, tags: TagList) -> tuple[Scalars, np.ndarray]:
        """
        Read rows that look like this layout.

        Parameters
        ----------
        rows
            Shape (n, padded length), uint8.
        numbers
            Numbers of their records, (n,).
        tags
            The tags of the file; new ones are added.

        Returns
        -------
        tuple
            What was read, and which rows were not, (n,), bool: those with a wrong CRC, or with a tag that cannot be
            told from another by its CRC.
        """
        keys = contribution(rows, self._in_tag, self.length)
        crc = keys ^ self._constant ^ contribution(rows, self._free, self.length)
        good = masked(crc) == _column(rows, self.length, "<u4")
        found, known = self._tag_indices(rows, keys, good, tags)
        good &= known
        if not good.all():
            rows, numbers, found = rows[good], numbers[good], found[good]
        count = len(self._places)
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            values = [_column(rows, place.start, place.kind).astype(np.float64) for place in self._places]
        flat = values[0] if count == 1 else np.stack(values, axis=1).ravel()
        steps, walls = self._steps(rows), _column(rows, self._wall, "<f8")
        scalars = Scalars(
            np.repeat(numbers, count), found.ravel(), np.repeat(steps, count), flat, np.repeat(walls, count)
        )
        return scalars, ~good

    def _steps(self, rows: np.ndarray) -> np.ndarray:
        found = np.zeros(len(rows), np.int64)
        for place in range(*self._step):
            found |= (rows[:, place] & np.uint8(127)).astype(np.int64) << 7 * (place - self._step[0])
        return found.astype(np.float64)

    def _tag_indices(
        self, rows: np.ndarray, keys: np.ndarray, good: np.ndarray, tags: TagList
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the index of each value's tag, (n, values), and for which rows that is certain, (n,)."""
        known, place = self._look_up(keys)
        fresh = np.flatnonzero(good & ~known)
        if len(fresh):
            self._remember(rows[fresh], keys[fresh], tags)
            known, place = self._look_up(keys)
        if not len(self._tags.keys):
            return np.zeros((len(rows), len(self._places)), np.intp), known
        words = rows.view(np.uint64)
        for number, word in enumerate(self._tag_words):
            known &= (words[:, word] & self._tag_mask[word]) == self._tags.words[place, number]
        return self._tags.indices[place], known

    def _look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(self._tags.keys):
            return np.zeros(len(keys), bool), np.zeros(len(keys), np.intp)
        place = np.searchsorted(self._tags.keys, keys)
        place[place == len(self._tags.keys)] = 0
        return self._tags.keys[place] == keys, place

    def _remember(self, rows: np.ndarray, keys: np.ndarray, tags: TagList) -> None:
        keys, first = np.unique(keys, return_index=True)
        old = self._tags
        if len(old.keys) + len(keys) > _MOST_TAGS:
            return
        rows = rows[first]
        texts = [[bytes(row[p.tag_start : p.tag_end]) for p in self._places] for row in rows]
        indices = [[tags.index(text.decode("utf-8", "backslashreplace")) for text in line] for line in texts]
        words = rows.view(np.uint64)[:, self._tag_words] & self._tag_mask[self._tag_words]
        joined = np.concatenate([old.keys, keys])
        order = np.argsort(joined)
        self._tags = _Tags(
            joined[order], np.concatenate([old.words, words])[order],
            np.concatenate([old.indices, np.array(indices, np.intp)])[order],
        )  # fmt: skip


def _column(rows: np.ndarray, start: int, kind: str) -> np.ndarray:
    width = np.dtype(kind).itemsize
    return rows[:, start : start + width].copy().view(kind).ravel()


def learn(message: bytes) -> Layout | None:
    """
    Return the layout of a message, or None if it is anything but scalars in the order in which all writers put them.

    Raises
    ------
    WireError
        The message is not whole.
    """
    if len(message) > LONGEST_ROW:
        return None
    parts = list(fields(message))
    by_number = {part.number: part for part in parts}
    kinds = [(part.number, part.kind) for part in parts]
    if (
        len(by_number) != len(parts)
        or set(kinds) - {(1, FIXED64), (2, VARINT), (5, LENGTH)}
        or not {1, 5} <= set(by_number)
    ):
        return None
    step = by_number.get(2)
    # A varint has no content: its bytes end where it ends, behind the one of its field's number.
    span = (step.start, step.end) if step else (0, 0)
    if span[1] - span[0] > _LONGEST_STEP:
        return None
    places = []
    for value in fields(message, by_number[5].start, by_number[5].end):
        place = _place(message, value) if (value.number, value.kind) == (1, LENGTH) else None
        if place is None:
            return None
        places.append(place)
    if not 0 < len(places) <= _MOST_VALUES:
        return None
    return Layout(message, by_number[1].start, span, places)


def _place(message: bytes, value: Field) -> Place | None:
    """Return where a value's tag and number stand, or None if it is not one scalar with one tag."""
    parts = list(fields(message, value.start, value.end))
    by_number = {part.number: part for part in parts}
    kinds = {(part.number, part.kind) for part in parts}
    if len(by_number) != len(parts) or 1 not in by_number:
        return None
    tag = by_number[1]
    if kinds in ({(1, LENGTH), (2, FIXED32)}, {(1, LENGTH), (2, FIXED32), (9, LENGTH)}):
        return Place(tag.start, tag.end, by_number[2].start, "<f4")
    if kinds == {(1, LENGTH), (8, LENGTH), (9, LENGTH)} and plugin_of(message, by_number[9]) == "scalars":
        number = _tensor_number(message, by_number[8])
        return Place(tag.start, tag.end, *number) if number else None
    return None


def _tensor_number(message: bytes, tensor: Field) -> tuple[int, str] | None:
    """Return place and type of the number in a tensor of one float or double."""
    parts = list(fields(message, tensor.start, tensor.end))
    by_number = {part.number: part for part in parts}
    dtype = by_number.get(1)
    if len(by_number) != len(parts) or dtype is None or dtype.kind != VARINT:
        return None
    kind = {1: "<f4", 2: "<f8"}.get(dtype.value, "")
    shape = by_number.get(2)
    holder = set(by_number) - {1, 2}
    if not kind or (shape and shape.end > shape.start) or holder not in ({4}, {4 + dtype.value}):
        return None
    number = by_number[holder.pop()]
    fits = number.kind != VARINT and number.end - number.start == int(kind[-1])
    return (number.start, kind) if fits else None


def alike(rows: np.ndarray, layouts: list[Layout]) -> Iterator[tuple[Layout, np.ndarray]]:
    """Give each layout with the places, (k,), of the rows that look like it and like none before."""
    left = np.arange(len(rows))
    for layout in layouts:
        if not len(left):
            return
        fits = layout.fits(rows[left])
        if fits.any():
            yield layout, left[fits]
            left = left[~fits]
