"""The wire format is read as protobuf's own library writes it, and nothing broken is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.protobuf import LENGTH, Field, WireError, fields, numbers, read_varint, signed, varints


def varint(value: int) -> bytes:
    found = b""
    while value >= 128:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_and_its_end_found(value: int) -> None:
    raw = varint(value)
    assert read_varint(raw + b"\x01", 0, len(raw) + 1) == (value, len(raw))
    with pytest.raises(WireError):
        read_varint(raw, 0, len(raw) - 1)


def test_a_varint_of_more_than_ten_bytes_is_refused() -> None:
    with pytest.raises(WireError):
        read_varint(b"\x80" * 10 + b"\x01", 0, 11)
    assert read_varint(b"\x80\x80\x00", 0, 3) == (0, 3)  # longer than need be, which is allowed


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_packed_varints_are_read_together(values: list[int]) -> None:
    raw = b"".join(map(varint, values))
    assert varints(raw, Field(1, LENGTH, 0, 0, len(raw))).tolist() == values
    if raw:
        with pytest.raises(WireError):
            varints(raw + b"\x80", Field(1, LENGTH, 0, 0, len(raw) + 1))


@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_numbers_are_those_of_int64(value: int) -> None:
    assert signed(value % 2**64) == value


@given(st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=20))
def test_fields_are_those_that_the_library_wrote(step: int, wall: float, content: bytes) -> None:
    from tensorboardX.proto.event_pb2 import Event

    raw = Event(wall_time=wall, step=step, graph_def=content).SerializeToString()
    found = {part.number: part for part in fields(raw)}
    if step:
        assert signed(found[2].value) == step
    if wall:
        assert np.array_equal(numbers(raw, found[1], "<f8"), [wall], equal_nan=True)
    assert raw[found[4].start : found[4].end] == content


BROKEN = (
    b"\x0a", b"\x0a\x05ab", b"\x09\x00", b"\x0b", b"\x0c", b"\x0e", b"\x0f", b"\x02\x00",
    b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
)  # fmt: skip


@pytest.mark.parametrize("raw", BROKEN)
def test_what_is_not_whole_or_unknown_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(raw))


@given(st.binary(max_size=60))
def test_any_bytes_give_fields_inside_them_or_are_refused(raw: bytes) -> None:
    try:
        found = list(fields(raw))
    except WireError:
        return
    assert all(0 <= part.start <= part.end <= len(raw) for part in found)


def test_numbers_of_another_size_are_refused() -> None:
    with pytest.raises(WireError):
        numbers(b"12345", Field(1, LENGTH, 0, 0, 5), "<f4")
