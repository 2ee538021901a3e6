"""
The wire format of protobuf messages, as far as event files need it.

The library's classes for these messages come with tensorboardX, whose import loads torch: seconds and hundreds of
megabytes that a server which shows a log has no use for. The format is documented under "Encoding" in protobuf's guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
#: Bytes of the types of fixed size.
_SIZES = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10
_BITS = 64


class WireError(ValueError):
    """A message is not what protobuf writes."""


class Field(NamedTuple):
    """
    One field of a message.

    Attributes
    ----------
    number, kind
        The field's number and its wire type.
    value
        The value of a varint, 0 to 2**64 - 1; of other kinds 0.
    start, end
        Where its content is in the buffer; of a message or bytes, without the length.
    """

    number: int
    kind: int
    value: int
    start: int
    end: int


def read_varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """
    Read a varint.

    Returns
    -------
    tuple of int
        Its value, 0 to 2**64 - 1, and where it ends.

    Raises
    ------
    WireError
        It does not end before ``end`` or within ten bytes.
    """
    value = 0
    for place in range(start, min(end, start + _LONGEST_VARINT)):
        byte = data[place]
        value |= (byte & 127) << 7 * (place - start)
        if byte < 128:  # noqa: PLR2004 - the bit that says whether more follows
            return value & (2**_BITS - 1), place + 1
    raise WireError("a varint does not end")


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """
    Give the fields of a message, in order.

    Raises
    ------
    WireError
        While iterating: a field is not whole, or has a number or type that there is not.
    """
    end = len(data) if end is None else end
    while start < end:
        key, start = read_varint(data, start, end)
        number, kind = key >> 3, key & 7
        value, stop = 0, start
        if kind == VARINT:
            value, stop = read_varint(data, start, end)
        elif kind == LENGTH:
            size, start = read_varint(data, start, end)
            stop = start + size
        elif kind in _SIZES:
            stop = start + _SIZES[kind]
        else:
            raise WireError(f"wire type {kind} is not in use")
        if number == 0 or stop > end:
            raise WireError("a field is not whole")
        yield Field(number, kind, value, start, stop)
        start = stop


def signed(value: int) -> int:
    """Return an int64 from the unsigned value of its varint."""
    return value - 2**_BITS if value >= 2 ** (_BITS - 1) else value


def numbers(data: bytes, field: Field, kind: str) -> np.ndarray:
    """
    Return the numbers of a repeated field of fixed size, packed or one by one.

    Parameters
    ----------
    data
        The buffer.
    field
        The field.
    kind
        numpy's name of the type, such as ``"<f4"``.

    Raises
    ------
    WireError
        Its size is no multiple of the number's.
    """
    width = np.dtype(kind).itemsize
    if field.kind == VARINT or (field.end - field.start) % width:
        raise WireError("numbers of another size")
    return np.frombuffer(data, kind, (field.end - field.start) // width, field.start)


def varints(data: bytes, field: Field) -> np.ndarray:
    """
    Return the values of a repeated field of varints, packed or one by one, as uint64.

    Raises
    ------
    WireError
        One of them does not end.
    """
    if field.kind == VARINT:
        return np.array([field.value], np.uint64)
    raw = np.frombuffer(data, np.uint8, field.end - field.start, field.start)
    last = np.flatnonzero(raw < 128)  # noqa: PLR2004 - the bit that says whether more follows
    starts = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
    sizes = last - starts + 1
    if field.kind != LENGTH or sizes.sum() != len(raw) or (sizes > _LONGEST_VARINT).any():
        raise WireError("varints of another kind or size")
    if not len(raw):
        return np.empty(0, np.uint64)
    places = np.arange(len(raw)) - np.repeat(starts, sizes)
    parts = (raw & 127).astype(np.uint64) << (7 * places).astype(np.uint64)
    return np.add.reduceat(parts, starts)
