"""What a hostile or damaged event file costs is bounded: no file is read for hours, and what is whole is still read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunebook import event_reader
from tunebook.crc32c import framed, masked_crc32c
from tunebook.event_records import FOOTER, HEADER, are_whole, find_headers, is_whole
from tunebook.run_curves import RunCurves

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

EMPTY = framed(b"\x09" + struct.pack("<d", 1.0) + b"\x10\x01")


def _scalar(tag: bytes, value: float) -> bytes:
    part = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(part)]) + part
    return framed(b"\x09" + struct.pack("<d", 1.0) + b"\x10\x01\x2a" + bytes([len(summary)]) + summary)


def _read(folder: Path, data: bytes) -> RunCurves:
    (folder / "events.out.tfevents.1.host.1").write_bytes(data)
    curves = RunCurves(folder)
    curves.poll()
    return curves


def test_what_follows_a_hole_is_read(tmp_path: Path) -> None:
    curves = _read(tmp_path, EMPTY + bytes(3 << 20) + _scalar(b"a", 2.0))
    assert (curves.tags, curves.damaged) == (["a"], 1)


def test_records_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    curves = _read(tmp_path, framed(b"") * 50_000 + EMPTY * 50_000 + _scalar(b"a", 2.0))
    assert (curves.tags, curves.damaged) == (["a"], 0)


def test_a_file_of_nothing_but_headers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []

    def counted(data: bytes, start: int, length: int) -> bool:
        checked.append(length)
        return is_whole(data, start, length)

    monkeypatch.setattr(event_reader, "is_whole", counted)
    monkeypatch.setattr(event_reader, "EFFORT", 4 << 20)
    header = framed(b"x" * (1 << 20))[:HEADER]
    curves = _read(tmp_path, EMPTY + header * 200_000)
    assert curves.damaged == 1
    assert sum(checked) <= 4 << 20
    assert not curves.poll()


def test_beginnings_without_number_take_no_square(tmp_path: Path) -> None:
    start = framed(b"\x09" + struct.pack("<d", 1.0) + b"\x10\x01\x3a\x02\x08\x01")
    curves = _read(tmp_path, (_scalar(b"a", 1.0) + start) * 300 + _scalar(b"a", 2.0))
    assert curves.points("a")[:, 1].tolist() == [2.0]


@given(st.lists(st.binary(min_size=5, max_size=5), min_size=1, max_size=30), st.data())
def test_many_records_are_checked_as_one_is(messages: list[bytes], draw: st.DataObject) -> None:
    data = bytearray(b"".join(map(framed, messages)))
    for place in draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=3)):
        data[place] ^= 1
    starts = np.arange(len(messages)) * (HEADER + 5 + FOOTER)
    expected = [is_whole(bytes(data), start, 5) for start in starts.tolist()]
    assert are_whole(bytes(data), starts, 5).tolist() == expected


@given(st.lists(st.sampled_from([bytes(9), framed(b"abc")[:HEADER], b"\1\0\0\0\0\0\0\0", b"xyz"]), max_size=30))
def test_headers_are_found_as_one_by_one(parts: list[bytes]) -> None:
    data = b"".join(parts)
    expected = [
        place
        for place in range(len(data) - HEADER + 1)
        if data[place + 4 : place + 8] == bytes(4)
        and struct.unpack_from("<I", data, place + 8)[0] == masked_crc32c(data[place : place + 8])
    ]
    assert find_headers(data).tolist() == expected


def test_a_look_that_has_no_time_goes_on_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.host.1").write_bytes(_scalar(b"a", 1.0) * 3)
    curves = RunCurves(tmp_path)
    assert not curves.poll(0.0)
    assert curves.is_short
    assert curves.tags == []
    assert curves.poll()
    assert not curves.is_short
    assert len(curves.points("a")) == 3
    assert not curves.poll()
