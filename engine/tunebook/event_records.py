"""
The records of an event file: where they begin, and where they go on after damage.

A record is its length (8 bytes), the masked CRC-32C of that (4), the message, and the masked CRC-32C of that (4).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from tunebook.crc32c import LONGEST_ROW, constant_of, contribution, masked, masked_crc32c

#: Bytes before a message, and after it.
HEADER, FOOTER = 12, 4
#: Longer messages protobuf does not write: such a length is damage.
LONGEST = 2**31 - 1
#: Headers remembered: those of the lengths that a log is made of.
_KNOWN = 4096
#: Records after which it is looked whether their lengths come back.
_PROBE, _MOST = 128, 4096
#: Fewer records are checked one by one; of more, so many bytes together.
_FEW, _BYTES_AT_ONCE = 8, 1 << 22
#: Places looked at together: a hole of zeros is made of nothing else.
_AT_ONCE = 1 << 16


@dataclass(slots=True)
class Walk:
    """
    Whole records found one after the other in a piece of a file.

    Attributes
    ----------
    groups
        For each length of a message: where records of that length begin, and their numbers in the order of the file,
        both (n,), intp, ascending.
    count
        How many records there are.
    last
        Where the last of them begins.
    end
        Where the next one begins, or would.
    needed
        Bytes of that record if its header is there and whole, else 0.
    is_lost
        Whether at ``end`` there is a header, and it is damaged.
    """

    groups: dict[int, tuple[np.ndarray, np.ndarray]]
    count: int
    last: int
    end: int
    needed: int
    is_lost: bool


class _Way:
    """
    The way from record to record through a piece of a file.

    Logs repeat themselves: each step writes the same tags, so that lengths come back in the same order. Where they do,
    the way is laid ahead and all headers on it are compared at once with those before.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.count, self.last = 0, 0

    def add(self, starts: list[int], end: int, *, is_last: bool = False) -> int:
        """
        Add records that were gone one by one, the last up to ``end``, and all that follow in the same way.

        Parameters
        ----------
        starts
            Where they begin.
        end
            Where the next one begins.
        is_last
            Whether it is known that no whole record follows.

        Returns
        -------
        int
            Where the next one begins that was not added.
        """
        if not starts:
            return end
        places = np.array(starts, np.intp)
        strides = np.diff(places, append=end)
        order = np.argsort(strides, kind="stable")
        bounds = np.flatnonzero(np.diff(strides[order])) + 1
        for part in np.split(order, bounds):
            self._parts.setdefault(int(strides[part[0]]), []).append((places[part], part + self.count))
        self.count += len(starts)
        self.last = starts[-1]
        period = _period(strides[-_PROBE:].tolist()) if len(starts) >= _PROBE and not is_last else 0
        return self._lay_ahead(starts[-period], end, strides[-period:].tolist()) if period else end

    def _lay_ahead(self, base: int, end: int, cycle: list[int]) -> int:
        span = sum(cycle)
        offsets = np.cumsum([0, *cycle[:-1]])
        headers = [struct.unpack_from("<QI", self._data, base + int(offset)) for offset in offsets]
        rounds = max(1, _PROBE // len(cycle))
        while (rounds := min(rounds, (len(self._data) - end) // span)) > 0:
            same = np.ones(rounds, bool)
            for offset, (length, crc) in zip(offsets.tolist(), headers, strict=True):
                same &= np.ndarray(rounds, "<u8", self._data, end + offset, span) == length
                same &= np.ndarray(rounds, "<u4", self._data, end + offset + 8, span) == crc
            found = rounds if same.all() else int(same.argmin())
            self._lay(end, cycle, offsets, found)
            end += found * span
            if found < rounds:
                break
            rounds *= 4
        return end

    def _lay(self, start: int, cycle: list[int], offsets: np.ndarray, rounds: int) -> None:
        if not rounds:
            return
        strides, times = np.array(cycle), np.arange(rounds)[:, None]
        for stride in dict.fromkeys(cycle):
            places = np.flatnonzero(strides == stride)
            starts = start + sum(cycle) * times + offsets[places]
            numbers = self.count + len(cycle) * times + places
            self._parts.setdefault(stride, []).append((starts.ravel(), numbers.ravel()))
        self.count += rounds * len(cycle)
        self.last = start + sum(cycle) * (rounds - 1) + int(offsets[-1])

    def groups(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return beginnings and numbers of the records by the length of their messages."""
        return {
            stride - HEADER - FOOTER: (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
            for stride, parts in self._parts.items()
        }


def _period(strides: list[int]) -> int:
    """Return after how many records, half of those looked at or fewer, the lengths come back; or 0."""
    last = strides[-1]
    for period in range(1, len(strides) // 2 + 1):
        if strides[-1 - period] == last and strides[period:] == strides[:-period]:
            return period
    return 0


class Headers:
    """Lengths by the header that says them; those that were checked are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def length(self, header: bytes) -> int:
        """Return the length that a header of 12 bytes says, or -1 if it is damaged."""
        found = self._known.get(header)
        if found is None:
            length, crc = struct.unpack("<QI", header)
            if length > LONGEST or crc != masked_crc32c(header[:8]):
                return -1
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[header] = length
        return found

    def walk(self, data: bytes) -> Walk:
        """Find the records from the beginning of a piece on, checking headers but not what they hold."""
        way = _Way(data)
        needed, is_lost = 0, False
        strides: dict[bytes, int] = {}
        starts: list[int] = []
        end, size, limit = 0, len(data), _PROBE
        while end + HEADER <= size:
            header = data[end : end + HEADER]
            stride = strides.get(header)
            if stride is None:
                length = self.length(header)
                if length < 0:
                    is_lost = True
                    break
                stride = strides[header] = length + HEADER + FOOTER
            if end + stride > size:
                needed = stride
                break
            starts.append(end)
            end += stride
            if len(starts) == limit:
                before, end = end, way.add(starts, end)
                starts = []
                # Where nothing comes back, it is looked for less and less.
                limit = _PROBE if end > before else min(2 * limit, _MOST)
        way.add(starts, end, is_last=True)
        return Walk(way.groups(), way.count, way.last, end, needed, is_lost)


def is_whole(data: bytes, start: int, length: int) -> bool:
    """Return whether the message of a record that begins at ``start`` is what its CRC says."""
    first = start + HEADER
    (crc,) = struct.unpack_from("<I", data, first + length)
    return masked_crc32c(memoryview(data)[first : first + length]) == int(crc)


def find_headers(data: bytes) -> np.ndarray:
    """
    Return all places of a piece at which a whole header stands, in order.

    One in 2**32 places of any data looks like one.
    """
    raw = np.frombuffer(data, np.uint8)
    count = len(raw) - HEADER + 1
    if count <= 0:
        return np.empty(0, np.intp)
    # Lengths are below 2**32, so four zero bytes rule out most places.
    fits = raw[4 : 4 + count] == 0
    for column in range(5, 8):
        fits &= raw[column : column + count] == 0
    places = np.flatnonzero(fits)
    parts = [_checked(raw, places[first : first + _AT_ONCE]) for first in range(0, len(places), _AT_ONCE)]
    return np.concatenate([places[:0], *parts])


def _checked(raw: np.ndarray, places: np.ndarray) -> np.ndarray:
    headers = np.lib.stride_tricks.sliding_window_view(raw, HEADER)[places]
    lengths = headers[:, :4].copy().view("<u4").ravel()
    # A hole of zeros says the same length at every place, and what repeats itself a few: each is looked at once.
    each, which = np.unique(lengths, return_inverse=True)
    crc = contribution(each.astype("<u8").view(np.uint8).reshape(-1, 8), range(8), 8) ^ np.uint32(constant_of(8))
    found: np.ndarray = places[masked(crc)[which] == headers[:, 8:].copy().view("<u4").ravel()]
    return found


def are_whole(data: bytes, starts: np.ndarray, length: int) -> np.ndarray:
    """
    Return which records of one length hold what their CRCs say.

    Parameters
    ----------
    data
        A piece of a file.
    starts
        Where they begin, (n,).
    length
        Bytes of each message.

    Returns
    -------
    numpy.ndarray
        Shape (n,), bool.
    """
    if length > LONGEST_ROW or len(starts) < _FEW:
        return np.array([is_whole(data, start, length) for start in starts.tolist()], bool)
    whole = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), HEADER + length + FOOTER)
    found = []
    rows = max(1, _BYTES_AT_ONCE // (HEADER + length + FOOTER))
    for first in range(0, len(starts), rows):
        part = whole[starts[first : first + rows]]
        crc = contribution(part[:, HEADER : HEADER + length], range(length), length) ^ np.uint32(constant_of(length))
        found.append(masked(crc) == part[:, HEADER + length :].copy().view("<u4").ravel())
    return np.concatenate(found)
