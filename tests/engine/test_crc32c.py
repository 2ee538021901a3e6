"""The checksum is the one that tensorboardX computes byte by byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.crc32c import LONGEST_ROW, constant_of, contribution, crc32c, framed, masked, masked_crc32c


def test_the_checksum_of_the_standard_is_met() -> None:
    # RFC 3720, B.4, and the check value of the catalogues of CRCs.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@given(st.binary(max_size=80))
def test_short_messages_agree_with_tensorboardx(data: bytes) -> None:
    from tensorboardX import record_writer

    assert masked_crc32c(data) == record_writer.masked_crc32c(data)


@pytest.mark.parametrize("length", [1023, 1024, 1025, 1026, 1027, 1028, 2048, 2049, 3072, 5000, 9 * 1024, 20_001])
def test_long_messages_are_joined_from_rows(length: int) -> None:
    from tensorboardX import record_writer

    data = np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()
    assert masked_crc32c(memoryview(data)) == record_writer.masked_crc32c(data)


@given(st.integers(0, 64), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_many_messages_at_once_agree_with_one_by_one(length: int, count: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (count, length + 3), np.uint8)
    crc = contribution(rows, range(length), length) ^ np.uint32(constant_of(length))
    assert masked(crc).tolist() == [masked_crc32c(row[:length].tobytes()) for row in rows]


def test_columns_may_be_added_up_in_parts() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (4, LONGEST_ROW), np.uint8)
    whole = contribution(rows, range(LONGEST_ROW), LONGEST_ROW)
    parts = contribution(rows, range(100), LONGEST_ROW) ^ contribution(rows, range(100, LONGEST_ROW), LONGEST_ROW)
    assert (whole == parts).all()


def test_a_record_is_framed_as_tensorboardx_does() -> None:
    import io

    from tensorboardX.record_writer import RecordWriter

    writer = RecordWriter.__new__(RecordWriter)
    writer._writer = io.BytesIO()
    writer.write(b"some message")
    assert framed(b"some message") == writer._writer.getvalue()
