"""One event file, read as it grows: what is new, in pieces, whatever became of it on the disk."""

from __future__ import annotations

import math
import os
import struct
import time
from typing import TYPE_CHECKING, BinaryIO

from tunebook.errors import StorageError
from tunebook.event_pieces import Piece, PieceReader
from tunebook.event_records import FOOTER, HEADER, LONGEST, Headers, find_headers, is_whole
from tunebook.opening import open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunebook.event_records import Walk

#: Bytes read at once: what is made of them stays in the processor's cache.
PIECE = 1 << 20
#: Longer records, which hold no curves, are passed over unread.
LARGEST = 1 << 24
#: Bytes at the file's beginning and before the next record that tell whether it is still the same file.
_MARK = 64
#: Bytes of places looked at for records after damage, in one file: what is nothing but headers would take hours.
EFFORT = 128 << 20
#: What a search, and a place looked at, count at least.
_SEARCH, _PLACE = 64 << 10, 4 << 10


class EventReader:
    """
    Reader of one event file that goes on where it stopped.

    A record that is not whole yet is waited for. One with a wrong checksum is skipped; where a header is damaged,
    reading goes on at the next place where a header and its message fit their checksums. Looking for such places has a
    bound; where it is met, what follows is not read, and counts as damaged.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._headers = Headers()
        self._records = PieceReader()
        #: Device, number, size and time of change when the file was last read.
        self._seen: tuple[int, int, int, int] | None = None
        self._marks = (b"", b"")
        #: Where the next record begins.
        self._position = 0
        #: Whether no record begins there, and up to where none was found.
        self._is_lost = False
        self._searched = 0
        self._effort = EFFORT
        self._damaged = 0
        self._is_doubtful = False
        #: Whether there is more than the last look had time for.
        self.is_short = False

    @property
    def began(self) -> float | None:
        """Wall time of the first event, which says when the file was begun; None until there is one."""
        return self._records.began

    @property
    def damaged(self) -> int:
        """How many records were skipped; a stretch in which none can be told apart counts as one."""
        return self._damaged + (self._is_doubtful or self._is_lost)

    def is_unchanged(self, found: os.stat_result) -> bool:
        """Return whether a file with this state has nothing new."""
        return _signature(found) == self._seen and not self.is_short

    def is_replaced(self, found: os.stat_result) -> bool:
        """
        Return whether there is another file now, or the same one shorter or with other bytes: it takes a new reader.

        Raises
        ------
        StorageError
            The file cannot be read.
        """
        if self._seen is None or self.is_unchanged(found):
            return False
        if _signature(found)[:2] != self._seen[:2] or found.st_size < self._seen[2]:
            return True
        try:
            with open_stream(self.path, buffering=0) as stream:
                return self._read_marks(stream) != self._marks
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def poll(self, until: float = math.inf) -> Iterator[Piece]:
        """
        Give what was written since the last time.

        Parameters
        ----------
        until
            Time of :func:`time.monotonic` at which no more is read; the next look goes on there.

        Raises
        ------
        StorageError
            While iterating: the file cannot be read.
        """
        try:
            with open_stream(self.path, buffering=0) as stream:
                self._seen = _signature(os.fstat(stream.fileno()))
                yield from self._read(stream, self._seen[2], until)
                self._marks = self._read_marks(stream)
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def _read_marks(self, stream: BinaryIO) -> tuple[bytes, bytes]:
        size = min(_MARK, self._position)
        return _read_at(stream, 0, size), _read_at(stream, self._position - size, size)

    def _read(self, stream: BinaryIO, size: int, until: float) -> Iterator[Piece]:
        want = PIECE
        self.is_short = False
        while self._position < size:
            if time.monotonic() > until:
                self.is_short = True
                return
            if self._is_lost and not self._find_again(stream, size):
                return
            before = self._position
            data = _read_at(stream, before, min(want, size - before))
            # What was there a moment ago may have been cut off.
            is_end = before + len(data) >= size or len(data) < want
            walk = self._headers.walk(data)
            yield from self._take(data, walk, is_end=is_end)
            want = PIECE
            if self._is_lost or (self._position > before and not is_end):
                continue
            if walk.needed > LARGEST and self._position + walk.needed <= size:
                self._position += walk.needed
            elif is_end or walk.needed > LARGEST:
                # Bytes that are waited for will not come if there is a whole record behind.
                if not (walk.needed and self._passes_over(stream, size)):
                    return
            else:
                # Together with the next header, which vouches for the length of a damaged message.
                want = max(walk.needed, len(data)) + HEADER + FOOTER

    def _take(self, data: bytes, walk: Walk, *, is_end: bool) -> Iterator[Piece]:
        """Read the records of a walk, and move to where the next one begins."""
        pieces, damaged = self._records.read(data, walk)
        start = self._position
        self._damaged += len(damaged)
        self._position += walk.end
        is_unsure = walk.count - 1 in damaged and not walk.needed
        if is_unsure:
            # No whole header behind it vouches for the length that it was skipped by.
            self._damaged -= 1
            self._position = start + walk.last
        self._is_doubtful = is_unsure and is_end and not walk.is_lost
        self._is_lost = walk.is_lost
        if walk.is_lost:
            self._searched = self._position + (HEADER if is_unsure else 1)
        yield from pieces

    def _find_again(self, stream: BinaryIO, size: int) -> bool:
        """Move to the next record after a damaged header; False if there is none yet."""
        # Bytes of a file on another machine may arrive late.
        if not self._is_record(stream, self._position, size):
            found = self._search(stream, size)
            if found is None:
                return False
            self._damaged += 1
            self._position = found
        self._is_lost = False
        return True

    def _passes_over(self, stream: BinaryIO, size: int) -> bool:
        self._searched = self._position + HEADER
        found = self._search(stream, size)
        if found is None:
            return False
        self._damaged += 1
        self._position = found
        return True

    def _search(self, stream: BinaryIO, size: int) -> int | None:
        """Return where the next whole record begins; None too where too much was looked at in vain."""
        waiting = None
        self._effort -= _SEARCH
        while self._searched + HEADER <= size and self._effort > 0:
            data = _read_at(stream, self._searched, PIECE)
            if len(data) < HEADER:
                break
            # A hole has none; it may be larger than the disk.
            for place in find_headers(data).tolist() if data.count(0) < len(data) else ():
                start = self._searched + place
                (length,) = struct.unpack_from("<Q", data, place)
                self._effort -= max(_PLACE, min(length, LARGEST))
                if self._effort <= 0:
                    return None
                if self._is_record(stream, start, size):
                    return int(start)
                if start + HEADER + length + FOOTER > size and length <= LONGEST and waiting is None:
                    waiting = start
            self._searched += len(data) - HEADER + 1
        if waiting is not None:
            self._searched = waiting
        return None

    def _is_record(self, stream: BinaryIO, start: int, size: int) -> bool:
        length = self._headers.length(_read_at(stream, start, HEADER)) if start + HEADER <= size else -1
        if length < 0 or start + HEADER + length + FOOTER > size or length > LARGEST:
            return False
        return is_whole(_read_at(stream, start, HEADER + length + FOOTER), 0, length)


def _read_at(stream: BinaryIO, start: int, size: int) -> bytes:
    stream.seek(start)
    found = stream.read(size)
    while len(found) < size and (more := stream.read(size - len(found))):
        found += more
    return found


def _signature(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _unreadable(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or type(error).__name__
    return StorageError(f"cannot read {path}: {reason}; check that it is there and that you may read it")
